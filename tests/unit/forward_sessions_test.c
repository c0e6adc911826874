/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions of one gate: datagrams come by call, with addresses that need not be anybody's, and times ahead of the clock's. (Linked with
 * --wrap=run_memory_short.) */
#include "forward_sessions.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "forward_scene.h"
#include "ipc_channel.h"
#include "ipc_forward.h"
#include "ipc_route.h"

enum { GATE = 5353, IDLE_S = 300, TAKEN_MAX = 4200 };

static bool memory_is_short;
static struct sessions sessions;
static uint8_t buffer[SESSIONS_BUFFER_BYTES];
static struct now now;
static uint64_t dropped;
static int gate;

bool __wrap_run_memory_short(void);

bool __wrap_run_memory_short(void)
{
        return memory_is_short;
}

/* Sessions as the swarm worker has them, in the order they came. */
static struct taken {
        struct ipc_channel_open open;
        int fd;
} taken[TAKEN_MAX];
static unsigned taken_count;

static void take(void)
{
        struct ipc_received message;

        while (inside_receive(&inside, IPC_SWARM, &message)) {
                check_equal(message.type, IPC_CHANNEL_OPEN);
                check(taken_count < TAKEN_MAX);
                taken[taken_count].open = *IPC_PAYLOAD(&message, struct ipc_channel_open);
                taken[taken_count++].fd = ipc_received_take_fd(&message, 0);
        }
}

static void pass(usec_t us)
{
        now.mono_us += us;
}

static void begin_with(enum ipc_role sibling)
{
        struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

        scene_begin(IPC_DUTY_GATES, sibling);
        scene_gate(GATE, IPC_UDP);
        scene_provider('A', GATE, IPC_UDP);
        gate = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        check_equal(bind(gate, (struct sockaddr *)&any, sizeof(any)), 0);
        sessions_init(&sessions, &forward.clients, &forward.watch, buffer, &dropped);
        dropped = 0;
        sessions.fd = gate;
        sessions.gate_port = GATE;
        sessions.idle_us = SECONDS(IDLE_S);
        worker_now(&now);
        taken_count = 0;
}

static void begin(void)
{
        begin_with(IPC_SWARM);
}

static void finish(void)
{
        sessions_fini(&sessions);
        check_equal(sessions.count, 0);
        check_equal(sessions.hosts.count, 0);
        scene_end();
        for (unsigned i = 0; i < taken_count; i++)
                if (taken[i].fd >= 0)
                        close(taken[i].fd);
        close(gate);
}

static struct session_ends ends_of(uint32_t host, uint16_t port)
{
        struct session_ends ends = { 0 };

        ends.remote.v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(host) };
        ends.local.v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(GATE),
                                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        return ends;
}

static void say_as(const struct session_ends *ends, const char *text)
{
        struct iovec iov = { (void *)(uintptr_t)text, strlen(text) };

        sessions_receive(&sessions, ends, &iov, 1, &now);
        take();
}

static void say(uint32_t host, uint16_t port, const char *text)
{
        struct session_ends ends = ends_of(host, port);

        say_as(&ends, text);
}

/* What the swarm worker finds in that session: a datagram, "-" for nothing, "." for its end. Valid until the next call. */
static const char *heard(unsigned i)
{
        static char text[128];
        uint8_t bytes[128];
        ssize_t len = recv(taken[i].fd, bytes, sizeof(bytes), MSG_DONTWAIT);

        if (len <= 0)
                return len < 0 ? "-" : ".";
        snprintf(text, sizeof(text), "%.*s", (int)len - 1, (const char *)bytes + 1);
        return text;
}

#define check_heard(i, expected) check(strcmp(heard(i), expected) == 0)

/* The provider says something in session @i; what it says is the datagram behind its mark. */
static void reply(unsigned i, const void *bytes, size_t len)
{
        uint8_t mark = 0;
        struct iovec parts[] = { { &mark, 1 }, { (void *)(uintptr_t)bytes, len } };
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

        check_equal(sendmsg(taken[i].fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT), (long long)len + 1);
        scene_turn();
}

