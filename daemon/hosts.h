/* SPDX-License-Identifier: BSD-3-Clause */
/* Hosts of a virtual network: which ports of which the router worker wants, the sockets that their helpers open, and who serves them. A port
 * is open while its helper is there. */
#ifndef HG_HOSTS_H
#define HG_HOSTS_H

#include <stdbool.h>
#include <stdint.h>

#include "children.h"
#include "forwards.h"
#include "ipc_forward.h"
#include "ipc_hosts.h"
#include "list.h"
#include "log.h"

enum {
        HOSTS_MAX = 256,                /* names at a time */
        HOSTS_PORTS_OF_ONE_MAX = 64,
};

struct host {
        struct list in_all;
        struct ipc_host_port at;
        uint16_t number;                /* by which workers know it */
        int fds[2];                     /* at IPv4 and IPv6; -1: not open */
        struct forward *forward;        /* NULL: nothing is open */
};

struct hosts {
        const struct log *log;
        struct forwards *forwards;
        struct child *child;            /* the hosts worker; NULL: there is no virtual network */
        int listener;                   /* where helpers connect; -1: nowhere */
        const char *path;
        struct list all;
        uint16_t last_number;
        bool changed;                   /* there is one more, or less, since somebody set it to false */
        struct log_limit told;
        void (*moved)(void *context, const struct host *host);  /* another forward worker, or none: tell the router */
        void *context;
};

void hosts_init(struct hosts *hosts, const struct log *log, struct forwards *forwards, void (*moved)(void *context, const struct host *host),
                void *context);
void hosts_fini(struct hosts *hosts);

/* Helpers connect to the unix socket @path from now on, borrowed; @children get the hosts worker. 0 or -errno. */
int hosts_begin(struct hosts *hosts, struct children *children, const char *path);

/* The router worker wants that port, or no longer. */
void hosts_open(struct hosts *hosts, const struct ipc_host_port *at);
void hosts_close(struct hosts *hosts, const struct ipc_host_port *at);

/* What the hosts worker says. Takes @fd. False: that can't be. */
bool hosts_bound(struct hosts *hosts, const struct ipc_hosts_bound *bound, int fd);
bool hosts_gone(struct hosts *hosts, const struct ipc_host_port *gone);

/* It has begun anew: helpers of the life before have ended. */
void hosts_lost(struct hosts *hosts);

/* How many names there are, how many ports of all of them, and how many of these are open. */
struct hosts_count {
        unsigned names, ports, open;
};

struct hosts_count hosts_count(const struct hosts *hosts);

/* Its configuration; and a forward worker's listeners. */
void hosts_publish(const struct hosts *hosts);
void hosts_publish_forward(const struct hosts *hosts, const struct forward *forward, struct ipc_forward_listener how, uint32_t udp_idle_ms);

#endif
