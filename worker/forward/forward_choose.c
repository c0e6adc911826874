/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_choose.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc_service.h"
#include "policy.h"

struct choose_gate {
        struct map_entry by_port;
        uint16_t port, protocol;
        uint32_t name;                  /* of the TLS clients it is for; 0: all others */
        struct choose_gate *others;     /* the one for these, which stays as long; NULL: it is that */
        unsigned named;                 /* how many are there for names beside this one */
        struct list ways;               /* in the order they came */
        struct list parted;             /* ways that are no longer there, but for their clients */
        struct list *turn;              /* whose turn it is; the head: the first's */
};

void choose_init(struct choose *choose, const uint8_t map_key[16])
{
        memset(choose, 0, sizeof(*choose));
        map_init(&choose->gates, map_key);
}

static uint64_t gate_hash(const struct choose *choose, uint16_t port, uint16_t protocol, uint32_t name)
{
        uint64_t key[2] = { (uint64_t)port << 16 | protocol, name };

        return map_hash(&choose->gates, key, sizeof(key));
}

static struct choose_gate *gate_find(const struct choose *choose, uint16_t port, uint16_t protocol, uint32_t name)
{
        struct map_entry *at = map_first(&choose->gates, gate_hash(choose, port, protocol, name));

        for (; at; at = map_next(at)) {
                struct choose_gate *gate = container_of(at, struct choose_gate, by_port);

                if (gate->port == port && gate->protocol == protocol && gate->name == name)
                        return gate;
        }
        return NULL;
}

static void gate_forget(struct choose *choose, struct choose_gate *gate)
{
        struct choose_gate *others = gate->others;

        if (!list_empty(&gate->ways) || !list_empty(&gate->parted) || gate->named)
                return;
        map_remove(&choose->gates, &gate->by_port);
        free(gate);
        if (others)
                others->named--;
        if (others && !choose->sweeping)
                gate_forget(choose, others);
}

static struct choose_gate *gate_give_up(struct choose *choose, struct choose_gate *others)
{
        if (others)
                gate_forget(choose, others);
        return NULL;
}

static struct choose_gate *gate_get(struct choose *choose, uint16_t port, uint16_t protocol, uint32_t name)
{
        struct choose_gate *gate = gate_find(choose, port, protocol, name);

        struct choose_gate *others = gate || !name ? NULL : gate_get(choose, port, protocol, 0);

        if (gate || (name && !others))
                return gate;
        gate = calloc(1, sizeof(*gate));
        if (!gate)
                return gate_give_up(choose, others);
        gate->port = port;
        gate->protocol = protocol;
        gate->name = name;
        gate->others = others;
        list_init(&gate->ways);
        list_init(&gate->parted);
        gate->turn = &gate->ways;
        if (map_insert(&choose->gates, &gate->by_port, gate_hash(choose, port, protocol, name)) < 0) {
                free(gate);
                return gate_give_up(choose, others);
        }
        if (others)
                others->named++;
        return gate;
}

static struct choose_way *way_find(const struct list *ways, const struct ipc_via *via)
{
        list_for_each(at, ways) {
                struct choose_way *way = list_entry(at, struct choose_way, in_gate);

                if (memcmp(&way->via, via, sizeof(*via)) == 0)
                        return way;
        }
        return NULL;
}

/* The others keep their order, and their turn. */
static void way_part(struct choose *choose, struct choose_way *way)
{
        struct choose_gate *gate = way->gate;

        if (gate->turn == &way->in_gate)
                gate->turn = way->in_gate.next;
        list_remove(&way->in_gate);
        choose->routes--;
        way->parted = true;
        policy_set(&way->policy, NULL);
        if (way->clients)
                list_push_back(&gate->parted, &way->in_gate);
        else
                free(way);
}

/* One that has parted and still has clients, or a new one; as fit as if nobody had ever been sent there. */
static struct choose_way *way_get(struct choose_gate *gate, const struct ipc_via *via)
{
        struct choose_way *way = way_find(&gate->parted, via);
        uint32_t clients = way ? way->clients : 0;

        if (way)
                list_remove(&way->in_gate);
        else if (!(way = malloc(sizeof(*way))))
                return NULL;
        *way = (struct choose_way){ .gate = gate, .via = *via, .clients = clients };
        list_push_back(&gate->ways, &way->in_gate);
        return way;
}