/* A client's own socket, and where it is. */
static int client_at(const char *ip, struct session_ends *ends)
{
        struct sockaddr_in addr = { .sin_family = AF_INET };
        socklen_t len = sizeof(addr);
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

        check_equal(inet_pton(AF_INET, ip, &addr.sin_addr), 1);
        check_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
        check_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
        *ends = ends_of(ntohl(addr.sin_addr.s_addr), ntohs(addr.sin_port));
        return fd;
}

static ssize_t answered(int client, char *out, size_t size)
{
        return recv(client, out, size, MSG_DONTWAIT);
}

TEST(a_client_is_one_session_and_its_datagrams_keep_their_borders)
{
        struct session_ends ends = ends_of(0x0a000001, 1000);
        struct iovec three[] = { { (void *)(uintptr_t)"one", 3 }, { NULL, 0 }, { (void *)(uintptr_t)"three", 5 } };

        begin();
        sessions_receive(&sessions, &ends, three, 3, &now);
        take();
        say_as(&ends, "four");
        check_equal(taken_count, 1);
        check_equal(taken[0].open.gate_port, GATE);
        check_equal(taken[0].open.protocol, IPC_UDP);
        check(memmem(taken[0].open.metadata, taken[0].open.metadata_len, "10.0.0.1", 8));
        check_heard(0, "one");
        check_heard(0, "");
        check_heard(0, "three");
        check_heard(0, "four");
        check_heard(0, "-");
        finish();
}

TEST(another_port_address_interface_or_gate_address_is_another_client)
{
        struct session_ends ends = ends_of(0x0a000001, 1000), v6 = { .interface = 2 };

        begin();
        say_as(&ends, "a");
        say(0x0a000001, 1001, "b");
        say(0x0a000002, 1000, "c");
        ends.local.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
        say_as(&ends, "d");
        v6.remote.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(1000), .sin6_scope_id = 2 };
        v6.local.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
        inet_pton(AF_INET6, "fe80::1", &v6.remote.v6.sin6_addr);
        say_as(&v6, "e");
        v6.remote.v6.sin6_scope_id = 3;
        say_as(&v6, "f");
        check_equal(taken_count, 6);
        for (unsigned i = 0; i < 6; i++)
                check_heard(i, ((const char[]){ (char)('a' + i), '\0' }));
        check_equal(sessions.hosts.count, 3);           /* 10.0.0.1, 10.0.0.2, fe80::/64 */
        finish();
}

TEST(answers_go_to_their_client_alone_and_empty_ones_too)
{
        static uint8_t large[SOCKET_DATAGRAM_MAX];
        static char back[SOCKET_DATAGRAM_MAX + 1];
        struct session_ends first, second;
        int clients[2];

        begin();
        clients[0] = client_at("127.0.0.1", &first);
        clients[1] = client_at("127.0.0.2", &second);
        say_as(&first, "q");
        say_as(&second, "q");
        reply(1, "to the second", 13);
        check_equal(answered(clients[0], back, sizeof(back)), -1);
        check_equal(answered(clients[1], back, sizeof(back)), 13);
        reply(0, NULL, 0);
        check_equal(answered(clients[0], back, sizeof(back)), 0);
        memset(large, 0x5a, sizeof(large));
        reply(0, large, sizeof(large));
        check_equal(answered(clients[0], back, sizeof(back)), SOCKET_DATAGRAM_MAX);
        check_bytes(back, large, sizeof(large));
        check_equal(answered(clients[1], back, sizeof(back)), -1);
        close(clients[0]);
        close(clients[1]);
        finish();
}

TEST(an_answer_that_is_too_long_or_can_not_leave_does_not_stop_those_behind_it)
{
        static uint8_t longer[SOCKET_DATAGRAM_MAX + 1];
        struct session_ends ends, nowhere = ends_of(0xffffffff, 9);     /* broadcast: EACCES */
        uint8_t mark_and_text[] = { 0, 'o', 'k' };
        char back[16];
        int client;

        begin();
        client = client_at("127.0.0.1", &ends);
        say_as(&ends, "q");
        say_as(&nowhere, "q");
        check_equal(send(taken[0].fd, longer, 1, 0), 1);        /* an empty one in front */
        reply(0, longer, sizeof(longer));
        check_equal(send(taken[0].fd, mark_and_text, 3, 0), 3);
        scene_turn();
        check_equal(answered(client, back, sizeof(back)), 0);
        check_equal(answered(client, back, sizeof(back)), 2);
        reply(1, "lost", 4);
        reply(1, "lost", 4);
        check_equal(dropped, 3);        /* and the long one */
        check_equal(sessions.count, 2);
        close(client);
        finish();
}

