/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions that get a socket of their own, by which the swarm worker talks with the client. */
#include <errno.h>
#include <unistd.h>

#include "forward_sessions_scene.h"
#include "ipc_forward.h"

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
