/* SPDX-License-Identifier: BSD-3-Clause */
/* Whose handshake is computed when there are more than we can afford. It is decided before anything is computed, by where it comes from,
 * which is forged more easily than a signature but costs us nothing to see; each kind has a budget of its own, so that a storm of one
 * keeps nobody of another out. All three together, at 0.41 to 0.47 ms a handshake (measured on a busy machine, tests/bench/flood.py
 * storm), are an eighth of a core. */
#include "peer_private.h"

#define KNOWN_US MINUTES(60)            /* a peer that was here comes back within, or as anybody */

static const struct {
        unsigned per_s, at_once;
} budgets[PEER_TRUSTS] = {
        [PEER_STRANGER] = { 50, 100 },
        [PEER_RELAYED] = { 100, 200 },
        [PEER_KNOWN] = { 100, 200 },
};

void peer_guard_init(struct peer_set *set)
{
        for (size_t i = 0; i < PEER_TRUSTS; i++)
                set->budgets[i].left = budgets[i].at_once;
}

void peer_guard_remember(struct peer_set *set, const struct addr *host, usec_t now_us)
{
        struct peer_known *place = &set->known[0];

        for (size_t i = 0; i < ARRAY_LEN(set->known); i++) {
                struct peer_known *known = &set->known[i];

                if (known->until_us && addr_host_equal(&known->host, host)) {
                        place = known;
                        break;
                }
                if (known->until_us < place->until_us)
                        place = known;
        }
        *place = (struct peer_known){ .host = *host, .until_us = now_us + KNOWN_US };
}

static bool is_known(const struct peer_set *set, const struct addr *host, usec_t now_us)
{
        for (size_t i = 0; i < ARRAY_LEN(set->known); i++)
                if (now_us < set->known[i].until_us && addr_host_equal(&set->known[i].host, host))
                        return true;
        return false;
}

/* Who names a client must be a relay of ours; anybody could name one of our peers. */
enum peer_trust peer_guard_trust(const struct peer_listener *listener, const struct dht_inbound *inbound, usec_t now_us)
{
        bool vouched = inbound->mode != DHT_FROM_CLIENT && dht_listener_is_relay(listener->dht_listener, &inbound->from);

        if ((vouched || inbound->mode == DHT_FROM_CLIENT) && is_known(listener->source.set, &inbound->client, now_us))
                return PEER_KNOWN;
        return vouched ? PEER_RELAYED : PEER_STRANGER;
}

bool peer_guard_affords(struct peer_set *set, enum peer_trust trust, usec_t now_us)
{
        struct peer_budget *budget = &set->budgets[trust];
        usec_t each_us = SECONDS(1) / budgets[trust].per_s, earned = (now_us - budget->earned_us) / each_us;

        budget->left = (unsigned)MIN(budget->left + earned, (usec_t)budgets[trust].at_once);
        budget->earned_us += earned * each_us;
        return budget->left > 0;
}

void peer_guard_spend(struct peer_set *set, enum peer_trust trust)
{
        set->budgets[trust].left--;
}
