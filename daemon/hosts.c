/* SPDX-License-Identifier: BSD-3-Clause */
#include "hosts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gate_socket.h"
#include "host_name.h"
#include "ipc_fd.h"
#include "monotonic.h"
#include "sockets.h"

enum { HELPERS_BACKLOG = 256 };

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71              /* Linux 5.14 */
#endif

void hosts_init(struct hosts *hosts, const struct log *log, struct forwards *forwards, void (*moved)(void *context, const struct host *host),
                void *context)
{
        *hosts = (struct hosts){ .log = log, .forwards = forwards, .listener = -1, .moved = moved, .context = context };
        list_init(&hosts->all);
}

static struct host *find(const struct hosts *hosts, const struct ipc_host_port *at)
{
        list_for_each(entry, &hosts->all) {
                struct host *host = list_entry(entry, struct host, in_all);

                if (host->at.port == at->port && host->at.protocol == at->protocol && strcmp(host->at.host, at->host) == 0)
                        return host;
        }
        return NULL;
}

static struct host *find_number(const struct hosts *hosts, uint16_t number)
{
        list_for_each(entry, &hosts->all) {
                struct host *host = list_entry(entry, struct host, in_all);

                if (host->number == number)
                        return host;
        }
        return NULL;
}

/* Hosts come and go as peers like. */
static void tell(struct hosts *hosts, int level, const struct ipc_host_port *at, const char *what)
{
        struct ipc_fields fields = IPC_FIELDS_INIT;
        unsigned dropped = 0;

        if (!log_limit_take(&hosts->told, monotonic_us(), &dropped))
                return;
        if (dropped)
                log_event(hosts->log, IPC_EVENT_LINES_LEFT_OUT, LOG_NOTICE, NULL, "%u more lines about hosts left out", dropped);
        ipc_fields_text(&fields, "HOST", at->host);
        log_event(hosts->log, IPC_EVENT_NONE, level, fields.list, "host %s: port %u%s %s", at->host, at->port,
                  at->protocol == IPC_UDP ? "/udp" : "", what);
}

/* Nobody is at the other end of what was lent any more. A forward worker that goes on must hear of it. */
static void shut(struct hosts *hosts, struct host *host, const char *why)
{
        struct forward *forward = host->forward;

        for (size_t i = 0; i < 2; i++) {
                if (host->fds[i] >= 0 && host->at.protocol == IPC_TCP)
                        shutdown(host->fds[i], SHUT_RDWR);
                close_fdp(&host->fds[i]);
        }
        if (!forward)
                return;
        tell(hosts, LOG_NOTICE, &host->at, why);
        host->forward = NULL;
        hosts->moved(hosts->context, host);
        if (forwards_release(hosts->forwards, forward))
                forward->child->unconfigured = true;
}

static void host_free(struct hosts *hosts, struct host *host, const char *why)
{
        shut(hosts, host, why);
        list_remove(&host->in_all);
        free(host);
        hosts->changed = true;
}

void hosts_fini(struct hosts *hosts)
{
        list_for_each(at, &hosts->all) {
                struct host *host = list_entry(at, struct host, in_all);

                close_fdp(&host->fds[0]);
                close_fdp(&host->fds[1]);
                list_remove(at);
                free(host);
        }
        if (hosts->listener >= 0)
                unlink(hosts->path);
        close_fdp(&hosts->listener);
}

int hosts_begin(struct hosts *hosts, struct children *children, const char *path)
{
        int r = gate_socket_helpers(path, HELPERS_BACKLOG, &hosts->listener);

        if (r < 0)
                return r;
        hosts->path = path;
        hosts->child = children_add(children, IPC_HOSTS, 1, NULL);
        return hosts->child ? 0 : -ENOMEM;
}

static bool may_be_told(const struct hosts *hosts)
{
        return hosts->child && child_alive(hosts->child) && !hosts->child->unconfigured;        /* else it hears with all the rest */
}

static void send_port(const struct hosts *hosts, const struct host *host, bool wanted)
{
        struct ipc_hosts_port port = { .at = host->at, .number = host->number, .wanted = wanted };

        child_send(hosts->child, IPC_HOSTS_PORT, &port, NULL, 0);
}

struct hosts_count hosts_count(const struct hosts *hosts)
{
        struct hosts_count count = { 0 };
        const char *name = "";

        list_for_each(at, &hosts->all) {
                const struct host *host = list_entry(at, struct host, in_all);

                count.names += strcmp(host->at.host, name) != 0;
                count.ports++;
                count.open += host->forward != NULL;
                name = host->at.host;
        }
        return count;
}

/* In front of it goes another port of that name: those of one stand together. */
static struct list *place_of(struct hosts *hosts, const struct ipc_host_port *at)
{
        struct list *place = &hosts->all;

        list_for_each(entry, &hosts->all)
                if (strcmp(list_entry(entry, struct host, in_all)->at.host, at->host) == 0)
                        place = entry->next;
        return place;
}

/* Whether there is room for it. */
static bool fits(const struct hosts *hosts, const struct ipc_host_port *at)
{
        unsigned ports = 0;

        list_for_each(entry, &hosts->all)
                ports += strcmp(list_entry(entry, struct host, in_all)->at.host, at->host) == 0;
        return ports ? ports < HOSTS_PORTS_OF_ONE_MAX : hosts_count(hosts).names < HOSTS_MAX;
}

static bool is_good(const struct ipc_host_port *at)
{
        return memchr(at->host, '\0', sizeof(at->host)) && host_name_is_given(at->host) && at->port && at->protocol <= IPC_UDP;
}

