/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>

#include "udx_private.h"

#define ACK_LATE_US MSEC(1)             /* a service on the same machine answers sooner; no path's round trip is hidden by it */
#define STRAY_US SECONDS(1)             /* longer than one packet and its copies are under way */
#define BEAT_ANSWER_US MSEC(50)         /* a flood of HEARTBEATs is answered 20 times a second */

/* Not connected yet: somebody who knows the id speaks from somewhere. Keep the packet, tell whence it came. */
static enum udx_verdict hold(struct udx_stream *stream, unsigned socket, const struct addr *remote, const void *bytes, size_t len)
{
        struct udx_note *note;

        if (!addr_equal(remote, &stream->seen_remote) || socket != stream->seen_socket) {
                stream->seen_socket = socket;
                stream->seen_remote = *remote;
                udx_stream_report(stream, UDX_PATH);
        }
        if (stream->waiting.count >= UDX_WAITING_MAX || len > UDX_DATAGRAM_MAX)
                return UDX_HELD_FULL;
        note = udx_note_add(stream->mux, &stream->waiting, bytes, len);
        if (!note)
                return UDX_HELD_FULL;
        note->remote = *remote;
        return UDX_HELD;
}

/* The peer's address; while moves are allowed, any, and others are news; otherwise the one before it moved. Not for what cuts the
 * stream short. libudx checks nothing here; the address is what an attacker who learned the id can't easily fake. */
static bool is_welcome(struct udx_stream *stream, unsigned socket, const struct addr *remote, const struct udx_packet *packet)
{
        bool known = addr_equal(remote, &stream->path.remote);

        if (known && (socket == stream->path.socket || !stream->moves_allowed))
                return true;
        if (!stream->moves_allowed || (packet->type & (UDX_END | UDX_DESTROY | UDX_HEARTBEAT)))
                return known || addr_equal(remote, &stream->remote_before);
        if (!addr_equal(remote, &stream->seen_remote) || socket != stream->seen_socket) {
                stream->seen_socket = socket;
                stream->seen_remote = *remote;
                udx_stream_report(stream, UDX_PATH);
        }
        return true;
}

static enum udx_verdict take_beat(struct udx_stream *stream, usec_t now_us)
{
        if (now_us >= stream->beat_answer_us) {
                stream->beat_answer_us = now_us + BEAT_ANSWER_US;
                stream->ack_due = true;
        }
        return UDX_OK;
}

static enum udx_verdict take_destroy(struct udx_stream *stream, const struct udx_packet *packet)
{
        int32_t ahead = udx_seq_diff(packet->seq, stream->assembly.next);

        if (ahead < 0 || ahead > UDX_REORDER_MAX)
                return UDX_OUT_OF_WINDOW;
        udx_stream_close(stream, UDX_RESET);
        return UDX_OK;
}

static void note_end(struct udx_stream *stream, const struct udx_packet *packet)
{
        if (!(packet->type & UDX_END) || stream->remote_half != UDX_HALF_OPEN)
                return;
        stream->remote_half = UDX_HALF_ENDING;
        stream->remote_end = packet->seq;
}

static void reach_end(struct udx_stream *stream)
{
        if (stream->remote_half != UDX_HALF_ENDING || udx_seq_diff(stream->assembly.next, stream->remote_end) <= 0)
                return;
        stream->remote_half = UDX_HALF_ENDED;
        udx_assembly_drop_ahead(&stream->assembly);
        udx_stream_report(stream, UDX_REMOTE_ENDED);
}

/* A lone packet that is not full is most likely a question: its acknowledgement waits a moment for the answer to ride on, and
 * neither side wakes up for nothing. A full one is the first of many; a second one, an END or a gap are acknowledged at once.
 * (RFC 9000 13.2.1, but much sooner: UDX doesn't tell how long an acknowledgement has waited, so all of it counts as round trip.) */
static bool ack_can_wait(const struct udx_stream *stream, const struct udx_packet *packet)
{
        return packet->type == UDX_DATA && packet->payload_len < UDX_PAYLOAD_BASE && packet->seq == stream->assembly.next &&
               !stream->assembly.range_count && !stream->ack_due && stream->ack_late_us == USEC_NEVER;
}

/* DATA, END or both. Whatever becomes of it, the peer gets to know what is here. */
static enum udx_verdict take_data(struct udx_stream *stream, const struct udx_packet *packet, usec_t now_us)
{
        size_t unread = udx_assembly_unread(&stream->assembly);
        enum udx_taken taken;

