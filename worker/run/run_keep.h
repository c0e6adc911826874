/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory with keys in it, which belongs into no swap space and no dump. */
#ifndef HG_RUN_KEEP_H
#define HG_RUN_KEEP_H

/* All that the heap holds now: for who has just been told its keys, and has put them where they stay. As far as RLIMIT_MEMLOCK
 * lets it; what comes later is not among it. */
void run_keep_heap(void);

#endif
