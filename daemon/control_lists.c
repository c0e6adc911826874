/* SPDX-License-Identifier: BSD-3-Clause */
/* "gates" and "services": what this instance has opened, and what it offers. "routes" and "channels": what the router worker and the swarm
 * worker know of. A line for each, then the end. */
#include <stdlib.h>
#include <string.h>

#include "control_conn.h"
#include "supervisor.h"

static const char *protocol_word(uint16_t protocol)
{
        return protocol == IPC_UDP ? "udp" : "tcp";
}

static void end_list(struct control_conn *conn)
{
        json_line_begin(&conn->out, "end");
        json_line_end(&conn->out);
        control_flush(conn, true);
}

/* --- Gates --- */

static void write_gate(struct json_line *out, const struct gate *gate)
{
        json_line_begin(out, "gate");
        json_line_number(out, "gatePort", gate->port);
        json_line_text(out, "protocol", protocol_word(gate->protocol));
        json_line_flag(out, "open", gate->forward != NULL);
        json_line_open_list(out, "listen");
        for (size_t i = 0; i < gate->listener_count; i++) {
                const struct gate_listener *listener = &gate->listeners[i];

                json_line_open_object(out, NULL);
                json_line_text(out, "address", listener->address->text);
                json_line_flag(out, "listening", listener->fd >= 0);
                if (listener->fd < 0 && listener->error)
                        json_line_text(out, "why", strerror(listener->error));
                else
                        json_line_null(out, "why");
                json_line_close_object(out);
        }
        json_line_close_list(out);
        json_line_end(out);
}

void control_gates(struct control_conn *conn, const char *words)
{
        const struct gates *gates = &conn->control->supervisor->gates;

        list_for_each(at, &gates->all)
                write_gate(&conn->out, list_entry(at, struct gate, in_all));
        end_list(conn);
}

/* --- Services --- */

static const char *const health_words[] = { [SERVICE_UNKNOWN] = "unknown", [SERVICE_THERE] = "there", [SERVICE_GONE] = "gone" };

static void write_service(struct json_line *out, const struct service *service)
{
        json_line_begin(out, "service");
        json_line_number(out, "gatePort", service->conf->gate_port);
        json_line_text(out, "protocol", protocol_word((uint16_t)service->conf->protocol));
        json_line_text(out, "serviceHost", service->conf->host);
        json_line_number(out, "servicePort", service->conf->service_port);
        if (*service->conf->sni)
                json_line_text(out, "sni", service->conf->sni);
        if (service->conf->proxy)
                json_line_text(out, "proxyProtocol", service->conf->proxy == CONF_PROXY_V1 ? "v1" : "v2");
        json_line_text(out, "tags", service->conf->tags);
        json_line_number(out, "priority", service->conf->priority);
        if (service->conf->health.type)
                json_line_text(out, "health", health_words[service->health]);
        else
                json_line_null(out, "health");
        json_line_number(out, "addresses", service->name ? service->name->count : 1);
        json_line_flag(out, "added", service->conf->line == 0);
        json_line_end(out);
}

void control_services(struct control_conn *conn, const char *words)
{
        const struct services *services = &conn->control->supervisor->services;

        for (size_t i = 0; i < services->count; i++)
                write_service(&conn->out, &services->list[i]);
        end_list(conn);
}

/* --- What workers know --- */

struct asked {
        struct control_job job;
        struct question *question;
        const struct child *swarm;      /* asked last, one after the other */
};

static void cancel(struct control_job *job)
{
        struct asked *asked = container_of(job, struct asked, job);

        if (asked->question)
                question_cancel(asked->question);
        free(asked);
}

static void end(struct asked *asked, const char *error)
{
        struct control_conn *conn = asked->job.conn;

        asked->question = NULL;
        cancel(&asked->job);
        if (error)
                control_refuse(conn, error);
        else
                end_list(conn);
}

