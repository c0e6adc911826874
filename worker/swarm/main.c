/* SPDX-License-Identifier: BSD-3-Clause */
#include <malloc.h>
#include <sodium.h>
#include <stdlib.h>

#include "run_walls.h"
#include "swarm_process.h"

enum { MALLOC_KEPT_BYTES = 16 << 20 };  /* more than buffers of a fast connection each way */

static void begin(struct swarm_process *swarm)
{
        /* To give a buffer's pages back and fault them in again costs more than what is done with the bytes: see swarm_status.c. */
        mallopt(M_MMAP_THRESHOLD, MALLOC_KEPT_BYTES);
        mallopt(M_TRIM_THRESHOLD, MALLOC_KEPT_BYTES);
        /* randombytes_buf() then reads from getrandom(2), and needs no file when confined. */
        if (sodium_init() < 0 || swarm_process_init(swarm) < 0) {
                worker_log(&swarm->worker, LOG_ERR, "can't begin: no memory or no timer");
                exit(EXIT_FAILURE);
        }
}

int main(void)
{
        static struct swarm_process swarm;
        struct run_confinement confinement;
        int code;

        worker_begin(&swarm.worker, IPC_SWARM);
        begin(&swarm);
        run_walls(RUN_WALL_SWARM, &swarm.worker.begin, &confinement);
        worker_confine(&swarm.worker, &confinement);
        code = worker_run(&swarm.worker, &swarm_handlers, &swarm);
        swarm_process_fini(&swarm);
        worker_end(&swarm.worker);
        return code;
}
