/* SPDX-License-Identifier: BSD-3-Clause */
/* Distances and the routing table, on the reference's nodes (tests/vectors/dht.json routingTable) and on made ones. */
#include "dht_table.h"

#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "rpc_message.h"
#include "test.h"
#include "vectors.h"

static void table_freep(struct dht_table **table)
{
        dht_table_free(*table);
}

#define TABLE cleanup_with(table_freep) struct dht_table *

static struct addr numbered(unsigned number)
{
        return (struct addr){ .ip = { 80, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number }, .port = 40000 };
}

static struct dht_node *insert(struct dht_table *table, const struct addr *addr, uint32_t tick)
{
        uint8_t id[DHT_ID_BYTES];

        rpc_node_id(addr, id);
        return dht_table_insert(table, addr, id, tick);
}

TEST(dht_distance_orders_by_xor)
{
        uint8_t target[DHT_ID_BYTES] = { 0xf0 }, near[DHT_ID_BYTES] = { 0xf1 }, far[DHT_ID_BYTES] = { 0x70 };

        check(dht_id_compare(target, near, far) < 0);
        check(dht_id_compare(target, far, near) > 0);
        check_equal(dht_id_compare(target, far, far), 0);
        check_equal(dht_id_shared_bits(target, near), 7);
        check_equal(dht_id_shared_bits(target, far), 0);
        check_equal(dht_id_shared_bits(far, far), DHT_ID_BITS);
        near[31] = far[31] = 0;
        memcpy(near, target, sizeof(near));
        near[31] ^= 1;
        check_equal(dht_id_shared_bits(target, near), DHT_ID_BITS - 1);
}

/* True order, where the JavaScript table only approximates it. */
TEST(dht_table_finds_the_nearest_of_the_references_nodes)
{
        json_t *root = vector_at(vectors("dht.json"), "routingTable"), *row, *text;
        uint8_t id[DHT_ID_BYTES];
        size_t i, k;

        vector_bytes(root, "id", id, sizeof(id));
        TABLE table = dht_table_new(id);
        json_array_foreach(vector_at(root, "nodes"), i, row) {
                struct addr addr = { .ip = { 198, 51, 100, (uint8_t)(i + 1) }, .port = (uint16_t)vector_number(row, "port") };
                struct dht_node *node = insert(table, &addr, 1);

                check(node);
                vector_bytes(row, "id", id, sizeof(id));
                check_bytes(node->id, id, sizeof(id));
                check_equal(dht_id_shared_bits(dht_table_id(table), id), vector_number(row, "bucket"));
        }
        json_array_foreach(vector_at(root, "closest"), i, row) {
                const struct dht_node *nodes[DHT_BUCKET_NODES];
                uint8_t target[DHT_ID_BYTES];
                char addr[ADDR_TEXT_MAX];

                vector_bytes(row, "target", target, sizeof(target));
                check_equal(dht_table_closest(table, target, nodes, DHT_BUCKET_NODES), DHT_BUCKET_NODES);
                json_array_foreach(vector_at(row, "xorOrder"), k, text) {
                        addr_text(&nodes[k]->addr, addr);
                        check(strcmp(addr, json_string_value(text)) == 0);
                }
        }
}

/* What all nodes say, one by one, about what the buckets say. */
TEST(dht_table_finds_the_nearest_for_any_target)
{
        uint64_t seed = 7;
        struct random random = { test_random_fill, &seed };
        uint8_t id[DHT_ID_BYTES] = { 0x55 };
        TABLE table = dht_table_new(id);

        for (unsigned i = 0; i < 500; i++)
                insert(table, &(struct addr){ { 80, 1, (uint8_t)(i >> 8), (uint8_t)i }, 40000 }, 1);
        for (unsigned n = 0; n < 600; n++) {
                const struct dht_node *nearest[DHT_BUCKET_NODES];
                size_t max = 1 + n % DHT_BUCKET_NODES, count;
                uint8_t target[DHT_ID_BYTES];
                unsigned nearer = 0;

                memcpy(target, id, sizeof(target));     /* from somewhere in the network to our own place in it */
                random_fill(&random, target + n % 4, sizeof(target) - n % 4);
                count = dht_table_closest(table, target, nearest, max);
                check_equal(count, max);
                for (size_t i = 1; i < count; i++)
                        check(dht_id_compare(target, nearest[i - 1]->id, nearest[i]->id) < 0);
                for (struct dht_node *node = NULL; (node = dht_table_newer(table, node));)
                        nearer += dht_id_compare(target, node->id, nearest[count - 1]->id) < 0;
                check_equal(nearer, count - 1);
        }
}

