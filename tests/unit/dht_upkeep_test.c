/* SPDX-License-Identifier: BSD-3-Clause */
/* Who stays in the table, and what is left of it when nobody answers any more. */
#include <stdlib.h>
#include <string.h>

#include "dht_id.h"
#include "dht_world.h"

enum { NODES = 30, DEAD = 24, MANY = 80, AWAY = 200 }; /* those of world_honest(), most of them, with others, and one more */

static bool dead[256];

/* Thirty nodes that all know each other, and of which some are dead. */
static bool some_dead(struct world *w, const struct asked *asked, struct rpc_message *out)
{
        return !dead[asked->to.ip[2]] && world_honest(w, asked, out);
}

static struct world *world_of_some(void)
{
        struct world *w;

        memset(dead, 0, sizeof(dead));
        w = world_new(some_dead, world_boot());
        world_run(w, SECONDS(10));
        return w;
}

static bool knows(const struct world *w, unsigned number)
{
        struct addr known[DHT_KNOWN_MAX], addr = world_addr(number);
        size_t count = dht_known(w->dht, known, DHT_KNOWN_MAX);

        for (size_t i = 0; i < count; i++)
                if (addr_equal(&known[i], &addr))
                        return true;
        return false;
}

static size_t nodes_of(const struct world *w)
{
        struct dht_stats stats;

        dht_stats(w->dht, &stats);
        return stats.nodes;
}

static void lookup(struct world *w, const uint8_t target[DHT_TARGET_BYTES])
{
        check(dht_query(w->dht, &(struct dht_query_spec){ .operation = DHT_LOOKUP, .target = target }, &w->now));
}

/* Time passes without an end of requests. */
static void run_long(struct world *w, unsigned minutes)
{
        for (unsigned i = 0; i < minutes; i++) {
                w->asked_count = w->answered_count = 0;
                world_run(w, MINUTES(1));
        }
        w->asked_count = w->answered_count = 0;
}

TEST(dht_checks_a_node_that_left_a_query_unanswered)
{
        cleanup_with(world_free) struct world *w = world_of_some();
        struct addr addr = world_addr(7);
        uint8_t target[DHT_TARGET_BYTES];
        size_t from;

        rpc_node_id(&addr, target);
        check(knows(w, 7));
        dead[7] = true;
        from = w->asked_count;
        lookup(w, target);
        world_run(w, SECONDS(8));               /* the query waits for its second send, the check for two more */
        check(world_last(w, DHT_QUERY_DONE));
        check_equal(world_sent(w, from, true, RPC_PING, &addr), 2);
        check(!knows(w, 7));
}

static int by_distance(const void *a, const void *b, void *target)
{
        uint8_t ids[2][DHT_TARGET_BYTES];
        struct addr addrs[2] = { world_addr(*(const unsigned *)a), world_addr(*(const unsigned *)b) };

        rpc_node_id(&addrs[0], ids[0]);
        rpc_node_id(&addrs[1], ids[1]);
        return dht_id_compare(target, ids[0], ids[1]);
}

/* All that a query asks are dead, so that it waits for all their sends. Others answer meanwhile. */
TEST(dht_forgets_at_once_who_never_answers_a_query)
{
        cleanup_with(world_free) struct world *w = world_of_some();
        uint8_t near[DHT_TARGET_BYTES] = { 0x42 }, far[DHT_TARGET_BYTES];
        struct addr farthest;
        unsigned order[NODES], found = 0;

        for (unsigned i = 0; i < NODES; i++)
                order[i] = i;
        qsort_r(order, NODES, sizeof(order[0]), by_distance, near);
        for (unsigned i = 0; i < DEAD; i++)
                dead[order[i]] = true;
        lookup(w, near);
        world_run(w, SECONDS(3));
        farthest = world_addr(order[NODES - 1]);
        rpc_node_id(&farthest, far);
        lookup(w, far);
        world_run(w, SECONDS(4) + MSEC(1));     /* ten were asked at first, the others when those were slow */
        for (unsigned i = 0; i < DEAD; i++)
                found += !knows(w, order[i]);
        check(found >= DHT_K);
}

