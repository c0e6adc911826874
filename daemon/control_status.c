/* SPDX-License-Identifier: BSD-3-Clause */
/* "status": one line, what the instance is and how it fares. */
#include <sodium.h>
#include <time.h>

#include "control_conn.h"
#include "ipc_swarm.h"
#include "ipc_words.h"
#include "monotonic.h"
#include "supervisor.h"

static void write_gates(struct json_line *out, const struct gates *gates)
{
        json_line_open_list(out, "gates");
        list_for_each(at, &gates->all) {
                const struct gate *gate = list_entry(at, struct gate, in_all);
                size_t bound = 0;

                for (size_t i = 0; i < gate->listener_count; i++)
                        bound += gate->listeners[i].fd >= 0;
                json_line_open_object(out, NULL);
                json_line_number(out, "port", gate->port);
                json_line_text(out, "protocol", gate->protocol == IPC_UDP ? "udp" : "tcp");
                json_line_number(out, "addresses", gate->listener_count);
                json_line_number(out, "listening", bound);
                json_line_close_object(out);
        }
        json_line_close_list(out);
}

static void write_key(struct json_line *out, const char *name, const uint8_t seed[KEYS_BYTES])
{
        uint8_t public_key[crypto_sign_PUBLICKEYBYTES], secret_key[crypto_sign_SECRETKEYBYTES];

        crypto_sign_seed_keypair(public_key, secret_key, seed);
        sodium_memzero(secret_key, sizeof(secret_key));
        json_line_hex(out, name, public_key, sizeof(public_key));
}

/* By which peers know us, and which their peers: and allowPeers: name; with several cores there is one for each. */
static void write_keys(struct json_line *out, const struct supervisor *supervisor)
{
        static const struct { const char *first, *all; } names[] = { { "gatewayKey", "gatewayKeys" }, { "providerKey", "providerKeys" } };
        const bool present[] = { supervisor->conf->gateway.present, supervisor->conf->provider.present };

        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                const uint8_t *seed = supervisor->keys->seed[i];

                if (!present[i] || !supervisor->keys->router_count)
                        continue;
                write_key(out, names[i].first, seed);
                json_line_open_list(out, names[i].all);
                for (uint32_t id = 1; id <= supervisor->conf->cores; id++) {
                        uint8_t derived[KEYS_BYTES];

                        cores_identity(id, seed, derived);
                        write_key(out, NULL, derived);
                        sodium_memzero(derived, sizeof(derived));
                }
                json_line_close_list(out);
        }
}

static void write_dht(struct json_line *out, const struct supervisor *supervisor)
{
        const struct ipc_swarm_status *last = &supervisor->status.last;

        json_line_open_object(out, "dht");
        json_line_flag(out, "reached", last->bootstrapped && last->nodes > 0);
        json_line_number(out, "nodes", last->nodes);
        json_line_number(out, "announced", last->announced);
        json_line_number(out, "udpPort", supervisor->cores.list[0].sockets.server.port);
        json_line_close_object(out);
}

static void write_ended(struct json_line *out, const struct status *status)
{
        json_line_open_object(out, "channelsEnded");
        for (uint32_t i = 0; i < IPC_REASONS; i++)
                json_line_number(out, ipc_reason_word(i), status->ended[i] + (i == IPC_REASON_LIMIT ? status->last.limited : 0));
        json_line_close_object(out);
}

/* By their names, which are no secrets. */
static void write_previous(struct json_line *out, const struct keys *keys)
{
        json_line_open_list(out, "previousRouters");
        for (size_t i = 1; i < keys->router_count; i++) {
                json_line_open_object(out, NULL);
                json_line_hex(out, "router", keys->routers[i].public_key, KEYS_BYTES);
                json_line_time(out, "until", (int64_t)keys->routers[i].until_s);
                json_line_close_object(out);
        }
        json_line_close_list(out);
}

/* Of the virtual network, where there is one. */
static void write_hosts(struct json_line *out, const struct hosts *hosts)
{
        struct hosts_count count = hosts_count(hosts);

        if (!hosts->child)
                return;
        json_line_open_object(out, "hosts");
        json_line_number(out, "names", count.names);
        json_line_number(out, "ports", count.ports);
        json_line_number(out, "open", count.open);
        json_line_close_object(out);
}

/* How many addresses are let in whatever policies say. */
static void write_allowed(struct json_line *out, const struct ipc_allowances *allowances)
{
        struct timespec time;

        clock_gettime(CLOCK_REALTIME, &time);
        json_line_number(out, "allowed", ipc_allowances_count(allowances, (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000));
}

void control_status(struct control_conn *conn, const char *words)
{
        const struct supervisor *supervisor = conn->control->supervisor;
        const struct ipc_swarm_status *last = &supervisor->status.last;
        struct json_line *out = &conn->out;

        json_line_begin(out, "status");
        json_line_text(out, "instance", supervisor->asked_as);
        json_line_text(out, "version", HG_VERSION);
        json_line_decimal(out, "uptimeSeconds", to_seconds(monotonic_us() - supervisor->began_us));
        if (supervisor->keys->router_count)
                json_line_hex(out, "router", supervisor->keys->routers[0].public_key, KEYS_BYTES);
        else
                json_line_null(out, "router");
        write_previous(out, supervisor->keys);
        json_line_flag(out, "provider", supervisor->conf->provider.present);
        json_line_flag(out, "gateway", supervisor->conf->gateway.present);
        json_line_flag(out, "drained", supervisor->reload.overrides.drained);
        write_keys(out, supervisor);
        write_dht(out, supervisor);
        json_line_open_object(out, "peers");
        json_line_number(out, "gateways", last->gateways);
        json_line_number(out, "providers", last->providers);
        json_line_number(out, "relayed", last->relayed);
        json_line_number(out, "previousSecret", last->outdated);
        json_line_close_object(out);
        json_line_open_object(out, "relay");
        json_line_number(out, "connections", last->relays);
        json_line_number(out, "bytes", last->relayed_bytes);
        json_line_close_object(out);
        write_gates(out, &supervisor->gates);
        write_hosts(out, &supervisor->hosts);
        write_allowed(out, &supervisor->allowances);
        json_line_number(out, "servicesGone", services_gone_count(&supervisor->services));
        json_line_number(out, "channels", last->channels);
        write_ended(out, &supervisor->status);
        json_line_number(out, "workerRestarts", supervisor->children.restarts);
        json_line_number(out, "sentBytes", last->sent_bytes);
        json_line_number(out, "receivedBytes", last->received_bytes);
        json_line_number(out, "datagramsDropped", supervisor->status.dropped + last->datagrams_dropped);
        json_line_number(out, "streamPacketsDropped", last->streams_dropped);
        json_line_number(out, "strangersDropped", last->strangers_dropped);
        json_line_number(out, "advertsDropped", supervisor->status.adverts_dropped);
        json_line_end(out);
        json_line_begin(out, "end");
        json_line_end(out);
        control_flush(conn, true);
}
