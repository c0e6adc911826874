/* SPDX-License-Identifier: BSD-3-Clause */
#include "udx_congestion.h"

#include "cleanup.h"
#include "udx_packet.h"

#define CWND_FIRST (10 * UDX_FULL_BYTES)        /* RFC 6928 */
#define CWND_MIN (2 * UDX_FULL_BYTES)
#define BETA 0.7                                /* RFC 9438 4.6 */
#define CUBIC_C 0.4                             /* RFC 9438 5 */
#define RENO_ALPHA (3 * (1 - BETA) / (1 + BETA))        /* RFC 9438 4.3 */

/* RFC 9406 4.3 */
#define CSS_GROWTH_DIVISOR 4
#define CSS_ROUNDS 5
#define ROUND_SAMPLES 8
#define RTT_THRESH_MIN_US MSEC(4)
#define RTT_THRESH_MAX_US MSEC(16)

static double packets(size_t bytes)
{
        return (double)bytes / UDX_FULL_BYTES;
}

static size_t clamp_cwnd(double bytes)
{
        return bytes < CWND_MIN ? CWND_MIN : bytes > UDX_CWND_MAX ? UDX_CWND_MAX : (size_t)bytes;
}

static void round_start(struct udx_congestion *congestion, uint32_t nxt)
{
        congestion->round_end = nxt;
        congestion->last_round_min_us = congestion->round_min_us;
        congestion->round_min_us = USEC_NEVER;
        congestion->round_samples = 0;
}

void udx_congestion_init(struct udx_congestion *congestion)
{
        *congestion = (struct udx_congestion){ .cwnd = CWND_FIRST, .ssthresh = SIZE_MAX, .round_min_us = USEC_NEVER };
        round_start(congestion, 0);
}

void udx_congestion_on_sent(struct udx_congestion *congestion, size_t bytes)
{
        if (congestion->phase == UDX_CONGESTION_RECOVERING)
                congestion->prr_out += bytes;
}

/* Newton's method; @x >= 0. */
static double cube_root(double x)
{
        double root = x > 1 ? x / 2 : 1;

        if (x <= 0)
                return 0;
        for (int i = 0; i < 60; i++) {
                double better = (2 * root + x / (root * root)) / 3;

                if (better >= root * (1 - 1e-9) && better <= root * (1 + 1e-9))
                        return better;
                root = better;
        }
        return root;
}

static void epoch_start(struct udx_congestion *congestion, usec_t now_us)
{
        congestion->epoch_us = usec_max(now_us, 1);
        congestion->w_epoch = congestion->w_est = packets(congestion->cwnd);
        congestion->w_max = MAX(congestion->w_max, congestion->w_epoch);
        congestion->k_s = cube_root((congestion->w_max - congestion->w_epoch) / CUBIC_C);
}

/* RFC 9438 4.2: W_cubic, @t_s seconds into the epoch. */
static double cubic_at(const struct udx_congestion *congestion, double t_s)
{
        double x = t_s - congestion->k_s;

        return CUBIC_C * x * x * x + congestion->w_max;
}

static void grow_cubic(struct udx_congestion *congestion, const struct udx_congestion_ack *ack)
{
        double cwnd = packets(congestion->cwnd), acked = packets(ack->delivered_bytes), target, t_s;

        if (!congestion->epoch_us)
                epoch_start(congestion, ack->now_us);
        t_s = (double)(ack->now_us - congestion->epoch_us) / 1e6;
        target = cubic_at(congestion, t_s + (double)ack->srtt_us / 1e6);
        target = MIN(MAX(target, cwnd), 1.5 * cwnd);

        congestion->w_est += (congestion->w_est < congestion->w_max ? RENO_ALPHA : 1) * acked / cwnd;
        cwnd += (target - cwnd) / cwnd * acked;
        if (cubic_at(congestion, t_s) < congestion->w_est)
                cwnd = MAX(cwnd, congestion->w_est);
        congestion->cwnd = clamp_cwnd(cwnd * UDX_FULL_BYTES);
}

/* RFC 9406 4.2: delay that rises within a round says that a queue builds up. */
static void hystart(struct udx_congestion *congestion, const struct udx_congestion_ack *ack)
{
        usec_t last_us = congestion->last_round_min_us, threshold_us;

        if (ack->rtt_us != USEC_NEVER) {
                congestion->round_min_us = usec_min(congestion->round_min_us, ack->rtt_us);
                congestion->round_samples++;
        }
        if (congestion->round_samples < ROUND_SAMPLES || last_us == USEC_NEVER)
                return;
        threshold_us = usec_min(usec_max(last_us / 8, RTT_THRESH_MIN_US), RTT_THRESH_MAX_US);
        if (!congestion->css_rounds && congestion->round_min_us >= last_us + threshold_us) {
                congestion->css_rounds = 1;
                congestion->css_base_us = congestion->round_min_us;
        } else if (congestion->css_rounds && congestion->round_min_us < congestion->css_base_us) {
                congestion->css_rounds = 0;
        }
}

static void next_round(struct udx_congestion *congestion, const struct udx_congestion_ack *ack)
{
        if (udx_seq_diff(ack->una, congestion->round_end) < 0)
                return;
        round_start(congestion, ack->nxt);
        if (congestion->css_rounds && ++congestion->css_rounds > CSS_ROUNDS) {
                congestion->css_rounds = 0;
                congestion->ssthresh = congestion->cwnd;
        }
}

