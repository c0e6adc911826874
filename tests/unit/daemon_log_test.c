/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
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
        check(!log_field_allowed("HYPERGATE_ROUTER=x"));
        check(!log_field_allowed("HYPERGATE_EVENT=ready"));
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
        check(log.journal.fd < 0);
        log_init(&log, "1:1");
        check(log.journal.fd < 0);
        log_init(&log, "nonsense");
        check(log.journal.fd < 0);
}

/* What is in the place of the journal, and what it was told: a field a line, without what was said before. */
struct listener {
        int fd;
        char path[64];
};

static char journal[16384];

static void listen_as_journal(struct listener *listener, struct log *log)
{
        struct sockaddr_un at = { .sun_family = AF_UNIX };

        snprintf(listener->path, sizeof(listener->path), "/tmp/hypergate-journal-%d", getpid());
        snprintf(at.sun_path, sizeof(at.sun_path), "%s", listener->path);
        listener->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        check(bind(listener->fd, (const struct sockaddr *)&at, sizeof(at)) == 0);
        *log = (struct log){ .level = LOG_INFO };
        journal_open(&log->journal, listener->path);
        journal[0] = '\0';
}

static void hear(struct listener *listener)
{
        ssize_t len = recv(listener->fd, journal, sizeof(journal) - 1, MSG_DONTWAIT);

        journal[MAX(len, 0)] = '\0';
}

static void listen_no_more(struct listener *listener, struct log *log)
{
        journal_close(&log->journal);
        close(listener->fd);
        unlink(listener->path);
}

static bool has_line(const char *line)
{
        const char *found = strstr(journal, line);

        return found && (found == journal || found[-1] == '\n') && found[strlen(line)] == '\n';
}

TEST(an_event_goes_to_the_journal_with_its_names)
{
        struct ipc_fields fields = IPC_FIELDS_INIT;
        uint8_t key[IPC_KEY_BYTES];
        struct listener listener;
        struct log log;

        listen_as_journal(&listener, &log);
        memset(key, 0xab, sizeof(key));
        log_instance(&log, "r\\1", LOG_INFO);
        log_router(&log, key);
        ipc_fields_key(&fields, "PEER", key);
        ipc_fields_gate(&fields, 53, IPC_UDP);
        ipc_fields_text(&fields, "REASON", "\033[2J of a stranger\n");
        log_event(&log, IPC_EVENT_GATE_OPEN, LOG_NOTICE, fields.list, "gate %u open\n", 53);
        hear(&listener);
        check(has_line("MESSAGE=gate 53 open\\x0a") && has_line("PRIORITY=5") && has_line("SYSLOG_IDENTIFIER=hypergated"));
        check(has_line("HYPERGATE_INSTANCE=r\\\\1") && has_line("HYPERGATE_EVENT=gate-open"));
        check(has_line("MESSAGE_ID=be9c7128fcf94e349e52fb04b4b6730a"));
        check(has_line("HYPERGATE_ROUTER=abababababababababababababababababababababababababababababababab"));
        check(has_line("HYPERGATE_PEER=abababababababababababababababababababababababababababababababab"));
        check(has_line("HYPERGATE_GATE_PORT=53") && has_line("HYPERGATE_PROTOCOL=udp"));
        check(has_line("HYPERGATE_REASON=\\x1b[2J of a stranger\\x0a"));

        log_notice(&log, "no event");
        hear(&listener);
        check(has_line("MESSAGE=no event") && !strstr(journal, "MESSAGE_ID") && !strstr(journal, "EVENT"));
        log_event(&log, IPC_EVENT_GATE_OPEN, LOG_DEBUG, NULL, "not of interest");
        hear(&listener);
        check(journal[0] == '\0');
        listen_no_more(&listener, &log);
}

