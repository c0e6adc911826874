/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "udx_private.h"

static void init_path_state(struct udx_stream *stream)
{
        udx_rtt_init(&stream->rtt);
        udx_pacer_init(&stream->pacer);
        udx_congestion_init(&stream->congestion, stream->endpoint.id ^ stream->path.remote.port);
        stream->congestion.round_end = (uint32_t)stream->recovery.rate.delivered;
        stream->congestion.round_delivered = (uint32_t)stream->recovery.rate.delivered;
        stream->congestion.round_lost = (uint32_t)stream->recovery.rate.lost;
        udx_recovery_forget_path(&stream->recovery, stream->mux->now_us);
        udx_mtu_init(&stream->mtu, stream->mtu.grows);
}

int udx_stream_new(struct udx_mux *mux, uint32_t local_id, void *context, struct udx_stream **stream_out)
{
        struct udx_stream *stream;

        if (local_id && udx_mux_find(mux, local_id))
                return -EEXIST;
        stream = calloc(1, sizeof(*stream));
        if (!stream)
                return -ENOMEM;
        stream->mux = mux;
        stream->context = context;
        stream->endpoint.id = local_id ? local_id : udx_mux_free_id(mux);
        if (udx_mux_add(mux, &stream->endpoint) < 0) {
                free(stream);
                return -ENOMEM;
        }
        list_push_back(&mux->streams, &stream->all);
        list_init(&stream->ready);
        list_init(&stream->eventful);
        udx_assembly_init(&stream->assembly, &mux->pool, UDX_BUFFER_MAX);
        udx_queue_init(&stream->queue, &mux->pool);
        udx_recovery_init(&stream->recovery, &mux->pool);
        init_path_state(stream);
        stream->advertised_bytes = UDX_BUFFER_MAX;
        stream->send_limit_bytes = UDX_WINDOW_MAX;
        stream->window_first = UDX_BUFFER_MAX;
        stream->peer_window_bytes = UDX_BUFFER_MAX;
        stream->window_seq = UINT32_MAX;        /* before the first: any is news */
        stream->timeout_us = stream->between_us = stream->pace_us = stream->ack_late_us = USEC_NEVER;
        *stream_out = stream;
        return 0;
}

/* Everything but what is unread. */
static void let_go(struct udx_stream *stream)
{
        struct udx_mux *mux = stream->mux;

        udx_mux_remove(mux, &stream->endpoint);
        heap_remove(&mux->timers, &stream->timer);
        list_remove(&stream->ready);
        udx_note_drop_all(mux, &stream->waiting);
        udx_note_drop_all(mux, &stream->messages_out);
        udx_assembly_drop_ahead(&stream->assembly);
        udx_recovery_fini(&stream->recovery);
        udx_queue_fini(&stream->queue);
        stream->write_short = false;
        stream->state = UDX_GONE;
}

void udx_stream_close(struct udx_stream *stream, enum udx_reason reason)
{
        struct udx_stream last_words = *stream;

        let_go(stream);
        if (reason != UDX_RESET)        /* a peer that lives after all shall not wait for what will not come */
                udx_closed_remember(&last_words, reason != UDX_CLEAN,
                                    last_words.ack_due || last_words.ack_late_us != USEC_NEVER);
        stream->reason = reason;
        stream->events &= ~(1u << UDX_WRITABLE | 1u << UDX_PATH);
        udx_stream_report(stream, UDX_CLOSED);
}

void udx_stream_close_if_ended(struct udx_stream *stream)
{
        if (stream->local_half == UDX_HALF_ENDED && stream->remote_half == UDX_HALF_ENDED)
                udx_stream_close(stream, UDX_CLEAN);
}

void udx_stream_destroy(struct udx_stream *stream)
{
        struct udx_stream last_words = *stream;

        if (stream->state != UDX_GONE) {
                let_go(stream);
                if (last_words.state == UDX_OPEN)
                        udx_closed_remember(&last_words, true, false);
        }
        udx_note_drop_all(stream->mux, &stream->messages_in);
        udx_assembly_fini(&stream->assembly);
        list_remove(&stream->eventful);
        stream->events = 0;
}

void udx_stream_free(struct udx_stream *stream)
{
        if (!stream)
                return;
        udx_stream_destroy(stream);
        udx_window_set(stream, stream->window_first);
        list_remove(&stream->all);
        free(stream);
}

uint32_t udx_stream_local_id(const struct udx_stream *stream)
{
        return stream->endpoint.id;
}

void udx_stream_set_context(struct udx_stream *stream, void *context)
{
        stream->context = context;
}

void *udx_stream_context(const struct udx_stream *stream)
{
        return stream->context;
}

const struct udx_path *udx_stream_path(const struct udx_stream *stream)
{
        return stream->path.remote.port ? &stream->path : NULL;
}

void udx_stream_allow_moves(struct udx_stream *stream, bool allowed)
{
        stream->moves_allowed = allowed;
        stream->seen_remote = (struct addr){ .port = 0 };       /* whoever speaks is news */
}

