/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_clients_search.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "forward_log.h"
#include "forward_swarms.h"
#include "ipc_channel.h"
#include "ipc_forward.h"

/* Empty cell: the event is late here and means nothing. */
static const enum client_state client_next[CLIENT_STATES][CLIENT_EVENTS] = {
        [CLIENT_HELD]    = { [CLIENT_SENT] = CLIENT_HANDED, [CLIENT_FOUND_NOBODY] = CLIENT_WAITING, [CLIENT_ENDED] = CLIENT_OVER },
        [CLIENT_WAITING] = { [CLIENT_SENT] = CLIENT_HANDED, [CLIENT_ENDED] = CLIENT_OVER },
        [CLIENT_HANDED]  = { [CLIENT_RETURNED] = CLIENT_HELD, [CLIENT_CONFIRMED] = CLIENT_RUNNING, [CLIENT_ENDED] = CLIENT_OVER },
        [CLIENT_RUNNING] = { [CLIENT_ENDED] = CLIENT_OVER },
};

static uint64_t number_hash(const struct clients *clients, uint64_t number)
{
        return map_hash(&clients->handed, &number, sizeof(number));
}

static void leave_state(struct client *client, enum client_state next)
{
        struct clients *clients = client->clients;

        if (client->state == CLIENT_WAITING) {
                clients_wait_end(client);
        } else if ((client->state == CLIENT_HANDED || client->state == CLIENT_RUNNING) && next != CLIENT_RUNNING) {
                map_remove(&clients->handed, &client->by_number);
                choose_leave(&clients->choose, client->way);
                client->way = NULL;
        }
}

/* The swarm worker has a copy of its own. */
static void enter_handed(struct client *client)
{
        close(client->search->watched.fd);
        client->search->watched.fd = -1;
}

/* From here on it takes half the memory: there are many who say nothing. */
static void enter_running(struct client *client)
{
        clients_search_end(client);
}

/* With SO_LINGER{1,0} a close is a reset. */
static void enter_over(struct client *client)
{
        struct client_session *session = client->session;

        clients_search_end(client);
        if (client->gate)
                client->gate->count--;
        guests_leave(&client->clients->guests, client->guest);
        free(client->labels);
        free(client);
        if (!session)
                return;
        session->client = NULL;
        session->over(session);
}

void clients_step(struct client *client, enum client_event event)
{
        static void (*const enter[CLIENT_STATES])(struct client *client) = {
                [CLIENT_WAITING] = clients_wait_begin,
                [CLIENT_HANDED] = enter_handed,
                [CLIENT_RUNNING] = enter_running,
                [CLIENT_OVER] = enter_over,
        };
        enum client_state next = client_next[client->state][event];

        if (next == CLIENT_SAME)
                return;
        leave_state(client, next);
        client->state = next;
        if (enter[next])
                enter[next](client);
}

void clients_init(struct clients *clients, struct worker *worker, struct watch *watch, const struct random *random)
{
        uint8_t key[16];

        *clients = (struct clients){ .worker = worker, .watch = watch, .random = *random };
        tally_init(&clients->tally, worker);
        random_fill(random, key, sizeof(key));
        choose_init(&clients->choose, key);
        guests_init(&clients->guests, key);
        map_init(&clients->gates, key);
        map_init(&clients->handed, key);
}

/* Clients of it that the swarm worker has go on without. */
static void gate_free(struct clients *clients, struct gate *gate)
{
        for (struct map_entry *at = map_walk(&clients->handed, NULL); at; at = map_walk(&clients->handed, at)) {
                struct client *client = container_of(at, struct client, by_number);

                if (client->gate == gate)
                        client->gate = NULL;
        }
        list_for_each(at, &gate->waiting)
                clients_step(list_entry(at, struct search, in_gate)->client, CLIENT_ENDED);
        heap_remove(&clients->retries, &gate->retry);
        map_remove(&clients->gates, &gate->by_port);
        free(gate);
}

