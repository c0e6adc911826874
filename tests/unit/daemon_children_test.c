/* SPDX-License-Identifier: BSD-3-Clause */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child_log.h"
#include "daemon_world.h"
#include "forwards.h"
#include "introduce.h"
#include "ipc_fd.h"
#include "ipc_router.h"
#include "test.h"

static struct ipc_log line(const char *text, size_t len)
{
        struct ipc_log log = { .level = LOG_INFO, .text_len = (uint32_t)len };

        memcpy(log.text, text, len);
        return log;
}

TEST(a_workers_words_carry_its_name_and_no_control_characters)
{
        struct ipc_log log = line("hello\n\033[1mthere", 16);
        struct world world;

        world_begin(&world, IPC_FORWARD);
        child_log(&world.child, &log);
        check(strcmp(world_logged(&world), "hypergated: forward worker 1: hello\\x0a\\x1b[1mthere\n") == 0);
        child_log_words(&world.child, "assertion failed");
        check(strcmp(world_logged(&world), "hypergated: warning: forward worker 1 wrote: assertion failed\n") == 0);
        world_end(&world);
}

TEST(what_is_left_out_is_counted)
{
        struct ipc_log log = line("again", 6);
        struct world world;
        unsigned lines = 0;

        world_begin(&world, IPC_ROUTER);
        for (int i = 0; i < LOG_BURST + 50; i++)
                child_log(&world.child, &log);
        for (const char *at = world_logged(&world); (at = strchr(at, '\n')); at++)
                lines++;
        check(lines >= LOG_BURST && lines < LOG_BURST + 10);
        world_end(&world);
}

/* Whoever floods a gate can't keep the worker from telling what else it has to. */
TEST(how_channels_ended_drowns_nothing_else)
{
        struct ipc_log channel = line("gone", 5), log = line("rare", 5);
        struct world world;
        unsigned lines = 0;

        world_begin(&world, IPC_FORWARD);
        channel.event = IPC_EVENT_CHANNEL_FAILED;
        for (int i = 0; i < 2 * LOG_BURST; i++)
                child_log(&world.child, &channel);
        world_logged(&world);
        child_log(&world.child, &channel);
        check(!strstr(world_logged(&world), "gone"));
        child_log(&world.child, &log);
        check(strstr(world_logged(&world), "rare"));
        world.child.begin.log.channels = 1;
        for (int i = 0; i < 2 * LOG_BURST; i++)
                child_log(&world.child, &channel);
        for (const char *at = world_logged(&world); (at = strchr(at, '\n')); at++)
                lines++;
        check(lines > 2 * LOG_BURST);
        world_end(&world);
}

/* A process to be killed, in place of the worker. */
static void give_process(struct world *world)
{
        world->child.pid = fork();
        check(world->child.pid >= 0);
        if (world->child.pid == 0) {
                pause();
                _exit(0);
        }
}

static bool was_killed(struct world *world)
{
        int status;

        check(waitpid(world->child.pid, &status, 0) == world->child.pid);
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

TEST(a_log_message_that_lies_about_itself_ends_its_sender)
{
        struct ipc_log lies[] = { line("no end", 6), line("", 0), line("fine", 5), line("fine", 5), line("fine", 5),
                                  line("fine", 5) };

        lies[2].text_len = IPC_LOG_MAX + 1;
        lies[3].level = 8;
        lies[4].event = IPC_EVENT_COUNT;
        lies[5].event = IPC_EVENT_READY;        /* another's to say */
        for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
                struct world world;

                world_begin(&world, IPC_ROUTER);
                give_process(&world);
                child_log(&world.child, &lies[i]);
                check(was_killed(&world));
                check(strstr(world_logged(&world), "sent a log line that is none: killed"));
                world_end(&world);
        }
}

