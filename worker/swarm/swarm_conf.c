/* SPDX-License-Identifier: BSD-3-Clause */
/* What the supervisor and the siblings say to the swarm worker. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc_blob.h"
#include "ipc_channel.h"
#include "ipc_question.h"
#include "ipc_route.h"
#include "ipc_rule.h"
#include "ipc_swarm.h"
#include "ipc_words.h"
#include "run_keep.h"
#include "run_memory.h"
#include "swarm_process.h"

#define FULL_AGAIN_US SECONDS(60)

_Static_assert((int)IPC_ROUTERS_MAX == (int)NODE_ROUTERS_MAX, "all that are told are taken");
_Static_assert((int)IPC_ALLOWED_MAX == (int)NODE_ALLOWED_MAX, "and whoever may come");
_Static_assert((int)IPC_RELAY_NEVER == (int)NODE_RELAY_NEVER && (int)IPC_RELAY_ALWAYS == (int)NODE_RELAY_ALWAYS, "the same words");

static void fill_random(void *context, void *out, size_t len)
{
        randombytes_buf(out, len);
}

static void wipe(struct swarm_conf *conf)
{
        sodium_memzero(conf, sizeof(*conf));
}

static void on_begin(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct swarm_process *swarm = context;

        wipe(&swarm->conf);
        swarm->conf.open = true;
}

static void on_node(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct swarm_conf *conf = &((struct swarm_process *)context)->conf;

        conf->node = *IPC_PAYLOAD(message, struct ipc_swarm_node);
        conf->has_node = true;
}

static void on_socket(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_swarm_socket *socket = IPC_PAYLOAD(message, struct ipc_swarm_socket);
        struct swarm_process *swarm = context;

        if (socket->kind > IPC_SOCKET_CLIENT) {
                worker_disown(from);
                return;
        }
        if (swarm->node && swarm->udp.sockets[socket->kind].fd >= 0)
                return;         /* it is the same one: the supervisor never changes a socket under a running node */
        if (socket->for_strangers) {
                udp_take_strangers(&swarm->udp, socket->kind, ipc_received_take_fd(message, 0));
                swarm->stream_mark = socket->mark;
                swarm->marks_streams = true;
                return;
        }
        udp_take_socket(&swarm->udp, socket->kind, ipc_received_take_fd(message, 0), socket->gso);
        if (swarm->receive_bytes == 0 || socket->receive_bytes < swarm->receive_bytes)
                swarm->receive_bytes = socket->receive_bytes;
        if (socket->kind == IPC_SOCKET_SERVER) {
                swarm->server_local.port = socket->local_port;
                memcpy(swarm->server_local.ip, socket->local_ip, sizeof(swarm->server_local.ip));
        }
}

static void on_grant(void *context, struct worker_link *from, struct ipc_received *message)
{
        swarm_pool_grant(context, message);
}

static void on_address(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct swarm_conf *conf = &((struct swarm_process *)context)->conf;

        if (conf->local_count < ARRAY_LEN(conf->local))
                memcpy(conf->local[conf->local_count++].ip, IPC_PAYLOAD(message, struct ipc_swarm_address)->ip, 4);
}

static void on_bootstrap(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_swarm_bootstrap *node = IPC_PAYLOAD(message, struct ipc_swarm_bootstrap);
        struct swarm_conf *conf = &((struct swarm_process *)context)->conf;

        if (conf->bootstrap_count == ARRAY_LEN(conf->bootstrap))
                return;
        memcpy(conf->bootstrap[conf->bootstrap_count].ip, node->ip, sizeof(node->ip));
        conf->bootstrap[conf->bootstrap_count++].port = node->port;
}

static void on_known(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_swarm_known *known = IPC_PAYLOAD(message, struct ipc_swarm_known);
        struct swarm_conf *conf = &((struct swarm_process *)context)->conf;

        if (known->count > ARRAY_LEN(known->node)) {
                worker_disown(from);
                return;
        }
        conf->known_count = known->count;
        for (size_t i = 0; i < known->count; i++) {
                memcpy(conf->known[i].ip, known->node[i].ip, sizeof(known->node[i].ip));
                conf->known[i].port = known->node[i].port;
        }
}

