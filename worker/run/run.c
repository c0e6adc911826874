/* SPDX-License-Identifier: BSD-3-Clause */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ipc_table.h"
#include "run_group.h"
#include "run_memory.h"

enum {
        BEGIN_TIMEOUT_MS = 10000,
        MESSAGES_PER_TURN = 64,         /* of one link, then the others and the network have theirs */
        FDS_SPARE = 80,                 /* those in one turn's messages, an introduction or two */
};

#define POST_S 0.002                    /* how long a posted message waits for others */

/* Before there is a supervisor to tell, or when there is none any more. */
static _Noreturn void die(const char *what, int code)
{
        fprintf(stderr, "hypergate worker: %s\n", what);
        exit(code);
}

void worker_log_event(struct worker *worker, enum ipc_event event, int level, const char *const *fields, const char *format, ...)
{
        struct ipc_log log = { .level = (uint32_t)level, .event = event };
        va_list args;
        int len;

        if (level > worker->log_level)
                return;
        va_start(args, format);
        len = vsnprintf(log.text, sizeof(log.text), format, args);
        va_end(args);
        log.text_len = (uint32_t)MIN(MAX(len, 0) + 1, (int)sizeof(log.text));
        for (; fields && *fields; fields++) {
                size_t size = strlen(*fields) + 1;

                if (size > sizeof(log.text) - log.text_len)
                        break;
                memcpy(log.text + log.text_len, *fields, size);
                log.text_len += (uint32_t)size;
        }
        worker_send(&worker->supervisor, IPC_LOG, &log, NULL, 0);
}

static void stop_watching(struct worker_link *link)
{
        ev_io_stop(link->worker->loop, &link->readable);
        ev_io_stop(link->worker->loop, &link->writable);
}

/* The link is of no use any more. Without its supervisor a worker has no reason to be. */
static void depart(struct worker_link *link)
{
        struct worker *worker = link->worker;

        stop_watching(link);
        ipc_link_flush(&link->ipc);     /* what was posted, if it still has a reader */
        if (link == &worker->supervisor) {
                ipc_link_fini(&link->ipc);
                worker_stop(worker, EXIT_FAILURE);
                return;
        }
        list_remove(&link->in_links);
        if (worker->handlers->departed)
                worker->handlers->departed(worker->context, link);
        ipc_link_fini(&link->ipc);
        free(link);
}

static void tell_lost(struct worker *worker, const struct ipc_introduction *who, enum ipc_lost why)
{
        struct ipc_link_lost lost = { .link = who->link, .role = who->role, .id = who->id, .why = why };

        worker_send(&worker->supervisor, IPC_LINK_LOST, &lost, NULL, 0);
}

/* It was to last: the supervisor hears of it before the sibling can see its end. */
static void lose(struct worker_link *link, enum ipc_lost why)
{
        struct ipc_introduction who = { .link = link->number, .role = link->ipc.peer, .id = link->ipc.id };

        if (link != &link->worker->supervisor)
                tell_lost(link->worker, &who, why);
        else if (why == IPC_LOST_BROKEN)
                worker_log(link->worker, LOG_ERR, "the supervisor broke the rules of the link: closed");
        depart(link);
}

void worker_disown(struct worker_link *link)
{
        lose(link, IPC_LOST_BROKEN);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct worker_link *link = container_of(watcher, struct worker_link, writable);
        struct worker *worker = link->worker;
        int r = ipc_link_flush(&link->ipc);

        if (r == -EAGAIN)
                return;
        if (r < 0) {
                lose(link, IPC_LOST_GONE);
                return;
        }
        ev_io_stop(loop, watcher);
        if (link != &worker->supervisor && worker->handlers && worker->handlers->drained)
                worker->handlers->drained(worker->context, link);
}

int worker_send(struct worker_link *link, enum ipc_type type, const void *payload, const int *fds, size_t fd_count)
{
        int r = ipc_link_send(&link->ipc, type, payload, fds, fd_count);

        /* A broken link is noticed by its reader, at the next turn: nothing is freed under the sender's feet. */
        if (ipc_link_queued(&link->ipc))
                ev_io_start(link->worker->loop, &link->writable);
        return r;
}

int worker_post(struct worker_link *link, enum ipc_type type, const void *payload)
{
        struct worker *worker = link->worker;

        if (!ev_is_active(&worker->post)) {
                ev_timer_set(&worker->post, POST_S, 0);
                ev_timer_start(worker->loop, &worker->post);
        }
        return ipc_link_post(&link->ipc, type, payload);
}

static void on_post(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct worker *worker = container_of(timer, struct worker, post);

        list_for_each(at, &worker->links) {
                struct worker_link *link = list_entry(at, struct worker_link, in_links);

                if (ipc_link_flush(&link->ipc) == -EAGAIN)
                        ev_io_start(loop, &link->writable);
        }
}

