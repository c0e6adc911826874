/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether strangers reach our server socket: a few nodes are asked, from the other socket, to answer there (PING_NAT). If so
 * requests leave by it from then on and we may be called directly. dht-rpc index.js _checkIfFirewalled(), _updateNetworkState(). */
#include "dht_private.h"

#define RETRY_US MINUTES(20)

static void ask(struct dht *dht, const struct addr *addr, const struct now *now)
{
        struct dht_probe *probe = &dht->probe;
        uint8_t port[2] = { (uint8_t)dht->server_port, (uint8_t)(dht->server_port >> 8) };
        struct rpc_request_spec spec = {
                .to = *addr, .internal = true, .command = RPC_PING_NAT, .value = port, .value_len = sizeof(port),
                .retries = RPC_RETRIES, .kind = DHT_ASK_PROBE,
        };
        struct rpc_request *request = NULL;

        for (size_t i = 0; i < probe->asked; i++)
                if (addr_equal(&probe->helpers[i].addr, addr) || dht_same_net(dht, &probe->helpers[i].addr, addr))
                        return;
        if (probe->asked < DHT_HELPERS_MAX)
                request = rpc_request(dht->rpc, &spec, now->mono_us);
        if (!request)
                return;
        probe->helpers[probe->asked].addr = *addr;
        probe->helpers[probe->asked++].request = request;
        probe->running++;
}

void dht_probe_begin(struct dht *dht, const struct now *now)
{
        struct dht_probe *probe = &dht->probe;

        if (probe->running || !dht->firewalled)
                return;
        *probe = (struct dht_probe){ .again_us = now->mono_us + RETRY_US };
        for (struct dht_node *node = NULL; (node = dht_table_older(dht->table, node));)
                ask(dht, &node->addr, now);
        for (size_t i = 0; i < dht->bootstrap.count; i++)
                ask(dht, &dht->bootstrap.addrs[i], now);
}

/* Enough got through, and all agree with what we know about our address. */
static bool is_open(const struct dht *dht)
{
        const struct dht_probe *probe = &dht->probe;
        size_t wanted = probe->asked >= DHT_HELPERS_MAX ? 3 : 1;
        struct addr probed, known;

        return probe->reached >= wanted && dht_sampler_result(&probe->sampler, &probed) &&
               dht_sampler_result(&dht->sampler, &known) && addr_host_equal(&probed, &known) && probed.port == dht->server_port;
}

static void open_up(struct dht *dht, const struct now *now)
{
        struct dht_news *news = dht_news_new(DHT_ADDRESS_CHANGED, NULL, NULL, 0);

        dht->firewalled = false;
        dht->sampler = dht->probe.sampler;
        rpc_set_firewalled(dht->rpc, false);
        dht_sighting_forget(dht);
        if (news)
                dht_news_push(dht, news);
        dht_listener_network(dht, now);         /* relays know us by the other socket */
}

void dht_probe_answered(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        struct dht_probe *probe = &dht->probe;

        if (event->kind == RPC_SLOW)
                return;
        probe->running--;
        if (event->kind == RPC_RESPONSE && event->socket == dht->server_socket) {
                probe->reached++;
                dht_sampler_add(&probe->sampler, &event->message.to);
        }
        /* No need to wait for the last: those who got through can't be taken back. */
        if (dht->firewalled && is_open(dht))
                open_up(dht, now);
}

bool dht_is_probed(const struct dht *dht)
{
        return !dht->firewalled || (dht->probe.again_us && !dht->probe.running);
}

/* What we know about our address may have come after the answers: a node that woke has forgotten it. */
void dht_probe_tick(struct dht *dht, const struct now *now)
{
        if (dht->firewalled && is_open(dht))
                open_up(dht, now);
        else if (dht->firewalled && now->mono_us >= dht->probe.again_us)
                dht_probe_begin(dht, now);
}
