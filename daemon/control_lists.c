/* SPDX-License-Identifier: BSD-3-Clause */
/* "gates" and "services": what this instance has opened, and what it offers. "routes" and "channels": what the router worker and the swarm
 * worker know of. A line for each, then the end. */
#include <arpa/inet.h>
#include <string.h>

#include "control_ask.h"
#include "ipc_channel.h"
#include "ipc_question.h"
#include "ipc_words.h"
#include "sockets.h"
#include "supervisor.h"

static const char *protocol_word(uint16_t protocol)
{
        return protocol == IPC_UDP ? "udp" : "tcp";
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
        control_ask_end(conn);
}

/* --- Services --- */

static const char *const health_words[] = { [SERVICE_UNKNOWN] = "unknown", [SERVICE_THERE] = "there", [SERVICE_GONE] = "gone" };

static void write_service(struct json_line *out, const struct service *service)
{
        json_line_begin(out, "service");
        json_line_number(out, "gatePort", service->conf->gate_port);
        json_line_text(out, "protocol", protocol_word((uint16_t)service->conf->protocol));
        json_line_text(out, "serviceHost", service->conf->host);
        if (service->conf->alias)
                json_line_text(out, "alias", service->conf->alias);
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
        control_ask_end(conn);
}

/* --- What workers know --- */

static void write_route(struct json_line *out, const struct ipc_received *message, uint32_t worker)
{
        const struct ipc_router_route *route = IPC_PAYLOAD(message, struct ipc_router_route);

        if (message->type != IPC_ROUTER_ROUTE)
                return;
        json_line_begin(out, "route");
        json_line_number(out, "gatePort", route->gate_port);
        json_line_text(out, "protocol", protocol_word(route->protocol));
        json_line_hex(out, "peer", route->key, sizeof(route->key));
        json_line_number(out, "services", route->services);
        json_line_number(out, "priority", route->priority);
        json_line_number(out, "worker", route->swarm);
        json_line_end(out);
}

static void write_client(struct json_line *out, const struct ipc_client *client)
{
        char address[INET6_ADDRSTRLEN];

        if (!client->known) {
                json_line_null(out, "clientAddress");
                json_line_null(out, "clientPort");
        } else {
                sockets_print_address(client->ip, address);
                json_line_text(out, "clientAddress", address);
                json_line_number(out, "clientPort", client->port);
        }
        json_line_open_list(out, "labels");
        for (const char *label = client->labels; *label; label += strlen(label) + 1)
                json_line_text(out, NULL, label);
        json_line_close_list(out);
}

static void write_channel(struct json_line *out, const struct ipc_received *message, uint32_t worker)
{
        const struct ipc_swarm_channel *channel = IPC_PAYLOAD(message, struct ipc_swarm_channel);

        if (message->type != IPC_SWARM_CHANNEL || !ipc_labels_end(channel->client.labels, sizeof(channel->client.labels)))
                return;
        json_line_begin(out, "channel");
        json_line_number(out, "channel", channel->channel);
        json_line_number(out, "gatePort", channel->gate_port);
        json_line_text(out, "protocol", protocol_word(channel->protocol));
        json_line_text(out, "end", channel->incoming ? "service" : "gate");
        json_line_hex(out, "peer", channel->key, sizeof(channel->key));
        write_client(out, &channel->client);
        json_line_text(out, "state", channel->state == IPC_CHANNEL_STATE_OPEN ? "open" : "opening");
        json_line_decimal(out, "ageSeconds", (double)channel->age_us / 1e6);
        json_line_number(out, "sentBytes", channel->sent_bytes);
        json_line_number(out, "receivedBytes", channel->received_bytes);
        json_line_number(out, "worker", worker);
        json_line_end(out);
}

void control_routes(struct control_conn *conn, const char *words)
{
        control_ask_router(conn, write_route);
}

void control_channels(struct control_conn *conn, const char *words)
{
        control_ask_swarms(conn, IPC_ASK_CHANNELS, write_channel);
}
