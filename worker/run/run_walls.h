/* SPDX-License-Identifier: BSD-3-Clause */
/* Which walls stand around whom: one table of what each kind of worker may do beyond what all may. SECURITY.md shows it. */
#ifndef HG_RUN_WALLS_H
#define HG_RUN_WALLS_H

#include "ipc_message.h"
#include "run_confine.h"

enum run_wall {
        RUN_WALL_SWARM,
        RUN_WALL_ROUTER,
        RUN_WALL_GATES,                 /* a forward worker with IPC_DUTY_GATES: accepts, and can't connect */
        RUN_WALL_SERVICES,              /* one with IPC_DUTY_SERVICES: connects to the ports it was told, and can't accept */
        RUN_WALL_RESOLVE,
        RUN_WALL_ADMIN,
        RUN_WALL_HOSTS,
        RUN_WALL_DOCKER,                /* its sockets come by message, and it can make none */
        RUN_WALL_FETCH,                 /* no worker: it has no link, and ends with its answer */
        RUN_WALLS,
};

enum run_wall run_wall_of(enum ipc_role role, const struct ipc_begin *begin);

/* @out borrows from @begin, of which the protocols and ports count. Files that may be read are the caller's to add. */
void run_walls(enum run_wall wall, const struct ipc_begin *begin, struct run_confinement *out);

#endif
