/* SPDX-License-Identifier: BSD-3-Clause */
#include "udx_recovery.h"

#include <assert.h>
#include <string.h>

#include "cleanup.h"

enum {
        RING_FIRST = 16,
        SACKED_ENOUGH = 3,      /* RFC 8985 6.2 step 4: without reordering, three SACKed packets need no patience */
        REORDER_RECOVERIES = 16,        /* there, too */
};

void udx_recovery_init(struct udx_recovery *recovery, struct udx_pool *pool)
{
        *recovery = (struct udx_recovery){ .pool = pool, .reorder_steps = 1, .reorder_deadline_us = USEC_NEVER };
}

static void ring_free(struct udx_recovery *recovery)
{
        udx_pool_give(recovery->pool, recovery->ring, recovery->capacity * sizeof(*recovery->ring));
        recovery->ring = NULL;
        recovery->capacity = 0;
}

void udx_recovery_fini(struct udx_recovery *recovery)
{
        ring_free(recovery);
        udx_recovery_init(recovery, recovery->pool);
}

void udx_recovery_forget_path(struct udx_recovery *recovery, usec_t now_us)
{
        recovery->rate.valid_us = now_us;
        recovery->large_us = now_us;
        recovery->large_doubts = 0;
        recovery->hole = false;
        recovery->reordered = false;
        recovery->reorder_steps = 1;
}

static inline struct udx_sent *sent_at(const struct udx_recovery *recovery, uint32_t seq)
{
        return &recovery->ring[seq & (recovery->capacity - 1)];
}

struct udx_sent *udx_recovery_find(const struct udx_recovery *recovery, uint32_t seq)
{
        assert(seq - recovery->una < recovery->nxt - recovery->una);
        return sent_at(recovery, seq);
}

bool udx_recovery_reserve(struct udx_recovery *recovery)
{
        uint32_t out = recovery->nxt - recovery->una;
        uint32_t capacity = MAX(2 * recovery->capacity, (uint32_t)RING_FIRST);
        struct udx_sent *ring;

        if (out < recovery->capacity)
                return true;
        if (out >= UDX_INFLIGHT_MAX)
                return false;
        ring = udx_pool_take(recovery->pool, capacity * sizeof(*ring));
        if (!ring)
                return false;
        for (uint32_t seq = recovery->una; seq != recovery->nxt; seq++)
                ring[seq & (capacity - 1)] = *sent_at(recovery, seq);
        ring_free(recovery);
        recovery->ring = ring;
        recovery->capacity = capacity;
        return true;
}

static void list_append(struct udx_recovery *recovery, struct udx_sent_list *list, uint32_t seq)
{
        if (list->count++) {
                sent_at(recovery, list->tail)->next = seq;
                sent_at(recovery, seq)->prev = list->tail;
        } else {
                list->head = seq;
        }
        list->tail = seq;
}

static void list_unlink(struct udx_recovery *recovery, struct udx_sent_list *list, uint32_t seq)
{
        const struct udx_sent *sent = sent_at(recovery, seq);

        list->count--;
        if (seq == list->head)
                list->head = sent->next;
        else
                sent_at(recovery, sent->prev)->next = sent->next;
        if (seq == list->tail)
                list->tail = sent->prev;
        else
                sent_at(recovery, sent->next)->prev = sent->prev;
}

static void fly(struct udx_recovery *recovery, uint32_t seq, usec_t now_us)
{
        struct udx_sent *sent = sent_at(recovery, seq);

        udx_rate_mark(&recovery->rate, &sent->mark, recovery->flying_bytes, udx_sent_bytes(sent), now_us);
        sent->state = UDX_SENT_FLYING;
        sent->sent_us = now_us;
        list_append(recovery, &recovery->flying, seq);
        recovery->flying_bytes += udx_sent_bytes(sent);
}

void udx_recovery_sent(struct udx_recovery *recovery, uint8_t type, const struct udx_slice *slice, usec_t now_us)
{
        uint32_t seq = recovery->nxt++;
        struct udx_sent *sent = sent_at(recovery, seq);

        sent->block = slice->block;
        sent->offset = slice->offset;
        sent->len = slice->len;
        sent->type = type;
        sent->resent = sent->raced = sent->probe = sent->pieces = sent->asks = 0;
        fly(recovery, seq, now_us);
}

