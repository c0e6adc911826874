/* SPDX-License-Identifier: BSD-3-Clause */
#include "swarm_sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backoff.h"
#include "ipc_fd.h"
#include "monotonic.h"
#include "notify.h"

enum {
        RETRY_FIRST_S = 1,
        RETRY_LONGEST_S = 10,
        FREED_S = 10,                   /* the manager has heard that a socket is kept no more, and closes it in a moment: for so long */
        FREED_RETRY_MS = 20,            /* a port is waited for, so often */
};

bool swarm_sockets_made(const struct swarm_sockets *sockets)
{
        return sockets->server.fd >= 0 && sockets->client.fd >= 0;
}

/* An empty datagram to itself shows it: nothing else does, and nothing undoes it. */
static bool is_shut(int fd)
{
        struct sockaddr_in self = { .sin_family = AF_INET };
        socklen_t len = sizeof(self);

        if (fd < 0 || getsockname(fd, (struct sockaddr *)&self, &len) < 0)
                return false;
        if (self.sin_addr.s_addr == htonl(INADDR_ANY))
                self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return sendto(fd, "", 0, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&self, len) < 0 && errno == EPIPE;
}

static const char *const kinds[] = { "server", "client" };

/* "server", "client"; of further workers "server-2", "client-2". */
struct kept_name { char text[24]; };

static struct kept_name name_at(const char *kind, uint32_t worker)
{
        struct kept_name name;

        if (worker == SWARM_SOCKETS_FIRST)
                snprintf(name.text, sizeof(name.text), "%s", kind);
        else
                snprintf(name.text, sizeof(name.text), "%s-%u", kind, worker);
        return name;
}

static struct kept_name name_of(const struct swarm_sockets *sockets, const struct udp_made *made)
{
        return name_at(kinds[made == &sockets->client], sockets->worker);
}

static bool *kept(struct swarm_sockets *sockets, const struct udp_made *made)
{
        return made == &sockets->server ? &sockets->server_kept : &sockets->client_kept;
}

/* Of a divided port the one that was bound first: the other one is made anew, with another mark. */
static void keep(struct swarm_sockets *sockets, const struct udp_made *made)
{
        *kept(sockets, made) = passed_keep_dht(sockets->passed, name_of(sockets, made).text, made->strangers_fd >= 0 ? made->strangers_fd : made->fd);
}

/* Whether the manager had it, and has been told to close it: as long as it has not, the port is taken, which is waited for by the timer. */
static bool forget(struct swarm_sockets *sockets, const struct udp_made *made)
{
        if (!*kept(sockets, made))
                return false;
        passed_forget_dht(sockets->passed, name_of(sockets, made).text);
        *kept(sockets, made) = false;
        return true;
}

static bool take_kept(struct swarm_sockets *sockets, struct udp_made *made, uint16_t port)
{
        cleanup_fd int fd = passed_take_dht(sockets->passed, name_of(sockets, made).text, sockets->host, port);

        if (fd < 0)
                return false;
        *kept(sockets, made) = true;
        if (is_shut(fd) || sockets_udp_again(fd, sockets->mark, made) < 0) {
                close_fdp(&fd);
                if (forget(sockets, made))
                        notify_settle();
                return false;
        }
        (void)take_fd(&fd);
        return true;
}

static int make_server(struct swarm_sockets *sockets)
{
        int r;

        if (take_kept(sockets, &sockets->server, sockets->port))
                return 0;
        r = sockets->port || sockets->worker != SWARM_SOCKETS_FIRST ? sockets_udp(sockets->host, sockets->port, &sockets->mark, &sockets->server)
                                                                    : sockets_udp_usual(sockets->host, sockets->mark, &sockets->server);
        if (r == 0)
                keep(sockets, &sockets->server);
        return r;
}

static int make_client(struct swarm_sockets *sockets)
{
        int r;

        if (take_kept(sockets, &sockets->client, 0))
                return 0;
        r = sockets_udp(sockets->host, 0, &sockets->mark, &sockets->client);
        if (r == 0)
                keep(sockets, &sockets->client);
        return r;
}

static bool waits_for_port(const struct swarm_sockets *sockets, int r)
{
        return r == -EADDRINUSE && monotonic_us() < sockets->freed_by_us;
}

/* What was shut, at the port it had, or at any where that does not become free. 0 or -errno. */
static int make_again(struct swarm_sockets *sockets, struct udp_made *made)
{
        struct udp_made again;
        int r = sockets_udp(sockets->host, made->port, &sockets->mark, &again);

        if (r < 0 && !waits_for_port(sockets, r))
                r = sockets_udp(sockets->host, 0, &sockets->mark, &again);
        if (r < 0)
                return r;
        log_warning(sockets->log, "UDP port %u was shut for sending: made anew, as port %u", made->port, again.port);
        *made = again;
        keep(sockets, made);
        return 0;
}

/* 0 or -errno. */
static int try_make(struct swarm_sockets *sockets)
{
        int r = 0;

        if (sockets->server.fd < 0)
                r = sockets->server.port ? make_again(sockets, &sockets->server) : make_server(sockets);
        if (r == 0 && sockets->client.fd < 0)
                r = sockets->client.port ? make_again(sockets, &sockets->client) : make_client(sockets);
        if (r == 0)
                sockets->failures = sockets->error = 0;
        return r;
}

