/* SPDX-License-Identifier: BSD-3-Clause */
/* What the engine says, as JSON: its version, which containers run, and what each of them offers on some of its networks. */
#ifndef HG_DOCKER_CONTAINER_H
#define HG_DOCKER_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "docker_ports.h"
#include "ipc_docker.h"
#include "ipc_message.h"

#define DOCKER_LABEL_HELPER "hypergate.helper"  /* of a helper of the virtual network: whose it is */

enum {
        DOCKER_ID_MAX = IPC_CONTAINER_ID_MAX,
        DOCKER_CONTAINERS_MAX = 1024,
        DOCKER_NAME_MAX = 128,          /* of a container, with its NUL, as it is shown */
        DOCKER_API_MIN = 25,            /* 1.25: helpers are made with Mounts */
        DOCKER_API_MAX = 51,            /* 1.51 is the last whose answers are known */
};

/* The highest API 1.x that both know. False: there is none, or that is no answer; *@theirs_out is then the engine's, or 0. */
bool docker_version_read(const char *json, size_t len, unsigned *minor_out, unsigned *theirs_out);

struct docker_ids {
        char list[DOCKER_CONTAINERS_MAX][DOCKER_ID_MAX];
        size_t count;
        size_t more;                    /* that did not fit */
};

/* Of the list of containers, without helpers. False: it is none. */
bool docker_ids_read(const char *json, size_t len, struct docker_ids *out);

/* The driver of a network. False: that is none. */
bool docker_network_read(const char *json, size_t len, char *driver_out, size_t size);

struct docker_container {
        char name[DOCKER_NAME_MAX];     /* printable */
        bool excluded;                  /* by its label, or because it does not run: nothing else is said of it */
        struct docker_ports ports;
        char host[IPC_NAME_MAX];        /* the first alias on the first of the networks that it is on, else its name; "": on none */
        uint8_t ip[16];                 /* there; IPv4 as ::ffff:a.b.c.d */
};

/* Told of each entry of a label that says nothing that can be; @context is that of the call, @container has its name. */
typedef void docker_container_complaint(void *context, const struct docker_container *container, const char *label, const char *entry,
                                        size_t entry_len);

/* What the engine says of one container. False: that is not what it says. */
bool docker_container_read(const char *json, size_t len, const char *const *networks, size_t network_count,
                           docker_container_complaint *complain, void *context, struct docker_container *out);

#endif
