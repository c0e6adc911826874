/* SPDX-License-Identifier: BSD-3-Clause */
/* What a node asks and believes: walks, announcements, its own address, its relays. */
#include <string.h>

#include "dht_record.h"
#include "dht_world.h"

static const uint8_t target[DHT_TARGET_BYTES] = { 0x42 };

static void lookup(struct world *w)
{
        check(dht_query(w->dht, &(struct dht_query_spec){ .operation = DHT_LOOKUP, .target = target }, &w->now));
}

/* --- The walk --- */

TEST(dht_query_converges_on_the_nearest)
{
        WORLD(w, world_honest, world_boot());
        const struct dht_event *done;

        lookup(w);
        world_run(w, SECONDS(1));
        done = world_last(w, DHT_QUERY_DONE);
        check(done && done->closest_count == DHT_K && done->replies >= DHT_K);
        for (size_t i = 0; i + 1 < DHT_K; i++) {
                uint8_t a[32], b[32];

                rpc_node_id(&done->closest[i], a);
                rpc_node_id(&done->closest[i + 1], b);
                for (unsigned k = 0; k < 32; k++) {
                        a[k] ^= target[k];
                        b[k] ^= target[k];
                }
                check(memcmp(a, b, 32) < 0);
        }
        check_equal(world_sent(w, 0, true, RPC_DOWN_HINT, NULL), 0);
}

TEST(dht_query_without_a_network_ends_empty)
{
        WORLD(w, world_honest, &((struct addr){ { 0, 0, 0, 0 }, 1 }));

        lookup(w);
        world_run(w, SECONDS(5));
        check(!world_last(w, DHT_QUERY_DONE));                /* the network may yet come */
        world_run(w, SECONDS(6));
        check(world_last(w, DHT_QUERY_DONE) && world_last(w, DHT_QUERY_DONE)->replies == 0);
}

/* Everybody names twenty others nobody has heard of. */
static bool flooding(struct world *w, const struct asked *asked, struct rpc_message *out)
{
        static unsigned next = 1;
        struct addr addrs[20];

        for (unsigned i = 0; i < 20; i++)
                addrs[i] = world_addr(next++ % 60000);
        world_name(w, out, addrs, 20);
        out->id = NULL;                 /* nobody counts as one of the nearest, so that there is no end of it */
        return true;
}

TEST(dht_query_visits_only_so_many_nodes)
{
        WORLD(w, flooding, world_boot());
        struct dht_stats stats;
        size_t from;

        world_run(w, SECONDS(3));
        from = w->asked_count;
        lookup(w);
        world_run(w, SECONDS(10));
        check(world_last(w, DHT_QUERY_DONE));
        check_equal(world_sent(w, from, false, 3, NULL), 256);
        dht_stats(w->dht, &stats);
        check_equal(stats.queries, 0);
}

/* A liar names its own network over and over. */
static bool one_net(struct world *w, const struct asked *asked, struct rpc_message *out)
{
        struct addr addrs[20];

        for (unsigned i = 0; i < 20; i++)
                addrs[i] = (struct addr){ { 99, 9, 9, (uint8_t)(i + 1) }, (uint16_t)(1000 + asked->to.ip[3] * 20 + i) };
        world_name(w, out, addrs, 20);
        return true;
}

TEST(dht_query_gives_one_network_few_seats)
{
        WORLD(w, one_net, world_boot());
        const struct dht_event *done;
        size_t of_net = 0;

        lookup(w);
        world_run(w, MSEC(2));
        for (size_t i = 0; i < w->asked_count; i++)
                of_net += w->asked[i].to.ip[0] == 99 && !w->asked[i].message.internal;
        check_equal(of_net, 2);         /* of the twenty in the first answer */
        world_run(w, SECONDS(10));
        done = world_last(w, DHT_QUERY_DONE);
        check(done);
        of_net = 0;
        for (size_t i = 0; i < done->closest_count; i++)
                of_net += done->closest[i].ip[0] == 99;
        check(of_net >= 2 && of_net <= 8);
}

