/* SPDX-License-Identifier: BSD-3-Clause */
#include "secret.h"

#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "secret_derive.h"
#include "test.h"
#include "vectors.h"

enum { HEADER_RANDOM = 24, STREAM_MAX = 256 * 1024 };

/* Randomness that is handed out as written down. */
struct script {
        const uint8_t *at;
        size_t left;
};

static void script_fill(void *context, void *out, size_t len)
{
        struct script *script = context;

        check(len <= script->left);
        memcpy(out, script->at, len);
        script->at += len;
        script->left -= len;
}

struct keys {
        uint8_t tx[32], rx[32], hash[64];
};

static void keys_of_vectors(struct keys *keys)
{
        json_t *handshake = vector_at(vectors("secret-stream.json"), "handshake");

        vector_bytes(handshake, "initiatorTx", keys->tx, 32);
        vector_bytes(handshake, "initiatorRx", keys->rx, 32);
        vector_bytes(handshake, "handshakeHash", keys->hash, 64);
}

/* One end, whose secretstream header is @header. @keys are the initiator's. */
static void begin_with(struct secret *secret, enum secret_role role, const struct keys *keys, const uint8_t header[HEADER_RANDOM],
                       uint8_t out[SECRET_HEADER_BYTES])
{
        uint8_t bytes[HEADER_RANDOM + 8] = { 0 };
        struct script script = { bytes, sizeof(bytes) };
        struct random random = { script_fill, &script };
        struct secret_config config = { .role = role, .hash = keys->hash,
                                        .tx = role == SECRET_INITIATOR ? keys->tx : keys->rx,
                                        .rx = role == SECRET_INITIATOR ? keys->rx : keys->tx };

        memcpy(bytes, header, HEADER_RANDOM);
        secret_init(secret, &config, &random, out);
        check_equal(script.left, 0);
}

struct pair {
        struct keys keys;
        struct secret left, right;
        uint8_t left_header[SECRET_HEADER_BYTES], right_header[SECRET_HEADER_BYTES];
};

static void begin(struct pair *p)
{
        uint8_t header[HEADER_RANDOM] = { 1 };

        keys_of_vectors(&p->keys);
        begin_with(&p->left, SECRET_INITIATOR, &p->keys, header, p->left_header);
        header[0] = 2;
        begin_with(&p->right, SECRET_RESPONDER, &p->keys, header, p->right_header);
}

/* What was delivered out of a stream: lengths, and all bytes in a row. */
struct delivered {
        size_t lens[64], count, bytes_len;
        uint8_t bytes[STREAM_MAX];
};

static uint8_t stream[STREAM_MAX];
static struct delivered got;

/* Feeds @len bytes in pieces of @piece, as a receive buffer would: what is not taken stays in front of what comes. */
static enum secret_verdict feed(struct secret *secret, const uint8_t *bytes, size_t len, size_t piece)
{
        static uint8_t buffer[STREAM_MAX];
        size_t filled = 0, taken;
        enum secret_verdict verdict = SECRET_MORE;
        const uint8_t *plain;
        size_t plain_len;

        got.count = got.bytes_len = 0;
        for (size_t at = 0; at < len; at += piece) {
                size_t n = MIN(piece, len - at);

                memcpy(buffer + filled, bytes + at, n);
                filled += n;
                while ((verdict = secret_open(secret, buffer, filled, &taken, &plain, &plain_len)) == SECRET_MESSAGE) {
                        memcpy(got.bytes + got.bytes_len, plain, plain_len);
                        got.lens[got.count++] = plain_len;
                        got.bytes_len += plain_len;
                        memmove(buffer, buffer + taken, filled - taken);
                        filled -= taken;
                }
                if (verdict != SECRET_MORE)
                        return verdict;
                if (taken)
                        memmove(buffer, buffer + taken, filled - taken);
                filled -= taken;
        }
        return verdict;
}

/* The vectors' rule for long plaintexts. */
static void pattern(uint8_t *out, size_t len, unsigned seed)
{
        for (size_t i = 0; i < len; i++)
                out[i] = (uint8_t)(seed + 7 * i + i / 256);
}

static size_t plain_of(json_t *frame, uint8_t *out, size_t max)
{
        const char *text = vector_text(frame, "plaintext");
        unsigned len, seed;

        if (sscanf(text, "pattern(%u,%u)", &len, &seed) != 2)
                return test_unhex(text, out, max);
        check(len <= max);
        pattern(out, len, seed);
        return len;
}

