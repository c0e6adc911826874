/* SPDX-License-Identifier: BSD-3-Clause */
/* Buckets that have too few nodes. Who joins walks to its own id and gets to know those near it; of the far ones it meets those on its
 * way only, and so do its neighbours: without more, far parts of the network are known to the bootstrap nodes alone. The Kademlia paper
 * (2.3) has each bucket farther than the nearest neighbour refreshed at the start; here it is done for those that have few, one each
 * tick and again each minute, and a few answers will do. JavaScript nodes look for nodes near one they know already. */
#include "dht_private.h"

enum {
        HOLLOW = 3,                     /* fewer are too few: where a tenth dies each minute, three live to the next round but once in a thousand */
        WANTED = 5,
        TICKS_ROUND = 12,               /* between two rounds */
};

/* The first bucket from @from on that has few nodes though the network has many there: as many as beyond it, and we know so many. */
static unsigned hollow_from(const struct dht *dht, unsigned from)
{
        unsigned counts[DHT_ID_BITS];
        size_t beyond = dht_table_count(dht->table);

        dht_table_count_buckets(dht->table, counts);
        for (unsigned bits = 0; bits < DHT_ID_BITS; bits++) {
                beyond -= counts[bits];
                if (beyond < DHT_K)
                        break;
                if (bits >= from && counts[bits] < HOLLOW)
                        return bits;
        }
        return DHT_ID_BITS;
}

/* A random id that shares exactly @bits bits with ours. */
static void id_in_bucket(const struct dht *dht, unsigned bits, uint8_t out[DHT_ID_BYTES])
{
        const uint8_t *ours = dht_table_id(dht->table);
        unsigned byte = bits / 8;
        uint8_t mask = (uint8_t)(0xff00 >> bits % 8), flip = (uint8_t)(0x80 >> bits % 8);

        random_fill(&dht->random, out, DHT_ID_BYTES);
        memcpy(out, ours, byte);
        out[byte] = (uint8_t)((ours[byte] & mask) | (~ours[byte] & flip) | (out[byte] & ~(mask | flip)));
}

void dht_hollow_tick(struct dht *dht, const struct now *now)
{
        struct dht_upkeep *upkeep = &dht->upkeep;
        struct dht_query_spec spec = { .operation = DHT_FIND_NODE };
        uint8_t target[DHT_ID_BYTES];
        struct dht_query *query;
        unsigned bits;

        if (upkeep->tick < upkeep->hollow_tick || dht_is_alone(dht, now) || dht_upkeep_is_walking(dht))
                return;
        bits = hollow_from(dht, upkeep->hollow);
        upkeep->hollow = bits + 1;
        if (bits == DHT_ID_BITS) {
                upkeep->hollow = 0;
                upkeep->hollow_tick = upkeep->tick + TICKS_ROUND;
                return;
        }
        id_in_bucket(dht, bits, target);
        spec.target = target;
        query = dht_query_start(dht, &spec, DHT_FOR_TABLE, now);
        if (!query)
                return;
        query->background = true;
        query->enough = WANTED;
        query->enough_bits = bits + 1;
        dht_query_open(dht, query, now);
}
