/* SPDX-License-Identifier: BSD-3-Clause */
/* What people ask who look for what is wrong: who is on a topic, whether a node is there, how others see us. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "node_state.h"

_Static_assert((int)NODE_SIGHTINGS_MAX == (int)DHT_SIGHTINGS_MAX && (int)NODE_OWN_RELAYS_MAX == (int)DHT_RELAYS_MAX,
               "node.h says what dht.h does");
_Static_assert((int)NODE_NAT_UNKNOWN == (int)NAT_UNKNOWN && (int)NODE_NAT_OPEN == (int)NAT_OPEN &&
               (int)NODE_NAT_CONSISTENT == (int)NAT_CONSISTENT && (int)NODE_NAT_RANDOM == (int)NAT_RANDOM,
               "node.h says what nat_payload.h does");

struct node_answer {
        struct list in_node;
        struct node_event event;
        struct addr addrs[DHT_PEER_RELAYS_MAX];
};

static struct node_question *question_new(struct node *node, uint64_t number)
{
        struct node_question *question = calloc(1, sizeof(*question));

        if (!question)
                return NULL;
        question->node = node;
        question->number = number;
        question->asked_us = node->now.mono_us;
        list_push_back(&node->questions, &question->in_node);
        return question;
}

static void question_free(struct node_question *question)
{
        list_remove(&question->in_node);
        free(question->keys);
        free(question);
}

static bool is_full(const struct node *node)
{
        size_t open = 0;

        list_for_each(at, &node->questions)
                open++;
        return open >= NODE_QUESTIONS_MAX;
}

int node_scan(struct node *node, uint64_t number, const uint8_t topic[NODE_KEY_BYTES], const struct now *now)
{
        struct dht_query_spec spec = { .operation = DHT_LOOKUP, .target = topic };
        struct node_question *question;

        node->now = *now;
        if (is_full(node))
                return -EBUSY;
        question = question_new(node, number);
        if (!question)
                return -ENOMEM;
        question->keys = calloc(NODE_FOUND_MAX, sizeof(*question->keys));
        spec.context = question;
        if (question->keys)
                question->scan = dht_query(node->dht, &spec, now);
        if (!question->scan) {
                question_free(question);
                return -ENOMEM;
        }
        node->fresh = true;
        return 0;
}

int node_ping(struct node *node, uint64_t number, const struct addr *addr, bool by_server, const struct now *now)
{
        struct node_question *question;

        node->now = *now;
        if (by_server && !dht_is_probed(node->dht))
                return -EAGAIN;
        if (is_full(node))
                return -EBUSY;
        question = question_new(node, number);
        if (!question)
                return -ENOMEM;
        question->ping = dht_ping(node->dht, addr, by_server, question, now);
        if (!question->ping) {
                question_free(question);
                return -ENOMEM;
        }
        node->fresh = true;
        return 0;
}

/* What does not fit is not told: an answer is no promise. */
static struct node_answer *tell(const struct node_question *question, enum node_event_kind kind)
{
        struct node_answer *answer = calloc(1, sizeof(*answer));

        if (!answer)
                return NULL;
        answer->event = (struct node_event){ .kind = kind, .question = question->number,
                                             .took_us = question->node->now.mono_us - question->asked_us };
        list_push_back(&question->node->answers, &answer->in_node);
        return answer;
}

static bool is_news(struct node_question *question, const uint8_t key[NODE_KEY_BYTES])
{
        for (size_t i = 0; i < question->key_count; i++)
                if (memcmp(question->keys[i], key, NODE_KEY_BYTES) == 0)
                        return false;
        if (question->key_count == NODE_FOUND_MAX)
                return false;
        memcpy(question->keys[question->key_count++], key, NODE_KEY_BYTES);
        return true;
}

static void found(struct node_question *question, const struct dht_event *event)
{
        struct node_answer *answer = is_news(question, event->public_key) ? tell(question, NODE_FOUND) : NULL;

        if (!answer)
                return;
        memcpy(answer->event.peer, event->public_key, sizeof(answer->event.peer));
        memcpy(answer->addrs, event->relays, event->relay_count * sizeof(answer->addrs[0]));
        answer->event.addr_count = event->relay_count;
}

static void ponged(struct node_question *question, const struct dht_event *event)
{
        struct node_answer *answer = tell(question, NODE_PONG);

        if (!answer)
                return;
        answer->event.addr = event->to;
        answer->event.count = event->sends;
}

