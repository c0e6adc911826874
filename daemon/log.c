/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "cleanup.h"

enum {
        TEXT_MAX = 2048,
        FIELDS_MAX = 24,
};

void log_init(struct log *log, const char *journal_stream)
{
        unsigned long long device, inode;
        struct stat out;

        *log = (struct log){ .level = LOG_INFO };
        log->journal = journal_stream && sscanf(journal_stream, "%llu:%llu", &device, &inode) == 2 &&
                       fstat(STDERR_FILENO, &out) == 0 && out.st_dev == (dev_t)device && out.st_ino == (ino_t)inode;
}

void log_instance(struct log *log, const char *name, int level)
{
        log_escape(log->instance, sizeof(log->instance), name, strlen(name));
        log->level = level;
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
                                            "HYPERGATE_WORKER=", "HYPERGATE_WORKER_ID=" };
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

static void add(struct iovec *iov, int *count, const char *text)
{
        if (*count < FIELDS_MAX)
                iov[(*count)++] = (struct iovec){ (void *)(uintptr_t)text, strlen(text) };
}

static void write_journal(const struct log *log, int level, const char *const *fields, const char *text)
{
        char message[TEXT_MAX + 16], priority[16], instance[sizeof(log->instance) + 24];
        struct iovec iov[FIELDS_MAX];
        int count = 0;

        snprintf(message, sizeof(message), "MESSAGE=%s", text);
        snprintf(priority, sizeof(priority), "PRIORITY=%d", level);
        snprintf(instance, sizeof(instance), "HYPERGATE_INSTANCE=%s", log->instance);
        add(iov, &count, message);
        add(iov, &count, priority);
        add(iov, &count, "SYSLOG_IDENTIFIER=hypergated");
        add(iov, &count, instance);
        for (; fields && *fields; fields++)
                add(iov, &count, *fields);
        sd_journal_sendv(iov, count);
}

static const char *level_word(int level)
{
        return level <= LOG_ERR ? "error: " : level == LOG_WARNING ? "warning: " : level == LOG_DEBUG ? "debug: " : "";
}

/* One write a line: those of several instances on one terminal don't mix. */
static void write_line(int level, const char *text)
{
        char line[TEXT_MAX + 32];
        int len = snprintf(line, sizeof(line), "hypergated: %s%s\n", level_word(level), text);

        if (write(STDERR_FILENO, line, (size_t)len) < 0)
                return;         /* nobody reads it, and there is nowhere else to say so */
}

void log_write(const struct log *log, int level, const char *const *fields, const char *format, ...)
{
        char text[TEXT_MAX], printable[TEXT_MAX];
        va_list args;

        if (level > log->level)
                return;
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        log_escape(printable, sizeof(printable), text, strlen(text));
        if (log->journal)
                write_journal(log, level, fields, printable);
        else
                write_line(level, printable);
}

bool log_limit_take(struct log_limit *limit, usec_t now_us, unsigned *dropped_out)
{
        usec_t back = (now_us - limit->since_us) * LOG_PER_SECOND / SECONDS(1);

        if (back > 0) {
                limit->spent -= back < limit->spent ? (unsigned)back : limit->spent;
                limit->since_us = now_us;
        }
        if (limit->spent >= LOG_BURST) {
                limit->dropped++;
                return false;
        }
        limit->spent++;
        *dropped_out = limit->dropped;
        limit->dropped = 0;
        return true;
}
