/* SPDX-License-Identifier: BSD-3-Clause */
/* Services at unix sockets, to which the supervisor connects. */
#include "forward_arrivals_scene.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NAME = 4711 };

/* There is nothing to connect to, and nobody tries. */
static void begin_local(void)
{
        struct ipc_forward_service service = { .service = NAME, .gate_port = GATE, .local = 1, .host = "unix:/run/app.sock" };

        begin((uint8_t[]){ SILENT_HOST }, 1);
        services_begin(&forward.arrivals.services);
        check_equal(services_add(&forward.arrivals.services, &service), 0);
        services_end(&forward.arrivals.services);
}

/* Which channel the supervisor is asked to connect, of which worker; 0: none. */
static uint64_t asked_for(void)
{
        struct ipc_received message;
        uint64_t channel = 0;

        while (!channel && inside_receive(&inside, IPC_SUPERVISOR, &message)) {
                const struct ipc_service_dial *dial = IPC_PAYLOAD(&message, struct ipc_service_dial);

                if (message.type == IPC_SERVICE_DIAL) {
                        check(dial->service == NAME && dial->gate_port == GATE && dial->swarm == 1);
                        channel = dial->channel;
                }
                ipc_received_fini(&message);
        }
        return channel;
}

static void answer(uint64_t channel, uint32_t error, int fd)
{
        struct ipc_service_dialled dialled = { .channel = channel, .swarm = 1, .error = error };

        inside_send(&inside, IPC_SUPERVISOR, IPC_SERVICE_DIALLED, &dialled, fd);
        scene_turn();
}

TEST(the_supervisor_connects_to_a_unix_socket)
{
        enum ipc_type type;
        char text[IPC_TEXT_MAX + 1];
        usec_t begun_us;
        int pair[2];

        begin_local();
        check_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        begun_us = arrive_now(5);
        check_equal(asked_for(), 5);
        check(!said(&type, text));
        check_equal(arrivals_deadline(&forward.arrivals), begun_us + ARRIVALS_CONNECT_US);
        answer(5, 0, pair[0]);
        check(said(&type, text));
        check_equal(type, IPC_CHANNEL_READY);
        check(forward.arrivals.pending == 0 && arrivals_deadline(&forward.arrivals) == USEC_NEVER);
        forward.worker.log_channels = true;
        forward.worker.log_level = LOG_INFO;
        arrivals_closed(&forward.arrivals, 1, &(struct ipc_channel_closed){ .channel = 5, .duration_us = 1 }, 0);
        check_equal(forward.arrivals.by_number.count, 0);
        close(pair[0]);
        check_equal(recv(pair[1], text, 1, MSG_DONTWAIT), 0);         /* nobody has kept the other end */
        close(pair[1]);
        finish();
}

TEST(what_the_supervisor_could_not_do_is_a_refusal)
{
        enum ipc_type type;
        char text[IPC_TEXT_MAX + 1];

        begin_local();
        noticed();
        arrive_now(6);
        answer(6, ECONNREFUSED, -1);
        check(said(&type, text) && type == IPC_CHANNEL_REFUSE);
        check(strcmp(text, "Error: connect ECONNREFUSED unix:/run/app.sock") == 0);
        check(strcmp(noticed(), "service 8080 at unix:/run/app.sock: Connection refused; who wants it is refused;") == 0);
        arrivals_advance(&forward.arrivals, arrive_now(7) + ARRIVALS_CONNECT_US);
        check(said(&type, text) && type == IPC_CHANNEL_REFUSE);
        check(strcmp(text, "Error: connect ETIMEDOUT unix:/run/app.sock") == 0);
        check_equal(forward.arrivals.by_number.count, 0);
        finish();
}

TEST(a_connection_that_comes_too_late_is_closed)
{
        enum ipc_type type;
        char text[IPC_TEXT_MAX + 1];
        int pair[2];

        begin_local();
        check_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        arrive_now(8);
        arrivals_gone(&forward.arrivals, 1, &(struct ipc_channel){ 8 });
        answer(8, 0, pair[0]);
        answer(9, ENOENT, -1);
        close(pair[0]);
        check_equal(recv(pair[1], text, 1, MSG_DONTWAIT), 0);
        close(pair[1]);
        check(!said(&type, text));
        finish();
}
