/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is asked where it sees us, and when that is enough. */
#include <string.h>

#include "dht_world.h"

static bool dead[256], on_one_host;

/* Thirty nodes that all know each other; or that and their friends are all on one host. */
static bool some_answer(struct world *w, const struct asked *asked, struct rpc_message *out)
{
        struct addr addrs[8];

        if (!on_one_host)
                return !dead[asked->to.ip[2]] && world_honest(w, asked, out);
        for (uint16_t i = 0; i < 8; i++) {
                addrs[i] = world_addr(1);
                addrs[i].port = (uint16_t)(100 + i);
        }
        if (asked->message.target)
                world_name(w, out, addrs, 8);
        return true;
}

static struct world *world_of_thirty(void)
{
        struct world *w;

        memset(dead, 0, sizeof(dead));
        on_one_host = false;
        w = world_new(some_answer, world_boot());
        world_run(w, SECONDS(3));
        return w;
}

static size_t witnesses(const struct world *w)
{
        struct dht_sighting sightings[DHT_SIGHTINGS_MAX];

        return dht_sightings(w->dht, sightings);
}

TEST(dht_survey_asks_nobody_where_a_walk_has_heard_enough)
{
        cleanup_with(world_free) struct world *w = world_of_thirty();

        check(dht_is_surveyed(w->dht));
        check(witnesses(w) >= 4);
        check_equal(world_sent(w, 0, true, RPC_PING, NULL), 0);
}

TEST(dht_survey_asks_four_at_once_when_the_network_is_another_one)
{
        cleanup_with(world_free) struct world *w = world_of_thirty();
        size_t from = w->asked_count;

        dht_look_around(w->dht, &w->now);
        check(witnesses(w) == 0 && !dht_is_surveyed(w->dht));
        world_run(w, MSEC(50));
        check_equal(world_sent(w, from, true, RPC_PING, NULL), 4);
        check(witnesses(w) >= 4);
        check(dht_is_surveyed(w->dht));
        for (size_t i = from; i < w->asked_count; i++)
                for (size_t j = from; j < i; j++)
                        check(w->asked[i].message.command != RPC_PING || w->asked[j].message.command != RPC_PING ||
                              !addr_host_equal(&w->asked[i].to, &w->asked[j].to));
}

TEST(dht_survey_asks_others_in_place_of_the_dead)
{
        cleanup_with(world_free) struct world *w = world_of_thirty();

        for (unsigned i = 0; i < 256; i += 2)
                dead[i] = true;
        dht_look_around(w->dht, &w->now);
        world_run(w, SECONDS(20));
        check(witnesses(w) >= 4 && dht_is_surveyed(w->dht));
}

TEST(dht_survey_ends_when_nobody_else_is_there)
{
        cleanup_with(world_free) struct world *w = NULL;
        size_t from;

        memset(dead, 0, sizeof(dead));
        on_one_host = true;
        w = world_new(some_answer, world_boot());
        world_run(w, SECONDS(3));
        check(dht_is_surveyed(w->dht));
        from = w->asked_count;
        dht_look_around(w->dht, &w->now);
        world_run(w, MSEC(50));
        check_equal(world_sent(w, from, true, RPC_PING, NULL), 2);      /* the host, and the first one */
        check(dht_is_surveyed(w->dht));
}

TEST(dht_survey_is_made_anew_when_a_witness_sees_us_elsewhere_but_not_often)
{
        cleanup_with(world_free) struct world *w = world_of_thirty();
        struct addr node = world_addr(3);
        size_t from;

        w->seen_as = (struct addr){ { 99, 1, 1, 1 }, 1 };
        for (unsigned i = 0; i < 2; i++) {
                check(dht_ping(w->dht, &node, false, NULL, &w->now));
                world_run(w, MSEC(50));
        }
        from = w->asked_count;
        for (unsigned i = 0; i < 10; i++) {
                w->seen_as.port++;
                check(dht_ping(w->dht, &node, false, NULL, &w->now));
                world_run(w, MSEC(50));
        }
        check_equal(world_sent(w, from, true, RPC_PING, NULL), 10);
        check_equal(world_sent(w, 0, true, RPC_PING, NULL), 10 + 2 + 3);        /* @node was heard, and is one of the four */
        check(witnesses(w) >= 4);
}
