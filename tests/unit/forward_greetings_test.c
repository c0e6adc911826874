/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections of proxies, who say whose they are before they are clients, in virtual time. */
#include "forward_greetings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "forward_process.h"
#include "inside.h"
#include "test.h"

enum { GATE = 8080 };

static const char line[] = "PROXY TCP4 203.0.113.10 192.0.2.1 51000 443\r\n";

static struct forward forward;
static struct inside inside;
static struct now now;
static uint64_t seed;
static const struct random random_source = { test_random_fill, &seed };

static void turn(void)
{
        worker_turn(&forward.worker, &forward_handlers, &forward);
}

/* Proxies are 10.0.0.0/9 and 2001:db8::/32; there is one provider. */
static void begin(void)
{
        static const struct ipc_forward_trusted v4 = { { [10] = 0xff, [11] = 0xff, [12] = 10 }, 105 }, v6 = { { 0x20, 0x01, 0x0d, 0xb8 }, 32 };
        struct ipc_via via = { .swarm = 1, .peer = { 'A' } };

        worker_now(&now);
        now.mono_us += MINUTES(60);             /* ahead of the clock by which turn() lives: nothing is due there */
        memset(&forward, 0, sizeof(forward));
        inside_begin(&inside, &forward.worker, IPC_FORWARD, IPC_DUTY_GATES);
        check_equal(forward_init(&forward, &random_source), 0);
        inside_introduce(&inside, IPC_SWARM);
        turn();
        clients_gates_begin(&forward.clients);
        check_equal(clients_gate_set(&forward.clients, &(struct ipc_forward_listener){ .gate_port = GATE, .wait_ms = 60000 }), 0);
        clients_gates_end(&forward.clients);
        check_equal(choose_set(&forward.clients.choose, &via, GATE, IPC_TCP, 0, 0), 0);
        greetings_begin(&forward.greetings);
        check(greetings_trust(&forward.greetings, &v4) && greetings_trust(&forward.greetings, &v6));
        greetings_end(&forward.greetings);
}

static void finish(void)
{
        worker_part(&forward.worker);
        forward_fini(&forward);
        inside_end(&inside);
}

/* Somebody comes from there, with that to say; returns their own end. */
static int come(const char *ip, const char *words)
{
        union socket_address remote = { 0 };
        int fds[2];

        remote.any.sa_family = strchr(ip, ':') ? AF_INET6 : AF_INET;
        check_equal(inet_pton(remote.any.sa_family, ip, strchr(ip, ':') ? (void *)&remote.v6.sin6_addr : &remote.v4.sin_addr), 1);
        check_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        check_equal(write(fds[1], words, strlen(words)), strlen(words));
        greetings_accept(&forward.greetings, GATE, fds[0], &remote, &now);
        return fds[1];
}

static void say(int proxy, const char *words)
{
        check_equal(write(proxy, words, strlen(words)), strlen(words));
        turn();
}

/* Whether a provider is asked for a client, as whom it is told, and what of its bytes is left. */
static bool asked(char source[32], char rest[32])
{
        const struct ipc_channel_open *open;
        struct ipc_received message;
        const char *at;
        ssize_t len;
        int fd;

        if (!inside_receive(&inside, IPC_SWARM, &message))
                return false;
        check_equal(message.type, IPC_CHANNEL_OPEN);
        open = IPC_PAYLOAD(&message, struct ipc_channel_open);
        at = memmem(open->metadata, open->metadata_len, "\"source\":{\"ip\":\"", 16);
        check(at && sscanf(at + 16, "%31[^\"]", source) == 1);
        fd = ipc_received_take_fd(&message, 0);
        len = recv(fd, rest, 31, MSG_DONTWAIT);
        rest[len > 0 ? len : 0] = '\0';
        close(fd);
        return true;
}

