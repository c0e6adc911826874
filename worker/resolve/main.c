/* SPDX-License-Identifier: BSD-3-Clause */
/* Looks up host names for processes that have no file system. It holds no key and is told nothing but names. */
#include <stdlib.h>
#include <string.h>

#include "ipc_resolve.h"
#include "own_names.h"
#include "resolve_files.h"
#include "resolve_pool.h"
#include "run.h"
#include "run_walls.h"

#define LOOK_EVERY_S 10.0
#define STUCK_US MINUTES(3)     /* two tries of 5 s at three servers for each of six search domains: resolv.conf(5) */

struct resolve {
        struct worker worker;
        struct resolve_pool pool;
        struct resolve_files_seen files;
        ev_timer look;          /* armed while there may be something to be stuck on */
};

static void on_answer(void *context, const struct ipc_resolve_answer *answer)
{
        struct resolve *resolve = context;

        worker_send(&resolve->worker.supervisor, IPC_RESOLVE_ANSWER, answer, NULL, 0);
}

static void on_ask(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_resolve_ask *ask = IPC_PAYLOAD(message, struct ipc_resolve_ask);
        struct resolve *resolve = context;

        if (!memchr(ask->name, '\0', sizeof(ask->name))) {
                worker_disown(from);
                return;
        }
        if (resolve_files_changed(&resolve->files)) {
                worker_log(&resolve->worker, LOG_INFO, "the system's name service was configured anew: starting again");
                worker_stop(&resolve->worker, EXIT_SUCCESS);    /* what was asked is asked again */
                return;
        }
        resolve_pool_ask(&resolve->pool, ask);
        ev_timer_start(resolve->worker.loop, &resolve->look);
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct resolve *resolve = timer->data;
        usec_t since_us = resolve_pool_stuck_since(&resolve->pool);
        struct now now;

        worker_now(&now);
        if (since_us == USEC_NEVER) {
                ev_timer_stop(loop, timer);
                ev_timer_set(timer, LOOK_EVERY_S, LOOK_EVERY_S);
        } else if (now.mono_us - since_us > STUCK_US) {
                worker_log(&resolve->worker, LOG_WARNING, "no look-up comes back any more: starting again");
                worker_stop(&resolve->worker, EXIT_FAILURE);
        }
}

int main(void)
{
        static const struct worker_handlers handlers = { .message = { [IPC_RESOLVE_ASK] = on_ask } };
        static struct resolve resolve;
        struct run_confinement confinement;
        int code;

        worker_begin(&resolve.worker, IPC_RESOLVE);
        run_walls(RUN_WALL_RESOLVE, &resolve.worker.begin, &confinement);
        confinement.readable = resolve_files;
        confinement.local_names = !own_names_only() && resolve_files_load_modules("/etc/nsswitch.conf");
        resolve_files_look(&resolve.files);
        resolve_pool_init(&resolve.pool, resolve.worker.loop, on_answer, &resolve);
        ev_timer_init(&resolve.look, on_look, LOOK_EVERY_S, LOOK_EVERY_S);
        resolve.look.data = &resolve;
        worker_confine(&resolve.worker, &confinement);
        code = worker_run(&resolve.worker, &handlers, &resolve);
        ev_timer_stop(resolve.worker.loop, &resolve.look);
        resolve_pool_fini(&resolve.pool);
        worker_end(&resolve.worker);
        return code;
}
