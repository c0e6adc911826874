/* SPDX-License-Identifier: BSD-3-Clause */
/* The clients of a gate in virtual time. */
#include "forward_clients.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "forward_scene.h"
#include "policy.h"

enum { GATE = 8080, WAIT_S = 60 };

static struct now now;

static void at(usec_t mono_us)
{
        now = (struct now){ .mono_us = mono_us, .boot_us = mono_us, .wall_us = SECONDS(1700000000) + mono_us };
}

static void begin(const char *providers)
{
        worker_now(&now);
        at(now.mono_us + MINUTES(60));          /* ahead of the clock by which scene_turn() lives: nothing is due there */
        scene_begin(IPC_DUTY_GATES, IPC_SWARM);
        scene_gate(GATE, IPC_TCP);
        for (; *providers; providers++)
                scene_provider(*providers, GATE, IPC_TCP);
}

static void finish(void)
{
        scene_end();
}

/* A client comes; returns its own end. */
static int come(void)
{
        const union socket_address nowhere = { 0 };
        int fds[2];

        check_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        clients_accept(&forward.clients, GATE, IPC_TCP, fds[0], &nowhere, NULL, NULL, &now);
        return fds[1];
}

static bool closed(int client)
{
        char byte;

        return recv(client, &byte, 1, MSG_DONTWAIT) == 0;
}

/* The provider asked next, '-' for none; the connection and the message go to @fd_out and @open. */
static char asked(int *fd_out, struct ipc_channel_open *open)
{
        struct ipc_received message;

        if (!inside_receive(&inside, IPC_SWARM, &message))
                return '-';
        check_equal(message.type, IPC_CHANNEL_OPEN);
        *open = *IPC_PAYLOAD(&message, struct ipc_channel_open);
        *fd_out = ipc_received_take_fd(&message, 0);
        return (char)open->peer[0];
}

static void refuse(const struct ipc_channel_open *open, enum ipc_reason reason, int fd)
{
        struct ipc_channel_refused refused = { .channel = open->channel, .reason = reason };

        clients_refused(&forward.clients, 1, &refused, fd, &now);
}

/* What is due next is done, at its time; returns how long that took. */
static usec_t next_due(void)
{
        usec_t due_us = clients_deadline(&forward.clients), before_us = now.mono_us;

        check(due_us != USEC_NEVER && due_us >= now.mono_us);
        at(due_us);
        clients_advance(&forward.clients, &now);
        return due_us - before_us;
}

TEST(nobody_waits_longer_than_the_gate_says)
{
        int client;

        begin("");
        client = come();
        check_equal(forward.clients.gates.count, 1);
        check_equal(next_due(), SECONDS(WAIT_S));
        check(closed(client));
        check_equal(clients_deadline(&forward.clients), USEC_NEVER);
        close(client);
        finish();
}

TEST(an_attempt_may_last_as_long_as_its_client_has_left_and_a_second_at_least)
{
        static const struct { unsigned after_ms, limit_ms, said_ms; } cases[] = {
                { 0, 15000, 0 }, { 50000, 10000, 0 }, { 59900, 1000, 0 }, { 0, 3000, 3000 }, { 0, 30000, 30000 }, { 50000, 10000, 30000 },
        };

        for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct ipc_via via = { .peer = { 'A' }, .swarm = 1 };
                struct ipc_channel_open open;
                int client, fd;

                begin("");
                forward.clients.limits.open_ms = cases[i].said_ms;
                client = come();
                at(now.mono_us + MSEC(cases[i].after_ms));
                check_equal(choose_set(&forward.clients.choose, &via, GATE, IPC_TCP, 0, 0, 0), 0);
                clients_serve(&forward.clients, GATE, IPC_TCP, &now);
                check_equal(asked(&fd, &open), 'A');
                check_equal(open.deadline_ms, cases[i].limit_ms);
                close(fd);
                close(client);
                finish();
        }
}

TEST(a_silent_provider_is_asked_again_after_its_rest_until_the_clients_time_is_up)
{
        struct ipc_channel_open open;
        int client, fd;
        unsigned attempts = 0;
        usec_t start_us;

        begin("A");
        start_us = now.mono_us;
        client = come();
        while (asked(&fd, &open) == 'A') {
                attempts++;
                refuse(&open, IPC_REASON_NO_PEER, fd);
                if (!closed(client))
                        next_due();
        }
        check(closed(client));
        check_equal(now.mono_us - start_us, SECONDS(WAIT_S));
        check_equal(attempts, 6);               /* at 0, 1, 3, 7, 15 and 31 seconds: the next rest ends at 61 */
        close(client);
        finish();
}

