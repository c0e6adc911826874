/* SPDX-License-Identifier: BSD-3-Clause */
#include "router_complaints.h"

#include <errno.h>
#include <string.h>

#include "test.h"

static const struct router_reading deep = { .verdict = ADVERT_TOO_DEEP };
static const struct router_reading garbage = { .garbage = 3, .flawed = 7, .flaw = ADVERT_GATE_PORT };

static bool take(struct router_complaints *complaints, unsigned number, const struct router_reading *reading, usec_t now_us)
{
        uint8_t peer[IPC_KEY_BYTES] = { (uint8_t)number, (uint8_t)(number >> 8) };

        return router_complaints_take(complaints, peer, reading, now_us);
}

TEST(the_same_is_told_once_while_it_goes_on_and_again_after_a_pause)
{
        static struct router_complaints complaints;
        usec_t now_us = SECONDS(7);
        unsigned told = 0;

        for (unsigned i = 0; i < 1000; i++, now_us += SECONDS(30))
                told += take(&complaints, 1, &deep, now_us);
        check_equal(told, 1);
        now_us += ROUTER_FORGIVE_US - SECONDS(30);
        check(take(&complaints, 1, &deep, now_us));
        check(!take(&complaints, 1, &deep, now_us + ROUTER_FORGIVE_US - 1));
}

TEST(something_else_is_told_once_a_minute)
{
        static struct router_complaints complaints;
        usec_t now_us = SECONDS(7);
        unsigned told = 0;

        check(take(&complaints, 1, &deep, now_us));
        check(!take(&complaints, 1, &garbage, now_us + ROUTER_COMPLAIN_US - 1));
        check(take(&complaints, 1, &garbage, now_us + ROUTER_COMPLAIN_US));
        for (unsigned i = 0; i < 600; i++)
                told += take(&complaints, 1, i % 2 ? &deep : &garbage, now_us + ROUTER_COMPLAIN_US + SECONDS(i));
        check_equal(told, 9);
}

TEST(each_provider_is_told_of_and_no_more_at_a_time_than_there_is_room_for)
{
        static struct router_complaints complaints;
        usec_t now_us = SECONDS(7);

        for (unsigned i = 0; i < ROUTER_COMPLAINTS_MAX; i++)
                check(take(&complaints, i, &deep, now_us + i));
        for (unsigned i = 0; i < 1000; i++)
                check(!take(&complaints, ROUTER_COMPLAINTS_MAX + i, &deep, now_us + ROUTER_FORGIVE_US - 1));
        for (unsigned i = 1; i < ROUTER_COMPLAINTS_MAX; i++)
                check(!take(&complaints, i, &deep, now_us + ROUTER_FORGIVE_US - 1));
        check(take(&complaints, 5000, &deep, now_us + ROUTER_FORGIVE_US));      /* the first has said nothing since */
        check(!take(&complaints, 5001, &deep, now_us + ROUTER_FORGIVE_US));
}

static const char *said(struct router_reading reading)
{
        static char text[256];

        return router_reading_text(&reading, text, sizeof(text));
}

TEST(what_is_wrong_is_told_in_words_of_ours)
{
        check(strcmp(said((struct router_reading){ .verdict = ADVERT_MALFORMED }),
                     "its list is no JSON object, and what it offered before stays until it expires") == 0);
        check(strstr(said(deep), "more than 32 levels"));
        check(strcmp(said((struct router_reading){ .verdict = ADVERT_TOO_LARGE, .bytes = 273125 }),
                     "its list has 273125 bytes, of more than 262144 none are read, and what it offered before stays until it expires; it needs "
                     "fewer services") == 0);
        check(strcmp(said((struct router_reading){ .verdict = ADVERT_TOO_LARGE, .bytes = 2097153, .most = 2097152 }),
                     "its connection ended with a message of 2097153 bytes, and more than 2097152 are not taken: it needs fewer services, if that "
                     "was their list") == 0);
        check(strcmp(said((struct router_reading){ .verdict = ADVERT_TOO_LARGE, .bytes = 300000, .most = 2097152 }),
                     "its connection ended with a message of 300000 bytes: connections with others have taken the room to hold it whole") == 0);
        check(strcmp(said((struct router_reading){ .surplus = 744 }), "it has 1000, of which the first 256 count") == 0);
        check(strcmp(said(garbage),
                     "3 can't be understood; the first of these, number 7 in its list, has no gatePort from 1 to 65535") == 0);
        check(strstr(said((struct router_reading){ .error = -ENOSPC, .garbage = 1, .flawed = 2, .flaw = ADVERT_SNI }),
                     "or all are taken; 1 can't be understood"));
        for (unsigned flaw = ADVERT_FLAWLESS + 1; flaw < ADVERT_FLAWS; flaw++)
                check(strlen(strstr(said((struct router_reading){ .garbage = 1, .flawed = 1, .flaw = flaw }), "list, ")) > 10);
}

TEST(no_list_is_no_complaint)
{
        check(router_reading_good(&(struct router_reading){ .verdict = ADVERT_OK }));
        check(router_reading_good(&(struct router_reading){ .verdict = ADVERT_NO_LIST }));
        check(!router_reading_good(&deep) && !router_reading_good(&garbage));
        check(!router_reading_good(&(struct router_reading){ .verdict = ADVERT_MALFORMED }));
        check(!router_reading_good(&(struct router_reading){ .surplus = 1 }));
        check(!router_reading_good(&(struct router_reading){ .error = -ENOMEM }));
}
