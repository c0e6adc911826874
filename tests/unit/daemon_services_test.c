/* SPDX-License-Identifier: BSD-3-Clause */
/* Which forward worker holds which service, from one configuration to the next. The workers' program is nowhere: each waits to be started,
 * again and again. */
#include "services.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "daemon_world.h"
#include "ipc_forward.h"
#include "test.h"

enum { SERVICES_MAX = 8 };

/* What is behind a gate port: one service, and its port there. */
struct said {
        uint16_t gate_port, service_port;
        const char *host, *sni;
        enum conf_health_type health;
        unsigned priority;
};

struct story {
        struct world world;
        struct names names;
        struct forwards forwards;
        struct services services;
        struct conf_service *said;      /* borrowed by @services */
        char libexec[PATH_MAX + 1];
};

static void on_name(void *context, const struct name *name)
{
}

static void on_wanted(void *context)
{
}

/* @said ends with gate port 0. Nobody has anything to hear of before. */
static void reload(struct story *story, const struct said *said)
{
        struct conf_service *list = calloc(SERVICES_MAX, sizeof(*list));
        struct conf_provider conf = { .present = true, .services = list };

        for (; said->gate_port; said++)
                list[conf.service_count++] = (struct conf_service){ .gate_port = said->gate_port, .service_port = said->service_port,
                                                                    .host = said->host, .tags = "", .sni = said->sni ? said->sni : "",
                                                                    .health.type = said->health, .priority = (uint8_t)said->priority };
        list_for_each(at, &story->world.children.all)
                list_entry(at, struct child, in_all)->unconfigured = false;
        check_equal(services_reload(&story->services, &conf, &story->names, &story->forwards), 0);
        free(story->said);
        story->said = list;
        world_logged(&story->world);
}

static void begin(struct story *story, unsigned max, const struct said *said)
{
        static const uint8_t key[16] = { 1 };

        memset(story, 0, sizeof(*story));
        memset(story->libexec, 'x', sizeof(story->libexec) - 1);
        world_begin(&story->world, IPC_SWARM);
        story->world.children.libexec = story->libexec;
        story->world.children.instance = "test";
        names_init(&story->names, story->world.loop, &story->world.log, key, on_name, on_wanted, NULL);
        forwards_init(&story->forwards, &story->world.children, max);
        reload(story, said);
}

static void end(struct story *story)
{
        static const struct said nothing[] = { { 0 } };

        reload(story, nothing);
        check(list_empty(&story->forwards.all) && story->names.all.count == 0);
        check(list_first(&story->world.children.all) == list_last(&story->world.children.all));  /* the swarm worker alone */
        services_fini(&story->services);
        forwards_fini(&story->forwards);
        names_fini(&story->names);
        free(story->said);
        world_end(&story->world);
}

static struct forward *holder(const struct story *story, uint16_t gate_port)
{
        for (size_t i = 0; i < story->services.count; i++)
                if (story->services.list[i].conf->gate_port == gate_port)
                        return story->services.list[i].forward;
        return NULL;
}

static bool hears(const struct story *story, uint16_t gate_port)
{
        return holder(story, gate_port)->child->unconfigured;
}

static unsigned workers(const struct story *story)
{
        unsigned count = 0;

        list_for_each(at, &story->forwards.all)
                count++;
        return count;
}

TEST(who_has_nothing_new_hears_nothing)
{
        static const struct said before[] = { { 1, 10, "a" }, { 2, 20, "a" }, { 0 } };
        static const struct said after[] = { { 3, 30, "a" }, { 2, 20, "a" }, { 1, 10, "a" }, { 0 } };
        struct story story;
        struct forward *first, *second;

        begin(&story, 8, before);
        first = holder(&story, 1);
        second = holder(&story, 2);
        check(first && second && first != second);
        reload(&story, before);
        check(holder(&story, 1) == first && !hears(&story, 1) && !hears(&story, 2));
        reload(&story, after);
        check(holder(&story, 1) == first && holder(&story, 2) == second && !hears(&story, 1) && !hears(&story, 2));
        check(workers(&story) == 3 && hears(&story, 3));
        end(&story);
}

/* Whoever asks knows it by where it is, and says nothing twice: for each of several names, and after what else is written of it. */
TEST(a_service_that_is_not_there_stays_so_under_all_its_names)
{
        static const struct said before[] = { { 1, 10, "a", "x", CONF_HEALTH_TCP, 0 }, { 1, 10, "a", "y", CONF_HEALTH_TCP, 0 }, { 0 } };
        static const struct said after[] = { { 1, 10, "a", "x", CONF_HEALTH_TCP, 7 }, { 1, 10, "a", "y", CONF_HEALTH_TCP, 7 }, { 0 } };
        struct story story;
        struct ipc_service_health gone = { .gate_port = 1 };

        begin(&story, 8, before);
        gone.service = service_name(story.services.list[0].conf);
        check(services_hear(&story.services, holder(&story, 1), &gone));
        check_equal(services_gone_count(&story.services), 2);
        reload(&story, after);
        check_equal(services_gone_count(&story.services), 2);
        end(&story);
}

