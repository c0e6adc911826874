/* SPDX-License-Identifier: BSD-3-Clause */
/* Gates as their clients see them: what they are told to be, and what the log says of them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "forward_clients_state.h"
#include "forward_log.h"
#include "forward_metadata.h"
#include "ipc_forward.h"
#include "ipc_words.h"

#define TOLD_AGAIN_US SECONDS(60)       /* before the log says so once more */

static uint64_t gate_hash(const struct clients *clients, uint16_t port, uint16_t protocol)
{
        uint16_t key[2] = { port, protocol };

        return map_hash(&clients->gates, key, sizeof(key));
}

struct gate *clients_gate_find(const struct clients *clients, uint16_t port, uint16_t protocol)
{
        struct map_entry *at = map_first(&clients->gates, gate_hash(clients, port, protocol));

        for (; at; at = map_next(at)) {
                struct gate *gate = container_of(at, struct gate, by_port);

                if (gate->port == port && gate->protocol == protocol)
                        return gate;
        }
        return NULL;
}

struct gate *clients_gate_next(const struct clients *clients, const struct gate *gate)
{
        struct map_entry *at = map_walk(&clients->gates, gate ? &gate->by_port : NULL);

        return at ? container_of(at, struct gate, by_port) : NULL;
}

void clients_gates_begin(struct clients *clients)
{
        struct gate *gate = NULL;

        clients->limits_next = (struct ipc_forward_limits){ 0 };
        admissions_begin(&clients->admissions);
        while ((gate = clients_gate_next(clients, gate)))
                gate->listed = false;
}

static void entitle(struct gate *gate, const char *front, uint16_t port)
{
        snprintf(gate->title, sizeof(gate->title), "%s%u%s", front, port, gate->protocol == IPC_UDP ? "/udp" : "");
}

int clients_gate_set(struct clients *clients, const struct ipc_forward_listener *what)
{
        struct gate *gate = clients_gate_find(clients, what->gate_port, what->protocol);

        if (!gate) {
                gate = calloc(1, sizeof(*gate));
                if (!gate || map_insert(&clients->gates, &gate->by_port, gate_hash(clients, what->gate_port, what->protocol)) < 0) {
                        free(gate);
                        return -ENOMEM;
                }
                gate->port = what->gate_port;
                gate->protocol = what->protocol;
                gate->named = choose_are_named(&clients->choose, gate->port, gate->protocol);   /* its routes may be known before */
                list_init(&gate->waiting);
        }
        gate->seen_port = what->gate_port;
        entitle(gate, "gate ", what->gate_port);
        gate->of_host = false;
        gate->policy = (enum ipc_policy)what->policy;
        gate->wait_us = MSEC(what->wait_ms);
        gate->idle_ms = what->idle_ms;
        gate->listed = true;
        return 0;
}

void clients_gate_entitle(struct clients *clients, const struct ipc_forward_host *host)
{
        struct gate *gate = clients_gate_find(clients, host->number, host->at.protocol);
        char front[IPC_NAME_MAX + 1];

        if (!gate)
                return;
        snprintf(front, sizeof(front), "%s:", host->at.host);
        gate->seen_port = host->at.port;
        entitle(gate, front, host->at.port);
        gate->of_host = true;
}

void clients_gate_ask(const struct clients *clients, const struct gate *gate, const union socket_address *remote, const struct now *now,
                      struct admission *out)
{
        admission_begin(out, &clients->admissions, remote, gate->seen_port, gate->protocol, now->wall_us / 1000);
}

/* A host's number is nobody's business. */
static void put_gate(struct ipc_fields *fields, const struct gate *gate)
{
        if (gate->of_host)
                ipc_fields_text(fields, "HOST", gate->title);
        else
                ipc_fields_gate(fields, gate->port, gate->protocol);
}

void clients_gate_complain(struct clients *clients, struct gate *gate, const char *what)
{
        bool datagrams = gate->protocol == IPC_UDP;
        struct ipc_fields fields = IPC_FIELDS_INIT;

        if (gate->complained)
                return;
        gate->complained = true;
        put_gate(&fields, gate);
        ipc_fields_text(&fields, "REASON", what);
        worker_log_event(clients->worker, IPC_EVENT_GATE_UNSERVED, LOG_NOTICE, fields.list, "%s: %s: clients are %s until that changes",
                         gate->title, what, datagrams ? "not answered" : "reset");
}

/* Once a minute: it is the many who come that reach a limit. */
void clients_gate_full(struct clients *clients, struct gate *gate, const char *who, uint32_t limit, const char *per, const struct now *now)
{
        struct ipc_fields fields = IPC_FIELDS_INIT;

        tally_count(&clients->tally, IPC_REASON_LIMIT);
        if (gate->full_told_us && now->mono_us - gate->full_told_us < TOLD_AGAIN_US)
                return;
        gate->full_told_us = now->mono_us;
        put_gate(&fields, gate);
        ipc_fields_text(&fields, "REASON", ipc_reason_word(IPC_REASON_LIMIT));
        worker_log_event(clients->worker, IPC_EVENT_CHANNEL_FAILED, LOG_NOTICE, fields.list,
                         "%s: %s %u connections%s, as many as may be: more are %s", gate->title, who, limit, per, gate->protocol == IPC_UDP ? "not answered" : "reset");
}

void clients_name(struct clients *clients, uint16_t gate_port, uint16_t protocol)
{
        struct gate *gate = clients_gate_find(clients, gate_port, protocol);

        if (gate)
                gate->named = true;
}

bool clients_are_named(const struct clients *clients, uint16_t gate_port, uint16_t protocol)
{
        const struct gate *gate = clients_gate_find(clients, gate_port, protocol);

        return gate && gate->named;
}

/* Once a minute: who is kept out may knock all day. */
void clients_gate_deny(struct clients *clients, struct gate *gate, const union socket_address *remote, const char *whose,
                       const struct ipc_rule *rule, const struct now *now)
{
        struct ipc_fields fields = IPC_FIELDS_INIT;
        char address[METADATA_ADDRESS_TEXT_MAX], labels[IPC_LABELS_MAX];
        struct sockaddr_storage wide;

        tally_count(&clients->tally, IPC_REASON_DENIED);
        if (gate->denied_told_us && now->mono_us - gate->denied_told_us < TOLD_AGAIN_US)
                return;
        gate->denied_told_us = now->mono_us;
        socket_address_widen(remote, &wide);
        metadata_address_text(&wide, address);
        put_gate(&fields, gate);
        log_put_client(&fields, address);
        if (*ipc_labels_text(rule->labels, labels, sizeof(labels)))
                ipc_fields_text(&fields, "LABELS", labels);
        ipc_fields_text(&fields, "REASON", ipc_reason_word(IPC_REASON_DENIED));
        worker_log_event(clients->worker, IPC_EVENT_CHANNEL_FAILED, LOG_NOTICE, fields.list,
                         "%s: %s: not let in by the ingress policy of %s: %s, as others from there may be that are not told of",
                         gate->title, address, whose, gate->protocol == IPC_UDP ? "not answered" : "reset");
}