TEST(names_ids_and_keys_are_the_reference_s)
{
        json_t *root = vectors("secret-stream.json");
        uint8_t expected[32], actual[32];
        struct keys keys;

        keys_of_vectors(&keys);
        vector_bytes(root, "initiatorToResponder.0.id", expected, sizeof(expected));
        secret_derive_id(actual, SECRET_INITIATOR, keys.hash);
        check_bytes(actual, expected, sizeof(expected));
        vector_bytes(root, "responderToInitiator.0.id", expected, sizeof(expected));
        secret_derive_id(actual, SECRET_RESPONDER, keys.hash);
        check_bytes(actual, expected, sizeof(expected));
        vector_bytes(root, "unordered.initiatorKey", expected, sizeof(expected));
        secret_derive_unordered_key(actual, SECRET_INITIATOR, keys.hash);
        check_bytes(actual, expected, sizeof(expected));
        vector_bytes(root, "unordered.responderKey", expected, sizeof(expected));
        secret_derive_unordered_key(actual, SECRET_RESPONDER, keys.hash);
        check_bytes(actual, expected, sizeof(expected));
}

TEST(stream_ids_of_both_handshakes_of_the_noise_vectors)
{
        size_t index;
        json_t *item;

        json_array_foreach(vector_at(vectors("noise.json"), "hyperdhtIK"), index, item) {
                uint8_t hash[64], expected[32], actual[32];

                vector_bytes(item, "final.handshakeHash", hash, sizeof(hash));
                vector_bytes(item, "final.initiatorStreamId", expected, sizeof(expected));
                secret_derive_id(actual, SECRET_INITIATOR, hash);
                check_bytes(actual, expected, sizeof(expected));
                vector_bytes(item, "final.responderStreamId", expected, sizeof(expected));
                secret_derive_id(actual, SECRET_RESPONDER, hash);
                check_bytes(actual, expected, sizeof(expected));
        }
        check(index == 2);
}

/* Seals what the reference sealed, with its header, and compares each frame. Leaves the whole stream in `stream`. */
static size_t seal_vectors(const char *direction, enum secret_role role)
{
        static uint8_t plain[STREAM_MAX], frame[STREAM_MAX];
        json_t *frames = vector_at(vectors("secret-stream.json"), direction), *item;
        uint8_t header[HEADER_RANDOM];
        struct secret secret;
        struct keys keys;
        size_t index, len = SECRET_HEADER_BYTES;

        keys_of_vectors(&keys);
        vector_bytes(frames, "0.secretstreamHeader", header, sizeof(header));
        begin_with(&secret, role, &keys, header, stream);
        check_equal(vector_bytes(frames, "0.bytes", frame, sizeof(frame)), SECRET_HEADER_BYTES);
        check_bytes(stream, frame, SECRET_HEADER_BYTES);
        json_array_foreach(frames, index, item) {
                size_t plain_len = index ? plain_of(item, plain, sizeof(plain)) : 0;

                if (index == 0)
                        continue;
                secret_seal(&secret, stream + len, plain, plain_len);
                check_equal(vector_bytes(item, "bytes", frame, sizeof(frame)), plain_len + SECRET_SEAL_BYTES);
                check_bytes(stream + len, frame, plain_len + SECRET_SEAL_BYTES);
                len += plain_len + SECRET_SEAL_BYTES;
        }
        secret_fini(&secret);
        return len;
}

TEST(frames_are_byte_for_byte_the_reference_s)
{
        seal_vectors("initiatorToResponder", SECRET_INITIATOR);
        seal_vectors("responderToInitiator", SECRET_RESPONDER);
}

TEST(frames_of_the_reference_open_in_any_cut)
{
        static const size_t pieces[] = { 1, 2, 3, 19, 58, 59, 60, 1200, 65536, STREAM_MAX };
        size_t len = seal_vectors("initiatorToResponder", SECRET_INITIATOR);
        uint8_t header[SECRET_HEADER_BYTES], expected[32], actual[32];

        vector_bytes(vectors("secret-stream.json"), "delivered.sha256OfAllToResponder", expected, sizeof(expected));
        for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
                struct pair p;

                begin(&p);
                begin_with(&p.right, SECRET_RESPONDER, &p.keys, (uint8_t[HEADER_RANDOM]){ 0 }, header);
                check_equal(feed(&p.right, stream, len, pieces[i]), SECRET_MORE);
                check(secret_is_open(&p.right));
                check_equal(got.count, 4);
                check(got.lens[0] == 1 && got.lens[1] == 19 && got.lens[2] == 65536 && got.lens[3] == 1);
                crypto_hash_sha256(actual, got.bytes, got.bytes_len);
                check_bytes(actual, expected, sizeof(expected));
        }
}