static void watch(struct worker_link *link);

static void on_introduction(struct worker *worker, struct ipc_received *message)
{
        const struct ipc_introduction *who = IPC_PAYLOAD(message, struct ipc_introduction);
        struct worker_link *link, *old;

        if (who->role >= IPC_ROLES || who->role == IPC_SUPERVISOR)
                return;
        old = worker_find(worker, (enum ipc_role)who->role, who->id);
        if (old)
                depart(old);
        link = calloc(1, sizeof(*link));
        if (!link) {
                tell_lost(worker, who, IPC_LOST_NO_MEMORY);
                return;         /* the descriptor closes, and the sibling sees that we are gone */
        }
        link->worker = worker;
        link->number = who->link;
        ipc_link_init(&link->ipc, ipc_received_take_fd(message, 0), worker->role, (enum ipc_role)who->role, who->id);
        list_push_back(&worker->links, &link->in_links);
        watch(link);
        if (worker->handlers->introduced)
                worker->handlers->introduced(worker->context, link);
}

static void on_stop(struct worker *worker, const struct ipc_stop *stop)
{
        if (worker->handlers->stopping)
                worker->handlers->stopping(worker->context, MSEC(stop->deadline_ms));
        else
                worker_stop(worker, EXIT_SUCCESS);
}

/* False: no level. */
static bool set_log(struct worker *worker, const struct ipc_log_level *said)
{
        if (said->level > LOG_DEBUG)
                return false;
        worker->log_level = (int)said->level;
        worker->log_channels = said->channels != 0;
        return true;
}

/* The handler may have found it to be wrong, or stopped: then the link is over, or the rest is of no interest. */
static void confirm(struct worker *worker, const struct ipc_generation *conf)
{
        if (worker->supervisor.ipc.fd >= 0)
                worker_send(&worker->supervisor, IPC_CONF_DONE, conf, NULL, 0);
}

/* False: nobody here handles it, or it says what can't be. */
static bool dispatch(struct worker_link *link, struct ipc_received *message)
{
        struct worker *worker = link->worker;
        worker_handler handler = worker->handlers->message[message->type];

        if (message->type == IPC_LINK)
                on_introduction(worker, message);
        else if (message->type == IPC_STOP)
                on_stop(worker, IPC_PAYLOAD(message, struct ipc_stop));
        else if (message->type == IPC_PING)
                return true;            /* to have read it is the answer */
        else if (message->type == IPC_LOG_LEVEL)
                return set_log(worker, IPC_PAYLOAD(message, struct ipc_log_level));
        else if (handler)
                handler(worker->context, link, message);
        else
                return false;
        if (message->type == IPC_CONF_END)
                confirm(worker, IPC_PAYLOAD(message, struct ipc_generation));
        return true;
}

/* Whether @link, remembered by address only, is still one of ours: a handler may have ended it. */
static bool alive(struct worker *worker, const struct worker_link *link)
{
        if (link == &worker->supervisor)
                return worker->supervisor.ipc.fd >= 0;
        list_for_each(at, &worker->links)
                if (list_entry(at, struct worker_link, in_links) == link)
                        return true;
        return false;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct worker_link *link = container_of(watcher, struct worker_link, readable);
        struct worker *worker = link->worker;
        struct ipc_received message;

        for (int i = 0; i < MESSAGES_PER_TURN; i++) {
                int r = ipc_link_receive(&link->ipc, &message);
                bool handled;

                if (r == 0)
                        return;
                if (r < 0 && r != -EPROTO) {
                        lose(link, IPC_LOST_GONE);
                        return;
                }
                handled = r > 0 && dispatch(link, &message);
                if (r > 0)
                        ipc_received_fini(&message);
                if (!alive(worker, link))
                        return;
                if (!handled) {
                        worker_disown(link);
                        return;
                }
        }
}

static void watch(struct worker_link *link)
{
        ev_io_init(&link->readable, on_readable, link->ipc.fd, EV_READ);
        ev_io_init(&link->writable, on_writable, link->ipc.fd, EV_WRITE);
        ev_io_start(link->worker->loop, &link->readable);
}

/* The first message, waited for: nothing can be done before it. */
static struct ipc_begin receive_begin(struct worker *worker)
{
        struct pollfd ready = { .fd = WORKER_CONTROL_FD, .events = POLLIN };
        struct ipc_received message;
        uint8_t build_id[IPC_BUILD_ID_BYTES];
        const struct ipc_begin *begin = IPC_PAYLOAD(&message, struct ipc_begin);

