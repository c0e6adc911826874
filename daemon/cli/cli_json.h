/* SPDX-License-Identifier: BSD-3-Clause */
/* What --json prints: an object a line, of printable ASCII. hypergate(1) lists the keys. */
#ifndef HG_CLI_JSON_H
#define HG_CLI_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "conf.h"

/* Prints @object, and drops it. False: it is NULL (no memory), or nobody reads it. */
bool cli_json_print(json_t *object);

/* Prints the line of @object, see cli_talk(), with the instance that said it in front; nothing for its end. */
void cli_json_print_line(const char *instance, const json_t *object, const char *line);

/* Prints an object for each. */
bool cli_json_print_complaints(const struct conf_complaints *complaints);

#endif
