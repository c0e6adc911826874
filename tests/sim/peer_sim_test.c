/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer_sim.h"

#include <string.h>

#include "cleanup.h"
#include "peer_stranger.h"
#include "test.h"

#define SIM cleanup_with(peer_sim_freep) struct peer_sim *
#define STRANGER cleanup_with(stranger_fini) struct stranger

static const struct net_link wan = { .delay_us = 20000 };
static const struct net_link lossy = { .delay_us = 20000, .loss_ppm = 50000, .jitter_us = 3000, .reorder = true };

static void check_both_up(const struct peer_sim *sim)
{
        const struct peer_sim_end *a = &sim->node[0].end[0], *b = &sim->node[1].end[0];

        check_equal(sim->node[0].failed, 0);
        check_equal(sim->node[0].connected, 1);
        check_equal(sim->node[1].accepted, 1);
        check(a->conn && b->conn);
        check_bytes(conn_remote_key(a->conn), peer_sim_key(&sim->node[1]), PEER_KEY_BYTES);
        check_bytes(conn_local_key(a->conn), peer_sim_key(&sim->node[0]), PEER_KEY_BYTES);
        check_bytes(conn_remote_key(b->conn), peer_sim_key(&sim->node[0]), PEER_KEY_BYTES);
        check_bytes(conn_local_key(b->conn), peer_sim_key(&sim->node[1]), PEER_KEY_BYTES);
        check(conn_is_initiator(a->conn) && !conn_is_initiator(b->conn));
}

static void check_delivered(const struct peer_sim_end *from, const struct peer_sim_end *to)
{
        check_equal(to->read, from->to_write);
        check(!to->wrong);
}

TEST(peer_bytes_go_both_ways_and_both_ends_close)
{
        SIM sim = peer_sim_pair(1, &wan);
        struct peer_sim_end *a = &sim->node[0].end[0], *b = &sim->node[1].end[0];

        peer_sim_dial(&sim->node[0], &sim->node[1], 2);
        peer_sim_run(sim, MSEC(500));
        check_both_up(sim);
        peer_sim_write(a, 3000000, true);
        peer_sim_write(b, 2000000, false);
        peer_sim_run(sim, SECONDS(20));
        check_delivered(a, b);
        check_delivered(b, a);
        check(b->at_end && !a->at_end && !a->closed && !b->closed);     /* half of it is closed */
        peer_sim_write(b, 1000000, true);
        peer_sim_run(sim, SECONDS(20));
        check_delivered(b, a);
        check(a->at_end && a->closed && b->closed);
        check_equal(a->reason, PEER_CONN_DONE);
        check_equal(b->reason, PEER_CONN_DONE);
}

TEST(peer_found_by_its_key_alone)
{
        SIM sim = peer_sim_pair(2, &wan);

        peer_sim_dial(&sim->node[0], &sim->node[1], 0);
        peer_sim_run(sim, MSEC(500));
        check_both_up(sim);
        check_equal(sim->queries, 1);
}

TEST(peer_bytes_survive_loss_and_disorder)
{
        for (uint64_t seed = 100; seed < 130; seed++) {
                SIM sim = peer_sim_pair(seed, &lossy);

                peer_sim_dial(&sim->node[0], &sim->node[1], 2);
                peer_sim_run(sim, SECONDS(8));
                check_both_up(sim);
                peer_sim_write(&sim->node[0].end[0], 200000, true);
                peer_sim_write(&sim->node[1].end[0], 300000, true);
                peer_sim_run(sim, SECONDS(60));
                check_delivered(&sim->node[0].end[0], &sim->node[1].end[0]);
                check_delivered(&sim->node[1].end[0], &sim->node[0].end[0]);
                check(sim->node[0].end[0].closed && sim->node[1].end[0].closed);
                check_equal(sim->node[0].end[0].reason, PEER_CONN_DONE);
                check_equal(sim->node[1].end[0].reason, PEER_CONN_DONE);
        }
}

/* --- Ways --- */

TEST(peer_asked_without_a_relay)
{
        SIM sim = peer_sim_pair(3, &wan);

        sim->node[1].entry.direct = true;
        sim->node[1].entry.relays[0] = sim->node[1].addr;
        peer_sim_dial(&sim->node[0], &sim->node[1], 1);
        peer_sim_run(sim, MSEC(90));            /* handshake 42 ms, headers 40 ms */
        check_both_up(sim);
}

