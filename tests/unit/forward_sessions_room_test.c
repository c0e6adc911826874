/* SPDX-License-Identifier: BSD-3-Clause */
/* Who gets a session at a gate, and whose goes, where there is no room for all. (Linked with --wrap=run_memory_short.) */
#include <poll.h>
#include <string.h>

#include "forward_sessions_scene.h"

static bool memory_is_short;

bool __wrap_run_memory_short(void);

bool __wrap_run_memory_short(void)
{
        return memory_is_short;
}

TEST(new_sessions_come_no_faster_than_a_thousand_a_second)
{
        begin_with(IPC_SUPERVISOR);
        for (unsigned i = 0; i < 2 * SESSIONS_NEW_PER_S; i++)
                say(0x0a000000 + i, 9, "q");
        check_equal(now.mono_us - sessions.new_us, 0);
        pass(MSEC(10));
        for (unsigned i = 0; i < 50; i++)
                say(0x0b000000 + i, 9, "q");
        check_equal(now.mono_us - sessions.new_us, 0);
        check_equal(dropped, SESSIONS_NEW_PER_S + 40);
        check(sessions.count <= CLIENTS_WAITING_MAX);   /* the rest was refused: nobody may wait without end */
        finish();
}

static bool is_over(unsigned i)
{
        struct pollfd look = { .fd = taken[i].fd, .events = POLLRDHUP };

        return poll(&look, 1, 0) == 1 && look.revents & (POLLHUP | POLLRDHUP);
}

/* Begins @count sessions of different ports of @host, in as many milliseconds. */
static void crowd(uint32_t host, unsigned count)
{
        for (unsigned i = 0; i < count; i++) {
                pass(MSEC(1));
                say(host, (uint16_t)(1024 + i), "q");
        }
}

TEST(one_host_gets_half_of_what_others_leave_and_then_replaces_its_own_longest_silent)
{
        enum { HALF = SESSIONS_MAX / 2 };

        allow_fds(4 * SESSIONS_MAX);
        begin();
        say(0x0a000002, 9, "q");
        crowd(0x0a000001, HALF - 1);
        check_equal(sessions.count, HALF);
        check_equal(taken_count, HALF);
        pass(MSEC(1));
        say(0x0a000001, 1024, "again");         /* the second is the longest silent now */
        say(0x0a000001, 100, "one more");
        check_equal(sessions.count, HALF);
        check(!is_over(0));
        check(!is_over(1));
        check(is_over(2));
        check(!is_over(3));
        finish();
}

/* One session of each of so many hosts as there are descriptors for. */
static void begin_full(void)
{
        allow_fds(400);
        begin();
        for (unsigned i = 0; !worker_fds_short(&forward.worker); i++) {
                pass(MSEC(1));
                say(0x0a000000 + i, 9, "q");
        }
}

/* All services answer, and then all hosts say something else, one after the other at that distance. */
static void prove_all(usec_t apart_us)
{
        for (unsigned i = 0; i < taken_count; i++) {
                heard(i);
                reply(i, "a", 1);
        }
        worker_now(&now);
        for (unsigned i = 0; i < taken_count; i++) {
                pass(apart_us);
                say(0x0a000000 + i, 9, "q");
        }
}

/* Who sends blindly has proven itself, too, if it does so twice. */
TEST(where_all_are_proven_the_longest_silent_one_goes_once_it_has_rested)
{
        unsigned count;

        begin_full();
        sessions.idle_us = MINUTES(60);
        prove_all(MSEC(1));
        count = taken_count;
        pass(SECONDS(100));
        say(0x0a000000, 9, "q");                /* goes on */
        pass(SECONDS(19));
        say(0x0b000000, 9, "q");
        check_equal(taken_count, count);        /* not yet */
        pass(SECONDS(2));
        say(0x0b000000, 9, "q");
        check_equal(taken_count, count + 1);
        check(!is_over(0));
        check(is_over(1));
        check(!is_over(2));
        say(0x0b000001, 9, "q");                /* the young one before any other */
        check(is_over(count));
        check(!is_over(2));
        finish();
}

/* Sessions that have lasted are nobody's to take. */
TEST(proven_sessions_make_room_for_nobody_and_the_log_says_it_once)
{
        struct ipc_received message;
        unsigned told = 0;

        begin_full();
        check(taken_count > 50);
        prove_all(0);
        inside_drain(&inside);
        pass(SECONDS(1));
        say(0x0b000000, 9, "q");
        say(0x0b000001, 9, "q");
        check_equal(sessions.hosts.count, taken_count);
        while (inside_receive(&inside, IPC_SUPERVISOR, &message))
                told += message.type == IPC_LOG && IPC_PAYLOAD(&message, struct ipc_log)->level == LOG_NOTICE;
        check_equal(told, 1);
        for (unsigned i = 0; i < taken_count; i++)
                check(!is_over(i));
        check_equal(left_after(SECONDS(IDLE_S) + SECONDS(1)), 0);       /* they end, and there is room again */
        say(0x0b000000, 9, "q");
        check_equal(sessions.count, 1);
        finish();
}

TEST(when_descriptors_are_short_the_longest_silent_young_one_of_anybody_goes)
{
        unsigned count;

        begin_full();
        count = taken_count;
        say(0x0b000000, 9, "q");
        check(is_over(0));
        check(!is_over(1));
        check_equal(taken_count, count + 1);
        check_equal(sessions.count, count);
        say(0x0b000000, 10, "q");               /* a host's second: its own first goes */
        check(is_over(count));
        check(!is_over(1));
        finish();
}

TEST(when_memory_is_short_no_session_begins_and_those_that_run_go_on)
{
        struct ipc_received message;
        unsigned told = 0;

        begin();
        say(0x0a000000, 9, "one");
        memory_is_short = true;
        say(0x0b000000, 9, "two");
        say(0x0c000000, 9, "three");
        say(0x0a000000, 9, "four");
        memory_is_short = false;
        check_equal(sessions.count, 1);
        check_equal(taken_count, 1);
        check_equal(dropped, 2);
        while (inside_receive(&inside, IPC_SUPERVISOR, &message))
                told += message.type == IPC_LOG && strstr(IPC_PAYLOAD(&message, struct ipc_log)->text, "gate 5353/udp: no memory left");
        check_equal(told, 1);
        check_heard(0, "one");
        check_heard(0, "four");
        say(0x0b000000, 9, "five");
        check_equal(sessions.count, 2);
        check_heard(1, "five");
        finish();
}
