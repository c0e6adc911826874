/* SPDX-License-Identifier: BSD-3-Clause */
/* A tunnel in either role, before and after hello, whose peer is the input and whose caller does what the input says:
 * raw bytes, frames with a true header, time, answers, writes, reads, ends and aborts, in any order. */
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "steps.h"
#include "tunnel.h"
#include "tunnel_frame.h"
#include "tunnel_hello.h"

enum { CHANNELS = 24, WALL_S = 1700000000, DRAIN_MAX = 100000, FIRST_USE = 10 };

struct bench {
        struct tunnel_routers routers;
        struct tunnel *t;
        enum tunnel_role role;
        usec_t now_us;
        struct tunnel_channel *channels[CHANNELS];
        bool datagrams[CHANNELS];       /* what that channel carries */
        uint8_t pending[4096];          /* what tunnel_receive() did not take yet */
        size_t pending_len;
        bool failed;
};

static volatile uint8_t sink;

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void zero_fill(void *context, void *out, size_t len)
{
        memset(out, 0, len);
}

static void forget(struct bench *b, const struct tunnel_channel *ch)
{
        for (size_t i = 0; i < CHANNELS; i++)
                if (b->channels[i] == ch)
                        b->channels[i] = NULL;
}

static void keep(struct bench *b, struct tunnel_channel *ch, uint8_t protocol)
{
        for (size_t i = 0; i < CHANNELS; i++) {
                if (!b->channels[i]) {
                        b->channels[i] = ch;
                        b->datagrams[i] = protocol == TUNNEL_UDP;
                        return;
                }
        }
        tunnel_abort(ch, b->now_us);
}

static void receive(struct bench *b, const uint8_t *bytes, size_t len)
{
        bool paused;
        size_t n;

        len = bytes ? MIN(len, sizeof(b->pending) - b->pending_len) : 0;
        if (len)
                memcpy(b->pending + b->pending_len, bytes, len);
        b->pending_len += len;
        n = tunnel_receive(b->t, b->pending, b->pending_len, b->now_us);
        paused = tunnel_paused(b->t);
        assert(n <= b->pending_len && (n == b->pending_len || paused));
        b->pending_len -= n;
        memmove(b->pending, b->pending + n, b->pending_len);
}

static void drain_events(struct bench *b)
{
        struct tunnel_event event;
        unsigned count = 0;
        uint8_t sum = 0;

        while (tunnel_event(b->t, &event, b->now_us)) {
                assert(++count < DRAIN_MAX && !b->failed);
                for (size_t i = 0; event.kind != TUNNEL_ADVERT_LONG && event.kind != TUNNEL_FAILED && i < event.len; i++)
                        sum ^= event.bytes[i];          /* all of it can be read */
                if (event.kind == TUNNEL_FAILED)
                        b->failed = true;
                else if (event.kind == TUNNEL_ARRIVED && event.gate_port % 3 == 0)
                        tunnel_refuse(event.channel, (const char *)event.bytes, event.len, b->now_us);
                else if (event.kind == TUNNEL_ARRIVED)
                        keep(b, event.channel, event.protocol);
                else if (event.kind == TUNNEL_REFUSED || event.kind == TUNNEL_CLOSED)
                        forget(b, event.channel);
                else if (event.kind == TUNNEL_WRITABLE)
                        assert(tunnel_writable(event.channel) > 0);
        }
        sink = sum;
}

static void drain_messages(struct bench *b, size_t room)
{
        struct tunnel_message message;
        unsigned count = 0;

        tunnel_progress(b->t, room, room / 2, b->now_us);
        while (tunnel_transmit(b->t, &message, b->now_us))
                assert(++count < DRAIN_MAX && message.len && message.len + TUNNEL_SEAL_BYTES <= room);
}

static void write_some(struct bench *b, struct tunnel_channel **slot, uint8_t amount)
{
        size_t room = tunnel_writable(*slot), len = MIN(room, (size_t)amount * 300 + 1);
        uint8_t header[TUNNEL_HEADER_BYTES];

        if (len)
                tunnel_write(*slot, len, header, b->now_us);
}

