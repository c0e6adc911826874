/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections of proxies, who say whose they are before they are clients, in virtual time. */
#include "forward_greetings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "forward_scene.h"
#include "ipc_channel.h"
#include "ipc_forward.h"
#include "ipc_route.h"
#include "ipc_service.h"
#include "policy.h"

enum { GATE = 8080 };

static const char line[] = "PROXY TCP4 203.0.113.10 192.0.2.1 51000 443\r\n";

static struct now now;

/* Proxies are 10.0.0.0/9 and 2001:db8::/32; there is one provider. */
static void begin(void)
{
        static const struct ipc_forward_trusted v4 = { { [10] = 0xff, [11] = 0xff, [12] = 10 }, 105 }, v6 = { { 0x20, 0x01, 0x0d, 0xb8 }, 32 };

        worker_now(&now);
        now.mono_us += MINUTES(60);             /* ahead of the clock by which scene_turn() lives: nothing is due there */
        scene_begin(IPC_DUTY_GATES, IPC_SWARM);
        scene_gate(GATE, IPC_TCP);
        scene_provider('A', GATE, IPC_TCP);
        greetings_begin(&forward.greetings);
        check(greetings_trust(&forward.greetings, &v4) && greetings_trust(&forward.greetings, &v6));
        greetings_end(&forward.greetings);
}

static void finish(void)
{
        scene_end();
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
        scene_turn();
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

/* Of all that comes through a proxy, what the policy says of the proxy's own address means nothing. */
TEST(whom_the_gateway_keeps_out_is_listened_to_no_longer_than_it_takes_to_know_who_it_is)
{
        static const struct ipc_rule rules[] = {
                { .who = IPC_RULE_IPV4, .bits = 128, .ip = { [10] = 0xff, [11] = 0xff, 203, 0, 113, 10 }, .protocols = 3,
                  .port_last = UINT16_MAX, .except_first = 1 },
                { .who = IPC_RULE_IPV4, .bits = 128, .ip = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 1 }, .protocols = 3,
                  .port_last = UINT16_MAX, .except_first = 1 },
        };
        struct policy *policy = policy_new(rules, 2);
        struct ipc_via via = { .swarm = 1, .peer = { 'B' } };
        char source[32], rest[32];
        int denied, other, direct;

        begin();
        policy_leave(forward.clients.admissions.policy);
        forward.clients.admissions.policy = policy;
        check_equal(choose_set(&forward.clients.choose, &via, GATE, IPC_TCP, 0, 0, ipc_server_name("www.example.org")), 0);
        clients_name(&forward.clients, GATE, IPC_TCP);
        denied = come("10.0.0.1", line);
        check(closed(denied));
        direct = come("203.0.113.10", "");
        check(closed(direct));
        check_equal(forward.clients.tally.more.ended[IPC_REASON_DENIED], 2);
        other = come("10.0.0.1", "PROXY TCP4 203.0.113.11 192.0.2.1 51000 443\r\nSSH-2.0");
        check(asked(source, rest) && strcmp(source, "203.0.113.11") == 0);
        close(denied);
        close(direct);
        close(other);
        finish();
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
        scene_turn();
        check_equal(forward.greetings.count, 1);
        now.mono_us += GREETINGS_WAIT_US - 1;
        greetings_advance(&forward.greetings, &now);
        check(!closed(silent));
        now.mono_us++;
        greetings_advance(&forward.greetings, &now);
        check(closed(silent) && forward.greetings.count == 0 && greetings_deadline(&forward.greetings) == USEC_NEVER);
        close(silent);
        finish();
}

TEST(of_too_many_silent_ones_the_oldest_gives_way)
{
        static int silent[GREETINGS_MAX + 1];

        char ip[16];

        begin();
        for (size_t i = 0; i <= GREETINGS_MAX; i++) {
                snprintf(ip, sizeof(ip), "10.0.%zu.1", i % 200);
                silent[i] = come(ip, "");
        }
        check(closed(silent[0]) && !closed(silent[1]) && !closed(silent[GREETINGS_MAX]));
        check_equal(forward.greetings.count, GREETINGS_MAX);
        for (size_t i = 0; i <= GREETINGS_MAX; i++)
                close(silent[i]);
        finish();
}

/* They make room for their own: somebody else's half header is still waited for. */
TEST(a_proxy_with_many_that_say_nothing_does_not_push_out_anothers)
{
        static int silent[2 * GREETINGS_MAX];
        char source[32], rest[32];
        int other;

        begin();
        other = come("10.0.0.2", "PROXY TCP4 203.");
        for (size_t i = 0; i < 2 * GREETINGS_MAX; i++)
                silent[i] = come("10.0.0.1", "");
        check_equal(forward.greetings.count, GREETINGS_PER_PROXY + 1);
        check(closed(silent[0]) && !closed(silent[2 * GREETINGS_MAX - 1]) && !closed(other));
        say(other, "0.113.10 192.0.2.1 51000 443\r\nGET /");
        check(asked(source, rest) && strcmp(source, "203.0.113.10") == 0 && strcmp(rest, "GET /") == 0);
        for (size_t i = 0; i < 2 * GREETINGS_MAX; i++)
                close(silent[i]);
        close(other);
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

/* --- Names --- */

/* openssl s_client -servername a.example, up to what is counted here. */
static const char hello[] =
        "16030100c1010000bd0303ad264246b087c5240de1e0b649e95e2d1d72a538ec1d4272abbdfe8704d2750b00001ec02cc030c02bc02fcca9cca8c024"
        "c028c023c027009f009e006b006700ff010000760000000e000c000009612e6578616d706c65000b000403000102000a000c000a001d0017001e0019"
        "0018002300000010000e000c02683208687474702f312e310016000000170000000d002a0028040305030603080708080809080a080b080408050806"
        "040105010601030303010302040205020602";

enum { HELLO_BYTES = 198 };

/* A at that name, beside the one without. */
static void begin_named(uint8_t bytes[HELLO_BYTES])
{
        struct ipc_via via = { .swarm = 1, .peer = { 'B' } };

        begin();
        test_unhex(hello, bytes, HELLO_BYTES);
        check_equal(choose_set(&forward.clients.choose, &via, GATE, IPC_TCP, 0, 0, ipc_server_name("a.example")), 0);
        clients_name(&forward.clients, GATE, IPC_TCP);
}

static void say_bytes(int client, const uint8_t *bytes, size_t len)
{
        check_equal(write(client, bytes, len), len);
        scene_turn();
}

/* Who is asked for the client; all that it said is there. '-': nobody. */
static char served(size_t bytes)
{
        struct ipc_received message;
        uint8_t got[2 * HELLO_BYTES];
        char peer;
        int fd;

        if (!inside_receive(&inside, IPC_SWARM, &message))
                return '-';
        peer = (char)IPC_PAYLOAD(&message, struct ipc_channel_open)->peer[0];
        fd = ipc_received_take_fd(&message, 0);
        if (bytes)
                check_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), bytes);
        close(fd);
        return peer;
}

