/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_arrivals_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "forward_fingerprints.h"
#include "forward_log.h"
#include "forward_making.h"
#include "forward_socket.h"
#include "forward_swarms.h"
#include "forward_visitor.h"

enum { TEXT_MAX = 200 };        /* of a refusal: as JSON it must stay below 256 bytes (hypergate.md 2) */

void arrivals_init(struct arrivals *arrivals, struct worker *worker, struct watch *watch, const struct random *random)
{
        uint8_t key[16];

        *arrivals = (struct arrivals){ .worker = worker, .watch = watch };
        tally_init(&arrivals->tally, worker);
        random_fill(random, key, sizeof(key));
        map_init(&arrivals->by_number, key);
        list_init(&arrivals->pending_all);
        services_init(&arrivals->services, random);
}

static uint64_t number_hash(const struct arrivals *arrivals, uint32_t swarm, uint64_t number)
{
        uint64_t key[2] = { swarm, number };

        return map_hash(&arrivals->by_number, key, sizeof(key));
}

static struct arrival *find(const struct arrivals *arrivals, uint32_t swarm, uint64_t number)
{
        struct map_entry *at = map_first(&arrivals->by_number, number_hash(arrivals, swarm, number));

        for (; at; at = map_next(at)) {
                struct arrival *arrival = container_of(at, struct arrival, by_number);

                if (arrival->swarm == swarm && arrival->number == number)
                        return arrival;
        }
        return NULL;
}

void arrivals_drop(struct arrival *arrival)
{
        making_end(arrival);
        fingerprint_free(arrival->fingerprint);
        visitor_free(arrival->visitor);
        map_remove(&arrival->arrivals->by_number, &arrival->by_number);
        free(arrival->local);
        free(arrival);
}

void arrivals_fini(struct arrivals *arrivals)
{
        struct map_entry *at;

        while ((at = map_walk(&arrivals->by_number, NULL)))
                arrivals_drop(container_of(at, struct arrival, by_number));
        services_fini(&arrivals->services);
        map_fini(&arrivals->by_number);
}

static void tell_held(struct arrivals *arrivals, struct service_group *group, bool held)
{
        struct worker_link *swarm = NULL;

        if (group->told == held)
                return;
        group->told = held;     /* who comes later hears it then */
        while ((swarm = swarms_next(arrivals->worker, swarm)))
                worker_send(swarm, held ? IPC_SERVICE_HELD : IPC_SERVICE_LEFT, &group->held, NULL, 0);
}

/* Sessions of datagrams have no end of their own: one that is used would stay for ever where its service was before. */
static void end_sessions_led_astray(struct arrivals *arrivals)
{
        for (struct map_entry *at = map_walk(&arrivals->by_number, NULL); at; at = map_walk(&arrivals->by_number, at)) {
                const struct arrival *arrival = container_of(at, struct arrival, by_number);
                struct ipc_channel end = { .channel = arrival->number };
                uint8_t address[16];

                if (arrival->making || arrival->protocol != IPC_UDP)
                        continue;
                socket_address_ip(&arrival->remote, address);
                if (!services_lead_to(&arrivals->services, arrival->gate_port, IPC_UDP, address, socket_address_port(&arrival->remote)))
                        worker_send(swarms_find(arrivals->worker, arrival->swarm), IPC_CHANNEL_END, &end, NULL, 0);
        }
}

void arrivals_services_changed(struct arrivals *arrivals)
{
        struct service_group *group, *next;

        end_sessions_led_astray(arrivals);
        for (group = services_next(&arrivals->services, NULL); group; group = next) {
                next = services_next(&arrivals->services, group);
                tell_held(arrivals, group, !list_empty(&group->services));
                if (list_empty(&group->services))
                        services_forget(&arrivals->services, group);
        }
}

void arrivals_introduce(struct arrivals *arrivals, struct worker_link *swarm)
{
        struct service_group *group = NULL;

        while ((group = services_next(&arrivals->services, group)))
                if (group->told)
                        worker_send(swarm, IPC_SERVICE_HELD, &group->held, NULL, 0);
}

void arrivals_lose(struct arrivals *arrivals, uint32_t swarm)
{
        for (struct map_entry *at = map_walk(&arrivals->by_number, NULL), *next; at; at = next) {
                struct arrival *arrival = container_of(at, struct arrival, by_number);

                next = map_walk(&arrivals->by_number, at);
                if (arrival->swarm == swarm)
                        arrivals_drop(arrival);
        }
}

void arrivals_refuse(struct arrivals *arrivals, uint32_t swarm, uint64_t number, const char *text)
{
        struct ipc_channel_refused refused = { .channel = number, .reason = IPC_REASON_REFUSED };

        refused.text_len = (uint32_t)snprintf(refused.text, TEXT_MAX + 1, "%s", text);
        refused.text_len = MIN(refused.text_len, (uint32_t)TEXT_MAX);
        worker_send(swarms_find(arrivals->worker, swarm), IPC_CHANNEL_REFUSE, &refused, NULL, 0);
}

