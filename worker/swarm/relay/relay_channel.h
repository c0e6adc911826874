/* SPDX-License-Identifier: BSD-3-Clause */
/* One end of the one channel that a peer and its relay share: both open it at once, by the same name. */
#ifndef HG_RELAY_CHANNEL_H
#define HG_RELAY_CHANNEL_H

#include "relay_frame.h"

enum relay_channel_state {
        RELAY_CHANNEL_OPENING,          /* we have opened it, the other side has not */
        RELAY_CHANNEL_OPEN,
        RELAY_CHANNEL_CLOSED,           /* the other side refused or closed it */
};

enum relay_verdict {
        RELAY_IGNORED,
        RELAY_OPENED,
        RELAY_MESSAGE,                  /* here is one */
        RELAY_REFUSED,                  /* the other side wants a channel that is none of ours: write it a reject */
        RELAY_CLOSED,
        RELAY_MALFORMED,
};

#define RELAY_CHANNEL 1                 /* our name for it, as it is the first of protomux */

struct relay_channel {
        enum relay_channel_state state;
        uint8_t id[RELAY_KEY_BYTES];
        uint64_t remote;                /* the other side's name for it */
};

/* @id: the public key of the peer that is no relay. relay_open_write(w, RELAY_CHANNEL, id) is what must be sent first. */
void relay_channel_init(struct relay_channel *channel, const uint8_t id[RELAY_KEY_BYTES]);

/* What a frame of the other side's means. */
enum relay_verdict relay_channel_take(struct relay_channel *channel, const struct relay_frame *frame,
                                      struct relay_message *message_out);

#endif
