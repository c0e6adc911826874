/* SPDX-License-Identifier: BSD-3-Clause */
#include "udx_bulk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

enum { A, B, SIDES, FIRST_ID = 100, WRITE_BYTES = 32768, SAMPLES_MAX = 1 << 17, ANSWERS_MAX = 1 << 16 };

#define SAY_BYTES 1000                  /* who has little to say says it in pieces */
#define ANSWER_PAUSE_US MSEC(100)       /* on average, the same again at most */

struct bulk_flow {
        struct udx_stream *ends[SIDES];
        usec_t start_us;
        uint64_t read, read_before, written;
        uint64_t asked;                 /* for so much, all answers together, */
        usec_t asked_us;                /* lately then */
};

struct udx_bulk {
        struct udx_bulk_spec spec;
        struct net *net;
        struct udx_mux *muxes[SIDES];
        unsigned sockets[SIDES];
        struct bulk_flow flows[UDX_BULK_FLOWS];
        usec_t app_since_us;            /* the applications' rate counts from here, */
        uint64_t app_base;              /* with so much written by each before */
        uint64_t packets;
        uint32_t *samples;              /* of the queue, one each millisecond */
        size_t sample_count;
        usec_t sample_us;
        uint32_t *answers;              /* what each took */
        size_t answer_count;
        const struct random *random;
};

static void add_flow(struct udx_bulk *bulk, unsigned i)
{
        struct bulk_flow *flow = &bulk->flows[i];

        for (unsigned side = 0; side < SIDES; side++) {
                struct udx_path path = { .socket = bulk->sockets[side], .remote_id = FIRST_ID + i };

                path.remote = net_endpoint_addr(bulk->net, bulk->sockets[!side]);
                if (udx_stream_new(bulk->muxes[side], FIRST_ID + i, flow, &flow->ends[side]) < 0)
                        abort();
                udx_stream_set_receive_limit(flow->ends[side], bulk->spec.window_bytes ? bulk->spec.window_bytes : UDX_BUFFER_MAX);
                if (!bulk->spec.window_bytes)
                        udx_stream_let_window_grow(flow->ends[side]);
                udx_stream_let_datagrams_grow(flow->ends[side], bulk->spec.datagrams_grow);
                udx_stream_connect(flow->ends[side], &path, net_now(bulk->net));
        }
        udx_stream_write(flow->ends[B], (const uint8_t[59]){ 0 }, 59);  /* secret-stream's header: so B knows the round trip */
        flow->start_us = net_now(bulk->net) + i * bulk->spec.stagger_us;
}

struct udx_bulk *udx_bulk_new(const struct udx_bulk_spec *spec)
{
        struct udx_bulk *bulk = calloc(1, sizeof(*bulk));

        assert(bulk);
        bulk->spec = *spec;
        bulk->spec.flows = MAX(spec->flows, 1u);
        assert(bulk->spec.flows <= UDX_BULK_FLOWS);
        bulk->samples = calloc(SAMPLES_MAX, sizeof(*bulk->samples));
        bulk->answers = calloc(ANSWERS_MAX, sizeof(*bulk->answers));
        assert(bulk->samples && bulk->answers);
        bulk->net = net_new(spec->seed);
        for (unsigned side = 0; side < SIDES; side++) {
                struct addr addr = { { 10, 0, 0, (uint8_t)(1 + side) }, 5000 };

                bulk->muxes[side] = udx_mux_new(net_random(bulk->net));
                assert(bulk->muxes[side]);
                bulk->sockets[side] = net_endpoint_add(bulk->net, &addr);
                net_link_set(bulk->net, bulk->sockets[side], side == A ? &spec->there : &spec->back);
        }
        for (unsigned i = 0; i < bulk->spec.flows; i++)
                add_flow(bulk, i);
        bulk->app_since_us = bulk->sample_us = net_now(bulk->net);
        bulk->random = net_random(bulk->net);
        return bulk;
}

void udx_bulk_freep(struct udx_bulk **bulk)
{
        if (!*bulk)
                return;
        udx_mux_free((*bulk)->muxes[A]);
        udx_mux_free((*bulk)->muxes[B]);
        net_free((*bulk)->net);
        free((*bulk)->samples);
        free((*bulk)->answers);
        free(*bulk);
}

