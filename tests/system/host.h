/* SPDX-License-Identifier: BSD-3-Clause */
/* Everybody around one real worker process: its supervisor and its siblings, played by a test over the links they would have. */
#ifndef HG_SYSTEM_HOST_H
#define HG_SYSTEM_HOST_H

#include <stdint.h>
#include <sys/types.h>

#include "ipc_link.h"

struct host {
        pid_t pid;
        enum ipc_role role;
        struct ipc_link worker;         /* as its supervisor */
        unsigned fails;                 /* how often it said that a service does */
        uint64_t adverts_dropped;       /* as it said */
        char log[8192];                 /* all it logged, a line each: message, then " FIELD=value"; and its lost links */
};

/* Starts $WORKER with BEGIN (of @duty, for @ports up to a 0 or NULL), and waits until it is READY. @fd_limit: RLIMIT_NOFILE, 0: as
 * it is. Fails the test when it does not get there. */
void host_start(struct host *host, enum ipc_role role, enum ipc_duty duty, const uint16_t *ports, unsigned fd_limit);

/* STOP: it exits with 0, and with no leak in a sanitized build. */
void host_stop(struct host *host);

/* Waits for its end and returns the status of waitpid(2). */
int host_wait(struct host *host);

/* Makes the test the worker's sibling of that role. ipc_link_fini() is its death. */
void host_introduce(struct host *host, enum ipc_role role, uint32_t id, struct ipc_link *sibling_out);

/* To the worker, as its supervisor or as a sibling. @fd: -1 for none; it stays ours. */
void host_send(struct ipc_link *link, enum ipc_type type, const void *payload, int fd);

/* The next message, which must be of @type, within seconds; its payload goes to @payload_out (NULL: nowhere). Returns its
 * descriptor, the caller's, or -1. */
int host_expect(struct host *host, struct ipc_link *link, enum ipc_type type, void *payload_out);

/* That nothing comes for a while. */
void host_expect_nothing(struct host *host, struct ipc_link *link);

/* Reads the log until @text is in it. */
void host_expect_log(struct host *host, const char *text);

#endif
