/* SPDX-License-Identifier: BSD-3-Clause */
#include "gates.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon_world.h"
#include "sockets.h"
#include "test.h"

TEST(without_a_gateway_nothing_opens)
{
        struct conf_gateway conf = { .present = false };

        check(!gates_allowed(&conf, 8000, CONF_TCP));
}

TEST(without_filters_every_port_may_open)
{
        struct conf_gateway conf = { .present = true };

        check(gates_allowed(&conf, 1, CONF_TCP));
        check(gates_allowed(&conf, 65535, CONF_TCP));
        check(!gates_allowed(&conf, 0, CONF_TCP));
        check(gates_allowed(&conf, 8000, CONF_UDP));
        check(!gates_allowed(&conf, 0, CONF_UDP));
        check(!gates_allowed(&conf, 8000, 77));
}

TEST(a_port_that_no_filter_lets_through_stays_shut_whatever_the_router_says)
{
        static const struct conf_filter filters[] = {
                { .fields = CONF_FILTER_GATE_PORT, .gate_port = 8000, .gate_port_last = 8000 },
                { .fields = CONF_FILTER_GATE_PORT | CONF_FILTER_PROTOCOL, .gate_port = 53, .gate_port_last = 53, .protocol = CONF_UDP },
                { .fields = CONF_FILTER_GATE_PORT | CONF_FILTER_HOST, .gate_port = 9000, .gate_port_last = 9000, .host = "db" },
        };
        struct conf_gateway conf = { .present = true, .filters = filters, .filter_count = 3 };

        check(gates_allowed(&conf, 8000, CONF_TCP));
        check(!gates_allowed(&conf, 8001, CONF_TCP));
        check(!gates_allowed(&conf, 53, CONF_TCP));
        check(gates_allowed(&conf, 53, CONF_UDP));
        check(gates_allowed(&conf, 9000, CONF_TCP));    /* the host is the router's to judge */
}

TEST(in_the_mode_of_the_original_all_filters_must_let_a_port_through)
{
        static const struct conf_filter filters[] = {
                { .fields = CONF_FILTER_GATE_PORT, .gate_port = 8000, .gate_port_last = 8009 },
                { .fields = CONF_FILTER_GATE_PORT, .gate_port = 8005, .gate_port_last = 8015 },
                { .fields = CONF_FILTER_TAGS, .tags = "x" },
        };
        struct conf_gateway conf = { .present = true, .filters = filters, .filter_count = 3, .filter_mode = CONF_FILTER_ORIGINAL };

        check(gates_allowed(&conf, 8005, CONF_TCP) && gates_allowed(&conf, 8009, CONF_UDP));
        check(!gates_allowed(&conf, 8000, CONF_TCP) && !gates_allowed(&conf, 8015, CONF_TCP));
        conf.filter_count = 0;
        check(gates_allowed(&conf, 1, CONF_TCP));
}

TEST(the_policy_of_a_gate_is_that_of_its_first_filter_with_one)
{
        static const struct conf_filter filters[] = {
                { .fields = CONF_FILTER_GATE_PORT, .gate_port = 8000, .gate_port_last = 8000, .policy = -1 },
                { .fields = CONF_FILTER_GATE_PORT | CONF_FILTER_TAGS, .gate_port = 8000, .gate_port_last = 8009, .tags = "x",
                  .policy = CONF_POLICY_SOURCE_HASH },
                { .fields = CONF_FILTER_GATE_PORT | CONF_FILTER_PROTOCOL, .gate_port = 8000, .gate_port_last = 9000, .protocol = CONF_UDP,
                  .policy = CONF_POLICY_ROUND_ROBIN },
        };
        struct conf_gateway conf = { .present = true, .filters = filters, .filter_count = 3, .policy = CONF_POLICY_FIRST };

        check_equal(gates_policy(&conf, 8000, CONF_TCP), CONF_POLICY_SOURCE_HASH);
        check_equal(gates_policy(&conf, 8000, CONF_UDP), CONF_POLICY_SOURCE_HASH);
        check_equal(gates_policy(&conf, 8010, CONF_UDP), CONF_POLICY_ROUND_ROBIN);
        check_equal(gates_policy(&conf, 8010, CONF_TCP), CONF_POLICY_FIRST);
}