TEST(peer_open_server_is_reached)
{
        SIM sim = peer_sim_pair(4, &wan);

        sim->node[1].open = true;
        peer_sim_dial(&sim->node[0], &sim->node[1], 2);
        peer_sim_run(sim, MSEC(90));
        check_both_up(sim);
}

TEST(peer_open_client_is_called)
{
        SIM sim = peer_sim_pair(5, &wan);

        sim->node[0].open = true;
        sim->node[1].seen = (struct addr){ .ip = { 5, 5, 5, 5 }, .port = 5 };   /* nothing comes in there */
        sim->node[1].addr.ip[0] = 10;
        peer_set_local_addresses(sim->node[1].set, &sim->node[1].addr, 1);
        peer_sim_dial(&sim->node[0], &sim->node[1], 2);
        peer_sim_run(sim, MSEC(200));
        check_both_up(sim);
}

/* Firewalls, and from the fourth on NATs that keep their mapping: what is known of the inside leads nowhere. */
TEST(peer_firewalls_open_from_inside)
{
        for (unsigned which = 1; which < 8; which++) {
                SIM sim = peer_sim_pair(600 + which, &wan);
                struct addr inside = { .ip = { 192, 168, 0, 1 } };

                sim->node[0].filtered = which & 1;
                sim->node[1].filtered = which & 2;
                for (unsigned i = 0; i < 2 && which & 4; i++) {
                        inside.ip[2] = (uint8_t)(100 + i);
                        peer_set_local_addresses(sim->node[i].set, &inside, 1);
                }
                peer_sim_dial(&sim->node[0], &sim->node[1], 2);
                peer_sim_run(sim, MSEC(1200));
                check_both_up(sim);
                peer_sim_write(&sim->node[0].end[0], 100000, true);
                peer_sim_write(&sim->node[1].end[0], 100000, true);
                peer_sim_run(sim, SECONDS(5));
                check(sim->node[0].end[0].closed && sim->node[1].end[0].closed);
                check_delivered(&sim->node[0].end[0], &sim->node[1].end[0]);
                check_delivered(&sim->node[1].end[0], &sim->node[0].end[0]);
        }
}

/* Both behind one public address that leads nowhere from inside; only what the payloads say about inside helps. */
static struct peer_sim *neighbours(uint64_t seed)
{
        struct peer_sim *sim = peer_sim_new(seed, &wan);

        for (unsigned i = 0; i < 2; i++) {
                struct addr addr = { .ip = { 192, 168, 7, (uint8_t)(10 + i) }, .port = 49737 };
                struct peer_sim_node *node = peer_sim_add(sim, &addr);

                net_link_set(sim->net, node->socket, &(struct net_link){ .delay_us = 200 });
                node->seen = (struct addr){ .ip = { 5, 5, 5, 5 }, .port = (uint16_t)(5000 + i) };
        }
        peer_sim_listen(&sim->node[1], false);
        return sim;
}

TEST(peer_in_the_same_network_is_reached_inside)
{
        SIM sim = neighbours(7);

        peer_sim_dial(&sim->node[0], &sim->node[1], 2);
        peer_sim_run(sim, MSEC(100));
        check_both_up(sim);
        check_equal(sim->node[0].end[0].remote.ip[0], 192);
}

/* A client of another make behind the same public address looks for us inside only if we offer to punch. */
TEST(peer_offers_to_punch_unless_it_is_open)
{
        static const struct addr inside = { .ip = { 192, 168, 7, 77 }, .port = 7 };

        for (unsigned which = 0; which < 4; which++) {
                SIM sim = neighbours(770 + which);
                struct peer_sim_node *server = &sim->node[1];
                struct stranger stranger;

                stranger_init(&stranger, sim, 1);
                stranger.addr = (struct addr){ .ip = { 5, 5, 5, which == 1 ? 6 : 5 }, .port = 4711 };   /* 1: elsewhere */
                stranger.payload.address_count = which == 2 ? 0 : 1;    /* 2: it says nothing about inside */
                stranger.payload.addresses[0] = inside;
                server->open = which == 3;                              /* 3: nobody needs to look inside */
                stranger_prepare(&stranger, peer_sim_key(server));
                check(stranger_knock(&stranger, server));
                check_equal(stranger.answer.has_holepunch, which != 3);
                check_equal(stranger.answer.relay_count, which != 3 ? 2 : 0);
                check(addr_equal(&stranger.answer.addresses[which == 3], &server->addr));
                stranger_fini(&stranger);
        }
}

