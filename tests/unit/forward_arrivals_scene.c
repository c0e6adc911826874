/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_arrivals_scene.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int silent, good;
uint16_t port;
unsigned fails_told;

static int filling, nobody;

static int listen_at(uint8_t host, int backlog)
{
        int fd = scene_bind(host, &port);

        check_equal(listen(fd, backlog), 0);
        return fd;
}

/* With a backlog of 0 the kernel keeps one connection and drops what the next ones send. */
static int fill(void)
{
        struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        check_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
        check_equal(poll(&(struct pollfd){ .fd = silent, .events = POLLIN }, 1, 10000), 1);
        return fd;
}

void begin(const uint8_t *hosts, uint16_t count)
{
        struct ipc_forward_service service = { .gate_port = GATE, .count = count, .host = "web" };

        port = 0;
        silent = listen_at(SILENT_HOST, 0);
        good = listen_at(GOOD_HOST, 16);
        nobody = scene_bind(NOBODY_HOST, &port);
        filling = fill();
        scene_begin(IPC_DUTY_SERVICES, IPC_SWARM);
        service.service_port = port;
        for (unsigned i = 0; i < count; i++)
                memcpy(service.address[i], (uint8_t[]){ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, hosts[i] }, 16);
        check_equal(services_add(&forward.arrivals.services, &service), 0);
        services_end(&forward.arrivals.services);
}

void finish(void)
{
        scene_end();
        close(filling);
        close(silent);
        close(good);
        close(nobody);
}

void arrive_from(uint16_t peer, uint64_t channel)
{
        struct ipc_channel_arrived arrived = { .channel = channel, .gate_port = GATE };

        memcpy(arrived.peer, &peer, sizeof(peer));
        arrivals_arrived(&forward.arrivals, 1, &arrived, start_us);
}

void arrive(uint64_t channel)
{
        arrive_from(0, channel);
}

usec_t arrive_now(uint64_t channel)
{
        struct ipc_channel_arrived arrived = { .channel = channel, .gate_port = GATE };
        struct now now;

        worker_now(&now);
        arrivals_arrived(&forward.arrivals, 1, &arrived, now.mono_us);
        return now.mono_us;
}

bool said(enum ipc_type *type_out, char text_out[IPC_TEXT_MAX + 1])
{
        struct ipc_received message;

        if (!inside_receive(&inside, IPC_SWARM, &message))
                return false;
        *type_out = message.type;
        memset(text_out, 0, IPC_TEXT_MAX + 1);
        if (message.type == IPC_CHANNEL_REFUSE)
                memcpy(text_out, IPC_PAYLOAD(&message, struct ipc_channel_refused)->text,
                       IPC_PAYLOAD(&message, struct ipc_channel_refused)->text_len);
        ipc_received_fini(&message);
        return true;
}

enum ipc_type await(char text_out[IPC_TEXT_MAX + 1])
{
        enum ipc_type type;

        for (unsigned i = 0; i < 2000; i++) {
                scene_turn();
                if (said(&type, text_out))
                        return type;
                usleep(10000);
        }
        test_fail(__FILE__, __LINE__, "nothing was said");
        return IPC_TYPES;
}

const char *noticed(void)
{
        static char text[512];
        struct ipc_received message;

        text[0] = '\0';
        while (inside_receive(&inside, IPC_SUPERVISOR, &message)) {
                const struct ipc_log *log = IPC_PAYLOAD(&message, struct ipc_log);

                fails_told += message.type == IPC_SERVICE_FAILS && IPC_PAYLOAD(&message, struct ipc_service_fails)->gate_port == GATE;
                if (message.type == IPC_LOG && log->level == LOG_NOTICE)
                        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%.*s;", (int)log->text_len, log->text);
                ipc_received_fini(&message);
        }
        return text;
}
