/* SPDX-License-Identifier: BSD-3-Clause */
/* The swarm worker between siblings that say anything in any order and a node whose peers do: the input is their words, the node's
 * events, what its channels take and hold, and what the connections' other ends do. The node here is none, but it holds the worker to
 * what node.h asks of it. No descriptor is left over. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "inside.h"
#include "ipc_blob.h"
#include "ipc_table.h"
#include "message.h"
#include "steps.h"
#include "swarm_process.h"

enum { OPERATIONS_MAX = 96, CHANNELS = 12, EVENTS = 32, LOCALS = 24, BYTES = 70000, DATAGRAMS = 20, SOCKETS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum state { FREE, ASKED, OPENING, OPEN };

struct channel_side {
        enum state state;
        node_channel_id id;
        uint16_t protocol;
        size_t writable, inbound, datagrams;
        bool inbound_ended, ended, end_consumed;
};

struct node {
        struct channel_side channels[CHANNELS];
        struct node_event events[EVENTS];
        size_t first, count;            /* of @events, a ring */
        node_channel_id last;
        size_t wanted, socket_count;
        uint32_t sockets[SOCKETS];      /* added ones */
        unsigned sends;                 /* runs of datagrams that leave */
        struct addr to;
};

struct scene {
        struct swarm_process swarm;
        struct inside inside;
        struct reader input;
        int locals[LOCALS];             /* the far ends of connections that were passed */
        size_t local_count;
};

static struct scene *scene;
static uint8_t bytes[BYTES];

static void must(bool condition)
{
        if (!condition)
                abort();
}

/* ---- the node ---- */

static struct channel_side *side_of(const struct node *node, node_channel_id id)
{
        for (size_t i = 0; i < CHANNELS; i++)
                if (node->channels[i].state != FREE && node->channels[i].id == id)
                        return (struct channel_side *)(uintptr_t)&node->channels[i];
        return NULL;
}

/* One that bytes may move on. */
static struct channel_side *open_side(const struct node *node, node_channel_id id)
{
        struct channel_side *side = side_of(node, id);

        must(side && side->state == OPEN);
        return side;
}

static struct channel_side *new_side(struct node *node, enum state state, uint16_t protocol)
{
        for (size_t i = 0; i < CHANNELS; i++) {
                if (node->channels[i].state != FREE)
                        continue;
                node->channels[i] = (struct channel_side){ .state = state, .id = ++node->last, .protocol = protocol };
                return &node->channels[i];
        }
        return NULL;
}

/* False: it is lost. */
static bool queue(struct node *node, const struct node_event *event)
{
        if (node->count == EVENTS)
                return false;
        node->events[(node->first + node->count++) % EVENTS] = *event;
        return true;
}

/* Nothing more is said of a channel that is gone. */
static void forget(struct node *node, node_channel_id id)
{
        size_t kept = 0;

        for (size_t i = 0; i < node->count; i++) {
                struct node_event *event = &node->events[(node->first + i) % EVENTS];

                if (event->channel != id)
                        node->events[(node->first + kept++) % EVENTS] = *event;
        }
        node->count = kept;
}

int node_new(struct node **node_out, const struct node_config *config, const struct now *now)
{
        *node_out = calloc(1, sizeof(**node_out));
        must(*node_out != NULL);
        return 0;
}

void node_free(struct node *node)
{
        free(node);
}

int node_set_bootstrap(struct node *node, const struct addr *addrs, size_t count, const struct now *now)
{
        must(count <= SWARM_ADDRESSES_MAX);
        return 0;
}

int node_set_local_addresses(struct node *node, const struct addr *addrs, size_t count, const struct now *now)
{
        must(count <= SWARM_ADDRESSES_MAX);
        return 0;
}

void node_set_known(struct node *node, const struct addr *addrs, size_t count, const struct now *now)
{
        must(count <= NODE_KNOWN_MAX);
}