TEST(refusals_by_all_end_it_at_once_unless_one_could_not_be_asked)
{
        struct ipc_channel_open open;
        int client, fd;

        begin("AB");
        client = come();
        check_equal(asked(&fd, &open), 'A');
        refuse(&open, IPC_REASON_REFUSED, fd);
        check_equal(asked(&fd, &open), 'B');
        refuse(&open, IPC_REASON_TIMED_OUT, fd);
        check(!closed(client));
        next_due();
        check_equal(asked(&fd, &open), 'A');
        refuse(&open, IPC_REASON_REFUSED, fd);
        check(!closed(client));
        close(client);
        finish();
        begin("AB");
        client = come();
        check_equal(asked(&fd, &open), 'A');
        refuse(&open, IPC_REASON_REFUSED, fd);
        check_equal(asked(&fd, &open), 'B');
        refuse(&open, IPC_REASON_REFUSED, fd);
        check(closed(client));
        close(client);
        finish();
}

TEST(how_a_clients_connection_ended_is_counted)
{
        struct ipc_channel_closed closed = { .reason = IPC_REASON_RESET_PEER };
        struct ipc_channel_open open;
        struct ipc_received message;
        int client, fd;

        begin("A");
        client = come();
        check_equal(asked(&fd, &open), 'A');
        closed.channel = open.channel;
        clients_opened(&forward.clients, 1, &(struct ipc_channel){ .channel = open.channel }, &now);
        clients_closed(&forward.clients, 1, &closed);
        close(fd);
        inside_drain(&inside);
        scene_turn();                 /* sets its timer, */
        scene_turn();                 /* which tells */
        do
                check(inside_receive(&inside, IPC_SUPERVISOR, &message));
        while (message.type != IPC_FORWARD_STATUS);
        check_equal(IPC_PAYLOAD(&message, struct ipc_forward_status)->ended[IPC_REASON_RESET_PEER], 1);
        close(client);
        finish();
}

TEST(a_client_that_broke_meanwhile_is_no_ones_fault)
{
        struct ipc_channel_open open;
        int client, fd;

        begin("A");
        client = come();
        check_equal(asked(&fd, &open), 'A');
        refuse(&open, IPC_REASON_RESET_LOCAL, fd);
        check(closed(client));
        check_equal(choose_ready_us(&forward.clients.choose, GATE, IPC_TCP, NULL, 0), 0);
        check_equal(forward.clients.handed.count, 0);
        close(client);
        finish();
}

TEST(a_refusal_without_the_connection_ends_it)
{
        struct ipc_channel_open open;
        int client, fd;

        begin("AB");
        client = come();
        check_equal(asked(&fd, &open), 'A');
        close(fd);
        refuse(&open, IPC_REASON_REFUSED, -1);
        check_equal(asked(&fd, &open), '-');
        check(closed(client));
        close(client);
        finish();
}

TEST(what_comes_back_to_a_gate_that_closed_is_reset)
{
        struct ipc_channel_open open;
        int client, fd;

        begin("AB");
        client = come();
        check_equal(asked(&fd, &open), 'A');
        clients_gates_begin(&forward.clients);
        clients_gates_end(&forward.clients);
        refuse(&open, IPC_REASON_REFUSED, fd);
        check_equal(asked(&fd, &open), '-');
        check(closed(client));
        close(client);
        finish();
}

TEST(when_the_swarm_worker_is_behind_clients_wait_here_and_none_is_lost)
{
        enum { CLIENTS = 400 };
        struct ipc_channel_open open;
        unsigned here = 0, count = 0;
        int clients[CLIENTS], fd;

        begin("A");
        while (!clients_busy(&forward.clients) && here < CLIENTS)
                clients[here++] = come();
        check(here < CLIENTS);                  /* the kernel takes so many and no more */
        for (unsigned i = 0; i < 5; i++)
                clients[here++] = come();
        while (count < here) {
                if (asked(&fd, &open) == '-') {
                        scene_turn();                 /* the queue moves on, and that is all that wakes them */
                        continue;
                }
                count++;
                check_equal(open.channel, count);
                close(fd);
        }
        for (unsigned i = 0; i < here; i++) {
                check(closed(clients[i]));      /* by us, who held the last copy */
                close(clients[i]);
        }
        check_equal(asked(&fd, &open), '-');
        finish();
}

