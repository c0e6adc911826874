/* SPDX-License-Identifier: BSD-3-Clause */
/* One attempt to reach a peer through both NATs (connect.md 3 C10 to C14, 4 S7, 5; hyperdht lib/holepuncher.js, lib/connect.js,
 * lib/server.js). The peers tell each other, through a relay, what is known of their NATs, prove that packets to them arrive, and
 * then both send probes of one byte until one gets through.
 *
 *      both consistent         each knows where to send
 *      one is random           it opens many sockets towards the other, which tries many ports: 256 of 64,000 are hit soon, 512 sooner
 *      both random             nobody can know anything
 *
 * It knows neither relays nor streams. Its rounds go out and come in by its caller, probes are drained, and what they lead to is
 * tried by the caller, who ends it when that was the peer. Nothing that comes from outside is believed beyond that. */
#ifndef HG_NAT_PUNCH_H
#define HG_NAT_PUNCH_H

#include "nat_echo.h"
#include "nat_gate.h"
#include "nat_payload.h"
#include "nat_sample.h"

enum {
        NAT_POOL = 256,                 /* sockets of a random one: hyperdht BIRTHDAY_SOCKETS */
        NAT_POOL_MAX = 512,             /* once these have been there for a second in vain: an original tries a port each 20 ms */
        NAT_PROBES_QUEUED = 16,
};

#define NAT_RANDOM_US SECONDS(36)       /* hyperdht tries 1750 times, 20 ms apart */
#define NAT_CONSISTENT_US SECONDS(10)   /* and 10 times a second apart; here the last probe leaves after 9 s */
#define NAT_CONSISTENT_MIN_US SECONDS(6)        /* nine probes, of an initiator whose rounds have taken the rest */

enum nat_role {
        NAT_INITIATOR,
        NAT_RESPONDER,
};

enum nat_failure {
        NAT_GOING,                      /* none yet */
        NAT_UNANSWERED,                 /* a round got no answer */
        NAT_REFUSED,                    /* the peer gave up, or does not punch */
        NAT_BUSY,                       /* others were punching all the time, here or there */
        NAT_UNDECIDED,                  /* one of the NATs showed no face */
        NAT_BOTH_RANDOM,
        NAT_SHUT,                       /* nothing came through */
        NAT_FAILURES
};

enum nat_state {
        NAT_SAME,                       /* in the table: this event means nothing here */
        NAT_ASKING,                     /* initiator: a round without punching is on its way */
        NAT_WAITING,                    /* for what one of the NATs is like */
        NAT_GATED,                      /* for the gate */
        NAT_COMMITTING,                 /* the round that says: now */
        NAT_PROBING,
        NAT_LISTENING,                  /* responder: until the initiator says: now */
        NAT_OVER,
        NAT_STATES
};

enum nat_strategy {
        NAT_STRATEGY_NONE,
        NAT_STRATEGY_CONSISTENT,        /* from the one socket to the addresses named */
        NAT_STRATEGY_RANDOM,            /* from the one socket to any port of the host */
        NAT_STRATEGY_BIRTHDAY,          /* from many sockets to the address */
};

struct nat_probe {
        uint32_t socket;
        struct addr to;
        bool short_lived;               /* opens our NAT and does not arrive: a hyperdht HOLEPUNCH_TTL of 5 hops */
};

struct nat_remote {
        struct addr addr;
        bool verified;                  /* our token came back from that host */
};

struct nat_punch_config {
        enum nat_role role;
        const struct random *random;    /* borrowed, both */
        struct nat_gate *gate;
        const uint8_t *peer;            /* NAT_PEER_BYTES; copied */
        const uint8_t *hash;            /* NAT_HASH_BYTES of the handshake */
        uint32_t socket;                /* that the peer knows our address of */
        enum nat_class remote_class;    /* as the handshake has it, or unknown */
        struct addr remote;             /* the peer, as its relay sees it */
};

