/* SPDX-License-Identifier: BSD-3-Clause */
/* The journal, told by its own protocol: a datagram an entry, a line a field (systemd.io/JOURNAL_NATIVE_PROTOCOL). */
#ifndef HG_JOURNAL_H
#define HG_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>
#include <sys/un.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

enum { JOURNAL_FIELDS_MAX = 28 };

/* What becomes of it, apart: whoever says something to a log does not change the log. */
struct journal_state {
        bool hangs;                     /* it had its time for the entry before, and took it not: none is waited for until it takes one */
        unsigned lost;                  /* entries since it last took one */
};

struct journal {
        int fd;                         /* -1: it is not spoken to */
        struct sockaddr_un at;          /* named in each call: the journal's socket may be made anew */
        struct journal_state *state;
};

enum journal_answer {
        JOURNAL_TAKEN,
        JOURNAL_HANGS,                  /* it is there and takes nothing: the entry is lost */
        JOURNAL_GONE,                   /* say it elsewhere */
};

/* @path: JOURNAL_SOCKET, but for tests. */
void journal_open(struct journal *journal, const char *path);
void journal_close(struct journal *journal);

/* One entry. Each of the @fields, JOURNAL_FIELDS_MAX at most, is "NAME=value" without a new line in it. A journal that is full is given a
 * second, once, until it takes something again. */
enum journal_answer journal_send(const struct journal *journal, const struct iovec *fields, size_t count);

/* How many entries were lost before the last one that it took; 0 from then on. */
unsigned journal_lost(const struct journal *journal);

#endif
