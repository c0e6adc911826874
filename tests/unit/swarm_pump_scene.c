/* SPDX-License-Identifier: BSD-3-Clause */
#include "swarm_pump_scene.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"

uint8_t inbound[INBOUND_BYTES];
unsigned broken;

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

struct scene *scene_begin(struct scene *scene)
{
        *scene = (struct scene){ .node.writable = 1000 };
        broken = 0;
        check_equal(pump_room_init(&scene->room, ev_loop_new(EVFLAG_AUTO), &scene->node, &scene->now, (const uint8_t[16]){ 0 },
                                   on_broken), 0);
        pump_init(&scene->pump, &scene->room, 1, PUMP_STREAM, tcp_pair(&scene->local));
        return scene;
}

void scene_end(struct scene *scene)
{
        if (!broken)
                pump_close(&scene->pump, true);
        close(scene->local);
        pump_room_fini(&scene->room);
        ev_loop_destroy(scene->room.loop);
}

void run(struct scene *scene)
{
        for (int i = 0; i < 50; i++) {
                usleep(200);    /* loopback delivers in its own time */
                ev_run(scene->room.loop, EVRUN_NOWAIT);
        }
}

size_t read_all(int fd, uint8_t *out, size_t max)
{
        size_t done = 0;
        ssize_t got;

        while (done < max && (got = recv(fd, out + done, max - done, MSG_DONTWAIT)) > 0)
                done += (size_t)got;
        return done;
}

void datagrams_begin(struct scene *scene, enum pump_kind kind)
{
        struct sockaddr_in addr[2];
        int fds[2];

        *scene = (struct scene){ .node.writable = 60000 };
        broken = 0;
        for (size_t i = 0; i < INBOUND_BYTES; i++)
                inbound[i] = (uint8_t)(i * 13 + i / 257);
        check_equal(pump_room_init(&scene->room, ev_loop_new(EVFLAG_AUTO), &scene->node, &scene->now, (const uint8_t[16]){ 0 },
                                   on_broken), 0);
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

void local_send(struct scene *scene, const uint8_t *bytes, size_t len)
{
        uint8_t mark = 0;
        struct iovec iov[2] = { { &mark, 1 }, { (void *)(uintptr_t)bytes, len } };
        struct msghdr marked = { .msg_iov = iov, .msg_iovlen = 2 }, bare = { .msg_iov = iov + 1, .msg_iovlen = 1 };

        check(sendmsg(scene->local, scene->pump.kind == PUMP_SESSION ? &marked : &bare, MSG_DONTWAIT) >= 0);
}

ssize_t local_receive(struct scene *scene, uint8_t *out, size_t max)
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
