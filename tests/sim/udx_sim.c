/* SPDX-License-Identifier: BSD-3-Clause */
#include "udx_sim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_BYTES = 65536 };

static uint8_t pattern(enum udx_sim_side side, uint64_t at)
{
        return (uint8_t)(7 * at + at / 256 + at / 70001 + side * 101);
}

static void end_init(struct udx_sim *sim, enum udx_sim_side side, const struct net_link *link)
{
        struct udx_sim_end *end = &sim->end[side];

        sim->addr[side] = (struct addr){ .ip = { 10, 0, 0, (uint8_t)(side + 1) }, .port = (uint16_t)(4000 + side) };
        end->socket = net_endpoint_add(sim->net, &sim->addr[side]);
        net_link_set(sim->net, end->socket, link);
        end->random = net_random(sim->net);
        end->mux = udx_mux_new(end->random);
        assert(end->mux);
        if (udx_stream_new(end->mux, 0, end, &end->stream) < 0)
                abort();
        end->reads = true;
}

void udx_sim_connect(struct udx_sim *sim, enum udx_sim_side side)
{
        struct udx_path path = {
                .socket = sim->end[side].socket,
                .remote_id = udx_stream_local_id(sim->end[!side].stream),
                .remote = sim->addr[!side],
        };

        udx_stream_connect(sim->end[side].stream, &path, net_now(sim->net));
}

struct udx_sim *udx_sim_new_apart(uint64_t seed, const struct net_link *link)
{
        struct udx_sim *sim = calloc(1, sizeof(*sim));

        assert(sim);
        sim->net = net_new(seed);
        end_init(sim, A, link);
        end_init(sim, B, link);
        return sim;
}

struct udx_sim *udx_sim_new(uint64_t seed, const struct net_link *link)
{
        struct udx_sim *sim = udx_sim_new_apart(seed, link);

        udx_sim_connect(sim, A);
        udx_sim_connect(sim, B);
        return sim;
}

void udx_sim_let_datagrams_grow(struct udx_sim *sim)
{
        for (unsigned side = A; side <= B; side++)
                udx_stream_let_datagrams_grow(sim->end[side].stream, true);
}

size_t udx_sim_datagram_bytes(const struct udx_sim *sim, enum udx_sim_side side)
{
        struct udx_stats stats;

        udx_stream_stats(sim->end[side].stream, &stats);
        return stats.datagram_bytes;
}

void udx_sim_free(struct udx_sim *sim)
{
        if (!sim)
                return;
        udx_mux_free(sim->end[A].mux);
        udx_mux_free(sim->end[B].mux);
        net_free(sim->net);
        free(sim);
}

void udx_sim_freep(struct udx_sim **sim)
{
        udx_sim_free(*sim);
}

void udx_sim_set_link(struct udx_sim *sim, enum udx_sim_side from, const struct net_link *link)
{
        net_link_set(sim->net, sim->end[from].socket, link);
}

void udx_sim_write(struct udx_sim *sim, enum udx_sim_side side, uint64_t bytes)
{
        sim->end[side].to_write += bytes;
}

void udx_sim_end(struct udx_sim *sim, enum udx_sim_side side)
{
        sim->end[side].end_after = true;
}

static void app_write(struct udx_sim *sim, enum udx_sim_side side)
{
        struct udx_sim_end *end = &sim->end[side];

        while (end->stream && end->written < end->to_write) {
                size_t len = UDX_RESERVE_MAX - 1000 + (size_t)(end->written % 997);
                uint8_t *room;

                if (len > end->to_write - end->written)
                        len = (size_t)(end->to_write - end->written);
                room = udx_stream_reserve(end->stream, len);
                if (!room)
                        return;
                for (size_t i = 0; i < len; i++)
                        room[i] = pattern(side, end->written + i);
                udx_stream_commit(end->stream, len);
                end->written += len;
        }
        if (end->stream && end->end_after)
                udx_stream_end(end->stream);
}

static void app_read(struct udx_sim *sim, enum udx_sim_side side)
{
        struct udx_sim_end *end = &sim->end[side];
        uint8_t *span;
        size_t len;

        if (!end->stream || !end->reads)
                return;
        len = udx_stream_peek(end->stream, &span);
        for (size_t i = 0; i < len; i++)
                end->wrong = end->wrong || span[i] != pattern(!side, end->read + i);
        end->read += len;
        udx_stream_consume(end->stream, len);
}

static void on_event(struct udx_sim *sim, enum udx_sim_side side, const struct udx_event *event)
{
        struct udx_sim_end *end = &sim->end[side];

        switch (event->type) {
        case UDX_PATH:
                end->path_events++;
                break;
        case UDX_READABLE:
                app_read(sim, side);
                break;
        case UDX_MESSAGES:
                end->message_events++;
                break;
        case UDX_REMOTE_ENDED:
                end->remote_ended = true;
                break;
        case UDX_WRITABLE:
                end->writable_events++;
                app_write(sim, side);
                break;
        case UDX_ENDED:
                break;
        case UDX_CLOSED:
                assert(!end->closed);
                end->closed = true;
                end->closed_us = net_now(sim->net);
                end->reason = event->reason;
                app_read(sim, side);
                break;
        }
}