TEST(a_range_of_ports_has_both_its_ends)
{
        static const struct conf_filter filter = { .fields = CONF_FILTER_GATE_PORT, .gate_port = 1000, .gate_port_last = 8000 };
        struct conf_gateway conf = { .present = true, .filters = &filter, .filter_count = 1 };

        check(gates_allowed(&conf, 1000, CONF_TCP) && gates_allowed(&conf, 8000, CONF_UDP));
        check(!gates_allowed(&conf, 999, CONF_TCP) && !gates_allowed(&conf, 8001, CONF_TCP));
        check(gates_reopens(&conf, 1000, CONF_TCP) && !gates_reopens(&conf, 999, CONF_TCP));
}

TEST(a_port_that_is_an_exception_stays_shut_whatever_lets_it_through)
{
        static const struct conf_filter all = { .fields = CONF_FILTER_GATE_PORT, .gate_port = 1, .gate_port_last = 65535 };
        static const struct conf_filter exceptions[] = {
                { .fields = CONF_FILTER_GATE_PORT, .gate_port = 22, .gate_port_last = 23 },
                { .fields = CONF_FILTER_GATE_PORT | CONF_FILTER_PROTOCOL, .gate_port = 53, .gate_port_last = 53, .protocol = CONF_UDP },
                { .fields = CONF_FILTER_GATE_PORT | CONF_FILTER_TAGS, .gate_port = 80, .gate_port_last = 80, .tags = "internal" },
        };
        struct conf_gateway conf = { .present = true, .exceptions = exceptions, .exception_count = 3 };

        for (unsigned i = 0; i < 2; i++) {
                check(!gates_allowed(&conf, 22, CONF_TCP) && !gates_allowed(&conf, 23, CONF_UDP) && gates_allowed(&conf, 24, CONF_TCP));
                check(gates_allowed(&conf, 53, CONF_TCP) && !gates_allowed(&conf, 53, CONF_UDP));
                check(gates_allowed(&conf, 80, CONF_TCP));      /* whether it has the tag is the router's to judge */
                conf.filters = &all;
                conf.filter_count = 1;
        }
        check(!gates_reopens(&conf, 22, CONF_TCP) && gates_reopens(&conf, 24, CONF_TCP));
}

TEST(a_low_port_opens_again_only_by_name)
{
        static const struct conf_filter filters[] = {
                { .fields = CONF_FILTER_TAGS, .tags = "web" }, { .fields = CONF_FILTER_GATE_PORT, .gate_port = 80, .gate_port_last = 80 },
        };
        struct conf_gateway conf = { .present = true };

        check(gates_reopens(&conf, 8000, CONF_TCP) && gates_reopens(&conf, 1024, CONF_TCP));
        check(!gates_reopens(&conf, 1023, CONF_TCP) && !gates_reopens(&conf, 8000, 77));
        conf.filters = filters;
        conf.filter_count = 2;
        check(gates_reopens(&conf, 80, CONF_TCP) && gates_reopens(&conf, 8000, CONF_TCP));
        check(!gates_reopens(&conf, 22, CONF_TCP));
        conf.present = false;
        check(!gates_reopens(&conf, 8000, CONF_TCP));
}

TEST(a_filter_that_names_no_port_leaves_it_to_the_router)
{
        static const struct conf_filter filters[] = { { .fields = CONF_FILTER_TAGS, .tags = "web" } };
        struct conf_gateway conf = { .present = true, .filters = filters, .filter_count = 1 };

        check(gates_allowed(&conf, 8000, CONF_TCP));
}

/* Gates whose workers' program is nowhere. */
struct story {
        struct world world;
        struct forwards forwards;
        struct passed passed;
        struct gates gates;
        unsigned served, moved;
        char libexec[PATH_MAX + 1];
};

static void on_served(void *context, const struct gate *gate)
{
        ((struct story *)context)->served++;
}

static void on_moved(void *context, const struct gate *gate)
{
        ((struct story *)context)->moved++;
}

static void begin(struct story *story, const struct conf_gateway *conf)
{
        memset(story, 0, sizeof(*story));
        memset(story->libexec, 'x', sizeof(story->libexec) - 1);
        world_begin(&story->world, IPC_ROUTER);
        story->world.children.libexec = story->libexec;
        story->world.children.instance = "test";
        forwards_init(&story->forwards, &story->world.children, 8);
        gates_init(&story->gates, story->world.loop, &story->world.log, conf, &story->forwards, &story->passed, on_served,
                   on_moved, story);
}

