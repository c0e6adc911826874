/* SPDX-License-Identifier: BSD-3-Clause */
/* A link: from the dial or the knock to the last event of its last channel. Between the connection below, which moves messages, and
 * the tunnel above, which knows what they mean. */
#include <stdlib.h>
#include <string.h>

#include "node_state.h"

#define LINGER_US SECONDS(3)            /* for our last bytes to be acknowledged */
#define AWAITED_US SECONDS(1)            /* from our answer to the peer's first frame, on any sane path */
#define STARVED_US MSEC(100)             /* until it is asked again whether there is memory to send with */
#define FAREWELL_US MSEC(100)           /* for the peer's own end after that: Hyperswarm leaves its side open for ever */

_Static_assert(NODE_MESSAGE_MAX == CONN_OPEN_MAX + CONN_SEAL_BYTES, "as a frame says of itself");

struct node_link *node_link_new(struct node_join *join, const uint8_t key[NODE_KEY_BYTES])
{
        struct node_link *link = calloc(1, sizeof(*link));

        if (!link)
                return NULL;
        link->node = join->node;
        link->join = join;
        link->state = NODE_LINK_DIALLING;
        link->drain_us = link->linger_us = link->relayed_us = link->watch.due_us = link->suitor.until_us = USEC_NEVER;
        memcpy(link->key, key, NODE_KEY_BYTES);
        list_init(&link->in_active);
        list_init(&link->in_sated);
        list_init(&link->in_unflushed);
        list_init(&link->in_flying);
        list_init(&link->channels);
        list_push_back(&link->node->links, &link->in_links);
        link->window_bytes = link->node->window_bytes;
        link->node->window_sum_bytes += link->window_bytes;
        return link;
}

uint64_t node_link_dropped(const struct node_link *link)
{
        struct tunnel_stats stats = { .datagrams_dropped = 0 };

        if (link->tunnel)
                tunnel_stats(link->tunnel, &stats);
        return stats.datagrams_dropped;
}

static void free_tunnel(struct node_link *link)
{
        link->node->channel_datagrams_dropped += node_link_dropped(link);
        tunnel_free(link->tunnel);
        link->tunnel = NULL;
}

void node_link_free(struct node_link *link)
{
        list_for_each(at, &link->channels)
                node_channel_free(list_entry(at, struct node_channel, in_link));
        if (link->dial)
                peer_dial_cancel(link->dial, &link->node->now);
        conn_free(link->conn);
        conn_free(link->suitor.conn);
        free_tunnel(link);
        list_remove(&link->in_links);
        list_remove(&link->in_active);
        list_remove(&link->in_unflushed);
        list_remove(&link->in_flying);
        list_remove(&link->in_sated);
        heap_remove(&link->node->timers, &link->timer);
        link->node->window_sum_bytes -= link->window_bytes;
        node_link_deal_windows(link->node);
        free(link);
}

struct node_link *node_link_find(const struct node *node, enum node_role own_role, const uint8_t key[NODE_KEY_BYTES])
{
        const struct node_join *join = &node->joins[own_role];
        struct swarm_peer *peer = join->node ? swarm_find(join->swarm, key) : NULL;

        return peer ? swarm_peer_context(peer) : NULL;
}

bool node_link_lives(const struct node_link *link)
{
        return link->state == NODE_LINK_GREETING || link->state == NODE_LINK_UP;
}

static void activate(struct node_link *link)
{
        if (list_empty(&link->in_active))
                list_push_back(&link->node->active, &link->in_active);
}

void node_link_touch(struct node_link *link)
{
        if (!node_link_lives(link))
                return;
        activate(link);
        if (list_empty(&link->in_unflushed))
                list_push_back(&link->node->unflushed, &link->in_unflushed);
}

void node_link_arm(struct node_link *link)
{
        usec_t due_us = node_link_lives(link) ? tunnel_deadline(link->tunnel) : USEC_NEVER;

        if (link->state == NODE_LINK_LINGERING)
                due_us = link->linger_us;
        if (node_link_lives(link))
                due_us = usec_min(due_us, link->drain_us);
        if (link->starved && node_link_lives(link))
                due_us = usec_min(due_us, usec_add(link->node->now.mono_us, STARVED_US));
        due_us = usec_min(due_us, usec_min(node_link_hearing_deadline(link), link->suitor.until_us));
        heap_set(&link->node->timers, &link->timer, due_us);
}