/* Takes @seq out of the list it is in: it is about to change its state. */
static void leave_list(struct udx_recovery *recovery, uint32_t seq)
{
        struct udx_sent *sent = sent_at(recovery, seq);

        if (sent->state == UDX_SENT_LOST) {
                list_unlink(recovery, &recovery->lost, seq);
        } else if (sent->state == UDX_SENT_FLYING) {
                list_unlink(recovery, &recovery->flying, seq);
                recovery->flying_bytes -= udx_sent_bytes(sent);
        }
}

uint32_t udx_recovery_next_lost(const struct udx_recovery *recovery)
{
        return sent_at(recovery, recovery->una)->state == UDX_SENT_LOST ? recovery->una : recovery->lost.head;
}

/* What it carries goes out again without padding, and will be acknowledged for that. */
static bool fail_probe(struct udx_recovery *recovery, uint32_t seq)
{
        struct udx_sent *sent = sent_at(recovery, seq);

        if (!sent->probe)
                return false;
        sent->probe = 0;
        recovery->probe_lost = true;
        recovery->probe_lost_seq = seq;
        return true;
}

void udx_recovery_resent(struct udx_recovery *recovery, uint32_t seq, usec_t now_us)
{
        struct udx_sent *sent = udx_recovery_find(recovery, seq);

        assert(sent->state != UDX_SENT_SACKED);
        sent->raced = sent->raced && sent->state == UDX_SENT_LOST;
        leave_list(recovery, seq);
        fail_probe(recovery, seq);
        sent->asks = 0;
        sent->resent = 1;
        fly(recovery, seq, now_us);
}

/* An answer to a resent packet that comes sooner than any round trip is for its first sending. Sooner by an eighth: those to lone packets
 * have waited a millisecond, and where nothing else was measured all others come a little sooner. */
static bool had_arrived(const struct udx_sent *sent, const struct udx_rtt *rtt, usec_t now_us)
{
        return sent->resent && now_us - sent->sent_us < udx_rtt_min(rtt) / 8 * 7;
}

/* RFC 8985 6.2 steps 2 and 3. */
static void rack_update(struct udx_recovery *recovery, const struct udx_sent *sent, uint32_t seq, const struct udx_rtt *rtt,
                        usec_t now_us)
{
        usec_t took_us = now_us - sent->sent_us;

        if (had_arrived(sent, rtt, now_us))
                return;
        if (!sent->resent && recovery->delivered_any && udx_seq_diff(seq, recovery->newest_delivered) < 0)
                recovery->reordered = true;
        if (!recovery->delivered_any || udx_seq_diff(seq, recovery->newest_delivered) > 0)
                recovery->newest_delivered = seq;
        if (!recovery->delivered_any || sent->sent_us > recovery->rack_sent_us ||
            (sent->sent_us == recovery->rack_sent_us && udx_seq_diff(seq, recovery->rack_seq) > 0)) {
                recovery->rack_sent_us = sent->sent_us;
                recovery->rack_seq = seq;
                recovery->rack_rtt_us = took_us;
        }
        recovery->delivered_any = true;
}

/* What was resent may have arrived the first time, cut on its way or not: only a whole round trip tells. */
static void note_large(struct udx_recovery *recovery, const struct udx_sent *sent, const struct udx_rtt *rtt, usec_t now_us,
                       struct udx_delivered *delivered)
{
        if (!udx_sent_large(sent) || had_arrived(sent, rtt, now_us))
                return;
        recovery->large_us = usec_max(recovery->large_us, sent->sent_us);
        recovery->large_doubts = 0;
        recovery->hole = false;
        if (sent->len + (size_t)UDX_HEADER_BYTES > delivered->large_bytes) {
                delivered->large_bytes = sent->len + (size_t)UDX_HEADER_BYTES;
                delivered->large_us = sent->sent_us;
        }
}

/* Of what arrived, the packet that was sent last brought the answer on its way; others may have been here for long, and only the answers
 * before this one were lost. If it was sent twice nobody knows for which (Karn), and there is no sample. */