/* Its cable was pulled, and when it is back the nodes it was born among are no more. */
TEST(dht_keeps_its_table_through_an_outage_and_comes_back_without_bootstrap_nodes)
{
        cleanup_with(world_free) struct world *w = world_of_some();
        uint8_t target[DHT_TARGET_BYTES] = { 0x42 };
        size_t count = nodes_of(w);

        check(count > DHT_K && knows(w, 0));
        memset(dead, 1, sizeof(dead));
        run_long(w, 120);
        check_equal(nodes_of(w), count);
        world_run(w, MINUTES(1));
        check(w->asked_count >= 60 && w->asked_count <= 1500);   /* it goes on asking, but not like mad */
        memset(dead, 0, sizeof(dead));
        dead[0] = true;
        w->asked_count = w->answered_count = w->event_count = 0;
        world_run(w, SECONDS(10));
        lookup(w, target);
        world_run(w, SECONDS(2));
        check(world_last(w, DHT_QUERY_DONE)->closest_count == DHT_K);
        world_run(w, MINUTES(10));
        check(!knows(w, 0) && nodes_of(w) > DHT_K);     /* the one that is down for good is found out now */
}

/* Those it knew were all started anew elsewhere; a bootstrap node knows where. */
TEST(dht_asks_bootstrap_nodes_though_its_table_is_full_when_nobody_there_answers)
{
        cleanup_with(world_free) struct world *w = world_of_some();

        memset(dead, 1, sizeof(dead));
        run_long(w, 10);
        check(nodes_of(w) > DHT_K);
        dead[0] = false;
        world_run(w, SECONDS(30));
        check(nodes_of(w) == 1 && knows(w, 0));
}

/* It was away when we started, so that it never was in the table. */
TEST(dht_asks_those_it_was_told_about_at_the_start_when_all_others_are_gone)
{
        cleanup_with(world_free) struct world *w = world_of_some();
        struct addr away = world_addr(AWAY);

        dead[AWAY] = true;
        dht_set_known(w->dht, &away, 1, &w->now);
        world_run(w, MINUTES(1));
        check(!knows(w, AWAY));
        memset(dead, 1, sizeof(dead));
        run_long(w, 10);
        dead[AWAY] = false;
        world_run(w, SECONDS(30));
        check(knows(w, AWAY));
}

/* --- What others say --- */

static void receive(struct world *w, const struct addr *from, struct rpc_message message)
{
        uint8_t bytes[RPC_DATAGRAM_MAX];

        message.internal = true;
        message.to = (struct addr){ { 90, 1, 1, 1 }, CLIENT_PORT };
        dht_receive(w->dht, CLIENT, from, bytes, rpc_message_write(&message, bytes, sizeof(bytes)), &w->now);
        world_run(w, MSEC(10));
}

static void hint(struct world *w, const struct addr *down)
{
        struct addr stranger = { { 85, 1, 1, 1 }, 4000 };
        uint8_t value[RPC_ADDR_BYTES] = { down->ip[0], down->ip[1], down->ip[2], down->ip[3], (uint8_t)down->port,
                                          (uint8_t)(down->port >> 8) };
        size_t from = w->asked_count, answers = 0;

        receive(w, &stranger, (struct rpc_message){ .command = RPC_DOWN_HINT, .value = value, .value_len = sizeof(value) });
        for (size_t i = from; i < w->asked_count; i++)
                answers += addr_equal(&w->asked[i].to, &stranger) && w->asked[i].message.type == RPC_TYPE_RESPONSE;
        check_equal(answers, 1);
}

