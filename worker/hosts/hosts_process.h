/* SPDX-License-Identifier: BSD-3-Clause */
/* The hosts worker: talks to the port helpers, which are in containers, and passes on the sockets that they open. It holds no key and none of
 * these sockets, and sees no client. Everything it knows hangs here. */
#ifndef HG_HOSTS_PROCESS_H
#define HG_HOSTS_PROCESS_H

#include <stdbool.h>

#include "hosts_helpers.h"
#include "run.h"

struct hosts {
        struct worker worker;
        struct hosts_helpers helpers;
        bool conf_open;                 /* between CONF_BEGIN and CONF_END */
};

/* The worker has begun. */
void hosts_init(struct hosts *hosts);
void hosts_fini(struct hosts *hosts);

/* hosts_handlers.c: what the supervisor says. */
extern const struct worker_handlers hosts_handlers;

#endif