static void end(struct story *story)
{
        while (!list_empty(&story->gates.all)) {
                const struct gate *gate = list_entry(list_first(&story->gates.all), struct gate, in_all);

                gates_close(&story->gates, gate->port, gate->protocol);
        }
        check(list_empty(&story->forwards.all));
        forwards_fini(&story->forwards);
        gates_fini(&story->gates);
        world_end(&story->world);
}

enum { FIRST_PORT = 12000, PORTS = 20000 };

static const struct conf_address ones[] = {
        { { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }, "127.0.0.1" }, { { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 2 }, "127.0.0.2" },
        { { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 3 }, "127.0.0.3" }, { { [10] = 0xff, [11] = 0xff }, "0.0.0.0" },
};

/* A port that nobody has now, for TCP or UDP, among those that no kernel hands out by itself (ip(7), ip_local_port_range): other tests that
 * run beside this one get none of these, and this one another than itself in another process. */
static uint16_t free_port(void)
{
        static unsigned last;

        for (unsigned tries = 0; tries < PORTS; tries++) {
                uint16_t port = (uint16_t)(FIRST_PORT + ((unsigned)getpid() * 16 + last++) % PORTS);
                struct udp_made made;
                int fd, r = sockets_listener(ones[3].ip, port, &fd);

                if (r == 0) {
                        close(fd);
                        r = sockets_udp(ones[3].ip + 12, port, NULL, &made);
                }
                if (r == 0) {
                        close(made.fd);
                        return port;
                }
        }
        check(!"a port is free");
        return 0;
}

static ino_t inode_of(int fd)
{
        struct stat about;

        check(fstat(fd, &about) == 0);
        return about.st_ino;
}

static struct gate *the_gate(struct story *story)
{
        check_equal(story->gates.count, 1);
        return list_entry(list_first(&story->gates.all), struct gate, in_all);
}

TEST(where_a_gate_listens_changes_and_what_stays_is_the_same_socket)
{
        struct conf_gateway before = { .present = true, .listen = ones, .listen_count = 2 };
        struct conf_gateway after = { .present = true, .listen = ones + 1, .listen_count = 2 };
        struct conf_gateway any = { .present = true, .listen = ones + 3, .listen_count = 1 };

        for (uint16_t protocol = CONF_TCP; protocol <= CONF_UDP; protocol++) {
                uint16_t port = free_port();
                struct story story;
                ino_t stays;
                int fd;

                begin(&story, &before);
                gates_open(&story.gates, port, protocol);
                check(story.served == 1 && story.moved == 1 && gates_open_count(&story.gates) == 1);
                stays = inode_of(the_gate(&story)->listeners[1].fd);
                gates_reload(&story.gates, &before);
                check_equal(story.served, 1);
                gates_reload(&story.gates, &after);
                check(story.served == 2 && story.moved == 1);
                check(inode_of(the_gate(&story)->listeners[0].fd) == stays);
                check(the_gate(&story)->listeners[0].address == &ones[1] && the_gate(&story)->listeners[1].fd >= 0);
                check_equal(sockets_listener(ones[0].ip, port, &fd), 0);        /* it is free again */
                close(fd);
                check(strstr(world_logged(&story.world), "open on 127.0.0.3"));
                gates_reload(&story.gates, &any);                       /* which would be in the way of the others */
                check(story.served == 3 && the_gate(&story)->listener_count == 1 && the_gate(&story)->listeners[0].fd >= 0);
                end(&story);
        }
}

/* A gate for datagrams moves to all addresses. Returns the socket that it had before, as its forward worker has it, too. */
static int move_in_its_own_way(struct story *story)
{
        static struct conf_gateway before = { .present = true, .listen = ones, .listen_count = 1 };
        static struct conf_gateway any = { .present = true, .listen = ones + 3, .listen_count = 1 };
        int held;

        begin(story, &before);
        gates_open(&story->gates, free_port(), CONF_UDP);
        held = dup(the_gate(story)->listeners[0].fd);
        check(held >= 0);
        gates_reload(&story->gates, &any);
        return held;
}