TEST(dht_looks_itself_whether_a_node_is_down_that_is_said_to_be)
{
        cleanup_with(world_free) struct world *w = world_of_some();
        struct addr down = world_addr(7), up = world_addr(8), unknown = world_addr(AWAY);
        size_t from = w->asked_count;

        check(knows(w, 7) && knows(w, 8));
        dead[7] = true;
        hint(w, &down);
        hint(w, &up);
        hint(w, &unknown);
        world_run(w, SECONDS(9));               /* all sends, and another node's word that it is not us who is cut off */
        check(!knows(w, 7) && knows(w, 8));
        check_equal(world_sent(w, from, true, RPC_PING, &down), RPC_RETRIES + 1);
        check(world_sent(w, from, true, RPC_PING, &up) >= 1);
        check_equal(world_sent(w, from, true, RPC_PING, &unknown), 0);
        from = w->asked_count;
        hint(w, &down);                         /* gone already */
        check_equal(world_sent(w, from, true, RPC_PING, &down), 0);
}

/* So that nobody can make us ping everybody: ten at once, dht-rpc index.js _ondownhint(). */
TEST(dht_looks_for_ten_nodes_at_once_however_many_are_said_to_be_down)
{
        cleanup_with(world_free) struct world *w = world_of_some();
        size_t from = w->asked_count, pinged = 0;

        memset(dead, 1, sizeof(dead));
        for (unsigned i = 0; i < NODES; i++) {
                struct addr addr = world_addr(i);

                hint(w, &addr);
        }
        world_run(w, MSEC(500));
        for (unsigned i = 0; i < NODES; i++) {
                struct addr addr = world_addr(i);

                pinged += world_sent(w, from, true, RPC_PING, &addr) > 0;
        }
        check_equal(pinged, 10);
}

/* Asks us something, so that it is looked at. */
static void introduce(struct world *w, unsigned number)
{
        struct addr addr = world_addr(number);
        uint8_t id[RPC_ID_BYTES];

        rpc_node_id(&addr, id);
        receive(w, &addr, (struct rpc_message){ .command = RPC_PING, .id = id });
}

/* Its pings over, and the next ones far away. */
static void wait_for_quiet(struct world *w)
{
        size_t from = w->asked_count;

        while (world_sent(w, from, true, RPC_PING, NULL) == 0)
                world_run(w, SECONDS(1));
        world_run(w, SECONDS(7));
}

/* Node 7 is said to be down while nobody at all answers. Returns who was asked whether anybody does, once 7 had its sends. */
static unsigned witness_against_seven(struct world *w, size_t *from_out)
{
        struct addr seven = world_addr(7);
        unsigned witness = 0;

        wait_for_quiet(w);
        memset(dead, 1, sizeof(dead));
        *from_out = w->asked_count;
        hint(w, &seven);
        world_run(w, MSEC(3700));
        check_equal(world_sent(w, *from_out, true, RPC_PING, &seven), RPC_RETRIES + 1);
        check_equal(world_sent(w, *from_out, true, RPC_PING, NULL), RPC_RETRIES + 2);
        for (size_t i = *from_out; i < w->asked_count; i++)
                if (w->asked[i].message.command == RPC_PING && w->asked[i].to.ip[2] != 7)
                        witness = w->asked[i].to.ip[2];
        check(witness && knows(w, 7) && knows(w, witness));
        return witness;
}

TEST(dht_gives_a_node_up_when_another_one_answers)
{
        cleanup_with(world_free) struct world *w = world_of_some();
        size_t from;

        dead[witness_against_seven(w, &from)] = false;
        check(knows(w, 7));
        world_run(w, SECONDS(1));               /* the witness's second send */
        check(!knows(w, 7));
}

TEST(dht_gives_nobody_up_when_nobody_answers)
{
        cleanup_with(world_free) struct world *w = world_of_some();
        struct addr seven = world_addr(7);
        size_t from;
        unsigned witness = witness_against_seven(w, &from);

        world_run(w, SECONDS(5));
        check(knows(w, 7) && knows(w, witness));
        memset(dead, 0, sizeof(dead));
        hint(w, &seven);
        world_run(w, SECONDS(1));
        check(knows(w, 7));
}

