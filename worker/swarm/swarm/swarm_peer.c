/* SPDX-License-Identifier: BSD-3-Clause */
/* The peers we know, and which of them is dialled when. A restart of an ephemeral peer leaves a dead record for up to 27 minutes:
 * so a failure is remembered, however often the key is listed again, and those who never failed go first (swarm.md 8). */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "swarm_state.h"

#define GHOST_US MINUTES(1)             /* between attempts at a key that keeps failing */
#define FORGIVE_US MINUTES(30)          /* records of that age are gone: who is listed still, is there */

enum {
        ATTEMPTS_MAX = 3,
        ATTEMPTS_ALONE_MAX = 24,        /* at one who was there, while nobody else is: some three minutes */
};

#define ALONE_US SECONDS(1)             /* between these: as many seconds as attempts */
#define ALONE_MAX_US SECONDS(3)         /* and no more */

static uint64_t key_hash(const struct swarm *swarm, const uint8_t key[DHT_KEY_BYTES])
{
        return map_hash(&swarm->by_key, key, DHT_KEY_BYTES);
}

struct swarm_peer *swarm_peer_find(const struct swarm *swarm, const uint8_t key[DHT_KEY_BYTES])
{
        for (struct map_entry *at = map_first(&swarm->by_key, key_hash(swarm, key)); at; at = map_next(at)) {
                struct swarm_peer *peer = container_of(at, struct swarm_peer, by_key);

                if (memcmp(peer->key, key, DHT_KEY_BYTES) == 0)
                        return peer;
        }
        return NULL;
}

void swarm_peer_free(struct swarm_peer *peer)
{
        swarm_guest_remove(peer);
        heap_remove(&peer->swarm->timers, &peer->timer);
        list_remove(&peer->in_state);
        peer->swarm->counts[peer->state]--;
        map_remove(&peer->swarm->by_key, &peer->by_key);
        free(peer);
}

static struct swarm_peer *oldest_in(struct swarm *swarm, enum swarm_peer_state state, bool proven)
{
        list_for_each(at, &swarm->peers[state]) {
                struct swarm_peer *peer = list_entry(at, struct swarm_peer, in_state);

                if (peer->proven == proven && !peer->appointed)
                        return peer;
        }
        return NULL;
}

/* A flood of records must not push out who has proved himself. */
static bool forget_one(struct swarm *swarm)
{
        static const enum swarm_peer_state states[] = { SWARM_REMEMBERED, SWARM_QUEUED, SWARM_WAITING };

        for (int proven = 0; proven <= 1; proven++) {
                for (size_t i = 0; i < ARRAY_LEN(states); i++) {
                        struct swarm_peer *peer = oldest_in(swarm, states[i], proven);

                        if (peer) {
                                swarm_peer_free(peer);
                                return true;
                        }
                }
        }
        return false;
}

struct swarm_peer *swarm_peer_get(struct swarm *swarm, const uint8_t key[DHT_KEY_BYTES])
{
        struct swarm_peer *peer = swarm_peer_find(swarm, key);

        if (peer)
                return peer;
        if (swarm->by_key.count >= SWARM_PEERS_MAX && !forget_one(swarm))
                return NULL;
        peer = calloc(1, sizeof(*peer));
        if (!peer || map_insert(&swarm->by_key, &peer->by_key, key_hash(swarm, key)) < 0) {
                free(peer);
                return NULL;
        }
        peer->swarm = swarm;
        memcpy(peer->key, key, DHT_KEY_BYTES);
        list_init(&peer->in_state);
        list_init(&peer->guest);
        swarm->counts[SWARM_REMEMBERED]++;
        list_push_back(&swarm->peers[SWARM_REMEMBERED], &peer->in_state);
        return peer;
}

void swarm_peer_enter(struct swarm_peer *peer, enum swarm_peer_state state)
{
        struct swarm *swarm = peer->swarm;

        heap_remove(&swarm->timers, &peer->timer);
        list_remove(&peer->in_state);
        swarm->counts[peer->state]--;
        peer->state = state;
        swarm->counts[state]++;
        list_push_back(&swarm->peers[state], &peer->in_state);
}