        if (ack_can_wait(stream, packet))
                stream->ack_late_us = now_us + ACK_LATE_US;
        else
                stream->ack_due = true;
        if (stream->remote_half != UDX_HALF_OPEN && udx_seq_diff(packet->seq, stream->remote_end) > 0)
                return UDX_OUT_OF_WINDOW;       /* nothing comes after an END */
        taken = udx_assembly_take(&stream->assembly, packet->seq, packet->payload,
                                  packet->type & UDX_DATA ? packet->payload_len : 0);
        if (taken == UDX_TOO_FAR)
                return UDX_OUT_OF_WINDOW;
        if (taken == UDX_TOO_MUCH)
                return UDX_NO_ROOM;
        if (taken == UDX_TAKEN_BEFORE) {
                stream->mux->counters.duplicates++;
                return UDX_OK;
        }
        udx_window_arrived(stream, packet->type & UDX_DATA ? packet->payload_len : 0);
        note_end(stream, packet);
        if (udx_assembly_unread(&stream->assembly) > unread) {
                stream->bytes_in += udx_assembly_unread(&stream->assembly) - unread;
                udx_stream_report(stream, UDX_READABLE);
        }
        reach_end(stream);
        return UDX_OK;
}

static void take_message(struct udx_stream *stream, const struct udx_packet *packet)
{
        if (stream->messages_in.count < UDX_MESSAGES_MAX && packet->payload_len <= UDX_MESSAGE_BUFFER &&
            udx_note_add(stream->mux, &stream->messages_in, packet->payload, packet->payload_len))
                udx_stream_report(stream, UDX_MESSAGES);
}

/* RFC 9293 3.10.7.4: only news changes the window. Progress is news whatever the seq (a resent packet has an old one): the window
 * counts from there, and the former one would reach too far. Otherwise the newer seq, and of what has the same seq and ack, the
 * larger window: reading opens it, and nothing shuts it without progress. */
static bool is_window_news(const struct udx_stream *stream, const struct udx_packet *packet)
{
        int32_t progress = udx_seq_diff(packet->ack, stream->recovery.una);
        int32_t newer = udx_seq_diff(packet->seq, stream->window_seq);

        if (progress)
                return progress > 0;
        return newer > 0 || (newer == 0 && packet->window_bytes > stream->peer_window_bytes);
}

static void take_window(struct udx_stream *stream, const struct udx_packet *packet)
{
        if (!is_window_news(stream, packet))
                return;
        if (udx_seq_diff(packet->seq, stream->window_seq) > 0)
                stream->window_seq = packet->seq;
        stream->peer_window_bytes = packet->window_bytes;
        if (packet->window_bytes)
                stream->shut_since_us = 0;
}

static void take_progress(struct udx_stream *stream, const struct udx_delivered *delivered, usec_t now_us)
{
        udx_queue_release(&stream->queue, delivered->released_bytes);
        if (stream->timeouts && delivered->rtt_us == USEC_NEVER)
                udx_rtt_doubt(&stream->rtt, delivered->newest_sent_us ? now_us - delivered->newest_sent_us : USEC_NEVER);
        stream->timeouts = 0;
        udx_stream_restart_timeout(stream, now_us);
        if (stream->local_half != UDX_HALF_END_SENT || stream->recovery.una != stream->recovery.nxt)
                return;
        stream->local_half = UDX_HALF_ENDED;
        udx_stream_report(stream, UDX_ENDED);
}

/* A probe of the MTU arrived. What was lost of longer packets before says no more. */
static void take_probe(struct udx_stream *stream, uint32_t seq, usec_t now_us)
{
        udx_mtu_passed(&stream->mtu, seq, now_us);
        stream->recovery.large_us = now_us;
        stream->recovery.large_doubts = 0;
        stream->recovery.hole = false;
}

