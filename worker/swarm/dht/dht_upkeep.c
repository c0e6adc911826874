/* SPDX-License-Identifier: BSD-3-Clause */
/* Keeps the table true: takes in who answers, pings who has been silent, gives up who is down. dht-rpc index.js, by ticks. */
#include "dht_private.h"

enum {
        TICKS_PING = 8,                 /* a ping round */
        TICKS_SMALL = 64,               /* a refresh while the table is small */
        TICKS_REFRESH = 60,             /* a refresh after the last one */
        TICKS_RECENT = 12,
        TICKS_OLD = 360,
        TICKS_SLEPT = 720,
        HINTS_PER_TICK = 50,
        CUT_OFF = 4,                    /* so many in a row don't answer: dht-rpc lib/health.js decides nothing on fewer */
        RETRIES_MISSED = 1,             /* with the sends of the query as many as any check has */
        FIRST_TICK = 100,               /* so that "long ago" is a tick too */
};

#define TICK_US SECONDS(5)
#define SLEPT_US SECONDS(15)            /* between two ticks: the machine slept */
#define CUT_OFF_US SECONDS(8)           /* longer than those who were asked together may be dead together */
#define SILENCE_US SECONDS(5)           /* without an answer to what was asked: whatever waits for a better time need not any more */
#define NEWCOMER_PAUSE_US SECONDS(1)    /* between pings to newcomers of one /24 */

/* --- Our address, as others tell it --- */

static bool net_was_sampled(struct dht *dht, const struct addr *from)
{
        struct dht_upkeep *upkeep = &dht->upkeep;
        size_t at = 0, count = MIN(upkeep->net_next, (size_t)DHT_SAMPLES);

        if (dht->private_network)
                return false;
        while (at < count && memcmp(upkeep->nets[at].net, from->ip, 3) != 0)
                at++;
        if (at < count && upkeep->tick - upkeep->nets[at].tick < TICKS_RECENT)
                return true;
        if (at == count)
                at = upkeep->net_next++ % DHT_SAMPLES;
        memcpy(upkeep->nets[at].net, from->ip, 3);
        upkeep->nets[at].tick = upkeep->tick;
        return false;
}

static void sample(struct dht *dht, const struct addr *from, const struct addr *seen)
{
        struct dht_news *news;

        if (dht->appointed || !dht_usable(dht, seen) || net_was_sampled(dht, from) || !dht_sampler_add(&dht->sampler, seen))
                return;
        news = dht_news_new(DHT_ADDRESS_CHANGED, NULL, NULL, 0);
        if (news)
                dht_news_push(dht, news);
}

/* Nodes that have no id themselves: only until we have heard as many as we have bootstrap nodes, each once. */
static void sample_bootstrap(struct dht *dht, const struct rpc_event *event)
{
        struct dht_upkeep *upkeep = &dht->upkeep;
        size_t wanted = MIN(MAX(dht->bootstrap.count, (size_t)1), (size_t)DHT_SAMPLED_MAX);

        for (size_t i = 0; i < upkeep->sampled_count; i++)
                if (addr_equal(&upkeep->sampled[i], &event->from))
                        return;
        if (upkeep->sampled_count >= wanted)
                return;
        upkeep->sampled[upkeep->sampled_count++] = event->from;
        sample(dht, &event->from, &event->message.to);
}

static void sample_all_anew(struct dht *dht)
{
        dht->upkeep.resampled = dht->upkeep.tick;
        for (struct dht_node *node = NULL; (node = dht_table_newer(dht->table, node));)
                node->sampled = 0;
}

/* One node's word for it: no more often than a /24 may vote. */
void dht_upkeep_resample(struct dht *dht)
{
        if (dht->upkeep.tick - dht->upkeep.resampled >= TICKS_RECENT)
                sample_all_anew(dht);
}

/* --- Whether anybody is there --- */

/* A PING_NAT goes unanswered behind a firewall, a handshake where the server is gone, whoever relays it, and whoever is asked
 * out of curiosity need not be there. */
