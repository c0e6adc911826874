/* SPDX-License-Identifier: BSD-3-Clause */
#include "attempts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ipc_question.h"
#include "ipc_words.h"

enum { TOLD_MAX = 30 };                 /* failures a minute */

const char *attempts_failure(enum node_failure failure)
{
        static const char *const names[NODE_FAILURES] = {
                [NODE_REACHED] = "reached",
                [NODE_NOT_FOUND] = "no node of the DHT knows it",
                [NODE_UNANSWERED] = "it did not answer the handshake: it is gone, or its allowPeers does not name us",
                [NODE_INCOMPATIBLE] = "it speaks another version of the protocol",
                [NODE_PEER_REFUSED] = "it answered with an error",
                [NODE_UNREACHED] = "it answered, but no packet got through",
                [NODE_NEEDS_PUNCH] = "both sides are behind NATs, and it does not punch holes",
                [NODE_PUNCH_UNANSWERED] = "hole punching: it stopped answering",
                [NODE_PUNCH_REFUSED] = "hole punching: it gave up",
                [NODE_PUNCH_BUSY] = "hole punching: others had to be waited for too long",
                [NODE_PUNCH_UNDECIDED] = "hole punching: too few DHT nodes answered to tell what one of the NATs is like",
                [NODE_PUNCH_IMPOSSIBLE] = "hole punching: impossible, as both NATs give each remote another port",
                [NODE_PUNCH_SHUT] = "hole punching: no packet got through",
                [NODE_PEER_BROKEN] = "what got through was not from it",
                [NODE_NO_MEMORY] = "out of memory",
                [NODE_CAME_FIRST] = "it came first",
                [NODE_CANCELLED] = "not needed any more",
                [NODE_NOT_ALLOWED] = "it comes, and allowPeers does not name it",
        };

        return names[failure];
}

_Static_assert((int)NODE_NAT_UNKNOWN == (int)IPC_NAT_UNKNOWN && (int)NODE_NAT_OPEN == (int)IPC_NAT_OPEN &&
               (int)NODE_NAT_CONSISTENT == (int)IPC_NAT_CONSISTENT && (int)NODE_NAT_RANDOM == (int)IPC_NAT_RANDOM &&
               (int)NODE_NATS == (int)IPC_NATS, "the same classes");
_Static_assert((int)NODE_PATH_NONE == (int)IPC_PATH_NONE && (int)NODE_PATH_DIRECT == (int)IPC_PATH_DIRECT &&
               (int)NODE_PATH_NEAR == (int)IPC_PATH_NEAR && (int)NODE_PATH_PUNCHED == (int)IPC_PATH_PUNCHED &&
               (int)NODE_PATH_CHANCE == (int)IPC_PATH_CHANCE && (int)NODE_PATH_RELAY == (int)IPC_PATH_RELAY &&
               (int)NODE_PATHS == (int)IPC_PATHS, "the same paths");

static size_t find(const struct attempts *attempts, const uint8_t peer[NODE_KEY_BYTES])
{
        size_t i = 0;

        while (i < attempts->failed_count && memcmp(attempts->failed[i].peer, peer, NODE_KEY_BYTES) != 0)
                i++;
        return i;
}

static void forget(struct attempts *attempts, const uint8_t peer[NODE_KEY_BYTES])
{
        size_t i = find(attempts, peer);

        if (i < attempts->failed_count)
                attempts->failed[i].failure = NODE_REACHED;
}

/* A peer fails as it did before. */
static bool is_old(struct attempts *attempts, const uint8_t peer[NODE_KEY_BYTES], enum node_failure failure)
{
        size_t i = find(attempts, peer);

        if (i < attempts->failed_count && attempts->failed[i].failure == failure)
                return true;
        if (i == ATTEMPTS_FAILED_MAX) {
                i = attempts->next;
                attempts->next = (attempts->next + 1) % ATTEMPTS_FAILED_MAX;
        } else if (i == attempts->failed_count) {
                attempts->failed_count++;
        }
        memcpy(attempts->failed[i].peer, peer, NODE_KEY_BYTES);
        attempts->failed[i].failure = failure;
        return false;
}

