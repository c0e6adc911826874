/* SPDX-License-Identifier: BSD-3-Clause */
/* What arrivals show of their services, and who is told: a service is down, or up again, when that changes, not for each who finds it so. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "forward_making.h"
#include "forward_metadata.h"
#include "forward_socket.h"

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

void arrivals_judge_try(struct arrival *arrival, bool works, usec_t now_us)
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

void arrivals_judge_session(const struct arrival *arrival, const struct ipc_channel_closed *closed, usec_t now_us)
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
