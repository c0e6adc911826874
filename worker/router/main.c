/* SPDX-License-Identifier: BSD-3-Clause */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "router_process.h"
#include "run_walls.h"

/* Keys of hash maps; JSON objects come from strangers, and jansson would look for a seed in a file. */
static void begin(struct router *router)
{
        uint8_t key[16];
        size_t seed = 0;

        if (getrandom(key, sizeof(key), 0) != sizeof(key)) {
                worker_log(&router->worker, LOG_ERR, "can't begin: no random numbers");
                exit(EXIT_FAILURE);
        }
        router_init(router, key);
        while (seed == 0 && getrandom(&seed, sizeof(seed), 0) == sizeof(seed))
                continue;
        json_object_seed(seed);
}

int main(void)
{
        static struct router router;
        struct run_confinement confinement;
        int code;

        worker_begin(&router.worker, IPC_ROUTER);
        begin(&router);
        run_walls(RUN_WALL_ROUTER, &router.worker.begin, &confinement);
        worker_confine(&router.worker, &confinement);
        code = worker_run(&router.worker, &router_handlers, &router);
        router_fini(&router);
        worker_end(&router.worker);
        return code;
}
