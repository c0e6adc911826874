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

struct journal {
        int fd;                         /* -1: it is not spoken to */
        struct sockaddr_un at;          /* named in each call: the journal's socket may be made anew */
};

/* @path: JOURNAL_SOCKET, but for tests. */
void journal_open(struct journal *journal, const char *path);
void journal_close(struct journal *journal);

/* One entry. Each of the @fields, JOURNAL_FIELDS_MAX at most, is "NAME=value" without a new line in it. False: the journal did not take it
 * within a second. */
bool journal_send(const struct journal *journal, const struct iovec *fields, size_t count);

#endif
