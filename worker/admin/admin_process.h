/* SPDX-License-Identifier: BSD-3-Clause */
/* The admin worker: answers by HTTP. One of them says whose the connections to services are, and parses what gateways said of clients; another
 * one, of a gateway, reads the tokens of those who want to be let in. It holds no key and no connection of theirs. Everything it knows hangs
 * here. */
#ifndef HG_ADMIN_PROCESS_H
#define HG_ADMIN_PROCESS_H

#include <stdbool.h>

#include "admin_fingerprints.h"
#include "admin_http.h"
#include "admin_unlimited.h"
#include "run.h"

/* Connections come in crowds, too: more of them may be on their way here while their services ask already. */
struct admin_crowd {
        unsigned turn, told;            /* of how many in that turn of the loop */
        usec_t until_us;                /* so long a question about one that is not known waits; monotonic */
        ev_timer again;                 /* until it is asked again */
};

struct admin {
        struct worker worker;
        struct admin_fingerprints fingerprints;
        struct admin_crowd crowd;
        struct admin_http http;
        struct admin_auth auth, auth_next;      /* who may ask the resolver; in the configuration being told, */
        int listener_next;              /* -1: it has none */
        bool unlimited_next;            /* it is for tokens */
        struct admin_unlimited unlimited;
        bool conf_open;                 /* between CONF_BEGIN and CONF_END */
        bool full;                      /* it was said that there are too many */
};

/* The worker has begun. @key: 16 random bytes. */
int admin_init(struct admin *admin, const uint8_t key[16]);      /* 0 or -ENOMEM */
void admin_fini(struct admin *admin);

/* admin_handlers.c: what others say. */
extern const struct worker_handlers admin_handlers;

#endif
