/* SPDX-License-Identifier: BSD-3-Clause */
/* Round trip estimate and retransmission timeout (RFC 6298, with libudx's bounds). */
#ifndef HG_UDX_RTT_H
#define HG_UDX_RTT_H

#include "usec.h"

#define UDX_RTO_MIN_US SECONDS(1)
#define UDX_RTO_MAX_US SECONDS(30)

struct udx_rtt {
        usec_t srtt_us, var_us;         /* srtt 0: no sample yet */
        usec_t rto_us;
        usec_t min_us, min_before_us;   /* of this half of the min-RTT window, and of the half before; USEC_NEVER: none */
        usec_t min_since_us;
};

void udx_rtt_init(struct udx_rtt *rtt);

/* A packet sent once took @sample_us to be acknowledged. Absurd samples are cut: an attacker may delay, not stop the clock. */
void udx_rtt_sample(struct udx_rtt *rtt, usec_t sample_us, usec_t now_us);

/* After a timeout something was acknowledged @took_us after it was sent again, which is no sample; USEC_NEVER: too soon for that to be
 * what was acknowledged. Unless it took about as long as a round trip that may be longer than the timeout, so that there will never be a
 * sample: waits twice as long until there is one (RFC 6298 5.5 to 5.7, Karn). */
void udx_rtt_doubt(struct udx_rtt *rtt, usec_t took_us);

/* Smallest of the last 150 to 300 seconds; 0 when there is none. */
usec_t udx_rtt_min(const struct udx_rtt *rtt);

#endif
