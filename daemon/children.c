/* SPDX-License-Identifier: BSD-3-Clause */
#include "children.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backoff.h"
#include "child_log.h"
#include "ipc_fd.h"
#include "ipc_table.h"
#include "monotonic.h"
#include "spawn.h"
#include "syscall_name.h"

enum {
        MESSAGES_PER_TURN = 64,
        EXIT_BUILD = 70,                /* EX_SOFTWARE, as worker/run says it */
        QUEUE_MAX = 64 * 1024 * 1024,   /* its whole configuration: bounded by CONF_SERVICES_MAX, not by strangers */
};

static void start(struct child *child);

const char *child_name(const struct child *child, char *out, size_t size)
{
        if (child->role == IPC_FORWARD)
                snprintf(out, size, "forward worker %u", child->id);
        else
                snprintf(out, size, "%s worker", ipc_role_name(child->role));
        return out;
}

bool child_alive(const struct child *child)
{
        return (child->state == CHILD_STARTING || child->state == CHILD_UP) && child->link.fd >= 0;
}

static void arm(struct child *child, usec_t after_us)
{
        ev_timer_stop(child->children->loop, &child->due);
        ev_timer_set(&child->due, to_seconds(after_us), 0);
        ev_timer_start(child->children->loop, &child->due);
}

static void close_link(struct child *child)
{
        struct ev_loop *loop = child->children->loop;

        ev_io_stop(loop, &child->readable);
        ev_io_stop(loop, &child->writable);
        ev_timer_stop(loop, &child->stuck);
        ipc_link_fini(&child->link);
}

static void free_child(struct child *child)
{
        ev_timer_stop(child->children->loop, &child->due);
        list_remove(&child->in_all);
        free(child);
}

static void strike(struct child *child)
{
        if (child->pid > 0)
                kill(child->pid, SIGKILL);
}

void child_kill(struct child *child, const char *why)
{
        struct ipc_fields fields = IPC_FIELDS_INIT;
        char name[CHILD_NAME_MAX];

        if (child->pid <= 0)
                return;
        strike(child);
        if (child->struck)
                return;
        child->struck = true;
        ipc_fields_text(&fields, "WORKER", ipc_role_name(child->role));
        ipc_fields_text(&fields, "REASON", why);
        log_event(child->children->log, IPC_EVENT_WORKER_KILLED, LOG_ERR, fields.list, "%s (pid %d): %s: killed%s",
                  child_name(child, name, sizeof(name)), child->pid, why, child->state == CHILD_STOPPING ? "" : ", starting it again");
}

/* What @state has been waiting for did not come. */
static void on_due(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct child *child = timer->data;

        if (child->state == CHILD_WAITING)
                start(child);
        else if (child->link.fd < 0)
                strike(child);          /* it let go of its link and did not end */
        else if (child->state == CHILD_STARTING)
                child_kill(child, "not ready in time");
        else if (child->state == CHILD_STOPPING)
                child_kill(child, "did not stop in time");
}

static void set_stuck(struct child *child)
{
        child->sent_before = child->sent;
        child->stuck_since_us = monotonic_us();
        ev_timer_again(child->children->loop, &child->stuck);
}

/* Whether the kernel still holds something that it has not read: unix(7), SIOCOUTQ. */
static bool leaves_unread(const struct child *child)
{
        int bytes = 0;

        return ioctl(child->link.fd, SIOCOUTQ, &bytes) == 0 && bytes > 0;
}

/* What waits in our queue would have set the timer anew by going on. What waits in the kernel may have come just now, unless
 * nothing was sent since, or that has been so too often. */
static bool in_doubt(struct child *child, bool queued)
{
        return !queued && child->sent != child->sent_before && ++child->doubts < CHILD_DOUBTS;
}

void child_look(struct child *child)
{
        bool queued = ipc_link_queued(&child->link), unread = queued || leaves_unread(child);
        bool late = monotonic_us() - child->stuck_since_us > SECONDS(CHILD_STUCK_S + CHILD_LATE_S);

        if (!unread) {
                ev_timer_stop(child->children->loop, &child->stuck);
                child->doubts = 0;
        } else if (late || child->state == CHILD_STARTING || in_doubt(child, queued)) {
                set_stuck(child);
        } else {
                child_kill(child, "takes no messages any more");
        }
}

