/* SPDX-License-Identifier: BSD-3-Clause */
/* The files that an instance finds in its state directory: known nodes, gates that were open, its identity. The input is
 *
 *      kind u8         bits 0, 1: of which file; bit 2: the rest is made a file that was written in order
 *      the file's bytes; or for each half its number (u32le), and its body
 *
 * Whatever lies there, what is kept afterwards is found again. */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "ipc_fd.h"
#include "ipc_swarm.h"
#include "keys.h"
#include "known.h"
#include "last_gates.h"

enum kind { KNOWN, GATES, IDENTITY };

enum { KNOWN_HALF = 512, GATES_HALF = 2048, DIGEST_BYTES = 32, FILE_MAX = 2 * STATE_HALVES_MAX };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char folder[] = "/tmp/hg-fuzz.XXXXXX", path[64];
static const struct conf_bootstrap bootstrap = { "", "one.example", 49737 };
static const struct conf conf = { .bootstrap = &bootstrap, .bootstrap_count = 1 };
static const uint8_t router[KEYS_BYTES] = { 1 };

static void must(bool condition)
{
        if (!condition)
                abort();
}

static void forget_all(void)
{
        unlink(path);
        rmdir(folder);
}

static void begin(void)
{
        must(sodium_init() >= 0 && mkdtemp(folder));
        snprintf(path, sizeof(path), "%s/state", folder);
        atexit(forget_all);
}

static void put(const uint8_t *bytes, size_t len)
{
        int fd;

        unlink(path);                   /* one that is cut and written again is flushed at once: ext4(5), auto_da_alloc */
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        must(fd >= 0 && (!len || write(fd, bytes, len) == (ssize_t)len));
        close(fd);
}

/* Whose the state is stands first in each body. */
static void write_owner(struct writer *w, enum kind kind)
{
        struct known known;

        if (kind == GATES) {
                write_bytes(w, router, sizeof(router));
                return;
        }
        must(known_init(&known, NULL, 0, 0, &conf) == 0);
        write_bytes(w, known.network, sizeof(known.network));
        known_fini(&known);
}

/* A half as it is written, but for what its body says. */
static void write_half(struct writer *w, enum kind kind, size_t half_bytes, struct reader *r)
{
        uint8_t half[STATE_HALVES_MAX] = { 0 };
        struct writer inner = writer_over(half, half_bytes - DIGEST_BYTES);
        size_t len;

        write_bytes(&inner, kind == GATES ? "hggates1" : "hgnodes1", STATE_HALVES_MAGIC_BYTES);
        write_u64le(&inner, read_u32le(r));
        write_owner(&inner, kind);
        len = MIN(reader_left(r), writer_left(&inner));
        if (len)
                read_copy(r, write_reserve(&inner, len), len);
        crypto_generichash(half + half_bytes - DIGEST_BYTES, DIGEST_BYTES, half, half_bytes - DIGEST_BYTES, NULL, 0);
        write_bytes(w, half, half_bytes);
}

static void put_in_order(enum kind kind, struct reader *r)
{
        size_t half_bytes = kind == GATES ? GATES_HALF : KNOWN_HALF;
        uint8_t bytes[FILE_MAX];
        struct writer w = writer_over(bytes, sizeof(bytes));

        write_half(&w, kind, half_bytes, r);
        write_half(&w, kind, half_bytes, r);
        must(!w.failed);
        put(bytes, writer_len(&w));
}

/* @in_order: what stands there was written by us, so what comes after it is newer. */
static void try_known(bool in_order)
{
        struct ipc_swarm_known nodes = { .count = 2, .node = { { { 80, 1, 2, 3 }, 4000 }, { { 80, 1, 2, 4 }, 4001 } } };
        struct known known;

        must(known_init(&known, path, geteuid(), getegid(), &conf) == 0 && known.nodes.count <= IPC_KNOWN_MAX);
        if (known.nodes.count && known_take(&known, &known.nodes))
                nodes = known.nodes;
        else
                must(known_take(&known, &nodes));
        must(known.error == 0);
        known_fini(&known);
        must(known_init(&known, path, geteuid(), getegid(), &conf) == 0);
        must(!in_order || memcmp(&known.nodes, &nodes, sizeof(nodes)) == 0);
        known_fini(&known);
}

static void on_gate(void *context, const struct gate *gate)
{
}

/* What is open now is kept, and found again. */
static void take(struct last_gates *last, const struct gates *gates)
{
        struct last_gates again;

        if (gates->count == 0)
                return;                 /* what did not change is not written */
        last->count = 0;
        last_gates_take(last, gates);
        must(last->count == MIN(gates->count, (unsigned)LAST_GATES_MAX));
        last_gates_fini(last);
        must(last_gates_init(&again, path, geteuid(), getegid(), router) == 0);
        must(again.count == last->count && memcmp(again.gate, last->gate, again.count * sizeof(again.gate[0])) == 0);
        *last = again;
}

