/* SPDX-License-Identifier: BSD-3-Clause */
/* A JSON service file: what our reader takes is what jansson takes, and says the same. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void demand(bool condition)
{
        if (!condition)
                abort();
}

static void compare(const struct conf_node *node, const json_t *json)
{
        const struct conf_node *child = node->first;
        size_t index;
        json_t *value;

        switch (node->kind) {
        case CONF_LIST:
                demand(json_is_array(json) && json_array_size(json) == node->count);
                json_array_foreach (json, index, value) {
                        compare(child, value);
                        child = child->next;
                }
                break;
        case CONF_MAP:
                demand(json_is_object(json) && json_object_size(json) == node->count);
                for (; child; child = child->next)
                        compare(child, json_object_get(json, child->key));
                break;
        case CONF_QUOTED:
                demand(json_is_string(json) && strcmp(json_string_value(json), node->text) == 0);
                break;
        case CONF_PLAIN:
                demand(json_is_number(json) || json_is_boolean(json) || json_is_null(json));
                break;
        }
}

/* Ours has bounds that jansson doesn't have; jansson wants numbers to fit a double. */
static bool is_bound(const char *text)
{
        return strncmp(text, "more than ", 10) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        struct conf_file file = { .label = "fuzz.json", .json = true };
        struct conf_complaints complaints;
        struct conf_report report;
        struct conf_tree tree;
        struct conf_position at;
        json_error_t error;
        uint32_t code;
        json_t *json;
        bool good;

        if (conf_text_check((const char *)data, len, &at, &code) != CONF_TEXT_GOOD)
                return 0;
        demand(conf_report_init(&report) == 0 && conf_tree_init(&tree, &report, &file, len) == 0);
        good = conf_json_read(&tree, (const char *)data, len) && report.error_count == 0;
        conf_report_finish(&report, &complaints);
        json = json_loadb((const char *)data, len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_REJECT_DUPLICATES, &error);
        if (good && json)
                compare(tree.root, json);
        else if (good)
                demand(json_error_code(&error) == json_error_numeric_overflow);
        else if (json)
                demand(complaints.count == 1 && is_bound(complaints.list[0].text));
        json_decref(json);
        conf_complaints_fini(&complaints);
        conf_tree_fini(&tree);
        return 0;
}