static usec_t on_refused(struct swarm_sockets *sockets, int error)
{
        usec_t wait_us = backoff_us(++sockets->failures, SECONDS(RETRY_FIRST_S), SECONDS(RETRY_LONGEST_S));
        char port[8];

        snprintf(port, sizeof(port), "%u", sockets->port);
        if (error != sockets->error)
                log_event(sockets->log, IPC_EVENT_UDP_UNAVAILABLE, LOG_WARNING, NULL,
                          "UDP port %s on %u.%u.%u.%u: %s; no network without it; trying again in %.0f s, "
                          "then at least every %d s",
                          sockets->port ? port : "(any)", sockets->host[0], sockets->host[1], sockets->host[2],
                          sockets->host[3], sockets_refusal(error), to_seconds(wait_us), RETRY_LONGEST_S);
        sockets->error = error;
        return wait_us;
}

static void try_later(struct swarm_sockets *sockets, int r)
{
        usec_t wait_us = waits_for_port(sockets, r) ? MSEC(FREED_RETRY_MS) : on_refused(sockets, -r);

        ev_timer_stop(sockets->loop, &sockets->retry);
        ev_timer_set(&sockets->retry, to_seconds(wait_us), 0);
        ev_timer_start(sockets->loop, &sockets->retry);
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct swarm_sockets *sockets = timer->data;
        int r = try_make(sockets);

        if (r == 0)
                sockets->made(sockets->context);
        else
                try_later(sockets, r);
}

void swarm_sockets_drop(struct passed *passed, uint32_t worker)
{
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
                passed_drop_dht(passed, name_at(kinds[i], worker).text);
}

void swarm_sockets_init(struct swarm_sockets *sockets, const struct log *log, struct passed *passed, uint32_t worker, const uint8_t host[4],
                        uint16_t port)
{
        int r;

        *sockets = (struct swarm_sockets){ .log = log, .passed = passed, .worker = worker, .port = port };
        sockets->server.fd = sockets->server.strangers_fd = sockets->client.fd = sockets->client.strangers_fd = -1;
        randombytes_buf(&sockets->mark, sizeof(sockets->mark));
        memcpy(sockets->host, host, sizeof(sockets->host));
        ev_init(&sockets->retry, on_retry);
        r = try_make(sockets);
        if (r < 0)
                on_refused(sockets, -r);
}

void swarm_sockets_watch(struct swarm_sockets *sockets, struct ev_loop *loop, void (*made)(void *context), void *context)
{
        sockets->loop = loop;
        sockets->made = made;
        sockets->context = context;
        sockets->retry.data = sockets;
        if (swarm_sockets_made(sockets))
                return;
        ev_timer_set(&sockets->retry, RETRY_FIRST_S, 0);
        ev_timer_start(loop, &sockets->retry);
}

static void close_shut(struct swarm_sockets *sockets, struct udp_made *made)
{
        if (made->fd < 0 || (!is_shut(made->fd) && !is_shut(made->strangers_fd)))
                return;
        close_fdp(&made->fd);
        close_fdp(&made->strangers_fd);
        if (forget(sockets, made))
                sockets->freed_by_us = monotonic_us() + SECONDS(FREED_S);
}

void swarm_sockets_mend(struct swarm_sockets *sockets)
{
        int r;

        close_shut(sockets, &sockets->server);
        close_shut(sockets, &sockets->client);
        r = try_make(sockets);
        if (r < 0)
                try_later(sockets, r);
}

/* How many of @count may be made now. */
static unsigned allowance(struct swarm_sockets *sockets, unsigned count)
{
        usec_t now_us = monotonic_us();

        if (now_us >= sockets->granted_us + SECONDS(SWARM_SOCKETS_BURST_S)) {
                sockets->granted_us = now_us;
                sockets->granted = 0;
        }
        count = MIN(count, SWARM_SOCKETS_BURST - sockets->granted);
        sockets->granted += count;
        return count;
}

bool swarm_sockets_grant(struct swarm_sockets *sockets, struct child *child, const struct ipc_swarm_want *want)
{
        struct ipc_swarm_grant grant = { .last = 0 };
        unsigned left;

        if (want->count == 0 || want->count > IPC_GRANT_MAX)
                return false;
        left = allowance(sockets, want->count);
        while (!grant.last) {
                struct udp_made made[IPC_FDS_MAX];
                int fds[IPC_FDS_MAX];
                unsigned count = 0;

                while (count < IPC_FDS_MAX && count < left && sockets_udp(sockets->host, 0, NULL, &made[count]) == 0) {
                        fds[count] = made[count].fd;
                        grant.gso = made[count].gso;
                        count++;
                }
                left -= count;
                grant.last = count < IPC_FDS_MAX || !left;
                child_send(child, IPC_SWARM_GRANT, &grant, fds, count);
                for (unsigned i = 0; i < count; i++)
                        close(fds[i]);
        }
        return true;
}

void swarm_sockets_fini(struct swarm_sockets *sockets)
{
        if (sockets->loop)
                ev_timer_stop(sockets->loop, &sockets->retry);
        close_fdp(&sockets->server.fd);
        close_fdp(&sockets->server.strangers_fd);
        close_fdp(&sockets->client.fd);
        close_fdp(&sockets->client.strangers_fd);
}
