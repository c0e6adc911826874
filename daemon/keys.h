/* SPDX-License-Identifier: BSD-3-Clause */
/* What follows from the router secret, and who we are: derived or read once at start, kept where nothing else reaches. */
#ifndef HG_KEYS_H
#define HG_KEYS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
        KEYS_BYTES = 32,
        KEYS_AUTH_BYTES = 64,
        KEYS_ROLES = 2,                 /* gateway, provider */
};

struct keys {
        bool has_router, has_auth;
        uint8_t router_public[KEYS_BYTES];      /* Ed25519, and the topic: hypergate.md 1.2 */
        uint8_t auth[KEYS_AUTH_BYTES];          /* what hello is keyed with: hypergate.md 3 */
        uint8_t seed[KEYS_ROLES][KEYS_BYTES];   /* of our identity in each role */
        uint8_t relay_seed[KEYS_BYTES];         /* and as a relay */
};

/* Guarded, locked memory; its content is random. NULL: none to be had. */
struct keys *keys_new(void);

/* Wipes. NULL is fine. */
void keys_free(struct keys *keys);

/* The public key of that secret (KEYS_BYTES), which takes no time. */
void keys_of_router(struct keys *keys, const uint8_t *secret);

/* Its auth key, derived elsewhere. */
void keys_take_auth(struct keys *keys, const uint8_t auth[KEYS_AUTH_BYTES]);

/* Both. Takes 0.1 s and 64 MiB for that long. 0 or -ENOMEM. */
int keys_derive(struct keys *keys, const uint8_t *secret);

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
