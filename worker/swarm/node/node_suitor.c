/* SPDX-License-Identifier: BSD-3-Clause */
/* Two peers that dial each other at once, and which of their two connections stays.
 *
 * Hyperswarm decides once it has worked on our handshake, which may take a while, and without a look at us: by the keys (swarm.md 5),
 * but a connection of its own over which something has gone both ways is outdated by ours (index.js _handleServerConnection()). Were our
 * dial given up when the peer's connection is there, and that one used, its handshake could still arrive, and both would be gone until
 * the peer's stream times out, ten seconds later. So the peer's connection waits, without a word from us, for the dial to be over:
 * cut off, or failed. */
#include <string.h>

#include "node_state.h"

#define SUITOR_US SECONDS(2)            /* for the peer to work on our handshake */
#define LOSER_US SECONDS(5)             /* the same for what the rule would not keep: if it is needed at all, then since our dial is lost */
#define VAIN_US SECONDS(1)              /* from the beginning of a dial to its connection, on any sane path */

/* Nothing arrives of it any more when it is given up, and nothing is lost with it. */
static bool may_give_up(const struct peer_dial *dial)
{
        return !peer_dial_is_asked(dial) || (peer_dial_punches(dial) && !peer_dial_bets(dial));
}

/* Somebody is welcome to come in, whom we may be dialling. The sooner a dial is given up of which nothing can arrive any more, the
 * less there is to cross. */
void node_link_awaited(struct node_join *join, const uint8_t key[NODE_KEY_BYTES])
{
        struct swarm_peer *peer = swarm_find(join->swarm, key);
        struct node_link *link = peer ? swarm_peer_context(peer) : NULL;

        if (!link || link->state != NODE_LINK_DIALLING || !link->dial || !may_give_up(link->dial))
                return;
        if (swarm_yields(join->swarm, peer, peer_dial_is_asked(link->dial), join->node->now.mono_us))
                node_link_cut(link, SWARM_AWAITED, false);
}

static void take_in(struct node_join *join, const uint8_t key[NODE_KEY_BYTES], const struct node_suitor *suitor)
{
        struct node_link *link = node_link_new(join, key);

        if (link)
                link->peer = swarm_connected(join->swarm, link->key, &suitor->addr, true, join->node->now.mono_us);
        if (!link || !link->peer) {
                if (link)
                        node_link_free(link);
                conn_free(suitor->conn);
                return;
        }
        node_link_deal_windows(join->node);
        link->attempt = suitor->attempt;
        node_link_greet(link, suitor->conn, &suitor->addr);
}

/* Of several the latest: who dials again has given up what was before. */
static void hold(struct node_link *link, const struct node_suitor *suitor)
{
        bool wins = swarm_choose(link->join->swarm, link->key, false) == SWARM_TAKE_NEW;

        conn_free(link->suitor.conn);
        link->suitor = *suitor;
        link->suitor.until_us = usec_add(link->node->now.mono_us, wins ? SUITOR_US : LOSER_US);
        conn_set_context(suitor->conn, link);
        node_link_arm(link);
}

/* What crosses with a dial of the peer's has led to it by then. */
static bool dials_in_vain(const struct node_link *link)
{
        return link->dial && peer_dial_attempt(link->dial, &link->node->now).took_us >= VAIN_US;
}

/* Somebody came in. There may be a connection to the same key already: the rule decides, the same on both sides. */
void node_link_accepted(struct node_join *join, const struct peer_event *event)
{
        struct node_suitor suitor = { .conn = event->conn, .addr = event->remote, .attempt = node_attempt_of_peer(event) };
        struct swarm_peer *there = swarm_find(join->swarm, event->remote_key);
        struct node_link *old = there ? swarm_peer_context(there) : NULL;
        /* What crossed with the one there is says nothing against it, though that may have carried something since. */
        bool carried = old && old->conn && conn_is_used(old->conn) && !conn_crossed(event->conn, old->conn);

        if (old && old->state == NODE_LINK_DIALLING && !dials_in_vain(old)) {
                hold(old, &suitor);
                return;
        }
        if (swarm_choose(join->swarm, event->remote_key, carried || (old && dials_in_vain(old))) == SWARM_KEEP_OLD) {
                conn_ping(old->conn, join->node->now.mono_us);
                conn_free(event->conn);
                return;
        }
        if (old)
                node_link_cut(old, SWARM_REPLACED, false);
        take_in(join, event->remote_key, &suitor);
}

void node_link_take_suitor(struct node_link *link)
{
        struct node_suitor suitor = link->suitor;
        struct node_join *join = link->join;
        uint8_t key[NODE_KEY_BYTES];

        memcpy(key, link->key, sizeof(key));
        if (!link->dial)
                node_attempt_outdone(link);
        link->suitor.conn = NULL;
        node_link_cut(link, SWARM_REPLACED, false);
        take_in(join, key, &suitor);
}

static void drop_suitor(struct node_link *link)
{
        conn_free(link->suitor.conn);
        link->suitor = (struct node_suitor){ .until_us = USEC_NEVER };
        node_link_arm(link);
}

/* One that is open while the rule is for the suitor will be cut off by the peer, and only then everything is said. */
bool node_link_outdoes_suitor(struct node_link *link, const struct peer_event *event)
{
        bool open = event->kind == PEER_CONNECTED;

        if (open && swarm_choose(link->join->swarm, link->key, false) == SWARM_KEEP_OLD) {
                drop_suitor(link);
                return true;
        }
        node_attempt_keep(link, event);
        link->dial = NULL;
        if (open) {
                link->conn = event->conn;
                conn_set_context(link->conn, link);
                swarm_peer_set_relays(link->peer, event->relays, event->relay_count);
        } else {
                node_link_take_suitor(link);
        }
        return false;
}

static void note_move(struct node_link *link, const struct peer_event *event, bool of_suitor)
{
        struct node_attempt *attempt = of_suitor ? &link->suitor.attempt : &link->attempt;

        attempt->path = (enum node_path)event->attempt.path;
        if (of_suitor)
                link->suitor.addr = event->remote;
}

/* The peer has decided. What it has said meanwhile is read once its connection is taken in. */
bool node_link_suitor_event(struct node_link *link, const struct peer_event *event)
{
        bool of_suitor = event->conn && event->conn == link->suitor.conn;

        if (!of_suitor && (link->state != NODE_LINK_DIALLING || !link->conn || event->conn != link->conn))
                return false;
        if (event->kind == PEER_CONN_MOVED)
                note_move(link, event, of_suitor);
        if (event->kind != PEER_CONN_CLOSED)
                return true;
        if (!of_suitor) {
                node_link_take_suitor(link);
                return true;
        }
        drop_suitor(link);
        if (link->conn)
                node_link_connected(link);
        return true;
}
