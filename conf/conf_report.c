/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
        LABEL_MAX = 4096,
        TEXT_MAX = 768,                 /* with the label, the position and "warning: ": below CONF_COMPLAINT_TEXT_MAX */
        SECRET_RUN = 40,                /* hexadecimal digits in a row that no name of a file has by chance */
};

/* Every complaint is written at most twice, labels once a file. */
static const size_t report_reserve =
        2 * CONF_COMPLAINTS_MAX * (TEXT_MAX + 64) + 2 * (CONF_FILES_MAX + 16) * (LABEL_MAX + sizeof(struct conf_file) + 64) +
        CONF_COMPLAINTS_MAX * (sizeof(struct conf_report_entry) + sizeof(struct conf_complaint)) + 4096;

int conf_report_init(struct conf_report *report)
{
        *report = (struct conf_report){ 0 };
        return conf_arena_init(&report->arena, report_reserve);
}

const char *conf_report_label(struct conf_report *report, const char *text)
{
        char label[LABEL_MAX];
        bool complete = true;
        size_t len;

        if (conf_text_hex_run(text) >= SECRET_RUN)
                len = (size_t)snprintf(label, sizeof(label), "(%zu characters)", strlen(text));
        else
                len = conf_text_escape(text, label, 0, sizeof(label), &complete);
        return conf_arena_text(&report->arena, label, len);
}

/* The entry to write to, or NULL when it can only be counted: an error takes the place of the last warning. */
static struct conf_report_entry *entry_new(struct conf_report *report, bool warning)
{
        if (!report->entries)
                report->entries = conf_arena_take(&report->arena, CONF_COMPLAINTS_MAX * sizeof(*report->entries));
        if (report->count < CONF_COMPLAINTS_MAX)
                return &report->entries[report->count++];
        for (size_t i = report->count; !warning && i > 0; i--)
                if (report->entries[i - 1].complaint.warning)
                        return &report->entries[i - 1];
        return NULL;
}

__attribute__((format(printf, 5, 0)))
static void add(struct conf_report *report, const struct conf_file *file, struct conf_position at, bool warning, const char *format,
                va_list args)
{
        uint32_t number = (uint32_t)(report->error_count + report->warning_count);
        struct conf_report_entry *entry = entry_new(report, warning);
        const char *flag = at.line > 0 && at.line <= file->flag_count ? file->flags[at.line - 1] : NULL;
        char text[TEXT_MAX];

        if (warning)
                report->warning_count++;
        else
                report->error_count++;
        if (!entry)
                return;
        vsnprintf(text, sizeof(text), format, args);
        *entry = (struct conf_report_entry){
                .complaint = { flag ? flag : file->label, flag ? 0 : at.line, flag ? 0 : at.column, warning,
                               conf_arena_text(&report->arena, text, strlen(text)) },
                .file_number = file->number, .line = at.line, .column = at.column, .number = number,
        };
}

void conf_error(struct conf_report *report, const struct conf_file *file, struct conf_position at, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        add(report, file, at, false, format, args);
        va_end(args);
}

void conf_warning(struct conf_report *report, const struct conf_file *file, struct conf_position at, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        add(report, file, at, true, format, args);
        va_end(args);
}

static int compare(const void *a, const void *b)
{
        const struct conf_report_entry *x = a, *y = b;
        uint32_t left[] = { x->file_number, x->line, x->column, x->number };
        uint32_t right[] = { y->file_number, y->line, y->column, y->number };

        for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++)
                if (left[i] != right[i])
                        return left[i] < right[i] ? -1 : 1;
        return 0;
}

/* The arena itself moves into the memory it owns. */
void conf_report_finish(struct conf_report *report, struct conf_complaints *out)
{
        struct conf_complaint *list = conf_arena_take(&report->arena, report->count * sizeof(*list));
        struct conf_arena *memory = conf_arena_take(&report->arena, sizeof(*memory));

        if (report->count)
                qsort(report->entries, report->count, sizeof(*report->entries), compare);
        for (size_t i = 0; i < report->count; i++)
                list[i] = report->entries[i].complaint;
        *memory = report->arena;
        *out = (struct conf_complaints){
                .list = list, .count = report->count, .error_count = report->error_count, .warning_count = report->warning_count,
                .omitted_count = report->error_count + report->warning_count - report->count, .memory = memory,
        };
}

void conf_complaints_fini(struct conf_complaints *complaints)
{
        struct conf_arena *memory = complaints->memory, arena = memory ? *memory : (struct conf_arena){ 0 };

        conf_arena_fini(&arena);
        *complaints = (struct conf_complaints){ 0 };
}

const char *conf_complaint_text(const struct conf_complaint *complaint, char *out, size_t len)
{
        const char *warning = complaint->warning ? "warning: " : "";

        if (complaint->line)
                snprintf(out, len, "%s:%u:%u: %s%s", complaint->file, complaint->line, complaint->column, warning, complaint->text);
        else
                snprintf(out, len, "%s: %s%s", complaint->file, warning, complaint->text);
        return out;
}
