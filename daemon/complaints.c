/* SPDX-License-Identifier: BSD-3-Clause */
#include "complaints.h"

#include <stdio.h>

static void say(const struct conf_complaint *complaint, const struct log *log)
{
        struct ipc_fields fields = IPC_FIELDS_INIT;
        char text[CONF_COMPLAINT_TEXT_MAX];

        conf_complaint_text(complaint, text, sizeof(text));
        if (log->journal.fd < 0) {
                fprintf(stderr, "%s\n", text);
                return;
        }
        ipc_fields_text(&fields, "FILE", complaint->file);
        if (complaint->line) {
                ipc_fields_number(&fields, "LINE", complaint->line);
                ipc_fields_number(&fields, "COLUMN", complaint->column);
        }
        log_event(log, IPC_EVENT_CONFIG_WRONG, complaint->warning ? LOG_WARNING : LOG_ERR, fields.list, "%s", text);
}

void complaints_say(const struct conf_complaints *complaints, const struct log *log)
{
        for (size_t i = 0; i < complaints->count; i++)
                say(&complaints->list[i], log);
        if (complaints->omitted_count)
                log_error(log, "%zu more complaints", complaints->omitted_count);
}
