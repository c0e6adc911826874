/* SPDX-License-Identifier: BSD-3-Clause */
#include "udx_congestion.h"

#include "cleanup.h"
#include "udx_packet.h"

#define CWND_FIRST ((size_t)10 * UDX_FULL_BYTES)        /* RFC 6928 */
#define CWND_MIN ((size_t)2 * UDX_FULL_BYTES)

/* draft-ietf-ccwg-bbr, in hundredths */
#define STARTUP_PACING 277              /* 4 ln 2: doubles in a round trip */
#define STARTUP_CWND 200
#define DRAIN_PACING 36
#define DOWN_PACING 75                  /* as far below as UP goes beyond */
#define UP_PACING 125
#define CRUISE_PACING 99                /* a little less than was measured, so that a queue goes away sooner or later */
#define CWND_GAIN 200
#define PROBE_RTT_CWND 50

#define FULL_ROUNDS 3                   /* without a quarter more */
#define FULL_LOSS 0.1                   /* one is enough when so much was lost in it, or when there was a queue all the time */
#define QUEUE_NOISE_US 50
#define MIN_RTT_US SECONDS(10)
#define PROBE_RTT_US MSEC(200)
#define CRUISE_ROUNDS 5                 /* and up to 3 more, by chance */
#define CRUISE_US MSEC(20)              /* a pacing timer is good for one */
#define CRUISE_SETTLED 2                /* rounds, the first one not whole: what is lost later was sent in it, and not before it */
#define DOWN_ROUNDS 2                   /* at most: others may keep the queue filled */
#define UP_ROUNDS 3                     /* at most, unless a tenth more comes of each */
#define EXTRA_ROUNDS 10
#define EXTRA_US MSEC(100)

#define QUIET_PACKETS 4000              /* the path's own loss is an average over about as many */
#define QUIET_LEAST 100                 /* fewer say nothing */
#define LOSS_PACKETS 50                 /* fewer are too few to judge */
#define LOSS_OWN_MAX 0.12               /* more than that is somebody's queue */
#define LOSS_MORE 1.5                   /* times as much, */
#define LOSS_EXCESS 0.02                /* and so much on top, */
#define LOSS_CHANCE 3                   /* and so many packets: that is not the path's own */
#define HEADROOM 95                     /* hundredths of what got through */
#define LOSS_CUT 85                     /* hundredths of what was in flight */

static void max2_add(struct udx_max2 *max, uint64_t value)
{
        max->now = MAX(max->now, value);
}

static void max2_turn(struct udx_max2 *max)
{
        max->before = max->now;
        max->now = 0;
}

static size_t clamp_cwnd(uint64_t bytes)
{
        return bytes < CWND_MIN ? CWND_MIN : bytes > UDX_CWND_MAX ? UDX_CWND_MAX : (size_t)bytes;
}

void udx_congestion_init(struct udx_congestion *congestion, uint32_t dice)
{
        *congestion = (struct udx_congestion){
                .dice = dice * 2654435761,      /* Knuth: numbers that are close are so no more */
                .cwnd = CWND_FIRST, .min_rtt_us = USEC_NEVER, .round_rtt_us = USEC_NEVER, .inflight_max = SIZE_MAX,
        };
}

/* Bytes on a path without a queue, times @gain / 100; 0: not known. */
static uint64_t bdp(const struct udx_congestion *congestion, unsigned gain)
{
        if (congestion->min_rtt_us == USEC_NEVER)
                return 0;
        return udx_max2(&congestion->bw) * congestion->min_rtt_us / 1000000 * gain / 100;
}

static void enter(struct udx_congestion *congestion, enum udx_congestion_state state, usec_t now_us)
{
        congestion->state = state;
        congestion->state_us = now_us;
        congestion->rounds = 0;
        congestion->cut = congestion->cut && state == UDX_DOWN;
        if (state == UDX_CRUISE) {
                congestion->dice = congestion->dice * 1664525 + 1013904223;     /* Numerical Recipes */
                congestion->cruise_rounds = CRUISE_ROUNDS + (congestion->dice >> 30);
        }
}

/* What UP has found out is known: the cycle is over, and what was measured before the last one is forgotten. Not so when the application
 * never let the path show what it can. */