static void sample_rtt(const struct udx_sent *sent, const struct udx_rtt *rtt, usec_t now_us, struct udx_delivered *delivered)
{
        if (sent->sent_us < delivered->newest_sent_us || had_arrived(sent, rtt, now_us))
                return;
        if (!sent->resent)
                delivered->rtt_us = now_us - sent->sent_us;
        else if (sent->sent_us > delivered->newest_sent_us)
                delivered->rtt_us = USEC_NEVER;
        delivered->newest_sent_us = sent->sent_us;
}

/* By steps; there may be more of them than a round trip has. */
static usec_t overtaken_us(const struct udx_recovery *recovery, const struct udx_rtt *rtt)
{
        return recovery->reorder_steps * udx_rtt_min(rtt) / 4;
}

/* It was taken for lost too early: it arrived before it was sent again, or sooner after that than any round trip (half of the least that
 * was measured, in which there may have been a queue). RFC 8985 6.2 step 4 has DSACKs for that, which UDX has not. */
static void note_overtaken(struct udx_recovery *recovery, const struct udx_sent *sent, const struct udx_rtt *rtt, usec_t now_us)
{
        if (!sent->raced || (sent->state != UDX_SENT_LOST && now_us - sent->sent_us >= udx_rtt_min(rtt) / 2))
                return;
        recovery->reordered = true;
        if (recovery->reorder_steps > 1 && udx_seq_diff(recovery->una, recovery->reorder_round) < 0)
                return;
        recovery->reorder_steps += overtaken_us(recovery, rtt) < rtt->srtt_us; /* it is waited no longer than that ever */
        recovery->reorder_round = recovery->nxt;
        recovery->reorder_recoveries = REORDER_RECOVERIES;
}

static void deliver(struct udx_recovery *recovery, uint32_t seq, const struct udx_rtt *rtt, usec_t now_us,
                    struct udx_delivered *delivered)
{
        struct udx_sent *sent = sent_at(recovery, seq);

        note_overtaken(recovery, sent, rtt, now_us);
        leave_list(recovery, seq);
        delivered->bytes += udx_sent_bytes(sent);
        delivered->packets++;
        udx_rate_delivered(&recovery->rate, &delivered->sample, had_arrived(sent, rtt, now_us) ? NULL : &sent->mark,
                           udx_sent_bytes(sent), sent->sent_us, now_us);
        sample_rtt(sent, rtt, now_us, delivered);
        if (sent->probe) {
                delivered->probe = true;
                delivered->probe_seq = seq;
        }
        note_large(recovery, sent, rtt, now_us, delivered);
        rack_update(recovery, sent, seq, rtt, now_us);
}

void udx_recovery_ack(struct udx_recovery *recovery, uint32_t ack, const struct udx_rtt *rtt, usec_t now_us,
                      struct udx_delivered *delivered)
{
        for (uint32_t seq = recovery->una; seq != ack; seq++) {
                const struct udx_sent *sent = sent_at(recovery, seq);

                delivered->released_bytes += sent->len;
                if (sent->state == UDX_SENT_SACKED)
                        recovery->sacked--;
                else
                        deliver(recovery, seq, rtt, now_us, delivered);
        }
        delivered->progress = delivered->progress || recovery->una != ack;
        recovery->una = ack;
        if (recovery->una == recovery->nxt)
                ring_free(recovery);
}

/* The first packet from @seq on that is not SACKed (or nxt). Walked paths are halved, so that a block reported again and again costs
 * next to nothing, however many packets it covers. */
static uint32_t skip_sacked(struct udx_recovery *recovery, uint32_t seq)
{
        while (seq != recovery->nxt && sent_at(recovery, seq)->state == UDX_SENT_SACKED) {
                struct udx_sent *sent = sent_at(recovery, seq);
                uint32_t beyond = sent->next;

                if (beyond != recovery->nxt && sent_at(recovery, beyond)->state == UDX_SENT_SACKED)
                        sent->next = sent_at(recovery, beyond)->next;
                seq = beyond;
        }
        return seq;
}

void udx_recovery_sack(struct udx_recovery *recovery, const struct udx_sack *sack, const struct udx_rtt *rtt, usec_t now_us,
                       struct udx_delivered *delivered)
{
        uint32_t start = sack->start - recovery->una, end = sack->end - recovery->una, out = recovery->nxt - recovery->una;

