/* SPDX-License-Identifier: BSD-3-Clause */
/* What both ends of a connection derive from its handshake hash: keyed BLAKE2b-256, the hash being the key (transport.md 2.1, 2.5;
 * secret-stream index.js). */
#ifndef HG_SECRET_DERIVE_H
#define HG_SECRET_DERIVE_H

#include <stdint.h>

#include "secret.h"

/* The id of @role's stream, which its header frame carries. */
void secret_derive_id(uint8_t out[SECRET_ID_BYTES], enum secret_role role, const uint8_t hash[SECRET_HASH_BYTES]);

/* The key @role seals its unordered messages with. */
void secret_derive_unordered_key(uint8_t out[SECRET_KEY_BYTES], enum secret_role role, const uint8_t hash[SECRET_HASH_BYTES]);

#endif