static void enter_next_cycle(struct udx_congestion *congestion, usec_t now_us)
{
        if (congestion->bw_tested)
                max2_turn(&congestion->bw);
        congestion->bw_tested = false;
        enter(congestion, UDX_CRUISE, now_us);
}

static void enter_up(struct udx_congestion *congestion, usec_t now_us)
{
        congestion->full_bw = udx_max2(&congestion->bw);
        enter(congestion, UDX_UP, now_us);
}

/* --- what was measured --- */

static void count_rounds(struct udx_congestion *congestion, const struct udx_congestion_ack *ack)
{
        congestion->round_start = ack->sample->any && (int32_t)(ack->sample->mark.delivered - congestion->round_end) >= 0;
        if (!congestion->round_start)
                return;
        congestion->round_end = (uint32_t)ack->rate->delivered;
        congestion->rounds++;
}

static void measure_bw(struct udx_congestion *congestion, const struct udx_congestion_ack *ack)
{
        const struct udx_rate_sample *sample = ack->sample;
        usec_t interval_us = usec_max(sample->send_us, sample->ack_us);
        uint64_t bw;

        if (!sample->any || !interval_us || interval_us < congestion->min_rtt_us)
                return;
        bw = (uint64_t)((uint32_t)ack->rate->delivered - sample->mark.delivered) * 1000000 / interval_us;
        congestion->bw_tested = congestion->bw_tested || sample->mark.limit == UDX_LIMIT_PATH;
        if (sample->mark.limit == UDX_LIMIT_PATH || bw >= udx_max2(&congestion->bw))
                max2_add(&congestion->bw, bw);
}

/* Wi-Fi, busy receivers and peers that acknowledge by the batch: while nothing is heard, more must be in flight than the path holds. */
static void measure_lumps(struct udx_congestion *congestion, const struct udx_congestion_ack *ack)
{
        uint64_t bw = udx_max2(&congestion->bw), expected = bw * (ack->now_us - congestion->burst_us) / 1000000;

        if (congestion->round_start && ++congestion->extra_rounds >= EXTRA_ROUNDS) {
                congestion->extra_rounds = 0;
                max2_turn(&congestion->extra_acked);
        }
        if (congestion->burst_bytes <= expected) {
                congestion->burst_us = ack->now_us;
                congestion->burst_bytes = expected = 0;
        }
        congestion->burst_bytes = MIN(congestion->burst_bytes + ack->delivered_bytes, congestion->cwnd);
        if (congestion->burst_bytes > expected)
                max2_add(&congestion->extra_acked,
                         MIN((uint64_t)congestion->burst_bytes - expected, bw * EXTRA_US / 1000000));
}

/* There was no queue at some time in the round that ends. */
static bool was_empty(const struct udx_congestion *congestion)
{
        return congestion->round_rtt_us <= congestion->min_rtt_us + congestion->min_rtt_us / 8 + QUEUE_NOISE_US;
}

/* What was lost in this round was not lost for our sake: we sent what the path delivers, and found no queue. */
static bool is_quiet(const struct udx_congestion *congestion)
{
        return congestion->state == UDX_CRUISE && congestion->rounds > CRUISE_SETTLED && was_empty(congestion);
}

/* Of the round that ends, or the last few: the share lost, and whether that is more than the path loses anyway. */
static bool measure_loss(struct udx_congestion *congestion, const struct udx_congestion_ack *ack, double *share_out)
{
        uint32_t delivered = (uint32_t)ack->rate->delivered - congestion->round_delivered;
        uint32_t lost = (uint32_t)ack->rate->lost - congestion->round_lost;
        double packets = (double)(delivered + lost) / UDX_FULL_BYTES, packets_lost = (double)lost / UDX_FULL_BYTES;
        double own = congestion->quiet_packets > 0 ? MIN(congestion->quiet_lost / congestion->quiet_packets, LOSS_OWN_MAX) : 0;
        bool own_known = congestion->quiet_packets >= QUIET_LEAST;      /* without this round: it is not measured by itself */

        if (packets < LOSS_PACKETS)
                return false;
        congestion->round_delivered = (uint32_t)ack->rate->delivered;
        congestion->round_lost = (uint32_t)ack->rate->lost;
        *share_out = packets_lost / packets;
        if (is_quiet(congestion)) {
                congestion->quiet_packets += packets;
                congestion->quiet_lost += packets_lost;
                if (congestion->quiet_packets > QUIET_PACKETS) {
                        congestion->quiet_packets /= 2;
                        congestion->quiet_lost /= 2;
                }
        }
        congestion->loss_fine = packets_lost <= packets * (LOSS_MORE * own + LOSS_EXCESS) + LOSS_CHANCE;
        return !congestion->loss_fine && (own_known || !was_empty(congestion));
}

