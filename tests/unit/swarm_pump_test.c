/* SPDX-License-Identifier: BSD-3-Clause */
/* The pump between a real TCP connection and a channel that this test plays. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "pump.h"
#include "test.h"

enum { INBOUND_BYTES = 8 * 1024 * 1024 };

/* The node's side of channel 1. */
struct node {
        size_t writable;                /* what it takes now */
        uint8_t sent[4 * 65536];            /* from the local connection */
        size_t sent_len;
        unsigned ends, aborts, ends_consumed;
        size_t inbound, consumed;       /* for the local connection: so many bytes, so many of them handed on */
        bool inbound_ended;
        size_t datagram_len[64], datagram_count;        /* from the local socket */
        unsigned sends;
        size_t offer_len[4];            /* for it: datagram @i has offer_len[i % 4] bytes from inbound[i] on */
        size_t offered, taken;
};

static uint8_t inbound[INBOUND_BYTES];

size_t node_writable(const struct node *node, node_channel_id channel)
{
        return node->ends ? 0 : node->writable;
}

void node_write(struct node *node, node_channel_id channel, uint8_t *data, size_t len, const struct now *now)
{
        check(len && len <= node->writable && node->sent_len + len <= sizeof(node->sent));
        memset(data - NODE_HEADROOM, 0xee, NODE_HEADROOM);      /* ours to overwrite */
        memcpy(node->sent + node->sent_len, data, len);
        node->sent_len += len;
        node->writable -= len;
}

void node_end(struct node *node, node_channel_id channel, const struct now *now)
{
        node->ends++;
}

void node_abort(struct node *node, node_channel_id channel, const struct now *now)
{
        node->aborts++;
}

size_t node_peek(struct node *node, node_channel_id channel, const uint8_t **bytes_out, bool *ended_out)
{
        *bytes_out = inbound + node->consumed;
        *ended_out = node->inbound_ended;
        return node->inbound - node->consumed;
}

void node_consume(struct node *node, node_channel_id channel, size_t len, const struct now *now)
{
        node->consumed += len;
}

void node_consume_end(struct node *node, node_channel_id channel, const struct now *now)
{
        check(node->consumed == node->inbound);
        node->ends_consumed++;
}

void node_send(struct node *node, node_channel_id channel, const struct iovec *datagrams, size_t count, const struct now *now)
{
        check(node->writable);
        for (size_t i = 0; i < count; i++) {
                check(node->datagram_count < ARRAY_LEN(node->datagram_len));
                check(node->sent_len + datagrams[i].iov_len <= sizeof(node->sent));
                memcpy(node->sent + node->sent_len, datagrams[i].iov_base, datagrams[i].iov_len);
                node->datagram_len[node->datagram_count++] = datagrams[i].iov_len;
                node->sent_len += datagrams[i].iov_len;
        }
        node->writable -= MIN(node->writable, node->sent_len);
        node->sends++;
}

size_t node_datagrams(struct node *node, node_channel_id channel, struct iovec *out, size_t max)
{
        size_t found = 0;

        for (size_t i = node->taken; i < node->offered && found < max; i++)
                out[found++] = (struct iovec){ inbound + i, node->offer_len[i % ARRAY_LEN(node->offer_len)] };
        return found;
}

void node_datagrams_done(struct node *node, node_channel_id channel, size_t count, const struct now *now)
{
        node->taken += count;
        check(node->taken <= node->offered);
}

struct scene {
        struct node node;
        struct now now;
        struct pump_room room;
        struct pump pump;
        int local;                      /* the far end of the local connection */
};

static unsigned broken;

static void on_broken(struct pump *pump)
{
        broken++;
}

