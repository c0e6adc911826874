/* SPDX-License-Identifier: BSD-3-Clause */
#include "noise.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "test.h"
#include "vectors.h"

enum { PAYLOAD_MAX = 256, MESSAGE_MAX = PAYLOAD_MAX + NOISE_FIRST_BYTES };

/* Randomness that is one ephemeral seed. */
static void seed_fill(void *context, void *out, size_t len)
{
        check_equal(len, crypto_sign_ed25519_SEEDBYTES);
        memcpy(out, context, len);
}

static void key_pair_at(json_t *from, const char *path, uint8_t public_out[32], uint8_t secret_out[64])
{
        uint8_t seed[32];

        check_equal(vector_bytes(from, path, seed, sizeof(seed)), sizeof(seed));
        crypto_sign_ed25519_seed_keypair(public_out, secret_out, seed);
}

static void key_pair(uint8_t fill, uint8_t public_out[32], uint8_t secret_out[64])
{
        uint8_t seed[32];

        memset(seed, fill, sizeof(seed));
        crypto_sign_ed25519_seed_keypair(public_out, secret_out, seed);
}

TEST(diffie_hellman_is_on_edwards_points)
{
        json_t *primitives = vector_at(vectors("noise.json"), "primitives");
        uint8_t seed[32], scalar[32], expected[32], point[32], shared[32];

        vector_bytes(primitives, "ed25519.seed", seed, sizeof(seed));
        vector_bytes(primitives, "ed25519.scalar", expected, sizeof(expected));
        noise_scalar(scalar, seed);
        check_bytes(scalar, expected, sizeof(scalar));

        vector_bytes(primitives, "dh.scalar_of_seed", seed, sizeof(seed));
        vector_bytes(primitives, "dh.publicKey", point, sizeof(point));
        vector_bytes(primitives, "dh.shared", expected, sizeof(expected));
        noise_scalar(scalar, seed);
        check(noise_dh(shared, scalar, point));
        check_bytes(shared, expected, sizeof(shared));
}

TEST(hmac_and_hkdf_are_the_reference_s)
{
        json_t *primitives = vector_at(vectors("noise.json"), "primitives"), *item;
        uint8_t key[256], bytes[256], expected[64], out1[64], out2[64];
        size_t index;

        json_array_foreach(vector_at(primitives, "hmac_blake2b512"), index, item) {
                size_t key_len = vector_bytes(item, "key", key, sizeof(key));
                size_t len = vector_bytes(item, "data", bytes, sizeof(bytes));

                vector_bytes(item, "mac", expected, sizeof(expected));
                noise_hmac(out1, key, key_len, bytes, len);
                check_bytes(out1, expected, sizeof(expected));
        }
        json_array_foreach(vector_at(primitives, "hkdf"), index, item) {
                size_t len = vector_bytes(item, "ikm", bytes, sizeof(bytes));

                vector_bytes(item, "ck", key, sizeof(key));
                noise_hkdf(out1, out2, key, bytes, len);
                vector_bytes(item, "out1", expected, sizeof(expected));
                check_bytes(out1, expected, sizeof(expected));
                vector_bytes(item, "out2", expected, sizeof(expected));
                check_bytes(out2, expected, sizeof(expected));
                noise_hkdf(key, out2, key, bytes, len);
                check_bytes(key, out1, sizeof(out1));
        }
}

TEST(the_prologue_is_derived_from_its_name)
{
        uint8_t base[33], expected[32];

        crypto_generichash(base, 32, (const uint8_t *)"hyperswarm/dht", 14, NULL, 0);
        base[32] = 0;
        crypto_generichash(expected, 32, base, 33, NULL, 0);
        check_bytes(noise_hyperdht_prologue, expected, sizeof(expected));
        vector_bytes(vectors("noise.json"), "namespaces.hyperswarm_dht.PEER_HANDSHAKE", expected, sizeof(expected));
        check_bytes(noise_hyperdht_prologue, expected, sizeof(expected));
}