static bool bogons(struct world *w, const struct asked *asked, struct rpc_message *out)
{
        static const struct addr addrs[] = {
                { { 10, 0, 0, 9 }, 1000 }, { { 127, 0, 0, 1 }, 1000 }, { { 192, 168, 1, 1 }, 1000 }, { { 224, 0, 0, 1 }, 1000 },
                { { 0, 0, 0, 0 }, 1000 }, { { 255, 255, 255, 255 }, 1000 }, { { 81, 1, 1, 1 }, 0 },
        };

        world_name(w, out, addrs, ARRAY_LEN(addrs));
        return true;
}

TEST(dht_query_asks_no_bogons_and_on_a_private_network_only_private_ones)
{
        struct addr private_boot = { { 10, 0, 0, 1 }, 1000 };
        WORLD(public_world, bogons, world_boot());
        WORLD(private_world, bogons, &private_boot);

        lookup(public_world);
        world_run(public_world, SECONDS(1));
        check(world_last(public_world, DHT_QUERY_DONE) && world_last(public_world, DHT_QUERY_DONE)->closest_count == 1);
        lookup(private_world);
        world_run(private_world, SECONDS(1));
        check_equal(world_last(private_world, DHT_QUERY_DONE)->closest_count, 4);
}

static bool names_the_unwelcome(struct world *w, const struct asked *asked, struct rpc_message *out)
{
        static const struct addr addrs[] = {
                { { 134, 209, 28, 98 }, 49738 }, { { 134, 209, 28, 98 }, 49737 }, { { 167, 99, 142, 185 }, 49738 },
                { { 35, 233, 47, 252 }, 9400 }, { { 150, 136, 142, 116 }, 1 }, { { 150, 136, 142, 116 }, 49737 },
        };

        world_name(w, out, addrs, ARRAY_LEN(addrs));
        return true;
}

TEST(dht_query_asks_nobody_whom_original_nodes_refuse_and_learns_of_none)
{
        WORLD(w, names_the_unwelcome, world_boot());
        struct addr unwelcome = { { 150, 136, 142, 116 }, 49737 }, neighbour = { { 134, 209, 28, 98 }, 49737 };
        struct rpc_message ping = { .internal = true, .command = RPC_PING };
        uint8_t id[RPC_ID_BYTES], bytes[RPC_DATAGRAM_MAX];

        lookup(w);
        world_run(w, SECONDS(1));
        for (size_t i = 0; i < w->asked_count; i++)
                check(addr_equal(&w->asked[i].to, world_boot()) || addr_equal(&w->asked[i].to, &neighbour));
        check_equal(world_last(w, DHT_QUERY_DONE)->closest_count, 2);
        rpc_node_id(&unwelcome, id);
        ping.id = id;
        dht_receive(w->dht, CLIENT, &unwelcome, bytes, rpc_message_write(&ping, bytes, sizeof(bytes)), &w->now);
        world_run(w, SECONDS(1));
        check(addr_equal(&w->asked[w->asked_count - 1].to, &unwelcome));
        check_equal(w->asked[w->asked_count - 1].message.type, RPC_TYPE_RESPONSE);
        check_equal(world_sent(w, 0, true, RPC_PING, &unwelcome), 0);           /* answered, and not asked itself */
}

static struct addr private_numbered(unsigned number)
{
        return (struct addr){ { 10, 0, (uint8_t)number, 1 }, SERVER_PORT };
}

static bool third_is_dead(struct world *w, const struct asked *asked, struct rpc_message *out)
{
        bool on_private = asked->to.ip[0] == 10;
        struct addr addrs[3];

        for (unsigned i = 0; i < 3; i++)
                addrs[i] = on_private ? private_numbered(i + 1) : world_addr(i + 1);
        world_name(w, out, addrs, 3);
        return asked->to.ip[2] != 3;
}

struct patience {
        usec_t waited_us;
        size_t sends;                   /* to the dead node */
};

