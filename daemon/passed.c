/* SPDX-License-Identifier: BSD-3-Clause */
#include "passed.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "ipc_fd.h"
#include "manager.h"
#include "notify.h"

#define KEPT_GATE "kept-gate-"
#define KEPT_DHT "kept-dht-"

/* "kept-gate-tcp-8000-127.0.0.1". No name may have a colon: IPv6 addresses have dots, too. */
static void name_gate(const struct socket_place *place, char name[PASSED_NAME_MAX])
{
        char address[INET6_ADDRSTRLEN];

        sockets_print_address(place->ip, address);
        for (char *at = address; *at; at++)
                if (*at == ':')
                        *at = '.';
        snprintf(name, PASSED_NAME_MAX, KEPT_GATE "%s-%u-%s", place->datagrams ? "udp" : "tcp", place->port, address);
}

static void name_dht(const char *which, char name[PASSED_NAME_MAX])
{
        snprintf(name, PASSED_NAME_MAX, KEPT_DHT "%s", which);
}

static void tell_useless(const struct passed *passed, const struct passed_socket *socket, const char *why)
{
        struct ipc_fields fields = IPC_FIELDS_INIT;
        char address[INET6_ADDRSTRLEN], where[INET6_ADDRSTRLEN + 16] = "";

        if (socket->place.port) {
                sockets_print_address(socket->place.ip, address);
                snprintf(where, sizeof(where), " (%s, %u%s)", address, socket->place.port, socket->place.datagrams ? "/udp" : "");
                ipc_fields_text(&fields, "LISTEN", address);
                ipc_fields_gate(&fields, socket->place.port, socket->place.datagrams);
        }
        ipc_fields_text(&fields, "REASON", why);
        log_event(passed->log, IPC_EVENT_SOCKET_UNUSED, LOG_WARNING, fields.list, "socket \"%s\"%s is of no use here: %s", socket->name, where, why);
}

static void forget(struct passed *passed, const char *name)
{
        notify_store_no_more(name);
        passed->room++;
}

/* Whoever waits at a listener is reset now, not when all who hold it have closed it. */
static void drop(struct passed *passed, struct passed_socket *socket)
{
        if (socket->from == PASSED_KEPT_GATE && !socket->place.datagrams)
                shutdown(socket->fd, SHUT_RDWR);
        close_fdp(&socket->fd);
        forget(passed, socket->name);
}

static bool begins(const char *text, const char *with)
{
        return strncmp(text, with, strlen(with)) == 0;
}

/* NULL, or why it is of no use. What was kept has the name that it would be kept under, or is not what it was. */
static const char *look(struct passed_socket *socket)
{
        char name[PASSED_NAME_MAX];
        const char *why = sockets_look(socket->fd, &socket->place);

        if (!why && socket->from == PASSED_KEPT_GATE) {
                name_gate(&socket->place, name);
                return strcmp(name, socket->name) == 0 ? NULL : "it has another name than it was kept under";
        }
        if (!why && socket->from == PASSED_KEPT_DHT && !socket->place.datagrams)
                return "it is not UDP";
        return why;
}

/* One of @count descriptors, named by who passed it. */
static void receive(struct passed *passed, int fd, const char *name)
{
        struct passed_socket socket = { .fd = fd };
        bool kept = begins(name, KEPT_GATE) || begins(name, KEPT_DHT);
        const char *why = NULL;

        memccpy(socket.name, name, 0, sizeof(socket.name) - 1);
        socket.from = begins(name, KEPT_GATE) ? PASSED_KEPT_GATE : begins(name, KEPT_DHT) ? PASSED_KEPT_DHT : PASSED_LENT;
        if (kept && passed->room)
                passed->room--;
        if (!kept && strcmp(name, "gate") != 0)
                why = "what socket units pass here is gates, by FileDescriptorName=gate";
        if (!why)
                why = look(&socket);
        if (!why) {
                passed->list[passed->count++] = socket;
                return;
        }
        tell_useless(passed, &socket, why);
        if (kept)
                drop(passed, &socket);
        else
                close(fd);
}

