/* SPDX-License-Identifier: BSD-3-Clause */
/* The secret of the router and those before it that still count: their keys are derived one after the other, newest first, and each
 * previous one is dropped when its time is over. */
#ifndef HG_ROUTERS_H
#define HG_ROUTERS_H

#include <ev.h>
#include <stdbool.h>

#include "conf.h"
#include "derive.h"
#include "keys.h"

enum routers_news {
        ROUTERS_DERIVED,                /* all have their auth keys */
        ROUTERS_OVER,                   /* the time of one is over, and it is there no more */
        ROUTERS_NO_MEMORY,              /* one lacks its auth key, and nobody tries any more */
};

struct routers {
        struct ev_loop *loop;
        struct keys *keys;              /* its list of routers is ours to change */
        const struct conf *conf;        /* as last set, borrowed until it is set anew; NULL: not yet */
        const uint8_t *secrets[KEYS_ROUTERS_MAX];       /* in it, of the routers in the list of @keys */
        struct derive derive;
        bool dropped;                   /* by what was set last: a previous one that had counted */
        ev_periodic over;               /* by the clock on the wall, which may be set: the first of these times */
        void (*told)(void *context, enum routers_news news);
        void *context;
};

/* Nothing is derived yet. */
void routers_init(struct routers *routers, struct ev_loop *loop, struct keys *keys, void (*told)(void *context, enum routers_news news),
                  void *context);

/* From now on they are those of @conf whose time is not over. What has been derived is not derived again; @told follows for what has not.
 * 0 or -errno: they are what they were. */
int routers_set(struct routers *routers, const struct conf *conf);

/* ROUTERS_DERIVED or _NO_MEMORY is still to come. */
bool routers_are_derived(struct routers *routers);

void routers_fini(struct routers *routers);

#endif
