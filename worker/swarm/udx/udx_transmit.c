/* SPDX-License-Identifier: BSD-3-Clause */
/* Builds what leaves: control packets one by one, data in runs that a single UDP_SEGMENT send carries. */
#include <assert.h>

#include "udx_private.h"

enum { SEQ_AT = 12, OFFSET_AT = 3, TYPE_AT = 2 };       /* offsets in a header */

#define PROBE_RATE_MIN ((uint64_t)100 * UDX_FULL_BYTES) /* bytes/s */

void udx_run_reset(struct udx_mux *mux, struct udx_run *run)
{
        while (run->notes) {
                struct udx_note *note = run->notes;

                run->notes = note->next;
                udx_note_free(mux, note);
        }
        run->elsewhere = run->pieces = false;
        run->iov_len = run->segments = 0;
        run->first_bytes = run->bytes = 0;
}

void udx_run_add_header(struct udx_run *run, const struct udx_packet *header)
{
        uint8_t *at = run->headers + (size_t)run->segments * UDX_HEADER_BYTES;
        struct writer w = writer_over(at, UDX_HEADER_BYTES);

        udx_header_write(&w, header);
        assert(!w.failed);
        run->iov[run->iov_len++] = (struct iovec){ .iov_base = at, .iov_len = UDX_HEADER_BYTES };
        run->segments++;
        run->bytes += UDX_HEADER_BYTES;
        if (run->segments == 1)
                run->first_bytes = UDX_HEADER_BYTES;
}

/* A packet of @bytes can follow the others of a run: as long as they are, or shorter, which ends it. */
bool udx_run_takes(const struct udx_run *run, size_t bytes)
{
        return run->segments < UDX_RUN_SEGMENTS && bytes <= run->first_bytes && run->bytes + bytes <= UDX_RUN_BYTES &&
               run->bytes == run->first_bytes * run->segments;
}

/* For as long as its bytes are handed out. */
void udx_run_keep(struct udx_run *run, struct udx_note *note)
{
        note->next = run->notes;
        run->notes = note;
}

static struct udx_packet header_now(const struct udx_stream *stream, uint8_t type)
{
        return (struct udx_packet){
                .type = type,
                .stream_id = stream->path.remote_id,
                .window_bytes = (uint32_t)udx_assembly_window(&stream->assembly),
                .seq = stream->recovery.nxt,
                .ack = stream->assembly.next,
        };
}

/* No more blocks than libudx sends: the lower half says what to resend first, the upper half what is new. The peer never forgets a
 * block, so those in between were news once; without the upper half it would take what it was not told of for lost. */
static void add_sacks(const struct udx_assembly *assembly, struct udx_run *run)
{
        unsigned count = MIN(assembly->range_count, (uint32_t)UDX_SACK_MAX), low = (count + 1) / 2;
        uint8_t *at = run->headers + UDX_HEADER_BYTES;
        struct writer w = writer_over(at, UDX_SACK_MAX * UDX_SACK_BYTES);

        for (unsigned i = 0; i < low; i++)
                udx_sack_write(&w, &assembly->ranges[i].packets);
        for (unsigned i = count - low; i; i--)
                udx_sack_write(&w, &assembly->ranges[assembly->range_count - i].packets);
        run->iov[0].iov_len += writer_len(&w);
        run->first_bytes = run->bytes = run->iov[0].iov_len;
}

static bool send_control(struct udx_stream *stream, struct udx_run *run, uint8_t type)
{
        struct udx_packet header = header_now(stream, type);

        if (run->elsewhere)
                header.stream_id = run->path.remote_id;
        udx_run_add_header(run, &header);
        stream->advertised_bytes = header.window_bytes;
        return true;
}

static bool send_ack(struct udx_stream *stream, struct udx_run *run)
{
        udx_stream_acknowledged(stream);
        stream->mux->counters.acks_sent++;
        send_control(stream, run, stream->assembly.range_count ? UDX_SACK : 0);
        if (stream->assembly.range_count)
                add_sacks(&stream->assembly, run);
        return true;
}