int node_use_relays(struct node *node, const uint8_t (*keys)[NODE_KEY_BYTES], size_t count, const struct now *now)
{
        must(count <= NODE_RELAYS_MAX);
        return 0;
}

int node_relay(struct node *node, const struct node_relay_spec *spec, const struct now *now)
{
        must(spec->mode <= NODE_RELAY_NEVER);
        return spec->seed[0] == 1 ? -ENOMEM : 0;
}

size_t node_known(const struct node *node, struct addr *out, size_t max)
{
        out[0] = (struct addr){ { 10, 0, 0, 1 }, 1 };
        return node->last % 2;
}

int node_join(struct node *node, enum node_role role, const uint8_t public_key[NODE_KEY_BYTES],
              const uint8_t auth_key[NODE_AUTH_KEY_BYTES], const uint8_t seed[NODE_KEY_BYTES], const struct now *now)
{
        must(role < NODE_ROLES);
        return 0;
}

void node_leave(struct node *node, usec_t limit_us, const struct now *now)
{
        struct node_event event = { .kind = NODE_LEFT };

        queue(node, &event);
}

int node_advertise(struct node *node, const void *text, size_t len, const struct now *now)
{
        must(len && len <= IPC_BLOB_MAX);
        return 0;
}

void node_add_socket(struct node *node, uint32_t socket, const struct now *now)
{
        must(node->wanted > 0 && socket >= UDP_SOCKETS_OWN && socket < UDP_SOCKETS_MAX);
        for (size_t i = 0; i < node->socket_count; i++)
                must(node->sockets[i] != socket);
        node->sockets[node->socket_count++] = socket;
        node->wanted--;
}

void node_no_sockets(struct node *node, const struct now *now)
{
        node->wanted = 0;
}

void node_receive(struct node *node, const struct datagram *in, const struct now *now)
{
        must(in->iov_len == 1 && in->len && in->iov[0].iov_len == in->len && in->remote.port);
        must((in->segment_bytes && in->segment_bytes < in->len ? in->segment_bytes : in->len) <= UDP_SINGLE_MAX);
}

void node_advance(struct node *node, const struct now *now)
{
}

usec_t node_deadline(const struct node *node)
{
        return USEC_NEVER;
}

bool node_transmit(struct node *node, struct datagram *out, const struct now *now)
{
        static struct iovec iov[2];

        if (node->sends == 0)
                return false;
        node->sends--;
        iov[0] = (struct iovec){ bytes, 1000 };
        iov[1] = (struct iovec){ bytes, 100 + (size_t)(node->sends % 3) * 500 };
        *out = (struct datagram){ .socket = node->sends % 2, .ttl = node->sends / 4 % 2, .remote = node->to, .iov = iov, .iov_len = 2 };
        out->len = iov[0].iov_len + iov[1].iov_len;
        out->segment_bytes = node->sends % 4 < 3 ? 700 : 0;
        return true;
}

void node_unsent(struct node *node, const struct datagram *out, int error)
{
        must(error > 0);
}

void node_trim(struct node *node)
{
}

/* Whether it can still happen: other things may have happened since it was queued. */
static bool is_true(const struct node *node, const struct node_event *event)
{
        const struct channel_side *side = side_of(node, event->channel);

        switch (event->kind) {
        case NODE_CHANNEL_OPENED:
        case NODE_CHANNEL_REFUSED:
                return side && side->state == OPENING;
        case NODE_CHANNEL_READABLE:
        case NODE_CHANNEL_WRITABLE:
                return side && side->state == OPEN;
        case NODE_CHANNEL_CLOSED:
        case NODE_CHANNEL_ARRIVED:
                return side;
        default:
                return true;
        }
}

bool node_event(struct node *node, struct node_event *out, const struct now *now)
{
        struct channel_side *side;

        do {
                if (node->count == 0)
                        return false;
                *out = node->events[node->first];
                node->first = (node->first + 1) % EVENTS;
                node->count--;
        } while (!is_true(node, out));
        side = side_of(node, out->channel);
        if (out->kind == NODE_CHANNEL_OPENED)
                side->state = OPEN;
        else if (out->kind == NODE_CHANNEL_REFUSED || out->kind == NODE_CHANNEL_CLOSED)
                side->state = FREE;
        return true;
}

