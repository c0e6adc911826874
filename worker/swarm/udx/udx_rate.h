/* SPDX-License-Identifier: BSD-3-Clause */
/* How fast the path delivers: of each packet acknowledged, what was delivered since before it was sent, over the time that took
 * (draft-ietf-ccwg-bbr, "Delivery Rate Samples"). Says of a sample whether somebody else than the path set its pace. */
#ifndef HG_UDX_RATE_H
#define HG_UDX_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "usec.h"

enum udx_rate_limit {
        UDX_LIMIT_PATH,                 /* or our estimate of it */
        UDX_LIMIT_PEER,                 /* its window was full, or our buffer of what it has not acknowledged */
        UDX_LIMIT_APP,                  /* there was nothing more to send */
};

struct udx_rate {
        uint64_t delivered;             /* bytes, with headers, (S)ACKed in all */
        uint64_t lost;                  /* found lost in all */
        usec_t delivered_us;            /* when the last of them were */
        usec_t first_sent_us;           /* start of the flight that is being measured */
        enum udx_rate_limit limit;
        uint64_t limited_until;         /* once so much is delivered, that pause is behind */
        usec_t valid_us;                /* packets sent before that went another path */
};

/* What a packet remembers of the time it was sent. */
struct udx_rate_mark {
        uint32_t delivered;             /* low bits of the sum then */
        uint32_t lost;
        uint32_t flying;                /* bytes, it among them */
        uint32_t since_delivered_us, since_first_us;    /* before it was sent */
        enum udx_rate_limit limit : 8;
};

/* From one acknowledgement; start with USEC_NEVER as @interval_us. */
struct udx_rate_sample {
        usec_t sent_us;                 /* of the packet sent last among those delivered */
        struct udx_rate_mark mark;
        usec_t send_us, ack_us;         /* what its flight took to leave, and to be acknowledged */
        bool any;
};

static inline void udx_rate_mark(struct udx_rate *rate, struct udx_rate_mark *mark, size_t flying_bytes, size_t bytes, usec_t now_us)
{
        if (!flying_bytes)
                rate->first_sent_us = rate->delivered_us = now_us;
        *mark = (struct udx_rate_mark){
                .delivered = (uint32_t)rate->delivered,
                .lost = (uint32_t)rate->lost,
                .flying = (uint32_t)(flying_bytes + bytes),
                .since_delivered_us = (uint32_t)usec_min(now_us - rate->delivered_us, UINT32_MAX),
                .since_first_us = (uint32_t)usec_min(now_us - rate->first_sent_us, UINT32_MAX),
                .limit = rate->limit,
        };
}

/* A packet of @bytes, sent @sent_us with @mark, was delivered. @mark is NULL where it was sent twice and that was not the sending that
 * arrived: it would tell of a round trip that there was not. */
static inline void udx_rate_delivered(struct udx_rate *rate, struct udx_rate_sample *sample, const struct udx_rate_mark *mark,
                                      size_t bytes, usec_t sent_us, usec_t now_us)
{
        rate->delivered += bytes;
        rate->delivered_us = now_us;
        if (!mark || sent_us < rate->valid_us || (sample->any && sent_us < sample->sent_us))
                return;
        sample->any = true;
        sample->sent_us = sent_us;
        sample->mark = *mark;
        sample->send_us = mark->since_first_us;
        sample->ack_us = now_us - (sent_us - mark->since_delivered_us);
        rate->first_sent_us = sent_us;
}

/* Nothing leaves for @limit's sake, while @flying_bytes are out. */
static inline void udx_rate_pause(struct udx_rate *rate, enum udx_rate_limit limit, size_t flying_bytes)
{
        rate->limit = limit;
        rate->limited_until = rate->delivered + flying_bytes;
}

/* After the packets of an acknowledgement. */
static inline void udx_rate_settle(struct udx_rate *rate)
{
        if (rate->delivered > rate->limited_until)
                rate->limit = UDX_LIMIT_PATH;
}

#endif
