/* SPDX-License-Identifier: BSD-3-Clause */
#include "swarm.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "swarm_state.h"

#define STARTING_US SECONDS(3)                  /* for our server to be announced; then we look, at least */
#define ANNOUNCE_US MINUTES(11)                 /* records live 13 to 27 minutes: swarm.md 1 */
#define ANNOUNCE_RETRY_US SECONDS(1)            /* nobody took the record: doubled each time */
#define ANNOUNCE_RETRY_MAX_US MINUTES(1)
#define ANNOUNCE_PAUSE_US SECONDS(10)           /* relays that change all the time are told no faster */
#define LOOKUP_FIRST_US MSEC(250)               /* doubled each time; fourfold in company */
#define LOOKUP_ALONE_US SECONDS(30)             /* no slower than this */
#define LOOKUP_COMPANY_US MINUTES(4)
#define ANSWERS_QUICK 480                       /* of nodes: 24 lookups in a large DHT, each of a handful in a small one */
#define ANSWERS_DRY 24                          /* in a row that name nobody new: of a hundred members, of whom a node tells 20 at a
                                                 * time, one is missed by as many in 200 times */
#define CROWD 20                                /* members: a node tells no more at a time */
#define AWAITED_US SECONDS(1)                   /* from an answered handshake to the peer's first frame, on any sane path */
#define YIELD_PAUSE_US SECONDS(10)              /* an old handshake is not known for one longer */
#define LASTED_US SECONDS(15)                   /* a connection that old was a good one: swarm.md 3 */
#define UNNEEDED_US MINUTES(60)
#define HOSTILE_US MINUTES(10)

enum swarm_phase_event {
        REACHABLE,
        DONE,                   /* the query */
        LOOKUP_DUE,             /* or waited long enough to be reachable */
        ANNOUNCE_DUE,
        LEAVE_SEEN,             /* leave, and our record is out there */
        LEAVE_UNSEEN,
        PHASE_EVENTS
};

/* Announce first, then look: of two who start at once, at least one finds the other. */
static const enum swarm_phase phase_next[SWARM_PHASES][PHASE_EVENTS] = {
        [SWARM_STARTING] = { [REACHABLE] = SWARM_ANNOUNCING, [LOOKUP_DUE] = SWARM_LOOKING, [LEAVE_UNSEEN] = SWARM_GONE },
        [SWARM_ANNOUNCING] = { [DONE] = SWARM_LOOKING, [LEAVE_SEEN] = SWARM_LEAVING },
        [SWARM_LOOKING] = { [DONE] = SWARM_SETTLED, [LEAVE_SEEN] = SWARM_LEAVING, [LEAVE_UNSEEN] = SWARM_GONE },
        [SWARM_SETTLED] = { [LOOKUP_DUE] = SWARM_LOOKING, [ANNOUNCE_DUE] = SWARM_ANNOUNCING, [LEAVE_SEEN] = SWARM_LEAVING,
                            [LEAVE_UNSEEN] = SWARM_GONE },
        [SWARM_LEAVING] = { [DONE] = SWARM_GONE },
};

static void step(struct swarm *swarm, enum swarm_phase_event event)
{
        enum swarm_phase next = phase_next[swarm->phase][event];

        if (next == SWARM_PHASE_SAME)
                return;
        swarm->phase = next;
        swarm->query_wanted = next == SWARM_ANNOUNCING || next == SWARM_LOOKING || next == SWARM_LEAVING;
}

int swarm_new(struct swarm **swarm_out, const struct swarm_config *config, usec_t now_us)
{
        struct swarm *swarm = calloc(1, sizeof(*swarm));
        uint8_t map_key[16];

        if (!swarm)
                return -ENOMEM;
        swarm->config = *config;
        random_fill(&config->random, map_key, sizeof(map_key));
        map_init(&swarm->by_key, map_key);
        for (size_t i = 0; i < ARRAY_LEN(swarm->peers); i++)
                list_init(&swarm->peers[i]);
        list_init(&swarm->guests);
        swarm->phase = SWARM_STARTING;
        swarm->lookup_due_us = usec_add(now_us, STARTING_US);
        swarm->announce_due_us = USEC_NEVER;
        swarm->clear = true;            /* a life before this one may have left a record with other relays */
        *swarm_out = swarm;
        return 0;
}