TEST(who_says_more_than_there_is_to_say_is_killed_and_not_listened_to_any_more)
{
        struct ipc_received ready = { .type = IPC_READY }, gate = { .type = IPC_GATE_OPEN };
        static const struct children_events nobody = { 0 };     /* to hear the gate would crash */
        struct world world;

        world_begin(&world, IPC_ROUTER);
        world.children.events = &nobody;
        give_process(&world);
        for (int i = 0; i < CHILD_FLOOD; i++)
                child_hear(&world.child, &ready);
        check(*world_logged(&world) == '\0');
        child_hear(&world.child, &ready);
        check(strstr(world_logged(&world), "floods its supervisor with words: killed, starting it again"));
        child_hear(&world.child, &gate);
        check(*world_logged(&world) == '\0');
        check(was_killed(&world));
        world_end(&world);
}

TEST(who_says_as_much_over_a_long_time_is_not)
{
        struct ipc_received ready = { .type = IPC_READY };
        struct world world;

        world_begin(&world, IPC_ROUTER);
        give_process(&world);
        for (int i = 0; i < 10 * CHILD_FLOOD; i++) {
                if (i % (CHILD_FLOOD / 2) == 0)
                        world.child.said_since_us -= SECONDS(CHILD_FLOOD_S) + 1;
                child_hear(&world.child, &ready);
        }
        check(*world_logged(&world) == '\0');
        kill(world.child.pid, SIGKILL);
        check(was_killed(&world));
        world_end(&world);
}

TEST(a_child_that_takes_no_more_is_killed)
{
        struct ipc_router_service service = { .gate_port = 1 };
        struct world world;
        int r = 0;

        world_begin(&world, IPC_ROUTER);
        world.child.link.queue_max = 64 * 1024;
        give_process(&world);
        for (int i = 0; i < 100000 && r == 0; i++)
                r = child_send(&world.child, IPC_ROUTER_SERVICE, &service, NULL, 0);
        check(r < 0);
        check(was_killed(&world));
        check(strstr(world_logged(&world), "takes no messages any more: killed"));
        check(ev_is_active(&world.child.stuck) && ev_is_active(&world.child.writable));
        world_end(&world);
}

TEST(a_child_that_reads_is_left_in_peace)
{
        struct ipc_generation generation = { 0 };
        struct ipc_received message;
        struct world world;

        world_begin(&world, IPC_ROUTER);
        child_send(&world.child, IPC_CONF_BEGIN, &generation, NULL, 0);
        check_equal(world_told(&world, &message), IPC_CONF_BEGIN);
        check(world_fire(&world, &world.child.stuck));
        check(!ev_is_active(&world.child.stuck));       /* and an idle one wakes nobody */
        check(*world_logged(&world) == '\0');
        world_end(&world);
}

TEST(a_child_that_leaves_one_message_unread_for_long_is_killed)
{
        struct ipc_generation generation = { 0 };
        struct world world;

        world_begin(&world, IPC_ROUTER);
        give_process(&world);
        child_send(&world.child, IPC_CONF_BEGIN, &generation, NULL, 0);
        child_send(&world.child, IPC_CONF_END, &generation, NULL, 0);
        check(world_fire(&world, &world.child.stuck));          /* the second came later: one more look */
        check(*world_logged(&world) == '\0');
        world.child.state = CHILD_STARTING;
        check(world_fire(&world, &world.child.stuck));          /* it has its own time to get ready */
        check(*world_logged(&world) == '\0');
        world.child.state = CHILD_UP;
        check(world_fire(&world, &world.child.stuck));
        check(was_killed(&world));
        check(strstr(world_logged(&world), "takes no messages any more: killed"));
        world_end(&world);
}

TEST(who_is_told_something_new_before_each_look_is_not_believed_for_ever)
{
        struct ipc_generation generation = { 0 };
        struct world world;

        world_begin(&world, IPC_RESOLVE);
        give_process(&world);
        child_send(&world.child, IPC_CONF_BEGIN, &generation, NULL, 0);
        for (unsigned i = 1; i < CHILD_DOUBTS; i++) {
                child_send(&world.child, IPC_CONF_END, &generation, NULL, 0);
                check(world_fire(&world, &world.child.stuck));
                check(*world_logged(&world) == '\0');
        }
        child_send(&world.child, IPC_CONF_END, &generation, NULL, 0);
        check(world_fire(&world, &world.child.stuck));
        check(was_killed(&world));
        world_end(&world);
}

