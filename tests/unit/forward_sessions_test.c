/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions of one gate: whose each datagram is, when they end, and who provides for them. */
#include "forward_sessions.h"

#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#include "forward_sessions_scene.h"
#include "ipc_route.h"
#include "policy.h"

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

static void route_by(uint32_t swarm, struct policy *policy)
{
        struct ipc_via via = { .peer = { 'A' }, .swarm = swarm };

        check_equal(choose_set(&forward.clients.choose, &via, GATE, IPC_UDP, 0, 0, 0), 0);
        choose_restrict(&forward.clients.choose, &via, GATE, IPC_UDP, 0, policy);
        clients_serve(&forward.clients, GATE, IPC_UDP, &now);
}

/* Of the two swarm workers the first one is that client's own: what it says until that has met the provider lies in the pair. */
TEST(whom_a_limit_is_about_waits_with_its_datagrams_for_its_own_swarm_worker)
{
        struct ipc_rule rule = { .who = IPC_RULE_ALL, .allow = true, .protocols = 3, .port_last = UINT16_MAX, .except_first = 1,
                                 .bytes_per_s = 1000, .burst_bytes = 1000, .ways = IPC_RULE_UP };
        struct policy *policy = policy_new(&rule, 1);
        uint8_t address[16] = { [10] = 0xff, [11] = 0xff, [12] = 10 };
        struct ipc_received message;

        while (choose_own(address, 2) != 1)
                address[15]++;
        begin();
        forward.clients.limits.swarms = 2;
        inside_introduce(&inside, INSIDE_SWARM_2);
        scene_turn();
        choose_drop(&forward.clients.choose, &(struct ipc_via){ .peer = { 'A' }, .swarm = 1 }, GATE, IPC_UDP, 0);
        route_by(2, policy);
        say(0x0a000000 + address[15], 1000, "one");
        say(0x0a000000 + address[15], 1000, "two");
        check_equal(taken_count, 0);
        check_equal(inside_receive(&inside, INSIDE_SWARM_2, &message), 0);
        route_by(1, policy);
        take();
        check_equal(taken_count, 1);
        check_equal(taken[0].open.limit[1].bytes_per_s, 1000);
        check_heard(0, "one");
        check_heard(0, "two");
        check_heard(0, "-");
        check_equal(dropped, 0);
        policy_leave(policy);
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
