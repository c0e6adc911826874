/* SPDX-License-Identifier: BSD-3-Clause */
#include <jansson.h>
#include <stdlib.h>
#include <sys/random.h>

#include "admin_process.h"
#include "run_walls.h"

/* Keys of hash maps; JSON objects come from strangers, and jansson would look for a seed in a file. */
static void begin(struct admin *admin)
{
        uint8_t key[16];
        size_t seed = 0;

        if (getrandom(key, sizeof(key), 0) != sizeof(key)) {
                worker_log(&admin->worker, LOG_ERR, "can't begin: no random numbers");
                exit(EXIT_FAILURE);
        }
        if (admin_init(admin, key) < 0) {
                worker_log(&admin->worker, LOG_ERR, "can't begin: no memory, or no ciphers");
                exit(EXIT_FAILURE);
        }
        while (seed == 0 && getrandom(&seed, sizeof(seed), 0) == sizeof(seed))
                continue;
        json_object_seed(seed);
}

int main(void)
{
        static struct admin admin;
        struct run_confinement confinement;
        int code;

        worker_begin(&admin.worker, IPC_ADMIN);
        begin(&admin);
        run_walls(RUN_WALL_ADMIN, &admin.worker.begin, &confinement);
        worker_confine(&admin.worker, &confinement);
        code = worker_run(&admin.worker, &admin_handlers, &admin);
        admin_fini(&admin);
        worker_end(&admin.worker);
        return code;
}
