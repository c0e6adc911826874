/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipc_journal.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

bool ipc_journal_has_stderr(const char *journal_stream)
{
        unsigned long long device, inode;
        struct stat out;

        return journal_stream && sscanf(journal_stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &out) == 0 &&
               out.st_dev == (dev_t)device && out.st_ino == (ino_t)inode;
}