/* One step of a recorded handshake, on the symmetric state alone. */
static void replay_step(struct noise_symmetric *symmetric, json_t *step)
{
        const char *op = vector_text(step, "op");
        uint8_t in[PAYLOAD_MAX], out[MESSAGE_MAX], expected[MESSAGE_MAX];
        size_t len;

        if (strcmp(op, "mixHash") == 0) {
                noise_mix_hash(symmetric, in, vector_bytes(step, "data", in, sizeof(in)));
        } else if (strcmp(op, "mixKey") == 0) {
                noise_mix_key(symmetric, in, vector_bytes(step, "dh", in, sizeof(in)));
        } else if (strcmp(op, "encryptAndHash") == 0) {
                noise_encrypt(symmetric, out, in, vector_bytes(step, "plaintext", in, sizeof(in)));
                len = vector_bytes(step, "ciphertext", expected, sizeof(expected));
                check_bytes(out, expected, len);
        } else {
                len = vector_bytes(step, "ciphertext", in, sizeof(in));
                check(strcmp(op, "decryptAndHash") == 0 && noise_decrypt(symmetric, out, in, len));
                len = vector_bytes(step, "plaintext", expected, sizeof(expected));
                check_bytes(out, expected, len);
        }
}

static void replay(json_t *session, const char *trace)
{
        struct noise_symmetric symmetric;
        uint8_t expected[64];
        size_t index;
        json_t *step;

        noise_symmetric_init(&symmetric, vector_text(session, "protocolName"));
        noise_mix_hash(&symmetric, noise_hyperdht_prologue, sizeof(noise_hyperdht_prologue));
        noise_mix_hash(&symmetric, expected, vector_bytes(session, "responder.staticPublic", expected, sizeof(expected)));
        vector_bytes(session, "afterInitialise.h", expected, sizeof(expected));
        check_bytes(symmetric.h, expected, sizeof(expected));
        json_array_foreach(vector_at(session, trace), index, step) {
                replay_step(&symmetric, step);
                vector_bytes(step, "h", expected, sizeof(expected));
                check_bytes(symmetric.h, expected, sizeof(expected));
                vector_bytes(step, "ck", expected, sizeof(expected));
                check_bytes(symmetric.ck, expected, sizeof(expected));
                if (json_is_string(json_object_get(step, "k"))) {
                        vector_bytes(step, "k", expected, sizeof(expected));
                        check_bytes(symmetric.k, expected, sizeof(symmetric.k));
                        check_equal(symmetric.n, vector_number(step, "n"));
                }
        }
        check(index == 9);
}

TEST(each_step_leaves_the_state_that_the_reference_has)
{
        size_t index;
        json_t *session;

        json_array_foreach(vector_at(vectors("noise.json"), "hyperdhtIK"), index, session) {
                replay(session, "initiatorTrace");
                replay(session, "responderTrace");
        }
        check(index == 2);
}

TEST(what_is_shorter_than_a_mac_does_not_decrypt)
{
        struct noise_symmetric symmetric, before;
        uint8_t bytes[NOISE_MAC_BYTES] = { 0 }, out[1];

        noise_symmetric_init(&symmetric, "Noise_IK_Ed25519_ChaChaPoly_BLAKE2b");
        noise_mix_key(&symmetric, bytes, sizeof(bytes));
        before = symmetric;
        for (size_t len = 0; len <= sizeof(bytes); len++)
                check(!noise_decrypt(&symmetric, out, bytes, len));
        check_bytes(&symmetric, &before, sizeof(before));
}

static void check_session(const struct noise_session *session, json_t *from, const char *hash, const char *tx, const char *rx)
{
        uint8_t expected[64];

        vector_bytes(from, hash, expected, sizeof(expected));
        check_bytes(session->hash, expected, sizeof(session->hash));
        vector_bytes(from, tx, expected, sizeof(expected));
        check_bytes(session->tx, expected, sizeof(session->tx));
        vector_bytes(from, rx, expected, sizeof(expected));
        check_bytes(session->rx, expected, sizeof(session->rx));
}

