/* SPDX-License-Identifier: BSD-3-Clause */
#include "host.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "ipc_router.h"
#include "ipc_table.h"
#include "test.h"

enum {
        CONTROL_FD = 3,
        PATIENCE_MS = 20000,            /* for what must come */
        SILENCE_MS = 100,               /* for what must not */
};

static _Noreturn void become_worker(int fd, unsigned fd_limit)
{
        const char *path = getenv("WORKER");
        struct rlimit limit = { fd_limit, fd_limit };

        if (fd_limit)
                setrlimit(RLIMIT_NOFILE, &limit);
        if (dup2(fd, CONTROL_FD) == CONTROL_FD && path)
                execl(path, path, (char *)NULL);
        _exit(127);
}

static void send_begin(struct host *host, enum ipc_duty duty, const uint16_t *ports)
{
        struct ipc_begin begin = { .id = 1, .log.level = 7, .duty = duty, .protocols = 1U << IPC_TCP | 1U << IPC_UDP };

        ipc_build_id(begin.build_id);
        while (ports && ports[begin.port_count]) {
                begin.port[begin.port_count] = ports[begin.port_count];
                begin.port_count++;
        }
        host_send(&host->worker, IPC_BEGIN, &begin, -1);
}

void host_start(struct host *host, enum ipc_role role, enum ipc_duty duty, const uint16_t *ports, unsigned fd_limit)
{
        int fds[2];

        *host = (struct host){ .role = role };
        check_equal(ipc_link_pair(fds), 0);
        host->pid = fork();
        check(host->pid >= 0);
        if (host->pid == 0)
                become_worker(fds[1], fd_limit);
        close(fds[1]);
        ipc_link_init(&host->worker, fds[0], IPC_SUPERVISOR, role, 1);
        send_begin(host, duty, ports);
        host_expect(host, &host->worker, IPC_READY, NULL);
}

/* Until its end of the link is gone. */
static void read_to_end(struct host *host)
{
        struct pollfd ready = { .fd = host->worker.fd, .events = POLLIN };
        struct ipc_received message;
        int r;

        while ((r = ipc_link_receive(&host->worker, &message)) >= 0) {
                if (r == 0 && poll(&ready, 1, PATIENCE_MS) == 0)
                        test_fail(__FILE__, __LINE__, "it does not end; it logged:\n%s", host->log);
                if (r == 0)
                        continue;
                if (message.type == IPC_DENIED)
                        test_fail(__FILE__, __LINE__, "it was denied syscall %u",
                                  IPC_PAYLOAD(&message, struct ipc_denied)->syscall);
                ipc_received_fini(&message);
        }
}

int host_wait(struct host *host)
{
        int status = -1;

        read_to_end(host);
        check_equal(waitpid(host->pid, &status, 0), host->pid);
        ipc_link_fini(&host->worker);
        return status;
}

void host_stop(struct host *host)
{
        struct ipc_stop stop = { .deadline_ms = 1000 };

        host_send(&host->worker, IPC_STOP, &stop, -1);
        check_equal(host_wait(host), 0);
}

void host_introduce(struct host *host, enum ipc_role role, uint32_t id, struct ipc_link *sibling)
{
        struct ipc_introduction who = { .role = role, .id = id };
        int fds[2];

        check_equal(ipc_link_pair(fds), 0);
        ipc_link_init(sibling, fds[0], role, host->role, 1);
        host_send(&host->worker, IPC_LINK, &who, fds[1]);
        close(fds[1]);
}

void host_send(struct ipc_link *link, enum ipc_type type, const void *payload, int fd)
{
        check_equal(ipc_link_send(link, type, payload, &fd, fd >= 0 ? 1 : 0), 0);
        while (ipc_link_flush(link) == -EAGAIN)
                poll(&(struct pollfd){ .fd = link->fd, .events = POLLOUT }, 1, PATIENCE_MS);
}

