/* SPDX-License-Identifier: BSD-3-Clause */
/* What the pump moves no faster than it may. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "swarm_pump_scene.h"

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
