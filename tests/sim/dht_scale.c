/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht_scale.h"

#include <assert.h>
#include <malloc.h>
#include <string.h>

#include "cleanup.h"
#include "dht_sim.h"

enum { STAYING = 3, KNOWN_MAX = 4096, TABLES = 100, BUCKETS = 256, YOUNG_S = 10 };

static const struct net_link wan = { .delay_us = 20000, .jitter_us = 5000, .reorder = true };

/* Who is in the network, in no order. */
struct scale {
        struct dht_sim *sim;
        const struct dht_scale_spec *spec;
        struct dht_scale_figures figures;
        const struct random *random;
        unsigned members[DHT_SIM_NODES_MAX];
        usec_t born_us[DHT_SIM_NODES_MAX];      /* by node */
        unsigned first_client;
};

static void join(struct scale *s, unsigned member)
{
        unsigned node = dht_sim_add(s->sim, true);

        s->members[member] = node;
        s->born_us[node] = net_now(s->sim->net);
}

static void join_all(struct scale *s)
{
        usec_t start_us = net_now(s->sim->net);

        for (unsigned i = 0; i < s->spec->nodes; i++) {
                usec_t at_us = start_us + s->spec->join_us / s->spec->nodes * i;

                if (i < STAYING) {
                        s->sim->bootstrap[i] = dht_sim_addr(s->sim, i);
                        s->sim->bootstrap_count = i + 1;
                }
                join(s, i);
                if (at_us > net_now(s->sim->net) + MSEC(100))   /* a few at once: each run costs as much as there are nodes */
                        dht_sim_run(s->sim, at_us - net_now(s->sim->net));
        }
        dht_sim_run(s->sim, SECONDS(YOUNG_S));
}

static void topic_of(unsigned record, uint8_t topic_out[DHT_TARGET_BYTES])
{
        uint8_t key[DHT_KEY_BYTES] = { (uint8_t)record, (uint8_t)(record >> 8), 0x70 };

        dht_target(key, topic_out);
}

static const struct dht_event *query(struct scale *s, unsigned node, const struct dht_query_spec *spec)
{
        struct dht_sim_node *asking = &s->sim->nodes[node];
        struct now now = dht_sim_now(s->sim);
        const struct dht_sim_event *done;

        dht_sim_forget(s->sim, node);
        if (!dht_query(asking->dht, spec, &now))
                return NULL;
        done = dht_sim_wait(s->sim, node, DHT_QUERY_DONE, 0, SECONDS(60));
        return done ? &done->event : NULL;
}

static void announce_all(struct scale *s)
{
        s->figures.accepted_least = DHT_K;
        s->first_client = s->sim->count;
        for (unsigned i = 0; i < s->spec->records; i++) {
                uint8_t topic[DHT_TARGET_BYTES], secret_key[DHT_SECRET_KEY_BYTES];
                const struct dht_event *done;
                unsigned client = dht_sim_add(s->sim, false);

                topic_of(i, topic);
                dht_sim_key(i, secret_key);
                done = query(s, client, &(struct dht_query_spec){ .operation = DHT_ANNOUNCE, .target = topic, .secret_key = secret_key });
                s->figures.accepted_least = MIN(s->figures.accepted_least, done ? done->accepted : 0);
        }
}

/* A node is gone without a word, another one comes elsewhere. */
static void replace_one(struct scale *s)
{
        unsigned member = STAYING + random_below(s->random, s->spec->nodes - STAYING);

        dht_sim_kill(s->sim, s->members[member]);
        dht_sim_forget(s->sim, s->members[member]);
        join(s, member);
        s->figures.replaced++;
}

static unsigned count_listed(const struct dht_sim_node *node, unsigned record)
{
        uint8_t secret_key[DHT_SECRET_KEY_BYTES];
        unsigned count = 0;

        dht_sim_key(record, secret_key);
        for (size_t i = 0; i < node->event_count; i++) {
                const struct dht_event *event = &node->events[i].event;

                count += event->kind == DHT_PEER_LISTED && memcmp(event->public_key, secret_key + 32, DHT_KEY_BYTES) == 0;
        }
        return count;
}

static void look_up(struct scale *s)
{
        struct dht_scale_figures *f = &s->figures;
        unsigned record = random_below(s->random, s->spec->records), listed;
        unsigned node = s->members[random_below(s->random, s->spec->nodes)];
        usec_t start_us = net_now(s->sim->net), took_us;
        uint8_t topic[DHT_TARGET_BYTES];
        const struct dht_event *done;

        topic_of(record, topic);
        done = query(s, node, &(struct dht_query_spec){ .operation = DHT_LOOKUP, .target = topic });
        took_us = net_now(s->sim->net) - start_us;
        listed = count_listed(&s->sim->nodes[node], record);
        f->lookups++;
        f->found += listed > 0;
        f->listed_least = MIN(f->listed_least, listed);
        f->took_us += took_us;
        f->took_most_us = MAX(f->took_most_us, took_us);
        if (!done)
                return;
        f->asked += done->asked;
        f->replies += done->replies;
        f->hops += done->hops;
        f->hops_most = MAX(f->hops_most, done->hops);
}

