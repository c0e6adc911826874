/* SPDX-License-Identifier: BSD-3-Clause */
/* A gateway and a provider whose NATs give each remote another port, and relays between them. */
#include <sodium.h>
#include <stdio.h>

#include "cleanup.h"
#include "node_sim_app.h"
#include "node_streets.h"
#include "test.h"

static const struct net_link wan = { .delay_us = MSEC(10), .jitter_us = MSEC(3) };

/* A host with an address of its own that relays, under the key it yields. */
static struct node_sim_host *add_relay(struct node_sim *sim, uint8_t number, bool anybody, uint8_t key_out[NODE_KEY_BYTES])
{
        struct node_relay_spec spec = { .seed = { 77, number }, .anybody = anybody };
        struct node_sim_host *host = node_sim_add(sim);
        struct now now = node_sim_now(sim);
        uint8_t secret_key[crypto_sign_SECRETKEYBYTES];

        crypto_sign_seed_keypair(key_out, secret_key, spec.seed);
        check_equal(node_relay(host->node, &spec, &now), 0);
        node_sim_touch(host);
        return host;
}

static void use(struct node_sim_host *host, const uint8_t key[NODE_KEY_BYTES])
{
        struct now now = node_sim_now(host->sim);
        uint8_t keys[1][NODE_KEY_BYTES];

        memcpy(keys[0], key, NODE_KEY_BYTES);
        check_equal(node_use_relays(host->node, (const uint8_t(*)[NODE_KEY_BYTES])keys, 1, &now), 0);
        node_sim_touch(host);
}

static struct node_stats stats_of(const struct node_sim_host *host)
{
        struct node_stats stats;

        node_stats(host->node, &stats);
        return stats;
}

enum who { BY_PROVIDER = 1, BY_GATEWAY = 2, BY_BOTH = 3 };

/* It is enough if one of them was told of it. */
TEST(relay_that_one_of_them_names_leads_together_who_can_not_punch)
{
        for (enum who who = BY_PROVIDER; who <= BY_BOTH; who++) {
                struct street street = street_new(who, &wan, STREET_SYMMETRIC, STREET_SYMMETRIC);
                uint8_t key[NODE_KEY_BYTES];
                struct node_sim_host *relay = add_relay(street.sim, 1, true, key);
                usec_t took_us;

                node_sim_run(street.sim, SECONDS(3));
                if (who & BY_PROVIDER)
                        use(street.provider, key);
                if (who & BY_GATEWAY)
                        use(street.gateway, key);
                took_us = street_meet(&street, SECONDS(20));
                printf("# named by %d: %u ms\n", (int)who, (unsigned)(took_us / 1000));
                check(street_met(&street));
                check(took_us < SECONDS(2));
                check(street_echoes(&street));
                check_equal(stats_of(street.gateway).relayed, 1);
                check_equal(stats_of(street.provider).relayed, 1);
                check_equal(stats_of(relay).relay_connections, 1);
                check(stats_of(relay).relay_bytes > 200000);
                street_free(&street);
        }
}

TEST(without_a_relay_they_do_not_meet)
{
        struct street street = street_new(1, &wan, STREET_SYMMETRIC, STREET_SYMMETRIC);

        street_meet(&street, SECONDS(60));
        check(!street_met(&street));
        street_free(&street);
}