static void on_stuck(struct ev_loop *loop, ev_timer *timer, int events)
{
        child_look(timer->data);
}

static void watch_queue(struct child *child)
{
        struct ev_loop *loop = child->children->loop;

        if (ipc_link_queued(&child->link))
                ev_io_start(loop, &child->writable);
        else
                ev_io_stop(loop, &child->writable);
        if (!ev_is_active(&child->stuck))
                set_stuck(child);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct child *child = watcher->data;
        size_t before = child->link.queued_bytes;
        int r = ipc_link_flush(&child->link);

        if (r < 0 && r != -EAGAIN) {
                ev_io_stop(loop, watcher);      /* it is dying: the reader sees the end */
                return;
        }
        if (child->link.queued_bytes < before) {
                child->doubts = 0;
                set_stuck(child);
        }
        watch_queue(child);
}

int child_send(struct child *child, enum ipc_type type, const void *payload, const int *fds, size_t fd_count)
{
        int r;

        if (child->link.fd < 0)
                return -EPIPE;
        r = ipc_link_send(&child->link, type, payload, fds, fd_count);
        child->sent++;
        watch_queue(child);
        if (r < 0 && r != -EPIPE)
                child_kill(child, r == -ENOBUFS ? "takes no messages any more" : strerror(-r));
        return r;
}

void child_conf_begin(struct child *child)
{
        struct ipc_generation generation = { .generation = ++child->children->generation };

        child->told = generation.generation;
        child_send(child, IPC_CONF_BEGIN, &generation, NULL, 0);
}

void child_conf_end(struct child *child)
{
        struct ipc_generation generation = { .generation = child->told };

        child_send(child, IPC_CONF_END, &generation, NULL, 0);
}

/* Each in its turn, and once. */
static void on_confirmed(struct child *child, const struct ipc_generation *done)
{
        if (done->generation > child->confirmed && done->generation <= child->told)
                child->confirmed = done->generation;
        else
                child_kill(child, "has taken over what it was not told");
}

void children_log_level(struct children *children, int level)
{
        struct ipc_log_level said = { .level = (uint32_t)level, .channels = children->log_channels };

        list_for_each(at, &children->all) {
                struct child *child = list_entry(at, struct child, in_all);

                child->begin.log = said;
                if (child_alive(child))
                        child_send(child, IPC_LOG_LEVEL, &said, NULL, 0);
        }
}

void children_ping(struct children *children)
{
        struct ipc_ping ping = { .number = ++children->pings };

        list_for_each(at, &children->all) {
                struct child *child = list_entry(at, struct child, in_all);

                if (child->state == CHILD_UP && child_alive(child))
                        child_send(child, IPC_PING, &ping, NULL, 0);
        }
}

static void on_ping(struct ev_loop *loop, ev_timer *timer, int events)
{
        children_ping(timer->data);
}

static void on_ready(struct child *child)
{
        if (child->state != CHILD_STARTING)
                return;
        child->state = CHILD_UP;
        ev_timer_stop(child->children->loop, &child->due);
        if (child->children->events->ready)
                child->children->events->ready(child->children->context, child);
}

/* A loop that never sleeps would be ours as well. */
static void count_said(struct child *child)
{
        unsigned most = child->dials || child->children->log->level >= LOG_DEBUG ? 10 * CHILD_FLOOD : CHILD_FLOOD;
        usec_t now_us;

        if (child->said++ % 64 == 0) {          /* a clock is read for a turn, not for a message */
                now_us = monotonic_us();
                if (now_us - child->said_since_us > SECONDS(CHILD_FLOOD_S)) {
                        child->said_since_us = now_us;
                        child->said = 1;
                }
        }
        if (child->said > most)
                child_kill(child, "floods its supervisor with words");
}

