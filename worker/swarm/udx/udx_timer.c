/* SPDX-License-Identifier: BSD-3-Clause */
/* What a stream does when nothing arrives: retransmission timeout, tail loss probe, reordering, pacing, shut windows. */
#include "udx_private.h"

#define TAIL_EXTRA_US MSEC(2)           /* the peer may answer a batch, or a lone packet, late */
#define TAIL_MIN_US MSEC(5)             /* and a busy machine is slower than its wire */
#define SHUT_MAX_US SECONDS(60)         /* libudx would knock at a shut window for ever */

enum {
        TAIL_PROBES_MAX = 3,
        LARGE_DOUBTS_MAX = 3,           /* long packets in a row that arrived in pieces, or the second time */
};

/* Streams whose packets were lost together shall not come together again, and be lost again: up to an eighth, not the same for all. */
static usec_t spread(const struct udx_stream *stream, usec_t rto_us)
{
        return rto_us * (stream->congestion.dice >> 16) >> 19;
}

/* After a timeout there is one attempt more half way to the next: where a third is lost, seven in a row (all that libudx makes in the
 * same time) fail once in a hundred times, thirteen once in several thousand. Whoever was never heard may not be there, or may not have
 * asked: it gets no more than libudx sends. */
void udx_stream_restart_timeout(struct udx_stream *stream, usec_t now_us)
{
        usec_t rto_us = stream->rtt.rto_us;
        usec_t again_us = 2 * rto_us + spread(stream, rto_us);
        bool out = stream->recovery.una != stream->recovery.nxt, heard = stream->recovery.una || stream->bytes_in;

        stream->timeout_us = !out ? USEC_NEVER : now_us + (stream->timeouts ? again_us : rto_us);
        stream->between_us = out && heard && stream->timeouts ? now_us + rto_us : USEC_NEVER;
}

/* The fate of a probe of the MTU that is no more. */
void udx_stream_note_probe(struct udx_stream *stream, usec_t now_us)
{
        if (!stream->recovery.probe_lost)
                return;
        stream->recovery.probe_lost = false;
        udx_mtu_lost(&stream->mtu, stream->recovery.probe_lost_seq, now_us);
}

/* A long packet was lost while a shorter one that left with it arrived, or a few arrived in pieces only, or nothing is heard: a black
 * hole, or as good as one. What was sent long keeps its number, and so its length, but goes out from now on as what may be cut. */
static void find_black_hole(struct udx_stream *stream, usec_t now_us)
{
        struct udx_recovery *recovery = &stream->recovery;

        if ((!recovery->hole && recovery->large_doubts < LARGE_DOUBTS_MAX) || stream->mtu.bytes <= UDX_PACKET_BASE)
                return;
        recovery->hole = false;
        recovery->large_doubts = 0;
        stream->mux->counters.black_holes++;
        udx_mtu_fall(&stream->mtu, 0, now_us);
}

void udx_stream_find_losses(struct udx_stream *stream, usec_t now_us)
{
        struct udx_recovery *recovery = &stream->recovery;
        bool recovering = stream->congestion.phase != UDX_CONGESTION_OPEN;
        unsigned lost = udx_recovery_detect(recovery, &stream->rtt, recovering, now_us);

        stream->mux->counters.losses_by_rack += lost;
        udx_stream_note_probe(stream, now_us);
        find_black_hole(stream, now_us);
        if (lost && udx_congestion_on_loss(&stream->congestion, recovery->nxt))
                stream->mux->counters.recoveries++;
}

/* RFC 8985 7.2, but in a recovery, too: what is sent again can be lost again, and if it was the last RACK has nothing to go by (RFC 9002
 * 6.2 does the same), and after a timeout when something was heard since. One probe after the other until something is heard, each after
 * twice as long, as far as they come before the timeout. */
static usec_t tail_deadline(const struct udx_stream *stream)
{
        const struct udx_recovery *recovery = &stream->recovery;
        usec_t wait_us = usec_max(2 * stream->rtt.srtt_us + TAIL_EXTRA_US, TAIL_MIN_US) << stream->probes, due_us;

        if (stream->probes >= TAIL_PROBES_MAX || stream->probe_due || !stream->rtt.srtt_us || !recovery->flying.count ||
            recovery->lost.count || stream->timeouts)
                return USEC_NEVER;
        due_us = stream->tail_since_us + wait_us;
        return due_us < stream->timeout_us ? due_us : USEC_NEVER;
}

static usec_t deadline(const struct udx_stream *stream)
{
        usec_t due_us = usec_min(stream->timeout_us, tail_deadline(stream));

        due_us = usec_min(due_us, usec_min(stream->between_us, stream->recovery.reorder_deadline_us));
        due_us = usec_min(due_us, usec_min(stream->pace_us, stream->ack_late_us));
        if (stream->shut_since_us)
                due_us = usec_min(due_us, stream->shut_probe_us);
        return due_us;
}

void udx_stream_arm(struct udx_stream *stream)
{
        usec_t due_us = stream->state == UDX_OPEN ? deadline(stream) : USEC_NEVER;

        if (stream->timer.key_us != due_us || !heap_holds(&stream->timer))
                heap_set(&stream->mux->timers, &stream->timer, due_us);
}

/* All data was acknowledged and the peer has ended: what is unanswered is our END, and a libudx peer that has it is gone without a
 * trace when its last ACK got lost. Nothing is missing, so that is a clean end. */
static bool only_goodbye_is_missing(const struct udx_stream *stream)
{
        return stream->remote_half == UDX_HALF_ENDED && stream->local_half == UDX_HALF_END_SENT && !stream->queue.kept_bytes;
}

static void time_out(struct udx_stream *stream, usec_t now_us)
{
        struct udx_recovery *recovery = &stream->recovery;

        stream->mux->counters.timeouts++;
        if (++stream->timeouts >= UDX_TIMEOUTS_MAX) {
                udx_stream_close(stream, only_goodbye_is_missing(stream) ? UDX_CLEAN : UDX_TIMEOUT);
                return;
        }
        stream->mux->counters.losses_by_timeout += udx_recovery_time_out(recovery, &stream->rtt, now_us);
        udx_stream_note_probe(stream, now_us);
        recovery->hole = recovery->una != recovery->nxt && udx_sent_large(udx_recovery_find(recovery, recovery->una));
        find_black_hole(stream, now_us);
        udx_congestion_on_timeout(&stream->congestion, recovery->flying_bytes, recovery->nxt);
        stream->pacer.level = 0;
        stream->probe_due = stream->asked = false;
        udx_stream_restart_timeout(stream, now_us);
}

static void knock(struct udx_stream *stream, usec_t now_us)
{
        if (now_us - stream->shut_since_us >= SHUT_MAX_US) {
                udx_stream_close(stream, UDX_TIMEOUT);
                return;
        }
        stream->beat_due = true;
        stream->shut_probe_us = now_us + 2 * stream->rtt.rto_us;
}

void udx_stream_fire(struct udx_stream *stream, usec_t now_us)
{
        stream->ack_due = stream->ack_due || stream->ack_late_us <= now_us;
        if (stream->recovery.reorder_deadline_us <= now_us)
                udx_stream_find_losses(stream, now_us);
        if (stream->timeout_us <= now_us)
                time_out(stream, now_us);
        else if (usec_min(tail_deadline(stream), stream->between_us) <= now_us)
                stream->probe_due = true;
        if (stream->state == UDX_OPEN && stream->shut_since_us && stream->shut_probe_us <= now_us)
                knock(stream, now_us);
        if (stream->state == UDX_OPEN)
                udx_stream_want(stream);
}
