/* SPDX-License-Identifier: BSD-3-Clause */
/* What a worker says for the log: checked, limited, and with its name on it. */
#ifndef HG_CHILD_LOG_H
#define HG_CHILD_LOG_H

#include "children.h"

void child_log(struct child *child, const struct ipc_log *log);

/* A line of its standard error. */
void child_log_words(struct child *child, const char *line);

#endif
