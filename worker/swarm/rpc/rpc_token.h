/* SPDX-License-Identifier: BSD-3-Clause */
/* Tokens: who shows ours again can receive at the address it sends from. Nothing is stored per token: it is a keyed hash of
 * the host, good for any of its ports (a NAT may change them meanwhile), under secrets that rotate. dht-rpc lib/io.js token(). */
#ifndef HG_RPC_TOKEN_H
#define HG_RPC_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "addr.h"
#include "random.h"
#include "rpc_message.h"
#include "usec.h"

enum {
        RPC_SECRET_BYTES = 32,
        RPC_TOKEN_ROTATION_MS = 7500,   /* a token lives that long at least, twice that at most */
};

struct rpc_tokens {
        uint8_t secrets[2][RPC_SECRET_BYTES];   /* 0: tokens of before the last rotation; 1: those handed out now */
        usec_t rotated_us;
};

void rpc_tokens_init(struct rpc_tokens *tokens, const struct random *random, usec_t now_us);

/* Wipes the secrets. */
void rpc_tokens_fini(struct rpc_tokens *tokens);

/* The token for @host (its port doesn't matter). Times never run backwards from call to call. */
void rpc_token_issue(struct rpc_tokens *tokens, const struct addr *host, usec_t now_us, uint8_t token_out[RPC_TOKEN_BYTES]);

/* Whether @token was issued to @host and still lives; takes the same time whatever it holds. */
bool rpc_token_valid(struct rpc_tokens *tokens, const struct addr *host, const uint8_t token[RPC_TOKEN_BYTES], usec_t now_us);

#endif
