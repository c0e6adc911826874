/* SPDX-License-Identifier: BSD-3-Clause */
#include "channels.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "cleanup.h"
#include "ipc_rule.h"

_Static_assert((int)IPC_LIMITS_MAX == (int)LIMITER_BUCKETS, "each has a bucket");

static enum ipc_reason ipc_reason_of(enum node_reason reason)
{
        static const enum ipc_reason reasons[] = {
                [NODE_REASON_DONE] = IPC_REASON_DONE,
                [NODE_REASON_RESET] = IPC_REASON_RESET_PEER,
                [NODE_REASON_PEER_LOST] = IPC_REASON_PEER_LOST,
                [NODE_REASON_PEER_LEFT] = IPC_REASON_PEER_LEFT,
                [NODE_REASON_REFUSED] = IPC_REASON_REFUSED,
                [NODE_REASON_TIMED_OUT] = IPC_REASON_TIMED_OUT,
                [NODE_REASON_NO_PEER] = IPC_REASON_NO_PEER,
                [NODE_REASON_LIMIT] = IPC_REASON_LIMIT,
        };

        return reasons[reason];
}

static enum ipc_reason reason_of(const struct channels *channels, const struct node_event *event)
{
        bool lost = event->reason == NODE_REASON_PEER_LOST || event->reason == NODE_REASON_PEER_LEFT;

        return channels->leaving && lost ? IPC_REASON_RESET_LOCAL : ipc_reason_of(event->reason);
}

/* A session's local end is in order: its client's gate says no more. Whoever goes before there is an answer was there, and broke off. */
static void on_broken(struct pump *pump)
{
        enum ipc_reason reason = pump->refused ? IPC_REASON_REFUSED : IPC_REASON_RESET_LOCAL;

        if (pump->opening)
                channel_tell_opened(container_of(pump, struct channel, pump));
        channel_conclude(container_of(pump, struct channel, pump), pump->kind == PUMP_SESSION ? IPC_REASON_DONE : reason);
}

/* "Service not found 8080": hypergate.md 6. */
static size_t not_found_text(uint16_t gate_port, char out[NODE_TEXT_MAX])
{
        static const char text[] = "Service not found ";
        char digits[5];
        size_t len = sizeof(text) - 1, count = 0;

        memcpy(out, text, len);
        do
                digits[count++] = (char)('0' + gate_port % 10);
        while (gate_port /= 10);
        while (count)
                out[len++] = digits[--count];
        return len;
}

static void refuse_early(void *context, const struct node_event *event)
{
        struct channels *channels = context;
        char text[NODE_TEXT_MAX];

        node_refuse(channels->node, event->channel, text, not_found_text(event->gate_port, text), channels->room.now);
}

int channels_init(struct channels *channels, struct ev_loop *loop, struct node *node, const struct now *now, const uint8_t map_key[16],
                  struct fingerprints *fingerprints, struct worker_link *(*forward)(void *context, uint32_t id),
                  void (*full)(void *context, const uint8_t peer[NODE_KEY_BYTES]), void *context)
{
        *channels = (struct channels){ .node = node, .fingerprints = fingerprints, .forward = forward, .full = full, .context = context };
        map_init(&channels->by_id, map_key);
        map_init(&channels->by_number, map_key);
        shares_init(&channels->shares, map_key);
        holdings_init(&channels->holdings);
        early_init(&channels->early, loop, refuse_early, channels);
        ev_timer_init(&channels->idle_check, channels_on_silence, 0.0, 0.0);
        channels->idle_check.data = channels;
        return pump_room_init(&channels->room, loop, node, now, map_key, on_broken);
}

void channels_fini(struct channels *channels)
{
        struct map_entry *entry;

        ev_timer_stop(channels->room.loop, &channels->idle_check);
        while ((entry = map_walk(&channels->by_id, NULL))) {
                struct channel *channel = container_of(entry, struct channel, by_id);

                if (channel->state != CHANNEL_ASKED)
                        pump_close(&channel->pump, false);
                channel_free(channel);
        }
        holdings_fini(&channels->holdings);
        early_fini(&channels->early);
        map_fini(&channels->by_id);
        map_fini(&channels->by_number);
        shares_fini(&channels->shares);
        pump_room_fini(&channels->room);
}

static void on_arrived(struct channels *channels, const struct node_event *event);

/* Who came before it was said that this is served. */
static void ask_early(struct channels *channels, const struct ipc_service_held *held)
{
        struct node_event *event;

        while ((event = early_take(&channels->early, held->gate_port, held->protocol))) {
                on_arrived(channels, event);
                early_free(event);
        }
}

