/* SPDX-License-Identifier: BSD-3-Clause */
/* The pump between a real socket of datagrams, or a pair that stands for one, and a channel. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "swarm_pump_scene.h"

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

/* Either way: one that was cut, as IPv6 carries 20 bytes more than we do, and one that no socket takes. */
TEST(pump_counts_what_is_too_long_and_goes_on)
{
        static const size_t lens[] = { 3, NODE_DATAGRAM_MAX, 4 };
        static struct scene scene;
        uint8_t got[100];

        datagrams_begin(&scene, PUMP_SESSION);
        pump_start(&scene.pump);
        local_send(&scene, inbound, NODE_DATAGRAM_MAX + 1);
        run(&scene);
        check(scene.node.datagram_count == 0 && scene.room.dropped == 1);
        local_send(&scene, inbound, 7);
        run(&scene);
        check(scene.node.datagram_len[0] == 7 && scene.room.dropped == 1 && broken == 0);
        scene_end(&scene);

        datagrams_begin(&scene, PUMP_DATAGRAMS);
        check_equal(pump_put_front(&scene.pump, "front", 5), 0);
        pump_start(&scene.pump);
        memcpy(scene.node.offer_len, lens, sizeof(lens));
        scene.node.offered = ARRAY_LEN(lens);
        pump_receive(&scene.pump);
        check_equal(local_receive(&scene, got, sizeof(got)), 5 + 3);
        check_equal(local_receive(&scene, got, sizeof(got)), 5 + 4);
        check(scene.room.dropped == 1 && scene.pump.received_bytes == 7 && broken == 0);
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
