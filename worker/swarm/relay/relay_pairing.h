/* SPDX-License-Identifier: BSD-3-Clause */
/* What a blind relay knows: who waits for whom (connect.md 7.6; npm blind-relay 1.6 index.js Server). Two halves that name one token
 * are a pair, whose streams its owner joins; the relay learns nothing else of either. */
#ifndef HG_RELAY_PAIRING_H
#define HG_RELAY_PAIRING_H

#include "addr.h"
#include "random.h"
#include "relay_channel.h"
#include "relay_token.h"
#include "usec.h"

struct relay_pairing;
struct relay_session;
struct relay_pair;

/* All 0: the defaults. The original has no limits. Beside these no network of 256 hosts gets more than a quarter of what is free, or twice
 * what a host may have. Where there is no room for a new half, the one that waits longest gives way, if it has waited for RELAY_MEET_US: of the
 * same host, of the same network, or of all, as it is that which is full. */
struct relay_limits {
        unsigned sessions, pairs;       /* in all; a pair counts from its first half on */
        unsigned per_session;           /* halves of one session */
        unsigned per_host;              /* and of all from one host; of sessions there may be some more */
};

enum {
        RELAY_SESSIONS_MAX = 1024,
        RELAY_PAIRS_MAX = 512,
        RELAY_PER_SESSION_MAX = 8,      /* hyperdht makes a session for each */
        RELAY_PER_HOST_MAX = 128,       /* a NAT may hide some */
};

#define RELAY_MEET_US SECONDS(2)        /* the two halves of a pair come within, if all is well */
#define RELAY_HALF_US SECONDS(16)       /* a half waits so long for the other: peers give up RELAY_PATIENCE_US after they began, and then
                                         * connect first */

/* NULL: no memory. @random is used at once. */
struct relay_pairing *relay_pairing_new(const struct relay_limits *limits, const struct random *random);

/* With its sessions and pairs; nothing is told. NULL is fine. */
void relay_pairing_free(struct relay_pairing *pairing);
void relay_pairing_set_limits(struct relay_pairing *pairing, const struct relay_limits *limits);

/* From now on only tokens made for @relay_key with one of @proofs (at most RELAY_PROOFS_MAX; 0: any tokens) are taken, and another one ends its session:
 * who can't make one was told one by somebody who can. */
void relay_pairing_demand_proof(struct relay_pairing *pairing, const uint8_t (*proofs)[RELAY_PROOF_BYTES], size_t count,
                                const uint8_t relay_key[RELAY_KEY_BYTES]);

/* A peer with public @key has connected from @host. @context: its connection. NULL: no memory, or there are enough. */
struct relay_session *relay_session_new(struct relay_pairing *pairing, const uint8_t key[RELAY_KEY_BYTES], const struct addr *host,
                                        void *context);

/* Its connection is gone: its halves are forgotten, its pairs are over. NULL is fine. */
void relay_session_free(struct relay_session *session);

/* It has asked for something that is not over; or has at some time. */
bool relay_session_is_busy(const struct relay_session *session);
bool relay_session_has_asked(const struct relay_session *session);

/* A message of its connection's. False: the peer has closed its channel or talks nonsense; its connection is to be ended. */
bool relay_session_take(struct relay_session *session, const void *bytes, size_t len, usec_t now_us);

/* The next frame to send, by the connection with @context; false: none now. */
bool relay_pairing_frame(struct relay_pairing *pairing, void **context_out, uint8_t out[RELAY_FRAME_MAX], size_t *len_out);

enum relay_event_kind {
        RELAY_PAIR_MADE,                /* streams are to be joined: relay_pair_join() or relay_pair_drop() at once */
        RELAY_PAIR_OVER,                /* @joint is to be taken apart; nothing follows */
};

/* The half with initiator 0 comes first, in all arrays. */
struct relay_event {
        enum relay_event_kind kind;
        struct relay_pair *pair;
        void *joint;                    /* over: as given to relay_pair_join() */
        uint32_t stream_ids[2];         /* made: how the peers call their ends */
        void *contexts[2];              /* made: of their sessions */
};

/* Drained until false. */
bool relay_pairing_event(struct relay_pairing *pairing, struct relay_event *out);

/* Both peers are told the relay's streams, the first half first. */
void relay_pair_join(struct relay_pair *pair, void *joint, const uint32_t relay_ids[2]);

/* Nobody is told anything: they give up by themselves. */
void relay_pair_drop(struct relay_pair *pair);

void relay_pairing_advance(struct relay_pairing *pairing, usec_t now_us);
usec_t relay_pairing_deadline(const struct relay_pairing *pairing);

struct relay_stats {
        size_t sessions, waiting, pairs;
        uint64_t made, expired, cancelled, limited, malformed;
        uint64_t evicted;               /* halves that gave way to others */
        uint64_t unproven;              /* tokens of strangers */
};

void relay_pairing_stats(const struct relay_pairing *pairing, struct relay_stats *out);

#endif
