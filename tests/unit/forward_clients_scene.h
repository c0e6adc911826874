/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of the clients of a gate: one gate in virtual time, whose clients, providers and swarm worker are the test. */
#ifndef HG_TEST_FORWARD_CLIENTS_SCENE_H
#define HG_TEST_FORWARD_CLIENTS_SCENE_H

#include "forward_clients.h"
#include "forward_scene.h"
#include "ipc_channel.h"

enum { GATE = 8080, WAIT_S = 60 };

extern struct now now;

/* It is so late. */
void at(usec_t mono_us);

/* Each letter is a provider. */
void begin(const char *providers);
void finish(void);

/* A client comes, from nowhere or from that address; returns its own end. */
int come(void);
int come_as(const union socket_address *remote);

/* Whether it has been reset. */
bool closed(int client);

/* The provider asked next, '-' for none; the connection and the message go to @fd_out and @open. */
char asked(int *fd_out, struct ipc_channel_open *open);

/* It refuses. */
void refuse(const struct ipc_channel_open *open, enum ipc_reason reason, int fd);

/* What is due next is done, at its time; returns how long that took. */
usec_t next_due(void);

#endif
