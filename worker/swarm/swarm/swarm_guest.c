/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may come in. Anyone who knows the topic can connect, and every DHT node that holds a record does know it: so those who have
 * not proved themselves yet are few, in all and from each host, and fewer from a host that sent impostors. A whole host is never
 * shut out: behind it may be a NAT with honest peers. */
#include "swarm_state.h"

#define SUSPECT_US MINUTES(5)

enum {
        SUSPECT_GUESTS = 2,
        LOOPBACK = 127,
};

void swarm_guest_add(struct swarm_peer *peer)
{
        list_push_back(&peer->swarm->guests, &peer->guest);
        peer->swarm->guest_count++;
}

void swarm_guest_remove(struct swarm_peer *peer)
{
        if (list_empty(&peer->guest))
                return;
        list_remove(&peer->guest);
        peer->swarm->guest_count--;
}

void swarm_guest_suspect(struct swarm *swarm, const struct addr *from, usec_t now_us)
{
        struct swarm_suspect *suspect = &swarm->suspects[swarm->next_suspect];

        *suspect = (struct swarm_suspect){ .host = *from, .until_us = usec_add(now_us, SUSPECT_US) };
        swarm->next_suspect = (swarm->next_suspect + 1) % SWARM_SUSPECTS_MAX;
}

static bool suspected(const struct swarm *swarm, const struct addr *from, usec_t now_us)
{
        for (size_t i = 0; i < SWARM_SUSPECTS_MAX; i++)
                if (now_us < swarm->suspects[i].until_us && addr_host_equal(&swarm->suspects[i].host, from))
                        return true;
        return false;
}

bool swarm_guest_fits(const struct swarm *swarm, const struct addr *from, usec_t now_us)
{
        size_t limit = suspected(swarm, from, now_us) ? SUSPECT_GUESTS : SWARM_GUESTS_PER_HOST, same = 0;

        if (swarm->guest_count >= SWARM_GUESTS_MAX)
                return false;
        if (from->ip[0] == LOOPBACK)
                return true;
        list_for_each(at, &swarm->guests)
                same += addr_host_equal(&list_entry(at, struct swarm_peer, guest)->from, from);
        return same < limit;
}
