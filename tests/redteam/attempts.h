/* SPDX-License-Identifier: BSD-3-Clause */
/* What a worker that was taken over might try, and what comes of it behind each wall. SECURITY.md shows the table. */
#ifndef HG_REDTEAM_ATTEMPTS_H
#define HG_REDTEAM_ATTEMPTS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "run_walls.h"

/* What the worker is told to try, on its link, and what it needs for that. */
struct order {
        uint32_t attempt;
        int32_t sibling;                /* a process of the same user that may be traced, */
        int32_t supervisor;             /* and who started the worker */
        uint16_t its_port;              /* of TCP, that the worker was started for, */
        uint16_t other_port;            /* and another one; somebody listens on both */
        uint32_t landlock;              /* the kernel knows no later ABI of it than this */
        char file[96];                  /* that anybody may read, */
        char folder[64];                /* and where anybody may make others */
        char name[64];                  /* of an abstract Unix socket that somebody listens on */
};

/* How that ended, on the same link. */
enum { REPORT = 0x7ea7ea };

struct report {
        uint32_t type;                  /* REPORT */
        int32_t status;                 /* of waitpid(2) */
};

enum outcome_kind {
        ENDED,                          /* the filter ended the worker and named the call */
        REFUSED,                        /* it was told so, by errno */
        KILLED,                         /* by a signal that nobody can catch or that says what it was */
        MAY,                            /* it is not refused */
};

struct outcome {
        enum outcome_kind kind;
        int what;                       /* the call, the errno or the signal (0: any) */
        int landlock;                   /* REFUSED where the kernel has that ABI; else it may */
};

struct attempt {
        const char *what;
        int (*try)(const struct order *order);  /* 0: it was possible; else the errno */
        struct outcome outcome[RUN_WALLS];
};

extern const struct attempt attempts[];
extern const size_t attempt_count;

#endif
