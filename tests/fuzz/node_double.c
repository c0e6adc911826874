/* SPDX-License-Identifier: BSD-3-Clause */
#include "node_double.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "ipc_message.h"
#include "swarm_process.h"

enum { BYTES = 70000, DATAGRAMS = 20 };

static uint8_t bytes[BYTES];

/* Nothing is sealed here, and to make an engine takes longer than most plays. */
struct cipher *cipher_new(void)
{
        return NULL;
}

void cipher_free(struct cipher *cipher)
{
}

static void must(bool condition)
{
        if (!condition)
                abort();
}

static struct node_double_side *side_of(const struct node *node, node_channel_id id)
{
        for (size_t i = 0; i < NODE_DOUBLE_CHANNELS; i++)
                if (node->sides[i].state != SIDE_FREE && node->sides[i].id == id)
                        return (struct node_double_side *)(uintptr_t)&node->sides[i];
        return NULL;
}

/* One that bytes may move on. */
static struct node_double_side *open_side(const struct node *node, node_channel_id id)
{
        struct node_double_side *side = side_of(node, id);

        must(side && side->state == SIDE_OPEN);
        return side;
}

/* One that bytes may be sent on: that of a stream, before its peer has answered, too. */
static struct node_double_side *sending_side(const struct node *node, node_channel_id id)
{
        struct node_double_side *side = side_of(node, id);

        must(side && (side->state == SIDE_OPEN || (side->state == SIDE_OPENING && side->protocol != NODE_UDP)));
        return side;
}

static struct node_double_side *new_side(struct node *node, enum node_double_state state, uint16_t protocol)
{
        for (size_t i = 0; i < NODE_DOUBLE_CHANNELS; i++) {
                if (node->sides[i].state != SIDE_FREE)
                        continue;
                node->sides[i] = (struct node_double_side){ .state = state, .id = ++node->last, .protocol = protocol };
                return &node->sides[i];
        }
        return NULL;
}

/* False: it is lost. */
static bool queue(struct node *node, const struct node_event *event)
{
        if (node->count == NODE_DOUBLE_EVENTS)
                return false;
        node->events[(node->first + node->count++) % NODE_DOUBLE_EVENTS] = *event;
        return true;
}