void child_hear(struct child *child, struct ipc_received *message)
{
        struct children *children = child->children;

        switch (message->type) {
        case IPC_READY:
                on_ready(child);
                break;
        case IPC_LOG:
                child_log(child, IPC_PAYLOAD(message, struct ipc_log));
                break;
        case IPC_CONF_DONE:
                on_confirmed(child, IPC_PAYLOAD(message, struct ipc_generation));
                break;
        case IPC_DENIED:
                child->denied.set = true;
                child->denied.syscall = IPC_PAYLOAD(message, struct ipc_denied)->syscall;
                child->denied.arch = IPC_PAYLOAD(message, struct ipc_denied)->arch;
                break;
        default:
                if (!child->struck)     /* nothing is done any more that it wants */
                        children->events->message(children->context, child, message);
                break;
        }
        count_said(child);
}

/* The next @limit messages. False when the link is over. */
static bool receive(struct child *child, int limit)
{
        struct ipc_received message;

        for (int i = 0; i < limit; i++) {
                int r = ipc_link_receive(&child->link, &message);

                if (r == -EPROTO)
                        child_kill(child, "broke the rules of its link");
                if (r <= 0)
                        return r == 0;
                child_hear(child, &message);
                ipc_received_fini(&message);
        }
        return true;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct child *child = watcher->data;

        if (receive(child, MESSAGES_PER_TURN))
                return;
        close_link(child);
        if (child->pid > 0)
                arm(child, SECONDS(CHILD_KILL_S));
}

/* "was killed by signal 9 (Killed)" */
static const char *how_it_ended(const struct child *child, int status, char *out, size_t size)
{
        if (child->denied.set)
                snprintf(out, size, "made a system call it may not make, %s (%u), and was ended",
                         syscall_name(child->denied.syscall, child->denied.arch), child->denied.syscall);
        else if (WIFSIGNALED(status))
                snprintf(out, size, "was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
        else
                snprintf(out, size, "ended with exit code %d", WEXITSTATUS(status));
        return out;
}

/* @then: what happens next; empty: nothing that child_kill() has not said. */
static void log_death(const struct child *child, int status, const char *then)
{
        bool orderly = !child->denied.set && WIFEXITED(status) && WEXITSTATUS(status) == 0;
        enum ipc_event event = child->denied.set ? IPC_EVENT_WORKER_DENIED : IPC_EVENT_WORKER_ENDED;
        struct ipc_fields fields = IPC_FIELDS_INIT;
        char name[CHILD_NAME_MAX], how[128];

        if ((orderly && child->state == CHILD_STOPPING) || (child->struck && !*then))
                return;
        how_it_ended(child, status, how, sizeof(how));
        ipc_fields_text(&fields, "WORKER", ipc_role_name(child->role));
        ipc_fields_text(&fields, "REASON", how);
        if (child->denied.set)
                ipc_fields_text(&fields, "SYSCALL", syscall_name(child->denied.syscall, child->denied.arch));
        log_event(child->children->log, event, orderly ? LOG_INFO : LOG_WARNING, fields.list, "%s (pid %d) %s; %s",
                  child_name(child, name, sizeof(name)), child->exited.rpid, how, then);
}

/* Its next life: at once the first time, later each time it dies young. */
static void start_again(struct child *child, int status)
{
        bool steady = monotonic_us() - child->started_us >= SECONDS(CHILD_STEADY_S);
        char then[48] = "starting it now";
        usec_t wait_us;

        child->failures = steady ? 0 : child->failures + 1;
        wait_us = child->failures < 2 ? 0 : backoff_us(child->failures - 1, MSEC(CHILD_FIRST_WAIT_MS),
                                                        MSEC(CHILD_LONGEST_WAIT_MS));
        if (child->struck)
                then[0] = '\0';
        if (wait_us)
                snprintf(then, sizeof(then), "starting it again in %.1f s", to_seconds(wait_us));
        log_death(child, status, then);
        child->state = CHILD_WAITING;
        child->children->restarts++;
        arm(child, wait_us);
}

static void tell_when_all_ended(struct children *children)
{
        if (children->stopping && list_empty(&children->all) && children->events->all_ended)
                children->events->all_ended(children->context);
}

static void on_exited(struct ev_loop *loop, ev_child *watcher, int revents)
{
        struct child *child = watcher->data;
        struct children *children = child->children;
        int status = watcher->rstatus;

        ev_child_stop(loop, watcher);
        ev_timer_stop(loop, &child->due);
        child->pid = -1;
        if (child->link.fd >= 0)
                receive(child, INT16_MAX);      /* its last words; a socket holds far fewer */
        child->pid = 0;
        words_fini(&child->words, loop);
        close_link(child);
        if (child->state == CHILD_STOPPING) {
                log_death(child, status, child->struck ? "" : "it was stopping");
                free_child(child);
                tell_when_all_ended(children);
        } else if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_BUILD && children->events->mismatched) {
                child->state = CHILD_WAITING;
                children->events->mismatched(children->context, child);
        } else {
                start_again(child, status);
        }
}

