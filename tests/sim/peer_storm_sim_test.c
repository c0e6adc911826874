/* SPDX-License-Identifier: BSD-3-Clause */
/* Crowds that punch, through relays that vouch for them: what a server sends where they say that they are. */
#include <stdio.h>

#include "cleanup.h"
#include "nat_payload.h"
#include "peer_sim_dht.h"
#include "peer_stranger.h"
#include "test.h"

#define SIM cleanup_with(peer_sim_freep) struct peer_sim *

enum {
        HEADERS = 28,                   /* of IP and UDP */
        HANDSHAKE_BYTES = 46,           /* of a DHT message around a handshake's */
        ROUND_BYTES = 62,               /* and around a round's */
        PER_S = 200,                    /* twice as many handshakes as are computed */
        LONG_S = 10,
};

static const struct net_link wan = { .delay_us = 20000 };

/* It has come in, and lists four others as its addresses. Returns the bytes that took. */
static size_t punch(struct stranger *stranger, struct peer_sim_node *server, enum nat_class class, unsigned number)
{
        struct nat_payload payload = { .firewall = class, .punching = true, .has_addresses = true,
                                       .address_count = NAT_ADDRESSES_MAX };
        struct dht_inbound inbound = { .socket = server->socket, .mode = DHT_FROM_RELAY, .from = stranger->relay,
                                       .client = stranger->addr, .to = server->seen };
        uint8_t secret[NAT_SECRET_BYTES], sealed[NAT_SEALED_MAX];
        size_t len;

        for (uint8_t i = 0; i < NAT_ADDRESSES_MAX; i++)
                payload.addresses[i] = (struct addr){ .ip = { 99, (uint8_t)(number >> 8), (uint8_t)number, i }, .port = 99 };
        nat_secret(stranger->session.hash, secret);
        len = nat_seal(secret, net_random(stranger->sim->net), &payload, sealed);
        peer_sim_dht_punch(server->dht, &inbound, stranger->answer.holepunch_id, sealed, len);
        peer_sim_settle(stranger->sim);
        return len + ROUND_BYTES + HEADERS;
}

/* A stranger more, whom nobody has seen there. Returns the bytes that it sent. */
static size_t come(struct peer_sim *sim, enum nat_class class, unsigned number)
{
        struct peer_sim_node *server = &sim->node[1];
        struct stranger stranger;
        size_t bytes;

        stranger_init(&stranger, sim, (uint8_t)number);
        stranger.addr.ip[1] = (uint8_t)(number >> 8);
        stranger.relay = server->entry.relays[number % server->entry.relay_count];
        stranger_prepare(&stranger, peer_sim_key(server));
        bytes = stranger.question_len + HANDSHAKE_BYTES + HEADERS;
        if (stranger_knock(&stranger, server))
                bytes += punch(&stranger, server, class, number);
        stranger_fini(&stranger);
        return bytes;
}

/* @at_most: packets in a second; some more than were measured. What bounds them is how many sessions there may be through a relay. */
static void storm(enum nat_class class, uint64_t at_most)
{
        SIM sim = peer_sim_pair(1, &wan);
        struct peer_sim_node *server = &sim->node[1];
        const struct net_totals *totals = net_totals(sim->net);
        uint64_t in = 0, before, most = 0;
        struct peer_stats stats;

        peer_sim_dial(&sim->node[0], server, 1);
        peer_sim_run(sim, SECONDS(1));
        check_equal(sim->node[0].connected, 1);
        before = totals->sent;
        for (unsigned second = 0, number = 0; second < LONG_S; second++) {
                uint64_t sent = totals->sent;

                for (unsigned i = 0; i < PER_S; i++) {
                        in += come(sim, class, number++);
                        peer_sim_run(sim, SECONDS(1) / PER_S);
                }
                most = totals->sent - sent > most ? totals->sent - sent : most;
                peer_stats(server->set, &stats);
                check(stats.sessions <= PEER_SESSIONS_MAX);
        }
        printf("# %s: %lu packets in a second at most, %lu in all for %lu bytes\n", class == NAT_RANDOM ? "random" : "consistent",
               (unsigned long)most, (unsigned long)(totals->sent - before), (unsigned long)in);
        check(most <= at_most);
        check((totals->sent - before) * (HEADERS + 1) < in);
        peer_sim_run(sim, SECONDS(40));
        peer_stats(server->set, &stats);
        check_equal(stats.sessions, 0);
        check_equal(sim->node[0].end[0].closed, 0);
}

TEST(storm_of_clients_that_name_others)
{
        storm(NAT_CONSISTENT, 1500);
}

TEST(storm_of_clients_behind_nats_that_are_random)
{
        storm(NAT_RANDOM, 400);
}
