/* SPDX-License-Identifier: BSD-3-Clause */
/* The helpers that are there, and the ports that are wanted: a helper is asked for those of its host, whoever came first. */
#ifndef HG_HOSTS_HELPERS_H
#define HG_HOSTS_HELPERS_H

#include <stdbool.h>

#include "ipc_hosts.h"
#include "list.h"
#include "run.h"

enum {
        HOSTS_HELPERS_MAX = 512,        /* at a time; further ones wait in the listener */
        HOSTS_HELLO_S = 10,             /* until a helper has said which host it is */
        HOSTS_PORTS_MAX = 4096,         /* wanted at a time */
};

struct hosts_helpers {
        struct worker *worker;
        int listener;                   /* -1: none */
        ev_io acceptable;
        struct list helpers, ports;
        unsigned helper_count, port_count;
};

void hosts_helpers_init(struct hosts_helpers *all, struct worker *worker);
void hosts_helpers_fini(struct hosts_helpers *all);

/* Takes @listener; those that came by another one stay. */
void hosts_helpers_listen(struct hosts_helpers *all, int listener);

/* Takes @fd, which somebody has connected to. */
void hosts_helpers_take(struct hosts_helpers *all, int fd);

/* The complete list of ports, in between. */
void hosts_ports_begin(struct hosts_helpers *all);
void hosts_ports_end(struct hosts_helpers *all);

/* That port is wanted under that number, or no longer. False: there are too many, or no memory. */
bool hosts_ports_set(struct hosts_helpers *all, const struct ipc_hosts_port *wanted);

#endif
