/* SPDX-License-Identifier: BSD-3-Clause */
/* What follows from the router secret, and who we are: derived or read once at start, kept where nothing else reaches. */
#ifndef HG_KEYS_H
#define HG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
        KEYS_BYTES = 32,
        KEYS_AUTH_BYTES = 64,
        KEYS_ROLES = 2,                 /* gateway, provider */
        KEYS_ROUTERS_MAX = 4,
};

/* What follows from one secret of the router. */
struct keys_router {
        bool has_auth;
        uint8_t public_key[KEYS_BYTES];         /* Ed25519, and the topic: hypergate.md 1.2 */
        uint8_t auth[KEYS_AUTH_BYTES];          /* what hello is keyed with: hypergate.md 3 */
        int64_t until_s;                        /* of a previous one: it counts until then, since the epoch */
};

struct keys {
        struct keys_router routers[KEYS_ROUTERS_MAX];   /* newest first */
        size_t router_count;
        uint8_t seed[KEYS_ROLES][KEYS_BYTES];   /* of our identity in each role */
        uint8_t relay_seed[KEYS_BYTES];         /* and as a relay */
};

/* Guarded, locked memory; its content is random. NULL: none to be had. */
struct keys *keys_new(void);

/* Wipes. NULL is fine. */
void keys_free(struct keys *keys);

/* The public key of that secret (KEYS_BYTES), which takes no time, and no more. */
void keys_router_name(struct keys_router *router, const uint8_t *secret);

/* Its auth key, derived elsewhere. */
void keys_router_take_auth(struct keys_router *router, const uint8_t auth[KEYS_AUTH_BYTES]);

/* Both. Takes 0.1 s and 64 MiB for that long. 0 or -ENOMEM. */
int keys_router_derive(struct keys_router *router, const uint8_t *secret);

enum keys_verdict {
        KEYS_MADE,                      /* new, and stored */
        KEYS_READ,
        KEYS_OPEN,                      /* others may read or write the file: not used */
        KEYS_MALFORMED,                 /* not such a file, or not ours */
        KEYS_REFUSED,                   /* the system refuses, errno says why */
};

/* The seed stored at @path, or a new one, stored there: mode 0600, whole or not at all, owned by @uid:@gid. @seed is
 * untouched when neither works. */
enum keys_verdict keys_identity(const char *path, uid_t uid, gid_t gid, uint8_t seed[KEYS_BYTES]);

#endif
