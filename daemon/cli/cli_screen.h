/* SPDX-License-Identifier: BSD-3-Clause */
/* A terminal that shows one page, again and again, and is given back as it was: at every end that can be noticed, and while it is stopped.
 * Where the output is no terminal, pages follow each other as plain text. */
#ifndef HG_CLI_SCREEN_H
#define HG_CLI_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <termios.h>

struct cli_screen {
        bool terminal;                  /* else: plain pages */
        bool keys;                      /* which are read from stdin */
        bool colours;
        bool shown;                     /* the terminal is ours now */
        int signals;                    /* a signalfd: another size, and to be stopped */
        struct termios before;
        unsigned rows, columns;         /* of the terminal */
        FILE *out;                      /* the page in the making */
        char *text;
        size_t len;
};

/* Why a wait is over. */
enum cli_screen_event {
        CLI_SCREEN_TIME,
        CLI_SCREEN_AGAIN,               /* another size, a key, or it was stopped and goes on: draw again */
        CLI_SCREEN_QUIT,                /* somebody pressed q */
};

/* 0 or -errno. One at a time. */
int cli_screen_init(struct cli_screen *screen);
void cli_screen_fini(struct cli_screen *screen);

/* A new page: lines of printable ASCII are printed to screen->out. It is cut at the edges of the screen when it is shown; false: nobody reads
 * it any more, or no memory. */
bool cli_screen_begin(struct cli_screen *screen);
bool cli_screen_show(struct cli_screen *screen);

/* A line that is a heading, and one that people shall look at; others are printed to screen->out. */
void cli_screen_heading(struct cli_screen *screen, const char *line);
void cli_screen_stress(struct cli_screen *screen, const char *line);

/* Until @deadline_us of the monotonic clock, or something happens. */
enum cli_screen_event cli_screen_wait(struct cli_screen *screen, long long deadline_us);

long long cli_screen_now_us(void);

#endif