static void read_some(struct bench *b, struct tunnel_channel **slot, uint8_t amount)
{
        const uint8_t *bytes;
        bool ended;
        size_t len = tunnel_peek(*slot, &bytes, &ended);

        tunnel_consume(*slot, MIN(len, (size_t)amount * 100), b->now_us);
        if (!tunnel_peek(*slot, &bytes, &ended) && ended)
                tunnel_consume_end(*slot, b->now_us);
}

static void send_datagrams(struct bench *b, struct tunnel_channel **slot, uint8_t amount)
{
        static uint8_t bytes[TUNNEL_DATAGRAM_MAX];
        struct iovec iov[4];

        for (size_t i = 0; i < ARRAY_LEN(iov); i++) {
                uint8_t message[1200];
                size_t len;

                iov[i] = (struct iovec){ bytes, MIN((size_t)amount * amount * i, sizeof(bytes)) };
                len = tunnel_unordered_message(*slot, &iov[i], message, sizeof(message));
                assert(!len || len == TUNNEL_UNORDERED_HEAD_BYTES + iov[i].iov_len);
        }
        if (tunnel_unordered(*slot) || tunnel_writable(*slot))
                tunnel_send(*slot, iov, amount % (ARRAY_LEN(iov) + 1), b->now_us);
}

static void read_datagrams(struct bench *b, struct tunnel_channel **slot, uint8_t amount)
{
        struct iovec iov[4];
        size_t count = tunnel_datagrams(*slot, iov, amount % (ARRAY_LEN(iov) + 1));
        uint8_t sum = 0;

        for (size_t i = 0; i < count; i++) {
                assert(iov[i].iov_len <= TUNNEL_DATAGRAM_MAX);
                for (size_t at = 0; at < iov[i].iov_len; at++)
                        sum ^= ((const uint8_t *)iov[i].iov_base)[at];
        }
        tunnel_datagrams_done(*slot, count, b->now_us);
        sink = sum;
}

static void end_channel(struct bench *b, struct tunnel_channel **slot, uint8_t argument)
{
        tunnel_end(*slot, b->now_us);
}

static void abort_channel(struct bench *b, struct tunnel_channel **slot, uint8_t argument)
{
        tunnel_abort(*slot, b->now_us);
        *slot = NULL;
}

static void accept_channel(struct bench *b, struct tunnel_channel **slot, uint8_t argument)
{
        if (b->role == TUNNEL_PROVIDER)
                tunnel_accept(*slot, NULL, b->now_us);
}

static void receive_bytes(struct bench *b, struct reader *r, uint8_t argument)
{
        size_t len = MIN(argument, reader_left(r));

        receive(b, read_bytes(r, len), len);
}

/* Beside the stream: as it is, or as a datagram of one of the first channels. */
static void receive_unordered(struct bench *b, struct reader *r, uint8_t argument)
{
        uint8_t message[TUNNEL_UNORDERED_HEAD_BYTES + 0x1f];
        size_t len = MIN((size_t)(argument & 0x1f), reader_left(r));
        const uint8_t *bytes = read_bytes(r, len);
        struct writer w = writer_over(message, sizeof(message));

        if (argument & 0x20)
                tunnel_unordered_write(&w, argument >> 6);
        if (len)
                write_bytes(&w, bytes, len);
        tunnel_receive_unordered(b->t, message, writer_len(&w), b->now_us);
}

/* 0: what was not taken yet is offered once more. */
static void receive_beside(struct bench *b, struct reader *r, uint8_t argument)
{
        if (argument)
                receive_unordered(b, r, argument);
        else
                receive(b, NULL, 0);
}

