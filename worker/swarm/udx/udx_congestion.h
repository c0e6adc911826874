/* SPDX-License-Identifier: BSD-3-Clause */
/* Congestion control: how much may be in flight, and how fast it may leave. CUBIC (RFC 9438) with HyStart++ (RFC 9406) and
 * proportional rate reduction (RFC 6937). Knows no packet: another algorithm can take its place behind these calls.
 *
 * Bytes are counted with headers, UDX_FULL_BYTES for a full packet. */
#ifndef HG_UDX_CONGESTION_H
#define HG_UDX_CONGESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "usec.h"

#define UDX_FULL_BYTES 1200
#define UDX_CWND_MAX (8 * 1024 * 1024)

enum udx_congestion_phase {
        UDX_CONGESTION_OPEN,
        UDX_CONGESTION_RECOVERING,      /* losses are being repaired; reduced once for all of them */
        UDX_CONGESTION_TIMED_OUT,       /* slow start again; losses from before don't count twice */
};

struct udx_congestion {
        enum udx_congestion_phase phase;
        size_t cwnd, ssthresh;          /* bytes */
        uint32_t recovery_end;          /* phase ends when this is acknowledged */

        usec_t epoch_us;                /* CUBIC: start of this growth; 0 when it has not begun */
        double w_max, w_epoch, w_est, k_s;      /* in full packets; seconds */

        size_t prr_delivered, prr_out, prr_flight;

        uint32_t round_end;             /* HyStart++: a round ends when this is acknowledged */
        usec_t round_min_us, last_round_min_us, css_base_us;
        unsigned round_samples, css_rounds;     /* css_rounds > 0: conservative slow start */
};

struct udx_congestion_ack {
        size_t delivered_bytes;         /* newly, by ACK or SACK */
        size_t flying_bytes;            /* what is left */
        uint32_t una, nxt;              /* after it */
        usec_t rtt_us;                  /* USEC_NEVER: no sample in it */
        usec_t srtt_us;
        bool progress;                  /* una moved */
        bool limited;                   /* cwnd or pacing held data back: only then it grows */
        usec_t now_us;
};

void udx_congestion_init(struct udx_congestion *congestion);
void udx_congestion_on_sent(struct udx_congestion *congestion, size_t bytes);
void udx_congestion_on_ack(struct udx_congestion *congestion, const struct udx_congestion_ack *ack);

/* Packets were found lost: so much was out before, so much is left. True when this begins a recovery. */
bool udx_congestion_on_loss(struct udx_congestion *congestion, size_t before_bytes, size_t flying_bytes, uint32_t nxt);

/* The retransmission timer fired; @flying_bytes are still thought to be in flight. */
void udx_congestion_on_timeout(struct udx_congestion *congestion, size_t flying_bytes, uint32_t nxt);

/* Nothing was sent for @idle_us: the path may have changed meanwhile. */
void udx_congestion_on_idle(struct udx_congestion *congestion, usec_t idle_us, usec_t rto_us);

/* Bytes per second to pace at; 0 without an RTT: as cwnd allows. */
uint64_t udx_congestion_rate(const struct udx_congestion *congestion, usec_t srtt_us);

#endif