/* Its rest is over, and one client asks whether it works: the others are let in as soon as it does, not when they would ask. */
TEST(who_waits_for_a_provider_goes_on_when_another_client_got_through)
{
        struct ipc_channel_open open, other;
        int first, second, fd, other_fd;

        begin("A");
        first = come();
        second = come();
        check_equal(asked(&fd, &open), 'A');
        check_equal(asked(&other_fd, &other), 'A');
        refuse(&open, IPC_REASON_NO_PEER, fd);
        refuse(&other, IPC_REASON_NO_PEER, other_fd);
        check_equal(next_due(), CHOOSE_REST_MIN_US);
        check_equal(asked(&fd, &open), 'A');
        check_equal(asked(&other_fd, &other), '-');
        clients_opened(&forward.clients, 1, &(struct ipc_channel){ open.channel }, &now);
        check_equal(asked(&other_fd, &other), 'A');
        check_equal(clients_deadline(&forward.clients), USEC_NEVER);
        close(fd);
        close(other_fd);
        close(first);
        close(second);
        finish();
}

TEST(a_provider_that_works_again_is_used_at_once)
{
        struct ipc_channel_open open;
        int first, second, third, fd, other;

        begin("A");
        first = come();
        check_equal(asked(&fd, &open), 'A');
        second = come();
        check_equal(asked(&other, &(struct ipc_channel_open){ 0 }), 'A');
        refuse(&open, IPC_REASON_PEER_LOST, fd);
        check(choose_ready_us(&forward.clients.choose, GATE, IPC_TCP, NULL, 0) > now.mono_us);
        clients_opened(&forward.clients, 1, &(struct ipc_channel){ open.channel + 1 }, &now);
        check_equal(choose_ready_us(&forward.clients.choose, GATE, IPC_TCP, NULL, 0), 0);
        third = come();
        check_equal(asked(&fd, &open), 'A');
        close(fd);
        close(other);
        close(first);
        close(second);
        close(third);
        finish();
}

/* The swarm worker may be gone first, and its link with it. */
TEST(a_client_that_comes_while_all_are_leaving_is_asked_for_nowhere)
{
        struct ipc_channel_open open;
        int before, client, fd;

        begin("A");
        before = come();
        check_equal(asked(&fd, &open), 'A');
        inside_send(&inside, IPC_SUPERVISOR, IPC_STOP, &(struct ipc_stop){ 1000 }, -1);
        scene_turn();
        inside_depart(&inside, IPC_SWARM);
        scene_turn();
        check(!clients_busy(&forward.clients));
        client = come();
        check(!closed(client) && forward.clients.handed.count == 1);
        finish();
        check(closed(client));
        close(fd);
        close(client);
        close(before);
}

/* Provider A is connected to both swarm workers. */
static void begin_with_two(void)
{
        struct ipc_via second = { .peer = { 'A' }, .swarm = 2 };

        begin("A");
        inside_introduce(&inside, INSIDE_SWARM_2);
        scene_turn();
        check_equal(choose_set(&forward.clients.choose, &second, GATE, IPC_TCP, 0, 0, 0), 0);
}

/* The connection that went to that swarm worker, and its number there. */
static int taken_by(enum ipc_role swarm, uint64_t *number_out)
{
        struct ipc_received message;
        int fd;

        check_equal(inside_receive(&inside, swarm, &message), 1);
        check_equal(message.type, IPC_CHANNEL_OPEN);
        *number_out = IPC_PAYLOAD(&message, struct ipc_channel_open)->channel;
        fd = ipc_received_take_fd(&message, 0);
        ipc_received_fini(&message);
        return fd;
}