static void receive_frame(struct bench *b, struct reader *r, uint8_t argument)
{
        static const uint8_t actions[] = { 0, 1, 2, 3, 4, 5, 0x40, 0x41 };
        uint8_t head[TUNNEL_HEADER_BYTES], action = read_u8(r), error_len = read_u8(r), channel = read_u8(r);
        struct writer w = writer_over(head, sizeof(head));
        size_t len = read_u8(r);

        action = action >= TUNNEL_ACTION_BYE && action <= TUNNEL_ACTION_PROOF ? action : actions[action % 8];
        len = MIN(len, reader_left(r));
        tunnel_frame_write(&w, action, error_len % 4 ? 0 : error_len / 4, channel % 16, len);
        if (action >= 0x40)
                head[5] = 1;
        receive(b, head, sizeof(head));
        receive(b, read_bytes(r, len), len);
}

/* As the peer would, whose key is zero as ours is; or in the role that is ours, or at another time: within a day, or not; or for the second
 * router. */
static void say_hello(struct bench *b, uint8_t how)
{
        static const uint8_t zeros[TUNNEL_KEY_BYTES];
        static const int64_t skews_s[] = { 0, -3600, 12 * 3600, 48 * 3600 };
        const struct tunnel_router *of = &b->routers.list[how / 16 % 2];
        struct tunnel_hello_keys keys = { zeros, zeros, of->public_key, of->auth_key };
        uint8_t frame[TUNNEL_FRAME_LENGTH_BYTES + TUNNEL_HELLO_FRAME_BYTES];
        struct writer w = writer_over(frame, sizeof(frame));

        tunnel_frame_write(&w, TUNNEL_ACTION_HELLO, 0, (b->role == TUNNEL_PROVIDER) != (how & 1), TUNNEL_HELLO_BYTES);
        tunnel_hello_make(write_reserve(&w, TUNNEL_HELLO_BYTES), &keys, INT64_C(1000) * (WALL_S + skews_s[how / 2 % 4]));
        receive(b, frame, sizeof(frame));
}

/* The peer proves that it knows the secret of a router, whether we do or not: as an answer or not, now or on another day. */
static void say_proof(struct bench *b, uint8_t how)
{
        static const uint8_t zeros[TUNNEL_KEY_BYTES];
        const struct tunnel_router *of = &b->routers.list[how / 4 % 2];
        struct tunnel_hello_keys keys = { zeros, zeros, of->public_key, of->auth_key };
        uint8_t frame[TUNNEL_HEADER_BYTES + 2 + TUNNEL_HELLO_BYTES];
        struct writer w = writer_over(frame, sizeof(frame));

        tunnel_hello_make(tunnel_proof_write(&w, how % 2 ? TUNNEL_PROOF_MUTUAL : 0), &keys,
                          INT64_C(1000) * (WALL_S + (how & 8 ? 48 * 3600 : 0)));
        assert(!w.failed);
        receive(b, frame, writer_len(&w));
}

/* Our own secrets: one comes, and is the newest; or it goes, unless it is the only one. */
static void exchange(struct bench *b, uint8_t how)
{
        unsigned which = how / 4 % 2;

        if (how % 2) {
                b->routers.list[which].held = true;
                b->routers.newest = which;
                tunnel_add_router(b->t, which);
        } else if (b->routers.list[!which].held) {
                b->routers.list[which].held = false;
                b->routers.newest = !which;
                tunnel_drop_router(b->t, which);
                assert(!(tunnel_proven(b->t) & 1U << which));
        }
}

static void wait_some(struct bench *b, struct reader *r, uint8_t argument)
{
        static const usec_t waits[] = { 1, MSEC(1), MSEC(50), MSEC(101), SECONDS(1), SECONDS(3), SECONDS(11), SECONDS(31) };

        b->now_us += waits[argument % ARRAY_LEN(waits)];
        tunnel_advance(b->t, b->now_us);
}

static void hear(struct bench *b, struct reader *r, uint8_t argument)
{
        drain_events(b);
}

static void transmit(struct bench *b, struct reader *r, uint8_t argument)
{
        drain_messages(b, (size_t)argument * 1000);
}