void channels_hold(struct channels *channels, uint32_t from, const struct ipc_service_held *held)
{
        if (holdings_add(&channels->holdings, from, held))
                ask_early(channels, held);
}

void channels_leave(struct channels *channels, uint32_t from, const struct ipc_service_held *held)
{
        holdings_drop(&channels->holdings, from, held);
}

/* The connection goes back to whoever brought it, who may try another peer; nobody there any more: it is reset. */
static void give_back(struct worker_link *link, uint64_t number, enum ipc_reason reason, const void *text, size_t len, int fd)
{
        struct ipc_channel_refused refused = { .channel = number, .reason = reason,
                                               .text_len = (uint32_t)MIN(len, sizeof(refused.text)) };

        if (refused.text_len)
                memcpy(refused.text, text, refused.text_len);
        if (link)
                worker_send(link, IPC_CHANNEL_REFUSED, &refused, &fd, 1);
        close(fd);
}

/* False: no memory. */
static bool limit(struct channel *channel, const struct ipc_channel_open *open)
{
        for (unsigned i = 0; i < IPC_LIMITS_MAX; i++) {
                const struct ipc_limit *said = &open->limit[i];
                struct limiter_spec spec = { .name = said->limiter, .bytes_per_s = said->bytes_per_s, .burst_bytes = said->burst_bytes };
                unsigned ways = (said->ways & IPC_RULE_UP ? 1u << LIMITER_UP : 0) | (said->ways & IPC_RULE_DOWN ? 1u << LIMITER_DOWN : 0);

                if (said->bytes_per_s && pump_limit(&channel->pump, &spec, ways) < 0)
                        return false;
        }
        return true;
}

void channels_open(struct channels *channels, uint32_t from, const struct ipc_channel_open *open, int fd)
{
        struct worker_link *link = channels->forward(channels->context, from);
        struct channel *channel;
        node_channel_id id;
        int r = node_open(channels->node, open->peer, open->gate_port, open->protocol, open->metadata, open->metadata_len,
                          open->deadline_ms ? MSEC(open->deadline_ms) : USEC_NEVER, &id, channels->room.now);

        if (r == 0)
                node_name_service(channels->node, id, open->service);
        if (r < 0) {
                give_back(link, open->channel, r == -ENOTCONN ? IPC_REASON_NO_PEER : IPC_REASON_LIMIT, NULL, 0, fd);
                return;
        }
        channel = channel_new(channels, CHANNEL_OPENING, id, open->protocol, from, open->channel, fd);
        if (channel && limit(channel, open)) {
                channel->gate_port = open->gate_port;
                channel->idle_us = MSEC(open->idle_ms);
                channel->client = channel_client_new(&open->client);
                if (open->protocol == IPC_TCP && !channel->pump.limit)
                        pump_begin(&channel->pump);
                return;
        }
        if (channel) {
                (void)pump_release(&channel->pump);     /* it is @fd */
                channel_free(channel);
        }
        node_abort(channels->node, id, channels->room.now);
        give_back(link, open->channel, IPC_REASON_LIMIT, NULL, 0, fd);
}

void channels_decline(struct channels *channels, uint32_t from, uint64_t number, int fd)
{
        static const char text[] = "too many open connections";

        give_back(channels->forward(channels->context, from), number, IPC_REASON_LIMIT, text, sizeof(text) - 1, fd);
}

/* The channel @from was asked about, if it still waits for that answer. */
static struct channel *find_asked(struct channels *channels, uint32_t from, uint64_t number)
{
        struct channel *channel = channel_find(channels, number);

        return channel && channel->state == CHANNEL_ASKED && channel->forward == from ? channel : NULL;
}

static enum pump_kind service_kind(const struct channel *channel)
{
        return channel->protocol == IPC_UDP ? PUMP_DATAGRAMS : PUMP_STREAM;
}

void channels_ready(struct channels *channels, uint32_t from, const struct ipc_channel_ready *ready, int fd)
{
        struct channel *channel = find_asked(channels, from, ready->channel);

        if (!channel) {
                close(fd);      /* CHANNEL_GONE is on its way there */
                return;
        }
        pump_init(&channel->pump, &channels->room, channel->pump.channel, service_kind(channel), fd);
        if (pump_put_front(&channel->pump, ready->front, MIN(ready->front_len, (uint32_t)IPC_FRONT_MAX)) < 0) {
                channels_ready_declined(channels, from, ready->channel, fd);
                return;
        }
        channel->idle_us = MSEC(ready->idle_ms);
        channel->client = channel_client_new(&ready->client);
        fingerprint_tell(channel->fingerprint, ready);
        channel_run(channel);
        node_accept(channels->node, channel->pump.channel, channels->room.now);
        pump_start(&channel->pump);
}

