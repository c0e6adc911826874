/* SPDX-License-Identifier: BSD-3-Clause */
/* Making a router secret, and carrying one from the command line to where nobody else reads it. */
#ifndef HG_CLI_SECRET_H
#define HG_CLI_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* Writes a new secret, 64 hexadecimal characters and a newline: to stdout, or to a new file that only its owner can read,
 * and then the router's public name to stdout. With @json it is an object what is written to stdout. Returns the exit status. */
int cli_secret_new(const char *file, bool json);

/* All of @text. 0 or -errno. */
int cli_secret_write(int fd, const char *text, size_t len);

/* A sealed copy of a secret file; what is in it is for its reader to say. The descriptor or -errno: -EPERM: others than its owner may read it,
 * -EINVAL: it is no file, or too long for one with secrets. */
int cli_secret_copy(const char *path);

/* A sealed memory file with the value of @text, which is wiped in its place (argv, environment). The descriptor or -errno. */
int cli_secret_take(char *text);

#endif
