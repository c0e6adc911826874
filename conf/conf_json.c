/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON (RFC 8259) with the place of everything. Service files of the original are JSON; libyaml would not take all of it
 * (surrogate escapes, long keys, a newline before the colon). Not recursive: the depth is the tree's. */
#include <assert.h>
#include <string.h>

#include "conf_tree.h"

struct json {
        struct conf_tree *tree;
        const char *at, *end;
        struct conf_position here;
        char *text;                     /* what a string says, room for the longest */
        size_t text_len;
        enum conf_kind open[CONF_DEPTH_MAX];
        size_t depth;
};

enum json_expect {
        JSON_VALUE,
        JSON_FIRST_VALUE,               /* or the end of the list */
        JSON_KEY,
        JSON_FIRST_KEY,                 /* or the end of the map */
        JSON_COLON,
        JSON_COMMA,                     /* or the end of what is open */
        JSON_END,
        JSON_FAILED,
};

static enum json_expect fail(struct json *json, struct conf_position at, const char *what)
{
        conf_error(json->tree->report, json->tree->file, at, "%s", what);
        return JSON_FAILED;
}

/* The next byte, or 0 at the end: the text holds no NUL. */
static char peek(const struct json *json)
{
        return json->at < json->end ? *json->at : '\0';
}

/* Columns count characters: continuation bytes of UTF-8 are not one. */
static void advance(struct json *json, size_t len)
{
        for (; len > 0; len--, json->at++) {
                if (*json->at == '\n')
                        json->here = (struct conf_position){ json->here.line + 1, 1 };
                else if (((uint8_t)*json->at & 0xc0) != 0x80)
                        json->here.column++;
        }
}

static void skip_blanks(struct json *json)
{
        while (json->at < json->end && strchr(" \t\r\n", *json->at))
                advance(json, 1);
}

static void put_code(struct json *json, uint32_t code)
{
        static const uint8_t first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
        size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

        for (size_t i = len; i > 1; i--, code >>= 6)
                json->text[json->text_len + i - 1] = (char)(0x80 | (code & 0x3f));
        json->text[json->text_len] = (char)(first[len] | code);
        json->text_len += len;
}

/* Four hexadecimal digits, or -1. */
static long read_hex(struct json *json)
{
        long value = 0;

        if (json->end - json->at < 4)
                return -1;
        for (int i = 0; i < 4; i++) {
                static const char digits[] = "0123456789abcdef0123456789ABCDEF";
                const char *digit = memchr(digits, json->at[i], sizeof(digits) - 1);

                if (!digit)
                        return -1;
                value = value << 4 | ((digit - digits) & 15);
        }
        advance(json, 4);
        return value;
}

/* After "\u". Characters beyond 0xffff come as two escapes (RFC 8259 7); half of one is no character. */
static bool read_unicode(struct json *json)
{
        long high = read_hex(json), low;

        if (high >= 0xd800 && high < 0xdc00) {
                if (json->end - json->at < 2 || json->at[0] != '\\' || json->at[1] != 'u')
                        return false;
                advance(json, 2);
                low = read_hex(json);
                if (low < 0xdc00 || low > 0xdfff)
                        return false;
                high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        }
        if (high < 0 || (high >= 0xd800 && high < 0xe000))
                return false;
        put_code(json, (uint32_t)high);
        return true;
}

static bool read_escape(struct json *json)
{
        static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
        char name;
        const char *found;

        advance(json, 1);
        name = peek(json);
        if (name == 'u') {
                advance(json, 1);
                return read_unicode(json);
        }
        found = name ? strchr(names, name) : NULL;
        if (!found)
                return false;
        put_code(json, (uint8_t)values[found - names]);
        advance(json, 1);
        return true;
}

/* Bytes that stand for themselves. */
static void read_literally(struct json *json)
{
        json->text[json->text_len++] = *json->at;
        advance(json, 1);
}

/* Its text is in json->text. */
static bool read_string(struct json *json)
{
        struct conf_position start = json->here;

        json->text_len = 0;
        advance(json, 1);
        while (json->at < json->end && *json->at != '"') {
                struct conf_position at = json->here;

                if ((uint8_t)*json->at < 0x20)
                        return fail(json, at, "a line ends inside a text: the closing \" is missing, or write \\n"), false;
                if (*json->at != '\\')
                        read_literally(json);
                else if (!read_escape(json))
                        return fail(json, at, "no escape of JSON: \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX"), false;
        }
        if (json->at == json->end)
                return fail(json, start, "the \" that ends this text is missing"), false;
        advance(json, 1);
        return true;
}

static size_t digits(const char *at, const char *end)
{
        size_t len = 0;

        while (at + len < end && at[len] >= '0' && at[len] <= '9')
                len++;
        return len;
}

