/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "syscall_name.h"
#include "test.h"

#include <linux/audit.h>
#include <sys/syscall.h>

static void check_escaped(const char *text, size_t len, const char *expected)
{
        char out[64];

        check_equal(log_escape(out, sizeof(out), text, len), strlen(expected));
        check(strcmp(out, expected) == 0);
}

TEST(what_could_command_a_terminal_is_made_visible)
{
        check_escaped("gate 8000 open", 14, "gate 8000 open");
        check_escaped("\033[2J", 4, "\\x1b[2J");
        check_escaped("two\nlines\r\t", 11, "two\\x0alines\\x0d\\x09");
        check_escaped("back\\slash", 10, "back\\\\slash");
        check_escaped("nul\0inside", 10, "nul\\x00inside");
        check_escaped("\xe2\x80\xae turned", 10, "\\xe2\\x80\\xae turned");
        check_escaped("\x7f", 1, "\\x7f");
        check_escaped("", 0, "");
}

TEST(an_escape_is_never_cut_in_half)
{
        char out[8];

        check_equal(log_escape(out, sizeof(out), "abcd\n", 5), 4);
        check(strcmp(out, "abcd") == 0);
        check_equal(log_escape(out, sizeof(out), "abc\n", 4), 7);
        check(strcmp(out, "abc\\x0a") == 0);
        check_equal(log_escape(out, sizeof(out), "abcdef\\", 7), 6);
        check_equal(log_escape(out, 1, "x", 1), 0);
        check(out[0] == '\0');
}

TEST(a_worker_may_not_speak_in_our_name)
{
        check(log_field_allowed("HYPERGATE_PEER=ab"));
        check(log_field_allowed("HYPERGATE_GATE="));
        check(!log_field_allowed("MESSAGE=x"));
        check(!log_field_allowed("PRIORITY=0"));
        check(!log_field_allowed("SYSLOG_IDENTIFIER=sshd"));
        check(!log_field_allowed("HYPERGATE_WORKER=router"));
        check(!log_field_allowed("HYPERGATE_INSTANCE=x"));
        check(!log_field_allowed("CODE_FILE=x"));
        check(!log_field_allowed("_PID=1"));
        check(!log_field_allowed("lower=x"));
        check(!log_field_allowed("1A=x"));
        check(!log_field_allowed("NO_VALUE"));
        check(!log_field_allowed("=x"));
        check(!log_field_allowed(""));
        check(!log_field_allowed("A B=x"));
}

TEST(who_says_too_much_is_cut_short_and_counted)
{
        struct log_limit limit = { 0 };
        unsigned dropped = 99;
        usec_t now_us = SECONDS(1000);

        for (int i = 0; i < LOG_BURST; i++) {
                check(log_limit_take(&limit, now_us, &dropped));
                check_equal(dropped, 0);
        }
        for (int i = 0; i < 7; i++)
                check(!log_limit_take(&limit, now_us, &dropped));
        now_us += SECONDS(1) / LOG_PER_SECOND;
        check(log_limit_take(&limit, now_us, &dropped));
        check_equal(dropped, 7);
        check(!log_limit_take(&limit, now_us, &dropped));
        now_us += MINUTES(10);
        for (int i = 0; i < LOG_BURST; i++)
                check(log_limit_take(&limit, now_us, &dropped));
        check(!log_limit_take(&limit, now_us, &dropped));
}

TEST(lines_go_to_the_journal_only_when_stderr_is_the_journal)
{
        struct log log;

        log_init(&log, NULL);
        check(!log.journal);
        log_init(&log, "1:1");
        check(!log.journal);
        log_init(&log, "nonsense");
        check(!log.journal);
}

TEST(system_calls_have_names)
{
#ifdef __x86_64__
        check(strcmp(syscall_name(SYS_openat, AUDIT_ARCH_X86_64), "openat") == 0);
        check(strcmp(syscall_name(SYS_execve, AUDIT_ARCH_X86_64), "execve") == 0);
        check(strcmp(syscall_name(SYS_openat, AUDIT_ARCH_I386), "?") == 0);
        check(strcmp(syscall_name(60000, AUDIT_ARCH_X86_64), "?") == 0);
#endif
        check(strcmp(syscall_name(1, 0xffffffff), "?") == 0);
}
