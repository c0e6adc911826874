/* SPDX-License-Identifier: BSD-3-Clause */
/* What every worker shares: it begins (link to the supervisor on fd 3), takes what it needs from the system, confines
 * itself for good, and runs an event loop that hands each message to the handler of its type. The only reader of clocks. */
#ifndef HG_RUN_H
#define HG_RUN_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

#include "ipc_event.h"
#include "ipc_link.h"
#include "ipc_message.h"
#include "list.h"
#include "run_confine.h"
#include "usec.h"

enum {
        WORKER_CONTROL_FD = 3,
        WORKER_EXIT_BUILD = 70,         /* EX_SOFTWARE: supervisor and worker are of different builds */
};

struct worker;
struct worker_link;

/* A message that passed the table's checks. Descriptors that are not taken are closed after it returns. */
typedef void (*worker_handler)(void *context, struct worker_link *from, struct ipc_received *message);

/* What a worker wants to hear. Messages without a handler end the link they came over. */
struct worker_handlers {
        worker_handler message[IPC_TYPES];
        /* A sibling was introduced: before its first message. @link->ipc.peer and .id tell who. Optional. */
        void (*introduced)(void *context, struct worker_link *link);
        /* That link is over (it died, broke the table, or is about to be replaced): it is freed after this returns. Optional. */
        void (*departed)(void *context, struct worker_link *link);
        /* What had to wait to be sent to that sibling is. Optional. */
        void (*drained)(void *context, struct worker_link *link);
        /* The supervisor wants it to end within @limit_us; worker_stop() says it has. NULL: ends at once. */
        void (*stopping)(void *context, usec_t limit_us);
};

struct worker_link {
        struct ipc_link ipc;
        struct list in_links;
        ev_io readable, writable;
        struct worker *worker;
        uint64_t number;                /* of its introduction */
        void *context;                  /* for whoever handles it */
};

struct worker {
        struct ev_loop *loop;
        enum ipc_role role;
        uint32_t id;
        int log_level;
        bool log_channels;              /* also those that ended as they do */
        int exit_code;
        int fds_keep;                   /* a descriptor with this number or a higher one is not to be kept */
        struct ipc_begin begin;         /* as the supervisor said it */
        struct worker_link supervisor;
        struct list links;              /* to siblings */
        ev_timer post;                  /* what was posted to them is sent then */
        const struct worker_handlers *handlers;
        void *context;
        bool confined;
};

/* Takes fd 3, waits for BEGIN, sets limits (no core dump, not dumpable) and makes the loop. Ends the process when that
 * can't be done: with WORKER_EXIT_BUILD when the supervisor is of another build. */
void worker_begin(struct worker *worker, enum ipc_role role);

/* The same over any link, with BEGIN given and nothing given up: a worker inside a test. False: no event loop. */
bool worker_begin_inside(struct worker *worker, enum ipc_role role, int fd, const struct ipc_begin *begin);

/* From here on, for good: only the allowed syscalls, no file system, no new privileges. A denied syscall is reported to
 * the supervisor and ends the worker. Says READY. Ends the process on failure. */
void worker_confine(struct worker *worker, const struct run_confinement *confinement);

/* Runs until STOP, the supervisor's end, or worker_stop(); all siblings have departed when it returns. Returns the exit
 * code for main(). */
int worker_run(struct worker *worker, const struct worker_handlers *handlers, void *context);

/* One turn of that loop, without waiting: what is there is handled. */
void worker_turn(struct worker *worker, const struct worker_handlers *handlers, void *context);

/* All siblings depart. worker_run() ends with it. */
void worker_part(struct worker *worker);

/* Frees the loop and the link to the supervisor: the last thing. */
void worker_end(struct worker *worker);

/* Leaves the loop after this turn. */
void worker_stop(struct worker *worker, int exit_code);

/* As ipc_link_send(), and sends later by itself what the kernel doesn't take now. A link that is gone swallows it. */
int worker_send(struct worker_link *link, enum ipc_type type, const void *payload, const int *fds, size_t fd_count);

/* As ipc_link_post(): sent with what is sent to that sibling next, or within a few milliseconds. */
int worker_post(struct worker_link *link, enum ipc_type type, const void *payload);

/* The link to that sibling, or NULL. */
struct worker_link *worker_find(struct worker *worker, enum ipc_role role, uint32_t id);

/* Ends the link: what it said can't be believed. Counts as departed, and the supervisor replaces who said it. */
void worker_disown(struct worker_link *link);

/* One line to the supervisor, who writes it to the journal. @event: one of this role's, or IPC_EVENT_NONE; @fields: as the list of struct ipc_fields
 * has it, for the journal alone, or NULL. */
void worker_log_event(struct worker *worker, enum ipc_event event, int level, const char *const *fields, const char *format, ...)
        __attribute__((format(printf, 5, 6)));

#define worker_log(worker, level, ...) worker_log_event(worker, IPC_EVENT_NONE, level, NULL, __VA_ARGS__)

/* Whether @fd is one of the last this process may have. Those stay free for what passes through, or the kernel would drop the
 * descriptors of messages: who is asked to keep one of them refuses. */
static inline bool worker_fd_spare(const struct worker *worker, int fd)
{
        return fd >= worker->fds_keep;
}

/* Whether the next descriptor would be one of those. */
bool worker_fds_short(const struct worker *worker);

/* All three clocks, now. */
void worker_now(struct now *now_out);

#endif
