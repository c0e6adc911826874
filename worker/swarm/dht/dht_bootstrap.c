/* SPDX-License-Identifier: BSD-3-Clause */
/* From nothing to the first answer, at the start and after an outage. One is enough to begin with: every query walks on from there
 * by itself. */
#include "dht_private.h"

#include <errno.h>
#include <stdlib.h>

enum {
        ATTEMPTS_GROW = 7,              /* 0.5 s grows to 5.7 s, half as much again each time: a walk asks each once a second for so long */
        KNOWN_AT_ONCE = DHT_K - 4,      /* so that bootstrap nodes are asked beside them */
};

#define FIRST_PAUSE_US MSEC(500)        /* a node that starts beside its bootstrap node need not wait for a retransmission */

bool dht_is_alone(const struct dht *dht, const struct now *now)
{
        return dht_table_count(dht->table) == 0 || dht_upkeep_cut_off(dht, now);
}

static bool same_addrs(const struct addr *a, size_t a_count, const struct addr *b, size_t b_count)
{
        for (size_t i = 0; i < a_count && a_count == b_count; i++)
                if (!addr_equal(&a[i], &b[i]))
                        return false;
        return a_count == b_count;
}

/* Whoever is told again what it knew goes on with what it has just begun: answers may be on their way. */
static bool has_just_begun(const struct dht_bootstrap *bootstrap)
{
        return bootstrap->walk && bootstrap->attempts == 1;
}

int dht_set_bootstrap(struct dht *dht, const struct addr *addrs, size_t count, const struct now *now)
{
        struct dht_bootstrap *bootstrap = &dht->bootstrap;
        struct addr *copy = count ? calloc(count, sizeof(*copy)) : NULL;
        size_t kept = 0;

        if (count && !copy)
                return -ENOMEM;
        dht->private_network = dht->appointed && dht_is_bogon(&dht->public_addr);
        for (size_t i = 0; i < count; i++) {
                if (addr_is_unusable(&addrs[i]) || (dht->appointed && addr_equal(&addrs[i], &dht->public_addr)))
                        continue;
                dht->private_network = dht->private_network || dht_is_bogon(&addrs[i]);
                copy[kept++] = addrs[i];
        }
        if (has_just_begun(bootstrap) && same_addrs(copy, kept, bootstrap->addrs, bootstrap->count)) {
                free(copy);
                return 0;
        }
        free(bootstrap->addrs);
        bootstrap->addrs = copy;
        bootstrap->count = kept;
        bootstrap->attempts = 0;
        if (!dht->bootstrapped || dht_is_alone(dht, now))
                dht_due_set(dht, &bootstrap->due, now->mono_us);
        return 0;
}

void dht_set_known(struct dht *dht, const struct addr *addrs, size_t count, const struct now *now)
{
        struct dht_bootstrap *bootstrap = &dht->bootstrap;

        if (has_just_begun(bootstrap) && same_addrs(addrs, MIN(count, (size_t)DHT_KNOWN_MAX), bootstrap->known, bootstrap->known_count))
                return;
        bootstrap->known_count = MIN(count, (size_t)DHT_KNOWN_MAX);
        if (bootstrap->known_count)
                memcpy(bootstrap->known, addrs, bootstrap->known_count * sizeof(*addrs));
        bootstrap->attempts = 0;
        if (!dht->bootstrapped)
                dht_due_set(dht, &bootstrap->due, now->mono_us);
}

size_t dht_known(const struct dht *dht, struct addr *out, size_t max)
{
        size_t count = 0;

        for (struct dht_node *node = NULL; count < max && (node = dht_table_older(dht->table, node));)
                out[count++] = node->addr;
        return count;
}

static bool is_among(const struct addr *addr, const struct addr *addrs, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (addr_equal(&addrs[i], addr))
                        return true;
        return false;
}

/* Who was in the table last, then who was known before that. */
static void remember(struct dht *dht)
{
        struct dht_bootstrap *bootstrap = &dht->bootstrap;
        struct addr known[DHT_KNOWN_MAX];
        size_t count = dht_known(dht, known, DHT_KNOWN_MAX), of_table = count;

        for (size_t i = 0; i < bootstrap->known_count && count < DHT_KNOWN_MAX; i++)
                if (!is_among(&bootstrap->known[i], known, of_table))
                        known[count++] = bootstrap->known[i];
        memcpy(bootstrap->known, known, count * sizeof(*known));
        bootstrap->known_count = count;
}