/* Of what was open, what the configuration allows is asked for: here at an address this host does not have. */
static void open_gates(struct last_gates *last, struct log *log)
{
        static const struct conf_address nowhere = { .text = "192.0.2.1", .ip = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 } };
        static const struct conf_filter filter = { .fields = CONF_FILTER_GATE_PORT, .gate_port = 80, .gate_port_last = 80 };
        struct conf_gateway gateway = { .present = true, .listen = &nowhere, .listen_count = 1, .filters = &filter,
                                        .filter_count = last->count % 2 };
        static struct passed no_sockets;
        static struct ev_loop *loop;
        struct gates gates;

        if (!loop)
                loop = ev_default_loop(EVFLAG_AUTO);
        must(loop != NULL);
        gates_init(&gates, loop, log, &gateway, NULL, &no_sockets, on_gate, on_gate, NULL);
        last_gates_open(last, &gates);
        must(gates.count <= last->count && gates_open_count(&gates) == 0);
        take(last, &gates);
        gates_fini(&gates);
}

/* Of the sockets that the service manager kept, those stay that were of a gate. */
static void sort_sockets(const struct last_gates *last)
{
        static const struct conf_address listen = { .text = "127.0.0.1", .ip = { [10] = 0xff, [11] = 0xff, 127, 0, 0, 1 } };
        const struct conf_gateway gateway = { .present = true, .listen = &listen, .listen_count = 1 };
        struct passed_socket sockets[] = {
                { .from = PASSED_KEPT_GATE, .place = { .port = last->gate[0].port, .datagrams = last->gate[0].protocol == CONF_UDP } },
                { .from = PASSED_KEPT_GATE, .place = { .ip = { 1 } } },
        };
        struct passed passed = { .list = sockets, .count = ARRAY_LEN(sockets) };

        memcpy(sockets[0].place.ip, listen.ip, sizeof(listen.ip));
        for (size_t i = 0; i < ARRAY_LEN(sockets); i++)
                must((sockets[i].fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
        last_gates_sort(last, &gateway, &passed);
        must(sockets[1].fd < 0 && (last->count || sockets[0].fd < 0));
        close_fdp(&sockets[0].fd);
}

/* The router's secret is exchanged: the gates are those of the new one, which finds them. */
static void exchange(struct last_gates *last)
{
        static const uint8_t other[KEYS_BYTES] = { 2 };
        struct last_gates again;

        last_gates_of_router(last, last->router);
        last_gates_of_router(last, other);
        last_gates_fini(last);
        must(last_gates_init(&again, path, geteuid(), getegid(), other) == 0);
        must(again.count == last->count && memcmp(again.gate, last->gate, again.count * sizeof(again.gate[0])) == 0);
        *last = again;
}

static void try_gates(void)
{
        struct log log = { .level = -1 };
        struct last_gates last;

        must(last_gates_init(&last, path, geteuid(), getegid(), router) == 0 && last.count <= LAST_GATES_MAX);
        sort_sockets(&last);
        last.count = MIN(last.count, 8U);
        open_gates(&last, &log);
        exchange(&last);
        last_gates_fini(&last);
}

static void try_identity(size_t file_bytes)
{
        uint8_t seed[KEYS_BYTES] = { 0 };
        enum keys_verdict verdict = keys_identity(path, geteuid(), getegid(), seed);

        must(verdict == (file_bytes == KEYS_BYTES ? KEYS_READ : KEYS_MALFORMED));
}

/* Where none was, one is made, and is the same from then on. */
static void make_identity(void)
{
        uint8_t seed[2][KEYS_BYTES];

        unlink(path);
        must(keys_identity(path, geteuid(), getegid(), seed[0]) == KEYS_MADE);
        must(keys_identity(path, geteuid(), getegid(), seed[1]) == KEYS_READ && memcmp(seed[0], seed[1], KEYS_BYTES) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        struct reader r = reader_over(data, MIN(len, (size_t)FILE_MAX));
        uint8_t flags = read_u8(&r);
        enum kind kind = (enum kind)(flags % 4);
        size_t file_bytes = reader_left(&r);

        if (!*path)
                begin();
        if (flags & 4 && (kind == KNOWN || kind == GATES))
                put_in_order(kind, &r);
        else
                put(r.at, file_bytes);
        if (kind == KNOWN)
                try_known(flags & 4);
        else if (kind == GATES)
                try_gates();
        else if (flags & 8 && !file_bytes)
                make_identity();
        else
                try_identity(file_bytes);
        return 0;
}
