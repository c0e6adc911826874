/* SPDX-License-Identifier: BSD-3-Clause */
/* Host names and what they stand for, kept fresh by the resolve worker. Address literals need nobody. */
#ifndef HG_NAMES_H
#define HG_NAMES_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "children.h"
#include "ipc_message.h"
#include "ipc_resolve.h"
#include "list.h"
#include "log.h"
#include "map.h"

enum {
        NAMES_ASKED_MAX = 32,           /* questions under way: fewer than the resolve worker takes */
        NAMES_RETRY_FIRST_S = 5,
        NAMES_RETRY_LONGEST_S = 60,
        NAMES_REFRESH_S = 300,          /* getaddrinfo() tells no time to live */
};

enum name_state {
        NAME_SETTLED,                   /* a literal: nothing to ask, ever */
        NAME_QUEUED,
        NAME_ASKED,
        NAME_RESTING,                   /* until its timer asks again */
};

struct names;

struct name {
        struct map_entry entry;
        struct list in_queue;           /* while NAME_QUEUED or NAME_ASKED */
        struct names *names;
        char host[IPC_NAME_MAX];
        unsigned users;
        char what[64];                  /* "service 8000": what can't work without it, for the log */
        bool ipv4_only;
        enum name_state state;
        uint64_t question;
        unsigned failures;
        ev_timer due;
        size_t count;                   /* addresses known; 0: none yet */
        uint8_t address[IPC_ADDRESSES_MAX][16];
};

struct names {
        struct ev_loop *loop;
        const struct log *log;
        struct map all;                 /* by host and family */
        struct list queued, asked;
        size_t asked_count;
        uint64_t last_question;
        struct child *worker;           /* NULL: none, or none yet */
        void (*changed)(void *context, const struct name *name);
        void (*wanted)(void *context);  /* there is something to ask and no worker */
        void *context;
};

/* @map_key: 16 random bytes. @changed: a name has other addresses than before. @wanted may be called at any time,
 * also from within names_add(). */
void names_init(struct names *names, struct ev_loop *loop, const struct log *log, const uint8_t map_key[16],
                void (*changed)(void *context, const struct name *name), void (*wanted)(void *context), void *context);
void names_fini(struct names *names);

/* The name @host, the same for all who ask for it. NULL: no memory. */
struct name *names_add(struct names *names, const char *host, bool ipv4_only, const char *what);

/* One of those who asked for it does not need it any more; with the last one it is gone. NULL is fine. */
void names_drop(struct name *name);

/* What @name stands for may have changed: it is looked up soon, not sooner than NAMES_RETRY_FIRST_S after the last time. NULL is fine. */
void names_doubt(struct name *name);

/* A worker that can be asked, in a new life; NULL: it is gone. */
void names_worker(struct names *names, struct child *worker);

void names_answer(struct names *names, const struct ipc_resolve_answer *answer);

/* Whether @host is an address, and which: IPv4 as ::ffff:a.b.c.d. */
bool names_literal(const char *host, uint8_t ip_out[16]);

#endif
