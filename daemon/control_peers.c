/* SPDX-License-Identifier: BSD-3-Clause */
/* "peers": a line "peer" for each that this instance is connected to, and a line "unreached" for each that it could not reach lately, and
 * why. */
#include <stdio.h>

#include "control_ask.h"
#include "ipc_question.h"
#include "ipc_words.h"

static void write_unreached(struct json_line *out, const struct ipc_swarm_peer *peer)
{
        char why[IPC_WHY_MAX + 1];

        snprintf(why, sizeof(why), "%.*s", (int)sizeof(peer->why), peer->why);
        json_line_begin(out, "unreached");
        json_line_hex(out, "key", peer->key, sizeof(peer->key));
        json_line_text(out, "why", why);
        json_line_flag(out, "forbidden", peer->forbidden);
        json_line_end(out);
}

/* Why it goes the way it goes. */
static const char *reason_of(const struct ipc_swarm_peer *peer)
{
        static const char *const reasons[IPC_PATHS] = {
                [IPC_PATH_NONE] = "unknown",
                [IPC_PATH_DIRECT] = "one of the two is where strangers get through",
                [IPC_PATH_NEAR] = "both are on one network or machine",
                [IPC_PATH_PUNCHED] = "each NAT shows one address to all",
                [IPC_PATH_CHANCE] = "one of the NATs gives each remote another port, which was hit by chance",
                [IPC_PATH_RELAY] = "no direct way has opened yet",
        };

        if (peer->path == IPC_PATH_RELAY && peer->own_nat == IPC_NAT_RANDOM && peer->peer_nat == IPC_NAT_RANDOM)
                return "both NATs give each remote another port";
        return reasons[peer->path < IPC_PATHS ? peer->path : IPC_PATH_NONE];
}

static void write_peer(struct json_line *out, const struct ipc_swarm_peer *peer, uint32_t worker)
{
        json_line_begin(out, "peer");
        json_line_hex(out, "key", peer->key, sizeof(peer->key));
        json_line_text(out, "role", peer->role == IPC_AS_PROVIDER ? "provider" : "gateway");
        json_line_text(out, "path", ipc_path_word(peer->path));
        json_line_text(out, "why", reason_of(peer));
        json_line_address(out, "address", peer->at.ip, peer->at.port);
        json_line_text(out, "direction", peer->incoming ? "in" : "out");
        json_line_text(out, "ownNat", ipc_nat_word(peer->own_nat));
        json_line_text(out, "peerNat", ipc_nat_word(peer->peer_nat));
        json_line_number(out, "rounds", peer->rounds);
        json_line_decimal(out, "reachedInMs", (double)peer->took_us / 1e3);
        if (peer->rtt_us)
                json_line_decimal(out, "rttMs", (double)peer->rtt_us / 1e3);
        else
                json_line_null(out, "rttMs");
        json_line_decimal(out, "clockSkewSeconds", (double)peer->skew_ms / 1e3);
        json_line_decimal(out, "upSeconds", (double)peer->up_us / 1e6);
        json_line_number(out, "sentBytes", peer->sent_bytes);
        json_line_number(out, "receivedBytes", peer->received_bytes);
        json_line_number(out, "packetsResent", peer->packets_resent);
        json_line_flag(out, "leaves", peer->leaves);
        json_line_flag(out, "previousSecret", peer->outdated);
        json_line_number(out, "datagramBytes", peer->datagram_bytes);
        json_line_number(out, "worker", worker);
        json_line_end(out);
}

/* Connected to it, or not. */
static void write_either(struct json_line *out, const struct ipc_received *message, uint32_t worker)
{
        const struct ipc_swarm_peer *peer = IPC_PAYLOAD(message, struct ipc_swarm_peer);

        if (message->type != IPC_SWARM_PEER)
                return;
        if (peer->role)
                write_peer(out, peer, worker);
        else
                write_unreached(out, peer);
}

void control_peers(struct control_conn *conn, const char *words)
{
        control_ask_swarms(conn, IPC_ASK_PEERS, write_either);
}
