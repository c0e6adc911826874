/* SPDX-License-Identifier: BSD-3-Clause */
#include "complaints.h"

#include <stdio.h>

void complaints_say(const struct conf_complaints *complaints, const struct log *log)
{
        char text[CONF_COMPLAINT_TEXT_MAX];

        for (size_t i = 0; i < complaints->count; i++) {
                conf_complaint_text(&complaints->list[i], text, sizeof(text));
                if (log->journal)
                        log_event(log, IPC_EVENT_CONFIG_WRONG, complaints->list[i].warning ? LOG_WARNING : LOG_ERR, NULL, "%s", text);
                else
                        fprintf(stderr, "%s\n", text);
        }
        if (complaints->omitted_count)
                log_error(log, "%zu more complaints", complaints->omitted_count);
}
