/* SPDX-License-Identifier: BSD-3-Clause */
/* A mux in the middle: two peers' packets pass, whole runs at a time, and nobody else's. */
#include <string.h>

#include "cleanup.h"
#include "test.h"
#include "udx_private.h"
#include "vectors.h"

enum { SOCKET = 3, PACKETS_MAX = 512 };

static const struct udx_path paths[2] = {
        { .socket = SOCKET, .remote_id = 0x11111111, .remote = { { 10, 0, 0, 1 }, 1000 } },
        { .socket = SOCKET, .remote_id = 0x22222222, .remote = { { 10, 0, 0, 2 }, 2000 } },
};

struct bench {
        struct udx_mux *mux;
        struct udx_forward *forward;
        usec_t now_us;
        unsigned packets, runs;
        size_t lens[PACKETS_MAX];
        uint8_t last[UDX_DATAGRAM_MAX];
        struct addr to;
};

static void bench_fini(struct bench *b)
{
        udx_mux_free(b->mux);
}

static void bench_init(struct bench *b)
{
        static uint64_t seed = 1;
        struct random random = { test_random_fill, &seed };

        *b = (struct bench){ .mux = udx_mux_new(&random), .now_us = SECONDS(1) };
        check(b->mux);
        check_equal(udx_forward_new(b->mux, paths, b->now_us, &b->forward), 0);
}

#define BENCH(name)                                             \
        cleanup_with(bench_fini) struct bench name;             \
        bench_init(&name)

static void drain(struct bench *b)
{
        static uint8_t flat[UDX_RUN_SEGMENTS * UDX_DATAGRAM_MAX];
        struct udx_send out;

        b->packets = b->runs = 0;
        while (udx_mux_transmit(b->mux, &out, b->now_us)) {
                size_t len = 0;

                check_equal(out.socket, SOCKET);
                check(out.bytes <= 65000);
                b->to = out.remote;
                for (unsigned i = 0; i < out.iov_len; len += out.iov[i++].iov_len)
                        memcpy(flat + len, out.iov[i].iov_base, out.iov[i].iov_len);
                check_equal(len, out.bytes);
                for (size_t at = 0; at < len; at += out.segment_bytes) {
                        b->lens[b->packets++] = MIN(out.segment_bytes, len - at);
                        memcpy(b->last, flat + at, b->lens[b->packets - 1]);
                }
                b->runs++;
        }
}

static enum udx_verdict say(struct bench *b, unsigned side, const struct addr *from, uint8_t *packet, size_t len)
{
        struct writer w = writer_over(packet + 4, 4);

        write_u32le(&w, udx_forward_id(b->forward, side));
        return udx_mux_receive(b->mux, SOCKET, from, packet, len, b->now_us);
}

static enum udx_verdict say_bytes(struct bench *b, unsigned side, size_t len)
{
        uint8_t packet[UDX_DATAGRAM_MAX + 8] = { UDX_MAGIC, UDX_VERSION, UDX_DATA };

        packet[len - 1] = 0x77;
        return say(b, side, &paths[side].remote, packet, len);
}

/* Each datagram the original's relay passed on leaves ours with the same bytes. */
TEST(udx_forwards_as_the_reference_does)
{
        json_t *scenarios = vector_at(vectors("relay.json"), "scenarios"), *scenario, *item;
        unsigned compared = 0;
        size_t i, k;

        json_array_foreach(scenarios, i, scenario) {
                json_array_foreach(vector_at(scenario, "relayed_stream.packets"), k, item) {
                        struct udx_path both[2] = { paths[0], paths[1] };
                        uint8_t in[UDX_DATAGRAM_MAX], out[UDX_DATAGRAM_MAX];
                        bool by_client = strcmp(vector_text(item, "from"), "client") == 0;
                        size_t len;

                        if (!vector_true(item, "forwarded"))
                                continue;
                        BENCH(b);
                        udx_forward_free(b.forward);
                        both[!by_client].remote_id = (uint32_t)vector_number(item, "idFromRelay");
                        check_equal(udx_forward_new(b.mux, both, b.now_us, &b.forward), 0);
                        len = vector_bytes(item, "inHex", in, sizeof(in));
                        check_equal(vector_bytes(item, "outHex", out, sizeof(out)), len);
                        check_equal(say(&b, by_client, &both[by_client].remote, in, len), UDX_OK);
                        drain(&b);
                        check_equal(b.packets, 1);
                        check(addr_equal(&b.to, &both[!by_client].remote));
                        check_equal(b.lens[0], len);
                        check_bytes(b.last, out, len);
                        compared++;
                }
        }
        check(compared >= 60);
}