static void churn(struct scale *s)
{
        usec_t start_us = net_now(s->sim->net), gone_us;
        uint64_t sent = net_totals(s->sim->net)->sent;

        s->figures.listed_least = DHT_K;
        while ((gone_us = net_now(s->sim->net) - start_us) < s->spec->churn_us) {
                uint64_t due = gone_us * s->spec->nodes * s->spec->replaced_percent / 100 / MINUTES(1);

                while (s->figures.replaced < due)
                        replace_one(s);
                dht_sim_run(s->sim, s->spec->pause_us);
                look_up(s);
        }
        s->figures.churned_us = gone_us;
        s->figures.sent = net_totals(s->sim->net)->sent - sent;
}

/* --- Tables --- */

static bool is_alive(const struct dht_sim *sim, const struct addr *addr)
{
        unsigned node = (unsigned)(addr->ip[1] - 1) << 8 | addr->ip[2];
        struct addr there = dht_sim_addr(sim, node);

        return node < sim->count && addr_equal(&there, addr) && sim->nodes[node].dht;
}

static unsigned bucket_of(const uint8_t *id, const uint8_t *other)
{
        unsigned bit = 0;

        while (bit < BUCKETS - 1 && !((id[bit / 8] ^ other[bit / 8]) >> (7 - bit % 8) & 1))
                bit++;
        return bit;
}

static void count_entries(struct scale *s, const struct dht *dht, const uint8_t *id, unsigned live_out[BUCKETS])
{
        static struct addr known[KNOWN_MAX];
        size_t count = dht_known(dht, known, KNOWN_MAX);

        s->figures.entries += count;
        for (size_t i = 0; i < count; i++) {
                uint8_t other[RPC_ID_BYTES];
                bool alive = is_alive(s->sim, &known[i]);

                rpc_node_id(&known[i], other);
                live_out[bucket_of(id, other)] += alive;
                s->figures.live_entries += alive;
        }
}

/* What the table of member @i has, and what it would have if all its buckets were as full as the network allows. */
static void look_into_table(struct scale *s, unsigned member, uint8_t (*ids)[RPC_ID_BYTES])
{
        unsigned there[BUCKETS] = { 0 }, live[BUCKETS] = { 0 };
        bool blind = false;

        for (unsigned i = 0; i < s->spec->nodes; i++)
                if (i != member)
                        there[bucket_of(ids[member], ids[i])]++;
        count_entries(s, s->sim->nodes[s->members[member]].dht, ids[member], live);
        for (unsigned i = 0; i < BUCKETS; i++) {
                s->figures.ideal_entries += MIN(there[i], (unsigned)DHT_K);
                blind = blind || (there[i] >= DHT_K && !live[i]);
        }
        s->figures.tables++;
        s->figures.blind += blind;
}

/* Of some, evenly chosen: the first ones have seen everybody come. */
static void look_into_tables(struct scale *s)
{
        static uint8_t ids[DHT_SIM_NODES_MAX][RPC_ID_BYTES];
        unsigned step = MAX(s->spec->nodes / TABLES, 1U);

        for (unsigned i = 0; i < s->spec->nodes; i++)
                rpc_node_id(&s->sim->nodes[s->members[i]].addr, ids[i]);
        for (unsigned i = STAYING; i < s->spec->nodes; i += step) {
                if (net_now(s->sim->net) - s->born_us[s->members[i]] < MINUTES(1))
                        continue;       /* hardly anybody has heard of it, nor it of anybody */
                look_into_table(s, i, ids);
        }
}

static void count_grown(struct scale *s)
{
        for (unsigned i = 0; i < s->spec->nodes; i++) {
                struct dht_stats stats;

                if (net_now(s->sim->net) - s->born_us[s->members[i]] < SECONDS(YOUNG_S))
                        continue;
                dht_stats(s->sim->nodes[s->members[i]].dht, &stats);
                s->figures.grown++;
                s->figures.bootstrapped += stats.bootstrapped && stats.nodes >= MIN(s->spec->nodes, (unsigned)DHT_K) / 2;
        }
}

static size_t allocated(void)
{
        struct mallinfo2 info = mallinfo2();

        return info.uordblks + info.hblkhd;
}

/* Frees them for that. */
static void weigh(struct scale *s)
{
        unsigned count = MIN(s->spec->bytes_of, s->spec->nodes);
        size_t before = allocated();

        for (unsigned i = 0; i < count; i++)
                dht_sim_kill(s->sim, s->members[i * (s->spec->nodes / count)]);
        s->figures.bytes_per_node = count ? (before - allocated()) / count : 0;
}

struct dht_scale_figures dht_scale_run(const struct dht_scale_spec *spec)
{
        static struct scale s;
        cleanup_with(dht_sim_freep) struct dht_sim *sim = dht_sim_new(spec->seed, &wan);

        memset(&s, 0, sizeof(s));
        s.sim = sim;
        s.spec = spec;
        s.random = net_random(sim->net);
        assert(spec->nodes > STAYING);
        join_all(&s);
        announce_all(&s);
        churn(&s);
        s.figures.hash = net_hash(sim->net);
        count_grown(&s);
        look_into_tables(&s);
        weigh(&s);
        return s.figures;
}