TEST(two_swarm_workers_take_turns_and_with_one_go_its_clients_alone)
{
        int clients[2], fds[2];
        uint64_t numbers[2];

        begin_with_two();
        clients[0] = come();
        clients[1] = come();
        fds[0] = taken_by(IPC_SWARM, &numbers[0]);
        fds[1] = taken_by(INSIDE_SWARM_2, &numbers[1]);
        check_equal(forward.clients.handed.count, 2);
        inside_depart(&inside, INSIDE_SWARM_2);
        scene_turn();
        check_equal(forward.clients.handed.count, 1);
        clients_closed(&forward.clients, 1, &(struct ipc_channel_closed){ .channel = numbers[0] });
        check_equal(forward.clients.handed.count, 0);
        close(clients[0]);
        close(clients[1]);
        clients[0] = come();    /* the way that is left */
        close(fds[0]);
        fds[0] = taken_by(IPC_SWARM, &numbers[0]);
        close(clients[0]);
        close(fds[0]);
        close(fds[1]);
        finish();
}

TEST(what_one_swarm_worker_says_of_anothers_client_means_nothing)
{
        struct ipc_channel_refused refused = { .reason = IPC_REASON_REFUSED };
        uint64_t number;
        int client, fd;

        begin_with_two();
        client = come();
        fd = taken_by(IPC_SWARM, &number);
        refused.channel = number;
        clients_opened(&forward.clients, 2, &(struct ipc_channel){ number }, &now);
        clients_closed(&forward.clients, 2, &(struct ipc_channel_closed){ .channel = number });
        clients_refused(&forward.clients, 2, &refused, -1, &now);
        check_equal(forward.clients.handed.count, 1);
        clients_refused(&forward.clients, 1, &refused, fd, &now);       /* as it was not opened: the next way is tried */
        fd = taken_by(INSIDE_SWARM_2, &number);
        close(fd);
        close(client);
        finish();
}

/* --- Limits --- */

static int come_from(uint32_t address)
{
        const union socket_address remote = { .v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(address) } };
        int fds[2];

        check_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        clients_accept(&forward.clients, GATE, IPC_TCP, fds[0], &remote, NULL, NULL, &now);
        return fds[1];
}

static int come_from6(uint16_t network, uint16_t host)
{
        union socket_address remote = { .v6 = { .sin6_family = AF_INET6 } };
        int fds[2];

        memcpy(&remote.v6.sin6_addr.s6_addr[6], &network, sizeof(network));
        memcpy(&remote.v6.sin6_addr.s6_addr[14], &host, sizeof(host));
        check_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        clients_accept(&forward.clients, GATE, IPC_TCP, fds[0], &remote, NULL, NULL, &now);
        return fds[1];
}

TEST(a_gate_has_as_many_connections_as_it_may)
{
        int client[4];

        begin("");
        forward.clients.limits.connections = 3;
        for (uint32_t i = 0; i < 3; i++)
                check(!closed(client[i] = come_from(i)));
        check(closed(client[3] = come_from(9)));
        close(client[3]);
        check_equal(next_due(), SECONDS(WAIT_S));       /* they all wait in vain, and leave */
        for (unsigned i = 0; i < 3; i++) {
                check(closed(client[i]));
                close(client[i]);
        }
        check_equal(forward.clients.guests.all.count, 0);
        check(!closed(client[3] = come_from(9)));
        close(client[3]);
        finish();
}

TEST(a_client_has_as_many_connections_as_it_may)
{
        struct ipc_channel_open open;
        int client[8], fd;

        begin("a");
        forward.clients.limits.connections_per_client = 2;
        for (unsigned i = 0; i < 2; i++) {
                check(!closed(client[i] = come_from(1)));
                check_equal(asked(&fd, &open), 'a');
                close(fd);
        }
        check(closed(client[2] = come_from(1)));
        check(!closed(client[3] = come_from(2)));
        check_equal(asked(&fd, &open), 'a');
        close(fd);
        clients_opened(&forward.clients, 1, &(struct ipc_channel){ open.channel - 1 }, &now);
        clients_closed(&forward.clients, 1, &(struct ipc_channel_closed){ .channel = open.channel - 1 });       /* one of the first two */
        check(!closed(client[4] = come_from(1)));
        check(!closed(client[5] = come_from6(1, 1)) && !closed(client[6] = come_from6(1, 2)));
        check(closed(client[7] = come_from6(1, 3)));    /* the same network */
        for (unsigned i = 0; i < 8; i++)
                close(client[i]);
        check(!closed(client[0] = come_from6(2, 3)));
        close(client[0]);
        finish();
}
/* What the log says of the next one that is turned away. */
static bool turned_away(int fd, const char *says)
{
        struct ipc_received message;
        bool gone = closed(fd);

        close(fd);
        if (!gone || !says)
                return gone;
        do
                if (inside_receive(&inside, IPC_SUPERVISOR, &message) != 1)
                        return false;
        while (message.type != IPC_LOG || !strstr(IPC_PAYLOAD(&message, struct ipc_log)->text, says));
        return true;
}

