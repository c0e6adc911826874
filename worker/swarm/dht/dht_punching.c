/* SPDX-License-Identifier: BSD-3-Clause */
/* PEER_HOLEPUNCH to a server of ours, and those we send. hyperdht lib/router.js onpeerholepunch(), peerHolepunch(). */
#include "dht_private.h"

enum { PUNCH_MAX = DHT_NOISE_MAX + DHT_PUNCH_OVERHEAD };

/* --- To a server of ours --- */

static void arrive(struct dht *dht, struct dht_listener *listener, const struct rpc_event *event, const struct dht_punch *punch)
{
        struct dht_news *news;

        if (punch->mode != DHT_FROM_RELAY || !punch->has_peer || !dht_usable(dht, &punch->peer))
                return;
        news = dht_news_new(DHT_PUNCH, listener->context, punch->payload, punch->payload_len);
        if (!news)
                return;
        news->event.listener = listener;
        news->event.punch_id = punch->id;
        news->event.inbound = (struct dht_inbound){
                .socket = event->socket, .tid = event->message.tid, .mode = DHT_FROM_RELAY, .from = event->from,
                .client = punch->peer, .to = event->message.to,
        };
        memcpy(news->event.inbound.target, event->message.target, DHT_TARGET_BYTES);
        dht_news_push_bounded(dht, news);
}

void dht_punch_serve(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        const struct rpc_message *message = &event->message;
        struct dht_listener *listener = message->target ? dht_listener_of(dht, message->target) : NULL;
        struct dht_punch punch;

        if (!message->target || !message->value || !dht_punch_decode(message->value, message->value_len, &punch) ||
            punch.payload_len == 0 || punch.payload_len > DHT_NOISE_MAX)
                return;
        if (listener)
                arrive(dht, listener, event, &punch);
        else
                dht_relay_punch(dht, event, &punch, now);
}

void dht_punch_reply(struct dht *dht, const struct dht_inbound *inbound, const void *payload, size_t len)
{
        struct dht_punch punch = {
                .mode = DHT_FROM_SERVER, .payload = payload, .payload_len = len, .has_peer = true, .peer = inbound->client,
        };
        uint8_t value[PUNCH_MAX];
        struct writer w = writer_over(value, sizeof(value));

        dht_punch_write(&w, &punch);
        if (!w.failed)
                rpc_relay(dht->rpc, inbound->socket, &inbound->from, inbound->tid, DHT_PEER_HOLEPUNCH, inbound->target, value,
                          writer_len(&w));
}

/* --- Of our own --- */

struct dht_handshake *dht_punch_send(struct dht *dht, const struct dht_punch_spec *punch_spec, const struct now *now)
{
        struct dht_punch punch = {
                .mode = DHT_FROM_CLIENT, .id = punch_spec->id, .payload = punch_spec->payload, .payload_len = punch_spec->len,
                .has_peer = true, .peer = punch_spec->server,
        };
        uint8_t value[PUNCH_MAX];
        struct writer w = writer_over(value, sizeof(value));
        struct rpc_request_spec spec = {
                .to = punch_spec->relay, .command = DHT_PEER_HOLEPUNCH, .target = punch_spec->target, .value = value,
                .kind = DHT_ASK_PUNCH, .far = true,
                .eager = punch_spec->eager,
                .retries = punch_spec->eager ? RPC_RETRIES_EAGER : RPC_RETRIES_QUERY,   /* no other relay is asked beside */
        };

        dht_punch_write(&w, &punch);
        spec.value_len = w.failed ? 0 : writer_len(&w);
        return dht_handshake_start(dht, &spec, DHT_PUNCH_FAILED, punch_spec->context, now);
}

static bool is_reply(const struct rpc_event *event, struct dht_punch *out)
{
        return event->kind == RPC_RESPONSE && event->message.error == RPC_ERROR_NONE && event->message.value &&
               dht_punch_decode(event->message.value, event->message.value_len, out) && out->mode == DHT_REPLY &&
               out->payload_len > 0 && out->payload_len <= DHT_NOISE_MAX;
}

void dht_punch_answered(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        const struct dht_handshake *handshake = event->context;
        struct dht_news *news = NULL;
        struct dht_punch punch;

        if (event->kind == RPC_SLOW)
                return;
        if (is_reply(event, &punch))
                news = dht_news_new(DHT_PUNCH_ANSWERED, handshake->context, punch.payload, punch.payload_len);
        if (news) {
                news->event.server = punch.has_peer ? punch.peer : event->from;
                news->event.to = event->message.to;
        }
        dht_handshake_end(dht, event, news);
}