static const bool needs_others[DHT_ASKS] = { [DHT_ASK_PROBE] = true, [DHT_ASK_HANDSHAKE] = true, [DHT_ASK_PUNCH] = true,
                                                  [DHT_ASK_PING] = true, [DHT_ASK_SURVEY] = true };

bool dht_upkeep_count(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        bool was_silent = dht->upkeep.unanswered > 0 && now->mono_us > dht->upkeep.answered_us + SILENCE_US;

        if (event->kind == RPC_RESPONSE) {
                dht->upkeep.answered_us = now->mono_us;
                dht->upkeep.unanswered = 0;
                return was_silent;
        }
        if (event->kind == RPC_TIMED_OUT && !needs_others[event->request_kind])
                dht->upkeep.unanswered++;
        return false;
}

bool dht_upkeep_cut_off(const struct dht *dht, const struct now *now)
{
        size_t unanswered = dht->upkeep.unanswered;

        return unanswered > 0 && unanswered >= MIN(dht_table_count(dht->table), (size_t)CUT_OFF) &&
               now->mono_us > dht->upkeep.answered_us + CUT_OFF_US;
}

/* --- Checks --- */

static struct dht_check *check_slot(struct dht *dht, enum dht_check_kind kind)
{
        static const size_t limits[DHT_CHECK_KINDS] = {
                [DHT_CHECK_NODE] = DHT_CHECKS_MAX, [DHT_CHECK_SWAP] = DHT_SWAPS_MAX, [DHT_CHECK_NEWCOMER] = DHT_NEWCOMERS_MAX,
        };
        struct dht_check *free_slot = NULL;
        size_t running = 0;

        for (size_t i = 0; i < DHT_CHECK_SLOTS; i++) {
                struct dht_check *check = &dht->upkeep.checks[i];

                if (!check->request)
                        free_slot = check;
                else
                        running += check->kind == kind;
        }
        return running < limits[kind] ? free_slot : NULL;
}

static bool is_checked(const struct dht *dht, const uint8_t id[DHT_ID_BYTES])
{
        for (size_t i = 0; i < DHT_CHECK_SLOTS; i++)
                if (dht->upkeep.checks[i].request && dht_id_equal(dht->upkeep.checks[i].id, id))
                        return true;
        return false;
}

static bool check_send(struct dht *dht, enum dht_check_kind kind, const struct addr *addr, const uint8_t id[DHT_ID_BYTES],
                       unsigned retries, const struct addr *rival, const struct now *now)
{
        struct dht_check *check = is_checked(dht, id) ? NULL : check_slot(dht, kind);
        struct rpc_request_spec spec = {
                .to = *addr, .internal = true, .command = RPC_PING, .kind = DHT_ASK_CHECK, .retries = retries,
        };

        if (!check)
                return false;
        check->request = rpc_request(dht->rpc, &spec, now->mono_us);
        check->kind = kind;
        check->witnessed = false;
        check->asked_us = now->mono_us;
        memcpy(check->id, id, sizeof(check->id));
        if (rival)
                check->rival = *rival;
        return check->request;
}

static void check_node(struct dht *dht, struct dht_node *node, unsigned retries, const struct now *now)
{
        if (check_send(dht, DHT_CHECK_NODE, &node->addr, node->id, retries, NULL, now))
                node->pinged = dht->upkeep.tick;
}

static void table_insert(struct dht *dht, const struct addr *addr, const struct rpc_event *heard)
{
        struct dht_node *node;
        uint8_t id[DHT_ID_BYTES];

        rpc_node_id(addr, id);
        node = dht_table_find(dht->table, id) ? NULL : dht_table_insert(dht->table, addr, id, dht->upkeep.tick);
        if (!node || !heard || heard->socket != rpc_socket(dht->rpc))
                return;
        node->sampled = dht->upkeep.tick;
        sample(dht, addr, &heard->message.to);
}

