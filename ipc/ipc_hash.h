/* SPDX-License-Identifier: BSD-3-Clause */
/* FNV-1a of 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/. Anybody can make two texts with one hash: nothing that matters may hang
 * on there being none. */
#ifndef HG_IPC_HASH_H
#define HG_IPC_HASH_H

#include <stddef.h>
#include <stdint.h>

#define IPC_HASH_BEGIN UINT64_C(0xcbf29ce484222325)

/* @hash of what went before, and of @len more bytes. */
static inline uint64_t ipc_hash(uint64_t hash, const void *bytes, size_t len)
{
        for (size_t i = 0; i < len; i++)
                hash = (hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
        return hash;
}

#endif