/* A query in a network of four, one of which is dead. */
static struct patience patience_of(enum dht_operation operation, bool on_private)
{
        struct addr first = on_private ? private_numbered(0) : world_addr(0);
        struct addr dead = on_private ? private_numbered(3) : world_addr(3);
        uint8_t secret_key[64];
        WORLD(w, third_is_dead, &first);
        usec_t start_us;
        size_t from;

        world_key(secret_key);
        world_run(w, SECONDS(3));
        from = w->asked_count;
        start_us = w->now.mono_us;
        check(dht_query(w->dht, &(struct dht_query_spec){ .operation = operation, .target = target, .secret_key = secret_key },
                        &w->now));
        while (!world_last(w, DHT_QUERY_DONE))
                world_run(w, MSEC(10));
        check_equal(world_last(w, DHT_QUERY_DONE)->replies, 3);
        start_us = w->now.mono_us - start_us;
        world_run(w, SECONDS(10));
        return (struct patience){ start_us, world_sent(w, from, false, 3, &dead) };
}

TEST(dht_query_waits_for_a_dead_node_as_long_as_the_answer_to_its_second_send_may_take)
{
        for (int on_private = 0; on_private <= 1; on_private++) {
                struct patience patience = patience_of(DHT_LOOKUP, on_private);

                check(patience.sends == 2 && patience.waited_us >= MSEC(200) && patience.waited_us < MSEC(300));
        }
}

TEST(dht_unannounce_gives_a_silent_node_a_second_chance)
{
        struct patience patience = patience_of(DHT_UNANNOUNCE, true);

        check(patience.sends == 3 && patience.waited_us >= MSEC(1500) && patience.waited_us < MSEC(1600));
}

static bool only_first_answers(struct world *w, const struct asked *asked, struct rpc_message *out)
{
        struct addr addrs[2] = { world_addr(1), world_addr(2) };

        world_name(w, out, addrs, 2);
        return asked->to.ip[2] == 0;
}

/* Only it can forget it. */
TEST(dht_query_tells_who_named_a_dead_node)
{
        WORLD(w, only_first_answers, world_boot());
        struct addr first = world_addr(0);
        size_t from;

        world_run(w, SECONDS(3));
        from = w->asked_count;
        lookup(w);
        world_run(w, SECONDS(3));
        check_equal(world_last(w, DHT_QUERY_DONE)->replies, 1);
        check_equal(world_sent(w, from, true, RPC_DOWN_HINT, NULL), 2);
        check_equal(world_sent(w, from, true, RPC_DOWN_HINT, &first), 2);
        for (unsigned i = 0; i < 100; i++)
                lookup(w);
        from = w->asked_count;
        world_run(w, SECONDS(4));
        check(world_sent(w, from, true, RPC_DOWN_HINT, NULL) <= 100);         /* 50 a tick; two ticks may touch these 4 s */
}

/* --- Records --- */

static bool wrong_record(struct world *w, const struct asked *asked, struct rpc_message *out)
{
        world_honest(w, asked, out);
        if (asked->message.internal || asked->message.command != 2)
                return true;
        memset(w->value, asked->to.ip[2] == 5 ? 0x11 : 0x22, 32);       /* only the fifth has the key asked for */
        w->value[32] = 0;
        out->value = w->value;
        out->value_len = 33;
        return true;
}

TEST(dht_find_peer_takes_only_the_record_of_the_key_asked_for)
{
        uint8_t key[32], key_target[32];
        WORLD(w, wrong_record, world_boot());

        memset(key, 0x11, sizeof(key));
        dht_target(key, key_target);
        check(dht_query(w->dht, &(struct dht_query_spec){ .operation = DHT_FIND_PEER, .target = key_target }, &w->now));
        world_run(w, SECONDS(1));
        check_equal(world_count(w, DHT_PEER_FOUND), 1);
        check_equal(world_last(w, DHT_PEER_FOUND)->from.ip[2], 5);
}

/* Every token is worn out when it is used for the first time. */
static bool short_tokens(struct world *w, const struct asked *asked, struct rpc_message *out)
{
        world_honest(w, asked, out);
        if (!asked->message.internal && asked->message.command == 4 && asked->message.token[0] == 0) {
                out->error = RPC_ERROR_INVALID_TOKEN;
                w->value[0] = 1;
                memset(w->value + 1, 0, 31);
                out->token = w->value;
        }
        return true;
}