void swarm_free(struct swarm *swarm)
{
        if (!swarm)
                return;
        for (size_t i = 0; i < ARRAY_LEN(swarm->peers); i++)
                list_for_each(at, &swarm->peers[i])
                        swarm_peer_free(list_entry(at, struct swarm_peer, in_state));
        map_fini(&swarm->by_key);
        free(swarm);
}

/* --- What shall be done --- */

static bool take_query(struct swarm *swarm, struct swarm_task *out)
{
        if (!swarm->query_wanted)
                return false;
        swarm->query_wanted = false;
        *out = (struct swarm_task){ .kind = SWARM_LOOKUP, .seeds = swarm->seeds, .seed_count = swarm->seed_count };
        if (swarm->phase == SWARM_LEAVING) {
                out->kind = SWARM_UNANNOUNCE;
        } else if (swarm->phase == SWARM_ANNOUNCING) {
                out->kind = SWARM_ANNOUNCE;
                out->addrs = swarm->relays;
                out->addr_count = swarm->relay_count;
                out->clear = swarm->clear;
                swarm->announce_due_us = USEC_NEVER;    /* set anew when it is done, or when the relays change meanwhile */
        }
        return true;
}

static bool may_dial(const struct swarm *swarm)
{
        size_t limit = swarm->useful_count ? SWARM_DIALS : SWARM_DIALS_ALONE;

        return swarm->phase != SWARM_LEAVING && swarm->phase != SWARM_GONE && swarm->counts[SWARM_DIALLING] < limit &&
               swarm->counts[SWARM_DIALLING] + swarm->counts[SWARM_CONNECTED] < SWARM_CONNECTIONS_MAX;
}

bool swarm_task(struct swarm *swarm, struct swarm_task *out, usec_t now_us)
{
        struct swarm_peer *peer;

        if (take_query(swarm, out))
                return true;
        peer = may_dial(swarm) ? swarm_peer_next(swarm) : NULL;
        if (!peer)
                return false;
        swarm_peer_enter(peer, SWARM_DIALLING);
        *out = (struct swarm_task){
                .kind = SWARM_DIAL, .peer = peer, .key = peer->key, .addrs = peer->relays, .addr_count = peer->relay_count,
        };
        return true;
}

void swarm_advance(struct swarm *swarm, usec_t now_us)
{
        struct heap_entry *due;

        while ((due = heap_pop_due(&swarm->timers, now_us)))
                swarm_peer_enter(container_of(due, struct swarm_peer, timer), SWARM_QUEUED);
        if (swarm->phase == SWARM_SETTLED && now_us >= swarm->announce_due_us)
                step(swarm, ANNOUNCE_DUE);
        else if (now_us >= swarm->lookup_due_us)
                step(swarm, LOOKUP_DUE);
}

usec_t swarm_deadline(const struct swarm *swarm)
{
        usec_t due_us = heap_deadline(&swarm->timers);

        if (swarm->phase == SWARM_STARTING || swarm->phase == SWARM_SETTLED)
                due_us = usec_min(due_us, swarm->lookup_due_us);
        return swarm->phase == SWARM_SETTLED ? usec_min(due_us, swarm->announce_due_us) : due_us;
}

/* --- The topic --- */

static void announce_at(struct swarm *swarm, usec_t when_us)
{
        swarm->announce_due_us = usec_min(swarm->announce_due_us, when_us);
}

void swarm_reachable(struct swarm *swarm, const struct addr *relays, size_t count, usec_t now_us)
{
        bool same = swarm->relay_count && swarm->relay_count == MIN(count, ARRAY_LEN(swarm->relays));

        for (size_t i = 0; same && i < count; i++)
                same = addr_equal(&swarm->relays[i], &relays[i]);
        if (!count || same)
                return;
        swarm->relay_count = MIN(count, ARRAY_LEN(swarm->relays));
        memcpy(swarm->relays, relays, swarm->relay_count * sizeof(*relays));
        swarm->clear = true;            /* JavaScript nodes keep the old record otherwise */
        announce_at(swarm, swarm->announced_us ? usec_max(now_us, usec_add(swarm->announced_us, ANNOUNCE_PAUSE_US)) : now_us);
        step(swarm, REACHABLE);
}

static usec_t doubled(usec_t first_us, unsigned times, usec_t most_us)
{
        while (times-- && first_us < most_us)
                first_us *= 2;
        return usec_min(first_us, most_us);
}

