/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_greetings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "forward_metadata.h"
#include "forward_proxy.h"

#define AGAIN_US SECONDS(60)            /* before the log says so once more */

struct greeting {
        struct greetings *greetings;
        struct list in_all;
        struct heap_entry deadline;
        struct watched watched;
        struct guest *guest;            /* NULL: not counted yet, or for want of memory */
        uint16_t gate_port;
        bool proxied;                   /* a header comes first, */
        bool named;                     /* and told of whom this is: */
        union socket_address remote, local;
        size_t len;                     /* of the header so far, which is no longer in the socket */
        uint8_t header[PROXY_READ_MAX];
};

void greetings_init(struct greetings *greetings, struct worker *worker, struct watch *watch, struct clients *clients,
                    const uint8_t map_key[16])
{
        *greetings = (struct greetings){ .worker = worker, .watch = watch, .clients = clients };
        list_init(&greetings->all);
        guests_init(&greetings->guests, map_key);
}

/* The descriptor is the caller's. */
static int release(struct greeting *greeting)
{
        struct greetings *greetings = greeting->greetings;
        int fd = greeting->watched.fd;

        watch_remove(greetings->watch, &greeting->watched);
        heap_remove(&greetings->deadlines, &greeting->deadline);
        list_remove(&greeting->in_all);
        guests_leave(&greetings->guests, greeting->guest);
        greetings->count--;
        free(greeting);
        return fd;
}

void greetings_fini(struct greetings *greetings)
{
        list_for_each(at, &greetings->all)
                close(release(list_entry(at, struct greeting, in_all)));
        guests_fini(&greetings->guests);
}

void greetings_begin(struct greetings *greetings)
{
        greetings->next_count = 0;
}

bool greetings_trust(struct greetings *greetings, const struct ipc_forward_trusted *trusted)
{
        if (greetings->next_count == GREETINGS_TRUSTED_MAX || trusted->bits > 128)
                return false;
        greetings->next[greetings->next_count++] = *trusted;
        return true;
}

void greetings_end(struct greetings *greetings)
{
        memcpy(greetings->trusted, greetings->next, sizeof(greetings->trusted));
        greetings->trusted_count = greetings->next_count;
}

static bool is_within(const struct ipc_forward_trusted *network, const uint8_t ip[16])
{
        size_t whole = network->bits / 8;
        unsigned rest = network->bits % 8;

        return memcmp(network->ip, ip, whole) == 0 && (!rest || (network->ip[whole] ^ ip[whole]) >> (8 - rest) == 0);
}

static bool is_trusted(const struct greetings *greetings, const union socket_address *remote)
{
        uint8_t ip[16];

        if (remote->any.sa_family == AF_UNSPEC)         /* at a unix socket, who may come is told by its mode */
                return false;
        socket_address_ip(remote, ip);
        for (size_t i = 0; i < greetings->trusted_count; i++)
                if (is_within(&greetings->trusted[i], ip))
                        return true;
        return false;
}

/* Once a minute: whoever is trusted may do it all day. */
static void complain(struct greetings *greetings, const struct greeting *greeting, const char *what)
{
        char address[METADATA_ADDRESS_TEXT_MAX];
        struct sockaddr_storage wide;
        struct now now;

        worker_now(&now);
        if (greetings->told_us && now.mono_us - greetings->told_us < AGAIN_US)
                return;
        greetings->told_us = now.mono_us;
        socket_address_widen(&greeting->remote, &wide);
        metadata_address_text(&wide, address);
        worker_log(greetings->worker, LOG_NOTICE, "gate %u: %s is among trustedProxies, and %s: reset", greeting->gate_port, address, what);
}

/* SO_LINGER{1,0} comes with the listener: a close is a reset. */
static void turn_away(struct greeting *greeting, const char *what)
{
        complain(greeting->greetings, greeting, what);
        close(release(greeting));
}

/* All that is there of it leaves the socket, and nothing of what comes behind. */
static enum proxy_verdict take_header(struct greeting *greeting, struct proxy_header *out)
{
        uint8_t *at = greeting->header + greeting->len;
        ssize_t seen = recv(greeting->watched.fd, at, sizeof(greeting->header) - greeting->len, MSG_PEEK | MSG_DONTWAIT);
        enum proxy_verdict verdict;
        size_t size = 0;

        if (seen < 0 && (errno == EAGAIN || errno == EINTR))
                return PROXY_MORE;
        if (seen <= 0)
                return PROXY_BAD;
        verdict = proxy_read(greeting->header, greeting->len + (size_t)seen, out, &size);
        if (verdict == PROXY_BAD)
                return verdict;
        seen = recv(greeting->watched.fd, at, verdict == PROXY_OK ? size - greeting->len : (size_t)seen, MSG_DONTWAIT);
        greeting->len += seen > 0 ? (size_t)seen : 0;
        return seen > 0 ? verdict : PROXY_BAD;
}

static void become_client(struct greeting *greeting, const char *name, const struct now *now)
{
        struct clients *clients = greeting->greetings->clients;
        union socket_address remote = greeting->remote, local = greeting->local;
        bool named = greeting->named;
        uint16_t gate_port = greeting->gate_port;
        struct choose_names names = { 0 };

        if (name)
                choose_names(name, &names);
        clients_accept(clients, gate_port, IPC_TCP, release(greeting), &remote, named ? &local : NULL, &names, now);
}

