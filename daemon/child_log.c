/* SPDX-License-Identifier: BSD-3-Clause */
#include "child_log.h"

#include <stdio.h>
#include <string.h>

#include "ipc_event.h"
#include "ipc_table.h"
#include "monotonic.h"

enum { FIELDS_MAX = 16 };

/* Who speaks, for the journal: two fields and the NULL. */
struct speaker {
        char worker[48], id[48];
        const char *fields[FIELDS_MAX + 3];
        size_t count;
};

static void speaker_of(struct speaker *speaker, const struct child *child)
{
        snprintf(speaker->worker, sizeof(speaker->worker), "HYPERGATE_WORKER=%s", ipc_role_name(child->role));
        snprintf(speaker->id, sizeof(speaker->id), "HYPERGATE_WORKER_ID=%u", child->id);
        speaker->fields[0] = speaker->worker;
        speaker->fields[1] = speaker->id;
        speaker->fields[2] = NULL;
        speaker->count = 2;
}

/* How channels ended has a limit of its own, a large one where that is wanted: the rest of what a worker says is not drowned. */
static struct log_limit *limit_of(struct child *child, uint32_t event)
{
        bool channel = event == IPC_EVENT_CHANNEL_CLOSED || event == IPC_EVENT_CHANNEL_FAILED;

        child->channels_limit.times = child->begin.log.channels ? LOG_CHANNELS_TIMES : 1;
        return channel ? &child->channels_limit : &child->limit;
}

/* False: it has said too much lately. What was left out is counted and said with the next line. */
static bool may_speak(struct child *child, uint32_t event, const struct speaker *speaker)
{
        char name[CHILD_NAME_MAX];
        unsigned dropped = 0;

        if (!log_limit_take(limit_of(child, event), monotonic_us(), &dropped))
                return false;
        if (dropped)
                log_event(child->children->log, IPC_EVENT_LINES_LEFT_OUT, LOG_WARNING, speaker->fields, "%s: %u more lines left out",
                          child_name(child, name, sizeof(name)), dropped);
        return true;
}

/* The fields behind the message, as far as they may pass. */
static void take_fields(struct speaker *speaker, const struct ipc_log *log)
{
        const char *end = log->text + log->text_len;

        for (const char *at = log->text + strlen(log->text) + 1; at < end; at += strlen(at) + 1)
                if (speaker->count < FIELDS_MAX + 2 && log_field_allowed(at))
                        speaker->fields[speaker->count++] = at;
        speaker->fields[speaker->count] = NULL;
}

void child_log(struct child *child, const struct ipc_log *log)
{
        char name[CHILD_NAME_MAX];
        struct speaker speaker;

        if (log->level > LOG_DEBUG || log->text_len == 0 || log->text_len > sizeof(log->text) ||
            log->text[log->text_len - 1] != '\0' || !ipc_event_is_of(log->event, child->role)) {
                child_kill(child, "sent a log line that is none");
                return;
        }
        speaker_of(&speaker, child);
        if (!may_speak(child, log->event, &speaker))
                return;
        take_fields(&speaker, log);
        log_event(child->children->log, (enum ipc_event)log->event, (int)log->level, speaker.fields, "%s: %s", child_name(child, name, sizeof(name)),
                  log->text);
}

void child_log_words(struct child *child, const char *line)
{
        char name[CHILD_NAME_MAX];
        struct speaker speaker;

        speaker_of(&speaker, child);
        if (!may_speak(child, IPC_EVENT_NONE, &speaker))
                return;
        log_event(child->children->log, IPC_EVENT_NONE, LOG_WARNING, speaker.fields, "%s wrote: %s", child_name(child, name, sizeof(name)), line);
}
