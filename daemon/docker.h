/* SPDX-License-Identifier: BSD-3-Clause */
/* What the worker at a Docker engine finds: connections are made for it, and the services that it tells of are checked as a stranger's. */
#ifndef HG_DOCKER_H
#define HG_DOCKER_H

#include <stdbool.h>
#include <stddef.h>

#include "children.h"
#include "conf.h"
#include "hosts.h"
#include "ipc_docker.h"
#include "log.h"
#include "usec.h"

enum {
        DOCKER_CONNECTS_MAX = 100,      /* in DOCKER_CONNECTS_S: a worker that wants more is out of order */
        DOCKER_CONNECTS_S = 10,
};

struct docker_found {
        struct conf_found *list;        /* of CONF_FOUND_MAX; NULL: none yet */
        size_t count;
};

struct docker {
        const struct log *log;
        const struct conf *conf;        /* as it was at the start */
        uint64_t life;                  /* ours, for helpers of the virtual network */
        char id[IPC_HELPERS_ID_MAX];    /* whose helpers they are */
        char self[IPC_CONTAINER_ID_MAX];        /* the container that we are in; "": none */
        struct docker_found found, next;
        size_t expected;                /* of @next */
        bool listing;                   /* @next is coming */
        unsigned connects;
        usec_t since_us;
        int error;                      /* the last, as it was said; 0: it could be reached */
        bool (*changed)(void *context); /* @found is something else */
        void *context;
};

void docker_init(struct docker *docker, const struct log *log, const struct conf *conf, bool (*changed)(void *context), void *context);
void docker_fini(struct docker *docker);

/* Before it is told anything: @router_key is the router's public key, of KEYS_BYTES, or NULL. */
void docker_begin(struct docker *docker, const uint8_t *router_key);

/* Its configuration, and who of @hosts shall have a helper. */
void docker_publish(const struct docker *docker, const struct hosts *hosts, struct child *child);

/* A new life of the worker: what it was saying is void, what it said stays. */
void docker_worker(struct docker *docker);

/* False: it says what can't be. */
bool docker_hear(struct docker *docker, struct child *child, const struct ipc_received *message);

/* What was found, @context a struct docker. */
const struct conf_found *docker_services(void *context, size_t *count_out);

#endif