int node_open(struct node *node, const uint8_t peer[NODE_KEY_BYTES], uint16_t gate_port, uint16_t protocol, const void *metadata,
              size_t len, usec_t limit_us, node_channel_id *channel_out, const struct now *now)
{
        struct channel_side *side = protocol <= NODE_UDP && gate_port ? new_side(node, OPENING, protocol) : NULL;

        must(len <= IPC_METADATA_MAX);
        if (!side)
                return -EBUSY;
        *channel_out = side->id;
        return 0;
}

void node_accept(struct node *node, node_channel_id channel, const struct now *now)
{
        struct channel_side *side = side_of(node, channel);

        must(!side || side->state == ASKED);
        if (side)
                side->state = OPEN;
}

void node_refuse(struct node *node, node_channel_id channel, const char *text, size_t len, const struct now *now)
{
        struct channel_side *side = side_of(node, channel);

        must((!side || side->state == ASKED) && len <= NODE_TEXT_MAX);
        if (side)
                side->state = FREE;
        forget(node, channel);
}

size_t node_writable(const struct node *node, node_channel_id channel)
{
        const struct channel_side *side = open_side(node, channel);

        return side->ended ? 0 : side->writable;
}

void node_write(struct node *node, node_channel_id channel, uint8_t *data, size_t len, const struct now *now)
{
        struct channel_side *side = open_side(node, channel);

        must(len && len <= node_writable(node, channel) && len <= NODE_WRITE_MAX && side->protocol != NODE_UDP);
        memset(data - NODE_HEADROOM, 0xee, NODE_HEADROOM);
        side->writable -= len;
}

void node_send(struct node *node, node_channel_id channel, const struct iovec *datagrams, size_t count, const struct now *now)
{
        struct channel_side *side = open_side(node, channel);

        must(node_writable(node, channel) > 0 && count && side->protocol == NODE_UDP);
        for (size_t i = 0; i < count; i++) {
                must(datagrams[i].iov_len <= NODE_DATAGRAM_MAX);
                side->writable -= MIN(side->writable, datagrams[i].iov_len);
        }
}

size_t node_datagrams(struct node *node, node_channel_id channel, struct iovec *out, size_t max)
{
        struct channel_side *side = open_side(node, channel);
        size_t count = MIN(side->datagrams, max);

        for (size_t i = 0; i < count; i++)
                out[i] = (struct iovec){ bytes, (side->datagrams - i) * (side->inbound % 4096) % NODE_DATAGRAM_MAX };
        return count;
}

void node_datagrams_done(struct node *node, node_channel_id channel, size_t count, const struct now *now)
{
        struct channel_side *side = open_side(node, channel);

        must(count <= side->datagrams);
        side->datagrams -= count;
}

void node_end(struct node *node, node_channel_id channel, const struct now *now)
{
        struct channel_side *side = open_side(node, channel);

        must(!side->ended && side->protocol != NODE_UDP);
        side->ended = true;
}

void node_abort(struct node *node, node_channel_id channel, const struct now *now)
{
        struct channel_side *side = side_of(node, channel);

        must(side != NULL);
        side->state = FREE;
        forget(node, channel);
}

size_t node_peek(struct node *node, node_channel_id channel, const uint8_t **bytes_out, bool *ended_out)
{
        struct channel_side *side = open_side(node, channel);

        *bytes_out = bytes;
        *ended_out = side->inbound_ended;
        return MIN(side->inbound, sizeof(bytes));
}

void node_consume(struct node *node, node_channel_id channel, size_t len, const struct now *now)
{
        struct channel_side *side = open_side(node, channel);

        must(len <= side->inbound);
        side->inbound -= len;
}