TEST(whole_handshakes_are_byte_for_byte_the_reference_s)
{
        size_t index;
        json_t *item;

        json_array_foreach(vector_at(vectors("noise.json"), "hyperdhtIK"), index, item) {
                uint8_t initiator_key[32], responder_key[32], secret[64], seed[32];
                uint8_t payload[PAYLOAD_MAX], message[MESSAGE_MAX], expected[MESSAGE_MAX], read[PAYLOAD_MAX];
                struct random random = { seed_fill, seed };
                struct noise_session left, right;
                struct noise initiator, responder;
                size_t len;

                key_pair_at(item, "initiator.staticSeed", initiator_key, secret);
                noise_init(&initiator, secret, noise_hyperdht_prologue, NOISE_PROLOGUE_BYTES);
                key_pair_at(item, "responder.staticSeed", responder_key, secret);
                noise_init(&responder, secret, noise_hyperdht_prologue, NOISE_PROLOGUE_BYTES);

                len = vector_bytes(item, "payload1", payload, sizeof(payload));
                vector_bytes(item, "initiator.ephemeralSeed", seed, sizeof(seed));
                check_equal(noise_initiate(&initiator, responder_key, &random, payload, len, message), NOISE_FINE);
                check_equal(vector_bytes(item, "message1", expected, sizeof(expected)), len + NOISE_FIRST_BYTES);
                check_bytes(message, expected, len + NOISE_FIRST_BYTES);
                check_equal(noise_accept(&responder, message, len + NOISE_FIRST_BYTES, read), NOISE_FINE);
                check_bytes(read, payload, len);
                check_bytes(noise_remote_key(&responder), initiator_key, sizeof(initiator_key));

                len = vector_bytes(item, "payload2", payload, sizeof(payload));
                vector_bytes(item, "responder.ephemeralSeed", seed, sizeof(seed));
                check_equal(noise_respond(&responder, &random, payload, len, message, &right), NOISE_FINE);
                check_equal(vector_bytes(item, "message2", expected, sizeof(expected)), len + NOISE_SECOND_BYTES);
                check_bytes(message, expected, len + NOISE_SECOND_BYTES);
                check_equal(noise_finish(&initiator, message, len + NOISE_SECOND_BYTES, read, &left), NOISE_FINE);
                check_bytes(read, payload, len);

                check_session(&left, item, "final.handshakeHash", "final.initiatorTx", "final.initiatorRx");
                check_session(&right, item, "final.handshakeHash", "final.responderTx", "final.responderRx");
                check_bytes(left.remote_key, responder_key, sizeof(responder_key));
                check_bytes(right.remote_key, initiator_key, sizeof(initiator_key));
        }
        check(index == 2);
}

TEST(empty_payloads_and_an_empty_prologue_as_secret_stream_has_them)
{
        json_t *item = vector_at(vectors("noise.json"), "secretStreamPatterns.1");
        uint8_t ignored[32], responder_key[32], secret[64], seed[32], message[MESSAGE_MAX], expected[MESSAGE_MAX], read[1];
        struct random random = { seed_fill, seed };
        struct noise_session left, right;
        struct noise initiator, responder;

        check(strcmp(vector_text(item, "pattern"), "IK") == 0);
        key_pair_at(item, "initiator.staticSeed", ignored, secret);
        noise_init(&initiator, secret, NULL, 0);
        key_pair_at(item, "responder.staticSeed", responder_key, secret);
        noise_init(&responder, secret, NULL, 0);

        vector_bytes(item, "initiator.ephemeralSeed", seed, sizeof(seed));
        check_equal(noise_initiate(&initiator, responder_key, &random, NULL, 0, message), NOISE_FINE);
        check_equal(vector_bytes(item, "messages.0.bytes", expected, sizeof(expected)), NOISE_FIRST_BYTES);
        check_bytes(message, expected, NOISE_FIRST_BYTES);
        check_equal(noise_accept(&responder, message, NOISE_FIRST_BYTES, read), NOISE_FINE);

        vector_bytes(item, "responder.ephemeralSeed", seed, sizeof(seed));
        check_equal(noise_respond(&responder, &random, NULL, 0, message, &right), NOISE_FINE);
        check_equal(vector_bytes(item, "messages.1.bytes", expected, sizeof(expected)), NOISE_SECOND_BYTES);
        check_bytes(message, expected, NOISE_SECOND_BYTES);
        check_equal(noise_finish(&initiator, message, NOISE_SECOND_BYTES, read, &left), NOISE_FINE);
        check_session(&left, item, "handshakeHash", "initiatorTx", "initiatorRx");
        check_session(&right, item, "handshakeHash", "initiatorRx", "initiatorTx");
}

