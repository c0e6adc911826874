/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht_private.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

static int parts_new(struct dht *dht, usec_t now_us)
{
        struct rpc_config config = {
                .random = dht->random, .server_socket = dht->server_socket, .client_socket = dht->client_socket,
                .firewalled = dht->firewalled,
        };

        dht->table = dht_table_new(dht->id);
        dht->passages = dht_passages_new(&dht->random);
        dht->store = dht->persistent ? dht_store_new(&dht->random) : NULL;
        dht->vault = dht->persistent ? dht_vault_new(&dht->random) : NULL;
        if (!dht->table || !dht->passages || (dht->persistent && (!dht->store || !dht->vault)))
                return -ENOMEM;
        return rpc_new(&dht->rpc, &config, now_us);
}

/* Who is appointed knows its address and with it its id; the others take a random one, which they tell nobody. */
static void identify(struct dht *dht, const struct dht_config *config)
{
        dht->appointed = dht->persistent = config->persistent;
        dht->firewalled = !config->persistent;
        dht->public_addr = config->public_addr;
        if (dht->persistent)
                rpc_node_id(&dht->public_addr, dht->id);
        else
                random_fill(&dht->random, dht->id, sizeof(dht->id));
        dht->private_network = dht->persistent && dht_is_bogon(&dht->public_addr);
}

int dht_new(struct dht **dht_out, const struct dht_config *config, const struct now *now)
{
        struct dht *dht = calloc(1, sizeof(*dht));

        if (!dht)
                return -ENOMEM;
        dht->random = config->random;
        dht->server_socket = config->server_socket;
        dht->client_socket = config->client_socket;
        dht->server_port = config->server_port;
        list_init(&dht->queries);
        list_init(&dht->listeners);
        list_init(&dht->handshakes);
        list_init(&dht->pongs);
        list_init(&dht->news);
        identify(dht, config);
        if (parts_new(dht, now->mono_us) < 0) {
                dht_free(dht);
                return -ENOMEM;
        }
        if (dht->persistent)
                rpc_set_id(dht->rpc, dht->id);
        dht_standing_begin(dht);
        dht_upkeep_begin(dht, now);
        dht_bootstrap_begin(dht, now);
        *dht_out = dht;
        return 0;
}

static void things_free(struct dht *dht)
{
        while (!list_empty(&dht->listeners))    /* and their queries */
                dht_listener_free(dht, list_entry(list_first(&dht->listeners), struct dht_listener, entry));
        list_for_each(at, &dht->queries)
                dht_query_free(dht, list_entry(at, struct dht_query, entry));
        list_for_each(at, &dht->handshakes) {
                struct dht_handshake *handshake = list_entry(at, struct dht_handshake, entry);

                free(handshake->done);
                free(handshake);
        }
        list_for_each(at, &dht->pongs)
                dht_pong_free(dht, list_entry(at, struct dht_pong, entry));
        list_for_each(at, &dht->news)
                free(list_entry(at, struct dht_news, entry));
}

void dht_free(struct dht *dht)
{
        if (!dht)
                return;
        things_free(dht);
        free(dht->told);
        free(dht->bootstrap.addrs);
        dht_table_free(dht->table);
        dht_store_free(dht->store);
        dht_vault_free(dht->vault);
        dht_passages_free(dht->passages);
        rpc_free(dht->rpc);
        free(dht);
}

/* --- The turn --- */

static void hint_answered(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
}

static void (*const answered[DHT_ASKS])(struct dht *dht, const struct rpc_event *event, const struct now *now) = {
        [DHT_ASK_VISIT] = dht_query_visited,
        [DHT_ASK_COMMIT] = dht_query_committed,
        [DHT_ASK_CHECK] = dht_upkeep_checked,
        [DHT_ASK_HINT] = hint_answered,
        [DHT_ASK_PROBE] = dht_probe_answered,
        [DHT_ASK_RELAY] = dht_listener_answered,
        [DHT_ASK_HANDSHAKE] = dht_handshake_answered,
        [DHT_ASK_PUNCH] = dht_punch_answered,
        [DHT_ASK_PING] = dht_ping_answered,
        [DHT_ASK_SURVEY] = dht_survey_answered,
};

static void tell_heard_again(struct dht *dht)
{
        struct dht_news *news = dht_news_new(DHT_HEARD_AGAIN, NULL, NULL, 0);

        if (news)
                dht_news_push(dht, news);
}

/* What it says about where we are is about the socket that peers reach alone. */
static bool is_aside(const struct dht *dht, const struct rpc_event *event)
{
        return event->request_kind == DHT_ASK_PING && event->socket != rpc_socket(dht->rpc);
}

static void on_rpc_event(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        bool ends_silence;

        if (event->kind == RPC_REQUESTED) {
                dht_serve(dht, event, now);
                return;
        }
        ends_silence = dht_upkeep_count(dht, event, now);
        if (event->kind == RPC_RESPONSE && !is_aside(dht, event)) {
                dht_sighting_note(dht, event, now);
                dht_upkeep_heard(dht, event, now);
        }
        assert(event->request_kind < DHT_ASKS);
        answered[event->request_kind](dht, event, now);
        if (event->kind == RPC_RESPONSE) {
                dht_bootstrap_heard(dht, now);
                dht_listener_heard(dht, ends_silence, now);
        }
        if (ends_silence)
                tell_heard_again(dht);          /* after what the answer itself means */
}

