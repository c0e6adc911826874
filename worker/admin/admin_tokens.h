/* SPDX-License-Identifier: BSD-3-Clause */
/* The tokens that let a client in for a while: what `openssl enc -aes-256-cbc -pbkdf2 -iter 10000 -md sha256 -salt` makes of
 * {"timestamp": ms, "ip": text}, in base64url (hypergate.md 11; Hypergate, LimitRemoverService.ts). They are encrypted and not signed, so that
 * whoever may try changed ones must not learn what was wrong with them: all that are no good are alike here, and what is done with them is the
 * same work. */
#ifndef HG_ADMIN_TOKENS_H
#define HG_ADMIN_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        ADMIN_TOKEN_TEXT_MAX = 1024,    /* of base64 */
        ADMIN_TOKEN_NAME_BYTES = 32,
};

struct admin_tokens;

struct admin_token {
        uint64_t made_ms;               /* since the epoch, by the clock of who made it */
        uint8_t ip[16];                 /* for whom; IPv6, or IPv4 as ::ffff:a.b.c.d */
        uint8_t name[ADMIN_TOKEN_NAME_BYTES];   /* another token has another, one that is only written otherwise has the same */
};

/* To be made before the walls close: there are no ciphers later. NULL: no memory. */
struct admin_tokens *admin_tokens_new(void);
void admin_tokens_free(struct admin_tokens *tokens);

/* What they are made with, in place of what was said before. Copied. */
void admin_tokens_learn(struct admin_tokens *tokens, const char *secret, size_t len);

/* False: it is none, or was made with something else. */
bool admin_tokens_open(const struct admin_tokens *tokens, const char *text, size_t len, struct admin_token *out);

#endif
