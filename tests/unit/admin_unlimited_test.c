/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin_unlimited.h"
#include "cleanup.h"
#include "test.h"
#include "vectors.h"

#define MADE_MS 1700000000000ULL

static const uint8_t caller[16] = { [10] = 0xff, [11] = 0xff, 203, 0, 113, 10 };
static unsigned allowed;
static char said[512];

static void allow(void *context, uint64_t number, const uint8_t ip[16])
{
        check(memcmp(ip, caller, sizeof(caller)) == 0);
        allowed++;
}

static void say(void *context, const char *text)
{
        snprintf(said, sizeof(said), "%s", text);
}

static json_t *vector(void)
{
        return vector_at(vectors("hypergate.json"), "unlimited_token");
}

static struct admin_tokens *tokens_of(const char *secret)
{
        struct admin_tokens *tokens = admin_tokens_new();

        check(tokens != NULL);
        admin_tokens_learn(tokens, secret, strlen(secret));
        return tokens;
}

static bool opens(const struct admin_tokens *tokens, const char *text, struct admin_token *out)
{
        return admin_tokens_open(tokens, text, strlen(text), out);
}

TEST(a_token_of_the_original_says_when_it_was_made_and_for_whom)
{
        struct admin_tokens *tokens = tokens_of(vector_text(vector(), "secret")), *others = tokens_of("another secret");
        const char *text = vector_text(vector(), "token_base64url");
        struct admin_token token;

        check(opens(tokens, text, &token));
        check_equal(token.made_ms, MADE_MS);
        check(memcmp(token.ip, caller, sizeof(caller)) == 0);
        check(!opens(others, text, &token));
        admin_tokens_free(others);
        admin_tokens_free(tokens);
}

TEST(however_it_is_written_it_is_the_same_token)
{
        struct admin_tokens *tokens = tokens_of(vector_text(vector(), "secret"));
        const char *text = vector_text(vector(), "token_base64url");
        char other[256], padded[260];
        struct admin_token token, again;

        check(opens(tokens, text, &token));
        snprintf(other, sizeof(other), "%s", text);
        for (char *c = other; *c; c++)
                *c = *c == '-' ? '+' : *c == '_' ? '/' : *c;
        check(strcmp(other, text) != 0 && opens(tokens, other, &again));
        check(memcmp(token.name, again.name, sizeof(token.name)) == 0);
        snprintf(padded, sizeof(padded), "%s==", other);
        check(opens(tokens, padded, &again));
        check(memcmp(token.name, again.name, sizeof(token.name)) == 0);
        admin_tokens_free(tokens);
}

TEST(a_token_with_another_bit_or_less_of_it_is_none)
{
        struct admin_tokens *tokens = tokens_of(vector_text(vector(), "secret"));
        const char *text = vector_text(vector(), "token_base64url");
        size_t len = strlen(text);
        struct admin_token token;
        char changed[256];

        for (size_t i = 0; i < len; i += 5) {
                snprintf(changed, sizeof(changed), "%s", text);
                changed[i] = changed[i] == 'A' ? 'B' : 'A';
                check(!opens(tokens, changed, &token));
                check(!admin_tokens_open(tokens, text, i, &token));
        }
        check(!opens(tokens, "", &token) && !opens(tokens, "U2FsdGVkX18=", &token) && !opens(tokens, "not base64!", &token));
        admin_tokens_free(tokens);
}

static struct admin_answer ask_as(struct admin_unlimited *unlimited, const char *head, const char *body, const uint8_t ip[16],
                                  uint64_t now_ms, usec_t mono_us)
{
        static char text[4096];
        struct admin_request request;
        struct admin_asked asked = { .request = &request, .now = { .mono_us = mono_us, .wall_us = now_ms * 1000 } };

        check(body != NULL);
        snprintf(text, sizeof(text), "%s HTTP/1.1\r\nContent-Length: %zu\r\n\r\n%s", head, strlen(body), body ? body : "");
        check_equal(admin_request_read(text, strlen(text), &request), ADMIN_REQUEST_GOOD);
        check_equal(request.body_len, strlen(body));
        asked.body = (struct admin_text){ text + request.head_len, request.body_len };
        memcpy(asked.ip, ip, sizeof(asked.ip));
        return admin_unlimited_answer(unlimited, &asked);
}

static void check_answer(struct admin_answer answer, unsigned status, const char *body)
{
        if (answer.status != status || (body && (!answer.body || strcmp(answer.body, body) != 0)))
                test_fail(__FILE__, __LINE__, "%u %s, not %u %s", answer.status, answer.body ? answer.body : "", status, body ? body : "");
        free(answer.body);
}

static struct admin_unlimited *unlimited_new(void)
{
        struct admin_unlimited *unlimited = calloc(1, sizeof(*unlimited));

        unlimited->tokens = tokens_of(vector_text(vector(), "secret"));
        unlimited->allow = allow;
        unlimited->say = say;
        allowed = 0;
        return unlimited;
}