TEST(dht_table_keeps_a_full_bucket_and_its_own_id_out)
{
        uint8_t id[DHT_ID_BYTES] = { 0 };
        TABLE table = dht_table_new(id);
        unsigned refused = 0, first = 0;

        for (unsigned i = 0; i < 2000; i++) {
                struct addr addr = numbered(i);
                struct dht_node *node = insert(table, &addr, 1);

                refused += !node;
                first += node && dht_id_shared_bits(id, node->id) == 0;
        }
        check_equal(first, DHT_BUCKET_NODES);
        check_equal(dht_table_count(table) + refused, 2000);
        check(!dht_table_insert(table, &(struct addr){ .port = 1 }, id, 1));
}

TEST(dht_table_names_who_should_prove_itself_first)
{
        uint8_t id[DHT_ID_BYTES] = { 0 };
        TABLE table = dht_table_new(id);
        struct dht_node *oldest = NULL, *node;
        struct addr addr;
        unsigned i = 0;

        do {
                addr = numbered(i++);
                node = insert(table, &addr, 1);
                if (node && dht_id_shared_bits(id, node->id) == 0 && !oldest)
                        oldest = node;
                else if (node)
                        node->pinged = 2;
        } while (node);
        rpc_node_id(&addr, id);
        check(oldest && dht_table_rival(table, id, 3) == oldest);
        check(dht_table_rival(table, id, 1) != oldest);         /* it was pinged in this very tick */
        dht_table_remove(table, oldest);
        check(!dht_table_rival(table, id, 3));
        check(insert(table, &addr, 3));
}

TEST(dht_table_remembers_in_which_order_it_heard)
{
        uint8_t id[DHT_ID_BYTES] = { 0 };
        TABLE table = dht_table_new(id);
        struct dht_node *nodes[3];
        uint64_t seed = 1;
        struct random random = { test_random_fill, &seed };

        check(!dht_table_random(table, &random) && !dht_table_newer(table, NULL));
        for (unsigned i = 0; i < 3; i++) {
                struct addr addr = numbered(i);

                nodes[i] = insert(table, &addr, i);
        }
        nodes[0]->doubted = true;
        dht_table_touch(table, nodes[0], 9);
        check(!nodes[0]->doubted && nodes[0]->seen == 9 && nodes[0]->pinged == 9 && nodes[0]->added == 0);
        check(dht_table_newer(table, NULL) == nodes[1]);
        check(dht_table_newer(table, nodes[1]) == nodes[2]);
        check(dht_table_newer(table, nodes[2]) == nodes[0]);
        check(!dht_table_newer(table, nodes[0]));
        check(dht_table_older(table, NULL) == nodes[0]);
        check(dht_table_random(table, &random));
}

TEST(dht_table_renamed_sorts_anew_and_keeps_who_was_heard_last)
{
        uint8_t id[DHT_ID_BYTES] = { 0 }, own[DHT_ID_BYTES];
        struct addr ours = numbered(7);
        TABLE table = dht_table_new(id);
        const struct dht_node *closest[100];
        unsigned kept = 0;

        for (unsigned i = 0; i < 200; i++)
                insert(table, &(struct addr){ { 80, 0, 0, (uint8_t)i }, 40000 }, i);
        kept = (unsigned)dht_table_count(table);
        check(dht_table_find(table, (rpc_node_id(&ours, own), own)));
        dht_table_rename(table, own);
        check(!dht_table_find(table, own));
        check_bytes(dht_table_id(table), own, sizeof(own));
        check(dht_table_count(table) < kept && dht_table_count(table) >= 2 * DHT_BUCKET_NODES);
        check_equal(dht_table_closest(table, own, closest, 100), dht_table_count(table));
        for (size_t i = 0; i < dht_table_count(table); i++)
                check(dht_table_find(table, closest[i]->id) == closest[i]);
        check(dht_table_older(table, NULL)->added > dht_table_newer(table, NULL)->added);
}
