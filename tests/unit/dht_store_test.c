/* SPDX-License-Identifier: BSD-3-Clause */
/* What is held for others: found again, aged by write, and bounded however much strangers send. */
#include "dht_store.h"

#include <string.h>

#include "cleanup.h"
#include "dht_passage.h"
#include "test.h"

static void store_freep(struct dht_store **store)
{
        dht_store_free(*store);
}

static struct dht_store *make(uint64_t *seed)
{
        struct random random = { test_random_fill, seed };
        struct dht_store *store = dht_store_new(&random);

        check(store);
        return store;
}

#define STORE(name)             \
        uint64_t name##_seed = 1; \
        cleanup_with(store_freep) struct dht_store *name = make(&name##_seed)

static const struct addr home = { { 80, 1, 1, 1 }, 4000 };
static const struct addr loopback = { { 127, 0, 0, 1 }, 4000 };

struct key {
        uint8_t bytes[32];
};

static struct key key_of(unsigned number)
{
        return (struct key){ { (uint8_t)number, (uint8_t)(number >> 8), (uint8_t)(number >> 16), 1 } };
}

static struct addr host_of(unsigned number)
{
        return (struct addr){ { (uint8_t)(11 + (number >> 16)), (uint8_t)(number >> 8), (uint8_t)number, 9 }, 4000 };
}

static bool add(struct dht_store *store, unsigned topic, unsigned key, const struct addr *from, usec_t now_us)
{
        struct key target = key_of(topic), public_key = key_of(key);
        struct dht_record record = { .public_key = public_key.bytes };

        return dht_store_add(store, target.bytes, &record, from, now_us);
}

static struct dht_lookup lookup(struct dht_store *store, unsigned topic)
{
        struct key target = key_of(topic);
        struct dht_lookup found;

        dht_store_lookup(store, target.bytes, &found);
        return found;
}

static bool lists(struct dht_store *store, unsigned topic, unsigned key)
{
        struct dht_lookup found = lookup(store, topic);
        struct key public_key = key_of(key);

        for (size_t i = 0; i < found.count; i++)
                if (memcmp(found.records[i].public_key, public_key.bytes, sizeof(public_key.bytes)) == 0)
                        return true;
        return false;
}

TEST(dht_store_keeps_three_relays_and_the_newest_record)
{
        uint8_t relays[5 * WIRE_ADDR_BYTES] = { 1, 2, 3, 4, 5, 0 };
        struct key topic = key_of(1), key = key_of(2);
        struct dht_record record = { key.bytes, relays, 5 };
        STORE(store);

        check(dht_store_add(store, topic.bytes, &record, &home, 0));
        check_equal(lookup(store, 1).records[0].relay_count, DHT_RECORD_KEPT_RELAYS);
        check_bytes(lookup(store, 1).records[0].relays, relays, DHT_RECORD_KEPT_RELAYS * WIRE_ADDR_BYTES);
        record.relays = relays + WIRE_ADDR_BYTES;
        record.relay_count = 1;
        check(dht_store_add(store, topic.bytes, &record, &home, 0));
        check_equal(lookup(store, 1).count, 1);
        check_equal(lookup(store, 1).records[0].relay_count, 1);
        check_equal(dht_store_records(store), 1);
        dht_store_remove(store, topic.bytes, key.bytes);
        dht_store_remove(store, topic.bytes, key.bytes);
        check_equal(lookup(store, 1).count, 0);
        check_equal(dht_store_records(store), 0);
}

TEST(dht_store_ages_by_write_however_often_it_is_read)
{
        STORE(store);

        add(store, 1, 1, &home, 0);
        add(store, 1, 2, &home, 0);
        for (usec_t at_us = 0; at_us < DHT_STORE_LIFE_US; at_us += MINUTES(1)) {
                dht_store_expire(store, at_us);
                check(lists(store, 1, 2));
                if (at_us == MINUTES(10))
                        add(store, 1, 1, &home, at_us);
        }
        dht_store_expire(store, DHT_STORE_LIFE_US);
        check(lists(store, 1, 1) && !lists(store, 1, 2));
        dht_store_expire(store, DHT_STORE_LIFE_US + MINUTES(10));
        check_equal(dht_store_records(store), 0);
}

TEST(dht_store_forwards_lead_to_the_latest_source)
{
        struct addr later = { { 80, 1, 1, 1 }, 5000 }, from;
        struct key target = key_of(1), key = key_of(2);
        struct dht_record record = { .public_key = key.bytes }, found;
        STORE(store);

        check(!dht_store_forward(store, target.bytes, &from));
        check(dht_store_forward_set(store, target.bytes, &record, &home, 0));
        check(dht_store_forward_set(store, target.bytes, &record, &later, 1));
        check(dht_store_forward(store, target.bytes, &from) && addr_equal(&from, &later));
        check(dht_store_forward_record(store, target.bytes, &found));
        check_bytes(found.public_key, key.bytes, sizeof(key.bytes));
        check(lists(store, 1, 2));              /* a lookup of the key's own target shows it too */
        check_equal(dht_store_forwards(store), 1);
        dht_store_forward_remove(store, target.bytes);
        check(!dht_store_forward(store, target.bytes, &from));
}

TEST(dht_store_bumps_only_forward_and_not_into_the_future)
{
        struct key topic = key_of(1);
        STORE(store);

        dht_store_bump(store, topic.bytes, 5, 1000);
        check_equal(lookup(store, 1).bump, 0);
        add(store, 1, 1, &home, 0);
        dht_store_bump(store, topic.bytes, 1000 + DHT_BUMP_DRIFT_MS + 1, 1000);
        check_equal(lookup(store, 1).bump, 0);
        dht_store_bump(store, topic.bytes, 1000 + DHT_BUMP_DRIFT_MS, 1000);
        dht_store_bump(store, topic.bytes, 1000, 1000);
        check_equal(lookup(store, 1).bump, 1000 + DHT_BUMP_DRIFT_MS);
}

TEST(dht_store_lookup_draws_twenty_at_random)
{
        unsigned seen[100] = { 0 }, never = 0;
        STORE(store);

        for (unsigned i = 0; i < 100; i++)
                add(store, 1, i, &loopback, 0);
        for (unsigned round = 0; round < 200; round++) {
                struct dht_lookup found = lookup(store, 1);

                check_equal(found.count, DHT_RECORDS_PER_LOOKUP);
                for (size_t i = 0; i < found.count; i++)
                        seen[found.records[i].public_key[0]]++;
        }
        for (unsigned i = 0; i < 100; i++)
                never += seen[i] < 10;
        check_equal(never, 0);
}

TEST(dht_store_gives_a_source_its_share_and_no_more)
{
        STORE(store);

        add(store, 7, 7, &loopback, 0);
        for (unsigned i = 0; i < 1000; i++)
                check(add(store, 1000 + i, i, &home, i));
        check_equal(dht_store_records(store), DHT_STORE_SOURCE_MAX + 1);
        check(lists(store, 1999, 999) && !lists(store, 1000, 0));       /* it displaced its own oldest */
        check(lists(store, 7, 7));
}

TEST(dht_store_bounds_a_topic_and_a_network_in_it)
{
        unsigned stored = 0;
        STORE(store);

        for (unsigned i = 0; i < 200; i++) {
                struct addr from = { { 80, 1, 1, (uint8_t)i }, 4000 };

                stored += add(store, 1, i, &from, 0);
        }
        check_equal(stored, DHT_STORE_TOPIC_NET_MAX);
        for (unsigned i = 0; i < 3000; i++) {
                struct addr from = host_of(i);

                check(add(store, 1, 1000 + i, &from, 0));
        }
        check_equal(dht_store_records(store), DHT_STORE_TOPIC_MAX);
}

/* One host after another fills it; who has least is left alone. */
TEST(dht_store_when_full_takes_from_the_greediest)
{
        struct addr poor = { { 200, 1, 1, 1 }, 4000 };
        STORE(store);

        add(store, 5, 5, &poor, 0);
        for (unsigned i = 0; i < 2 * DHT_STORE_MAX; i++) {
                struct addr from = host_of(i / 200);

                add(store, 100 + i, i, &from, i);
        }
        check_equal(dht_store_records(store), DHT_STORE_MAX);
        check(lists(store, 5, 5));
        dht_store_expire(store, DHT_STORE_LIFE_US + 10 * DHT_STORE_MAX);
        check_equal(dht_store_records(store), 0);
}

TEST(dht_store_follows_a_record_to_another_source)
{
        STORE(store);

        for (unsigned i = 0; i < 100; i++)
                add(store, 1 + i % 3, i, &home, i);
        for (unsigned i = 0; i < 100; i++)
                add(store, 1 + i % 3, i, &loopback, 1000 + i);
        check_equal(dht_store_records(store), 100);
        for (unsigned i = 0; i < DHT_STORE_SOURCE_MAX; i++)             /* its share is free again */
                add(store, 5000 + i, i, &home, 2000);
        check_equal(dht_store_records(store), 100 + DHT_STORE_SOURCE_MAX);
}

static void passages_freep(struct dht_passages **passages)
{
        dht_passages_free(*passages);
}

TEST(dht_passage_is_remembered_for_ten_seconds_and_for_nobody_else)
{
        uint64_t seed = 1;
        struct random random = { test_random_fill, &seed };
        cleanup_with(passages_freep) struct dht_passages *passages = dht_passages_new(&random);
        struct key target = key_of(1), other = key_of(2);

        dht_passages_add(passages, 5, target.bytes, &home, 0);
        check(dht_passages_has(passages, 5, target.bytes, &home, SECONDS(9)));
        check(!dht_passages_has(passages, 6, target.bytes, &home, SECONDS(9)));
        check(!dht_passages_has(passages, 5, other.bytes, &home, SECONDS(9)));
        check(!dht_passages_has(passages, 5, target.bytes, &loopback, SECONDS(9)));
        check(!dht_passages_has(passages, 5, target.bytes, &home, SECONDS(10)));
        dht_passages_add(passages, 5, target.bytes, &home, SECONDS(10));        /* a retransmission */
        check(dht_passages_has(passages, 5, target.bytes, &home, SECONDS(19)));
        for (unsigned i = 0; i < DHT_PASSAGES_MAX; i++)
                dht_passages_add(passages, (uint16_t)i, other.bytes, &home, SECONDS(11));
        check(!dht_passages_has(passages, 5, target.bytes, &home, SECONDS(11)));
}
