/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_clients_scene.h"

#include <sys/socket.h>

struct now now;

void at(usec_t mono_us)
{
        now = (struct now){ .mono_us = mono_us, .boot_us = mono_us, .wall_us = SECONDS(1700000000) + mono_us };
}

void begin(const char *providers)
{
        worker_now(&now);
        at(now.mono_us + MINUTES(60));          /* ahead of the clock by which scene_turn() lives: nothing is due there */
        scene_begin(IPC_DUTY_GATES, IPC_SWARM);
        scene_gate(GATE, IPC_TCP);
        for (; *providers; providers++)
                scene_provider(*providers, GATE, IPC_TCP);
}

void finish(void)
{
        scene_end();
}

int come_as(const union socket_address *remote)
{
        int fds[2];

        check_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        clients_accept(&forward.clients, GATE, IPC_TCP, fds[0], remote, NULL, NULL, &now);
        return fds[1];
}

int come(void)
{
        const union socket_address nowhere = { 0 };

        return come_as(&nowhere);
}

bool closed(int client)
{
        char byte;

        return recv(client, &byte, 1, MSG_DONTWAIT) == 0;
}

char asked(int *fd_out, struct ipc_channel_open *open)
{
        struct ipc_received message;

        if (!inside_receive(&inside, IPC_SWARM, &message))
                return '-';
        check_equal(message.type, IPC_CHANNEL_OPEN);
        *open = *IPC_PAYLOAD(&message, struct ipc_channel_open);
        *fd_out = ipc_received_take_fd(&message, 0);
        return (char)open->peer[0];
}

void refuse(const struct ipc_channel_open *open, enum ipc_reason reason, int fd)
{
        struct ipc_channel_refused refused = { .channel = open->channel, .reason = reason };

        clients_refused(&forward.clients, 1, &refused, fd, &now);
}

usec_t next_due(void)
{
        usec_t due_us = clients_deadline(&forward.clients), before_us = now.mono_us;

        check(due_us != USEC_NEVER && due_us >= now.mono_us);
        at(due_us);
        clients_advance(&forward.clients, &now);
        return due_us - before_us;
}