static uint64_t allowed(const struct udx_bulk *bulk, const struct bulk_flow *flow)
{
        uint64_t said;

        if (bulk->spec.answer_bytes)
                return flow->asked;
        if (!bulk->spec.app_bytes_per_s || (bulk->spec.app_flows && flow >= &bulk->flows[bulk->spec.app_flows]))
                return UINT64_MAX;
        said = (net_now(bulk->net) - bulk->app_since_us) * bulk->spec.app_bytes_per_s / 1000000;
        return bulk->app_base + said / SAY_BYTES * SAY_BYTES;
}

/* The next answer is asked for when the pause after the last one is over. */
static void flow_ask(struct udx_bulk *bulk, struct bulk_flow *flow)
{
        if (!bulk->spec.answer_bytes || flow->read < flow->asked || net_now(bulk->net) < flow->asked_us)
                return;
        flow->asked += bulk->spec.answer_bytes;
        flow->asked_us = net_now(bulk->net);
}

static void flow_write(struct udx_bulk *bulk, struct bulk_flow *flow)
{
        uint8_t *room;

        if (net_now(bulk->net) < flow->start_us)
                return;
        flow_ask(bulk, flow);
        while (flow->written < allowed(bulk, flow)) {
                size_t len = (size_t)MIN((uint64_t)WRITE_BYTES, allowed(bulk, flow) - flow->written);

                room = udx_stream_reserve(flow->ends[A], len);
                if (!room)
                        return;
                memset(room, 0, len);
                udx_stream_commit(flow->ends[A], len);
                flow->written += len;
        }
}

static void flow_read(struct udx_bulk *bulk, struct bulk_flow *flow)
{
        uint8_t *span;
        size_t len = udx_stream_peek(flow->ends[B], &span);

        flow->read += len;
        udx_stream_consume(flow->ends[B], len);
        if (!bulk->spec.answer_bytes || flow->read < flow->asked || flow->asked_us > net_now(bulk->net))
                return;
        if (bulk->answer_count < ANSWERS_MAX)
                bulk->answers[bulk->answer_count++] = (uint32_t)(net_now(bulk->net) - flow->asked_us);
        flow->asked_us = net_now(bulk->net) + random_below(bulk->random, 2 * (uint32_t)ANSWER_PAUSE_US);
}

static void transmit(struct udx_bulk *bulk, unsigned side)
{
        static uint8_t flat[65536];
        struct udx_send out;

        while (udx_mux_transmit(bulk->muxes[side], &out, net_now(bulk->net))) {
                size_t len = 0;

                for (unsigned i = 0; i < out.iov_len; len += out.iov[i++].iov_len)
                        memcpy(flat + len, out.iov[i].iov_base, out.iov[i].iov_len);
                for (size_t at = 0; at < len; at += out.segment_bytes)
                        (out.pieces ? net_send_pieces : net_send)(bulk->net, out.socket, &out.remote, flat + at,
                                                                  MIN(out.segment_bytes, len - at));
                bulk->packets += side == A ? out.segments : 0;
        }
}

static void settle(struct udx_bulk *bulk)
{
        struct udx_event event;

        for (unsigned side = 0; side < SIDES; side++) {
                udx_mux_advance(bulk->muxes[side], net_now(bulk->net));
                while (udx_mux_event(bulk->muxes[side], &event)) {
                        assert(event.type != UDX_CLOSED);
                        if (event.type == UDX_READABLE)
                                flow_read(bulk, event.context);
                }
                for (unsigned i = 0; side == A && i < bulk->spec.flows; i++)
                        flow_write(bulk, &bulk->flows[i]);
                transmit(bulk, side);
        }
}

static usec_t next_due(const struct udx_bulk *bulk)
{
        usec_t due_us = usec_min(udx_mux_deadline(bulk->muxes[A]), udx_mux_deadline(bulk->muxes[B]));

        due_us = usec_min(due_us, usec_min(net_deadline(bulk->net), bulk->sample_us));
        return usec_max(due_us, net_now(bulk->net));
}

static void sample(struct udx_bulk *bulk)
{
        if (net_now(bulk->net) < bulk->sample_us)
                return;
        bulk->sample_us += MSEC(1);
        if (bulk->sample_count < SAMPLES_MAX)
                bulk->samples[bulk->sample_count++] = (uint32_t)net_queue_us(bulk->net, bulk->sockets[A]);
}

static void step(struct udx_bulk *bulk, usec_t due_us)
{
        struct net_packet packet;

        net_run_to(bulk->net, due_us);
        sample(bulk);
        while (net_receive(bulk->net, &packet))
                udx_mux_receive(bulk->muxes[packet.endpoint == bulk->sockets[B]], packet.endpoint, &packet.from, packet.bytes,
                                packet.len, net_now(bulk->net));
        settle(bulk);
}