/* What is due until @us from now on is done then; how many sessions are left. */
static size_t left_after(usec_t us)
{
        usec_t end_us = now.mono_us + us;

        while (sessions_deadline(&sessions) <= end_us) {
                now.mono_us = usec_max(now.mono_us, sessions_deadline(&sessions));
                sessions_advance(&sessions, now.mono_us);
        }
        now.mono_us = end_us;
        return sessions.count;
}

TEST(a_session_is_young_until_its_client_speaks_after_an_answer)
{
        static const struct { bool answer, again; usec_t lasts_us; } cases[] = {
                { false, false, SESSIONS_YOUNG_US },
                { false, true, SESSIONS_YOUNG_US },
                { true, false, SESSIONS_YOUNG_US },
                { true, true, SECONDS(IDLE_S) },
        };

        for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
                begin();
                say(INADDR_LOOPBACK, 9, "q");
                if (cases[i].answer)
                        reply(0, "a", 1);
                worker_now(&now);
                if (cases[i].again)
                        say(INADDR_LOOPBACK, 9, "q");
                check_equal(left_after(cases[i].lasts_us - SECONDS(5)), 1);
                check_equal(left_after(SECONDS(10)), 0);
                check_equal(sessions_deadline(&sessions), USEC_NEVER);
                check_heard(0, "q");
                if (cases[i].again)
                        check_heard(0, "q");
                check_heard(0, ".");
                finish();
        }
}

TEST(what_is_said_meanwhile_moves_the_end_of_a_session)
{
        begin();
        say(INADDR_LOOPBACK, 9, "q");
        for (unsigned i = 0; i < 10; i++) {
                check_equal(left_after(SESSIONS_YOUNG_US - SECONDS(1)), 1);
                say(INADDR_LOOPBACK, 9, "q");
        }
        check_equal(taken_count, 1);
        check_equal(left_after(SESSIONS_YOUNG_US - SECONDS(1)), 1);
        check_equal(left_after(SECONDS(1)), 0);
        finish();
}

TEST(a_gate_with_less_patience_ends_young_ones_as_soon)
{
        begin();
        sessions.idle_us = SECONDS(2);
        say(INADDR_LOOPBACK, 9, "q");
        check_equal(left_after(SECONDS(1)), 1);
        check_equal(left_after(SECONDS(1)), 0);
        finish();
}

TEST(a_session_that_the_other_side_ended_begins_anew_with_the_same_client)
{
        struct session_ends ends;
        char back[16];
        int client;

        begin();
        client = client_at("127.0.0.1", &ends);
        say_as(&ends, "first");
        check_equal(send(taken[0].fd, "\0bye", 4, 0), 4);       /* in flight when it ends */
        close(taken[0].fd);
        taken[0].fd = -1;
        scene_turn();
        scene_turn();
        check_equal(answered(client, back, sizeof(back)), 3);   /* although it has left "first" unread */
        check_equal(sessions.count, 0);
        check_equal(sessions.hosts.count, 0);
        say_as(&ends, "second");
        check_equal(taken_count, 2);
        check(taken[1].open.channel != taken[0].open.channel);
        check_heard(1, "second");
        close(client);
        finish();
}

TEST(a_datagram_to_a_session_that_has_just_been_closed_is_lost_and_the_next_opens_another)
{
        begin();
        say(INADDR_LOOPBACK, 9, "first");
        close(taken[0].fd);
        taken[0].fd = -1;
        say(INADDR_LOOPBACK, 9, "into the void");
        check_equal(taken_count, 1);
        scene_turn();
        say(INADDR_LOOPBACK, 9, "third");
        check_equal(taken_count, 2);
        check_heard(1, "third");
        finish();
}