static void add_message(struct udx_stream *stream, struct udx_run *run, struct udx_note *note)
{
        udx_run_keep(run, note);
        send_control(stream, run, UDX_MESSAGE);
        if (note->len)
                run->iov[run->iov_len++] = (struct iovec){ .iov_base = note->bytes, .iov_len = note->len };
        run->bytes += note->len;
        if (run->segments == 1)
                run->first_bytes = run->bytes;
}

/* Those of one length leave together. */
static bool send_messages(struct udx_stream *stream, struct udx_run *run)
{
        struct udx_notes *waiting = &stream->messages_out;
        struct udx_note *note = udx_note_pop(waiting);

        if (!note)
                return false;
        if (note->elsewhere) {
                run->elsewhere = true;
                run->path = (struct udx_path){ .socket = note->socket, .remote_id = note->remote_id, .remote = note->remote };
        }
        add_message(stream, run, note);
        run->pieces = run->bytes > stream->mtu.bytes;   /* it has become too long while it waited */
        while (!run->elsewhere && !run->pieces && waiting->count && !waiting->first->elsewhere &&
               udx_run_takes(run, UDX_HEADER_BYTES + waiting->first->len))
                add_message(stream, run, udx_note_pop(waiting));
        return true;
}

/* Data for a run: all headers alike but for type and seq. */
struct filler {
        struct udx_stream *stream;
        struct udx_run *run;
        uint8_t header[UDX_HEADER_BYTES];
        usec_t now_us;
        bool full;                      /* a shorter packet ends a run */
};

static void filler_init(struct filler *filler, struct udx_stream *stream, struct udx_run *run, usec_t now_us)
{
        struct udx_packet header = header_now(stream, UDX_DATA);
        struct writer w = writer_over(filler->header, sizeof(filler->header));

        filler->stream = stream;
        filler->run = run;
        filler->now_us = now_us;
        filler->full = false;
        udx_header_write(&w, &header);
}

static bool run_takes(const struct filler *filler, size_t payload_len, bool pieces)
{
        const struct udx_run *run = filler->run;

        return !filler->full && run->segments < UDX_RUN_SEGMENTS &&
               (!run->segments || (pieces == run->pieces && payload_len + UDX_HEADER_BYTES <= run->first_bytes &&
                                   run->bytes + payload_len + UDX_HEADER_BYTES <= UDX_RUN_BYTES));
}

/* @padding: zeros that make a packet longer than it is, as a probe of the MTU. */
static void add_packet(struct filler *filler, uint32_t seq, const struct udx_sent *sent, size_t padding)
{
        static const uint8_t zeros[UDX_PADDING_MAX];
        struct udx_run *run = filler->run;
        uint8_t *at = run->headers + (size_t)run->segments * UDX_HEADER_BYTES;
        struct writer w = writer_over(at + SEQ_AT, 4);
        size_t bytes = UDX_HEADER_BYTES + padding + (size_t)sent->len;

        memcpy(at, filler->header, UDX_HEADER_BYTES);
        at[TYPE_AT] = sent->type;
        at[OFFSET_AT] = (uint8_t)padding;
        write_u32le(&w, seq);
        run->iov[run->iov_len++] = (struct iovec){ .iov_base = at, .iov_len = UDX_HEADER_BYTES };
        if (padding)
                run->iov[run->iov_len++] = (struct iovec){ .iov_base = (uint8_t *)(uintptr_t)zeros, .iov_len = padding };
        if (sent->len) {
                struct udx_slice slice = { .block = sent->block, .offset = sent->offset, .len = sent->len };

                run->iov_len += udx_slice_iovec(&slice, &run->iov[run->iov_len]);
        }
        if (!run->segments++)
                run->first_bytes = bytes;
        else if (bytes < run->first_bytes)
                filler->full = true;
        run->bytes += bytes;
        run->pieces = sent->pieces;
        udx_pacer_spend(&filler->stream->pacer, udx_sent_bytes(sent) + padding);
}

static bool cwnd_allows(const struct udx_stream *stream, size_t payload_len)
{
        size_t flying = stream->recovery.flying_bytes;

        return !flying || flying + payload_len + UDX_WIRE_EXTRA <= stream->congestion.cwnd;
}