enum rpc_verdict dht_receive(struct dht *dht, uint32_t socket, const struct addr *from, const void *bytes, size_t len,
                             const struct now *now)
{
        struct rpc_event event;
        enum rpc_verdict verdict = rpc_receive(dht->rpc, socket, from, bytes, len, now->mono_us, &event);

        if (verdict == RPC_OK)
                on_rpc_event(dht, &event, now);
        return verdict;
}

static void (*const due_now[DHT_DUES])(struct dht *dht, struct dht_due *due, const struct now *now) = {
        [DHT_DUE_TICK] = dht_upkeep_due,
        [DHT_DUE_BOOTSTRAP] = dht_bootstrap_due,
        [DHT_DUE_QUERY] = dht_query_due,
        [DHT_DUE_LISTENER] = dht_listener_due,
        [DHT_DUE_PONG] = dht_pong_due,
};

void dht_advance(struct dht *dht, const struct now *now)
{
        struct heap_entry *entry;
        struct rpc_event event;

        rpc_advance(dht->rpc, now->mono_us);
        while (rpc_event(dht->rpc, &event))
                on_rpc_event(dht, &event, now);
        while ((entry = heap_pop_due(&dht->dues, now->mono_us))) {
                struct dht_due *due = container_of(entry, struct dht_due, entry);

                due_now[due->kind](dht, due, now);
        }
}

usec_t dht_deadline(const struct dht *dht)
{
        if (!list_empty(&dht->news))
                return 0;
        return usec_min(rpc_deadline(dht->rpc), heap_deadline(&dht->dues));
}

bool dht_transmit(struct dht *dht, struct rpc_send *out)
{
        return rpc_transmit(dht->rpc, out);
}

void dht_due_set(struct dht *dht, struct dht_due *due, usec_t when_us)
{
        heap_set(&dht->dues, &due->entry, when_us);
}

/* --- What we take for an address --- */

bool dht_is_bogon(const struct addr *addr)
{
        return addr_is_private(addr) || addr_is_reserved(addr);
}

bool dht_usable(const struct dht *dht, const struct addr *addr)
{
        if (addr_is_unusable(addr))
                return false;
        return dht->private_network || !dht_is_bogon(addr);
}

/* See dht_welcome(). Port 0: all of the host's. */
static const struct addr unwelcome[] = {
        { { 134, 209, 28, 98 }, 49738 },
        { { 167, 99, 142, 185 }, 49738 },
        { { 35, 233, 47, 252 }, 9400 },
        { { 150, 136, 142, 116 }, 0 },
};

bool dht_welcome(const struct dht *dht, const struct addr *addr)
{
        for (size_t i = 0; i < ARRAY_LEN(unwelcome); i++)
                if (addr_host_equal(&unwelcome[i], addr) && (unwelcome[i].port == 0 || unwelcome[i].port == addr->port))
                        return false;
        return dht_usable(dht, addr);
}

bool dht_same_net(const struct dht *dht, const struct addr *a, const struct addr *b)
{
        return !dht->private_network && memcmp(a->ip, b->ip, 3) == 0;
}

size_t dht_closer(const struct dht *dht, const uint8_t *target, struct addr out[DHT_K])
{
        const struct dht_node *nodes[DHT_K];
        size_t count = target ? dht_table_closest(dht->table, target, nodes, DHT_K) : 0;

        for (size_t i = 0; i < count; i++)
                out[i] = nodes[i]->addr;
        return count;
}

void dht_target(const uint8_t public_key[DHT_KEY_BYTES], uint8_t target_out[DHT_TARGET_BYTES])
{
        crypto_generichash(target_out, DHT_TARGET_BYTES, public_key, DHT_KEY_BYTES, NULL, 0);
}

/* --- What we know about ourselves --- */

bool dht_forward_of(const struct dht *dht, const uint8_t target[DHT_TARGET_BYTES], struct addr *relay_out)
{
        return dht->store && dht_store_forward(dht->store, target, relay_out);
}

bool dht_public_addr(const struct dht *dht, struct addr *out)
{
        if (!dht->appointed)
                return dht_sampler_result(&dht->sampler, out);
        *out = dht->public_addr;
        return true;
}

/* hyperdht index.js remoteAddress(): what we sampled, if strangers get through and the port is the one they would use. */
bool dht_open_addr(const struct dht *dht, struct addr *out)
{
        struct addr addr;

        if (dht->firewalled || !dht_public_addr(dht, &addr) || addr.port != dht->server_port)
                return false;
        *out = addr;
        return true;
}

uint32_t dht_socket(const struct dht *dht)
{
        return rpc_socket(dht->rpc);
}

void dht_stats(const struct dht *dht, struct dht_stats *out)
{
        *out = (struct dht_stats){
                .nodes = dht_table_count(dht->table),
                .bootstrapped = dht->bootstrapped,
                .persistent = dht->persistent,
                .firewalled = dht->firewalled,
                .records = dht->store ? dht_store_records(dht->store) : 0,
                .forwards = dht->store ? dht_store_forwards(dht->store) : 0,
                .values = dht->vault ? dht_vault_values(dht->vault) : 0,
        };
        list_for_each(at, &dht->queries)
                out->queries++;
        list_for_each(at, &dht->listeners) {
                out->listeners++;
                out->listeners_announced += list_entry(at, struct dht_listener, entry)->published_count > 0;
        }
        rpc_stats(dht->rpc, &out->rpc);
}
