/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_clients_search.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "forward_swarms.h"
#include "ipc_channel.h"
#include "ipc_route.h"
#include "ipc_words.h"

void clients_search_begin(struct client *client, struct search *search, int fd, const struct now *now)
{
        const struct gate *gate = client->gate;

        *search = (struct search){
                .client = client,
                .watched = { .fd = fd },
                .opened_at_ms = now->wall_us / 1000,
                .gives_up_us = usec_add(now->mono_us, gate->wait_us),
                .strays_us = usec_add(now->mono_us, usec_min(MSEC(CLIENTS_OWN_MS), gate->wait_us / 2)),
        };
        list_init(&search->in_gate);
        random_fill(&client->clients->random, search->id, sizeof(search->id));
        client->search = search;
}

void clients_search_end(struct client *client)
{
        struct search *search = client->search;

        client->search = NULL;
        if (search && search->watched.fd >= 0)
                close(search->watched.fd);
        free(search);
}

static uint32_t open_limit_ms(const struct client *client, usec_t now_us)
{
        usec_t left_us = client->search->gives_up_us > now_us ? client->search->gives_up_us - now_us : 0;
        uint32_t limit_ms = client->clients->limits.open_ms ? client->clients->limits.open_ms : CLIENTS_OPEN_MS;

        return (uint32_t)(usec_max(usec_min(left_us, MSEC(limit_ms)), MSEC(CLIENTS_OPEN_LEAST_MS)) / 1000);
}

static void fill_metadata(const struct client *client, const char *labels, struct ipc_channel_open *open)
{
        struct metadata metadata = {
                .opened_at_ms = client->search->opened_at_ms,
                .gate_port = client->gate_port,
                .protocol = client->protocol,
                .channel_port = (uint32_t)open->channel,
                .labels = labels,
        };

        metadata.gate_port = open->gate_port;   /* a host's has a number here */
        memcpy(metadata.id, client->search->id, sizeof(metadata.id));
        socket_address_widen(&client->remote, &metadata.source);
        socket_address_widen(&client->search->local, &metadata.gateway);
        open->metadata_len = (uint32_t)metadata_write(&metadata, open->metadata);
}

/* Whether it can be sent that way at once; what can't is noted, for it may be so later. */
struct ways {
        struct worker *worker;
        struct admission admission;
        const struct ipc_rule *denier;  /* of the last provider that does not let it in */
        bool left_out, admitted, denied;
};

static bool is_admitted(void *context, const struct choose_way *way)
{
        struct ways *ways = context;
        bool admitted = admission_there(&ways->admission, way);

        ways->admitted = ways->admitted || admitted;
        ways->denied = ways->denied || !admitted;
        if (!admitted)
                ways->denier = admission_rule_there(&ways->admission, way);
        return admitted;
}

static bool is_limited(void *context, const struct choose_way *way)
{
        return admission_is_limited(&((const struct ways *)context)->admission, way);
}

static bool is_usable(void *context, const struct ipc_via *via)
{
        struct ways *ways = context;
        const struct worker_link *swarm = swarms_find(ways->worker, via->swarm);
        bool usable = swarm && swarms_ready(swarm);

        ways->left_out = ways->left_out || !usable;
        return usable;
}

/* For people, here and where the connection goes. Without memory for them it goes without. */
static void name_client(struct client *client, const char *labels, struct ipc_client *out)
{
        char text[IPC_CLIENT_LABELS_MAX];

        *out = (struct ipc_client){ .port = socket_address_port(&client->remote), .known = client->remote.any.sa_family != AF_UNSPEC };
        free(client->labels);
        client->labels = *labels ? strdup(ipc_labels_text(labels, text, sizeof(text))) : NULL;
        if (!out->known)
                return;
        socket_address_ip(&client->remote, out->ip);
        memcpy(out->labels, labels, sizeof(out->labels));
}

/* The connection goes that way. 0 or -errno. */
static int client_hand(struct client *client, struct choose_way *way, const struct admission *admission, const struct now *now)
{
        struct clients *clients = client->clients;
        struct ipc_channel_open open = {
                .channel = clients->last_number + 1,
                .service = way->service,
                .gate_port = way->offered_port,
                .protocol = client->protocol,
                .deadline_ms = open_limit_ms(client, now->mono_us),
                .idle_ms = client->protocol == IPC_TCP ? client->gate->idle_ms : 0,     /* else its session sees to that */
        };
        char labels[ADMISSION_LABELS_MAX];
        int r;

        memcpy(open.peer, way->via.peer, sizeof(open.peer));
        admission_labels(admission, way, labels);
        fill_metadata(client, labels, &open);
        name_client(client, labels, &open.client);
        admission_limit(admission, way, guest_address(client->guest), &open);
        r = clients_enlist(client, open.channel);
        if (r < 0)
                return r;
        r = worker_send(swarms_find(clients->worker, way->via.swarm), IPC_CHANNEL_OPEN, &open, &client->search->watched.fd, 1);
        if (r < 0)
                map_remove(&clients->handed, &client->by_number);
        return r;
}

/* A client that has tried none yet takes one that failed others rather than none. */
enum client_attempt clients_search_attempt(struct client *client, const struct now *now)
{
        struct clients *clients = client->clients;
        struct ways ways = { .worker = clients->worker };
        uint32_t own = clients_wait_own(client);
        struct choose_ask ask = {
                .gate_port = client->gate_port,
                .protocol = client->protocol,
                .policy = client->gate->policy,
                .insist = client->search->attempts == 0,
                .names = &client->search->names,
                .address = guest_address(client->guest),
                .own = clients_wait_stays(client, own, now) ? own : 0,
                .now_us = now->mono_us,
                .usable = is_usable,
                .admits = is_admitted,
                .limits = is_limited,
                .context = &ways,
        };
        struct choose_way *way;
        bool lacks;

        clients_gate_ask(clients, client->gate, &client->remote, now, &ways.admission);
        if (!admission_here(&ways.admission)) {
                clients_gate_deny(clients, client->gate, &client->remote, "this gateway", ways.admission.own, now);
                return ATTEMPT_DENIED;
        }
        if (!swarms_next(clients->worker, NULL) || clients_busy(clients))
                return ATTEMPT_LATER;
        way = choose_take(&clients->choose, &ask);
        if (!way && ways.denied && !ways.admitted) {
                clients_gate_deny(clients, client->gate, &client->remote, "any provider", ways.denier, now);
                return ATTEMPT_DENIED;
        }
        lacks = !way && choose_lacks(&clients->choose, &ask, client->search->unanswered);
        client->search->lacked = client->search->lacked || lacks;
        if (!way)
                return lacks || ways.left_out ? ATTEMPT_LATER : ATTEMPT_NOBODY;
        if (client_hand(client, way, &ways.admission, now) < 0) {
                choose_leave(&clients->choose, way);
                client->gate->unsent = true;
                return ATTEMPT_LATER;
        }
        clients->last_number++;
        client->search->attempts++;
        client->way = way;
        clients_wait_went(client, own, way->via.swarm, now);
        clients_step(client, CLIENT_SENT);
        return ATTEMPT_SENT;
}
