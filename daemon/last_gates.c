/* SPDX-License-Identifier: BSD-3-Clause */
#include "last_gates.h"

#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "state_file.h"

enum {
        HALF_BYTES = 2048,
        DIGEST_BYTES = 32,
        BODY_BYTES = HALF_BYTES - DIGEST_BYTES,
        GATE_BYTES = 4,
};

static const char magic[8] = "hggates1";

_Static_assert(sizeof(magic) + 8 + KEYS_BYTES + 2 + LAST_GATES_MAX * GATE_BYTES <= BODY_BYTES, "all gates fit in a half");

static void half_write(const struct last_gates *last, uint8_t half[HALF_BYTES])
{
        struct writer w = writer_over(half, BODY_BYTES);

        memset(half, 0, HALF_BYTES);
        write_bytes(&w, magic, sizeof(magic));
        write_u64le(&w, last->number);
        write_bytes(&w, last->router, sizeof(last->router));
        write_u16le(&w, (uint16_t)last->count);
        for (uint32_t i = 0; i < last->count; i++) {
                write_u16le(&w, last->gate[i].port);
                write_u16le(&w, last->gate[i].protocol);
        }
        crypto_generichash(half + BODY_BYTES, DIGEST_BYTES, half, BODY_BYTES, NULL, 0);
}

/* Takes over what is in @half if that is whole and newer; the gates only if they are our router's. */
static void half_read(struct last_gates *last, const uint8_t half[HALF_BYTES])
{
        struct reader r = reader_over(half, BODY_BYTES);
        uint8_t digest[DIGEST_BYTES], router[KEYS_BYTES], found[sizeof(magic)];
        uint64_t number;
        uint16_t count;

        crypto_generichash(digest, sizeof(digest), half, BODY_BYTES, NULL, 0);
        read_copy(&r, found, sizeof(found));
        number = read_u64le(&r);
        read_copy(&r, router, sizeof(router));
        count = read_u16le(&r);
        if (memcmp(digest, half + BODY_BYTES, sizeof(digest)) != 0 || memcmp(found, magic, sizeof(magic)) != 0 ||
            count > LAST_GATES_MAX || number <= last->number)
                return;
        last->number = number;
        last->count = memcmp(router, last->router, sizeof(router)) == 0 ? count : 0;
        for (uint32_t i = 0; i < last->count; i++) {
                last->gate[i].port = read_u16le(&r);
                last->gate[i].protocol = read_u16le(&r);
        }
}

int last_gates_init(struct last_gates *last, const char *path, uid_t uid, gid_t gid, const uint8_t router[KEYS_BYTES])
{
        uint8_t half[HALF_BYTES];
        int r = path ? state_file_open(path, uid, gid) : -1;

        *last = (struct last_gates){ .fd = r < 0 ? -1 : r };
        memcpy(last->router, router, sizeof(last->router));
        if (r < 0)
                return path ? r : 0;
        for (off_t at = 0; at < 2 * HALF_BYTES; at += HALF_BYTES)
                if (pread(last->fd, half, sizeof(half), at) == sizeof(half))
                        half_read(last, half);
        return 0;
}

void last_gates_fini(struct last_gates *last)
{
        if (last->fd >= 0)
                close(last->fd);
        last->fd = -1;
}

void last_gates_take(struct last_gates *last, const struct gates *gates)
{
        struct last_gates now = { .fd = last->fd, .number = last->number + 1 };
        uint8_t half[HALF_BYTES];

        memcpy(now.router, last->router, sizeof(now.router));
        list_for_each(at, &gates->all) {
                const struct gate *gate = list_entry(at, struct gate, in_all);

                if (now.count == LAST_GATES_MAX)
                        break;
                now.gate[now.count].port = gate->port;
                now.gate[now.count++].protocol = gate->protocol;
        }
        if (last->fd < 0 || (now.count == last->count && memcmp(now.gate, last->gate, sizeof(now.gate)) == 0))
                return;
        half_write(&now, half);
        if (pwrite(last->fd, half, sizeof(half), now.number % 2 ? HALF_BYTES : 0) == sizeof(half))
                *last = now;
}

void last_gates_open(const struct last_gates *last, struct gates *gates)
{
        for (uint32_t i = 0; i < last->count; i++)
                if (gates_reopens(gates->conf, last->gate[i].port, last->gate[i].protocol))
                        gates_open(gates, last->gate[i].port, last->gate[i].protocol);
}