void passed_init(struct passed *passed, const struct log *log)
{
        char **names = NULL;
        int count = manager_passed(&names);

        *passed = (struct passed){ .log = log, .room = notify_store_max() };
        passed->list = calloc((size_t)MAX(count, 0) + 1, sizeof(*passed->list));
        for (int i = 0; i < count; i++) {
                if (passed->list)
                        receive(passed, MANAGER_PASSED_FIRST + i, names[i]);
                free(names[i]);
        }
        free(names);
        if (count < 0)
                log_warning(log, "sockets that were passed can't be taken: %s", strerror(-count));
}

void passed_fini(struct passed *passed)
{
        for (size_t i = 0; i < passed->count; i++)
                close_fdp(&passed->list[i].fd);
        free(passed->list);
        *passed = (struct passed){ 0 };
}

void passed_sort(struct passed *passed, bool (*wanted)(const void *context, const struct socket_place *place), const void *context)
{
        bool dropped = false;

        for (size_t i = 0; i < passed->count; i++) {
                struct passed_socket *socket = &passed->list[i];

                if (socket->fd < 0 || socket->from != PASSED_KEPT_GATE || wanted(context, &socket->place))
                        continue;
                drop(passed, socket);
                dropped = true;
        }
        if (dropped)
                notify_settle();        /* what it still held would be in the way of what is opened next */
}

static bool same_place(const struct socket_place *a, const struct socket_place *b)
{
        return memcmp(a->ip, b->ip, sizeof(a->ip)) == 0 && a->port == b->port && a->datagrams == b->datagrams;
}

int passed_take_gate(struct passed *passed, const struct socket_place *place, bool *lent)
{
        for (size_t i = 0; i < passed->count; i++) {
                struct passed_socket *socket = &passed->list[i];

                if (socket->fd < 0 || socket->from == PASSED_KEPT_DHT || !same_place(&socket->place, place))
                        continue;
                *lent = socket->from == PASSED_LENT;
                return *lent ? fcntl(socket->fd, F_DUPFD_CLOEXEC, 0) : take_fd(&socket->fd);
        }
        return -1;
}

int passed_take_dht(struct passed *passed, const char *which, const uint8_t ip[4], uint16_t port)
{
        char name[PASSED_NAME_MAX];

        name_dht(which, name);
        for (size_t i = 0; i < passed->count; i++) {
                struct passed_socket *socket = &passed->list[i];
                struct socket_place wanted = { .ip = { [10] = 0xff, [11] = 0xff }, .port = port ? port : socket->place.port, .datagrams = true };

                memcpy(wanted.ip + 12, ip, 4);
                if (socket->fd < 0 || strcmp(socket->name, name) != 0)
                        continue;
                if (same_place(&socket->place, &wanted))
                        return take_fd(&socket->fd);
                drop(passed, socket);
                notify_settle();
        }
        return -1;
}

void passed_each_lent(struct passed *passed, const char *(*use)(void *context, const struct socket_place *place), void *context)
{
        for (size_t i = 0; i < passed->count; i++) {
                struct passed_socket *socket = &passed->list[i];
                const char *before = socket->why;

                if (socket->from != PASSED_LENT)
                        continue;
                socket->why = use(context, &socket->place);
                if (socket->why && socket->why != before)
                        tell_useless(passed, socket, socket->why);
        }
}

static bool keep(struct passed *passed, const char *name, int fd)
{
        if (passed->room == 0 || !notify_store(name, fd))
                return false;
        passed->room--;
        return true;
}

bool passed_keep_gate(struct passed *passed, const struct socket_place *place, int fd)
{
        char name[PASSED_NAME_MAX];

        name_gate(place, name);
        return keep(passed, name, fd);
}

void passed_forget_gate(struct passed *passed, const struct socket_place *place)
{
        char name[PASSED_NAME_MAX];

        name_gate(place, name);
        forget(passed, name);
}

bool passed_keep_dht(struct passed *passed, const char *which, int fd)
{
        char name[PASSED_NAME_MAX];

        name_dht(which, name);
        return keep(passed, name, fd);
}

void passed_forget_dht(struct passed *passed, const char *which)
{
        char name[PASSED_NAME_MAX];

        name_dht(which, name);
        forget(passed, name);
}

void passed_drop_dht(struct passed *passed, const char *which)
{
        char name[PASSED_NAME_MAX];

        name_dht(which, name);
        for (size_t i = 0; i < passed->count; i++)
                if (passed->list[i].fd >= 0 && strcmp(passed->list[i].name, name) == 0)
                        drop(passed, &passed->list[i]);
}
