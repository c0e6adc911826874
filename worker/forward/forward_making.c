/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_making.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "forward_fingerprints.h"
#include "forward_metadata.h"
#include "forward_socket.h"
#include "forward_swarms.h"
#include "forward_visitor.h"
#include "ipc_channel.h"

enum { SERVICES_TRIED_MAX = 8 };        /* for one channel */

/* A peer that opens without end leaves room for all others. */
bool making_has_room(const struct arrivals *arrivals, const uint8_t peer[IPC_KEY_BYTES])
{
        size_t own = 0;

        list_for_each(at, &arrivals->pending_all)
                own += memcmp(list_entry(at, struct making, in_pending)->arrival->peer, peer, IPC_KEY_BYTES) == 0;
        return own < (ARRIVALS_PENDING_MAX - (arrivals->pending - own) + 1) / 2;
}

struct making *making_new(struct arrival *arrival, const struct ipc_channel_arrived *arrived, const struct ipc_forward_service *service)
{
        struct making *making = calloc(1, sizeof(*making));

        if (!making)
                return NULL;
        making->arrival = arrival;
        making->service = *service;
        making->named = arrived->service != 0;
        making->client.protocol = service->protocol;
        making->client.named = metadata_read(arrived->metadata, arrived->metadata_len, &making->client.source, &making->client.destination);
        if (making->client.named)
                metadata_read_labels(arrived->metadata, arrived->metadata_len, making->labels);
        return making;
}

void making_end(struct arrival *arrival)
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

static void begin_with_service(struct arrival *arrival, usec_t now_us);
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
        begin_with_service(arrival, now_us);
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
        arrivals_judge_try(arrival, false, now_us);
        if (try_other(arrival, now_us))
                return;
        arrivals_refuse(arrival->arrivals, arrival->swarm, arrival->number, text);
        arrivals_drop(arrival);
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
                arrivals_judge_try(arrival, true, now_us);
        if (!making->service.local && socket_tuple(fd, &making->dial.remote, arrival->protocol, &ready.tuple))
                fingerprint_tell(arrival->fingerprint, &ready.tuple, making->service.idle_ms);
        told = put_header(arrival, fd, &ready);         /* the first bytes that come to the service */
        arrival->remote = making->dial.remote;
        name_client(arrival, &ready.client);
        making_end(arrival);
        r = told ? worker_send(swarms_find(arrivals->worker, arrival->swarm), IPC_CHANNEL_READY, &ready, &fd, 1) : -ECONNRESET;
        close(fd);
        if (r < 0) {
                arrivals_refuse(arrivals, arrival->swarm, arrival->number, told ? "busy" : "Error: write ECONNRESET");
                arrivals_drop(arrival);
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
static void advance(struct arrival *arrival, usec_t now_us)
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
        advance(arrival, now_us);
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

static void begin_with_service(struct arrival *arrival, usec_t now_us)
{
        struct making *making = arrival->making;

        dial_init(&making->dial, arrival->arrivals->watch, &making->service, &arrival->arrivals->keep, on_connecting);
        making->tried++;
        making->began_us = now_us;
        if (making->service.local)
                ask_for(arrival, now_us);
        else
                advance(arrival, now_us);
}

void making_begin(struct arrival *arrival, usec_t now_us)
{
        struct arrivals *arrivals = arrival->arrivals;

        list_push_back(&arrivals->pending_all, &arrival->making->in_pending);
        arrivals->pending++;
        arrival->making->gives_up_us = usec_add(now_us, ARRIVALS_CONNECT_US);
        begin_with_service(arrival, now_us);
}

void making_dialled(struct arrival *arrival, int error, int fd, usec_t now_us)
{
        if (fd >= 0) {
                arrival->making->dial.watched.fd = fd;
                connected(arrival, now_us);
        } else {
                arrival->making->dial.error = error;
                give_up(arrival, now_us);
        }
}

void making_late(struct making *making, usec_t now_us)
{
        struct arrival *arrival = making->arrival;
        bool more = !making->service.local && dial_left(&making->dial) && now_us < making->gives_up_us;

        if (more) {
                dial_pass(&making->dial);
                advance(arrival, now_us);
                return;
        }
        dial_fini(&making->dial);
        making->dial.error = ETIMEDOUT;
        give_up(arrival, now_us);
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
