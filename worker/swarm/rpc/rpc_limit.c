/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc_limit.h"

#include <stdlib.h>
#include <string.h>

enum { SETS_FIRST = 8, SETS_MAX = RPC_LIMIT_ENTRIES / RPC_LIMIT_WAYS, HOST = 32, NETWORK = 24, KEY_BYTES = 5 };

#define REPLIES_US SECONDS(2)           /* of what we may say in a second, at once */
#define STRANGERS_US (REPLIES_US / 4 * 3)

/* A host, or a /24. Each allowance is the time at which it will be whole again. */
struct rpc_limit_entry {
        uint8_t key[KEY_BYTES];         /* address and prefix length; zeros: free */
        usec_t seen_us;
        usec_t requests_us;
        union {
                struct {
                        usec_t costs_us[RPC_COSTS];
                        usec_t reachable_until_us;
                } host;
                struct {
                        usec_t large_us, full_us;
                } network;
        };
};

void rpc_limit_init(struct rpc_limit *limit, const struct random *random)
{
        uint8_t key[16];

        random_fill(random, key, sizeof(key));
        *limit = (struct rpc_limit){ 0 };
        map_init(&limit->hash, key);
}

void rpc_limit_fini(struct rpc_limit *limit)
{
        free(limit->entries);
        limit->entries = NULL;
        limit->sets = 0;
}

static bool is_loopback(const struct addr *addr)
{
        return addr->ip[0] == 127;
}

/* A bucket of @depth_us that drips empty in real time; @cost_us goes in if it fits. */
static bool take(usec_t *empty_at_us, usec_t cost_us, usec_t depth_us, usec_t now_us)
{
        usec_t level_us = *empty_at_us > now_us ? *empty_at_us - now_us : 0;

        if (level_us + cost_us > depth_us)
                return false;
        *empty_at_us = now_us + level_us + cost_us;
        return true;
}

/* One of @per_s, two seconds' worth at once. */
static bool take_one(usec_t *empty_at_us, unsigned per_s, usec_t now_us)
{
        return take(empty_at_us, SECONDS(1) / per_s, SECONDS(2), now_us);
}

/* Nothing is lost when it is forgotten. A network's allowances lie among a host's. */
static bool is_whole(const struct rpc_limit_entry *entry, usec_t now_us)
{
        bool whole = entry->requests_us <= now_us && entry->host.reachable_until_us <= now_us;

        for (unsigned i = 0; i < RPC_COSTS; i++)
                whole = whole && entry->host.costs_us[i] <= now_us;
        return whole;
}

static struct rpc_limit_entry *set_of(const struct rpc_limit *limit, const uint8_t key[KEY_BYTES])
{
        return &limit->entries[map_hash(&limit->hash, key, KEY_BYTES) % limit->sets * RPC_LIMIT_WAYS];
}

static struct rpc_limit_entry *find(struct rpc_limit_entry *set, const uint8_t key[KEY_BYTES])
{
        for (unsigned i = 0; i < RPC_LIMIT_WAYS; i++)
                if (memcmp(set[i].key, key, KEY_BYTES) == 0)
                        return &set[i];
        return NULL;
}

static struct rpc_limit_entry *find_whole(struct rpc_limit_entry *set, usec_t now_us)
{
        for (unsigned i = 0; i < RPC_LIMIT_WAYS; i++)
                if (is_whole(&set[i], now_us))
                        return &set[i];
        return NULL;
}

static struct rpc_limit_entry *find_oldest(struct rpc_limit_entry *set)
{
        struct rpc_limit_entry *oldest = set;

        for (unsigned i = 1; i < RPC_LIMIT_WAYS; i++)
                if (set[i].seen_us < oldest->seen_us)
                        oldest = &set[i];
        return oldest;
}

/* Twice as many sets. False: no memory, or there are as many as there may be. The first allocation is small: most nodes hear
 * from a few hundred hosts. */
static bool grow(struct rpc_limit *limit, usec_t now_us)
{
        struct rpc_limit wider = *limit;

        wider.sets = limit->sets ? 2 * limit->sets : SETS_FIRST;
        if (wider.sets > SETS_MAX)
                return false;
        wider.entries = calloc(wider.sets * RPC_LIMIT_WAYS, sizeof(*wider.entries));
        if (!wider.entries)
                return false;
        for (size_t i = 0; i < limit->sets * RPC_LIMIT_WAYS; i++) {
                const struct rpc_limit_entry *entry = &limit->entries[i];

                if (!is_whole(entry, now_us))   /* two sets for one that was: there is room */
                        *find_whole(set_of(&wider, entry->key), now_us) = *entry;
        }
        free(limit->entries);
        *limit = wider;
        return true;
}

/* A place for @key that nobody needs; NULL: make it wider, or let the longest unheard one go. */
static struct rpc_limit_entry *place_of(struct rpc_limit *limit, const uint8_t key[KEY_BYTES], usec_t now_us)
{
        struct rpc_limit_entry *set = limit->sets ? set_of(limit, key) : NULL, *entry = set ? find_whole(set, now_us) : NULL;

