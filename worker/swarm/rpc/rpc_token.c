/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc_token.h"

#include <sodium.h>
#include <string.h>

#include "cleanup.h"

void rpc_tokens_init(struct rpc_tokens *tokens, const struct random *random, usec_t now_us)
{
        random_fill(random, tokens->secrets, sizeof(tokens->secrets));
        tokens->rotated_us = now_us;
}

void rpc_tokens_fini(struct rpc_tokens *tokens)
{
        sodium_memzero(tokens, sizeof(*tokens));
}

/* dht-rpc lib/io.js _drain(): the secrets swap places, and what is now the new one becomes its hash. */
static void rotate(struct rpc_tokens *tokens)
{
        uint8_t next[RPC_SECRET_BYTES];

        crypto_generichash(next, sizeof(next), tokens->secrets[0], RPC_SECRET_BYTES, NULL, 0);
        memcpy(tokens->secrets[0], tokens->secrets[1], RPC_SECRET_BYTES);
        memcpy(tokens->secrets[1], next, RPC_SECRET_BYTES);
        sodium_memzero(next, sizeof(next));
}

/* Rotations happen when somebody looks, so that an idle node needs no timer. Two in a row end every token there is. */
static void catch_up(struct rpc_tokens *tokens, usec_t now_us)
{
        usec_t missed = (now_us - tokens->rotated_us) / MSEC(RPC_TOKEN_ROTATION_MS);

        for (usec_t i = 0; i < MIN(missed, 2); i++)
                rotate(tokens);
        tokens->rotated_us += missed * MSEC(RPC_TOKEN_ROTATION_MS);
}

static void derive(const struct rpc_tokens *tokens, unsigned which, const struct addr *host, uint8_t out[RPC_TOKEN_BYTES])
{
        char text[ADDR_HOST_TEXT_MAX];
        size_t len = addr_host_text(host, text);

        crypto_generichash(out, RPC_TOKEN_BYTES, (const uint8_t *)text, len, tokens->secrets[which], RPC_SECRET_BYTES);
}

void rpc_token_issue(struct rpc_tokens *tokens, const struct addr *host, usec_t now_us, uint8_t token_out[RPC_TOKEN_BYTES])
{
        catch_up(tokens, now_us);
        derive(tokens, 1, host, token_out);
}

bool rpc_token_valid(struct rpc_tokens *tokens, const struct addr *host, const uint8_t token[RPC_TOKEN_BYTES], usec_t now_us)
{
        uint8_t expected[2][RPC_TOKEN_BYTES];
        bool valid[2];

        catch_up(tokens, now_us);
        for (unsigned i = 0; i < 2; i++) {
                derive(tokens, i, host, expected[i]);
                valid[i] = sodium_memcmp(token, expected[i], RPC_TOKEN_BYTES) == 0;
        }
        return valid[0] || valid[1];
}