static void check_fails(struct dht *dht, const struct dht_check *check, struct dht_node *node)
{
        dht_table_remove(dht->table, node);
        if (check->kind == DHT_CHECK_SWAP)
                table_insert(dht, &check->rival, NULL);
}

/* Whoever was heard last, but the node itself. */
static const struct addr *witness_against(const struct dht *dht, const struct dht_node *node)
{
        struct dht_node *witness = dht_table_older(dht->table, NULL);

        witness = witness == node ? dht_table_older(dht->table, node) : witness;
        if (witness)
                return &witness->addr;
        return dht->bootstrap.count ? &dht->bootstrap.addrs[0] : NULL;
}

/* It has not answered. When nobody else has since it was asked, then perhaps it is us who is cut off: a table that forgets
 * everybody during an outage leads nowhere afterwards. So another one is asked before the verdict. */
static void check_expires(struct dht *dht, struct dht_check *check, struct dht_node *node, const struct now *now)
{
        const struct addr *witness = check->witnessed ? NULL : witness_against(dht, node);
        struct rpc_request_spec spec = {
                .internal = true, .command = RPC_PING, .kind = DHT_ASK_CHECK, .retries = RPC_RETRIES,
        };

        if (dht->upkeep.answered_us > check->asked_us) {
                check_fails(dht, check, node);
        } else if (witness) {
                spec.to = *witness;
                check->request = rpc_request(dht->rpc, &spec, now->mono_us);
                check->witnessed = true;
                node->doubted = true;
        }
}

/* An answer without its id is none: the node is no persistent one any more, or another one. */
void dht_upkeep_checked(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        for (size_t i = 0; i < DHT_CHECK_SLOTS && event->kind != RPC_SLOW; i++) {
                struct dht_check *check = &dht->upkeep.checks[i];
                struct dht_node *node;

                if (check->request != event->request)
                        continue;
                check->request = NULL;
                node = dht_table_find(dht->table, check->id);
                if (!node || (check->witnessed && !node->doubted))      /* gone, or heard meanwhile */
                        return;
                if (check->witnessed || event->kind == RPC_TIMED_OUT)
                        check_expires(dht, check, node, now);
                else if (!event->message.id)
                        check_fails(dht, check, node);
                return;
        }
}

/* --- Who is heard --- */

/* Its bucket is full: it gets the place of one that turns out to be down. Old and healthy wins. */
static void try_swap(struct dht *dht, const struct addr *addr, const uint8_t id[DHT_ID_BYTES], const struct now *now)
{
        struct dht_node *node = dht->bootstrapped ? dht_table_rival(dht->table, id, dht->upkeep.tick) : NULL;
        uint32_t tick = dht->upkeep.tick;

        if (!node || (tick - node->pinged < TICKS_RECENT && tick - node->added > TICKS_OLD))
                return;
        if (check_send(dht, DHT_CHECK_SWAP, &node->addr, node->id, RPC_RETRIES, addr, now))
                node->pinged = tick;
}

/* It asked us something, and its source may be forged: it has to answer first. */
static void try_newcomer(struct dht *dht, const struct addr *addr, const uint8_t id[DHT_ID_BYTES], const struct now *now)
{
        usec_t *last_us = &dht->upkeep.newcomer_us[(addr->ip[0] * 31 + addr->ip[1] * 7 + addr->ip[2]) % 256];
        bool limited = !dht->private_network && *last_us && now->mono_us < *last_us + NEWCOMER_PAUSE_US;

        /* Nobody knows yet whether it asked: once. */
        if (!limited && check_send(dht, DHT_CHECK_NEWCOMER, addr, id, 0, NULL, now))
                *last_us = now->mono_us;
}

static void heard_known(struct dht *dht, struct dht_node *node, const struct rpc_event *event)
{
        uint32_t tick = dht->upkeep.tick;

        if (event->socket == rpc_socket(dht->rpc) && (!node->sampled || tick - node->sampled >= TICKS_OLD)) {
                node->sampled = tick;
                sample(dht, &event->from, &event->message.to);
        }
        dht_table_touch(dht->table, node, tick);
}

