/* SPDX-License-Identifier: BSD-3-Clause */
/* Tokens against those of the reference, and their life. */
#include "rpc_token.h"

#include <stdlib.h>
#include <string.h>

#include "test.h"
#include "vectors.h"

static const struct addr host = { { 198, 51, 100, 1 }, 1 };

/* The start secrets of the vectors instead of random ones. */
static void fill_secrets(void *context, void *out, size_t len)
{
        check_equal(len, 2 * RPC_SECRET_BYTES);
        vector_bytes(context, "secret0", out, RPC_SECRET_BYTES);
        vector_bytes(context, "secret1", (uint8_t *)out + RPC_SECRET_BYTES, RPC_SECRET_BYTES);
}

static struct addr host_of(json_t *item)
{
        struct addr addr = { .port = 4711 };
        const char *at = vector_text(item, "host");

        for (int i = 0; i < 4; i++, at += strcspn(at, ".") + 1)
                addr.ip[i] = (uint8_t)atoi(at);
        return addr;
}

TEST(rpc_tokens_are_those_of_the_reference_through_all_rotations)
{
        json_t *steps = vector_at(vectors("dht.json"), "token.steps"), *step, *item;
        struct random random = { fill_secrets, json_array_get(steps, 0) };
        struct rpc_tokens tokens;
        usec_t now_us = SECONDS(5);
        size_t index, at;

        rpc_tokens_init(&tokens, &random, now_us);
        json_array_foreach(steps, index, step) {
                json_array_foreach(vector_at(step, "tokens"), at, item) {
                        uint8_t old[RPC_TOKEN_BYTES], fresh[RPC_TOKEN_BYTES], issued[RPC_TOKEN_BYTES];
                        struct addr addr = host_of(item);

                        vector_bytes(item, "token0", old, sizeof(old));
                        vector_bytes(item, "token1", fresh, sizeof(fresh));
                        rpc_token_issue(&tokens, &addr, now_us, issued);
                        check_bytes(issued, fresh, sizeof(issued));
                        check(rpc_token_valid(&tokens, &addr, old, now_us));
                        check(rpc_token_valid(&tokens, &addr, fresh, now_us));
                        check(!rpc_token_valid(&tokens, &host, fresh, now_us));
                }
                now_us += MSEC(RPC_TOKEN_ROTATION_MS);
        }
        check(index > 2);
}

/* From when it was issued within a rotation, and how much later it is shown. */
static bool lives(usec_t issued_after_us, usec_t shown_after_us)
{
        uint64_t seed = 3;
        struct random random = { test_random_fill, &seed };
        struct rpc_tokens tokens;
        uint8_t token[RPC_TOKEN_BYTES];
        usec_t start_us = MINUTES(7);

        rpc_tokens_init(&tokens, &random, start_us);
        rpc_token_issue(&tokens, &host, start_us + issued_after_us, token);
        return rpc_token_valid(&tokens, &host, token, start_us + issued_after_us + shown_after_us);
}

TEST(rpc_token_lives_from_one_to_two_rotations)
{
        for (usec_t issued_us = 0; issued_us < MSEC(3 * RPC_TOKEN_ROTATION_MS); issued_us += MSEC(500)) {
                check(lives(issued_us, 0));
                check(lives(issued_us, MSEC(RPC_TOKEN_ROTATION_MS)));
                check(!lives(issued_us, MSEC(2 * RPC_TOKEN_ROTATION_MS)));
                for (unsigned n = 3; n < 12; n++)
                        check(!lives(issued_us, MSEC(n * RPC_TOKEN_ROTATION_MS)));
                check(!lives(issued_us, MINUTES(600)));
        }
}

TEST(rpc_token_with_any_bit_changed_is_invalid)
{
        uint64_t seed = 3;
        struct random random = { test_random_fill, &seed };
        struct rpc_tokens tokens;
        uint8_t token[RPC_TOKEN_BYTES];

        rpc_tokens_init(&tokens, &random, 0);
        rpc_token_issue(&tokens, &host, 0, token);
        for (unsigned bit = 0; bit < 8 * RPC_TOKEN_BYTES; bit++) {
                token[bit / 8] ^= (uint8_t)(1u << bit % 8);
                check(!rpc_token_valid(&tokens, &host, token, 0));
                token[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        check(rpc_token_valid(&tokens, &host, token, 0));
        rpc_tokens_fini(&tokens);
        check(!rpc_token_valid(&tokens, &host, token, 0));
}