TEST(udx_forwards_runs_as_runs)
{
        BENCH(b);
        struct udx_forward_stats stats;

        for (unsigned i = 0; i < 100; i++)
                check_equal(say_bytes(&b, 0, i == 99 ? 300 : 1172), UDX_OK);
        drain(&b);
        check_equal(b.packets, 100);
        check_equal(b.runs, 2);
        check_equal(b.lens[99], 300);
        check(addr_equal(&b.to, &paths[1].remote));
        say_bytes(&b, 1, 100);
        say_bytes(&b, 1, 200);          /* longer than the first: begins its own run */
        say_bytes(&b, 1, 100);          /* shorter: ends it */
        say_bytes(&b, 1, 100);
        drain(&b);
        check_equal(b.packets, 4);
        check_equal(b.runs, 3);
        udx_forward_stats(b.forward, &stats);
        check_equal(stats.packets, 104);
        check_equal(stats.bytes, 99 * 1172 + 300 + 500);
}

TEST(udx_forwards_nothing_from_elsewhere)
{
        BENCH(b);
        uint8_t packet[40] = { UDX_MAGIC, UDX_VERSION, UDX_DATA };
        struct addr stranger = { { 10, 0, 0, 9 }, 1000 };

        check_equal(say(&b, 0, &stranger, packet, sizeof(packet)), UDX_WRONG_REMOTE);
        check_equal(say(&b, 0, &paths[1].remote, packet, sizeof(packet)), UDX_WRONG_REMOTE);
        drain(&b);
        check_equal(b.packets, 0);
        udx_forward_free(b.forward);
        check_equal(udx_mux_receive(b.mux, SOCKET, &paths[0].remote, packet, sizeof(packet), b.now_us), UDX_NOT_OURS);
}

/* 55 of them are more than one send takes. */
TEST(udx_forwards_the_largest_packets_in_runs_that_can_be_sent)
{
        BENCH(b);

        for (unsigned i = 0; i < 100; i++)
                check_equal(say_bytes(&b, 0, UDX_DATAGRAM_MAX), UDX_OK);
        drain(&b);
        check_equal(b.packets, 100);
        check_equal(b.runs, 3);
}

/* The relay has two sockets, and the peer may have been told of either. */
TEST(udx_forwards_by_the_socket_a_peer_calls)
{
        BENCH(b);
        uint8_t packet[40] = { UDX_MAGIC, UDX_VERSION, UDX_DATA };
        struct writer w = writer_over(packet + 4, 4);
        struct udx_send out;

        write_u32le(&w, udx_forward_id(b.forward, 0));
        check_equal(udx_mux_receive(b.mux, SOCKET + 1, &paths[0].remote, packet, sizeof(packet), b.now_us), UDX_OK);
        drain(&b);
        check_equal(b.packets, 1);
        say_bytes(&b, 1, 100);
        check(udx_mux_transmit(b.mux, &out, b.now_us));
        check_equal(out.socket, SOCKET + 1);
}

TEST(udx_forwards_keep_no_more_than_a_router_does)
{
        BENCH(b);
        struct udx_forward_stats stats;

        for (unsigned i = 0; i < UDX_FORWARD_QUEUE; i++)
                check_equal(say_bytes(&b, 0, 1172), UDX_OK);
        check_equal(say_bytes(&b, 0, 1172), UDX_NO_ROOM);
        check_equal(say_bytes(&b, 1, 1172), UDX_OK);                    /* the other way is free */
        check_equal(say_bytes(&b, 1, UDX_DATAGRAM_MAX + 1), UDX_NO_ROOM);
        udx_forward_stats(b.forward, &stats);
        check_equal(stats.dropped, 2);
        drain(&b);
        check_equal(b.packets, UDX_FORWARD_QUEUE + 1);
        check_equal(b.mux->forward_bytes, 0);
        say_bytes(&b, 0, 1172);
        udx_forward_free(b.forward);                                    /* with what waits */
        check_equal(b.mux->forward_bytes, 0);
        drain(&b);
        check_equal(b.packets, 0);
}

TEST(udx_forwards_keep_to_a_rate)
{
        BENCH(b);
        unsigned passed = 0;

        udx_mux_set_forward_rate(b.mux, 1000 * 1000);
        for (unsigned ms = 0; ms < 1000; ms++) {
                b.now_us += MSEC(1);
                for (unsigned i = 0; i < 5; i++)
                        passed += say_bytes(&b, 0, 1000) == UDX_OK;
                drain(&b);
        }
        check(passed >= 990 && passed <= 1100);           /* a tenth of a second more, which came at once */
        udx_mux_set_forward_rate(b.mux, 0);
        for (unsigned i = 0; i < 200; i++)
                check_equal(say_bytes(&b, 0, 1000), UDX_OK);
}
