/* SPDX-License-Identifier: BSD-3-Clause */
/* Elliptic curves cost more than all else that some targets do. Here are libsodium's functions once more, for programs that link this
 * file: what one said is kept, and with the same arguments it says the same. The first time libsodium does the work. */
#include <dlfcn.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT = 1 << 14, KEY_BYTES = 16, RESULT_BYTES = 96 };

enum which { MULTIPLY = 1, SIGN, VERIFY, KEYPAIR };

struct kept {
        uint8_t key[KEY_BYTES], result[RESULT_BYTES];
        int r;
};

struct part {
        const void *bytes;
        size_t len;
};

/* The place of an answer to @which of these arguments; *there_out: it is known. */
static struct kept *look_up(enum which which, const struct part *parts, size_t count, bool *there_out)
{
        static struct kept kept[KEPT];
        crypto_generichash_state hash;
        uint8_t key[KEY_BYTES] = { 0 }, first = (uint8_t)which;
        struct kept *place;

        crypto_generichash_init(&hash, NULL, 0, KEY_BYTES);
        crypto_generichash_update(&hash, &first, 1);
        for (size_t i = 0; i < count; i++)
                crypto_generichash_update(&hash, parts[i].bytes, parts[i].len);
        crypto_generichash_final(&hash, key, KEY_BYTES);
        place = &kept[(key[0] | (size_t)key[1] << 8) % KEPT];
        *there_out = memcmp(place->key, key, KEY_BYTES) == 0;
        memcpy(place->key, key, KEY_BYTES);
        return place;
}

static void *real(const char *name)
{
        void *function = dlsym(RTLD_NEXT, name);

        if (!function)
                abort();
        return function;
}

int crypto_scalarmult_ed25519_noclamp(unsigned char *q, const unsigned char *n, const unsigned char *p)
{
        static int (*multiply)(unsigned char *, const unsigned char *, const unsigned char *);
        const struct part parts[] = { { n, 32 }, { p, 32 } };
        bool there;
        struct kept *kept = look_up(MULTIPLY, parts, 2, &there);

        if (!multiply)
                multiply = (int (*)(unsigned char *, const unsigned char *, const unsigned char *))real(__func__);
        if (!there)
                kept->r = multiply(kept->result, n, p);
        memcpy(q, kept->result, 32);
        return kept->r;
}

int crypto_sign_detached(unsigned char *sig, unsigned long long *sig_len, const unsigned char *m, unsigned long long len,
                         const unsigned char *sk)
{
        static int (*sign)(unsigned char *, unsigned long long *, const unsigned char *, unsigned long long, const unsigned char *);
        const struct part parts[] = { { sk, crypto_sign_SECRETKEYBYTES }, { m, len } };
        bool there;
        struct kept *kept = look_up(SIGN, parts, 2, &there);

        if (!sign)
                sign = (int (*)(unsigned char *, unsigned long long *, const unsigned char *, unsigned long long, const unsigned char *))
                        real(__func__);
        if (!there)
                kept->r = sign(kept->result, NULL, m, len, sk);
        memcpy(sig, kept->result, crypto_sign_BYTES);
        if (sig_len)
                *sig_len = crypto_sign_BYTES;
        return kept->r;
}

int crypto_sign_verify_detached(const unsigned char *sig, const unsigned char *m, unsigned long long len, const unsigned char *pk)
{
        static int (*verify)(const unsigned char *, const unsigned char *, unsigned long long, const unsigned char *);
        const struct part parts[] = { { sig, crypto_sign_BYTES }, { pk, crypto_sign_PUBLICKEYBYTES }, { m, len } };
        bool there;
        struct kept *kept = look_up(VERIFY, parts, 3, &there);

        if (!verify)
                verify = (int (*)(const unsigned char *, const unsigned char *, unsigned long long, const unsigned char *))real(__func__);
        if (!there)
                kept->r = verify(sig, m, len, pk);
        return kept->r;
}

/* Not the general name: libsodium's function of that name calls the other, which is ours. */
static int keypair(unsigned char *pk, unsigned char *sk, const unsigned char *seed)
{
        static int (*make)(unsigned char *, unsigned char *, const unsigned char *);
        const struct part parts[] = { { seed, crypto_sign_SEEDBYTES } };
        bool there;
        struct kept *kept = look_up(KEYPAIR, parts, 1, &there);

        if (!make)
                make = (int (*)(unsigned char *, unsigned char *, const unsigned char *))real("crypto_sign_ed25519_seed_keypair");
        if (!there)
                kept->r = make(kept->result, kept->result + 32, seed);
        memcpy(pk, kept->result, 32);
        memcpy(sk, kept->result + 32, crypto_sign_SECRETKEYBYTES);
        return kept->r;
}

int crypto_sign_seed_keypair(unsigned char *pk, unsigned char *sk, const unsigned char *seed)
{
        return keypair(pk, sk, seed);
}

int crypto_sign_ed25519_seed_keypair(unsigned char *pk, unsigned char *sk, const unsigned char *seed)
{
        return keypair(pk, sk, seed);
}