/* The peer's window begins where its acknowledgement ends: what was SACKed fills it too. (libudx looks at what is in flight alone, and
 * so overruns a peer that holds much behind a gap.) A window that is open takes one packet. */
static bool window_allows(const struct udx_stream *stream, size_t payload_len)
{
        size_t out = stream->queue.kept_bytes - stream->queue.unsent_bytes;

        return !payload_len || out + payload_len <= stream->peer_window_bytes || (!out && stream->peer_window_bytes);
}

static bool end_waits(const struct udx_stream *stream)
{
        return stream->local_half == UDX_HALF_ENDING && !stream->queue.unsent_bytes;
}

/* Longer than what passes, as far as we know: it did when it was cut. */
static bool needs_pieces(const struct udx_stream *stream, size_t payload_len)
{
        return payload_len + UDX_HEADER_BYTES > stream->mtu.bytes;
}

static void resend(struct filler *filler, uint32_t seq, bool pieces)
{
        struct udx_stream *stream = filler->stream;
        struct udx_sent *sent = udx_recovery_find(&stream->recovery, seq);

        udx_recovery_resent(&stream->recovery, seq, filler->now_us);
        stream->tail_since_us = filler->now_us;
        udx_stream_note_probe(stream, filler->now_us);
        sent->pieces = pieces;
        add_packet(filler, seq, sent, 0);
        stream->packets_resent++;
        stream->mux->counters.packets_resent++;
        if (seq == stream->recovery.una)
                udx_stream_restart_timeout(stream, filler->now_us);
}

static void send_new(struct filler *filler, size_t payload_len, size_t padding)
{
        struct udx_stream *stream = filler->stream;
        struct udx_slice slice = { .len = 0 };
        uint32_t seq = stream->recovery.nxt;
        uint8_t type = 0;

        if (payload_len) {
                udx_queue_cut(&stream->queue, payload_len, &slice);
                type = UDX_DATA;
        }
        if (end_waits(stream)) {
                type |= UDX_END;
                stream->local_half = UDX_HALF_END_SENT;
        }
        udx_recovery_sent(&stream->recovery, type, &slice, filler->now_us);
        if (stream->timeout_us == USEC_NEVER)
                udx_stream_restart_timeout(stream, filler->now_us);
        stream->tail_since_us = filler->now_us;
        udx_recovery_find(&stream->recovery, seq)->probe = padding > 0;
        add_packet(filler, seq, udx_recovery_find(&stream->recovery, seq), padding);
}

/* Something new to send, the peer's window permitting, in a packet of @max payload bytes: how many it will have in @len_out. */
static bool next_new(struct udx_stream *stream, size_t max, size_t *len_out)
{
        *len_out = udx_queue_next_cut(&stream->queue, max);
        return (*len_out || end_waits(stream)) && window_allows(stream, *len_out) && udx_recovery_reserve(&stream->recovery);
}

/* Between two timeouts: what both wait for, and neither moves. */
static void send_oldest(struct filler *filler)
{
        struct udx_stream *stream = filler->stream;
        usec_t timeout_us = stream->timeout_us;

        if (udx_recovery_find(&stream->recovery, stream->recovery.una)->state != UDX_SENT_FLYING)
                return;
        resend(filler, stream->recovery.una, needs_pieces(stream, udx_recovery_find(&stream->recovery, stream->recovery.una)->len));
        stream->timeout_us = timeout_us;
        stream->between_us = USEC_NEVER;
}

/* Ahead of a tail loss probe that passes any path: the oldest packet once more if it is a long one. If it is lost and the probe is not,
 * long ones vanish; if neither is, there was an outage. */
static bool ask(struct filler *filler)
{
        struct udx_stream *stream = filler->stream;
        struct udx_recovery *recovery = &stream->recovery;
        struct udx_sent *oldest = udx_recovery_find(recovery, recovery->una);

        if (stream->asked || stream->timeouts || oldest->state != UDX_SENT_FLYING || !udx_sent_large(oldest) ||
            needs_pieces(stream, oldest->len) || (recovery->flying.count < 2 && !stream->queue.unsent_bytes))
                return false;
        resend(filler, recovery->una, false);
        oldest->asks = 1;
        filler->full = true;
        stream->asked = true;
        return true;
}

