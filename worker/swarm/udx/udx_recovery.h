/* SPDX-License-Identifier: BSD-3-Clause */
/* The packets that were sent and are not acknowledged, and which of them are lost: RACK (RFC 8985) over SACKs. What is found lost too
 * early is seen by when it arrives, as there is no DSACK. Every step is O(1) per packet it changes: packets are found by seq in a ring, in
 * flight ones lie in a list by time sent. */
#ifndef HG_UDX_RECOVERY_H
#define HG_UDX_RECOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "udx_packet.h"
#include "udx_queue.h"
#include "udx_rate.h"
#include "udx_rtt.h"

#define UDX_INFLIGHT_MAX 65536          /* packets; more than 64 MiB of full ones */
#define UDX_WIRE_EXTRA 48               /* what libudx counts for the headers around a payload */

enum udx_sent_state {
        UDX_SENT_FLYING,
        UDX_SENT_LOST,                  /* waits to be resent */
        UDX_SENT_SACKED,                /* @next leads past the run of SACKed packets it is in */
};

struct udx_sent {
        usec_t sent_us;                 /* last time */
        struct udx_block *block;        /* its bytes: block, offset, len make a struct udx_slice */
        uint32_t offset;
        uint16_t len;
        uint8_t type;                   /* UDX_DATA, UDX_END or both */
        uint8_t state : 2, resent : 1;
        uint8_t raced : 1;              /* sent once, it was taken for lost as later ones had arrived; and sent again once at most */
        uint8_t probe : 1;              /* of the MTU: it went out with padding */
        uint8_t pieces : 1;             /* it may be cut into IP fragments on its way */
        uint8_t asks : 1;               /* beside a shorter one: do long ones still get through? */
        uint32_t next, prev;            /* seqs, in the list the state names */
        struct udx_rate_mark mark;
};

struct udx_sent_list {
        uint32_t head, tail, count;     /* head and tail mean something while count > 0 */
};

struct udx_recovery {
        struct udx_pool *pool;
        struct udx_sent *ring;
        uint32_t capacity;              /* a power of two or 0 */
        uint32_t una, nxt;              /* oldest unacknowledged, next to be used */
        struct udx_sent_list flying;    /* by time last sent */
        struct udx_sent_list lost;      /* by time found out */
        uint32_t sacked;
        size_t flying_bytes;            /* with headers */
        struct udx_rate rate;
        uint32_t newest_delivered;      /* highest seq seen delivered, valid once @delivered_any */
        bool delivered_any, reordered;
        unsigned reorder_steps;         /* quarters of the least round trip that a packet may be overtaken by. If more than one: */
        uint32_t reorder_round;         /* there is no further one before this is acknowledged, */
        unsigned reorder_recoveries;    /* and one less when so many recoveries have begun */
        bool blind;                     /* the last SACK had no room to tell what arrived from @blind_from on */
        uint32_t blind_from;
        uint32_t rack_seq;              /* the packet delivered that was sent last, */
        usec_t rack_sent_us, rack_rtt_us;       /* when, and how long it took */
        usec_t reorder_deadline_us;     /* look for losses again then */
        uint32_t probe_lost_seq;        /* a probe of the MTU that was lost since */
        bool probe_lost;                /* somebody looked */
        usec_t large_us;                /* of packets longer than pass any path: when the last that arrived was sent, */
        unsigned large_doubts;          /* and how many were sent again in pieces since, to be sure */
        bool hole;                      /* one that asked was lost since */
};

/* What an acknowledgement brought. */
struct udx_delivered {
        size_t bytes;                   /* with headers, counted when first (S)ACKed */
        size_t released_bytes;          /* payload below the new una */
        uint32_t packets;
        bool progress;                  /* una moved */
        bool probe;                     /* of the MTU, @probe_seq */
        uint32_t probe_seq;
        size_t large_bytes;             /* the longest of those that are longer than pass any path; 0: there was none */
        usec_t large_us;                /* when it was sent */
        struct udx_rate_sample sample;
        usec_t newest_sent_us, rtt_us;  /* of the last sent among them, 0: there was none; USEC_NEVER: nor was it sent once */
};

void udx_recovery_init(struct udx_recovery *recovery, struct udx_pool *pool);
void udx_recovery_fini(struct udx_recovery *recovery);

/* Packets go another way from now on: what was measured on the one before says nothing of it. */
void udx_recovery_forget_path(struct udx_recovery *recovery, usec_t now_us);

/* Room to send one more new packet. False: too many are out, or no memory. */
bool udx_recovery_reserve(struct udx_recovery *recovery);

/* Notes a new packet under seq nxt, which advances; room was reserved. @slice may have length 0 (a lone END). */
void udx_recovery_sent(struct udx_recovery *recovery, uint8_t type, const struct udx_slice *slice, usec_t now_us);

struct udx_sent *udx_recovery_find(const struct udx_recovery *recovery, uint32_t seq);

/* Which packet to resend next, of one or more that are lost: the oldest of all, for which the peer waits, if it is one of them, or else
 * the one that was found out first. */
uint32_t udx_recovery_next_lost(const struct udx_recovery *recovery);

/* Notes that @seq, flying or lost, was sent again. */
void udx_recovery_resent(struct udx_recovery *recovery, uint32_t seq, usec_t now_us);

/* Everything below @ack (una <= @ack <= nxt) has arrived; SACK @start to @end has. Blocks that make no sense are ignored.
 * Results add up in @delivered, which starts zeroed but for rtt_us = USEC_NEVER. */
void udx_recovery_ack(struct udx_recovery *recovery, uint32_t ack, const struct udx_rtt *rtt, usec_t now_us,
                      struct udx_delivered *delivered);
void udx_recovery_sack(struct udx_recovery *recovery, const struct udx_sack *sack, const struct udx_rtt *rtt, usec_t now_us,
                       struct udx_delivered *delivered);

/* Moves what RACK holds for lost to the lost list and returns how many, without a probe of the MTU: its loss says nothing of the
 * path's load (RFC 8899 3, 4.4). Sets the deadline to look again. */
unsigned udx_recovery_detect(struct udx_recovery *recovery, const struct udx_rtt *rtt, bool recovering, usec_t now_us);

/* The timeout: the oldest packet is lost, and all that are older than a round trip. Returns how many, likewise. */
unsigned udx_recovery_time_out(struct udx_recovery *recovery, const struct udx_rtt *rtt, usec_t now_us);

/* Longer than passes any path, and not to be cut on its way. */
static inline bool udx_sent_large(const struct udx_sent *sent)
{
        return sent->len > UDX_PAYLOAD_BASE && !sent->pieces;
}

static inline size_t udx_sent_bytes(const struct udx_sent *sent)
{
        return (size_t)sent->len + UDX_WIRE_EXTRA;
}

#endif
