/* SPDX-License-Identifier: BSD-3-Clause */
/* A mux with streams in every state, whose peer is the input and whose callers do what the input says: packets with true and with
 * random headers, runs, time, writes, reads, ends, destroys, moves. Whatever comes, what leaves is well-formed, what was SACKed
 * stays, memory keeps its bounds and the deadline moves on. */
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "steps.h"
#include "udx.h"

enum { STREAMS = 4, SOCKET = 1, STEPS_MAX = 3000, RECEIVE_LIMIT = UDX_BUFFER_MIN };

enum verb { PACKET, RAW, RUN, PASS_TIME, WRITE, READ, MESSAGE, END, DESTROY, CONNECT, DRAIN, REOPEN, VERBS };

struct side {
        struct udx_stream *stream;      /* NULL: freed */
        uint32_t id;
        struct addr remote;
        uint32_t nxt, ack;              /* of ours: next seq to be used; last acknowledgement sent */
        struct udx_sack promised;       /* the highest range SACKed so far */
        bool closed;
};

struct bench {
        struct udx_mux *mux;
        struct side sides[STREAMS];
        usec_t now_us;
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void must(bool condition)
{
        if (!condition)
                abort();
}

static void fill(void *context, void *out, size_t len)
{
        uint64_t *state = context;

        for (size_t i = 0; i < len; i++) {
                *state = *state * 6364136223846793005u + 1442695040888963407u;
                ((uint8_t *)out)[i] = (uint8_t)(*state >> 56);
        }
}

static void open_side(struct bench *b, unsigned index, bool connected)
{
        struct side *side = &b->sides[index];
        struct addr remote = { { 10, 0, 0, 1 }, (uint16_t)(1 + index) };
        struct udx_path path = { .socket = SOCKET, .remote_id = 1000 + index, .remote = remote };
        struct udx_stream *stream;

        if (udx_stream_new(b->mux, 100 + index, side, &stream) < 0)
                return;                 /* the id is still remembered */
        *side = (struct side){ .stream = stream, .id = 100 + index, .remote = path.remote };
        udx_stream_set_receive_limit(side->stream, RECEIVE_LIMIT);
        udx_stream_let_datagrams_grow(side->stream, true);
        if (connected)
                udx_stream_connect(side->stream, &path, b->now_us);
}

/* An acknowledgement never goes back, and what it says beyond never gets less. */
static void check_answer(struct side *side, const struct udx_packet *packet)
{
        must(udx_seq_diff(packet->ack, side->ack) >= 0);
        side->ack = packet->ack;
        if (!(packet->type & UDX_SACK) || side->closed)
                return;
        for (unsigned i = 0; i < packet->sack_count; i++) {
                struct udx_sack sack = udx_packet_sack(packet, i);

                must(udx_seq_diff(sack.end, sack.start) > 0 && udx_seq_diff(sack.start, packet->ack) > 0);
                must(!i || udx_seq_diff(sack.start, udx_packet_sack(packet, i - 1).end) > 0);
        }
        must(packet->sack_count);
        if (udx_seq_diff(side->promised.end, packet->ack) > 0)
                must(udx_seq_diff(udx_packet_sack(packet, packet->sack_count - 1).end, side->promised.end) >= 0);
        side->promised = udx_packet_sack(packet, packet->sack_count - 1);
}

static void check_datagram(struct bench *b, const uint8_t *bytes, size_t len)
{
        struct udx_packet packet;
        struct side *side;

        must(len <= UDX_DATAGRAM_MAX && udx_packet_read(bytes, len, &packet) == UDX_OK);
        must(packet.stream_id >= 1000 && packet.stream_id < 1000 + STREAMS);
        side = &b->sides[packet.stream_id - 1000];
        must(packet.window_bytes <= UDX_BUFFER_MAX);
        if (packet.type & (UDX_DATA | UDX_END)) {
                must(udx_seq_diff(packet.seq, side->nxt) <= 0);
                side->nxt += packet.seq == side->nxt;
        } else if (!side->closed) {
                must(packet.seq == side->nxt);
        }
        if (!side->closed && side->stream)
                check_answer(side, &packet);
}

static void drain(struct bench *b)
{
        static uint8_t flat[UDX_RUN_BYTES + UDX_DATAGRAM_MAX];
        struct udx_event event;
        struct udx_send out;

        udx_mux_advance(b->mux, b->now_us);
        while (udx_mux_event(b->mux, &event)) {
                struct side *side = event.context;

                must(side->stream == event.stream && !side->closed);
                side->closed = event.type == UDX_CLOSED;
        }
        for (unsigned runs = 0; udx_mux_transmit(b->mux, &out, b->now_us); runs++) {
                size_t len = 0;

                must(runs < 10000 && out.segments && out.segments <= UDX_RUN_SEGMENTS && out.socket == SOCKET);
                for (unsigned i = 0; i < out.iov_len; len += out.iov[i++].iov_len) {
                        must(len + out.iov[i].iov_len <= sizeof(flat));
                        memcpy(flat + len, out.iov[i].iov_base, out.iov[i].iov_len);
                }
                must(len == out.bytes);
                for (size_t at = 0; at < len; at += out.segment_bytes)
                        check_datagram(b, flat + at, MIN(out.segment_bytes, len - at));
        }
        must(udx_mux_deadline(b->mux) > b->now_us);
}

static void check_bounds(struct bench *b)
{
        for (unsigned i = 0; i < STREAMS; i++) {
                struct udx_stats stats;

                if (!b->sides[i].stream)
                        continue;
                udx_stream_stats(b->sides[i].stream, &stats);
                must(stats.readable_bytes <= 2 * RECEIVE_LIMIT);
                must(stats.unacked_bytes <= UDX_WINDOW_MAX);
                must(stats.rto_us >= SECONDS(1) && stats.rto_us <= SECONDS(30));
        }
}

/* A header whose seq and ack are near what they should be: the input says how far off. */
static size_t forge(const struct side *side, struct reader *r, uint8_t out[UDX_DATAGRAM_MAX])
{
        struct writer w = writer_over(out, UDX_DATAGRAM_MAX);
        uint8_t type = read_u8(r);
        struct udx_packet packet = {
                .type = type, .stream_id = side->id, .window_bytes = (uint32_t)read_u8(r) << 12,
                .seq = side->ack + (uint32_t)(int8_t)read_u8(r), .ack = side->nxt - read_u8(r) % 16,
        };
        unsigned sacks = type & UDX_SACK ? read_u8(r) % 8 : 0;
        size_t payload = (size_t)read_u8(r) * 5;

        packet.data_offset = (uint8_t)(type & (UDX_DATA | UDX_MESSAGE) ? sacks * UDX_SACK_BYTES : 0);
        udx_header_write(&w, &packet);
        for (unsigned i = 0; i < sacks; i++) {
                struct udx_sack sack = { .start = side->nxt - read_u8(r) % 64 };

                sack.end = sack.start + read_u8(r) % 16;
                udx_sack_write(&w, &sack);
        }
        payload = MIN(payload, writer_left(&w));
        if (payload)
                memset(write_reserve(&w, payload), type, payload);
        return writer_len(&w);
}

/* What is looked for in a packet before it is read stands there. */
static void check_peek(const uint8_t *bytes, size_t len)
{
        struct udx_packet packet;
        uint32_t id = 0;
        bool found = udx_packet_peek_id(bytes, len, &id);

        must(udx_packet_read(bytes, len, &packet) != UDX_OK || (found && id == packet.stream_id));
}

static void receive(struct bench *b, const struct addr *remote, const uint8_t *bytes, size_t len, size_t segment)
{
        size_t taken = udx_mux_receive_run(b->mux, SOCKET, remote, bytes, len, segment, b->now_us);

        must(taken <= len);
        if (bytes)
                check_peek(bytes, segment && segment < len ? segment : len);
}

static void write_some(struct side *side, size_t len)
{
        static const uint8_t bytes[UDX_RESERVE_MAX];
        uint8_t *room;

        if (!side->stream)
                return;
        if (len % 2) {
                must(udx_stream_write(side->stream, bytes, MIN(len, sizeof(bytes))) <= len);
                return;
        }
        room = udx_stream_reserve(side->stream, MIN(len, sizeof(bytes)));
        if (room)
                udx_stream_commit(side->stream, len / 2);
}

static void read_some(struct side *side, size_t len)
{
        uint8_t message[UDX_MESSAGE_BUFFER], *span;
        size_t message_len, readable;

        if (!side->stream)
                return;
        readable = udx_stream_peek(side->stream, &span);
        udx_stream_consume(side->stream, MIN(len, readable));
        while (udx_stream_receive_message(side->stream, message, &message_len))
                must(message_len <= sizeof(message));
}

static void pass_time(struct bench *b, uint8_t argument)
{
        usec_t due_us;

        drain(b);
        due_us = udx_mux_deadline(b->mux);
        if (argument & 1 && due_us != USEC_NEVER)
                b->now_us = due_us;
        else
                b->now_us += (usec_t)argument * argument * 100;
        drain(b);
}

static void step_stream(struct bench *b, struct side *side, enum verb verb, uint8_t argument, struct reader *r)
{
        struct udx_path path = { .socket = SOCKET, .remote_id = side->id + 900, .remote = { { 10, 0, 0, 1 }, argument } };

        switch (verb) {
        case WRITE:
                write_some(side, (size_t)read_u8(r) << (argument % 9));
                break;
        case READ:
                read_some(side, (size_t)argument << 10);
                break;
        case MESSAGE:
                udx_stream_send_message(side->stream, &argument, argument & 1);
                break;
        case END:
                udx_stream_end(side->stream);
                break;
        case DESTROY:
                side->closed = true;
                if (argument & 4) {
                        udx_stream_destroy(side->stream);
                } else {
                        udx_stream_free(side->stream);
                        side->stream = NULL;
                }
                break;
        default:
                udx_stream_allow_moves(side->stream, argument & 1);
                if (argument & 2)
                        udx_stream_connect(side->stream, &path, b->now_us);
                if (argument & 4)
                        udx_mux_refused(b->mux, SOCKET, &path.remote, UDX_PACKET_BASE + argument);
        }
}

static void step(struct bench *b, struct reader *r)
{
        enum verb verb = (enum verb)(read_u8(r) % VERBS);
        uint8_t argument = read_u8(r), datagram[UDX_DATAGRAM_MAX], run[8 * UDX_DATAGRAM_MAX];
        struct side *side = &b->sides[argument % STREAMS];
        size_t len, segment;

        switch (verb) {
        case PACKET:
                len = forge(side, r, datagram);
                receive(b, &side->remote, datagram, len, 0);
                break;
        case RUN:                       /* the same packet over and over, the last one cut */
                segment = forge(side, r, datagram);
                for (len = 0; len < 8 * segment; len += segment)
                        memcpy(run + len, datagram, segment);
                receive(b, &side->remote, run, len - argument / 4 % segment, segment);
                break;
        case RAW:
                len = read_u8(r);
                len = MIN(len, reader_left(r));
                receive(b, &side->remote, read_bytes(r, len), len, argument / 4);
                break;
        case PASS_TIME:
                pass_time(b, argument);
                break;
        case DRAIN:
                drain(b);
                check_bounds(b);
                break;
        case REOPEN:
                if (!side->stream)
                        open_side(b, argument % STREAMS, argument & 4);
                break;
        default:
                if (side->stream)
                        step_stream(b, side, verb, argument, r);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
        uint64_t seed = 1;
        struct random random = { fill, &seed };
        struct reader r = steps_begin(bytes, len);
        struct bench b = { .mux = udx_mux_new(&random), .now_us = SECONDS(1) };

        if (!b.mux)
                return 0;
        for (unsigned i = 0; i < STREAMS; i++)
                open_side(&b, i, i != STREAMS - 1);
        for (unsigned i = 0; i < STEPS_MAX && steps_next(&r); i++)
                step(&b, &r);
        for (unsigned i = 0; i < 30; i++)
                pass_time(&b, 1);
        check_bounds(&b);
        udx_mux_free(b.mux);
        return 0;
}
