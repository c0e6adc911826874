/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages that pass through us to somebody else's server and back: handshakes and hole punches. Nothing is kept but who asked,
 * so that only answers come back to them. hyperdht lib/router.js onpeerhandshake(), onpeerholepunch(). */
#include "dht_private.h"

static void relay(struct dht *dht, const struct rpc_event *event, const struct addr *to, const uint8_t *value,
                  const struct writer *w, const struct now *now)
{
        const struct rpc_message *message = &event->message;

        if (!w->failed && dht_usable(dht, to) && rpc_allow(dht->rpc, &event->from, RPC_COST_RELAY, now->mono_us))
                rpc_relay(dht->rpc, event->socket, to, message->tid, message->command, message->target, value, writer_len(w));
}

/* To a client that asked. The server's port is not checked: it may answer from a socket it has opened for this client. */
static void answer(struct dht *dht, const struct rpc_event *event, const struct addr *client, const uint8_t *value,
                   const struct writer *w, const struct now *now)
{
        const struct rpc_message *message = &event->message;

        if (!w->failed && dht_passages_has(dht->passages, message->tid, message->target, client, now->mono_us) &&
            rpc_allow(dht->rpc, &event->from, RPC_COST_RELAY, now->mono_us))
                rpc_reply_to(dht->rpc, event->socket, client, message->tid,
                             &(struct rpc_reply){ .value = value, .value_len = writer_len(w) }, now->mono_us);
}

/* --- Handshakes --- */

static void relay_carrier(struct dht *dht, const struct rpc_event *event, const struct addr *to, const struct dht_carrier *carrier,
                          const struct now *now)
{
        uint8_t value[DHT_NOISE_MAX + DHT_CARRIER_OVERHEAD];
        struct writer w = writer_over(value, sizeof(value));

        dht_carrier_write(&w, carrier);
        relay(dht, event, to, value, &w, now);
}

/* Where a client's message goes: a relay it names must be a node we know, or we would be anybody's loudspeaker. */
static bool next_hop(const struct dht *dht, const struct rpc_event *event, const struct dht_carrier *carrier, struct addr *out)
{
        uint8_t id[DHT_ID_BYTES];

        if (!carrier->has_relay)
                return dht_forward_of(dht, event->message.target, out);
        rpc_node_id(&carrier->relay, id);
        *out = carrier->relay;
        return dht_table_find(dht->table, id);
}

static void pass_from_client(struct dht *dht, const struct rpc_event *event, const struct dht_carrier *carrier,
                             const struct now *now)
{
        struct dht_carrier next = {
                .mode = DHT_FROM_RELAY, .noise = carrier->noise, .noise_len = carrier->noise_len, .has_peer = true,
                .peer = event->from,
        };
        struct addr closer[DHT_K], to;

        if (next_hop(dht, event, carrier, &to)) {
                dht_passages_add(dht->passages, event->message.tid, event->message.target, &event->from, now->mono_us);
                relay_carrier(dht, event, &to, &next, now);
        } else if (!carrier->has_relay) {
                struct rpc_reply reply = { .closer = closer, .closer_count = dht_closer(dht, event->message.target, closer) };

                rpc_reply(dht->rpc, event, &reply, now->mono_us);
        }
}

static void pass_from_relay(struct dht *dht, const struct rpc_event *event, const struct dht_carrier *carrier,
                            const struct now *now)
{
        struct dht_carrier next = {
                .mode = DHT_FROM_SECOND_RELAY, .noise = carrier->noise, .noise_len = carrier->noise_len, .has_peer = true,
                .peer = carrier->peer, .has_relay = true, .relay = event->from,
        };
        struct addr to;

        if (carrier->has_peer && dht_forward_of(dht, event->message.target, &to))
                relay_carrier(dht, event, &to, &next, now);
}

static void pass_from_server(struct dht *dht, const struct rpc_event *event, const struct dht_carrier *carrier,
                             const struct now *now)
{
        struct dht_carrier next = {
                .mode = DHT_REPLY, .noise = carrier->noise, .noise_len = carrier->noise_len, .has_peer = true, .peer = event->from,
        };
        uint8_t value[DHT_NOISE_MAX + DHT_CARRIER_OVERHEAD];
        struct writer w = writer_over(value, sizeof(value));

        dht_carrier_write(&w, &next);
        if (carrier->has_peer)
                answer(dht, event, &carrier->peer, value, &w, now);
}

void dht_relay_handshake(struct dht *dht, const struct rpc_event *event, const struct dht_carrier *carrier, const struct now *now)
{
        if (carrier->mode == DHT_FROM_CLIENT)
                pass_from_client(dht, event, carrier, now);
        else if (carrier->mode == DHT_FROM_RELAY)
                pass_from_relay(dht, event, carrier, now);
        else if (carrier->mode == DHT_FROM_SERVER)
                pass_from_server(dht, event, carrier, now);
}

/* --- Hole punches --- */

/* The client names the server's address, as it learned it in the handshake; else it is the one that announced itself here. */
static void punch_from_client(struct dht *dht, const struct rpc_event *event, const struct dht_punch *punch, const struct now *now)
{
        struct dht_punch next = {
                .mode = DHT_FROM_RELAY, .id = punch->id, .payload = punch->payload, .payload_len = punch->payload_len,
                .has_peer = true, .peer = event->from,
        };
        uint8_t value[DHT_NOISE_MAX + DHT_PUNCH_OVERHEAD];
        struct writer w = writer_over(value, sizeof(value));
        struct addr to = punch->peer;

        if (!punch->has_peer && !dht_forward_of(dht, event->message.target, &to))
                return;
        dht_punch_write(&w, &next);
        dht_passages_add(dht->passages, event->message.tid, event->message.target, &event->from, now->mono_us);
        relay(dht, event, &to, value, &w, now);
}

static void punch_from_server(struct dht *dht, const struct rpc_event *event, const struct dht_punch *punch, const struct now *now)
{
        struct dht_punch next = {
                .mode = DHT_REPLY, .id = punch->id, .payload = punch->payload, .payload_len = punch->payload_len,
                .has_peer = true, .peer = event->from,
        };
        uint8_t value[DHT_NOISE_MAX + DHT_PUNCH_OVERHEAD];
        struct writer w = writer_over(value, sizeof(value));

        dht_punch_write(&w, &next);
        if (punch->has_peer)
                answer(dht, event, &punch->peer, value, &w, now);
}

void dht_relay_punch(struct dht *dht, const struct rpc_event *event, const struct dht_punch *punch, const struct now *now)
{
        if (punch->mode == DHT_FROM_CLIENT)
                punch_from_client(dht, event, punch, now);
        else if (punch->mode == DHT_FROM_SERVER)
                punch_from_server(dht, event, punch, now);
}
