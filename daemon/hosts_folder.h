/* SPDX-License-Identifier: BSD-3-Clause */
/* Where helpers of the virtual network find their socket: a folder that nobody else enters. */
#ifndef HG_HOSTS_FOLDER_H
#define HG_HOSTS_FOLDER_H

#include <sys/types.h>

/* Makes the folder of @path, and the one around it, as far as they are missing: the inner one @uid's, and its alone. 0 or -errno; -EPERM:
 * it is somebody else's. */
int hosts_folder_make(const char *path, uid_t uid, gid_t gid);

#endif