/* Two homes of one carrier whose machines have the same address, or the bridges of containers, which have one everywhere: a client of
 * another make found itself there. */
TEST(peer_is_not_told_to_look_where_it_is_itself)
{
        for (unsigned which = 0; which < 2; which++) {
                SIM sim = neighbours(880 + which);
                struct peer_sim_node *server = &sim->node[1];
                struct addr both[] = { { .ip = { 172, 17, 0, 1 } }, { .ip = { 192, 168, 7, 11 } } };
                STRANGER stranger;

                peer_set_local_addresses(server->set, both, 2);
                stranger_init(&stranger, sim, 1);
                stranger.addr = (struct addr){ .ip = { 5, 5, 5, 5 }, .port = 4711 };
                stranger.payload.address_count = 1;
                stranger.payload.addresses[0] = both[0];
                stranger.payload.addresses[0].port = (uint16_t)(server->addr.port + which);     /* 1: no, that is another one there */
                stranger_prepare(&stranger, peer_sim_key(server));
                check(stranger_knock(&stranger, server));
                check_equal(stranger.answer.address_count, 1 + which);
                check(addr_host_equal(&stranger.answer.addresses[which], &both[1]));
        }
}

TEST(peer_in_the_same_network_among_several_interfaces)
{
        SIM sim = neighbours(8);
        struct addr theirs[] = { { .ip = { 192, 168, 7, 99 } }, { .ip = { 172, 17, 0, 1 } }, { .ip = { 192, 168, 7, 11 } } };
        struct addr mine[] = { { .ip = { 172, 17, 0, 1 } }, { .ip = { 192, 168, 7, 10 } } };

        peer_set_local_addresses(sim->node[0].set, mine, 2);
        peer_set_local_addresses(sim->node[1].set, theirs, 3);
        peer_sim_dial(&sim->node[0], &sim->node[1], 2);
        peer_sim_run(sim, SECONDS(1));
        check_both_up(sim);
        check(addr_equal(&sim->node[0].end[0].remote, &sim->node[1].addr));
        peer_sim_write(&sim->node[0].end[0], 100000, true);
        peer_sim_write(&sim->node[1].end[0], 100000, true);
        peer_sim_run(sim, SECONDS(5));
        check_delivered(&sim->node[0].end[0], &sim->node[1].end[0]);
        check_delivered(&sim->node[1].end[0], &sim->node[0].end[0]);
}

TEST(peer_on_the_same_host)
{
        SIM sim = peer_sim_new(9, &(struct net_link){ .delay_us = 0 });

        peer_sim_add(sim, &(struct addr){ .ip = { 127, 0, 0, 1 }, .port = 1 });
        peer_sim_add(sim, &(struct addr){ .ip = { 127, 0, 0, 1 }, .port = 2 });
        peer_sim_listen(&sim->node[1], false);
        peer_sim_dial(&sim->node[0], &sim->node[1], 2);
        peer_sim_run(sim, MSEC(10));
        check_both_up(sim);
}

/* Behind NATs that show other addresses than those that would work. */
static void hide(struct peer_sim_node *node)
{
        struct addr inside = { .ip = { 10, 0, (uint8_t)node->index, 1 }, .port = 1 };

        node->seen = (struct addr){ .ip = { 5, 5, 5, (uint8_t)node->index }, .port = 5 };
        peer_set_local_addresses(node->set, &inside, 1);
}

TEST(peer_whom_no_punch_reaches)
{
        SIM sim = peer_sim_pair(10, &wan);

        hide(&sim->node[0]);
        hide(&sim->node[1]);
        peer_sim_dial(&sim->node[0], &sim->node[1], 2);
        peer_sim_run(sim, SECONDS(60));
        check_equal(sim->node[0].failed, 1);
        check_equal(sim->node[0].failure, PEER_PUNCH_SHUT);
        check(sim->node[0].took_us < SECONDS(15));
        check_equal(sim->node[1].accepted, 0);
        check(!sim->node[0].context || sim->node[0].context == &sim->node[0]);
}