static void on_router(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_swarm_router *router = IPC_PAYLOAD(message, struct ipc_swarm_router);
        struct swarm_conf *conf = &((struct swarm_process *)context)->conf;

        if (conf->router_count < ARRAY_LEN(conf->routers)) {
                struct node_router *out = &conf->routers[conf->router_count++];

                memcpy(out->public_key, router->public_key, sizeof(out->public_key));
                memcpy(out->auth_key, router->auth_key, sizeof(out->auth_key));
        }
        sodium_memzero(message->payload.bytes, sizeof(*router));
}

static void on_identity(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct swarm_conf *conf = &((struct swarm_process *)context)->conf;

        if (conf->identity_count < ARRAY_LEN(conf->identities))
                conf->identities[conf->identity_count++] = *IPC_PAYLOAD(message, struct ipc_swarm_identity);
        sodium_memzero(message->payload.bytes, sizeof(struct ipc_swarm_identity));
}

static void on_appointed(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_swarm_appointed *peer = IPC_PAYLOAD(message, struct ipc_swarm_appointed);
        struct swarm_conf *conf = &((struct swarm_process *)context)->conf;
        struct node_appointed *out = &conf->appointed[conf->appointed_count];

        if (conf->appointed_count == ARRAY_LEN(conf->appointed))
                return;
        conf->appointed_count++;
        memcpy(out->key, peer->key, sizeof(out->key));
        memcpy(out->addr.ip, peer->at.ip, sizeof(out->addr.ip));
        out->addr.port = peer->at.port;
}

/* More than are taken would be one too many that is kept out, never one too many that is let in. */
static void on_allowed(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_swarm_allowed *peer = IPC_PAYLOAD(message, struct ipc_swarm_allowed);
        struct swarm_conf *conf = &((struct swarm_process *)context)->conf;
        enum node_role role = peer->role == IPC_AS_PROVIDER ? NODE_PROVIDER : NODE_GATEWAY;

        if (peer->role != IPC_AS_PROVIDER && peer->role != IPC_AS_GATEWAY)
                worker_disown(from);
        else if (conf->allowed_count[role] < ARRAY_LEN(conf->allowed[role]))
                memcpy(conf->allowed[role][conf->allowed_count[role]++], peer->key, NODE_KEY_BYTES);
}

static void on_relay(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct swarm_conf *conf = &((struct swarm_process *)context)->conf;

        const struct ipc_swarm_relay *relay = IPC_PAYLOAD(message, struct ipc_swarm_relay);

        if (relay->anybody > 1 || relay->mode >= IPC_RELAY_MODES) {
                worker_disown(from);
                return;
        }
        conf->relay = *relay;
        conf->has_relay = true;
        sodium_memzero(message->payload.bytes, sizeof(conf->relay));
}

static void on_limits(void *context, struct worker_link *from, struct ipc_received *message)
{
        ((struct swarm_process *)context)->conf.limits = *IPC_PAYLOAD(message, struct ipc_swarm_limits);
}

static void on_through(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct swarm_conf *conf = &((struct swarm_process *)context)->conf;

        if (conf->through_count < ARRAY_LEN(conf->through))
                memcpy(conf->through[conf->through_count++], IPC_PAYLOAD(message, struct ipc_swarm_through)->key, NODE_KEY_BYTES);
}

static int start(struct swarm_process *swarm)
{
        struct node_config config = {
                .random = { fill_random, NULL },
                .server_socket = IPC_SOCKET_SERVER,
                .client_socket = IPC_SOCKET_CLIENT,
                .server_local = swarm->server_local,
                .persistent = swarm->conf.node.persistent,
                .public_addr.port = swarm->conf.node.public_port,
                .receive_bytes = swarm->receive_bytes,
                .marks_streams = swarm->marks_streams,
                .stream_mark = swarm->stream_mark,
                .cipher = swarm->cipher,
        };

        memcpy(config.public_addr.ip, swarm->conf.node.public_ip, sizeof(config.public_addr.ip));
        return swarm_start_node(swarm, &config);
}

