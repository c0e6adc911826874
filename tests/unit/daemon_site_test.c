/* SPDX-License-Identifier: BSD-3-Clause */
#include "site.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon_world.h"
#include "ipc_fd.h"
#include "sockets.h"
#include "test.h"

static const uint8_t one[16] = { [10] = 0xff, [11] = 0xff, 127, 0, 0, 1 }, another[16] = { [10] = 0xff, [11] = 0xff, 127, 0, 0, 2 };
static const uint8_t any[16] = { [10] = 0xff, [11] = 0xff };

/* A site whose worker's program is nowhere: a duplicate of its listener is held as that would hold it. */
struct story {
        struct world world;
        struct site site;
        uint16_t port;
        int held;
        char libexec[PATH_MAX + 1];
};

static struct conf_site conf_at(const struct story *story, const uint8_t ip[16])
{
        struct conf_site conf = { .port = story->port, .text = "there" };

        memcpy(conf.ip, ip, sizeof(conf.ip));
        return conf;
}

/* One that answers at @from, at a port that no address here has. */
static void begin(struct story *story, const uint8_t from[16])
{
        struct conf_site conf;
        struct socket_place place;
        int fd;

        memset(story, 0, sizeof(*story));
        memset(story->libexec, 'x', sizeof(story->libexec) - 1);
        world_begin(&story->world, IPC_ROUTER);
        story->world.children.libexec = story->libexec;
        story->world.children.instance = "test";
        check_equal(sockets_http(any, 0, &fd), 0);
        check_equal(sockets_place(fd, &place), 0);
        close(fd);
        story->port = place.port;
        site_init(&story->site, &story->world.log, &story->world.children, "key", 1);
        conf = conf_at(story, from);
        check_equal(site_begin(&story->site, &conf), 0);
        story->held = dup(story->site.fd);
        check(story->held >= 0 && strstr(world_logged(&story->world), "can't start the admin worker"));
}

static void end(struct story *story)
{
        close(story->held);
        site_fini(&story->site);
        child_retire(story->site.child, 0);
        world_end(&story->world);
}

static int call(const struct story *story, const uint8_t ip[16])
{
        struct sockaddr_storage addr;
        socklen_t len = sockets_put_address(&addr, ip, story->port, 0);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        check(fd >= 0);
        if (connect(fd, (struct sockaddr *)&addr, len) == 0)
                return fd;
        check_equal(errno, ECONNREFUSED);
        close(fd);
        return -1;
}

/* Whether who calls @ip is heard at @listener. */
static bool is_heard(const struct story *story, const uint8_t ip[16], int listener)
{
        cleanup_fd int fd = call(story, ip);
        struct pollfd ready = { .fd = listener, .events = POLLIN };
        cleanup_fd int accepted = -1;

        if (fd < 0 || poll(&ready, 1, 0) != 1)
                return false;
        accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        return accepted >= 0;
}

static bool is_shared(int fd)
{
        int value = 0;
        socklen_t len = sizeof(value);

        check_equal(getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, &len), 0);
        return value;
}

/* Its worker still has the listener of before. */
static void check_moves(const uint8_t from[16], const uint8_t to[16])
{
        struct story story;
        struct conf_site conf;

        begin(&story, from);
        conf = conf_at(&story, to);
        site_reload(&story.site, &conf);
        check(world_logged(&story.world)[0] == '\0');
        check(memcmp(story.site.ip, to, 16) == 0 && story.site.child->unconfigured);
        check(!is_shared(story.held) && !is_shared(story.site.fd));
        close(story.held);              /* as who has heard of the other one does */
        story.held = dup(story.site.fd);
        check(is_heard(&story, one, story.site.fd));
        check_equal(is_heard(&story, another, story.site.fd), memcmp(to, any, 16) == 0);
        end(&story);
}

TEST(a_site_moves_to_an_address_that_has_its_own_in_it)
{
        check_moves(one, any);
}

TEST(a_site_moves_to_an_address_that_is_in_its_own)
{
        check_moves(any, one);
}

TEST(while_a_site_moves_who_calls_is_heard_by_the_one_or_the_other)
{
        struct story story;
        struct conf_site conf;

        begin(&story, one);
        conf = conf_at(&story, any);
        site_reload(&story.site, &conf);
        check(is_heard(&story, one, story.held) && is_heard(&story, another, story.site.fd));
        end(&story);
}

TEST(a_site_that_cannot_move_stays_where_it_was)
{
        struct story story;
        struct conf_site conf;
        cleanup_fd int taken = -1, third = -1;

        begin(&story, one);
        check_equal(sockets_http(another, story.port, &taken), 0);
        conf = conf_at(&story, any);
        site_reload(&story.site, &conf);
        check(strstr(world_logged(&story.world), "key: can't listen on there: the port is in use by another program; it stays where it was"));
        check(memcmp(story.site.ip, one, 16) == 0 && !is_shared(story.site.fd));
        check(is_heard(&story, one, story.site.fd));
        check_equal(sockets_http(one, story.port, &third), -EADDRINUSE);
        end(&story);
}
