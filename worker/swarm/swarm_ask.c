/* SPDX-License-Identifier: BSD-3-Clause */
/* What somebody at the supervisor's control socket wants to know: asked of the node, answered as its answers come. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc_question.h"
#include "ipc_swarm.h"
#include "swarm_process.h"

enum { PEERS_MAX = 256 };               /* told of at a time */

_Static_assert((int)NODE_SIGHTINGS_MAX == (int)IPC_SIGHTINGS_MAX && (int)NODE_OWN_RELAYS_MAX == (int)IPC_OWN_RELAYS_MAX,
               "all of it is told");

static struct ipc_swarm_bootstrap told(const struct addr *addr)
{
        struct ipc_swarm_bootstrap out = { .port = addr->port };

        memcpy(out.ip, addr->ip, sizeof(out.ip));
        return out;
}

static void answered(struct swarm_process *swarm, uint64_t question, size_t replies, bool busy)
{
        struct ipc_swarm_answered end = { .question = question, .replies = (uint32_t)replies, .busy = busy };

        worker_send(&swarm->worker.supervisor, IPC_SWARM_ANSWERED, &end, NULL, 0);
}

static void tell_self(struct swarm_process *swarm, uint64_t question)
{
        struct ipc_swarm_self out = { .question = question };
        struct node_self self;

        node_self(swarm->node, &self);
        out.nat = self.nat;
        out.settled = self.settled;
        out.persistent = self.persistent;
        out.seen = told(&self.public_addr);
        out.sighting_count = (uint32_t)self.sighting_count;
        for (size_t i = 0; i < self.sighting_count; i++) {
                out.witness[i] = told(&self.sightings[i].witness);
                out.sighting[i] = told(&self.sightings[i].seen);
        }
        for (size_t role = 0; role < NODE_ROLES; role++) {
                out.relay_count[role] = (uint32_t)self.relay_count[role];
                for (size_t i = 0; i < self.relay_count[role]; i++)
                        out.relay[role][i] = told(&self.relays[role][i]);
        }
        worker_send(&swarm->worker.supervisor, IPC_SWARM_SELF, &out, NULL, 0);
        answered(swarm, question, 0, false);
}

static void tell_peer(struct swarm_process *swarm, uint64_t question, const struct node_peer *peer)
{
        struct ipc_swarm_peer out = {
                .question = question, .took_us = peer->attempt.took_us, .rtt_us = peer->rtt_us, .up_us = peer->up_us,
                .sent_bytes = peer->sent_bytes, .received_bytes = peer->received_bytes, .packets_resent = peer->packets_resent,
                .datagram_bytes = (uint32_t)peer->datagram_bytes, .skew_ms = peer->skew_ms, .at = told(&peer->addr),
                .role = peer->role == NODE_PROVIDER ? IPC_AS_PROVIDER : IPC_AS_GATEWAY,
                .path = peer->attempt.path, .own_nat = peer->attempt.own_nat, .peer_nat = peer->attempt.peer_nat,
                .rounds = peer->attempt.rounds, .incoming = peer->attempt.incoming,
                .leaves = peer->leaves, .outdated = peer->outdated,
        };

        memcpy(out.key, peer->key, sizeof(out.key));
        worker_send(&swarm->worker.supervisor, IPC_SWARM_PEER, &out, NULL, 0);
}

/* Those whose last attempt failed. */
static void tell_failed(struct swarm_process *swarm, uint64_t question)
{
        for (size_t i = 0; i < swarm->attempts.failed_count; i++) {
                struct ipc_swarm_peer out = { .question = question };

                if (swarm->attempts.failed[i].failure == NODE_REACHED)
                        continue;
                out.forbidden = swarm->attempts.failed[i].failure == NODE_NOT_ALLOWED;
                memcpy(out.key, swarm->attempts.failed[i].peer, sizeof(out.key));
                snprintf(out.why, sizeof(out.why), "%s", attempts_failure(swarm->attempts.failed[i].failure));
                worker_send(&swarm->worker.supervisor, IPC_SWARM_PEER, &out, NULL, 0);
        }
}

static void tell_peers(struct swarm_process *swarm, uint64_t question)
{
        struct node_peer *peers = calloc(PEERS_MAX, sizeof(*peers));
        size_t count = peers ? node_peers(swarm->node, peers, PEERS_MAX, &swarm->driver.now) : 0;

        for (size_t i = 0; i < count && i < PEERS_MAX; i++)
                tell_peer(swarm, question, &peers[i]);
        free(peers);
        tell_failed(swarm, question);
        answered(swarm, question, count, false);
}

static void tell_channels(struct swarm_process *swarm, uint64_t question)
{
        struct ipc_swarm_channel *list = calloc(IPC_CHANNELS_TOLD_MAX, sizeof(*list));
        size_t count = list ? channels_list(&swarm->channels, list, IPC_CHANNELS_TOLD_MAX) : 0;

        for (size_t i = 0; i < count && i < IPC_CHANNELS_TOLD_MAX; i++) {
                list[i].question = question;
                worker_send(&swarm->worker.supervisor, IPC_SWARM_CHANNEL, &list[i], NULL, 0);
        }
        free(list);
        answered(swarm, question, count, false);
}

bool swarm_ask(struct swarm_process *swarm, const struct ipc_swarm_ask *ask)
{
        struct addr node = { .port = ask->node.port };
        int r = 0;

        if (ask->what >= IPC_QUESTIONS)
                return false;
        memcpy(node.ip, ask->node.ip, sizeof(node.ip));
        driver_tell_time(&swarm->driver);
        if (!swarm->node || swarm->leaving)
                answered(swarm, ask->question, 0, true);
        else if (ask->what == IPC_ASK_SELF)
                tell_self(swarm, ask->question);
        else if (ask->what == IPC_ASK_PEERS)
                tell_peers(swarm, ask->question);
        else if (ask->what == IPC_ASK_CHANNELS)
                tell_channels(swarm, ask->question);
        else if (ask->what == IPC_ASK_SCAN)
                r = node_scan(swarm->node, ask->question, ask->key, &swarm->driver.now);
        else
                r = node_ping(swarm->node, ask->question, &node, ask->by_server, &swarm->driver.now);
        if (r < 0)
                answered(swarm, ask->question, 0, true);
        return true;
}

static void tell_found(struct swarm_process *swarm, const struct node_event *event)
{
        struct ipc_swarm_found out = { .question = event->question };

        memcpy(out.key, event->peer, sizeof(out.key));
        for (; out.relay_count < event->addr_count && out.relay_count < IPC_RELAYS_MAX; out.relay_count++)
                out.relay[out.relay_count] = told(&event->addrs[out.relay_count]);
        worker_send(&swarm->worker.supervisor, IPC_SWARM_FOUND, &out, NULL, 0);
}

static void tell_pong(struct swarm_process *swarm, const struct node_event *event)
{
        struct ipc_swarm_pong out = { .question = event->question, .took_us = event->took_us, .sends = (uint32_t)event->count,
                                      .seen = told(&event->addr) };

        worker_send(&swarm->worker.supervisor, IPC_SWARM_PONG, &out, NULL, 0);
}

void swarm_ask_event(struct swarm_process *swarm, const struct node_event *event)
{
        if (event->kind == NODE_FOUND)
                tell_found(swarm, event);
        else if (event->kind == NODE_PONG)
                tell_pong(swarm, event);
        else
                answered(swarm, event->question, event->count, false);
}
