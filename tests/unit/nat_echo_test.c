/* SPDX-License-Identifier: BSD-3-Clause */
#include "nat_echo.h"

#include "test.h"

static const struct addr there = { .ip = { 80, 1, 2, 3 }, .port = 4711 };

/* How many are due by @now_us. */
static unsigned send(struct nat_echoes *echoes, usec_t now_us)
{
        unsigned count = 0;
        uint32_t socket;
        struct addr to;

        while (nat_echoes_next(echoes, &socket, &to, now_us))
                count++;
        return count;
}

TEST(a_probe_is_sent_back_three_times)
{
        struct nat_echoes echoes = { .count = 0 };
        usec_t now_us = SECONDS(1);
        uint32_t socket;
        struct addr to;

        nat_echoes_hear(&echoes, 7, &there, now_us);
        check_equal(nat_echoes_deadline(&echoes), now_us);
        check(nat_echoes_next(&echoes, &socket, &to, now_us));
        check(socket == 7 && addr_equal(&to, &there));
        check(!nat_echoes_next(&echoes, &socket, &to, now_us));
        check_equal(nat_echoes_deadline(&echoes), now_us + NAT_ECHO_PAUSE_US);
        now_us += NAT_ECHO_PAUSE_US;
        check_equal(send(&echoes, now_us), 1);
        check_equal(nat_echoes_deadline(&echoes), now_us + 4 * NAT_ECHO_PAUSE_US);
        check_equal(send(&echoes, now_us + 4 * NAT_ECHO_PAUSE_US), 1);
        check_equal(nat_echoes_deadline(&echoes), USEC_NEVER);
}

TEST(who_goes_on_probing_is_answered_anew_after_a_while)
{
        struct nat_echoes echoes = { .count = 0 };
        unsigned sent = 0;

        for (usec_t now_us = SECONDS(1); now_us < SECONDS(1) + 2 * NAT_ECHO_QUIET_US; now_us += MSEC(20)) {
                nat_echoes_hear(&echoes, 7, &there, now_us);
                sent += send(&echoes, now_us);
        }
        check_equal(sent, 2 * NAT_ECHO_TIMES);
}

/* Both sides of a crossed dial answer: what one sends back the other takes for a probe. */
TEST(two_that_both_answer_fall_silent)
{
        struct nat_echoes sides[2] = { { .count = 0 }, { .count = 0 } };
        unsigned sent = 0;

        nat_echoes_hear(&sides[0], 7, &there, SECONDS(1));
        for (usec_t now_us = SECONDS(1); now_us < MINUTES(1); now_us += MSEC(1))
                for (unsigned side = 0; side < 2; side++) {
                        unsigned count = send(&sides[side], now_us);

                        sent += count;
                        while (count--)
                                nat_echoes_hear(&sides[!side], 7, &there, now_us);
                }
        check_equal(sent, 2 * NAT_ECHO_TIMES);
}

TEST(a_crowd_of_remotes_is_not_remembered_whole)
{
        struct nat_echoes echoes = { .count = 0 };
        struct addr from = there;

        for (unsigned i = 0; i < 1000; i++) {
                from.port = (uint16_t)(2000 + i);
                nat_echoes_hear(&echoes, 7, &from, SECONDS(1));
        }
        check_equal(echoes.count, NAT_ECHOES_MAX);
        check_equal(send(&echoes, SECONDS(1)), NAT_ECHOES_MAX);
        check_equal(echoes.echo[NAT_ECHOES_MAX - 1].to.port, 2999);
}

/* Another socket of ours that it has found is another way. */
TEST(each_socket_is_answered_by_itself)
{
        struct nat_echoes echoes = { .count = 0 };

        nat_echoes_hear(&echoes, 7, &there, SECONDS(1));
        nat_echoes_hear(&echoes, 8, &there, SECONDS(1));
        check_equal(send(&echoes, SECONDS(1)), 2);
}