TEST(the_swarm_worker_says_that_a_session_is_over_before_or_after_its_end_is_read)
{
        for (unsigned first = 0; first < 2; first++) {
                begin();
                say(INADDR_LOOPBACK, 9, "q");
                clients_opened(&forward.clients, 1, &(struct ipc_channel){ taken[0].open.channel }, &now);
                if (first)
                        clients_closed(&forward.clients, 1, &(struct ipc_channel_closed){ .channel = taken[0].open.channel });
                close(taken[0].fd);
                taken[0].fd = -1;
                scene_turn();
                check_equal(sessions.count, 0);
                if (!first)
                        clients_closed(&forward.clients, 1, &(struct ipc_channel_closed){ .channel = taken[0].open.channel });
                check_equal(forward.clients.handed.count, 0);
                finish();
        }
}

TEST(a_refused_session_tries_the_next_provider_with_all_it_has_said)
{
        struct ipc_via other = { .peer = { 'B' }, .swarm = 1 };
        struct ipc_channel_refused refused = { .reason = IPC_REASON_REFUSED };

        begin();
        check_equal(choose_set(&forward.clients.choose, &other, GATE, IPC_UDP, 0, 0, 0), 0);
        say(INADDR_LOOPBACK, 9, "one");
        say(INADDR_LOOPBACK, 9, "two");
        refused.channel = taken[0].open.channel;
        clients_refused(&forward.clients, 1, &refused, taken[0].fd, &now);
        taken[0].fd = -1;
        take();
        check_equal(taken_count, 2);
        check(taken[0].open.peer[0] != taken[1].open.peer[0]);
        say(INADDR_LOOPBACK, 9, "three");
        check_heard(1, "one");
        check_heard(1, "two");
        check_heard(1, "three");
        refused.channel = taken[1].open.channel;        /* and by all: it is over, as a closed port is */
        clients_refused(&forward.clients, 1, &refused, taken[1].fd, &now);
        taken[1].fd = -1;
        check_equal(sessions.count, 0);
        finish();
}

TEST(a_refusal_of_a_session_that_is_over_meanwhile_hurts_nobody)
{
        struct ipc_channel_refused refused = { .reason = IPC_REASON_NO_PEER };

        begin();
        say(INADDR_LOOPBACK, 9, "q");
        check_equal(left_after(SESSIONS_YOUNG_US), 0);
        check_equal(forward.clients.handed.count, 1);
        refused.channel = taken[0].open.channel;
        clients_refused(&forward.clients, 1, &refused, taken[0].fd, &now);
        taken[0].fd = -1;
        check_equal(forward.clients.handed.count, 0);
        say(INADDR_LOOPBACK, 9, "q");
        check_equal(sessions.count, 1);
        finish();
}

TEST(without_a_swarm_worker_a_session_waits_and_without_a_gate_it_is_over_at_once)
{
        begin_with(IPC_SUPERVISOR);
        say(INADDR_LOOPBACK, 9, "q");
        check_equal(sessions.count, 1);
        check_equal(forward.clients.handed.count, 0);
        inside_introduce(&inside, IPC_SWARM);
        scene_turn();
        take();
        check_equal(taken_count, 1);
        check_heard(0, "q");
        clients_gates_begin(&forward.clients);
        clients_gates_end(&forward.clients);
        say(INADDR_LOOPBACK, 10, "q");
        check_equal(sessions.count, 1);
        finish();
}

TEST(a_waiting_session_that_ends_leaves_the_line)
{
        begin_with(IPC_SUPERVISOR);
        say(INADDR_LOOPBACK, 9, "q");
        check(clients_deadline(&forward.clients) != USEC_NEVER);
        check_equal(left_after(SESSIONS_YOUNG_US), 0);
        check_equal(clients_deadline(&forward.clients), USEC_NEVER);
        finish();
}

TEST(sessions_end_with_the_swarm_worker_that_had_them)
{
        begin();
        say(INADDR_LOOPBACK, 9, "q");
        say(INADDR_LOOPBACK, 10, "q");
        clients_lose(&forward.clients, 1, &now);
        check_equal(sessions.count, 0);
        finish();
}