/* Whoever holds it, and nobody else, has its name looked up again. */
TEST(a_service_that_fails_puts_its_name_in_doubt)
{
        static const struct said before[] = { { 1, 10, "a" }, { 2, 20, "b" }, { 0 } };
        struct ipc_service_fails fails = { .gate_port = 1 }, other = { .gate_port = 1, .protocol = IPC_UDP };
        struct story story;

        begin(&story, 8, before);
        fails.service = service_name(story.services.list[0].conf);
        for (size_t i = 0; i < 2; i++) {
                struct name *name = story.services.list[i].name;

                list_remove(&name->in_queue);
                name->state = NAME_RESTING;
                ev_timer_set(&name->due, NAMES_REFRESH_S / 2.0, 0);
                ev_timer_start(story.world.loop, &name->due);
        }
        services_doubt(&story.services, holder(&story, 2), &fails);
        other.service = fails.service;
        services_doubt(&story.services, holder(&story, 1), &other);
        services_doubt(&story.services, NULL, &fails);
        for (size_t i = 0; i < 2; i++)
                check(ev_timer_remaining(story.world.loop, &story.services.list[i].name->due) > 1);
        services_doubt(&story.services, holder(&story, 1), &fails);
        check(ev_timer_remaining(story.world.loop, &story.services.list[0].name->due) <= 0.001);
        check(ev_timer_remaining(story.world.loop, &story.services.list[1].name->due) > 1);
        end(&story);
}

TEST(a_service_that_is_gone_takes_its_worker_along)
{
        static const struct said before[] = { { 1, 10, "a" }, { 2, 20, "b" }, { 0 } };
        static const struct said after[] = { { 2, 20, "b" }, { 0 } };
        struct story story;

        begin(&story, 8, before);
        check_equal(story.names.all.count, 2);
        reload(&story, after);
        check(workers(&story) == 1 && !hears(&story, 2));
        check_equal(story.names.all.count, 1);
        end(&story);
}

TEST(a_service_that_moves_keeps_its_worker_as_long_as_its_wall_lets_it)
{
        static const struct said before[] = { { 1, 10, "a" }, { 2, 20, "a" }, { 0 } };
        static const struct said elsewhere[] = { { 1, 10, "b" }, { 2, 20, "a" }, { 0 } };
        static const struct said at_another_port[] = { { 1, 11, "b" }, { 2, 20, "a" }, { 0 } };
        struct story story;
        struct forward *first;

        begin(&story, 8, before);
        first = holder(&story, 1);
        reload(&story, elsewhere);
        check(holder(&story, 1) == first && hears(&story, 1) && !hears(&story, 2));
        reload(&story, at_another_port);
        check(forward_reaches(holder(&story, 1), IPC_TCP, 11) && !forward_reaches(holder(&story, 1), IPC_TCP, 10));
        check(!forward_reaches(holder(&story, 1), IPC_UDP, 11));
        check(workers(&story) == 2 && !hears(&story, 2));
        end(&story);
}

TEST(an_alternative_more_or_less_is_one_groups_matter)
{
        static const struct said before[] = { { 1, 10, "a" }, { 2, 20, "a" }, { 0 } };
        static const struct said two[] = { { 1, 10, "a" }, { 1, 10, "b" }, { 2, 20, "a" }, { 0 } };
        struct story story;
        struct forward *first;

        begin(&story, 8, before);
        first = holder(&story, 1);
        reload(&story, two);
        check(holder(&story, 1) == first && first->held == 1 && hears(&story, 1) && !hears(&story, 2));
        reload(&story, before);
        check(holder(&story, 1) == first && first->held == 1 && hears(&story, 1) && !hears(&story, 2));
        end(&story);
}

TEST(when_all_workers_run_one_more_takes_what_none_of_them_reaches)
{
        static const struct said before[] = { { 1, 10, "a" }, { 2, 20, "a" }, { 3, 30, "a" }, { 0 } };
        static const struct said one_more[] = { { 1, 10, "a" }, { 2, 20, "a" }, { 3, 30, "a" }, { 4, 20, "b" }, { 5, 50, "a" }, { 0 } };
        static const struct said two_more[] = { { 1, 10, "a" }, { 2, 20, "a" }, { 3, 30, "a" }, { 4, 20, "b" }, { 5, 50, "a" },
                                                { 6, 60, "a" }, { 0 } };
        static const struct said fewer[] = { { 1, 10, "a" }, { 2, 20, "a" }, { 0 } };
        struct story story;
        struct forward *last;

        begin(&story, 2, before);
        check_equal(workers(&story), 2);
        reload(&story, one_more);
        check(holder(&story, 4) == holder(&story, 2) && hears(&story, 2));
        last = holder(&story, 5);
        check(workers(&story) == 3 && last->any_port && last->protocols == (1U << IPC_TCP | 1U << IPC_UDP));
        reload(&story, two_more);
        check(workers(&story) == 3 && holder(&story, 6) == last && last->held == 2 && hears(&story, 6) && !hears(&story, 1));
        reload(&story, fewer);
        check(workers(&story) == 2 && holder(&story, 1)->held + holder(&story, 2)->held == 2);
        end(&story);
}
