/* SPDX-License-Identifier: BSD-3-Clause */
#include "swarm.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "swarm_state.h"

#define AWAITED_US SECONDS(1)                   /* from an answered handshake to the peer's first frame, on any sane path */
#define YIELD_PAUSE_US SECONDS(10)              /* an old handshake is not known for one longer */
#define LASTED_US SECONDS(15)                   /* a connection that old was a good one: swarm.md 3 */
#define UNNEEDED_US MINUTES(60)
#define HOSTILE_US MINUTES(10)
#define FORMER_US SECONDS(5)                    /* it may learn the new secret at any moment */
#define MISTAKEN_US MSEC(500)                   /* who does better the second time comes back in a second: retry_delay() */

int swarm_new(struct swarm **swarm_out, const struct swarm_config *config)
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
        for (size_t i = 0; i < ARRAY_LEN(swarm->topics); i++)
                swarm->topics[i].phase = SWARM_GONE;
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

/* At any topic. */
static bool is_in(const struct swarm *swarm)
{
        for (size_t i = 0; i < ARRAY_LEN(swarm->topics); i++)
                if (swarm_topic_is_in(&swarm->topics[i]))
                        return true;
        return false;
}

static bool may_dial(const struct swarm *swarm)
{
        size_t limit = swarm->useful_count ? SWARM_DIALS : SWARM_DIALS_ALONE;

        return is_in(swarm) && swarm->counts[SWARM_DIALLING] < limit &&
               swarm->counts[SWARM_DIALLING] + swarm->counts[SWARM_CONNECTED] < SWARM_CONNECTIONS_MAX;
}

bool swarm_task(struct swarm *swarm, struct swarm_task *out, usec_t now_us)
{
        struct swarm_peer *peer;

        for (unsigned i = 0; i < ARRAY_LEN(swarm->topics); i++)
                if (swarm_topic_task(swarm, i, out))
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
        for (size_t i = 0; i < ARRAY_LEN(swarm->topics); i++)
                swarm_topic_advance(&swarm->topics[i], now_us);
}

usec_t swarm_deadline(const struct swarm *swarm)
{
        usec_t due_us = heap_deadline(&swarm->timers);

        for (size_t i = 0; i < ARRAY_LEN(swarm->topics); i++)
                due_us = usec_min(due_us, swarm_topic_deadline(&swarm->topics[i]));
        return due_us;
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

        if (!is_in(swarm) || memcmp(key, swarm->config.key, DHT_KEY_BYTES) == 0)
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
        peer->shown = false;
        peer->connected_us = now_us;
        if (incoming)
                swarm_guest_add(peer);
        return peer;
}

void swarm_proven(struct swarm *swarm, struct swarm_peer *peer, bool useful, usec_t now_us)
{
        assert(peer->state == SWARM_CONNECTED && !peer->useful);
        swarm_guest_remove(peer);
        peer->proven = peer->shown = true;
        peer->former = peer->mistaken = false;
        peer->failed_us = 0;
        peer->useful = useful;
        swarm->useful_count += useful;
}

/* The last useful peer went. */
static void look_soon(struct swarm *swarm, usec_t now_us)
{
        for (size_t i = 0; i < ARRAY_LEN(swarm->topics); i++)
                swarm_topic_look_soon(swarm, &swarm->topics[i], now_us);
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

/* How long somebody stays out who did not prove himself. */
static usec_t shut_out_us(struct swarm_peer *peer, enum swarm_end end)
{
        if (peer->former || end == SWARM_ESTRANGED)
                return FORMER_US;
        if (end == SWARM_HOSTILE || peer->mistaken)
                return HOSTILE_US;
        peer->mistaken = true;
        return MISTAKEN_US;
}

void swarm_over(struct swarm *swarm, struct swarm_peer *peer, enum swarm_end end, usec_t now_us)
{
        bool was_useful = peer->useful;

        assert(peer->state == SWARM_DIALLING || peer->state == SWARM_CONNECTED);
        if (peer->state == SWARM_CONNECTED && now_us - peer->connected_us >= LASTED_US)
                peer->attempts = 0;
        peer->unproven += peer->state == SWARM_CONNECTED && !peer->incoming && !peer->shown;
        swarm_guest_remove(peer);
        swarm->useful_count -= was_useful;
        if (end == SWARM_LOST && peer->shown)
                peer->listed = 0;       /* it may come back as another one than its records say */
        peer->useful = peer->shown = false;
        peer->context = NULL;
        switch (end) {
        case SWARM_FAILED:
        case SWARM_LOST:
                swarm_peer_failed(peer, now_us);
                break;
        case SWARM_MOVED:
                swarm_peer_wait(peer, now_us);
                break;
        case SWARM_OUTDATED:
                peer->proven = false;
                peer->former = true;
                swarm_peer_failed(peer, now_us);
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
        case SWARM_ESTRANGED:
        case SWARM_MISTAKEN:
        case SWARM_HOSTILE:
                if (peer->incoming)
                        swarm_guest_suspect(swarm, &peer->from, now_us);
                block(peer, usec_add(now_us, shut_out_us(peer, end)));
                break;
        }
        if (was_useful && !swarm->useful_count)
                look_soon(swarm, now_us);
}

unsigned swarm_peer_listed(const struct swarm_peer *peer)
{
        return peer->listed;
}

unsigned swarm_peer_unproven(const struct swarm_peer *peer)
{
        return peer->unproven;
}

void swarm_peer_set_context(struct swarm_peer *peer, void *context)
{
        peer->context = context;
}

void *swarm_peer_context(const struct swarm_peer *peer)
{
        return peer->context;
}
