/* SPDX-License-Identifier: BSD-3-Clause */
/* Peers whose addresses the configuration names, as far as their hosts are resolved. */
#ifndef HG_APPOINTED_H
#define HG_APPOINTED_H

#include <stdbool.h>

#include "children.h"
#include "conf.h"
#include "names.h"

struct appointed {
        const struct conf *conf;
        struct name *names[CONF_PEERS_MAX];
};

/* @conf is borrowed. 0 or -ENOMEM; to be ended in any case. */
int appointed_init(struct appointed *appointed, struct names *names, const struct conf *conf);

/* Lets go of their names. */
void appointed_fini(struct appointed *appointed);

/* Tells @swarm, within its configuration, of each whose address is known. */
void appointed_publish(const struct appointed *appointed, struct child *swarm);

/* Whether one of them is at @name. */
bool appointed_use(const struct appointed *appointed, const struct name *name);

#endif
