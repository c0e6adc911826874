/* SPDX-License-Identifier: BSD-3-Clause */
/* Speaks to a Docker engine, which whoever may do so owns the machine by. So it has no way to any other: connections to it come from the
 * supervisor, one at a time, and all that leaves is a list of services. */
#include <jansson.h>
#include <sys/random.h>

#include "docker_process.h"
#include "run_walls.h"

/* By itself jansson would read /dev/urandom, behind the walls. */
static void seed_objects(void)
{
        size_t seed = 0;

        while (seed == 0 && getrandom(&seed, sizeof(seed), 0) == sizeof(seed))
                continue;
        json_object_seed(seed);
}

int main(void)
{
        static struct docker docker;
        struct run_confinement confinement;
        int code;

        worker_begin(&docker.worker, IPC_DOCKER);
        run_walls(RUN_WALL_DOCKER, &docker.worker.begin, &confinement);
        seed_objects();
        docker_init(&docker);
        worker_confine(&docker.worker, &confinement);
        code = worker_run(&docker.worker, &docker_handlers, &docker);
        docker_fini(&docker);
        worker_end(&docker.worker);
        return code;
}
