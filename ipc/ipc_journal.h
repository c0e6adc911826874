/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether what a process says ends in the journal: systemd.exec(5), $JOURNAL_STREAM. */
#ifndef HG_IPC_JOURNAL_H
#define HG_IPC_JOURNAL_H

#include <stdbool.h>

/* @journal_stream: the variable, or NULL. A standard error that leads elsewhere since does not count. */
bool ipc_journal_has_stderr(const char *journal_stream);

#endif
