/* SPDX-License-Identifier: BSD-3-Clause */
/* Whom to connect to in a topic, or several, under one identity, and when: announcing, looking up, the queue of peers, retries, bans,
 * duplicates, and who may come in. Policy alone, in plain values: nothing of it is on the wire (swarm.md), so it does better
 * than Hyperswarm where that costs nobody anything: it announces before it looks, looks again soon while it is alone and rarely
 * when it isn't, and remembers which keys are ghosts.
 *
 * What happens is told by call. What shall be done is drained with swarm_task() after each call; swarm_deadline() says when to
 * come again. Time is monotonic microseconds. Topic, dialling and connections are the caller's. */
#ifndef HG_SWARM_H
#define HG_SWARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "dht.h"
#include "random.h"
#include "usec.h"

struct swarm;
struct swarm_peer;      /* one remote key; stays where it is while it is dialled or connected */

enum {
        SWARM_TOPICS_MAX = 8,           /* at a time, those that are being left included */
        SWARM_PEERS_MAX = 1024,         /* keys remembered; beyond, the least useful is forgotten */
        SWARM_CONNECTIONS_MAX = 512,    /* in both directions; beyond, nobody is dialled or let in */
        SWARM_GUESTS_MAX = 64,          /* incoming and not proven yet; the caller ends those that stay so */
        SWARM_GUESTS_PER_HOST = 16,     /* but for this machine's own: many nodes share it */
        SWARM_DIALS = 3,                /* at a time: as Hyperswarm */
        SWARM_DIALS_ALONE = 8,          /* while no useful peer is connected */
};

struct swarm_config {
        struct random random;
        uint8_t key[DHT_KEY_BYTES];     /* the public key of our identity */
};

/* 0 or -ENOMEM. It does nothing before swarm_join(). */
int swarm_new(struct swarm **swarm_out, const struct swarm_config *config);
void swarm_free(struct swarm *swarm);

/* --- What shall be done --- */

enum swarm_task_kind {
        SWARM_ANNOUNCE,         /* put our record (addrs: relays to list) at the topic's nodes; clear: withdraw old ones first */
        SWARM_LOOKUP,           /* ask the topic's nodes for records */
        SWARM_UNANNOUNCE,       /* withdraw our record, once, in a hurry; a query that still runs is to be stopped */
        SWARM_DIAL,             /* connect to peer (key; addrs: its relays, best guess): ends in swarm_connected() or swarm_over() */
};

struct swarm_task {
        enum swarm_task_kind kind;
        unsigned topic;                 /* queries */
        struct swarm_peer *peer;
        const uint8_t *key;             /* the rest is valid until the next call on the swarm */
        const struct addr *addrs;
        size_t addr_count;
        const struct addr *seeds;       /* queries: the nodes nearest to the topic, as far as known */
        size_t seed_count;
        bool clear;
};

/* Drained until false. At most one query at a time and topic; it ends in swarm_query_done(). */
bool swarm_task(struct swarm *swarm, struct swarm_task *out, usec_t now_us);
void swarm_advance(struct swarm *swarm, usec_t now_us);
usec_t swarm_deadline(const struct swarm *swarm);

/* --- Topics --- */

/* Another one, by a number below SWARM_TOPICS_MAX that is not in use: swarm_has_left(). Nothing is announced before swarm_reachable(), or
 * before it has waited a moment for it in vain. */
void swarm_join(struct swarm *swarm, unsigned topic, usec_t now_us);

/* Our server is found through these nodes now: at first, and whenever it moves. Copied, at most DHT_RELAYS_MAX. */
void swarm_reachable(struct swarm *swarm, const struct addr *relays, size_t count, usec_t now_us);

/* A record of the topic, of whatever query. SWARM_TOPICS_MAX: of none, and yet it is there. */
void swarm_listed(struct swarm *swarm, unsigned topic, const uint8_t key[DHT_KEY_BYTES], const struct addr *relays, size_t count,
                  usec_t now_us);

/* @key is at @addr, says somebody who knows: dialled there first, now and again and again, listed or not. It stays so for good; @addr may
 * be another one later. 0 or -ENOMEM. */
int swarm_appoint(struct swarm *swarm, const uint8_t key[DHT_KEY_BYTES], const struct addr *addr, usec_t now_us);

/* The query is over: nodes nearest to the topic, how many answered, and how many took the record. */
void swarm_query_done(struct swarm *swarm, unsigned topic, const struct addr *closest, size_t count, unsigned replies,
                      unsigned accepted, usec_t now_us);

/* The machine slept, or has other interfaces: announces and looks anew. */
void swarm_wake(struct swarm *swarm, usec_t now_us);

