/* SPDX-License-Identifier: BSD-3-Clause */
/* Who gets a connection to a unix socket: the worker that holds the service, and nobody else. */
#include "dial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon_world.h"
#include "ipc_forward.h"
#include "test.h"

enum { GATE = 8080, CHANNEL = 77, SWARM = 3 };

struct story {
        struct world world;
        char folder[32], host[64];      /* "unix:", and where it listens */
        int listener;
        struct conf_service conf[2];
        struct forward forward, other;
        struct service list[2];
        struct services services;
};

static int listen_at(const char *path)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        check(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 0) == 0);
        return fd;
}

/* Two services behind one gate port, one of which is no unix socket; @other holds nothing. */
static void begin(struct story *story)
{
        *story = (struct story){ .folder = "/tmp/hypergate-dial.XXXXXX" };
        check(mkdtemp(story->folder));
        snprintf(story->host, sizeof(story->host), "unix:%s/app.sock", story->folder);
        story->listener = listen_at(story->host + 5);
        world_begin(&story->world, IPC_FORWARD);
        story->world.child.context = &story->forward;
        story->conf[0] = (struct conf_service){ .gate_port = GATE, .host = story->host, .tags = "web", .sni = "" };
        story->conf[1] = (struct conf_service){ .gate_port = GATE, .service_port = 80, .host = "web", .tags = "", .sni = "" };
        for (size_t i = 0; i < 2; i++)
                story->list[i] = (struct service){ .conf = &story->conf[i], .forward = &story->forward };
        story->services = (struct services){ story->list, 2 };
}

static void end(struct story *story)
{
        close(story->listener);
        unlink(story->host + 5);
        check(rmdir(story->folder) == 0);
        world_end(&story->world);
}

/* The error that is answered; if there is none, *@fd_out is the connection. */
static int ask(struct story *story, uint16_t gate_port, uint64_t service, int *fd_out)
{
        struct ipc_service_dial asked = { .channel = CHANNEL, .swarm = SWARM, .service = service, .gate_port = gate_port };
        const struct ipc_service_dialled *dialled;
        struct ipc_received message;
        int error;

        dial(&story->services, &story->world.child, &asked);
        check_equal(world_told(&story->world, &message), IPC_SERVICE_DIALLED);
        dialled = IPC_PAYLOAD(&message, struct ipc_service_dialled);
        check(dialled->channel == CHANNEL && dialled->swarm == SWARM);
        check_equal(message.fd_count, dialled->error == 0);
        error = (int)dialled->error;
        *fd_out = error ? -1 : ipc_received_take_fd(&message, 0);
        ipc_received_fini(&message);
        return error;
}

TEST(who_holds_the_service_gets_a_connection_to_it)
{
        struct story story;
        char byte = 0;
        int fd, there;

        begin(&story);
        check_equal(ask(&story, GATE, service_name(&story.conf[0]), &fd), 0);
        there = accept(story.listener, NULL, NULL);
        check(there >= 0 && send(fd, "x", 1, 0) == 1 && read(there, &byte, 1) == 1 && byte == 'x');
        close(there);
        close(fd);
        end(&story);
}

TEST(nobody_gets_what_is_not_its_own)
{
        struct story story;
        uint64_t name;
        int fd;

        begin(&story);
        name = service_name(&story.conf[0]);
        check_equal(ask(&story, GATE + 1, name, &fd), ENOENT);
        check_equal(ask(&story, GATE, name + 1, &fd), ENOENT);
        check_equal(ask(&story, GATE, service_name(&story.conf[1]), &fd), ENOENT);      /* no unix socket */
        story.list[0].forward = &story.other;
        check_equal(ask(&story, GATE, name, &fd), ENOENT);
        story.world.child.context = NULL;       /* which is being stopped */
        check_equal(ask(&story, GATE, name, &fd), ENOENT);
        end(&story);
}

TEST(why_a_service_can_not_be_reached_is_answered_at_once)
{
        struct story story;
        uint64_t name;
        int fd[3];

        begin(&story);
        name = service_name(&story.conf[0]);
        check_equal(ask(&story, GATE, name, &fd[0]), 0);
        check_equal(ask(&story, GATE, name, &fd[1]), EAGAIN);   /* a backlog of none keeps one */
        close(story.listener);
        check_equal(ask(&story, GATE, name, &fd[1]), ECONNREFUSED);
        unlink(story.host + 5);
        check_equal(ask(&story, GATE, name, &fd[1]), ENOENT);
        story.listener = listen_at(story.host + 5);
        check_equal(ask(&story, GATE, name, &fd[1]), 0);
        close(fd[0]);
        close(fd[1]);
        end(&story);
}
