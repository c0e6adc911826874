/* SPDX-License-Identifier: BSD-3-Clause */
/* PING of one node that somebody wants to know about: nothing of ours depends on the answer. RPC_PING. */
#include "dht_private.h"

struct dht_handshake *dht_ping(struct dht *dht, const struct addr *node, bool by_server, void *context, const struct now *now)
{
        struct rpc_request_spec spec = { .to = *node, .internal = true, .command = RPC_PING, .by_server = by_server, .kind = DHT_ASK_PING };

        return dht_handshake_start(dht, &spec, DHT_PING_FAILED, context, now);
}

void dht_ping_answered(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        struct dht_handshake *handshake = event->context;

        if (event->kind == RPC_SLOW)
                return;
        if (event->kind == RPC_RESPONSE) {
                handshake->done->event.kind = DHT_PONG;
                handshake->done->event.to = event->message.to;
                handshake->done->event.sends = event->sends;
        }
        dht_handshake_end(dht, event, NULL);
}