/* After a pause a burst, then one for each part of a second; a client that is turned away costs the others nothing. */
TEST(connections_begin_no_faster_than_they_may)
{
        begin("");
        forward.clients.limits.rate = 4;
        now.mono_us += SECONDS(1000);
        for (uint32_t i = 0; i < 4 * RATE_BURST_S; i++)
                check(!turned_away(come_from(i), NULL));
        check(turned_away(come_from(99), "gate 8080: there come 4 connections a second, as many as may be: more are reset"));
        now.mono_us += MSEC(249);
        check(turned_away(come_from(99), NULL));
        now.mono_us += MSEC(1);
        check(!turned_away(come_from(99), NULL) && turned_away(come_from(98), NULL));
        now.mono_us += SECONDS(2 * RATE_BURST_S);
        for (uint32_t i = 0; i < 4 * RATE_BURST_S; i++)
                check(!turned_away(come_from(i), NULL));
        check(turned_away(come_from(99), NULL));
        forward.clients.limits.rate = 0;
        check(!turned_away(come_from(99), NULL));
        finish();
}

/* A client comes and goes; whether it was let in. */
static bool visit(uint32_t address)
{
        int client = come_from(address), fd;
        struct ipc_channel_open open;
        bool in = !closed(client);

        close(client);
        if (!in)
                return false;
        check_equal(asked(&fd, &open), 'a');
        close(fd);
        clients_opened(&forward.clients, 1, &(struct ipc_channel){ open.channel }, &now);
        clients_closed(&forward.clients, 1, &(struct ipc_channel_closed){ .channel = open.channel });
        return true;
}

/* It is remembered when it has left, forgotten when that says nothing any more; and no more of them are than there is room for. */
TEST(a_client_begins_connections_no_faster_than_it_may)
{
        begin("a");
        forward.clients.limits.rate_per_client = 1;
        now.mono_us += SECONDS(1000);
        for (unsigned i = 0; i < RATE_BURST_S; i++)
                check(visit(1));
        check(turned_away(come_from(1), "gate 8080: a client opens 1 connections a second, as many as may be: more are reset"));
        check(visit(2));
        now.mono_us += SECONDS(1);
        check(visit(1) && !visit(1));
        check_equal(forward.clients.guests.all.count, 1);
        now.mono_us += SECONDS(RATE_BURST_S);
        check(visit(3));
        check_equal(forward.clients.guests.all.count, 1);
        for (uint32_t i = 0; i < GUESTS_GONE_MAX; i++)
                check(visit(1000 + i));
        check_equal(forward.clients.guests.all.count, GUESTS_GONE_MAX);
        forward.clients.limits.rate_per_client = 0;
        now.mono_us += SECONDS(RATE_BURST_S);
        check(visit(1));
        check_equal(forward.clients.guests.all.count, 0);
        finish();
}

static struct policy *policy_for(const char *network, bool allow)
{
        struct ipc_rule rule = { .who = *network ? IPC_RULE_IPV4 : IPC_RULE_ALL, .bits = *network ? 128 : 0, .allow = allow, .protocols = 3,
                                 .port_last = UINT16_MAX, .except_first = 1 };

        if (*network)
                memset(rule.ip + 10, 0xff, 2);
        if (*network)
                check_equal(inet_pton(AF_INET, network, rule.ip + 12), 1);
        return policy_new(&rule, 1);
}

static void restrict_provider(char name, struct policy *policy)
{
        struct ipc_via via = { .peer = { (uint8_t)name }, .swarm = 1 };

        choose_restrict(&forward.clients.choose, &via, GATE, IPC_TCP, 0, policy);
        policy_leave(policy);
}

