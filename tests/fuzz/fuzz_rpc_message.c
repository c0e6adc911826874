/* SPDX-License-Identifier: BSD-3-Clause */
/* A datagram: whatever is read can be written, no longer than it was, and reads back the same. */
#include <stdlib.h>
#include <string.h>

#include "rpc_message.h"

enum { MAX = 65536 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void must(bool condition)
{
        if (!condition)
                abort();
}

static void must_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
        must(!a == !b && (!a || len == 0 || memcmp(a, b, len) == 0));
}

static void must_be_alike(const struct rpc_message *a, const struct rpc_message *b)
{
        must(a->type == b->type && a->tid == b->tid && addr_equal(&a->to, &b->to) && a->internal == b->internal);
        must(a->command == b->command && a->error == b->error);
        must(a->closer_count == b->closer_count && a->value_len == b->value_len);
        must_equal(a->id, b->id, RPC_ID_BYTES);
        must_equal(a->token, b->token, RPC_TOKEN_BYTES);
        must_equal(a->target, b->target, RPC_TARGET_BYTES);
        must_equal(a->value, b->value, a->value_len);
        for (size_t i = 0; i < a->closer_count; i++) {
                struct addr left = rpc_message_closer(a, i), right = rpc_message_closer(b, i);

                must(addr_equal(&left, &right));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
        static uint8_t out[MAX];
        struct rpc_message first, second;
        size_t out_len;

        if (len > MAX || !rpc_message_read(bytes, len, &first))
                return 0;
        out_len = rpc_message_write(&first, out, sizeof(out));
        must(out_len > 0 && out_len <= len);
        must(rpc_message_read(out, out_len, &second));
        must_be_alike(&first, &second);
        must(rpc_message_write(&second, out, out_len) == out_len);
        must(rpc_message_write(&second, out, out_len - 1) == 0);
        return 0;
}