void dht_bootstrap_again(struct dht *dht, const struct now *now)
{
        struct dht_bootstrap *bootstrap = &dht->bootstrap;

        if (heap_holds(&bootstrap->due.entry))
                return;
        remember(dht);
        bootstrap->attempts = 0;
        dht_due_set(dht, &bootstrap->due, now->mono_us);
}

void dht_bootstrap_begin(struct dht *dht, const struct now *now)
{
        dht->bootstrap.due.kind = DHT_DUE_BOOTSTRAP;
        dht_due_set(dht, &dht->bootstrap.due, now->mono_us);
}

static void bootstrapped(struct dht *dht, const struct now *now)
{
        struct dht_news *news = dht_news_new(DHT_BOOTSTRAPPED, NULL, NULL, 0);

        dht->bootstrapped = true;
        if (news)
                dht_news_push(dht, news);
        list_for_each(at, &dht->queries) {
                struct dht_query *query = list_entry(at, struct dht_query, entry);

                if (query->phase == DHT_QUERY_HELD)
                        dht_query_open(dht, query, now);
        }
        dht_listener_network(dht, now);
}

void dht_bootstrap_heard(struct dht *dht, const struct now *now)
{
        if (!dht->bootstrapped)
                bootstrapped(dht, now);
}

static usec_t pause_after(unsigned attempts)
{
        usec_t pause_us = FIRST_PAUSE_US;

        for (unsigned i = 1; i < MIN(attempts, (unsigned)ATTEMPTS_GROW); i++)
                pause_us += pause_us / 2;
        return pause_us;
}

/* Every other time some of those who were there once are asked too: they may all be dead, or wrong. */
static void walk(struct dht *dht, const struct now *now)
{
        const struct dht_bootstrap *bootstrap = &dht->bootstrap;
        size_t turn = (bootstrap->attempts - 1) / 2, from = turn * KNOWN_AT_ONCE % MAX(bootstrap->known_count, (size_t)1);
        bool asks_known = bootstrap->attempts % 2 == 1 || bootstrap->count == 0;
        struct dht_query_spec spec = {
                .operation = DHT_FIND_NODE, .target = dht_table_id(dht->table), .seeds = bootstrap->known + from,
                .seed_count = asks_known ? MIN(bootstrap->known_count - from, (size_t)KNOWN_AT_ONCE) : 0,
        };
        struct dht_query *query = dht_query_start(dht, &spec, DHT_FOR_TABLE, now);

        dht->bootstrap.walk = query;
        if (!query)
                return;
        query->anew = true;
        dht_query_open(dht, query, now);
}

/* Nobody has answered yet: asks again rather than wait for retransmissions, which come slower at first and end for good. One
 * that is appointed and hears nobody is the first one there, and goes on asking for others. */
void dht_bootstrap_due(struct dht *dht, struct dht_due *due, const struct now *now)
{
        struct dht_bootstrap *bootstrap = &dht->bootstrap;

        if (bootstrap->walk && bootstrap->walk->successes > 0) {
                dht_due_set(dht, due, now->mono_us + pause_after(ATTEMPTS_GROW));
                return;
        }
        if (bootstrap->walk)
                dht_query_free(dht, bootstrap->walk);
        bootstrap->walk = NULL;
        if (dht->appointed && !dht->bootstrapped && (bootstrap->count == 0 || bootstrap->attempts > 0))
                bootstrapped(dht, now);
        if ((bootstrap->count == 0 && bootstrap->known_count == 0) || !dht_is_alone(dht, now))
                return;
        bootstrap->attempts++;
        dht_due_set(dht, due, now->mono_us + pause_after(bootstrap->attempts));
        walk(dht, now);
}

/* The bootstrap walk or a refresh is over. */
void dht_bootstrap_walked(struct dht *dht, struct dht_query *query, const struct now *now)
{
        if (dht->bootstrap.walk != query)
                return;
        dht->bootstrap.walk = NULL;
        if (query->successes == 0)
                return;         /* its due asks again */
        dht_due_set(dht, &dht->bootstrap.due, USEC_NEVER);
        dht_survey_walked(dht, now);
        if (dht->firewalled)
                dht_probe_begin(dht, now);
}
