/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon_world.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test.h"

static void on_nothing(struct ev_loop *loop, ev_io *watcher, int events)
{
}

static void on_stuck(struct ev_loop *loop, ev_timer *timer, int events)
{
        child_look(timer->data);
}

static void on_no_time(struct ev_loop *loop, ev_timer *timer, int events)
{
}

void world_child(struct world *world, struct child *child, struct ipc_link *worker, enum ipc_role role, uint32_t id)
{
        int pair[2];

        check_equal(ipc_link_pair(pair), 0);
        *child = (struct child){ .children = &world->children, .role = role, .id = id, .state = CHILD_UP };
        list_push_back(&world->children.all, &child->in_all);
        ipc_link_init(&child->link, pair[0], IPC_SUPERVISOR, role, id);
        ipc_link_init(worker, pair[1], role, IPC_SUPERVISOR, 0);
        ev_init(&child->readable, on_nothing);
        ev_init(&child->writable, on_nothing);
        ev_timer_init(&child->stuck, on_stuck, 0, CHILD_STUCK_S);
        child->stuck.data = child;
        ev_init(&child->due, on_no_time);
}

void world_child_end(struct world *world, struct child *child, struct ipc_link *worker)
{
        ev_timer_stop(world->loop, &child->stuck);
        ev_io_stop(world->loop, &child->writable);
        ipc_link_fini(&child->link);
        ipc_link_fini(worker);
}

void world_begin(struct world *world, enum ipc_role role)
{
        *world = (struct world){ .loop = ev_loop_new(EVFLAG_AUTO), .stderr_fd = dup(STDERR_FILENO),
                                 .log_fd = memfd_create("log", MFD_CLOEXEC) };
        check(world->loop && world->stderr_fd >= 0 && world->log_fd >= 0);
        check(dup2(world->log_fd, STDERR_FILENO) == STDERR_FILENO);
        log_init(&world->log, NULL);
        world->children = (struct children){ .loop = world->loop, .log = &world->log };
        list_init(&world->children.all);
        world_child(world, &world->child, &world->worker, role, 1);
}

void world_end(struct world *world)
{
        world_child_end(world, &world->child, &world->worker);
        dup2(world->stderr_fd, STDERR_FILENO);
        close(world->stderr_fd);
        close(world->log_fd);
        ev_loop_destroy(world->loop);
}

const char *world_logged(struct world *world)
{
        static char text[8192];
        ssize_t len = pread(world->log_fd, text, sizeof(text) - 1, 0);

        text[len > 0 ? len : 0] = '\0';
        if (ftruncate(world->log_fd, 0) < 0 || lseek(world->log_fd, 0, SEEK_SET) < 0)
                abort();
        return text;
}

enum ipc_type world_told(struct world *world, struct ipc_received *message)
{
        int r = ipc_link_receive(&world->worker, message);

        return r == 1 ? message->type : IPC_NOTHING;
}

bool world_fire(struct world *world, ev_timer *timer)
{
        if (!ev_is_active(timer))
                return false;
        if (timer->repeat == 0.0)
                ev_timer_stop(world->loop, timer);
        ev_invoke(world->loop, timer, EV_TIMER);
        return true;
}