static void open_channel(struct bench *b, struct reader *r, uint8_t argument)
{
        struct tunnel_channel **slot = &b->channels[argument % CHANNELS];

        if (*slot || tunnel_open(b->t, argument, argument & 1, &argument, 1, b->now_us + SECONDS(5), NULL, slot, b->now_us) < 0)
                return;
        assert(b->role == TUNNEL_GATEWAY);
        tunnel_name_service(*slot, argument / 2);
        b->datagrams[slot - b->channels] = argument & 1;
}

static void advertise(struct bench *b, struct reader *r, uint8_t argument)
{
        (void)tunnel_advertise(b->t, &argument, 1, b->now_us);
        tunnel_tell_relay(b->t, &(struct tunnel_relay){ .wanted = argument & 1, .offered = argument & 2, .key = { argument } });
}

static void begin_or_end(struct bench *b, struct reader *r, uint8_t argument)
{
        if (argument == 255)
                tunnel_disconnect(b->t, b->now_us);
        else if (argument == 254)
                (void)tunnel_bye(b->t, b->now_us);
        else if (argument >= 0xe0)
                say_hello(b, argument);
        else if (argument >= 0xd0)
                (argument & 2 ? say_proof : exchange)(b, argument);
}

static void (*const moves[16])(struct bench *b, struct reader *r, uint8_t argument) = {
        receive_bytes, receive_frame, receive_frame, receive_frame, wait_some, hear, transmit, open_channel, advertise, receive_beside,
        [15] = begin_or_end,
};

/* From FIRST_USE on: of a channel that carries a stream, or datagrams. */
static void (*const uses[][2])(struct bench *b, struct tunnel_channel **slot, uint8_t argument) = {
        { write_some, send_datagrams }, { read_some, read_datagrams }, { end_channel, abort_channel }, { abort_channel, abort_channel },
        { accept_channel, accept_channel },
};

static void step(struct bench *b, struct reader *r)
{
        uint8_t op = read_u8(r) % 16, argument = read_u8(r);
        struct tunnel_channel **slot = &b->channels[argument % CHANNELS];

        if (moves[op])
                moves[op](b, r, argument);
        else if (*slot)
                uses[op - FIRST_USE][b->datagrams[slot - b->channels]](b, slot, argument);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
        struct reader r = steps_begin(bytes, len);
        uint8_t flags = read_u8(&r);
        struct bench *b = calloc(1, sizeof(*b));
        struct tunnel_config config = { .role = flags & 1 ? TUNNEL_PROVIDER : TUNNEL_GATEWAY, .random = { zero_fill, NULL },
                                        .routers = &b->routers, .channels_max = 20, .window_bytes = flags & 2 ? 1000 : 0,
                                        .listen_us = (flags & 0x84) == 0x84 ? SECONDS(3) : 0,
                                        .receive_limit_bytes = flags & 4 ? 500 : flags & 128 ? 4000 : 0 };
        struct now now = { .mono_us = SECONDS(1), .wall_us = SECONDS((usec_t)WALL_S) };
        struct tunnel_stats stats;
        usec_t deadline_us;

        b->routers = (struct tunnel_routers){ .list = { { .held = true }, { .public_key = { 1 }, .auth_key = { 1 } } } };
        b->role = config.role;
        b->now_us = now.mono_us;
        if (tunnel_new(&b->t, &config, &now) < 0)
                abort();
        if (flags & 8)
                say_hello(b, flags / 16);
        while (steps_next(&r)) {
                step(b, &r);
                tunnel_stats(b->t, &stats);
                assert(stats.channels <= config.channels_max);
                assert(tunnel_proven(b->t) < 4);
                assert(!config.receive_limit_bytes || stats.queued_bytes <= config.receive_limit_bytes);
        }
        drain_events(b);
        drain_messages(b, 1 << 20);
        deadline_us = tunnel_deadline(b->t);
        assert(deadline_us == 0 || deadline_us == USEC_NEVER || deadline_us > SECONDS(1));
        tunnel_free(b->t);
        free(b);
        return 0;
}