void swarm_peer_wait(struct swarm_peer *peer, usec_t until_us)
{
        swarm_peer_enter(peer, SWARM_WAITING);
        heap_insert(&peer->swarm->timers, &peer->timer, until_us);
}

/* Where it is appointed comes first. */
void swarm_peer_set_relays(struct swarm_peer *peer, const struct addr *relays, size_t count)
{
        if (!count)
                return;
        peer->relay_count = 0;
        if (peer->appointed)
                peer->relays[peer->relay_count++] = peer->appointed_at;
        count = MIN(count, ARRAY_LEN(peer->relays) - peer->relay_count);
        memcpy(peer->relays + peer->relay_count, relays, count * sizeof(*relays));
        peer->relay_count += count;
}

int swarm_appoint(struct swarm *swarm, const uint8_t key[DHT_KEY_BYTES], const struct addr *addr, usec_t now_us)
{
        struct swarm_peer *peer;

        if (memcmp(key, swarm->config.key, DHT_KEY_BYTES) == 0)
                return 0;
        peer = swarm_peer_get(swarm, key);
        if (!peer)
                return -ENOMEM;
        peer->appointed = true;
        peer->appointed_at = *addr;
        peer->relays[0] = *addr;
        peer->relay_count = 1;
        if (peer->state == SWARM_REMEMBERED && now_us >= peer->blocked_us)
                swarm_peer_enter(peer, SWARM_QUEUED);
        return 0;
}

void swarm_listed(struct swarm *swarm, unsigned topic, const uint8_t key[DHT_KEY_BYTES], const struct addr *relays, size_t count,
                  usec_t now_us)
{
        struct swarm_peer *peer;
        usec_t from_us;

        if (memcmp(key, swarm->config.key, DHT_KEY_BYTES) == 0)
                return;
        if (topic < SWARM_TOPICS_MAX && !swarm_peer_find(swarm, key))
                swarm->topics[topic].found_new = true;
        peer = swarm_peer_get(swarm, key);
        if (!peer)
                return;
        swarm_peer_set_relays(peer, relays, count);
        peer->listed |= 1u << topic;
        if (peer->state != SWARM_REMEMBERED)
                return;
        if (peer->failed_us && now_us - peer->failed_us >= FORGIVE_US)
                peer->attempts = 0;
        from_us = usec_max(peer->blocked_us, peer->attempts ? usec_add(peer->failed_us, GHOST_US) : now_us);
        if (from_us <= now_us)
                swarm_peer_enter(peer, SWARM_QUEUED);
        else
                swarm_peer_wait(peer, from_us);
}

void swarm_peer_unlist(struct swarm *swarm, unsigned topic)
{
        for (size_t i = 0; i < ARRAY_LEN(swarm->peers); i++)
                list_for_each(at, &swarm->peers[i])
                        list_entry(at, struct swarm_peer, in_state)->listed &= ~(1u << topic);
}

void swarm_forgive(struct swarm *swarm, usec_t now_us)
{
        list_for_each(at, &swarm->peers[SWARM_WAITING]) {
                struct swarm_peer *peer = list_entry(at, struct swarm_peer, in_state);

                if (peer->blocked_us > now_us || peer->attempts)
                        swarm_peer_enter(peer, SWARM_QUEUED);
        }
        for (size_t i = 0; i < ARRAY_LEN(swarm->peers); i++)
                list_for_each(at, &swarm->peers[i]) {
                        struct swarm_peer *peer = list_entry(at, struct swarm_peer, in_state);

                        peer->attempts = 0;
                        peer->blocked_us = 0;
                        peer->unproven = 0;
                        peer->mistaken = false;
                }
}

void swarm_retry(struct swarm *swarm, usec_t now_us)
{
        list_for_each(at, &swarm->peers[SWARM_WAITING]) {
                struct swarm_peer *peer = list_entry(at, struct swarm_peer, in_state);

                if (peer->attempts && peer->blocked_us <= now_us)
                        swarm_peer_enter(peer, SWARM_QUEUED);
        }
}

