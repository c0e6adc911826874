/* SPDX-License-Identifier: BSD-3-Clause */
/* Token buckets: connections that belong together share one, so that together they carry no more than it holds, each way on its own. Who
 * carries a stream asks before each read, and waits for its turn; who carries datagrams drops what does not fit. A bucket outlives its
 * connections until it is full again: another connection is no fresh start.
 *
 * A connection may be of two buckets, and then carries only what both hold. It waits in one after the other: what it got its turn for in the
 * first is put by while it waits in the second. */
#ifndef HG_LIMITER_H
#define HG_LIMITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "heap.h"
#include "list.h"
#include "map.h"

enum {
        LIMITER_LEFT_MAX = 4096,        /* buckets without connections, not yet full; whose last one went first is forgotten */
        LIMITER_BUCKETS = 2,            /* of one connection */
};

enum limiter_way {
        LIMITER_UP,                     /* from the client */
        LIMITER_DOWN,                   /* to it */
        LIMITER_WAYS,
};

struct limiter {
        struct map buckets;
        struct list left;               /* without connections: who was left first is first */
        size_t left_count;
        struct heap turns;              /* of lanes in which somebody waits */
};

struct limiter_bucket;

/* Which bucket: those who say the same share one. */
struct limiter_spec {
        uint64_t name, bytes_per_s, burst_bytes;        /* both below IPC_RATE_MAX and not 0 */
};

/* A connection with a limit; zeroed it has none, and neither has NULL, wherever one is asked for but in limiter_join(). */
struct limited {
        struct limiter_bucket *bucket[LIMITER_BUCKETS]; /* from the first on */
        struct limited_way {
                struct limited *limited;
                struct list in_queue;   /* waits for its turn, in the bucket @passed */
                bool counts[LIMITER_BUCKETS];   /* what goes this way is limited */
                bool turn;              /* has it there, and has not used it */
                unsigned passed;        /* buckets that it need not wait for any more */
                int64_t put_by[LIMITER_BUCKETS];        /* what is taken for it there meanwhile: a turn's worth */
                bool waited[LIMITER_BUCKETS];   /* for that: then it is all it takes */
        } way[LIMITER_WAYS];
};

/* @key: 16 random bytes. */
void limiter_init(struct limiter *limiter, const uint8_t key[16]);

/* All have left. */
void limiter_fini(struct limiter *limiter);

/* From here on @limited (zeroed, or with fewer than LIMITER_BUCKETS limits and waiting for nothing) has that limit, too, in the ways of which
 * @ways has 1 << enum limiter_way. 0 or -ENOMEM. */
int limiter_join(struct limiter *limiter, struct limited *limited, const struct limiter_spec *spec, unsigned ways, usec_t now_us);

/* It has no limit any more, and waits for nothing. Fine without one. */
void limiter_leave(struct limiter *limiter, struct limited *limited, usec_t now_us);

/* How many bytes of a stream may go now; SIZE_MAX: there is no limit. 0: from here on it waits for its turn, which limiter_turn() says. */
size_t limiter_allow(struct limiter *limiter, struct limited *limited, enum limiter_way way, usec_t now_us);

/* So many of them went. */
void limiter_take(struct limited *limited, enum limiter_way way, size_t bytes);

static inline bool limiter_waits(const struct limited *limited, enum limiter_way way)
{
        return limited && limited->bucket[0] && !list_empty(&limited->way[way].in_queue);
}

/* How many of these datagrams fit, from the first on: as long as the bucket is not empty, the next one does, whatever its size. Where streams
 * wait, datagrams take no more between two turns than each of these has in one. */
size_t limiter_fitting(struct limited *limited, enum limiter_way way, const struct iovec *datagrams, size_t count, usec_t now_us);

/* They went. */
void limiter_take_datagrams(struct limited *limited, enum limiter_way way, const struct iovec *datagrams, size_t count);

/* The next one who waits and whose turn it is, and which way; it waits no more. NULL: nobody's. A turn is one limiter_allow(); who does not
 * use it passes it on. */
struct limited *limiter_turn(struct limiter *limiter, usec_t now_us, enum limiter_way *way_out);
void limiter_pass_on(struct limited *limited, enum limiter_way way);

/* When it is somebody's; USEC_NEVER: nobody waits. */
usec_t limiter_deadline(const struct limiter *limiter);

#endif
