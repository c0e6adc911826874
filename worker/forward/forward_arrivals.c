/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_arrivals.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "forward_dial.h"
#include "forward_fingerprints.h"
#include "forward_log.h"
#include "forward_metadata.h"
#include "forward_proxy.h"
#include "forward_socket.h"
#include "forward_swarms.h"
#include "forward_visitor.h"

enum {
        TEXT_MAX = 200,         /* of a refusal: as JSON it must stay below 256 bytes (hypergate.md 2) */
        SERVICES_TRIED_MAX = 8, /* for one channel */
};

/* What it takes to make the connection. */
struct making {
        struct arrival *arrival;
        struct list in_pending;
        struct ipc_forward_service service;     /* a copy */
        bool named;                     /* it is for that service and no other */
        struct proxy_header client;     /* what the gateway says of it, for a service that wants to know */
        char labels[IPC_CLIENT_LABELS_MAX];     /* the same, for people */
        struct dial dial;
        struct heap_entry deadline;     /* of the address being tried */
        usec_t began_us;                /* with this service */
        usec_t gives_up_us;             /* on all of them */
        unsigned tried;                 /* services */
};

struct arrival {
        struct arrivals *arrivals;
        struct map_entry by_number;
        uint64_t number;                /* at the worker it came from, */
        uint32_t swarm;                 /* and the id of that */
        uint16_t gate_port, protocol;
        uint8_t peer[IPC_KEY_BYTES];
        char *local;                    /* the name of the unix socket that it is, or NULL */
        struct making *making;          /* NULL: it is made */
        union socket_address remote;    /* of the service, when it is */
        struct fingerprint *fingerprint;        /* whose it is, for a service that asks; NULL: none does */
        struct visitor *visitor;        /* whose it is, for people; NULL: its gateway does not say */
};

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

/* From here on the connection is being made no more. */
static void stop_making(struct arrival *arrival)
{
        struct making *making = arrival->making;

        if (!making)
                return;
        heap_remove(&arrival->arrivals->deadlines, &making->deadline);
        dial_fini(&making->dial);
        list_remove(&making->in_pending);
        arrival->arrivals->pending--;
        free(making);
        arrival->making = NULL;
}

static void arrival_free(struct arrival *arrival)
{
        stop_making(arrival);
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
                arrival_free(container_of(at, struct arrival, by_number));
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
                        arrival_free(arrival);
        }
}

static void refuse(struct arrivals *arrivals, uint32_t swarm, uint64_t number, const char *text)
{
        struct ipc_channel_refused refused = { .channel = number, .reason = IPC_REASON_REFUSED };

        refused.text_len = (uint32_t)snprintf(refused.text, TEXT_MAX + 1, "%s", text);
        refused.text_len = MIN(refused.text_len, (uint32_t)TEXT_MAX);
        worker_send(swarms_find(arrivals->worker, swarm), IPC_CHANNEL_REFUSE, &refused, NULL, 0);
}

/* @trouble: NULL: it answers again. */
static void tell_service(struct arrivals *arrivals, const struct ipc_forward_service *service, const char *trouble)
{
        const char *kind = service->protocol == IPC_UDP ? "/udp" : "";
        struct ipc_fields fields = IPC_FIELDS_INIT;
        char at[sizeof(service->host) + 8];

        snprintf(at, sizeof(at), service->local ? "%s" : "%s:%u", service->host, service->service_port);
        ipc_fields_gate(&fields, service->gate_port, service->protocol);
        ipc_fields_text(&fields, "SERVICE", at);
        if (trouble) {
                ipc_fields_text(&fields, "REASON", trouble);
                worker_log_event(arrivals->worker, IPC_EVENT_SERVICE_FAILS, LOG_NOTICE, fields.list, "service %u%s at %s: %s%s",
                                 service->gate_port, kind, at, trouble, *kind ? "" : "; who wants it is refused");
        } else {
                worker_log_event(arrivals->worker, IPC_EVENT_SERVICE_ANSWERS, LOG_NOTICE, fields.list, "service %u%s at %s answers again",
                                 service->gate_port, kind, at);
        }
}

