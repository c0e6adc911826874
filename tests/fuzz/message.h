/* SPDX-License-Identifier: BSD-3-Clause */
/* Which message of ipc/ipc_message.h an input means: two bytes, which are the hash of its name. Other values mean something, too, each
 * message as many: the one whose hash, mixed with the value, is greatest. So an input means the same when the table gets another row, but
 * for one in as many values as there are rows, and none of those that are a name's hash. */
#ifndef HG_FUZZ_MESSAGE_H
#define HG_FUZZ_MESSAGE_H

#include "bytes.h"
#include "ipc_channel.h"
#include "ipc_forward.h"
#include "ipc_route.h"
#include "ipc_table.h"

/* Payloads stand in inputs as they are. Who gives one of these another field gives it to the seeds, too: what comes behind it would mean
 * something else, and what they reached would be reached no more, without a word. */
_Static_assert(sizeof(struct ipc_route) == 56 && sizeof(struct ipc_forward_listener) == 16 && sizeof(struct ipc_forward_service) == 936 &&
               sizeof(struct ipc_channel_open) == 1432 && sizeof(struct ipc_channel_arrived) == 1080 &&
               sizeof(struct ipc_channel_refused) == 16 + IPC_TEXT_MAX && sizeof(struct ipc_channel_closed) == 40,
               "corpus/forward and corpus/swarm_process have these");

/* FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/. */
static inline uint32_t message_hash(const char *name)
{
        uint32_t hash = UINT32_C(2166136261);

        for (; *name; name++)
                hash = (hash ^ (uint8_t)*name) * UINT32_C(16777619);
        return hash;
}

/* The number of a message, or one that is none ("?"). */
static inline uint32_t message_type(struct reader *r)
{
        static uint32_t hashes[IPC_TYPES + 1];
        uint32_t value = read_u16le(r), greatest = 0, type = 0;

        for (uint32_t i = 0; i <= IPC_TYPES; i++) {
                uint32_t mixed;

                if (!hashes[i])
                        hashes[i] = message_hash(ipc_message_name(i));
                mixed = (hashes[i] ^ value * UINT32_C(2654435761)) * UINT32_C(2246822519);
                mixed ^= mixed >> 15;
                mixed = value == (uint16_t)(hashes[i] >> 16 ^ hashes[i]) ? UINT32_MAX : mixed;
                if (mixed >= greatest) {
                        greatest = mixed;
                        type = i;
                }
        }
        return type;
}

#endif