/* One that is long may be cut on its way. */
static void resend_one(struct filler *filler, uint32_t seq)
{
        struct udx_recovery *recovery = &filler->stream->recovery;
        const struct udx_sent *sent = udx_recovery_find(recovery, seq);
        bool large = sent->len > UDX_PAYLOAD_BASE;

        recovery->large_doubts += large && udx_sent_large(sent);
        resend(filler, seq, large);
}

/* The packet sent last, but for one that went ahead of the probe. */
static void resend_tail(struct filler *filler)
{
        struct udx_recovery *recovery = &filler->stream->recovery;
        const struct udx_sent *sent = udx_recovery_find(recovery, recovery->flying.tail);

        resend_one(filler, sent->asks && recovery->flying.count > 1 ? sent->prev : recovery->flying.tail);
}

/* More is here than what comes before the oldest one: that is what all wait for. */
static bool is_awaited(const struct udx_stream *stream)
{
        const struct udx_sent *oldest = udx_recovery_find(&stream->recovery, stream->recovery.una);

        return (stream->recovery.sacked || stream->congestion.phase != UDX_CONGESTION_OPEN) && oldest->state == UDX_SENT_FLYING &&
               !oldest->asks;
}

/* One packet beyond what the window allows, new if there is any (RFC 8985 7.3): its answer shows whether the tail was lost. It is one that
 * passes any path: what is silent may be a black hole. */
static void send_probe(struct filler *filler)
{
        struct udx_stream *stream = filler->stream;
        size_t len;

        if (stream->recovery.flying.count && ask(filler))
                return;
        stream->asked = stream->probe_due = false;
        stream->probes++;
        stream->between_us = USEC_NEVER;
        if (!stream->recovery.flying.count)
                return;
        stream->mux->counters.probes_sent++;
        if (stream->timeouts)
                send_oldest(filler);
        else if (is_awaited(stream))
                resend_one(filler, stream->recovery.una);
        else if (next_new(stream, UDX_PAYLOAD_BASE, &len))
                send_new(filler, len, 0);
        else
                resend_tail(filler);
}

/* On a path that takes ten milliseconds for a packet, longer ones gain little and hold up the others. */
static bool is_fast(const struct udx_stream *stream)
{
        return udx_max2(&stream->congestion.bw) >= PROBE_RATE_MIN;
}

/* A probe is a packet among others, and not the last: what comes after it tells soon whether it was lost. Where it is for messages, what
 * did not fit into one is in two, of which it is the first. */
static size_t probe_bytes(struct udx_stream *stream, size_t len, usec_t now_us)
{
        if (is_fast(stream) && stream->queue.unsent_bytes >= len + UDX_PAYLOAD_BASE)
                return udx_mtu_wanted(&stream->mtu, now_us);
        return stream->queue.unsent_bytes > len ? udx_mtu_asked(&stream->mtu, now_us) : 0;
}

/* Does the path carry more? */
static bool send_mtu_probe(struct filler *filler)
{
        struct udx_stream *stream = filler->stream;
        size_t bytes, len, padding;

        if (filler->run->segments || stream->recovery.lost.count || stream->congestion.phase != UDX_CONGESTION_OPEN ||
            !next_new(stream, stream->mtu.bytes - UDX_HEADER_BYTES, &len))
                return false;
        bytes = probe_bytes(stream, len, filler->now_us);
        if (!bytes)
                return false;
        padding = bytes - UDX_HEADER_BYTES - len;
        if (padding > UDX_PADDING_MAX || !cwnd_allows(stream, len + padding + UDX_PACKET_BASE) || !udx_pacer_allows(&stream->pacer))
                return false;
        udx_mtu_probed(&stream->mtu, stream->recovery.nxt, bytes);
        stream->mux->counters.mtu_probes_sent++;
        send_new(filler, len, padding);
        return true;
}

