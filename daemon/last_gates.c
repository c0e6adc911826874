/* SPDX-License-Identifier: BSD-3-Clause */
#include "last_gates.h"

#include <string.h>

#include "bytes.h"

enum {
        HALF_BYTES = 2048,
        BODY_BYTES = HALF_BYTES - STATE_HALVES_COST,
        GATE_BYTES = 4,
};

static const char magic[] = "hggates1";

_Static_assert(KEYS_BYTES + 2 + LAST_GATES_MAX * GATE_BYTES <= BODY_BYTES, "all gates fit in a half");

static void write_body(const struct last_gates *last, uint8_t body[BODY_BYTES])
{
        struct writer w = writer_over(body, BODY_BYTES);

        memset(body, 0, BODY_BYTES);
        write_bytes(&w, last->router, sizeof(last->router));
        write_u16le(&w, (uint16_t)last->count);
        for (uint32_t i = 0; i < last->count; i++) {
                write_u16le(&w, last->gate[i].port);
                write_u16le(&w, last->gate[i].protocol);
        }
}

/* The gates only if they are our router's. */
static void read_body(struct last_gates *last, const uint8_t body[BODY_BYTES])
{
        struct reader r = reader_over(body, BODY_BYTES);
        uint8_t router[KEYS_BYTES];
        uint16_t count;

        read_copy(&r, router, sizeof(router));
        count = read_u16le(&r);
        if (count > LAST_GATES_MAX || memcmp(router, last->router, sizeof(router)) != 0)
                return;
        last->count = count;
        for (uint32_t i = 0; i < last->count; i++) {
                last->gate[i].port = read_u16le(&r);
                last->gate[i].protocol = read_u16le(&r);
        }
}

int last_gates_init(struct last_gates *last, const char *path, uid_t uid, gid_t gid, const uint8_t router[KEYS_BYTES])
{
        uint8_t body[BODY_BYTES];
        int r;

        *last = (struct last_gates){ 0 };
        memcpy(last->router, router, sizeof(last->router));
        r = state_halves_open(&last->file, path, uid, gid, magic, sizeof(body), body);
        read_body(last, body);
        return r;
}

void last_gates_fini(struct last_gates *last)
{
        state_halves_close(&last->file);
}

static void store(struct last_gates *last, struct last_gates *now)
{
        uint8_t body[BODY_BYTES];

        write_body(now, body);
        if (state_halves_write(&now->file, body) == 0)
                *last = *now;
}

void last_gates_of_router(struct last_gates *last, const uint8_t router[KEYS_BYTES])
{
        struct last_gates now = *last;

        if (last->file.fd < 0 || memcmp(last->router, router, sizeof(last->router)) == 0)
                return;
        memcpy(now.router, router, sizeof(now.router));
        store(last, &now);
}

void last_gates_take(struct last_gates *last, const struct gates *gates)
{
        struct last_gates now = { .file = last->file };

        memcpy(now.router, last->router, sizeof(now.router));
        list_for_each(at, &gates->all) {
                const struct gate *gate = list_entry(at, struct gate, in_all);

                if (now.count == LAST_GATES_MAX)
                        break;
                now.gate[now.count].port = gate->port;
                now.gate[now.count++].protocol = gate->protocol;
        }
        if (last->file.fd < 0 || (now.count == last->count && memcmp(now.gate, last->gate, sizeof(now.gate)) == 0))
                return;
        store(last, &now);
}

struct sort {
        const struct last_gates *last;
        const struct conf_gateway *conf;
};

static bool is_wanted(const void *context, const struct socket_place *place)
{
        const struct sort *sort = context;
        uint16_t protocol = place->datagrams ? CONF_UDP : CONF_TCP;
        bool was_open = false, listens = false;

        for (uint32_t i = 0; i < sort->last->count; i++)
                was_open |= sort->last->gate[i].port == place->port && sort->last->gate[i].protocol == protocol;
        for (size_t i = 0; i < sort->conf->listen_count; i++)
                listens |= memcmp(sort->conf->listen[i].ip, place->ip, sizeof(place->ip)) == 0;
        return was_open && listens && gates_reopens(sort->conf, place->port, protocol);
}

void last_gates_sort(const struct last_gates *last, const struct conf_gateway *conf, struct passed *passed)
{
        passed_sort(passed, is_wanted, &(struct sort){ .last = last, .conf = conf });
}

void last_gates_open(const struct last_gates *last, struct gates *gates)
{
        for (uint32_t i = 0; i < last->count; i++)
                if (gates_reopens(gates->conf, last->gate[i].port, last->gate[i].protocol))
                        gates_open(gates, last->gate[i].port, last->gate[i].protocol);
}