static void keep_log(struct host *host, const struct ipc_log *log)
{
        size_t len = strlen(host->log), room = sizeof(host->log) - len;

        check(log->text_len >= 1 && log->text_len <= sizeof(log->text) && log->text[log->text_len - 1] == '\0');
        if (log->text_len + 2 > room)
                return;
        memcpy(host->log + len, log->text, log->text_len);
        for (size_t i = 0; i + 1 < log->text_len; i++)
                if (host->log[len + i] == '\0')
                        host->log[len + i] = ' ';
        memcpy(host->log + len + log->text_len - 1, "\n", 2);
}

/* As a line of the log, too: few tests are about it. */
static void keep_lost(struct host *host, const struct ipc_link_lost *lost)
{
        static const char *const why[IPC_LOSTS] = { "is gone", "broke the rules", "found no memory" };
        size_t len = strlen(host->log);

        check(lost->why < IPC_LOSTS);
        snprintf(host->log + len, sizeof(host->log) - len, "LINK_LOST: %s worker %u %s\n", ipc_role_name(lost->role), lost->id,
                 why[lost->why]);
}

/* That it has a configuration shows in what it does. */
static bool kept(struct host *host, const struct ipc_received *message)
{
        if (message->type == IPC_CONF_DONE)
                return true;
        if (message->type == IPC_LOG)
                keep_log(host, IPC_PAYLOAD(message, struct ipc_log));
        else if (message->type == IPC_SERVICE_FAILS)
                host->fails++;
        else if (message->type == IPC_ROUTER_STATUS)
                host->adverts_dropped += IPC_PAYLOAD(message, struct ipc_router_status)->adverts_dropped;
        else if (message->type == IPC_LINK_LOST)
                keep_lost(host, IPC_PAYLOAD(message, struct ipc_link_lost));
        else
                return false;
        return true;
}

/* The next message but confirmations, log lines, lost links, failing services and what was dropped; these are kept. False: none within @patience_ms. */
static bool next_message(struct host *host, struct ipc_link *link, int patience_ms, struct ipc_received *message)
{
        for (;;) {
                struct pollfd ready = { .fd = link->fd, .events = POLLIN };
                int r = ipc_link_receive(link, message);

                if (r == 1 && !kept(host, message))
                        return true;
                if (r < 0)
                        test_fail(__FILE__, __LINE__, "the worker's link broke: %d; it logged:\n%s", r, host->log);
                if (r == 0 && poll(&ready, 1, patience_ms) == 0)
                        return false;
        }
}

int host_expect(struct host *host, struct ipc_link *link, enum ipc_type type, void *payload_out)
{
        struct ipc_received message;
        int fd;

        if (!next_message(host, link, PATIENCE_MS, &message))
                test_fail(__FILE__, __LINE__, "no %s came; it logged:\n%s", ipc_message_name(type), host->log);
        if (message.type != type)
                test_fail(__FILE__, __LINE__, "%s came, expected %s", ipc_message_name(message.type), ipc_message_name(type));
        if (payload_out)
                memcpy(payload_out, message.payload.bytes, ipc_row(type)->payload_bytes);
        fd = ipc_received_take_fd(&message, 0);
        ipc_received_fini(&message);
        return fd;
}

void host_expect_nothing(struct host *host, struct ipc_link *link)
{
        struct ipc_received message;

        if (next_message(host, link, SILENCE_MS, &message))
                test_fail(__FILE__, __LINE__, "%s came unexpectedly", ipc_message_name(message.type));
}

void host_expect_log(struct host *host, const char *text)
{
        while (!strstr(host->log, text)) {
                struct pollfd ready = { .fd = host->worker.fd, .events = POLLIN };
                struct ipc_received message;
                int r = ipc_link_receive(&host->worker, &message);

                if (r == 1 && kept(host, &message))
                        continue;
                if (r != 0 || poll(&ready, 1, PATIENCE_MS) == 0)
                        test_fail(__FILE__, __LINE__, "it did not log \"%s\" but:\n%s", text, host->log);
        }
}
