/* SPDX-License-Identifier: BSD-3-Clause */
/* A client of a gate that gets a socket of its own: what it says comes there, and what all others say to the gate, before, meanwhile and
 * after. */
#include "detach.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "daemon_world.h"
#include "ipc_fd.h"
#include "ipc_forward.h"
#include "sockets_detach.h"
#include "test.h"

enum {
        STRANGERS = 8,
        FLOOD_MAX = 100,                /* at a time: no socket's buffer runs over */
        ROUNDS = 400,
        LOST_MAX = ROUNDS / 10,         /* by a kernel that sees a socket become connected while it looks for whom a datagram is */
};

static const uint8_t loopback[16] = { [10] = 0xff, [11] = 0xff, 127, 0, 0, 1 };
static const uint8_t second[16] = { [10] = 0xff, [11] = 0xff, 127, 0, 0, 2 };
static const uint8_t any_v4[16] = { [10] = 0xff, [11] = 0xff };
static const uint8_t loopback_v6[16] = { [15] = 1 };
static const uint8_t any_v6[16] = { 0 };

static uint16_t port_of(int fd)
{
        struct socket_place place;

        check_equal(sockets_place(fd, &place), 0);
        return place.port;
}

/* A gate listens at @listen; clients ask it at @asked, from @from. */
static const struct layout {
        const uint8_t *listen, *asked, *from;
} layouts[] = {
        { loopback, loopback, loopback },
        { any_v4, loopback, loopback },
        { loopback_v6, loopback_v6, loopback_v6 },
        { any_v6, loopback_v6, loopback_v6 },
};

struct scene {
        const struct layout *layout;
        int gate;
        struct sockaddr_storage asked;
        socklen_t asked_len;
};

/* Without IPv6 there is nothing to see of it. */
static bool begin(struct scene *scene, const struct layout *layout)
{
        int r = sockets_datagrams(layout->listen, 0, &scene->gate);

        if (r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL)
                return false;
        check_equal(r, 0);
        scene->layout = layout;
        scene->asked_len = sockets_put_address(&scene->asked, layout->asked, port_of(scene->gate), 0);
        return true;
}

static int client_of(const struct scene *scene)
{
        int fd = -1;

        check_equal(sockets_datagrams(scene->layout->from, 0, &fd), 0);
        check_equal(connect(fd, (const struct sockaddr *)&scene->asked, scene->asked_len), 0);
        return fd;
}

static int try(const struct scene *scene, int client, int *fd_out)
{
        struct socket_ends ends = { .remote_port = port_of(client) };

        memcpy(ends.remote_ip, scene->layout->from, 16);
        memcpy(ends.local_ip, scene->layout->asked, 16);
        return sockets_detach(scene->gate, &ends, fd_out);
}

/* Whether it fragments what is too long for its path, whatever that path may be. */
static bool fragments(int fd, bool v6)
{
        int value = -1;
        socklen_t len = sizeof(value);

        check_equal(getsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER, &value, &len), 0);
        return value == (v6 ? IPV6_PMTUDISC_DONT : IP_PMTUDISC_DONT);
}

static int detached(const struct scene *scene, int client)
{
        int fd = -1;

        check_equal(try(scene, client, &fd), 0);
        return fd;
}

/* On a busy machine what was sent to loopback is under way for a while: what is expected is waited for. */
static const char *heard(int fd, bool expected)
{
        static char text[64];
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        ssize_t len;

        (void)poll(&ready, 1, expected ? 5000 : 0);
        len = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
        text[MAX(len, 0)] = '\0';
        return text;
}

#define check_heard(fd, expected) check(strcmp(heard(fd, *(expected) != '\0'), expected) == 0)

static void say(int fd, const char *text)
{
        check(send(fd, text, strlen(text), 0) >= 0);
}

TEST(a_client_is_heard_at_its_own_socket_and_all_others_at_the_gate)
{
        for (size_t i = 0; i < ARRAY_LEN(layouts); i++) {
                struct scene scene;
                int one, other, own;

                if (!begin(&scene, &layouts[i]))
                        continue;
                one = client_of(&scene);
                other = client_of(&scene);
                say(one, "before");
                own = detached(&scene, one);
                check(fragments(scene.gate, i >= 2) && fragments(own, i >= 2));
                say(one, "after");
                say(other, "other");
                check_heard(own, "after");
                check_heard(own, "");
                check_heard(scene.gate, "before");
                check_heard(scene.gate, "other");
                check_heard(scene.gate, "");
                say(own, "answer");             /* from where it asked: its socket is connected to that */
                check_heard(one, "answer");
                close(own);
                say(one, "again");
                check_heard(scene.gate, "again");
                close(one);
                close(other);
                close(scene.gate);
        }
}