/* --- Its beginning --- */

/* The peer's own attempt is under way, and ours would bring nothing that it lacks: it could bring a relay. */
static bool punches_alone(const struct node_join *join, const uint8_t key[NODE_KEY_BYTES])
{
        const struct node *node = join->node;

        return peer_listener_punches(join->listener, key, &node->now) &&
               !(peer_listener_struggles(join->listener, key, &node->now) && node_relay_helps(node, key));
}

void node_link_dial(struct node_join *join, const struct swarm_task *task)
{
        struct node *node = join->node;
        struct peer_dial_spec spec = { .secret_key = join->secret_key, .remote_key = task->key, .relays = task->addrs,
                                       .relay_count = task->addr_count };
        struct node_link *link;

        if (!node_allows(join, task->key)) {
                swarm_over(join->swarm, task->peer, SWARM_UNNEEDED, node->now.mono_us);
                return;
        }
        if (join->listener && (punches_alone(join, task->key) ||
                               (peer_listener_awaits(join->listener, task->key, AWAITED_US, &node->now) &&
                                swarm_yields(join->swarm, task->peer, false, node->now.mono_us)))) {
                swarm_over(join->swarm, task->peer, SWARM_AWAITED, node->now.mono_us);
                return;
        }
        link = node_link_new(join, task->key);
        spec.context = link;
        node_relay_name(node, &spec);
        if (!link || peer_dial(node->peers, &spec, &link->dial, &node->now) < 0) {
                if (link)
                        node_link_free(link);
                swarm_over(join->swarm, task->peer, SWARM_FAILED, node->now.mono_us);
                return;
        }
        node_link_deal_windows(node);
        link->peer = task->peer;
        link->named_relay = spec.relay_through;
        swarm_peer_set_context(task->peer, link);
}

void node_limit_buffers(struct node *node, uint32_t channel_bytes, uint32_t peer_bytes)
{
        node->channel_buffer_bytes = channel_bytes;
        node->peer_buffer_bytes = peer_bytes;
}

/* There is a connection: both say hello. */
void node_link_greet(struct node_link *link, struct conn *conn, const struct addr *addr)
{
        struct node *node = link->node;
        struct node_join *join = link->join;
        struct tunnel_config config = {
                .role = join->role == NODE_GATEWAY ? TUNNEL_GATEWAY : TUNNEL_PROVIDER, .random = node->config.random,
                .window_max_bytes = node->channel_buffer_bytes, .receive_limit_bytes = node->peer_buffer_bytes,
        };

        memcpy(config.key, conn_local_key(conn), sizeof(config.key));
        memcpy(config.peer_key, link->key, sizeof(config.peer_key));
        node_router_hello(link, &config);
        link->conn = conn;
        link->addr = *addr;
        conn_set_context(conn, link);
        swarm_peer_set_context(link->peer, link);
        link->state = NODE_LINK_GREETING;
        if (tunnel_new(&link->tunnel, &config, &node->now) < 0 ||
            (node->advert && join->role == NODE_PROVIDER &&
             tunnel_advertise(link->tunnel, node->advert, node->advert_len, node->now.mono_us) < 0))
                node_link_cut(link, SWARM_LOST, false);
        else
                node_link_touch(link);
}

void node_link_connected(struct node_link *link)
{
        struct addr addr = conn_remote_addr(link->conn);

        link->peer = swarm_connected(link->join->swarm, link->key, &addr, false, link->node->now.mono_us);
        node_link_greet(link, link->conn, &addr);
}

static void on_connected(struct node_link *link, const struct peer_event *event)
{
        if (link->suitor.conn && !node_link_outdoes_suitor(link, event))
                return;
        node_attempt_dial(link, event);
        link->dial = NULL;
        link->conn = event->conn;
        swarm_peer_set_relays(link->peer, event->relays, event->relay_count);
        node_link_connected(link);
}

