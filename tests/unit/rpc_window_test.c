/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc_window.h"

#include "test.h"

static unsigned fill(struct rpc_window *window)
{
        unsigned count = 0;

        for (; !rpc_window_full(window); count++)
                rpc_window_send(window);
        return count;
}

TEST(rpc_window_holds_eighty_a_slot_and_twice_that_over_four)
{
        struct rpc_window window;
        usec_t now_us = SECONDS(9);

        rpc_window_init(&window, now_us);
        check_equal(fill(&window), 80);
        now_us += MSEC(RPC_WINDOW_SLOT_MS);
        rpc_window_turn(&window, now_us - 1);
        check_equal(fill(&window), 0);
        for (unsigned slot = 1; slot < 8; slot++, now_us += MSEC(RPC_WINDOW_SLOT_MS)) {
                rpc_window_turn(&window, now_us);
                check_equal(fill(&window), slot % 4 < 2 ? 80 : 0);      /* what was sent four slots ago is forgotten */
                check_equal(rpc_window_turns_at(&window), now_us + MSEC(RPC_WINDOW_SLOT_MS));
        }
}

TEST(rpc_window_makes_room_for_each_answer_of_this_slot)
{
        struct rpc_window window;

        rpc_window_init(&window, 0);
        check_equal(fill(&window), 80);
        rpc_window_receive(&window);
        check_equal(fill(&window), 1);
        rpc_window_turn(&window, MSEC(RPC_WINDOW_SLOT_MS));
        rpc_window_receive(&window);            /* nothing was sent in this slot */
        check_equal(window.total, 80);
        check_equal(fill(&window), 80);
}

TEST(rpc_window_is_empty_after_a_long_rest)
{
        struct rpc_window window;

        rpc_window_init(&window, 0);
        check_equal(fill(&window), 80);
        rpc_window_turn(&window, MSEC(RPC_WINDOW_SLOT_MS));
        check_equal(fill(&window), 80);
        rpc_window_turn(&window, MINUTES(600) + 17);
        check_equal(window.total, 0);
        check(rpc_window_turns_at(&window) > MINUTES(600) + 17);
        check(rpc_window_turns_at(&window) <= MINUTES(600) + 17 + MSEC(RPC_WINDOW_SLOT_MS));
}