TEST(dht_announce_signs_again_when_its_token_has_run_out)
{
        uint8_t secret_key[64];
        WORLD(w, short_tokens, world_boot());
        const struct asked *asked;
        struct dht_announce announce;
        uint8_t id[32];

        world_key(secret_key);
        check(dht_query(w->dht, &(struct dht_query_spec){ .operation = DHT_ANNOUNCE, .target = target, .secret_key = secret_key },
                        &w->now));
        world_run(w, SECONDS(1));
        check_equal(world_last(w, DHT_QUERY_DONE)->accepted, DHT_K);
        check_equal(world_sent(w, 0, false, 4, NULL), 2 * DHT_K);
        asked = &w->asked[w->asked_count - 1];
        rpc_node_id(&asked->to, id);
        check(asked->message.token[0] == 1);
        check(dht_announce_decode(asked->message.value, asked->message.value_len, &announce));
        check(dht_claim_verify(DHT_CLAIM_ANNOUNCE, &(struct dht_scope){ target, id, asked->message.token }, &announce));
}

static bool never_content(struct world *w, const struct asked *asked, struct rpc_message *out)
{
        world_honest(w, asked, out);
        if (!asked->message.internal && asked->message.command >= 4) {
                out->error = RPC_ERROR_INVALID_TOKEN;
                out->token = w->token;
        }
        return true;
}

TEST(dht_announce_gives_up_after_one_more_token)
{
        uint8_t secret_key[64];
        WORLD(w, never_content, world_boot());

        world_key(secret_key);
        check(dht_query(w->dht, &(struct dht_query_spec){ .operation = DHT_ANNOUNCE, .target = target, .secret_key = secret_key },
                        &w->now));
        world_run(w, SECONDS(1));
        check_equal(world_last(w, DHT_QUERY_DONE)->accepted, 0);
        check_equal(world_sent(w, 0, false, 4, NULL), 2 * DHT_K);
}

/* The fifth lists us already. */
static bool fifth_lists_us(struct world *w, const struct asked *asked, struct rpc_message *out)
{
        uint8_t secret_key[64];

        world_honest(w, asked, out);
        if (asked->message.internal || asked->message.command != 3 || asked->to.ip[2] != 5)
                return true;
        world_key(secret_key);
        w->value[0] = 1;
        memcpy(w->value + 1, secret_key + 32, 32);
        w->value[33] = 0;
        out->value = w->value;
        out->value_len = 34;
        return true;
}

/* And its answer to the withdrawal comes only after the second send. */
static bool fifth_is_slow(struct world *w, const struct asked *asked, struct rpc_message *out)
{
        struct addr fifth = world_addr(5);

        fifth_lists_us(w, asked, out);
        return asked->message.internal || asked->message.command != 5 || world_sent(w, 0, false, 5, &fifth) > 1;
}

TEST(dht_announce_is_not_overtaken_by_the_withdrawal_before_it)
{
        uint8_t secret_key[64];
        struct addr fifth = world_addr(5);
        WORLD(w, fifth_is_slow, world_boot());

        world_key(secret_key);
        check(dht_query(w->dht, &(struct dht_query_spec){ .operation = DHT_ANNOUNCE, .target = target, .secret_key = secret_key,
                                                          .clear = true }, &w->now));
        world_run(w, MSEC(150));
        check_equal(world_sent(w, 0, false, 4, NULL), DHT_K - 1);
        check_equal(world_sent(w, 0, false, 4, &fifth), 0);
        world_run(w, MSEC(500));
        check_equal(world_sent(w, 0, false, 5, &fifth), 2);
        check_equal(world_sent(w, 0, false, 4, &fifth), 1);
        check_equal(world_last(w, DHT_QUERY_DONE)->accepted, DHT_K);
}

