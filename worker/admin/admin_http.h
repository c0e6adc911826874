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
        ADMIN_LONG_BYTES = 65536,       /* of an answer: of those that are longer, one at a time */
};

struct admin_http {
        struct worker *worker;
        const struct admin_fingerprints *fingerprints;
        struct admin_auth auth;
        int listener;                   /* -1: none */
        ev_io acceptable;
        struct list asking;
        unsigned asking_count;
        bool long_one;                  /* one of those is being written */
};

void admin_http_init(struct admin_http *http, struct worker *worker, const struct admin_fingerprints *fingerprints);
void admin_http_fini(struct admin_http *http);

/* Takes @listener, -1: nobody is answered any more. @auth: of those who come from now on. */
void admin_http_listen(struct admin_http *http, int listener, const struct admin_auth *auth);

#endif