TEST(what_the_journal_does_not_take_is_said_on_stderr)
{
        int both[2], before = dup(STDERR_FILENO);
        struct listener listener;
        char text[256] = "";
        struct log log;

        listen_as_journal(&listener, &log);
        unlink(listener.path);
        check(pipe(both) == 0);
        dup2(both[1], STDERR_FILENO);
        log_notice(&log, "gate 53 open");
        dup2(before, STDERR_FILENO);
        close(both[1]);
        check(read(both[0], text, sizeof(text) - 1) > 0);
        check(strcmp(text, "hypergated: gate 53 open\n") == 0);
        close(both[0]);
        close(before);
        listen_no_more(&listener, &log);
}

TEST(a_journal_that_hangs_holds_us_up_once_and_is_told_what_it_missed)
{
        unsigned said = 0, heard = 0;
        struct listener listener;
        struct timespec began, ended;
        struct log log;

        listen_as_journal(&listener, &log);
        while (!log.journal.state->hangs && said < 100000) {    /* until its queue is full */
                log_notice(&log, "gate %u open", said);
                said++;
        }
        check_equal(log.journal.state->lost, 1);
        clock_gettime(CLOCK_MONOTONIC, &began);
        for (unsigned i = 0; i < 20; i++)
                log_notice(&log, "gate closed");
        clock_gettime(CLOCK_MONOTONIC, &ended);
        check(ended.tv_sec - began.tv_sec < 10);
        check_equal(log.journal.state->lost, 21);
        for (hear(&listener); journal[0]; hear(&listener))
                heard++;
        check_equal(heard, said - 1);
        log_notice(&log, "gate open again");
        hear(&listener);
        check(has_line("MESSAGE=gate open again"));
        hear(&listener);
        check(has_line("MESSAGE=21 lines are lost: the journal took none for a while") && has_line("PRIORITY=4"));
        log_notice(&log, "gate still open");
        hear(&listener);
        check(has_line("MESSAGE=gate still open"));
        hear(&listener);
        check(journal[0] == '\0');
        listen_no_more(&listener, &log);
}

TEST(fields_that_find_no_room_are_left_out)
{
        struct ipc_fields fields = IPC_FIELDS_INIT;
        struct listener listener;
        struct log log;
        char text[IPC_FIELDS_BYTES];

        memset(text, '\n', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        listen_as_journal(&listener, &log);
        ipc_fields_text(&fields, "LONG", text);
        check_equal(fields.count, 0);
        text[IPC_FIELDS_BYTES - 100] = '\0';
        ipc_fields_text(&fields, "LONG", text);
        for (unsigned i = 0; i < 2 * IPC_FIELDS_MAX; i++)
                ipc_fields_number(&fields, "A", i);
        check(fields.count > 1 && fields.count <= IPC_FIELDS_MAX && !fields.list[fields.count]);
        log_event(&log, IPC_EVENT_NONE, LOG_INFO, fields.list, "x");
        hear(&listener);
        check(strstr(journal, "HYPERGATE_LONG=\\x0a\\x0a") && has_line("HYPERGATE_A=0"));
        listen_no_more(&listener, &log);
}

TEST(every_event_has_a_word_and_an_id)
{
        for (uint32_t event = IPC_EVENT_NONE + 1; event < IPC_EVENT_COUNT; event++) {
                unsigned speakers = 0;

                check(ipc_event_word(event) && strlen(ipc_event_id(event)) == 32);
                for (uint32_t role = 0; role < IPC_ROLES; role++)
                        speakers += ipc_event_is_of(event, role) != 0;
                check(speakers == 1 || event == IPC_EVENT_SHORT_OF);
        }
        check(!ipc_event_word(IPC_EVENT_NONE) && !ipc_event_word(IPC_EVENT_COUNT) && !ipc_event_id(IPC_EVENT_COUNT));
        check(ipc_event_is_of(IPC_EVENT_NONE, IPC_ROUTER) && !ipc_event_is_of(IPC_EVENT_COUNT, IPC_ROUTER));
        check(!ipc_event_is_of(IPC_EVENT_READY, IPC_ROUTER));
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
