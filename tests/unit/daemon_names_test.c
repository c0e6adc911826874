/* SPDX-License-Identifier: BSD-3-Clause */
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "daemon_world.h"
#include "ipc_resolve.h"
#include "names.h"
#include "seeds.h"
#include "test.h"

struct story {
        struct world world;
        struct names names;
        unsigned changes, wishes;
        const struct name *changed;
};

static void on_changed(void *context, const struct name *name)
{
        struct story *story = context;

        story->changes++;
        story->changed = name;
}

static void on_wanted(void *context)
{
        ((struct story *)context)->wishes++;
}

static void begin(struct story *story)
{
        static const uint8_t key[16] = { 1 };

        *story = (struct story){ 0 };
        world_begin(&story->world, IPC_RESOLVE);
        names_init(&story->names, story->world.loop, &story->world.log, key, on_changed, on_wanted, story);
}

static void end(struct story *story)
{
        names_fini(&story->names);
        world_end(&story->world);
}

/* The question under way for @host. */
static uint64_t asked(struct story *story, const char *host)
{
        struct ipc_received message;
        const struct ipc_resolve_ask *ask = IPC_PAYLOAD(&message, struct ipc_resolve_ask);

        check_equal(world_told(&story->world, &message), IPC_RESOLVE_ASK);
        check(strcmp(ask->name, host) == 0);
        return ask->question;
}

static bool asked_nothing(struct story *story)
{
        struct ipc_received message;

        return world_told(&story->world, &message) == IPC_NOTHING;
}

static void answer(struct story *story, uint64_t question, uint8_t last)
{
        struct ipc_resolve_answer answer = { .question = question, .count = 1,
                                             .address = { { [10] = 0xff, [11] = 0xff, 10, 0, 0, last } } };

        names_answer(&story->names, &answer);
}

static void fail(struct story *story, uint64_t question)
{
        struct ipc_resolve_answer answer = { .question = question, .error = EAI_NONAME, .text = "Name or service not known" };

        names_answer(&story->names, &answer);
}

TEST(an_address_needs_nobody)
{
        struct story story;
        struct name *v4, *v6;

        begin(&story);
        v4 = names_add(&story.names, "192.0.2.7", false, "service 1");
        v6 = names_add(&story.names, "2001:db8::1", false, "service 2");
        check(v4->count == 1 && v4->address[0][12] == 192 && v4->address[0][10] == 0xff);
        check(v6->count == 1 && v6->address[0][0] == 0x20);
        check_equal(story.wishes, 0);
        end(&story);
}

TEST(a_name_is_asked_for_once_and_kept_fresh)
{
        struct story story;
        struct name *name;
        uint64_t question;

        begin(&story);
        name = names_add(&story.names, "db.example", false, "service 1");
        check_equal(story.wishes, 1);           /* no worker yet */
        check(names_add(&story.names, "db.example", false, "service 2") == name);
        check(names_add(&story.names, "db.example", true, "bootstrap node") != name);
        names_worker(&story.names, &story.world.child);
        question = asked(&story, "db.example");
        asked(&story, "db.example");            /* IPv4 alone is another question */
        check(asked_nothing(&story));

        answer(&story, question, 1);
        check(story.changes == 1 && story.changed == name && name->count == 1 && name->address[0][15] == 1);
        answer(&story, question, 2);            /* nobody asked any more */
        check_equal(story.changes, 1);

        check(world_fire(&story.world, &name->due));
        answer(&story, asked(&story, "db.example"), 1);
        check_equal(story.changes, 1);          /* the same again is no news */
        check(world_fire(&story.world, &name->due));
        answer(&story, asked(&story, "db.example"), 9);
        check_equal(story.changes, 2);
        end(&story);
}