/* Who has not been there for longer than records live will not be now. */
static bool may_be_back(const struct swarm_peer *peer, usec_t now_us)
{
        return peer->proven && peer->attempts && peer->blocked_us <= now_us && now_us - peer->failed_us < FORGIVE_US;
}

void swarm_peer_come_back(struct swarm *swarm, usec_t now_us)
{
        static const enum swarm_peer_state tried[] = { SWARM_QUEUED, SWARM_DIALLING };

        swarm_retry(swarm, now_us);
        list_for_each(at, &swarm->peers[SWARM_REMEMBERED]) {
                struct swarm_peer *peer = list_entry(at, struct swarm_peer, in_state);

                if (may_be_back(peer, now_us))
                        swarm_peer_enter(peer, SWARM_QUEUED);
        }
        for (size_t i = 0; i < ARRAY_LEN(tried); i++)
                list_for_each(at, &swarm->peers[tried[i]]) {
                        struct swarm_peer *peer = list_entry(at, struct swarm_peer, in_state);

                        if (peer->proven)
                                peer->attempts = 0;
                }
}

/* 0: goes first. Who proved himself comes before any flood of records; who never failed before the ghosts. */
static unsigned rank(const struct swarm_peer *peer)
{
        if (peer->proven || peer->appointed)
                return 0;
        return peer->failed_us ? 2 : 1;
}

struct swarm_peer *swarm_peer_next(const struct swarm *swarm)
{
        struct swarm_peer *best = NULL;
        uint32_t equals = 0;

        list_for_each(at, &swarm->peers[SWARM_QUEUED]) {
                struct swarm_peer *peer = list_entry(at, struct swarm_peer, in_state);

                if (best && (rank(peer) > rank(best) || (rank(peer) == rank(best) && peer->failed_us > best->failed_us)))
                        continue;
                if (!best || rank(peer) < rank(best) || peer->failed_us < best->failed_us)
                        equals = 0;
                equals++;       /* each of equal rank with the same chance */
                if (random_below(&swarm->config.random, equals) == 0)
                        best = peer;
        }
        return best;
}

/* What was lost with it is all we had. */
static bool is_missed(const struct swarm_peer *peer)
{
        return peer->proven && !peer->swarm->useful_count;
}

/* swarm.md 4; the last: no more until it is listed again. */
static usec_t retry_delay(const struct swarm_peer *peer)
{
        static const usec_t appointed_us[ATTEMPTS_MAX] = { SECONDS(1), SECONDS(2), SECONDS(5) };
        static const usec_t proven_us[ATTEMPTS_MAX] = { SECONDS(1), SECONDS(5), SECONDS(15) };
        static const usec_t other_us[ATTEMPTS_MAX] = { SECONDS(5), SECONDS(15), SECONDS(15) };

        if (is_missed(peer) && !peer->appointed)
                return usec_min(peer->attempts * ALONE_US, ALONE_MAX_US);
        assert(peer->attempts && peer->attempts <= ATTEMPTS_MAX);
        if (peer->appointed)
                return appointed_us[peer->attempts - 1];
        if (peer->proven)
                return proven_us[peer->attempts - 1];
        if (peer->swarm->useful_count && peer->attempts > 1)
                return GHOST_US;        /* we aren't alone: no hurry */
        return other_us[peer->attempts - 1];
}

void swarm_peer_failed(struct swarm_peer *peer, usec_t now_us)
{
        unsigned most = is_missed(peer) && !peer->appointed ? ATTEMPTS_ALONE_MAX : ATTEMPTS_MAX;

        peer->attempts = peer->appointed ? MIN(peer->attempts + 1, most) : peer->attempts + 1;
        peer->failed_us = now_us;
        if (peer->attempts > most || (!peer->listed && !peer->proven && !peer->appointed))
                swarm_peer_enter(peer, SWARM_REMEMBERED);
        else
                swarm_peer_wait(peer, usec_add(now_us, swarm_about(peer->swarm, retry_delay(peer))));
}
