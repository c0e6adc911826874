/* SPDX-License-Identifier: BSD-3-Clause */
#include "shares.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

struct share {
        struct map_entry by_peer;
        uint8_t peer[NODE_KEY_BYTES];
        uint32_t count;
};

void shares_init(struct shares *shares, const uint8_t key[16])
{
        map_init(&shares->all, key);
}

void shares_fini(struct shares *shares)
{
        assert(shares->all.count == 0);
        map_fini(&shares->all);
}

static struct share *find(const struct shares *shares, const uint8_t peer[NODE_KEY_BYTES], uint64_t hash)
{
        for (struct map_entry *at = map_first(&shares->all, hash); at; at = map_next(at)) {
                struct share *share = container_of(at, struct share, by_peer);

                if (memcmp(share->peer, peer, NODE_KEY_BYTES) == 0)
                        return share;
        }
        return NULL;
}

struct share *shares_take(struct shares *shares, const uint8_t peer[NODE_KEY_BYTES], uint32_t *count_out)
{
        uint64_t hash = map_hash(&shares->all, peer, NODE_KEY_BYTES);
        struct share *share = find(shares, peer, hash);

        if (!share) {
                share = calloc(1, sizeof(*share));
                if (!share || map_insert(&shares->all, &share->by_peer, hash) < 0) {
                        free(share);
                        return NULL;
                }
                memcpy(share->peer, peer, NODE_KEY_BYTES);
        }
        *count_out = ++share->count;
        return share;
}

void shares_give_back(struct shares *shares, struct share *share)
{
        if (!share || --share->count > 0)
                return;
        map_remove(&shares->all, &share->by_peer);
        free(share);
}
