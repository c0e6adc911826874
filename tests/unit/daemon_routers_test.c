/* SPDX-License-Identifier: BSD-3-Clause */
/* The secret of a router and those before it: what is derived, and when one counts no more. */
#include <string.h>

#include "routers.h"
#include "test.h"

struct story {
        struct ev_loop *loop;
        struct keys *keys;
        struct routers routers;
        struct conf conf[2];
        unsigned told[ROUTERS_NO_MEMORY + 1];
};

static void on_told(void *context, enum routers_news news)
{
        struct story *story = context;

        story->told[news]++;
        ev_break(story->loop, EVBREAK_ALL);
}

static void begin(struct story *story)
{
        *story = (struct story){ .loop = ev_default_loop(0), .keys = keys_new() };
        check(story->keys != NULL);
        routers_init(&story->routers, story->loop, story->keys, on_told, story);
}

static void end(struct story *story)
{
        routers_fini(&story->routers);
        keys_free(story->keys);
}

static void secret(struct conf *conf, uint8_t first)
{
        *conf = (struct conf){ .has_secret = true, .secret = { first } };
}

static void previous(struct conf *conf, uint8_t first, int64_t until_s)
{
        conf->previous[conf->previous_count++] = (struct conf_previous){ { first }, until_s };
}

static bool is_router(const struct keys_router *router, uint8_t first)
{
        struct keys_router wanted;

        keys_router_name(&wanted, (const uint8_t[KEYS_BYTES]){ first });
        return memcmp(router->public_key, wanted.public_key, KEYS_BYTES) == 0;
}

static int64_t now_s(void)
{
        return (int64_t)ev_time();
}

TEST(all_that_count_are_derived_and_none_twice)
{
        struct keys_router first;
        struct story story;

        begin(&story);
        secret(&story.conf[0], 1);
        check_equal(routers_set(&story.routers, &story.conf[0]), 0);
        check(story.keys->router_count == 1 && !routers_are_derived(&story.routers));
        ev_run(story.loop, 0);
        check_equal(story.told[ROUTERS_DERIVED], 1);
        check(routers_are_derived(&story.routers));
        first = story.keys->routers[0];
        check(first.has_auth);

        secret(&story.conf[1], 2);
        previous(&story.conf[1], 1, now_s() + 1000);
        previous(&story.conf[1], 3, now_s() - 1);
        previous(&story.conf[1], 4, now_s() + 100);
        check_equal(routers_set(&story.routers, &story.conf[1]), 0);
        check_equal(story.keys->router_count, 3);               /* the time of one is over */
        check(is_router(&story.keys->routers[0], 2) && is_router(&story.keys->routers[1], 1) && is_router(&story.keys->routers[2], 4));
        check(!story.keys->routers[0].has_auth && story.keys->routers[1].has_auth && !story.keys->routers[2].has_auth);
        check_bytes(story.keys->routers[1].auth, first.auth, sizeof(first.auth));
        ev_run(story.loop, 0);
        check_equal(story.told[ROUTERS_DERIVED], 2);            /* once for both */
        for (size_t i = 0; i < 3; i++)
                check(story.keys->routers[i].has_auth);

        check_equal(routers_set(&story.routers, &story.conf[1]), 0);
        check(routers_are_derived(&story.routers));             /* nothing is to be done */
        end(&story);
}

TEST(one_whose_time_is_over_is_dropped)
{
        struct story story;

        begin(&story);
        secret(&story.conf[0], 1);
        previous(&story.conf[0], 2, now_s() + 1);
        check_equal(routers_set(&story.routers, &story.conf[0]), 0);
        while (!story.told[ROUTERS_OVER])
                ev_run(story.loop, 0);
        check_equal(story.keys->router_count, 1);
        check(is_router(&story.keys->routers[0], 1));
        check(ev_time() >= (double)story.conf[0].previous[0].until_s);
        check(!ev_is_active(&story.routers.over));
        end(&story);
}

/* The timer that would have told of it is set anew by then: who sets them must. */
TEST(one_whose_time_is_over_when_they_are_set_is_known_to_be_dropped)
{
        struct story story;

        begin(&story);
        secret(&story.conf[0], 1);
        previous(&story.conf[0], 2, now_s() + 1000);
        check_equal(routers_set(&story.routers, &story.conf[0]), 0);
        check(!story.routers.dropped);
        secret(&story.conf[1], 1);
        previous(&story.conf[1], 2, now_s() - 1);
        check_equal(routers_set(&story.routers, &story.conf[1]), 0);
        check_equal(story.keys->router_count, 1);
        check(story.routers.dropped);
        check(!ev_is_active(&story.routers.over));
        check_equal(routers_set(&story.routers, &story.conf[1]), 0);
        check(!story.routers.dropped);          /* it was not there any more */
        secret(&story.conf[0], 3);              /* at once in the place of the first, which was no previous one */
        check_equal(routers_set(&story.routers, &story.conf[0]), 0);
        check(!story.routers.dropped);
        end(&story);
}

/* Another configuration comes while the first is still derived. */
TEST(what_is_not_wanted_any_more_is_not_waited_for)
{
        struct story story;

        begin(&story);
        secret(&story.conf[0], 1);
        secret(&story.conf[1], 2);
        check_equal(routers_set(&story.routers, &story.conf[0]), 0);
        check_equal(routers_set(&story.routers, &story.conf[1]), 0);
        ev_run(story.loop, 0);
        check(story.keys->router_count == 1 && is_router(&story.keys->routers[0], 2) && story.keys->routers[0].has_auth);
        check(story.told[ROUTERS_DERIVED] == 1 && !story.told[ROUTERS_NO_MEMORY]);
        end(&story);
}
