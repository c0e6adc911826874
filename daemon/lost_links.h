/* SPDX-License-Identifier: BSD-3-Clause */
/* Links between two workers that one of them gave up while both live. Who broke the rules is replaced; those who merely lost
 * each other get a new link; who quarrels again and again is replaced as well, whoever was right: a worker that lies can also
 * lie about the others. */
#ifndef HG_LOST_LINKS_H
#define HG_LOST_LINKS_H

#include <ev.h>

#include "children.h"

enum {
        LOST_LINKS_MAX = 1024,          /* pairs: above one of each swarm worker and the router worker with each of FORWARDS_MAX, and a few */
        LOST_LINKS_WAIT_MS = 1000,      /* until then the death of one of them is known, if it is that */
        LOST_LINKS_QUARRELS = 3,        /* within that many seconds: too many */
        LOST_LINKS_QUARRELS_S = 60,
};

struct lost_link {
        enum ipc_role role[2];
        uint32_t id[2];
        uint64_t number;
};

struct lost_links {
        struct children *children;
        struct ev_loop *loop;
        ev_timer due;                   /* runs while there are any */
        struct lost_link link[LOST_LINKS_MAX];
        unsigned count;
};

void lost_links_init(struct lost_links *lost, struct children *children, struct ev_loop *loop);
void lost_links_fini(struct lost_links *lost);

/* What @child says. Of links of a former life of the other it is late, and means nothing. */
void lost_links_take(struct lost_links *lost, struct child *child, const struct ipc_link_lost *what);

#endif