TEST(one_that_hangs_is_found_by_a_ping_and_told_of_once)
{
        struct ipc_received message;
        struct world world;

        world_begin(&world, IPC_ROUTER);
        give_process(&world);
        children_ping(&world.children);
        check_equal(world_told(&world, &message), IPC_PING);
        check(world_fire(&world, &world.child.stuck));
        check(*world_logged(&world) == '\0' && !ev_is_active(&world.child.stuck));     /* it was read */
        children_ping(&world.children);
        check(world_fire(&world, &world.child.stuck));
        check(strstr(world_logged(&world), "takes no messages any more: killed, starting it again"));
        child_kill(&world.child, "once more");
        check(*world_logged(&world) == '\0');
        check(was_killed(&world));
        world_end(&world);
}

TEST(who_starts_or_stops_is_not_pinged)
{
        static const enum child_state states[] = { CHILD_WAITING, CHILD_STARTING, CHILD_STOPPING };
        struct ipc_received message;
        struct world world;

        world_begin(&world, IPC_ROUTER);
        for (size_t i = 0; i < 3; i++) {
                world.child.state = states[i];
                children_ping(&world.children);
                check_equal(world_told(&world, &message), IPC_NOTHING);
        }
        world_end(&world);
}

TEST(after_a_time_in_which_nobody_ran_nobody_is_killed_for_it)
{
        struct world world;

        world_begin(&world, IPC_ROUTER);
        give_process(&world);
        children_ping(&world.children);
        world.child.stuck_since_us -= SECONDS(CHILD_STUCK_S + CHILD_LATE_S) + 1;        /* the timer could not fire in time */
        check(world_fire(&world, &world.child.stuck));
        check(*world_logged(&world) == '\0' && ev_is_active(&world.child.stuck));
        check(world_fire(&world, &world.child.stuck));          /* from then on it counts */
        check(was_killed(&world));
        world_end(&world);
}

static void say_done(struct world *world, uint64_t generation)
{
        struct ipc_received said = { .type = IPC_CONF_DONE };

        memcpy(said.payload.bytes, &generation, sizeof(generation));
        child_hear(&world->child, &said);
}

TEST(a_child_confirms_what_it_was_told_and_nothing_else)
{
        struct ipc_received message;
        struct world world;

        world_begin(&world, IPC_ROUTER);
        give_process(&world);
        check(child_confirmed(&world.child));           /* it was told nothing */
        for (uint64_t generation = 1; generation <= 3; generation++) {
                child_conf_begin(&world.child);
                child_conf_end(&world.child);
                check_equal(world_told(&world, &message), IPC_CONF_BEGIN);
                check_equal(IPC_PAYLOAD(&message, struct ipc_generation)->generation, generation);
                check_equal(world_told(&world, &message), IPC_CONF_END);
                check_equal(IPC_PAYLOAD(&message, struct ipc_generation)->generation, generation);
        }
        say_done(&world, 1);
        check(!child_confirmed(&world.child));
        say_done(&world, 3);                            /* the second was never waited for */
        check(child_confirmed(&world.child));
        check(*world_logged(&world) == '\0');
        say_done(&world, 3);
        check(was_killed(&world));
        check(strstr(world_logged(&world), "has taken over what it was not told: killed"));
        world_end(&world);

        world_begin(&world, IPC_ROUTER);
        give_process(&world);
        child_conf_begin(&world.child);
        say_done(&world, 2);
        check(was_killed(&world));
        world_end(&world);
}

