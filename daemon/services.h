/* SPDX-License-Identifier: BSD-3-Clause */
/* A provider's services: which forward worker connects to which, and where. Services with one gate port are alternatives
 * and belong together. */
#ifndef HG_SERVICES_H
#define HG_SERVICES_H

#include <stddef.h>

#include "conf.h"
#include "forwards.h"
#include "names.h"

struct service {
        const struct conf_service *conf;
        struct name *name;
        struct forward *forward;
};

struct services {
        struct service *list;           /* by gate port */
        size_t count;
};

/* Starts the forward workers. Strings of @conf are borrowed. 0 or -ENOMEM. */
int services_init(struct services *services, const struct conf_provider *conf, struct names *names, struct forwards *forwards);
void services_fini(struct services *services);

/* The forward workers that connect to @name must hear of its new addresses. */
void services_renamed(struct services *services, const struct name *name);

#endif
