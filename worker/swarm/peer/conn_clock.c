/* SPDX-License-Identifier: BSD-3-Clause */
/* What a connection does with time: keep-alives, and how long it waits for the rest of a frame. */
#include "conn.h"
#include "peer_private.h"

enum {
        WAIT_TURNS = 3,                 /* and not only time: what was stopped for a while has not read meanwhile */
        WAIT_RTOS = 14,                 /* a peer that still has the rest gives up after 13: UDX_TIMEOUTS_MAX */
        WAIT_PROGRESS = 4096,           /* of a peer that has the rest; keep-alives are 60 bytes in that time */
};

#define WAIT_US SECONDS(15)

/* Who sends a frame has all of it, so its rest comes as fast as the path lets it, or the stream times out. If it only trickles, the
 * length is a lie: nothing authenticates it, and what is taken for its rest are the frames behind it. */
static bool waits_in_vain(struct conn *conn, usec_t now_us)
{
        struct conn_wait *wait = &conn->wait;
        struct udx_stats udx;
        uint64_t received;

        if (!conn->partial) {
                wait->turns = 0;
                return false;
        }
        udx_stream_stats(conn->stream, &udx);
        received = conn->bytes_in + udx.readable_bytes;
        if (!wait->turns || wait->frame_at != conn->bytes_in || received - wait->received >= WAIT_PROGRESS) {
                *wait = (struct conn_wait){ .since_us = now_us, .turns = 1, .frame_at = conn->bytes_in, .received = received };
                return false;
        }
        return ++wait->turns > WAIT_TURNS && now_us - wait->since_us >= usec_max(WAIT_US, WAIT_RTOS * udx.rto_us);
}

/* Strangers do not get in to us, and the peer is out there. */
static bool has_to_keep_open(const struct conn *conn)
{
        const struct peer_set *set = conn->source.set;
        const struct udx_path *path = udx_stream_path(conn->stream);
        struct addr open;

        return set->conn_count <= CONN_KEEP_OPEN_MAX && path && !addr_is_private(&path->remote) && !dht_open_addr(set->dht, &open);
}

static usec_t ping_us(const struct conn *conn)
{
        usec_t due_us = conn->written_us + CONN_KEEP_ALIVE_US, sent_us = usec_max(conn->written_us, conn->heard_us);
        usec_t pause_us = conn->initiator ? CONN_KEEP_OPEN_US : CONN_KEEP_OPEN_LATER_US;

        return has_to_keep_open(conn) ? usec_min(due_us, sent_us + pause_us) : due_us;
}

void conn_arm(struct conn *conn)
{
        usec_t due_us = ping_us(conn);

        heap_set(&conn->source.set->timers, &conn->source.timer, conn->follow_us ? usec_min(due_us, conn->follow_us) : due_us);
}

/* Writes don't touch the timer, it looks for itself whether it is too early. */
void conn_advance(struct conn *conn, usec_t now_us)
{
        if (conn->partial)
                conn_open_or_break(conn);       /* nobody may have looked since more came */
        if (waits_in_vain(conn, now_us))
                conn_break_off(conn);
        if (conn->state != CONN_OPEN)
                return;
        if (now_us >= ping_us(conn)) {
                conn_ping(conn, now_us);
                conn->written_us = now_us;
        }
        if (conn->follow_us && now_us >= conn->follow_us)
                conn_follow(conn, 0);
        conn_arm(conn);
}
