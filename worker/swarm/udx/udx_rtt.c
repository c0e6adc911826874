/* SPDX-License-Identifier: BSD-3-Clause */
#include "udx_rtt.h"

#define SUSPECT_US SECONDS(5)           /* libudx: above this a sample must be near the estimate */
#define MIN_HALF_WINDOW_US SECONDS(150)

void udx_rtt_init(struct udx_rtt *rtt)
{
        *rtt = (struct udx_rtt){ .rto_us = UDX_RTO_MIN_US, .min_us = USEC_NEVER, .min_before_us = USEC_NEVER };
}

static void keep_min(struct udx_rtt *rtt, usec_t sample_us, usec_t now_us)
{
        if (now_us - rtt->min_since_us > MIN_HALF_WINDOW_US) {
                rtt->min_before_us = rtt->min_us;
                rtt->min_us = USEC_NEVER;
                rtt->min_since_us = now_us;
        }
        rtt->min_us = usec_min(rtt->min_us, sample_us);
}

void udx_rtt_sample(struct udx_rtt *rtt, usec_t sample_us, usec_t now_us)
{
        usec_t likely_us = rtt->srtt_us + 5 * rtt->var_us;

        sample_us = usec_max(sample_us, 1);
        if (sample_us > SUSPECT_US && sample_us > likely_us)
                sample_us = rtt->srtt_us ? usec_min(likely_us, UDX_RTO_MAX_US) : SUSPECT_US;
        keep_min(rtt, sample_us, now_us);

        if (!rtt->srtt_us) {
                rtt->srtt_us = sample_us;
                rtt->var_us = sample_us / 2;
        } else {
                usec_t off_us = sample_us > rtt->srtt_us ? sample_us - rtt->srtt_us : rtt->srtt_us - sample_us;

                rtt->var_us = (3 * rtt->var_us + off_us) / 4;
                rtt->srtt_us = usec_max((7 * rtt->srtt_us + sample_us) / 8, 1);
        }
        rtt->rto_us = usec_min(usec_max(rtt->srtt_us + 4 * rtt->var_us, UDX_RTO_MIN_US), UDX_RTO_MAX_US);
}

void udx_rtt_doubt(struct udx_rtt *rtt, usec_t took_us)
{
        if (took_us <= 2 * rtt->srtt_us + 4 * rtt->var_us)
                return;
        rtt->rto_us = usec_min(2 * rtt->rto_us, UDX_RTO_MAX_US);
}

usec_t udx_rtt_min(const struct udx_rtt *rtt)
{
        usec_t least_us = usec_min(rtt->min_us, rtt->min_before_us);

        return least_us == USEC_NEVER ? 0 : least_us;
}