static void over(struct node_question *question, size_t replies)
{
        struct node_answer *answer = tell(question, NODE_ANSWERED);

        if (answer)
                answer->event.count = replies;
        question_free(question);
}

static struct node_question *find(struct node *node, const struct dht_event *event)
{
        list_for_each(at, &node->questions) {
                struct node_question *question = list_entry(at, struct node_question, in_node);

                if ((event->query && event->query == question->scan) || (event->handshake && event->handshake == question->ping))
                        return question;
        }
        return NULL;
}

bool node_ask_dht_event(struct node *node, const struct dht_event *event)
{
        struct node_question *question = find(node, event);

        if (!question)
                return false;
        switch (event->kind) {
        case DHT_PEER_LISTED:
                found(question, event);
                break;
        case DHT_QUERY_DONE:
                over(question, event->replies);
                break;
        case DHT_PONG:
                ponged(question, event);
                over(question, 1);
                break;
        case DHT_PING_FAILED:
                over(question, 0);
                break;
        default:
                break;
        }
        return true;
}

bool node_ask_event(struct node *node, struct node_event *out)
{
        struct list *first = list_first(&node->answers);

        free(node->told);
        node->told = first ? list_entry(first, struct node_answer, in_node) : NULL;
        if (!first)
                return false;
        list_remove(first);
        *out = node->told->event;
        out->addrs = node->told->addrs;
        return true;
}

void node_ask_fini(struct node *node)
{
        list_for_each(at, &node->questions)
                question_free(list_entry(at, struct node_question, in_node));
        list_for_each(at, &node->answers)
                free(list_entry(at, struct node_answer, in_node));
        free(node->told);
}

void node_self(const struct node *node, struct node_self *out)
{
        struct dht_sighting sightings[DHT_SIGHTINGS_MAX];
        struct dht_stats stats;

        dht_stats(node->dht, &stats);
        *out = (struct node_self){ .nat = (enum node_nat)peer_nat(node->peers), .persistent = stats.persistent,
                                  .settled = dht_is_probed(node->dht) && dht_is_surveyed(node->dht) };
        if (!dht_public_addr(node->dht, &out->public_addr))
                out->public_addr = (struct addr){ .port = 0 };
        out->sighting_count = dht_sightings(node->dht, sightings);
        for (size_t i = 0; i < out->sighting_count; i++) {
                out->sightings[i].witness = sightings[i].witness;
                out->sightings[i].seen = sightings[i].seen;
        }
        for (size_t role = 0; role < NODE_ROLES; role++)
                if (node->joins[role].node && node->joins[role].listener)
                        out->relay_count[role] = peer_listener_relays(node->joins[role].listener, out->relays[role]);
}

static void describe(const struct node_link *link, struct node_peer *out, usec_t now_us)
{
        struct conn_stats stats;
        struct tunnel_stats tunnel;

        conn_stats(link->conn, &stats);
        tunnel_stats(link->tunnel, &tunnel);
        *out = (struct node_peer){
                .role = link->role, .addr = conn_remote_addr(link->conn), .attempt = link->attempt, .rtt_us = stats.udx.srtt_us,
                .up_us = now_us - stats.opened_us, .sent_bytes = stats.bytes_out, .received_bytes = stats.bytes_in,
                .packets_resent = stats.udx.packets_resent, .skew_ms = tunnel.skew_ms,
                .leaves = link->leaves, .outdated = node_router_outdated(link),
        };
        if (tunnel.unordered)
                out->datagram_bytes = conn_unordered_bytes(link->conn) - TUNNEL_UNORDERED_HEAD_BYTES;
        memcpy(out->key, link->key, sizeof(out->key));
        if (conn_is_relayed(link->conn))
                out->attempt.path = NODE_PATH_RELAY;
        else if (out->attempt.path == NODE_PATH_RELAY)
                out->attempt.path = NODE_PATH_DIRECT;
}

size_t node_peers(const struct node *node, struct node_peer *out, size_t max, const struct now *now)
{
        size_t count = 0;

        list_for_each(at, &node->links) {
                const struct node_link *link = list_entry(at, struct node_link, in_links);

                if (!link->told_up || !link->conn || !link->tunnel)
                        continue;
                if (count < max)
                        describe(link, &out[count], now->mono_us);
                count++;
        }
        return count;
}
