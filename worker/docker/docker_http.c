/* SPDX-License-Identifier: BSD-3-Clause */
#include "docker_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"

enum { CHUNK_DIGITS_MAX = 8, LENGTH_DIGITS_MAX = 10, BODY_FIRST = 16 * 1024 };

void docker_http_init(struct docker_http *http, bool passes)
{
        *http = (struct docker_http){ .passes = passes };
}

void docker_http_fini(struct docker_http *http)
{
        free(http->body);
        http->body = NULL;
        http->body_len = http->body_size = 0;
}

/* --- Lines --- */

/* Up to the line break; true: @http->line is one. A line that is too long fails. */
static bool take_line(struct docker_http *http, const uint8_t *bytes, size_t len, size_t *taken)
{
        const uint8_t *end = memchr(bytes, '\n', len);
        size_t part = end ? (size_t)(end - bytes) : len;

        *taken = part + (end != NULL);
        if (part >= sizeof(http->line) - http->line_len || memchr(bytes, '\0', part)) {
                http->state = DOCKER_HTTP_FAILED;
                return false;
        }
        memcpy(http->line + http->line_len, bytes, part);
        http->line_len += part;
        if (!end)
                return false;
        if (http->line_len > 0 && http->line[http->line_len - 1] == '\r')
                http->line_len--;
        http->line[http->line_len] = '\0';
        http->line_len = 0;
        return true;
}

/* Digits of @base and nothing else but what stands behind a ';'. False: it is no such number. */
static bool read_number(const char *text, unsigned base, size_t digits_max, uint64_t *out)
{
        uint64_t value = 0;
        size_t digits = 0;

        for (; *text; text++, digits++) {
                char lower = (char)(*text | 0x20);
                unsigned digit = *text >= '0' && *text <= '9' ? (unsigned)(*text - '0') :
                                 lower >= 'a' && lower <= 'f' ? (unsigned)(lower - 'a' + 10) : base;

                if (digit >= base)
                        break;
                value = value * base + digit;
        }
        *out = value;
        text += strspn(text, " \t");
        return digits > 0 && digits <= digits_max && (*text == '\0' || (base == 16 && *text == ';'));
}

/* "HTTP/1.1 200 OK" */
static void read_status(struct docker_http *http)
{
        const char *line = http->line;
        uint64_t status;
        char digits[4];

        http->state = DOCKER_HTTP_FAILED;
        if (strncmp(line, "HTTP/1.", 7) != 0 || (line[7] != '0' && line[7] != '1') || line[8] != ' ' || strlen(line) < 12)
                return;
        memcpy(digits, line + 9, 3);
        digits[3] = '\0';
        if (!read_number(digits, 10, 3, &status) || status < 100 || (line[12] != ' ' && line[12] != '\0'))
                return;
        http->closes = line[7] == '0';
        http->status = (unsigned)status;
        http->state = DOCKER_HTTP_HEAD;
}

/* What stands behind @name and a colon, or NULL. */
static const char *value_of(const char *line, const char *name)
{
        size_t len = strlen(name);

        if (strncasecmp(line, name, len) != 0 || line[len] != ':')
                return NULL;
        line += len + 1;
        return line + strspn(line, " \t");
}

static void read_field(struct docker_http *http)
{
        const char *value;
        uint64_t length;

        if (++http->lines > DOCKER_HTTP_LINES_MAX) {
                http->state = DOCKER_HTTP_FAILED;
        } else if ((value = value_of(http->line, "content-length"))) {
                if (!read_number(value, 10, LENGTH_DIGITS_MAX, &length) || (http->has_length && http->left != length))
                        http->state = DOCKER_HTTP_FAILED;
                http->has_length = true;
                http->left = length;
        } else if ((value = value_of(http->line, "transfer-encoding"))) {
                http->chunked = strcasecmp(value, "chunked") == 0;
                if (!http->chunked)
                        http->state = DOCKER_HTTP_FAILED;       /* nothing else was asked for */
        } else if ((value = value_of(http->line, "connection"))) {
                http->closes = http->closes || strcasecmp(value, "close") == 0;
        }
}

/* RFC 9112 6.3. One that is only on the way (1xx) is followed by the answer. */
static void end_head(struct docker_http *http)
{
        if (http->status < 200) {
                bool passes = http->passes;

                docker_http_init(http, passes);
        } else if (http->status == 204 || http->status == 304) {
                http->state = DOCKER_HTTP_OVER;
        } else if (http->chunked) {
                http->state = DOCKER_HTTP_CHUNK;
        } else if (http->has_length) {
                http->state = http->left ? DOCKER_HTTP_LENGTH : DOCKER_HTTP_OVER;
        } else {
                http->closes = true;
                http->state = DOCKER_HTTP_UNTIL_END;
        }
}

