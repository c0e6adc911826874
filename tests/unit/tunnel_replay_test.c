/* SPDX-License-Identifier: BSD-3-Clause */
/* What two processes of the original said to each other (tests/vectors/hypergate-session.json), one side of it replayed into ours. */
#include <stdio.h>
#include <string.h>

#include "test.h"
#include "tunnel_frame.h"
#include "tunnel_peer.h"

/* What arrived at one end goes into a tunnel of ours in that role. */
struct replay {
        struct tunnel *t;
        enum tunnel_role role;
        unsigned arrived, readable, adverts, closed, opened, refused, frames;
        size_t data_bytes;
        char datagrams[64];             /* each in brackets */
};

enum { RECORDED_UDP_PORT = 28253 };

static void replay_datagrams(struct replay *replay, struct tunnel_channel *ch, usec_t now_us)
{
        struct iovec iov;

        while (tunnel_datagrams(ch, &iov, 1)) {
                size_t len = strlen(replay->datagrams);

                snprintf(replay->datagrams + len, sizeof(replay->datagrams) - len, "[%.*s]", (int)iov.iov_len,
                         (const char *)iov.iov_base);
                tunnel_datagrams_done(ch, 1, now_us);
        }
}

static void replay_event(struct replay *replay, const struct tunnel_event *event, usec_t now_us)
{
        const uint8_t *bytes;
        bool ended;
        size_t len;

        switch (event->kind) {
        case TUNNEL_ARRIVED:
                replay->arrived++;
                check(event->gate_port == 28280 || event->gate_port == 28281 || event->gate_port == RECORDED_UDP_PORT);
                check_equal(event->protocol, event->gate_port == RECORDED_UDP_PORT ? TUNNEL_UDP : TUNNEL_TCP);
                if (event->gate_port != 28281)
                        tunnel_accept(event->channel, replay, now_us);
                else
                        tunnel_refuse(event->channel, "no", 2, now_us);
                return;
        case TUNNEL_READABLE:
                replay->readable++;
                replay_datagrams(replay, event->channel, now_us);
                while ((len = tunnel_peek(event->channel, &bytes, &ended)) > 0) {
                        replay->data_bytes += len;
                        tunnel_consume(event->channel, len, now_us);
                }
                if (!ended)
                        return;
                tunnel_consume_end(event->channel, now_us);
                tunnel_end(event->channel, now_us);
                return;
        case TUNNEL_ADVERT:
                replay->adverts++;
                check_equal(event->len, 432);
                return;
        case TUNNEL_OPENED:
                replay->opened++;
                return;
        case TUNNEL_REFUSED:
                replay->refused++;
                return;
        case TUNNEL_CLOSED:
                replay->closed++;
                return;
        case TUNNEL_UP:
        case TUNNEL_FAILED:
        case TUNNEL_BYE:
        case TUNNEL_RELAY:
        case TUNNEL_ADVERT_LONG:
        case TUNNEL_WRITABLE:
                return;
        }
}

static void replay_settle(struct replay *replay, usec_t now_us)
{
        struct tunnel_message message;
        struct tunnel_event event;

        tunnel_progress(replay->t, 1 << 20, 0, now_us);
        while (tunnel_deadline(replay->t) <= now_us && tunnel_deadline(replay->t))
                tunnel_advance(replay->t, now_us);
        while (tunnel_event(replay->t, &event, now_us))
                replay_event(replay, &event, now_us);
        while (tunnel_transmit(replay->t, &message, now_us))
                replay->frames++;
}

/* The gateway's own opens, so that the provider's answers find them. */
static void replay_open(struct replay *replay, const json_t *frame, usec_t now_us)
{
        bool udp = peer_number(frame, "channel") == 2;
        struct tunnel_channel *ch;

        if (replay->role == TUNNEL_GATEWAY && strcmp(peer_text(frame, "action"), "open") == 0)
                check_equal(tunnel_open(replay->t, udp ? RECORDED_UDP_PORT : 28280, udp ? TUNNEL_UDP : TUNNEL_TCP, NULL, 0, USEC_NEVER,
                                        NULL, &ch, now_us), 0);
        replay_settle(replay, now_us);
}

static void replay_run(struct replay *replay, const char *at, unsigned until_ms)
{
        json_t *root = peer_vectors("hypergate-session.json");
        const json_t *frames = json_object_get(root, "frames"), *frame;
        size_t i;

        replay->t = peer_tunnel_up(replay->role);
        json_array_foreach(frames, i, frame) {
                usec_t now_us = SECONDS(1) + MSEC(peer_number(frame, "t_ms"));

                if (json_object_get(frame, "step") || strcmp(peer_text(frame, "at"), at) != 0)
                        continue;
                if (peer_number(frame, "t_ms") > until_ms)
                        break;
                if (strcmp(peer_text(frame, "dir"), "out") == 0) {
                        replay_open(replay, frame, now_us);
                        continue;
                }
                replay_settle(replay, now_us);
                peer_feed(replay->t, peer_text(frame, "frame_hex"), now_us);
                replay_settle(replay, now_us);
        }
        replay_settle(replay, MINUTES(10));
        json_decref(root);
}

TEST(a_recorded_gateway_finds_a_provider_in_us)
{
        struct replay replay = { .role = TUNNEL_PROVIDER };
        struct tunnel_stats stats;

        replay_run(&replay, "provider (1st process)", 60000);
        check_equal(replay.arrived, 7);                 /* channels 1 to 4 and three tries of 5 */
        check_equal(replay.data_bytes, 89 + 5 + 5);
        check(strcmp(replay.datagrams, "[ping1][ping2]") == 0);
        check_equal(replay.closed, 3);                  /* 1 and 4 both ended, 3 was reset */
        tunnel_stats(replay.t, &stats);
        check_equal(stats.channels, 1);                 /* UDP's lasts an hour */
        tunnel_free(replay.t);
}

TEST(a_recorded_provider_finds_a_gateway_in_us)
{
        struct replay replay = { .role = TUNNEL_GATEWAY };

        replay_run(&replay, "gateway (1st process)", 30000);
        check_equal(replay.adverts, 5);
        check_equal(replay.opened, 4);
        check_equal(replay.refused, 1);                 /* 5, by an error for channel 0 */
        check_equal(replay.data_bytes, 185 + 19 + 10 + 19 - 10);
        check(strcmp(replay.datagrams, "[echo:ping1][echo:ping2]") == 0);
        tunnel_free(replay.t);
}