static void refuse(struct channel *channel, const char *text, size_t len)
{
        struct channels *channels = channels_of(channel);

        node_refuse(channels->node, channel->pump.channel, text, len, channels->room.now);
        channel_free(channel);
}

void channels_ready_declined(struct channels *channels, uint32_t from, uint64_t number, int fd)
{
        struct channel *channel = find_asked(channels, from, number);
        struct ipc_channel gone = { .channel = number };

        close(fd);
        if (!channel)
                return;
        channel_tell(channel, IPC_CHANNEL_GONE, &gone, -1);
        refuse(channel, "busy", 4);
}

void channels_refuse(struct channels *channels, uint32_t from, const struct ipc_channel_refused *said)
{
        struct channel *channel = find_asked(channels, from, said->channel);

        if (channel)
                refuse(channel, said->text, MIN(said->text_len, (uint32_t)NODE_TEXT_MAX));
}

void channels_end(struct channels *channels, uint32_t from, const struct ipc_channel *end)
{
        struct channel *channel = channel_find_running(channels, from, end->channel);

        if (channel)
                channel_cut(channel, IPC_REASON_DONE);
}

void channels_socket(struct channels *channels, uint32_t from, const struct ipc_channel_socket *socket, int fd)
{
        struct channel *channel = channel_find_running(channels, from, socket->channel);

        if (!channel || !pump_replace(&channel->pump, fd)) {
                close(fd);
                return;
        }
        channel->idle_us = MSEC(socket->idle_ms);
        channel_mind_silence(channel);
}

void channels_forget(struct channels *channels, uint32_t forward)
{
        static const char text[] = "the service's worker restarts";
        struct map_entry *entry, *next;

        if (holdings_forget(&channels->holdings, forward))
                early_begin(&channels->early);  /* another one will take its place */
        for (entry = map_walk(&channels->by_id, NULL); entry; entry = next) {
                struct channel *channel = container_of(entry, struct channel, by_id);

                next = map_walk(&channels->by_id, entry);
                if (channel->forward != forward)
                        continue;
                channel->forward = 0;
                if (channel->state == CHANNEL_ASKED)
                        refuse(channel, text, sizeof(text) - 1);
                else if (channel->pump.kind == PUMP_CLIENT || channel->pump.next_fd >= 0)
                        channel_cut(channel, IPC_REASON_DONE);  /* its gate may be shut next, and would be taken as long as that runs */
        }
}

/* False: the peer has as many channels as it may, and has been told so. */
static bool admit(struct channels *channels, const struct node_event *event, struct share **share_out)
{
        static const char text[] = "too many open connections of this gateway";
        uint32_t count = 0;

        *share_out = shares_take(&channels->shares, event->peer, &count);
        if (*share_out && (!channels->per_peer || count <= channels->per_peer))
                return true;
        shares_give_back(&channels->shares, *share_out);
        node_refuse(channels->node, event->channel, text, sizeof(text) - 1, channels->room.now);
        channels->limited++;
        channels->full(channels->context, event->peer);
        return false;
}

static void on_arrived(struct channels *channels, const struct node_event *event)
{
        struct holding *holding = holdings_next(&channels->holdings, event->gate_port, event->protocol);
        struct ipc_channel_arrived arrived = { .channel = event->channel, .service = event->service, .gate_port = event->gate_port,
                                               .protocol = event->protocol };
        struct channel *channel;
        struct share *share;

        if (!holding) {
                if (!early_keep(&channels->early, event))
                        refuse_early(channels, event);
                return;
        }
        if (!admit(channels, event, &share))
                return;
        holdings_turn(&channels->holdings, holding);
        memcpy(arrived.peer, event->peer, sizeof(arrived.peer));
        if (event->len <= sizeof(arrived.metadata)) {   /* what is longer is no use to anyone: it goes unsaid */
                arrived.metadata_len = (uint32_t)event->len;
                if (event->len)
                        memcpy(arrived.metadata, event->bytes, event->len);
        }
        channel = channel_new(channels, CHANNEL_ASKED, event->channel, event->protocol, holding->forward, event->channel, -1);
        if (!channel) {
                shares_give_back(&channels->shares, share);
                node_refuse(channels->node, event->channel, "out of memory", 13, channels->room.now);
                return;
        }
        channel->share = share;
        channel->gate_port = event->gate_port;
        channel->incoming = true;
        channel->fingerprint = fingerprint_new(channels->fingerprints, &arrived);
        if (!channel_tell(channel, IPC_CHANNEL_ARRIVED, &arrived, -1))
                refuse(channel, "busy", 4);
}

