/* SPDX-License-Identifier: BSD-3-Clause */
/* Who waits at a gate for a provider, and what wakes them: a route that comes or goes, a swarm worker that comes or takes messages again, a
 * client that gets through to one of whom that was not known, and the end of a rest.
 *
 * Who has a limit waits as well while its own swarm worker, which keeps that, has not met a provider that another one has, as in a
 * gateway's first moments and after a death: by that one it would have a second limit. It goes by that when it has waited long, and those
 * who come in the next minute don't wait, lest everybody does where its own will never meet the provider. */
#include "forward_clients_search.h"
#include "forward_swarms.h"

#define RETRY_US SECONDS(1)             /* where nothing of that will come: no memory was left to send a client on */
#define IN_VAIN_US SECONDS(60)          /* nobody else waits for that swarm worker */

static void on_hang_up(struct watched *watched, uint32_t events)
{
        clients_step(container_of(watched, struct search, watched)->client, CLIENT_ENDED);
}

/* Only a reset or the like counts as gone: an end of what it sends is an upload that waits to be carried. */
void clients_wait_begin(struct client *client)
{
        struct clients *clients = client->clients;

        client->search->watched.ready = on_hang_up;
        list_push_back(&client->gate->waiting, &client->search->in_gate);
        client->gate->waiting_count++;
        heap_insert(&clients->deadlines, &client->search->deadline, client->search->gives_up_us);
        watch_add(clients->watch, &client->search->watched, 0); /* unwatched, it waits its full time at worst */
}

void clients_wait_end(struct client *client)
{
        struct clients *clients = client->clients;

        watch_remove(clients->watch, &client->search->watched);
        heap_remove(&clients->deadlines, &client->search->deadline);
        list_remove(&client->search->in_gate);
        client->gate->waiting_count--;
}

/* The next end of a rest, of whichever provider those who wait might have. */
static usec_t rest_ends_us(const struct clients *clients, const struct gate *gate, usec_t now_us)
{
        usec_t ready_us = USEC_NEVER;

        if (!gate->named)
                return choose_ready_us(&clients->choose, gate->port, gate->protocol, NULL, usec_add(now_us, 1));
        list_for_each(at, &gate->waiting)
                ready_us = usec_min(ready_us, choose_ready_us(&clients->choose, gate->port, gate->protocol,
                                                              &list_entry(at, struct search, in_gate)->names, usec_add(now_us, 1)));
        return ready_us;
}

uint32_t clients_wait_own(const struct client *client)
{
        return choose_own(guest_address(client->guest), client->clients->limits.swarms);
}

static uint64_t bit_of(uint32_t own)
{
        return own ? UINT64_C(1) << (own - 1) : 0;
}

bool clients_wait_stays(const struct client *client, uint32_t own, const struct now *now)
{
        const struct gate *gate = client->gate;

        return now->mono_us < client->search->strays_us && (now->mono_us >= gate->in_vain_until_us || !(gate->in_vain & bit_of(own)));
}

void clients_wait_went(struct client *client, uint32_t own, uint32_t swarm, const struct now *now)
{
        struct gate *gate = client->gate;

        if (swarm == own) {
                gate->in_vain &= ~bit_of(own);
        } else if (client->search->lacked && now->mono_us >= client->search->strays_us) {
                if (now->mono_us >= gate->in_vain_until_us)
                        gate->in_vain = 0;
                gate->in_vain |= bit_of(own);
                gate->in_vain_until_us = usec_add(now->mono_us, IN_VAIN_US);
        }
}

/* When the next of those who wait for their own swarm worker does so no longer. */
static usec_t strays_us(const struct gate *gate, usec_t now_us)
{
        usec_t next_us = USEC_NEVER;

        list_for_each(at, &gate->waiting) {
                const struct search *search = list_entry(at, struct search, in_gate);

                if (search->lacked && search->strays_us > now_us)
                        next_us = usec_min(next_us, search->strays_us);
        }
        return next_us;
}

void clients_wait_arm(struct clients *clients, struct gate *gate, usec_t now_us)
{
        bool waits = gate->waiting_count && swarms_next(clients->worker, NULL);
        usec_t retry_us = gate->unsent ? usec_add(now_us, RETRY_US) : USEC_NEVER;

        retry_us = usec_min(retry_us, strays_us(gate, now_us));
        heap_set(&clients->retries, &gate->retry, waits ? usec_min(rest_ends_us(clients, gate, now_us), retry_us) : USEC_NEVER);
}

/* Who waits for a swarm worker that is behind is no reason not to look at those who wait for another one. */
void clients_gate_serve(struct clients *clients, struct gate *gate, const struct now *now)
{
        gate->unsent = false;
        list_for_each(at, &gate->waiting) {
                struct client *client = list_entry(at, struct search, in_gate)->client;

                if (clients_search_attempt(client, now) == ATTEMPT_DENIED)
                        clients_step(client, CLIENT_ENDED);
                if (!swarms_next(clients->worker, NULL) || clients_busy(clients))
                        break;
        }
        clients_wait_arm(clients, gate, now->mono_us);
}

void clients_serve(struct clients *clients, uint16_t gate_port, uint16_t protocol, const struct now *now)
{
        struct gate *gate = clients_gate_find(clients, gate_port, protocol);

        if (gate)
                clients_gate_serve(clients, gate, now);
}

void clients_serve_all(struct clients *clients, const struct now *now)
{
        struct gate *gate = NULL;

        while ((gate = clients_gate_next(clients, gate)))
                clients_gate_serve(clients, gate, now);
}

void clients_advance(struct clients *clients, const struct now *now)
{
        struct heap_entry *due;

        while ((due = heap_pop_due(&clients->deadlines, now->mono_us))) {
                struct client *client = container_of(due, struct search, deadline)->client;

                clients_gate_complain(clients, client->gate,
                                      swarms_next(clients->worker, NULL) ? "no provider is known or answers" : "no swarm worker");
                clients_step(client, CLIENT_ENDED);
        }
        while ((due = heap_pop_due(&clients->retries, now->mono_us)))
                clients_gate_serve(clients, container_of(due, struct gate, retry), now);
}

usec_t clients_deadline(const struct clients *clients)
{
        return usec_min(heap_deadline(&clients->deadlines), heap_deadline(&clients->retries));
}