TEST(frames_of_the_reference_open_at_the_initiator)
{
        size_t len = seal_vectors("responderToInitiator", SECRET_RESPONDER);
        struct pair p;

        begin(&p);
        check_equal(feed(&p.left, stream, len, 7), SECRET_MORE);
        check_equal(got.count, 2);
        check_bytes(got.bytes, "\x42hello secret stream", 20);
}

/* Any tag is data, re-keying included. */
TEST(tags_mean_nothing_but_rekeying)
{
        json_t *fixed = vector_at(vectors("secret-stream.json"), "secretstreamFixedHeader"), *item;
        struct keys keys = { .hash = { 9 } };
        struct secret left, right;
        uint8_t header[HEADER_RANDOM], ignored[SECRET_HEADER_BYTES], sealed[64];
        size_t len = SECRET_HEADER_BYTES, index;

        vector_bytes(fixed, "key", keys.tx, sizeof(keys.tx));
        vector_bytes(fixed, "header", header, sizeof(header));
        begin_with(&left, SECRET_INITIATOR, &keys, header, stream);
        begin_with(&right, SECRET_RESPONDER, &keys, header, ignored);
        json_array_foreach(vector_at(fixed, "messages"), index, item) {
                uint8_t plain[64], *frame = stream + len;
                size_t plain_len = vector_bytes(item, "plaintext", plain, sizeof(plain));
                size_t frame_len = vector_bytes(item, "ciphertext", frame + 3, 64);

                frame[0] = (uint8_t)frame_len;
                frame[1] = frame[2] = 0;
                len += 3 + frame_len;
                if (index >= 2)
                        continue;
                secret_seal(&left, sealed, plain, plain_len);
                check_bytes(sealed, frame, 3 + frame_len);
        }
        check_equal(feed(&right, stream, len, len), SECRET_MORE);
        check_equal(got.count, 5);
        check_bytes(got.bytes, "Bpushrekeynextfin", 17);
        check_equal(got.bytes_len, 1 + 4 + 5 + 4 + 3);
}

/* The streams of the malformed vectors, rebuilt as their generator made them: H the header, F1 and F2 the first two frames. */
static size_t malformed(const char *why)
{
        size_t header = SECRET_HEADER_BYTES, f1 = 20, f2 = 21;

        if (strcmp(why, "header length 55") == 0) {
                stream[0] = 55;
                return header - 1;
        }
        if (strcmp(why, "header with wrong id") == 0) {
                memset(stream + 3, 1, 32);
                return header;
        }
        if (strcmp(why, "header reflected (our own id)") == 0) {
                vector_bytes(vectors("secret-stream.json"), "responderToInitiator.0.bytes", stream, header);
                return header;
        }
        if (strcmp(why, "frame length 0") == 0) {
                memmove(stream + header + 3, stream + header, f1);
                memset(stream + header, 0, 3);
                return header + 3 + f1;
        }
        if (strcmp(why, "frame length 16") == 0) {
                memset(stream + header, 0, 19);
                stream[header] = 16;
                return header + 19;
        }
        if (strcmp(why, "frame with flipped bit") == 0) {
                stream[header + 19] ^= 1;
                return header + f1;
        }
        if (strcmp(why, "second frame before first") == 0) {
                memmove(stream + header, stream + header + f1, f2);
                return header + f2;
        }
        if (strcmp(why, "replayed first frame") == 0) {
                memcpy(stream + header + f1, stream + header, f1);
                return header + 2 * f1;
        }
        if (strcmp(why, "declared 16 MiB-1, then nothing") == 0) {
                memset(stream + header, 0xff, 3);
                return header + 3;
        }
        if (strcmp(why, "frame before header") == 0) {
                memmove(stream, stream + header, f1);
                return f1;
        }
        return header + f1 + f2;
}

TEST(what_ends_a_connection_of_the_reference_ends_ours)
{
        size_t index;
        json_t *item;

        json_array_foreach(vector_at(vectors("secret-stream.json"), "malformed"), index, item) {
                const char *why = vector_text(item, "why");
                size_t len = (seal_vectors("initiatorToResponder", SECRET_INITIATOR), malformed(why));
                bool oversize = strstr(why, "16 MiB") != NULL;  /* the reference waits for it, we don't */
                enum secret_verdict verdict;
                struct pair p;

                begin(&p);
                verdict = feed(&p.right, stream, len, strcmp(why, "one byte at a time") == 0 ? 1 : len);
                check_equal(verdict != SECRET_MORE, vector_true(item, "destroyed") || oversize);
                check_equal(got.count, strncmp(why, "good", 4) == 0 || strstr(why, "chunk") || strstr(why, "byte at"));
                if (oversize)
                        check_equal(verdict, SECRET_OVERSIZE);
        }
        check(index == 13);
}

