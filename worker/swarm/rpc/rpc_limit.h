/* SPDX-License-Identifier: BSD-3-Clause */
/* What strangers may have from us: requests per host and per /24, costlier things per host, reply bytes in all, and large replies
 * to hosts that may be victims of a forged source. Bounded memory, that grows with the hosts of whom there is something to remember;
 * at its bound what was heard from longest ago is forgotten first. */
#ifndef HG_RPC_LIMIT_H
#define HG_RPC_LIMIT_H

#include <stdbool.h>
#include <stddef.h>

#include "addr.h"
#include "map.h"
#include "random.h"
#include "rpc.h"
#include "usec.h"

enum {
        RPC_LIMIT_ENTRIES = 65536,      /* hosts and networks remembered, at most */
        RPC_LIMIT_WAYS = 8,             /* an entry lives in one of so many places */
        RPC_REQUESTS_PER_S = 100,       /* and twice as many at once; the others alike */
        RPC_NETWORK_PER_S = 400,
        RPC_SIGNATURES_PER_S = 20,
        RPC_RELAYS_PER_S = 20,
        RPC_DELAYS_PER_S = 2,
        RPC_REACHABLE_S = 60,           /* a host that answered us, or showed a token, is no victim for so long */
        RPC_LARGE_BYTES = 300,          /* a reply longer than this, and than twice its request, is large */
        RPC_LARGE_PER_S = 4,            /* to a network that may be a victim */
        RPC_LARGE_BYTES_PER_MIN = 1 << 20,
        RPC_FULL_PER_S = 20,            /* replies with all the nodes that fit, to such a network; the others name RPC_CLOSER_SHORT */
        RPC_CLOSER_SHORT = 4,
        RPC_REPLY_BYTES_PER_S = 1 << 22,        /* some 20,000 ordinary ones: far above what a busy node is asked */
};

struct rpc_limit_entry;

struct rpc_limit {
        struct rpc_limit_entry *entries;        /* NULL until a stranger comes */
        size_t sets;                            /* of RPC_LIMIT_WAYS entries */
        struct map hash;                        /* only its keyed hash function */
        usec_t large_us, replies_us;            /* see take() */
};

void rpc_limit_init(struct rpc_limit *limit, const struct random *random);
void rpc_limit_fini(struct rpc_limit *limit);

/* Each takes one from an allowance; false: there is none left (or no memory to count). Loopback is never limited. The last quarter
 * of what may be replied in all is for those who are reachable, so that no flood of forged sources silences us for everybody; of
 * the others' requests not even the first is then looked at. */
bool rpc_limit_request(struct rpc_limit *limit, const struct addr *from, usec_t now_us);
bool rpc_limit_cost(struct rpc_limit *limit, const struct addr *from, enum rpc_cost cost, usec_t now_us);
bool rpc_limit_reply(struct rpc_limit *limit, const struct addr *to, size_t len, usec_t now_us);
bool rpc_limit_full(struct rpc_limit *limit, const struct addr *to, usec_t now_us);

/* Whether @host did so lately: no victim of a forged source. */
bool rpc_limit_is_reachable(const struct rpc_limit *limit, const struct addr *host, usec_t now_us);

/* @host proved that it receives what is sent to it. */
void rpc_limit_reachable(struct rpc_limit *limit, const struct addr *host, usec_t now_us);

/* Whether a large reply may go to @to: always when it is reachable, else within bounds. */
bool rpc_limit_large(struct rpc_limit *limit, const struct addr *to, size_t len, usec_t now_us);

#endif
