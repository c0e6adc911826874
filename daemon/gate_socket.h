/* SPDX-License-Identifier: BSD-3-Clause */
/* Gates at unix sockets: each has one of its own, at a path with its port in it. */
#ifndef HG_GATE_SOCKET_H
#define HG_GATE_SOCKET_H

#include <stdint.h>
#include <sys/types.h>

/* Listens at @pattern, in which CONF_GATE_PORT_WORD stands for @port, with @mode. A socket there that nobody listens at any more is
 * replaced; anything else is in the way. 0 or -errno: -EADDRINUSE, -EEXIST (no socket), … */
int gate_socket_open(const char *pattern, uint16_t port, mode_t mode, int *fd_out);

/* The same at @path, for packets (SOCK_SEQPACKET), for this user alone. */
int gate_socket_helpers(const char *path, int backlog, int *fd_out);

/* The same at @path, for HTTP. */
int gate_socket_http(const char *path, int *fd_out);

/* Why it could not be opened, in words that help: @error is an errno. */
const char *gate_socket_refusal(int error);

/* Takes the one away that was opened there. */
void gate_socket_remove(const char *pattern, uint16_t port);

#endif