TEST(dht_gives_up_no_node_that_is_heard_before_the_witness)
{
        cleanup_with(world_free) struct world *w = world_of_some();
        size_t from;
        unsigned witness = witness_against_seven(w, &from);

        introduce(w, 7);
        dead[witness] = false;
        world_run(w, SECONDS(2));
        check(knows(w, 7));
}

TEST(dht_gives_a_newcomer_the_place_of_a_dead_node_only)
{
        cleanup_with(world_free) struct world *w = world_of_some();
        struct addr known[DHT_KNOWN_MAX];
        unsigned refused = 0;
        size_t count;

        for (unsigned i = NODES; i < MANY; i++)
                introduce(w, i);
        for (unsigned i = NODES; i < MANY; i++)
                refused = knows(w, i) ? refused : i;
        check(refused && nodes_of(w) < DHT_KNOWN_MAX);
        world_run(w, SECONDS(6));               /* a swap is not tried twice in a tick */
        introduce(w, refused);
        world_run(w, SECONDS(6));
        check(!knows(w, refused));              /* its bucket is full, and whoever could leave it is well */
        count = dht_known(w->dht, known, DHT_KNOWN_MAX);
        for (size_t i = 3; i < count; i++)      /* all but those heard last */
                dead[known[i].ip[2]] = true;
        introduce(w, refused);
        world_run(w, SECONDS(10));
        check(knows(w, refused));
}

/* --- Sleep --- */

/* Half of those it knew are gone when it wakes. */
TEST(dht_that_slept_looks_at_its_table_and_walks_anew_within_three_ticks)
{
        cleanup_with(world_free) struct world *w = world_of_some();
        size_t from;

        wait_for_quiet(w);
        for (unsigned i = 0; i < NODES; i += 2)
                dead[i] = true;
        w->now.boot_us += MINUTES(10);
        w->now.wall_us += MINUTES(10);
        from = w->asked_count;
        world_run(w, SECONDS(15));
        check(world_sent(w, from, true, RPC_PING, NULL) >= 5);
        check(world_sent(w, from, true, RPC_FIND_NODE, NULL) >= DHT_K / 2);
}

/* --- Our own address --- */

enum { LIARS = 40 };

static const struct addr lie = { { 66, 6, 6, 6 }, 666 };

/* A /24 of liars is known to everybody. */
static bool some_lie(struct world *w, const struct asked *asked, struct rpc_message *out)
{
        static unsigned next;
        struct addr addrs[DHT_K];

        if (asked->to.ip[0] == 99)
                out->to = lie;
        for (unsigned i = 0; i < 2; i++)
                addrs[i] = (struct addr){ { 99, 9, 9, (uint8_t)(1 + next++ % LIARS) }, SERVER_PORT };
        for (unsigned i = 2; i < DHT_K; i++)
                addrs[i] = world_addr((asked->to.ip[2] + i) % NODES);
        if (asked->message.target)
                world_name(w, out, addrs, DHT_K);
        return true;
}

TEST(dht_gives_one_network_one_vote_about_its_address)
{
        WORLD(w, some_lie, world_boot());
        struct addr seen;
        size_t heard = 0;

        world_run(w, SECONDS(5));
        for (unsigned i = 0; i < 30; i++) {
                uint8_t target[DHT_TARGET_BYTES];

                test_random_fill(&w->seed, target, sizeof(target));
                lookup(w, target);
                world_run(w, SECONDS(1));
        }
        for (size_t i = 0; i < w->asked_count; i++)
                heard += w->asked[i].to.ip[0] == 99;
        check(heard >= LIARS);
        check(dht_public_addr(w->dht, &seen));
        check(seen.ip[0] == 90 && seen.port == CLIENT_PORT);
}
