/* SPDX-License-Identifier: BSD-3-Clause */
/* What clients bring to be let in: a whole request, whose body is read; and what is in a token that was made with the secret, to which no
 * mutation would come otherwise. Nobody is let in but whom a token was made for, and a token is good once. */
#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin_unlimited.h"
#include "cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const uint8_t caller[16] = { [10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 7 };
static unsigned allowed;

static void allow(void *context, uint64_t number, const uint8_t ip[16])
{
        assert(memcmp(ip, caller, sizeof(caller)) == 0);
        allowed++;
}

static void say(void *context, const char *text)
{
        assert(*text);
}

static unsigned ask(struct admin_unlimited *unlimited, const char *text, size_t len, uint64_t now_ms)
{
        struct admin_asked asked = { .now.wall_us = now_ms * 1000 };
        struct admin_request request;
        struct admin_answer answer;

        if (admin_request_read(text, len, &request) == ADMIN_REQUEST_GOOD && request.body_len <= len - request.head_len) {
                asked.request = &request;
                asked.body = (struct admin_text){ text + request.head_len, request.body_len };
        }
        memcpy(asked.ip, caller, sizeof(asked.ip));
        answer = admin_unlimited_answer(unlimited, &asked);
        assert(!answer.status || answer.body);
        free(answer.body);
        return answer.status;
}

/* "Salted__", a salt and @plain, by OpenSSL's own hand; behind the request line, in base64 as that writes it. */
static size_t seal(const uint8_t *plain, size_t len, char out[2048])
{
        static const uint8_t salt[8] = "saltsalt";
        uint8_t key[48], blob[1024] = "Salted__";
        EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
        char encoded[1400], head[64];
        int some = 0, rest = 0, encoded_len;

        memcpy(blob + 8, salt, sizeof(salt));
        assert(PKCS5_PBKDF2_HMAC("secret", 6, salt, sizeof(salt), 10000, EVP_sha256(), sizeof(key), key) == 1);
        assert(EVP_EncryptInit_ex(context, EVP_aes_256_cbc(), NULL, key, key + 32) == 1);
        assert(EVP_EncryptUpdate(context, blob + 16, &some, plain, (int)len) == 1 && EVP_EncryptFinal_ex(context, blob + 16 + some, &rest) == 1);
        EVP_CIPHER_CTX_free(context);
        encoded_len = EVP_EncodeBlock((uint8_t *)encoded, blob, 16 + some + rest);
        snprintf(head, sizeof(head), "POST /unlimited HTTP/1.1\r\nContent-Length: %d\r\n\r\n", encoded_len);
        return (size_t)snprintf(out, 2048, "%s%s", head, encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        static struct admin_unlimited unlimited;
        struct admin_tokens *tokens = unlimited.tokens ? unlimited.tokens : admin_tokens_new();
        char text[2048];
        size_t text_len;

        if (len == 0)
                return 0;
        admin_tokens_learn(tokens, "secret", 6);
        unlimited = (struct admin_unlimited){ .tokens = tokens, .allow = allow, .say = say };
        if (data[0] & 1) {
                ask(&unlimited, (const char *)data + 1, len - 1, 1700000000000);
                return 0;
        }
        text_len = seal(data + 1, MIN(len - 1, (size_t)600), text);
        allowed = 0;
        if (ask(&unlimited, text, text_len, 1700000000000) == 0) {
                assert(allowed == 1);
                assert(ask(&unlimited, text, text_len, 1700000000000) == 409);
        }
        assert(allowed <= 1);
        return 0;
}