/* The fields are the module's own business. */
struct nat_punch {
        enum nat_role role;
        enum nat_state state;
        enum nat_failure failure;
        const struct random *random;
        struct nat_gate *gate;
        bool inside;                    /* the gate */
        uint8_t peer[NAT_PEER_BYTES];
        uint8_t secret[NAT_SECRET_BYTES], local_secret[NAT_SECRET_BYTES];
        uint32_t socket;
        struct nat_view own;
        enum nat_class remote_class;
        struct addr remote;
        struct nat_remote remotes[NAT_ADDRESSES_MAX];
        size_t remote_count;
        uint8_t remote_token[NAT_TOKEN_BYTES];
        bool has_remote_token;
        bool round_wanted, aborting;
        uint64_t round;                 /* initiator: the next one; responder: the last one */
        unsigned asked;
        unsigned rounds;                /* sent or received, for who wants to know */
        usec_t begun_us, wake_us, limit_us;
        usec_t gated_until_us;          /* initiator */
        usec_t answered_us;             /* initiator: when the last answer came */
        struct nat_echoes echoes;       /* responder */
        struct addr opener;             /* where our NAT is being opened to */
        unsigned openers;               /* sent there */
        usec_t opener_us;               /* the next one is due */
        enum nat_strategy strategy;
        struct addr target;             /* random, birthday */
        unsigned tries;
        uint32_t sockets[NAT_POOL_MAX];
        size_t socket_count, opened, next;
        struct nat_probe probes[NAT_PROBES_QUEUED];
        size_t probe_count;
};

void nat_punch_init(struct nat_punch *punch, const struct nat_punch_config *config, usec_t now_us);

/* @met: it led somewhere. */
void nat_punch_fini(struct nat_punch *punch, bool met, usec_t now_us);

/* What is known of our NAT, before each call that decides anything. */
void nat_punch_know(struct nat_punch *punch, const struct nat_view *own);

/* Initiator: a round to be carried to the peer, sealed. @server_out: at that address, as the relay of the handshake sees it, or
 * (port 0) to the one that the server's own relay knows. Ends in nat_punch_answered() or nat_punch_unanswered(). */
bool nat_punch_round(struct nat_punch *punch, uint8_t sealed_out[NAT_SEALED_MAX], size_t *len_out, struct addr *server_out);

/* @server: the peer's socket, as the relay of the handshake sees it now; port 0: that relay did not carry it. */
void nat_punch_answered(struct nat_punch *punch, const uint8_t *sealed, size_t len, const struct addr *server, usec_t now_us);
void nat_punch_unanswered(struct nat_punch *punch, usec_t now_us);

/* Responder: a round came from @client. @vouched: through a relay that we chose. Returns the length of the answer; 0: silence. */
size_t nat_punch_asked(struct nat_punch *punch, const uint8_t *sealed, size_t len, const struct addr *client, bool vouched,
                       uint8_t answer_out[NAT_SEALED_MAX], usec_t now_us);

/* Whether a probe from there may be the peer's. */
bool nat_punch_concerns(const struct nat_punch *punch, const struct addr *from);

/* A probe came: the responder sends some back, so that the initiator hears one. */
void nat_punch_heard(struct nat_punch *punch, uint32_t socket, const struct addr *from, usec_t now_us);

/* Further sockets it could use now, and one of them. */
size_t nat_punch_wants_sockets(const struct nat_punch *punch);
void nat_punch_give_socket(struct nat_punch *punch, uint32_t socket);
bool nat_punch_take_socket(struct nat_punch *punch, uint32_t socket);   /* false: it is none of them */

/* Rounds and probes that are waiting already are no reason to come again: they are drained in the same turn. */
void nat_punch_advance(struct nat_punch *punch, usec_t now_us);
usec_t nat_punch_deadline(const struct nat_punch *punch);

/* The next probe to send; drained until false. */
bool nat_punch_probe(struct nat_punch *punch, struct nat_probe *out);

static inline enum nat_failure nat_punch_failure(const struct nat_punch *punch)
{
        return punch->failure;
}

/* One of the NATs gives each remote another port, as far as is known. */
bool nat_punch_is_random(const struct nat_punch *punch);

/* Not both do. */
bool nat_punch_is_possible(const struct nat_punch *punch);

/* We have said: now. The peer has, too, or may have already. */
static inline bool nat_punch_is_committed(const struct nat_punch *punch)
{
        return punch->state == NAT_COMMITTING || punch->state == NAT_PROBING;
}

/* Both have said: now. It ends at nat_punch_deadline_last(), if nobody ends it. */
static inline bool nat_punch_is_probing(const struct nat_punch *punch)
{
        return punch->state == NAT_PROBING;
}

static inline usec_t nat_punch_deadline_last(const struct nat_punch *punch)
{
        return punch->limit_us;
}

#endif
