/* SPDX-License-Identifier: BSD-3-Clause */
#include "admin_unlimited.h"

#include <stdio.h>
#include <string.h>

#include "cleanup.h"

enum { WINDOW_MS = UNLIMITED_WINDOW_S * 1000 };

static const char *const name[] = { "payload", NULL };

static struct admin_text trim(struct admin_text text)
{
        while (text.len > 0 && (unsigned char)text.at[0] <= ' ') {
                text.at++;
                text.len--;
        }
        while (text.len > 0 && (unsigned char)text.at[text.len - 1] <= ' ')
                text.len--;
        return text;
}

/* {"payload": text} */
static bool read_json(struct admin_text body, char out[ADMIN_TOKEN_TEXT_MAX])
{
        json_t *said = json_loadb(body.at, body.len, 0, NULL), *payload = json_object_get(said, "payload");
        size_t len = json_string_length(payload);
        bool good = len > 0 && len < ADMIN_TOKEN_TEXT_MAX;

        if (good)
                memcpy(out, json_string_value(payload), len + 1);
        json_decref(said);
        return good;
}

/* JSON, a form, or the token itself, which has '=' at its end alone. */
static bool read_body(struct admin_text body, char out[ADMIN_TOKEN_TEXT_MAX])
{
        body = trim(body);
        if (body.len == 0)
                return false;
        if (*body.at == '{')
                return read_json(body, out);
        *out = '\0';
        if (admin_text_value(body, name, out, ADMIN_TOKEN_TEXT_MAX))
                return true;
        if (*out || body.len >= ADMIN_TOKEN_TEXT_MAX || memchr(body.at, '\0', body.len))
                return false;
        memcpy(out, body.at, body.len);
        out[body.len] = '\0';
        return true;
}

static bool read_payload(const struct admin_asked *asked, char out[ADMIN_TOKEN_TEXT_MAX])
{
        return admin_text_value(asked->request->query, name, out, ADMIN_TOKEN_TEXT_MAX) || read_body(asked->body, out);
}

/* Whoever has not asked for longest makes room, as far as one turn through all of them can tell. */
static struct rate *caller_rate(struct admin_unlimited *unlimited, const uint8_t ip[16])
{
        struct unlimited_caller *caller;

        for (size_t i = 0; i < UNLIMITED_CALLERS_MAX; i++)
                if (memcmp(unlimited->callers[i].ip, ip, 16) == 0)
                        return &unlimited->callers[i].rate;
        caller = &unlimited->callers[unlimited->caller_next++ % UNLIMITED_CALLERS_MAX];
        memcpy(caller->ip, ip, sizeof(caller->ip));
        caller->rate = (struct rate){ 0 };
        return &caller->rate;
}

static bool may_try(struct admin_unlimited *unlimited, const uint8_t ip[16], usec_t now_us)
{
        struct rate *caller = caller_rate(unlimited, ip);

        if (!rate_allows(caller, UNLIMITED_PER_CALLER_S, now_us) || !rate_allows(&unlimited->rate, UNLIMITED_PER_S, now_us))
                return false;
        rate_take(caller, UNLIMITED_PER_CALLER_S, now_us);
        rate_take(&unlimited->rate, UNLIMITED_PER_S, now_us);
        return true;
}

static bool is_near(uint64_t made_ms, uint64_t now_ms)
{
        return made_ms <= now_ms + WINDOW_MS && now_ms <= made_ms + WINDOW_MS;
}

static void tell(const struct admin_unlimited *unlimited, const struct admin_token *token, const uint8_t caller[16], const char *what)
{
        char made_for[ADMIN_VALUE_MAX], from[ADMIN_VALUE_MAX], text[512];

        admin_print_ip(token->ip, made_for);
        admin_print_ip(caller, from);
        snprintf(text, sizeof(text), "unlimited: a token for %s that came from %s %s", made_for, from, what);
        unlimited->say(unlimited->context, text);
}

/* Its time is over when no token of that time is good any more. False: there is no room. */
static bool use(struct admin_unlimited *unlimited, const struct admin_token *token, uint64_t now_ms)
{
        size_t kept = 0;

        for (size_t i = 0; i < unlimited->used_count; i++)
                if (unlimited->used[i].until_ms >= now_ms)
                        unlimited->used[kept++] = unlimited->used[i];
        unlimited->used_count = kept;
        if (kept == UNLIMITED_USED_MAX)
                return false;
        unlimited->used[unlimited->used_count].until_ms = token->made_ms + WINDOW_MS;
        memcpy(unlimited->used[unlimited->used_count++].name, token->name, sizeof(token->name));
        return true;
}

static bool is_used(const struct admin_unlimited *unlimited, const struct admin_token *token)
{
        for (size_t i = 0; i < unlimited->used_count; i++)
                if (memcmp(unlimited->used[i].name, token->name, sizeof(token->name)) == 0)
                        return true;
        return false;
}

static struct admin_answer try(struct admin_unlimited *unlimited, const struct admin_asked *asked, const char *payload)
{
        struct admin_text text = trim((struct admin_text){ payload, strlen(payload) });
        uint64_t now_ms = asked->now.wall_us / 1000;
        struct admin_token token;

        if (!admin_tokens_open(unlimited->tokens, text.at, text.len, &token))
                return admin_refuse(403, "invalid_token");
        if (memcmp(token.ip, asked->ip, sizeof(token.ip)) != 0) {
                tell(unlimited, &token, asked->ip, "is refused: it is for another address");
                return admin_refuse(403, "invalid_token");
        }
        if (!is_near(token.made_ms, now_ms)) {
                tell(unlimited, &token, asked->ip, "is refused: its time is more than five minutes from here, are both clocks right?");
                return admin_refuse(403, "invalid_token");
        }
        if (is_used(unlimited, &token)) {
                tell(unlimited, &token, asked->ip, "is refused: it came before");
                return admin_refuse(409, "replay_detected");
        }
        if (!use(unlimited, &token, now_ms))
                return admin_refuse(503, "busy");
        unlimited->allow(unlimited->context, asked->number, token.ip);
        return (struct admin_answer){ .status = 0 };
}

struct admin_answer admin_unlimited_answer(void *context, const struct admin_asked *asked)
{
        struct admin_unlimited *unlimited = context;
        char payload[ADMIN_TOKEN_TEXT_MAX];
        struct admin_answer answer;

        if (!asked->request)
                return admin_refuse(400, "bad_request");
        if (asked->request->method == ADMIN_OTHER) {
                answer = admin_refuse(405, "method_not_allowed");
                answer.fields = "Allow: GET, POST\r\n";
                return answer;
        }
        if (!admin_text_is(asked->request->path, "/unlimited"))
                return admin_refuse(404, "not_found");
        if (!read_payload(asked, payload))
                return admin_refuse(400, "missing_payload");
        if (!may_try(unlimited, asked->ip, asked->now.mono_us)) {
                answer = admin_refuse(429, "too_many_requests");
                answer.fields = "Retry-After: 10\r\n";
                return answer;
        }
        answer = try(unlimited, asked, payload);
        explicit_bzero(payload, sizeof(payload));
        return answer;
}

struct admin_answer admin_unlimited_allowed(const uint8_t ip[16], uint64_t until_ms)
{
        char text[ADMIN_VALUE_MAX];

        if (!until_ms)
                return admin_refuse(503, "too_many_allowed");
        admin_print_ip(ip, text);
        return admin_say(200, json_pack("{s:b, s:s, s:I}", "ok", 1, "ip", text, "expireAt", (json_int_t)until_ms));
}
