/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a dial that was answered looks for its peer: addresses it was told, those it hears from, and what a punch and a detour have to
 * say to that (connect.md 3 C5 to C9). */
#include "peer_private.h"

#define WAY_US MSEC(150)                /* an address has that long before the next is tried */
#define SLOW_WAY_US SECONDS(1)          /* once each was tried twice */
#define AFTER_PUNCH_US SECONDS(1)       /* what is on its way when a punch is given up may still arrive: its last probe left 1 s before */
#define AFTER_CHANCE_US SECONDS(3)      /* and this one probed all the time */

static void take_way(struct peer_dial *dial, const struct now *now)
{
        bool guess = !dial->called && (dial->way_count > 1 || (dial->punch && !dial->certain));

        dial->way_us = USEC_NEVER;
        if (!dial->way_count)
                return;
        conn_reach(dial->conn, &dial->ways[dial->way], now->mono_us);
        if (guess) {
                conn_probe(dial->conn);         /* our header follows to the one that answers */
                dial->way_us = now->mono_us + (++dial->way_tries <= 2 * dial->way_count ? WAY_US : SLOW_WAY_US);
        } else {
                conn_greet(dial->conn);
        }
}

void peer_reach_start(struct peer_dial *dial, const struct now *now)
{
        dial->way = 0;
        take_way(dial, now);
}

/* The next one is due. */
void peer_reach_advance(struct peer_dial *dial, const struct now *now)
{
        if (now->mono_us < dial->way_us)
                return;
        dial->way_us = USEC_NEVER;
        dial->way = (dial->way + 1) % dial->way_count;
        take_way(dial, now);
}

/* --- What the answer says --- */

static void add_way(struct peer_dial *dial, uint32_t socket, const struct addr *remote)
{
        if (dial->way_count == PEER_WAYS_MAX || addr_is_unusable(remote))
                return;
        for (unsigned i = 0; i < dial->way_count; i++)
                if (addr_equal(&dial->ways[i].remote, remote))
                        return;
        dial->ways[dial->way_count++] = (struct peer_way){ .socket = socket, .remote = *remote };
}

/* Addresses of one who is behind the same public address as we are, the likeliest first; none where we are ourselves. From our server
 * socket, as hyperdht does. */
static void add_near_ways(struct peer_dial *dial, const struct noise_payload *payload)
{
        struct peer_set *set = dial->source.set;
        struct addr mine[PEER_OWN_MAX], theirs[NOISE_ADDRESSES_MAX];
        size_t mine_count = peer_own_addresses(set, mine), count = 0;
        const struct addr *match;

        for (size_t i = 0; i < payload->address_count; i++)
                if (!addr_is_reserved(&payload->addresses[i]) && !peer_is_among(&payload->addresses[i], mine, mine_count))
                        theirs[count++] = payload->addresses[i];
        match = peer_match_address(mine, mine_count, theirs, count);
        if (match)
                add_way(dial, set->server_socket, match);
        for (size_t i = 0; i < count && dial->way_count < PEER_WAYS_MAX - 2; i++)
                add_way(dial, set->server_socket, &theirs[i]);
}

bool peer_offers_punch(const struct noise_payload *payload)
{
        return payload->has_holepunch && payload->relay_count > 0;
}

/* The server knows its NAT, as those of ours tell before any round of punching: then it has opened it for us before its answer left.
 * To knock at one that is not open yet would spoil it with some routers. */
static bool is_expecting(const struct noise_payload *payload)
{
        return !peer_offers_punch(payload) || payload->firewall != NOISE_FIREWALL_UNKNOWN;
}

/* Where to try, and what to think when that leads nowhere. Who told the server to be open is called besides; hyperdht only
 * waits for that. */
