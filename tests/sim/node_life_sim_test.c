/* SPDX-License-Identifier: BSD-3-Clause */
/* Nodes that die, come again, leave, sleep and idle; and those who are no peers of ours. */
#include <string.h>

#include "node_pair.h"
#include "node_sim_app.h"
#include "test.h"

TEST(node_sees_a_peer_die_and_finds_it_again)
{
        cleanup_with(pair_free) struct pair pair = paired(80, NULL);
        struct node_sim_channel *channel = node_sim_open(pair.gateway, 1, NODE_SIM_FLOOD, 0, false);
        usec_t took_us;

        node_sim_run(pair.sim, SECONDS(1));
        check(channel->fate == NODE_SIM_OPEN);
        node_sim_set_up(pair.provider, false);
        took_us = node_sim_run_until(pair.sim, is_over, channel, SECONDS(60));
        check(channel->fate == NODE_SIM_CLOSED && channel->reason == NODE_REASON_PEER_LOST && took_us <= SECONDS(20));
        node_sim_run(pair.sim, SECONDS(1));
        check(gateway_is_down(&pair));
        node_sim_set_up(pair.provider, true);
        took_us = node_sim_run_until(pair.sim, gateway_knows, &pair, MINUTES(3));
        check(gateway_knows(&pair) && took_us < SECONDS(60));
        check_equal(mistakes(pair.sim), 0);
}

/* The swarm worker was killed: its successor has the same identity and the same sockets. */
TEST(node_takes_the_new_life_of_a_peer_for_the_old_one_at_once)
{
        for (int side = 0; side < 2; side++) {
                cleanup_with(pair_free) struct pair pair = paired(81, NULL);
                struct node_sim_host *dying = side ? pair.gateway : pair.provider, *other = side ? pair.provider : pair.gateway;
                struct node_sim_channel *channel = node_sim_open(pair.gateway, 1, NODE_SIM_DEAF, 5000, false), *seen;
                usec_t killed_us;

                node_sim_run(pair.sim, SECONDS(30));
                seen = side ? first_channel(other) : channel;
                check(seen->fate == NODE_SIM_OPEN);
                node_sim_kill(dying);
                killed_us = net_now(pair.sim->net);
                node_sim_run(pair.sim, MSEC(300));
                node_sim_revive(dying);
                node_sim_join(dying, side ? NODE_GATEWAY : NODE_PROVIDER, 1);
                pair.provider->first_up_us = pair.gateway->first_up_us = 0;
                node_sim_run(pair.sim, SECONDS(20));
                check(seen->fate == NODE_SIM_CLOSED && seen->reason == NODE_REASON_PEER_LOST);
                check(seen->over_us - killed_us < SECONDS(2));
                check(gateway_knows(&pair));
                check(pair.gateway->first_up_us - killed_us < SECONDS(2));
                check(pair.provider->first_up_us - killed_us < SECONDS(2));
                check_equal(mistakes(pair.sim), 0);
        }
}

/* Nothing is left of the gateway's node but what the supervisor keeps: identity and nodes once known. Every third of these is dead by
 * now, and the bootstrap node may be. */