void node_consume_end(struct node *node, node_channel_id channel, const struct now *now)
{
        struct channel_side *side = open_side(node, channel);

        must(side->inbound_ended && side->inbound == 0 && !side->end_consumed);
        side->end_consumed = true;
}

void node_stats(const struct node *node, struct node_stats *out)
{
        *out = (struct node_stats){ .table_nodes = (uint32_t)node->last % 3, .bootstrapped = node->last > 2 };
        for (size_t i = 0; i < CHANNELS; i++)
                out->channels += node->channels[i].state == OPEN;
}

int node_appoint(struct node *node, const struct node_appointed *peers, size_t count, const struct now *now)
{
        must(count <= NODE_APPOINTED_MAX);
        return count > 32 ? -E2BIG : 0;
}

int node_scan(struct node *node, uint64_t question, const uint8_t topic[NODE_KEY_BYTES], const struct now *now)
{
        static const struct addr relays[2] = { { { 192, 0, 2, 1 }, 1 }, { { 192, 0, 2, 2 }, 2 } };
        struct node_event event = { .kind = NODE_FOUND, .question = question, .addrs = relays, .addr_count = topic[0] % 3 };

        if (topic[0] >= 192)
                return topic[0] % 2 ? -EBUSY : -ENOMEM;
        queue(node, &event);
        event.kind = NODE_ANSWERED;
        queue(node, &event);
        return 0;
}

int node_ping(struct node *node, uint64_t question, const struct addr *addr, const struct now *now)
{
        struct node_event event = { .kind = NODE_PONG, .question = question, .addr = *addr, .count = 1 };

        if (addr->port % 2)
                queue(node, &event);
        event.kind = NODE_ANSWERED;
        queue(node, &event);
        return 0;
}

size_t node_peers(const struct node *node, struct node_peer *out, size_t max, const struct now *now)
{
        for (size_t i = 0; i < max && i < node->last % 5; i++)
                out[i] = (struct node_peer){ .role = i % 2 ? NODE_PROVIDER : NODE_GATEWAY, .attempt.path = NODE_PATH_NEAR };
        return node->last % 5;
}

void node_self(const struct node *node, struct node_self *out)
{
        *out = (struct node_self){ .nat = node->last % 4, .sighting_count = NODE_SIGHTINGS_MAX, .relay_count = { NODE_OWN_RELAYS_MAX } };
}

/* ---- what peers do ---- */

/* A peer comes, advertises, goes; or one of its clients wants something. */
static void peer_does(struct node *node, uint8_t what, struct reader *r)
{
        static const enum node_event_kind kinds[] = { NODE_PEER_UP, NODE_PEER_DOWN, NODE_ADVERT, NODE_CHANNEL_ARRIVED };
        struct node_event event = { .kind = kinds[what % 4], .role = what & 4 ? NODE_PROVIDER : NODE_GATEWAY, .bytes = bytes };
        struct channel_side *side;

        event.peer[0] = what / 8 % 4;
        event.len = (size_t)read_u8(r) * (what & 128 ? 16 : 1);
        if (event.kind == NODE_CHANNEL_ARRIVED) {
                event.protocol = what / 32 % 2;
                event.gate_port = read_u8(r) % 4;
                side = new_side(node, ASKED, event.protocol);
                if (!side)
                        return;
                event.channel = side->id;
        }
        queue(node, &event);
}

/* A peer is behind a NAT: more sockets are wanted, or one no more. */
static void punch(struct node *node, uint8_t what)
{
        struct node_event event = { .kind = what & 1 ? NODE_SOCKETS_WANTED : NODE_SOCKET_DONE, .count = 1 + what / 2 % 8 };

        if (what & 1 ? node->wanted > 0 || node->socket_count + event.count > SOCKETS : node->socket_count == 0)
                return;
        if (event.kind == NODE_SOCKET_DONE)
                event.socket = node->sockets[node->socket_count - 1];
        if (!queue(node, &event))
                return;
        node->socket_count -= event.kind == NODE_SOCKET_DONE;
        node->wanted = event.kind == NODE_SOCKETS_WANTED ? event.count : node->wanted;
}