TEST(all_children_hear_of_another_log_level_also_in_their_next_life)
{
        struct ipc_received message;
        struct world world;

        world_begin(&world, IPC_ROUTER);
        world.children.log_channels = true;
        children_log_level(&world.children, LOG_WARNING);
        check_equal(world_told(&world, &message), IPC_LOG_LEVEL);
        check_equal(IPC_PAYLOAD(&message, struct ipc_log_level)->level, LOG_WARNING);
        check_equal(IPC_PAYLOAD(&message, struct ipc_log_level)->channels, 1);
        check_equal(world.child.begin.log.level, LOG_WARNING);
        world.child.state = CHILD_STOPPING;
        children_log_level(&world.children, LOG_DEBUG);
        check_equal(world_told(&world, &message), IPC_NOTHING);
        world_end(&world);
}

static struct child child_of(enum ipc_role role, struct forward *forward)
{
        return (struct child){ .role = role, .context = forward };
}

TEST(who_meets_whom)
{
        struct forward gates = { .duty = IPC_DUTY_GATES }, services = { .duty = IPC_DUTY_SERVICES };
        struct child swarm = child_of(IPC_SWARM, NULL), router = child_of(IPC_ROUTER, NULL), resolve = child_of(IPC_RESOLVE, NULL);
        struct child resolver = child_of(IPC_ADMIN, NULL);
        struct child gate = child_of(IPC_FORWARD, &gates), service = child_of(IPC_FORWARD, &services);

        check(introduce_meet(&swarm, &router) && introduce_meet(&router, &swarm));
        check(introduce_meet(&swarm, &gate) && introduce_meet(&service, &swarm));
        check(introduce_meet(&router, &gate) && introduce_meet(&gate, &router));
        check(!introduce_meet(&router, &service));
        check(!introduce_meet(&gate, &service) && !introduce_meet(&gate, &gate));
        check(!introduce_meet(&resolve, &swarm) && !introduce_meet(&resolve, &router) && !introduce_meet(&gate, &resolve));
        resolver.id = IPC_ADMIN_OF_RESOLVER;
        check(introduce_meet(&resolver, &swarm) && introduce_meet(&service, &resolver));
        check(!introduce_meet(&resolver, &gate) && !introduce_meet(&resolver, &router));
        resolver.id = IPC_ADMIN_OF_UNLIMITED;
        check(!introduce_meet(&resolver, &swarm) && !introduce_meet(&service, &resolver) && !introduce_meet(&gate, &resolver));
}

TEST(things_to_hold_are_spread_and_duties_never_mix)
{
        struct children none = { 0 };
        struct forwards forwards;
        struct forward *held[9];

        forwards_init(&forwards, &none, 4);
        for (int i = 0; i < 9; i++)
                held[i] = forwards_hold(&forwards, i < 8 ? IPC_DUTY_GATES : IPC_DUTY_SERVICES);
        for (int i = 0; i < 4; i++) {
                check(held[i]->held == 2 && held[i] == held[i + 4]);
                for (int j = 0; j < i; j++)
                        check(held[i] != held[j]);
                check(held[8] != held[i]);
        }
        check(forwards_release(&forwards, held[2]));
        check(forwards_hold(&forwards, IPC_DUTY_GATES) == held[2]);
        check(!forwards_release(&forwards, held[8]));
        forwards_fini(&forwards);
}

TEST(a_worker_may_reach_the_ports_of_its_services_or_all_when_there_are_many)
{
        struct forward forward = { .duty = IPC_DUTY_SERVICES };

        forward_add_port(&forward, IPC_TCP, 80);
        forward_add_port(&forward, IPC_TCP, 80);
        forward_add_port(&forward, IPC_TCP, 443);
        check_equal(forward.port_count, 2);
        for (uint16_t port = 1000; port < 1000 + IPC_PORTS_MAX - 2; port++)
                forward_add_port(&forward, IPC_TCP, port);
        check(forward.port_count == IPC_PORTS_MAX && !forward.any_port);
        forward_add_port(&forward, IPC_TCP, 443);
        check(!forward.any_port);
        forward_add_port(&forward, IPC_TCP, 2);
        check(forward.any_port);
}
