/* SPDX-License-Identifier: BSD-3-Clause */
/* The values a persistent node holds for others: mutable ones (the answer to MUTABLE_GET) and immutable ones, as bytes under
 * their target. A value is dropped DHT_VAULT_LIFE_US after it was last put, however often it is read.
 *
 * Strangers fill it, so it has bounds in bytes, and each source host a share: who puts too much displaces its own oldest, and when
 * the whole is full the greediest host's oldest goes. A value stays on the account of whoever put it first: nobody can take over
 * another's value by putting it again, to throw it out with the rest of his own. Loopback has no share. */
#ifndef HG_DHT_VAULT_H
#define HG_DHT_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "random.h"
#include "usec.h"

enum {
        DHT_VAULT_BYTES = 32 * 1024 * 1024,
        DHT_VAULT_SOURCE_BYTES = 256 * 1024,    /* from one host */
        DHT_VAULT_VALUE_COST = 256,             /* what a value takes beside its bytes; counts as such */
};

#define DHT_VAULT_LIFE_US MINUTES(48 * 60)      /* hyperdht index.js: mutables and immutables */

enum dht_vault_kind {
        DHT_VAULT_MUTABLE,
        DHT_VAULT_IMMUTABLE,
        DHT_VAULT_KINDS
};

struct dht_vault;

struct dht_vault *dht_vault_new(const struct random *random);
void dht_vault_free(struct dht_vault *vault);

/* Puts @bytes (copied; shorter than a datagram) under @target, in the place of an earlier value. False: no memory. */
bool dht_vault_put(struct dht_vault *vault, enum dht_vault_kind kind, const uint8_t *target, const void *bytes, size_t len,
                   const struct addr *from, usec_t now_us);

/* The value of @target where it lies: good until the vault changes. NULL: there is none. */
const uint8_t *dht_vault_get(const struct dht_vault *vault, enum dht_vault_kind kind, const uint8_t *target, size_t *len_out);

/* Drops what has become too old. */
void dht_vault_expire(struct dht_vault *vault, usec_t now_us);

size_t dht_vault_values(const struct dht_vault *vault);
size_t dht_vault_bytes(const struct dht_vault *vault);  /* as counted against DHT_VAULT_BYTES */

#endif
