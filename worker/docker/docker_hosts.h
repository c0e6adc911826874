/* SPDX-License-Identifier: BSD-3-Clause */
/* Hosts of the virtual network: who shall have a helper, who has one, and what is to be done about the difference. Times are in
 * seconds since the epoch. */
#ifndef HG_DOCKER_HOSTS_H
#define HG_DOCKER_HOSTS_H

#include <stdbool.h>
#include <stddef.h>

#include "docker_helper.h"

enum {
        DOCKER_HOSTS_MAX = 256,
        DOCKER_DOOMED_MAX = 64,         /* in a round; the next one finds the rest */
        DOCKER_HOST_OFTEN = 4,          /* helpers that ended at once, in a row: that is no accident */
};

#define DOCKER_HOST_FIRST_S 0.5         /* until a helper that has ended is made anew; twice as long each time, */
#define DOCKER_HOST_LAST_S 60.0
#define DOCKER_HOST_STEADY_S 10.0       /* unless it had stayed for so long */
#define DOCKER_HOST_STARTS_S 60.0       /* another's that does not run by then was forgotten */

struct docker_wanted {
        char name[DOCKER_HOSTS_MAX][IPC_NAME_MAX];
        size_t count;
};

struct docker_host {
        char name[IPC_NAME_MAX];
        bool local;                     /* a container of this machine has that name */
        bool there;                     /* it has a helper */
        unsigned tries;                 /* helpers made since one of them stayed */
        double made_s, not_before_s;
};

struct docker_hosts {
        struct docker_host list[DOCKER_HOSTS_MAX];
        size_t count;
        char doomed[DOCKER_DOOMED_MAX][DOCKER_ID_MAX];  /* helpers to remove */
        size_t doomed_count;
        bool more_doomed;
};

/* These are all that are wanted. */
void docker_hosts_want(struct docker_hosts *hosts, const struct docker_wanted *wanted);

/* A look at the engine begins: nothing is known to be there. */
void docker_hosts_look(struct docker_hosts *hosts);

/* A container of this machine is called that, in any case of letters; before helpers are found. */
void docker_hosts_local(struct docker_hosts *hosts, const char *name);

/* That helper is there. Ours are @owner's; one is of use if it is of this @life and on all of @networks (bit by bit). Another's is left
 * alone while it runs, or is about to: who made it may be gone for good. */
void docker_hosts_found(struct docker_hosts *hosts, const struct docker_helper *helper, const char *owner, const char *life,
                        unsigned networks, double now_s);

/* The next one that needs a helper now, or NULL. */
struct docker_host *docker_hosts_next(struct docker_hosts *hosts, double now_s);

/* It has been made. */
void docker_host_made(struct docker_host *host, double now_s);

/* Until there is something to do though nothing happens; negative: never. */
double docker_hosts_wait(const struct docker_hosts *hosts, double now_s);

#endif
