/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_choose.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct route {
        struct ipc_via via;
        uint64_t service;               /* that is meant; 0: any */
        usec_t rests_until_us;          /* 0: fit */
        unsigned failures;              /* in a row */
        bool probing;                   /* its rest ended and a client was sent: the answer counts */
        bool repeated;                  /* since choose_begin() */
};

struct gate {
        struct map_entry by_port;
        uint16_t port, protocol;
        size_t count, room, turn;       /* @turn: whose turn it is */
        struct route *routes;
};

void choose_init(struct choose *choose, const uint8_t map_key[16])
{
        memset(choose, 0, sizeof(*choose));
        map_init(&choose->gates, map_key);
}

static uint64_t gate_hash(const struct choose *choose, uint16_t port, uint16_t protocol)
{
        uint16_t key[2] = { port, protocol };

        return map_hash(&choose->gates, key, sizeof(key));
}

static struct gate *gate_find(const struct choose *choose, uint16_t port, uint16_t protocol)
{
        struct map_entry *at = map_first(&choose->gates, gate_hash(choose, port, protocol));

        for (; at; at = map_next(at)) {
                struct gate *gate = container_of(at, struct gate, by_port);

                if (gate->port == port && gate->protocol == protocol)
                        return gate;
        }
        return NULL;
}

static struct gate *gate_get(struct choose *choose, uint16_t port, uint16_t protocol)
{
        struct gate *gate = gate_find(choose, port, protocol);

        if (gate || !(gate = calloc(1, sizeof(*gate))))
                return gate;
        gate->port = port;
        gate->protocol = protocol;
        if (map_insert(&choose->gates, &gate->by_port, gate_hash(choose, port, protocol)) == 0)
                return gate;
        free(gate);
        return NULL;
}

static void gate_free(struct choose *choose, struct gate *gate)
{
        map_remove(&choose->gates, &gate->by_port);
        free(gate->routes);
        free(gate);
}

static struct route *route_find(const struct gate *gate, const struct ipc_via *via)
{
        for (size_t i = 0; gate && i < gate->count; i++)
                if (memcmp(&gate->routes[i].via, via, sizeof(*via)) == 0)
                        return &gate->routes[i];
        return NULL;
}

/* Keeps the order of the others, and whose turn it is. */
static void route_remove(struct choose *choose, struct gate *gate, size_t at)
{
        memmove(&gate->routes[at], &gate->routes[at + 1], (gate->count - at - 1) * sizeof(*gate->routes));
        gate->count--;
        choose->routes--;
        if (gate->turn > at)
                gate->turn--;
}

int choose_set(struct choose *choose, const struct ipc_via *via, uint16_t gate_port, uint16_t protocol, uint64_t service)
{
        struct gate *gate = gate_get(choose, gate_port, protocol);
        struct route *route = route_find(gate, via);

        if (route) {
                route->service = service;
                route->repeated = true;
                return 0;
        }
        if (!gate)
                return -ENOMEM;
        if (choose->routes >= CHOOSE_ROUTES_MAX)
                return -ENOSPC;
        if (gate->count == gate->room) {
                size_t room = gate->room ? 2 * gate->room : 4;
                struct route *routes = reallocarray(gate->routes, room, sizeof(*routes));

                if (!routes)
                        return -ENOMEM;
                gate->routes = routes;
                gate->room = room;
        }
        route = &gate->routes[gate->count++];
        *route = (struct route){ .via = *via, .service = service, .repeated = true };
        choose->routes++;
        return 0;
}

uint64_t choose_service(const struct choose *choose, const struct ipc_via *via, uint16_t gate_port, uint16_t protocol)
{
        const struct route *route = route_find(gate_find(choose, gate_port, protocol), via);

        return route ? route->service : 0;
}

void choose_drop(struct choose *choose, const struct ipc_via *via, uint16_t gate_port, uint16_t protocol)
{
        struct gate *gate = gate_find(choose, gate_port, protocol);
        struct route *route = route_find(gate, via);

        if (!route)
                return;
        route_remove(choose, gate, (size_t)(route - gate->routes));
        if (gate->count == 0)
                gate_free(choose, gate);
}

