/* SPDX-License-Identifier: BSD-3-Clause */
/* Services that shall be there at the next start, too: a drop-in of the configuration for each gate port, added-8000-tcp-1.yaml. */
#ifndef HG_CLI_SAVE_H
#define HG_CLI_SAVE_H

#include <jansson.h>
#include <stdint.h>

/* Writes a drop-in of @file with @service, unless one says the same. An exit status; what went wrong was told. */
int cli_save_add(const char *file, const json_t *service);

/* Removes all that were written for that gate. */
int cli_save_remove(const char *file, uint16_t port, const char *protocol);

#endif
