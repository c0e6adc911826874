/* SPDX-License-Identifier: BSD-3-Clause */
#include "nat_gate.h"

#include "test.h"

static const uint8_t ann[NAT_PEER_BYTES] = { 1 }, bob[NAT_PEER_BYTES] = { 2 };

TEST(one_peer_at_a_time_is_let_in)
{
        struct nat_gate gate = { .inside = 0 };

        check(nat_gate_enter(&gate, ann, SECONDS(1)));
        check(!nat_gate_enter(&gate, bob, SECONDS(1)));
        check(!nat_gate_enter(&gate, bob, MINUTES(10)));
        nat_gate_leave(&gate, false, MINUTES(10));
        check(nat_gate_enter(&gate, bob, MINUTES(10)));
        check(!nat_gate_enter(&gate, ann, MINUTES(10)));
}

/* Both have dialled: here is the end of the one, and the beginning of the other. */
TEST(two_punches_with_one_peer_are_not_in_each_others_way)
{
        struct nat_gate gate = { .inside = 0 };

        check(nat_gate_enter(&gate, ann, SECONDS(1)));
        check(nat_gate_enter(&gate, ann, SECONDS(1)));
        nat_gate_probe(&gate, SECONDS(1));
        nat_gate_leave(&gate, false, SECONDS(2));
        check(!nat_gate_enter(&gate, bob, SECONDS(2)));
        check(nat_gate_enter(&gate, ann, SECONDS(2)));
        nat_gate_leave(&gate, false, SECONDS(3));
        nat_gate_leave(&gate, false, SECONDS(4));
        check(!nat_gate_enter(&gate, bob, SECONDS(7) - 1));
        check(nat_gate_enter(&gate, bob, SECONDS(7)));
}

TEST(who_has_sent_nothing_leaves_it_open)
{
        struct nat_gate gate = { .inside = 0 };

        check(nat_gate_enter(&gate, ann, SECONDS(1)));
        nat_gate_leave(&gate, false, SECONDS(9));
        check(nat_gate_enter(&gate, bob, SECONDS(9)));
}

static usec_t shut_for(bool met, usec_t probed_us)
{
        struct nat_gate gate = { .inside = 0 };
        usec_t shut_us = 0;

        nat_gate_enter(&gate, ann, SECONDS(1));
        nat_gate_probe(&gate, SECONDS(1));
        nat_gate_leave(&gate, met, SECONDS(1) + probed_us);
        while (!nat_gate_enter(&gate, bob, SECONDS(1) + probed_us + shut_us))
                shut_us += MSEC(100);
        return shut_us;
}

TEST(it_stays_shut_for_as_long_as_probes_were_sent)
{
        check_equal(shut_for(false, MSEC(300)), MSEC(300));
        check_equal(shut_for(false, SECONDS(36)), NAT_GATE_FAILED_US);
        check_equal(shut_for(true, MSEC(300)), MSEC(300));
        check_equal(shut_for(true, SECONDS(36)), NAT_GATE_MET_US);
}

TEST(one_of_two_that_met_is_enough)
{
        struct nat_gate gate = { .inside = 0 };

        nat_gate_enter(&gate, ann, SECONDS(1));
        nat_gate_enter(&gate, ann, SECONDS(1));
        nat_gate_probe(&gate, SECONDS(1));
        nat_gate_leave(&gate, true, SECONDS(6));
        nat_gate_leave(&gate, false, SECONDS(6));
        check(nat_gate_enter(&gate, bob, SECONDS(6) + NAT_GATE_MET_US));
        nat_gate_probe(&gate, SECONDS(10));
        nat_gate_leave(&gate, false, SECONDS(20));
        check(!nat_gate_enter(&gate, ann, SECONDS(25)));
}

TEST(a_peer_gets_no_third_in_and_none_late)
{
        struct nat_gate gate = { .inside = 0 };

        check(nat_gate_enter(&gate, ann, SECONDS(1)));
        check(nat_gate_enter(&gate, ann, SECONDS(1)));
        check(!nat_gate_enter(&gate, ann, SECONDS(1)));
        nat_gate_leave(&gate, false, SECONDS(2));
        check(!nat_gate_enter(&gate, ann, SECONDS(1) + NAT_GATE_SECOND_US));
        check(nat_gate_enter(&gate, ann, SECONDS(1) + NAT_GATE_SECOND_US - 1));
}

/* The answer to its round was lost: it gave up, while we sent probes. */
TEST(a_peer_that_was_cut_short_goes_on)
{
        struct nat_gate gate = { .inside = 0 };

        check(nat_gate_enter(&gate, ann, SECONDS(1)));
        nat_gate_probe(&gate, SECONDS(1));
        nat_gate_leave(&gate, false, SECONDS(11));
        check(!nat_gate_enter(&gate, bob, SECONDS(12)));
        check(nat_gate_enter(&gate, ann, SECONDS(12)));
        nat_gate_probe(&gate, SECONDS(12));
        nat_gate_leave(&gate, false, SECONDS(17));
        check(!nat_gate_enter(&gate, ann, SECONDS(17)));
        check(nat_gate_enter(&gate, bob, SECONDS(22)));
}

/* One that always has somebody inside would shut out all others. */
TEST(nobody_holds_it_for_good)
{
        struct nat_gate gate = { .inside = 0 };
        usec_t left_us[NAT_GATE_MAX] = { 0 }, now_us;
        bool inside[NAT_GATE_MAX] = { false };

        inside[0] = nat_gate_enter(&gate, ann, SECONDS(1));
        nat_gate_probe(&gate, SECONDS(1));
        left_us[0] = SECONDS(37);
        for (now_us = SECONDS(1); now_us < MINUTES(10) && !nat_gate_enter(&gate, bob, now_us); now_us += MSEC(100)) {
                for (unsigned i = 0; i < NAT_GATE_MAX; i++) {
                        if (inside[i] && now_us >= left_us[i]) {
                                nat_gate_leave(&gate, false, now_us);
                                inside[i] = false;
                        } else if (!inside[i] && nat_gate_enter(&gate, ann, now_us)) {
                                inside[i] = true;
                                nat_gate_probe(&gate, now_us);
                                left_us[i] = now_us + SECONDS(36) / (1 + i);
                        }
                }
        }
        check(now_us > SECONDS(30) && now_us < MINUTES(2));
}