/* Both ends of a handshake whose secret keys and ephemerals come from a counter. */
struct pair {
        uint64_t state;
        struct random random;
        uint8_t initiator_key[32], responder_key[32], initiator_secret[64], responder_secret[64];
        struct noise initiator, responder;
        uint8_t first[MESSAGE_MAX], second[MESSAGE_MAX], read[PAYLOAD_MAX];
        size_t first_len, second_len;
        struct noise_session left, right;
};

static const char hello[] = "hello", answer[] = "answer";

static void begin_responder(struct pair *p)
{
        noise_init(&p->responder, p->responder_secret, noise_hyperdht_prologue, NOISE_PROLOGUE_BYTES);
}

static void begin(struct pair *p)
{
        *p = (struct pair){ .state = 7 };
        p->random = (struct random){ test_random_fill, &p->state };
        key_pair(1, p->initiator_key, p->initiator_secret);
        key_pair(2, p->responder_key, p->responder_secret);
        noise_init(&p->initiator, p->initiator_secret, noise_hyperdht_prologue, NOISE_PROLOGUE_BYTES);
        begin_responder(p);
        check_equal(noise_initiate(&p->initiator, p->responder_key, &p->random, hello, sizeof(hello), p->first), NOISE_FINE);
        p->first_len = sizeof(hello) + NOISE_FIRST_BYTES;
}

static enum noise_verdict accept_first(struct pair *p)
{
        return noise_accept(&p->responder, p->first, p->first_len, p->read);
}

static void respond(struct pair *p)
{
        check_equal(accept_first(p), NOISE_FINE);
        check_equal(noise_respond(&p->responder, &p->random, answer, sizeof(answer), p->second, &p->right), NOISE_FINE);
        p->second_len = sizeof(answer) + NOISE_SECOND_BYTES;
}

static enum noise_verdict finish(struct pair *p)
{
        return noise_finish(&p->initiator, p->second, p->second_len, p->read, &p->left);
}

static bool all_zero(const void *bytes, size_t len)
{
        return sodium_is_zero(bytes, len);
}

/* What JavaScript did with a message 1 so changed; rebuilt as the generator of the vectors made it. */
static size_t break_first(uint8_t *message, size_t len, const char *why)
{
        unsigned cut;

        if (strcmp(why, "empty") == 0)
                return 0;
        if (sscanf(why, "%u bytes", &cut) == 1)
                return cut;
        if (strcmp(why, "ephemeral flipped") == 0)
                message[0] ^= 1;
        else if (strcmp(why, "static ciphertext flipped") == 0)
                message[40] ^= 1;
        else if (strcmp(why, "payload mac flipped") == 0)
                message[len - 1] ^= 1;
        else if (strcmp(why, "ephemeral all zero") == 0)
                memset(message, 0, 32);
        else if (strcmp(why, "one trailing byte") == 0)
                message[len++] = 0;
        else
                check(strcmp(why, "unmodified") == 0);
        return len;
}