void choose_begin(struct choose *choose)
{
        for (struct map_entry *at = map_walk(&choose->gates, NULL); at; at = map_walk(&choose->gates, at)) {
                struct gate *gate = container_of(at, struct gate, by_port);

                for (size_t i = 0; i < gate->count; i++)
                        gate->routes[i].repeated = false;
        }
        choose->replacing = true;
}

static bool gate_sweep(struct choose *choose, struct gate *gate)
{
        for (size_t i = gate->count; i > 0; i--)
                if (!gate->routes[i - 1].repeated)
                        route_remove(choose, gate, i - 1);
        return gate->count == 0;
}

void choose_end(struct choose *choose)
{
        struct map_entry *at = choose->replacing ? map_walk(&choose->gates, NULL) : NULL, *next;

        for (; at; at = next) {
                struct gate *gate = container_of(at, struct gate, by_port);

                next = map_walk(&choose->gates, at);
                if (gate_sweep(choose, gate))
                        gate_free(choose, gate);
        }
        choose->replacing = false;
}

/* The first that is fit from @gate->turn on; else, if @insist, the one whose rest ends first. */
static struct route *route_pick(struct gate *gate, bool insist, usec_t now_us, choose_usable usable, void *context)
{
        struct route *best = NULL;

        for (size_t i = 0; i < gate->count; i++) {
                struct route *route = &gate->routes[(gate->turn + i) % gate->count];

                bool fit = route->rests_until_us <= now_us;

                if ((!fit && !insist) || (usable && !usable(context, &route->via)))
                        continue;
                if (fit)
                        return route;
                if (!best || route->rests_until_us < best->rests_until_us)
                        best = route;
        }
        return best;
}

bool choose_pick(struct choose *choose, uint16_t gate_port, uint16_t protocol, bool insist, usec_t now_us, choose_usable usable,
                 void *context, struct ipc_via *via_out)
{
        struct gate *gate = gate_find(choose, gate_port, protocol);
        struct route *route = gate ? route_pick(gate, insist, now_us, usable, context) : NULL;

        if (!route)
                return false;
        gate->turn = ((size_t)(route - gate->routes) + 1) % gate->count;
        if (route->failures && route->rests_until_us <= now_us) {
                route->probing = true;
                route->rests_until_us = usec_add(now_us, CHOOSE_PROBE_US);
        }
        *via_out = route->via;
        return true;
}

/* Clients that were under way together fail together: that is one failure. */
void choose_failed(struct choose *choose, const struct ipc_via *via, uint16_t gate_port, uint16_t protocol, usec_t now_us)
{
        struct route *route = route_find(gate_find(choose, gate_port, protocol), via);
        usec_t rest_us = CHOOSE_REST_MIN_US;

        if (!route)
                return;
        if (route->failures == 0 || route->probing)
                route->failures++;
        route->probing = false;
        for (unsigned i = 1; i < route->failures && rest_us < CHOOSE_REST_MAX_US; i++)
                rest_us *= 2;
        rest_us = usec_min(rest_us, CHOOSE_REST_MAX_US);
        route->rests_until_us = usec_max(route->rests_until_us, usec_add(now_us, rest_us));
}

void choose_worked(struct choose *choose, const struct ipc_via *via, uint16_t gate_port, uint16_t protocol)
{
        struct route *route = route_find(gate_find(choose, gate_port, protocol), via);

        if (!route)
                return;
        route->failures = 0;
        route->probing = false;
        route->rests_until_us = 0;
}

usec_t choose_ready_us(const struct choose *choose, uint16_t gate_port, uint16_t protocol)
{
        const struct gate *gate = gate_find(choose, gate_port, protocol);
        usec_t ready_us = USEC_NEVER;

        for (size_t i = 0; gate && i < gate->count; i++)
                ready_us = usec_min(ready_us, gate->routes[i].rests_until_us);
        return ready_us;
}

void choose_fini(struct choose *choose)
{
        struct map_entry *at;

        while ((at = map_walk(&choose->gates, NULL)))
                gate_free(choose, container_of(at, struct gate, by_port));
        map_fini(&choose->gates);
}
