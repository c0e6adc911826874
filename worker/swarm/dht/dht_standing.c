/* SPDX-License-Identifier: BSD-3-Clause */
/* Our standing in the network. A node starts ephemeral: it sends no id, so that nobody counts on it. When strangers reach it at an
 * address that stayed the same for long enough it becomes persistent: takes the id of that address and serves. It steps back when
 * it slept or is seen elsewhere, and starts to count anew. dht-rpc index.js _updateNetworkState(), _onwakeup(); where JavaScript
 * nodes keep an id that no longer fits their address, and believe in an open door they no longer have, we don't. */
#include "dht_private.h"

enum {
        TICKS_STABLE = 240,             /* 20 minutes at first: dht-rpc index.js STABLE_TICKS */
        TICKS_STABLE_MORE = 720,        /* 1 hour once it has moved or slept: MORE_STABLE_TICKS */
};

void dht_standing_begin(struct dht *dht)
{
        dht->standing.patience = TICKS_STABLE;
}

void dht_standing_lose(struct dht *dht)
{
        if (dht->appointed)
                return;
        dht->standing = (struct dht_standing){ .patience = TICKS_STABLE_MORE };
        dht->persistent = false;
        rpc_set_id(dht->rpc, NULL);
        dht->firewalled = true;
        dht->probe.reached = 0;
        rpc_set_firewalled(dht->rpc, true);
        dht_sighting_forget(dht);
}

static bool make_stores(struct dht *dht)
{
        if (!dht->store)
                dht->store = dht_store_new(&dht->random);
        if (!dht->vault)
                dht->vault = dht_vault_new(&dht->random);
        return dht->store && dht->vault;
}

static void become_persistent(struct dht *dht, const struct addr *addr, const struct now *now)
{
        if (!make_stores(dht)) {
                dht->standing.ticks = dht->standing.patience;
                return;
        }
        dht->persistent = true;
        dht->public_addr = *addr;
        rpc_node_id(addr, dht->id);
        dht_table_rename(dht->table, dht->id);
        rpc_set_id(dht->rpc, dht->id);
        dht_upkeep_refresh(dht, dht->id, now);
}

void dht_standing_tick(struct dht *dht, const struct now *now)
{
        struct dht_standing *standing = &dht->standing;
        struct addr seen;

        if (dht->appointed || !dht_public_addr(dht, &seen))
                return;
        if (standing->addr.port && !addr_equal(&standing->addr, &seen)) {
                dht_standing_lose(dht);
                dht_survey_begin(dht, now);     /* the probe comes when its next time is: twice in 20 minutes is no use */
                dht_listener_network(dht, now);
        } else if (!standing->addr.port && dht_open_addr(dht, &standing->addr)) {
                standing->ticks = standing->patience;
        } else if (standing->addr.port && !dht->persistent && --standing->ticks == 0) {
                become_persistent(dht, &standing->addr, now);
        }
}
