/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "json_line.h"
#include "test.h"

TEST(an_object_is_a_line)
{
        struct json_line line = { 0 };

        json_line_begin(&line, "one");
        json_line_number(&line, "number", UINT64_MAX);
        json_line_decimal(&line, "decimal", 1.5);
        json_line_flag(&line, "yes", true);
        json_line_null(&line, "nothing");
        json_line_hex(&line, "bytes", (const uint8_t *)"\x00\xff\x1a", 3);
        json_line_address(&line, "at", (const uint8_t[]){ 192, 0, 2, 1 }, 65535);
        json_line_open_list(&line, "list");
        json_line_number(&line, NULL, 1);
        json_line_open_object(&line, NULL);
        json_line_text(&line, "a", "b");
        json_line_close_object(&line);
        json_line_open_list(&line, NULL);
        json_line_close_list(&line);
        json_line_close_list(&line);
        json_line_end(&line);
        check(!line.failed);
        check(strcmp(line.text, "{\"type\":\"one\",\"number\":9223372036854775807,\"decimal\":1.500,\"yes\":true,\"nothing\":null,"
                                "\"bytes\":\"00ff1a\",\"at\":\"192.0.2.1:65535\",\"list\":[1,{\"a\":\"b\"},[]]}\n") == 0);
        json_line_fini(&line);
}

TEST(no_text_breaks_out)
{
        struct json_line line = { 0 };

        json_line_begin(&line, "x\"},{\\\n");
        json_line_text(&line, "\x1b[2J", "\xc3\xa9\x7f\xff\xc3\xf0\x9f\x90\x98\xed\xa0\x80");
        json_line_end(&line);
        check(strcmp(line.text, "{\"type\":\"x\\\"},{\\\\\\u000a\",\"\\u001b[2J\":\"\\u00e9\\u007f\\u00ff\\u00c3\\ud83d\\udc18\\u00ed\\u00a0\\u0080\"}\n") == 0);
        check_equal(line.len, strlen(line.text));
        json_line_fini(&line);
}

TEST(lines_follow_one_another)
{
        struct json_line line = { 0 };

        for (unsigned i = 0; i < 1000; i++) {
                json_line_begin(&line, "n");
                json_line_end(&line);
        }
        check(!line.failed && line.len == 1000 * strlen("{\"type\":\"n\"}\n"));
        check(memcmp(line.text + line.len - 13, "{\"type\":\"n\"}\n", 13) == 0);
        json_line_fini(&line);
}