TEST(peer_open_and_yet_out_of_reach)
{
        SIM sim = peer_sim_pair(11, &wan);

        sim->node[1].open = true;
        hide(&sim->node[1]);
        net_endpoint_set_up(sim->net, sim->node[0].socket, false);
        peer_sim_dial(&sim->node[0], &sim->node[1], 2);
        peer_sim_run(sim, SECONDS(60));
        check_equal(sim->node[0].failure, PEER_UNREACHED);
        check_equal(sim->node[0].took_us / SECONDS(1), PEER_REACH_US / SECONDS(1));
}

/* --- Relays --- */

TEST(peer_dead_relays_cost_little)
{
        SIM sim = peer_sim_pair(12, &wan);
        struct peer_sim_entry *entry = &sim->node[1].entry;

        entry->relay_count = 4;
        entry->behaviour[0] = entry->behaviour[1] = entry->behaviour[2] = PEER_SIM_DEAD;
        peer_sim_dial(&sim->node[0], &sim->node[1], 4);
        peer_sim_run(sim, SECONDS(60));
        check_both_up(sim);
        check(sim->node[0].took_us < MSEC(300 + 100));          /* the fourth was asked when the first three were late */
}

TEST(peer_relays_of_old_lead_to_a_search)
{
        SIM sim = peer_sim_pair(13, &wan);
        const struct addr old[] = { { .ip = { 9, 9, 9, 9 }, .port = 9 }, { .ip = { 9, 9, 9, 8 }, .port = 9 } };
        struct peer_dial_spec spec = {
                .secret_key = sim->node[0].secret_key, .remote_key = peer_sim_key(&sim->node[1]), .relays = old, .relay_count = 2,
        };
        struct now now = peer_sim_now(sim);
        struct peer_dial *dial;

        sim->node[0].dialled_us = now.mono_us;
        check_equal(peer_dial(sim->node[0].set, &spec, &dial, &now), 0);
        peer_sim_run(sim, SECONDS(60));
        check_both_up(sim);
        check(sim->node[0].took_us < MSEC(500 + 200));
}

TEST(peer_behind_hostile_relays)
{
        static const enum peer_sim_relay hostile[] = { PEER_SIM_IGNORANT, PEER_SIM_FORGING, PEER_SIM_INVENTING, PEER_SIM_SPOILING };

        for (unsigned i = 0; i < 4; i++) {
                SIM sim = peer_sim_pair(1400 + i, &wan);
                struct peer_stats stats;

                sim->node[1].entry.behaviour[0] = hostile[i];
                sim->node[1].entry.delay_us[1] = MSEC(100);     /* the honest one comes last */
                peer_sim_dial(&sim->node[0], &sim->node[1], 2);
                peer_sim_run(sim, SECONDS(60));
                check_both_up(sim);
                check(sim->node[0].took_us < MSEC(500));
                peer_stats(sim->node[0].set, &stats);
                check_equal(stats.answers_forged, hostile[i] == PEER_SIM_FORGING || hostile[i] == PEER_SIM_INVENTING);
                peer_stats(sim->node[1].set, &stats);
                check_equal(stats.undecryptable, hostile[i] == PEER_SIM_SPOILING);
        }
}

/* A node that holds the announcement itself finds nobody else who does. */
TEST(peer_announced_at_the_dialling_node)
{
        SIM sim = peer_sim_pair(140, &wan);

        sim->node[1].entry.listed = false;
        sim->node[1].entry.direct = true;
        sim->node[1].entry.relays[0] = sim->node[0].forward = sim->node[1].addr;
        peer_sim_dial(&sim->node[0], &sim->node[1], 0);
        peer_sim_run(sim, SECONDS(1));
        check_both_up(sim);
}

/* Nodes that claim to know a peer and do not can't use up the patience for those that do. */
TEST(peer_among_many_who_only_pretend)
{
        SIM sim = peer_sim_pair(141, &wan);
        struct addr pretenders[DHT_PEER_RELAYS_MAX];
        struct peer_dial_spec spec = {
                .secret_key = sim->node[0].secret_key, .remote_key = peer_sim_key(&sim->node[1]), .relays = pretenders,
                .relay_count = DHT_PEER_RELAYS_MAX,
        };
        struct now now = peer_sim_now(sim);
        struct peer_dial *dial;

        for (uint8_t i = 0; i < DHT_PEER_RELAYS_MAX; i++)
                pretenders[i] = (struct addr){ .ip = { 9, 9, 9, i }, .port = 9 };
        sim->node[0].dialled_us = now.mono_us;
        check_equal(peer_dial(sim->node[0].set, &spec, &dial, &now), 0);
        peer_sim_run(sim, SECONDS(20));
        check_both_up(sim);
        check(sim->node[0].took_us < SECONDS(5));
}

