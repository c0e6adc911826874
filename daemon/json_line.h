/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes JSON, an object a line. What workers and files say is made harmless: it stays one line, and ASCII. */
#ifndef HG_JSON_LINE_H
#define HG_JSON_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_line {
        char *text;
        size_t len, size;
        bool failed;                    /* no memory: what is there is no line */
        bool first;                     /* of the object or list that is open */
};

/* The object of the line: {"type": @type, ... Zeroed before; one after the other in one buffer. */
void json_line_begin(struct json_line *line, const char *type);
void json_line_end(struct json_line *line);

/* @key NULL: in a list. */
void json_line_text(struct json_line *line, const char *key, const char *text);
/* At most 2^63 - 1 is written: readers take no more. */
void json_line_number(struct json_line *line, const char *key, uint64_t number);
void json_line_decimal(struct json_line *line, const char *key, double number);     /* three places */
void json_line_flag(struct json_line *line, const char *key, bool flag);
void json_line_null(struct json_line *line, const char *key);
void json_line_hex(struct json_line *line, const char *key, const uint8_t *bytes, size_t len);
void json_line_address(struct json_line *line, const char *key, const uint8_t ip[4], uint16_t port);         /* "192.0.2.1:49737" */

void json_line_time(struct json_line *line, const char *key, int64_t epoch_s);         /* "2026-12-01T12:00:00Z" */

void json_line_open_list(struct json_line *line, const char *key);
void json_line_close_list(struct json_line *line);
void json_line_open_object(struct json_line *line, const char *key);
void json_line_close_object(struct json_line *line);

void json_line_fini(struct json_line *line);

#endif
