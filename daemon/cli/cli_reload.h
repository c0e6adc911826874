/* SPDX-License-Identifier: BSD-3-Clause */
/* What an instance has to say against what it was told. */
#ifndef HG_CLI_RELOAD_H
#define HG_CLI_RELOAD_H

#include <jansson.h>

/* Prints a complaint of its own to stderr, as hypergate check does. */
void cli_reload_print_complaint(const json_t *complaint);

#endif