/* The supervisor has its name looked up. A unix socket has none. */
static void tell_fails(struct arrivals *arrivals, const struct ipc_forward_service *service)
{
        struct ipc_service_fails fails = { .service = service->service, .gate_port = service->gate_port, .protocol = service->protocol };

        if (!service->local)
                worker_send(&arrivals->worker->supervisor, IPC_SERVICE_FAILS, &fails, NULL, 0);
}

static const char *trouble_of(const struct arrival *arrival, usec_t now_us, char *text, size_t size)
{
        if (arrival->making->service.count == 0 && !arrival->making->service.local)
                return "the name has no address";
        if (arrival->making->dial.error != ETIMEDOUT)
                return strerror(arrival->making->dial.error);
        snprintf(text, size, "no answer within %.1f s", (double)(now_us - arrival->making->began_us) / SECONDS(1));
        return text;
}

/* A service is down, or up again: said when that changes, not for each who finds it so. */
static void service_works(struct arrival *arrival, bool works, usec_t now_us)
{
        struct arrivals *arrivals = arrival->arrivals;
        const struct ipc_forward_service *service = &arrival->making->service;
        bool late = now_us - arrival->making->began_us >= ARRIVALS_SILENT_US;
        enum services_outcome outcome = works ? SERVICES_WORKED : late ? SERVICES_SILENT : SERVICES_REFUSED;
        enum services_news news = services_note(&arrivals->services, service, outcome, now_us);
        char trouble[64];

        if (news != SERVICES_NO_NEWS && !works)
                tell_fails(arrivals, service);
        if (news != SERVICES_CHANGED)
                return;
        if (works)
                tell_service(arrivals, service, NULL);
        else
                tell_service(arrivals, service, trouble_of(arrival, now_us, trouble, sizeof(trouble)));
}

static void arrival_begin(struct arrival *arrival, usec_t now_us);
static void on_connecting(struct watched *watched, uint32_t events);

/* The next service behind that gate port that is fit. False: there is none, or it would not do. */
static bool try_other(struct arrival *arrival, usec_t now_us)
{
        struct arrivals *arrivals = arrival->arrivals;
        struct making *making = arrival->making;
        bool late = making->tried >= SERVICES_TRIED_MAX || now_us >= making->gives_up_us;
        const struct ipc_forward_service *other = making->named || late ? NULL :
                services_pick(&arrivals->services, arrival->gate_port, arrival->protocol, false, now_us);
        char *local = other && other->local ? strdup(other->host) : NULL;

        if (!other || (other->local && !local))
                return false;
        free(arrival->local);
        arrival->local = local;
        (void)services_ask(other, now_us, ARRIVALS_CONNECT_US);         /* it is fit: it may */
        making->service = *other;
        arrival_begin(arrival, now_us);
        return true;
}

/* In the words of an original, which gets them from Node.js. What an alias hides is not in them. */
static void put_trouble(const struct arrival *arrival, char *text, size_t size)
{
        const struct ipc_forward_service *service = &arrival->making->service;
        const char *host = *service->alias ? service->alias : service->host, *error = strerrorname_np(arrival->making->dial.error);
        char address[METADATA_ADDRESS_TEXT_MAX];
        struct sockaddr_storage wide;

        socket_address_widen(&arrival->making->dial.remote, &wide);
        metadata_address_text(&wide, address);
        if (service->count == 0 && !service->local)
                snprintf(text, size, "Error: getaddrinfo ENOTFOUND %s", host);
        else if (service->local)
                snprintf(text, size, "Error: connect %s %s", error, host);
        else if (*service->alias)
                snprintf(text, size, "Error: connect %s %s:%u", error, host, service->service_port);
        else
                snprintf(text, size, "Error: connect %s %s", error, address);
}

