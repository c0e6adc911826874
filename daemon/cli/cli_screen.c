/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

/* ECMA-48, and xterm's other screen: what was there before comes back. */
#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[0m\033[?25h\033[?1049l"
#define HOME "\033[H"
#define CLEAR_LINE "\033[K"
#define CLEAR_BELOW "\033[J"

/* Lines begin with one of these where they are no plain ones; no printable text does. */
enum { HEADING = 1, STRESS = 2, KEYS_MAX = 64 };

/* Signals that end nobody, or can't be helped (SIGKILL), or that we mind ourselves. */
static const int not_ending[] = { SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGCHLD, SIGURG, SIGWINCH, SIGPIPE };

/* Of the terminal that is shown, for a handler. */
static struct termios before_ending;

static void on_ending(int number)
{
        tcsetattr(STDIN_FILENO, TCSANOW, &before_ending);
        if (write(STDOUT_FILENO, LEAVE, strlen(LEAVE)) < 0)
                _exit(128 + number);
        raise(number);                  /* as it would have been: SA_RESETHAND */
}

static bool is_ending(int number)
{
        for (size_t i = 0; i < sizeof(not_ending) / sizeof(not_ending[0]); i++)
                if (not_ending[i] == number)
                        return false;
        return true;
}

/* All others end us, be it by a mistake of ours: at once, whatever we wait for, but the terminal is given back first. Those that the C library
 * keeps to itself are refused. */
static void watch_ending(bool watch)
{
        struct sigaction action = { .sa_handler = watch ? on_ending : SIG_DFL, .sa_flags = watch ? (int)SA_RESETHAND : 0 };

        for (int number = 1; number <= SIGRTMAX; number++)
                if (is_ending(number))
                        sigaction(number, &action, NULL);
}

static bool write_all(const char *text, size_t len)
{
        while (len > 0) {
                ssize_t wrote = write(STDOUT_FILENO, text, len);

                if (wrote < 0 && errno != EINTR)
                        return false;
                text += wrote > 0 ? wrote : 0;
                len -= wrote > 0 ? (size_t)wrote : 0;
        }
        return true;
}

static void measure(struct cli_screen *screen)
{
        struct winsize size;

        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0)
                size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
        screen->rows = size.ws_row;
        screen->columns = size.ws_col;
}

static void take_terminal(struct cli_screen *screen)
{
        struct termios ours;

        if (!screen->terminal || screen->shown)
                return;
        screen->shown = true;
        measure(screen);
        screen->keys = tcgetattr(STDIN_FILENO, &screen->before) == 0;
        before_ending = screen->before;
        watch_ending(true);
        ours = screen->before;
        ours.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        ours.c_cc[VMIN] = 0;
        ours.c_cc[VTIME] = 0;
        if (screen->keys)
                tcsetattr(STDIN_FILENO, TCSANOW, &ours);
        write_all(ENTER, strlen(ENTER));
}

static void give_back(struct cli_screen *screen)
{
        if (!screen->shown)
                return;
        screen->shown = false;
        write_all(LEAVE, strlen(LEAVE));
        if (screen->keys)
                tcsetattr(STDIN_FILENO, TCSAFLUSH, &screen->before);
        watch_ending(false);
}