void clients_fini(struct clients *clients)
{
        struct gate *gate;
        struct map_entry *at;

        while ((at = map_walk(&clients->handed, NULL)))
                clients_step(container_of(at, struct client, by_number), CLIENT_ENDED);
        while ((gate = clients_gate_next(clients, NULL)))
                gate_free(clients, gate);
        guests_fini(&clients->guests);
        map_fini(&clients->gates);
        map_fini(&clients->handed);
        admissions_fini(&clients->admissions);
        choose_fini(&clients->choose);
}

void clients_gates_end(struct clients *clients)
{
        struct gate *gate, *next;

        clients->limits = clients->limits_next;
        admissions_end(&clients->admissions);
        for (gate = clients_gate_next(clients, NULL); gate; gate = next) {
                next = clients_gate_next(clients, gate);
                if (!gate->listed)
                        gate_free(clients, gate);
        }
}

bool clients_busy(const struct clients *clients)
{
        return swarms_behind(clients->worker);
}

/* A client in hand goes on its way, or waits, or is reset. */
static void client_place(struct client *client, const struct now *now)
{
        struct clients *clients = client->clients;
        struct gate *gate = client->gate;
        enum client_attempt attempt = clients_search_attempt(client, now);

        if (attempt == ATTEMPT_SENT)
                return;
        if (attempt == ATTEMPT_DENIED) {
                clients_step(client, CLIENT_ENDED);      /* no byte of it went to anybody */
        } else if (attempt == ATTEMPT_NOBODY && client->search->attempts && !client->search->unanswered) {
                clients_step(client, CLIENT_ENDED);      /* every provider said no, as a direct connection would have */
        } else if (client->search->gives_up_us <= now->mono_us) {
                clients_gate_complain(clients, gate, "no provider answers");
                clients_step(client, CLIENT_ENDED);
        } else if (gate->waiting_count >= CLIENTS_WAITING_MAX) {
                clients_gate_complain(clients, gate, "too many clients wait for a provider");
                clients_step(client, CLIENT_ENDED);
        } else {
                clients_step(client, CLIENT_FOUND_NOBODY);
                clients_wait_arm(clients, gate, now->mono_us);
        }
}

/* Whether there is room for one more; then *@guest_out is counted. */
static bool make_room(struct clients *clients, struct gate *gate, const union socket_address *remote, const struct now *now,
                      struct guest **guest_out)
{
        const struct ipc_forward_limits *limits = &clients->limits;
        struct guest *guest;
        uint32_t count = 0;

        if (limits->connections && gate->count >= limits->connections) {
                clients_gate_full(clients, gate, "there are", limits->connections, "", now);
                return false;
        }
        if (!rate_allows(&gate->rate, limits->rate, now->mono_us)) {
                clients_gate_full(clients, gate, "there come", limits->rate, " a second", now);
                return false;
        }
        guest = guests_enter(&clients->guests, gate->port, gate->protocol, remote, now->mono_us, &count);
        if (!guest)
                return false;
        if (limits->connections_per_client && count > limits->connections_per_client) {
                clients_gate_full(clients, gate, "a client has", limits->connections_per_client, "", now);
        } else if (!rate_allows(guest_rate(guest), limits->rate_per_client, now->mono_us)) {
                clients_gate_full(clients, gate, "a client opens", limits->rate_per_client, " a second", now);
        } else {
                rate_take(&gate->rate, limits->rate, now->mono_us);
                rate_take(guest_rate(guest), limits->rate_per_client, now->mono_us);
                *guest_out = guest;
                return true;
        }
        guests_leave(&clients->guests, guest);
        return false;
}

/* Whether this gateway lets in who comes to it from there: it takes nobody's room then. */
static bool gate_admits(struct clients *clients, struct gate *gate, const union socket_address *remote, const struct now *now)
{
        struct admission admission;

        clients_gate_ask(clients, gate, remote, now, &admission);
        if (admission_here(&admission))
                return true;
        clients_gate_deny(clients, gate, remote, "this gateway", admission.own, now);
        return false;
}