TEST(what_the_reference_refuses_is_refused)
{
        json_t *root = vectors("noise.json"), *item;
        uint8_t key[32], secret[64], message[MESSAGE_MAX], read[PAYLOAD_MAX];
        struct noise responder;
        size_t index;

        key_pair_at(root, "hyperdhtIK.0.responder.staticSeed", key, secret);
        json_array_foreach(vector_at(root, "negative"), index, item) {
                size_t len = vector_bytes(root, "hyperdhtIK.0.message1", message, sizeof(message));
                enum noise_verdict verdict;

                len = break_first(message, len, vector_text(item, "why"));
                check_equal(len, vector_number(item, "length"));
                noise_init(&responder, secret, noise_hyperdht_prologue, NOISE_PROLOGUE_BYTES);
                verdict = noise_accept(&responder, message, len, read);
                check_equal(verdict == NOISE_FINE, strcmp(vector_text(item, "result"), "accepted") == 0);
                if (strcmp(vector_text(item, "result"), "throws could not verify data") == 0)
                        check_equal(verdict, NOISE_FORGED);
                noise_fini(&responder);
        }
        check(index == 10);
}

TEST(any_flipped_bit_of_the_first_message_is_noticed)
{
        struct pair p;

        begin(&p);
        for (size_t bit = 0; bit < 8 * p.first_len; bit++) {
                p.first[bit / 8] ^= (uint8_t)(1u << bit % 8);
                begin_responder(&p);
                check(accept_first(&p) != NOISE_FINE);
                check(all_zero(p.read, sizeof(p.read)));
                p.first[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        begin_responder(&p);
        check_equal(accept_first(&p), NOISE_FINE);
}

TEST(a_forged_second_message_undoes_nothing)
{
        struct pair p;

        begin(&p);
        respond(&p);
        memset(p.read, 0, sizeof(p.read));
        for (size_t bit = 0; bit < 8 * p.second_len; bit++) {
                p.second[bit / 8] ^= (uint8_t)(1u << bit % 8);
                check(finish(&p) != NOISE_FINE);
                check(all_zero(p.read, sizeof(p.read)) && all_zero(&p.left, sizeof(p.left)));
                p.second[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (size_t len = 0; len < p.second_len; len++)
                check_equal(noise_finish(&p.initiator, p.second, len, p.read, &p.left),
                            len < NOISE_SECOND_BYTES ? NOISE_SHORT : NOISE_FORGED);
        check_equal(noise_finish(&p.initiator, p.second, p.second_len + 1, p.read, &p.left), NOISE_FORGED);
        check_equal(finish(&p), NOISE_FINE);
        check_bytes(p.read, answer, sizeof(answer));
        check_bytes(p.left.tx, p.right.rx, 32);
        check_bytes(p.left.rx, p.right.tx, 32);
        check_bytes(p.left.hash, p.right.hash, 64);
}

TEST(a_first_message_cut_anywhere_is_refused)
{
        struct pair p;

        begin(&p);
        for (size_t len = 0; len < p.first_len; len++) {
                begin_responder(&p);
                check_equal(noise_accept(&p.responder, p.first, len, p.read), len < NOISE_FIRST_BYTES ? NOISE_SHORT : NOISE_FORGED);
        }
}

TEST(a_message_is_for_one_key_and_one_prologue_only)
{
        struct pair p;
        uint8_t key[32], secret[64];

        begin(&p);
        key_pair(3, key, secret);
        noise_init(&p.responder, secret, noise_hyperdht_prologue, NOISE_PROLOGUE_BYTES);
        check_equal(accept_first(&p), NOISE_FORGED);
        noise_init(&p.responder, p.responder_secret, noise_hyperdht_prologue, NOISE_PROLOGUE_BYTES - 1);
        check_equal(accept_first(&p), NOISE_FORGED);
        noise_init(&p.responder, p.responder_secret, NULL, 0);
        check_equal(accept_first(&p), NOISE_FORGED);
}

TEST(an_answer_to_another_attempt_is_refused)
{
        struct pair p;
        struct noise second_attempt;
        uint8_t message[MESSAGE_MAX];

        begin(&p);
        respond(&p);
        noise_init(&second_attempt, p.initiator_secret, noise_hyperdht_prologue, NOISE_PROLOGUE_BYTES);
        check_equal(noise_initiate(&second_attempt, p.responder_key, &p.random, hello, sizeof(hello), message), NOISE_FINE);
        check_equal(noise_finish(&second_attempt, p.second, p.second_len, p.read, &p.left), NOISE_FORGED);
        noise_fini(&second_attempt);
}

TEST(two_answers_to_one_message_give_different_keys)
{
        struct pair p;
        struct noise_session before;

        begin(&p);
        respond(&p);
        before = p.right;
        begin_responder(&p);
        respond(&p);
        check(memcmp(before.tx, p.right.tx, 32) != 0 && memcmp(before.rx, p.right.rx, 32) != 0);
        check(memcmp(before.hash, p.right.hash, 64) != 0 && memcmp(p.right.tx, p.right.rx, 32) != 0);
}

/* Encodings that libsodium and the reference refuse: small order, not canonical, not on the curve. */
static const char *const bad_points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",       /* order 4 */
        "0100000000000000000000000000000000000000000000000000000000000000",       /* the identity */
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",       /* order 2 */
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",       /* p, for 0 */
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",       /* p + 1, for 1 */
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",       /* order 8 */
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",       /* order 8 */
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "0200000000000000000000000000000000000000000000000000000000000000",       /* no such point */
};

static void check_refused_everywhere(const uint8_t point[32])
{
        struct pair p;
        struct noise initiator;
        uint8_t message[MESSAGE_MAX];

        begin(&p);
        noise_init(&initiator, p.initiator_secret, noise_hyperdht_prologue, NOISE_PROLOGUE_BYTES);
        check_equal(noise_initiate(&initiator, point, &p.random, hello, sizeof(hello), message), NOISE_BAD_POINT);
        check(all_zero(initiator.scalar, sizeof(initiator.scalar)));
        respond(&p);
        memcpy(p.second, point, 32);
        check_equal(finish(&p), NOISE_BAD_POINT);
        memcpy(p.first, point, 32);
        begin_responder(&p);
        check_equal(accept_first(&p), NOISE_BAD_POINT);
        check(all_zero(p.responder.scalar, sizeof(p.responder.scalar)));
}

TEST(points_outside_the_prime_order_group_are_refused)
{
        uint8_t point[32];

        for (size_t i = 0; i < sizeof(bad_points) / sizeof(bad_points[0]); i++) {
                check_equal(test_unhex(bad_points[i], point, sizeof(point)), sizeof(point));
                check_refused_everywhere(point);
        }
}

TEST(a_good_point_plus_one_of_small_order_is_refused)
{
        uint8_t key[32], secret[64], torsion[32], mixed[32];

        key_pair(9, key, secret);
        test_unhex(bad_points[6], torsion, sizeof(torsion));
        check_equal(crypto_core_ed25519_add(mixed, key, torsion), 0);
        check_refused_everywhere(mixed);
}

/* An initiator without the conscience to check its own key: what it seals is well made, but the key in it is no point. */
TEST(a_static_key_that_is_no_point_is_refused)
{
        struct pair p;
        uint8_t scalar[32], ephemeral[32], secret[64], shared[32], key[32] = { 2 };
        struct noise_symmetric symmetric;

        begin(&p);
        key_pair(5, ephemeral, secret);
        noise_scalar(scalar, secret);
        noise_symmetric_init(&symmetric, "Noise_IK_Ed25519_ChaChaPoly_BLAKE2b");
        noise_mix_hash(&symmetric, noise_hyperdht_prologue, NOISE_PROLOGUE_BYTES);
        noise_mix_hash(&symmetric, p.responder_key, 32);
        noise_mix_hash(&symmetric, ephemeral, 32);
        check(noise_dh(shared, scalar, p.responder_key));
        noise_mix_key(&symmetric, shared, sizeof(shared));
        memcpy(p.first, ephemeral, 32);
        noise_encrypt(&symmetric, p.first + 32, key, sizeof(key));
        check_equal(accept_first(&p), NOISE_BAD_POINT);
}

TEST(nothing_of_the_keys_stays_behind)
{
        struct pair p;

        begin(&p);
        respond(&p);
        check_equal(finish(&p), NOISE_FINE);
        p.initiator.state = p.responder.state = 0;
        check(all_zero(&p.initiator, sizeof(p.initiator)));
        check(all_zero(&p.responder, sizeof(p.responder)));
}
