/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "ipc_journal.h"

enum {
        TEXT_MAX = 2048,
        FIELDS_BYTES = 4 * IPC_LOG_MAX, /* each byte of a worker's may become four */
};

void log_init(struct log *log, const char *journal_stream)
{
        *log = (struct log){ .level = LOG_INFO, .journal.fd = -1 };
        if (ipc_journal_has_stderr(journal_stream))
                journal_open(&log->journal, JOURNAL_SOCKET);
        log->terminal = isatty(STDERR_FILENO) && !getenv("NO_COLOR");
}

void log_instance(struct log *log, const char *name, int level)
{
        snprintf(log->instance, sizeof(log->instance), "%s", name);
        log->level = level;
}

void log_router(struct log *log, const uint8_t public_key[IPC_KEY_BYTES])
{
        for (size_t i = 0; i < IPC_KEY_BYTES; i++)
                snprintf(log->router + 2 * i, 3, "%02x", public_key[i]);
}

size_t log_escape(char *out, size_t size, const char *text, size_t len)
{
        static const char hex[] = "0123456789abcdef";
        size_t at = 0;

        for (size_t i = 0; i < len; i++) {
                unsigned char c = (unsigned char)text[i];
                bool plain = c >= 0x20 && c < 0x7f && c != '\\';
                size_t need = plain ? 1 : c == '\\' ? 2 : 4;

                if (at + need >= size)
                        break;
                if (plain) {
                        out[at++] = (char)c;
                        continue;
                }
                out[at++] = '\\';
                if (c == '\\') {
                        out[at++] = '\\';
                        continue;
                }
                out[at++] = 'x';
                out[at++] = hex[c >> 4];
                out[at++] = hex[c & 15];
        }
        out[at] = '\0';
        return at;
}

bool log_field_allowed(const char *field)
{
        static const char *const ours[] = { "MESSAGE=", "MESSAGE_ID=", "PRIORITY=", "ERRNO=", "HYPERGATE_INSTANCE=",
                                            "HYPERGATE_ROUTER=", "HYPERGATE_EVENT=", "HYPERGATE_WORKER=",
                                            "HYPERGATE_WORKER_ID=" };
        static const char *const families[] = { "SYSLOG_", "CODE_", "OBJECT_", "COREDUMP_", "UNIT=", "USER_" };
        size_t len = strspn(field, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

        if (len == 0 || len > 64 || field[len] != '=' || !isupper((unsigned char)field[0]))
                return false;
        for (size_t i = 0; i < ARRAY_LEN(ours); i++)
                if (strncmp(field, ours[i], strlen(ours[i])) == 0)
                        return false;
        for (size_t i = 0; i < ARRAY_LEN(families); i++)
                if (strncmp(field, families[i], strlen(families[i])) == 0)
                        return false;
        return true;
}

/* A line of the journal. */
struct entry {
        struct iovec iov[JOURNAL_FIELDS_MAX];
        size_t count;
        char text[512 + FIELDS_BYTES];
        size_t len;
};

/* What is not printable of @value is made so; what finds no room is cut. */
static void add(struct entry *entry, const char *name, size_t name_len, const char *value)
{
        char *text = entry->text + entry->len;
        size_t room = sizeof(entry->text) - entry->len;

        if (entry->count == JOURNAL_FIELDS_MAX || name_len + 2 > room)
                return;
        memcpy(text, name, name_len);
        text[name_len++] = '=';
        name_len += log_escape(text + name_len, room - name_len, value, strlen(value));
        entry->iov[entry->count++] = (struct iovec){ text, name_len };
        entry->len += name_len;
}

static void add_named(struct entry *entry, const char *name, const char *value)
{
        if (value && *value)
                add(entry, name, strlen(name), value);
}

static enum journal_answer write_journal(const struct log *log, enum ipc_event event, int level, const char *const *fields, const char *text)
{
        char message[TEXT_MAX + 16], priority[16];
        struct entry entry = { .count = 1 };

        snprintf(message, sizeof(message), "MESSAGE=%s", text);
        entry.iov[0] = (struct iovec){ message, strlen(message) };
        snprintf(priority, sizeof(priority), "%d", level);
        add_named(&entry, "PRIORITY", priority);
        add_named(&entry, "SYSLOG_IDENTIFIER", "hypergated");
        add_named(&entry, "HYPERGATE_INSTANCE", log->instance);
        add_named(&entry, "HYPERGATE_ROUTER", log->router);
        add_named(&entry, "HYPERGATE_EVENT", ipc_event_word(event));
        add_named(&entry, "MESSAGE_ID", ipc_event_id(event));
        for (; fields && *fields; fields++) {
                size_t name = strcspn(*fields, "=");

                if ((*fields)[name])
                        add(&entry, *fields, name, *fields + name + 1);
        }
        return journal_send(&log->journal, entry.iov, entry.count);
}

static const char *level_word(int level)
{
        return level <= LOG_ERR ? "error: " : level == LOG_WARNING ? "warning: " : level == LOG_DEBUG ? "debug: " : "";
}

static const char *level_colour(int level)
{
        return level <= LOG_ERR ? "\033[31m" : level == LOG_WARNING ? "\033[33m" : level == LOG_DEBUG ? "\033[2m" : "";
}

/* One write a line: those of several instances on one terminal don't mix. */
static void write_line(const struct log *log, int level, const char *text)
{
        const char *colour = log->terminal ? level_colour(level) : "";
        char line[TEXT_MAX + 48];
        int len = snprintf(line, sizeof(line), "hypergated: %s%s%s%s\n", colour, level_word(level), text, *colour ? "\033[0m" : "");

        if (write(STDERR_FILENO, line, (size_t)len) < 0)
                return;         /* nobody reads it, and there is nowhere else to say so */
}

static void say_lost(const struct log *log)
{
        unsigned lost = journal_lost(&log->journal);
        char text[64];

        if (lost == 0)
                return;
        snprintf(text, sizeof(text), "%u lines are lost: the journal took none for a while", lost);
        write_journal(log, IPC_EVENT_NONE, LOG_WARNING, NULL, text);
}

void log_event(const struct log *log, enum ipc_event event, int level, const char *const *fields, const char *format, ...)
{
        char text[TEXT_MAX], printable[TEXT_MAX];
        va_list args;

        if (level > log->level)
                return;
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        log_escape(printable, sizeof(printable), text, strlen(text));
        if (log->journal.fd < 0) {
                write_line(log, level, printable);
                return;
        }
        switch (write_journal(log, event, level, fields, printable)) {
        case JOURNAL_TAKEN:
                say_lost(log);
                break;
        case JOURNAL_HANGS:
                break;                  /* and so would stderr, which leads to it */
        case JOURNAL_GONE:
                write_line(log, level, printable);
                break;
        }
}

bool log_limit_take(struct log_limit *limit, usec_t now_us, unsigned *dropped_out)
{
        unsigned times = limit->times ? limit->times : 1;
        usec_t back = (now_us - limit->since_us) * LOG_PER_SECOND * times / SECONDS(1);

        if (back > 0) {
                limit->spent -= back < limit->spent ? (unsigned)back : limit->spent;
                limit->since_us = now_us;
        }
        if (limit->spent >= LOG_BURST * times) {
                limit->dropped++;
                return false;
        }
        limit->spent++;
        *dropped_out = limit->dropped;
        limit->dropped = 0;
        return true;
}
