/* SPDX-License-Identifier: BSD-3-Clause */
/* Many streams between two muxes over one lossy link: none waits for another, none is forgotten, all are over in the end. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "net.h"
#include "test.h"
#include "udx.h"

enum { STREAMS = 60, SIDES = 2, FIRST_ID = 1000 };

/* One end of one stream: writes @to_write bytes, ends, reads all, is freed in the handler of its last event. */
struct flow {
        struct udx_stream *stream;
        uint64_t to_write, written, read;
        bool stalled;                   /* reads nothing for now */
        bool wrong, ended, closed;
        enum udx_reason reason;
};

struct many {
        struct net *net;
        struct udx_mux *muxes[SIDES];
        unsigned sockets[SIDES];
        struct flow flows[SIDES][STREAMS];
};

static uint8_t pattern(unsigned side, unsigned index, uint64_t at)
{
        return (uint8_t)(at * 31 + at / 251 + side * 7 + index * 13);
}

static void many_fini(struct many *m)
{
        for (unsigned side = 0; side < SIDES; side++)
                udx_mux_free(m->muxes[side]);
        net_free(m->net);
}

static void many_init(struct many *m, uint64_t seed, const struct net_link *link)
{
        *m = (struct many){ .net = net_new(seed) };
        for (unsigned side = 0; side < SIDES; side++) {
                struct addr addr = { { 10, 0, 0, (uint8_t)(1 + side) }, 5000 };

                m->muxes[side] = udx_mux_new(net_random(m->net));
                m->sockets[side] = net_endpoint_add(m->net, &addr);
                net_link_set(m->net, m->sockets[side], link);
        }
        for (unsigned i = 0; i < SIDES * STREAMS; i++) {
                unsigned side = i / STREAMS, index = i % STREAMS;
                struct udx_path path = { .socket = m->sockets[side], .remote_id = FIRST_ID + index };
                struct flow *flow = &m->flows[side][index];

                path.remote = net_endpoint_addr(m->net, m->sockets[!side]);
                check_equal(udx_stream_new(m->muxes[side], FIRST_ID + index, flow, &flow->stream), 0);
                udx_stream_set_receive_limit(flow->stream, UDX_BUFFER_MIN);
                udx_stream_connect(flow->stream, &path, net_now(m->net));
        }
}

static void flow_write(struct many *m, unsigned side, unsigned index)
{
        struct flow *flow = &m->flows[side][index];
        uint8_t bytes[4096];

        while (flow->written < flow->to_write) {
                size_t len = MIN(sizeof(bytes), (size_t)(flow->to_write - flow->written)), took;

                for (size_t i = 0; i < len; i++)
                        bytes[i] = pattern(side, index, flow->written + i);
                took = udx_stream_write(flow->stream, bytes, len);
                flow->written += took;
                if (took < len)
                        return;
        }
        udx_stream_end(flow->stream);
}

static void flow_read(struct many *m, unsigned side, unsigned index)
{
        struct flow *flow = &m->flows[side][index];
        uint8_t *span;
        size_t len;

        while (!flow->stalled && (len = udx_stream_peek(flow->stream, &span))) {
                for (size_t i = 0; i < len; i++)
                        flow->wrong = flow->wrong || span[i] != pattern(!side, index, flow->read + i);
                flow->read += len;
                udx_stream_consume(flow->stream, len);
        }
}

/* Acts on events alone: whoever is not told of something never notices it. */
static void on_event(struct many *m, unsigned side, const struct udx_event *event)
{
        struct flow *flow = event->context;
        unsigned index = (unsigned)(flow - m->flows[side]);

        switch (event->type) {
        case UDX_READABLE:
                flow_read(m, side, index);
                break;
        case UDX_WRITABLE:
                flow_write(m, side, index);
                break;
        case UDX_REMOTE_ENDED:
                flow->ended = true;
                break;
        case UDX_CLOSED:
                flow_read(m, side, index);
                flow->closed = true;
                flow->reason = event->reason;
                udx_stream_free(flow->stream);
                flow->stream = NULL;
                break;
        default:
                break;
        }
}

static void transmit(struct many *m, unsigned side)
{
        static uint8_t flat[UDX_RUN_BYTES];
        struct udx_send out;

        while (udx_mux_transmit(m->muxes[side], &out, net_now(m->net))) {
                size_t len = 0;

                for (unsigned i = 0; i < out.iov_len; len += out.iov[i++].iov_len)
                        memcpy(flat + len, out.iov[i].iov_base, out.iov[i].iov_len);
                for (size_t at = 0; at < len; at += out.segment_bytes)
                        net_send(m->net, out.socket, &out.remote, flat + at, MIN(out.segment_bytes, len - at));
        }
}

