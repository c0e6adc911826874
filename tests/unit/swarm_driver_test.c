/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver between sockets that always have more and a node that counts; the time is the machine's, and bounds are held against what
 * has passed of it. */
#include <ev.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cleanup.h"
#include "driver.h"
#include "test.h"

enum {
        PER_S = 8000, AT_ONCE = 2000, TOGETHER = 128,   /* of strangers: driver.c */
        STREAM_BYTES = 1, STRANGER_BYTES = 2,           /* by which the node tells whose a datagram is */
        BATCHES = 8,                                    /* of streams, a turn */
};

struct node {
        size_t streams, strangers;
        size_t turns;
        size_t streams_of_turn, strangers_of_turn;
        bool stream_after_stranger;     /* within any turn */
        size_t untold;                  /* bytes that streams brought, and nobody has asked since */
        size_t most_untold;
        usec_t deadline_us;             /* 0: never */
};

static size_t stream_bytes = STREAM_BYTES;
static uint8_t bytes[STRANGER_BYTES];
static struct iovec iov = { bytes, sizeof(bytes) };

void node_receive(struct node *node, const struct datagram *in, const struct now *now)
{
        if (in->len == stream_bytes) {
                node->streams++;
                node->untold += in->len;
                node->most_untold = MAX(node->most_untold, node->untold);
                node->streams_of_turn++;
                node->stream_after_stranger = node->stream_after_stranger || node->strangers_of_turn;
        } else {
                node->strangers++;
                node->strangers_of_turn++;
        }
}

bool node_transmit(struct node *node, struct datagram *out, const struct now *now)
{
        return false;
}

void node_unsent(struct node *node, const struct datagram *datagram, int error)
{
}

void node_advance(struct node *node, const struct now *now)
{
}

usec_t node_deadline(const struct node *node)
{
        return node->deadline_us ? node->deadline_us : USEC_NEVER;
}

bool node_event(struct node *node, struct node_event *out, const struct now *now)
{
        bool any = node->untold > 0;

        node->untold = 0;
        return any;
}

bool udp_receive(struct udp *udp, unsigned number, struct datagram *out)
{
        *out = (struct datagram){ .socket = number, .iov = &iov, .iov_len = 1, .len = stream_bytes };
        return true;
}

size_t udp_receive_strangers(struct udp *udp, unsigned number, struct datagram *out, size_t max)
{
        check(max > 0 && max <= UDP_BATCH_MAX);
        for (size_t i = 0; i < max; i++)
                out[i] = (struct datagram){ .socket = number, .iov = &iov, .iov_len = 1, .len = STRANGER_BYTES };
        return max;
}

enum udp_sent udp_send(struct udp *udp, const struct datagram *datagram)
{
        return UDP_SENT;
}

int udp_held_socket(const struct udp *udp)
{
        return -1;
}

bool udp_resume(struct udp *udp)
{
        return true;
}

void udp_close_socket(struct udp *udp, unsigned number)
{
}

struct scene {
        struct ev_loop *loop;
        struct udp udp;
        struct driver driver;
        struct node node;
        usec_t began_us;
};

static void on_turn(void *context)
{
        struct scene *s = context;

        s->node.turns++;
        s->node.streams_of_turn = s->node.strangers_of_turn = 0;
}

static void on_event(void *context, const struct node_event *event)
{
}

static int readable(void)
{
        int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);

        check(fd >= 0);
        return fd;
}

/* Of each kind so many sockets, which are readable for good. */
static void scene_begin(struct scene *s, unsigned streams, unsigned strangers)
{
        *s = (struct scene){ .loop = ev_loop_new(EVFLAG_AUTO) };
        for (unsigned i = 0; i < ARRAY_LEN(s->udp.sockets); i++)
                s->udp.sockets[i].fd = s->udp.sockets[i].strangers_fd = -1;
        for (unsigned i = 0; i < streams; i++)
                s->udp.sockets[i].fd = readable();
        for (unsigned i = 0; i < strangers; i++)
                s->udp.sockets[i].strangers_fd = readable();
        check_equal(driver_init(&s->driver, s->loop, &s->udp), 0);
        driver_start(&s->driver, &s->node, on_turn, on_event, s);
        s->began_us = s->driver.now.mono_us;
}

static void scene_end(struct scene *s)
{
        driver_fini(&s->driver);
        for (unsigned i = 0; i < ARRAY_LEN(s->udp.sockets); i++) {
                if (s->udp.sockets[i].fd >= 0)
                        close(s->udp.sockets[i].fd);
                if (s->udp.sockets[i].strangers_fd >= 0)
                        close(s->udp.sockets[i].strangers_fd);
        }
        ev_loop_destroy(s->loop);
}

static usec_t passed_us(const struct scene *s)
{
        return s->driver.now.mono_us - s->began_us;
}