/* --- Its end --- */

static void move_to_parting(struct node_link *link)
{
        list_remove(&link->in_active);
        list_remove(&link->in_unflushed);
        list_remove(&link->in_flying);
        list_remove(&link->in_sated);
        list_remove(&link->in_links);
        list_push_back(&link->node->parting, &link->in_links);
}

/* Ends it for the swarm and for the peer; whoever uses it is told in the next events. Gently: what was sealed still arrives. */
void node_link_cut(struct node_link *link, enum swarm_end end, bool gently)
{
        struct node *node = link->node;

        if (end == SWARM_LOST && link->state == NODE_LINK_UP && !tunnel_proven(link->tunnel))
                end = SWARM_OUTDATED;
        if (link->peer)
                swarm_over(link->join->swarm, link->peer, end, node->now.mono_us);
        link->peer = NULL;
        if (link->dial)
                node_attempt_cancel(link, end == SWARM_AWAITED || end == SWARM_REPLACED ? NODE_CAME_FIRST : NODE_CANCELLED);
        if (link->state == NODE_LINK_DIALLING || !link->tunnel) {
                node_link_free(link);
                return;
        }
        if (gently)
                node_link_flush(link);
        if (link->state == NODE_LINK_PARTING)
                return;         /* the flush found no memory */
        tunnel_disconnect(link->tunnel, node->now.mono_us);
        if (gently && link->conn && !link->finished) {
                conn_end(link->conn);
                link->linger_us = usec_add(node->now.mono_us, LINGER_US);
        } else {
                conn_free(link->conn);
                link->conn = NULL;
        }
        link->state = NODE_LINK_PARTING;
        move_to_parting(link);
        node_link_arm(link);
}

/* The peer hears that we go. One that can't, or has no channel, sees it by the end of the connection, now. */
void node_link_leave(struct node_link *link, usec_t drain_us)
{
        bool drains = node_link_lives(link) && tunnel_bye(link->tunnel, link->node->now.mono_us) && !list_empty(&link->channels);

        if (!drains) {
                node_link_cut(link, SWARM_LOST, true);
                return;
        }
        link->drain_us = drain_us;
        node_link_touch(link);
}

/* Nobody wants what still comes; but taken it must be, for the end behind it. */
static void drain(struct node_link *link)
{
        const uint8_t *bytes;
        size_t len;

        while ((len = conn_peek(link->conn, &bytes)) > 0)
                conn_consume(link->conn, len);
}

bool node_link_part(struct node_link *link, struct node_event *out)
{
        struct tunnel_event event;
        struct node *node = link->node;

        *out = (struct node_event){ .role = link->role, .addr = link->addr };
        memcpy(out->peer, link->key, sizeof(out->peer));
        while (tunnel_event(link->tunnel, &event, node->now.mono_us))
                if (event.kind > TUNNEL_ARRIVED && node_channel_event(link, &event, out))
                        return true;
        if (node_channel_lose(link, out))
                return true;
        if (link->told_up) {
                link->told_up = false;
                node->peer_counts[link->role]--;
                out->kind = NODE_PEER_DOWN;
                out->reason = link->leaves ? NODE_REASON_PEER_LEFT : link->too_long_bytes ? NODE_REASON_TOO_LONG : NODE_REASON_PEER_LOST;
                out->len = link->too_long_bytes;
                return true;
        }
        if (!link->conn) {
                node_link_free(link);
                return false;
        }
        link->state = NODE_LINK_LINGERING;
        free_tunnel(link);
        list_remove(&link->in_links);
        list_push_back(&node->links, &link->in_links);
        drain(link);
        node_link_arm(link);
        return false;
}

void node_link_due(struct node_link *link)
{
        usec_t now_us = link->node->now.mono_us;

        if (link->state == NODE_LINK_LINGERING) {
                node_link_free(link);
                return;
        }
        if (link->suitor.conn && now_us >= link->suitor.until_us) {
                node_link_take_suitor(link);
                return;
        }
        if (node_link_lives(link) && now_us >= link->drain_us) {
                node_link_cut(link, SWARM_LOST, true);
                return;
        }
        node_link_hear(link);
        if (node_link_lives(link) && !link->starved && tunnel_deadline(link->tunnel) > now_us)
                node_link_arm(link);    /* it was for nothing else */
        else
                node_link_touch(link);
}