bool clients_admit(struct clients *clients, uint16_t gate_port, uint16_t protocol, const union socket_address *remote, const struct now *now)
{
        struct gate *gate = clients_gate_find(clients, gate_port, protocol);

        return gate && gate_admits(clients, gate, remote, now);
}

/* NULL: no such gate, not let in, no room, or no memory. */
static struct client *client_new(struct clients *clients, uint16_t gate_port, uint16_t protocol, int fd,
                                 const union socket_address *remote, const struct now *now)
{
        struct gate *gate = clients_gate_find(clients, gate_port, protocol);
        struct client *client = gate ? calloc(1, sizeof(*client)) : NULL;
        struct search *search = client ? malloc(sizeof(*search)) : NULL;
        struct guest *guest = NULL;

        if (!search || !gate_admits(clients, gate, remote, now) || !make_room(clients, gate, remote, now, &guest)) {
                free(search);
                free(client);
                return NULL;
        }
        gate->count++;
        *client = (struct client){
                .clients = clients,
                .gate = gate,
                .guest = guest,
                .state = CLIENT_HELD,
                .gate_port = gate_port,
                .protocol = protocol,
                .remote = *remote,
        };
        clients_search_begin(client, search, fd, now);
        return client;
}

void clients_accept(struct clients *clients, uint16_t gate_port, uint16_t protocol, int fd, const union socket_address *remote,
                    const union socket_address *local, const struct choose_names *names, const struct now *now)
{
        struct client *client = socket_prepare(fd, &clients->keep) == 0 ? client_new(clients, gate_port, protocol, fd, remote, now) : NULL;
        socklen_t len = sizeof(client->search->local);

        if (!client) {
                close(fd);
                return;
        }
        if (names)
                client->search->names = *names;
        if (local)
                client->search->local = *local;
        else
                getsockname(fd, &client->search->local.any, &len);      /* all zeros if it fails: the provider is told no address */
        client_place(client, now);
}

void clients_accept_session(struct clients *clients, uint16_t gate_port, int fd, const union socket_address *remote,
                            const union socket_address *local, struct client_session *session, const struct now *now)
{
        struct client *client = client_new(clients, gate_port, IPC_UDP, fd, remote, now);

        if (!client) {
                close(fd);
                session->over(session);
                return;
        }
        client->search->local = *local;
        client->session = session;
        session->client = client;
        client_place(client, now);
}

/* Whoever has the other end reads what is left, and then its end. */
void clients_dismiss(struct client *client)
{
        client->session = NULL;
        if (client->state == CLIENT_WAITING)
                clients_step(client, CLIENT_ENDED);
}

int clients_enlist(struct client *client, uint64_t number)
{
        client->number = number;
        return map_insert(&client->clients->handed, &client->by_number, number_hash(client->clients, number));
}

static struct client *find_numbered(const struct clients *clients, uint64_t number)
{
        struct map_entry *at = map_first(&clients->handed, number_hash(clients, number));

        while (at && container_of(at, struct client, by_number)->number != number)
                at = map_next(at);
        return at ? container_of(at, struct client, by_number) : NULL;
}

/* One that is that swarm worker's. */
static struct client *find_handed(const struct clients *clients, uint32_t swarm, uint64_t number)
{
        struct client *client = find_numbered(clients, number);

        return client && client->way->via.swarm == swarm ? client : NULL;
}

struct worker_link *clients_mover(const struct client *client, uint64_t *number_out)
{
        if (client->state != CLIENT_RUNNING)
                return NULL;
        *number_out = client->number;
        return swarms_find(client->clients->worker, client->way->via.swarm);
}

struct client_session *clients_session(const struct clients *clients, uint64_t number)
{
        struct client *client = find_numbered(clients, number);

        return client ? client->session : NULL;
}

