/* SPDX-License-Identifier: BSD-3-Clause */
/* A process of its own for a program of ours: fork and exec, with nothing of ours left in it. */
#ifndef HG_SPAWN_H
#define HG_SPAWN_H

#include <sys/types.h>

#include "oom_score.h"

struct spawn {
        const char *path;               /* the executable */
        char *const *argv;              /* for people who look at the list of processes; no secret */
        int null_fd;                    /* its standard input: /dev/null */
        int link_fd;                    /* becomes descriptor 3 */
        int words_fd;                   /* its standard output and error */
        const struct oom_score *oom_score;      /* NULL: it is as dear to the kernel as we are */
};

/* The child has those descriptors and no other, an empty environment, default signals, no capability, a session of its
 * own (Ctrl-C is the supervisor's), and dies with us. When the program can't be executed it says so on @words_fd and ends
 * with code 71 (EX_OSERR). 0 or -errno. */
int spawn(const struct spawn *spawn, pid_t *pid_out);

#endif