/* No more than a few a minute. */
static int sparing(struct attempts *attempts, usec_t now_us)
{
        if (!attempts->told || now_us - attempts->since_us >= MINUTES(1)) {
                attempts->since_us = now_us;
                attempts->told = 0;
        }
        return attempts->told++ < TOLD_MAX ? LOG_INFO : LOG_DEBUG;
}

static int level_of(struct attempts *attempts, const struct node_event *event, usec_t now_us)
{
        enum node_failure failure = event->attempt.failure;

        if (failure == NODE_REACHED) {
                forget(attempts, event->peer);
                return LOG_INFO;
        }
        if (failure == NODE_CAME_FIRST || failure == NODE_CANCELLED || is_old(attempts, event->peer, failure))
                return LOG_DEBUG;
        return sparing(attempts, now_us);
}

enum { SHORT_TEXT_MAX = 9 };            /* of a key, in a text, with its NUL */

static void peer_text(const struct node_event *event, char out[SHORT_TEXT_MAX])
{
        for (size_t i = 0; i < SHORT_TEXT_MAX / 2; i++)
                snprintf(out + 2 * i, 3, "%02x", event->peer[i]);
}

/* Where a relay ceases to be in the way, or is so again. */
static void tell_moved(struct attempts *attempts, struct worker *worker, const struct node_event *event, usec_t now_us)
{
        bool back = event->attempt.path == NODE_PATH_RELAY;
        const char *path = ipc_path_word(event->attempt.path);
        char peer[SHORT_TEXT_MAX], remote[ADDR_TEXT_MAX];
        struct ipc_fields fields = IPC_FIELDS_INIT;
        int level = sparing(attempts, now_us);

        if (level > worker->log_level)
                return;
        peer_text(event, peer);
        addr_text(&event->addr, remote);
        ipc_fields_key(&fields, "PEER", event->peer);
        ipc_fields_text(&fields, "REMOTE", remote);
        ipc_fields_text(&fields, "PATH", path);
        if (back)
                worker_log_event(worker, IPC_EVENT_PEER_MOVED, level, fields.list,
                                 "peer %s: the direct way is dead, back over the relay at %s", peer, remote);
        else
                worker_log_event(worker, IPC_EVENT_PEER_MOVED, level, fields.list,
                                 "peer %s: has left the relay for a direct way to %s, path %s", peer, remote, path);
}

/* The whole key, to be copied: nobody is let in by a part of one. */
static void tell_forbidden(struct attempts *attempts, struct worker *worker, const struct node_event *event, usec_t now_us)
{
        bool gateway = event->role == NODE_GATEWAY;
        int level = level_of(attempts, event, now_us);
        char peer[2 * NODE_KEY_BYTES + 1], remote[ADDR_TEXT_MAX];
        struct ipc_fields fields = IPC_FIELDS_INIT;

        if (level > worker->log_level)
                return;
        for (size_t i = 0; i < NODE_KEY_BYTES; i++)
                snprintf(peer + 2 * i, 3, "%02x", event->peer[i]);
        addr_text(&event->addr, remote);
        ipc_fields_key(&fields, "PEER", event->peer);
        ipc_fields_text(&fields, "REMOTE", remote);
        ipc_fields_text(&fields, "REASON", attempts_failure(event->attempt.failure));
        worker_log_event(worker, IPC_EVENT_PEER_FORBIDDEN, level, fields.list,
                         "peer %s at %s is not let in: allowPeers of %s does not name it; add it there if it is a %s of yours", peer, remote,
                         gateway ? "gateway" : "provider", gateway ? "provider" : "gateway");
}

