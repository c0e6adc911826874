/* SPDX-License-Identifier: BSD-3-Clause */
/* The process that speaks to an engine: a round asks for all there is, and the supervisor hears of what has changed. What the engine
 * tells as it happens is not believed, it only makes the next round come at once. */
#ifndef HG_DOCKER_PROCESS_H
#define HG_DOCKER_PROCESS_H

#include "docker_container.h"
#include "docker_http.h"
#include "run.h"

enum {
        DOCKER_ASK_MAX = 2048,          /* bytes of a request */
        DOCKER_SERVICES_MAX = 1024,
        DOCKER_TOLD_MAX = 256,          /* complaints that are not repeated */
        DOCKER_WHY_MAX = 256,
};

struct docker;

/* A connection to the engine, by the supervisor. */
struct docker_conn {
        struct docker *docker;
        enum ipc_docker_use use;
        int fd;                         /* -1: none, */
        bool wanted;                    /* but it is asked for */
        ev_io readable, writable;
        char out[DOCKER_ASK_MAX];
        size_t out_len, out_at;
        struct docker_http http;
};

enum docker_step {
        DOCKER_IDLE,
        DOCKER_VERSION,
        DOCKER_NETWORK,                 /* the one at @at */
        DOCKER_CREATE,
        DOCKER_LIST,
        DOCKER_INSPECT,                 /* the one at @at */
};

/* Hashes of what was complained of in a round. */
struct docker_told {
        uint64_t list[DOCKER_TOLD_MAX];
        size_t count;
};

struct docker_services {
        struct ipc_docker_service list[DOCKER_SERVICES_MAX];
        size_t count;
        size_t more;                    /* that did not fit */
};

struct docker {
        struct worker worker;
        struct ipc_docker_conf conf;
        bool configured;
        struct docker_conn ask, events;
        enum docker_step step;
        size_t at;
        bool again;                     /* something happened during the round */
        unsigned minor;                 /* of the API; 0: not known yet */
        unsigned failures;              /* in a row */
        char why[DOCKER_WHY_MAX];       /* it failed last, as was said; "": it did not */
        ev_timer due, patience;
        uint64_t passed;                /* bytes of events that were seen */
        struct docker_ids ids;
        struct docker_services found, sent;
        bool has_sent;
        struct docker_told told, told_before;
};

extern const struct worker_handlers docker_handlers;

void docker_init(struct docker *docker);
void docker_fini(struct docker *docker);

#endif
