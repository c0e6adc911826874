/* SPDX-License-Identifier: BSD-3-Clause */
/* A small server on the loopback: a process for each connection, and few at a time. */
#ifndef HG_CLI_SERVE_H
#define HG_CLI_SERVE_H

enum { CLI_SERVE_MAX = 4 };             /* at a time; further ones wait */

/* Listens at @where, "127.0.0.1:9469" or "[::1]:9469", says so, and lets @answer answer each connection in a process of its own, which ends
 * with the status that it returns. Returns only when that does not work: an exit status, and why was printed. */
int cli_serve(const char *where, int (*answer)(void *context, int fd), void *context);

#endif