static void join(struct swarm_process *swarm, const struct ipc_swarm_identity *identity)
{
        enum node_role role = identity->role == IPC_AS_PROVIDER ? NODE_PROVIDER : NODE_GATEWAY;

        if (!swarm->conf.router_count || swarm->joined[role])
                return;
        if (node_join(swarm->node, role, identity->seed, &swarm->driver.now) == 0)
                swarm->joined[role] = true;
        else
                worker_log(&swarm->worker, LOG_ERR, "can't join the router: out of memory");
}

static void relay(struct swarm_process *swarm)
{
        const struct ipc_swarm_relay *from = &swarm->conf.relay;
        struct node_relay_spec spec = {
                .mode = (enum node_relay_mode)from->mode,
                .anybody = from->anybody,
                .connections = from->connections,
                .connections_per_host = from->connections_per_host,
                .bytes_per_s = from->bytes_per_s,
                .bytes_per_s_per_host = from->bytes_per_s_per_host,
        };

        memcpy(spec.seed, from->seed, sizeof(spec.seed));
        if (node_use_relays(swarm->node, (const uint8_t(*)[NODE_KEY_BYTES])swarm->conf.through, swarm->conf.through_count,
                            &swarm->driver.now) < 0 ||
            (swarm->conf.has_relay && node_relay(swarm->node, &spec, &swarm->driver.now) < 0))
                worker_log(&swarm->worker, LOG_ERR, "can't relay for others: out of memory");
        sodium_memzero(&spec, sizeof(spec));
}

static void on_end(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct swarm_process *swarm = context;
        struct swarm_conf *conf = &swarm->conf;
        bool complete = conf->open && conf->has_node && swarm->udp.sockets[IPC_SOCKET_SERVER].fd >= 0 &&
                        swarm->udp.sockets[IPC_SOCKET_CLIENT].fd >= 0;

        driver_tell_time(&swarm->driver);
        if (!complete || (!swarm->node && start(swarm) < 0)) {
                worker_log(&swarm->worker, LOG_ERR, "can't start on this configuration");
                worker_stop(&swarm->worker, EXIT_FAILURE);
        } else if (node_set_bootstrap(swarm->node, conf->bootstrap, conf->bootstrap_count, &swarm->driver.now) < 0 ||
                   node_set_local_addresses(swarm->node, conf->local, conf->local_count, &swarm->driver.now) < 0) {
                worker_log(&swarm->worker, LOG_ERR, "can't apply the configuration: out of memory");
        } else {
                node_set_known(swarm->node, conf->known, conf->known_count, &swarm->driver.now);
                if (node_appoint(swarm->node, conf->appointed, conf->appointed_count, &swarm->driver.now) < 0)
                        worker_log(&swarm->worker, LOG_ERR, "can't keep all of peers: too many");
                for (size_t role = 0; role < NODE_ROLES; role++)
                        node_allow(swarm->node, (enum node_role)role, (const uint8_t(*)[NODE_KEY_BYTES])conf->allowed[role],
                                   conf->allowed_count[role], &swarm->driver.now);
                swarm->channels.per_peer = conf->limits.connections_per_peer;
                node_limit_buffers(swarm->node, conf->limits.channel_buffer_bytes, conf->limits.peer_buffer_bytes);
                early_expect(&swarm->channels.early, &conf->services);
                if (conf->router_count)
                        node_set_routers(swarm->node, conf->routers, conf->router_count, &swarm->driver.now);
                for (size_t i = 0; i < conf->identity_count; i++)
                        join(swarm, &conf->identities[i]);
                relay(swarm);
                run_keep_heap();
        }
        wipe(conf);
}

