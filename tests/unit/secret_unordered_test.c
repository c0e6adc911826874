/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "secret.h"
#include "test.h"
#include "vectors.h"

enum { PLAIN_MAX = 1200, SEALED_MAX = PLAIN_MAX + SECRET_UNORDERED_BYTES };

/* Two ends whose counters start at @counter each. */
struct pair {
        struct secret left, right;
};

static void fill_with_counter(void *context, void *out, size_t len)
{
        memset(out, 0, len);
        if (len == sizeof(uint64_t))
                memcpy(out, context, len);
}

static void begin(struct pair *p, uint64_t counter)
{
        json_t *handshake = vector_at(vectors("secret-stream.json"), "handshake");
        uint8_t tx[32], rx[32], hash[64], ignored[SECRET_HEADER_BYTES];
        struct random random = { fill_with_counter, &counter };

        vector_bytes(handshake, "initiatorTx", tx, sizeof(tx));
        vector_bytes(handshake, "initiatorRx", rx, sizeof(rx));
        vector_bytes(handshake, "handshakeHash", hash, sizeof(hash));
        secret_init(&p->left, &(struct secret_config){ SECRET_INITIATOR, tx, rx, hash, 0 }, &random, ignored);
        secret_init(&p->right, &(struct secret_config){ SECRET_RESPONDER, rx, tx, hash, 0 }, &random, ignored);
}

static size_t plain_of(json_t *message, uint8_t *out)
{
        const char *text = vector_text(message, "plaintext");
        unsigned len, seed;

        if (sscanf(text, "pattern(%u,%u)", &len, &seed) != 2)
                return test_unhex(text, out, PLAIN_MAX);
        for (size_t i = 0; i < len; i++)
                out[i] = (uint8_t)(seed + 7 * i + i / 256);
        return len;
}

static void check_direction(const char *messages, const char *counter, bool from_left)
{
        json_t *unordered = vector_at(vectors("secret-stream.json"), "unordered"), *item;
        uint64_t start;
        struct pair p;
        size_t index;

        vector_bytes(unordered, counter, &start, sizeof(start));
        begin(&p, start);
        json_array_foreach(vector_at(unordered, messages), index, item) {
                uint8_t plain[PLAIN_MAX], expected[SEALED_MAX], sealed[SEALED_MAX], opened[PLAIN_MAX];
                size_t len = plain_of(item, plain), sealed_len = vector_bytes(item, "bytes", expected, sizeof(expected));

                secret_seal_unordered(from_left ? &p.left : &p.right, sealed, plain, len);
                check_equal(sealed_len, len + SECRET_UNORDERED_BYTES);
                check_bytes(sealed, expected, sealed_len);
                check_equal(secret_open_unordered(from_left ? &p.right : &p.left, opened, sealed, sealed_len), SECRET_MESSAGE);
                check_bytes(opened, plain, len);
        }
        check(index > 0);
}

TEST(unordered_messages_are_the_reference_s)
{
        check_direction("fromInitiator", "initiatorInitialCounter", true);
        check_direction("fromResponder", "responderInitialCounter", false);
}

TEST(changed_cut_and_reflected_ones_are_dropped_and_change_nothing)
{
        uint8_t sealed[5 + SECRET_UNORDERED_BYTES], opened[5] = { 0 };
        struct pair p;

        begin(&p, 41);
        secret_seal_unordered(&p.left, sealed, "hello", 5);
        for (size_t bit = 0; bit < 8 * sizeof(sealed); bit++) {
                sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
                check_equal(secret_open_unordered(&p.right, opened, sealed, sizeof(sealed)), SECRET_FORGED);
                sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (size_t len = 0; len < sizeof(sealed); len++)
                check_equal(secret_open_unordered(&p.right, opened, sealed, len),
                            len < SECRET_UNORDERED_BYTES ? SECRET_SHORT : SECRET_FORGED);
        check_equal(secret_open_unordered(&p.left, opened, sealed, sizeof(sealed)), SECRET_FORGED);
        check_equal(secret_open_unordered(&p.right, opened, sealed, sizeof(sealed)), SECRET_MESSAGE);
        check_bytes(opened, "hello", 5);
}

TEST(an_empty_one_opens_where_it_lies)
{
        uint8_t sealed[SECRET_UNORDERED_BYTES];
        struct pair p;

        begin(&p, 0);
        secret_seal_unordered(&p.left, sealed, NULL, 0);
        check_equal(secret_open_unordered(&p.right, sealed, sealed, sizeof(sealed)), SECRET_MESSAGE);
}

/* An empty message with exactly @counter, opened by @p's right end. */
static enum secret_verdict deliver(struct pair *p, uint64_t counter)
{
        uint8_t sealed[SECRET_UNORDERED_BYTES], opened[1];

        p->left.unordered.counter = counter - 1;
        secret_seal_unordered(&p->left, sealed, NULL, 0);
        return secret_open_unordered(&p->right, opened, sealed, sizeof(sealed));
}

TEST(each_is_delivered_once_in_whatever_order)
{
        static const uint64_t starts[] = { 0, 1, 1000, UINT64_MAX, UINT64_MAX - 700, UINT64_C(1) << 63, (UINT64_C(1) << 63) - 500 };

        for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
                struct pair p;

                begin(&p, 0);
                check_equal(deliver(&p, starts[i]), SECRET_MESSAGE);
                for (uint64_t k = 959; k > 0; k--)
                        check_equal(deliver(&p, starts[i] + k), SECRET_MESSAGE);
                for (uint64_t k = 0; k <= 959; k++)
                        check_equal(deliver(&p, starts[i] + k), SECRET_REPLAYED);
                check_equal(deliver(&p, starts[i] + 960), SECRET_MESSAGE);
        }
}

TEST(too_old_to_tell_is_dropped)
{
        struct pair p;

        begin(&p, 0);
        check_equal(deliver(&p, 5000), SECRET_MESSAGE);
        check_equal(deliver(&p, 5000 - 959), SECRET_MESSAGE);
        check_equal(deliver(&p, 5000 - 960), SECRET_REPLAYED);
        check_equal(deliver(&p, UINT64_C(1) << 62), SECRET_MESSAGE);
        check_equal(deliver(&p, 5001), SECRET_REPLAYED);
        check_equal(deliver(&p, 5000), SECRET_REPLAYED);
}

/* Random walks against a model that remembers everything. */
TEST(the_window_agrees_with_a_full_memory)
{
        enum { SPAN = 20000, STEPS = 20000 };
        static bool seen[SPAN];

        for (uint64_t seed = 1; seed <= 4; seed++) {
                const uint64_t base = seed == 1 ? UINT64_MAX - 3000 : seed * UINT64_C(0x123456789abcdef);
                uint64_t state = seed, newest = 2000;
                struct random random = { test_random_fill, &state };
                struct pair p;

                memset(seen, 0, sizeof(seen));
                begin(&p, 0);
                check_equal(deliver(&p, base + newest), SECRET_MESSAGE);
                seen[newest] = true;
                for (int i = 0; i < STEPS; i++) {
                        uint64_t back = random_below(&random, 1300), at = newest + random_below(&random, i % 100 ? 3 : 200);
                        bool fresh;

                        at = i & 1 ? at : at - back;
                        if (at >= SPAN)
                                break;
                        fresh = !seen[at] && (at >= newest || newest - at < 960);
                        check_equal(deliver(&p, base + at), fresh ? SECRET_MESSAGE : SECRET_REPLAYED);
                        if (fresh)
                                seen[at] = true;
                        newest = MAX(newest, at);
                }
        }
}