TEST(a_tls_client_is_served_by_whom_it_asks_for)
{
        uint8_t bytes[HELLO_BYTES];
        int client;

        begin_named(bytes);
        client = come("203.0.113.1", "");
        for (size_t i = 0; i + 1 < HELLO_BYTES; i++) {
                say_bytes(client, bytes + i, 1);
                check_equal(served(0), '-');
        }
        say_bytes(client, bytes + HELLO_BYTES - 1, 1);
        check_equal(served(HELLO_BYTES), 'B');
        close(client);
        client = come("203.0.113.1", "GET / HTTP/1.0\r\n\r\n");       /* who asks for nobody by name */
        check_equal(served(18), 'A');
        close(client);
        check_equal(forward.greetings.count, 0);
        finish();
}

TEST(a_proxy_tells_whose_hello_it_is)
{
        uint8_t bytes[HELLO_BYTES];
        int proxy;

        begin_named(bytes);
        proxy = come("10.0.0.1", line);
        check_equal(served(0), '-');
        say_bytes(proxy, bytes, HELLO_BYTES);
        check_equal(served(HELLO_BYTES), 'B');
        close(proxy);
        finish();
}

/* Those that are given up are clients of whoever takes those without a name. */
TEST(a_client_with_many_that_say_nothing_does_not_push_out_anothers_hello)
{
        enum { MANY = 300 };
        static int silent[2 * MANY];
        uint8_t bytes[HELLO_BYTES];
        int other;

        begin_named(bytes);
        other = come("192.0.2.2", "");
        say_bytes(other, bytes, 100);
        for (size_t i = 0; i < MANY; i++) {
                silent[i] = come("203.0.113.1", "");
                check(served(0) == (i < GREETINGS_PER_CLIENT ? '-' : 'A'));
        }
        for (size_t i = 0; i < MANY; i++) {     /* the same behind a proxy */
                silent[MANY + i] = come("10.0.0.1", "PROXY TCP4 203.0.113.1 192.0.2.1 51000 443\r\n");
                check_equal(served(0), 'A');
        }
        check_equal(forward.greetings.count, GREETINGS_PER_CLIENT + 1);
        check_equal(forward.greetings.guests.all.count, 2);
        say_bytes(other, bytes + 100, HELLO_BYTES - 100);
        check_equal(served(HELLO_BYTES), 'B');
        for (size_t i = 0; i < 2 * MANY; i++)
                close(silent[i]);
        close(other);
        finish();
}

/* Its service may be one that begins. */
TEST(a_client_that_says_nothing_is_served_all_the_same)
{
        uint8_t bytes[HELLO_BYTES];
        int silent, ended;

        begin_named(bytes);
        silent = come("203.0.113.1", "");
        ended = come("203.0.113.2", "");
        check_equal(shutdown(ended, SHUT_WR), 0);
        scene_turn();
        check_equal(served(0), 'A');
        check_equal(served(0), '-');
        now.mono_us += GREETINGS_WAIT_US;
        greetings_advance(&forward.greetings, &now);
        check_equal(served(0), 'A');
        close(silent);
        close(ended);
        finish();
}

/* For as long as a gate is there: its client waits for that provider, and is nobody else's. */
TEST(a_client_waits_for_whom_it_asks_for)
{
        struct ipc_via a = { .swarm = 1, .peer = { 'A' } }, b = { .swarm = 1, .peer = { 'B' } };
        uint8_t bytes[HELLO_BYTES];
        int client;

        begin_named(bytes);
        choose_drop(&forward.clients.choose, &a, GATE, IPC_TCP, 0);
        choose_drop(&forward.clients.choose, &b, GATE, IPC_TCP, ipc_server_name("a.example"));
        client = come("203.0.113.1", "");
        say_bytes(client, bytes, HELLO_BYTES);
        check_equal(served(0), '-');
        check_equal(choose_set(&forward.clients.choose, &a, GATE, IPC_TCP, 0, 0, ipc_server_name("b.example")), 0);
        clients_serve(&forward.clients, GATE, IPC_TCP, &now);
        check_equal(served(0), '-');
        check_equal(choose_set(&forward.clients.choose, &b, GATE, IPC_TCP, 0, 0, ipc_server_name("*.example")), 0);
        clients_serve(&forward.clients, GATE, IPC_TCP, &now);
        check_equal(served(HELLO_BYTES), 'B');
        close(client);
        finish();
}
