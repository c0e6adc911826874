/* SPDX-License-Identifier: BSD-3-Clause */
/* Of a group without memory the kernel kills the largest, and before that one is gone, another. Workers go first: the supervisor starts
 * them anew, and nobody starts the supervisor where there is no manager. A process may raise its own score and lower it to where it was
 * (fs/proc/base.c, __set_oom_adj()), and a child begins with its parent's: so it is raised for as long as a fork takes. Workers could
 * not say so themselves, for whom /proc is out of reach. */
#ifndef HG_OOM_SCORE_H
#define HG_OOM_SCORE_H

/* More than the supervisor's, in thousandths of the memory there is: little, for a whole machine's is meant where there is no group. Who
 * favours the supervisor, as our units do, does not favour workers. */
enum { OOM_SCORE_OF_WORKERS = 200 };

struct oom_score {
        int fd;                         /* -1: there is no /proc; then it is left to the kernel */
        int own;
};

/* Before privileges are given up, and with them what is needed to open it. */
void oom_score_init(struct oom_score *score);
void oom_score_fini(struct oom_score *score);

/* Who is forked in between has more. */
void oom_score_raise(const struct oom_score *score);
void oom_score_lower(const struct oom_score *score);

#endif
