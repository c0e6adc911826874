/* SPDX-License-Identifier: BSD-3-Clause */
#include "oom_score.h"

#include <fcntl.h>
#include <linux/oom.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cleanup.h"
#include "ipc_fd.h"

static void set(const struct oom_score *score, int value)
{
        char text[16];
        int len = snprintf(text, sizeof(text), "%d", value);

        if (score->fd >= 0)
                (void)!pwrite(score->fd, text, (size_t)len, 0);
}

void oom_score_init(struct oom_score *score)
{
        char text[16] = "";

        score->fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
        if (score->fd >= 0 && pread(score->fd, text, sizeof(text) - 1, 0) > 0)
                score->own = atoi(text);
        else
                close_fdp(&score->fd);
}

void oom_score_fini(struct oom_score *score)
{
        close_fdp(&score->fd);
}

void oom_score_raise(const struct oom_score *score)
{
        set(score, MIN(MAX(score->own + OOM_SCORE_OF_WORKERS, 0), OOM_SCORE_ADJ_MAX));
}

void oom_score_lower(const struct oom_score *score)
{
        set(score, score->own);
}