static void take_ack(struct udx_stream *stream, const struct udx_packet *packet, usec_t now_us)
{
        struct udx_recovery *recovery = &stream->recovery;
        struct udx_delivered delivered = { .rtt_us = USEC_NEVER };
        struct udx_congestion_ack ack;

        if (recovery->una == recovery->nxt)
                return;
        if (udx_seq_diff(packet->ack, recovery->una) > 0)
                udx_recovery_ack(recovery, packet->ack, &stream->rtt, now_us, &delivered);
        recovery->blind = packet->sack_count == UDX_SACK_MAX;   /* libudx lists the lowest ranges only */
        for (unsigned i = 0; i < packet->sack_count; i++) {
                struct udx_sack sack = udx_packet_sack(packet, i);

                recovery->blind_from = sack.end;
                udx_recovery_sack(recovery, &sack, &stream->rtt, now_us, &delivered);
        }
        if (delivered.rtt_us != USEC_NEVER)
                udx_rtt_sample(&stream->rtt, delivered.rtt_us, now_us);
        if (delivered.progress)
                take_progress(stream, &delivered, now_us);
        if (!delivered.packets && !delivered.progress)
                return;
        stream->probes = 0;
        stream->tail_since_us = now_us;
        if (delivered.probe)
                take_probe(stream, delivered.probe_seq, now_us);
        if (delivered.large_bytes)
                udx_mtu_proved(&stream->mtu, delivered.large_bytes, delivered.large_us);

        udx_rate_settle(&recovery->rate);
        udx_stream_find_losses(stream, now_us);
        ack = (struct udx_congestion_ack){
                .rate = &recovery->rate,
                .sample = &delivered.sample,
                .delivered_bytes = delivered.bytes,
                .flying_bytes = recovery->flying_bytes,
                .una = recovery->una,
                .rtt_us = delivered.rtt_us,
                .now_us = now_us,
        };
        udx_congestion_on_ack(&stream->congestion, &ack);
        udx_stream_report_space(stream);
}

/* A packet came to the peer under a wrong seq, ahead of all that we have sent, and will lie in the way of the right one. (UDP's checksum
 * knows any one bit from another, but not two.) The peer says so with each SACK; once is not enough, as that may have been changed. */
static bool peer_holds_a_stray(struct udx_stream *stream, const struct udx_packet *packet, usec_t now_us)
{
        bool any = false;

        for (unsigned i = 0; i < packet->sack_count && !any; i++) {
                struct udx_sack sack = udx_packet_sack(packet, i);
                int32_t beyond = udx_seq_diff(sack.end, stream->recovery.nxt);

                if (beyond <= 0 || beyond > UDX_REORDER_MAX)
                        continue;
                any = true;
                if (stream->stray_us && sack.end == stream->stray_end)
                        return now_us >= stream->stray_us + STRAY_US;
                stream->stray_end = sack.end;
                stream->stray_us = now_us;
        }
        return false;
}

static enum udx_verdict take(struct udx_stream *stream, const struct udx_packet *packet, usec_t now_us)
{
        enum udx_verdict verdict = UDX_OK;

        if (packet->type & UDX_HEARTBEAT)
                return take_beat(stream, now_us);
        if (udx_seq_diff(packet->ack, stream->recovery.nxt) > 0)
                return UDX_WRONG_ACK;
        if (packet->type & UDX_DESTROY)
                return take_destroy(stream, packet);
        if (packet->type & (UDX_DATA | UDX_END))
                verdict = take_data(stream, packet, now_us);
        if (packet->type & UDX_MESSAGE)
                take_message(stream, packet);
        if (peer_holds_a_stray(stream, packet, now_us)) {
                udx_stream_close(stream, UDX_DAMAGED);
                return verdict;
        }
        take_window(stream, packet);
        take_ack(stream, packet, now_us);
        udx_stream_close_if_ended(stream);
        return verdict;
}

enum udx_verdict udx_stream_receive(struct udx_stream *stream, unsigned socket, const struct addr *remote,
                                    const struct udx_packet *packet, const void *bytes, size_t len)
{
        enum udx_verdict verdict;

        if (stream->state == UDX_UNCONNECTED)
                return hold(stream, socket, remote, bytes, len);
        if (!is_welcome(stream, socket, remote, packet))
                return UDX_WRONG_REMOTE;
        verdict = take(stream, packet, stream->mux->now_us);
        if (stream->state == UDX_OPEN)
                udx_stream_want(stream);
        return verdict;
}

/* A packet that waited for the stream to be connected: its source has been reported. */
static bool counts(const struct udx_stream *stream, const struct addr *remote, const struct udx_packet *packet)
{
        return addr_equal(remote, &stream->path.remote) ||
               (stream->moves_allowed && !(packet->type & (UDX_END | UDX_DESTROY | UDX_HEARTBEAT)));
}

void udx_stream_take_waiting(struct udx_stream *stream)
{
        struct udx_mux *mux = stream->mux;
        struct udx_note *note;

        while (stream->state == UDX_OPEN && (note = udx_note_pop(&stream->waiting))) {
                struct udx_packet packet;

                if (udx_packet_read(note->bytes, note->len, &packet) == UDX_OK && counts(stream, &note->remote, &packet))
                        mux->counters.verdicts[take(stream, &packet, mux->now_us)]++;
                udx_note_free(mux, note);
        }
}
