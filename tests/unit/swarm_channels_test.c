/* SPDX-License-Identifier: BSD-3-Clause */
/* What becomes of a client whose channel does not come about, and who hears of one that does, with a node and workers that this test plays. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channels.h"
#include "cleanup.h"
#include "ipc_channel.h"
#include "ipc_fd.h"
#include "test.h"

enum { FORWARD = 3, NUMBER = 77 };

/* Has one channel, of id 1. */
struct node {
        size_t writable;                /* before it is open */
        uint8_t sent[64];
        size_t sent_len;
        unsigned opens, aborts, accepts;
};

int node_open(struct node *node, const uint8_t peer[NODE_KEY_BYTES], uint16_t gate_port, uint16_t protocol, const void *metadata,
              size_t len, usec_t limit_us, node_channel_id *channel_out, const struct now *now)
{
        node->opens++;
        *channel_out = 1;
        return 0;
}

void node_name_service(struct node *node, node_channel_id channel, uint64_t service)
{
}

void node_channel_peer(const struct node *node, node_channel_id channel, uint8_t key_out[NODE_KEY_BYTES])
{
        memset(key_out, 0, NODE_KEY_BYTES);
}

void node_accept(struct node *node, node_channel_id channel, const struct now *now)
{
        node->accepts++;
}

void node_refuse(struct node *node, node_channel_id channel, const char *text, size_t len, const struct now *now)
{
}

size_t node_writable(const struct node *node, node_channel_id channel)
{
        return node->writable;
}

void node_write(struct node *node, node_channel_id channel, uint8_t *data, size_t len, const struct now *now)
{
        check(len <= node->writable && node->sent_len + len <= sizeof(node->sent));
        memcpy(node->sent + node->sent_len, data, len);
        node->sent_len += len;
        node->writable -= len;
}

void node_end(struct node *node, node_channel_id channel, const struct now *now)
{
}

void node_abort(struct node *node, node_channel_id channel, const struct now *now)
{
        node->aborts++;
}

size_t node_peek(struct node *node, node_channel_id channel, const uint8_t **bytes_out, bool *ended_out)
{
        *ended_out = false;
        return 0;
}

void node_consume(struct node *node, node_channel_id channel, size_t len, const struct now *now)
{
}

void node_consume_end(struct node *node, node_channel_id channel, const struct now *now)
{
}

void node_send(struct node *node, node_channel_id channel, const struct iovec *datagrams, size_t count, const struct now *now)
{
}

size_t node_datagrams(struct node *node, node_channel_id channel, struct iovec *out, size_t max)
{
        return 0;
}

void node_datagrams_done(struct node *node, node_channel_id channel, size_t count, const struct now *now)
{
}

/* What the forward worker and the admin worker were told, in turn. */
static struct {
        enum ipc_type type[8];
        size_t count;
        int fd;                         /* that came with a refusal; -1: none */
        struct ipc_channel_closed closed;
        struct ipc_channel_refused refused;
} told;

int worker_send(struct worker_link *link, enum ipc_type type, const void *payload, const int *fds, size_t fd_count)
{
        check(told.count < ARRAY_LEN(told.type));
        told.type[told.count++] = type;
        if (type == IPC_CHANNEL_CLOSED)
                told.closed = *(const struct ipc_channel_closed *)payload;
        if (type != IPC_CHANNEL_REFUSED)
                return 0;
        told.refused = *(const struct ipc_channel_refused *)payload;
        told.fd = fd_count ? dup(fds[0]) : -1;
        return 0;
}

int worker_post(struct worker_link *link, enum ipc_type type, const void *payload)
{
        return worker_send(link, type, payload, NULL, 0);
}

static struct worker_link *forward(void *context, uint32_t id)
{
        static struct worker_link link;

        return id == FORWARD ? &link : NULL;
}

/* There is an admin worker, too. */
struct worker_link *worker_find(struct worker *worker, enum ipc_role role, uint32_t id)
{
        static struct worker_link link;

        check(role == IPC_ADMIN && id == IPC_ADMIN_OF_RESOLVER);
        return &link;
}

