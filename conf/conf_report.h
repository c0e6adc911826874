/* SPDX-License-Identifier: BSD-3-Clause */
/* Complaints while they are being collected. */
#ifndef HG_CONF_REPORT_H
#define HG_CONF_REPORT_H

#include <sys/types.h>

#include "conf.h"
#include "conf_arena.h"
#include "conf_text.h"

/* Something that was read: a file, a flag or a variable. */
struct conf_file {
        const struct conf_file *from;   /* whose words had it read; NULL: nobody's */
        dev_t device;                   /* with @inode, which file it is; 0: none */
        ino_t inode;
        const char *label;              /* how complaints call it; memory of the report */
        const char *name;               /* the same in memory of the image */
        const char *folder;             /* what relative paths in it start from; "" or ends with a slash */
        uint32_t number;                /* in the order of reading */
        bool json;                      /* unknown keys are passed over, as the original does */
        bool sheet;                     /* a command line as a file: takes JSON text as it does */
        const char *const *flags;       /* as in struct conf_source */
        size_t flag_count;
};

struct conf_report_entry {
        struct conf_complaint complaint;
        uint32_t file_number, line, column, number;     /* by which they are sorted */
};

struct conf_report {
        struct conf_arena arena;
        struct conf_report_entry *entries;
        size_t count, error_count, warning_count;
};

/* 0 or -errno. */
int conf_report_init(struct conf_report *report);

/* Sorts; what was collected is @out's from here on. */
void conf_report_finish(struct conf_report *report, struct conf_complaints *out);

/* @text as the label of a file: printable, with a bounded length, without anything like a secret; memory of the report. */
const char *conf_report_label(struct conf_report *report, const char *text);

/* Of something that was said, in one of several files; @file NULL: nowhere. */
struct conf_place {
        const struct conf_file *file;
        struct conf_position at;
};

#define CONF_WHOLE_FILE ((struct conf_position){ 0, 0 })

void conf_error(struct conf_report *report, const struct conf_file *file, struct conf_position at, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
void conf_warning(struct conf_report *report, const struct conf_file *file, struct conf_position at, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

#endif
