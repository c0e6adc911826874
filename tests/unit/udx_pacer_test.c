/* SPDX-License-Identifier: BSD-3-Clause */
/* A bucket that fills at a rate: when it says that something may leave, something may, and no more leaves than its rate and a burst. */
#include "test.h"

#include "udx_congestion.h"
#include "udx_pacer.h"

static const uint64_t rates[] = { 1, 3, 100, 1199, 1200, 50 * 1000, 12500 * 1000, 1250ULL * 1000 * 1000, 1ULL << 40, 1ULL << 50, UINT64_MAX };

enum { RATES = sizeof rates / sizeof *rates };

static void spend_all(struct udx_pacer *pacer)
{
        while (udx_pacer_allows(pacer))
                udx_pacer_spend(pacer, UDX_FULL_BYTES_MAX);
}

/* A path that was measured slower than a packet a second is one that an outage has made look so: it is waited for, but once. */
TEST(what_is_promised_for_a_time_is_there_then)
{
        for (size_t i = 0; i < RATES; i++) {
                struct udx_pacer pacer;
                usec_t now_us = SECONDS(100);

                udx_pacer_init(&pacer);
                for (unsigned step = 0; step < 50; step++) {
                        udx_pacer_fill(&pacer, rates[i], 0, false, USEC_NEVER, now_us);
                        if (step)
                                check(udx_pacer_allows(&pacer));
                        spend_all(&pacer);
                        now_us = udx_pacer_ready_at(&pacer, rates[i]);
                }
        }
}

TEST(no_more_leaves_than_the_rate_and_a_burst)
{
        static const usec_t steps_us[] = { 1, 50, 999, MSEC(7), SECONDS(1), SECONDS(3), SECONDS(1000), SECONDS(1000 * 1000) };

        for (size_t i = 0; i < RATES && rates[i] <= 1ULL << 40; i++)
                for (size_t j = 0; j < sizeof steps_us / sizeof *steps_us; j++) {
                        struct udx_pacer pacer;
                        usec_t now_us = SECONDS(1);
                        uint64_t sent_bytes = 0, most_bytes = 16 * UDX_FULL_BYTES, burst_bytes = 0;

                        udx_pacer_init(&pacer);
                        for (unsigned step = 0; step < 20; step++) {
                                uint64_t due_bytes = (uint64_t)((double)rates[i] * (double)steps_us[j] / 1e6);

                                udx_pacer_fill(&pacer, rates[i], 0, false, USEC_NEVER, now_us);
                                burst_bytes = rates[i] / 1000 > 16 * UDX_FULL_BYTES ? rates[i] / 1000 : 16 * UDX_FULL_BYTES;
                                while (udx_pacer_allows(&pacer)) {
                                        udx_pacer_spend(&pacer, UDX_FULL_BYTES);
                                        sent_bytes += UDX_FULL_BYTES;
                                }
                                check(sent_bytes <= most_bytes + burst_bytes + UDX_FULL_BYTES);
                                most_bytes += (due_bytes < burst_bytes ? due_bytes : burst_bytes) + 1;
                                now_us += steps_us[j];
                        }
                }
}

/* What a peer's socket holds, and not more, after a pause; what a late timer has cost comes after it. */
TEST(a_pause_saves_up_no_more_than_a_burst)
{
        struct udx_pacer pacer;
        uint64_t sent_bytes = 0, rate = 1250ULL * 1000 * 1000;

        udx_pacer_init(&pacer);
        spend_all(&pacer);
        udx_pacer_fill(&pacer, rate, UDX_CWND_MAX, true, USEC_NEVER, SECONDS(3600));
        while (udx_pacer_allows(&pacer)) {
                udx_pacer_spend(&pacer, UDX_FULL_BYTES);
                sent_bytes += UDX_FULL_BYTES;
        }
        check_equal(sent_bytes, 64 * UDX_FULL_BYTES);
        spend_all(&pacer);
        udx_pacer_fill(&pacer, rate / 100, 0, false, SECONDS(3600) + MSEC(1), SECONDS(3600) + MSEC(5));
        for (sent_bytes = 0; udx_pacer_allows(&pacer); sent_bytes += UDX_FULL_BYTES)
                udx_pacer_spend(&pacer, UDX_FULL_BYTES);
        check(sent_bytes >= 4 * (rate / 100) / 1000 && sent_bytes <= 5 * (rate / 100) / 1000 + UDX_FULL_BYTES);
}

static uint64_t spend_in_runs(struct udx_pacer *pacer, uint64_t rate, size_t cwnd, usec_t due_us, usec_t now_us)
{
        uint64_t sent_bytes = 0;

        for (udx_pacer_fill(pacer, rate, cwnd, false, due_us, now_us); udx_pacer_allows(pacer);
             udx_pacer_fill(pacer, rate, cwnd, false, USEC_NEVER, now_us))
                for (unsigned i = 0; i < 50 && udx_pacer_allows(pacer); i++, sent_bytes += UDX_FULL_BYTES)
                        udx_pacer_spend(pacer, UDX_FULL_BYTES);
        return sent_bytes;
}

/* Whatever was missed leaves at once if it is little of what the path holds, in more than one run. Of a short path no more than a socket
 * holds leaves, and nobody who did not wait has it. */
TEST(a_late_timer_costs_no_rate_on_a_long_path)
{
        static const struct {
                size_t cwnd;
                usec_t late_us;
                uint64_t sent_bytes;
        } cases[] = {
                { 50 * 1000 * 1000, MSEC(5), 125 * 1000 * 5 },
                { 50 * 1000 * 1000, MSEC(10), 125 * 1000 * 10 },
                { 50 * 1000 * 1000, MSEC(50), 125 * 1000 * 10 },
                { 10 * 1000 * 1000, MSEC(5), 10 * 1000 * 1000 / 32 },
                { 100 * 1000, MSEC(5), 125 * 1000 },
                { 50 * 1000 * 1000, 0, 125 * 1000 },
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct udx_pacer pacer;
                uint64_t rate = 125ULL * 1000 * 1000, sent_bytes;
                usec_t due_us = SECONDS(1), now_us = due_us + cases[i].late_us;

                udx_pacer_init(&pacer);
                udx_pacer_fill(&pacer, rate, cases[i].cwnd, false, USEC_NEVER, SECONDS(1) - MSEC(1));
                spend_all(&pacer);
                sent_bytes = spend_in_runs(&pacer, rate, cases[i].cwnd, cases[i].late_us ? due_us : USEC_NEVER, now_us);
                check(sent_bytes + 2 * UDX_FULL_BYTES_MAX >= cases[i].sent_bytes && sent_bytes <= cases[i].sent_bytes + 2 * UDX_FULL_BYTES_MAX);
        }
}