/* The length of the number at @at (RFC 8259 6), 0 for none. */
static size_t number_length(const char *start, const char *end)
{
        const char *at = start;
        size_t len;

        if (at < end && *at == '-')
                at++;
        len = digits(at, end);
        if (len == 0 || (len > 1 && *at == '0'))
                return 0;
        at += len;
        if (at < end && *at == '.') {
                len = digits(at + 1, end);
                if (len == 0)
                        return 0;
                at += 1 + len;
        }
        if (at < end && (*at == 'e' || *at == 'E')) {
                at++;
                if (at < end && (*at == '+' || *at == '-'))
                        at++;
                len = digits(at, end);
                if (len == 0)
                        return 0;
                at += len;
        }
        return (size_t)(at - start);
}

static size_t word_length(const char *at, const char *end)
{
        size_t len = 0;

        while (at + len < end && !strchr(" \t\r\n,:[]{}\"", at[len]))
                len++;
        return len;
}

static bool is_word(const char *at, size_t len, const char *word)
{
        return strlen(word) == len && memcmp(at, word, len) == 0;
}

/* null, true, false and numbers keep their text. */
static bool read_plain(struct json *json)
{
        struct conf_position at = json->here;
        size_t len = word_length(json->at, json->end);
        const char *word = json->at;

        if (len == 0 || (number_length(word, json->end) != len && !is_word(word, len, "null") && !is_word(word, len, "true") &&
                         !is_word(word, len, "false")))
                return fail(json, at, len ? "not a number, true, false or null; a text needs \"quotes\""
                                          : "expected a value: \"text\", a number, true, false, null, [ or {"), false;
        advance(json, len);
        return conf_tree_scalar(json->tree, CONF_PLAIN, word, len, at);
}

static enum json_expect after_value(const struct json *json)
{
        return json->depth ? JSON_COMMA : JSON_END;
}

static enum json_expect open(struct json *json, enum conf_kind kind)
{
        if (!conf_tree_open(json->tree, kind, json->here))
                return JSON_FAILED;
        assert(json->depth < CONF_DEPTH_MAX);
        json->open[json->depth++] = kind;
        advance(json, 1);
        return kind == CONF_LIST ? JSON_FIRST_VALUE : JSON_FIRST_KEY;
}

static enum json_expect close_innermost(struct json *json)
{
        json->depth--;
        conf_tree_close(json->tree);
        advance(json, 1);
        return after_value(json);
}

static enum json_expect take_value(struct json *json)
{
        struct conf_position at = json->here;

        switch (peek(json)) {
        case '[':
                return open(json, CONF_LIST);
        case '{':
                return open(json, CONF_MAP);
        case '"':
                if (!read_string(json) || !conf_tree_scalar(json->tree, CONF_QUOTED, json->text, json->text_len, at))
                        return JSON_FAILED;
                return after_value(json);
        default:
                return read_plain(json) ? after_value(json) : JSON_FAILED;
        }
}

static enum json_expect take_key(struct json *json)
{
        struct conf_position at = json->here;

        if (peek(json) != '"')
                return fail(json, at, peek(json) == '}' ? "a key should follow the comma; JSON has no comma before }"
                                                        : "expected a key in \"quotes\"");
        if (!read_string(json) || !conf_tree_scalar(json->tree, CONF_QUOTED, json->text, json->text_len, at))
                return JSON_FAILED;
        return JSON_COLON;
}

static enum json_expect take_colon(struct json *json)
{
        if (peek(json) != ':')
                return fail(json, json->here, "expected : after the key");
        advance(json, 1);
        return JSON_VALUE;
}

static enum json_expect take_comma(struct json *json)
{
        bool list = json->open[json->depth - 1] == CONF_LIST;

        if (peek(json) == (list ? ']' : '}'))
                return close_innermost(json);
        if (peek(json) != ',')
                return fail(json, json->here, list ? "expected , or ]" : "expected , or }");
        advance(json, 1);
        skip_blanks(json);
        if (list && peek(json) == ']')
                return fail(json, json->here, "a value should follow the comma; JSON has no comma before ]");
        return list ? JSON_VALUE : JSON_KEY;
}

static enum json_expect step(struct json *json, enum json_expect expect)
{
        skip_blanks(json);
        if (peek(json) == '/' || peek(json) == '#')
                return fail(json, json->here, "JSON has no comments");
        switch (expect) {
        case JSON_FIRST_VALUE:
                return peek(json) == ']' ? close_innermost(json) : take_value(json);
        case JSON_FIRST_KEY:
                return peek(json) == '}' ? close_innermost(json) : take_key(json);
        case JSON_KEY:
                return take_key(json);
        case JSON_COLON:
                return take_colon(json);
        case JSON_COMMA:
                return take_comma(json);
        default:
                return take_value(json);
        }
}

bool conf_json_read(struct conf_tree *tree, const char *text, size_t len)
{
        struct json json = { .tree = tree, .at = text, .end = text + len, .here = { 1, 1 } };
        enum json_expect expect = JSON_VALUE;

        json.text = conf_arena_take(&tree->arena, len + 1);     /* no escape is shorter than what it stands for */
        while (expect < JSON_END)
                expect = step(&json, expect);
        skip_blanks(&json);
        if (expect == JSON_END && json.at < json.end)
                expect = fail(&json, json.here, "something follows the end of the JSON value");
        return expect == JSON_END;
}
