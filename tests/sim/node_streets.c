/* SPDX-License-Identifier: BSD-3-Clause */
#include "node_streets.h"

enum { DHT_NODES = 8, ECHO_BYTES = 100000 };

static const struct nat_box_kind
        full_cone = { .mapping = NAT_BOX_ANYBODY, .filtering = NAT_BOX_ANYBODY },
        host_cone = { .mapping = NAT_BOX_ANYBODY, .filtering = NAT_BOX_SAME_HOST },
        cone = { .mapping = NAT_BOX_ANYBODY, .filtering = NAT_BOX_SAME_PORT },
        jealous = { .mapping = NAT_BOX_ANYBODY, .filtering = NAT_BOX_SAME_PORT, .jealous = true },
        scattered = { .mapping = NAT_BOX_ANYBODY, .filtering = NAT_BOX_SAME_PORT, .random_ports = true },
        forgetful = { .mapping = NAT_BOX_ANYBODY, .filtering = NAT_BOX_SAME_PORT, .lifetime_us = SECONDS(20) },
        by_host = { .mapping = NAT_BOX_SAME_HOST, .filtering = NAT_BOX_SAME_HOST, .random_ports = true },
        symmetric = { .mapping = NAT_BOX_SAME_PORT, .filtering = NAT_BOX_SAME_PORT, .random_ports = true },
        hairpin = { .mapping = NAT_BOX_ANYBODY, .filtering = NAT_BOX_SAME_PORT, .hairpin = true },
        guests = { .mapping = NAT_BOX_ANYBODY, .filtering = NAT_BOX_SAME_PORT, .isolates = true },
        hairpin_guests = { .mapping = NAT_BOX_ANYBODY, .filtering = NAT_BOX_SAME_PORT, .hairpin = true, .isolates = true },
        hairpin_full_cone = { .mapping = NAT_BOX_ANYBODY, .filtering = NAT_BOX_ANYBODY, .hairpin = true, .isolates = true },
        symmetric_guests = { .mapping = NAT_BOX_SAME_PORT, .filtering = NAT_BOX_SAME_PORT, .random_ports = true, .hairpin = true,
                             .isolates = true };

static const struct {
        const struct nat_box_kind *outer, *inner;
} kinds[STREET_KINDS] = {
        [STREET_FULL_CONE] = { &full_cone, NULL },
        [STREET_HOST_CONE] = { &host_cone, NULL },
        [STREET_CONE] = { &cone, NULL },
        [STREET_JEALOUS] = { &jealous, NULL },
        [STREET_SCATTERED] = { &scattered, NULL },
        [STREET_DOUBLE] = { &cone, &cone },
        [STREET_FORGETFUL] = { &forgetful, NULL },
        [STREET_BY_HOST] = { &by_host, NULL },
        [STREET_SYMMETRIC] = { &symmetric, NULL },
        [STREET_CARRIER] = { &symmetric, &cone },
};

static const struct {
        const struct nat_box_kind *outer, *inner;       /* of each of them, if any */
        bool twins;
        enum node_failure verdict;
} routers[STREET_ROUTERS] = {
        [STREET_HOME] = { &cone, NULL, false, NODE_REACHED },
        [STREET_HAIRPIN_HOME] = { &hairpin, NULL, false, NODE_REACHED },
        [STREET_SYMMETRIC_HOME] = { &symmetric, NULL, false, NODE_REACHED },
        [STREET_GUESTS] = { &guests, NULL, false, NODE_PUNCH_SHUT },
        [STREET_HAIRPIN_GUESTS] = { &hairpin_guests, NULL, false, NODE_REACHED },
        [STREET_HAIRPIN_FULL_CONE] = { &hairpin_full_cone, NULL, false, NODE_REACHED },
        [STREET_SYMMETRIC_GUESTS] = { &symmetric_guests, NULL, false, NODE_PUNCH_IMPOSSIBLE },
        [STREET_ONE_CARRIER] = { &cone, &cone, false, NODE_PUNCH_SHUT },
        [STREET_HAIRPIN_CARRIER] = { &hairpin, &cone, false, NODE_REACHED },
        [STREET_TWINS] = { &hairpin, &cone, true, NODE_REACHED },
        [STREET_SYMMETRIC_CARRIER] = { &symmetric_guests, &cone, false, NODE_PUNCH_IMPOSSIBLE },
};