/* --- states --- */

/* Losses tell of a full path whoever sets the pace: an application that says a little less than we could send, and more than the path
 * takes, would keep us in STARTUP, and its queue full, for good. */
static void check_full(struct udx_congestion *congestion, const struct udx_congestion_ack *ack, bool excess, double lost)
{
        uint64_t bw = udx_max2(&congestion->bw);
        enum udx_rate_limit limit = ack->sample->mark.limit;

        if (limit == UDX_LIMIT_APP) {
                congestion->full = lost > FULL_LOSS || excess;
                return;
        }
        if (bw >= congestion->full_bw + congestion->full_bw / 4) {
                congestion->full_bw = bw;
                congestion->full_rounds = 0;
                return;
        }
        congestion->full = lost > FULL_LOSS || !was_empty(congestion) || ++congestion->full_rounds >= FULL_ROUNDS;
        congestion->full_by_peer = congestion->full_rounds >= FULL_ROUNDS && limit == UDX_LIMIT_PEER;
}

/* What ended STARTUP was the peer's window, and now it is large enough: go on where we stopped. */
static void start_again(struct udx_congestion *congestion, const struct udx_congestion_ack *ack)
{
        if (!congestion->full_by_peer || congestion->state == UDX_PROBE_RTT || ack->sample->mark.limit != UDX_LIMIT_PATH ||
            congestion->inflight_max != SIZE_MAX)
                return;
        congestion->full = congestion->full_by_peer = false;
        congestion->full_bw = congestion->full_rounds = 0;
        enter(congestion, UDX_STARTUP, ack->now_us);
}

static void cut(struct udx_congestion *congestion, const struct udx_congestion_ack *ack)
{
        uint64_t inflight = MAX((uint64_t)ack->sample->mark.flying, bdp(congestion, 100));

        if (congestion->cut)
                return;
        congestion->cut = true;
        congestion->inflight_max = clamp_cwnd(MIN(inflight, (uint64_t)congestion->inflight_max) * LOSS_CUT / 100);
}

/* UP went well: a bound that was found is tried again farther out. */
static void raise_bound(struct udx_congestion *congestion)
{
        if (congestion->inflight_max == SIZE_MAX || !congestion->loss_fine)
                return;
        congestion->loss_fine = false;
        congestion->inflight_max += MAX(congestion->inflight_max / 8, (size_t)UDX_FULL_BYTES);
        if (congestion->inflight_max > bdp(congestion, 2 * CWND_GAIN))
                congestion->inflight_max = SIZE_MAX;
}

/* As much was in flight as UP wants there, or as it may, or it has been wanted for long and nothing has come of it. */
static bool is_filled(struct udx_congestion *congestion, const struct udx_congestion_ack *ack)
{
        uint64_t before = ack->flying_bytes + ack->delivered_bytes, bw = udx_max2(&congestion->bw);

        if (congestion->round_start && congestion->rounds >= UP_ROUNDS) {
                if (bw < congestion->full_bw + congestion->full_bw / 10)
                        return true;
                congestion->full_bw = bw;
        }
        return before >= bdp(congestion, UP_PACING) || before + UDX_FULL_BYTES_MAX > congestion->cwnd;
}

