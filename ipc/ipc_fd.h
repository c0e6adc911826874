/* SPDX-License-Identifier: BSD-3-Clause */
/* Descriptors with an owner. */
#ifndef HG_IPC_FD_H
#define HG_IPC_FD_H

#include <unistd.h>

static inline void close_fdp(int *fd)
{
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

/* Closed at the end of its scope unless taken. */
#define cleanup_fd __attribute__((cleanup(close_fdp)))

/* Moves ownership out: the variable holds none any more. */
static inline int take_fd(int *fd)
{
        int taken = *fd;

        *fd = -1;
        return taken;
}

#endif