/* Soon, but not each time that somebody says so; and never in place of an answer that is on its way. */
TEST(a_name_in_doubt_is_asked_for_again)
{
        struct story story;
        struct name *name, *literal;
        uint64_t question;
        double left_s;

        begin(&story);
        names_worker(&story.names, &story.world.child);
        name = names_add(&story.names, "db.example", false, "service 1");
        literal = names_add(&story.names, "192.0.2.1", false, "service 2");
        question = asked(&story, "db.example");
        names_doubt(name);
        names_doubt(literal);
        names_doubt(NULL);
        check(asked_nothing(&story));
        answer(&story, question, 1);
        check_equal((long long)(ev_timer_remaining(story.world.loop, &name->due) + 0.5), NAMES_REFRESH_S);
        for (unsigned i = 0; i < 3; i++) {
                names_doubt(name);
                left_s = ev_timer_remaining(story.world.loop, &name->due);
                check(left_s > NAMES_RETRY_FIRST_S - 1 && left_s <= NAMES_RETRY_FIRST_S);
        }
        check(world_fire(&story.world, &name->due));
        question = asked(&story, "db.example");
        fail(&story, question);
        names_doubt(name);                      /* it is tried again soon anyway */
        check_equal((long long)(ev_timer_remaining(story.world.loop, &name->due) + 0.5), NAMES_RETRY_FIRST_S);
        check(world_fire(&story.world, &name->due));
        answer(&story, asked(&story, "db.example"), 1);

        ev_timer_stop(story.world.loop, &name->due);            /* it was a while ago */
        ev_timer_set(&name->due, NAMES_REFRESH_S - NAMES_RETRY_FIRST_S - 1, 0);
        ev_timer_start(story.world.loop, &name->due);
        names_doubt(name);
        check(ev_timer_remaining(story.world.loop, &name->due) <= 0.001);
        check(world_fire(&story.world, &name->due));
        answer(&story, asked(&story, "db.example"), 2);
        check_equal(story.changes, 2);
        check(asked_nothing(&story));
        end(&story);
}

TEST(a_failure_is_said_once_with_what_happens_next)
{
        struct story story;
        struct name *name;
        const char *logged;

        begin(&story);
        names_worker(&story.names, &story.world.child);
        name = names_add(&story.names, "db.example", false, "service 8000");
        fail(&story, asked(&story, "db.example"));
        logged = world_logged(&story.world);
        check(strstr(logged, "service 8000: can't resolve \"db.example\": Name or service not known"));
        check(strstr(logged, "next try in 5 s, then at least every 60 s"));
        for (unsigned failures = 2; failures < 12; failures++) {
                check_equal((long long)(ev_timer_remaining(story.world.loop, &name->due) + 0.5),
                            failures < 6 ? 5 << (failures - 2) : 60);
                check(world_fire(&story.world, &name->due));
                fail(&story, asked(&story, "db.example"));
                check(*world_logged(&story.world) == '\0');
        }
        check(world_fire(&story.world, &name->due));
        answer(&story, asked(&story, "db.example"), 1);
        check(strstr(world_logged(&story.world), "\"db.example\" is resolved"));
        check(name->failures == 0 && name->count == 1);
        end(&story);
}

TEST(what_was_known_stays_when_a_refresh_fails)
{
        struct story story;
        struct name *name;

        begin(&story);
        names_worker(&story.names, &story.world.child);
        name = names_add(&story.names, "db.example", false, "service 8000");
        answer(&story, asked(&story, "db.example"), 1);
        check(world_fire(&story.world, &name->due));
        fail(&story, asked(&story, "db.example"));
        check(name->count == 1 && name->address[0][15] == 1 && story.changes == 1);
        check(strstr(world_logged(&story.world), "its last addresses stay in use"));
        end(&story);
}

TEST(a_new_worker_is_asked_what_the_old_one_left_open)
{
        struct story story;
        uint64_t before;

        begin(&story);
        names_worker(&story.names, &story.world.child);
        names_add(&story.names, "db.example", false, "service 1");
        before = asked(&story, "db.example");
        names_worker(&story.names, &story.world.child);         /* its next life */
        check(asked(&story, "db.example") != before);
        answer(&story, before, 1);
        check_equal(story.changes, 0);
        end(&story);
}