static void on_words(void *context, const char *line)
{
        child_log_words(context, line);
        count_said(context);
}

/* Its descriptors' ends on our side. */
static void attach(struct child *child, int link_fd, int words_fd)
{
        struct ev_loop *loop = child->children->loop;

        ipc_link_init(&child->link, link_fd, IPC_SUPERVISOR, child->role, child->id);
        child->link.queue_max = QUEUE_MAX;
        ev_io_init(&child->readable, on_readable, link_fd, EV_READ);
        ev_io_init(&child->writable, on_writable, link_fd, EV_WRITE);
        ev_child_init(&child->exited, on_exited, child->pid, 0);
        child->readable.data = child->writable.data = child->exited.data = child;
        ev_io_start(loop, &child->readable);
        ev_child_start(loop, &child->exited);
        words_init(&child->words, loop, words_fd, on_words, child);
}

static const char *duty_name(const struct child *child)
{
        return child->begin.duty == IPC_DUTY_GATES    ? "gates" :
               child->begin.duty == IPC_DUTY_SERVICES ? "services" :
               child->begin.duty == IPC_DUTY_HOSTS    ? "hosts" : NULL;
}

/* 0 or -errno. */
static int launch(struct child *child)
{
        const struct children *children = child->children;
        cleanup_fd int ours = -1, theirs = -1, read_end = -1, write_end = -1;
        char path[PATH_MAX], program[CHILD_NAME_MAX];
        const char *argv[] = { program, children->instance, duty_name(child), NULL };    /* for whoever lists processes */
        int pair[2], words[2], r = ipc_link_pair(pair);

        if (r < 0)
                return r;
        ours = pair[0];
        theirs = pair[1];
        if (pipe2(words, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        read_end = words[0];
        write_end = words[1];
        fcntl(write_end, F_SETFL, 0);           /* who reports a crash shall not lose words to us */
        snprintf(program, sizeof(program), "hypergate-%s", ipc_role_name(child->role));
        if (snprintf(path, sizeof(path), "%s/%s", children->libexec, program) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        r = spawn(&(struct spawn){ .path = path, .argv = (char *const *)(uintptr_t)argv, .null_fd = children->null_fd,
                                   .link_fd = theirs, .words_fd = write_end, .oom_score = children->oom_score }, &child->pid);
        if (r < 0)
                return r;
        attach(child, take_fd(&ours), take_fd(&read_end));
        return 0;
}

static void start(struct child *child)
{
        struct children *children = child->children;
        char name[CHILD_NAME_MAX];
        usec_t wait_us;
        int r;

        child->started_us = monotonic_us();
        child->denied.set = child->struck = false;
        child->unconfigured = child->unintroduced = true;
        child->told = child->confirmed = 0;
        child->links_before = children->links;
        child->quarrels = child->doubts = child->said = 0;
        r = launch(child);
        if (r < 0) {
                wait_us = backoff_us(++child->failures, MSEC(CHILD_FIRST_WAIT_MS), MSEC(CHILD_LONGEST_WAIT_MS));
                log_error(children->log, "can't start the %s: %s; next try in %.1f s", child_name(child, name, sizeof(name)),
                          strerror(-r), to_seconds(wait_us));
                child->state = CHILD_WAITING;
                arm(child, wait_us);
                return;
        }
        child->state = CHILD_STARTING;
        arm(child, SECONDS(CHILD_READY_S));
        child_send(child, IPC_BEGIN, &child->begin, NULL, 0);
        if (children->events->started)
                children->events->started(children->context, child);
}

static struct child *child_new(struct children *children, enum ipc_role role, uint32_t id, void *context)
{
        struct child *child = calloc(1, sizeof(*child));

        if (!child)
                return NULL;
        child->children = children;
        child->role = role;
        child->id = id;
        child->begin.id = id;
        child->begin.log = (struct ipc_log_level){ .level = (uint32_t)children->log->level, .channels = children->log_channels };
        ipc_build_id(child->begin.build_id);
        child->context = context;
        child->link.fd = child->words.fd = -1;
        list_push_back(&children->all, &child->in_all);
        ev_init(&child->due, on_due);
        ev_timer_init(&child->stuck, on_stuck, 0, CHILD_STUCK_S);
        ev_init(&child->readable, on_readable);
        ev_init(&child->writable, on_writable);
        child->due.data = child->stuck.data = child;
        return child;
}

struct child *children_add(struct children *children, enum ipc_role role, uint32_t id, void *context)
{
        struct child *child = child_new(children, role, id, context);

        if (child)
                start(child);
        return child;
}

struct child *children_add_forward(struct children *children, uint32_t id, enum ipc_duty duty, uint32_t protocols,
                                   const uint16_t *ports, size_t port_count, void *context)
{
        struct child *child = child_new(children, IPC_FORWARD, id, context);

        if (!child)
                return NULL;
        assert(port_count <= IPC_PORTS_MAX);
        child->begin.duty = duty;
        child->begin.protocols = protocols;
        child->begin.port_count = (uint32_t)port_count;
        if (port_count)
                memcpy(child->begin.port, ports, port_count * sizeof(*ports));
        start(child);
        return child;
}

void child_retire(struct child *child, uint32_t deadline_ms)
{
        struct ipc_stop stop = { .deadline_ms = deadline_ms };

        child->context = NULL;
        if (child->state == CHILD_STOPPING)
                return;
        child->state = CHILD_STOPPING;
        if (child->pid == 0) {
                free_child(child);
                return;
        }
        if (child->pid < 0)
                return;                 /* its end is being looked at right now */
        arm(child, MSEC(deadline_ms) + SECONDS(CHILD_KILL_S));
        child_send(child, IPC_STOP, &stop, NULL, 0);
}

void children_stop(struct children *children, uint32_t deadline_ms)
{
        children->stopping = true;
        list_for_each(at, &children->all)
                child_retire(list_entry(at, struct child, in_all), deadline_ms);
        tell_when_all_ended(children);
}

int children_init(struct children *children, struct ev_loop *loop, const struct log *log, const char *libexec,
                  const char *instance, const struct children_events *events, void *context)
{
        *children = (struct children){ .loop = loop, .log = log, .libexec = libexec, .instance = instance,
                                       .events = events, .context = context };
        list_init(&children->all);
        ev_timer_init(&children->ping, on_ping, CHILD_PING_S, CHILD_PING_S);
        children->ping.data = children;
        ev_timer_start(loop, &children->ping);
        children->null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        return children->null_fd < 0 ? -errno : 0;
}

void children_fini(struct children *children)
{
        list_for_each(at, &children->all) {
                struct child *child = list_entry(at, struct child, in_all);

                strike(child);
                if (child->pid > 0) {
                        waitpid(child->pid, NULL, 0);
                        ev_child_stop(children->loop, &child->exited);
                }
                words_fini(&child->words, children->loop);
                close_link(child);
                free_child(child);
        }
        ev_timer_stop(children->loop, &children->ping);
        close_fdp(&children->null_fd);
}