static void unlimited_free(struct admin_unlimited *unlimited)
{
        admin_tokens_free(unlimited->tokens);
        free(unlimited);
}

TEST(a_good_token_lets_its_address_in_once_in_each_way_that_it_may_come)
{
        const char *text = vector_text(vector(), "token_base64url");
        char head[512], json[512], form[512];

        snprintf(head, sizeof(head), "GET /unlimited?payload=%s", text);
        snprintf(json, sizeof(json), "{\"payload\": \"%s\"}", text);
        snprintf(form, sizeof(form), "x=1&payload=%s", text);
        for (unsigned way = 0; way < 4; way++) {
                struct admin_unlimited *unlimited = unlimited_new();
                const char *body = way == 0 ? "" : way == 1 ? json : way == 2 ? form : text;

                check_answer(ask_as(unlimited, way ? "POST /unlimited" : head, body, caller, MADE_MS, 0), 0, NULL);
                check_equal(allowed, 1);
                check_answer(ask_as(unlimited, head, "", caller, MADE_MS + 599999 - 300000, 0), 409, "{\"error\":\"replay_detected\"}");
                check_equal(allowed, 1);
                unlimited_free(unlimited);
        }
        check_answer(admin_unlimited_allowed(caller, 5), 200, "{\"ok\":true,\"ip\":\"203.0.113.10\",\"expireAt\":5}");
        check_answer(admin_unlimited_allowed(caller, 0), 503, "{\"error\":\"too_many_allowed\"}");
}

TEST(weakness_14_9_all_that_are_no_good_are_answered_alike)
{
        static const uint8_t other[16] = { [10] = 0xff, [11] = 0xff, 203, 0, 113, 11 };
        static const char no[] = "{\"error\":\"invalid_token\"}";
        struct admin_unlimited *unlimited = unlimited_new();
        const char *text = vector_text(vector(), "token_base64url");
        char head[512];

        snprintf(head, sizeof(head), "GET /unlimited?payload=%s", text);
        check_answer(ask_as(unlimited, head, "", other, MADE_MS, 0), 403, no);
        check(strcmp(said, "unlimited: a token for 203.0.113.10 that came from 203.0.113.11 is refused: it is for another address") == 0);
        check_answer(ask_as(unlimited, head, "", caller, MADE_MS + 300001, 0), 403, no);
        check_answer(ask_as(unlimited, head, "", caller, MADE_MS - 300001, 0), 403, no);
        head[strlen(head) - 1] ^= 4;
        check_answer(ask_as(unlimited, head, "", caller, MADE_MS, 0), 403, no);
        check_answer(ask_as(unlimited, "GET /unlimited?payload=x", "", caller, MADE_MS, 0), 403, no);
        check_answer(ask_as(unlimited, "GET /unlimited", "", caller, MADE_MS, 0), 400, "{\"error\":\"missing_payload\"}");
        check_answer(ask_as(unlimited, "POST /unlimited", "{\"payload\": 1}", caller, MADE_MS, 0), 400, NULL);
        check_answer(ask_as(unlimited, "PUT /unlimited?payload=x", "", caller, MADE_MS, 0), 405, NULL);
        check_answer(ask_as(unlimited, "GET /", "", caller, MADE_MS, 0), 404, NULL);
        check_equal(allowed, 0);
        unlimited_free(unlimited);
}

TEST(who_tries_too_often_waits_and_others_do_not)
{
        static const uint8_t other[16] = { [15] = 1 };
        struct admin_unlimited *unlimited = unlimited_new();
        unsigned tried = 0;

        for (unsigned i = 0; i < 20; i++) {
                struct admin_answer answer = ask_as(unlimited, "GET /unlimited?payload=x", "", caller, MADE_MS, 0);

                tried += answer.status == 403;
                check(answer.status == 403 || (answer.status == 429 && strstr(answer.fields, "Retry-After: ")));
                free(answer.body);
        }
        check_equal(tried, 10);
        check_answer(ask_as(unlimited, "GET /unlimited?payload=x", "", other, MADE_MS, 0), 403, NULL);
        check_answer(ask_as(unlimited, "GET /unlimited?payload=x", "", caller, MADE_MS, SECONDS(1)), 403, NULL);
        unlimited_free(unlimited);
}

TEST(where_a_body_is_not_said_to_end_it_is_none)
{
        struct admin_request request;
        static const char chunked[] = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", twice[] = "POST / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 2\r\n\r\n",
                          long_one[] = "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", negative[] = "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n";

        check_equal(admin_request_read(chunked, strlen(chunked), &request), ADMIN_REQUEST_GOOD);
        check(request.body_len == SIZE_MAX);
        check_equal(admin_request_read(twice, strlen(twice), &request), ADMIN_REQUEST_BAD);
        check_equal(admin_request_read(long_one, strlen(long_one), &request), ADMIN_REQUEST_GOOD);
        check(request.body_len == SIZE_MAX);
        check_equal(admin_request_read(negative, strlen(negative), &request), ADMIN_REQUEST_GOOD);
        check(request.body_len == SIZE_MAX);
}