static int knock(const char *address)
{
        union socket_address remote = { .v4.sin_family = AF_INET };
        int fds[2];

        check_equal(inet_pton(AF_INET, address, &remote.v4.sin_addr), 1);
        check_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        clients_accept(&forward.clients, GATE, IPC_TCP, fds[0], &remote, NULL, NULL, &now);
        return fds[1];
}

TEST(whom_one_provider_does_not_let_in_goes_to_another)
{
        struct ipc_channel_open open;
        int client, fd;

        begin("AB");
        restrict_provider('A', policy_for("192.0.2.1", false));
        for (unsigned i = 0; i < 4; i++) {
                client = knock("192.0.2.1");
                check_equal(asked(&fd, &open), 'B');
                close(fd);
                close(client);
        }
        finish();
}

TEST(whom_no_provider_lets_in_is_reset_before_anybody_is_asked)
{
        struct ipc_channel_open open;
        int client, other, fd;

        begin("AB");
        restrict_provider('A', policy_for("192.0.2.1", false));
        restrict_provider('B', policy_for("", false));
        client = knock("192.0.2.1");
        check_equal(asked(&fd, &open), '-');
        check(closed(client));
        check_equal(forward.clients.tally.more.ended[IPC_REASON_DENIED], 1);
        check_equal(clients_deadline(&forward.clients), USEC_NEVER);
        other = knock("192.0.2.2");
        check_equal(asked(&fd, &open), 'A');
        close(fd);
        close(other);
        close(client);
        finish();
}

/* One of two providers is fit, but lets nobody in: that is no reason to look again before the other one's rest is over. */
TEST(who_waits_is_looked_at_when_something_may_have_changed_and_not_between)
{
        struct ipc_channel_open open;
        int client, fd;

        begin("AB");
        restrict_provider('B', policy_for("", false));
        client = knock("192.0.2.1");
        check_equal(asked(&fd, &open), 'A');
        refuse(&open, IPC_REASON_NO_PEER, fd);
        check(!closed(client));
        check_equal(next_due(), CHOOSE_REST_MIN_US);
        check_equal(asked(&fd, &open), 'A');
        close(fd);
        close(client);
        finish();
}

TEST(whoever_waits_is_reset_when_the_first_provider_does_not_let_it_in)
{
        struct ipc_via via = { .peer = { 'A' }, .swarm = 1 };
        struct ipc_channel_open open;
        int client, fd;

        begin("");
        client = knock("192.0.2.1");
        check(!closed(client));
        check_equal(choose_set(&forward.clients.choose, &via, GATE, IPC_TCP, 0, 0, 0), 0);
        restrict_provider('A', policy_for("", false));
        clients_serve(&forward.clients, GATE, IPC_TCP, &now);
        check_equal(asked(&fd, &open), '-');
        check(closed(client));
        close(client);
        finish();
}

TEST(a_route_that_is_said_again_without_a_policy_is_everybodys)
{
        struct ipc_via via = { .peer = { 'A' }, .swarm = 1 };
        struct ipc_channel_open open;
        int client, fd;

        begin("A");
        restrict_provider('A', policy_for("", false));
        check_equal(choose_set(&forward.clients.choose, &via, GATE, IPC_TCP, 0, 0, 0), 0);
        client = knock("192.0.2.1");
        check_equal(asked(&fd, &open), 'A');
        close(fd);
        close(client);
        finish();
}

TEST(whom_the_operator_lets_in_no_policy_keeps_out_while_its_time_lasts)
{
        struct ipc_forward_allow allow = { .ip = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 } };
        struct ipc_channel_open open;
        int client, fd;

        begin("A");
        restrict_provider('A', policy_for("", false));
        allow.until_ms = now.wall_us / 1000 + 1000;
        check_equal(ipc_allowances_set(&forward.clients.admissions.allowed, &allow, now.wall_us / 1000), 0);
        client = knock("192.0.2.1");
        check_equal(asked(&fd, &open), 'A');
        close(fd);
        close(client);
        client = knock("192.0.2.2");
        check(closed(client));
        close(client);
        at(now.mono_us + SECONDS(1));
        client = knock("192.0.2.1");
        check(closed(client));
        close(client);
        for (unsigned i = 0; i < IPC_ALLOWANCES_MAX; i++) {
                allow.ip[14] = (uint8_t)(i / 256);
                allow.ip[15] = (uint8_t)i;
                allow.until_ms = now.wall_us / 1000 + 1;
                check_equal(ipc_allowances_set(&forward.clients.admissions.allowed, &allow, now.wall_us / 1000), 0);
        }
        allow.ip[14] = 99;
        check_equal(ipc_allowances_set(&forward.clients.admissions.allowed, &allow, now.wall_us / 1000), -28);
        check_equal(ipc_allowances_count(&forward.clients.admissions.allowed, now.wall_us / 1000), IPC_ALLOWANCES_MAX);
        check_equal(ipc_allowances_count(&forward.clients.admissions.allowed, now.wall_us / 1000 + 1), 0);
        clients_gates_begin(&forward.clients);
        clients_gates_end(&forward.clients);
        check_equal(forward.clients.admissions.allowed.count, 0);  /* a new configuration says who they are */
        finish();
}

