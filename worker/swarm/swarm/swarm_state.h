/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of this folder share: the swarm and the peers it knows. Nobody else includes it. */
#ifndef HG_SWARM_STATE_H
#define HG_SWARM_STATE_H

#include "heap.h"
#include "list.h"
#include "map.h"
#include "swarm.h"

enum { SWARM_SUSPECTS_MAX = 64 };

enum swarm_peer_state {
        SWARM_REMEMBERED,       /* until a lookup lists it again, or it is forgotten */
        SWARM_WAITING,          /* for its time to be dialled */
        SWARM_QUEUED,           /* for a free dial */
        SWARM_DIALLING,
        SWARM_CONNECTED,
        SWARM_PEER_STATES
};

struct swarm_peer {
        struct swarm *swarm;
        struct map_entry by_key;
        struct list in_state;           /* swarm->peers[state]; the remembered: oldest first */
        struct heap_entry timer;        /* while WAITING */
        struct list guest;              /* swarm->guests, while an incoming one is not proven */
        enum swarm_peer_state state;
        uint8_t key[DHT_KEY_BYTES];
        struct addr relays[DHT_PEER_RELAYS_MAX];
        size_t relay_count;
        struct addr from;               /* of the connection, which the peer began: */
        bool incoming;
        unsigned listed;                /* or of 1 << topic, which had a record of it */
        bool appointed;                 /* somebody has written down that it is there, at: */
        struct addr appointed_at;
        bool proven;                    /* showed once that it belongs to us */
        bool former;                    /* by what counts no more */
        bool mistaken;                  /* has had its second chance, and not used it yet */
        bool shown;                     /* while connected: in this connection */
        unsigned unproven;              /* connections that we began, in which it has not */
        bool useful;                    /* while connected */
        unsigned attempts;              /* that ended, since it last lasted */
        usec_t connected_us;
        usec_t failed_us;               /* when the last attempt ended; 0: never */
        usec_t yielded_us;              /* when a dial last gave way to the peer's own handshake; 0: never */
        usec_t blocked_us;              /* neither dialled nor let in before */
        void *context;
};

/* What a topic is busy with. */
enum swarm_phase {
        SWARM_PHASE_SAME,       /* in the table: nothing changes */
        SWARM_STARTING,         /* waits for our server to be reachable */
        SWARM_ANNOUNCING,
        SWARM_LOOKING,
        SWARM_SETTLED,          /* until something is due */
        SWARM_LEAVING,
        SWARM_GONE,
        SWARM_PHASES
};

/* A host that sent somebody who could not prove himself. */
struct swarm_suspect {
        struct addr host;
        usec_t until_us;
};

struct swarm_topic {
        enum swarm_phase phase;         /* GONE: not joined */
        bool query_wanted;              /* the phase's query has not been handed out */
        bool announced;
        bool clear;                     /* nodes may hold a record of ours that is not true any more */
        usec_t announce_due_us, lookup_due_us;
        usec_t announced_us;            /* last tried; 0: never */
        unsigned announce_failures;
        unsigned lookups;               /* in a row: the more, the longer until the next */
        bool found_new;                 /* the running one told of somebody we had not heard of */
        unsigned dry;                   /* nodes in a row that named nobody new */
        unsigned quick;                 /* nodes asked since we last announced by lookups that came no later than the one before */
        struct addr seeds[DHT_K];
        size_t seed_count;
};

struct swarm {
        struct swarm_config config;
        struct swarm_topic topics[SWARM_TOPICS_MAX];
        struct addr relays[DHT_RELAYS_MAX];
        size_t relay_count;

        struct map by_key;
        struct list peers[SWARM_PEER_STATES];
        size_t counts[SWARM_PEER_STATES];
        struct heap timers;
        struct list guests;
        size_t guest_count, useful_count;
        struct swarm_suspect suspects[SWARM_SUSPECTS_MAX];      /* a ring */
        unsigned next_suspect;
};

/* swarm_topic.c */
bool swarm_topic_is_in(const struct swarm_topic *topic);                /* and not about to leave */
bool swarm_topic_task(struct swarm *swarm, unsigned number, struct swarm_task *out);
void swarm_topic_advance(struct swarm_topic *topic, usec_t now_us);
usec_t swarm_topic_deadline(const struct swarm_topic *topic);
void swarm_topic_look_soon(struct swarm *swarm, struct swarm_topic *topic, usec_t now_us);

/* swarm_peer.c: the table of peers. */
struct swarm_peer *swarm_peer_find(const struct swarm *swarm, const uint8_t key[DHT_KEY_BYTES]);
struct swarm_peer *swarm_peer_get(struct swarm *swarm, const uint8_t key[DHT_KEY_BYTES]);       /* makes it; NULL: no room */
void swarm_peer_free(struct swarm_peer *peer);
void swarm_peer_enter(struct swarm_peer *peer, enum swarm_peer_state state);
void swarm_peer_wait(struct swarm_peer *peer, usec_t until_us);
struct swarm_peer *swarm_peer_next(const struct swarm *swarm);          /* of the queued, whom to dial */
void swarm_peer_failed(struct swarm_peer *peer, usec_t now_us);         /* and when to try again */
void swarm_peer_unlist(struct swarm *swarm, unsigned topic);            /* its records count no more */
void swarm_peer_come_back(struct swarm *swarm, usec_t now_us);          /* of what failed, nobody is to blame */

/* swarm_guest.c: who may come in. */
void swarm_guest_add(struct swarm_peer *peer);
void swarm_guest_remove(struct swarm_peer *peer);
void swarm_guest_suspect(struct swarm *swarm, const struct addr *from, usec_t now_us);
bool swarm_guest_fits(const struct swarm *swarm, const struct addr *from, usec_t now_us);

/* @us, give or take a quarter. */
static inline usec_t swarm_about(const struct swarm *swarm, usec_t us)
{
        return us - us / 4 + random_below(&swarm->config.random, (uint32_t)(us / 2) + 1);
}

#endif
