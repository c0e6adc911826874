/* SPDX-License-Identifier: BSD-3-Clause */
/* Services that shall be there at the next start, too: a drop-in of the configuration, added.yaml, with a line for each. One for all of
 * them, since a configuration may have only so many files. */
#ifndef HG_CLI_SAVE_H
#define HG_CLI_SAVE_H

#include <jansson.h>
#include <stdint.h>

/* Writes those of the list @services that are not there yet to the drop-in of the configuration @file. An exit status; what went wrong was
 * told. */
int cli_save_add(const char *file, const json_t *services);

/* Takes away all that were written for that gate. */
int cli_save_remove(const char *file, uint16_t port, const char *protocol);

#endif