/* Splits a run as a GSO send would, and checks that it is one. */
static unsigned send_run(struct udx_sim *sim, const struct udx_send *out)
{
        static uint8_t flat[BATCH_BYTES];
        size_t len = 0;
        unsigned count = 0;

        for (unsigned i = 0; i < out->iov_len; i++) {
                assert(len + out->iov[i].iov_len <= sizeof(flat));
                memcpy(flat + len, out->iov[i].iov_base, out->iov[i].iov_len);
                len += out->iov[i].iov_len;
        }
        assert(len == out->bytes && len <= UDX_RUN_BYTES && out->segments <= UDX_RUN_SEGMENTS && out->segment_bytes <= UDX_DATAGRAM_MAX);
        for (size_t at = 0, piece; at < len; at += piece, count++) {
                piece = len - at < out->segment_bytes ? len - at : out->segment_bytes;
                (out->pieces ? net_send_pieces : net_send)(sim->net, out->socket, &out->remote, flat + at, piece);
        }
        assert(count == out->segments);
        return count;
}

static void settle_side(struct udx_sim *sim, enum udx_sim_side side)
{
        struct udx_sim_end *end = &sim->end[side];
        usec_t now_us = net_now(sim->net);
        struct udx_event event;
        struct udx_send out;
        unsigned burst = 0;

        udx_mux_advance(end->mux, now_us);
        while (udx_mux_event(end->mux, &event))
                on_event(sim, side, &event);
        app_read(sim, side);
        app_write(sim, side);
        while (udx_mux_transmit(end->mux, &out, now_us)) {
                burst += send_run(sim, &out);
                end->runs++;
        }
        end->packets += burst;
        if (burst > end->largest_burst)
                end->largest_burst = burst;
        assert(udx_mux_deadline(end->mux) > now_us);
}

void udx_sim_settle(struct udx_sim *sim)
{
        settle_side(sim, A);
        settle_side(sim, B);
}

static void feed(struct udx_sim *sim, const struct net_packet *first, uint8_t *batch, size_t len, size_t segment)
{
        enum udx_sim_side side = first->endpoint == sim->end[A].socket ? A : B;
        struct addr from = first->from;

        udx_mux_receive_run(sim->end[side].mux, first->endpoint, &from, batch, len, segment, net_now(sim->net));
}

/* What arrives at the same moment from the same remote, equally long, comes as one run, as with GRO. */
static void feed_arrivals(struct udx_sim *sim)
{
        static uint8_t batch[BATCH_BYTES];
        struct net_packet packet, first = { .len = 0 };
        size_t len = 0, last = 0;
        bool some = false;

        while (net_receive(sim->net, &packet)) {
                bool joins = some && packet.endpoint == first.endpoint && addr_equal(&packet.from, &first.from) &&
                             last == first.len && packet.len <= first.len && len + packet.len < sizeof(batch);

                if (some && !joins)
                        feed(sim, &first, batch, len, first.len);
                if (!joins) {
                        first = packet;
                        len = 0;
                        some = true;
                }
                memcpy(batch + len, packet.bytes, packet.len);
                len += packet.len;
                last = packet.len;
        }
        if (some)
                feed(sim, &first, batch, len, first.len);
}

static usec_t next_due(const struct udx_sim *sim)
{
        return usec_min(net_deadline(sim->net), usec_min(udx_mux_deadline(sim->end[A].mux), udx_mux_deadline(sim->end[B].mux)));
}

static bool step(struct udx_sim *sim, usec_t until_us)
{
        usec_t due_us = usec_max(next_due(sim), net_now(sim->net));

        if (due_us > until_us)
                return false;
        net_run_to(sim->net, due_us);
        feed_arrivals(sim);
        udx_sim_settle(sim);
        return true;
}

void udx_sim_run(struct udx_sim *sim, usec_t us)
{
        usec_t until_us = net_now(sim->net) + us;

        udx_sim_settle(sim);
        while (step(sim, until_us))
                ;
        net_run_to(sim->net, until_us);
}

usec_t udx_sim_run_until_read(struct udx_sim *sim, enum udx_sim_side side, uint64_t bytes, usec_t limit_us)
{
        usec_t start_us = net_now(sim->net);

        udx_sim_settle(sim);
        while (sim->end[side].read < bytes && step(sim, start_us + limit_us))
                ;
        return net_now(sim->net) - start_us;
}

bool udx_sim_delivered(const struct udx_sim *sim, enum udx_sim_side side)
{
        const struct udx_sim_end *end = &sim->end[side], *other = &sim->end[!side];

        return !end->wrong && end->read == other->to_write && other->written == other->to_write;
}

void udx_sim_inject(struct udx_sim *sim, enum udx_sim_side side, const struct addr *from, const void *bytes, size_t len)
{
        udx_mux_receive(sim->end[side].mux, sim->end[side].socket, from, bytes, len, net_now(sim->net));
        settle_side(sim, side);
}
