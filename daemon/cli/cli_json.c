/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_json.h"

#include <stdio.h>
#include <string.h>

#include "cli_talk.h"

bool cli_json_print(json_t *object)
{
        bool good = object && json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) == 0 && puts("") >= 0;

        json_decref(object);
        return good;
}

void cli_json_print_line(const char *instance, const json_t *object, const char *line)
{
        const char *type = cli_talk_text(object, "type");
        json_t *name = *type && strcmp(type, "end") != 0 ? json_string(instance) : NULL;

        if (!name)
                return;
        printf("{\"instance\":");
        json_dumpf(name, stdout, JSON_ENCODE_ANY);
        printf(",%s", line + 1);
        json_decref(name);
}

bool cli_json_print_complaints(const struct conf_complaints *complaints)
{
        bool good = true;

        for (size_t i = 0; i < complaints->count && good; i++) {
                const struct conf_complaint *complaint = &complaints->list[i];

                good = cli_json_print(json_pack("{s:s, s:s, s:I, s:I, s:b, s:s}", "type", "complaint", "file", complaint->file, "line",
                                                (json_int_t)complaint->line, "column", (json_int_t)complaint->column, "warning",
                                                complaint->warning, "text", complaint->text));
        }
        return good;
}
