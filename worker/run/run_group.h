/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that a control group limits (Linux Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst). The kernel does not refuse
 * there, it kills. So a worker that may grow takes half of it as a limit of its own, at which it refuses politely. Before it is
 * confined. */
#ifndef HG_RUN_GROUP_H
#define HG_RUN_GROUP_H

#include <stdint.h>

/* Bytes that the groups this process is in allow, the least of them; UINT64_MAX: all, or nothing can be read. @root: "", or a folder
 * in which to look for proc and sys. */
uint64_t run_group_limit(const char *root);

/* RLIMIT_DATA for a group that allows @limit_bytes: half of it, but not so little that a worker could not begin. A lower one stays. */
void run_group_share(uint64_t limit_bytes);

#endif