TEST(node_that_starts_again_is_served_within_a_second)
{
        static const struct net_link wan = { .delay_us = 25000, .jitter_us = 5000 };
        enum { DHT_NODES = 30 };

        for (unsigned seed = 0; seed < 4; seed++) {
                cleanup_with(pair_free) struct pair pair = { .sim = node_sim_new(890 + seed, &wan) };
                struct addr known[NODE_KNOWN_MAX];
                bool bootstrap_dies = seed % 2;
                struct now now;
                usec_t took_us;
                size_t count;

                pair.sim->dht_persistent = true;
                node_sim_add_dht(pair.sim, DHT_NODES - 1);
                pair.sim->dht_persistent = false;
                pair.provider = node_sim_add(pair.sim);
                pair.gateway = node_sim_add(pair.sim);
                node_sim_run(pair.sim, SECONDS(5));
                pair_up(&pair);
                node_sim_run(pair.sim, MINUTES(1));
                count = node_known(pair.gateway->node, known, NODE_KNOWN_MAX);
                check(count >= DHT_NODES / 2);
                node_sim_kill(pair.gateway);
                for (unsigned i = 1; i < DHT_NODES; i += 3)
                        node_sim_kill(&pair.sim->hosts[i]);
                if (bootstrap_dies)
                        node_sim_kill(&pair.sim->hosts[0]);
                node_sim_run(pair.sim, MINUTES(2));

                node_sim_revive(pair.gateway);
                now = node_sim_now(pair.sim);
                node_set_known(pair.gateway->node, known, count, &now);
                node_sim_join(pair.gateway, NODE_GATEWAY, 1);
                took_us = node_sim_run_until(pair.sim, gateway_knows, &pair, SECONDS(5));
                check(gateway_knows(&pair) && took_us < SECONDS(1));
        }
}

static bool gateway_knows_it_leaves(void *context)
{
        const struct pair *pair = context;

        return node_sim_peer(pair->gateway, NODE_PROVIDER, 1)->leaves;
}

TEST(node_says_goodbye_when_it_leaves)
{
        cleanup_with(pair_free) struct pair pair = paired(82, NULL);
        struct node_sim_channel *channel = node_sim_open(pair.gateway, 1, NODE_SIM_DEAF, 5000, false);
        struct node_sim_host *late;
        usec_t took_us, left_us = net_now(pair.sim->net) + SECONDS(1);

        node_sim_run(pair.sim, SECONDS(1));
        check(channel->fate == NODE_SIM_OPEN);
        node_sim_leave(pair.provider, SECONDS(2));
        took_us = node_sim_run_until(pair.sim, gateway_knows_it_leaves, &pair, SECONDS(10));
        check(took_us < MSEC(100));
        check(!node_sim_open(pair.gateway, 1, NODE_SIM_ECHO, 10, true));        /* nobody new is sent there */
        took_us += node_sim_run_until(pair.sim, gateway_is_down, &pair, SECONDS(10));
        check(gateway_is_down(&pair) && took_us >= MSEC(1400) && took_us < MSEC(1600));         /* it was waited for that channel */
        check(channel->fate == NODE_SIM_CLOSED && channel->reason == NODE_REASON_PEER_LEFT);
        node_sim_run(pair.sim, SECONDS(3));
        check(pair.provider->left_us && pair.provider->left_us - left_us <= SECONDS(2));
        check(node_sim_ups(pair.provider) == 0);
        node_sim_kill(pair.provider);

        late = node_sim_add(pair.sim);          /* its record is gone: nobody who comes now looks for it */
        node_sim_join(late, NODE_GATEWAY, 7);
        node_sim_run(pair.sim, SECONDS(10));
        check_equal(node_sim_ups(late), 0);
        check_equal(mistakes(pair.sim), 0);
}

/* Either side: what runs is brought to its end, the peer hears why, and nobody waits for more than that. */
TEST(node_that_leaves_lets_channels_finish)
{
        static const struct net_link wan = { .delay_us = 25000 };

        for (int side = 0; side < 2; side++) {
                cleanup_with(pair_free) struct pair pair = paired(821 + (unsigned)side, &wan);
                struct node_sim_host *leaving = side ? pair.gateway : pair.provider, *other = side ? pair.provider : pair.gateway;
                struct node_sim_channel *echo;
                usec_t start_us, took_us;

                node_sim_run(pair.sim, SECONDS(1));
                echo = node_sim_open(pair.gateway, 1, NODE_SIM_ECHO, 3000000, true);
                node_sim_run(pair.sim, MSEC(300));
                check(echo->fate == NODE_SIM_OPEN && echo->received < echo->to_send);
                start_us = net_now(pair.sim->net);
                node_sim_leave(leaving, SECONDS(20));
                took_us = node_sim_run_until(pair.sim, is_over, echo, SECONDS(10));
                check(node_sim_echoed(echo) && echo->reason == NODE_REASON_DONE);
                node_sim_run(pair.sim, SECONDS(10));
                check(leaving->left_us && leaving->left_us - start_us < took_us + SECONDS(4));
                check(other->peers[0].downs == 1 && other->peers[0].left);
                check_equal(mistakes(pair.sim), 0);
        }
}