void hosts_open(struct hosts *hosts, const struct ipc_host_port *at)
{
        struct host *host;

        if (!hosts->child || !is_good(at) || find(hosts, at))
                return;
        host = fits(hosts, at) ? calloc(1, sizeof(*host)) : NULL;
        if (!host) {
                tell(hosts, LOG_WARNING, at, "is left out: there are too many");
                return;
        }
        host->at = *at;
        host->fds[0] = host->fds[1] = -1;
        do {
                host->number = ++hosts->last_number;
        } while (!host->number || find_number(hosts, host->number));
        list_insert_before(place_of(hosts, at), &host->in_all);
        hosts->changed = true;
        if (may_be_told(hosts))
                send_port(hosts, host, true);
}

void hosts_close(struct hosts *hosts, const struct ipc_host_port *at)
{
        struct host *host = is_good(at) ? find(hosts, at) : NULL;

        if (!host)
                return;
        if (may_be_told(hosts))
                send_port(hosts, host, false);
        host_free(hosts, host, "closed: nobody has it any more");
}

/* A socket of this machine's own network would be a port of ours that the configuration says nothing of. */
static bool is_elsewhere(const struct hosts *hosts, int fd)
{
        uint64_t there = 0, here = 0;
        socklen_t len = sizeof(there), here_len = sizeof(here);

        return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &there, &len) < 0 ||        /* an older kernel can't say */
               getsockopt(hosts->listener, SOL_SOCKET, SO_NETNS_COOKIE, &here, &here_len) < 0 || there != here;
}

/* NULL, or why it is of no use. */
static const char *look(const struct hosts *hosts, const struct host *host, int fd)
{
        struct socket_place place;
        const char *why = sockets_look(fd, &place);

        if (!why && (place.port != host->at.port || place.datagrams != (host->at.protocol == IPC_UDP)))
                why = "it is another port";
        if (!why && !is_elsewhere(hosts, fd))
                why = "its helper is in this machine's own network, and must be in a container's";
        return why;
}

static bool serve(struct hosts *hosts, struct host *host)
{
        if (host->forward) {
                host->forward->child->unconfigured = true;
                return true;
        }
        host->forward = forwards_hold(hosts->forwards, IPC_DUTY_HOSTS);
        if (host->forward && forwards_start(hosts->forwards) < 0) {
                forwards_release(hosts->forwards, host->forward);
                host->forward = NULL;
        }
        if (!host->forward)
                return false;
        host->forward->child->unconfigured = true;
        hosts->moved(hosts->context, host);
        return true;
}

bool hosts_bound(struct hosts *hosts, const struct ipc_hosts_bound *bound, int fd)
{
        struct host *host = find_number(hosts, bound->number);
        cleanup_fd int taken = fd;
        const char *why;
        int r;

        if (bound->v6 > 1)
                return false;
        if (!host)
                return true;            /* no longer wanted, which it had not heard */
        why = look(hosts, host, fd);
        if (why) {
                tell(hosts, LOG_WARNING, &host->at, why);
                return true;
        }
        r = host->at.protocol == IPC_UDP ? sockets_datagrams_again(fd) : sockets_listener_again(fd);
        close_fdp(&host->fds[bound->v6]);
        if (r == 0)
                host->fds[bound->v6] = take_fd(&taken);
        if (r < 0 || !serve(hosts, host)) {
                tell(hosts, LOG_ERR, &host->at, "can't be served: no memory");
                shut(hosts, host, "closed");
        } else if (!bound->v6) {
                tell(hosts, LOG_NOTICE, &host->at, "open");
        }
        return true;
}

bool hosts_gone(struct hosts *hosts, const struct ipc_host_port *gone)
{
        if (!memchr(gone->host, '\0', sizeof(gone->host)))
                return false;
        list_for_each(at, &hosts->all) {
                struct host *host = list_entry(at, struct host, in_all);

                if (strcmp(host->at.host, gone->host) == 0)
                        shut(hosts, host, "closed: its helper is gone");
        }
        return true;
}

void hosts_lost(struct hosts *hosts)
{
        list_for_each(at, &hosts->all)
                shut(hosts, list_entry(at, struct host, in_all), "closed: the hosts worker has ended");
}

void hosts_publish(const struct hosts *hosts)
{
        struct ipc_generation generation = { .generation = 0 };

        child_send(hosts->child, IPC_HOSTS_LISTENER, &generation, &hosts->listener, 1);
        list_for_each(at, &hosts->all)
                send_port(hosts, list_entry(at, struct host, in_all), true);
}

void hosts_publish_forward(const struct hosts *hosts, const struct forward *forward, struct ipc_forward_listener how, uint32_t udp_idle_ms)
{
        uint32_t tcp_idle_ms = how.idle_ms;

        list_for_each(at, &hosts->all) {
                const struct host *host = list_entry(at, struct host, in_all);
                struct ipc_forward_host what = { .at = host->at, .number = host->number };

                if (host->forward != forward)
                        continue;
                how.gate_port = host->number;
                how.protocol = host->at.protocol;
                how.idle_ms = host->at.protocol == IPC_UDP ? udp_idle_ms : tcp_idle_ms;
                for (size_t i = 0; i < 2; i++)
                        if (host->fds[i] >= 0)
                                child_send(forward->child, IPC_FORWARD_LISTENER, &how, &host->fds[i], 1);
                child_send(forward->child, IPC_FORWARD_HOST, &what, NULL, 0);
        }
}