int choose_set(struct choose *choose, const struct ipc_via *via, uint16_t gate_port, uint16_t protocol, uint64_t service,
               uint32_t priority, uint32_t name)
{
        struct choose_gate *gate = gate_get(choose, gate_port, protocol, name);
        struct choose_way *way = gate ? way_find(&gate->ways, via) : NULL;

        if (!gate)
                return -ENOMEM;
        if (!way) {
                bool room = choose->routes < CHOOSE_ROUTES_MAX;

                way = room ? way_get(gate, via) : NULL;
                if (!way) {
                        gate_forget(choose, gate);
                        return room ? -ENOMEM : -ENOSPC;
                }
                choose->routes++;
        }
        way->service = service;
        way->offered_port = gate_port;
        way->priority = priority;
        way->repeated = true;
        policy_set(&way->policy, NULL);
        return 0;
}

void choose_offered(struct choose *choose, const struct ipc_via *via, uint16_t gate_port, uint16_t protocol, uint16_t offered_port)
{
        way_find(&gate_find(choose, gate_port, protocol, 0)->ways, via)->offered_port = offered_port;
}

void choose_restrict(struct choose *choose, const struct ipc_via *via, uint16_t gate_port, uint16_t protocol, uint32_t name,
                     struct policy *policy)
{
        struct choose_gate *gate = gate_find(choose, gate_port, protocol, name);
        struct policy **shared = &choose->shared[via->peer[0] % CHOOSE_SHARED];

        if (policy && policy_same(policy, *shared))
                policy = *shared;
        else if (policy)
                policy_set(shared, policy);
        policy_set(&way_find(&gate->ways, via)->policy, policy);
}

void choose_drop(struct choose *choose, const struct ipc_via *via, uint16_t gate_port, uint16_t protocol, uint32_t name)
{
        struct choose_gate *gate = gate_find(choose, gate_port, protocol, name);
        struct choose_way *way = gate ? way_find(&gate->ways, via) : NULL;

        if (!way)
                return;
        way_part(choose, way);
        gate_forget(choose, gate);
}

void choose_begin(struct choose *choose)
{
        for (struct map_entry *at = map_walk(&choose->gates, NULL); at; at = map_walk(&choose->gates, at))
                list_for_each(way_at, &container_of(at, struct choose_gate, by_port)->ways)
                        list_entry(way_at, struct choose_way, in_gate)->repeated = false;
        choose->replacing = true;
}

static void gate_sweep(struct choose *choose, struct choose_gate *gate)
{
        list_for_each(at, &gate->ways)
                if (!list_entry(at, struct choose_way, in_gate)->repeated)
                        way_part(choose, list_entry(at, struct choose_way, in_gate));
        gate_forget(choose, gate);
}

static void sweep(struct choose *choose, bool named)
{
        choose->sweeping = true;
        for (struct map_entry *at = map_walk(&choose->gates, NULL), *next; at; at = next) {
                struct choose_gate *gate = container_of(at, struct choose_gate, by_port);

                next = map_walk(&choose->gates, at);
                if ((gate->name != 0) == named)
                        gate_sweep(choose, gate);
        }
        choose->sweeping = false;
}

void choose_end(struct choose *choose)
{
        if (choose->replacing) {
                sweep(choose, true);
                sweep(choose, false);   /* those that had stayed for others */
        }
        choose->replacing = false;
}

/* Rendezvous hashing (Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998): the provider with the highest score
 * for a client has that client. Without a key, so that every gateway, and a later one, says the same; the ways to one provider are told apart
 * only among themselves. */
static uint64_t score(const uint8_t address[16], const struct ipc_via *via, bool of_way)
{
        static const struct map without_key;
        uint8_t bytes[16 + sizeof(*via)] = { 0 };

        memcpy(bytes, address, 16);
        memcpy(bytes + 16, via, of_way ? sizeof(*via) : sizeof(via->peer));
        return map_hash(&without_key, bytes, sizeof(bytes));
}

static bool scores_more(const uint8_t address[16], const struct ipc_via *a, const struct ipc_via *b)
{
        bool of_way = memcmp(a->peer, b->peer, sizeof(a->peer)) == 0;

        return score(address, a, of_way) > score(address, b, of_way);
}

/* The same for swarm workers: the client's is the one that scores most. */
static bool carries_rather(const uint8_t address[16], uint32_t swarm, uint32_t other)
{
        return score(address, &(struct ipc_via){ .swarm = swarm }, true) > score(address, &(struct ipc_via){ .swarm = other }, true);
}