int cli_screen_init(struct cli_screen *screen)
{
        const char *kind = getenv("TERM");
        sigset_t set;

        *screen = (struct cli_screen){ .terminal = isatty(STDOUT_FILENO) && kind && *kind && strcmp(kind, "dumb") != 0, .signals = -1 };
        screen->colours = screen->terminal && !getenv("NO_COLOR");
        if (!screen->terminal)
                return 0;
        sigemptyset(&set);
        sigaddset(&set, SIGTSTP);
        sigaddset(&set, SIGWINCH);
        signal(SIGPIPE, SIG_IGN);
        screen->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (screen->signals < 0 || sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        take_terminal(screen);
        return 0;
}

void cli_screen_fini(struct cli_screen *screen)
{
        give_back(screen);
        if (screen->out)
                fclose(screen->out);
        free(screen->text);
        if (screen->signals >= 0)
                close(screen->signals);
}

bool cli_screen_begin(struct cli_screen *screen)
{
        screen->out = open_memstream(&screen->text, &screen->len);
        return screen->out;
}

static void mark(struct cli_screen *screen, int kind, const char *line)
{
        fprintf(screen->out, "%c%s\n", kind, line);
}

void cli_screen_heading(struct cli_screen *screen, const char *line)
{
        mark(screen, HEADING, line);
}

void cli_screen_stress(struct cli_screen *screen, const char *line)
{
        mark(screen, STRESS, line);
}

static bool is_marked(char first)
{
        return first == HEADING || first == STRESS;
}

/* One line of the page, without what does not fit. */
static void put_line(const struct cli_screen *screen, FILE *out, const char *line, size_t len)
{
        char kind = len > 0 && is_marked(*line) ? *line : 0;
        size_t room = screen->terminal ? screen->columns - 1 : len;     /* in the last column terminals differ */
        const char *colour = !screen->colours ? "" : kind == HEADING ? "\033[1m" : kind == STRESS ? "\033[33m" : "";

        line += kind != 0;
        len -= kind != 0;
        fprintf(out, "%s%.*s%s%s", colour, (int)(len < room ? len : room), line, *colour ? "\033[0m" : "",
                screen->terminal ? CLEAR_LINE : "\n");
}

static size_t count_lines(const char *text, size_t len)
{
        size_t count = 0;

        for (size_t i = 0; i < len; i++)
                count += text[i] == '\n';
        return count;
}

/* A screen full; the last line says when there is more. No line ends with a newline that would move it all up. */
static void put_page(const struct cli_screen *screen, FILE *out)
{
        size_t lines = count_lines(screen->text, screen->len), fit = screen->terminal && lines > screen->rows ? screen->rows - 1 : lines;
        const char *at = screen->text, *end = screen->text + screen->len;

        for (size_t i = 0; i < fit; i++) {
                size_t len = (size_t)((const char *)memchr(at, '\n', (size_t)(end - at)) - at);

                put_line(screen, out, at, len);
                if (screen->terminal && i + 1 < screen->rows)
                        fputs("\r\n", out);
                at += len + 1;
        }
        if (fit < lines) {
                char more[64];
                int len = snprintf(more, sizeof(more), "%c... %zu lines more: they need a larger terminal", STRESS, lines - fit);

                put_line(screen, out, more, (size_t)len);
        }
}

bool cli_screen_show(struct cli_screen *screen)
{
        bool good = fclose(screen->out) == 0;
        char *whole = NULL;
        size_t len = 0;
        FILE *out = good ? open_memstream(&whole, &len) : NULL;

        screen->out = NULL;
        if (out) {
                fputs(screen->terminal ? HOME : "", out);
                put_page(screen, out);
                fputs(screen->terminal ? CLEAR_BELOW : "", out);
                good = fclose(out) == 0 && write_all(whole, len);       /* at once: it does not flicker */
        }
        free(whole);
        free(screen->text);
        screen->text = NULL;
        return out && good;
}

/* As if we had not been there: the shell has its terminal until we go on. */
static void stop(struct cli_screen *screen)
{
        sigset_t set;

        give_back(screen);
        sigemptyset(&set);
        sigaddset(&set, SIGTSTP);
        raise(SIGTSTP);
        sigprocmask(SIG_UNBLOCK, &set, NULL);   /* here */
        sigprocmask(SIG_BLOCK, &set, NULL);
        take_terminal(screen);
}

static enum cli_screen_event on_signal(struct cli_screen *screen)
{
        struct signalfd_siginfo info;

        if (read(screen->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
                return CLI_SCREEN_TIME;
        if (info.ssi_signo == SIGTSTP)
                stop(screen);
        else
                measure(screen);
        return CLI_SCREEN_AGAIN;
}

/* q ends it, also when it came with others; a terminal that is gone does, too. */
static enum cli_screen_event on_keys(void)
{
        char keys[KEYS_MAX];
        ssize_t got = read(STDIN_FILENO, keys, sizeof(keys));

        if (got < 0)
                return errno == EAGAIN || errno == EINTR ? CLI_SCREEN_AGAIN : CLI_SCREEN_QUIT;
        return got == 0 || memchr(keys, 'q', (size_t)got) || memchr(keys, 'Q', (size_t)got) ? CLI_SCREEN_QUIT : CLI_SCREEN_AGAIN;
}

long long cli_screen_now_us(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

enum cli_screen_event cli_screen_wait(struct cli_screen *screen, long long deadline_us)
{
        for (;;) {
                struct pollfd ready[] = { { .fd = screen->signals, .events = POLLIN },
                                          { .fd = screen->terminal && screen->keys ? STDIN_FILENO : -1, .events = POLLIN } };
                long long left_us = deadline_us - cli_screen_now_us();
                enum cli_screen_event event = CLI_SCREEN_TIME;

                if (left_us <= 0 || (poll(ready, 2, (int)((left_us + 999) / 1000)) < 0 && errno != EINTR))
                        return CLI_SCREEN_TIME;
                if (ready[0].revents)
                        event = on_signal(screen);
                else if (ready[1].revents)
                        event = on_keys();
                if (event != CLI_SCREEN_TIME)
                        return event;
        }
}