static size_t seal(struct secret *secret, uint8_t *out, const char *text)
{
        secret_seal(secret, out, text, strlen(text));
        return strlen(text) + SECRET_SEAL_BYTES;
}

TEST(any_flipped_bit_of_the_header_frame_but_its_nonce_ends_it)
{
        for (size_t bit = 0; bit < 8 * SECRET_HEADER_BYTES; bit++) {
                struct pair p;
                size_t len;

                begin(&p);
                memcpy(stream, p.left_header, SECRET_HEADER_BYTES);
                len = SECRET_HEADER_BYTES + seal(&p.left, stream + SECRET_HEADER_BYTES, "hello");
                stream[bit / 8] ^= (uint8_t)(1u << bit % 8);
                /* the nonce is proved by the first message only */
                check_equal(feed(&p.right, stream, len, len), bit / 8 < 35 ? SECRET_BAD_HEADER : SECRET_FORGED);
                check_equal(got.count, 0);
        }
}

TEST(any_flipped_bit_of_a_frame_is_noticed)
{
        for (size_t bit = 0; bit < 8 * (5 + SECRET_SEAL_BYTES); bit++) {
                struct pair p;
                size_t len;
                enum secret_verdict verdict;

                begin(&p);
                memcpy(stream, p.left_header, SECRET_HEADER_BYTES);
                len = SECRET_HEADER_BYTES + seal(&p.left, stream + SECRET_HEADER_BYTES, "hello");
                stream[SECRET_HEADER_BYTES + bit / 8] ^= (uint8_t)(1u << bit % 8);
                verdict = feed(&p.right, stream, len, len);
                check(bit < 24 ? verdict != SECRET_MESSAGE : verdict == SECRET_FORGED);
                check_equal(got.count, 0);
        }
}

TEST(a_verdict_is_for_good)
{
        struct pair p;
        size_t len, taken;
        const uint8_t *plain = NULL;
        size_t plain_len = 77;

        begin(&p);
        memcpy(stream, p.left_header, SECRET_HEADER_BYTES);
        check_equal(feed(&p.right, stream, SECRET_HEADER_BYTES, SECRET_HEADER_BYTES), SECRET_MORE);
        len = seal(&p.left, stream, "hello");
        stream[len - 1] ^= 1;
        check_equal(secret_open(&p.right, stream, len, &taken, &plain, &plain_len), SECRET_FORGED);
        stream[len - 1] ^= 1;
        check_equal(secret_open(&p.right, stream, len, &taken, &plain, &plain_len), SECRET_FORGED);
        check(taken == 0 && plain == NULL && plain_len == 77);
}

TEST(lengths_are_judged_before_the_rest_is_here)
{
        static const struct {
                uint8_t length[3];
                enum secret_verdict verdict;
        } cases[] = {
                { { 16, 0, 0 }, SECRET_SHORT },
                { { 17, 0, 0 }, SECRET_MORE },
                { { 0x11, 0x00, 0x10 }, SECRET_MORE },          /* 1 MiB of message */
                { { 0x12, 0x00, 0x10 }, SECRET_OVERSIZE },
        };

        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                struct pair p;

                begin(&p);
                check_equal(feed(&p.right, p.left_header, 2, 2), SECRET_MORE);
                memcpy(stream, p.left_header, SECRET_HEADER_BYTES);
                memcpy(stream + SECRET_HEADER_BYTES, cases[i].length, 3);
                check_equal(feed(&p.right, stream, SECRET_HEADER_BYTES + 3, SECRET_HEADER_BYTES + 3), cases[i].verdict);
        }
}

TEST(length_of_a_frame_is_known_from_its_head)
{
        struct pair p;

        begin(&p);
        secret_seal(&p.left, stream, "hello", 5);
        check_equal(secret_frame_bytes(stream, 2), 0);
        check_equal(secret_frame_bytes(stream, 3), 5 + SECRET_SEAL_BYTES);
        check_equal(secret_frame_bytes(stream, 5 + SECRET_SEAL_BYTES), 5 + SECRET_SEAL_BYTES);
}