static void announce_done(struct swarm *swarm, bool accepted, usec_t now_us)
{
        bool moved = swarm->announce_due_us != USEC_NEVER;

        swarm->announced = accepted;
        swarm->announced_us = now_us;
        if (accepted) {
                swarm->announce_failures = swarm->quick = 0;
                swarm->clear = moved;
                announce_at(swarm, usec_add(now_us, swarm_about(swarm, moved ? ANNOUNCE_PAUSE_US : ANNOUNCE_US)));
        } else {
                usec_t pause_us = doubled(ANNOUNCE_RETRY_US, swarm->announce_failures++, ANNOUNCE_RETRY_MAX_US);

                announce_at(swarm, usec_add(now_us, swarm_about(swarm, pause_us)));
        }
}

static void lookup_done(struct swarm *swarm, unsigned replies, usec_t now_us)
{
        usec_t most_us = swarm->useful_count ? LOOKUP_COMPANY_US : LOOKUP_ALONE_US;
        usec_t pause_us = doubled(LOOKUP_FIRST_US, swarm->lookups, most_us);

        swarm->lookup_due_us = usec_add(now_us, swarm_about(swarm, pause_us));
        swarm->dry = swarm->found_new ? 0 : swarm->dry + replies;
        if (replies && swarm->by_key.count >= CROWD && swarm->dry < ANSWERS_DRY && swarm->quick < ANSWERS_QUICK)
                swarm->quick += replies;        /* there may be more where those came from */
        else if (pause_us < most_us)
                swarm->lookups += swarm->useful_count ? 2 : 1;
        swarm->found_new = false;
}

void swarm_query_done(struct swarm *swarm, const struct addr *closest, size_t count, unsigned replies, unsigned accepted,
                      usec_t now_us)
{
        if (count && replies) {
                swarm->seed_count = MIN(count, ARRAY_LEN(swarm->seeds));
                memcpy(swarm->seeds, closest, swarm->seed_count * sizeof(*closest));
        }
        if (swarm->phase == SWARM_ANNOUNCING)
                announce_done(swarm, accepted > 0, now_us);
        else if (swarm->phase == SWARM_LOOKING)
                lookup_done(swarm, replies, now_us);
        step(swarm, DONE);
}

/* The last useful peer went. */
static void look_soon(struct swarm *swarm, usec_t now_us)
{
        swarm->lookups = 0;
        swarm->lookup_due_us = usec_min(swarm->lookup_due_us, usec_add(now_us, swarm_about(swarm, LOOKUP_FIRST_US)));
}

void swarm_wake(struct swarm *swarm, usec_t now_us)
{
        swarm->lookups = 0;
        swarm->clear = true;
        if (swarm->relay_count)
                announce_at(swarm, now_us);
        swarm->lookup_due_us = usec_min(swarm->lookup_due_us, now_us);
}

void swarm_come_back(struct swarm *swarm, usec_t now_us)
{
        swarm->lookups = 0;
        swarm->lookup_due_us = usec_min(swarm->lookup_due_us, now_us);
        if (swarm->announce_failures && swarm->relay_count)
                announce_at(swarm, now_us);
        swarm->announce_failures = 0;
        swarm_peer_come_back(swarm, now_us);
}

void swarm_leave(struct swarm *swarm, usec_t now_us)
{
        step(swarm, swarm->announced || swarm->phase == SWARM_ANNOUNCING ? LEAVE_SEEN : LEAVE_UNSEEN);
        swarm->announced = false;
}

bool swarm_has_left(const struct swarm *swarm)
{
        return swarm->phase == SWARM_GONE;
}

bool swarm_announced(const struct swarm *swarm)
{
        return swarm->announced;
}

/* --- Connections --- */

struct swarm_peer *swarm_find(const struct swarm *swarm, const uint8_t key[DHT_KEY_BYTES])
{
        struct swarm_peer *peer = swarm_peer_find(swarm, key);

        return peer && (peer->state == SWARM_DIALLING || peer->state == SWARM_CONNECTED) ? peer : NULL;
}

