/* SPDX-License-Identifier: BSD-3-Clause */
#include "hosts_process.h"
#include "run_walls.h"

int main(void)
{
        static struct hosts hosts;
        struct run_confinement confinement;
        int code;

        worker_begin(&hosts.worker, IPC_HOSTS);
        hosts_init(&hosts);
        run_walls(RUN_WALL_HOSTS, &hosts.worker.begin, &confinement);
        worker_confine(&hosts.worker, &confinement);
        code = worker_run(&hosts.worker, &hosts_handlers, &hosts);
        hosts_fini(&hosts);
        worker_end(&hosts.worker);
        return code;
}