/* --- Between connection and tunnel --- */

/* What the connection takes now. It follows the congestion window, up and down: what was true before the last packet came may not
 * be any more. */
static void tell_room(struct node_link *link)
{
        size_t room_bytes = conn_room_bytes(link->conn);

        link->unacked_bytes = conn_unacked_bytes(link->conn);
        link->starved = !room_bytes && !link->unacked_bytes && !link->finished;
        tunnel_distance(link->tunnel, conn_rtt_us(link->conn));
        tunnel_progress(link->tunnel, room_bytes, link->unacked_bytes, link->node->now.mono_us);
}

static bool seal(struct node_link *link, const struct tunnel_message *message)
{
        return conn_seal(link->conn, message->bytes, message->len, link->node->now.mono_us);
}

void node_link_flush(struct node_link *link)
{
        struct tunnel_message message;
        bool sealed = true, paused;

        list_remove(&link->in_unflushed);
        if (!node_link_lives(link))
                return;
        paused = tunnel_paused(link->tunnel);
        tell_room(link);
        while (sealed && conn_room_bytes(link->conn) && tunnel_transmit(link->tunnel, &message, link->node->now.mono_us)) {
                sealed = seal(link, &message);
                if (list_empty(&link->in_flying))
                        list_push_back(&link->node->flying, &link->in_flying);
        }
        if (!sealed) {
                node_link_cut(link, SWARM_LOST, false); /* a frame that is missing ends it all */
                return;
        }
        if (!conn_room_bytes(link->conn))
                tell_room(link);        /* memory may be short since the last */
        node_link_watch(link);
        if (paused && !tunnel_paused(link->tunnel))
                activate(link);         /* it waited for an answer to leave */
        node_link_arm(link);
}

static bool at_end(struct node_link *link)
{
        const uint8_t *bytes;

        return (link->finished || conn_at_end(link->conn)) && conn_peek(link->conn, &bytes) == 0;
}

static void service(struct node_link *link)
{
        tell_room(link);
        tunnel_advance(link->tunnel, link->node->now.mono_us);
        node_link_feed(link);
}

/* The peer is one of ours. Two gateways have nothing to say to each other; originals keep such connections, so we do. */
static bool on_up(struct node_link *link, const struct tunnel_event *event, struct node_event *out)
{
        struct node *node = link->node;

        conn_trust(link->conn);
        node_attempt_proven(link);
        link->state = NODE_LINK_UP;
        link->role = event->role == TUNNEL_GATEWAY ? NODE_GATEWAY : NODE_PROVIDER;
        link->told_up = link->role != link->join->role;
        if (conn_is_relayed(link->conn)) {
                node_link_over_relay(link);
                memcpy(link->relay_key, conn_relay_key(link->conn), sizeof(link->relay_key));
        }
        node->relays.look_us = 0;
        swarm_proven(link->join->swarm, link->peer, link->told_up, node->now.mono_us);
        if (!link->told_up)
                return false;
        node->peer_counts[link->role]++;
        out->kind = NODE_PEER_UP;
        out->role = link->role;
        return true;
}

static void on_failed(struct node_link *link, const struct tunnel_event *event)
{
        enum tunnel_verdict verdict = event->verdict;
        enum swarm_end unproven = verdict != TUNNEL_BAD_AUTH ? SWARM_HOSTILE : node_router_doubted(link) ? SWARM_ESTRANGED : SWARM_MISTAKEN;
        bool up = link->state == NODE_LINK_UP;

        link->too_long_bytes = event->len;
        if (verdict == TUNNEL_SAME_ROLE)
                node_link_cut(link, SWARM_UNNEEDED, true);      /* with our hello, so that they know as well */
        else if (!up && (verdict == TUNNEL_BAD_AUTH || verdict == TUNNEL_OVERSIZE))
                node_link_cut(link, unproven, false);
        else
                node_link_cut(link, SWARM_LOST, false);
}