TEST(node_without_channels_leaves_at_once)
{
        cleanup_with(pair_free) struct pair pair = paired(824, NULL);
        usec_t took_us;

        node_sim_run(pair.sim, SECONDS(1));
        node_sim_leave(pair.provider, SECONDS(20));
        took_us = node_sim_run_until(pair.sim, gateway_is_down, &pair, SECONDS(10));
        check(gateway_is_down(&pair) && took_us < MSEC(100));
        check(node_sim_peer(pair.gateway, NODE_PROVIDER, 1)->left);
        check_equal(mistakes(pair.sim), 0);
}

TEST(node_leaves_in_time_when_nobody_answers)
{
        cleanup_with(pair_free) struct pair pair = paired(83, NULL);
        usec_t start_us;

        node_sim_run(pair.sim, SECONDS(1));
        node_sim_set_up(pair.provider, false);
        start_us = net_now(pair.sim->net);
        node_sim_leave(pair.provider, SECONDS(2));
        node_sim_run(pair.sim, SECONDS(5));
        check(pair.provider->left_us && pair.provider->left_us - start_us <= SECONDS(2));
}

/* Peers that it says it has reached, or been reached by. */
static unsigned reached(const struct node_sim_host *host)
{
        unsigned count = 0;

        for (size_t i = 0; i < host->attempt_count; i++)
                count += host->attempts[i].what.failure == NODE_REACHED;
        return count;
}

TEST(node_keeps_impostors_out_and_does_not_tell_of_them)
{
        cleanup_with(pair_free) struct pair pair = paired(84, NULL);
        struct node_sim_host *impostor = node_sim_add(pair.sim);

        memset(pair.sim->router.auth_key, 0x99, sizeof(pair.sim->router.auth_key));  /* knows the topic, not the secret */
        node_sim_join(impostor, NODE_GATEWAY, 66);
        node_sim_run(pair.sim, MINUTES(5));
        check(node_sim_ups(impostor) == 0 && impostor->first_advert_us == 0);
        check(node_sim_ups(pair.provider) == 1 && node_sim_ups(pair.gateway) == 1);
        check(reached(pair.provider) == 1 && reached(pair.gateway) == 1 && reached(impostor) == 0);
        check_equal(mistakes(pair.sim), 0);
}

/* Restarts with a new identity each time leave dead records behind. */
TEST(node_is_not_kept_waiting_by_ghosts)
{
        cleanup_with(pair_free) struct pair pair = pair_new(85, NULL);
        struct node_sim_host *ghosts = node_sim_add(pair.sim);
        usec_t took_us;

        node_sim_add_dht(pair.sim, 10);
        node_sim_run(pair.sim, SECONDS(5));
        for (uint8_t i = 0; i < 6; i++) {
                node_sim_join(ghosts, NODE_PROVIDER, (uint8_t)(100 + i));
                node_sim_run(pair.sim, SECONDS(2));
                node_sim_kill(ghosts);
                node_sim_revive(ghosts);
                node_sim_run(pair.sim, SECONDS(1));
        }
        node_sim_kill(ghosts);
        took_us = pair_up(&pair);
        check(gateway_knows(&pair));
        check(took_us < SECONDS(2));
}

