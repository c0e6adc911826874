/* SPDX-License-Identifier: BSD-3-Clause */
/* What the supervisor tells the docker worker, and hears from it: payloads of rows of ipc_message.h. */
#ifndef HG_IPC_DOCKER_H
#define HG_IPC_DOCKER_H

#include <stdint.h>

#include "ipc_message.h"

enum {
        IPC_NETWORKS_MAX = 8,           /* of Docker, on which services are found */
        IPC_NETWORK_MAX = 128,          /* the name of one, with its NUL */
        IPC_IMAGE_MAX = 256,            /* of an image, the same */
        IPC_HELPERS_ID_MAX = 33,        /* 32 hex digits and a NUL */
        IPC_CONTAINER_ID_MAX = 65,      /* 64 of them */
        IPC_SOCKET_PATH_MAX = 108,      /* with its NUL: sockaddr_un(7) */
};

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* (conf) Exactly once, and the same as long as the worker lives. What helpers are made with means nothing without @hosts. */
struct ipc_docker_conf {
        uint64_t life;                  /* of the supervisor: helpers that another one made are to go */
        uint32_t uid, gid;              /* of helpers: whose their socket is */
        uint32_t refresh_ms;            /* between two rounds while nothing happens */
        uint16_t network_count;
        uint16_t read_only;             /* 0 or 1: nothing is made, changed or removed */
        uint16_t services;              /* 0 or 1: those in containers are wanted */
        uint16_t hosts;                 /* 0 or 1: DOCKER_HOST names who shall have a helper on these networks */
        char network[IPC_NETWORKS_MAX][IPC_NETWORK_MAX];
        char self[IPC_CONTAINER_ID_MAX];        /* the container that this may be in; "": none */
        char id[IPC_HELPERS_ID_MAX];    /* whose helpers they are: no secret */
        char socket[IPC_SOCKET_PATH_MAX];       /* where helpers connect */
        char image[IPC_IMAGE_MAX];      /* what they are made of; "": the image that this is made of */
        uint8_t pad[6];
};

/* (conf) A host that shall have a helper, each once; those are all. */
struct ipc_docker_host {
        char host[IPC_NAME_MAX];        /* in lower case: host_name_is_given() */
};

enum ipc_docker_use {
        IPC_DOCKER_ASK,                 /* questions, one after the other */
        IPC_DOCKER_EVENTS,              /* one whose answer does not end */
        IPC_DOCKER_USES,
};

/* A connection to the engine for @use, of which one is wanted at a time. */
struct ipc_docker_want {
        uint32_t use;                   /* enum ipc_docker_use */
};

/* It rides along, or @error says why not. */
struct ipc_docker_socket {
        uint32_t use;
        uint32_t error;                 /* errno or 0 */
};

/* Between DOCKER_BEGIN and DOCKER_END: @count services, which are all there are. */
struct ipc_docker_list {
        uint32_t count;
};

struct ipc_docker_service {
        uint16_t gate_port;
        uint16_t service_port;          /* in the container, at @ip */
        uint16_t protocol;              /* enum ipc_protocol */
        uint16_t published;             /* 0 or 1: for others than the network, too */
        uint8_t ip[16];                 /* IPv6, or IPv4 as ::ffff:a.b.c.d */
        char host[IPC_NAME_MAX];        /* what it is called there */
};

#pragma GCC diagnostic pop

#endif