static void settle(struct many *m)
{
        struct udx_event event;

        for (unsigned side = 0; side < SIDES; side++) {
                udx_mux_advance(m->muxes[side], net_now(m->net));
                while (udx_mux_event(m->muxes[side], &event))
                        on_event(m, side, &event);
                transmit(m, side);
                assert(udx_mux_deadline(m->muxes[side]) > net_now(m->net));
        }
}

static void run(struct many *m, usec_t us)
{
        usec_t until_us = net_now(m->net) + us, due_us;
        struct net_packet packet;

        settle(m);
        while ((due_us = usec_min(net_deadline(m->net),
                                  usec_min(udx_mux_deadline(m->muxes[0]), udx_mux_deadline(m->muxes[1])))) <= until_us) {
                net_run_to(m->net, due_us);
                while (net_receive(m->net, &packet))
                        udx_mux_receive(m->muxes[packet.endpoint == m->sockets[1]], packet.endpoint, &packet.from, packet.bytes,
                                        packet.len, net_now(m->net));
                settle(m);
        }
        net_run_to(m->net, until_us);
}

static void start(struct many *m, unsigned side, uint64_t bytes)
{
        for (unsigned i = 0; i < STREAMS; i++) {
                m->flows[side][i].to_write = bytes + i * 1000;
                flow_write(m, side, i);
        }
}

/* Both sides know the round trip from here on, as after any handshake. */
static void greet(struct many *m)
{
        for (unsigned i = 0; i < SIDES * STREAMS; i++) {
                unsigned side = i / STREAMS, index = i % STREAMS;
                uint8_t first = pattern(side, index, 0);

                m->flows[side][index].written = udx_stream_write(m->flows[side][index].stream, &first, 1);
        }
        run(m, SECONDS(1));
}

static void check_over(const struct many *m)
{
        for (unsigned side = 0; side < SIDES; side++) {
                for (unsigned i = 0; i < STREAMS; i++) {
                        const struct flow *flow = &m->flows[side][i];

                        check(flow->closed && flow->ended && !flow->wrong && !flow->stream);
                        check_equal(flow->reason, UDX_CLEAN);
                        check_equal(flow->read, m->flows[!side][i].to_write);
                }
        }
}

static const struct net_link lossy = {
        .delay_us = 10000, .jitter_us = 3000, .reorder = true, .loss_ppm = 20000, .bits_per_s = 200000000, .queue_bytes = 500000,
};

TEST(udx_many_streams_all_come_to_their_end)
{
        for (uint64_t seed = 1; seed <= 3; seed++) {
                cleanup_with(many_fini) struct many m;

                many_init(&m, seed, &lossy);
                start(&m, 0, 200000);
                start(&m, 1, 50000);
                run(&m, SECONDS(60));
                check_over(&m);
                run(&m, SECONDS(600));
                for (unsigned side = 0; side < SIDES; side++)
                        check(udx_mux_deadline(m.muxes[side]) == USEC_NEVER);  /* even the records of them are gone */
        }
}

TEST(udx_streams_whose_readers_rest_hold_up_no_other)
{
        cleanup_with(many_fini) struct many m;
        struct udx_stats stats;

        many_init(&m, 7, &lossy);
        for (unsigned i = 0; i < STREAMS; i += 5)
                m.flows[1][i].stalled = true;
        start(&m, 0, 500000);
        start(&m, 1, 1000);
        run(&m, SECONDS(30));
        for (unsigned i = 0; i < STREAMS; i++) {
                if (i % 5) {
                        check(m.flows[1][i].closed && m.flows[1][i].read == 500000 + i * 1000);
                        continue;
                }
                udx_stream_stats(m.flows[1][i].stream, &stats);
                check(stats.readable_bytes <= UDX_BUFFER_MIN + 2 * UDX_DATAGRAM_MAX);
                m.flows[1][i].stalled = false;
                flow_read(&m, 1, i);
        }
        run(&m, SECONDS(20));
        check_over(&m);
}

/* Sixty begin at the same moment, where each one's share of what the path holds is three packets: nobody starves. */
TEST(udx_streams_share_a_link)
{
        for (unsigned variant = 0; variant < 4; variant++) {
                struct net_link link = { .delay_us = 10000 + 37 * variant, .bits_per_s = 100000000, .queue_bytes = 250000 };
                cleanup_with(many_fini) struct many m;
                uint64_t least = UINT64_MAX, most = 0;

                many_init(&m, 9, &link);
                greet(&m);
                start(&m, 0, 100000000);
                run(&m, SECONDS(20));
                for (unsigned i = 0; i < STREAMS; i++) {
                        least = MIN(least, m.flows[1][i].read);
                        most = MAX(most, m.flows[1][i].read);
                }
                printf("# %.3f\n", (double)least / (double)most);
                check(least > most / 12);
        }
}
