/* SPDX-License-Identifier: BSD-3-Clause */
#include "lost_links.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon_world.h"
#include "test.h"

/* A router and a swarm worker that have met, each with a process that can be killed. */
struct pair {
        struct world world;             /* its child is the router worker */
        struct child swarm;
        struct ipc_link swarm_end;
        struct lost_links lost;
};

static void give_process(struct child *child)
{
        child->pid = fork();
        check(child->pid >= 0);
        if (child->pid == 0) {
                pause();
                _exit(0);
        }
}

static void begin(struct pair *pair)
{
        world_begin(&pair->world, IPC_ROUTER);
        world_child(&pair->world, &pair->swarm, &pair->swarm_end, IPC_SWARM, 1);
        give_process(&pair->world.child);
        give_process(&pair->swarm);
        pair->world.children.links = 7;
        pair->world.child.links_before = 5;     /* the router worker is younger */
        pair->swarm.links_before = 2;
        lost_links_init(&pair->lost, &pair->world.children, pair->world.loop);
}

/* Whether we have killed it; then it is dead. */
static bool killed(struct child *child)
{
        int status = 0;

        kill(child->pid, SIGTERM);
        check(waitpid(child->pid, &status, 0) == child->pid);
        child->pid = 0;
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void end(struct pair *pair)
{
        if (pair->world.child.pid)
                killed(&pair->world.child);
        if (pair->swarm.pid)
                killed(&pair->swarm);
        lost_links_fini(&pair->lost);
        world_child_end(&pair->world, &pair->swarm, &pair->swarm_end);
        world_end(&pair->world);
}

/* @child has lost its link to the other. */
static void say(struct pair *pair, struct child *child, enum ipc_lost why, uint64_t link)
{
        const struct child *other = child == &pair->swarm ? &pair->world.child : &pair->swarm;

        lost_links_take(&pair->lost, child, &(struct ipc_link_lost){ .link = link, .role = other->role, .id = other->id, .why = why });
}

/* The next to that end is an introduction to the other. */
static bool introduced(struct ipc_link *end, enum ipc_role other)
{
        struct ipc_received message;
        bool is;

        if (ipc_link_receive(end, &message) != 1)
                return false;
        is = message.type == IPC_LINK && IPC_PAYLOAD(&message, struct ipc_introduction)->role == (uint32_t)other;
        ipc_received_fini(&message);
        return is;
}

TEST(who_breaks_the_rules_between_workers_is_replaced_in_one_line)
{
        struct pair pair;

        begin(&pair);
        say(&pair, &pair.swarm, IPC_LOST_BROKEN, 7);
        check(strstr(world_logged(&pair.world), "router worker (pid "));
        say(&pair, &pair.world.child, IPC_LOST_GONE, 7);        /* it saw the swarm worker close the link */
        check(*world_logged(&pair.world) == '\0');
        check(killed(&pair.world.child) && !killed(&pair.swarm));
        end(&pair);
}

TEST(what_is_said_of_a_former_life_means_nothing)
{
        static const enum ipc_lost whys[] = { IPC_LOST_GONE, IPC_LOST_BROKEN, IPC_LOST_NO_MEMORY };

        for (size_t i = 0; i < 3; i++) {
                struct pair pair;

                begin(&pair);
                say(&pair, &pair.swarm, whys[i], 5);
                check(!ev_is_active(&pair.lost.due));
                check(*world_logged(&pair.world) == '\0');
                check(!killed(&pair.world.child) && !killed(&pair.swarm));
                end(&pair);
        }
}

TEST(two_that_live_and_lost_each_other_meet_again_and_only_they)
{
        struct pair pair;

        begin(&pair);
        say(&pair, &pair.swarm, IPC_LOST_GONE, 6);
        say(&pair, &pair.world.child, IPC_LOST_NO_MEMORY, 6);   /* both tell of it */
        check_equal(pair.lost.count, 1);
        check(!introduced(&pair.world.worker, IPC_SWARM));
        check(world_fire(&pair.world, &pair.lost.due));
        check(introduced(&pair.world.worker, IPC_SWARM) && introduced(&pair.swarm_end, IPC_ROUTER));
        check(!introduced(&pair.world.worker, IPC_SWARM) && !introduced(&pair.swarm_end, IPC_ROUTER));
        check_equal(pair.world.children.links, 8);
        check(strstr(world_logged(&pair.world), "swarm worker and router worker lost each other, though both live"));
        check(!killed(&pair.world.child) && !killed(&pair.swarm));
        end(&pair);
}

TEST(a_link_that_was_lost_by_a_death_is_left_to_the_new_life)
{
        struct pair pair;

        begin(&pair);
        say(&pair, &pair.swarm, IPC_LOST_GONE, 7);
        pair.world.child.links_before = 7;                      /* died, and lives again */
        check(world_fire(&pair.world, &pair.lost.due));
        check(!introduced(&pair.swarm_end, IPC_ROUTER));
        say(&pair, &pair.swarm, IPC_LOST_GONE, 7);              /* late */
        check(!ev_is_active(&pair.lost.due));
        pair.world.child.links_before = 5;
        say(&pair, &pair.swarm, IPC_LOST_GONE, 7);
        pair.world.child.state = CHILD_WAITING;                 /* died, and will live again */
        check(world_fire(&pair.world, &pair.lost.due));
        check(!introduced(&pair.swarm_end, IPC_ROUTER));
        check(*world_logged(&pair.world) == '\0');
        end(&pair);
}

TEST(who_accuses_again_and_again_is_replaced_as_well)
{
        struct pair pair;

        begin(&pair);
        for (int n = 1; n <= LOST_LINKS_QUARRELS; n++) {
                pair.swarm.struck = false;                      /* another life each time */
                if (n == 2)     /* long ago */
                        pair.world.child.quarrels_since_us -= SECONDS(LOST_LINKS_QUARRELS_S) + 1;
                say(&pair, &pair.world.child, IPC_LOST_BROKEN, 7);
                check(!strstr(world_logged(&pair.world), "accuses"));
        }
        pair.swarm.struck = false;
        say(&pair, &pair.world.child, IPC_LOST_BROKEN, 7);
        check(strstr(world_logged(&pair.world), "router worker (pid ") && killed(&pair.world.child) && killed(&pair.swarm));
        end(&pair);
}

TEST(two_that_lose_each_other_again_and_again_are_replaced)
{
        struct pair pair;

        begin(&pair);
        for (int n = 1; n < LOST_LINKS_QUARRELS; n++) {
                say(&pair, &pair.swarm, IPC_LOST_GONE, pair.world.children.links);
                check(world_fire(&pair.world, &pair.lost.due));
                check(introduced(&pair.world.worker, IPC_SWARM) && introduced(&pair.swarm_end, IPC_ROUTER));
        }
        say(&pair, &pair.swarm, IPC_LOST_GONE, pair.world.children.links);
        check(world_fire(&pair.world, &pair.lost.due));
        check(!introduced(&pair.world.worker, IPC_SWARM));
        check(killed(&pair.world.child) && killed(&pair.swarm));
        end(&pair);
}

TEST(who_tells_of_a_link_that_can_not_be_is_killed_and_nobody_else)
{
        struct pair pair;
        struct child resolve;
        struct ipc_link resolve_end;
        static const struct ipc_link_lost lies[] = {
                { .link = 8, .role = IPC_SWARM, .id = 1 },                              /* not made yet */
                { .link = 5, .role = IPC_SWARM, .id = 1, .why = IPC_LOST_BROKEN },      /* before its time */
                { .link = 7, .role = IPC_SWARM, .id = 1, .why = IPC_LOSTS },
                { .link = 7, .role = IPC_RESOLVE, .id = 1, .why = IPC_LOST_BROKEN },    /* they never meet */
        };

        for (size_t i = 0; i < 4; i++) {
                begin(&pair);
                world_child(&pair.world, &resolve, &resolve_end, IPC_RESOLVE, 1);
                give_process(&resolve);
                lost_links_take(&pair.lost, &pair.world.child, &lies[i]);
                check(strstr(world_logged(&pair.world), "lost a link that it can't have had: killed"));
                check(killed(&pair.world.child) && !killed(&pair.swarm) && !killed(&resolve));
                world_child_end(&pair.world, &resolve, &resolve_end);
                end(&pair);
        }
        begin(&pair);
        lost_links_take(&pair.lost, &pair.world.child, &(struct ipc_link_lost){ .link = 7, .role = IPC_FORWARD, .id = 9 });
        check(*world_logged(&pair.world) == '\0' && !killed(&pair.world.child));        /* it may be gone since */
        end(&pair);
}