void dht_upkeep_heard(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        const uint8_t *id = event->message.id;
        struct dht_node *node = id ? dht_table_find(dht->table, id) : NULL;
        bool answers = event->kind == RPC_RESPONSE;

        if (!dht_welcome(dht, &event->from))
                return;
        if (node) {
                heard_known(dht, node, event);
        } else if (!id) {
                if (answers)
                        sample_bootstrap(dht, event);
        } else if (answers) {
                table_insert(dht, &event->from, event);
                if (!dht_table_find(dht->table, id))
                        try_swap(dht, &event->from, id, now);
        } else if (!dht_id_equal(id, dht->id)) {
                try_newcomer(dht, &event->from, id, now);
        }
}

/* dht-rpc index.js _ondownhint: once a tick, or once until it is heard again. */
void dht_upkeep_doubt(struct dht *dht, const struct addr *addr, const struct now *now)
{
        struct dht_node *node;
        uint8_t id[DHT_ID_BYTES];

        rpc_node_id(addr, id);
        node = dht_table_find(dht->table, id);
        if (!node || (node->pinged >= dht->upkeep.tick && node->doubted))
                return;
        node->doubted = true;
        check_node(dht, node, RPC_RETRIES, now);
}

/* A query was over before it answered, or it never will: dht-rpc index.js removes the latter only, and waits for them. */
void dht_upkeep_missed(struct dht *dht, const struct addr *addr, const struct now *now)
{
        struct dht_node *node;
        uint8_t id[DHT_ID_BYTES];

        rpc_node_id(addr, id);
        node = dht_table_find(dht->table, id);
        if (node)
                check_node(dht, node, RETRIES_MISSED, now);
}

void dht_upkeep_silent(struct dht *dht, const struct addr *addr, usec_t asked_us)
{
        struct dht_node *node;
        uint8_t id[DHT_ID_BYTES];

        rpc_node_id(addr, id);
        node = dht->upkeep.answered_us > asked_us ? dht_table_find(dht->table, id) : NULL;
        if (node)
                dht_table_remove(dht->table, node);
}

void dht_upkeep_hint(struct dht *dht, const struct addr *to, const struct addr *down, const struct now *now)
{
        uint8_t value[WIRE_ADDR_BYTES];
        struct writer w = writer_over(value, sizeof(value));
        struct rpc_request_spec spec = {
                .to = *to, .internal = true, .command = RPC_DOWN_HINT, .value = value, .value_len = sizeof(value),
                .retries = RPC_RETRIES, .kind = DHT_ASK_HINT,
        };

        if (dht->upkeep.hints >= HINTS_PER_TICK)
                return;
        wire_write_addr(&w, down);
        dht->upkeep.hints += rpc_request(dht->rpc, &spec, now->mono_us) != NULL;
}

/* --- Ticks --- */

bool dht_upkeep_is_walking(const struct dht *dht)
{
        list_for_each(at, &dht->queries)
                if (list_entry(at, struct dht_query, entry)->purpose == DHT_FOR_TABLE)
                        return true;
        return false;
}

void dht_upkeep_refresh(struct dht *dht, const uint8_t target[DHT_ID_BYTES], const struct now *now)
{
        struct dht_query_spec spec = { .operation = DHT_FIND_NODE, .target = target };
        struct dht_query *query = dht_upkeep_is_walking(dht) ? NULL : dht_query_start(dht, &spec, DHT_FOR_TABLE, now);

        dht->upkeep.refresh_ticks = TICKS_REFRESH;
        if (!query)
                return;
        query->background = true;
        dht_query_open(dht, query, now);
}

static void refresh(struct dht *dht, const struct now *now)
{
        struct dht_node *node = dht_table_random(dht->table, &dht->random);

        dht_upkeep_refresh(dht, node ? node->id : dht->id, now);
}