static void tell_attempt(struct attempts *attempts, struct worker *worker, const struct node_event *event, usec_t now_us)
{
        const struct node_attempt *attempt = &event->attempt;
        bool reached = attempt->failure == NODE_REACHED;
        int level = level_of(attempts, event, now_us);
        char peer[SHORT_TEXT_MAX], remote[ADDR_TEXT_MAX] = "";
        struct ipc_fields fields = IPC_FIELDS_INIT;

        if (level > worker->log_level)
                return;
        peer_text(event, peer);
        if (event->addr.port)
                addr_text(&event->addr, remote);
        ipc_fields_key(&fields, "PEER", event->peer);
        ipc_fields_text(&fields, "REMOTE", remote);
        ipc_fields_text(&fields, "DIRECTION", attempt->incoming ? "in" : "out");
        ipc_fields_text(&fields, "PATH", ipc_path_word(attempt->path));
        ipc_fields_text(&fields, "OWN_NAT", ipc_nat_word(attempt->own_nat));
        ipc_fields_text(&fields, "PEER_NAT", ipc_nat_word(attempt->peer_nat));
        ipc_fields_number(&fields, "ROUNDS", attempt->rounds);
        ipc_fields_number(&fields, "DURATION_USEC", attempt->took_us);
        ipc_fields_text(&fields, "REASON", attempts_failure(attempt->failure));
        if (reached)
                worker_log_event(worker, IPC_EVENT_PEER_REACHED, level, fields.list,
                                 "peer %s: %s %s in %" PRIu64 " ms, path %s, NATs %s here and %s there, %u rounds", peer,
                                 attempt->incoming ? "came from" : "reached at", remote, attempt->took_us / 1000,
                                 ipc_path_word(attempt->path), ipc_nat_word(attempt->own_nat), ipc_nat_word(attempt->peer_nat),
                                 attempt->rounds);
        else
                worker_log_event(worker, IPC_EVENT_PEER_UNREACHED, level, fields.list,
                                 "peer %s: not reached after %" PRIu64 " ms, NATs %s here and %s there, %u rounds: %s", peer,
                                 attempt->took_us / 1000, ipc_nat_word(attempt->own_nat), ipc_nat_word(attempt->peer_nat),
                                 attempt->rounds, attempts_failure(attempt->failure));
}

/* It goes, or the connection is over: whether it had said so is what tells a stop from a failure, unless it is known what failed. */
static void tell_parting(struct attempts *attempts, struct worker *worker, const struct node_event *event, usec_t now_us)
{
        bool lost = event->reason == NODE_REASON_PEER_LOST, long_message = event->reason == NODE_REASON_TOO_LONG;
        struct ipc_fields fields = IPC_FIELDS_INIT;
        int level = sparing(attempts, now_us);
        char peer[SHORT_TEXT_MAX];

        if (level > worker->log_level)
                return;
        peer_text(event, peer);
        ipc_fields_key(&fields, "PEER", event->peer);
        if (event->kind == NODE_PEER_LEAVES)
                worker_log_event(worker, IPC_EVENT_PEER_LEAVES, level, fields.list, "peer %s: leaves, what runs may finish", peer);
        else if (long_message)
                worker_log_event(worker, IPC_EVENT_PEER_LOST, level, fields.list,
                                 "peer %s: the connection is lost: it sent a message of %zu bytes, more than is taken", peer, event->len);
        else if (lost)
                worker_log_event(worker, IPC_EVENT_PEER_LOST, level, fields.list, "peer %s: the connection is lost", peer);
        else
                worker_log_event(worker, IPC_EVENT_PEER_LEFT, level, fields.list, "peer %s: has left", peer);
}

void attempts_tell(struct attempts *attempts, struct worker *worker, const struct node_event *event, usec_t now_us)
{
        if (event->kind == NODE_MOVED)
                tell_moved(attempts, worker, event, now_us);
        else if (event->kind == NODE_PEER_DOWN || event->kind == NODE_PEER_LEAVES)
                tell_parting(attempts, worker, event, now_us);
        else if (event->attempt.failure == NODE_NOT_ALLOWED)
                tell_forbidden(attempts, worker, event, now_us);
        else
                tell_attempt(attempts, worker, event, now_us);
}