/* Fills the run. Returns false when something that could go had to stay for cwnd's or pacing's sake. */
static bool fill(struct filler *filler)
{
        struct udx_stream *stream = filler->stream;
        struct udx_recovery *recovery = &stream->recovery;

        if (send_mtu_probe(filler))
                return true;
        for (;;) {
                bool again = recovery->lost.count, pieces;
                uint32_t seq = again ? udx_recovery_next_lost(recovery) : 0;
                size_t len;

                if (again)
                        len = udx_recovery_find(recovery, seq)->len;
                else if (!next_new(stream, stream->mtu.bytes - UDX_HEADER_BYTES, &len))
                        return true;
                pieces = needs_pieces(stream, len);
                if (!run_takes(filler, len, pieces))
                        return true;
                if (!cwnd_allows(stream, len) || !udx_pacer_allows(&stream->pacer))
                        return false;
                if (again)
                        resend(filler, seq, pieces);
                else
                        send_new(filler, len, 0);
        }
}

static bool something_waits(const struct udx_stream *stream)
{
        return stream->recovery.lost.count || stream->queue.unsent_bytes || stream->local_half == UDX_HALF_ENDING ||
               stream->probe_due;
}

static void wake_up(struct udx_stream *stream, usec_t now_us)
{
        if (!stream->recovery.flying.count && stream->sent_us && !stream->recovery.lost.count)
                udx_congestion_on_restart(&stream->congestion, now_us);
}

/* Neither the path nor our estimate of it kept anything from leaving. */
static void note_pause(struct udx_stream *stream, enum udx_rate_limit limit)
{
        if (cwnd_allows(stream, 0))
                udx_rate_pause(&stream->recovery.rate, limit, stream->recovery.flying_bytes);
}

static bool send_data(struct udx_stream *stream, struct udx_run *run, usec_t now_us)
{
        uint64_t rate = udx_congestion_rate(&stream->congestion);
        usec_t due_us = stream->pace_us;
        struct filler filler;

        stream->pace_us = USEC_NEVER;
        if (!something_waits(stream)) {
                note_pause(stream, stream->write_short ? UDX_LIMIT_PEER : UDX_LIMIT_APP);
                return false;
        }
        wake_up(stream, now_us);
        if (rate)
                udx_pacer_fill(&stream->pacer, rate, stream->congestion.cwnd, !stream->recovery.flying.count, due_us, now_us);
        else
                udx_pacer_init(&stream->pacer);
        filler_init(&filler, stream, run, now_us);
        if (stream->probe_due)
                send_probe(&filler);
        if (!fill(&filler)) {
                if (!udx_pacer_allows(&stream->pacer))
                        stream->pace_us = udx_pacer_ready_at(&stream->pacer, rate);
        } else if (!run->segments) {
                note_pause(stream, stream->queue.unsent_bytes || stream->write_short ? UDX_LIMIT_PEER : UDX_LIMIT_APP);
        }
        if (!run->segments)
                return false;
        stream->sent_us = now_us;
        stream->advertised_bytes = (uint32_t)udx_assembly_window(&stream->assembly);
        if (!stream->assembly.range_count)
                udx_stream_acknowledged(stream);        /* every packet says it */
        return true;
}

bool udx_stream_window_is_shut(const struct udx_stream *stream)
{
        return !stream->peer_window_bytes && stream->queue.unsent_bytes && stream->recovery.una == stream->recovery.nxt;
}

/* Found the window shut: ask at once, and again later (see udx_timer.c), since the news of its opening may get lost. */
static void watch_shut_window(struct udx_stream *stream, usec_t now_us)
{
        if (!udx_stream_window_is_shut(stream)) {
                stream->shut_since_us = 0;
        } else if (!stream->shut_since_us) {
                stream->shut_since_us = now_us;
                stream->shut_probe_us = now_us + stream->rtt.rto_us;
                stream->beat_due = true;
        }
}

bool udx_stream_transmit(struct udx_stream *stream, struct udx_run *run, usec_t now_us)
{
        if (stream->state != UDX_OPEN)
                return false;
        if (stream->ack_due && stream->assembly.range_count)
                return send_ack(stream, run);
        if (send_messages(stream, run) || send_data(stream, run, now_us))
                return true;
        if (stream->ack_due)
                return send_ack(stream, run);
        watch_shut_window(stream, now_us);
        if (!stream->beat_due)
                return false;
        stream->beat_due = false;
        return send_control(stream, run, UDX_HEARTBEAT);
}
