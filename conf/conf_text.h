/* SPDX-License-Identifier: BSD-3-Clause */
/* Text that came from outside: is it text, and how is it shown. */
#ifndef HG_CONF_TEXT_H
#define HG_CONF_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
        CONF_QUOTE_MAX = 128,           /* room that conf_quote() needs for whatever text */
};

/* Where something is: from 1, columns in characters. */
struct conf_position {
        uint32_t line, column;
};

enum conf_text_verdict {
        CONF_TEXT_GOOD,
        CONF_TEXT_NOT_UTF8,
        CONF_TEXT_CONTROL,              /* a character that no text file holds */
};

/* The length of the UTF-8 sequence at @at, 1..4, or 0 for none (RFC 3629: no surrogates, nothing overlong); its code point. */
size_t conf_utf8_next(const char *at, const char *end, uint32_t *code_out);

/* Looks at all of it; *@where and *@code (the byte or the character) are set when it isn't good. */
enum conf_text_verdict conf_text_check(const char *text, size_t len, struct conf_position *where, uint32_t *code);

/* Appends to @out, which holds @used bytes, what of @text is printable ASCII, the rest as \u{e9} and \xff. Ends before
 * @len - 1, at a whole character; returns the new length. @complete is cleared when something is left out. */
size_t conf_text_escape(const char *text, char *out, size_t used, size_t len, bool *complete);

/* The longest run of hexadecimal digits. */
size_t conf_text_hex_run(const char *text);

/* In double quotes, where everything that is text can be said: YAML 1.1 5.7. What is none stays as it is. */
void conf_text_show(FILE *out, const char *text);

#endif
