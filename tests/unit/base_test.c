/* SPDX-License-Identifier: BSD-3-Clause */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "bytes.h"
#include "heap.h"
#include "list.h"
#include "map.h"
#include "random.h"

TEST(reader_fails_once_and_for_good)
{
        uint8_t bytes[] = { 1, 2, 3, 4, 5 };
        struct reader r = reader_over(bytes, sizeof(bytes));

        check_equal(read_u32le(&r), 0x04030201);
        check(!r.failed);
        check_equal(read_u16be(&r), 0);
        check(r.failed);
        check_equal(read_u8(&r), 0); /* a byte is left, but the reader has failed */
        check(!read_bytes(&r, 0));
}

TEST(writer_mirrors_reader)
{
        uint8_t bytes[21];
        struct writer w = writer_over(bytes, sizeof(bytes));
        struct reader r;

        write_u8(&w, 7);
        write_u16be(&w, 0x1234);
        write_u24le(&w, 0xabcdef);
        write_u32be(&w, 0xdeadbeef);
        write_u64le(&w, 0x0102030405060708);
        check_equal(writer_len(&w), 18);
        write_u32le(&w, 1);
        check(w.failed);
        check_equal(writer_len(&w), 18);
        write_u8(&w, 1);
        check_equal(writer_len(&w), 18);

        r = reader_over(bytes, writer_len(&w));
        check_equal(read_u8(&r), 7);
        check_equal(read_u16be(&r), 0x1234);
        check_equal(read_u24le(&r), 0xabcdef);
        check_equal(read_u32be(&r), 0xdeadbeef);
        check(read_u64le(&r) == 0x0102030405060708);
        check(!r.failed && reader_left(&r) == 0);
}

struct item {
        struct map_entry in_map;
        struct heap_entry in_heap;
        struct list in_list;
        uint32_t value;
};

TEST(siphash_gives_the_published_vector)
{
        struct map map;
        uint8_t key[16], message[15];

        for (uint8_t i = 0; i < 16; i++)
                key[i] = i;
        for (uint8_t i = 0; i < 15; i++)
                message[i] = i;
        map_init(&map, key); /* the paper's appendix A */
        check(map_hash(&map, message, sizeof(message)) == 0xa129ca6149be45e5);
}

TEST(map_finds_what_it_holds_and_nothing_else)
{
        static struct item items[1000];
        uint8_t key[16] = { 9 };
        struct map map;
        size_t walked = 0;

        map_init(&map, key);
        for (uint32_t i = 0; i < ARRAY_LEN(items); i++) {
                items[i].value = i;
                check_equal(map_insert(&map, &items[i].in_map, map_hash(&map, &i, sizeof(i))), 0);
        }
        for (uint32_t i = 0; i < ARRAY_LEN(items); i += 2)
                map_remove(&map, &items[i].in_map);
        for (uint32_t i = 0; i < ARRAY_LEN(items); i++) {
                struct map_entry *entry = map_first(&map, map_hash(&map, &i, sizeof(i)));

                check((entry != NULL) == (i % 2 == 1));
                check(!entry || container_of(entry, struct item, in_map)->value == i);
        }
        for (struct map_entry *entry = map_walk(&map, NULL); entry; entry = map_walk(&map, entry))
                walked++;
        check_equal(walked, 500);
        map_fini(&map);
}

TEST(heap_yields_in_order_whatever_moves)
{
        static struct item items[2000];
        struct heap heap = { 0 };
        uint64_t seed = 42;
        struct random random = { test_random_fill, &seed };
        usec_t last = 0;
        size_t popped = 0;

        memset(items, 0, sizeof(items));
        for (size_t i = 0; i < ARRAY_LEN(items); i++)
                heap_insert(&heap, &items[i].in_heap, random_below(&random, 1000));
        for (size_t i = 0; i < ARRAY_LEN(items); i += 3)
                heap_set(&heap, &items[i].in_heap, i % 2 ? USEC_NEVER : random_below(&random, 1000));
        for (struct heap_entry *entry; (entry = heap_pop_due(&heap, 999)); popped++) {
                check(entry->key_us >= last);
                check(!heap_holds(entry));
                last = entry->key_us;
                if (popped == 700) /* removing from the middle keeps the order */
                        for (size_t i = 1; i < ARRAY_LEN(items); i += 10)
                                heap_remove(&heap, &items[i].in_heap);
        }
        check(popped > 1300);
        check(heap_deadline(&heap) == USEC_NEVER);
}

TEST(list_survives_removal_while_walking)
{
        struct item items[5] = { 0 };
        struct list head;
        int seen = 0;

        list_init(&head);
        for (size_t i = 0; i < ARRAY_LEN(items); i++)
                list_push_back(&head, &items[i].in_list);
        list_for_each(at, &head) {
                seen++;
                list_remove(at);
        }
        check_equal(seen, 5);
        check(list_empty(&head));
}

TEST(addresses_print_and_classify)
{
        char text[ADDR_TEXT_MAX];
        struct addr addr = { { 255, 255, 255, 255 }, 65535 };

        check_equal(addr_text(&addr, text), 21);
        check(strcmp(text, "255.255.255.255:65535") == 0);
        check(addr_is_unusable(&addr));
        addr = (struct addr){ { 100, 64, 0, 1 }, 1 };
        check(addr_is_private(&addr) && !addr_is_reserved(&addr) && !addr_is_unusable(&addr));
        addr = (struct addr){ { 100, 128, 0, 1 }, 1 };
        check(!addr_is_private(&addr));
        addr = (struct addr){ { 198, 19, 255, 1 }, 1 };
        check(addr_is_reserved(&addr));
        addr = (struct addr){ { 172, 32, 0, 1 }, 0 };
        check(!addr_is_private(&addr) && addr_is_unusable(&addr));
}