const char *const street_router_names[STREET_ROUTERS] = {
        [STREET_HOME] = "one home",
        [STREET_HAIRPIN_HOME] = "one home with hairpin",
        [STREET_SYMMETRIC_HOME] = "one symmetric home",
        [STREET_GUESTS] = "guests",
        [STREET_HAIRPIN_GUESTS] = "guests with hairpin",
        [STREET_HAIRPIN_FULL_CONE] = "guests of a full cone with hairpin",
        [STREET_SYMMETRIC_GUESTS] = "guests of a symmetric one",
        [STREET_ONE_CARRIER] = "one carrier",
        [STREET_HAIRPIN_CARRIER] = "one carrier with hairpin",
        [STREET_TWINS] = "one carrier with hairpin, the same inner address",
        [STREET_SYMMETRIC_CARRIER] = "one symmetric carrier",
};

const char *const street_names[STREET_KINDS] = {
        [STREET_OPEN] = "open",
        [STREET_FULL_CONE] = "full cone",
        [STREET_HOST_CONE] = "host cone",
        [STREET_CONE] = "cone",
        [STREET_JEALOUS] = "jealous cone",
        [STREET_SCATTERED] = "scattered cone",
        [STREET_DOUBLE] = "double cone",
        [STREET_FORGETFUL] = "forgetful cone",
        [STREET_BY_HOST] = "by host",
        [STREET_SYMMETRIC] = "symmetric",
        [STREET_CARRIER] = "carrier",
};

bool street_is_random(enum street_kind kind)
{
        return kinds[kind].outer && kinds[kind].outer->mapping != NAT_BOX_ANYBODY;
}

bool street_is_passable(enum street_kind provider, enum street_kind gateway)
{
        return !street_is_random(provider) || !street_is_random(gateway);
}

static struct node_sim *new_internet(uint64_t seed, const struct net_link *link, size_t nodes)
{
        struct node_sim *sim = node_sim_new_internet(seed, link);

        sim->dht_persistent = true;
        node_sim_add_dht(sim, nodes);
        sim->dht_persistent = false;
        return sim;
}

/* @number tells the streets apart. */
static struct node_sim_host *move_in(struct node_sim *sim, enum street_kind kind, uint8_t number)
{
        uint8_t outer_ip[4] = { 80, 1, number, 1 }, inner_ip[4] = { 100, 64, (uint8_t)(number + 100), 7 };
        struct net_nat *nat = NULL;

        if (kinds[kind].outer)
                nat = net_nat_add(sim->net, outer_ip, kinds[kind].outer, NULL);
        if (kinds[kind].inner)
                nat = net_nat_add(sim->net, inner_ip, kinds[kind].inner, nat);
        return node_sim_add_behind(sim, nat);
}

struct street street_new(uint64_t seed, const struct net_link *link, enum street_kind provider, enum street_kind gateway)
{
        return street_new_sparse(seed, link, provider, gateway, DHT_NODES);
}

struct street street_new_sparse(uint64_t seed, const struct net_link *link, enum street_kind provider, enum street_kind gateway,
                                size_t nodes)
{
        struct street street = {
                .sim = new_internet(seed, link, nodes),
                .random = street_is_random(provider) || street_is_random(gateway),
                .verdict = street_is_passable(provider, gateway) ? NODE_REACHED : NODE_PUNCH_IMPOSSIBLE,
        };

        street.provider = move_in(street.sim, provider, 1);
        street.gateway = move_in(street.sim, gateway, 2);
        return street;
}

struct street street_new_router(uint64_t seed, const struct net_link *link, enum street_router router)
{
        struct street street = {
                .sim = new_internet(seed, link, DHT_NODES),
                .random = routers[router].outer->mapping != NAT_BOX_ANYBODY,
                .verdict = routers[router].verdict,
        };
        uint8_t outer_ip[4] = { 80, 1, 1, 1 };
        struct net_nat *nat = net_nat_add(street.sim->net, outer_ip, routers[router].outer, NULL), *inner[2] = { nat, nat };

