/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker processes: started, watched, started again when they die, stopped in order. Knows nothing of what they do. */
#ifndef HG_CHILDREN_H
#define HG_CHILDREN_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc_link.h"
#include "list.h"
#include "log.h"
#include "usec.h"
#include "words.h"

enum {
        CHILD_FIRST_WAIT_MS = 100,      /* the second restart in a row; the first comes at once */
        CHILD_LONGEST_WAIT_MS = 30000,
        CHILD_STEADY_S = 5,             /* having run this long, it starts from zero again */
        CHILD_READY_S = 20,             /* to begin and confine itself */
        CHILD_PING_S = 20,              /* so often each has something to read; seldom, for it wakes all of them */
        CHILD_STUCK_S = 15,             /* with messages waiting for it and none taken */
        CHILD_DOUBTS = 3,               /* looks in a row that find it with something unread, though something new came each time */
        CHILD_LATE_S = 2,               /* a timer that comes so late says that nobody ran, not only they */
        CHILD_KILL_S = 1,               /* past the deadline it was told to stop by, or after its link broke */
        CHILD_FLOOD = 50000,            /* more messages and lines than any has to say in */
        CHILD_FLOOD_S = 10,             /* so many seconds; ten times as many where each connection is told of (log level debug, unix sockets) */
};

enum child_state {
        CHILD_WAITING,                  /* not running; will be started again */
        CHILD_STARTING,                 /* has not said READY */
        CHILD_UP,
        CHILD_STOPPING,                 /* told to, or about to be killed for good; then it is freed */
};

struct children;

struct child {
        struct list in_all;
        struct children *children;
        enum ipc_role role;
        uint32_t id;                    /* among those of its role, from 1; the same in each life */
        void *context;                  /* whoever asked for it */
        struct ipc_begin begin;         /* how each of its lives begins */
        bool unconfigured, unintroduced;        /* in this life: the owner's marks */
        uint64_t told, confirmed;       /* this life: the generations of configuration that it was told, and has taken over; 0: none */
        uint64_t links_before;          /* this life: links up to that number were not its own */
        unsigned quarrels;              /* lost_links.c */
        usec_t quarrels_since_us;

        enum child_state state;
        pid_t pid;                      /* 0: not running; -1: it ended, its last words are being read */
        usec_t started_us;
        unsigned failures;              /* in a row */
        struct ipc_link link;
        ev_io readable, writable;
        ev_child exited;
        ev_timer due;                   /* what @state says: start it, or kill it */
        ev_timer stuck;                 /* runs while messages wait for it, here or in the kernel */
        uint64_t sent, sent_before;     /* messages; when @stuck was last set */
        usec_t stuck_since_us;          /* when that was */
        unsigned doubts;
        bool struck;                    /* killed by us, which has been said */
        bool dials;                     /* asks for each connection to a service */
        unsigned said;                  /* messages and lines */
        usec_t said_since_us;
        struct words words;
        struct log_limit limit, channels_limit;
        struct {
                bool set;
                uint32_t syscall, arch;
        } denied;
};

/* All optional but @message. */
struct children_events {
        void (*started)(void *context, struct child *child);    /* a new life: it knows nothing yet */
        void (*ready)(void *context, struct child *child);
        void (*message)(void *context, struct child *child, struct ipc_received *message);
        void (*mismatched)(void *context, struct child *child); /* it is of another build: no use in trying again */
        void (*all_ended)(void *context);                       /* after children_stop() */
};

struct children {
        struct ev_loop *loop;           /* the default loop: it has ev_child */
        const struct log *log;
        const char *libexec;
        const char *instance;           /* for the list of processes */
        int null_fd;
        const struct oom_score *oom_score;      /* borrowed; NULL: workers have no other than ours */
        ev_timer ping;
        uint64_t pings;
        uint64_t restarts;              /* of all, so far */
        bool log_channels;              /* workers tell how each channel ended */
        struct list all;
        uint64_t links;                 /* made between them so far */
        uint64_t generation;            /* of configuration, the last that one of them was told */
        bool stopping;
        const struct children_events *events;
        void *context;
};

/* 0 or -errno. Strings are borrowed. */
int children_init(struct children *children, struct ev_loop *loop, const struct log *log, const char *libexec,
                  const char *instance, const struct children_events *events, void *context);

/* Kills whoever is left, without a word. */
void children_fini(struct children *children);

/* A child from now on, started at once; a forward worker with that @duty and, to connect to, services of those @protocols
 * (1 << enum ipc_protocol each) on those @ports (0: all). NULL: no memory. */
struct child *children_add(struct children *children, enum ipc_role role, uint32_t id, void *context);
struct child *children_add_forward(struct children *children, uint32_t id, enum ipc_duty duty, uint32_t protocols,
                                   const uint16_t *ports, size_t port_count, void *context);

/* No longer needed: it is told to stop within @deadline_ms and freed once it has. */
void child_retire(struct child *child, uint32_t deadline_ms);

/* Stops all; events->all_ended() follows when the last is gone. */
void children_stop(struct children *children, uint32_t deadline_ms);

/* Whether one can be told things: it runs and is not stopping. */
bool child_alive(const struct child *child);

/* Sends or queues. A child that doesn't take its words any more is killed and starts again, knowing nothing: no need to look
 * at what this returns (as ipc_link_send()), except to save work. */
int child_send(struct child *child, enum ipc_type type, const void *payload, const int *fds, size_t fd_count);

/* What is sent between the two is its complete configuration. */
void child_conf_begin(struct child *child);
void child_conf_end(struct child *child);

/* Whether it does by now what it was told last. */
static inline bool child_confirmed(const struct child *child)
{
        return child->confirmed == child->told;
}

/* Less urgent lines than of @level (syslog) are not needed from now on, and in further lives. */
void children_log_level(struct children *children, int level);

/* What came over its link: what it says of itself is heard here, the rest is for events->message(). */
void child_hear(struct child *child, struct ipc_received *message);

/* Gives each something to read, so that one that hangs is found though nobody has anything to say to it: a timer does. */
void children_ping(struct children *children);

/* Whether it takes its messages: what a timer does some time after each. Kills one that has left them for CHILD_STUCK_S of our
 * own time: if we stood still as well (a frozen container, a machine that sleeps), it begins anew. */
void child_look(struct child *child);

/* Ends this life: SIGKILL. It is started again unless it was stopping. @why: for the log, which says it once a life. */
void child_kill(struct child *child, const char *why);

/* "swarm worker", "forward worker 3". */
const char *child_name(const struct child *child, char *out, size_t size);

#define CHILD_NAME_MAX 32

#endif
