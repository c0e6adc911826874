/* SPDX-License-Identifier: BSD-3-Clause */
/* One rule of an ingress policy: which clients of a gate it is about, whether they come in, and how fast. A policy rides as a sealed memory
 * file (ipc_blob.h) that is an array of these, in the order in which they are looked at: the first that is about a client decides. */
#ifndef HG_IPC_RULE_H
#define HG_IPC_RULE_H

#include <stdint.h>

enum {
        IPC_LABELS_MAX = 128,
        IPC_RULES_MAX = 1024,           /* of one policy: IPC_BLOB_MAX holds them */
};

/* All rates and bursts are below this: no arithmetic on them overflows. */
#define IPC_RATE_MAX (UINT64_C(1) << 40)

enum ipc_rule_who {
        IPC_RULE_ALL,
        IPC_RULE_IPV4,                  /* a network */
        IPC_RULE_IPV6,
        IPC_RULE_OTHERS,                /* whom no rule is about: ports and protocols do not matter. The last one, if it is there */
        IPC_RULE_WHOS,
};

/* Ways that a limit is about. */
enum ipc_rule_way {
        IPC_RULE_UP = 1,                /* to the service */
        IPC_RULE_DOWN = 2,              /* from it */
};

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

struct ipc_rule {
        uint8_t ip[16];                 /* IPv6, or IPv4 as ::ffff:a.b.c.d; beyond @bits all 0; all 0 without a network */
        uint8_t who;                    /* enum ipc_rule_who */
        uint8_t bits;                   /* of the 128, those in front of an IPv4 address included */
        uint8_t allow;                  /* 0 or 1 */
        uint8_t protocols;              /* 1 << enum ipc_protocol of those it is about */
        uint16_t port_first, port_last;         /* of the gate, both included: it is about these, */
        uint16_t except_first, except_last;     /* but not about these; none where the first is greater */
        uint32_t ways;                  /* or of enum ipc_rule_way */
        uint64_t expires_ms;            /* since the epoch: from then on it is not there; 0: never */
        uint64_t bytes_per_s;           /* for each address that a client may have, each way on its own; 0: no limit */
        uint64_t burst_bytes;           /* and so many at once; not 0 where there is a limit */
        char labels[IPC_LABELS_MAX];    /* each ends with NUL; the first empty one is none */
};

#pragma GCC diagnostic pop

#endif
