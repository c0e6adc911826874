/* SPDX-License-Identifier: BSD-3-Clause */
/* Enough hosts have said where they see the socket that requests leave by, before anybody depends on it: what our NAT is like follows
 * from that. A walk usually hears as many, and costs nothing more; where it has not, and when what they said may not hold any more,
 * some nodes are asked (PING), each on another host, and others in place of those that don't answer. hyperdht asks four for each socket
 * it punches from (lib/nat.js), which may be all of one host. */
#include "dht_private.h"

#define AGAIN_US SECONDS(30)            /* between two because somebody sees us elsewhere: some NATs forget all the time */

/* What two nodes of one host see, one witness sees. In a test network many share one. */
static bool is_same_host(const struct addr *a, const struct addr *b)
{
        return addr_is_private(a) ? addr_equal(a, b) : addr_host_equal(a, b);
}

static bool is_among(const struct addr *addr, const struct addr *addrs, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (is_same_host(&addrs[i], addr))
                        return true;
        return false;
}

static void ask(struct dht *dht, const struct addr *addr, const struct now *now)
{
        struct dht_survey *survey = &dht->survey;
        struct rpc_request_spec spec = {
                .to = *addr, .internal = true, .command = RPC_PING, .retries = RPC_RETRIES, .kind = DHT_ASK_SURVEY,
        };

        if (survey->heard_count + survey->running >= DHT_WITNESSES || survey->asked_count == DHT_SURVEYED_MAX ||
            !dht_welcome(dht, addr) || is_among(addr, survey->asked, survey->asked_count) ||
            is_among(addr, survey->heard, survey->heard_count))
                return;
        survey->asked[survey->asked_count++] = *addr;
        survey->running += rpc_request(dht->rpc, &spec, now->mono_us) != NULL;
}

/* Those heard last first. */
static void ask_more(struct dht *dht, const struct now *now)
{
        struct addr open;

        if (dht->appointed || dht_open_addr(dht, &open))
                return;
        for (struct dht_node *node = NULL; (node = dht_table_older(dht->table, node));)
                ask(dht, &node->addr, now);
        for (size_t i = 0; i < dht->bootstrap.count; i++)
                ask(dht, &dht->bootstrap.addrs[i], now);
}

/* Those asked before that have not answered are still waited for, and may count. */
static void begin(struct dht *dht, const struct addr *witness, const struct now *now)
{
        struct dht_survey *survey = &dht->survey;

        survey->begun = true;
        survey->heard_count = survey->asked_count = 0;
        survey->again_us = now->mono_us + AGAIN_US;
        if (witness)
                dht_survey_hear(dht, witness);
        ask_more(dht, now);
}

void dht_survey_begin(struct dht *dht, const struct now *now)
{
        begin(dht, NULL, now);
}

void dht_survey_walked(struct dht *dht, const struct now *now)
{
        dht->survey.begun = true;
        ask_more(dht, now);
}

void dht_survey_contradicted(struct dht *dht, const struct addr *witness, const struct now *now)
{
        if (dht->survey.begun && now->mono_us >= dht->survey.again_us)
                begin(dht, witness, now);
}

void dht_survey_hear(struct dht *dht, const struct addr *witness)
{
        struct dht_survey *survey = &dht->survey;

        if (survey->heard_count < DHT_WITNESSES && !is_among(witness, survey->heard, survey->heard_count))
                survey->heard[survey->heard_count++] = *witness;
}

void dht_survey_answered(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        if (event->kind == RPC_SLOW)
                return;
        dht->survey.running--;
        ask_more(dht, now);
}

bool dht_is_surveyed(const struct dht *dht)
{
        const struct dht_survey *survey = &dht->survey;

        return survey->begun && (survey->heard_count == DHT_WITNESSES || !survey->running);
}
