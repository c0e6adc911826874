/* SPDX-License-Identifier: BSD-3-Clause */
/* Congestion control: how much may be in flight, and how fast it may leave. BBR (draft-ietf-ccwg-bbr): a model of the path, of the most
 * it has delivered lately and the least it has taken, in place of a window that every loss halves. A path that loses a packet in a
 * hundred of its own accord is used in full, and a queue is not filled only because there is one.
 *
 * What differs from the draft: loss means congestion only where it is more than the path's own, which is measured while we send
 * no faster than the path delivers. (The draft takes 2 % for the limit of all paths and crawls where a path loses 3 %.)
 *
 * Knows no packet: another algorithm can take its place behind these calls. Bytes are counted with headers. */
#ifndef HG_UDX_CONGESTION_H
#define HG_UDX_CONGESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "udx_rate.h"
#include "usec.h"

#define UDX_FULL_BYTES 1200
#define UDX_FULL_BYTES_MAX 1500         /* where the path carries more */
#define UDX_CWND_MAX (64 * 1024 * 1024)

enum udx_congestion_phase {
        UDX_CONGESTION_OPEN,
        UDX_CONGESTION_RECOVERING,      /* losses are being repaired */
        UDX_CONGESTION_TIMED_OUT,       /* nothing was heard for long: what is sent is acknowledged first */
};

enum udx_congestion_state {
        UDX_STARTUP,                    /* doubles each round until more is sent than the path delivers */
        UDX_DRAIN,                      /* lets the queue go that this has made */
        UDX_DOWN,                       /* a probing cycle: below what the path delivers, so that it has no queue, */
        UDX_CRUISE,                     /* just what it delivers, */
        UDX_UP,                         /* and more: is there more? */
        UDX_PROBE_RTT,                  /* little in flight for a moment: how long is the path without a queue? */
};

/* A maximum over this stretch and the one before. */
struct udx_max2 {
        uint64_t now, before;
};

struct udx_congestion {
        enum udx_congestion_phase phase;
        enum udx_congestion_state state;
        uint32_t recovery_end;          /* phase ends when this is acknowledged */
        size_t cwnd;                    /* bytes */
        size_t cwnd_before;             /* the timeout or PROBE_RTT */
        uint64_t pacing_rate;           /* bytes/s; 0: not known yet */

        struct udx_max2 bw;             /* bytes/s; a stretch is a probing cycle */
        bool bw_tested;                 /* in this one, by samples that the application did not limit */
        usec_t min_rtt_us, min_rtt_stamp_us;
        usec_t probe_rtt_end_us;        /* 0: what is in flight is still too much */

        uint32_t round_end;             /* a round ends when a packet is acknowledged that was sent after so much was delivered */
        bool round_start;
        unsigned rounds;                /* since the state was entered */
        usec_t state_us;                /* when that was */
        unsigned cruise_rounds;         /* how many it shall have */
        uint32_t dice;

        uint64_t full_bw;               /* STARTUP and UP: the most so far, */
        unsigned full_rounds;           /* and for how many rounds it has not grown by a quarter */
        bool full, full_by_peer;        /* it is over; because the peer takes no more */

        uint32_t round_delivered, round_lost;   /* sums when the round began */
        usec_t round_rtt_us;            /* least in it */
        double quiet_packets, quiet_lost;       /* of rounds in which we sent no more than the path delivers, and there was no queue */
        size_t inflight_max;            /* more than this got lost; SIZE_MAX: not seen */
        bool loss_fine;                 /* when it was measured last, and not used up since */
        bool cut;                       /* once for this probe, or for the calm after it */

        usec_t burst_us;                /* acknowledged since then: */
        size_t burst_bytes;
        struct udx_max2 extra_acked;    /* more than the path's rate explains: acknowledgements come in lumps; a stretch is ten rounds */
        unsigned extra_rounds;
};

struct udx_congestion_ack {
        const struct udx_rate *rate;
        const struct udx_rate_sample *sample;
        size_t delivered_bytes;         /* newly, by ACK or SACK */
        size_t flying_bytes;            /* what is left */
        uint32_t una;                   /* after it */
        usec_t rtt_us;                  /* USEC_NEVER: no sample in it */
        usec_t now_us;
};

/* @dice: any number, not the same for all: flows that share a path must not probe it all at once. */
void udx_congestion_init(struct udx_congestion *congestion, uint32_t dice);
void udx_congestion_on_ack(struct udx_congestion *congestion, const struct udx_congestion_ack *ack);

/* Packets were found lost. True when this begins a recovery, which lasts until @nxt is acknowledged. */
bool udx_congestion_on_loss(struct udx_congestion *congestion, uint32_t nxt);

/* The retransmission timer fired; @flying_bytes are still thought to be in flight. */
void udx_congestion_on_timeout(struct udx_congestion *congestion, size_t flying_bytes, uint32_t nxt);

/* Something is sent after nothing was in flight. */
void udx_congestion_on_restart(struct udx_congestion *congestion, usec_t now_us);

/* Bytes per second to pace at; 0 before the path is known: as cwnd allows. */
static inline uint64_t udx_congestion_rate(const struct udx_congestion *congestion)
{
        return congestion->pacing_rate;
}

static inline uint64_t udx_max2(const struct udx_max2 *max)
{
        return max->now > max->before ? max->now : max->before;
}

#endif