static void on_opened(struct channel *channel)
{
        channel_run(channel);
        channel_tell_opened(channel);
        pump_start(&channel->pump);
}

/* Unless the peer says no, what it was sent may be with the service already, which another one must not get again. */
static bool may_have_begun(const struct channel *channel, const struct node_event *event)
{
        return channel->pump.early_bytes && event->reason != NODE_REASON_REFUSED;
}

/* To its worker and its client that is a connection that came about and broke. */
static void on_lost_early(struct channel *channel, const struct node_event *event)
{
        channel_tell_opened(channel);
        channel->pump.sent_bytes = channel->pump.early_bytes;
        pump_close(&channel->pump, false);
        channel_conclude(channel, reason_of(channels_of(channel), event));
}

static void on_refused(struct channel *channel, const struct node_event *event)
{
        struct channels *channels = channels_of(channel);
        struct worker_link *link = channel->forward ? channels->forward(channels->context, channel->forward) : NULL;

        if (may_have_begun(channel, event)) {
                on_lost_early(channel, event);
                return;
        }
        give_back(link, channel->number, reason_of(channels, event), event->bytes, event->len, pump_release(&channel->pump));
        channel_free(channel);
}

static void on_closed(struct channel *channel, const struct node_event *event)
{
        struct ipc_channel gone = { .channel = channel->number };

        switch (channel->state) {
        case CHANNEL_OPENING:
                on_refused(channel, event);
                break;
        case CHANNEL_ASKED:
                channel_tell(channel, IPC_CHANNEL_GONE, &gone, -1);
                channel_free(channel);
                break;
        case CHANNEL_RUNNING:
                pump_close(&channel->pump, event->reason == NODE_REASON_DONE);
                channel_conclude(channel, reason_of(channels_of(channel), event));
                break;
        }
}

void channels_event(struct channels *channels, const struct node_event *event)
{
        struct channel *channel;

        if (event->kind == NODE_CHANNEL_ARRIVED) {
                on_arrived(channels, event);
                return;
        }
        channel = channel_find(channels, event->channel);
        if (!channel && event->kind == NODE_CHANNEL_CLOSED)
                early_drop(&channels->early, event->channel);
        if (!channel)
                return;
        if (event->kind == NODE_CHANNEL_OPENED && channel->state == CHANNEL_OPENING)
                on_opened(channel);
        else if (event->kind == NODE_CHANNEL_REFUSED && channel->state == CHANNEL_OPENING)
                on_refused(channel, event);
        else if (event->kind == NODE_CHANNEL_READABLE && channel->state == CHANNEL_RUNNING)
                pump_receive(&channel->pump);
        else if (event->kind == NODE_CHANNEL_WRITABLE && (channel->state == CHANNEL_RUNNING || channel->pump.opening))
                pump_send(&channel->pump);
        else if (event->kind == NODE_CHANNEL_CLOSED)
                on_closed(channel, event);
}

size_t channels_list(const struct channels *channels, struct ipc_swarm_channel *out, size_t max)
{
        size_t count = 0;

        for (struct map_entry *entry = map_walk(&channels->by_id, NULL); entry; entry = map_walk(&channels->by_id, entry)) {
                const struct channel *channel = container_of(entry, struct channel, by_id);

                if (count++ >= max)
                        continue;
                *out = (struct ipc_swarm_channel){
                        .channel = channel->pump.channel, .age_us = channels->room.now->mono_us - channel->since_us, .sent_bytes = channel->pump.sent_bytes,
                        .received_bytes = channel->pump.received_bytes, .gate_port = channel->gate_port, .protocol = channel->protocol,
                        .incoming = channel->incoming,
                        .state = channel->state == CHANNEL_RUNNING ? IPC_CHANNEL_STATE_OPEN : IPC_CHANNEL_STATE_OPENING,
                        .client = channel_client_told(channel->client),
                };
                node_channel_peer(channels->node, channel->pump.channel, out++->key);
        }
        return count;
}

void channels_bytes(const struct channels *channels, uint64_t *sent_out, uint64_t *received_out)
{
        *sent_out = channels->sent_bytes;
        *received_out = channels->received_bytes;
        for (struct map_entry *entry = map_walk(&channels->by_id, NULL); entry; entry = map_walk(&channels->by_id, entry)) {
                const struct pump *pump = &container_of(entry, struct channel, by_id)->pump;

                *sent_out += pump->sent_bytes;
                *received_out += pump->received_bytes;
        }
}
