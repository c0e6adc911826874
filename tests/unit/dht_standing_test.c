/* SPDX-License-Identifier: BSD-3-Clause */
/* When a node becomes one that others count on, and when it no longer is. */
#include <string.h>

#include "dht_world.h"

static bool is_persistent(const struct world *w)
{
        struct dht_stats stats;

        dht_stats(w->dht, &stats);
        return stats.persistent;
}

static bool is_firewalled(const struct world *w)
{
        struct dht_stats stats;

        dht_stats(w->dht, &stats);
        return stats.firewalled;
}

/* The id in the requests since @from: all carry that of @addr, or (NULL) none. */
static void check_ids(const struct world *w, size_t from, const struct addr *addr)
{
        uint8_t id[RPC_ID_BYTES];

        check(w->asked_count > from);
        if (addr)
                rpc_node_id(addr, id);
        for (size_t i = from; i < w->asked_count; i++) {
                check_equal(w->asked[i].message.id != NULL, addr != NULL);
                if (addr)
                        check_bytes(w->asked[i].message.id, id, sizeof(id));
        }
}

/* What the node answers to a LOOKUP of a stranger's. */
static struct rpc_message lookup_at(struct world *w)
{
        struct addr stranger = { { 85, 1, 1, 1 }, 4000 };
        static const uint8_t topic[DHT_TARGET_BYTES] = { 1 };
        struct rpc_message message = { .command = 3, .target = topic, .to = { { 90, 1, 1, 1 }, SERVER_PORT } };
        uint8_t bytes[RPC_DATAGRAM_MAX];
        size_t from = w->asked_count;

        dht_receive(w->dht, SERVER, &stranger, bytes, rpc_message_write(&message, bytes, sizeof(bytes)), &w->now);
        world_run(w, MSEC(1));
        for (size_t i = from; i < w->asked_count; i++)
                if (addr_equal(&w->asked[i].to, &stranger))
                        return w->asked[i].message;
        check(false);
        return message;
}

static const struct addr home = { { 90, 1, 1, 1 }, SERVER_PORT }, away = { { 90, 2, 2, 2 }, SERVER_PORT };

TEST(dht_open_node_becomes_persistent_when_its_address_was_stable_for_twenty_minutes)
{
        struct dht_stats before, after;
        WORLD(w, world_honest, world_boot());
        size_t from;

        w->pongs_by = SERVER;
        world_run(w, MINUTES(19));
        check(!is_persistent(w) && !is_firewalled(w));
        check_equal(lookup_at(w).error, RPC_ERROR_UNKNOWN_COMMAND);
        check_ids(w, 0, NULL);
        dht_stats(w->dht, &before);
        world_run(w, MINUTES(2));
        check(is_persistent(w));
        dht_stats(w->dht, &after);
        check(after.nodes >= before.nodes && after.nodes >= 20);        /* sorted anew under the id, none lost */
        check(lookup_at(w).error == RPC_ERROR_NONE && lookup_at(w).token);
        from = w->asked_count;
        world_run(w, MINUTES(2));
        check_ids(w, from, &home);
}

TEST(dht_firewalled_node_stays_ephemeral)
{
        WORLD(w, world_honest, world_boot());

        world_run(w, MINUTES(90));
        check(!is_persistent(w) && is_firewalled(w));
        check(world_sent(w, 0, true, RPC_PING_NAT, NULL) >= 20);        /* it keeps trying, now and then */
        check(world_sent(w, 0, true, RPC_PING_NAT, NULL) <= 25);
}

TEST(dht_node_that_slept_is_ephemeral_again_for_an_hour)
{
        WORLD(w, world_honest, world_boot());
        size_t from;

        w->pongs_by = SERVER;
        world_run(w, MINUTES(21));
        check(is_persistent(w));
        dht_wake(w->dht, &w->now);
        check(!is_persistent(w));
        check_equal(lookup_at(w).error, RPC_ERROR_UNKNOWN_COMMAND);
        from = w->asked_count;
        world_run(w, MINUTES(59));
        check(!is_persistent(w) && !is_firewalled(w));
        check_ids(w, from, NULL);
        world_run(w, MINUTES(3));
        check(is_persistent(w));
}

/* Containers start and end, a VPN comes up: what strangers see stays as it was. Then it does not. */
TEST(dht_persistent_node_stays_it_while_interfaces_come_and_go_and_it_is_seen_where_it_was)
{
        WORLD(w, world_honest, world_boot());
        size_t from;

        w->pongs_by = SERVER;
        world_run(w, MINUTES(21));
        check(is_persistent(w));
        for (unsigned i = 0; i < 3; i++) {
                from = w->asked_count;
                dht_look_around(w->dht, &w->now);
                world_run(w, MINUTES(2));
                check(is_persistent(w) && !is_firewalled(w));
                check_ids(w, from, &home);
        }
        w->seen_as = away;
        dht_look_around(w->dht, &w->now);
        world_run(w, SECONDS(20));
        check(!is_persistent(w));
}

/* It came to another network, behind a NAT that keeps ports: what it sampled looks open, and is not. */
TEST(dht_node_that_woke_behind_a_firewall_does_not_believe_it_is_open)
{
        struct addr open;
        WORLD(w, world_honest, world_boot());

        w->pongs_by = SERVER;
        world_run(w, MINUTES(1));
        check(!is_firewalled(w));
        w->seen_as = away;
        w->pongs_by = CLIENT;
        dht_wake(w->dht, &w->now);
        world_run(w, MINUTES(10));
        check(is_firewalled(w) && !dht_open_addr(w->dht, &open));
}

/* Its router got another address from the provider; nothing here noticed but its relays. */
TEST(dht_persistent_node_whose_address_changes_takes_the_new_id_after_an_hour)
{
        uint8_t secret_key[64];
        WORLD(w, world_honest, world_boot());
        size_t from;

        world_key(secret_key);
        check(dht_listen(w->dht, secret_key, NULL, &w->now));
        w->pongs_by = SERVER;
        world_run(w, MINUTES(21));
        check(is_persistent(w));
        w->seen_as = away;
        world_run(w, MINUTES(10));
        check(!is_persistent(w));
        for (unsigned i = 0; i < 8; i++) {
                w->asked_count = w->answered_count = 0;
                world_run(w, MINUTES(10));
        }
        check(is_persistent(w));
        from = w->asked_count;
        world_run(w, MINUTES(1));
        check_ids(w, from, &away);
}
