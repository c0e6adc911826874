/* SPDX-License-Identifier: BSD-3-Clause */
/* One relay of a listener: what it is to us, and the one request that is out to it. */
#include "dht_private.h"

#define TOKEN_FRESH_US SECONDS(6)       /* a token lives 7.5 s at least */

enum { TRIES_LEAVING = 3 };

#define LEAVING_PAUSE_US SECONDS(10)

struct dht_slot *dht_slot_find(struct dht_listener *listener, const struct addr *addr)
{
        for (size_t i = 0; i < DHT_LISTENER_SLOTS; i++)
                if (listener->slots[i].state != DHT_SLOT_FREE && addr_equal(&listener->slots[i].addr, addr))
                        return &listener->slots[i];
        return NULL;
}

struct dht_slot *dht_slot_of_request(struct dht_listener *listener, const struct rpc_request *request)
{
        for (size_t i = 0; i < DHT_LISTENER_SLOTS; i++)
                if (listener->slots[i].state != DHT_SLOT_FREE && listener->slots[i].request == request)
                        return &listener->slots[i];
        return NULL;
}

void dht_slot_clear(struct dht *dht, struct dht_slot *slot)
{
        if (slot->request)
                rpc_cancel(dht->rpc, slot->request);
        *slot = (struct dht_slot){ .state = DHT_SLOT_FREE };
}

/* The slot of @addr, or a free one for it; when there is none, one that was to be withdrawn from is given up: its record ages. */
struct dht_slot *dht_slot_take(struct dht *dht, struct dht_listener *listener, const struct addr *addr)
{
        struct dht_slot *slot = dht_slot_find(listener, addr);

        for (size_t i = 0; i < DHT_LISTENER_SLOTS && !slot; i++)
                if (listener->slots[i].state == DHT_SLOT_FREE)
                        slot = &listener->slots[i];
        for (size_t i = 0; i < DHT_LISTENER_SLOTS && !slot; i++)
                if (listener->slots[i].state == DHT_SLOT_LEAVING)
                        slot = &listener->slots[i];
        if (slot && (slot->state == DHT_SLOT_LEAVING || slot->state == DHT_SLOT_FREE)) {
                dht_slot_clear(dht, slot);
                slot->state = DHT_SLOT_JOINING;
                slot->addr = *addr;
                rpc_node_id(addr, slot->id);
        }
        return slot;
}

static void begin(struct dht *dht, struct dht_slot *slot, enum dht_slot_request doing)
{
        if (slot->request)
                rpc_cancel(dht->rpc, slot->request);
        slot->request = NULL;
        slot->doing = doing;
}

static void claim(struct dht *dht, struct dht_listener *listener, struct dht_slot *slot, enum dht_claim which,
                  const struct now *now)
{
        struct dht_claim_spec spec = {
                .claim = which, .target = listener->target, .secret_key = listener->secret_key, .node_id = slot->id,
                .token = slot->token, .to = slot->addr, .retries = RPC_RETRIES, .ask = DHT_ASK_RELAY, .context = listener,
        };

        slot->request = dht_claim_send(dht, &spec, now);
        if (!slot->request)
                slot->doing = DHT_SLOT_IDLE;
}

static void find_ourselves(struct dht *dht, struct dht_listener *listener, struct dht_slot *slot, const struct now *now)
{
        struct rpc_request_spec spec = {
                .to = slot->addr, .command = DHT_COMMAND_FIND_PEER, .target = listener->target, .retries = RPC_RETRIES,
                .kind = DHT_ASK_RELAY, .context = listener,
        };

        slot->request = rpc_request(dht->rpc, &spec, now->mono_us);
        if (!slot->request)
                slot->doing = DHT_SLOT_IDLE;
}

/* Needs its token. */
void dht_slot_announce(struct dht *dht, struct dht_listener *listener, struct dht_slot *slot, const struct now *now)
{
        begin(dht, slot, DHT_SLOT_ANNOUNCE);
        claim(dht, listener, slot, DHT_CLAIM_ANNOUNCE, now);
}

void dht_slot_keep(struct dht *dht, struct dht_listener *listener, struct dht_slot *slot, const struct now *now)
{
        begin(dht, slot, DHT_SLOT_KEEP);
        slot->kept_us = now->mono_us;
        find_ourselves(dht, listener, slot, now);
}

/* At once with a fresh token, else asks for one first. A node that doesn't answer is tried a few times, with pauses. */
void dht_slot_withdraw(struct dht *dht, struct dht_listener *listener, struct dht_slot *slot, const struct now *now)
{
        bool fresh = slot->has_token && now->mono_us < slot->token_us + TOKEN_FRESH_US;

        slot->state = DHT_SLOT_LEAVING;
        if (slot->tries++ >= TRIES_LEAVING) {
                dht_slot_clear(dht, slot);
                return;
        }
        slot->again_us = now->mono_us + slot->tries * LEAVING_PAUSE_US;
        begin(dht, slot, fresh ? DHT_SLOT_UNANNOUNCE : DHT_SLOT_FETCH);
        if (fresh)
                claim(dht, listener, slot, DHT_CLAIM_UNANNOUNCE, now);
        else
                find_ourselves(dht, listener, slot, now);
}