static void on_advertise(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct swarm_process *swarm = context;
        uint32_t len = IPC_PAYLOAD(message, struct ipc_advertise)->len;
        int fd = ipc_received_take_fd(message, 0);
        uint8_t *bytes = NULL;
        int r = ipc_blob_read(fd, len, &bytes);

        close(fd);
        if (r < 0 || !swarm->node)
                worker_disown(from);
        else if (node_advertise(swarm->node, bytes, len, &swarm->driver.now) < 0)
                worker_log(&swarm->worker, LOG_ERR, "can't advertise: out of memory");
        free(bytes);
}

/* The channels, once there is a node to carry them: the supervisor introduces nobody before. */
static struct channels *channels_of(void *context, struct worker_link *from)
{
        struct swarm_process *swarm = context;

        if (swarm->node)
                return &swarm->channels;
        worker_disown(from);
        return NULL;
}

static void on_held(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_service_held *held = IPC_PAYLOAD(message, struct ipc_service_held);
        struct swarm_process *swarm = context;
        struct channels *channels;

        if (from->ipc.peer == IPC_SUPERVISOR) {
                early_services_add(&swarm->conf.services, held->gate_port, held->protocol);
                return;
        }
        channels = channels_of(context, from);
        if (channels)
                channels_hold(channels, from->ipc.id, held);
}

static void on_left(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct channels *channels = channels_of(context, from);

        if (channels)
                channels_leave(channels, from->ipc.id, IPC_PAYLOAD(message, struct ipc_service_held));
}

/* Whether one more can't be taken, which one line a minute says. */
static bool is_full(struct swarm_process *swarm, int fd)
{
        bool descriptors = worker_fd_spare(&swarm->worker, fd), memory = !descriptors && run_memory_short();
        struct now now;

        if (memory) {
                node_trim(swarm->node);
                memory = run_memory_short();
        }
        if (!descriptors && !memory)
                return false;
        worker_now(&now);
        if (swarm->full_told_us == 0 || now.mono_us - swarm->full_told_us >= FULL_AGAIN_US) {
                swarm->full_told_us = now.mono_us;
                worker_log_event(&swarm->worker, IPC_EVENT_SHORT_OF, LOG_WARNING, NULL,
                                 "no %s left for new connections: refused until that changes", descriptors ? "descriptors" : "memory");
        }
        return true;
}

static bool is_sound_client(const struct ipc_client *client)
{
        return client->known <= 1 && ipc_labels_end(client->labels, sizeof(client->labels));
}

static bool is_sound(const struct ipc_channel_open *open)
{
        for (unsigned i = 0; i < IPC_LIMITS_MAX; i++) {
                const struct ipc_limit *limit = &open->limit[i];

                if (limit->bytes_per_s >= IPC_RATE_MAX || limit->burst_bytes >= IPC_RATE_MAX ||
                    (limit->bytes_per_s == 0) != (limit->burst_bytes == 0))
                        return false;
        }
        return open->metadata_len <= sizeof(open->metadata) && is_sound_client(&open->client);
}

static void on_open(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_channel_open *open = IPC_PAYLOAD(message, struct ipc_channel_open);
        struct channels *channels = channels_of(context, from);

        if (channels && !is_sound(open))
                worker_disown(from);
        else if (channels && is_full(context, message->fds[0]))
                channels_decline(channels, from->ipc.id, open->channel, ipc_received_take_fd(message, 0));
        else if (channels)
                channels_open(channels, from->ipc.id, open, ipc_received_take_fd(message, 0));
}

static bool is_sound_ready(const struct ipc_channel_ready *ready)
{
        return is_sound_client(&ready->client) && ready->tuple.protocol <= IPC_UDP && ready->tuple.pad == 0;
}

static void on_ready(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_channel_ready *ready = IPC_PAYLOAD(message, struct ipc_channel_ready);
        struct channels *channels = channels_of(context, from);

        if (channels && !is_sound_ready(ready))
                worker_disown(from);
        else if (channels && is_full(context, message->fds[0]))
                channels_ready_declined(channels, from->ipc.id, ready->channel, ipc_received_take_fd(message, 0));
        else if (channels)
                channels_ready(channels, from->ipc.id, ready, ipc_received_take_fd(message, 0));
}