static void full(void *context, const uint8_t peer[NODE_KEY_BYTES])
{
        check(false);
}

struct scene {
        struct node node;
        struct now now;
        struct ev_loop *loop;
        struct worker worker;
        struct fingerprints fingerprints;
        struct channels channels;
        int client;                     /* the far end of the connection; -1: none yet */
};

static void scene_set(struct scene *scene, size_t writable)
{
        *scene = (struct scene){ .node.writable = writable, .loop = ev_loop_new(EVFLAG_AUTO), .client = -1 };
        memset(&told, 0, sizeof(told));
        told.fd = -1;
        fingerprints_init(&scene->fingerprints, &scene->worker);
        check_equal(channels_init(&scene->channels, scene->loop, &scene->node, &scene->now, (const uint8_t[16]){ 0 }, &scene->fingerprints,
                                  forward, full, NULL), 0);
}

/* A client that has said "early" is at a gate, and the peer is asked to open a channel for it. It takes @writable bytes before it answers. */
static void begin(struct scene *scene, size_t writable)
{
        static struct ipc_channel_open open = { .channel = NUMBER, .gate_port = 80, .protocol = IPC_TCP };
        int pair[2];

        scene_set(scene, writable);
        check_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
        scene->client = pair[0];
        check_equal(write(scene->client, "early", 5), 5);
        channels_open(&scene->channels, FORWARD, &open, pair[1]);
        check(scene->node.opens == 1 && !told.count);
}

static void hear(struct scene *scene, enum node_event_kind kind, enum node_reason reason)
{
        struct node_event event = { .kind = kind, .channel = 1, .reason = reason };

        channels_event(&scene->channels, &event);
}

static void end(struct scene *scene)
{
        close_fdp(&scene->client);
        close_fdp(&told.fd);
        channels_fini(&scene->channels);
        ev_loop_destroy(scene->loop);
}

/* What a client that goes to another peer brings along. */
static void check_given_back_whole(const struct scene *scene, enum ipc_reason reason)
{
        char bytes[8];

        check(told.count == 1 && told.type[0] == IPC_CHANNEL_REFUSED && told.refused.channel == NUMBER && told.refused.reason == reason);
        check_equal(recv(told.fd, bytes, sizeof(bytes), 0), 5);
        check_bytes(bytes, "early", 5);
}

TEST(a_client_that_one_peer_refuses_is_given_back_with_all_it_said)
{
        static struct scene scene;

        begin(&scene, 1000);
        check_equal(scene.node.sent_len, 5);
        hear(&scene, NODE_CHANNEL_REFUSED, NODE_REASON_REFUSED);
        check_given_back_whole(&scene, IPC_REASON_REFUSED);
        end(&scene);
}

/* Its service may have it; so nobody else's gets it as well. */
TEST(a_client_whose_words_may_have_arrived_sees_its_connection_break)
{
        static const enum node_reason unclear[] = { NODE_REASON_PEER_LOST, NODE_REASON_PEER_LEFT, NODE_REASON_TIMED_OUT, NODE_REASON_RESET,
                                                    NODE_REASON_LIMIT };

        for (size_t i = 0; i < ARRAY_LEN(unclear); i++) {
                static struct scene scene;
                char byte;

                begin(&scene, 1000);
                check_equal(scene.node.sent_len, 5);
                hear(&scene, NODE_CHANNEL_REFUSED, unclear[i]);
                check(told.count == 2 && told.type[0] == IPC_CHANNEL_OPENED && told.type[1] == IPC_CHANNEL_CLOSED);
                check(told.closed.channel == NUMBER && told.closed.sent_bytes == 5 && told.closed.reason != IPC_REASON_DONE);
                check(recv(scene.client, &byte, 1, 0) <= 0 && errno != EAGAIN);
                end(&scene);
        }
}

TEST(a_client_of_whom_nothing_was_sent_is_given_back_whatever_happened)
{
        static const struct {
                enum node_reason reason;
                enum ipc_reason told;
        } rows[] = {
                { NODE_REASON_PEER_LOST, IPC_REASON_PEER_LOST },
                { NODE_REASON_TIMED_OUT, IPC_REASON_TIMED_OUT },
                { NODE_REASON_REFUSED, IPC_REASON_REFUSED },
        };

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                static struct scene scene;

                begin(&scene, 0);
                hear(&scene, NODE_CHANNEL_REFUSED, rows[i].reason);
                check_given_back_whole(&scene, rows[i].told);
                end(&scene);
        }
}

