/* SPDX-License-Identifier: BSD-3-Clause */
#include "udx_mtu.h"

#include "cleanup.h"

enum {
        FAILURES_MAX = 3,               /* RFC 8899 5.1.2 MAX_PROBES: a probe can be lost like any packet */
};

#define RAISE_US SECONDS(600)           /* RFC 8899 5.1.1 PMTU_RAISE_TIMER */
#define PAUSE_US SECONDS(5)             /* an outage looks much like a black hole: the first fall is soon made good, */
#define PAUSE_MAX_US RAISE_US           /* and each that follows takes twice as long */
#define PROOF_US SECONDS(1)             /* and two round trips: so long messages rely on one, */
#define RENEW_US MSEC(500)              /* and see to the next after that */

/* IP packets without 28 bytes: Ethernet, PPPoE, a tunnel with IP in IP, VXLAN, WireGuard; round numbers that tunnels are given by hand;
 * IPv6's minimum. */
static const uint16_t sizes[] = { 1472, 1464, 1452, 1422, 1392, 1372, 1332, 1292, 1252 };

void udx_mtu_init(struct udx_mtu *mtu, bool grows)
{
        *mtu = (struct udx_mtu){ .grows = grows, .bytes = UDX_PACKET_BASE, .limit_bytes = UDX_DATAGRAM_MAX + 1, .raise_us = USEC_NEVER };
}

static bool may_probe(struct udx_mtu *mtu, usec_t now_us)
{
        if (!mtu->grows || mtu->probe_bytes || now_us < mtu->ready_us)
                return false;
        if (now_us >= mtu->raise_us) {
                mtu->limit_bytes = UDX_DATAGRAM_MAX + 1;
                mtu->raise_us = USEC_NEVER;
        }
        return true;
}

/* The longest probe there may be; or one that is just long enough for @enough bytes, or gets nearer. */
static size_t choose(const struct udx_mtu *mtu, size_t enough)
{
        size_t found = 0;

        for (size_t i = 0; i < ARRAY_LEN(sizes) && sizes[i] > mtu->bytes; i++)
                if (sizes[i] < mtu->limit_bytes && sizes[i] - mtu->bytes <= UDX_PADDING_MAX && (!found || sizes[i] >= enough))
                        found = sizes[i];
        return found;
}

size_t udx_mtu_wanted(struct udx_mtu *mtu, usec_t now_us)
{
        return may_probe(mtu, now_us) ? choose(mtu, UDX_DATAGRAM_MAX) : 0;
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
        udx_mtu_proved(mtu, mtu->bytes, now_us);
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

void udx_mtu_proved(struct udx_mtu *mtu, size_t bytes, usec_t sent_us)
{
        bool enough = mtu->beside_bytes && bytes >= mtu->beside_bytes;

        if (bytes < mtu->proved_bytes && !enough && sent_us < mtu->proved_us + PROOF_US)
                return;
        mtu->proved_bytes = (uint16_t)bytes;
        mtu->proved_us = usec_max(mtu->proved_us, sent_us);
        mtu->beside_bytes = 0;
        mtu->renew_us = mtu->proved_us + RENEW_US;
}

bool udx_mtu_takes_message(struct udx_mtu *mtu, size_t bytes, usec_t rtt_us, usec_t now_us)
{
        if (bytes <= UDX_PACKET_BASE)
                return true;
        if (bytes > mtu->bytes) {
                if (bytes < mtu->limit_bytes && (bytes > mtu->asked_bytes || mtu->asked_bytes >= mtu->limit_bytes))
                        mtu->asked_bytes = (uint16_t)bytes;
                return false;
        }
        if (bytes > mtu->proved_bytes || now_us >= mtu->proved_us + PROOF_US + 2 * rtt_us)
                return false;
        if (now_us >= mtu->renew_us && bytes >= mtu->beside_bytes) {
                mtu->renew_us = now_us + RENEW_US;
                return false;
        }
        mtu->beside_bytes = (uint16_t)MAX(bytes, (size_t)mtu->beside_bytes);
        return true;
}

size_t udx_mtu_asked(struct udx_mtu *mtu, usec_t now_us)
{
        return mtu->asked_bytes > mtu->bytes && may_probe(mtu, now_us) && mtu->asked_bytes < mtu->limit_bytes ?
               choose(mtu, mtu->asked_bytes) : 0;
}
