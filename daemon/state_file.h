/* SPDX-License-Identifier: BSD-3-Clause */
/* Files in the state directory that one instance keeps open as long as it runs. */
#ifndef HG_STATE_FILE_H
#define HG_STATE_FILE_H

#include <sys/types.h>

/* Opens or makes the file at @path: 0600, of @uid:@gid, locked for this process alone. Its descriptor, or -errno; -EPERM: not a file,
 * or others may read or write it; -EWOULDBLOCK: another instance has it. */
int state_file_open(const char *path, uid_t uid, gid_t gid);

#endif