/* Another address is another path: what was learned about the old one says nothing about it. */
static void move(struct udx_stream *stream, const struct udx_path *path)
{
        if (!addr_equal(&path->remote, &stream->path.remote)) {
                stream->remote_before = stream->path.remote;
                init_path_state(stream);
        }
        stream->path = *path;
        stream->ack_due = stream->ack_due || stream->assembly.next;
}

static bool is_seen(const struct udx_stream *stream, const struct udx_path *path)
{
        return path->socket == stream->seen_socket && addr_equal(&path->remote, &stream->seen_remote);
}

static void forget_path_event(struct udx_stream *stream)
{
        stream->events &= ~(1u << UDX_PATH);
        if (!stream->events)
                list_remove(&stream->eventful);
}

void udx_stream_connect(struct udx_stream *stream, const struct udx_path *path, usec_t now_us)
{
        stream->mux->now_us = usec_max(stream->mux->now_us, now_us);
        if (stream->state == UDX_GONE)
                return;
        if (!stream->moves_allowed || is_seen(stream, path))
                forget_path_event(stream);
        if (stream->state == UDX_OPEN) {
                move(stream, path);
        } else {
                stream->path = *path;
                stream->state = UDX_OPEN;
                udx_stream_take_waiting(stream);
        }
        if (stream->state == UDX_OPEN)
                udx_stream_want(stream);
}

static bool takes_data(const struct udx_stream *stream)
{
        return stream->state != UDX_GONE && stream->local_half == UDX_HALF_OPEN;
}

static_assert(sizeof(struct udx_block) + UDX_RESERVE_MAX <= UDX_POOL_RESERVE, "what is put by is enough for one reserve");

/* The buffer follows the window: twice what is in flight keeps the path busy while the writer is away. Where memory is short there
 * is no room but what was reserved already. */
static size_t space(const struct udx_stream *stream)
{
        size_t limit = MIN(stream->send_limit_bytes, MAX(2 * stream->congestion.cwnd, (size_t)UDX_BUFFER_MIN));

        if (!takes_data(stream) || stream->queue.kept_bytes >= limit || udx_pool_short(&stream->mux->pool))
                return 0;
        return limit - stream->queue.kept_bytes;
}

size_t udx_stream_writable_bytes(struct udx_stream *stream)
{
        size_t bytes = space(stream);

        if (bytes < UDX_RESERVE_MAX && takes_data(stream))
                stream->write_short = true;
        return bytes;
}

void udx_stream_report_space(struct udx_stream *stream)
{
        if (!stream->write_short || space(stream) < UDX_RESERVE_MAX)
                return;
        stream->write_short = false;
        udx_stream_report(stream, UDX_WRITABLE);
}

uint8_t *udx_stream_reserve(struct udx_stream *stream, size_t len)
{
        if (len > UDX_RESERVE_MAX || !takes_data(stream) || udx_stream_writable_bytes(stream) < len) {
                stream->write_short = takes_data(stream);
                return NULL;
        }
        return udx_queue_reserve(&stream->queue, len);
}

void udx_stream_commit(struct udx_stream *stream, size_t len)
{
        udx_queue_commit(&stream->queue, len);
        stream->bytes_out += len;
        udx_stream_want(stream);
}

size_t udx_stream_write(struct udx_stream *stream, const void *bytes, size_t len)
{
        const uint8_t *at = bytes;
        size_t written = 0;

        while (written < len) {
                size_t piece = MIN(MIN(len - written, udx_stream_writable_bytes(stream)), (size_t)UDX_RESERVE_MAX);
                uint8_t *room = piece ? udx_stream_reserve(stream, piece) : NULL;

                if (!room)
                        break;
                memcpy(room, at + written, piece);
                udx_stream_commit(stream, piece);
                written += piece;
        }
        return written;
}

usec_t udx_stream_rtt_us(const struct udx_stream *stream)
{
        return stream->rtt.srtt_us;
}

size_t udx_stream_unacked_bytes(const struct udx_stream *stream)
{
        return stream->queue.kept_bytes;
}

void udx_stream_end(struct udx_stream *stream)
{
        if (!takes_data(stream))
                return;
        stream->local_half = UDX_HALF_ENDING;
        stream->write_short = false;
        udx_stream_want(stream);
}

size_t udx_stream_peek(struct udx_stream *stream, uint8_t **span_out)
{
        size_t readable = udx_assembly_readable(&stream->assembly);

        *span_out = readable ? stream->assembly.bytes + stream->assembly.start : NULL;  /* before the first byte there is no buffer */
        return readable;
}

/* Tell of an opening at once when the window was as good as shut, or when half of it came free since it was last told: in between
 * the peer learns it with every answer anyway. */