static void read_chunk(struct docker_http *http)
{
        if (!read_number(http->line, 16, CHUNK_DIGITS_MAX, &http->left))
                http->state = DOCKER_HTTP_FAILED;
        else
                http->state = http->left ? DOCKER_HTTP_CHUNK_BYTES : DOCKER_HTTP_TRAILER;
}

static void read_line(struct docker_http *http)
{
        bool empty = http->line[0] == '\0';

        switch (http->state) {
        case DOCKER_HTTP_STATUS:
                read_status(http);
                break;
        case DOCKER_HTTP_HEAD:
                if (empty)
                        end_head(http);
                else
                        read_field(http);
                break;
        case DOCKER_HTTP_CHUNK:
                read_chunk(http);
                break;
        case DOCKER_HTTP_CHUNK_END:
                http->state = empty ? DOCKER_HTTP_CHUNK : DOCKER_HTTP_FAILED;
                break;
        default:
                if (empty)
                        http->state = DOCKER_HTTP_OVER;
                else if (++http->lines > DOCKER_HTTP_LINES_MAX)
                        http->state = DOCKER_HTTP_FAILED;
                break;
        }
}

/* --- The body --- */

static bool keep(struct docker_http *http, const uint8_t *bytes, size_t len)
{
        size_t size = http->body_size ? http->body_size : BODY_FIRST;
        char *body;

        if (http->passes) {
                http->passed += len;
                return true;
        }
        if (len > DOCKER_HTTP_BODY_MAX - http->body_len)
                return false;
        while (size < http->body_len + len + 1)
                size *= 2;
        body = size == http->body_size ? http->body : realloc(http->body, size);
        if (!body)
                return false;
        http->body = body;
        http->body_size = size;
        memcpy(body + http->body_len, bytes, len);
        http->body_len += len;
        body[http->body_len] = '\0';
        return true;
}

static size_t take_body(struct docker_http *http, const uint8_t *bytes, size_t len)
{
        bool endless = http->state == DOCKER_HTTP_UNTIL_END;
        size_t part = endless ? len : (size_t)MIN((uint64_t)len, http->left);

        if (!keep(http, bytes, part)) {
                http->state = DOCKER_HTTP_FAILED;
                return part;
        }
        http->left -= endless ? 0 : part;
        if (!endless && http->left == 0)
                http->state = http->state == DOCKER_HTTP_LENGTH ? DOCKER_HTTP_OVER : DOCKER_HTTP_CHUNK_END;
        return part;
}

static enum docker_http_verdict verdict(const struct docker_http *http)
{
        return http->state == DOCKER_HTTP_FAILED ? DOCKER_HTTP_BAD : http->state == DOCKER_HTTP_OVER ? DOCKER_HTTP_DONE : DOCKER_HTTP_MORE;
}

enum docker_http_verdict docker_http_take(struct docker_http *http, const uint8_t *bytes, size_t len, size_t *taken_out)
{
        size_t at = 0;

        while (at < len && verdict(http) == DOCKER_HTTP_MORE) {
                size_t taken = 0;

                if (http->state == DOCKER_HTTP_LENGTH || http->state == DOCKER_HTTP_UNTIL_END || http->state == DOCKER_HTTP_CHUNK_BYTES)
                        taken = take_body(http, bytes + at, len - at);
                else if (take_line(http, bytes + at, len - at, &taken))
                        read_line(http);
                at += taken;
        }
        *taken_out = at;
        return verdict(http);
}

enum docker_http_verdict docker_http_end(struct docker_http *http)
{
        if (http->state == DOCKER_HTTP_UNTIL_END)
                http->state = DOCKER_HTTP_OVER;
        else if (http->state != DOCKER_HTTP_OVER)
                http->state = DOCKER_HTTP_FAILED;
        return verdict(http);
}

/* --- Asking --- */

size_t docker_http_ask(char *out, size_t size, const char *method, const char *path, const char *json)
{
        int len;

        if (json)
                len = snprintf(out, size, "%s %s HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                               method, path, strlen(json), json);
        else
                len = snprintf(out, size, "%s %s HTTP/1.1\r\nHost: docker\r\n\r\n", method, path);
        return len > 0 && (size_t)len < size ? (size_t)len : 0;
}

static bool is_unreserved(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

bool docker_http_escape(char *out, size_t size, const char *text)
{
        size_t len = 0;

        for (; *text; text++) {
                if (len + 4 > size)
                        return false;
                if (is_unreserved(*text))
                        out[len++] = *text;
                else
                        len += (size_t)snprintf(out + len, size - len, "%%%02X", (unsigned)(unsigned char)*text);
        }
        if (len >= size)
                return false;
        out[len] = '\0';
        return true;
}
