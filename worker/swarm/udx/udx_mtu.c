/* SPDX-License-Identifier: BSD-3-Clause */
#include "udx_mtu.h"

#include "cleanup.h"

enum {
        FAILURES_MAX = 3,               /* RFC 8899 5.1.2 MAX_PROBES: a probe can be lost like any packet */
};

#define RAISE_US SECONDS(600)           /* RFC 8899 5.1.1 PMTU_RAISE_TIMER */
#define PAUSE_US SECONDS(5)             /* an outage looks much like a black hole: the first fall is soon made good, */
#define PAUSE_MAX_US RAISE_US           /* and each that follows takes twice as long */

/* IP packets without 28 bytes: Ethernet, PPPoE, a tunnel with IP in IP, VXLAN, WireGuard; round numbers that tunnels are given by hand;
 * IPv6's minimum. */
static const uint16_t sizes[] = { 1472, 1464, 1452, 1422, 1392, 1372, 1332, 1292, 1252 };

void udx_mtu_init(struct udx_mtu *mtu, bool grows)
{
        *mtu = (struct udx_mtu){ .grows = grows, .bytes = UDX_PACKET_BASE, .limit_bytes = UDX_DATAGRAM_MAX + 1, .raise_us = USEC_NEVER };
}

size_t udx_mtu_wanted(struct udx_mtu *mtu, usec_t now_us)
{
        if (!mtu->grows || mtu->probe_bytes || now_us < mtu->ready_us)
                return 0;
        if (now_us >= mtu->raise_us) {
                mtu->limit_bytes = UDX_DATAGRAM_MAX + 1;
                mtu->raise_us = USEC_NEVER;
        }
        for (size_t i = 0; i < ARRAY_LEN(sizes) && sizes[i] > mtu->bytes; i++)
                if (sizes[i] < mtu->limit_bytes && sizes[i] - mtu->bytes <= UDX_PADDING_MAX)
                        return sizes[i];
        return 0;
}

void udx_mtu_probed(struct udx_mtu *mtu, uint32_t seq, size_t bytes)
{
        mtu->probe_seq = seq;
        mtu->probe_bytes = (uint16_t)bytes;
}

static void give_up(struct udx_mtu *mtu, size_t bytes, usec_t now_us)
{
        mtu->limit_bytes = (uint16_t)MIN(bytes, (size_t)mtu->limit_bytes);
        mtu->failures = 0;
        mtu->raise_us = now_us + RAISE_US;
}

void udx_mtu_passed(struct udx_mtu *mtu, uint32_t seq, usec_t now_us)
{
        if (!mtu->probe_bytes || seq != mtu->probe_seq)
                return;
        mtu->bytes = mtu->probe_bytes;
        mtu->probe_bytes = 0;
        mtu->failures = 0;
        mtu->found_us = now_us;
}

void udx_mtu_lost(struct udx_mtu *mtu, uint32_t seq, usec_t now_us)
{
        if (!mtu->probe_bytes || seq != mtu->probe_seq)
                return;
        if (++mtu->failures >= FAILURES_MAX)
                give_up(mtu, mtu->probe_bytes, now_us);
        mtu->probe_bytes = 0;
}

void udx_mtu_fall(struct udx_mtu *mtu, size_t refused_bytes, usec_t now_us)
{
        struct udx_mtu before = *mtu;
        bool lasted = now_us - before.found_us >= PAUSE_MAX_US;

        udx_mtu_init(mtu, before.grows);
        mtu->pause_us = !before.pause_us || lasted ? PAUSE_US : usec_min(2 * before.pause_us, PAUSE_MAX_US);
        mtu->ready_us = now_us + mtu->pause_us;
        if (refused_bytes)
                give_up(mtu, refused_bytes, now_us);
}

void udx_mtu_refused(struct udx_mtu *mtu, size_t bytes, usec_t now_us)
{
        if (bytes <= UDX_PACKET_BASE)
                return;
        if (bytes <= mtu->bytes) {
                udx_mtu_fall(mtu, bytes, now_us);
                return;
        }
        give_up(mtu, bytes, now_us);
        if (mtu->probe_bytes >= bytes)
                mtu->probe_bytes = 0;
}
