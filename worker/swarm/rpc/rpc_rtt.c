/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc_rtt.h"

void rpc_rtt_sample(struct rpc_rtt *rtt, usec_t sample_us)
{
        usec_t off_us;

        sample_us = usec_min(usec_max(sample_us, 1), RPC_TIMER_MAX_US);
        if (!rtt->smoothed_us) {
                *rtt = (struct rpc_rtt){ .smoothed_us = sample_us, .varies_us = sample_us / 2 };
                return;
        }
        off_us = sample_us > rtt->smoothed_us ? sample_us - rtt->smoothed_us : rtt->smoothed_us - sample_us;
        rtt->varies_us = (3 * rtt->varies_us + off_us) / 4;
        rtt->smoothed_us = usec_max((7 * rtt->smoothed_us + sample_us) / 8, 1);
}

usec_t rpc_rtt_timer(const struct rpc_rtt *rtt)
{
        if (!rtt->smoothed_us)
                return RPC_TIMER_MAX_US;
        return usec_min(usec_max(rtt->smoothed_us + 4 * rtt->varies_us, RPC_TIMER_MIN_US), RPC_TIMER_MAX_US);
}