static bool closed(int proxy)
{
        char byte;

        return recv(proxy, &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET;        /* with what was not read in it */
}

TEST(a_proxy_says_whose_the_connection_is)
{
        static const char *const proxies[] = { "10.0.0.1", "10.127.255.255", "2001:db8:ffff::1" };
        char words[128], source[32], rest[32];

        snprintf(words, sizeof(words), "%sGET /", line);
        for (size_t i = 0; i < 3; i++) {
                int proxy;

                begin();
                proxy = come(proxies[i], words);
                check(asked(source, rest));
                check(strcmp(source, "203.0.113.10") == 0 && strcmp(rest, "GET /") == 0);
                check_equal(forward.greetings.count, 0);
                close(proxy);
                finish();
        }
}

TEST(others_are_who_they_are_and_what_they_say_is_left_alone)
{
        char source[32], rest[32];
        int client;

        begin();
        client = come("10.128.0.0", "PROXY UNKNOWN\r\n");
        check(asked(source, rest));
        check(strcmp(source, "10.128.0.0") == 0 && strcmp(rest, "PROXY UNKNOWN\r\n") == 0);
        close(client);
        finish();
}

/* Each piece leaves the socket, so that nobody is woken again for what was seen; what comes behind stays. */
TEST(a_header_may_come_in_pieces)
{
        char source[32], rest[32], piece[2] = "";
        int proxy;

        begin();
        proxy = come("10.0.0.1", "");
        for (const char *at = line; at[1]; at++) {
                *piece = *at;
                say(proxy, piece);
                check_equal(inside_receive(&inside, IPC_SWARM, &(struct ipc_received){ 0 }), false);
        }
        say(proxy, "\nSSH-2.0");
        check(asked(source, rest));
        check(strcmp(source, "203.0.113.10") == 0 && strcmp(rest, "SSH-2.0") == 0);
        close(proxy);
        finish();
}

TEST(a_proxy_that_means_itself_is_a_client)
{
        char source[32], rest[32];
        int proxy;

        begin();
        proxy = come("10.0.0.1", "PROXY UNKNOWN\r\n");
        check(asked(source, rest) && strcmp(source, "10.0.0.1") == 0 && !*rest);
        close(proxy);
        finish();
}

TEST(a_proxy_that_does_not_speak_as_one_is_turned_away)
{
        static const char *const words[] = { "GET / HTTP/1.1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 99999\r\n", "\x16\x03\x01" };
        char source[32], rest[32];

        begin();
        for (size_t i = 0; i < 3; i++) {
                int proxy = come("10.0.0.1", words[i]);

                check(closed(proxy) && !asked(source, rest));
                close(proxy);
        }
        finish();
}

TEST(a_proxy_that_is_silent_is_turned_away_in_time)
{
        int silent, ended;

        begin();
        silent = come("10.0.0.1", "PROXY TCP4 1.2.");
        check_equal(greetings_deadline(&forward.greetings), now.mono_us + GREETINGS_WAIT_US);
        ended = come("10.0.0.1", "");
        check(!closed(silent) && !closed(ended));
        close(ended);
        turn();
        check_equal(forward.greetings.count, 1);
        greetings_advance(&forward.greetings, now.mono_us + GREETINGS_WAIT_US - 1);
        check(!closed(silent));
        greetings_advance(&forward.greetings, now.mono_us + GREETINGS_WAIT_US);
        check(closed(silent) && forward.greetings.count == 0 && greetings_deadline(&forward.greetings) == USEC_NEVER);
        close(silent);
        finish();
}

TEST(of_too_many_silent_ones_the_oldest_gives_way)
{
        static int silent[GREETINGS_MAX + 1];

        begin();
        for (size_t i = 0; i <= GREETINGS_MAX; i++)
                silent[i] = come("10.0.0.1", "");
        check(closed(silent[0]) && !closed(silent[1]) && !closed(silent[GREETINGS_MAX]));
        check_equal(forward.greetings.count, GREETINGS_MAX);
        for (size_t i = 0; i <= GREETINGS_MAX; i++)
                close(silent[i]);
        finish();
}

TEST(no_more_proxies_are_trusted_than_there_is_room_for)
{
        struct ipc_forward_trusted network = { .bits = 129 };

        begin();
        greetings_begin(&forward.greetings);
        check(!greetings_trust(&forward.greetings, &network));
        network.bits = 128;
        for (size_t i = 0; i < GREETINGS_TRUSTED_MAX; i++)
                check(greetings_trust(&forward.greetings, &network));
        check(!greetings_trust(&forward.greetings, &network));
        finish();
}
