/* SPDX-License-Identifier: BSD-3-Clause */
/* The clients of a gate: who is asked for them, and how long they wait. */
#include <string.h>
#include <unistd.h>

#include "forward_clients_scene.h"
#include "ipc_channel.h"
#include "ipc_forward.h"
#include "ipc_route.h"

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
