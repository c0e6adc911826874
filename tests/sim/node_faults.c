/* SPDX-License-Identifier: BSD-3-Clause */
/* Two gateways and two providers for a minute under faults, outages, deaths and new lives: what ends in order arrived as it was sent.
 * Then all is well again, and soon all know each other and every gateway reaches every provider. */
#include "cleanup.h"
#include "faults.h"
#include "node_sim.h"

enum { EACH = 2, MEMBERS = 2 * EACH, OTHERS = 3, ROUNDS = 120 };

static const struct net_link good = { .delay_us = 5000 };

struct story {
        struct node_sim *sim;
        const struct random *random;
        struct node_sim_host *members[MEMBERS];         /* gateways, then providers */
        usec_t down_until_us[MEMBERS];                  /* dead or cut off, by */
        bool dead[MEMBERS];
};

static void set_links(struct story *s, const struct faults *faults)
{
        for (size_t i = 0; i < s->sim->host_count; i++)
                for (unsigned k = 0; k < 2; k++)
                        net_link_set(s->sim->net, s->sim->hosts[i].endpoints[k], faults ? &faults->link[i % FAULTS_SIDES] : &good);
}

static void join(struct story *s, unsigned member)
{
        node_sim_join(s->members[member], member < EACH ? NODE_GATEWAY : NODE_PROVIDER, (uint8_t)(member % EACH));
}

static void count_channels(const struct node_sim_host *host)
{
        list_for_each(at, &host->channels) {
                const struct node_sim_channel *channel = list_entry(at, struct node_sim_channel, in_host);
                bool done = channel->fate == NODE_SIM_CLOSED && channel->reason == NODE_REASON_DONE;

                if (channel->service)
                        continue;       /* a provider's end */
                must(!done || node_sim_echoed(channel));
                faults_add(done ? FAULTS_DELIVERED : FAULTS_GAVE_UP, 1);
        }
}

static void come_back(struct story *s, unsigned member)
{
        s->down_until_us[member] = 0;
        node_sim_set_up(s->members[member], true);
        if (!s->dead[member])
                return;
        s->dead[member] = false;
        node_sim_revive(s->members[member]);
        join(s, member);
}

static void strike(struct story *s, unsigned member, usec_t now_us)
{
        s->down_until_us[member] = now_us + MSEC(100) + random_below(s->random, (uint32_t)SECONDS(20));
        s->dead[member] = random_below(s->random, 2);
        if (s->dead[member]) {
                count_channels(s->members[member]);
                must(s->members[member]->mistakes == 0);
                node_sim_kill(s->members[member]);
        } else {
                node_sim_set_up(s->members[member], false);
        }
}

static void use(struct story *s, unsigned gateway)
{
        uint32_t bytes = random_below(s->random, 4) ? random_below(s->random, 3000) : random_below(s->random, 60000);

        if (s->members[gateway]->node)
                node_sim_open(s->members[gateway], (uint8_t)random_below(s->random, EACH), NODE_SIM_ECHO, bytes, true);
}

static bool all_paired(void *context)
{
        struct story *s = context;
        size_t links = 0;

        for (unsigned i = 0; i < MEMBERS; i++)
                links += node_sim_ups(s->members[i]);
        return links == 2 * EACH * EACH;
}

/* Every gateway uses every provider; returns whether each was answered. */
static bool all_serve(struct story *s)
{
        struct node_sim_channel *channels[EACH][EACH];
        bool all = true;

        for (unsigned i = 0; i < EACH; i++)
                for (unsigned k = 0; k < EACH; k++)
                        must((channels[i][k] = node_sim_open(s->members[i], (uint8_t)k, NODE_SIM_ECHO, 20000, true)));
        node_sim_run(s->sim, SECONDS(10));
        for (unsigned i = 0; i < EACH; i++)
                for (unsigned k = 0; k < EACH; k++)
                        all = all && node_sim_echoed(channels[i][k]);
        return all;
}

/* What was broken without their knowing is found out in half a minute, before anybody uses it. */
static void check_well(struct story *s)
{
        node_sim_run_until(s->sim, all_paired, s, MINUTES(6));
        must(all_paired(s));
        node_sim_run(s->sim, SECONDS(30));
        node_sim_run_until(s->sim, all_paired, s, MINUTES(2));
        must(all_paired(s));
        must(all_serve(s));
}

void faults_story(uint64_t seed)
{
        cleanup_with(node_sim_freep) struct node_sim *sim = node_sim_new(seed, &good);
        struct story s = { .sim = sim, .random = net_random(sim->net) };
        struct faults faults;

        node_sim_add_dht(sim, OTHERS - 1);
        node_sim_run(sim, SECONDS(5));
        faults_draw(&faults, s.random, SECONDS(1));
        for (unsigned i = 0; i < MEMBERS; i++) {
                s.members[i] = node_sim_add(sim);
                join(&s, i);
        }
        set_links(&s, &faults);
        for (unsigned round = 0; round < ROUNDS; round++) {
                usec_t now_us = net_now(sim->net);

                for (unsigned i = 0; i < MEMBERS; i++)
                        if (s.down_until_us[i] && s.down_until_us[i] <= now_us)
                                come_back(&s, i);
                if (random_below(s.random, 20) == 0) {
                        unsigned victim = random_below(s.random, MEMBERS);

                        if (!s.down_until_us[victim])
                                strike(&s, victim, now_us);
                }
                use(&s, random_below(s.random, EACH));
                node_sim_run(sim, MSEC(500));
        }
        set_links(&s, NULL);
        for (unsigned i = 0; i < MEMBERS; i++)
                if (s.down_until_us[i])
                        come_back(&s, i);
        check_well(&s);
        for (unsigned i = 0; i < MEMBERS; i++) {
                must(s.members[i]->mistakes == 0);
                count_channels(s.members[i]);
        }
        faults_add(FAULTS_MILD, faults_mild(&faults));
        faults_add(FAULTS_DATAGRAMS, net_totals(sim->net)->sent);
}