static void step(struct udx_congestion *congestion, const struct udx_congestion_ack *ack, bool excess)
{
        size_t flying = ack->flying_bytes;

        switch (congestion->state) {
        case UDX_STARTUP:
                if (congestion->full)
                        enter(congestion, UDX_DRAIN, ack->now_us);
                break;
        case UDX_DRAIN:
                if (flying <= bdp(congestion, 100))
                        enter(congestion, UDX_CRUISE, ack->now_us);
                break;
        case UDX_DOWN:
                if (excess)
                        cut(congestion, ack);
                if (congestion->rounds >= 1 && (flying <= bdp(congestion, 100) || congestion->rounds >= DOWN_ROUNDS))
                        enter_next_cycle(congestion, ack->now_us);
                break;
        case UDX_CRUISE:
                if (excess && congestion->rounds > CRUISE_SETTLED)
                        cut(congestion, ack);
                if (congestion->rounds >= congestion->cruise_rounds && ack->now_us >= congestion->state_us + CRUISE_US)
                        enter_up(congestion, ack->now_us);
                break;
        case UDX_UP:
                if (excess)
                        cut(congestion, ack);
                else if (congestion->rounds < 1 || !is_filled(congestion, ack))
                        break;
                else
                        raise_bound(congestion);
                enter(congestion, UDX_DOWN, ack->now_us);
                break;
        case UDX_PROBE_RTT:
                break;
        }
}

static void leave_probe_rtt(struct udx_congestion *congestion, usec_t now_us)
{
        congestion->min_rtt_stamp_us = now_us;
        congestion->cwnd = MAX(congestion->cwnd, congestion->cwnd_before);
        enter(congestion, congestion->full ? UDX_CRUISE : UDX_STARTUP, now_us);
}

static void step_probe_rtt(struct udx_congestion *congestion, const struct udx_congestion_ack *ack, bool stale)
{
        if (stale && congestion->state != UDX_PROBE_RTT) {
                congestion->cwnd_before = congestion->phase == UDX_CONGESTION_TIMED_OUT ? congestion->cwnd_before : congestion->cwnd;
                congestion->probe_rtt_end_us = 0;
                enter(congestion, UDX_PROBE_RTT, ack->now_us);
        }
        if (congestion->state != UDX_PROBE_RTT)
                return;
        if (!congestion->probe_rtt_end_us) {
                if (ack->flying_bytes > clamp_cwnd(bdp(congestion, PROBE_RTT_CWND)))
                        return;
                congestion->probe_rtt_end_us = ack->now_us + PROBE_RTT_US;
                congestion->rounds = 0;
                congestion->round_end = (uint32_t)ack->rate->delivered;
        } else if (congestion->rounds && ack->now_us >= congestion->probe_rtt_end_us) {
                leave_probe_rtt(congestion, ack->now_us);
        }
}

static void measure_min_rtt(struct udx_congestion *congestion, const struct udx_congestion_ack *ack)
{
        bool stale = congestion->min_rtt_us != USEC_NEVER && ack->now_us > congestion->min_rtt_stamp_us + MIN_RTT_US;

        if (ack->rtt_us != USEC_NEVER && (ack->rtt_us <= congestion->min_rtt_us || stale)) {
                if (ack->rtt_us + ack->rtt_us / 8 + QUEUE_NOISE_US < congestion->min_rtt_us)
                        congestion->quiet_packets = congestion->quiet_lost = 0;         /* there was a queue, after all */
                congestion->min_rtt_us = usec_max(ack->rtt_us, 1);
                congestion->min_rtt_stamp_us = ack->now_us;
        }
        step_probe_rtt(congestion, ack, stale);
}

/* --- what follows from it --- */

static unsigned pacing_gain(const struct udx_congestion *congestion)
{
        static const unsigned gains[] = {
                [UDX_STARTUP] = STARTUP_PACING, [UDX_DRAIN] = DRAIN_PACING, [UDX_DOWN] = DOWN_PACING, [UDX_CRUISE] = CRUISE_PACING,
                [UDX_UP] = UP_PACING, [UDX_PROBE_RTT] = CRUISE_PACING,
        };

        return gains[congestion->state];
}

static void set_rate(struct udx_congestion *congestion)
{
        uint64_t bw = udx_max2(&congestion->bw), rate = bw * pacing_gain(congestion) / 100;

        if (!bw && congestion->min_rtt_us != USEC_NEVER)
                rate = (uint64_t)CWND_FIRST * STARTUP_PACING * 10000 / congestion->min_rtt_us;
        if (congestion->full || rate > congestion->pacing_rate)
                congestion->pacing_rate = rate;
}