uint32_t choose_own(const uint8_t address[16], uint32_t swarms)
{
        uint32_t own = swarms > 0;

        for (uint32_t swarm = 2; swarm <= swarms; swarm++)
                own = carries_rather(address, swarm, own) ? swarm : own;
        return own;
}

struct pick {
        const struct choose_ask *ask;
        struct choose_way *best, *resting;
        uint32_t alive;                 /* the best priority of which somebody is fit, behind or not */
        bool pinned;                    /* to one swarm worker */
};

static bool is_limited(const struct choose_gate *gate, const struct choose_ask *ask)
{
        list_for_each(at, &gate->ways)
                if (ask->limits && ask->limits(ask->context, list_entry(at, struct choose_way, in_gate)))
                        return true;
        return false;
}

/* Whether the client goes rather to @way than to @other, whose turn is before it; both are fit. */
static bool is_preferred(const struct pick *pick, const struct choose_way *way, const struct choose_way *other)
{
        const struct choose_ask *ask = pick->ask;

        if (way->priority != other->priority)
                return way->priority < other->priority;
        if (pick->pinned && way->via.swarm != other->via.swarm)
                return carries_rather(ask->address, way->via.swarm, other->via.swarm);
        switch (ask->policy) {
        case IPC_POLICY_LEAST_CONNECTIONS:
                return way->clients < other->clients;
        case IPC_POLICY_SOURCE_HASH:
                return scores_more(ask->address, &way->via, &other->via);
        case IPC_POLICY_FIRST:
                return memcmp(&way->via, &other->via, sizeof(way->via)) < 0;
        default:
                return false;
        }
}

static bool is_usable(const struct choose_ask *ask, const struct choose_way *way)
{
        return !ask->usable || ask->usable(ask->context, &way->via);
}

static bool is_admitted(const struct choose_ask *ask, const struct choose_way *way)
{
        return !ask->admits || ask->admits(ask->context, way);
}

static bool is_own(const struct choose_ask *ask, const struct choose_way *way)
{
        return !ask->own || way->via.swarm == ask->own;
}

/* Whom the policy names, or a limit, is waited for while its swarm worker is behind; where anybody will do another one is taken. */
static bool is_waited_for(const struct pick *pick)
{
        const struct choose_ask *ask = pick->ask;

        return pick->pinned || ask->policy == IPC_POLICY_SOURCE_HASH || ask->policy == IPC_POLICY_FIRST;
}

/* The one after @at, round and round; there is one. */
static struct choose_way *way_after(struct choose_gate *gate, struct list *at)
{
        return list_entry(at->next == &gate->ways ? gate->ways.next : at->next, struct choose_way, in_gate);
}

static void consider(struct pick *pick, struct choose_way *way)
{
        const struct choose_ask *ask = pick->ask;
        bool fit = way->rests_until_us <= ask->now_us;

        if (!is_admitted(ask, way) || (pick->pinned && !is_own(ask, way)))
                return;
        if (fit)
                pick->alive = MIN(pick->alive, way->priority);
        if ((!fit && !ask->insist) || (!(fit && is_waited_for(pick)) && !is_usable(ask, way)))
                return;
        if (fit && (!pick->best || is_preferred(pick, way, pick->best)))
                pick->best = way;
        else if (!fit && (!pick->resting || way->rests_until_us < pick->resting->rests_until_us))
                pick->resting = way;
}

/* The best of those that are fit, from the turn on; else, if it is insisted, the one whose rest ends first. A backup is not taken because those
 * before it are only behind. */
static struct choose_way *way_pick(struct choose_gate *gate, const struct choose_ask *ask)
{
        struct choose_way *first = way_after(gate, gate->turn->prev), *way = first;
        struct pick pick = { .ask = ask, .alive = UINT32_MAX, .pinned = is_limited(gate, ask) };

        do {
                consider(&pick, way);
                way = way_after(gate, &way->in_gate);
        } while (way != first);
        if (!pick.best)
                return pick.resting;
        return pick.best->priority > pick.alive || (is_waited_for(&pick) && !is_usable(ask, pick.best)) ? NULL : pick.best;
}

bool choose_are_named(const struct choose *choose, uint16_t gate_port, uint16_t protocol)
{
        const struct choose_gate *gate = gate_find(choose, gate_port, protocol, 0);

        return gate && gate->named;
}