/* Its worker is rid of it, too, and does not ask another peer for nobody. */
TEST(a_client_that_breaks_off_before_there_is_an_answer_is_over)
{
        static struct scene scene;
        struct linger now = { .l_onoff = 1 };
        struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        static struct ipc_channel_open open = { .channel = NUMBER, .gate_port = 80, .protocol = IPC_TCP };
        socklen_t len = sizeof(addr);
        int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);

        scene_set(&scene, 1000);
        check_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
        check_equal(listen(listener, 1), 0);
        check_equal(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
        check_equal(connect(client, (struct sockaddr *)&addr, sizeof(addr)), 0);
        channels_open(&scene.channels, FORWARD, &open, accept4(listener, NULL, NULL, SOCK_NONBLOCK));
        check_equal(setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
        close(client);
        for (int i = 0; i < 50 && !told.count; i++) {
                usleep(200);    /* loopback delivers in its own time */
                ev_run(scene.loop, EVRUN_NOWAIT);
        }
        check(told.count == 2 && told.type[0] == IPC_CHANNEL_OPENED && told.type[1] == IPC_CHANNEL_CLOSED);
        check(told.closed.reason == IPC_REASON_RESET_LOCAL && scene.node.aborts == 1);
        close(listener);
        end(&scene);
}

TEST(what_was_sent_early_is_sent_once)
{
        static struct scene scene;

        begin(&scene, 1000);
        hear(&scene, NODE_CHANNEL_OPENED, 0);
        check(told.count == 1 && told.type[0] == IPC_CHANNEL_OPENED);
        check_equal(write(scene.client, " and late", 9), 9);
        ev_run(scene.loop, EVRUN_NOWAIT);
        check_equal(scene.node.sent_len, 14);
        check_bytes(scene.node.sent, "early and late", 14);
        end(&scene);
}

/* A channel of a service here, of a client whose gateway said something. */
static void arrive(struct scene *scene)
{
        struct node_event event = { .kind = NODE_CHANNEL_ARRIVED, .channel = 1, .gate_port = 80, .protocol = IPC_TCP,
                                    .bytes = (const uint8_t *)"{}", .len = 2 };

        scene_set(scene, 0);
        fingerprints_introduce(&scene->fingerprints);
        channels_hold(&scene->channels, FORWARD, &(struct ipc_service_held){ .gate_port = 80, .protocol = IPC_TCP });
        channels_event(&scene->channels, &event);
        check(told.count == 1 && told.type[0] == IPC_CHANNEL_ARRIVED);
}

static void connect_service(struct scene *scene)
{
        struct ipc_channel_ready ready = { .channel = 1, .tuple = { .local_port = 5, .remote_port = 8080 } };
        int pair[2];

        check_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
        scene->client = pair[0];
        channels_ready(&scene->channels, FORWARD, &ready, pair[1]);
        check(scene->node.accepts == 1);
}

TEST(whose_a_connection_is_is_said_when_it_is_made_and_no_longer_when_it_ends)
{
        static struct scene scene;

        arrive(&scene);
        connect_service(&scene);
        check(told.count == 2 && told.type[1] == IPC_FINGERPRINT_SET);
        channels_forget(&scene.channels, FORWARD);      /* who made it is killed: it goes on */
        check_equal(told.count, 2);
        hear(&scene, NODE_CHANNEL_CLOSED, NODE_REASON_DONE);
        check(told.count == 3 && told.type[2] == IPC_FINGERPRINT_DROP);
        end(&scene);
}

TEST(of_a_connection_that_was_never_made_nothing_is_said)
{
        static struct scene scene;

        arrive(&scene);
        channels_refuse(&scene.channels, FORWARD, &(struct ipc_channel_refused){ .channel = 1 });
        check_equal(told.count, 1);
        end(&scene);
}
