/* SPDX-License-Identifier: BSD-3-Clause */
/* What became of attempts to reach peers, until it is told. */
#include <string.h>

#include "node_state.h"

_Static_assert((int)NODE_PATH_RELAY == (int)PEER_PATH_RELAY && (int)NODE_PATHS == (int)PEER_PATHS, "node.h says what peer.h says");
_Static_assert((int)NODE_NAT_RANDOM == (int)NAT_RANDOM, "and nat_payload.h");
_Static_assert((int)NODE_NO_MEMORY == (int)PEER_NO_MEMORY + 1 && (int)NODE_CAME_FIRST == (int)PEER_FAILURES + 1, "failures too");

static struct node_attempt attempt_of(const struct peer_attempt *attempt, enum node_failure failure, bool incoming)
{
        return (struct node_attempt){
                .failure = failure,
                .incoming = incoming,
                .path = (enum node_path)attempt->path,
                .own_nat = (enum node_nat)attempt->own_nat,
                .peer_nat = (enum node_nat)attempt->remote_nat,
                .rounds = attempt->rounds,
                .took_us = attempt->took_us,
        };
}

static void report(struct node_join *join, enum node_event_kind kind, const uint8_t key[NODE_KEY_BYTES], const struct addr *addr,
                   const struct node_attempt *attempt)
{
        struct node *node = join->node;
        struct node_report *report = &node->reports[node->report_count];

        if (node->report_count == NODE_REPORTS_MAX)
                return;
        node->report_count++;
        *report = (struct node_report){ .kind = kind, .role = join->role, .addr = *addr, .attempt = *attempt };
        memcpy(report->key, key, sizeof(report->key));
}

void node_attempt_dial(struct node_link *link, const struct peer_event *event)
{
        enum node_failure failure = event->kind == PEER_CONNECTED ? NODE_REACHED : (enum node_failure)(event->failure + 1);

        link->attempt = attempt_of(&event->attempt, failure, false);
        if (failure != NODE_REACHED)
                report(link->join, NODE_ATTEMPT, link->key, &event->remote, &link->attempt);
}

void node_attempt_cancel(struct node_link *link, enum node_failure failure)
{
        static const struct addr nowhere = { .port = 0 };
        struct peer_attempt attempt = peer_dial_attempt(link->dial, &link->node->now);
        enum peer_failure vain;

        if (peer_dial_is_vain(link->dial, &vain))
                failure = (enum node_failure)(vain + 1);        /* what ends it came after that */
        link->attempt = attempt_of(&attempt, failure, false);
        report(link->join, NODE_ATTEMPT, link->key, &nowhere, &link->attempt);
}

void node_attempt_keep(struct node_link *link, const struct peer_event *event)
{
        link->attempt = attempt_of(&event->attempt, NODE_REACHED, false);
}

void node_attempt_outdone(struct node_link *link)
{
        static const struct addr nowhere = { .port = 0 };

        link->attempt.failure = NODE_CAME_FIRST;
        link->attempt.path = NODE_PATH_NONE;
        report(link->join, NODE_ATTEMPT, link->key, &nowhere, &link->attempt);
}

struct node_attempt node_attempt_of_peer(const struct peer_event *event)
{
        return attempt_of(&event->attempt, NODE_REACHED, true);
}

void node_attempt_proven(struct node_link *link)
{
        report(link->join, NODE_ATTEMPT, link->key, &link->addr, &link->attempt);
}

/* Anybody may come: half of the room is for what became of our own. */
void node_attempt_forbidden(struct node_join *join, const uint8_t key[NODE_KEY_BYTES], const struct addr *addr)
{
        static const struct node_attempt forbidden = { .failure = NODE_NOT_ALLOWED, .incoming = true };

        if (join->node->report_count < NODE_REPORTS_MAX / 2)
                report(join, NODE_ATTEMPT, key, addr, &forbidden);
}

/* As above, of a peer of ours only. */
void node_attempt_moved(struct node_link *link, const struct peer_event *event)
{
        link->attempt.path = (enum node_path)event->attempt.path;
        link->addr = event->remote;
        if (link->state == NODE_LINK_UP)
                report(link->join, NODE_MOVED, link->key, &link->addr, &link->attempt);
}

bool node_attempt_event(struct node *node, struct node_event *out)
{
        const struct node_report *report = &node->reports[0];

        if (!node->report_count)
                return false;
        *out = (struct node_event){ .kind = report->kind, .role = report->role, .addr = report->addr, .attempt = report->attempt };
        memcpy(out->peer, report->key, sizeof(out->peer));
        node->report_count--;
        memmove(&node->reports[0], &node->reports[1], node->report_count * sizeof(node->reports[0]));
        return true;
}
