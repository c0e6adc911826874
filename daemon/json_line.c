/* SPDX-License-Identifier: BSD-3-Clause */
#include "json_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conf_text.h"

static void put(struct json_line *line, const char *text, size_t len)
{
        size_t size = line->size ? line->size : 512;
        char *grown;

        while (!line->failed && size < line->len + len + 1)
                size *= 2;
        if (size != line->size && !line->failed) {
                grown = realloc(line->text, size);
                line->failed = !grown;
                if (!grown)
                        return;
                line->text = grown;
                line->size = size;
        }
        if (line->failed)
                return;
        memcpy(line->text + line->len, text, len);
        line->len += len;
        line->text[line->len] = '\0';
}

static void put_text(struct json_line *line, const char *text)
{
        put(line, text, strlen(text));
}

/* RFC 8259 7: what is beyond the first plane takes two. */
static void put_code(struct json_line *line, uint32_t code)
{
        char escaped[16];

        if (code == '"' || code == '\\')
                snprintf(escaped, sizeof(escaped), "\\%c", (char)code);
        else if (code >= 0x20 && code < 0x7f)
                snprintf(escaped, sizeof(escaped), "%c", (char)code);
        else if (code < 0x10000)
                snprintf(escaped, sizeof(escaped), "\\u%04x", code);
        else
                snprintf(escaped, sizeof(escaped), "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 0x3ff));
        put_text(line, escaped);
}

/* A byte that is no UTF-8 becomes the character of its number. */
static void put_quoted(struct json_line *line, const char *text)
{
        const char *end = text + strlen(text);

        put_text(line, "\"");
        while (text < end) {
                uint32_t code = (unsigned char)*text;
                size_t len = conf_utf8_next(text, end, &code);

                put_code(line, len ? code : (unsigned char)*text);
                text += len ? len : 1;
        }
        put_text(line, "\"");
}

static void put_key(struct json_line *line, const char *key)
{
        if (!line->first)
                put_text(line, ",");
        line->first = false;
        if (!key)
                return;
        put_quoted(line, key);
        put_text(line, ":");
}

static void open_with(struct json_line *line, const char *key, const char *bracket)
{
        put_key(line, key);
        put_text(line, bracket);
        line->first = true;
}

static void close_with(struct json_line *line, const char *bracket)
{
        put_text(line, bracket);
        line->first = false;
}

void json_line_begin(struct json_line *line, const char *type)
{
        line->first = true;
        open_with(line, NULL, "{");
        json_line_text(line, "type", type);
}

void json_line_end(struct json_line *line)
{
        close_with(line, "}\n");
}

void json_line_text(struct json_line *line, const char *key, const char *text)
{
        put_key(line, key);
        put_quoted(line, text);
}

void json_line_number(struct json_line *line, const char *key, uint64_t number)
{
        char text[24];

        snprintf(text, sizeof(text), "%" PRIu64, number < INT64_MAX ? number : INT64_MAX);
        put_key(line, key);
        put_text(line, text);
}

void json_line_decimal(struct json_line *line, const char *key, double number)
{
        char text[64];

        snprintf(text, sizeof(text), "%.3f", number);
        put_key(line, key);
        put_text(line, text);
}

void json_line_flag(struct json_line *line, const char *key, bool flag)
{
        put_key(line, key);
        put_text(line, flag ? "true" : "false");
}

void json_line_null(struct json_line *line, const char *key)
{
        put_key(line, key);
        put_text(line, "null");
}

void json_line_hex(struct json_line *line, const char *key, const uint8_t *bytes, size_t len)
{
        char pair[3];

        put_key(line, key);
        put_text(line, "\"");
        for (size_t i = 0; i < len; i++) {
                snprintf(pair, sizeof(pair), "%02x", bytes[i]);
                put_text(line, pair);
        }
        put_text(line, "\"");
}

void json_line_address(struct json_line *line, const char *key, const uint8_t ip[4], uint16_t port)
{
        char text[24];

        snprintf(text, sizeof(text), "%u.%u.%u.%u:%u", ip[0], ip[1], ip[2], ip[3], port);
        json_line_text(line, key, text);
}

void json_line_time(struct json_line *line, const char *key, int64_t epoch_s)
{
        char text[sizeof("2026-12-01T12:00:00Z") + 16];
        time_t time = (time_t)epoch_s;
        struct tm tm;

        if (gmtime_r(&time, &tm) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
                json_line_text(line, key, text);
        else
                json_line_null(line, key);
}

void json_line_open_list(struct json_line *line, const char *key)
{
        open_with(line, key, "[");
}

void json_line_close_list(struct json_line *line)
{
        close_with(line, "]");
}

void json_line_open_object(struct json_line *line, const char *key)
{
        open_with(line, key, "{");
}

void json_line_close_object(struct json_line *line)
{
        close_with(line, "}");
}

void json_line_fini(struct json_line *line)
{
        free(line->text);
        *line = (struct json_line){ 0 };
}
