/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether the peer of a link still hears us. A stream without acknowledgements takes 13 s to die; that our own address is another one
 * can be known sooner. */
#include "node_state.h"

enum {
        PROOF_PINGS = 4,                /* one of them gets through, or nothing does */
        WATCH_STILL = 3,                /* looks without an acknowledgement: a NAT may have forgotten us */
};

#define WATCH_US MSEC(250)
#define RELAYED_US SECONDS(3)           /* between proofs that a relay is still there: UDX takes 13 s to find out */
#define RELAYED_PAUSE_US MSEC(1200)     /* in these, whose pings nobody's move is a reason for */
#define PROOF_PAUSE_US MSEC(300)        /* between pings that have to be acknowledged: UDX repeats each itself */

static uint64_t acked_bytes(const struct node_link *link)
{
        struct conn_stats stats;

        conn_stats(link->conn, &stats);
        return stats.bytes_out - conn_unacked_bytes(link->conn);
}

void node_link_ping(struct node_link *link)
{
        if (link->conn)
                conn_ping(link->conn, link->node->now.mono_us);
}

static bool is_doubted(const struct node_link *link)
{
        return node_link_lives(link) && link->proof.pings && !link->finished;
}

static usec_t proof_pause(const struct node_link *link)
{
        return link->relayed_us == USEC_NEVER ? PROOF_PAUSE_US : RELAYED_PAUSE_US;
}

void node_link_prove(struct node_link *link)
{
        node_link_ping(link);
        if (!node_link_lives(link) || link->finished)
                return;
        link->proof = (struct node_proof){ .pings = 1, .due_us = usec_add(link->node->now.mono_us, proof_pause(link)) };
        node_link_arm(link);
}

/* Whoever was silent before has less time to prove anything: it had some. */
void node_link_moved(struct node_link *link)
{
        if (!node_link_lives(link) || is_doubted(link))
                return;
        node_link_prove(link);
        if (link->watch.still >= WATCH_STILL)
                link->proof = (struct node_proof){ .pings = PROOF_PINGS - 1, .due_us = link->proof.due_us, .acked = acked_bytes(link) };
}

static void begin_watch(struct node_link *link)
{
        link->watch = (struct node_watch){ .due_us = usec_add(link->node->now.mono_us, WATCH_US), .acked = acked_bytes(link) };
}

/* A path that is still may be a peer that died, a network that is down, or our own NAT that has forgotten the path: of these only the
 * last can be told at once, by those who see us from outside. */
static void watch_due(struct node_link *link)
{
        struct node_watch *watch = &link->watch;
        unsigned still = watch->acked == acked_bytes(link) ? watch->still + 1 : 0;

        watch->due_us = USEC_NEVER;
        if (link->finished || !conn_unacked_bytes(link->conn))
                return;
        begin_watch(link);
        watch->still = still;
        if (still >= WATCH_STILL)
                dht_check_relays(link->node->dht, &link->node->now);
}

/* A relay that is gone is seen by nothing but silence. */
static void look_at_relay(struct node_link *link)
{
        link->relayed_us = conn_is_relayed(link->conn) ? usec_add(link->node->now.mono_us, RELAYED_US) : USEC_NEVER;
        if (link->relayed_us != USEC_NEVER)
                node_link_prove(link);
}

/* What was on its way when the ground moved may still have come; what comes after the second ping counts. */
static void proof_due(struct node_link *link)
{
        struct node_proof *proof = &link->proof;
        uint64_t acked = acked_bytes(link);
        struct conn_stats stats;

        if (proof->pings == 1)
                proof->acked = acked;
        if (proof->pings > 1 && acked > proof->acked) {
                proof->pings = 0;
        } else if (proof->pings == PROOF_PINGS) {
                if (link->relayed_us != USEC_NEVER)
                        node_relay_lost(link->node, link->relay_key);
                node_link_cut(link, link->relayed_us == USEC_NEVER ? SWARM_MOVED : SWARM_LOST, false);
                return;
        } else {
                proof->pings++;
                node_link_ping(link);
                conn_stats(link->conn, &stats);
                proof->due_us = usec_add(link->node->now.mono_us, usec_max(proof_pause(link), 2 * stats.udx.srtt_us));
        }
        node_link_arm(link);
}

void node_link_over_relay(struct node_link *link)
{
        link->relayed_us = usec_add(link->node->now.mono_us, RELAYED_US);
}

void node_link_watch(struct node_link *link)
{
        if (link->watch.due_us == USEC_NEVER && conn_unacked_bytes(link->conn))
                begin_watch(link);
}

usec_t node_link_hearing_deadline(const struct node_link *link)
{
        if (!node_link_lives(link))
                return USEC_NEVER;
        if (is_doubted(link))
                return usec_min(link->watch.due_us, link->proof.due_us);
        return link->finished ? link->watch.due_us : usec_min(link->watch.due_us, link->relayed_us);
}

void node_link_hear(struct node_link *link)
{
        if (node_link_lives(link) && link->node->now.mono_us >= link->watch.due_us)
                watch_due(link);
        if (is_doubted(link) && link->node->now.mono_us >= link->proof.due_us)
                proof_due(link);
        else if (node_link_lives(link) && !is_doubted(link) && !link->finished && link->node->now.mono_us >= link->relayed_us)
                look_at_relay(link);
}