void peer_reach_plan(struct peer_dial *dial, const struct dht_event *event, const struct noise_payload *payload)
{
        struct peer_set *set = dial->source.set;
        const struct addr *public = peer_first_public(payload->addresses, payload->address_count);
        uint32_t socket = dht_socket(set->dht);

        dial->failure = PEER_UNREACHED;
        if (dial->caller.remote.port) {
                add_way(dial, dial->caller.socket, &dial->caller.remote);
                dial->called = true;
        } else if (!event->relayed) {
                add_way(dial, socket, &event->from);
        } else if (payload->firewall == NOISE_FIREWALL_OPEN) {
                add_way(dial, socket, public ? public : &event->server);
        } else {
                if (!dial->claimed_open)
                        dial->failure = PEER_NEEDS_PUNCH;
                if (peer_is_own_host(set, &event->server))
                        add_way(dial, socket, &event->server);
                else if (addr_host_equal(&event->to, &event->server))
                        add_near_ways(dial, payload);
                if (public)
                        add_way(dial, socket, public);
                if (is_expecting(payload))
                        add_way(dial, socket, &event->server);
                dial->certain = payload->firewall == NOISE_FIREWALL_CONSISTENT && peer_own_class(set) == NAT_CONSISTENT;
        }
}

/* --- What is heard --- */

/* Somebody who knows our stream's number speaks from there; that can only be the server. Before its answer is here we can't
 * answer. */
void peer_reach_called(struct peer_dial *dial, const struct peer_way *way, const struct now *now)
{
        if (addr_is_unusable(&way->remote))
                return;
        dial->caller = *way;
        if (dial->state == PEER_DIAL_FINDING)
                return;
        dial->ways[0] = *way;
        dial->way_count = 1;
        dial->called = true;
        dial->limit_us = usec_min(dial->limit_us, now->mono_us + PEER_REACH_US);
        if (dial->state != PEER_DIAL_REACHING)
                return;
        peer_reach_start(dial, now);
        peer_dial_arm(dial, now);
}

/* It is to be met at a relay, unless it is there already. */
void peer_reach_relayed(struct peer_dial *dial, const struct peer_way *way, const struct now *now)
{
        if (dial->state != PEER_DIAL_REACHING)
                return;
        peer_detour_remember(dial->conn, dial->ways, dial->way_count);
        dial->limit_us = USEC_NEVER;
        peer_reach_called(dial, way, now);
}

/* No relay helps. */
void peer_reach_alone(struct peer_dial *dial, const struct now *now)
{
        if (dial->waits)
                peer_dial_fail(dial, dial->failure, now);
}

/* A probe came from there. That may be anybody's: it is one more address to try, and at once. */
void peer_reach_heard(struct peer_dial *dial, const struct peer_way *way, const struct now *now)
{
        if (dial->state != PEER_DIAL_REACHING || dial->called)
                return;
        dial->way = 0;
        while (dial->way < dial->way_count && !(addr_equal(&dial->ways[dial->way].remote, &way->remote) &&
                                                dial->ways[dial->way].socket == way->socket))
                dial->way++;
        if (dial->way == PEER_WAYS_MAX)
                dial->way--;
        dial->way_count = MAX(dial->way_count, dial->way + 1);
        dial->ways[dial->way] = *way;
        dial->way_tries = 0;
        dial->certain = false;
        take_way(dial, now);
        peer_dial_arm(dial, now);
}

void peer_reach_punch_failed(struct peer_dial *dial, enum nat_failure failure, const struct now *now)
{
        static const enum peer_failure failures[NAT_FAILURES] = {
                [NAT_UNANSWERED] = PEER_PUNCH_UNANSWERED,
                [NAT_REFUSED] = PEER_PUNCH_REFUSED,
                [NAT_BUSY] = PEER_PUNCH_BUSY,
                [NAT_UNDECIDED] = PEER_PUNCH_UNDECIDED,
                [NAT_BOTH_RANDOM] = PEER_PUNCH_IMPOSSIBLE,
                [NAT_SHUT] = PEER_PUNCH_SHUT,
        };

        usec_t after_us = nat_punch_is_random(&dial->punch->nat) ? AFTER_CHANCE_US : AFTER_PUNCH_US;

        dial->failure = failures[failure];
        dial->limit_us = usec_min(dial->limit_us, now->mono_us + (failure == NAT_BOTH_RANDOM ? 0 : after_us));
        peer_dial_arm(dial, now);
}
