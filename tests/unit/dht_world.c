/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht_world.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

void world_free(struct world **w)
{
        if (*w)
                dht_free((*w)->dht);
        free(*w);
}

struct world *world_new(answer_fn *answers, const struct addr *bootstrap)
{
        struct world *w = calloc(1, sizeof(*w));
        struct dht_config config = { .server_socket = SERVER, .client_socket = CLIENT, .server_port = SERVER_PORT };

        check(w);
        w->seed = 1;
        w->answers = answers;
        w->pongs_by = CLIENT;
        w->now = (struct now){ SECONDS(100), SECONDS(100), SECONDS(1700000000) };
        config.random = (struct random){ test_random_fill, &w->seed };
        check_equal(dht_new(&w->dht, &config, &w->now), 0);
        check_equal(dht_set_bootstrap(w->dht, bootstrap, 1, &w->now), 0);
        return w;
}

static void collect(struct world *w)
{
        struct dht_event event;
        struct rpc_send send;

        dht_advance(w->dht, &w->now);
        while (dht_event(w->dht, &event)) {
                check(w->event_count < EVENTS_MAX);
                w->events[w->event_count++] = event;
        }
        while (dht_transmit(w->dht, &send)) {
                struct asked *asked = &w->asked[w->asked_count++];

                check(w->asked_count < ASKED_MAX && send.len <= sizeof(asked->bytes));
                asked->to = send.to;
                asked->socket = send.socket;
                memcpy(asked->bytes, send.bytes, send.len);
                check(rpc_message_read(asked->bytes, send.len, &asked->message));
        }
}

static struct addr seen(const struct world *w, uint32_t socket)
{
        struct addr addr = { { 90, 1, 1, 1 }, socket == SERVER ? SERVER_PORT : CLIENT_PORT };

        return w->seen_as.port ? w->seen_as : addr;
}

static void answer(struct world *w, const struct asked *asked)
{
        bool pong = asked->message.internal && asked->message.command == RPC_PING_NAT;
        uint32_t by = pong ? w->pongs_by : asked->socket;
        uint8_t id[RPC_ID_BYTES], bytes[RPC_DATAGRAM_MAX];
        struct rpc_message message = { .type = RPC_TYPE_RESPONSE, .tid = asked->message.tid, .id = id, .to = seen(w, by) };

        if (asked->message.type != RPC_TYPE_REQUEST)
                return;
        rpc_node_id(&asked->to, id);
        if (w->answers(w, asked, &message))
                dht_receive(w->dht, by, &asked->to, bytes, rpc_message_write(&message, bytes, sizeof(bytes)), &w->now);
}

void world_run(struct world *w, usec_t us)
{
        usec_t until_us = w->now.mono_us + us;

        collect(w);
        while (w->now.mono_us < until_us) {
                usec_t next_us = w->answered_count < w->asked_count ? w->now.mono_us + MSEC(1) : dht_deadline(w->dht);
                usec_t step_us = usec_max(usec_min(next_us, until_us), w->now.mono_us) - w->now.mono_us;
                size_t until = w->asked_count;

                w->now.mono_us += step_us;
                w->now.boot_us += step_us;
                w->now.wall_us += step_us;
                for (; w->answered_count < until; w->answered_count++)
                        answer(w, &w->asked[w->answered_count]);
                collect(w);
        }
}

const struct dht_event *world_last(const struct world *w, enum dht_event_kind kind)
{
        for (size_t i = w->event_count; i > 0; i--)
                if (w->events[i - 1].kind == kind)
                        return &w->events[i - 1];
        return NULL;
}

size_t world_count(const struct world *w, enum dht_event_kind kind)
{
        size_t n = 0;

        for (size_t i = 0; i < w->event_count; i++)
                n += w->events[i].kind == kind;
        return n;
}

size_t world_sent(const struct world *w, size_t from, bool internal, uint64_t command, const struct addr *to)
{
        size_t n = 0;

        for (size_t i = from; i < w->asked_count; i++)
                n += w->asked[i].message.internal == internal && w->asked[i].message.command == command &&
                     (!to || addr_equal(&w->asked[i].to, to));
        return n;
}

struct addr world_addr(unsigned number)
{
        return (struct addr){ { (uint8_t)(80 + number / 65536), (uint8_t)(number / 256), (uint8_t)number, 1 }, SERVER_PORT };
}

const struct addr *world_boot(void)
{
        static struct addr addr;

        addr = world_addr(0);
        return &addr;
}

void world_name(struct world *w, struct rpc_message *out, const struct addr *addrs, size_t n)
{
        out->closer = w->closer;
        out->closer_count = n;
        for (size_t i = 0; i < n; i++) {
                memcpy(w->closer + i * RPC_ADDR_BYTES, addrs[i].ip, 4);
                w->closer[i * RPC_ADDR_BYTES + 4] = (uint8_t)addrs[i].port;
                w->closer[i * RPC_ADDR_BYTES + 5] = (uint8_t)(addrs[i].port >> 8);
        }
}

void world_key(uint8_t secret_key[64])
{
        uint8_t seed[32] = { 7 }, public_key[32];

        crypto_sign_seed_keypair(public_key, secret_key, seed);
}

bool world_honest(struct world *w, const struct asked *asked, struct rpc_message *out)
{
        struct addr addrs[20];

        for (unsigned i = 0; i < 20; i++)
                addrs[i] = world_addr((asked->to.ip[2] + i + 1) % 30);
        if (asked->message.target)
                world_name(w, out, addrs, 20);
        if (!asked->message.internal && asked->message.command < 4)
                out->token = w->token;
        return true;
}
