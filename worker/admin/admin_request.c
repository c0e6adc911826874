/* SPDX-License-Identifier: BSD-3-Clause */
#include "admin_request.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

bool admin_text_is(struct admin_text text, const char *word)
{
        return text.at && strlen(word) == text.len && memcmp(text.at, word, text.len) == 0;
}

static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

/* RFC 9110 5.6.2 */
static bool is_token(char c)
{
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static size_t token_len(const char *at, const char *end)
{
        size_t len = 0;

        while (at + len < end && is_token(at[len]))
                len++;
        return len;
}

static enum admin_method method_of(struct admin_text word)
{
        return admin_text_is(word, "GET") ? ADMIN_GET : admin_text_is(word, "POST") ? ADMIN_POST : ADMIN_OTHER;
}

/* "/resolve?proto=tcp" */
static bool read_target(struct admin_text target, struct admin_request *out)
{
        const char *question;

        if (target.len == 0 || *target.at != '/')
                return false;
        for (size_t i = 0; i < target.len; i++)
                if (target.at[i] <= 0x20 || target.at[i] == 0x7f)
                        return false;
        question = memchr(target.at, '?', target.len);
        out->path = (struct admin_text){ target.at, question ? (size_t)(question - target.at) : target.len };
        if (question)
                out->query = (struct admin_text){ question + 1, target.len - out->path.len - 1 };
        return true;
}

/* "GET /resolve?proto=tcp HTTP/1.1" */
static bool read_line(const char *at, const char *end, struct admin_request *out)
{
        static const char version[] = "HTTP/1.";
        struct admin_text method = { at, token_len(at, end) };
        const char *space;

        if (method.len == 0 || at + method.len == end || at[method.len] != ' ')
                return false;
        out->method = method_of(method);
        at += method.len + 1;
        space = memchr(at, ' ', (size_t)(end - at));
        if (!space || !read_target((struct admin_text){ at, (size_t)(space - at) }, out))
                return false;
        at = space + 1;
        return (size_t)(end - at) == sizeof(version) && memcmp(at, version, sizeof(version) - 1) == 0 && end[-1] >= '0' && end[-1] <= '9';
}

static bool is_named(struct admin_text name, const char *word)
{
        return strlen(word) == name.len && strncasecmp(name.at, word, name.len) == 0;
}

/* SIZE_MAX: it is no number, or more than would be read. */
static size_t read_length(struct admin_text value)
{
        size_t len = 0;

        for (size_t i = 0; i < value.len; i++) {
                if (value.at[i] < '0' || value.at[i] > '9' || len > ADMIN_REQUEST_MAX)
                        return SIZE_MAX;
                len = 10 * len + (size_t)(value.at[i] - '0');
        }
        return value.len > 0 ? len : SIZE_MAX;
}

/* One that is said twice is said by two. */
static bool take_field(struct admin_text name, struct admin_text value, struct admin_request *out)
{
        if (is_named(name, "authorization")) {
                if (out->authorization.at)
                        return false;
                out->authorization = value;
        } else if (is_named(name, "content-length")) {
                if (out->body_len)
                        return false;
                out->body_len = read_length(value);
        } else if (is_named(name, "transfer-encoding")) {
                out->body_len = SIZE_MAX;
        }
        return true;
}

/* "Authorization: Basic dTpw". */
static bool read_field(const char *at, const char *end, struct admin_request *out)
{
        struct admin_text name = { at, token_len(at, end) };
        const char *value = at + name.len + 1;

        if (name.len == 0 || at + name.len == end || at[name.len] != ':' || memchr(at, '\0', (size_t)(end - at)))
                return false;
        while (value < end && is_blank(*value))
                value++;
        while (end > value && is_blank(end[-1]))
                end--;
        return take_field(name, (struct admin_text){ value, (size_t)(end - value) }, out);
}

enum admin_verdict admin_request_read(const char *bytes, size_t len, struct admin_request *out)
{
        const char *end = memmem(bytes, len, "\r\n\r\n", 4), *at, *next;
        struct admin_request request = { .method = ADMIN_OTHER };

        if (!end)
                return len < ADMIN_REQUEST_MAX ? ADMIN_REQUEST_MORE : ADMIN_REQUEST_BAD;
        if ((size_t)(end - bytes) + 4 > ADMIN_REQUEST_MAX)
                return ADMIN_REQUEST_BAD;
        for (at = bytes; at < end + 2; at = next + 2) {
                next = memmem(at, (size_t)(end + 2 - at), "\r\n", 2);
                if (!(at == bytes ? read_line(at, next, &request) : read_field(at, next, &request)))
                        return ADMIN_REQUEST_BAD;
        }
        request.head_len = (size_t)(end - bytes) + 4;
        *out = request;
        return ADMIN_REQUEST_GOOD;
}

static int digit_of(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "%3a", and "+" for a blank: WHATWG URL, application/x-www-form-urlencoded. A '%' that begins nothing stands for itself. */
static bool decode(struct admin_text from, char *out, size_t size)
{
        size_t len = 0;

        for (size_t i = 0; i < from.len; i++) {
                int high = from.at[i] == '%' && i + 2 < from.len ? digit_of(from.at[i + 1]) : -1, low = high >= 0 ? digit_of(from.at[i + 2]) : -1;
                char c = from.at[i] == '+' ? ' ' : from.at[i];

                if (low >= 0) {
                        c = (char)(high << 4 | low);
                        i += 2;
                }
                if (len == size - 1 || !c) {
                        out[0] = '\0';
                        return false;
                }
                out[len++] = c;
        }
        out[len] = '\0';
        return true;
}

/* What the first parameter of that name says; @at is NULL: there is none. */
static struct admin_text find_value(struct admin_text query, const char *name)
{
        const char *at = query.at, *end = query.at + query.len;

        while (at && at < end) {
                const char *stop = memchr(at, '&', (size_t)(end - at)), *equals;

                stop = stop ? stop : end;
                equals = memchr(at, '=', (size_t)(stop - at));
                if (equals && admin_text_is((struct admin_text){ at, (size_t)(equals - at) }, name))
                        return (struct admin_text){ equals + 1, (size_t)(stop - equals - 1) };
                at = stop + 1;
        }
        return (struct admin_text){ NULL, 0 };
}

bool admin_text_value(struct admin_text text, const char *const *names, char *out, size_t size)
{
        for (; *names; names++) {
                struct admin_text value = find_value(text, *names);

                if (value.at && value.len > 0)
                        return decode(value, out, size);
        }
        return false;
}
