/* SPDX-License-Identifier: BSD-3-Clause */
/* A stream under faults: no wrong byte, no clean end before everything was read, no end of sending. UDX itself knows no checksum: of
 * corrupt packets it has only to survive what they say. */
#include "cleanup.h"
#include "faults.h"
#include "udx_sim.h"

enum { LIMIT_S = 900 };

/* Half of the paths carry more than the least, as wide as it happens each way, and one in three of those narrows later: then what is
 * under way goes on in fragments. */
struct widths {
        bool grow;
        size_t mtu[2], mtu_later[2];
        usec_t later_us;                /* USEC_NEVER: it stays as it is */
};

static void draw_widths(struct widths *widths, const struct random *random)
{
        *widths = (struct widths){ .grow = random_below(random, 2), .later_us = USEC_NEVER };
        for (unsigned side = 0; side < 2; side++) {
                widths->mtu[side] = 1200 + random_below(random, 301);
                widths->mtu_later[side] = 1200 + random_below(random, 301);
        }
        if (!random_below(random, 3))
                widths->later_us = random_below(random, (uint32_t)SECONDS(3));
}

static void set_widths(struct udx_sim *sim, const struct faults *faults, const size_t mtu[2])
{
        for (unsigned side = 0; side < 2; side++) {
                struct net_link link = faults->link[side];

                link.mtu_bytes = mtu[side];
                udx_sim_set_link(sim, (enum udx_sim_side)side, &link);
        }
}

static void check_ends(const struct udx_sim *sim, const struct faults *faults)
{
        for (int side = 0; side < 2; side++) {
                const struct udx_sim_end *end = &sim->end[side];
                bool delivered = udx_sim_delivered(sim, (enum udx_sim_side)!side);

                must(faults->corrupt || !end->wrong);
                must(faults->corrupt || !end->closed || end->reason != UDX_CLEAN || delivered);
                must(!faults_mild(faults) || (delivered && end->closed && end->reason == UDX_CLEAN));
                must(faults->corrupt || faults->mortal || end->closed);
                faults_add(delivered ? FAULTS_DELIVERED : FAULTS_GAVE_UP, 1);
        }
}

void faults_story(uint64_t seed)
{
        cleanup_with(udx_sim_freep) struct udx_sim *sim = udx_sim_new(seed, &(struct net_link){ 0 });
        const struct random *random = net_random(sim->net);
        usec_t start_us = net_now(sim->net);
        uint64_t bytes = 0;
        struct faults faults;
        struct widths widths;
        unsigned dying = random_below(random, 2);

        faults_draw(&faults, random, SECONDS(5));
        draw_widths(&widths, net_random(sim->net));
        set_widths(sim, &faults, widths.mtu);
        if (widths.grow)
                udx_sim_let_datagrams_grow(sim);
        for (unsigned side = 0; side < 2; side++) {
                uint64_t part = random_below(random, 4) ? random_below(random, 100000) : random_below(random, 100);

                udx_sim_write(sim, (enum udx_sim_side)side, part);
                udx_sim_end(sim, (enum udx_sim_side)side);
                bytes += part;
        }
        for (usec_t gone_us = 0; gone_us < SECONDS(LIMIT_S) && !(sim->end[A].closed && sim->end[B].closed);) {
                if (gone_us >= widths.later_us)
                        set_widths(sim, &faults, widths.mtu_later);
                for (unsigned side = 0; side < 2; side++) {
                        bool up = !(faults.mortal && side == dying && gone_us >= faults.death_us);

                        for (size_t i = 0; i < faults.outage_count; i++)
                                up = up && !(faults.outages[i].side == side && gone_us >= faults.outages[i].at_us &&
                                             gone_us < faults.outages[i].at_us + faults.outages[i].for_us);
                        net_endpoint_set_up(sim->net, sim->end[side].socket, up);
                }
                udx_sim_run(sim, gone_us < SECONDS(10) ? MSEC(100) : SECONDS(5));
                gone_us = net_now(sim->net) - start_us;
        }
        must(sim->end[A].packets + sim->end[B].packets < 500 + bytes / 50);
        check_ends(sim, &faults);
        faults_add(FAULTS_MILD, faults_mild(&faults));
        faults_add(FAULTS_DATAGRAMS, net_totals(sim->net)->sent);
}
