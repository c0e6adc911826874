/* SPDX-License-Identifier: BSD-3-Clause */
/* Who we are: never root unless told so, and what is given up is gone for good. */
#ifndef HG_PRIVILEGES_H
#define HG_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "conf.h"

struct privileges {
        bool drops;                     /* we are root now and shall become @uid */
        uid_t uid;
        gid_t gid;
};

enum privileges_verdict {
        PRIVILEGES_OK,
        PRIVILEGES_ROOT,                /* root, and nobody said that it may be or whom to become */
        PRIVILEGES_NO_USER,             /* no such user */
        PRIVILEGES_USER_IS_ROOT,        /* to become root is no way of dropping */
        PRIVILEGES_NOT_ROOT,            /* only root can become somebody else */
};

/* What shall become of us. @user: or NULL. */
enum privileges_verdict privileges_plan(struct privileges *plan, const char *user, bool allow_root);

/* Becomes that user: groups, ids, every capability; checks that nothing leads back. Without @plan->drops it changes
 * nothing. 0 or -errno; -EPERM when a way back was found. */
int privileges_drop(const struct privileges *plan);

/* No core dump, no ptrace by others of our user, no privileges by exec, as many descriptors as allowed. 0 or -errno. */
int privileges_harden(void);

/* From here on neither we nor what we start can change, make or remove a file, but unix sockets (and remove what is) where @conf listens at
 * some: Landlock, where the kernel has it. 0 or -errno. */
int privileges_renounce_writing(const struct conf *conf);

#endif