TEST(a_provider_is_told_the_labels_of_the_rule_that_let_a_client_in)
{
        struct policy *policy = policy_for("192.0.2.1", true);
        struct ipc_channel_open open;
        int client, fd;

        strcpy(policy->rule[0].labels, "vip");
        begin("A");
        restrict_provider('A', policy);
        client = knock("192.0.2.1");
        check_equal(asked(&fd, &open), 'A');
        check(memmem(open.metadata, open.metadata_len, ",\"ingressLabels\":[\"vip\"]}", 25) != NULL);
        check(open.client.known && memcmp(open.client.ip + 12, (uint8_t[]){ 192, 0, 2, 1 }, 4) == 0 && strcmp(open.client.labels, "vip") == 0);
        close(fd);
        close(client);
        finish();
}

static struct policy *policy_of(uint64_t bytes_per_s)
{
        struct policy *policy = policy_for("", true);

        policy->rule[0].bytes_per_s = policy->rule[0].burst_bytes = bytes_per_s;
        policy->rule[0].ways = IPC_RULE_DOWN;
        return policy;
}

static struct ipc_channel_open knock_and_ask(const char *address)
{
        struct ipc_channel_open open;
        int client = knock(address), fd = -1;

        check(asked(&fd, &open));
        close(fd);
        close(client);
        return open;
}

/* The number of a bucket is made of the rule and of who is limited, so that all workers and all providers that say the same mean the same. */
TEST(a_limit_goes_with_each_connection_of_whom_it_is_about)
{
        struct ipc_channel_open first, again, other, changed;

        begin("A");
        restrict_provider('A', policy_of(1000));
        first = knock_and_ask("192.0.2.1");
        check(first.limit[1].bytes_per_s == 1000 && first.limit[1].burst_bytes == 1000 && first.limit[1].ways == IPC_RULE_DOWN);
        check_equal(first.limit[0].bytes_per_s, 0);
        again = knock_and_ask("192.0.2.1");
        other = knock_and_ask("192.0.2.2");
        check(again.limit[1].limiter == first.limit[1].limiter && other.limit[1].limiter != first.limit[1].limiter);
        restrict_provider('A', policy_of(2000));
        changed = knock_and_ask("192.0.2.1");
        check(changed.limit[1].limiter != first.limit[1].limiter && changed.limit[1].bytes_per_s == 2000);
        finish();
}

TEST(whom_the_operator_lets_in_has_no_limit_while_its_time_lasts)
{
        struct ipc_forward_allow allow = { .ip = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 } };

        begin("A");
        restrict_provider('A', policy_of(1000));
        allow.until_ms = now.wall_us / 1000 + 5000;
        check_equal(ipc_allowances_set(&forward.clients.admissions.allowed, &allow, now.wall_us / 1000), 0);
        check_equal(knock_and_ask("192.0.2.1").limit[1].bytes_per_s, 0);
        check_equal(knock_and_ask("192.0.2.2").limit[1].bytes_per_s, 1000);
        finish();
}

/* As the supervisor tells it; NULL: none. */
static void restrict_gateway(const struct ipc_rule *rule)
{
        struct ipc_forward_listener listener = { .gate_port = GATE, .protocol = IPC_TCP, .wait_ms = 1000 * WAIT_S };
        struct policy *policy = rule ? policy_new(rule, 1) : NULL;

        clients_gates_begin(&forward.clients);
        check_equal(clients_gate_set(&forward.clients, &listener), 0);
        if (policy)
                admissions_restrict(&forward.clients.admissions, policy);
        policy_leave(policy);
        clients_gates_end(&forward.clients);
}