TEST(a_client_that_would_be_answered_from_another_address_gets_none_and_stays)
{
        static const struct layout layout = { any_v4, second, loopback };
        struct scene scene;
        int one, own;

        check(begin(&scene, &layout));
        one = client_of(&scene);
        check_equal(try(&scene, one, &own), -EADDRNOTAVAIL);
        say(one, "still");
        check_heard(scene.gate, "still");
        close(one);
        close(scene.gate);
}

/* Also the first that ever does: it would be given what is its client's, and drop what is not, before it can say that it wants neither. */
TEST(whoever_joins_a_gate_gets_nothing_of_its_own_accord)
{
        for (size_t i = 0; i < ARRAY_LEN(layouts); i++) {
                struct sockaddr_storage gate = { .ss_family = AF_UNSPEC };
                socklen_t len = sizeof(gate);
                int joined, share = 1;
                struct scene scene;

                if (!begin(&scene, &layouts[i]))
                        continue;
                check_equal(setsockopt(scene.gate, SOL_SOCKET, SO_REUSEPORT, &share, sizeof(share)), 0);
                check_equal(getsockname(scene.gate, (struct sockaddr *)&gate, &len), 0);
                joined = socket(gate.ss_family, SOCK_DGRAM, 0);
                check_equal(setsockopt(joined, SOL_SOCKET, SO_REUSEPORT, &share, sizeof(share)), 0);
                check_equal(bind(joined, (struct sockaddr *)&gate, len), 0);
                for (unsigned k = 0; k < 32; k++) {
                        int one = client_of(&scene);

                        say(one, "to the gate");
                        check_heard(scene.gate, "to the gate");
                        close(one);
                }
                close(joined);
                close(scene.gate);
        }
}

TEST(the_port_stays_taken_for_everybody_else)
{
        for (size_t i = 0; i < ARRAY_LEN(layouts); i++) {
                struct scene scene;
                int one, own, fd = -1, share = 1;

                if (!begin(&scene, &layouts[i]))
                        continue;
                one = client_of(&scene);
                own = detached(&scene, one);
                check_equal(sockets_datagrams(layouts[i].listen, port_of(scene.gate), &fd), -EADDRINUSE);
                close(scene.gate);              /* one that is shut is not open again before its last client has gone */
                check_equal(sockets_datagrams(layouts[i].listen, port_of(own), &fd), -EADDRINUSE);
                close(own);
                close(one);
                if (!begin(&scene, &layouts[i]))
                        continue;
                one = client_of(&scene);
                close(detached(&scene, one));
                fd = socket(scene.asked.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);       /* the gate shares no longer than it must */
                check_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &share, sizeof(share)), 0);
                check(bind(fd, (const struct sockaddr *)&scene.asked, scene.asked_len) < 0 && errno == EADDRINUSE);
                close(fd);
                close(one);
                close(scene.gate);
        }
}

/* --- While others send --- */

struct flood {
        const struct scene *scene;
        atomic_bool over;
        atomic_ulong found;             /* so far, at the gate */
        unsigned long sent;
};

static void *run_flood(void *context)
{
        struct flood *flood = context;
        int strangers[STRANGERS];

        for (int i = 0; i < STRANGERS; i++)
                strangers[i] = client_of(flood->scene);
        while (!atomic_load(&flood->over)) {
                if (flood->sent - atomic_load(&flood->found) >= FLOOD_MAX)
                        sched_yield();
                else
                        flood->sent += send(strangers[flood->sent % STRANGERS], "flood", 5, 0) == 5;
        }
        for (int i = 0; i < STRANGERS; i++)
                close(strangers[i]);
        return NULL;
}

static unsigned long count(int fd, const char *text)
{
        char bytes[64];
        unsigned long found = 0;
        ssize_t len;

        while ((len = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) >= 0) {
                check((size_t)len == strlen(text) && memcmp(bytes, text, (size_t)len) == 0);
                found++;
        }
        return found;
}

/* Takes some of it: it goes on. */
static void flow(struct flood *flood)
{
        unsigned long found;

        while ((found = count(flood->scene->gate, "flood")) == 0)
                sched_yield();
        atomic_fetch_add(&flood->found, found);
}