        for (uint8_t i = 0; i < 2 && routers[router].inner; i++) {
                uint8_t inner_ip[4] = { 100, 64, (uint8_t)(routers[router].twins ? 101 : 101 + i), (uint8_t)(7 + i) };

                inner[i] = net_nat_add(street.sim->net, inner_ip, routers[router].inner, nat);
        }
        street.provider = node_sim_add_behind(street.sim, inner[0]);
        street.gateway = node_sim_add_behind(street.sim, inner[1]);
        return street;
}

void street_free(struct street *street)
{
        node_sim_free(street->sim);
}

bool street_met(void *context)
{
        struct street *street = context;

        return node_sim_is_up(street->gateway, NODE_PROVIDER, 1);
}

usec_t street_meet_from(struct street *street, enum street_start start, usec_t skew_us, usec_t limit_us)
{
        bool gateway_first = start == STREET_GATEWAY_FIRST || (start == STREET_AT_ONCE && random_below(net_random(street->sim->net), 2));

        node_sim_run(street->sim, start == STREET_AT_ONCE ? SECONDS(5) : 0);
        if (gateway_first)
                node_sim_join(street->gateway, NODE_GATEWAY, 1);
        else
                node_sim_join(street->provider, NODE_PROVIDER, 1);
        node_sim_run(street->sim, start == STREET_AT_ONCE ? random_below(net_random(street->sim->net), (uint32_t)skew_us + 1) : SECONDS(5));
        if (gateway_first)
                node_sim_join(street->provider, NODE_PROVIDER, 1);
        else
                node_sim_join(street->gateway, NODE_GATEWAY, 1);
        street->both_us = net_now(street->sim->net);
        return node_sim_run_until(street->sim, street_met, street, limit_us);
}

usec_t street_meet(struct street *street, usec_t limit_us)
{
        return street_meet_from(street, STREET_PROVIDER_FIRST, 0, limit_us);
}

static void begin_anew(struct node_sim_host *host, enum node_role role)
{
        node_sim_revive(host);
        node_sim_join(host, role, 1);
}

usec_t street_meet_new(struct street *street, bool running, usec_t limit_us)
{
        struct node_sim *sim = street->sim;

        node_sim_run(sim, SECONDS(5));
        node_sim_kill(street->provider);
        node_sim_kill(street->gateway);
        node_sim_run(sim, SECONDS(5));
        if (running) {
                begin_anew(street->gateway, NODE_GATEWAY);
                node_sim_run(sim, SECONDS(60) + random_below(net_random(sim->net), SECONDS(30)));
        }
        begin_anew(street->provider, NODE_PROVIDER);
        if (!running)
                begin_anew(street->gateway, NODE_GATEWAY);
        return node_sim_run_until(sim, street_met, street, limit_us);
}

static usec_t found_out_us(const struct node_sim_host *host, enum node_failure verdict)
{
        for (size_t i = 0; i < host->attempt_count; i++)
                if (host->attempts[i].what.failure == verdict)
                        return host->attempts[i].over_us;
        return USEC_NEVER;
}

usec_t street_known_us(const struct street *street)
{
        usec_t first_us = usec_min(found_out_us(street->provider, street->verdict), found_out_us(street->gateway, street->verdict));

        return first_us == USEC_NEVER ? USEC_NEVER : first_us - usec_min(first_us, street->both_us);
}

static bool is_clean(const struct node_sim_host *host)
{
        struct node_stats stats;

        node_stats(host->node, &stats);
        return host->socket_count == 0 && stats.half_open == 0 && stats.sockets == 0;
}

bool street_is_clean(struct street *street)
{
        node_sim_leave(street->gateway, SECONDS(5));
        node_sim_leave(street->provider, SECONDS(5));
        node_sim_run(street->sim, SECONDS(30));
        return is_clean(street->gateway) && is_clean(street->provider);
}

static bool is_over(void *context)
{
        const struct node_sim_channel *channel = context;

        return channel->fate == NODE_SIM_REFUSED || channel->fate == NODE_SIM_CLOSED;
}

bool street_echoes(struct street *street)
{
        street->channel = node_sim_open(street->gateway, 1, NODE_SIM_ECHO, ECHO_BYTES, true);
        if (!street->channel)
                return false;
        node_sim_run_until(street->sim, is_over, street->channel, SECONDS(60));
        return node_sim_echoed(street->channel);
}
