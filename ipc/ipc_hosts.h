/* SPDX-License-Identifier: BSD-3-Clause */
/* What the supervisor tells the worker that helpers connect to, and hears from it: payloads of rows of ipc_message.h. */
#ifndef HG_IPC_HOSTS_H
#define HG_IPC_HOSTS_H

#include <stdint.h>

#include "ipc_message.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* A port of a host that somebody has a service at. */
struct ipc_host_port {
        char host[IPC_NAME_MAX];        /* in lower case: host_name_is_given() */
        uint16_t port;                  /* of the service */
        uint16_t protocol;              /* enum ipc_protocol */
};

/* (conf, and at any time) That port is wanted, or no longer: the helper of its host opens it. HOSTS_LISTENER (conf): the unix socket that
 * helpers connect to rides along. HOSTS_GONE: the helper of that host is gone, and with it its network; port and protocol mean nothing. */
struct ipc_hosts_port {
        struct ipc_host_port at;
        uint16_t number;                /* the supervisor's choice, not 0 */
        uint16_t wanted;                /* 0 or 1 */
};

/* It is open, as the socket that rides along. */
struct ipc_hosts_bound {
        uint16_t number;
        uint16_t v6;                    /* 0 or 1 */
};

#pragma GCC diagnostic pop

#endif