bool swarm_admits(const struct swarm *swarm, const uint8_t key[DHT_KEY_BYTES], const struct addr *from, usec_t now_us)
{
        const struct swarm_peer *peer = swarm_peer_find(swarm, key);

        if (swarm->phase == SWARM_LEAVING || swarm->phase == SWARM_GONE || memcmp(key, swarm->config.key, DHT_KEY_BYTES) == 0)
                return false;
        if (swarm->counts[SWARM_CONNECTED] >= SWARM_CONNECTIONS_MAX || !swarm_guest_fits(swarm, from, now_us))
                return false;
        return !peer || now_us >= peer->blocked_us;
}

enum swarm_choice swarm_choose(const struct swarm *swarm, const uint8_t key[DHT_KEY_BYTES], bool carried)
{
        if (!swarm_find(swarm, key) || carried)
                return SWARM_TAKE_NEW;  /* none, or one that a peer which comes again has no use for */
        return memcmp(swarm->config.key, key, DHT_KEY_BYTES) < 0 ? SWARM_TAKE_NEW : SWARM_KEEP_OLD;
}

bool swarm_yields(const struct swarm *swarm, const struct swarm_peer *peer, bool begun, usec_t now_us)
{
        if (peer->yielded_us && now_us < usec_add(peer->yielded_us, YIELD_PAUSE_US))
                return false;
        return !begun || memcmp(swarm->config.key, peer->key, DHT_KEY_BYTES) < 0;
}

struct swarm_peer *swarm_connected(struct swarm *swarm, const uint8_t key[DHT_KEY_BYTES], const struct addr *from, bool incoming,
                                   usec_t now_us)
{
        struct swarm_peer *peer;

        if (incoming && !swarm_admits(swarm, key, from, now_us))
                return NULL;
        peer = swarm_peer_get(swarm, key);
        if (!peer)
                return NULL;
        assert(incoming ? peer->state < SWARM_DIALLING : peer->state == SWARM_DIALLING);
        swarm_peer_enter(peer, SWARM_CONNECTED);
        peer->from = *from;
        peer->incoming = incoming;
        peer->connected_us = now_us;
        if (incoming)
                swarm_guest_add(peer);
        return peer;
}

void swarm_proven(struct swarm *swarm, struct swarm_peer *peer, bool useful, usec_t now_us)
{
        assert(peer->state == SWARM_CONNECTED && !peer->useful);
        swarm_guest_remove(peer);
        peer->proven = true;
        peer->failed_us = 0;
        peer->useful = useful;
        swarm->useful_count += useful;
}

static void block(struct swarm_peer *peer, usec_t until_us)
{
        peer->proven = false;
        peer->blocked_us = until_us;
        if (peer->appointed)
                swarm_peer_wait(peer, until_us);
        else
                swarm_peer_enter(peer, SWARM_REMEMBERED);
}

void swarm_over(struct swarm *swarm, struct swarm_peer *peer, enum swarm_end end, usec_t now_us)
{
        bool was_useful = peer->useful;

        assert(peer->state == SWARM_DIALLING || peer->state == SWARM_CONNECTED);
        if (peer->state == SWARM_CONNECTED && now_us - peer->connected_us >= LASTED_US)
                peer->attempts = 0;
        swarm_guest_remove(peer);
        swarm->useful_count -= was_useful;
        peer->useful = false;
        peer->context = NULL;
        switch (end) {
        case SWARM_FAILED:
        case SWARM_LOST:
                swarm_peer_failed(peer, now_us);
                break;
        case SWARM_MOVED:
                swarm_peer_wait(peer, now_us);
                break;
        case SWARM_REPLACED:
                swarm_peer_enter(peer, SWARM_REMEMBERED);
                break;
        case SWARM_AWAITED:
                peer->yielded_us = now_us;
                swarm_peer_wait(peer, usec_add(now_us, AWAITED_US));
                break;
        case SWARM_UNNEEDED:
                block(peer, usec_add(now_us, UNNEEDED_US));
                break;
        case SWARM_HOSTILE:
                if (peer->incoming)
                        swarm_guest_suspect(swarm, &peer->from, now_us);
                block(peer, usec_add(now_us, HOSTILE_US));
                break;
        }
        if (was_useful && !swarm->useful_count)
                look_soon(swarm, now_us);
}

void swarm_peer_set_context(struct swarm_peer *peer, void *context)
{
        peer->context = context;
}

void *swarm_peer_context(const struct swarm_peer *peer)
{
        return peer->context;
}