/* UDP's checksum misses one in 65536; what comes through changed must not reach anybody. */
TEST(node_never_delivers_a_changed_byte)
{
        static const struct net_link noisy = { .delay_us = 2000, .corrupt_ppm = 20000 };
        unsigned echoed = 0, tried = 0;

        for (uint64_t seed = 1; seed <= 4; seed++) {
                cleanup_with(pair_free) struct pair pair = pair_new(8700 + seed, &noisy);

                pair_up(&pair);
                for (unsigned i = 0; i < 30; i++) {
                        struct node_sim_channel *channel = node_sim_open(pair.gateway, 1, NODE_SIM_ECHO, 3000, true);

                        node_sim_run(pair.sim, SECONDS(2));
                        tried += channel != NULL;
                        echoed += channel && channel->fate == NODE_SIM_CLOSED && channel->reason == NODE_REASON_DONE;
                        check(!channel || channel->reason != NODE_REASON_DONE || channel->fate != NODE_SIM_CLOSED ||
                              node_sim_echoed(channel));
                }
                check_equal(mistakes(pair.sim), 0);
        }
        check(tried >= 60 && echoed >= 30); /* and it goes on, over new connections */
}

/* The first UDX packet with data comes under a number that is twenty too high. */
static void renumber(void *context, uint8_t *bytes, size_t len)
{
        unsigned *left = context;

        if (*left == 0 || len <= 20 || bytes[0] != 0xff || bytes[1] != 1 || bytes[2] != 1 || bytes[12] > 200)
                return;
        bytes[12] += 20;
        --*left;
}

/* It lies at the other end until its number is reached: found out while nothing happens, not by the next who comes. */
TEST(node_finds_out_that_a_packet_came_under_a_wrong_number)
{
        for (unsigned to_provider = 0; to_provider < 2; to_provider++) {
                cleanup_with(pair_free) struct pair pair = paired(91, NULL);
                struct node_sim_host *sender = to_provider ? pair.gateway : pair.provider;
                unsigned left = 1;
                struct net_link odd = { .delay_us = 5000, .changes = renumber, .context = &left };
                struct node_sim_channel *channel;

                for (unsigned k = 0; k < 2; k++)
                        net_link_set(pair.sim->net, sender->endpoints[k], &odd);
                channel = node_sim_open(pair.gateway, 1, NODE_SIM_ECHO, 100, true);
                node_sim_run(pair.sim, SECONDS(2));
                check(node_sim_echoed(channel) && left == 0);
                node_sim_run(pair.sim, SECONDS(20));
                check(gateway_knows(&pair));
                channel = node_sim_open(pair.gateway, 1, NODE_SIM_ECHO, 60000, true);
                node_sim_run(pair.sim, SECONDS(5));
                check(node_sim_echoed(channel));
        }
}

TEST(node_looks_around_when_it_wakes)
{
        cleanup_with(pair_free) struct pair pair = paired(88, NULL);
        uint64_t start, usual;

        node_sim_run(pair.sim, MINUTES(1));
        start = net_totals(pair.sim->net)->sent;
        node_sim_run(pair.sim, SECONDS(6));
        usual = net_totals(pair.sim->net)->sent - start;
        start += usual;
        pair.sim->slept_us = MINUTES(30);       /* each notices at its next turn */
        node_sim_run(pair.sim, SECONDS(6));
        check(gateway_is_up(&pair));
        check(net_totals(pair.sim->net)->sent - start > usual + 30);    /* announced, looked up, pinged */
}

static void set_path(const struct pair *pair, const struct net_link *link)
{
        for (size_t i = 0; i < NODE_SIM_SOCKETS; i++)
                for (size_t k = 0; k < NODE_SIM_SOCKETS; k++) {
                        net_link_set_between(pair->sim->net, pair->gateway->endpoints[i], pair->provider->endpoints[k], link);
                        net_link_set_between(pair->sim->net, pair->provider->endpoints[k], pair->gateway->endpoints[i], link);
                }
}

