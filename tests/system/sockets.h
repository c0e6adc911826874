/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients and services on loopback, as plain as they come. */
#ifndef HG_SYSTEM_SOCKETS_H
#define HG_SYSTEM_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

/* A socket that listens on 127.0.0.1, any port; non-blocking. */
int socket_listen(int backlog, uint16_t *port_out);

/* One that listens on that port of another 127.x.y.z, given as its last byte. */
int socket_listen_at(uint8_t host, uint16_t port);

/* Fills the backlog of @listener (made with backlog 0): who connects from now on gets no answer. Returns what fills it. */
int socket_fill(int listener, uint16_t port);

/* A port on which nobody listens. */
uint16_t socket_unused_port(void);

/* Blocking connections. */
int socket_connect(uint16_t port);
int socket_accept(int listener);

void socket_write(int fd, const char *text);
void socket_expect(int fd, const char *text);

/* What its owner sees: a reset, or an orderly end. */
void socket_expect_reset(int fd);
void socket_expect_end(int fd);

/* Ends it with a reset. */
void socket_abort(int fd);

/* SO_LINGER{1,0}: whoever dies with it resets it. */
bool socket_lingers(int fd);

#endif
