/* SPDX-License-Identifier: BSD-3-Clause */
#include "admin_tokens.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <math.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "ipc_admin.h"

enum {
        MAGIC_BYTES = 8, SALT_BYTES = 8, HEAD_BYTES = MAGIC_BYTES + SALT_BYTES,
        KEY_BYTES = 32, IV_BYTES = 16, BLOCK_BYTES = 16,
        ROUNDS = 10000,
        BLOB_MAX = ADMIN_TOKEN_TEXT_MAX / 4 * 3,
        IP_MAX = 64,
};

static const char magic[] = "Salted__";

struct admin_tokens {
        OSSL_LIB_CTX *library;          /* of our own: no configuration file is read */
        EVP_KDF_CTX *pbkdf2;
        EVP_CIPHER *cipher;
        EVP_CIPHER_CTX *context;
        EVP_MD *sha256;
        char secret[IPC_BASIC_AUTH_MAX];
        size_t secret_len;
};

/* Each is fetched and used once, so that nothing is looked for later. */
static bool make(struct admin_tokens *tokens)
{
        EVP_KDF *kdf;

        tokens->library = OSSL_LIB_CTX_new();
        if (!tokens->library)
                return false;
        kdf = EVP_KDF_fetch(tokens->library, OSSL_KDF_NAME_PBKDF2, NULL);
        tokens->pbkdf2 = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
        EVP_KDF_free(kdf);
        tokens->cipher = EVP_CIPHER_fetch(tokens->library, "AES-256-CBC", NULL);
        tokens->sha256 = EVP_MD_fetch(tokens->library, "SHA256", NULL);
        tokens->context = EVP_CIPHER_CTX_new();
        return tokens->pbkdf2 && tokens->cipher && tokens->context && tokens->sha256;
}

static bool derive(const struct admin_tokens *tokens, const uint8_t salt[SALT_BYTES], uint8_t out[KEY_BYTES + IV_BYTES])
{
        unsigned rounds = ROUNDS;
        char digest[] = "SHA256";
        OSSL_PARAM params[] = {
                OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
                OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD, (void *)(uintptr_t)tokens->secret, tokens->secret_len),
                OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt, SALT_BYTES),
                OSSL_PARAM_construct_uint(OSSL_KDF_PARAM_ITER, &rounds),
                OSSL_PARAM_construct_end(),
        };

        return EVP_KDF_derive(tokens->pbkdf2, out, KEY_BYTES + IV_BYTES, params) == 1;
}

struct admin_tokens *admin_tokens_new(void)
{
        struct admin_tokens *tokens = calloc(1, sizeof(*tokens));
        uint8_t first[KEY_BYTES + IV_BYTES];

        if (tokens && (!make(tokens) || !derive(tokens, (const uint8_t[SALT_BYTES]){ 0 }, first))) {
                admin_tokens_free(tokens);
                return NULL;
        }
        return tokens;
}

void admin_tokens_free(struct admin_tokens *tokens)
{
        if (!tokens)
                return;
        EVP_KDF_CTX_free(tokens->pbkdf2);
        EVP_CIPHER_CTX_free(tokens->context);
        EVP_CIPHER_free(tokens->cipher);
        EVP_MD_free(tokens->sha256);
        OSSL_LIB_CTX_free(tokens->library);
        explicit_bzero(tokens->secret, sizeof(tokens->secret));
        free(tokens);
}

void admin_tokens_learn(struct admin_tokens *tokens, const char *secret, size_t len)
{
        explicit_bzero(tokens->secret, sizeof(tokens->secret));
        tokens->secret_len = MIN(len, sizeof(tokens->secret));
        memcpy(tokens->secret, secret, tokens->secret_len);
}

