/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_sessions_scene.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ipc_forward.h"

struct sessions sessions;
uint8_t buffer[SESSIONS_BUFFER_BYTES];
struct now now;
uint64_t dropped;
int gate;
struct taken taken[TAKEN_MAX];
unsigned taken_count;

void take(void)
{
        struct ipc_received message;

        while (inside_receive(&inside, IPC_SWARM, &message)) {
                check_equal(message.type, IPC_CHANNEL_OPEN);
                check(taken_count < TAKEN_MAX);
                taken[taken_count].open = *IPC_PAYLOAD(&message, struct ipc_channel_open);
                taken[taken_count++].fd = ipc_received_take_fd(&message, 0);
        }
}

void pass(usec_t us)
{
        now.mono_us += us;
}

void begin_with(enum ipc_role sibling)
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

void begin(void)
{
        begin_with(IPC_SWARM);
}

void finish(void)
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

struct session_ends ends_of(uint32_t host, uint16_t port)
{
        struct session_ends ends = { 0 };

        ends.remote.v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(host) };
        ends.local.v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(GATE),
                                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        return ends;
}

void say_as(const struct session_ends *ends, const char *text)
{
        struct iovec iov = { (void *)(uintptr_t)text, strlen(text) };

        sessions_receive(&sessions, ends, &iov, 1, &now);
        take();
}

void say(uint32_t host, uint16_t port, const char *text)
{
        struct session_ends ends = ends_of(host, port);

        say_as(&ends, text);
}

const char *heard(unsigned i)
{
        static char text[128];
        uint8_t bytes[128];
        ssize_t len = recv(taken[i].fd, bytes, sizeof(bytes), MSG_DONTWAIT);

        if (len <= 0)
                return len < 0 ? "-" : ".";
        snprintf(text, sizeof(text), "%.*s", (int)len - 1, (const char *)bytes + 1);
        return text;
}

void reply(unsigned i, const void *bytes, size_t len)
{
        uint8_t mark = 0;
        struct iovec parts[] = { { &mark, 1 }, { (void *)(uintptr_t)bytes, len } };
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

        check_equal(sendmsg(taken[i].fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT), (long long)len + 1);
        scene_turn();
}

int client_at(const char *ip, struct session_ends *ends)
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

ssize_t answered(int client, char *out, size_t size)
{
        return recv(client, out, size, MSG_DONTWAIT);
}

size_t left_after(usec_t us)
{
        usec_t end_us = now.mono_us + us;

        while (sessions_deadline(&sessions) <= end_us) {
                now.mono_us = usec_max(now.mono_us, sessions_deadline(&sessions));
                sessions_advance(&sessions, now.mono_us);
        }
        now.mono_us = end_us;
        return sessions.count;
}

void allow_fds(rlim_t count)
{
        struct rlimit limit;

        check_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur = MIN(count, limit.rlim_max);
        check_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        check_equal(limit.rlim_cur, count);
}