/* Its own socket is bound and not yet connected for a moment, in which it might be given what others send. */
TEST(nothing_of_others_gets_into_a_clients_socket_and_next_to_nothing_of_theirs_is_lost)
{
        for (size_t i = 0; i < ARRAY_LEN(layouts); i++) {
                static struct flood flood;      /* and the scene: the thread may outlive a test that fails */
                static struct scene scene;
                pthread_t thread;
                int one, early, early_own;

                if (!begin(&scene, &layouts[i]))
                        continue;
                flood = (struct flood){ .scene = &scene };
                one = client_of(&scene);
                early = client_of(&scene);
                early_own = detached(&scene, early);    /* the first of a gate makes it share; it stays while others come and go */
                check_equal(pthread_create(&thread, NULL, run_flood, &flood), 0);
                flow(&flood);
                for (int round = 0; round < ROUNDS; round++) {
                        int own = detached(&scene, one);

                        say(one, "mine");
                        check_equal(count(own, "mine"), 1);
                        close(own);
                        flow(&flood);
                }
                atomic_store(&flood.over, true);
                check_equal(pthread_join(thread, NULL), 0);
                atomic_fetch_add(&flood.found, count(scene.gate, "flood"));
                check(flood.sent >= ROUNDS && atomic_load(&flood.found) <= flood.sent && flood.sent - atomic_load(&flood.found) <= LOST_MAX);
                say(early, "mine");
                check_equal(count(early_own, "mine"), 1);
                close(early_own);
                close(early);
                close(one);
                close(scene.gate);
        }
}

/* --- Who may ask --- */

static void on_gate(void *context, const struct gate *gate)
{
}

struct story {
        struct world world;
        char libexec[PATH_MAX + 1];     /* where no worker's program is */
        struct forwards forwards;
        struct passed passed;
        struct gates gates;
        uint16_t port;
};

static void open_gate(struct story *story)
{
        static const struct conf_address any = { { [10] = 0xff, [11] = 0xff }, "0.0.0.0" };
        static const struct conf_gateway conf = { .present = true, .listen = &any, .listen_count = 1 };
        int probe = -1;

        *story = (struct story){ .port = 0 };
        memset(story->libexec, 'x', sizeof(story->libexec) - 1);
        world_begin(&story->world, IPC_FORWARD);
        story->world.children.libexec = story->libexec;
        story->world.children.instance = "test";
        forwards_init(&story->forwards, &story->world.children, 8);
        gates_init(&story->gates, story->world.loop, &story->world.log, &conf, &story->forwards, &story->passed, on_gate, on_gate, story);
        check_equal(sockets_datagrams(any_v4, 0, &probe), 0);
        story->port = port_of(probe);
        close(probe);
        gates_open(&story->gates, story->port, CONF_UDP);
        check_equal(gates_open_count(&story->gates), 1);
        story->world.child.context = list_entry(list_first(&story->gates.all), struct gate, in_all)->forward;
}

static void close_gate(struct story *story)
{
        gates_close(&story->gates, story->port, CONF_UDP);
        forwards_fini(&story->forwards);
        gates_fini(&story->gates);
        world_end(&story->world);
}

static struct ipc_session_detach asked_of(const struct story *story)
{
        struct ipc_session_detach asked = { .session = 7, .remote_port = 4000, .gate_port = story->port };

        memcpy(asked.remote_ip, loopback, 16);
        memcpy(asked.local_ip, loopback, 16);
        return asked;
}

/* The error that is answered; without any a socket came along. */
static int answered(struct story *story, const struct ipc_session_detach *asked)
{
        struct ipc_received message;
        int error;

        detach(&story->gates, &story->world.child, asked);
        check_equal(world_told(&story->world, &message), IPC_SESSION_DETACHED);
        check_equal(IPC_PAYLOAD(&message, struct ipc_session_detached)->session, asked->session);
        error = (int)IPC_PAYLOAD(&message, struct ipc_session_detached)->error;
        check_equal(message.fd_count, error == 0);
        ipc_received_fini(&message);
        return error;
}

TEST(who_holds_the_gate_gets_a_socket_and_nobody_else)
{
        static struct story story;
        struct ipc_session_detach asked;
        struct forward *holder;

        open_gate(&story);
        asked = asked_of(&story);
        check_equal(answered(&story, &asked), 0);
        asked.gate_port++;
        check_equal(answered(&story, &asked), ENOENT);
        asked.gate_port--;
        holder = story.world.child.context;
        story.world.child.context = NULL;       /* which is being stopped, or holds another gate */
        check_equal(answered(&story, &asked), ENOENT);
        story.world.child.context = holder;
        memcpy(asked.local_ip, loopback_v6, 16);        /* where that gate does not listen */
        check_equal(answered(&story, &asked), ENOENT);
        memcpy(asked.local_ip, loopback, 16);
        memcpy(asked.remote_ip, loopback_v6, 16);
        check_equal(answered(&story, &asked), EINVAL);
        memcpy(asked.remote_ip, loopback, 16);
        asked.remote_port = 0;
        check_equal(answered(&story, &asked), EINVAL);
        close_gate(&story);
}
