/* SPDX-License-Identifier: BSD-3-Clause */
/* PEER_HANDSHAKE to a server of ours, and those we send. hyperdht lib/router.js onpeerhandshake(), peerHandshake(). */
#include "dht_private.h"

#include <stdlib.h>

enum { CARRIER_MAX = DHT_NOISE_MAX + DHT_CARRIER_OVERHEAD };

struct carried {
        uint8_t bytes[CARRIER_MAX];
        size_t len;
};

static struct carried carry(const struct dht_carrier *carrier)
{
        struct carried carried;
        struct writer w = writer_over(carried.bytes, sizeof(carried.bytes));

        dht_carrier_write(&w, carrier);
        carried.len = w.failed ? 0 : writer_len(&w);
        return carried;
}

/* --- To a server of ours --- */

/* Which fields an honest sender of that mode fills in. */
static bool is_consistent(const struct dht_carrier *carrier)
{
        switch (carrier->mode) {
        case DHT_FROM_CLIENT:
                return !carrier->has_peer;
        case DHT_FROM_RELAY:
                return carrier->has_peer && !carrier->has_relay;
        case DHT_FROM_SECOND_RELAY:
                return carrier->has_peer && carrier->has_relay;
        default:
                return false;
        }
}

static void arrive(struct dht *dht, struct dht_listener *listener, const struct rpc_event *event, const struct dht_carrier *carrier)
{
        struct dht_news *news;
        struct dht_inbound *inbound;

        if (!is_consistent(carrier) || (carrier->has_peer && !dht_usable(dht, &carrier->peer)) ||
            (carrier->has_relay && !dht_usable(dht, &carrier->relay)))
                return;
        news = dht_news_new(DHT_HANDSHAKE, listener->context, carrier->noise, carrier->noise_len);
        if (!news)
                return;
        news->event.listener = listener;
        inbound = &news->event.inbound;
        inbound->socket = event->socket;
        inbound->tid = event->message.tid;
        inbound->mode = (enum dht_mode)carrier->mode;
        inbound->from = event->from;
        inbound->client = carrier->has_peer ? carrier->peer : event->from;
        inbound->second = carrier->relay;
        inbound->to = event->message.to;
        memcpy(inbound->target, event->message.target, sizeof(inbound->target));
        dht_news_push_bounded(dht, news);
}

void dht_handshake_serve(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        const uint8_t *target = event->message.target;
        struct dht_listener *listener = target ? dht_listener_of(dht, target) : NULL;
        struct dht_carrier carrier;

        if (!target || !event->message.value || !dht_carrier_decode(event->message.value, event->message.value_len, &carrier) ||
            carrier.noise_len == 0 || carrier.noise_len > DHT_NOISE_MAX)
                return;
        if (listener)
                arrive(dht, listener, event, &carrier);
        else
                dht_relay_handshake(dht, event, &carrier, now);
}

void dht_handshake_reply(struct dht *dht, const struct dht_inbound *inbound, const void *noise, size_t len, const struct now *now)
{
        bool direct = inbound->mode == DHT_FROM_CLIENT;
        struct dht_carrier carrier = {
                .mode = direct ? DHT_REPLY : DHT_FROM_SERVER, .noise = noise, .noise_len = len, .has_peer = !direct,
                .peer = inbound->client,
        };
        struct carried value = carry(&carrier);
        const struct addr *to = inbound->mode == DHT_FROM_SECOND_RELAY ? &inbound->second : &inbound->from;

        if (value.len == 0)
                return;
        if (direct)
                rpc_reply_to(dht->rpc, inbound->socket, to, inbound->tid,
                             &(struct rpc_reply){ .value = value.bytes, .value_len = value.len }, now->mono_us);
        else
                rpc_relay(dht->rpc, inbound->socket, to, inbound->tid, DHT_PEER_HANDSHAKE, inbound->target, value.bytes, value.len);
}

/* --- Of our own --- */

struct dht_handshake *dht_handshake_start(struct dht *dht, const struct rpc_request_spec *spec, enum dht_event_kind failed,
                                          void *context, const struct now *now)
{
        struct dht_handshake *handshake = calloc(1, sizeof(*handshake));
        struct rpc_request_spec full = *spec;

        if (!handshake)
                return NULL;
        full.retries = MAX(spec->retries, (unsigned)RPC_RETRIES);
        full.urgent = true;
        full.context = handshake;
        list_init(&handshake->entry);
        handshake->context = context;
        handshake->done = dht_news_new(failed, context, NULL, 0);
        handshake->request = handshake->done && (spec->value_len || spec->internal) ? rpc_request(dht->rpc, &full, now->mono_us) : NULL;
        if (!handshake->request) {
                free(handshake->done);
                free(handshake);
                return NULL;
        }
        handshake->done->event.handshake = handshake;
        list_push_back(&dht->handshakes, &handshake->entry);
        return handshake;
}

struct dht_handshake *dht_handshake_send(struct dht *dht, const struct addr *relay_addr, const uint8_t target[DHT_TARGET_BYTES],
                                         const void *noise, size_t len, void *context, const struct now *now)
{
        struct carried value = carry(&(struct dht_carrier){ .mode = DHT_FROM_CLIENT, .noise = noise, .noise_len = len });
        struct rpc_request_spec spec = {
                .to = *relay_addr, .command = DHT_PEER_HANDSHAKE, .target = target, .value = value.bytes, .value_len = value.len,
                .kind = DHT_ASK_HANDSHAKE, .far = true,
        };

        return dht_handshake_start(dht, &spec, DHT_HANDSHAKE_FAILED, context, now);
}

static bool is_reply(const struct rpc_event *event, struct dht_carrier *out)
{
        return event->kind == RPC_RESPONSE && event->message.error == RPC_ERROR_NONE && event->message.value &&
               dht_carrier_decode(event->message.value, event->message.value_len, out) && out->mode == DHT_REPLY &&
               out->noise_len > 0 && out->noise_len <= DHT_NOISE_MAX;
}

/* The event that was made at the start says "failed"; an answer needs room for its message. */
static struct dht_news *news_answered(struct dht_handshake *handshake, const struct rpc_event *event,
                                      const struct dht_carrier *carrier)
{
        struct dht_news *news = dht_news_new(DHT_HANDSHAKE_ANSWERED, handshake->context, carrier->noise, carrier->noise_len);

        if (!news)
                return NULL;
        news->event.relayed = carrier->has_peer;
        news->event.server = carrier->has_peer ? carrier->peer : event->from;
        news->event.to = event->message.to;
        return news;
}

/* @news: what came of it, or NULL. */
void dht_handshake_end(struct dht *dht, const struct rpc_event *event, struct dht_news *news)
{
        struct dht_handshake *handshake = event->context;

        handshake->request = NULL;
        if (news) {
                free(handshake->done);
        } else {
                news = handshake->done;
                news->event.timed_out = event->kind == RPC_TIMED_OUT;
        }
        handshake->done = NULL;
        news->event.handshake = handshake;
        news->event.from = event->from;
        dht_news_push(dht, news);
}

void dht_handshake_answered(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        struct dht_carrier carrier;

        if (event->kind != RPC_SLOW)
                dht_handshake_end(dht, event, is_reply(event, &carrier) ? news_answered(event->context, event, &carrier) : NULL);
}

void dht_handshake_cancel(struct dht *dht, struct dht_handshake *handshake)
{
        dht_news_drop(dht, handshake);
        if (handshake->request)
                rpc_cancel(dht->rpc, handshake->request);
        list_remove(&handshake->entry);
        free(handshake->done);
        free(handshake);
}