TEST(what_finds_no_room_in_a_session_is_dropped_and_others_go_on)
{
        static uint8_t bytes[60000];
        struct session_ends ends = ends_of(INADDR_LOOPBACK, 9);
        struct iovec iov[SESSIONS_BATCH_MAX];
        unsigned passed = 0;

        begin();
        for (unsigned i = 0; i < SESSIONS_BATCH_MAX; i++)
                iov[i] = (struct iovec){ bytes, sizeof(bytes) };
        for (unsigned i = 0; i < 10; i++)
                sessions_receive(&sessions, &ends, iov, SESSIONS_BATCH_MAX, &now);
        take();
        say(INADDR_LOOPBACK, 10, "beside");
        check_heard(1, "beside");
        while (recv(taken[0].fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
                passed++;
        check(passed > 1 && passed < 10 * SESSIONS_BATCH_MAX);
        check_equal(dropped, 10 * SESSIONS_BATCH_MAX - passed);
        say(INADDR_LOOPBACK, 9, "later");
        check_heard(0, "later");
        finish();
}

TEST(new_sessions_come_no_faster_than_a_thousand_a_second)
{
        begin_with(IPC_SUPERVISOR);
        for (unsigned i = 0; i < 2 * SESSIONS_NEW_PER_S; i++)
                say(0x0a000000 + i, 9, "q");
        check_equal(now.mono_us - sessions.new_us, 0);
        pass(MSEC(10));
        for (unsigned i = 0; i < 50; i++)
                say(0x0b000000 + i, 9, "q");
        check_equal(now.mono_us - sessions.new_us, 0);
        check_equal(dropped, SESSIONS_NEW_PER_S + 40);
        check(sessions.count <= CLIENTS_WAITING_MAX);   /* the rest was refused: nobody may wait without end */
        finish();
}

/* Descriptors for that many sessions, both ends of each. */
static void allow_fds(rlim_t count)
{
        struct rlimit limit;

        check_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur = MIN(count, limit.rlim_max);
        check_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        check_equal(limit.rlim_cur, count);
}

static bool is_over(unsigned i)
{
        struct pollfd look = { .fd = taken[i].fd, .events = POLLRDHUP };

        return poll(&look, 1, 0) == 1 && look.revents & (POLLHUP | POLLRDHUP);
}

/* Begins @count sessions of different ports of @host, in as many milliseconds. */
static void crowd(uint32_t host, unsigned count)
{
        for (unsigned i = 0; i < count; i++) {
                pass(MSEC(1));
                say(host, (uint16_t)(1024 + i), "q");
        }
}

TEST(one_host_gets_half_of_what_others_leave_and_then_replaces_its_own_longest_silent)
{
        enum { HALF = SESSIONS_MAX / 2 };

        allow_fds(4 * SESSIONS_MAX);
        begin();
        say(0x0a000002, 9, "q");
        crowd(0x0a000001, HALF - 1);
        check_equal(sessions.count, HALF);
        check_equal(taken_count, HALF);
        pass(MSEC(1));
        say(0x0a000001, 1024, "again");         /* the second is the longest silent now */
        say(0x0a000001, 100, "one more");
        check_equal(sessions.count, HALF);
        check(!is_over(0));
        check(!is_over(1));
        check(is_over(2));
        check(!is_over(3));
        finish();
}

/* Who sends blindly has proven itself, too, if it does so twice. */
TEST(where_all_are_proven_the_longest_silent_one_goes_once_it_has_rested)
{
        unsigned count;

        allow_fds(400);
        begin();
        sessions.idle_us = MINUTES(60);
        for (unsigned i = 0; !worker_fds_short(&forward.worker); i++) {
                pass(MSEC(1));
                say(0x0a000000 + i, 9, "q");
        }
        for (unsigned i = 0; i < taken_count; i++) {
                heard(i);
                reply(i, "a", 1);
        }
        worker_now(&now);
        for (unsigned i = 0; i < taken_count; i++) {
                pass(MSEC(1));
                say(0x0a000000 + i, 9, "q");
        }
        count = taken_count;
        pass(SECONDS(100));
        say(0x0a000000, 9, "q");                /* goes on */
        pass(SECONDS(19));
        say(0x0b000000, 9, "q");
        check_equal(taken_count, count);        /* not yet */
        pass(SECONDS(2));
        say(0x0b000000, 9, "q");
        check_equal(taken_count, count + 1);
        check(!is_over(0));
        check(is_over(1));
        check(!is_over(2));
        say(0x0b000001, 9, "q");                /* the young one before any other */
        check(is_over(count));
        check(!is_over(2));
        finish();
}

/* Sessions that have lasted are nobody's to take. */
TEST(proven_sessions_make_room_for_nobody_and_the_log_says_it_once)
{
        struct ipc_received message;
        unsigned told = 0;

        allow_fds(400);
        begin();
        for (unsigned i = 0; !worker_fds_short(&forward.worker); i++) {
                pass(MSEC(1));
                say(0x0a000000 + i, 9, "q");
        }
        check(taken_count > 50);
        for (unsigned i = 0; i < taken_count; i++) {
                heard(i);
                reply(i, "a", 1);
                say(0x0a000000 + i, 9, "q");
        }
        worker_now(&now);
        inside_drain(&inside);
        pass(SECONDS(1));
        say(0x0b000000, 9, "q");
        say(0x0b000001, 9, "q");
        check_equal(sessions.hosts.count, taken_count);
        while (inside_receive(&inside, IPC_SUPERVISOR, &message))
                told += message.type == IPC_LOG && IPC_PAYLOAD(&message, struct ipc_log)->level == LOG_NOTICE;
        check_equal(told, 1);
        for (unsigned i = 0; i < taken_count; i++)
                check(!is_over(i));
        check_equal(left_after(SECONDS(IDLE_S) + SECONDS(1)), 0);       /* they end, and there is room again */
        say(0x0b000000, 9, "q");
        check_equal(sessions.count, 1);
        finish();
}

TEST(when_descriptors_are_short_the_longest_silent_young_one_of_anybody_goes)
{
        unsigned count;

        allow_fds(400);
        begin();
        for (unsigned i = 0; !worker_fds_short(&forward.worker); i++) {
                pass(MSEC(1));
                say(0x0a000000 + i, 9, "q");
        }
        count = taken_count;
        say(0x0b000000, 9, "q");
        check(is_over(0));
        check(!is_over(1));
        check_equal(taken_count, count + 1);
        check_equal(sessions.count, count);
        say(0x0b000000, 10, "q");               /* a host's second: its own first goes */
        check(is_over(count));
        check(!is_over(1));
        finish();
}

TEST(when_memory_is_short_no_session_begins_and_those_that_run_go_on)
{
        struct ipc_received message;
        unsigned told = 0;

        begin();
        say(0x0a000000, 9, "one");
        memory_is_short = true;
        say(0x0b000000, 9, "two");
        say(0x0c000000, 9, "three");
        say(0x0a000000, 9, "four");
        memory_is_short = false;
        check_equal(sessions.count, 1);
        check_equal(taken_count, 1);
        check_equal(dropped, 2);
        while (inside_receive(&inside, IPC_SUPERVISOR, &message))
                told += message.type == IPC_LOG && strstr(IPC_PAYLOAD(&message, struct ipc_log)->text, "gate 5353/udp: no memory left");
        check_equal(told, 1);
        check_heard(0, "one");
        check_heard(0, "four");
        say(0x0b000000, 9, "five");
        check_equal(sessions.count, 2);
        check_heard(1, "five");
        finish();
}

/* --- Sockets of their own --- */

/* What the supervisor is asked for, if it is. */
static bool is_asked(struct ipc_session_detach *out)
{
        struct ipc_received message;
        bool found = false;

        while (!found && inside_receive(&inside, IPC_SUPERVISOR, &message)) {
                found = message.type == IPC_SESSION_DETACH;
                if (found)
                        *out = *IPC_PAYLOAD(&message, struct ipc_session_detach);
        }
        return found;
}

static void supervisor_says(uint64_t session, uint32_t error)
{
        struct ipc_session_detached detached = { .session = session, .error = error };

        inside_send(&inside, IPC_SUPERVISOR, IPC_SESSION_DETACHED, &detached, error ? -1 : gate);
        scene_turn();
}

/* What the swarm worker is told of that session; IPC_NOTHING: nothing. */
static enum ipc_type told(unsigned i)
{
        struct ipc_received message;
        enum ipc_type type = IPC_NOTHING;

        if (!inside_receive(&inside, IPC_SWARM, &message))
                return type;
        type = (enum ipc_type)message.type;
        check_equal(IPC_PAYLOAD(&message, struct ipc_channel)->channel, taken[i].open.channel);
        if (type == IPC_CHANNEL_SOCKET)
                check(message.fd_count == 1 && IPC_PAYLOAD(&message, struct ipc_channel_socket)->idle_ms == IDLE_S * 1000);
        ipc_received_fini(&message);
        return type;
}

/* A session that runs and is proven; then one datagram short of busy. */
static void open_proven(const struct session_ends *ends, unsigned i)
{
        struct ipc_session_detach none;

        worker_now(&now);
        say_as(ends, "q");
        check_equal(taken_count, i + 1);
        clients_opened(&forward.clients, 1, &(struct ipc_channel){ taken[i].open.channel }, &now);
        reply(i, "a", 1);
        check_heard(i, "q");
        worker_now(&now);
        pass(SECONDS(1));
        for (unsigned n = 1; n < SESSIONS_BUSY; n++) {
                say_as(ends, "q");
                check_heard(i, "q");
        }
        check(!is_asked(&none));
}

static struct session_ends last_ends;

/* The gate's socket has something yet. */
static void drain(struct sessions *of, const struct now *at)
{
        static char last[] = "last";
        struct iovec iov = { last, 4 };

        check(of == &sessions);
        sessions_receive(of, &last_ends, &iov, 1, at);
}

TEST(a_busy_session_gets_a_socket_of_its_own_once_all_has_been_handed_on)
{
        struct ipc_session_detach asked;
        char back[16];
        int client;

        begin();
        client = client_at("127.0.0.1", &last_ends);
        sessions.drain = drain;
        open_proven(&last_ends, 0);
        say_as(&last_ends, "busy");
        check(is_asked(&asked));
        check_equal(asked.session, taken[0].open.channel);
        check(asked.gate_port == GATE && asked.remote_port == socket_address_port(&last_ends.remote) && asked.scope == 0);
        check(asked.local_ip[12] == 127 && asked.remote_ip[15] == 1 && asked.remote_ip[11] == 0xff);
        say_as(&last_ends, "meanwhile");
        supervisor_says(asked.session, 0);
        check_equal(told(0), IPC_CHANNEL_SOCKET);
        check_heard(0, "busy");
        check_heard(0, "meanwhile");
        check_heard(0, "-");                    /* no end before the swarm worker says no more */
        reply(0, "bye", 3);
        check_equal(shutdown(taken[0].fd, SHUT_WR), 0);
        scene_turn();
        check(answered(client, back, sizeof(back)) == 1 && answered(client, back, sizeof(back)) == 3);
        check_heard(0, "last");
        check_heard(0, ".");
        check(sessions.count == 1 && sessions.detached == 1);
        check_equal(sessions_deadline(&sessions), USEC_NEVER);  /* that is the swarm worker's to see now */
        say_as(&last_ends, "astray");
        check_equal(dropped, 1);
        forward.clients.limits.connections_per_client = 1;      /* it still counts */
        say(INADDR_LOOPBACK, 9, "another");
        check_equal(taken_count, 1);
        clients_closed(&forward.clients, 1, &(struct ipc_channel_closed){ .channel = taken[0].open.channel });
        check(sessions.count == 0 && sessions.detached == 0 && told(0) == IPC_NOTHING);
        say_as(&last_ends, "again");
        check_equal(taken_count, 2);
        close(client);
        finish();
}

/* However much it is, nobody is known to be there: all answers come at once, after the last of it. */
TEST(who_only_sends_gets_no_socket_and_neither_does_who_says_little)
{
        struct session_ends ends = ends_of(0x0a000001, 9), steady = ends_of(0x0a000002, 9);
        struct ipc_session_detach asked;

        begin();
        say_as(&ends, "q");
        clients_opened(&forward.clients, 1, &(struct ipc_channel){ taken[0].open.channel }, &now);
        for (unsigned n = 0; n < 20 * SESSIONS_BUSY; n++) {
                say_as(&ends, "flood");
                heard(0);
        }
        for (unsigned n = 0; n < 2 * SESSIONS_BUSY; n++)        /* all of which are answered */
                reply(0, "a", 1);
        check(!is_asked(&asked));
        open_proven(&steady, 1);
        pass(SECONDS(1));
        for (unsigned n = 0; n < 4 * SESSIONS_BUSY; n++) {
                pass(SECONDS(2) / SESSIONS_BUSY);
                say_as(&steady, "q");
                heard(1);
        }
        check(!is_asked(&asked));
        finish();
}

TEST(a_session_that_is_refused_a_socket_goes_on_and_for_some_time_nobody_asks)
{
        static const struct { uint32_t error; bool others_ask; } cases[] = { { EADDRINUSE, false }, { EADDRNOTAVAIL, true } };

        for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
                struct session_ends one = ends_of(0x0a000001, 9), other = ends_of(0x0a000002, 9);
                struct ipc_session_detach asked;

                begin();
                open_proven(&one, 0);
                say_as(&one, "busy");
                check(is_asked(&asked));
                supervisor_says(asked.session, cases[i].error);
                check_equal(told(0), IPC_NOTHING);
                check_equal(sessions.detached, 0);
                for (unsigned n = 0; n < 2 * SESSIONS_BUSY; n++)
                        say_as(&one, "more");
                check(!is_asked(&asked));
                check_heard(0, "busy");
                check_heard(0, "more");
                open_proven(&other, 1);
                say_as(&other, "busy");
                check_equal(is_asked(&asked), cases[i].others_ask);
                pass(SESSIONS_REFUSED_US);
                for (unsigned n = 0; n < SESSIONS_BUSY; n++)
                        say_as(&other, "busy");
                check_equal(is_asked(&asked), !cases[i].others_ask);
                finish();
        }
}

TEST(a_session_that_ends_takes_its_socket_back_and_one_that_is_over_gets_none)
{
        struct session_ends ends[3] = { ends_of(0x0a000001, 9), ends_of(0x0a000002, 9), ends_of(0x0a000003, 9) };
        struct ipc_session_detach asked;

        begin();
        for (unsigned i = 0; i < 3; i++) {
                open_proven(&ends[i], i);
                say_as(&ends[i], "busy");
                check(is_asked(&asked));
                if (i == 2)
                        clients_closed(&forward.clients, 1, &(struct ipc_channel_closed){ .channel = taken[i].open.channel });
                supervisor_says(asked.session, 0);
                check_equal(told(i), i == 2 ? IPC_NOTHING : IPC_CHANNEL_SOCKET);
        }
        check_equal(shutdown(taken[0].fd, SHUT_WR), 0); /* one has gone, the other is about to */
        scene_turn();
        check_equal(sessions.count, 2);
        check_equal(sessions.detached, 2);
        sessions_fini(&sessions);
        for (unsigned i = 0, ended = 0; i < 2; i++) {
                struct ipc_received message;

                check_equal(inside_receive(&inside, IPC_SWARM, &message), 1);
                check_equal(message.type, IPC_CHANNEL_END);
                ended |= 1U << (IPC_PAYLOAD(&message, struct ipc_channel)->channel == taken[1].open.channel);
                check(i == 0 || ended == 3);
        }
        sessions_init(&sessions, &forward.clients, &forward.watch, buffer, &dropped);
        finish();
}

TEST(so_many_have_sockets_of_their_own_and_no_more)
{
        struct ipc_session_detach asked;

        allow_fds(4 * SESSIONS_DETACHED_MAX);
        begin();
        for (unsigned i = 0; i <= SESSIONS_DETACHED_MAX; i++) {
                struct session_ends ends = ends_of(0x0a000000 + i, 9);

                open_proven(&ends, i);
                say_as(&ends, "busy");
                check_equal(is_asked(&asked), i < SESSIONS_DETACHED_MAX);
        }
        check_equal(sessions.detached, SESSIONS_DETACHED_MAX);
        finish();
}
