/* SPDX-License-Identifier: BSD-3-Clause */
/* DHT nodes that were there when this instance last ran, kept in a file: with them it needs no bootstrap node to start again. */
#ifndef HG_KNOWN_H
#define HG_KNOWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf.h"
#include "ipc_swarm.h"
#include "state_halves.h"

struct known {
        struct state_halves file;
        uint8_t network[16];            /* which bootstrap nodes they go with: others are another network */
        struct ipc_swarm_known nodes;   /* its @count is 0 when none are known */
        int error;                      /* of the last write; 0: they are stored */
        bool news;                      /* that it failed, or that it no longer does */
};

/* Opens or makes the file at @path (NULL: none): 0600, of @uid:@gid, for this process alone, and reads it. What belongs to other
 * bootstrap nodes, or is damaged, is as good as nothing. 0, or -errno: then it works without; -EPERM: others may write it. */
int known_init(struct known *known, const char *path, uid_t uid, gid_t gid, const struct conf *conf);
void known_fini(struct known *known);

/* What a swarm worker says it knows: kept, and stored; if that fails, @error says why, and what was stored before stays. False:
 * no worker of ours says that. */
bool known_take(struct known *known, const struct ipc_swarm_known *nodes);

#endif