TEST(only_so_many_are_asked_for_at_a_time)
{
        static char hosts[NAMES_ASKED_MAX + 10][16];
        struct ipc_received message;
        struct story story;
        unsigned questions = 0;
        uint64_t last = 0;

        begin(&story);
        names_worker(&story.names, &story.world.child);
        for (unsigned i = 0; i < NAMES_ASKED_MAX + 10; i++) {
                snprintf(hosts[i], sizeof(hosts[i]), "host%u.example", i);
                check(names_add(&story.names, hosts[i], false, "service"));
        }
        for (; world_told(&story.world, &message) == IPC_RESOLVE_ASK; questions++)
                last = IPC_PAYLOAD(&message, struct ipc_resolve_ask)->question;
        check_equal(questions, NAMES_ASKED_MAX);
        answer(&story, last, 1);
        asked(&story, hosts[NAMES_ASKED_MAX]);
        check(asked_nothing(&story));
        end(&story);
}

TEST(an_answer_that_says_too_much_is_a_failure)
{
        struct ipc_resolve_answer much = { .count = IPC_ADDRESSES_MAX + 1 };
        struct story story;

        begin(&story);
        names_worker(&story.names, &story.world.child);
        names_add(&story.names, "db.example", false, "service 1");
        much.question = asked(&story, "db.example");
        memset(much.text, 'x', sizeof(much.text));      /* no end */
        names_answer(&story.names, &much);
        check_equal(story.changes, 0);
        check(strstr(world_logged(&story.world), "can't resolve"));
        end(&story);
}

TEST(a_name_that_nobody_needs_is_forgotten)
{
        struct story story;
        struct name *name;
        uint64_t question;

        begin(&story);
        names_worker(&story.names, &story.world.child);
        name = names_add(&story.names, "db.example", false, "service 1");
        check(names_add(&story.names, "db.example", false, "service 2") == name);
        question = asked(&story, "db.example");
        names_drop(name);
        check(story.names.all.count == 1 && story.names.asked_count == 1);
        names_drop(name);
        names_drop(NULL);
        check(story.names.all.count == 0 && story.names.asked_count == 0);
        answer(&story, question, 1);
        check_equal(story.changes, 0);

        name = names_add(&story.names, "db.example", false, "service 3");       /* not the one of before */
        answer(&story, asked(&story, "db.example"), 2);
        check(story.changes == 1 && name->count == 1);
        names_drop(name);
        check_equal(story.names.all.count, 0);
        end(&story);
}

TEST(seeds_are_all_addresses_once_and_hints_spare_the_look_up)
{
        static const struct conf_bootstrap nodes[] = {
                { "", "192.0.2.1", 1000 }, { "", "192.0.2.1", 1000 }, { "192.0.2.2", "node.example", 1001 },
                { "", "other.example", 1002 }, { "", "2001:db8::1", 1003 },
        };
        struct conf conf = { .bootstrap = nodes, .bootstrap_count = 5 };
        struct seed_address found[8];
        struct story story;
        struct seeds seeds;

        begin(&story);
        names_worker(&story.names, &story.world.child);
        check_equal(seeds_init(&seeds, &story.names, &conf), 0);
        check_equal(seeds_addresses(&seeds, found, 8), 2);
        check(found[0].ip[3] == 1 && found[0].port == 1000 && found[1].ip[3] == 2 && found[1].port == 1001);
        answer(&story, asked(&story, "other.example"), 3);
        check(asked_nothing(&story));
        check(story.changes == 1 && seeds_use(&seeds, story.changed));
        check_equal(seeds_addresses(&seeds, found, 8), 3);
        check(found[2].ip[0] == 10 && found[2].ip[3] == 3 && found[2].port == 1002);

        seeds_distrust_hints(&seeds, &story.names);
        seeds_distrust_hints(&seeds, &story.names);
        answer(&story, asked(&story, "node.example"), 4);
        check(asked_nothing(&story));
        check_equal(seeds_addresses(&seeds, found, 8), 4);
        check_equal(seeds_addresses(&seeds, found, 1), 1);
        seeds_fini(&seeds);
        end(&story);
}
