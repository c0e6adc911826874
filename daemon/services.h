/* SPDX-License-Identifier: BSD-3-Clause */
/* A provider's services: which forward worker connects to which, and where. Services with one gate port are alternatives
 * and belong together. */
#ifndef HG_SERVICES_H
#define HG_SERVICES_H

#include <stddef.h>

#include "conf.h"
#include "forwards.h"
#include "ipc_forward.h"
#include "names.h"

/* By its checks, if it has some. */
enum service_health {
        SERVICE_UNKNOWN,
        SERVICE_THERE,
        SERVICE_GONE,
};

struct service {
        const struct conf_service *conf;
        struct name *name;              /* NULL: a unix socket */
        struct forward *forward;
        enum service_health health;
};

struct services {
        struct service *list;           /* in the order of conf_service_compare() */
        size_t count;
};

/* Starts the forward workers. Strings of @conf are borrowed. 0 or -ENOMEM. */
int services_init(struct services *services, const struct conf_provider *conf, struct names *names, struct forwards *forwards);
void services_fini(struct services *services);

/* Its name between processes (ipc_service.h): by what the router worker advertises of it. */
uint64_t service_name(const struct conf_service *service);

/* The TCP service of that name that @forward holds behind that gate port, or NULL. */
const struct service *services_find(const struct services *services, const struct forward *forward, uint16_t gate_port, uint64_t name);

/* What a forward worker says of a service of its own. True: that is news. */
bool services_hear(struct services *services, const struct forward *forward, const struct ipc_service_health *said);

/* It says that nobody is where the name of a service of its own leads to: that is looked up again. */
void services_doubt(struct services *services, const struct forward *forward, const struct ipc_service_fails *said);

/* Whether @conf, of a configuration that these are of, is known not to be there; and how many are. */
bool services_gone(const struct services *services, const struct conf_service *conf);
size_t services_gone_count(const struct services *services);

/* Those of @conf from now on, in place of those of before, which are not borrowed any more. Behind one gate port that has services as
 * before stays the same forward worker, if its wall lets it connect to all of these; one for which something is different must hear
 * of it, and one that holds nothing any more is stopped. 0, or -ENOMEM: nothing has changed. */
int services_reload(struct services *services, const struct conf_provider *conf, struct names *names, struct forwards *forwards);

/* The forward workers that connect to @name must hear of its new addresses. */
void services_renamed(struct services *services, const struct name *name);

#endif