static void ping_some(struct dht *dht, const struct now *now)
{
        struct dht_node *node = dht_table_newer(dht->table, NULL), *next;
        uint32_t tick = dht->upkeep.tick;
        unsigned count = rpc_in_flight(dht->rpc) > 2 ? 3 : 5;

        if (!node) {
                refresh(dht, now);
                return;
        }
        if (tick - node->pinged < TICKS_RECENT)
                count = 2;
        for (; node && count > 0; node = next) {
                next = dht_table_newer(dht->table, node);
                if (node->pinged == tick)
                        continue;
                check_node(dht, node, RPC_RETRIES, now);
                count--;
        }
}

/* What we know about our own address may be wrong. A refresh comes with the next tick, and with it everybody's word. */
static void look_again(struct dht *dht)
{
        struct dht_upkeep *upkeep = &dht->upkeep;

        upkeep->refresh_ticks = 1;
        dht->sampler = (struct dht_sampler){ .len = 0 };
        upkeep->sampled_count = 0;
        upkeep->net_next = 0;
        sample_all_anew(dht);
        dht_sighting_forget(dht);
}

static void find_again(struct dht *dht, const struct now *now)
{
        if (!dht->bootstrapped)
                return;
        dht_survey_begin(dht, now);
        dht_probe_begin(dht, now);
        dht_listener_network(dht, now);
}

/* A ping round comes in two ticks. dht-rpc index.js _onwakeup(). */
void dht_wake(struct dht *dht, const struct now *now)
{
        struct dht_upkeep *upkeep = &dht->upkeep;

        upkeep->tick += TICKS_SLEPT;
        while (upkeep->tick % TICKS_PING != TICKS_PING - 2)
                upkeep->tick++;
        upkeep->ticked_boot_us = now->boot_us;
        look_again(dht);
        dht_standing_lose(dht);
        find_again(dht, now);
}

void dht_look_around(struct dht *dht, const struct now *now)
{
        look_again(dht);
        find_again(dht, now);
}

static void tick_bootstrapped(struct dht *dht, const struct now *now)
{
        struct dht_upkeep *upkeep = &dht->upkeep;

        if (upkeep->tick % TICKS_PING == 0)
                ping_some(dht, now);
        if (upkeep->refresh_ticks > 0)
                upkeep->refresh_ticks--;
        if (dht_table_count(dht->table) == 0 || dht_upkeep_cut_off(dht, now))
                dht_bootstrap_again(dht, now);
        else if (upkeep->refresh_ticks == 0 || (upkeep->tick % TICKS_SMALL == 0 && dht_table_count(dht->table) < DHT_K))
                refresh(dht, now);
        dht_probe_tick(dht, now);
        dht_standing_tick(dht, now);
        dht_hollow_tick(dht, now);      /* last: the others' walks come first */
}

void dht_upkeep_due(struct dht *dht, struct dht_due *due, const struct now *now)
{
        struct dht_upkeep *upkeep = &dht->upkeep;

        dht_due_set(dht, due, now->mono_us + TICK_US);
        if (now->boot_us > upkeep->ticked_boot_us + SLEPT_US)
                dht_wake(dht, now);
        else
                upkeep->tick++;
        upkeep->ticked_boot_us = now->boot_us;
        upkeep->hints = 0;
        if (dht->store) {
                dht_store_expire(dht->store, now->mono_us);
                dht_vault_expire(dht->vault, now->mono_us);
        }
        if (dht->bootstrapped)
                tick_bootstrapped(dht, now);
}

void dht_upkeep_begin(struct dht *dht, const struct now *now)
{
        struct dht_upkeep *upkeep = &dht->upkeep;

        upkeep->due.kind = DHT_DUE_TICK;
        upkeep->tick = FIRST_TICK - random_below(&dht->random, FIRST_TICK / 2);
        upkeep->refresh_ticks = TICKS_REFRESH - random_below(&dht->random, TICKS_REFRESH / 2);
        upkeep->ticked_boot_us = now->boot_us;
        dht_due_set(dht, &upkeep->due, now->mono_us + TICK_US);
}