        if (start >= end || start >= out || end > out)
                return;
        for (uint32_t seq = skip_sacked(recovery, sack->start); udx_seq_diff(seq, sack->end) < 0;
             seq = skip_sacked(recovery, seq + 1)) {
                deliver(recovery, seq, rtt, now_us, delivered);
                sent_at(recovery, seq)->state = UDX_SENT_SACKED;
                sent_at(recovery, seq)->next = seq + 1;
                recovery->sacked++;
        }
}

/* @raced: because others that were sent later have arrived. False: it was a probe of the MTU. */
static bool lose(struct udx_recovery *recovery, uint32_t seq, bool raced)
{
        struct udx_sent *sent = sent_at(recovery, seq);
        bool probe = fail_probe(recovery, seq);

        leave_list(recovery, seq);
        if (!probe)
                recovery->rate.lost += udx_sent_bytes(sent);
        if (sent->asks && sent->sent_us > recovery->large_us)
                recovery->hole = true;
        sent->state = UDX_SENT_LOST;
        sent->raced = raced && !sent->resent;
        list_append(recovery, &recovery->lost, seq);
        return !probe;
}

/* RFC 8985 6.2 step 4. */
static usec_t reorder_window(const struct udx_recovery *recovery, const struct udx_rtt *rtt, bool recovering)
{
        if (!recovery->reordered && (recovering || recovery->sacked >= SACKED_ENOUGH))
                return 0;
        return usec_min(overtaken_us(recovery, rtt), rtt->srtt_us);
}

/* A recovery begins. (RFC 8985 goes back to one step after 16 of them; where packets are lost and overtake each other that is each second,
 * and they are resent in vain until all the steps are found again.) */
static void narrow_reorder_window(struct udx_recovery *recovery)
{
        if (recovery->reorder_steps == 1 || --recovery->reorder_recoveries)
                return;
        recovery->reorder_steps--;
        recovery->reorder_recoveries = REORDER_RECOVERIES;
}

unsigned udx_recovery_detect(struct udx_recovery *recovery, const struct udx_rtt *rtt, bool recovering, usec_t now_us)
{
        usec_t patience_us = recovery->rack_rtt_us + reorder_window(recovery, rtt, recovering);
        uint32_t seq = recovery->flying.head, left = recovery->flying.count;
        unsigned found = 0;

        recovery->reorder_deadline_us = USEC_NEVER;
        if (!recovery->delivered_any)
                return 0;
        for (uint32_t next; left; seq = next, left--) {
                const struct udx_sent *sent = sent_at(recovery, seq);

                next = sent->next;
                if (sent->sent_us > recovery->rack_sent_us)
                        break;
                if (sent->sent_us == recovery->rack_sent_us && udx_seq_diff(seq, recovery->rack_seq) > 0)
                        continue;
                if (recovery->blind && udx_seq_diff(seq, recovery->blind_from) >= 0)
                        continue;
                if (sent->sent_us + patience_us > now_us) {
                        recovery->reorder_deadline_us = sent->sent_us + patience_us;
                        break;
                }
                found += lose(recovery, seq, !recovery->blind);
        }
        if (found && !recovering)
                narrow_reorder_window(recovery);
        return found;
}

unsigned udx_recovery_time_out(struct udx_recovery *recovery, const struct udx_rtt *rtt, usec_t now_us)
{
        usec_t patience_us = recovery->rack_rtt_us + reorder_window(recovery, rtt, true);
        uint32_t seq = recovery->flying.head, left = recovery->flying.count;
        unsigned found = 0;

        recovery->reorder_deadline_us = USEC_NEVER;
        if (recovery->una != recovery->nxt && sent_at(recovery, recovery->una)->state == UDX_SENT_FLYING &&
            seq != recovery->una) {
                found += lose(recovery, recovery->una, false);
                left--;
        }
        for (uint32_t next; left; seq = next, left--) {
                const struct udx_sent *sent = sent_at(recovery, seq);

                next = sent->next;
                if (seq != recovery->una && sent->sent_us + patience_us > now_us)
                        break;
                found += lose(recovery, seq, false);
        }
        return found;
}
