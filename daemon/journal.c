/* SPDX-License-Identifier: BSD-3-Clause */
#include "journal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "ipc_fd.h"

void journal_open(struct journal *journal, const char *path)
{
        struct timeval patience = { .tv_sec = 1 };      /* a journal that hangs must not hold us up for good */

        *journal = (struct journal){ .fd = -1, .at.sun_family = AF_UNIX };
        snprintf(journal->at.sun_path, sizeof(journal->at.sun_path), "%s", path);
        journal->state = calloc(1, sizeof(*journal->state));
        if (journal->state)
                journal->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (journal->fd >= 0)
                setsockopt(journal->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

void journal_close(struct journal *journal)
{
        close_fdp(&journal->fd);
        free(journal->state);
        journal->state = NULL;
}

enum journal_answer journal_send(const struct journal *journal, const struct iovec *fields, size_t count)
{
        struct iovec lines[2 * JOURNAL_FIELDS_MAX];
        struct sockaddr_un at = journal->at;
        struct msghdr entry = { .msg_name = &at, .msg_namelen = sizeof(at), .msg_iov = lines, .msg_iovlen = 2 * count };
        struct journal_state *state = journal->state;
        char line_end = '\n';

        assert(count <= JOURNAL_FIELDS_MAX);
        for (size_t i = 0; i < count; i++) {
                lines[2 * i] = fields[i];
                lines[2 * i + 1] = (struct iovec){ &line_end, 1 };
        }
        if (sendmsg(journal->fd, &entry, MSG_NOSIGNAL | (state->hangs ? MSG_DONTWAIT : 0)) < 0) {
                if (errno != EAGAIN)
                        return JOURNAL_GONE;
                state->hangs = true;
                state->lost++;
                return JOURNAL_HANGS;
        }
        state->hangs = false;
        return JOURNAL_TAKEN;
}

unsigned journal_lost(const struct journal *journal)
{
        unsigned lost = journal->state->lost;

        journal->state->lost = 0;
        return lost;
}