/* What the pacer hands out in one go three times over: at the sender, under way, and at the receiver before it answers. */
static uint64_t room_for_bursts(const struct udx_congestion *congestion)
{
        uint64_t burst = MIN(MAX(congestion->pacing_rate / 1000, (uint64_t)2 * UDX_FULL_BYTES), (uint64_t)64 * 1024);

        return 3 * burst;
}

/* What got lost once is only tried again by UP; else room is left for others. */
static size_t inflight_bound(const struct udx_congestion *congestion)
{
        size_t bound = congestion->inflight_max;

        if (bound == SIZE_MAX)
                return bound;
        if (congestion->state != UDX_UP)
                bound = bound / 100 * HEADROOM;
        return MAX(bound, CWND_MIN);
}

static void set_cwnd(struct udx_congestion *congestion, const struct udx_congestion_ack *ack)
{
        uint64_t target = bdp(congestion, congestion->full ? CWND_GAIN : STARTUP_CWND);

        if (congestion->state == UDX_PROBE_RTT) {
                congestion->cwnd = MIN(congestion->cwnd, clamp_cwnd(bdp(congestion, PROBE_RTT_CWND)));
                return;
        }
        if (!target)
                target = CWND_FIRST;
        target += room_for_bursts(congestion) + udx_max2(&congestion->extra_acked);
        if (!congestion->full)
                congestion->cwnd = congestion->cwnd < target || ack->rate->delivered < CWND_FIRST ?
                                   clamp_cwnd((uint64_t)congestion->cwnd + ack->delivered_bytes) : congestion->cwnd;
        else
                congestion->cwnd = clamp_cwnd(MIN((uint64_t)congestion->cwnd + ack->delivered_bytes, target));
        congestion->cwnd = MIN(congestion->cwnd, inflight_bound(congestion));
}

static void end_phase(struct udx_congestion *congestion, const struct udx_congestion_ack *ack)
{
        if (congestion->phase == UDX_CONGESTION_OPEN || udx_seq_diff(ack->una, congestion->recovery_end) < 0)
                return;
        if (congestion->phase == UDX_CONGESTION_TIMED_OUT)
                congestion->cwnd = MAX(congestion->cwnd, congestion->cwnd_before);
        congestion->phase = UDX_CONGESTION_OPEN;
}

void udx_congestion_on_ack(struct udx_congestion *congestion, const struct udx_congestion_ack *ack)
{
        bool excess = false;
        double lost = 0;

        end_phase(congestion, ack);
        count_rounds(congestion, ack);
        measure_bw(congestion, ack);
        measure_lumps(congestion, ack);
        if (ack->rtt_us != USEC_NEVER)
                congestion->round_rtt_us = usec_min(congestion->round_rtt_us, ack->rtt_us);
        if (congestion->round_start) {
                excess = measure_loss(congestion, ack, &lost);
                if (!congestion->full)
                        check_full(congestion, ack, excess, lost);
                else
                        start_again(congestion, ack);
                congestion->round_rtt_us = USEC_NEVER;
        }
        step(congestion, ack, excess);
        measure_min_rtt(congestion, ack);
        set_rate(congestion);
        set_cwnd(congestion, ack);
}

bool udx_congestion_on_loss(struct udx_congestion *congestion, uint32_t nxt)
{
        if (congestion->phase != UDX_CONGESTION_OPEN)
                return false;
        congestion->phase = UDX_CONGESTION_RECOVERING;
        congestion->recovery_end = nxt;
        return true;
}

void udx_congestion_on_timeout(struct udx_congestion *congestion, size_t flying_bytes, uint32_t nxt)
{
        if (congestion->phase != UDX_CONGESTION_TIMED_OUT && congestion->state != UDX_PROBE_RTT)
                congestion->cwnd_before = congestion->cwnd;
        congestion->phase = UDX_CONGESTION_TIMED_OUT;
        congestion->recovery_end = nxt;
        congestion->cwnd = clamp_cwnd(flying_bytes + UDX_FULL_BYTES_MAX);
}

void udx_congestion_on_restart(struct udx_congestion *congestion, usec_t now_us)
{
        congestion->burst_us = now_us;
        congestion->burst_bytes = 0;
        if (now_us > congestion->min_rtt_stamp_us + MIN_RTT_US)
                congestion->min_rtt_stamp_us = now_us;          /* nothing was in flight: no queue of ours hides the path's length */
}
