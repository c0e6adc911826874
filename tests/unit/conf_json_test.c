/* SPDX-License-Identifier: BSD-3-Clause */
/* The reader of JSON: what it takes is JSON and all of it (RFC 8259), what it refuses is told with its place. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "conf_tree.h"
#include "test.h"

struct reading {
        struct conf_report report;
        struct conf_file file;
        struct conf_tree tree;
        struct conf_complaints complaints;
        bool good;
};

static void reading_init(struct reading *reading, const char *text, size_t len)
{
        reading->file = (struct conf_file){ .label = "x", .json = true };
        check(conf_report_init(&reading->report) == 0);
        check(conf_tree_init(&reading->tree, &reading->report, &reading->file, len) == 0);
        reading->good = conf_json_read(&reading->tree, text, len);
        conf_report_finish(&reading->report, &reading->complaints);
}

static void reading_fini(struct reading *reading)
{
        conf_complaints_fini(&reading->complaints);
        conf_tree_fini(&reading->tree);
}

static void check_refused(const char *text, const char *expected)
{
        char said[CONF_COMPLAINT_TEXT_MAX] = "";
        struct reading reading;

        reading_init(&reading, text, strlen(text));
        if (reading.complaints.count)
                conf_complaint_text(&reading.complaints.list[0], said, sizeof(said));
        if (reading.good || strcmp(said, expected) != 0)
                test_fail(__FILE__, __LINE__, "%s says: %s, expected %s", text, said, expected);
        reading_fini(&reading);
}

TEST(conf_json_says_where_it_is_wrong)
{
        check_refused("", "x:1:1: expected a value: \"text\", a number, true, false, null, [ or {");
        check_refused("[1,\n 2,\n]", "x:3:1: a value should follow the comma; JSON has no comma before ]");
        check_refused("{\"a\": 1,}", "x:1:9: a key should follow the comma; JSON has no comma before }");
        check_refused("{a: 1}", "x:1:2: expected a key in \"quotes\"");
        check_refused("{\"a\" 1}", "x:1:6: expected : after the key");
        check_refused("[1 2]", "x:1:4: expected , or ]");
        check_refused("{\"a\":1 \"b\"}", "x:1:8: expected , or }");
        check_refused("[\"\xc3\xa9\xc3\xa9\" 1]", "x:1:7: expected , or ]");
        check_refused("{\"a\":}", "x:1:6: expected a value: \"text\", a number, true, false, null, [ or {");
        check_refused("[yes]", "x:1:2: not a number, true, false or null; a text needs \"quotes\"");
        check_refused("[01]", "x:1:2: not a number, true, false or null; a text needs \"quotes\"");
        check_refused("'a'", "x:1:1: not a number, true, false or null; a text needs \"quotes\"");
        check_refused("\"a", "x:1:1: the \" that ends this text is missing");
        check_refused("[\"a\n\"]", "x:1:4: a line ends inside a text: the closing \" is missing, or write \\n");
        check_refused("\"\\x41\"", "x:1:2: no escape of JSON: \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX");
        check_refused("\"\\ud800\"", "x:1:2: no escape of JSON: \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX");
        check_refused("\"\\u0000\"", "x:1:1: a text with a NUL character");
        check_refused("[] []", "x:1:4: something follows the end of the JSON value");
        check_refused("// c\n[]", "x:1:1: JSON has no comments");
}

TEST(conf_json_keeps_text_and_places)
{
        static const char text[] = "{ \"\\u0061\\n\" :\n  [ 1e2, \"\\\"\\\\\\/\\b\\f\\r\\t\\u00e9\\u20ac\\uD834\\uDD1E\", null ] }";
        struct reading reading;
        const struct conf_node *list, *node;

        reading_init(&reading, text, strlen(text));
        check(reading.good && reading.tree.root->kind == CONF_MAP && reading.tree.root->count == 1);
        list = reading.tree.root->first;
        check(strcmp(list->key, "a\n") == 0 && list->kind == CONF_LIST && list->count == 3);
        check_equal(list->key_at.column, 3);
        check_equal(list->at.line, 2);
        check_equal(list->at.column, 3);
        node = list->first;
        check(node->kind == CONF_PLAIN && strcmp(node->text, "1e2") == 0);
        node = node->next;
        check(node->kind == CONF_QUOTED && strcmp(node->text, "\"\\/\b\f\r\t\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e") == 0);
        check_equal(node->at.column, 10);
        check(node->next->kind == CONF_PLAIN && strcmp(node->next->text, "null") == 0 && !node->next->next);
        reading_fini(&reading);
}

/* jansson is held to be right; it refuses numbers beyond a double, we leave numbers to whoever wants one. */
static bool jansson_takes(const char *text, size_t len)
{
        json_t *json = json_loadb(text, len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_REJECT_DUPLICATES, NULL);
        bool taken = json;

        json_decref(json);
        return taken;
}

/* Tokens put together at random: short texts on both sides of the border. */
TEST(conf_json_takes_what_jansson_takes)
{
        static const char *const tokens[] = {
                "[", "]", "{", "}", ",", ":", " ", "\n", "\"a\"", "\"b\"", "\"\\u00", "e9\"", "\"", "\\", "\\ud83d",
                "\\ude00", "0", "1", "-", ".", "e", "E+", "null", "true", "false", "\t", "[1,2]", "{\"a\":1}", ",\"c\":",
                "\xc3\xa9", "x",
        };
        uint64_t seed = 20240229;
        unsigned taken = 0;

        for (unsigned i = 0; i < 8000; i++) {
                uint8_t pick[8];
                char text[128] = "";
                struct reading reading;

                test_random_fill(&seed, pick, sizeof(pick));
                for (unsigned j = 0; j < 1u + pick[7] % 7; j++)
                        strcat(text, tokens[pick[j] % (sizeof(tokens) / sizeof(tokens[0]))]);
                reading_init(&reading, text, strlen(text));
                if ((reading.good && reading.complaints.error_count == 0) != jansson_takes(text, strlen(text)))
                        test_fail(__FILE__, __LINE__, "%s: %s", text, reading.good ? "taken" : "refused");
                taken += reading.good;
                reading_fini(&reading);
        }
        check(taken > 300 && taken < 7700);
}
