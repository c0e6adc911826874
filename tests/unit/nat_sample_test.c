/* SPDX-License-Identifier: BSD-3-Clause */
#include "nat_sample.h"

#include "test.h"

static struct addr witness(uint8_t number)
{
        return (struct addr){ .ip = { 5, 6, number, 1 }, .port = 49737 };
}

static void see(struct nat_samples *samples, uint8_t who, uint8_t host, uint16_t port)
{
        struct addr by = witness(who), seen = { .ip = { 80, 1, 1, host }, .port = port };

        nat_samples_add(samples, &by, &seen);
}

TEST(nat_sample_needs_three_who_agree_or_three_who_do_not)
{
        struct nat_samples agree = { .count = 0 }, differ = { .count = 0 };

        check_equal(nat_samples_judge(&agree).class, NAT_UNKNOWN);
        see(&agree, 1, 1, 1000);
        see(&agree, 1, 1, 1000);        /* the same witness twice */
        check_equal(nat_samples_judge(&agree).class, NAT_UNKNOWN);
        see(&agree, 2, 1, 1000);
        check_equal(nat_samples_judge(&agree).class, NAT_UNKNOWN);
        see(&agree, 3, 1, 1000);
        check_equal(nat_samples_judge(&agree).class, NAT_CONSISTENT);
        check_equal(nat_samples_judge(&agree).addresses[0].port, 1000);
        see(&differ, 1, 1, 1000);
        see(&differ, 2, 1, 2000);
        check_equal(nat_samples_judge(&differ).class, NAT_UNKNOWN);
        see(&differ, 3, 1, 3000);
        check_equal(nat_samples_judge(&differ).class, NAT_RANDOM);
        check_equal(nat_samples_judge(&differ).address_count, 1);
        check_equal(nat_samples_judge(&differ).addresses[0].port, 0);
        check_equal(nat_samples_judge(&differ).addresses[0].ip[3], 1);
}

/* hyperdht would go on to believe the first three for ever. */
TEST(nat_sample_does_not_keep_to_a_lucky_beginning)
{
        struct nat_samples samples = { .count = 0 };

        for (uint8_t i = 1; i <= 3; i++)
                see(&samples, i, 1, 1000);
        check_equal(nat_samples_judge(&samples).class, NAT_CONSISTENT);
        see(&samples, 4, 1, 2000);      /* one liar, or the truth */
        check_equal(nat_samples_judge(&samples).class, NAT_CONSISTENT);
        see(&samples, 5, 1, 3000);
        check_equal(nat_samples_judge(&samples).class, NAT_RANDOM);
}

TEST(nat_sample_believes_no_single_liar)
{
        struct nat_samples samples = { .count = 0 };

        see(&samples, 9, 7, 666);
        for (uint8_t i = 1; i <= 3; i++)
                see(&samples, i, 1, 1000);
        check_equal(nat_samples_judge(&samples).class, NAT_CONSISTENT);
        check_equal(nat_samples_judge(&samples).addresses[0].port, 1000);
}

TEST(nat_sample_takes_a_restarted_nat_for_what_it_was)
{
        struct nat_samples samples = { .count = 0 };

        for (uint8_t i = 1; i <= 6; i++)
                see(&samples, i, 1, 1000);
        see(&samples, 2, 1, 1001);
        check_equal(nat_samples_judge(&samples).class, NAT_UNKNOWN);
        see(&samples, 4, 1, 1001);
        see(&samples, 5, 1, 1001);
        check_equal(nat_samples_judge(&samples).class, NAT_CONSISTENT);
        check_equal(nat_samples_judge(&samples).addresses[0].port, 1001);
}

TEST(nat_sample_knows_two_lines)
{
        struct nat_samples samples = { .count = 0 };

        see(&samples, 1, 1, 1000);
        see(&samples, 2, 2, 1000);
        see(&samples, 3, 1, 1000);
        see(&samples, 4, 2, 1000);
        check_equal(nat_samples_judge(&samples).class, NAT_CONSISTENT);
        check_equal(nat_samples_judge(&samples).address_count, 2);
}

/* A mapping of a random NAT that was forgotten and is another one now says nothing new. */
TEST(nat_sample_still_knows_a_random_nat_when_one_mapping_changes)
{
        struct nat_samples samples = { .count = 0 };

        for (uint8_t i = 1; i <= 4; i++)
                see(&samples, i, 1, 1000 + i);
        check_equal(nat_samples_judge(&samples).class, NAT_RANDOM);
        see(&samples, 2, 1, 2000);
        check_equal(nat_samples_judge(&samples).class, NAT_RANDOM);
        check_equal(samples.count, 4);
}

/* Behind a NAT with a mapping for each remote host the nodes of one host agree; those of a host in a test network are many. */
TEST(nat_sample_takes_nodes_of_one_host_that_agree_for_one)
{
        struct nat_samples samples = { .count = 0 }, private = { .count = 0 };
        struct addr seen = { .ip = { 80, 1, 1, 1 }, .port = 1000 };

        for (uint16_t port = 1; port <= 4; port++) {
                struct addr by = { .ip = { 5, 6, 7, 8 }, .port = port }, near = { .ip = { 127, 0, 0, 1 }, .port = port };

                nat_samples_add(&samples, &by, &seen);
                nat_samples_add(&private, &near, &seen);
        }
        check_equal(nat_samples_judge(&samples).class, NAT_UNKNOWN);
        check_equal(nat_samples_judge(&private).class, NAT_CONSISTENT);
        see(&samples, 1, 1, 2000);
        see(&samples, 2, 1, 3000);
        check_equal(nat_samples_judge(&samples).class, NAT_RANDOM);
}

TEST(nat_sample_forgets_the_oldest)
{
        struct nat_samples samples = { .count = 0 };

        for (uint8_t i = 1; i <= 8; i++)
                see(&samples, i, 1, 1000 + i);
        check_equal(nat_samples_judge(&samples).class, NAT_RANDOM);
        for (uint8_t i = 11; i <= 16; i++)
                see(&samples, i, 1, 7000);
        check_equal(nat_samples_judge(&samples).class, NAT_CONSISTENT);
        check_equal(samples.count, NAT_SAMPLES_MAX);
}

TEST(nat_sample_guesses_from_one_and_from_two)
{
        struct nat_samples samples = { .count = 0 };

        check_equal(nat_samples_guess(&samples).class, NAT_UNKNOWN);
        see(&samples, 1, 1, 1000);
        check_equal(nat_samples_guess(&samples).class, NAT_CONSISTENT);
        check_equal(nat_samples_guess(&samples).addresses[0].port, 1000);
        see(&samples, 2, 1, 2000);
        check_equal(nat_samples_guess(&samples).class, NAT_RANDOM);
        check_equal(nat_samples_guess(&samples).addresses[0].port, 0);
        samples.count = 1;
        see(&samples, 2, 1, 1000);
        check_equal(nat_samples_judge(&samples).class, NAT_UNKNOWN);
        check_equal(nat_samples_guess(&samples).class, NAT_CONSISTENT);
}
