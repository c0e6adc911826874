/* SPDX-License-Identifier: BSD-3-Clause */
/* What is wrong with the advertisements of providers. Their admin and ours should read it: a line names the provider and what is wrong, in
 * words of our own. Once while it goes on, since a provider repeats itself every few seconds, and whoever knows the secret may have any
 * number of keys. */
#ifndef HG_ROUTER_COMPLAINTS_H
#define HG_ROUTER_COMPLAINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc_message.h"
#include "router_advert.h"
#include "usec.h"

enum { ROUTER_COMPLAINTS_MAX = 64 };            /* providers that are remembered: of more at a time nothing is told */

#define ROUTER_COMPLAIN_US MINUTES(1)           /* from a line to one that says something else of the same provider */
#define ROUTER_FORGIVE_US MINUTES(2)            /* without a complaint; then it is a new one */

/* What became of an advertisement. No padding: two are compared as bytes. */
struct router_reading {
        enum advert_verdict verdict;    /* of all of it */
        unsigned bytes;                 /* of one that is ADVERT_TOO_LARGE, */
        unsigned most;                  /* and the connection ended with, as in struct ipc_peer_advert_long; if it is ADVERT_OK: */
        int error;                      /* why the table did not take all; 0: it did */
        unsigned surplus;               /* as struct advert has them */
        unsigned garbage, flawed;
        enum advert_flaw flaw;
};

struct router_complaint {
        uint8_t peer[IPC_KEY_BYTES];
        struct router_reading reading;
        usec_t told_us, last_us;        /* 0 in both: a free place */
};

/* All zero: of nobody. A provider stays in it when its connection ends, which it may end itself. */
struct router_complaints {
        struct router_complaint list[ROUTER_COMPLAINTS_MAX];
};

/* Nothing is wrong with it. A list that is none is no complaint: it negotiates extensions. */
bool router_reading_good(const struct router_reading *reading);

/* Whether that is to be told now, and then it counts as told. */
bool router_complaints_take(struct router_complaints *complaints, const uint8_t peer[IPC_KEY_BYTES], const struct router_reading *reading,
                            usec_t now_us);

/* What is wrong, for a line: "it is no JSON object". Returns @out. */
const char *router_reading_text(const struct router_reading *reading, char *out, size_t size);

#endif