TEST(the_longest_message_taken_can_be_set)
{
        static const uint8_t plain[101];
        uint8_t ignored[SECRET_HEADER_BYTES];
        struct pair p;
        uint64_t state = 1;
        struct random random = { test_random_fill, &state };
        struct secret_config config;
        size_t len = SECRET_HEADER_BYTES;

        begin(&p);
        config = (struct secret_config){ SECRET_RESPONDER, p.keys.rx, p.keys.tx, p.keys.hash, 100 };
        secret_init(&p.right, &config, &random, ignored);
        memcpy(stream, p.left_header, SECRET_HEADER_BYTES);
        secret_seal(&p.left, stream + len, plain, 100);
        len += 100 + SECRET_SEAL_BYTES;
        secret_seal(&p.left, stream + len, plain, 101);
        check_equal(feed(&p.right, stream, len + 3, len + 3), SECRET_OVERSIZE);
        check(got.count == 1 && got.lens[0] == 100);
}

TEST(keep_alives_are_swallowed)
{
        struct pair p;
        size_t len = SECRET_HEADER_BYTES, taken, plain_len = 0;
        const uint8_t *plain;

        begin(&p);
        memcpy(stream, p.left_header, SECRET_HEADER_BYTES);
        for (int i = 0; i < 1000; i++)
                len += seal(&p.left, stream + len, "");
        check_equal(secret_open(&p.right, stream, len, &taken, &plain, &plain_len), SECRET_MORE);
        check_equal(taken, len);
        len = seal(&p.left, stream, "");
        len += seal(&p.left, stream + len, "x");
        check_equal(secret_open(&p.right, stream, len, &taken, &plain, &plain_len), SECRET_MESSAGE);
        check(taken == len && plain_len == 1 && plain[0] == 'x');
}

TEST(messages_of_all_sizes_cross_both_ways_in_place)
{
        static uint8_t plain[70000], frame[70000 + SECRET_SEAL_BYTES];
        static const size_t sizes[] = { 1, 15, 16, 63, 64, 65, 1000, 61450, 65536, 70000 };
        struct pair p;
        const uint8_t *opened;
        size_t taken, opened_len;

        begin(&p);
        check_equal(feed(&p.right, p.left_header, SECRET_HEADER_BYTES, 59), SECRET_MORE);
        check_equal(feed(&p.left, p.right_header, SECRET_HEADER_BYTES, 59), SECRET_MORE);
        for (size_t i = 0; i < 2 * ARRAY_LEN(sizes); i++) {
                struct secret *from = i & 1 ? &p.left : &p.right, *to = i & 1 ? &p.right : &p.left;
                size_t len = sizes[i / 2];

                pattern(plain, len, (unsigned)i);
                memcpy(frame + SECRET_SEAL_HEAD_BYTES, plain, len);
                secret_seal(from, frame, frame + SECRET_SEAL_HEAD_BYTES, len);
                check_equal(secret_open(to, frame, len + SECRET_SEAL_BYTES, &taken, &opened, &opened_len), SECRET_MESSAGE);
                check(taken == len + SECRET_SEAL_BYTES && opened == frame + SECRET_SEAL_HEAD_BYTES && opened_len == len);
                check_bytes(opened, plain, len);
        }
}

TEST(a_message_may_wait_while_the_next_ones_are_opened)
{
        struct pair p;
        const uint8_t *first, *second;
        size_t len = SECRET_HEADER_BYTES, taken, first_len, second_len;

        begin(&p);
        memcpy(stream, p.left_header, SECRET_HEADER_BYTES);
        len += seal(&p.left, stream + len, "first");
        len += seal(&p.left, stream + len, "second");
        check_equal(secret_open(&p.right, stream, len, &taken, &first, &first_len), SECRET_MESSAGE);
        check_equal(secret_open(&p.right, stream + taken, len - taken, &taken, &second, &second_len), SECRET_MESSAGE);
        check(first_len == 5 && second_len == 6);
        check_bytes(first, "first", 5);
        check_bytes(second, "second", 6);
}

TEST(a_header_of_another_connection_is_refused)
{
        struct pair p;
        struct secret other;
        uint8_t header[SECRET_HEADER_BYTES];

        begin(&p);
        p.keys.hash[63] ^= 1;
        begin_with(&other, SECRET_INITIATOR, &p.keys, (uint8_t[HEADER_RANDOM]){ 0 }, header);
        check_equal(feed(&p.right, header, sizeof(header), sizeof(header)), SECRET_BAD_HEADER);
        check(!secret_is_open(&p.right));
}

TEST(nothing_of_the_keys_stays_behind)
{
        struct pair p;

        begin(&p);
        check_equal(feed(&p.right, p.left_header, SECRET_HEADER_BYTES, 59), SECRET_MORE);
        check(sodium_is_zero(p.right.rx, sizeof(p.right.rx)));
        secret_fini(&p.right);
        check(sodium_is_zero((const uint8_t *)&p.right, sizeof(p.right)));
}