/* An address went, and with it the connection, or not: within three seconds it is known which, on each side. */
TEST(node_knows_soon_what_went_with_an_address)
{
        static const struct net_link dead = { .loss_ppm = 1000000 }, alive = { .delay_us = 20000 };
        static const struct addr here[] = { { { 10, 9, 9, 1 }, 0 }, { { 10, 9, 9, 2 }, 0 } }, nowhere = { { 127, 0, 0, 1 }, 0 };

        for (int side = 0; side < 2; side++) {
                cleanup_with(pair_free) struct pair pair = paired(90, NULL);
                struct node_sim_host *moves = side ? pair.gateway : pair.provider;
                struct node_sim_channel *channel = node_sim_open(pair.gateway, 1, NODE_SIM_DEAF, 5000, false), *seen;
                usec_t start_us;

                node_sim_set_local(moves, here, 2);
                node_sim_run(pair.sim, SECONDS(30));
                seen = side ? channel : first_channel(moves);
                node_sim_set_local(moves, here, 1);            /* one went that nobody needs */
                node_sim_run(pair.sim, SECONDS(10));
                check(seen->fate == NODE_SIM_OPEN && gateway_is_up(&pair));
                set_path(&pair, &dead);
                node_sim_set_local(moves, &nowhere, 1);        /* no network at all: that may be over soon */
                node_sim_run(pair.sim, SECONDS(5));
                check(seen->fate == NODE_SIM_OPEN);
                node_sim_set_local(moves, here + 1, 1);        /* another one */
                start_us = net_now(pair.sim->net);
                node_sim_run(pair.sim, SECONDS(3));
                check(seen->fate == NODE_SIM_CLOSED && seen->reason == NODE_REASON_PEER_LOST);
                check(seen->over_us - start_us < SECONDS(3));
                set_path(&pair, &alive);
                check(node_sim_run_until(pair.sim, gateway_knows, &pair, MINUTES(1)) < SECONDS(20));
                check_equal(mistakes(pair.sim), 0);
        }
}

/* Counts LOOKUP requests among what leaves. */
static bool count_lookups(void *context, const uint8_t *bytes, size_t len)
{
        enum { REQUEST = 0x03, HAS_ID = 0x01, HAS_TOKEN = 0x02, INTERNAL = 0x04, COMMAND_AT = 10, LOOKUP = 3 };
        size_t at = len < 2 ? len : COMMAND_AT + (bytes[1] & HAS_ID ? 32u : 0) + (bytes[1] & HAS_TOKEN ? 32u : 0);

        *(unsigned *)context += at < len && bytes[0] == REQUEST && !(bytes[1] & INTERNAL) && bytes[at] == LOOKUP;
        return false;
}

static bool has_looked(void *context)
{
        return *(unsigned *)context > 0;
}

/* A paused virtual machine, a frozen container: no clock stood still, but nobody was there for a while. */
TEST(node_that_had_no_turn_for_long_looks_around)
{
        cleanup_with(pair_free) struct pair pair = pair_new(89, NULL);
        unsigned lookups = 0;
        struct net_link counting = { .delay_us = 100, .drops = count_lookups, .context = &lookups };

        node_sim_join(pair.gateway, NODE_GATEWAY, 1);
        node_sim_run(pair.sim, MINUTES(3));     /* by now it looks every 30 s */
        for (size_t i = 0; i < NODE_SIM_SOCKETS; i++)
                net_link_set(pair.sim->net, pair.gateway->endpoints[i], &counting);
        node_sim_run_until(pair.sim, has_looked, &lookups, MINUTES(1));
        node_sim_run(pair.sim, SECONDS(1));
        check(has_looked(&lookups));
        pair.gateway->stopped = true;
        node_sim_run(pair.sim, SECONDS(16));
        pair.gateway->stopped = false;
        node_sim_run(pair.sim, MSEC(200));
        lookups = 0;
        node_sim_run(pair.sim, SECONDS(3));
        check(has_looked(&lookups));            /* as soon again as one that has just begun */
}

/* What an idle pair sends in ten minutes, all layers together. */
TEST(node_is_quiet_when_idle)
{
        cleanup_with(pair_free) struct pair pair = paired(86, NULL);
        uint64_t before;

        node_sim_run(pair.sim, MINUTES(1));
        before = net_totals(pair.sim->net)->sent;
        node_sim_run(pair.sim, MINUTES(10));
        check(gateway_is_up(&pair));
        check(net_totals(pair.sim->net)->sent - before < 600 * 3 * 6);
}
