/* SPDX-License-Identifier: BSD-3-Clause */
/* The process that speaks to an engine: a round asks for all there is, the supervisor hears of what has changed, and helpers are made and
 * removed until they are those that are wanted. What the engine tells as it happens is not believed, it only makes the next round come at
 * once. */
#ifndef HG_DOCKER_PROCESS_H
#define HG_DOCKER_PROCESS_H

#include "docker_conn.h"
#include "docker_container.h"
#include "docker_hosts.h"
#include "docker_told.h"
#include "ipc_docker.h"
#include "run.h"

enum {
        DOCKER_PATH_MAX = 4096,         /* of a question */
        DOCKER_SERVICES_MAX = 1024,
        DOCKER_WHY_MAX = 512,
};

enum docker_step {
        DOCKER_IDLE,
        DOCKER_VERSION,
        DOCKER_NETWORK,                 /* the one at @at */
        DOCKER_CREATE,
        DOCKER_SELF,
        DOCKER_ENTER,                   /* the network at @at, with the container that we are in */
        DOCKER_LIST,
        DOCKER_INSPECT,                 /* the one at @at */
        DOCKER_HELPERS,
        DOCKER_REMOVE,                  /* the one at @at */
        DOCKER_MAKE,
        DOCKER_CLEAR,                   /* who has its name */
        DOCKER_JOIN,                    /* it and the network at @at */
        DOCKER_START,
        DOCKER_UNDO,
        DOCKER_STEPS,
};

struct docker_services {
        struct ipc_docker_service list[DOCKER_SERVICES_MAX];
        size_t count;
        size_t more;                    /* that did not fit */
};

/* What helpers are made with, and of the one being made. */
struct docker_making {
        char life[DOCKER_LIFE_MAX];
        const char *file;               /* the socket's name, */
        char folder[IPC_SOCKET_PATH_MAX];       /* and where it is */
        bool foreign;                   /* the engine does not know the container that we are in: it is no matter of its */
        bool inside;                    /* we are in one of its containers, */
        struct docker_self self;        /* this */
        struct docker_host *host;
        char id[DOCKER_ID_MAX];
        bool cleared;
        unsigned made;                  /* in this round */
        unsigned failures;              /* in a row */
        double not_before_s;
        char why[DOCKER_WHY_MAX];       /* it failed last, as was said; "": it did not */
};

struct docker {
        struct worker worker;
        struct ipc_docker_conf conf;
        const char *networks[IPC_NETWORKS_MAX];         /* of @conf */
        bool configured, begun;
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
        struct docker_wanted told_of, wanted;   /* being told, and told */
        bool wanted_new;                /* @hosts do not know of it yet */
        struct docker_hosts hosts;
        struct docker_making making;
        struct docker_told told;
};

extern const struct worker_handlers docker_handlers;

void docker_init(struct docker *docker);
void docker_fini(struct docker *docker);

#endif