/* NULL: it was refused. */
static struct asked *begin(struct control_conn *conn, bool answers)
{
        struct asked *asked = answers ? calloc(1, sizeof(*asked)) : NULL;

        if (!asked) {
                control_refuse(conn, answers ? "no memory" : "the worker that knows does not run now: ask again");
                return NULL;
        }
        asked->job = (struct control_job){ .conn = conn, .cancel = cancel };
        conn->job = &asked->job;
        return asked;
}

static void write_route(struct json_line *out, const struct ipc_router_route *route)
{
        json_line_begin(out, "route");
        json_line_number(out, "gatePort", route->gate_port);
        json_line_text(out, "protocol", protocol_word(route->protocol));
        json_line_hex(out, "peer", route->key, sizeof(route->key));
        json_line_number(out, "services", route->services);
        json_line_number(out, "priority", route->priority);
        json_line_number(out, "worker", route->swarm);
        json_line_end(out);
}

static void write_channel(struct json_line *out, const struct ipc_swarm_channel *channel, uint32_t worker)
{
        json_line_begin(out, "channel");
        json_line_number(out, "channel", channel->channel);
        json_line_number(out, "gatePort", channel->gate_port);
        json_line_text(out, "protocol", protocol_word(channel->protocol));
        json_line_text(out, "end", channel->incoming ? "service" : "gate");
        json_line_hex(out, "peer", channel->key, sizeof(channel->key));
        json_line_text(out, "state", channel->state == IPC_CHANNEL_STATE_OPEN ? "open" : "opening");
        json_line_decimal(out, "ageSeconds", (double)channel->age_us / 1e6);
        json_line_number(out, "sentBytes", channel->sent_bytes);
        json_line_number(out, "receivedBytes", channel->received_bytes);
        json_line_number(out, "worker", worker);
        json_line_end(out);
}

static void on_answer(void *context, const struct ipc_received *message);

/* False: all have answered. */
static bool ask_next_swarm(struct asked *asked)
{
        struct supervisor *supervisor = asked->job.conn->control->supervisor;
        struct child *swarm = supervisor_next_swarm(supervisor, asked->swarm);
        struct ipc_swarm_ask ask = { .what = IPC_ASK_CHANNELS };

        if (!swarm)
                return false;
        asked->swarm = swarm;
        asked->question = questions_ask(&supervisor->questions, swarm, &ask, on_answer, asked);
        if (!asked->question)
                end(asked, "no memory");
        return true;
}

static void on_answer(void *context, const struct ipc_received *message)
{
        struct asked *asked = context;
        struct json_line *out = &asked->job.conn->out;

        if (message && message->type == IPC_SWARM_ANSWERED && ask_next_swarm(asked))
                return;
        if (!message || message->type == IPC_SWARM_ANSWERED || message->type == IPC_ROUTER_ANSWERED) {
                end(asked, message ? NULL : "the worker that knows has just ended: ask again");
                return;
        }
        if (message->type == IPC_ROUTER_ROUTE)
                write_route(out, IPC_PAYLOAD(message, struct ipc_router_route));
        else if (message->type == IPC_SWARM_CHANNEL)
                write_channel(out, IPC_PAYLOAD(message, struct ipc_swarm_channel), asked->swarm->id);
        control_flush(asked->job.conn, false);
}

void control_routes(struct control_conn *conn, const char *words)
{
        struct supervisor *supervisor = conn->control->supervisor;
        struct asked *asked;

        if (!supervisor->router) {
                end_list(conn);         /* neither provider nor gateway: there are none */
                return;
        }
        asked = begin(conn, supervisor_router_answers(supervisor));
        if (!asked)
                return;
        asked->question = questions_ask_routes(&supervisor->questions, supervisor->router, on_answer, asked);
        if (!asked->question)
                end(asked, "no memory");
}

void control_channels(struct control_conn *conn, const char *words)
{
        struct asked *asked = begin(conn, supervisor_swarm_answers(conn->control->supervisor));

        if (asked)
                ask_next_swarm(asked);
}