/* The far end of a channel does something. */
static void channel_does(struct node *node, uint8_t what, struct reader *r)
{
        struct channel_side *side = &node->channels[what % CHANNELS];
        struct node_event event = { .channel = side->id, .bytes = bytes };
        uint8_t how = read_u8(r);

        if (side->state == FREE)
                return;
        event.reason = (enum node_reason)(how / 16 % (NODE_REASON_LIMIT + 1));
        switch (how % 6) {
        case 0:
                if (side->state != OPENING)
                        return;
                event.kind = NODE_CHANNEL_OPENED;
                break;
        case 1:
                if (side->state != OPENING)
                        return;
                event.kind = NODE_CHANNEL_REFUSED;
                event.len = how;
                break;
        case 2:
                event.kind = NODE_CHANNEL_CLOSED;
                break;
        case 3:
                side->inbound += side->inbound_ended ? 0 : (size_t)read_u8(r) * how;
                side->datagrams = MIN(side->datagrams + how / 64, (size_t)DATAGRAMS);
                event.kind = NODE_CHANNEL_READABLE;
                break;
        case 4:
                side->writable += (size_t)read_u8(r) * how;
                event.kind = NODE_CHANNEL_WRITABLE;
                break;
        default:
                side->inbound_ended = true;
                event.kind = NODE_CHANNEL_READABLE;
        }
        queue(node, &event);
}

/* ---- what siblings and connections do ---- */

/* A UDP socket on loopback, one of two that are there for as long as this program runs. */
static int udp_socket(unsigned number, struct addr *addr_out)
{
        static int fds[2];
        static struct sockaddr_in addrs[2];
        socklen_t len = sizeof(addrs[0]);

        if (!fds[number]) {
                addrs[number] = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
                fds[number] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                must(fds[number] > 0 && bind(fds[number], (struct sockaddr *)&addrs[number], len) == 0);
                must(getsockname(fds[number], (struct sockaddr *)&addrs[number], &len) == 0);
        }
        *addr_out = (struct addr){ { 127, 0, 0, 1 }, ntohs(addrs[number].sin_port) };
        return fds[number];
}

static int keep_local(const int pair[2])
{
        if (scene->local_count == LOCALS)
                close(pair[1]);
        else
                scene->locals[scene->local_count++] = pair[1];
        return pair[0];
}

