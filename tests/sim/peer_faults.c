/* SPDX-License-Identifier: BSD-3-Clause */
/* A dial and a connection under faults: whatever happens below, no byte is wrong, and unless bits flip an orderly end means that all was
 * read. */
#include "cleanup.h"
#include "faults.h"
#include "peer_sim.h"

static void set_up(struct peer_sim *sim, const struct faults *faults, unsigned dying, usec_t gone_us)
{
        for (unsigned side = 0; side < 2; side++) {
                bool up = !(faults->mortal && side == dying && gone_us >= faults->death_us);

                for (size_t i = 0; i < faults->outage_count; i++)
                        up = up && !(faults->outages[i].side == side && gone_us >= faults->outages[i].at_us &&
                                     gone_us < faults->outages[i].at_us + faults->outages[i].for_us);
                net_endpoint_set_up(sim->net, sim->node[side].socket, up);
        }
}

static void check_ends(const struct peer_sim *sim, const struct faults *faults)
{
        const struct peer_sim_end *a = &sim->node[0].end[0], *b = &sim->node[1].end[0];
        bool delivered = a->to_write && b->to_write && a->read == b->to_write && b->read == a->to_write;

        for (unsigned node = 0; node < 2; node++)
                for (unsigned i = 0; i < sim->node[node].end_count; i++)
                        must(!sim->node[node].end[i].wrong);
        /* Neither UDX nor secret-stream authenticates an end: what a bit flip ends is cut short, and the tunnel above notices. */
        if (!faults->corrupt && sim->node[0].end_count == 1 && sim->node[1].end_count == 1) {
                must(!a->closed || a->reason != PEER_CONN_DONE || delivered);
                must(!b->closed || b->reason != PEER_CONN_DONE || delivered);
        }
        must(sim->node[0].connected + sim->node[0].failed <= 1);
        must(!faults_mild(faults) || (sim->node[0].connected == 1 && delivered));
        must(sim->node[0].connected + sim->node[0].failed == 1 || faults->mortal);
        faults_add(delivered ? FAULTS_DELIVERED : FAULTS_GAVE_UP, 1);
}

void faults_story(uint64_t seed)
{
        cleanup_with(peer_sim_freep) struct peer_sim *sim = peer_sim_pair(seed, &(struct net_link){ .delay_us = 10000 });
        const struct random *random = net_random(sim->net);
        usec_t start_us = net_now(sim->net);
        bool written[2] = { false, false };
        struct faults faults;
        unsigned dying = random_below(random, 2);

        faults_draw(&faults, random, SECONDS(5));
        for (unsigned side = 0; side < 2; side++)
                net_link_set(sim->net, sim->node[side].socket, &faults.link[side]);
        peer_sim_dial(&sim->node[0], &sim->node[1], 2);
        for (usec_t gone_us = 0; gone_us < MINUTES(6);) {
                set_up(sim, &faults, dying, gone_us);
                peer_sim_run(sim, gone_us < SECONDS(10) ? MSEC(100) : SECONDS(5));
                gone_us = net_now(sim->net) - start_us;
                for (unsigned side = 0; side < 2; side++) {
                        if (!sim->node[side].end_count || written[side] || !sim->node[side].end[0].conn)
                                continue;
                        peer_sim_write(&sim->node[side].end[0], 1 + random_below(random, 60000), true);
                        written[side] = true;
                }
        }
        check_ends(sim, &faults);
        faults_add(FAULTS_MILD, faults_mild(&faults));
        faults_add(FAULTS_DATAGRAMS, net_totals(sim->net)->sent);
}
