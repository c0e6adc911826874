/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of the sessions of one gate: datagrams come by call, with addresses that need not be anybody's, and times ahead of the
 * clock's. */
#ifndef HG_TEST_FORWARD_SESSIONS_SCENE_H
#define HG_TEST_FORWARD_SESSIONS_SCENE_H

#include <string.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "forward_scene.h"
#include "forward_sessions.h"
#include "ipc_channel.h"

enum { GATE = 5353, IDLE_S = 300, TAKEN_MAX = 4200 };

extern struct sessions sessions;
extern uint8_t buffer[SESSIONS_BUFFER_BYTES];   /* theirs */
extern struct now now;
extern uint64_t dropped;
extern int gate;                        /* its socket */

/* Sessions as the swarm worker has them, in the order they came. */
struct taken {
        struct ipc_channel_open open;
        int fd;
};
extern struct taken taken[TAKEN_MAX];
extern unsigned taken_count;

/* The swarm worker takes what it was asked to open. */
void take(void);

/* Time goes by. */
void pass(usec_t us);

/* One provider has the gate; IPC_SUPERVISOR: there is no swarm worker. */
void begin_with(enum ipc_role sibling);
void begin(void);
void finish(void);

/* A client there says something to the gate. */
struct session_ends ends_of(uint32_t host, uint16_t port);
void say_as(const struct session_ends *ends, const char *text);
void say(uint32_t host, uint16_t port, const char *text);

/* What the swarm worker finds in that session: a datagram, "-" for nothing, "." for its end. Valid until the next call. */
const char *heard(unsigned i);

#define check_heard(i, expected) check(strcmp(heard(i), expected) == 0)

/* The provider says something in session @i; what it says is the datagram behind its mark. */
void reply(unsigned i, const void *bytes, size_t len);

/* A client's own socket, and where it is. */
int client_at(const char *ip, struct session_ends *ends);

/* What came to it: its length, or -1. */
ssize_t answered(int client, char *out, size_t size);

/* What is due until @us from now on is done then; how many sessions are left. */
size_t left_after(usec_t us);

/* Descriptors for that many sessions, both ends of each. */
void allow_fds(rlim_t count);

#endif