static const struct ipc_rule not_from_there = { .who = IPC_RULE_IPV4, .bits = 128, .ip = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 }, .protocols = 3,
                                                .port_last = UINT16_MAX, .except_first = 1 };

TEST(whom_the_gateway_keeps_out_is_reset_whatever_the_provider_says_and_takes_no_room)
{
        struct ipc_channel_open open;
        int client, other, fd;

        begin("A");
        restrict_gateway(&not_from_there);
        restrict_provider('A', policy_for("", true));
        forward.clients.limits.rate = forward.clients.limits.connections = 1;
        for (unsigned i = 0; i < 10; i++) {
                client = knock("192.0.2.1");
                check(closed(client));
                close(client);
        }
        check_equal(asked(&fd, &open), '-');
        check_equal(forward.clients.tally.more.ended[IPC_REASON_DENIED], 10);
        check_equal(forward.clients.tally.more.ended[IPC_REASON_LIMIT], 0);
        check_equal(forward.clients.guests.all.count, 0);
        other = knock("192.0.2.2");
        check_equal(asked(&fd, &open), 'A');
        close(fd);
        close(other);
        finish();
}

/* Also where there is no provider yet. */
TEST(who_waits_is_reset_when_the_gateway_lets_it_in_no_more)
{
        struct ipc_channel_open open;
        int client, other, fd;

        begin("");
        client = knock("192.0.2.1");
        other = knock("192.0.2.2");
        restrict_gateway(&not_from_there);
        clients_serve_all(&forward.clients, &now);
        check(closed(client) && !closed(other));
        close(client);
        restrict_gateway(NULL);
        client = knock("192.0.2.1");
        check(!closed(client));
        check_equal(asked(&fd, &open), '-');
        close(client);
        close(other);
        finish();
}

TEST(a_policy_that_is_none_ends_the_link_and_one_that_can_not_be_told_keeps_all_out)
{
        int client;

        begin("A");
        inside_send(&inside, IPC_SUPERVISOR, IPC_CONF_BEGIN, &(struct ipc_generation){ 1 }, -1);
        inside_send(&inside, IPC_SUPERVISOR, IPC_FORWARD_POLICY, &(struct ipc_forward_policy){ .rules = 0 }, -1);
        scene_turn();
        check_equal(clients_gate_set(&forward.clients, &(struct ipc_forward_listener){ .gate_port = GATE, .protocol = IPC_TCP, .wait_ms = 1000 * WAIT_S }), 0);
        inside_send(&inside, IPC_SUPERVISOR, IPC_CONF_END, &(struct ipc_generation){ 1 }, -1);
        scene_turn();
        client = knock("192.0.2.1");
        check(closed(client));
        close(client);
        finish();
}

/* Of a virtual network: the gate has a number, its provider another port. */
TEST(a_client_of_a_host_is_asked_for_by_the_port_that_its_provider_has)
{
        struct ipc_forward_host host = { .at = { .host = "db.hyper", .port = 3306 }, .number = GATE };
        struct ipc_route route = { .peer = { 'A' }, .gate_port = GATE, .swarm = 1, .service = 99, .name = 13306 };
        struct ipc_channel_open open;
        int client, fd;

        begin("");
        forward.worker.begin.duty = IPC_DUTY_HOSTS;
        clients_gate_entitle(&forward.clients, &host);
        inside_introduce(&inside, IPC_ROUTER);
        scene_turn();
        inside_send(&inside, IPC_ROUTER, IPC_ROUTE_SET, &route, -1);
        scene_turn();
        client = come();
        check_equal(asked(&fd, &open), 'A');
        check_equal(open.gate_port, 13306);
        check_equal(open.service, 99);
        open.metadata[open.metadata_len] = '\0';
        check(strstr(open.metadata, "13306"));
        close(fd);
        inside_send(&inside, IPC_ROUTER, IPC_ROUTE_DROP, &route, -1);
        scene_turn();
        close(client);
        client = come();
        check_equal(asked(&fd, &open), '-');
        close(client);
        finish();
}
