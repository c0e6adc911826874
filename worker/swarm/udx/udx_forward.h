/* SPDX-License-Identifier: BSD-3-Clause */
/* Two stream ids that lead to each other: packets of two peers who can't reach each other pass through us (libudx
 * udx_stream_relay_to(), connect.md 7.4). Only the id is rewritten; all else is between the peers. */
#ifndef HG_UDX_FORWARD_H
#define HG_UDX_FORWARD_H

#include <stddef.h>
#include <stdint.h>

#include "udx_stream.h"

struct udx_forward;

enum {
        UDX_FORWARD_QUEUE = 256,                /* packets that wait in one direction; further ones are lost, as in any router */
        UDX_FORWARD_BYTES = 16 * 1024 * 1024,   /* and in all of a mux */
};

struct udx_forward_stats {
        uint64_t packets, bytes;        /* passed on, both ways */
        uint64_t dropped;               /* full, over the rate, or too large */
        usec_t passed_us;               /* when last; its beginning before that */
};

/* A rate that some forwards keep to together; zeroed but for the rate. */
struct udx_meter {
        uint64_t bytes_per_s;           /* of UDX packets; 0: as many as come. May be changed at any time */
        uint64_t budget;
        usec_t earned_us;
};

/* @paths: where each peer is, how it calls its end, and the socket by which we reach it, until it calls another: nothing from
 * elsewhere passes. 0 or -ENOMEM. */
int udx_forward_new(struct udx_mux *mux, const struct udx_path paths[2], usec_t now_us, struct udx_forward **forward_out);

/* What waits is lost. NULL is fine. */
void udx_forward_free(struct udx_forward *forward);

/* How peer @side shall call our end. */
uint32_t udx_forward_id(const struct udx_forward *forward, unsigned side);

void udx_forward_stats(const struct udx_forward *forward, struct udx_forward_stats *out);

/* What passes, either way, counts for the meters of both sides (borrowed; NULL: none), the same one twice. */
void udx_forward_meter(struct udx_forward *forward, struct udx_meter *const meters[2]);

/* Bytes per second of UDX packets that all of a mux's forwards may pass; 0: as many as come. */
void udx_mux_set_forward_rate(struct udx_mux *mux, uint64_t bytes_per_s);

#endif
