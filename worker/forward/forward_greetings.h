/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections that are listened to before they are clients: from a trusted proxy, whose they are, by a PROXY header; where services have names,
 * which one is wanted, by a ClientHello of TLS. */
#ifndef HG_FORWARD_GREETINGS_H
#define HG_FORWARD_GREETINGS_H

#include "forward_clients.h"
#include "forward_hello.h"
#include "ipc_forward.h"

enum {
        GREETINGS_MAX = 1024,           /* at a time: for one more, who has kept silent for longest is listened to no more, */
        GREETINGS_PER_CLIENT = 64,      /* and of one client, as forward_guests.h has them: the same, of its own; */
        GREETINGS_PER_PROXY = 512,      /* or of one proxy, before it has said whose they are */
        GREETINGS_TRUSTED_MAX = 64,
};

#define GREETINGS_WAIT_US SECONDS(5)    /* for all of it */

struct greetings {
        struct worker *worker;
        struct watch *watch;
        struct clients *clients;
        struct ipc_forward_trusted trusted[GREETINGS_TRUSTED_MAX], next[GREETINGS_TRUSTED_MAX];
        size_t trusted_count, next_count;       /* @next: of the configuration being told */
        struct list all;                /* the oldest first */
        size_t count;
        struct guests guests;           /* whose they are; until that is known, the proxy's */
        struct heap deadlines;
        uint8_t hello[HELLO_MAX];       /* nothing stays in either between calls */
        char name[IPC_NAME_MAX];
        usec_t told_us;                 /* when the log last said that a proxy does not speak as one; 0: never */
};

/* Keeps the first four. @map_key: 16 random bytes. */
void greetings_init(struct greetings *greetings, struct worker *worker, struct watch *watch, struct clients *clients,
                    const uint8_t map_key[16]);

/* Who is under way is reset. */
void greetings_fini(struct greetings *greetings);

/* The complete list of trusted proxies, in between; it counts for who comes then. False: too many, or none that can be. */
void greetings_begin(struct greetings *greetings);
bool greetings_trust(struct greetings *greetings, const struct ipc_forward_trusted *trusted);
void greetings_end(struct greetings *greetings);

/* A connection of TCP, non-blocking and ours from here on, that came to a gate. */
void greetings_accept(struct greetings *greetings, uint16_t gate_port, int fd, const union socket_address *remote, const struct now *now);

/* Listens no more to who is silent; when that is the next time. */
void greetings_advance(struct greetings *greetings, const struct now *now);
usec_t greetings_deadline(const struct greetings *greetings);

#endif
