/* SPDX-License-Identifier: BSD-3-Clause */
/* Values held for others: found again, aged by when they were put, and bounded in bytes however much strangers send. */
#include "dht_vault.h"

#include <string.h>

#include "cleanup.h"
#include "test.h"

static void vault_freep(struct dht_vault **vault)
{
        dht_vault_free(*vault);
}

static struct dht_vault *make(uint64_t *seed)
{
        struct random random = { test_random_fill, seed };
        struct dht_vault *vault = dht_vault_new(&random);

        check(vault);
        return vault;
}

#define VAULT(name)               \
        uint64_t name##_seed = 1; \
        cleanup_with(vault_freep) struct dht_vault *name = make(&name##_seed)

static const struct addr home = { { 80, 1, 1, 1 }, 4000 }, away = { { 80, 2, 2, 2 }, 4000 }, loopback = { { 127, 0, 0, 1 }, 4000 };
static const uint8_t filler[1000] = { 7 };

struct key {
        uint8_t bytes[32];
};

static struct key key_of(unsigned number)
{
        return (struct key){ { (uint8_t)number, (uint8_t)(number >> 8), (uint8_t)(number >> 16), 1 } };
}

static bool put(struct dht_vault *vault, unsigned number, const void *bytes, size_t len, const struct addr *from, usec_t now_us)
{
        struct key key = key_of(number);

        return dht_vault_put(vault, DHT_VAULT_IMMUTABLE, key.bytes, bytes, len, from, now_us);
}

static bool holds(const struct dht_vault *vault, unsigned number, const void *bytes, size_t len)
{
        struct key key = key_of(number);
        size_t held_len;
        const uint8_t *held = dht_vault_get(vault, DHT_VAULT_IMMUTABLE, key.bytes, &held_len);

        return held && held_len == len && memcmp(held, bytes, len) == 0;
}

TEST(dht_vault_gives_back_what_was_put_last)
{
        struct key key = key_of(1);
        size_t len;
        VAULT(vault);

        check(put(vault, 1, "one", 3, &home, 0) && holds(vault, 1, "one", 3));
        check(put(vault, 1, "", 0, &home, 0) && holds(vault, 1, "", 0));
        check(put(vault, 1, "another", 7, &away, 0) && holds(vault, 1, "another", 7));
        check(!dht_vault_get(vault, DHT_VAULT_MUTABLE, key.bytes, &len));
        check(dht_vault_put(vault, DHT_VAULT_MUTABLE, key.bytes, "other", 5, &home, 0));
        check(holds(vault, 1, "another", 7));
        check_equal(dht_vault_values(vault), 2);
        check_equal(dht_vault_bytes(vault), 2 * DHT_VAULT_VALUE_COST + 7 + 5);
}

TEST(dht_vault_ages_by_put_however_often_it_is_read)
{
        VAULT(vault);

        put(vault, 1, "one", 3, &home, 0);
        put(vault, 2, "two", 3, &home, 0);
        put(vault, 1, "one", 3, &away, MINUTES(60));
        dht_vault_expire(vault, DHT_VAULT_LIFE_US - 1);
        check(holds(vault, 1, "one", 3) && holds(vault, 2, "two", 3));
        dht_vault_expire(vault, DHT_VAULT_LIFE_US);
        check(holds(vault, 1, "one", 3) && !holds(vault, 2, "two", 3));
        dht_vault_expire(vault, DHT_VAULT_LIFE_US + MINUTES(60));
        check_equal(dht_vault_values(vault), 0);
        check_equal(dht_vault_bytes(vault), 0);
}

TEST(dht_vault_source_with_its_share_displaces_its_own_oldest)
{
        enum { SHARE = DHT_VAULT_SOURCE_BYTES / (sizeof(filler) + DHT_VAULT_VALUE_COST) };
        VAULT(vault);

        put(vault, 1000, "theirs", 6, &away, 0);
        for (unsigned i = 0; i < SHARE; i++)
                put(vault, i, filler, sizeof(filler), &home, i);
        check_equal(dht_vault_values(vault), SHARE + 1);
        put(vault, 0, filler, sizeof(filler), &home, SHARE);    /* put again: young again */
        put(vault, SHARE, filler, sizeof(filler), &home, SHARE);
        check_equal(dht_vault_values(vault), SHARE + 1);
        check(holds(vault, 0, filler, sizeof(filler)) && !holds(vault, 1, filler, sizeof(filler)));
        check(holds(vault, 1000, "theirs", 6));
}

/* Putting another's value again puts it on nobody else's account, so that it can't be thrown out with the rest of it. */
TEST(dht_vault_value_stays_with_who_put_it_first)
{
        VAULT(vault);

        put(vault, 1, "mine", 4, &home, 0);
        put(vault, 1, "mine", 4, &away, 1);
        put(vault, 2, "seq 1", 5, &home, 2);
        put(vault, 2, "seq 2", 5, &away, 3);
        for (unsigned i = 10; i < 1000; i++)
                put(vault, i, filler, sizeof(filler), &away, i);
        check(holds(vault, 1, "mine", 4) && holds(vault, 2, "seq 2", 5));
}

TEST(dht_vault_when_full_takes_from_the_greediest)
{
        struct addr hosts = { { 81, 0, 0, 1 }, 4000 };
        unsigned number = 1;
        VAULT(vault);

        put(vault, 0, "modest", 6, &home, 0);
        for (unsigned host = 0; host < 200; host++) {
                hosts.ip[1] = (uint8_t)host;
                for (unsigned i = 0; i < 250; i++)
                        check(put(vault, number++, filler, sizeof(filler), &hosts, 0));
                check(dht_vault_bytes(vault) <= DHT_VAULT_BYTES);
        }
        check(dht_vault_bytes(vault) > DHT_VAULT_BYTES - 2 * sizeof(filler) - DHT_VAULT_VALUE_COST);
        check(holds(vault, 0, "modest", 6) && holds(vault, number - 1, filler, sizeof(filler)));
}

TEST(dht_vault_loopback_is_one_host_with_many_nodes)
{
        VAULT(vault);

        for (unsigned i = 0; i < 1000; i++)
                put(vault, i, filler, sizeof(filler), &loopback, i);
        check_equal(dht_vault_values(vault), 1000);
}
