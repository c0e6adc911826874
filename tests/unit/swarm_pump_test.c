/* SPDX-License-Identifier: BSD-3-Clause */
/* The pump between a real TCP connection and a channel. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "swarm_pump_scene.h"

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