void choose_names(const char *name, struct choose_names *out)
{
        const char *rest = strchr(name, '.');
        char any[IPC_NAME_MAX];

        *out = (struct choose_names){ .whole = ipc_server_name(name) };
        if (!rest || strlen(rest) + 2 > sizeof(any))
                return;
        any[0] = '*';
        memcpy(any + 1, rest, strlen(rest) + 1);
        out->any = ipc_server_name(any);
}

/* The one of that name, whole or any; else the one for whoever has another name or none. */
static struct choose_gate *gate_for(const struct choose *choose, uint16_t port, uint16_t protocol, const struct choose_names *names)
{
        struct choose_gate *gate = names && names->whole ? gate_find(choose, port, protocol, names->whole) : NULL;

        if ((!gate || list_empty(&gate->ways)) && names && names->any)
                gate = gate_find(choose, port, protocol, names->any);
        return gate && !list_empty(&gate->ways) ? gate : gate_find(choose, port, protocol, 0);
}

struct choose_way *choose_take(struct choose *choose, const struct choose_ask *ask)
{
        struct choose_gate *gate = gate_for(choose, ask->gate_port, ask->protocol, ask->names);
        struct choose_way *way = gate && !list_empty(&gate->ways) ? way_pick(gate, ask) : NULL;

        if (!way)
                return NULL;
        gate->turn = way->in_gate.next;
        if (way->failures && way->rests_until_us <= ask->now_us) {
                way->probing = true;
                way->rests_until_us = usec_add(ask->now_us, CHOOSE_PROBE_US);
        }
        way->clients++;
        return way;
}

bool choose_lacks(const struct choose *choose, const struct choose_ask *ask, bool failed)
{
        const struct choose_gate *gate = gate_for(choose, ask->gate_port, ask->protocol, ask->names);

        if (!gate || !ask->own || !is_limited(gate, ask))
                return false;
        list_for_each(at, &gate->ways) {
                const struct choose_way *way = list_entry(at, struct choose_way, in_gate);
                struct ipc_via via = way->via;
                const struct choose_way *own;

                via.swarm = ask->own;
                own = way_find(&gate->ways, &via);
                if (way->rests_until_us <= ask->now_us && is_admitted(ask, way) &&
                    (!own || (failed && own->rests_until_us > ask->now_us)))
                        return true;
        }
        return false;
}

void choose_leave(struct choose *choose, struct choose_way *way)
{
        struct choose_gate *gate = way->gate;

        assert(way->clients);
        if (--way->clients || !way->parted)
                return;
        list_remove(&way->in_gate);
        free(way);
        gate_forget(choose, gate);
}

/* Clients that were under way together fail together: that is one failure. */
void choose_failed(struct choose_way *way, usec_t now_us)
{
        usec_t rest_us = CHOOSE_REST_MIN_US;

        if (way->failures == 0 || way->probing)
                way->failures++;
        way->probing = false;
        for (unsigned i = 1; i < way->failures && rest_us < CHOOSE_REST_MAX_US; i++)
                rest_us *= 2;
        rest_us = usec_min(rest_us, CHOOSE_REST_MAX_US);
        way->rests_until_us = usec_max(way->rests_until_us, usec_add(now_us, rest_us));
}

void choose_worked(struct choose_way *way)
{
        way->failures = 0;
        way->probing = false;
        way->rests_until_us = 0;
}

usec_t choose_ready_us(const struct choose *choose, uint16_t gate_port, uint16_t protocol, const struct choose_names *names,
                       usec_t after_us)
{
        const struct choose_gate *gate = gate_for(choose, gate_port, protocol, names);
        usec_t ready_us = USEC_NEVER;

        if (!gate)
                return USEC_NEVER;
        list_for_each(at, &gate->ways) {
                usec_t fit_us = list_entry(at, struct choose_way, in_gate)->rests_until_us;

                ready_us = fit_us >= after_us ? usec_min(ready_us, fit_us) : ready_us;
        }
        return ready_us;
}

void choose_fini(struct choose *choose)
{
        choose_begin(choose);
        choose_end(choose);
        for (size_t i = 0; i < CHOOSE_SHARED; i++)
                policy_leave(choose->shared[i]);
        assert(choose->gates.count == 0);       /* every client has left */
        map_fini(&choose->gates);
}
