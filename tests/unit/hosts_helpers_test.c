/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hosts_process.h"
#include "inside.h"
#include "ipc_hosts.h"
#include "port_talk.h"
#include "test.h"

static struct hosts hosts;
static struct inside inside;

static void turn(void)
{
        worker_turn(&hosts.worker, &hosts_handlers, &hosts);
}

static void begin(void)
{
        memset(&hosts, 0, sizeof(hosts));
        inside_begin(&inside, &hosts.worker, IPC_HOSTS, IPC_DUTY_NONE);
        hosts_init(&hosts);
}

static void finish(void)
{
        worker_part(&hosts.worker);
        hosts_fini(&hosts);
        inside_end(&inside);
}

static void want(const char *host, uint16_t port, uint16_t protocol, uint16_t number, uint16_t wanted)
{
        struct ipc_hosts_port said = { .at = { .port = port, .protocol = protocol }, .number = number, .wanted = wanted };

        strcpy(said.at.host, host);
        inside_send(&inside, IPC_SUPERVISOR, IPC_HOSTS_PORT, &said, -1);
        turn();
}

static void say(int link, const struct port_said *said, int fd)
{
        union { struct cmsghdr header; char room[CMSG_SPACE(sizeof(int))]; } control = { .room = "" };
        uint8_t packet[PORT_PACKET_MAX];
        struct iovec bytes = { .iov_base = packet, .iov_len = port_write(said, packet) };
        struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };

        if (fd >= 0) {
                message.msg_control = &control;
                message.msg_controllen = sizeof(control);
                control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
                memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
        }
        check(sendmsg(link, &message, MSG_NOSIGNAL) > 0);
        turn();
}

/* The helper's end. */
static int come(const char *host)
{
        struct port_said hello = { .kind = PORT_HELLO };
        int fds[2];

        check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds) == 0);
        hosts_helpers_take(&hosts.helpers, fds[0]);
        strcpy(hello.host, host);
        say(fds[1], &hello, -1);
        return fds[1];
}

/* Whether a helper is asked something. */
static bool asked(int link, struct port_said *out)
{
        uint8_t packet[PORT_PACKET_MAX];
        ssize_t len = recv(link, packet, sizeof(packet), MSG_DONTWAIT);

        return len > 0 && port_read(packet, (size_t)len, out) && out->kind == PORT_BIND;
}

static bool ended(int link)
{
        char byte;

        return recv(link, &byte, 1, MSG_DONTWAIT) == 0;
}

/* The supervisor hears of one message of that type. */
static bool hears(uint32_t type, uint16_t number)
{
        struct ipc_received message;
        bool found = false;

        while (inside_receive(&inside, IPC_SUPERVISOR, &message)) {
                if (message.type == type)
                        found = type != IPC_HOSTS_BOUND || IPC_PAYLOAD(&message, struct ipc_hosts_bound)->number == number;
                ipc_received_fini(&message);
        }
        return found;
}

TEST(a_helper_is_asked_for_what_is_wanted_of_its_host_whoever_came_first)
{
        struct port_said said;
        int one, two;

        begin();
        want("one.hyper", 80, IPC_TCP, 1, 1);
        want("two.hyper", 80, IPC_TCP, 2, 1);
        one = come("One.Hyper");
        check(asked(one, &said) && said.number == 2 && said.port == 80 && !said.datagrams && said.ip[11] == 0xff);
        check(asked(one, &said) && said.number == 3 && said.ip[11] == 0);
        check(!asked(one, &said));
        two = come("three.hyper");
        check(!asked(two, &said));
        want("three.hyper", 53, IPC_UDP, 3, 1);
        check(asked(two, &said) && said.number == 6 && said.port == 53 && said.datagrams);
        close(one);
        close(two);
        turn();
        finish();
}

TEST(what_a_helper_opens_is_passed_on_while_it_is_wanted)
{
        struct port_said bound = { .kind = PORT_BOUND, .number = 2 };
        int one, fd = socket(AF_INET, SOCK_STREAM, 0);

        begin();
        want("one.hyper", 80, IPC_TCP, 1, 1);
        one = come("one.hyper");
        say(one, &bound, fd);
        check(hears(IPC_HOSTS_BOUND, 1));
        want("one.hyper", 80, IPC_TCP, 1, 0);
        say(one, &bound, fd);
        check(!hears(IPC_HOSTS_BOUND, 1));
        check(!ended(one));
        want("two.hyper", 81, IPC_TCP, 1, 1);           /* that number is another host's now */
        say(one, &bound, fd);
        check(!hears(IPC_HOSTS_BOUND, 1));
        close(one);
        turn();
        check(hears(IPC_HOSTS_GONE, 0));
        close(fd);
        finish();
}

TEST(who_makes_no_sense_is_left)
{
        static const struct port_said senseless[] = {
                { .kind = PORT_BIND, .number = 1, .port = 1 }, { .kind = PORT_HELLO, .host = "again.hyper" },
                { .kind = PORT_BOUND, .number = 2 }, /* and no socket */
        };

        begin();
        for (size_t i = 0; i < sizeof(senseless) / sizeof(senseless[0]); i++) {
                int one = come("one.hyper");

                say(one, &senseless[i], -1);
                check(ended(one));
                check(hears(IPC_HOSTS_GONE, 0));
                close(one);
        }
        check_equal(hosts.helpers.helper_count, 0);
        finish();
}

TEST(one_that_comes_anew_takes_the_place_of_the_old_one)
{
        struct port_said said;
        int one, two;

        begin();
        want("one.hyper", 80, IPC_TCP, 1, 1);
        one = come("one.hyper");
        two = come("one.hyper");
        check(asked(one, &said) && asked(one, &said) && ended(one));
        check(asked(two, &said) && !ended(two));
        check(hears(IPC_HOSTS_GONE, 0));
        close(one);
        close(two);
        turn();
        finish();
}

TEST(a_list_of_ports_is_complete)
{
        static const struct ipc_generation generation = { .generation = 1 };

        begin();
        want("one.hyper", 80, IPC_TCP, 1, 1);
        want("two.hyper", 80, IPC_TCP, 2, 1);
        inside_send(&inside, IPC_SUPERVISOR, IPC_CONF_BEGIN, &generation, -1);
        turn();
        want("two.hyper", 80, IPC_TCP, 2, 1);
        inside_send(&inside, IPC_SUPERVISOR, IPC_CONF_END, &generation, -1);
        turn();
        check_equal(hosts.helpers.port_count, 1);
        finish();
}