/* An outage of the network is over: those who are ours are dialled at once, and what failed is tried anew. */
void swarm_come_back(struct swarm *swarm, usec_t now_us);

/* There are new ways to reach peers: those whose dials failed are dialled again at once. */
void swarm_retry(struct swarm *swarm, usec_t now_us);

/* There is another way to prove who belongs to us: who failed to may try again. */
void swarm_forgive(struct swarm *swarm, usec_t now_us);

/* Withdraws what was announced there. With the last topic nobody is dialled or let in any more. */
void swarm_leave(struct swarm *swarm, unsigned topic, usec_t now_us);
bool swarm_has_left(const struct swarm *swarm, unsigned topic);

/* Our record is out. */
bool swarm_announced(const struct swarm *swarm, unsigned topic);

/* --- Connections: one a key, in whatever direction --- */

/* A handshake of @key comes from @from: may it become a connection? False: say nothing. */
bool swarm_admits(const struct swarm *swarm, const uint8_t key[DHT_KEY_BYTES], const struct addr *from, usec_t now_us);

enum swarm_choice {
        SWARM_TAKE_NEW,         /* and end the one there is, if there is one, first: swarm_over(…, SWARM_REPLACED) */
        SWARM_KEEP_OLD,         /* end the new one, and let the old one prove that it lives */
};

/* An incoming connection of @key while there may be one (a dial counts). @carried: the one there is has carried data both ways, or is a
 * dial that has led nowhere for a while. Both sides come to the same choice: swarm.md 5. */
enum swarm_choice swarm_choose(const struct swarm *swarm, const uint8_t key[DHT_KEY_BYTES], bool carried);

/* @peer, whom we dial or are about to, has begun a handshake that we answered: is our dial to end (swarm_over(…, SWARM_AWAITED))?
 * What two peers begin at once crosses; the sooner one of them is given up, the less there is to take for a restart (swarm.md 5).
 * @begun: something of our dial may have been sent, so it goes only where the rule ends it anyway, and only while nothing of it opens
 * anything. A peer's handshake may be an old one that somebody repeats: that holds up no dial twice in a row. */
bool swarm_yields(const struct swarm *swarm, const struct swarm_peer *peer, bool begun, usec_t now_us);

/* The dial succeeded, or an incoming connection was chosen. NULL: it can't be taken (memory, limits), end it. */
struct swarm_peer *swarm_connected(struct swarm *swarm, const uint8_t key[DHT_KEY_BYTES], const struct addr *from, bool incoming,
                                   usec_t now_us);

/* Where it says it is reached next time. Copied; none: nothing changes. */
void swarm_peer_set_relays(struct swarm_peer *peer, const struct addr *relays, size_t count);

/* Which topics had a record of it: or of 1 << topic. */
unsigned swarm_peer_listed(const struct swarm_peer *peer);

/* How many connections that we began to it ended before it had shown that it belongs to us; swarm_forgive() forgets them. */
unsigned swarm_peer_unproven(const struct swarm_peer *peer);

/* The peer has shown that it belongs to us. @useful: it has the other role, so we aren't alone. */
void swarm_proven(struct swarm *swarm, struct swarm_peer *peer, bool useful, usec_t now_us);

enum swarm_end {
        SWARM_FAILED,           /* the dial came to nothing */
        SWARM_LOST,             /* the connection is over, whoever wanted it */
        SWARM_MOVED,            /* we are elsewhere, and it did not come along: dialled again at once */
        SWARM_OUTDATED,         /* what it proved itself by counts no more */
        SWARM_REPLACED,         /* by another one of the same key */
        SWARM_AWAITED,          /* the peer's own handshake was answered meanwhile: it has a moment to come in */
        SWARM_UNNEEDED,         /* the same role as ours: nothing to say to each other, for long */
        SWARM_ESTRANGED,        /* it failed to prove itself, and may do better soon: there are several ways to */
        SWARM_MISTAKEN,         /* it proved itself by a secret that we do not know: so does who knows ours as well and still finds records
                                 * of a life of ours that knew both. It may try once more, soon; then it is hostile */
        SWARM_HOSTILE,          /* not one of ours: it failed to prove itself, or said nothing */
};

/* The dial or the connection is over. @peer may be freed by this. */
void swarm_over(struct swarm *swarm, struct swarm_peer *peer, enum swarm_end end, usec_t now_us);

/* The peer of @key if it is dialled or connected, else NULL; and what the caller attached to it. */
struct swarm_peer *swarm_find(const struct swarm *swarm, const uint8_t key[DHT_KEY_BYTES]);
void swarm_peer_set_context(struct swarm_peer *peer, void *context);
void *swarm_peer_context(const struct swarm_peer *peer);

#endif