static size_t allowed(const struct scene *s)
{
        return AT_ONCE + (size_t)(passed_us(s) * PER_S / SECONDS(1));
}

TEST(driver_reads_so_many_datagrams_of_strangers_a_second_and_sleeps_else)
{
        for (unsigned sockets = 1; sockets <= UDP_SOCKETS_OWN; sockets++) {
                cleanup_with(scene_end) struct scene s;
                size_t many = AT_ONCE + 20 * TOGETHER, turns;

                scene_begin(&s, 0, sockets);
                while (s.node.strangers < many) {
                        ev_run(s.loop, EVRUN_ONCE);
                        check(s.node.strangers <= allowed(&s));
                }
                /* By the batch, and some turns more for each wait: nobody turns for what may not be read yet. */
                turns = many / UDP_BATCH_MAX + 4 * (1 + (size_t)(passed_us(&s) / (SECONDS(TOGETHER) / PER_S)));
                check(s.node.turns <= turns);
        }
}

TEST(driver_reads_strangers_after_streams_and_lets_neither_starve)
{
        cleanup_with(scene_end) struct scene s;

        scene_begin(&s, UDP_SOCKETS_OWN, UDP_SOCKETS_OWN);
        while (s.node.strangers < AT_ONCE + TOGETHER) {
                size_t before = s.node.strangers;

                ev_run(s.loop, EVRUN_NOWAIT);
                check_equal(s.node.streams_of_turn, BATCHES * UDP_SOCKETS_OWN);
                check(s.node.strangers - before <= UDP_BATCH_MAX * UDP_SOCKETS_OWN);
                check(s.node.strangers <= allowed(&s));
        }
        check(!s.node.stream_after_stranger);
        check_equal(s.node.streams, s.node.turns * BATCHES * UDP_SOCKETS_OWN);
}

TEST(driver_has_what_streams_bring_passed_on_before_it_is_too_much)
{
        static const struct { size_t bytes, most; } cases[] = {
                { 65000, 65000 },               /* each before the next is read */
                { 9000, 4 * 9000 },
                { STREAM_BYTES, (BATCHES - 1) * STREAM_BYTES },        /* the first does not wait for others */
        };

        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                cleanup_with(scene_end) struct scene s;

                stream_bytes = cases[i].bytes;
                scene_begin(&s, UDP_SOCKETS_OWN, 0);
                ev_run(s.loop, EVRUN_NOWAIT);
                check_equal(s.node.streams, BATCHES * UDP_SOCKETS_OWN);
                check_equal(s.node.most_untold, cases[i].most);
                check_equal(s.node.untold, 0);
        }
        stream_bytes = STREAM_BYTES;
}

TEST(driver_saves_up_for_a_crowd_no_more_than_it_may_read_at_once)
{
        cleanup_with(scene_end) struct scene s;
        size_t before;

        scene_begin(&s, 0, 1);
        while (s.node.strangers < AT_ONCE)
                ev_run(s.loop, EVRUN_ONCE);
        before = s.node.strangers;
        usleep(600 * 1000);             /* in which more would have been earned */
        while (passed_us(&s) < MSEC(600))
                ev_run(s.loop, EVRUN_ONCE);
        s.began_us = s.driver.now.mono_us;
        for (int i = 0; i < 2 * AT_ONCE / UDP_BATCH_MAX; i++)
                ev_run(s.loop, EVRUN_NOWAIT);
        check(s.node.strangers - before <= UDP_BATCH_MAX + allowed(&s));
}

TEST(driver_sleeps_past_a_deadline_that_has_moved_far)
{
        cleanup_with(scene_end) struct scene s;

        scene_begin(&s, 0, 0);
        s.node.deadline_us = s.began_us + MSEC(200);
        ev_run(s.loop, EVRUN_NOWAIT);
        s.node.deadline_us = s.began_us + MSEC(600);
        ev_run(s.loop, EVRUN_NOWAIT);
        s.node.turns = 0;
        ev_run(s.loop, EVRUN_ONCE);
        check_equal(s.node.turns, 1);
        check(passed_us(&s) >= MSEC(600));
}

TEST(driver_does_not_set_its_timer_for_each_deadline_that_moves)
{
        cleanup_with(scene_end) struct scene s;
        usec_t armed_us = 0;
        size_t set = 0;

        scene_begin(&s, 1, 0);
        for (usec_t i = 1; i <= 200; i++) {
                s.node.deadline_us = s.began_us + i * SECONDS(1);
                ev_run(s.loop, EVRUN_NOWAIT);
                set += s.driver.timer_us != armed_us;
                armed_us = s.driver.timer_us;
        }
        check(set >= 1 && set <= 2 + passed_us(&s) / MSEC(50));
}
