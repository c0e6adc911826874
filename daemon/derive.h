/* SPDX-License-Identifier: BSD-3-Clause */
/* The slow one of the keys, derived by a process of its own, while workers start and the network is looked for: nobody needs it before
 * the first peer says hello. */
#ifndef HG_DERIVE_H
#define HG_DERIVE_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "keys.h"

struct derive {
        struct ev_loop *loop;
        struct keys_router *router;
        ev_io readable;                 /* its end of the pipe; active: it is at work */
        void (*done)(void *context, bool good);
        void *context;
};

/* Begins; @done follows from @loop, once, when @router has its auth key or never will. @secret (KEYS_BYTES) is not needed after this. 0 or
 * -errno: nothing follows. */
int derive_begin(struct derive *derive, struct ev_loop *loop, struct keys_router *router, const uint8_t *secret,
                 void (*done)(void *context, bool good), void *context);

/* Nothing follows any more. Zeroed, or over, is fine. */
void derive_fini(struct derive *derive);

#endif