static void on_refuse(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_channel_refused *refused = IPC_PAYLOAD(message, struct ipc_channel_refused);
        struct channels *channels = channels_of(context, from);

        if (channels && refused->text_len > sizeof(refused->text))
                worker_disown(from);
        else if (channels)
                channels_refuse(channels, from->ipc.id, refused);
}

static void on_channel_socket(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct swarm_process *swarm = context;
        struct channels *channels = channels_of(context, from);

        if (channels && !worker_fd_spare(&swarm->worker, message->fds[0]))
                channels_socket(channels, from->ipc.id, IPC_PAYLOAD(message, struct ipc_channel_socket), ipc_received_take_fd(message, 0));
}

static void on_channel_end(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct channels *channels = channels_of(context, from);

        if (channels)
                channels_end(channels, from->ipc.id, IPC_PAYLOAD(message, struct ipc_channel));
}

static void on_introduced(void *context, struct worker_link *link)
{
        struct swarm_process *swarm = context;

        if (link->ipc.peer == IPC_ROUTER)
                peers_introduce(&swarm->peers, link);
        else if (link->ipc.peer == IPC_ADMIN)
                fingerprints_introduce(&swarm->fingerprints);
}

static void on_drained(void *context, struct worker_link *link)
{
        struct swarm_process *swarm = context;

        if (link->ipc.peer == IPC_ADMIN)
                fingerprints_advance(&swarm->fingerprints);
}

static void on_departed(void *context, struct worker_link *link)
{
        struct swarm_process *swarm = context;

        if (link->ipc.peer == IPC_ROUTER)
                peers_introduce(&swarm->peers, NULL);
        else if (link->ipc.peer == IPC_FORWARD && swarm->node)
                channels_forget(&swarm->channels, link->ipc.id);
}

static void on_ask(void *context, struct worker_link *from, struct ipc_received *message)
{
        if (!swarm_ask(context, IPC_PAYLOAD(message, struct ipc_swarm_ask)))
                worker_disown(from);
}

static void on_stopping(void *context, usec_t limit_us)
{
        struct swarm_process *swarm = context;

        if (!swarm->node) {
                worker_stop(&swarm->worker, EXIT_SUCCESS);
                return;
        }
        swarm->leaving = swarm->channels.leaving = true;
        driver_tell_time(&swarm->driver);
        node_leave(swarm->node, limit_us - usec_min(limit_us / 2, MSEC(200)), &swarm->driver.now);
}

const struct worker_handlers swarm_handlers = {
        .message = {
                [IPC_CONF_BEGIN] = on_begin,
                [IPC_SWARM_NODE] = on_node,
                [IPC_SWARM_SOCKET] = on_socket,
                [IPC_SWARM_GRANT] = on_grant,
                [IPC_SWARM_ADDRESS] = on_address,
                [IPC_SWARM_BOOTSTRAP] = on_bootstrap,
                [IPC_SWARM_KNOWN] = on_known,
                [IPC_SWARM_APPOINTED] = on_appointed,
                [IPC_SWARM_ROUTER] = on_router,
                [IPC_SWARM_IDENTITY] = on_identity,
                [IPC_SWARM_ALLOWED] = on_allowed,
                [IPC_SWARM_RELAY] = on_relay,
                [IPC_SWARM_THROUGH] = on_through,
                [IPC_SWARM_LIMITS] = on_limits,
                [IPC_CONF_END] = on_end,
                [IPC_SWARM_ASK] = on_ask,
                [IPC_ADVERTISE] = on_advertise,
                [IPC_SERVICE_HELD] = on_held,
                [IPC_SERVICE_LEFT] = on_left,
                [IPC_CHANNEL_OPEN] = on_open,
                [IPC_CHANNEL_READY] = on_ready,
                [IPC_CHANNEL_REFUSE] = on_refuse,
                [IPC_CHANNEL_SOCKET] = on_channel_socket,
                [IPC_CHANNEL_END] = on_channel_end,
        },
        .introduced = on_introduced,
        .departed = on_departed,
        .drained = on_drained,
        .stopping = on_stopping,
};
