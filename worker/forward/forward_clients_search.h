/* SPDX-License-Identifier: BSD-3-Clause */
/* The search of a client for a provider: who may have it, who shall, and its connection on the way there. forward_clients.c has a client
 * for each try, forward_clients_wait.c those who wait for the next one. Nobody else includes it. */
#ifndef HG_FORWARD_CLIENTS_SEARCH_H
#define HG_FORWARD_CLIENTS_SEARCH_H

#include "forward_clients_state.h"
#include "forward_metadata.h"

/* What it takes to find a client its provider. */
struct search {
        struct client *client;
        struct watched watched;         /* its descriptor is ours while HELD or WAITING, else -1 */
        struct list in_gate;            /* WAITING */
        struct heap_entry deadline;     /* WAITING */
        unsigned attempts;
        bool lacked;                    /* its own swarm worker did not get it to a provider that another one had */
        bool unanswered;                /* a provider failed without saying no: another time it may be there */
        struct choose_names names;      /* whom it asks for; 0: nobody by name */
        uint64_t opened_at_ms;          /* since the epoch */
        usec_t gives_up_us;
        usec_t strays_us;               /* from then on it goes by another swarm worker than its own, though it has a limit */
        uint8_t id[METADATA_ID_BYTES];
        union socket_address local;
};

enum client_attempt {
        ATTEMPT_SENT,
        ATTEMPT_NOBODY,         /* no provider is fit for it */
        ATTEMPT_DENIED,         /* this gateway does not let it in, or nobody who serves the gate; that was said */
        ATTEMPT_LATER,          /* nobody to send it to: no swarm worker, or one that takes no more now */
};

/* @client's, in @search, which becomes its own, and so does @fd. It lasts as long as its gate lets it wait. */
void clients_search_begin(struct client *client, struct search *search, int fd, const struct now *now);

/* It is over, found or not. A descriptor that is ours still is closed. Nothing if there is none. */
void clients_search_end(struct client *client);

/* One attempt with the next provider. A client that is not sent stays as it is. */
enum client_attempt clients_search_attempt(struct client *client, const struct now *now);

#endif
