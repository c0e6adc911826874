/* SPDX-License-Identifier: BSD-3-Clause */
/* Whoever asks by HTTP/1: one request and one answer a connection. */
#ifndef HG_ADMIN_HTTP_H
#define HG_ADMIN_HTTP_H

#include <ev.h>
#include <stdbool.h>

#include "admin_answer.h"
#include "list.h"
#include "run.h"

enum {
        ADMIN_ASKING_MAX = 64,          /* at a time; further ones wait in the listener */
        ADMIN_PATIENCE_S = 5,           /* from its beginning to its end */
};

/* Who asks, and what. */
struct admin_asked {
        const struct admin_request *request;    /* NULL: it is none */
        struct admin_text body;         /* where those are read */
        uint8_t ip[16];                 /* of who asks; IPv6, or IPv4 as ::ffff:a.b.c.d */
        uint64_t number;                /* for an answer that comes later */
        usec_t since_us;                /* it was asked first; monotonic */
        bool short_only;                /* one of more than ADMIN_LONG_BYTES is being written to somebody else */
        struct now now;
};

/* What is answered to whom. */
struct admin_site {
        bool bodies;                    /* are read, as far as there is room with the rest of the request */
        struct admin_answer (*answer)(void *context, const struct admin_asked *asked);
        void *context;
};

struct admin_http {
        struct worker *worker;
        struct admin_site site;
        int listener;                   /* -1: none */
        uint64_t last_number;
        ev_io acceptable;
        struct list asking;
        unsigned asking_count;
        bool long_one;                  /* one of those is being written */
};

void admin_http_init(struct admin_http *http, struct worker *worker);
void admin_http_fini(struct admin_http *http);

/* Takes @listener, -1: nobody is answered any more. @site is for those who come from now on. */
void admin_http_listen(struct admin_http *http, int listener, const struct admin_site *site);

/* To who was told to wait, and waits still; else it is freed. */
void admin_http_answer(struct admin_http *http, uint64_t number, struct admin_answer answer);

/* All that were told to wait ask once more. */
void admin_http_ask_again(struct admin_http *http);

#endif