static struct arrival *arrival_new(struct arrivals *arrivals, uint32_t swarm, const struct ipc_channel_arrived *arrived,
                                   const struct ipc_forward_service *service)
{
        struct arrival *arrival = calloc(1, sizeof(*arrival));
        struct making *making = arrival ? making_new(arrival, arrived, service) : NULL;
        char *local = service->local ? strdup(service->host) : NULL;

        if (!making || (service->local && !local) ||
            map_insert(&arrivals->by_number, &arrival->by_number, number_hash(arrivals, swarm, arrived->channel)) < 0) {
                free(arrival);
                free(making);
                free(local);
                return NULL;
        }
        arrival->arrivals = arrivals;
        arrival->swarm = swarm;
        arrival->number = arrived->channel;
        arrival->gate_port = arrived->gate_port;
        arrival->protocol = service->protocol;
        memcpy(arrival->peer, arrived->peer, sizeof(arrival->peer));
        arrival->local = local;
        arrival->making = making;
        arrival->fingerprint = fingerprint_new(arrivals->worker, swarm, arrived);
        return arrival;
}

/* As put_trouble() in forward_making.c would say it. */
static void refuse_silent(struct arrivals *arrivals, uint32_t swarm, uint64_t number, const struct ipc_forward_service *service)
{
        char text[IPC_TEXT_MAX + IPC_NAME_MAX];
        const char *host = *service->alias ? service->alias : service->host;

        if (service->local)
                snprintf(text, sizeof(text), "Error: connect ETIMEDOUT %s", host);
        else
                snprintf(text, sizeof(text), "Error: connect ETIMEDOUT %s:%u", host, service->service_port);
        arrivals_refuse(arrivals, swarm, number, text);
}

static const struct ipc_forward_service *service_for(struct arrivals *arrivals, const struct ipc_channel_arrived *arrived, usec_t now_us)
{
        if (arrived->service)
                return services_named(&arrivals->services, arrived->gate_port, arrived->protocol, arrived->service);
        return services_pick(&arrivals->services, arrived->gate_port, arrived->protocol, true, now_us);
}

void arrivals_arrived(struct arrivals *arrivals, uint32_t swarm, const struct ipc_channel_arrived *arrived, usec_t now_us)
{
        const struct ipc_forward_service *service = service_for(arrivals, arrived, now_us);
        struct arrival *arrival;
        char text[64];

        if (find(arrivals, swarm, arrived->channel))
                return;
        if (!service) {
                snprintf(text, sizeof(text), "Service not found %u", arrived->gate_port);
                arrivals_refuse(arrivals, swarm, arrived->channel, text);
                return;
        }
        if (!services_ask(service, now_us, ARRIVALS_CONNECT_US)) {
                refuse_silent(arrivals, swarm, arrived->channel, service);
                return;
        }
        arrival = making_has_room(arrivals, arrived->peer) ? arrival_new(arrivals, swarm, arrived, service) : NULL;
        if (!arrival) {
                arrivals_refuse(arrivals, swarm, arrived->channel, "busy");
                return;
        }
        making_begin(arrival, now_us);
}

void arrivals_dialled(struct arrivals *arrivals, const struct ipc_service_dialled *dialled, int fd, usec_t now_us)
{
        struct arrival *arrival = find(arrivals, dialled->swarm, dialled->channel);

        if (!arrival || !arrival->making || !arrival->making->service.local) {
                if (fd >= 0)            /* nobody waits for it any more */
                        close(fd);
        } else {
                making_dialled(arrival, (int)dialled->error, fd, now_us);
        }
}

void arrivals_gone(struct arrivals *arrivals, uint32_t swarm, const struct ipc_channel *gone)
{
        struct arrival *arrival = find(arrivals, swarm, gone->channel);

        if (arrival)
                arrivals_drop(arrival);
}

void arrivals_closed(struct arrivals *arrivals, uint32_t swarm, const struct ipc_channel_closed *closed, usec_t now_us)
{
        struct arrival *arrival = find(arrivals, swarm, closed->channel);

        if (!arrival || arrival->making)
                return;         /* nothing was handed over: nothing can have ended */
        if (arrival->protocol == IPC_UDP)
                arrivals_judge_session(arrival, closed, now_us);
        log_channel(arrivals->worker, &(struct log_channel){
                .number = arrival->number,
                .gate_port = arrival->gate_port,
                .protocol = arrival->protocol,
                .remote = &arrival->remote,
                .local = arrival->local,
                .client = arrival->visitor ? &arrival->visitor->remote : NULL,
                .labels = arrival->visitor ? arrival->visitor->labels : NULL,
                .peer = arrival->peer,
                .reason = closed->reason == IPC_REASON_REFUSED ? IPC_REASON_RESET_LOCAL : (enum ipc_reason)closed->reason,
                .sent_bytes = closed->sent_bytes,
                .received_bytes = closed->received_bytes,
                .duration_us = closed->duration_us,
                .tally = &arrivals->tally,
        });
        arrivals_drop(arrival);
}

void arrivals_advance(struct arrivals *arrivals, usec_t now_us)
{
        struct heap_entry *due;

        while ((due = heap_pop_due(&arrivals->deadlines, now_us)))
                making_late(container_of(due, struct making, deadline), now_us);
}

usec_t arrivals_deadline(const struct arrivals *arrivals)
{
        return heap_deadline(&arrivals->deadlines);
}