        while (!entry && grow(limit, now_us)) {
                set = set_of(limit, key);
                entry = find_whole(set, now_us);
        }
        return entry || !set ? entry : find_oldest(set);
}

static void key_of(const struct addr *addr, uint8_t prefix, uint8_t key[KEY_BYTES])
{
        memcpy(key, addr->ip, sizeof(addr->ip));
        if (prefix != HOST)
                key[3] = 0;
        key[4] = prefix;
}

/* The entry of @addr's host or network; NULL: no memory. */
static struct rpc_limit_entry *entry_of(struct rpc_limit *limit, const struct addr *addr, uint8_t prefix, usec_t now_us)
{
        struct rpc_limit_entry *entry;
        uint8_t key[KEY_BYTES];

        key_of(addr, prefix, key);
        entry = limit->sets ? find(set_of(limit, key), key) : NULL;
        if (!entry) {
                entry = place_of(limit, key, now_us);
                if (!entry)
                        return NULL;
                *entry = (struct rpc_limit_entry){ 0 };
                memcpy(entry->key, key, KEY_BYTES);
        }
        entry->seen_us = now_us;
        return entry;
}

bool rpc_limit_is_reachable(const struct rpc_limit *limit, const struct addr *host, usec_t now_us)
{
        const struct rpc_limit_entry *entry;
        uint8_t key[KEY_BYTES];

        if (is_loopback(host))
                return true;
        key_of(host, HOST, key);
        entry = limit->sets ? find(set_of(limit, key), key) : NULL;
        return entry && entry->host.reachable_until_us > now_us;
}

/* How full the bucket of replies may get for it. */
static usec_t replies_depth_us(const struct rpc_limit *limit, const struct addr *host, usec_t now_us)
{
        return rpc_limit_is_reachable(limit, host, now_us) ? REPLIES_US : STRANGERS_US;
}

bool rpc_limit_request(struct rpc_limit *limit, const struct addr *from, usec_t now_us)
{
        struct rpc_limit_entry *host, *network;

        if (is_loopback(from))
                return true;
        if (limit->replies_us >= now_us + STRANGERS_US && limit->replies_us >= now_us + replies_depth_us(limit, from, now_us))
                return false;
        host = entry_of(limit, from, HOST, now_us);
        if (!host || !take_one(&host->requests_us, RPC_REQUESTS_PER_S, now_us))
                return false;
        network = entry_of(limit, from, NETWORK, now_us);
        return network && take_one(&network->requests_us, RPC_NETWORK_PER_S, now_us);
}

bool rpc_limit_cost(struct rpc_limit *limit, const struct addr *from, enum rpc_cost cost, usec_t now_us)
{
        static const unsigned per_s[RPC_COSTS] = {
                [RPC_COST_SIGNATURE] = RPC_SIGNATURES_PER_S,
                [RPC_COST_RELAY] = RPC_RELAYS_PER_S,
                [RPC_COST_DELAY] = RPC_DELAYS_PER_S,
        };
        struct rpc_limit_entry *host;

        if (is_loopback(from))
                return true;
        host = entry_of(limit, from, HOST, now_us);
        return host && take_one(&host->host.costs_us[cost], per_s[cost], now_us);
}

bool rpc_limit_reply(struct rpc_limit *limit, const struct addr *to, size_t len, usec_t now_us)
{
        return is_loopback(to) || take(&limit->replies_us, len * SECONDS(1) / RPC_REPLY_BYTES_PER_S,
                                       replies_depth_us(limit, to, now_us), now_us);
}

void rpc_limit_reachable(struct rpc_limit *limit, const struct addr *host, usec_t now_us)
{
        struct rpc_limit_entry *entry = is_loopback(host) ? NULL : entry_of(limit, host, HOST, now_us);

        if (entry)
                entry->host.reachable_until_us = now_us + SECONDS(RPC_REACHABLE_S);
}

bool rpc_limit_full(struct rpc_limit *limit, const struct addr *to, usec_t now_us)
{
        struct rpc_limit_entry *network;

        if (rpc_limit_is_reachable(limit, to, now_us))
                return true;
        network = entry_of(limit, to, NETWORK, now_us);
        return network && take_one(&network->network.full_us, RPC_FULL_PER_S, now_us);
}

bool rpc_limit_large(struct rpc_limit *limit, const struct addr *to, size_t len, usec_t now_us)
{
        struct rpc_limit_entry *network;

        if (rpc_limit_is_reachable(limit, to, now_us))
                return true;
        network = entry_of(limit, to, NETWORK, now_us);
        return network && take(&network->network.large_us, SECONDS(1) / RPC_LARGE_PER_S, SECONDS(1), now_us) &&
               take(&limit->large_us, len * MINUTES(1) / RPC_LARGE_BYTES_PER_MIN, MINUTES(1), now_us);
}
