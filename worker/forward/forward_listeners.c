/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_listeners.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "run_memory.h"

enum { ACCEPTS_PER_TURN = 64 }; /* of one listener, then the others have their turn */

#define PAUSE_BUSY_US MSEC(10)          /* the swarm worker is behind: it reads a full link in about that time */
#define PAUSE_FAILED_US MSEC(500)       /* no descriptors or no memory: until connections end */

struct listener {
        struct list in_list;
        struct listeners *listeners;
        struct watched watched;
        struct heap_entry resume;       /* while paused */
        struct ipc_forward_listener what;
        bool failing;                   /* the last accept failed, and the log says so */
};

void listeners_init(struct listeners *listeners, struct worker *worker, struct watch *watch, struct greetings *greetings)
{
        *listeners = (struct listeners){ .worker = worker, .watch = watch, .greetings = greetings };
        list_init(&listeners->all);
        list_init(&listeners->next);
}

static void listener_free(struct listener *listener)
{
        watch_remove(listener->listeners->watch, &listener->watched);
        heap_remove(&listener->listeners->paused, &listener->resume);
        list_remove(&listener->in_list);
        close(listener->watched.fd);
        free(listener);
}

static void free_all(struct list *list)
{
        list_for_each(at, list)
                listener_free(list_entry(at, struct listener, in_list));
}

void listeners_fini(struct listeners *listeners)
{
        free_all(&listeners->all);
        free_all(&listeners->next);
}

static void pause_for(struct listener *listener, usec_t now_us, usec_t pause_us)
{
        watch_remove(listener->listeners->watch, &listener->watched);
        heap_set(&listener->listeners->paused, &listener->resume, usec_add(now_us, pause_us));
}

/* accept(2): errors of the connection that was to be, which the next one does not share. */
static bool concerns_connection(int error)
{
        return error == EINTR || error == ECONNABORTED || error == EPROTO || error == ENETDOWN || error == ENOPROTOOPT ||
               error == EHOSTDOWN || error == ENONET || error == EHOSTUNREACH || error == EOPNOTSUPP || error == ENETUNREACH ||
               error == EPERM;
}

static void accept_failed(struct listener *listener, int error, usec_t now_us)
{
        if (!listener->failing)
                worker_log_event(listener->listeners->worker, IPC_EVENT_SHORT_OF, LOG_WARNING, NULL,
                                 "gate %u: accept: %s; clients wait until that changes", listener->what.gate_port, strerror(error));
        listener->failing = true;
        pause_for(listener, now_us, PAUSE_FAILED_US);
}

static void on_ready(struct watched *watched, uint32_t events)
{
        struct listener *listener = container_of(watched, struct listener, watched);
        struct listeners *listeners = listener->listeners;
        int failures = 0;
        struct now now;

        worker_now(&now);
        for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
                union socket_address remote = { 0 };
                socklen_t len = sizeof(remote);
                int fd;

                if (clients_busy(listeners->greetings->clients)) {
                        pause_for(listener, now.mono_us, PAUSE_BUSY_US);
                        return;
                }
                if (worker_fds_short(listeners->worker)) {      /* asked first: who is accepted can't go back to the backlog */
                        accept_failed(listener, EMFILE, now.mono_us);
                        return;
                }
                if (run_memory_short()) {
                        accept_failed(listener, ENOMEM, now.mono_us);
                        return;
                }
                fd = accept4(watched->fd, &remote.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (fd >= 0) {
                        if (remote.any.sa_family == AF_UNIX)
                                remote = (union socket_address){ 0 };   /* what it may have called itself is no address */
                        listener->failing = false;
                        greetings_accept(listeners->greetings, listener->what.gate_port, fd, &remote, &now);
                } else if (errno == EAGAIN) {
                        return;
                } else if (errno == EINVAL) {   /* the supervisor has shut the gate, and is about to say so */
                        watch_remove(listeners->watch, watched);
                        return;
                } else if (!concerns_connection(errno) || ++failures == ACCEPTS_PER_TURN) {     /* so many, and no other: it is us */
                        accept_failed(listener, errno, now.mono_us);
                        return;
                }
        }
}

/* A failure to watch is one to accept: tried again later. */
static void resume(struct listener *listener, usec_t now_us)
{
        int r = watch_add(listener->listeners->watch, &listener->watched, EPOLLIN);

        if (r < 0)
                accept_failed(listener, -r, now_us);
}

void listeners_begin(struct listeners *listeners)
{
        free_all(&listeners->next);
}

int listeners_add(struct listeners *listeners, const struct ipc_forward_listener *what, int fd)
{
        struct listener *listener = calloc(1, sizeof(*listener));

        if (!listener) {
                close(fd);
                return -ENOMEM;
        }
        listener->listeners = listeners;
        listener->watched = (struct watched){ .fd = fd, .ready = on_ready };
        listener->what = *what;
        list_push_back(&listeners->next, &listener->in_list);
        return 0;
}

/* A socket that stays came again as another descriptor: who waits in its backlog does not notice. */
void listeners_end(struct listeners *listeners)
{
        struct now now;

        worker_now(&now);
        free_all(&listeners->all);
        list_for_each(at, &listeners->next) {
                list_remove(at);
                list_push_back(&listeners->all, at);
                resume(list_entry(at, struct listener, in_list), now.mono_us);
        }
}

void listeners_advance(struct listeners *listeners, usec_t now_us)
{
        struct heap_entry *due;

        while ((due = heap_pop_due(&listeners->paused, now_us)))
                resume(container_of(due, struct listener, resume), now_us);
}

usec_t listeners_deadline(const struct listeners *listeners)
{
        return heap_deadline(&listeners->paused);
}