static int value_of(char c)
{
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

/* Either alphabet of RFC 4648, padded or not. 0: it is not base64, or nothing. */
static size_t read_base64(const char *text, size_t len, uint8_t out[BLOB_MAX])
{
        uint32_t bits = 0;
        unsigned count = 0;
        size_t made = 0;

        while (len > 0 && text[len - 1] == '=')
                len--;
        if (len > ADMIN_TOKEN_TEXT_MAX || len % 4 == 1)
                return 0;
        for (size_t i = 0; i < len; i++) {
                int value = value_of(text[i]);

                if (value < 0)
                        return 0;
                bits = bits << 6 | (uint32_t)value;
                count += 6;
                if (count >= 8) {
                        count -= 8;
                        out[made++] = (uint8_t)(bits >> count);
                }
        }
        return made;
}

/* PKCS #7, read without a branch: 1 where the last block is padded well, *@len_out without it. */
static unsigned unpad(const uint8_t *plain, size_t len, size_t *len_out)
{
        unsigned pad = plain[len - 1], wrong = (pad == 0) | (pad > BLOCK_BYTES);

        for (unsigned i = 0; i < BLOCK_BYTES; i++)
                wrong |= (i < pad) & (plain[len - 1 - i] != pad);
        *len_out = wrong ? len : len - pad;
        return !wrong;
}

static bool read_ip(const char *text, uint8_t out[16])
{
        size_t len = strcspn(text, "%");
        char ip[IP_MAX];

        if (len >= sizeof(ip))
                return false;
        memcpy(ip, text, len);
        ip[len] = '\0';
        memset(out, 0, 10);
        memset(out + 10, 0xff, 2);
        return inet_pton(AF_INET, ip, out + 12) == 1 || inet_pton(AF_INET6, ip, out) == 1;
}

/* A number, or its digits as text: JavaScript makes no difference. */
static bool read_ms(const json_t *value, uint64_t *out)
{
        const char *text = json_string_value(value);
        char *end = NULL;
        double ms = text && *text ? strtod(text, &end) : json_number_value(value);

        if ((!json_is_number(value) && (!end || *end)) || !isfinite(ms) || ms < 0 || ms > 9e15)
                return false;
        *out = (uint64_t)ms;
        return true;
}

static bool read_plain(const uint8_t *plain, size_t len, struct admin_token *out)
{
        json_t *said = json_loadb((const char *)plain, len, 0, NULL), *made = json_object_get(said, "timestamp");
        const char *ip = json_string_value(json_object_get(said, "ip"));
        bool good = ip && read_ip(ip, out->ip) && read_ms(made ? made : json_object_get(said, "ts"), &out->made_ms);

        json_decref(said);
        return good;
}

/* Of what is encrypted, not of how that is written. */
static bool name_it(const struct admin_tokens *tokens, const uint8_t *blob, size_t len, uint8_t out[ADMIN_TOKEN_NAME_BYTES])
{
        return EVP_Digest(blob, len, out, NULL, tokens->sha256, NULL) == 1;
}

bool admin_tokens_open(const struct admin_tokens *tokens, const char *text, size_t len, struct admin_token *out)
{
        uint8_t blob[BLOB_MAX], plain[BLOB_MAX + BLOCK_BYTES], key[KEY_BYTES + IV_BYTES];
        size_t blob_len = read_base64(text, len, blob), sealed = blob_len > HEAD_BYTES ? blob_len - HEAD_BYTES : 0, plain_len = 0;
        bool good, padded = false;
        int done = 0;

        if (sealed == 0 || sealed % BLOCK_BYTES || memcmp(blob, magic, MAGIC_BYTES) != 0)
                return false;
        good = derive(tokens, blob + MAGIC_BYTES, key) &&
               EVP_DecryptInit_ex2(tokens->context, tokens->cipher, key, key + KEY_BYTES, NULL) == 1 &&
               EVP_CIPHER_CTX_set_padding(tokens->context, 0) == 1 &&
               EVP_DecryptUpdate(tokens->context, plain, &done, blob + HEAD_BYTES, (int)sealed) == 1 && (size_t)done == sealed;
        if (good) {
                padded = unpad(plain, sealed, &plain_len);
                good = read_plain(plain, plain_len, out) && padded && name_it(tokens, blob, blob_len, out->name);
        }
        explicit_bzero(key, sizeof(key));
        explicit_bzero(plain, sizeof(plain));
        return good;
}
