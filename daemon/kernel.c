/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernel.h"

#include <linux/landlock.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"

/* Landlock's ABI that brought it, and the Linux of that. What needs no more than seccomp is not here. */
static const struct { int abi; const char *since, *what, *open; } features[] = {
        { 1, "5.13", "files", "that the resolve worker may read any file its user may" },
        { 4, "6.7", "TCP ports", "that forward workers of services may connect to any TCP port, and the resolve worker, too" },
        { 6, "6.12", "abstract Unix sockets", "that the resolve worker may speak to those, where names are asked of local programs" },
};

int kernel_landlock(void)
{
        int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

        return MAX(abi, 0);
}

bool kernel_lacks(int landlock, char *out, size_t size)
{
        size_t len = 0;

        for (size_t i = 0; i < ARRAY_LEN(features); i++)
                if (landlock < features[i].abi && len < size)
                        len += (size_t)snprintf(out + len, size - len, "%sLandlock for %s (Linux %s), so %s", len ? "; " : "",
                                                features[i].what, features[i].since, features[i].open);
        return len > 0;
}