/* A connection, a session, a service's socket, or something that is none. */
static int any_descriptor(uint8_t which)
{
        struct addr addr;
        int pair[2];

        switch (which % 6) {
        case 0:
        case 1:
                must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
                return keep_local(pair);
        case 2:
                must(ipc_link_pair(pair) == 0);
                return keep_local(pair);
        case 3:
                must(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
                return keep_local(pair);
        case 4:
                return dup(udp_socket(which / 6 % 2, &addr));
        default:
                return epoll_create1(EPOLL_CLOEXEC);
        }
}

/* A message of any type from any role: the first bytes of its payload are the input's, the others zero. */
static void say(enum ipc_role as)
{
        uint8_t payload[IPC_PAYLOAD_MAX] = { 0 };
        uint32_t type = message_type(&scene->input);
        const struct ipc_row *row = ipc_row(type);
        size_t size = row ? row->payload_bytes : 8, given = read_u8(&scene->input);
        uint8_t which = read_u8(&scene->input);
        int fd = row && row->fds_max && (row->fds_min || which & 1) ? any_descriptor(which) : -1;

        given = MIN(MIN(given, size), reader_left(&scene->input));
        read_copy(&scene->input, payload, given);
        inside_send_raw(&scene->inside, as, type, payload, size, &fd, fd >= 0);
        if (fd >= 0)
                close(fd);
}

/* A forward worker in its right mind: it serves something, or answers for the channel it was asked about last. */
static void serve(uint8_t what)
{
        struct ipc_service_held held = { .gate_port = what / 8 % 4, .protocol = what / 32 % 2 };
        node_channel_id last = scene->swarm.node ? scene->swarm.node->last : 0;
        struct ipc_channel_ready ready = { .channel = last - what / 16 % 4, .idle_ms = what & 128 ? 1 : 0 };
        struct ipc_channel_refused refused = { .channel = ready.channel, .text_len = what };
        struct ipc_channel_open open = { .channel = what, .gate_port = 1, .protocol = what / 8 % 2, .deadline_ms = what / 16 };
        struct ipc_channel one = { .channel = ready.channel };
        static const uint32_t types[] = { IPC_SERVICE_HELD, IPC_SERVICE_LEFT, IPC_CHANNEL_READY, IPC_CHANNEL_REFUSE,
                                          IPC_CHANNEL_OPEN, IPC_CHANNEL_READY, IPC_CHANNEL_OPEN, IPC_CHANNEL_END };
        const void *payloads[] = { &held, &held, &ready, &refused, &open, &ready, &open, &one };
        uint32_t type = types[what % 8];
        bool udp = type == IPC_CHANNEL_OPEN && open.protocol;
        int fd = ipc_row(type)->fds_min ? any_descriptor(udp ? 2 : what / 32 % 5) : -1;

        inside_send_raw(&scene->inside, IPC_FORWARD, type, payloads[what % 8], ipc_row(type)->payload_bytes, &fd, fd >= 0);
        if (fd >= 0)
                close(fd);
}

/* The supervisor in its right mind, so that there is a node. */
static void configure(void)
{
        struct ipc_generation generation = { 1 };
        struct ipc_swarm_node node = { .persistent = 0 };

        inside_send_raw(&scene->inside, IPC_SUPERVISOR, IPC_CONF_BEGIN, &generation, sizeof(generation), NULL, 0);
        inside_send_raw(&scene->inside, IPC_SUPERVISOR, IPC_SWARM_NODE, &node, sizeof(node), NULL, 0);
        for (unsigned i = 0; i < 2; i++) {
                struct ipc_swarm_socket socket = { .kind = i, .receive_bytes = 100000, .gso = 1 };
                struct addr addr;
                int fd = udp_socket(i, &addr);

                socket.local_port = addr.port;
                memcpy(socket.local_ip, addr.ip, sizeof(socket.local_ip));
                inside_send_raw(&scene->inside, IPC_SUPERVISOR, IPC_SWARM_SOCKET, &socket, sizeof(socket), &fd, 1);
        }
        inside_send_raw(&scene->inside, IPC_SUPERVISOR, IPC_CONF_END, &generation, sizeof(generation), NULL, 0);
}

static void advertise(uint8_t what)
{
        struct ipc_advertise advert = { .len = what };
        int fd = what ? ipc_blob_new(bytes, what) : dup(STDIN_FILENO);

        must(fd >= 0);
        advert.len += read_u8(&scene->input) == 0;
        inside_send_raw(&scene->inside, IPC_ROUTER, IPC_ADVERTISE, &advert, sizeof(advert), &fd, 1);
        close(fd);
}

static void local_does(uint8_t what)
{
        size_t i = scene->local_count ? what / 4 % scene->local_count : 0;
        int fd = scene->local_count ? scene->locals[i] : -1;
        static uint8_t drain[8192];

        if (fd < 0)
                return;
        switch (what % 4) {
        case 0:
                (void)!send(fd, bytes, (size_t)read_u8(&scene->input) * 9, MSG_NOSIGNAL | MSG_DONTWAIT);
                break;
        case 1:
                for (unsigned n = 0; n < 20 && recv(fd, drain, sizeof(drain), MSG_DONTWAIT) > 0; n++)
                        ;
                break;
        case 2:
                shutdown(fd, SHUT_WR);
                break;
        default:
                close(fd);
                scene->locals[i] = scene->locals[--scene->local_count];
        }
}

static void fire(ev_timer *timer)
{
        if (!ev_is_active(timer))
                return;
        ev_timer_stop(scene->swarm.worker.loop, timer);
        ev_invoke(scene->swarm.worker.loop, timer, EV_TIMER);
}

static void pass_time(uint8_t what)
{
        struct swarm_process *swarm = &scene->swarm;

        if (!swarm->node)
                return;
        swarm->driver.now.mono_us += SECONDS(1) << what / 4 % 8;
        if (what % 4 == 0)
                fire(&swarm->channels.idle_check);
        else if (what % 4 == 1)
                fire(&swarm->channels.early.patience);
        else if (what % 4 == 2)
                fire(&swarm->status);
        else
                fire(&swarm->known);
}

static void operate(unsigned turn)
{
        static const enum ipc_role roles[] = { IPC_SUPERVISOR, IPC_ROUTER, IPC_FORWARD, IPC_FORWARD };
        uint8_t operation = read_u8(&scene->input), argument = read_u8(&scene->input);
        enum ipc_role role = roles[operation / 16 % ARRAY_LEN(roles)];
        struct node *node = scene->swarm.node;

        switch (operation % 16) {
        case 0:
                if (role != IPC_SUPERVISOR)
                        inside_introduce(&scene->inside, role);
                break;
        case 1:
                if (role != IPC_SUPERVISOR)
                        inside_depart(&scene->inside, role);
                break;
        case 2:
                pass_time(argument);
                break;
        case 3:
        case 4:
                say(role);
                break;
        case 5:
                advertise(argument);
                break;
        case 6:
        case 7:
                local_does(argument);
                break;
        case 8:
                if (node && argument & 64) {
                        punch(node, argument);
                } else if (node) {
                        node->sends = argument % 8;
                        udp_socket(argument / 8 % 2, &node->to);
                        node->to.port = argument & 128 ? 0 : node->to.port;
                }
                break;
        case 9:
        case 10:
                if (node)
                        peer_does(node, argument, &scene->input);
                break;
        case 11:
        case 12:
        case 13:
                if (node)
                        channel_does(node, argument, &scene->input);
                break;
        default:
                serve(argument);
        }
        worker_turn(&scene->swarm.worker, &swarm_handlers, &scene->swarm);
        if (turn % 8 == 7)              /* it is what takes longest */
                inside_drain(&scene->inside);
}

static void run(bool configured)
{
        struct swarm_process *swarm = &scene->swarm;

        inside_begin(&scene->inside, &swarm->worker, IPC_SWARM, IPC_DUTY_NONE);
        must(swarm_process_init(swarm) == 0);
        swarm->worker.exit_code = -1;   /* another one: it has stopped */
        if (configured) {
                configure();
                inside_introduce(&scene->inside, IPC_ROUTER);
                inside_introduce(&scene->inside, IPC_FORWARD);
                worker_turn(&swarm->worker, &swarm_handlers, swarm);
                must(swarm->node != NULL);
        }
        for (unsigned i = 0; i < OPERATIONS_MAX && steps_next(&scene->input) && swarm->worker.exit_code == -1; i++)
                operate(i);
        worker_part(&swarm->worker);
        swarm_process_fini(swarm);
        inside_drain(&scene->inside);
        inside_end(&scene->inside);
        while (scene->local_count)
                close(scene->locals[--scene->local_count]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        struct addr addr;
        int first_free, now_free;

        must(sodium_init() >= 0);
        udp_socket(0, &addr);
        udp_socket(1, &addr);
        first_free = dup(STDIN_FILENO);
        close(first_free);
        scene = calloc(1, sizeof(*scene));
        must(scene != NULL);
        scene->input = steps_begin(data, len);
        run(read_u8(&scene->input) % 8);
        free(scene);
        now_free = dup(STDIN_FILENO);
        close(now_free);
        must(first_free == now_free);
        return 0;
}