/* Whom a TLS client asks for stays in the socket, for whoever is asked. False: it is a client now. */
static bool listen_to_hello(struct greeting *greeting, const struct now *now)
{
        uint8_t *bytes = greeting->greetings->hello;
        ssize_t seen = recv(greeting->watched.fd, bytes, HELLO_MAX, MSG_PEEK | MSG_DONTWAIT);
        enum hello_verdict verdict = seen > 0 ? hello_read(bytes, (size_t)seen, greeting->greetings->name) : HELLO_MORE;

        if (verdict == HELLO_MORE && (seen == 0 || seen == HELLO_MAX || (seen < 0 && errno != EAGAIN && errno != EINTR)))
                verdict = HELLO_NAMELESS;       /* no more will come, or none that counts */
        if (verdict == HELLO_MORE)
                return true;
        become_client(greeting, verdict == HELLO_NAMED ? greeting->greetings->name : NULL, now);
        return false;
}

static void give_up(struct greeting *greeting, const struct now *now);

/* Many that say nothing are at the cost of those that come from the same, not of others. */
static void count_for(struct greeting *greeting, uint32_t most, const struct now *now)
{
        struct greetings *greetings = greeting->greetings;
        uint32_t count = 0;

        greeting->guest = guests_enter(&greetings->guests, greeting->gate_port, IPC_TCP, &greeting->remote, now->mono_us, &count);
        if (!greeting->guest || count <= most)
                return;
        list_for_each(at, &greetings->all) {
                struct greeting *oldest = list_entry(at, struct greeting, in_all);

                if (oldest->guest == greeting->guest && oldest != greeting) {
                        give_up(oldest, now);
                        return;
                }
        }
}

/* What a proxy says on its own behalf, as to look whether we are there, is its own. False: it was turned away. */
static bool listen_to_header(struct greeting *greeting, const struct now *now)
{
        struct proxy_header header;

        switch (take_header(greeting, &header)) {
        case PROXY_OK:
                greeting->proxied = false;
                greeting->named = header.named;
                if (header.named) {
                        guests_leave(&greeting->greetings->guests, greeting->guest);
                        greeting->guest = NULL;
                        greeting->remote = header.source;
                        greeting->local = header.destination;
                }
                if (clients_admit(greeting->greetings->clients, greeting->gate_port, IPC_TCP, &greeting->remote, now))
                        return true;
                close(release(greeting));
                return false;
        case PROXY_BAD:
                turn_away(greeting, "sends no PROXY header");
                return false;
        default:
                return true;
        }
}

/* False: it is gone from here, one way or the other. */
static bool listen_to(struct greeting *greeting, const struct now *now)
{
        if (greeting->proxied && !listen_to_header(greeting, now))
                return false;
        if (greeting->proxied)
                return true;
        if (clients_are_named(greeting->greetings->clients, greeting->gate_port, IPC_TCP)) {
                if (!greeting->guest)
                        count_for(greeting, GREETINGS_PER_CLIENT, now);
                return listen_to_hello(greeting, now);
        }
        become_client(greeting, NULL, now);
        return false;
}

/* Who is silent may wait for its service to begin, as clients of other protocols do. */
static void give_up(struct greeting *greeting, const struct now *now)
{
        if (greeting->proxied)
                turn_away(greeting, "says nothing, or not all");
        else
                become_client(greeting, NULL, now);
}

/* The end of what it sends comes with no byte: what is there is all there is. */
static void on_words(struct watched *watched, uint32_t events)
{
        struct greeting *greeting = container_of(watched, struct greeting, watched);
        struct now now;

        worker_now(&now);
        if (listen_to(greeting, &now) && events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
                give_up(greeting, &now);
}

void greetings_accept(struct greetings *greetings, uint16_t gate_port, int fd, const union socket_address *remote, const struct now *now)
{
        bool proxied = is_trusted(greetings, remote);
        struct greeting *greeting;

        if (!proxied && !clients_are_named(greetings->clients, gate_port, IPC_TCP)) {
                clients_accept(greetings->clients, gate_port, IPC_TCP, fd, remote, NULL, NULL, now);
                return;
        }
        greeting = proxied || clients_admit(greetings->clients, gate_port, IPC_TCP, remote, now) ? calloc(1, sizeof(*greeting)) : NULL;
        if (!greeting) {
                close(fd);
                return;
        }
        if (greetings->count == GREETINGS_MAX)
                give_up(list_entry(list_first(&greetings->all), struct greeting, in_all), now);
        greeting->greetings = greetings;
        greeting->gate_port = gate_port;
        greeting->proxied = proxied;
        greeting->remote = *remote;
        greeting->watched = (struct watched){ .fd = fd, .ready = on_words };
        list_push_back(&greetings->all, &greeting->in_all);
        greetings->count++;
        count_for(greeting, proxied ? GREETINGS_PER_PROXY : GREETINGS_PER_CLIENT, now);
        heap_insert(&greetings->deadlines, &greeting->deadline, usec_add(now->mono_us, GREETINGS_WAIT_US));
        /* Edge-triggered: half a hello stays where it is, and is looked at again when there is more. */
        if (listen_to(greeting, now) && watch_add(greetings->watch, &greeting->watched, EPOLLIN | EPOLLRDHUP | EPOLLET) < 0)
                close(release(greeting));
}

void greetings_advance(struct greetings *greetings, const struct now *now)
{
        struct heap_entry *due;

        while ((due = heap_pop_due(&greetings->deadlines, now->mono_us)))
                give_up(container_of(due, struct greeting, deadline), now);
}

usec_t greetings_deadline(const struct greetings *greetings)
{
        return heap_deadline(&greetings->deadlines);
}