/* The pump's end, as it is passed: it resets when whoever holds it dies. */
static int tcp_pair(int *local_out)
{
        struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct linger reset = { .l_onoff = 1 };
        socklen_t len = sizeof(addr);
        int listener = socket(AF_INET, SOCK_STREAM, 0), local = socket(AF_INET, SOCK_STREAM, 0), passed;

        check_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
        check_equal(listen(listener, 1), 0);
        check_equal(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
        check_equal(connect(local, (struct sockaddr *)&addr, sizeof(addr)), 0);
        passed = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        check(passed >= 0);
        check_equal(setsockopt(passed, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
        close(listener);
        *local_out = local;
        return passed;
}

static struct scene *scene_begin(struct scene *scene)
{
        *scene = (struct scene){ .node.writable = 1000 };
        broken = 0;
        check_equal(pump_room_init(&scene->room, ev_loop_new(EVFLAG_AUTO), &scene->node, &scene->now, (const uint8_t[16]){ 0 }, on_broken), 0);
        pump_init(&scene->pump, &scene->room, 1, PUMP_STREAM, tcp_pair(&scene->local));
        return scene;
}

static void scene_end(struct scene *scene)
{
        if (!broken)
                pump_close(&scene->pump, true);
        close(scene->local);
        pump_room_fini(&scene->room);
        ev_loop_destroy(scene->room.loop);
}

/* Turns of the loop until nothing happens any more. */
static void run(struct scene *scene)
{
        for (int i = 0; i < 50; i++) {
                usleep(200);    /* loopback delivers in its own time */
                ev_run(scene->room.loop, EVRUN_NOWAIT);
        }
}

static size_t read_all(int fd, uint8_t *out, size_t max)
{
        size_t done = 0;
        ssize_t got;

        while (done < max && (got = recv(fd, out + done, max - done, MSG_DONTWAIT)) > 0)
                done += (size_t)got;
        return done;
}

TEST(pump_moves_what_the_connection_yields_and_no_more_than_the_channel_takes)
{
        static struct scene scene;
        uint8_t bytes[3000];

        scene_begin(&scene);
        memset(bytes, 'x', sizeof(bytes));
        bytes[999] = 'y';
        check_equal(write(scene.local, bytes, sizeof(bytes)), sizeof(bytes));
        pump_start(&scene.pump);
        run(&scene);
        check_equal(scene.node.sent_len, 1000);
        check_bytes(scene.node.sent, bytes, 1000);
        check(!pump_awaits(&scene.pump, EV_READ));     /* or it would spin */
        scene.node.writable = 5000;
        pump_send(&scene.pump);
        run(&scene);
        check(scene.node.sent_len == 3000 && scene.pump.sent_bytes == 3000);
        check_bytes(scene.node.sent, bytes, 3000);
        check(pump_awaits(&scene.pump, EV_READ));
        scene_end(&scene);
}

/* As who passed it might leave it, and take the bytes before we do. */
TEST(pump_does_not_wait_for_a_socket_that_blocks)
{
        static struct scene scene;

        scene_begin(&scene);
        check_equal(fcntl(scene.pump.fd, F_SETFL, 0), 0);
        pump_start(&scene.pump);
        alarm(20);              /* else it would wait for ever */
        ev_invoke(scene.room.loop, &scene.pump.ready, EV_READ);
        alarm(0);
        check(!broken && scene.node.sent_len == 0);
        scene_end(&scene);
}

TEST(pump_passes_each_end_on_after_the_last_byte_before_it)
{
        static struct scene scene;
        uint8_t got[8];

        scene_begin(&scene);
        check_equal(write(scene.local, "last", 4), 4);
        check_equal(shutdown(scene.local, SHUT_WR), 0);
        pump_start(&scene.pump);
        run(&scene);
        check(scene.node.sent_len == 4 && scene.node.ends == 1 && !scene.node.aborts);
        memcpy(inbound, "answer", 6);                   /* the other direction goes on */
        scene.node.inbound = 6;
        scene.node.inbound_ended = true;
        pump_receive(&scene.pump);
        check(scene.node.consumed == 6 && scene.node.ends_consumed == 1);
        pump_receive(&scene.pump);
        check_equal(scene.node.ends_consumed, 1);
        run(&scene);
        check_equal(read_all(scene.local, got, sizeof(got)), 6);
        check_equal(recv(scene.local, got, 1, MSG_DONTWAIT), 0);
        scene_end(&scene);
}

TEST(pump_consumes_only_what_the_connection_took)
{
        static struct scene scene;
        static uint8_t got[INBOUND_BYTES];
        size_t done = 0;

        scene_begin(&scene);
        for (size_t i = 0; i < INBOUND_BYTES; i++)
                inbound[i] = (uint8_t)(i * 13 + i / 257);
        scene.node.inbound = INBOUND_BYTES;
        scene.node.inbound_ended = true;
        pump_start(&scene.pump);
        run(&scene);
        check(scene.node.consumed > 0 && scene.node.consumed < INBOUND_BYTES && !scene.node.ends_consumed);
        check_equal(scene.pump.received_bytes, scene.node.consumed);
        while (done < INBOUND_BYTES) {
                done += read_all(scene.local, got + done, INBOUND_BYTES - done);
                run(&scene);
        }
        check_bytes(got, inbound, INBOUND_BYTES);
        check(scene.node.ends_consumed == 1 && !pump_awaits(&scene.pump, EV_WRITE));
        scene_end(&scene);
}

TEST(pump_aborts_the_channel_when_the_connection_is_reset)
{
        static struct scene scene;
        struct linger reset = { .l_onoff = 1 };

        scene_begin(&scene);
        pump_start(&scene.pump);
        check_equal(setsockopt(scene.local, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
        close(scene.local);
        scene.local = -1;
        run(&scene);
        check(scene.node.aborts == 1 && broken == 1 && !scene.node.ends);
        scene_end(&scene);
}

/* Nothing is to be read of a connection that has ended in that direction, and nothing need be written to it. */
TEST(pump_aborts_the_channel_when_a_connection_that_ended_is_reset)
{
        static struct scene scene;
        struct linger reset = { .l_onoff = 1 };

        scene_begin(&scene);
        pump_start(&scene.pump);
        check_equal(shutdown(scene.local, SHUT_WR), 0);
        run(&scene);
        check(scene.node.ends == 1 && !scene.node.aborts);
        check_equal(setsockopt(scene.local, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
        close(scene.local);
        scene.local = -1;
        run(&scene);
        check(scene.node.aborts == 1 && broken == 1);
        scene_end(&scene);
}

/* Which is a hang-up as well, and no failure. */
TEST(pump_waits_for_a_channel_whose_connection_has_ended_both_ways)
{
        static struct scene scene;

        scene_begin(&scene);
        pump_start(&scene.pump);
        check_equal(shutdown(scene.local, SHUT_WR), 0);
        run(&scene);
        scene.node.inbound_ended = true;
        pump_receive(&scene.pump);
        close(scene.local);
        scene.local = -1;
        run(&scene);
        check(scene.node.ends == 1 && scene.node.ends_consumed == 1 && !scene.node.aborts && !broken);
        scene_end(&scene);
}

/* A unix socket that is closed in order hangs up, without an error and without end, as it takes nothing any more; what is written says so. */
TEST(pump_is_not_kept_busy_by_a_local_socket_that_is_closed)
{
        static struct scene scene;
        int pair[2];

        scene_begin(&scene);
        pump_close(&scene.pump, true);
        close(scene.local);
        check_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
        pump_init(&scene.pump, &scene.room, 1, PUMP_STREAM, pair[0]);
        pump_start(&scene.pump);
        close(pair[1]);
        scene.local = -1;
        run(&scene);
        check(scene.node.ends == 1 && !scene.node.aborts && !broken && !scene.pump.reset.active);
        scene.node.inbound = 10;
        pump_receive(&scene.pump);
        run(&scene);
        check(scene.node.aborts == 1 && broken == 1);
        scene_end(&scene);
}

TEST(pump_closes_with_an_end_or_a_reset_as_told)
{
        for (int orderly = 0; orderly < 2; orderly++) {
                static struct scene scene;
                uint8_t byte;

                scene_begin(&scene);
                pump_start(&scene.pump);
                pump_close(&scene.pump, orderly);
                broken = 1;     /* closed */
                run(&scene);
                if (orderly)
                        check_equal(recv(scene.local, &byte, 1, 0), 0);
                else
                        check(recv(scene.local, &byte, 1, 0) == -1 && errno == ECONNRESET);
                scene_end(&scene);
        }
}

TEST(pump_gives_a_connection_back_as_it_came)
{
        static struct scene scene;
        uint8_t got[8];
        int fd;

        scene_begin(&scene);
        check_equal(write(scene.local, "early", 5), 5);
        fd = pump_release(&scene.pump);
        broken = 1;     /* not the pump's any more */
        run(&scene);
        check_equal(read_all(fd, got, sizeof(got)), 5);
        close(fd);
        scene_end(&scene);
}

/* --- Before the peer has answered --- */

TEST(pump_sends_a_copy_of_what_comes_first_and_no_more_until_the_channel_is_open)
{
        static struct scene scene;
        uint8_t got[16];

        scene_begin(&scene);
        check_equal(write(scene.local, "early", 5), 5);
        run(&scene);
        pump_begin(&scene.pump);
        check(scene.node.sent_len == 5 && scene.pump.sent_bytes == 0);
        check_equal(write(scene.local, "later", 5), 5);
        run(&scene);
        check(scene.node.sent_len == 5 && !pump_awaits(&scene.pump, EV_READ));
        pump_start(&scene.pump);
        run(&scene);
        check(scene.node.sent_len == 10 && scene.pump.sent_bytes == 10);
        check_bytes(scene.node.sent, "earlylater", 10);
        check_equal(read_all(scene.pump.fd, got, sizeof(got)), 0);
        scene_end(&scene);
}

TEST(pump_waits_for_what_comes_first_and_for_room)
{
        static struct scene scene;

        scene_begin(&scene);
        pump_begin(&scene.pump);
        check(pump_awaits(&scene.pump, EV_READ) && !scene.node.sent_len);
        scene.node.writable = 0;
        check_equal(write(scene.local, "early", 5), 5);
        run(&scene);
        check(!pump_awaits(&scene.pump, EV_READ) && !scene.node.sent_len);      /* or it would spin */
        scene.node.writable = 3;
        pump_send(&scene.pump);
        check_equal(scene.node.sent_len, 3);
        pump_send(&scene.pump);
        check_equal(scene.node.sent_len, 3);
        scene.node.writable = 1000;
        pump_start(&scene.pump);
        run(&scene);
        check_equal(scene.node.sent_len, 5);
        check_bytes(scene.node.sent, "early", 5);
        scene_end(&scene);
}

TEST(pump_gives_a_connection_back_with_all_that_it_sent_a_copy_of)
{
        static struct scene scene;
        uint8_t got[8];
        int fd;

        scene_begin(&scene);
        check_equal(write(scene.local, "early", 5), 5);
        run(&scene);
        pump_begin(&scene.pump);
        check_equal(scene.node.sent_len, 5);
        fd = pump_release(&scene.pump);
        broken = 1;     /* not the pump's any more */
        check_equal(read_all(fd, got, sizeof(got)), 5);
        check_bytes(got, "early", 5);
        close(fd);
        scene_end(&scene);
}

TEST(pump_passes_an_end_on_that_came_before_the_channel_was_open)
{
        for (int len = 0; len <= 5; len += 5) {
                static struct scene scene;

                scene_begin(&scene);
                pump_begin(&scene.pump);
                check_equal(write(scene.local, "early", (size_t)len), len);
                shutdown(scene.local, SHUT_WR);
                run(&scene);
                check(!pump_awaits(&scene.pump, EV_READ) && !broken && !scene.node.ends);       /* or it would spin */
                pump_start(&scene.pump);
                run(&scene);
                check(!broken && scene.node.ends == 1 && scene.node.sent_len == (size_t)len);
                scene_end(&scene);
        }
}

static void reset_local(struct scene *scene)
{
        struct linger now = { .l_onoff = 1 };

        setsockopt(scene->local, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        close(scene->local);
        scene->local = -1;
}

/* The kernel tells of it once, and then says that the connection has ended. */
TEST(pump_breaks_when_the_connection_is_reset_before_the_channel_is_open)
{
        static struct scene scene;

        scene_begin(&scene);
        pump_begin(&scene.pump);
        reset_local(&scene);
        run(&scene);
        check(broken == 1 && scene.node.aborts == 1 && !scene.node.ends);
        scene_end(&scene);
}

TEST(pump_breaks_when_what_it_sent_a_copy_of_was_reset_meanwhile)
{
        static struct scene scene;

        scene_begin(&scene);
        check_equal(write(scene.local, "early", 5), 5);
        run(&scene);
        pump_begin(&scene.pump);
        reset_local(&scene);
        run(&scene);
        check(!broken);
        pump_start(&scene.pump);
        run(&scene);
        check(broken == 1 && scene.node.aborts == 1 && !scene.node.ends);
        scene_end(&scene);
}

/* --- Datagrams --- */

static void datagrams_begin(struct scene *scene, enum pump_kind kind)
{
        struct sockaddr_in addr[2];
        int fds[2];

        *scene = (struct scene){ .node.writable = 60000 };
        broken = 0;
        for (size_t i = 0; i < INBOUND_BYTES; i++)
                inbound[i] = (uint8_t)(i * 13 + i / 257);
        check_equal(pump_room_init(&scene->room, ev_loop_new(EVFLAG_AUTO), &scene->node, &scene->now, (const uint8_t[16]){ 0 }, on_broken), 0);
        if (kind == PUMP_SESSION) {
                check_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
        } else {
                for (int i = 0; i < 2; i++) {
                        socklen_t len = sizeof(addr[i]);

                        addr[i] = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
                        fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
                        check_equal(bind(fds[i], (struct sockaddr *)&addr[i], len), 0);
                        check_equal(getsockname(fds[i], (struct sockaddr *)&addr[i], &len), 0);
                }
                for (int i = 0; i < 2; i++)
                        check_equal(connect(fds[i], (struct sockaddr *)&addr[!i], sizeof(addr[0])), 0);
        }
        pump_init(&scene->pump, &scene->room, 1, kind, fds[0]);
        scene->local = fds[1];
}

/* One datagram at the far end, as the pair or the socket has it. */
static void local_send(struct scene *scene, const uint8_t *bytes, size_t len)
{
        uint8_t mark = 0;
        struct iovec iov[2] = { { &mark, 1 }, { (void *)(uintptr_t)bytes, len } };
        struct msghdr marked = { .msg_iov = iov, .msg_iovlen = 2 }, bare = { .msg_iov = iov + 1, .msg_iovlen = 1 };

        check(sendmsg(scene->local, scene->pump.kind == PUMP_SESSION ? &marked : &bare, MSG_DONTWAIT) >= 0);
}

static ssize_t local_receive(struct scene *scene, uint8_t *out, size_t max)
{
        uint8_t mark = 1;
        struct iovec iov[2] = { { &mark, 1 }, { out, max } };
        struct msghdr marked = { .msg_iov = iov, .msg_iovlen = 2 };
        ssize_t len;

        if (scene->pump.kind != PUMP_SESSION)
                return recv(scene->local, out, max, MSG_DONTWAIT);
        len = recvmsg(scene->local, &marked, MSG_DONTWAIT);
        check(len < 1 || mark == 0);
        return len < 1 ? -1 : len - 1;
}

static const enum pump_kind datagram_kinds[] = { PUMP_DATAGRAMS, PUMP_SESSION, PUMP_CLIENT };

TEST(pump_keeps_the_borders_of_datagrams_the_empty_and_the_largest_included)
{
        static const size_t lens[] = { 5, 0, 1400, NODE_DATAGRAM_MAX, 1, 0, 3000 };
        static struct scene scene;
        static uint8_t got[NODE_DATAGRAM_MAX];

        for (size_t k = 0; k < ARRAY_LEN(datagram_kinds); k++) {
                size_t at = 0;

                datagrams_begin(&scene, datagram_kinds[k]);
                scene.node.writable = sizeof(scene.node.sent);
                pump_start(&scene.pump);
                for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
                        local_send(&scene, inbound + i, lens[i]);
                        run(&scene);
                        scene.node.writable = sizeof(scene.node.sent);
                        pump_send(&scene.pump);
                }
                run(&scene);
                check_equal(scene.node.datagram_count, ARRAY_LEN(lens));
                for (size_t i = 0; i < ARRAY_LEN(lens); at += lens[i++]) {
                        check_equal(scene.node.datagram_len[i], lens[i]);
                        check_bytes(scene.node.sent + at, inbound + i, lens[i]);
                }
                for (size_t i = 0; i < 4; i++)
                        scene.node.offer_len[i] = lens[i];
                scene.node.offered = 4;
                pump_receive(&scene.pump);
                check_equal(scene.node.taken, 4);
                for (size_t i = 0; i < 4; i++) {
                        check_equal(local_receive(&scene, got, sizeof(got)), lens[i]);
                        check_bytes(got, inbound + i, lens[i]);
                }
                check_equal(broken, 0);
                scene_end(&scene);
        }
}

TEST(pump_puts_what_is_to_stand_there_in_front_of_each_datagram_for_a_service)
{
        static const size_t lens[] = { 3, 0, 1400, 1 };
        static struct scene scene;
        uint8_t got[2000];

        datagrams_begin(&scene, PUMP_DATAGRAMS);
        check_equal(pump_put_front(&scene.pump, "front", 5), 0);
        pump_start(&scene.pump);
        memcpy(scene.node.offer_len, lens, sizeof(lens));
        scene.node.offered = ARRAY_LEN(lens);
        pump_receive(&scene.pump);
        check_equal(scene.pump.received_bytes, 1404);
        for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
                check_equal(local_receive(&scene, got, sizeof(got)), 5 + lens[i]);
                check_bytes(got, (const uint8_t *)"front", 5);
                check_bytes(got + 5, inbound + i, lens[i]);
        }
        local_send(&scene, inbound, 7);         /* the other way nothing is added, and nothing taken away */
        run(&scene);
        check_equal(scene.node.datagram_len[0], 7);
        scene_end(&scene);
}

TEST(pump_reads_no_more_datagrams_than_the_channel_is_likely_to_take)
{
        static struct scene scene;

        for (size_t k = 0; k < ARRAY_LEN(datagram_kinds); k++) {
                datagrams_begin(&scene, datagram_kinds[k]);
                for (int i = 0; i < 40; i++)
                        local_send(&scene, inbound, 990);
                scene.node.writable = 10000;
                pump_start(&scene.pump);
                run(&scene);
                check(scene.node.datagram_count >= 10 && scene.node.datagram_count <= 11);
                check(!pump_awaits(&scene.pump, EV_READ));     /* the rest waits in the socket, within its bounds */
                scene.node.writable = sizeof(scene.node.sent);
                pump_send(&scene.pump);
                run(&scene);
                check_equal(scene.node.datagram_count, 40);
                check(scene.node.sends < 20);                   /* many in one call */
                scene_end(&scene);
        }
}

/* A small one in between says nothing about the next. */
TEST(pump_expects_large_datagrams_again_after_a_small_one)
{
        static struct scene scene;

        for (size_t k = 0; k < ARRAY_LEN(datagram_kinds); k++) {
                datagrams_begin(&scene, datagram_kinds[k]);
                scene.node.writable = 30000;
                pump_start(&scene.pump);
                for (unsigned round = 0; round < 4; round++) {
                        size_t before;

                        for (int i = 0; i < 6; i++)
                                local_send(&scene, inbound, i ? 20000 : 10);
                        for (unsigned i = 0; i < 6; i++) {
                                before = scene.node.sent_len;
                                scene.node.writable = 30000;
                                pump_send(&scene.pump);
                                ev_run(scene.room.loop, EVRUN_NOWAIT);
                                check(round == 0 || scene.node.sent_len - before <= 30000);
                        }
                        check_equal(scene.node.datagram_count, 6 * (round + 1));
                        scene.node.sent_len = 0;
                }
                scene_end(&scene);
        }
}

TEST(pump_leaves_datagrams_in_the_channel_while_the_socket_is_full)
{
        static struct scene scene;
        static uint8_t got[NODE_DATAGRAM_MAX];
        size_t done = 0;

        datagrams_begin(&scene, PUMP_SESSION);
        for (size_t i = 0; i < 4; i++)
                scene.node.offer_len[i] = 3000;
        scene.node.offered = 500;
        pump_start(&scene.pump);
        check(scene.node.taken > 10 && scene.node.taken < 500 && pump_awaits(&scene.pump, EV_WRITE));
        while (done < 500) {
                while (local_receive(&scene, got, sizeof(got)) == 3000)
                        check_bytes(got, inbound + done++, 3000);
                run(&scene);
        }
        check(scene.node.taken == 500 && !pump_awaits(&scene.pump, EV_WRITE));
        check_equal(scene.pump.received_bytes, 500 * 3000);
        scene_end(&scene);
}

TEST(pump_ends_with_the_other_end_of_the_pair_after_what_it_sent)
{
        static struct scene scene;

        datagrams_begin(&scene, PUMP_SESSION);
        local_send(&scene, inbound, 7);
        local_send(&scene, inbound, 0);
        close(scene.local);
        scene.local = -1;
        pump_start(&scene.pump);
        run(&scene);
        check(scene.node.datagram_count == 2 && scene.node.datagram_len[0] == 7 && scene.node.datagram_len[1] == 0);
        check(broken == 1 && scene.node.aborts == 1);
        scene_end(&scene);
}

TEST(pump_reads_what_a_session_sent_before_it_ended_with_answers_unread)
{
        static struct scene scene;

        datagrams_begin(&scene, PUMP_SESSION);
        scene.node.offer_len[0] = 10;
        scene.node.offered = 1;
        pump_start(&scene.pump);
        check_equal(scene.node.taken, 1);
        local_send(&scene, inbound, 7);
        close(scene.local);
        scene.local = -1;
        run(&scene);
        run(&scene);
        check(scene.node.datagram_count == 1 && scene.node.datagram_len[0] == 7);
        run(&scene);
        check(broken == 1 && scene.node.aborts == 1);
        scene_end(&scene);
}

TEST(pump_ends_when_nobody_serves_the_port_and_not_for_an_empty_datagram)
{
        static struct scene scene;

        datagrams_begin(&scene, PUMP_DATAGRAMS);
        pump_start(&scene.pump);
        local_send(&scene, inbound, 0);
        run(&scene);
        check(scene.node.datagram_count == 1 && broken == 0);
        close(scene.local);
        scene.local = -1;
        scene.node.offer_len[0] = 10;
        scene.node.offered = 1;
        pump_receive(&scene.pump);
        run(&scene);                                            /* the kernel says that the port is closed */
        check(broken == 1 && scene.node.aborts == 1 && scene.pump.refused);
        scene_end(&scene);
}

/* --- A client's own socket in place of the pair --- */

/* A pair to begin with, and what follows it; @scene.local is the latter's far end. */
struct replaced {
        struct scene scene;
        int pair;                       /* the far end of the pair */
};

static void replace_begin(struct replaced *replaced)
{
        static struct scene other;
        struct scene *scene = &replaced->scene;

        datagrams_begin(&other, PUMP_CLIENT);   /* for its two sockets */
        datagrams_begin(scene, PUMP_SESSION);
        for (size_t i = 0; i < ARRAY_LEN(scene->node.offer_len); i++)
                scene->node.offer_len[i] = 10;
        pump_start(&scene->pump);
        check(pump_replace(&scene->pump, other.pump.fd));
        replaced->pair = scene->local;
        scene->local = other.local;
        pump_room_fini(&other.room);
        ev_loop_destroy(other.room.loop);
}

TEST(pump_goes_on_with_a_clients_socket_after_all_that_the_pair_held)
{
        static struct replaced replaced;
        struct scene *scene = &replaced.scene;
        uint8_t mark[8] = { 0 }, got[16];

        replace_begin(&replaced);
        check_equal(send(scene->local, inbound, 3, 0), 3);              /* by the socket: the pair comes first */
        check_equal(send(replaced.pair, mark, sizeof(mark), 0), 8);
        scene->node.offered = 1;
        pump_receive(&scene->pump);
        run(scene);
        check(scene->node.taken == 0 && scene->node.datagram_count == 1 && scene->node.datagram_len[0] == 7);
        check_equal(recv(replaced.pair, got, sizeof(got), MSG_DONTWAIT), 0);    /* nothing more is written there */
        close(replaced.pair);
        run(scene);
        check(broken == 0 && scene->node.aborts == 0 && scene->pump.kind == PUMP_CLIENT);
        check(scene->node.datagram_count == 2 && scene->node.datagram_len[1] == 3);
        check_equal(recv(scene->local, got, sizeof(got), MSG_DONTWAIT), 10);
        check(scene->node.taken == 1 && scene->pump.sent_bytes == 10 && scene->pump.received_bytes == 10);
        scene_end(scene);
}

TEST(pump_keeps_a_client_whose_port_is_closed_for_a_while)
{
        static struct replaced replaced;
        struct scene *scene = &replaced.scene;
        struct sockaddr_in here, there;
        socklen_t len = sizeof(here);
        uint8_t got[16];

        replace_begin(&replaced);
        close(replaced.pair);
        run(scene);
        check_equal(getsockname(scene->local, (struct sockaddr *)&here, &len), 0);
        check_equal(getsockname(scene->pump.fd, (struct sockaddr *)&there, &len), 0);
        close(scene->local);
        for (int i = 0; i < 3; i++) {
                scene->node.offered++;
                pump_receive(&scene->pump);
                run(scene);
        }
        check(broken == 0 && scene->node.taken == 3);
        scene->local = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        check_equal(bind(scene->local, (struct sockaddr *)&here, len), 0);
        check_equal(connect(scene->local, (struct sockaddr *)&there, len), 0);
        scene->node.offered++;
        pump_receive(&scene->pump);
        check_equal(recv(scene->local, got, sizeof(got), MSG_DONTWAIT), 10);
        check_equal(send(scene->local, inbound, 3, 0), 3);
        run(scene);
        check(broken == 0 && scene->node.datagram_count == 1);
        scene_end(scene);
}

TEST(pump_takes_no_socket_that_it_can_not_use_now)
{
        static struct replaced replaced;
        static struct scene scene;

        replace_begin(&replaced);
        check(!pump_replace(&replaced.scene.pump, -1));         /* there is one already */
        close(replaced.pair);
        run(&replaced.scene);
        check(!pump_replace(&replaced.scene.pump, -1));
        scene_end(&replaced.scene);
        datagrams_begin(&scene, PUMP_SESSION);
        pump_start(&scene.pump);
        scene.node.writable = 0;                                /* the end of the pair would not be read */
        check(!pump_replace(&scene.pump, -1));
        scene_end(&scene);
        scene_begin(&scene);
        pump_start(&scene.pump);
        check(!pump_replace(&scene.pump, -1));
        scene_end(&scene);
}

TEST(pump_closes_a_socket_that_it_did_not_get_to)
{
        static struct replaced replaced;
        uint8_t byte;

        replace_begin(&replaced);
        pump_close(&replaced.scene.pump, false);
        check_equal(send(replaced.scene.local, "x", 1, 0), 1);
        check(recv(replaced.scene.local, &byte, 1, MSG_DONTWAIT) < 0 && errno == ECONNREFUSED);
        broken = 1;     /* it is closed */
        close(replaced.pair);
        scene_end(&replaced.scene);
}

/* --- Limits --- */

static void limit(struct scene *scene, uint64_t bytes_per_s, uint64_t burst_bytes)
{
        struct limiter_spec spec = { .name = 7, .bytes_per_s = bytes_per_s, .burst_bytes = burst_bytes };

        check_equal(pump_limit(&scene->pump, &spec, 1 << LIMITER_UP | 1 << LIMITER_DOWN), 0);
}

TEST(pump_reads_no_more_than_a_limit_lets_it_and_goes_on_when_it_may)
{
        static struct scene scene;
        uint8_t bytes[3000];

        scene_begin(&scene);
        scene.node.writable = sizeof(scene.node.sent);
        limit(&scene, 100000, 1500);
        memset(bytes, 'x', sizeof(bytes));
        check_equal(write(scene.local, bytes, sizeof(bytes)), sizeof(bytes));
        check_equal(shutdown(scene.local, SHUT_WR), 0);
        pump_start(&scene.pump);
        run(&scene);
        check(scene.node.sent_len == 1500 && !scene.node.ends);
        check(!pump_awaits(&scene.pump, EV_READ));     /* or it would spin */
        pump_send(&scene.pump);
        check(!pump_awaits(&scene.pump, EV_READ));
        scene.now.mono_us += 9999;
        run(&scene);
        check_equal(scene.node.sent_len, 1500);
        scene.now.mono_us += 1;
        usleep(15000);          /* the loop's own time */
        run(&scene);
        check_equal(scene.node.sent_len, 2500);
        scene.now.mono_us += 20000;
        usleep(15000);
        run(&scene);
        check(scene.node.sent_len == 3000 && scene.node.ends == 1 && scene.pump.sent_bytes == 3000);
        scene_end(&scene);
}

TEST(pump_leaves_in_the_channel_what_a_limit_does_not_let_it_hand_on)
{
        static struct scene scene;
        uint8_t got[4000];

        scene_begin(&scene);
        limit(&scene, 100000, 1500);
        scene.node.inbound = 3000;
        scene.node.inbound_ended = true;
        pump_start(&scene.pump);
        run(&scene);
        check(scene.node.consumed == 1500 && !scene.node.ends_consumed);
        pump_receive(&scene.pump);
        check_equal(scene.node.consumed, 1500);
        scene.now.mono_us += 10000;
        usleep(15000);
        run(&scene);
        check_equal(scene.node.consumed, 2500);
        scene.now.mono_us += 10000;
        usleep(15000);
        run(&scene);
        check(scene.node.consumed == 3000 && scene.node.ends_consumed == 1);
        check_equal(read_all(scene.local, got, sizeof(got)), 3000);
        scene_end(&scene);
}

TEST(pump_that_ends_while_it_waits_for_its_turn_waits_no_more)
{
        static struct scene scene;
        uint8_t bytes[3000] = { 0 };

        scene_begin(&scene);
        scene.node.writable = sizeof(scene.node.sent);
        limit(&scene, 100000, 1500);
        scene.node.inbound = 3000;
        check_equal(write(scene.local, bytes, sizeof(bytes)), sizeof(bytes));
        pump_start(&scene.pump);
        run(&scene);
        pump_close(&scene.pump, false);
        broken = 1;
        scene.now.mono_us += 20000;
        usleep(15000);
        run(&scene);
        check(scene.node.sent_len == 1500 && scene.node.consumed == 1500);
        check_equal(limiter_deadline(&scene.room.limiter), USEC_NEVER);
        scene_end(&scene);
}

TEST(pump_drops_datagrams_beyond_a_limit_each_way)
{
        static struct scene scene;
        uint8_t got[2000];

        datagrams_begin(&scene, PUMP_SESSION);
        scene.node.writable = sizeof(scene.node.sent);
        limit(&scene, 100000, 1500);
        pump_start(&scene.pump);
        for (unsigned i = 0; i < 5; i++) {
                local_send(&scene, inbound, 1000);
                run(&scene);
                scene.node.writable = sizeof(scene.node.sent);
                pump_send(&scene.pump);
        }
        run(&scene);
        check(scene.node.datagram_count == 2 && scene.pump.sent_bytes == 2000);
        check_equal(scene.room.dropped, 3);
        for (unsigned i = 0; i < 4; i++)
                scene.node.offer_len[i] = 1000;
        scene.node.offered = 4;
        pump_receive(&scene.pump);
        check(scene.node.taken == 4 && scene.pump.received_bytes == 2000);
        check_equal(scene.room.dropped, 5);
        check(local_receive(&scene, got, sizeof(got)) == 1000 && local_receive(&scene, got, sizeof(got)) == 1000);
        check(local_receive(&scene, got, sizeof(got)) < 0);
        scene.now.mono_us += 10000;
        scene.node.offered = 5;
        local_send(&scene, inbound, 10);
        pump_receive(&scene.pump);
        run(&scene);
        check(scene.node.datagram_count == 3 && scene.pump.received_bytes == 3000);
        scene_end(&scene);
}