static int by_size(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return (x > y) - (x < y);
}

static void sum_up_queue(struct udx_bulk *bulk, struct udx_bulk_figures *figures)
{
        uint64_t sum = 0;

        if (!bulk->sample_count)
                return;
        qsort(bulk->samples, bulk->sample_count, sizeof(*bulk->samples), by_size);
        for (size_t i = 0; i < bulk->sample_count; i++)
                sum += bulk->samples[i];
        figures->queue_mean_us = sum / bulk->sample_count;
        figures->queue_p95_us = bulk->samples[bulk->sample_count * 95 / 100];
}

static void sum_up_answers(struct udx_bulk *bulk, struct udx_bulk_figures *figures)
{
        size_t count = bulk->answer_count;
        uint64_t sum = 0;

        figures->answers = (unsigned)count;
        if (!count)
                return;
        qsort(bulk->answers, count, sizeof(*bulk->answers), by_size);
        for (size_t i = 0; i < count; i++)
                sum += bulk->answers[i];
        figures->answer_mean_us = sum / count;
        figures->answer_p99_us = bulk->answers[count * 99 / 100];
        figures->answer_max_us = bulk->answers[count - 1];
}

/* Jain's index: (sum of x)^2 / (n * sum of x^2). */
static void sum_up_flows(const struct udx_bulk *bulk, struct udx_bulk_figures *figures)
{
        double sum = 0, squares = 0;

        for (unsigned i = 0; i < bulk->spec.flows; i++) {
                uint64_t read = bulk->flows[i].read - bulk->flows[i].read_before;

                figures->read[i] = read;
                figures->read_sum += read;
                sum += (double)read;
                squares += (double)read * (double)read;
        }
        figures->jain = squares > 0 ? sum * sum / (bulk->spec.flows * squares) : 0;
        figures->bits_per_s = sum * 8e6 / (double)figures->us;
}

struct udx_bulk_figures udx_bulk_run(struct udx_bulk *bulk, usec_t us)
{
        const struct udx_counters *sender = udx_mux_counters(bulk->muxes[A]), *reader = udx_mux_counters(bulk->muxes[B]);
        struct udx_bulk_figures figures = {
                .us = us, .packets = -bulk->packets, .resent = -sender->packets_resent, .duplicates = -reader->duplicates,
                .timeouts = -sender->timeouts, .queue_drops = -net_totals(bulk->net)->queue_drops,
        };
        usec_t until_us = net_now(bulk->net) + us, due_us;

        bulk->sample_count = bulk->answer_count = 0;
        for (unsigned i = 0; i < bulk->spec.flows; i++)
                bulk->flows[i].read_before = bulk->flows[i].read;
        settle(bulk);
        while ((due_us = next_due(bulk) + bulk->spec.batch_us) <= until_us)
                step(bulk, due_us);
        net_run_to(bulk->net, usec_max(until_us, net_now(bulk->net)));
        figures.packets += bulk->packets;
        figures.resent += sender->packets_resent;
        figures.duplicates += reader->duplicates;
        figures.timeouts += sender->timeouts;
        figures.queue_drops += net_totals(bulk->net)->queue_drops;
        sum_up_queue(bulk, &figures);
        sum_up_answers(bulk, &figures);
        sum_up_flows(bulk, &figures);
        return figures;
}

void udx_bulk_set_link(struct udx_bulk *bulk, const struct net_link *there)
{
        net_link_set(bulk->net, bulk->sockets[A], there);
}

void udx_bulk_set_app_rate(struct udx_bulk *bulk, uint64_t bytes_per_s)
{
        bulk->spec.app_bytes_per_s = bytes_per_s;
        bulk->app_since_us = net_now(bulk->net);
        bulk->app_base = 0;
        for (unsigned i = 0; i < bulk->spec.flows; i++)
                bulk->app_base = MAX(bulk->app_base, bulk->flows[i].written);
}

struct udx_stats udx_bulk_stats(const struct udx_bulk *bulk, unsigned flow)
{
        struct udx_stats stats;

        udx_stream_stats(bulk->flows[flow].ends[A], &stats);
        return stats;
}

usec_t udx_bulk_now(const struct udx_bulk *bulk)
{
        return net_now(bulk->net);
}