TEST(peer_nobody_knows)
{
        SIM sim = peer_sim_pair(15, &wan);

        sim->node[1].entry.listed = false;
        peer_sim_dial(&sim->node[0], &sim->node[1], 0);
        peer_sim_run(sim, SECONDS(60));
        check_equal(sim->node[0].failure, PEER_NOT_FOUND);
        check(sim->node[0].took_us < MSEC(100));
}

TEST(peer_known_but_gone)
{
        SIM sim = peer_sim_pair(16, &wan);

        sim->node[1].entry.behaviour[0] = sim->node[1].entry.behaviour[1] = PEER_SIM_DEAD;
        peer_sim_dial(&sim->node[0], &sim->node[1], 2);
        peer_sim_run(sim, SECONDS(60));
        check_equal(sim->node[0].failed, 1);
        check_equal(sim->node[0].failure, PEER_UNANSWERED);
        check(sim->node[0].took_us < SECONDS(5));
}

TEST(peer_asked_often_is_one_connection)
{
        SIM sim = peer_sim_pair(17, &wan);
        struct peer_stats stats;

        sim->repeats = 5;
        sim->node[1].entry.relay_count = 3;
        peer_sim_dial(&sim->node[0], &sim->node[1], 3);
        peer_sim_run(sim, SECONDS(60));
        check_both_up(sim);
        check_equal(sim->node[1].end_count, 1);
        peer_stats(sim->node[1].set, &stats);
        check_equal(stats.handshakes, 1);
        check_equal(stats.repeated, 17);        /* 3 relays, 6 times each */
        check_equal(stats.sessions, 0);
}

/* --- Who may --- */

TEST(peer_knocks_and_is_let_in)
{
        SIM sim = peer_sim_pair_that_asks(18, &wan);

        sim->repeats = 2;
        peer_sim_dial(&sim->node[0], &sim->node[1], 2);
        peer_sim_run(sim, SECONDS(1));
        check_both_up(sim);
        check_equal(sim->node[1].knocks, 1);
}

TEST(peer_is_let_in_late)
{
        SIM sim = peer_sim_pair_that_asks(19, &wan);
        struct now now;

        sim->node[1].admits = false;
        peer_sim_dial(&sim->node[0], &sim->node[1], 2);
        peer_sim_run(sim, SECONDS(2));
        check_equal(sim->node[1].knocks, 1);
        now = peer_sim_now(sim);
        peer_admit(sim->node[1].set, sim->node[1].knock, true, &now);
        peer_admit(sim->node[1].set, sim->node[1].knock, false, &now);  /* said once is said */
        peer_sim_run(sim, SECONDS(1));
        check_both_up(sim);
}

TEST(peer_is_not_welcome_and_hears_nothing)
{
        SIM sim = peer_sim_pair_that_asks(20, &wan);
        struct peer_stats stats;
        struct now now;

        sim->node[1].admits = false;
        sim->repeats = 1;
        peer_sim_dial(&sim->node[0], &sim->node[1], 2);
        peer_sim_run(sim, MSEC(100));
        now = peer_sim_now(sim);
        peer_admit(sim->node[1].set, sim->node[1].knock, false, &now);
        peer_admit(sim->node[1].set, 4711, true, &now);
        peer_sim_run(sim, SECONDS(30));
        check_equal(sim->answers, 0);
        check_equal(sim->node[1].knocks, 1);
        peer_stats(sim->node[1].set, &stats);
        check_equal(stats.unwelcome, 1);
        check_equal(stats.sessions, 0);
        check_equal(sim->node[1].udx_out, 0);
}

TEST(peer_nobody_answers_the_door)
{
        SIM sim = peer_sim_pair_that_asks(21, &wan);
        struct peer_stats stats;
        struct now now;

        sim->node[1].admits = false;
        peer_sim_dial(&sim->node[0], &sim->node[1], 1);
        peer_sim_run(sim, SECONDS(11));
        peer_stats(sim->node[1].set, &stats);
        check_equal(stats.sessions, 0);
        now = peer_sim_now(sim);
        peer_admit(sim->node[1].set, sim->node[1].knock, true, &now);
        peer_sim_run(sim, SECONDS(30));
        check_equal(sim->node[1].accepted, 0);
}
