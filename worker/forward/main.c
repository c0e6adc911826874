/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <sys/random.h>

#include "forward_process.h"
#include "run_walls.h"

static void fill_random(void *context, void *out, size_t len)
{
        uint8_t *bytes = out;

        while (len) {
                ssize_t got = getrandom(bytes, len, 0);

                if (got > 0) {
                        bytes += got;
                        len -= (size_t)got;
                }
        }
}

static void begin(struct forward *forward)
{
        static const struct random random = { fill_random, NULL };
        if ((forward_has_gates(forward) || forward->worker.begin.duty == IPC_DUTY_SERVICES) && forward_init(forward, &random) == 0)
                return;
        worker_log(&forward->worker, LOG_ERR, "can't begin: no duty, or no event queue");
        exit(EXIT_FAILURE);
}

int main(void)
{
        static struct forward forward;
        struct run_confinement confinement;
        int code;

        worker_begin(&forward.worker, IPC_FORWARD);
        begin(&forward);
        run_walls(run_wall_of(IPC_FORWARD, &forward.worker.begin), &forward.worker.begin, &confinement);
        worker_confine(&forward.worker, &confinement);
        code = worker_run(&forward.worker, &forward_handlers, &forward);
        forward_fini(&forward);
        worker_end(&forward.worker);
        return code;
}
