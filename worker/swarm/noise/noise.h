/* SPDX-License-Identifier: BSD-3-Clause */
/* Noise_IK_Ed25519_ChaChaPoly_BLAKE2b, the handshake of HyperDHT connections (npm noise-handshake 4.2, noise-curve-ed 2.1;
 * transport.md 1): two messages, each with a payload, that leave both sides with a key per direction.
 *
 * Keys are Ed25519 key pairs as libsodium has them, ephemeral ones too; Diffie-Hellman is on Edwards points and refuses every
 * point that is not canonical or not in the prime-order subgroup.
 *
 *      initiator: noise_init(), noise_initiate(), noise_finish() for each answer until one is good, noise_fini()
 *      responder: noise_init(), noise_accept(), is noise_remote_key() welcome?, noise_respond(), noise_fini()
 *
 * No allocation; calls out of this order are our own mistake and assert. */
#ifndef HG_NOISE_H
#define HG_NOISE_H

#include <stddef.h>
#include <stdint.h>

#include "noise_symmetric.h"
#include "random.h"

enum {
        NOISE_KEY_BYTES = 32,
        NOISE_SECRET_KEY_BYTES = 64,            /* seed and public key */
        NOISE_PROLOGUE_BYTES = 32,              /* of HyperDHT's; others may have any length */
        NOISE_FIRST_BYTES = 32 + 48 + 16,       /* what message 1 adds to its payload: ephemeral, sealed static, MAC */
        NOISE_SECOND_BYTES = 32 + 16,           /* and message 2: ephemeral, MAC */
};

/* Of HyperDHT: NS_PEER_HANDSHAKE (hyperdht lib/constants.js). */
extern const uint8_t noise_hyperdht_prologue[NOISE_PROLOGUE_BYTES];

enum noise_verdict {
        NOISE_FINE,
        NOISE_SHORT,            /* not even an empty payload fits */
        NOISE_BAD_POINT,        /* a public key that is no point to do Diffie-Hellman with */
        NOISE_FORGED,           /* made for another key, by another key, or changed on the way */
};

/* What a handshake is for. Wipe it (sodium_memzero) once the keys are where they belong. */
struct noise_session {
        uint8_t tx[NOISE_KEY_BYTES], rx[NOISE_KEY_BYTES];
        uint8_t hash[NOISE_HASH_BYTES];         /* the handshake hash: the same on both sides, different each time */
        uint8_t remote_key[NOISE_KEY_BYTES];    /* the peer's static public key, proved */
};

enum noise_state {
        NOISE_NEW,
        NOISE_INITIATED,
        NOISE_ACCEPTED,
        NOISE_SPENT,
};

/* One attempt. The fields are the module's own business. */
struct noise {
        enum noise_state state;
        struct noise_symmetric symmetric;       /* NEW: nothing mixed in but the prologue */
        uint8_t public_key[NOISE_KEY_BYTES], scalar[NOISE_KEY_BYTES];   /* our static key pair */
        uint8_t ephemeral[NOISE_KEY_BYTES];     /* scalar of ours */
        uint8_t remote_key[NOISE_KEY_BYTES], remote_ephemeral[NOISE_KEY_BYTES];
};

/* Copies what it needs of @secret_key; noise_fini() wipes it. */
void noise_init(struct noise *noise, const uint8_t secret_key[NOISE_SECRET_KEY_BYTES], const void *prologue, size_t prologue_len);
void noise_fini(struct noise *noise);

/* Message 1 to the holder of @remote_key, @len + NOISE_FIRST_BYTES long. NOISE_BAD_POINT: nobody can hold @remote_key. */
enum noise_verdict noise_initiate(struct noise *noise, const uint8_t remote_key[NOISE_KEY_BYTES], const struct random *random,
                                  const void *payload, size_t len, uint8_t *message_out);

/* Reads message 2: @len - NOISE_SECOND_BYTES of payload to @payload_out, and the session. With a bad verdict both are untouched and
 * the handshake is as before: one relay's forgery does not undo what another one brings. */
enum noise_verdict noise_finish(struct noise *noise, const uint8_t *message, size_t len, uint8_t *payload_out,
                                struct noise_session *session_out);

/* Reads message 1: @len - NOISE_FIRST_BYTES of payload to @payload_out, untouched with a bad verdict; the handshake is spent then.
 * Whoever repeats a message 1 gets this far; only the peer itself can use the answer. */
enum noise_verdict noise_accept(struct noise *noise, const uint8_t *message, size_t len, uint8_t *payload_out);

/* The initiator's static public key, once accepted. */
const uint8_t *noise_remote_key(const struct noise *noise);

/* Message 2, @len + NOISE_SECOND_BYTES long, and the session. */
enum noise_verdict noise_respond(struct noise *noise, const struct random *random, const void *payload, size_t len,
                                 uint8_t *message_out, struct noise_session *session_out);

#endif