/* Nothing more is said of a channel that is gone. */
static void forget(struct node *node, node_channel_id id)
{
        size_t kept = 0;

        for (size_t i = 0; i < node->count; i++) {
                struct node_event *event = &node->events[(node->first + i) % NODE_DOUBLE_EVENTS];

                if (event->channel != id)
                        node->events[(node->first + kept++) % NODE_DOUBLE_EVENTS] = *event;
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

int node_set_routers(struct node *node, const struct node_router *routers, size_t count, const struct now *now)
{
        must(count > 0 && count <= NODE_ROUTERS_MAX);
        return 0;
}

int node_join(struct node *node, enum node_role role, const uint8_t seed[NODE_KEY_BYTES], const struct now *now)
{
        must(role < NODE_ROLES);
        return seed[0] == 1 ? -ENOMEM : 0;
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
        out->pieces = node->sends == 5;
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
        const struct node_double_side *side = side_of(node, event->channel);

        switch (event->kind) {
        case NODE_CHANNEL_OPENED:
        case NODE_CHANNEL_REFUSED:
                return side && side->state == SIDE_OPENING;
        case NODE_CHANNEL_READABLE:
        case NODE_CHANNEL_WRITABLE:
                return side && side->state == SIDE_OPEN;
        case NODE_CHANNEL_CLOSED:
        case NODE_CHANNEL_ARRIVED:
                return side;
        default:
                return true;
        }
}

bool node_event(struct node *node, struct node_event *out, const struct now *now)
{
        struct node_double_side *side;

        do {
                if (node->count == 0)
                        return false;
                *out = node->events[node->first];
                node->first = (node->first + 1) % NODE_DOUBLE_EVENTS;
                node->count--;
        } while (!is_true(node, out));
        side = side_of(node, out->channel);
        if (out->kind == NODE_CHANNEL_OPENED)
                side->state = SIDE_OPEN;
        else if (out->kind == NODE_CHANNEL_REFUSED || out->kind == NODE_CHANNEL_CLOSED)
                side->state = SIDE_FREE;
        return true;
}

void node_name_service(struct node *node, node_channel_id channel, uint64_t service)
{
}

void node_channel_peer(const struct node *node, node_channel_id channel, uint8_t key_out[NODE_KEY_BYTES])
{
        memset(key_out, 0, NODE_KEY_BYTES);
}

int node_open(struct node *node, const uint8_t peer[NODE_KEY_BYTES], uint16_t gate_port, uint16_t protocol, const void *metadata,
              size_t len, usec_t limit_us, node_channel_id *channel_out, const struct now *now)
{
        struct node_double_side *side = protocol <= NODE_UDP && gate_port ? new_side(node, SIDE_OPENING, protocol) : NULL;

        must(len <= IPC_METADATA_MAX);
        if (!side)
                return -EBUSY;
        side->writable = protocol == NODE_UDP ? 0 : gate_port % 64;     /* by some ports something goes with the open */
        *channel_out = side->id;
        return 0;
}

void node_accept(struct node *node, node_channel_id channel, const struct now *now)
{
        struct node_double_side *side = side_of(node, channel);

        must(!side || side->state == SIDE_ASKED);
        if (side)
                side->state = SIDE_OPEN;
}

void node_refuse(struct node *node, node_channel_id channel, const char *text, size_t len, const struct now *now)
{
        struct node_double_side *side = side_of(node, channel);

        must((!side || side->state == SIDE_ASKED) && len <= NODE_TEXT_MAX);
        if (side)
                side->state = SIDE_FREE;
        forget(node, channel);
}

size_t node_writable(const struct node *node, node_channel_id channel)
{
        const struct node_double_side *side = sending_side(node, channel);

        return side->ended ? 0 : side->writable;
}

void node_write(struct node *node, node_channel_id channel, uint8_t *data, size_t len, const struct now *now)
{
        struct node_double_side *side = sending_side(node, channel);

        must(len && len <= node_writable(node, channel) && len <= NODE_WRITE_MAX && side->protocol != NODE_UDP);
        memset(data - NODE_HEADROOM, 0xee, NODE_HEADROOM);
        side->writable -= len;
}

void node_send(struct node *node, node_channel_id channel, const struct iovec *datagrams, size_t count, const struct now *now)
{
        struct node_double_side *side = open_side(node, channel);

        must(node_writable(node, channel) > 0 && count && side->protocol == NODE_UDP);
        for (size_t i = 0; i < count; i++) {
                must(datagrams[i].iov_len <= NODE_DATAGRAM_MAX);
                side->writable -= MIN(side->writable, datagrams[i].iov_len);
        }
}

size_t node_datagrams(struct node *node, node_channel_id channel, struct iovec *out, size_t max)
{
        struct node_double_side *side = open_side(node, channel);
        size_t count = MIN(side->datagrams, max);

        for (size_t i = 0; i < count; i++)
                out[i] = (struct iovec){ bytes, (side->datagrams - i) * (side->inbound % 4096) % NODE_DATAGRAM_MAX };
        return count;
}

void node_datagrams_done(struct node *node, node_channel_id channel, size_t count, const struct now *now)
{
        struct node_double_side *side = open_side(node, channel);

        must(count <= side->datagrams);
        side->datagrams -= count;
}

void node_end(struct node *node, node_channel_id channel, const struct now *now)
{
        struct node_double_side *side = open_side(node, channel);

        must(!side->ended && side->protocol != NODE_UDP);
        side->ended = true;
}

void node_abort(struct node *node, node_channel_id channel, const struct now *now)
{
        struct node_double_side *side = side_of(node, channel);

        must(side != NULL);
        side->state = SIDE_FREE;
        forget(node, channel);
}

size_t node_peek(struct node *node, node_channel_id channel, const uint8_t **bytes_out, bool *ended_out)
{
        struct node_double_side *side = open_side(node, channel);

        *bytes_out = bytes;
        *ended_out = side->inbound_ended;
        return MIN(side->inbound, sizeof(bytes));
}

void node_consume(struct node *node, node_channel_id channel, size_t len, const struct now *now)
{
        struct node_double_side *side = open_side(node, channel);

        must(len <= side->inbound);
        side->inbound -= len;
}

void node_consume_end(struct node *node, node_channel_id channel, const struct now *now)
{
        struct node_double_side *side = open_side(node, channel);

        must(side->inbound_ended && side->inbound == 0 && !side->end_consumed);
        side->end_consumed = true;
}

void node_stats(const struct node *node, struct node_stats *out)
{
        *out = (struct node_stats){ .table_nodes = (uint32_t)node->last % 3, .bootstrapped = node->last > 2 };
        for (size_t i = 0; i < NODE_DOUBLE_CHANNELS; i++)
                out->channels += node->sides[i].state == SIDE_OPEN;
}

int node_appoint(struct node *node, const struct node_appointed *peers, size_t count, const struct now *now)
{
        must(count <= NODE_APPOINTED_MAX);
        return count > 32 ? -E2BIG : 0;
}

void node_allow(struct node *node, enum node_role role, const uint8_t (*keys)[NODE_KEY_BYTES], size_t count, const struct now *now)
{
        must(role < NODE_ROLES && count <= NODE_ALLOWED_MAX);
}

void node_limit_buffers(struct node *node, uint32_t channel_bytes, uint32_t peer_bytes)
{
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

int node_ping(struct node *node, uint64_t question, const struct addr *addr, bool by_server, const struct now *now)
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

/* Somebody was reached, or was not. */
static void attempt(struct node *node, uint8_t what, struct reader *r)
{
        struct node_event event = { .kind = NODE_ATTEMPT, .peer = { what / 8 % 4 }, .attempt.incoming = what & 128 };

        event.attempt.failure = (enum node_failure)(read_u8(r) % NODE_FAILURES);
        event.attempt.path = (enum node_path)(event.attempt.failure == NODE_REACHED ? what / 8 % NODE_PATHS : NODE_PATH_NONE);
        event.attempt.peer_nat = (enum node_nat)(what / 32 % NODE_NATS);
        event.addr.port = what & 32;
        queue(node, &event);
}

void node_double_peer(struct node *node, uint8_t what, struct reader *r)
{
        static const enum node_event_kind kinds[] = { NODE_PEER_UP, NODE_PEER_DOWN, NODE_ADVERT, NODE_CHANNEL_ARRIVED };
        struct node_event event = { .kind = kinds[what % 4], .role = what & 4 ? NODE_PROVIDER : NODE_GATEWAY, .bytes = bytes };
        struct node_double_side *side;

        if ((what & 0x47) == 0x45) {
                attempt(node, what, r);
                return;
        }
        event.peer[0] = what / 8 % 4;
        event.len = (size_t)read_u8(r) * (what & 128 ? 16 : 1);
        if (event.kind == NODE_CHANNEL_ARRIVED) {
                event.protocol = what / 32 % 2;
                event.gate_port = read_u8(r) % 4;
                side = new_side(node, SIDE_ASKED, event.protocol);
                if (!side)
                        return;
                event.channel = side->id;
        }
        queue(node, &event);
}

void node_double_punch(struct node *node, uint8_t what)
{
        struct node_event event = { .kind = what & 1 ? NODE_SOCKETS_WANTED : NODE_SOCKET_DONE, .count = 1 + what / 2 % 8 };

        if (what & 1 ? node->wanted > 0 || node->socket_count + event.count > NODE_DOUBLE_SOCKETS : node->socket_count == 0)
                return;
        if (event.kind == NODE_SOCKET_DONE)
                event.socket = node->sockets[node->socket_count - 1];
        if (!queue(node, &event))
                return;
        node->socket_count -= event.kind == NODE_SOCKET_DONE;
        node->wanted = event.kind == NODE_SOCKETS_WANTED ? event.count : node->wanted;
}

void node_double_channel(struct node *node, uint8_t what, struct reader *r)
{
        struct node_double_side *side = &node->sides[what % NODE_DOUBLE_CHANNELS];
        struct node_event event = { .channel = side->id, .bytes = bytes };
        uint8_t how = read_u8(r), more;

        if (side->state == SIDE_FREE)
                return;
        event.reason = (enum node_reason)(how / 16 % (NODE_REASON_LIMIT + 1));
        switch (how % 6) {
        case 0:
                if (side->state != SIDE_OPENING)
                        return;
                event.kind = NODE_CHANNEL_OPENED;
                break;
        case 1:
                if (side->state != SIDE_OPENING)
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
                more = read_u8(r);
                if (!more)              /* others have filled what they share */
                        side->writable = 0;
                if (!more)
                        return;
                side->writable += (size_t)more * how;
                event.kind = NODE_CHANNEL_WRITABLE;
                break;
        default:
                side->inbound_ended = true;
                event.kind = NODE_CHANNEL_READABLE;
        }
        queue(node, &event);
}