static void grow_slow_start(struct udx_congestion *congestion, const struct udx_congestion_ack *ack)
{
        size_t growth = ack->delivered_bytes;

        if (congestion->phase == UDX_CONGESTION_OPEN && congestion->ssthresh == SIZE_MAX) {
                hystart(congestion, ack);
                if (congestion->css_rounds)
                        growth /= CSS_GROWTH_DIVISOR;
        }
        congestion->cwnd = clamp_cwnd((double)MIN(congestion->cwnd + growth, congestion->ssthresh));
}

/* RFC 6937 3: as much leaves as the reduction's share of what arrives. */
static void reduce_in_proportion(struct udx_congestion *congestion, const struct udx_congestion_ack *ack)
{
        size_t may_send, flying = ack->flying_bytes, ssthresh = congestion->ssthresh;

        congestion->prr_delivered += ack->delivered_bytes;
        if (flying > ssthresh) {
                uint64_t share = ((uint64_t)congestion->prr_delivered * ssthresh + congestion->prr_flight - 1) / congestion->prr_flight;

                may_send = share > congestion->prr_out ? (size_t)share - congestion->prr_out : 0;
        } else {
                size_t debt = congestion->prr_delivered > congestion->prr_out ? congestion->prr_delivered - congestion->prr_out : 0;

                if (ack->progress)
                        debt = MAX(debt, ack->delivered_bytes) + UDX_FULL_BYTES;
                may_send = MIN(ssthresh - flying, debt);
        }
        if (!congestion->prr_out)
                may_send = MAX(may_send, (size_t)UDX_FULL_BYTES);
        congestion->cwnd = clamp_cwnd((double)(flying + may_send));
}

static bool repaired(struct udx_congestion *congestion, const struct udx_congestion_ack *ack)
{
        if (congestion->phase == UDX_CONGESTION_OPEN || udx_seq_diff(ack->una, congestion->recovery_end) < 0)
                return false;
        if (congestion->phase == UDX_CONGESTION_RECOVERING)
                congestion->cwnd = congestion->ssthresh;
        congestion->phase = UDX_CONGESTION_OPEN;
        congestion->epoch_us = 0;
        return true;
}

void udx_congestion_on_ack(struct udx_congestion *congestion, const struct udx_congestion_ack *ack)
{
        if (!repaired(congestion, ack) && congestion->phase == UDX_CONGESTION_RECOVERING) {
                reduce_in_proportion(congestion, ack);
        } else if (ack->limited && ack->delivered_bytes) {
                if (congestion->cwnd < congestion->ssthresh)
                        grow_slow_start(congestion, ack);
                else
                        grow_cubic(congestion, ack);
        } else if (!ack->limited) {
                congestion->epoch_us = 0;       /* RFC 9438 5.8: time without need of the window is no time to grow it */
        }
        next_round(congestion, ack);
}

/* RFC 9438 4.6 and 4.7. */
static void reduce(struct udx_congestion *congestion)
{
        double cwnd = packets(congestion->cwnd);

        congestion->w_max = cwnd < congestion->w_max ? cwnd * (1 + BETA) / 2 : cwnd;
        congestion->ssthresh = clamp_cwnd((double)congestion->cwnd * BETA);
        congestion->epoch_us = 0;
        congestion->css_rounds = 0;
}

bool udx_congestion_on_loss(struct udx_congestion *congestion, size_t before_bytes, size_t flying_bytes, uint32_t nxt)
{
        if (congestion->phase != UDX_CONGESTION_OPEN)
                return false;
        reduce(congestion);
        congestion->phase = UDX_CONGESTION_RECOVERING;
        congestion->recovery_end = nxt;
        congestion->prr_delivered = congestion->prr_out = 0;
        congestion->prr_flight = MAX(before_bytes, (size_t)UDX_FULL_BYTES);
        congestion->cwnd = clamp_cwnd((double)(flying_bytes + UDX_FULL_BYTES));        /* acknowledgements let more go */
        return true;
}

void udx_congestion_on_timeout(struct udx_congestion *congestion, size_t flying_bytes, uint32_t nxt)
{
        if (congestion->phase != UDX_CONGESTION_TIMED_OUT) {
                if (congestion->phase == UDX_CONGESTION_RECOVERING)
                        congestion->cwnd = congestion->ssthresh;        /* what it was reduced to, not what PRR lends */
                reduce(congestion);
        }
        congestion->phase = UDX_CONGESTION_TIMED_OUT;
        congestion->recovery_end = nxt;
        congestion->cwnd = clamp_cwnd((double)(flying_bytes + UDX_FULL_BYTES));
}

void udx_congestion_on_idle(struct udx_congestion *congestion, usec_t idle_us, usec_t rto_us)
{
        usec_t timeouts = idle_us / rto_us;

        if (!timeouts || congestion->cwnd <= CWND_FIRST)
                return;
        congestion->ssthresh = congestion->ssthresh == SIZE_MAX ? SIZE_MAX :
                               MAX(congestion->ssthresh, congestion->cwnd / 4 * 3);
        congestion->cwnd = MAX(timeouts < 32 ? congestion->cwnd >> timeouts : 0, (size_t)CWND_FIRST);
        congestion->epoch_us = 0;
}

uint64_t udx_congestion_rate(const struct udx_congestion *congestion, usec_t srtt_us)
{
        size_t window = congestion->cwnd;
        uint64_t percent = 125;

        if (!srtt_us)
                return 0;
        if (congestion->phase == UDX_CONGESTION_RECOVERING)
                window = MAX(window, congestion->ssthresh);
        else if (window < congestion->ssthresh / 2)
                percent = 200;          /* room to double in a round trip */
        return (uint64_t)window * percent * 10000 / srtt_us;
}
