/* SPDX-License-Identifier: BSD-3-Clause */
/* How long the datagrams of a stream may be: at first what passes any path, then what this one is found to carry, and less again where
 * that vanishes (RFC 8899, without its timers: probes are data, so who has none to send does not ask).
 *
 * A probe is a packet of data, no longer than what is known to pass, with zeros behind its header, as libudx (transport.md 3.11) sends
 * and takes them. What it carries is sent again without them where it is lost. Sizes are those of datagrams: IP packets without 28 bytes.
 * Ours are tried from the largest down, as most paths carry 1,500; the other direction is the peer's to find out. */
#ifndef HG_UDX_MTU_H
#define HG_UDX_MTU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "udx_packet.h"
#include "usec.h"

struct udx_mtu {
        bool grows;                     /* it may */
        uint16_t bytes;                 /* known to pass */
        uint16_t limit_bytes;           /* so much, and more, does not; UDX_DATAGRAM_MAX + 1: not seen */
        uint16_t probe_bytes;           /* under way; 0: none is, */
        uint32_t probe_seq;             /* in the packet of that number */
        unsigned failures;              /* of probes as long, in a row */
        usec_t raise_us;                /* what was too much may have become possible */
        usec_t ready_us;                /* after a fall: no probe before */
        usec_t pause_us;                /* the last one; 0: there was none */
        usec_t found_us;                /* when @bytes was found to pass */

        uint16_t asked_bytes;           /* the longest message that did not fit */
        uint16_t proved_bytes;          /* a packet so long arrived, */
        usec_t proved_us;               /* and was sent then */
        uint16_t beside_bytes;          /* the longest message let through since then */
        usec_t renew_us;                /* the next one as long shall be data, for another proof */
};

/* Nothing is known of the path. */
void udx_mtu_init(struct udx_mtu *mtu, bool grows);

/* How long a probe is wanted now; 0: none. */
size_t udx_mtu_wanted(struct udx_mtu *mtu, usec_t now_us);

/* Packet @seq has left as a probe of @bytes. */
void udx_mtu_probed(struct udx_mtu *mtu, uint32_t seq, size_t bytes);

/* It arrived, or it did not. Other packets than the one under way say nothing. */
void udx_mtu_passed(struct udx_mtu *mtu, uint32_t seq, usec_t now_us);
void udx_mtu_lost(struct udx_mtu *mtu, uint32_t seq, usec_t now_us);

/* Datagrams longer than UDX_PACKET_BASE vanish, or the way out takes none of @refused bytes (0: that is not known). */
void udx_mtu_fall(struct udx_mtu *mtu, size_t refused_bytes, usec_t now_us);

/* The way out takes none of @bytes, as the system says. */
void udx_mtu_refused(struct udx_mtu *mtu, size_t bytes, usec_t now_us);

/* --- Messages: nobody acknowledges them, so data must show that the path still carries what is as long --- */

/* A packet of data of @bytes, more than pass any path, and sent at @sent_us, has arrived whole. */
void udx_mtu_proved(struct udx_mtu *mtu, size_t bytes, usec_t sent_us);

/* A message in a datagram of @bytes gets through now, as far as anybody knows. False: what it says should go as data, which finds out for
 * those that follow; where it is more than is known to pass, that is what udx_mtu_asked() is for. */
bool udx_mtu_takes_message(struct udx_mtu *mtu, size_t bytes, usec_t rtt_us, usec_t now_us);

/* How long a probe is wanted for messages' sake: no longer than it takes, as there may be little that can be lost with it; 0: none. */
size_t udx_mtu_asked(struct udx_mtu *mtu, usec_t now_us);

#endif