static bool tell(struct node_link *link, const struct tunnel_event *event, struct node_event *out)
{
        *out = (struct node_event){ .role = link->role, .addr = link->addr };
        memcpy(out->peer, link->key, sizeof(out->peer));
        switch (event->kind) {
        case TUNNEL_UP:
                return on_up(link, event, out);
        case TUNNEL_FAILED:
                on_failed(link, event);
                return false;
        case TUNNEL_RELAY:
                node_relay_told(link, &event->relay);
                return false;
        case TUNNEL_BYE:
                link->leaves = true;
                out->kind = NODE_PEER_LEAVES;
                return link->told_up;
        case TUNNEL_ADVERT:
                out->kind = NODE_ADVERT;
                out->bytes = event->bytes;
                out->len = event->len;
                return true;
        case TUNNEL_ADVERT_LONG:
                out->kind = NODE_ADVERT_LONG;
                out->len = event->len;
                return true;
        default:
                return node_channel_event(link, event, out);
        }
}

bool node_link_event(struct node_link *link, struct node_event *out)
{
        struct tunnel_event event;

        list_remove(&link->in_active);
        service(link);
        while (tunnel_event(link->tunnel, &event, link->node->now.mono_us)) {
                if (tell(link, &event, out)) {
                        node_link_touch(link);  /* there may be more; the others first */
                        return true;
                }
                if (!node_link_lives(link))
                        return false;
        }
        node_link_flush(link);
        if (node_link_lives(link) && link->drain_us != USEC_NEVER && list_empty(&link->channels))
                node_link_cut(link, SWARM_LOST, true);
        else if (node_link_lives(link) && at_end(link))
                node_link_cut(link, SWARM_LOST, !link->finished);
        return false;
}

static void on_closed(struct node_link *link, const struct peer_event *event)
{
        enum peer_reason reason = event->reason;

        if (link->state == NODE_LINK_LINGERING) {
                node_link_free(link);
        } else if (link->state == NODE_LINK_PARTING) {
                conn_free(link->conn);
                link->conn = NULL;
        } else if (reason == PEER_CONN_BROKEN || reason == PEER_CONN_TOO_LONG) {
                link->too_long_bytes = event->frame_bytes;
                node_link_cut(link, SWARM_LOST, false);
        } else {
                if (reason == PEER_CONN_TIMED_OUT && link->relayed_us != USEC_NEVER)
                        node_relay_lost(link->node, link->relay_key);
                link->finished = true;
                node_link_touch(link);
        }
}

/* Our last words have arrived. A peer that only listens from here on is cut off, or it would miss us for long. */
static void on_ended(struct node_link *link)
{
        link->linger_us = usec_min(link->linger_us, usec_add(link->node->now.mono_us, FAREWELL_US));
        node_link_arm(link);
}

static void on_dial_failed(struct node_link *link, const struct peer_event *event)
{
        if (link->suitor.conn && !node_link_outdoes_suitor(link, event))
                return;
        node_attempt_dial(link, event);
        node_relay_failed(link, event->failure);
        link->dial = NULL;
        node_link_cut(link, SWARM_FAILED, false);
}

void node_link_peer_event(struct node_link *link, const struct peer_event *event)
{
        if (node_link_suitor_event(link, event))
                return;
        switch (event->kind) {
        case PEER_CONNECTED:
                on_connected(link, event);
                break;
        case PEER_DIAL_FAILED:
                on_dial_failed(link, event);
                break;
        case PEER_CONN_MOVED:
                node_attempt_moved(link, event);
                if (conn_is_relayed(link->conn))
                        node_link_over_relay(link);
                node_link_arm(link);
                break;
        case PEER_CONN_ENDED:
                on_ended(link);
                break;
        case PEER_CONN_CLOSED:
                on_closed(link, event);
                break;
        case PEER_CONN_READABLE:
                if (link->state == NODE_LINK_LINGERING)
                        drain(link);
                node_link_touch(link);
                break;
        default:
                node_link_touch(link);
        }
}