TEST(dht_announce_clears_before_it_announces)
{
        uint8_t secret_key[64];
        struct addr fifth = world_addr(5);
        WORLD(w, fifth_lists_us, world_boot());
        size_t withdrawn = 0, announced = 0;

        world_key(secret_key);
        check(dht_query(w->dht, &(struct dht_query_spec){ .operation = DHT_ANNOUNCE, .target = target, .secret_key = secret_key,
                                                          .clear = true }, &w->now));
        world_run(w, SECONDS(1));
        check_equal(world_sent(w, 0, false, 5, NULL), 1);
        check_equal(world_sent(w, 0, false, 5, &fifth), 1);
        for (size_t i = 0; i < w->asked_count; i++) {
                if (w->asked[i].message.internal || !addr_equal(&w->asked[i].to, &fifth))
                        continue;
                withdrawn = w->asked[i].message.command == 5 ? i : withdrawn;
                announced = w->asked[i].message.command == 4 ? i : announced;
        }
        check(announced && withdrawn < announced);
        check_equal(world_last(w, DHT_QUERY_DONE)->accepted, DHT_K);
}

/* --- Where we are --- */

TEST(dht_probe_believes_only_answers_at_the_server_socket)
{
        struct dht_stats stats;
        struct addr open;
        WORLD(closed, world_honest, world_boot());
        WORLD(open_world, world_honest, world_boot());

        world_run(closed, SECONDS(10));
        dht_stats(closed->dht, &stats);
        check(world_sent(closed, 0, true, RPC_PING_NAT, NULL) == 5 && stats.firewalled && !dht_open_addr(closed->dht, &open));
        check_equal(world_sent(closed, 0, true, RPC_PING_NAT, NULL), 5);
        open_world->pongs_by = SERVER;
        world_run(open_world, SECONDS(10));
        dht_stats(open_world->dht, &stats);
        check(!stats.firewalled && dht_open_addr(open_world->dht, &open) && open.port == SERVER_PORT);
        check_equal(dht_socket(open_world->dht), SERVER);
}

static bool no_stranger_gets_in(struct world *w, const struct asked *asked, struct rpc_message *out)
{
        return !(asked->message.internal && asked->message.command == RPC_PING_NAT) && world_honest(w, asked, out);
}

TEST(dht_says_when_strangers_have_tried)
{
        WORLD(closed, no_stranger_gets_in, world_boot());
        WORLD(open, world_honest, world_boot());
        size_t asked;

        open->pongs_by = SERVER;
        check(!dht_is_probed(closed->dht) && !dht_is_probed(open->dht));
        world_run(open, MSEC(100));
        check(world_sent(open, 0, true, RPC_PING_NAT, NULL) > 0 && dht_is_probed(open->dht));
        world_run(closed, SECONDS(1));
        check(world_sent(closed, 0, true, RPC_PING_NAT, NULL) > 0 && !dht_is_probed(closed->dht));
        world_run(closed, SECONDS(9));
        check(dht_is_probed(closed->dht));

        asked = closed->asked_count;
        while (world_sent(closed, asked, true, RPC_PING_NAT, NULL) == 0 && closed->now.mono_us < MINUTES(30))
                world_run(closed, SECONDS(1));
        check(!dht_is_probed(closed->dht));             /* the next try */
        world_run(closed, SECONDS(10));
        check(dht_is_probed(closed->dht));
}

/* Helpers that lie about the port can't open what is closed: neither of the two is enough alone. */
TEST(dht_probe_needs_the_right_socket_and_the_right_port)
{
        struct dht_stats stats;
        WORLD(wrong_socket, world_honest, world_boot());
        WORLD(wrong_port, world_honest, world_boot());

        wrong_socket->seen_as = (struct addr){ { 90, 1, 1, 1 }, SERVER_PORT };
        world_run(wrong_socket, SECONDS(10));
        dht_stats(wrong_socket->dht, &stats);
        check(stats.firewalled);
        wrong_port->seen_as = (struct addr){ { 90, 1, 1, 1 }, CLIENT_PORT };
        wrong_port->pongs_by = SERVER;
        world_run(wrong_port, SECONDS(10));
        dht_stats(wrong_port->dht, &stats);
        check(stats.firewalled);
}