/* The end of a client whose connection was a swarm worker's. */
static void client_conclude(struct client *client, const struct log_channel *how)
{
        struct log_channel channel = *how;

        channel.at_gate = true;
        channel.number = client->number;
        channel.gate_port = client->way->offered_port;
        channel.gate = client->gate && client->gate->of_host ? client->gate->title : NULL;
        channel.protocol = client->protocol;
        channel.remote = &client->remote;
        channel.labels = client->labels;
        channel.peer = client->way->via.peer;
        channel.tally = &client->clients->tally;
        log_channel(client->clients->worker, &channel);
        clients_step(client, CLIENT_ENDED);
}

void clients_lose(struct clients *clients, uint32_t swarm, const struct now *now)
{
        size_t count = 0;

        for (struct map_entry *at = map_walk(&clients->handed, NULL), *next; at; at = next) {
                struct client *client = container_of(at, struct client, by_number);

                next = map_walk(&clients->handed, at);
                if (client->way->via.swarm != swarm)
                        continue;
                client_conclude(client, &(struct log_channel){ .reason = IPC_REASON_RESET_LOCAL, .text = "the swarm worker ended" });
                count++;
        }
        if (count)
                worker_log(clients->worker, LOG_NOTICE, "the swarm worker ended, and with it the connections of %zu client%s",
                           count, count == 1 ? "" : "s");
        clients_serve_all(clients, now);
}

void clients_opened(struct clients *clients, uint32_t swarm, const struct ipc_channel *opened, const struct now *now)
{
        struct client *client = find_handed(clients, swarm, opened->channel);
        struct gate *gate = client ? client->gate : NULL;

        if (!client || client->state != CLIENT_HANDED)
                return;
        choose_worked(client->way);
        if (gate)
                gate->complained = false;
        clients_step(client, CLIENT_CONFIRMED);
        if (gate && gate->waiting_count)
                clients_gate_serve(clients, gate, now);
}

/* Local trouble says nothing about the provider. */
static bool blames_provider(enum ipc_reason reason)
{
        return reason != IPC_REASON_DONE && reason != IPC_REASON_RESET_LOCAL;
}

void clients_refused(struct clients *clients, uint32_t swarm, const struct ipc_channel_refused *refused, int fd, const struct now *now)
{
        struct client *client = find_handed(clients, swarm, refused->channel);
        enum ipc_reason reason = (enum ipc_reason)refused->reason;
        char text[IPC_TEXT_MAX + 1] = "";

        if (!client || client->state != CLIENT_HANDED) {
                if (fd >= 0)
                        close(fd);
                return;
        }
        memcpy(text, refused->text, MIN(refused->text_len, (uint32_t)IPC_TEXT_MAX));
        if (blames_provider(reason))
                choose_failed(client->way, now->mono_us);
        if (fd < 0 || !client->gate || !blames_provider(reason) || (client->protocol == IPC_UDP && !client->session)) {
                client->search->watched.fd = fd;
                client_conclude(client, &(struct log_channel){ .reason = reason, .text = text });
                return;
        }
        worker_log(clients->worker, LOG_DEBUG, "gate %u: attempt %u: %s%s%s", client->gate_port, client->search->attempts,
                   log_reason(reason), text[0] ? ": " : "", text);
        client->search->unanswered = client->search->unanswered || reason != IPC_REASON_REFUSED;
        clients_step(client, CLIENT_RETURNED);
        client->search->watched.fd = fd;
        client_place(client, now);
}

void clients_closed(struct clients *clients, uint32_t swarm, const struct ipc_channel_closed *closed)
{
        struct client *client = find_handed(clients, swarm, closed->channel);

        if (client)
                client_conclude(client, &(struct log_channel){ .reason = (enum ipc_reason)closed->reason,
                                                               .sent_bytes = closed->sent_bytes,
                                                               .received_bytes = closed->received_bytes,
                                                               .duration_us = closed->duration_us });
}