static void give_up(struct arrival *arrival, usec_t now_us)
{
        char text[IPC_TEXT_MAX + IPC_NAME_MAX];

        put_trouble(arrival, text, sizeof(text));
        service_works(arrival, false, now_us);
        if (try_other(arrival, now_us))
                return;
        refuse(arrival->arrivals, arrival->swarm, arrival->number, text);
        arrival_free(arrival);
}

/* What the service shall hear of its client. A new connection takes as much at once; datagrams have it in front of each of them. */
static bool put_header(const struct arrival *arrival, int fd, struct ipc_channel_ready *ready)
{
        const struct making *making = arrival->making;
        uint8_t header[PROXY_WRITE_MAX];
        size_t len = making->service.proxy ? proxy_write(making->service.proxy, &making->client, header) : 0;

        if (arrival->protocol == IPC_TCP)
                return !len || send(fd, header, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
        ready->front_len = (uint32_t)MIN(len, (size_t)IPC_FRONT_MAX);
        memcpy(ready->front, header, ready->front_len);
        return true;
}

static void name_client(struct arrival *arrival, struct ipc_client *out)
{
        const struct making *making = arrival->making;

        *out = (struct ipc_client){ .known = making->client.named };
        if (!making->client.named)
                return;
        arrival->visitor = visitor_new(&making->client.source, making->labels);
        socket_address_ip(&making->client.source, out->ip);
        out->port = socket_address_port(&making->client.source);
        memcpy(out->labels, making->labels, sizeof(out->labels));
}

static void connected(struct arrival *arrival, usec_t now_us)
{
        struct arrivals *arrivals = arrival->arrivals;
        struct making *making = arrival->making;
        struct ipc_channel_ready ready = { .channel = arrival->number, .idle_ms = making->service.idle_ms };
        int fd = dial_take(&making->dial), r;
        bool told;

        if (arrival->protocol == IPC_TCP)       /* of datagrams it says nothing yet */
                service_works(arrival, true, now_us);
        if (!making->service.local && socket_tuple(fd, &making->dial.remote, arrival->protocol, &ready.tuple))
                fingerprint_tell(arrival->fingerprint, &ready.tuple, making->service.idle_ms);
        told = put_header(arrival, fd, &ready);         /* the first bytes that come to the service */
        arrival->remote = making->dial.remote;
        name_client(arrival, &ready.client);
        stop_making(arrival);
        r = told ? worker_send(swarms_find(arrivals->worker, arrival->swarm), IPC_CHANNEL_READY, &ready, &fd, 1) : -ECONNRESET;
        close(fd);
        if (r < 0) {
                refuse(arrivals, arrival->swarm, arrival->number, told ? "busy" : "Error: write ECONNRESET");
                arrival_free(arrival);
        }
}

/* How long until the next address is asked, too, or behind the last one another service: that shares what is left. */
static usec_t share_us(const struct arrival *arrival, usec_t now_us)
{
        const struct making *making = arrival->making;
        usec_t left_us = making->gives_up_us > now_us ? making->gives_up_us - now_us : 0;
        bool other = !making->named && services_have_other(&arrival->arrivals->services, &making->service, now_us);

        return dial_patience_us(&making->dial, left_us / (1 + other));
}

/* One address after the other until one is connected or has to be waited for; those before it still may answer. */
static void arrival_advance(struct arrival *arrival, usec_t now_us)
{
        int r = dial_next(&arrival->making->dial);

        if (r == 0)
                connected(arrival, now_us);
        else if (r == -EINPROGRESS)
                heap_set(&arrival->arrivals->deadlines, &arrival->making->deadline, usec_add(now_us, share_us(arrival, now_us)));
        else
                give_up(arrival, now_us);
}

static void failed(struct arrival *arrival, int error, usec_t now_us)
{
        heap_remove(&arrival->arrivals->deadlines, &arrival->making->deadline);
        dial_fail(&arrival->making->dial, error);
        arrival_advance(arrival, now_us);
}

/* Nobody answered so far. */
static void late(struct arrival *arrival, usec_t now_us)
{
        struct making *making = arrival->making;
        bool more = !making->service.local && dial_left(&making->dial) && now_us < making->gives_up_us;

        if (more) {
                dial_pass(&making->dial);
                arrival_advance(arrival, now_us);
                return;
        }
        dial_fini(&making->dial);
        making->dial.error = ETIMEDOUT;
        give_up(arrival, now_us);
}

/* By the supervisor, which has until then. */
static void ask_for(struct arrival *arrival, usec_t now_us)
{
        struct making *making = arrival->making;
        struct ipc_service_dial dial = { .channel = arrival->number, .service = making->service.service, .swarm = arrival->swarm,
                                         .gate_port = arrival->gate_port };
        int r = worker_send(&arrival->arrivals->worker->supervisor, IPC_SERVICE_DIAL, &dial, NULL, 0);

        heap_set(&arrival->arrivals->deadlines, &making->deadline, making->gives_up_us);
        if (r < 0) {
                making->dial.error = -r;
                give_up(arrival, now_us);
        }
}

static void arrival_begin(struct arrival *arrival, usec_t now_us)
{
        struct making *making = arrival->making;

        dial_init(&making->dial, arrival->arrivals->watch, &making->service, &arrival->arrivals->keep, on_connecting);
        making->tried++;
        making->began_us = now_us;
        if (making->service.local)
                ask_for(arrival, now_us);
        else
                arrival_advance(arrival, now_us);
}

void arrivals_dialled(struct arrivals *arrivals, const struct ipc_service_dialled *dialled, int fd, usec_t now_us)
{
        struct arrival *arrival = find(arrivals, dialled->swarm, dialled->channel);

        if (!arrival || !arrival->making || !arrival->making->service.local) {
                if (fd >= 0)            /* nobody waits for it any more */
                        close(fd);
        } else if (fd >= 0) {
                arrival->making->dial.watched.fd = fd;
                connected(arrival, now_us);
        } else {
                arrival->making->dial.error = (int)dialled->error;
                give_up(arrival, now_us);
        }
}

static void on_connecting(struct watched *watched, uint32_t events)
{
        struct making *making = container_of(watched, struct making, dial.watched);
        struct arrival *arrival = making->arrival;
        int r = dial_look(&making->dial);
        struct now now;

        worker_now(&now);
        if (r == 0)
                connected(arrival, now.mono_us);
        else if (r != -EINPROGRESS)
                failed(arrival, -r, now.mono_us);
}

static struct arrival *arrival_new(struct arrivals *arrivals, uint32_t swarm, const struct ipc_channel_arrived *arrived,
                                   const struct ipc_forward_service *service)
{
        struct arrival *arrival = calloc(1, sizeof(*arrival));
        struct making *making = calloc(1, sizeof(*making));
        char *local = service->local ? strdup(service->host) : NULL;

        if (!arrival || !making || (service->local && !local) ||
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
        making->arrival = arrival;
        making->service = *service;
        making->named = arrived->service != 0;
        arrival->fingerprint = fingerprint_new(arrivals->worker, swarm, arrived);
        making->client.protocol = service->protocol;
        making->client.named = metadata_read(arrived->metadata, arrived->metadata_len, &making->client.source, &making->client.destination);
        if (making->client.named)
                metadata_read_labels(arrived->metadata, arrived->metadata_len, making->labels);
        list_push_back(&arrivals->pending_all, &making->in_pending);
        arrivals->pending++;
        return arrival;
}

/* As put_trouble() would say it. */
static void refuse_silent(struct arrivals *arrivals, uint32_t swarm, uint64_t number, const struct ipc_forward_service *service)
{
        char text[IPC_TEXT_MAX + IPC_NAME_MAX];
        const char *host = *service->alias ? service->alias : service->host;

        if (service->local)
                snprintf(text, sizeof(text), "Error: connect ETIMEDOUT %s", host);
        else
                snprintf(text, sizeof(text), "Error: connect ETIMEDOUT %s:%u", host, service->service_port);
        refuse(arrivals, swarm, number, text);
}

/* A peer that opens without end leaves room for all others. */
static bool has_room(const struct arrivals *arrivals, const uint8_t peer[IPC_KEY_BYTES])
{
        size_t own = 0;

        list_for_each(at, &arrivals->pending_all)
                own += memcmp(list_entry(at, struct making, in_pending)->arrival->peer, peer, IPC_KEY_BYTES) == 0;
        return own < (ARRIVALS_PENDING_MAX - (arrivals->pending - own) + 1) / 2;
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
                refuse(arrivals, swarm, arrived->channel, text);
                return;
        }
        if (!services_ask(service, now_us, ARRIVALS_CONNECT_US)) {
                refuse_silent(arrivals, swarm, arrived->channel, service);
                return;
        }
        arrival = has_room(arrivals, arrived->peer) ? arrival_new(arrivals, swarm, arrived, service) : NULL;
        if (!arrival) {
                refuse(arrivals, swarm, arrived->channel, "busy");
                return;
        }
        arrival->making->gives_up_us = usec_add(now_us, ARRIVALS_CONNECT_US);
        arrival_begin(arrival, now_us);
}

void arrivals_gone(struct arrivals *arrivals, uint32_t swarm, const struct ipc_channel *gone)
{
        struct arrival *arrival = find(arrivals, swarm, gone->channel);

        if (arrival)
                arrival_free(arrival);
}

/* What a session of datagrams that is over tells of its service. */
static void judge_session(const struct arrival *arrival, const struct ipc_channel_closed *closed, usec_t now_us)
{
        struct arrivals *arrivals = arrival->arrivals;
        bool refused = closed->reason == IPC_REASON_REFUSED;
        const struct ipc_forward_service *service;
        enum services_news news;
        char text[METADATA_ADDRESS_TEXT_MAX], trouble[METADATA_ADDRESS_TEXT_MAX + 16];
        struct sockaddr_storage wide;
        uint8_t address[16];

        socket_address_ip(&arrival->remote, address);
        if (!refused && !closed->sent_bytes)
                return;
        news = services_note_session(&arrivals->services, arrival->gate_port, address, socket_address_port(&arrival->remote), !refused,
                                     now_us, &service);
        if (news != SERVICES_NO_NEWS && refused)
                tell_fails(arrivals, service);
        if (news != SERVICES_CHANGED)
                return;
        socket_address_widen(&arrival->remote, &wide);
        metadata_address_text(&wide, text);
        snprintf(trouble, sizeof(trouble), "nobody is at %s", text);
        tell_service(arrivals, service, refused ? trouble : NULL);
}

void arrivals_closed(struct arrivals *arrivals, uint32_t swarm, const struct ipc_channel_closed *closed, usec_t now_us)
{
        struct arrival *arrival = find(arrivals, swarm, closed->channel);

        if (!arrival || arrival->making)
                return;         /* nothing was handed over: nothing can have ended */
        if (arrival->protocol == IPC_UDP)
                judge_session(arrival, closed, now_us);
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
        arrival_free(arrival);
}

void arrivals_advance(struct arrivals *arrivals, usec_t now_us)
{
        struct heap_entry *due;

        while ((due = heap_pop_due(&arrivals->deadlines, now_us)))
                late(container_of(due, struct making, deadline)->arrival, now_us);
}

usec_t arrivals_deadline(const struct arrivals *arrivals)
{
        return heap_deadline(&arrivals->deadlines);
}
