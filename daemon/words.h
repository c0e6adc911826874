/* SPDX-License-Identifier: BSD-3-Clause */
/* What a worker writes to its standard error: a failed assertion, a sanitizer's report. By lines. */
#ifndef HG_WORDS_H
#define HG_WORDS_H

#include <ev.h>
#include <stddef.h>

struct words {
        ev_io readable;
        int fd;                         /* -1: none */
        size_t len;
        char line[512];
        void (*on_line)(void *context, const char *line);       /* a longer line comes in pieces */
        void *context;
};

/* Takes @fd, non-blocking. */
void words_init(struct words *words, struct ev_loop *loop, int fd, void (*on_line)(void *context, const char *line), void *context);

/* Reads what is there, says what is left without a newline, closes. */
void words_fini(struct words *words, struct ev_loop *loop);

#endif