/* The port is free when that worker has heard. */
TEST(a_gate_that_was_in_its_own_way_opens_as_soon_as_it_is_not)
{
        struct story story;
        int held = move_in_its_own_way(&story);

        check(the_gate(&story)->listeners[0].fd < 0);
        ev_run(story.world.loop, EVRUN_ONCE);
        check(the_gate(&story)->listeners[0].fd < 0);
        close(held);
        for (unsigned tries = 0; tries < 5 && the_gate(&story)->listeners[0].fd < 0; tries++)
                ev_run(story.world.loop, EVRUN_ONCE);
        check(the_gate(&story)->listeners[0].fd >= 0);
        check(!strstr(world_logged(&story.world), "can't listen"));
        end(&story);
}

/* But not for ever: then somebody else may be in its way. */
TEST(a_gate_that_is_in_somebody_else_s_way_says_so_after_a_while)
{
        struct story story;
        int held = move_in_its_own_way(&story);

        the_gate(&story)->freed_us -= MSEC(GATE_FREED_MS);
        ev_run(story.world.loop, EVRUN_ONCE);
        check(the_gate(&story)->listeners[0].fd < 0);
        check(strstr(world_logged(&story.world), "can't listen on 0.0.0.0: the port is in use by another program"));
        close(held);
        end(&story);
}

TEST(gates_that_are_not_allowed_any_more_are_closed_at_once)
{
        static const struct conf_filter filters[] = { { .fields = CONF_FILTER_PROTOCOL, .protocol = CONF_UDP } };
        struct conf_gateway before = { .present = true, .listen = ones, .listen_count = 1 };
        struct conf_gateway after = { .present = true, .listen = ones, .listen_count = 1, .filters = filters, .filter_count = 1 };
        uint16_t port = free_port();
        struct story story;

        begin(&story, &before);
        gates_open(&story.gates, port, CONF_TCP);
        gates_open(&story.gates, port, CONF_UDP);
        check_equal(story.gates.count, 2);
        world_logged(&story.world);
        gates_reload(&story.gates, &after);
        check_equal(the_gate(&story)->protocol, CONF_UDP);
        check_equal(story.moved, 3);
        check(strstr(world_logged(&story.world), "closed: the configuration does not allow it any more"));
        end(&story);
}

TEST(a_gate_that_is_lent_is_open_as_long_as_the_configuration_allows_it_and_is_never_shut)
{
        static const struct conf_filter filters[] = { { .fields = CONF_FILTER_PROTOCOL, .protocol = CONF_UDP } };
        struct conf_gateway before = { .present = true, .listen = ones, .listen_count = 2 };
        struct conf_gateway after = { .present = true, .listen = ones, .listen_count = 2, .filters = filters, .filter_count = 1 };
        struct passed_socket lent = { .from = PASSED_LENT, .name = "gate", .place = { .port = free_port() } };
        socklen_t len = sizeof(int);
        struct story story;
        int listens = 0;
        ino_t inode;

        memcpy(lent.place.ip, ones[0].ip, sizeof(lent.place.ip));
        check_equal(sockets_listener(ones[0].ip, lent.place.port, &lent.fd), 0);
        inode = inode_of(lent.fd);
        begin(&story, &before);
        story.passed = (struct passed){ .log = &story.world.log, .list = &lent, .count = 1 };
        gates_open_lent(&story.gates);
        check(the_gate(&story)->listeners[0].fd != lent.fd && inode_of(the_gate(&story)->listeners[0].fd) == inode);
        check_equal(the_gate(&story)->listeners[1].hold, GATE_OURS);
        gates_close(&story.gates, lent.place.port, CONF_TCP);
        check(the_gate(&story)->listeners[0].fd >= 0);
        gates_reload(&story.gates, &after);
        check_equal(story.gates.count, 0);
        check(strstr(world_logged(&story.world), "socket \"gate\" (127.0.0.1, "));
        gates_reload(&story.gates, &after);
        check(!strstr(world_logged(&story.world), "socket \"gate\""));
        gates_reload(&story.gates, &before);
        check(inode_of(the_gate(&story)->listeners[0].fd) == inode);
        gates_reload(&story.gates, &after);
        check(getsockopt(lent.fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens);
        end(&story);
        close(lent.fd);
}
