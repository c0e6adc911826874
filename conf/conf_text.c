/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_text.h"

#include <stdio.h>
#include <string.h>

#include "conf.h"

enum {
        SHOWN_MAX = 60,                 /* of a text in quotes */
        SECRET_RUN = 16,                /* hexadecimal digits in a row: no address or port has as many, a spoilt secret does */
};

static uint32_t continuation(const char *at, size_t len, uint32_t code)
{
        for (size_t i = 1; i < len; i++) {
                if (((uint8_t)at[i] & 0xc0) != 0x80)
                        return UINT32_MAX;
                code = code << 6 | ((uint8_t)at[i] & 0x3f);
        }
        return code;
}

size_t conf_utf8_next(const char *at, const char *end, uint32_t *code_out)
{
        static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
        uint8_t first = (uint8_t)*at;
        size_t len = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
        uint32_t code;

        if (len == 0 || len > (size_t)(end - at))
                return 0;
        code = len == 1 ? first : continuation(at, len, first & (0x7fu >> len));
        if (code > 0x10ffff || code < least[len] || (code >= 0xd800 && code < 0xe000))
                return 0;
        *code_out = code;
        return len;
}

/* YAML 1.1 5.1 "printable characters"; JSON text that people write has no others outside of escapes. */
static bool is_text(uint32_t code)
{
        return code == '\t' || code == '\n' || code == '\r' || (code >= 0x20 && code < 0x7f) || code == 0x85 ||
               (code >= 0xa0 && code != 0xfeff && code != 0xfffe && code != 0xffff);
}

enum conf_text_verdict conf_text_check(const char *text, size_t len, struct conf_position *where, uint32_t *code)
{
        const char *at = text, *end = text + len;
        struct conf_position here = { 1, 1 };

        while (at < end) {
                size_t size = conf_utf8_next(at, end, code);

                if (size == 0 || !is_text(*code)) {
                        *code = size ? *code : (uint8_t)*at;
                        *where = here;
                        return size ? CONF_TEXT_CONTROL : CONF_TEXT_NOT_UTF8;
                }
                here.column = *code == '\n' ? 1 : here.column + 1;
                here.line += *code == '\n';
                at += size;
        }
        return CONF_TEXT_GOOD;
}

static int escape_one(char out[16], uint32_t code, size_t size, const char *at)
{
        if (size == 0)
                return snprintf(out, 16, "\\x%02x", (uint8_t)*at);
        if (code >= 0x20 && code < 0x7f)
                return snprintf(out, 16, "%c", (char)code);
        return snprintf(out, 16, "\\u{%x}", code);
}

size_t conf_text_escape(const char *text, char *out, size_t used, size_t len, bool *complete)
{
        const char *at = text, *end = text + strlen(text);

        while (at < end) {
                uint32_t code = 0;
                size_t size = conf_utf8_next(at, end, &code);
                char one[16];
                int one_len = escape_one(one, code, size, at);

                if (used + (size_t)one_len >= len) {
                        *complete = false;
                        break;
                }
                memcpy(out + used, one, (size_t)one_len);
                used += (size_t)one_len;
                at += size ? size : 1;
        }
        out[used] = '\0';
        return used;
}

size_t conf_text_hex_run(const char *text)
{
        size_t longest = 0;

        while (*text) {
                size_t run = strspn(text, "0123456789abcdefABCDEF");

                longest = run > longest ? run : longest;
                text += run ? run : 1;
        }
        return longest;
}

const char *conf_quote(const char *text, char *out, size_t len)
{
        char shown[SHOWN_MAX];
        bool complete = true;

        if (conf_text_hex_run(text) >= SECRET_RUN) {
                snprintf(out, len, "(%zu characters)", strlen(text));
                return out;
        }
        conf_text_escape(text, shown, 0, sizeof(shown), &complete);
        snprintf(out, len, "\"%s%s\"", shown, complete ? "" : "...");
        return out;
}

void conf_text_show(FILE *out, const char *text)
{
        const char *at = text, *end = text + strlen(text);

        fputc('"', out);
        while (at < end) {
                uint32_t code = 0;
                size_t size = conf_utf8_next(at, end, &code);

                if (*at == '"' || *at == '\\')
                        fprintf(out, "\\%c", *at);
                else if (size && (code < 0x20 || code == 0x7f))
                        fprintf(out, "\\x%02x", code);
                else if (size > 1 && code <= 0xffff)
                        fprintf(out, "\\u%04x", code);
                else if (size > 1)
                        fprintf(out, "\\U%08x", code);
                else
                        fputc(*at, out);
                at += size ? size : 1;
        }
        fputc('"', out);
}