        if (poll(&ready, 1, BEGIN_TIMEOUT_MS) != 1 || ipc_link_receive(&worker->supervisor.ipc, &message) != 1 ||
            message.type != IPC_BEGIN)
                die("no supervisor on descriptor 3: it is started by hypergated, not by hand", EXIT_FAILURE);
        ipc_build_id(build_id);
        if (memcmp(build_id, begin->build_id, sizeof(build_id)) != 0)
                die("the supervisor is of another build: install all parts of one version", WORKER_EXIT_BUILD);
        if (begin->port_count > IPC_PORTS_MAX)
                die("the supervisor names more ports than there is room for", EXIT_FAILURE);
        return *begin;
}

static void init(struct worker *worker, enum ipc_role role, int fd)
{
        *worker = (struct worker){ .role = role, .log_level = LOG_DEBUG };
        list_init(&worker->links);
        worker->supervisor.worker = worker;
        ipc_link_init(&worker->supervisor.ipc, fd, role, IPC_SUPERVISOR, 0);
        signal(SIGPIPE, SIG_IGN);
}

/* A quarter stays free where there are few. */
static int fds_to_keep(void)
{
        struct rlimit limit;
        rlim_t most = INT_MAX;

        if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
                most = MIN(limit.rlim_cur, most);
        return (int)(most - MIN(most / 4, (rlim_t)FDS_SPARE));
}

bool worker_fds_short(const struct worker *worker)
{
        int fd = fcntl(worker->supervisor.ipc.fd, F_DUPFD_CLOEXEC, 0);

        if (fd < 0)
                return errno == EMFILE || errno == ENFILE;
        close(fd);
        return worker_fd_spare(worker, fd);
}

static bool begin(struct worker *worker, const struct ipc_begin *begin)
{
        worker->fds_keep = fds_to_keep();
        worker->begin = *begin;
        worker->id = begin->id;
        set_log(worker, &begin->log);
        ev_timer_init(&worker->post, on_post, POST_S, 0);
        worker->loop = run_memory_begin() ? ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV) : NULL;
        if (worker->loop)
                watch(&worker->supervisor);
        return worker->loop;
}

void worker_begin(struct worker *worker, enum ipc_role role)
{
        struct ipc_begin said;

        init(worker, role, WORKER_CONTROL_FD);
#ifndef HG_SANITIZED    /* whose runtime takes terabytes of addresses */
        if (role == IPC_SWARM)
                run_group_share(run_group_limit(""));
#endif
        if (run_harden() < 0)
                die("can't give up what it does not need", EXIT_FAILURE);
        said = receive_begin(worker);
        if (!begin(worker, &said))
                die("no event loop", EXIT_FAILURE);
}

bool worker_begin_inside(struct worker *worker, enum ipc_role role, int fd, const struct ipc_begin *said)
{
        init(worker, role, fd);
        return begin(worker, said);
}

void worker_confine(struct worker *worker, const struct run_confinement *confinement)
{
        struct ipc_ready ready;
        int r = run_confine(confinement, WORKER_CONTROL_FD);

        if (r < 0) {
                worker_log(worker, LOG_ERR, "can't confine itself: %s", strerror(-r));
                exit(EXIT_FAILURE);
        }
        worker->confined = true;
        ipc_build_id(ready.build_id);
        worker_send(&worker->supervisor, IPC_READY, &ready, NULL, 0);
}

static void run(struct worker *worker, const struct worker_handlers *handlers, void *context, int flags)
{
        worker->handlers = handlers;
        worker->context = context;
        ev_run(worker->loop, flags);
}

void worker_turn(struct worker *worker, const struct worker_handlers *handlers, void *context)
{
        run(worker, handlers, context, EVRUN_NOWAIT);
}

void worker_part(struct worker *worker)
{
        list_for_each(at, &worker->links)
                depart(list_entry(at, struct worker_link, in_links));
}

int worker_run(struct worker *worker, const struct worker_handlers *handlers, void *context)
{
        run(worker, handlers, context, 0);
        worker_part(worker);
        return worker->exit_code;
}

void worker_end(struct worker *worker)
{
        stop_watching(&worker->supervisor);
        ipc_link_flush(&worker->supervisor.ipc);
        ipc_link_fini(&worker->supervisor.ipc);
        ev_loop_destroy(worker->loop);
}

void worker_stop(struct worker *worker, int exit_code)
{
        worker->exit_code = exit_code;
        ev_break(worker->loop, EVBREAK_ALL);
}

struct worker_link *worker_find(struct worker *worker, enum ipc_role role, uint32_t id)
{
        list_for_each(at, &worker->links) {
                struct worker_link *link = list_entry(at, struct worker_link, in_links);

                if (link->ipc.peer == role && link->ipc.id == id)
                        return link;
        }
        return NULL;
}
