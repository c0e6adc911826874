/* SPDX-License-Identifier: BSD-3-Clause */
#include "words.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { CHUNKS_PER_TURN = 16 };

static void say(struct words *words)
{
        words->line[words->len] = '\0';
        if (words->len > 0)
                words->on_line(words->context, words->line);
        words->len = 0;
}

static void take(struct words *words, const char *bytes, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                if (bytes[i] == '\n' || words->len == sizeof(words->line) - 1)
                        say(words);
                if (bytes[i] != '\n')
                        words->line[words->len++] = bytes[i];
        }
}

/* False: nothing more will come. */
static bool read_some(struct words *words)
{
        char bytes[1024];

        for (int i = 0; i < CHUNKS_PER_TURN; i++) {
                ssize_t len = read(words->fd, bytes, sizeof(bytes));

                if (len <= 0)
                        return len < 0 && (errno == EAGAIN || errno == EINTR);
                take(words, bytes, (size_t)len);
        }
        return true;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct words *words = watcher->data;

        if (!read_some(words))
                ev_io_stop(loop, watcher);
}

void words_init(struct words *words, struct ev_loop *loop, int fd, void (*on_line)(void *context, const char *line), void *context)
{
        *words = (struct words){ .fd = fd, .on_line = on_line, .context = context };
        ev_io_init(&words->readable, on_readable, fd, EV_READ);
        words->readable.data = words;
        ev_io_start(loop, &words->readable);
}

void words_fini(struct words *words, struct ev_loop *loop)
{
        if (words->fd < 0)
                return;
        read_some(words);
        say(words);
        ev_io_stop(loop, &words->readable);
        close(words->fd);
        words->fd = -1;
}