static bool opening_is_news(const struct udx_stream *stream)
{
        size_t window = udx_assembly_window(&stream->assembly), limit = stream->assembly.limit_bytes;

        if (stream->advertised_bytes < UDX_DATAGRAM_MAX)
                return window >= MIN(limit / 4, (size_t)UDX_RESERVE_MAX);
        return window > stream->advertised_bytes && window - stream->advertised_bytes >= limit / 2;
}

size_t udx_stream_gather(struct udx_stream *stream, size_t len)
{
        size_t readable = udx_assembly_readable(&stream->assembly);

        udx_assembly_gather(&stream->assembly, len);
        if (udx_assembly_readable(&stream->assembly) > readable)
                udx_stream_report(stream, UDX_READABLE);
        return udx_assembly_unread(&stream->assembly);
}

void udx_stream_consume(struct udx_stream *stream, size_t len)
{
        size_t left = udx_assembly_readable(&stream->assembly) - len;

        udx_assembly_consume(&stream->assembly, len);
        if (udx_assembly_readable(&stream->assembly) > left)
                udx_stream_report(stream, UDX_READABLE);
        if (stream->state != UDX_OPEN || !opening_is_news(stream))
                return;
        stream->ack_due = true;
        udx_stream_want(stream);
}

bool udx_stream_at_end(const struct udx_stream *stream)
{
        return stream->remote_half == UDX_HALF_ENDED && !udx_assembly_unread(&stream->assembly);
}

bool udx_stream_takes_message(struct udx_stream *stream, size_t len, usec_t now_us)
{
        return stream->state == UDX_OPEN && udx_mtu_takes_message(&stream->mtu, len + UDX_HEADER_BYTES, stream->rtt.srtt_us, now_us);
}

bool udx_stream_send_message(struct udx_stream *stream, const void *bytes, size_t len)
{
        if (stream->state != UDX_OPEN || len + UDX_HEADER_BYTES > stream->mtu.bytes || stream->messages_out.count >= UDX_MESSAGES_MAX ||
            !udx_note_add(stream->mux, &stream->messages_out, bytes, len))
                return false;
        udx_stream_want(stream);
        return true;
}

bool udx_stream_probe(struct udx_stream *stream, const struct udx_path *path)
{
        if (!udx_stream_send_message(stream, "", 0))
                return false;
        stream->messages_out.last->elsewhere = true;
        stream->messages_out.last->socket = path->socket;
        stream->messages_out.last->remote_id = path->remote_id;
        stream->messages_out.last->remote = path->remote;
        return true;
}

bool udx_stream_receive_message(struct udx_stream *stream, uint8_t out[UDX_MESSAGE_BUFFER], size_t *len_out)
{
        struct udx_note *note = udx_note_pop(&stream->messages_in);

        if (!note)
                return false;
        memcpy(out, note->bytes, note->len);
        *len_out = note->len;
        udx_note_free(stream->mux, note);
        return true;
}

void udx_stream_set_send_limit(struct udx_stream *stream, size_t limit_bytes)
{
        stream->send_limit_bytes = MAX(limit_bytes, (size_t)UDX_BUFFER_MIN);
}

void udx_stream_set_receive_limit(struct udx_stream *stream, size_t limit_bytes)
{
        udx_window_set(stream, MIN(MAX(limit_bytes, (size_t)UDX_BUFFER_MIN), (size_t)UDX_BUFFER_MAX));
}

bool udx_stream_hold_frame(struct udx_stream *stream, size_t len)
{
        size_t before = stream->assembly.limit_bytes;

        if (2 * len > UDX_BUFFER_MAX || !udx_window_hold(stream, 2 * len))
                return false;
        if (stream->assembly.limit_bytes > before) {    /* news for the peer, which may be waiting for it */
                stream->ack_due = true;
                udx_stream_want(stream);
        }
        return true;
}

void udx_stream_let_window_grow(struct udx_stream *stream)
{
        stream->window_grows = true;
        stream->window_since_us = stream->window_used_us = stream->mux->now_us;
}

void udx_stream_let_datagrams_grow(struct udx_stream *stream, bool may)
{
        if (may != stream->mtu.grows)
                udx_mtu_init(&stream->mtu, may);
}

void udx_stream_stats(const struct udx_stream *stream, struct udx_stats *out)
{
        *out = (struct udx_stats){
                .srtt_us = stream->rtt.srtt_us,
                .rto_us = stream->rtt.rto_us,
                .min_rtt_us = udx_rtt_min(&stream->rtt),
                .cwnd_bytes = stream->congestion.cwnd,
                .inflight_bytes = stream->recovery.flying_bytes,
                .unacked_bytes = stream->queue.kept_bytes,
                .readable_bytes = udx_assembly_unread(&stream->assembly),
                .peer_window_bytes = stream->peer_window_bytes,
                .datagram_bytes = stream->mtu.bytes,
                .message_bytes = stream->mtu.bytes - UDX_HEADER_BYTES,
                .bytes_in = stream->bytes_in,
                .bytes_out = stream->bytes_out,
                .packets_resent = stream->packets_resent,
        };
}
