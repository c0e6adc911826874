/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc_limit.h"

#include "cleanup.h"
#include "test.h"

static const struct addr host = { { 198, 51, 100, 1 }, 1 };
static const struct addr local = { { 127, 0, 0, 1 }, 1 };

#define MAKE(name)                                                      \
        uint64_t name##_seed = 1;                                       \
        struct random name##_random = { test_random_fill, &name##_seed }; \
        cleanup_with(rpc_limit_fini) struct rpc_limit name;             \
        rpc_limit_init(&name, &name##_random)

static struct addr host_number(uint32_t n)
{
        return (struct addr){ { (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n }, 1 };
}

TEST(rpc_limit_allows_a_steady_rate_for_ever)
{
        MAKE(limit);

        for (usec_t now_us = SECONDS(1); now_us < SECONDS(60); now_us += SECONDS(1) / RPC_REQUESTS_PER_S)
                check(rpc_limit_request(&limit, &host, now_us));
}

TEST(rpc_limit_cuts_a_flood_to_the_rate)
{
        MAKE(limit);
        unsigned allowed = 0;

        for (usec_t now_us = SECONDS(1); now_us < SECONDS(11); now_us += 100)
                allowed += rpc_limit_request(&limit, &host, now_us);
        check(allowed <= (10 + 2) * RPC_REQUESTS_PER_S && allowed >= (10 + 2) * RPC_REQUESTS_PER_S - 1);
}

TEST(rpc_limit_of_a_network_holds_its_hosts_together)
{
        MAKE(limit);
        unsigned allowed = 0;

        for (unsigned round = 0; round < 100; round++)
                for (uint32_t n = 0; n < 200; n++) {
                        struct addr from = host_number(0xc6336400 + n);

                        allowed += rpc_limit_request(&limit, &from, SECONDS(1));
                }
        check_equal(allowed, 2 * RPC_NETWORK_PER_S);
}

TEST(rpc_limit_of_each_cost_is_its_own)
{
        static const unsigned expected[RPC_COSTS] = { 2 * RPC_SIGNATURES_PER_S, 2 * RPC_RELAYS_PER_S, 2 * RPC_DELAYS_PER_S };
        MAKE(limit);

        for (unsigned cost = 0; cost < RPC_COSTS; cost++) {
                unsigned allowed = 0;

                for (unsigned i = 0; i < 1000; i++)
                        allowed += rpc_limit_cost(&limit, &host, (enum rpc_cost)cost, SECONDS(1));
                check_equal(allowed, expected[cost]);
        }
        check(rpc_limit_request(&limit, &host, SECONDS(1)));
}

TEST(rpc_limit_never_touches_loopback)
{
        MAKE(limit);

        for (unsigned i = 0; i < 10000; i++) {
                check(rpc_limit_request(&limit, &local, 0));
                check(rpc_limit_cost(&limit, &local, RPC_COST_DELAY, 0));
                check(rpc_limit_large(&limit, &local, 1400, 0));
                check(rpc_limit_reply(&limit, &local, 1400, 0));
        }
        check(!limit.entries);                  /* and needs no memory for it */
}

static uint64_t reply_to_many(struct rpc_limit *limit)
{
        uint64_t bytes = 0;

        for (uint32_t n = 0; n < 100000; n++) {
                struct addr to = host_number(0x0b000000 + 256 * n);

                bytes += rpc_limit_reply(limit, &to, 1000, SECONDS(1)) ? 1000 : 0;
        }
        return bytes;
}

/* Strangers, who may all be forged, get three quarters of it. What is left is for hosts that have answered us. */
TEST(rpc_limit_bounds_reply_bytes_in_all_and_keeps_some_for_the_reachable)
{
        const uint64_t all = 2 * RPC_REPLY_BYTES_PER_S;
        MAKE(limit);
        uint64_t bytes = reply_to_many(&limit);
        struct addr stranger = host_number(0x50000001);

        check(bytes <= all / 400 * 303 && bytes >= all / 400 * 297);
        check(!rpc_limit_reply(&limit, &host, 1000, SECONDS(1)));
        rpc_limit_reachable(&limit, &host, SECONDS(1));
        while (rpc_limit_reply(&limit, &host, 1000, SECONDS(1)))
                bytes += 1000;
        check(bytes <= all / 100 * 101 && bytes >= all / 100 * 99);
        check(rpc_limit_request(&limit, &stranger, SECONDS(3)));
}

/* A request that could not be answered is not even looked at. */
TEST(rpc_limit_turns_strangers_away_while_nothing_may_be_said)
{
        MAKE(limit);
        struct addr stranger = host_number(0x50000001);

        rpc_limit_reachable(&limit, &host, SECONDS(1));
        check(rpc_limit_request(&limit, &stranger, SECONDS(1)));
        for (size_t len = 1000; len > 4; len -= 5)      /* 5 bytes take a microsecond */
                while (rpc_limit_reply(&limit, &stranger, len, SECONDS(1)))
                        ;
        check(!rpc_limit_request(&limit, &stranger, SECONDS(1)));
        check(rpc_limit_request(&limit, &host, SECONDS(1)));
        check(rpc_limit_request(&limit, &stranger, SECONDS(1) + MSEC(1)));
}

TEST(rpc_limit_names_all_nodes_to_a_network_only_so_often)
{
        MAKE(limit);
        unsigned allowed = 0;

        for (uint32_t n = 0; n < 2560; n++) {
                struct addr to = host_number(0xc6336400 + n % 256);

                allowed += rpc_limit_full(&limit, &to, SECONDS(1));
        }
        check_equal(allowed, 2 * RPC_FULL_PER_S);
        rpc_limit_reachable(&limit, &host, SECONDS(1));
        check(rpc_limit_full(&limit, &host, SECONDS(1)) && rpc_limit_full(&limit, &local, SECONDS(1)));
        check(rpc_limit_full(&limit, &(struct addr){ { 198, 51, 101, 1 }, 1 }, SECONDS(1)));
}

TEST(rpc_limit_bounds_large_replies_per_network_and_in_all)
{
        MAKE(limit);
        unsigned allowed = 0;

        for (uint32_t n = 0; n < 256; n++) {
                struct addr to = host_number(0xc6336400 + n);

                allowed += rpc_limit_large(&limit, &to, 1000, SECONDS(1));
        }
        check_equal(allowed, RPC_LARGE_PER_S);
        for (uint32_t n = 0; n < 5000; n++) {
                struct addr to = host_number(0x0b000000 + 256 * n);

                allowed += rpc_limit_large(&limit, &to, 1000, SECONDS(1));
        }
        check(allowed <= RPC_LARGE_BYTES_PER_MIN / 1000 && allowed > RPC_LARGE_BYTES_PER_MIN / 1000 - 10);
}

TEST(rpc_limit_trusts_a_reachable_host_for_a_minute)
{
        MAKE(limit);
        struct addr neighbour = { { 198, 51, 100, 2 }, 1 };

        while (rpc_limit_large(&limit, &neighbour, 1000, SECONDS(1)))
                ;
        check(!rpc_limit_large(&limit, &host, 1000, SECONDS(1)));
        rpc_limit_reachable(&limit, &host, SECONDS(1));
        for (unsigned i = 0; i < 5000; i++)
                check(rpc_limit_large(&limit, &host, 1000, SECONDS(1)));
        check(!rpc_limit_large(&limit, &neighbour, 1000, SECONDS(1)));
        check(rpc_limit_large(&limit, &host, 1000, SECONDS(60)));
        check(rpc_limit_large(&limit, &host, 1000, SECONDS(70)));
        check(rpc_limit_large(&limit, &host, 1000, SECONDS(70)) && rpc_limit_large(&limit, &host, 1000, SECONDS(70)) &&
              rpc_limit_large(&limit, &host, 1000, SECONDS(70)));
        check(!rpc_limit_large(&limit, &host, 1000, SECONDS(70)));     /* now as everybody */
}

/* A million forged sources take no more memory than one; a host that is heard again and again stays known all along. */
TEST(rpc_limit_forgets_the_longest_unheard_first)
{
        MAKE(limit);
        usec_t now_us = SECONDS(1);
        unsigned allowed = 0;

        rpc_limit_reachable(&limit, &host, now_us);
        for (uint32_t n = 0; n < 1000000; n++, now_us += 10) {
                struct addr from = host_number(0x0b000000 + 4096 * n);

                check(rpc_limit_request(&limit, &from, now_us));
                if (n % 1000 == 0)
                        allowed += rpc_limit_large(&limit, &host, 1000, now_us);
        }
        check_equal(allowed, 1000);
}

/* A few hundred hosts, all of whom count as reachable, in less than a tenth of what a flood may take. */
TEST(rpc_limit_takes_memory_as_there_are_hosts)
{
        MAKE(limit);

        for (uint32_t n = 0; n < 300; n++) {
                struct addr from = host_number(0x0b000000 + 4096 * n);

                rpc_limit_reachable(&limit, &from, SECONDS(1));
                check(rpc_limit_request(&limit, &from, SECONDS(1)));
        }
        check(limit.sets * RPC_LIMIT_WAYS < RPC_LIMIT_ENTRIES / 10);
        for (uint32_t n = 0; n < 300; n++) {
                struct addr from = host_number(0x0b000000 + 4096 * n);

                for (unsigned i = 0; i < 6; i++)        /* nobody was forgotten when it grew */
                        check(rpc_limit_large(&limit, &from, 1000, SECONDS(2)));
        }
}
