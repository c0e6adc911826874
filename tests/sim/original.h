/* SPDX-License-Identifier: BSD-3-Clause */
/* A peer that keeps the rules of npm's Hyperswarm, in a host of a node_sim: one connection for the one key it cares for, in any state
 * and in either direction; what is done with a second one is decided when its handshake has been worked on, without a look at what
 * the other side thinks (hyperswarm index.js _handleServerConnection(); hyperdht lib/server.js onsocket(), called with the handshake
 * where the client says that it is open, and with its first packet where both had to punch). Holes it punches as ours do, but by chance
 * more slowly, and its dials give up where it does that already, or did 20 s ago (lib/connect.js roundPunch()). Over the
 * connection it says hello by a tunnel of ours. */
#ifndef HG_ORIGINAL_H
#define HG_ORIGINAL_H

#include "node_sim.h"

struct original;

/* Freed with @sim. It listens, and is listed in the router's topic as soon as it can be reached. @nat: in front of it; NULL: none. */
struct original *original_new(struct node_sim *sim, struct net_nat *nat, enum node_role role, uint8_t identity,
                              const uint8_t remote_key[NODE_KEY_BYTES]);

/* It finds its peer in the topic now. */
void original_discover(struct original *original);

/* Its event loop is busy: so long after a handshake has arrived it is worked on. */
void original_set_busy(struct original *original, usec_t busy_us);

struct original_stats {
        bool up;                        /* both hellos are through, now */
        unsigned ups;
        unsigned crossed;               /* handshakes that met an attempt or a connection */
        unsigned dropped;               /* of these, attempts and connections that were dropped for them */
        unsigned shut_out;              /* dials that were given up as it punched by chance already */
};

struct original_stats original_stats(const struct original *original);

#endif
