/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kinds of NATs, of ways to a peer and of ends of a channel are called, in the journal as in answers to people. A number that
 * has no name is "unknown". */
#ifndef HG_IPC_WORDS_H
#define HG_IPC_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

const char *ipc_nat_word(uint32_t nat);         /* enum ipc_nat */
const char *ipc_path_word(uint32_t path);       /* enum ipc_path */
const char *ipc_reason_word(uint32_t reason);   /* enum ipc_reason */

/* Whether each of these labels ends, within @size bytes. */
bool ipc_labels_end(const char *labels, size_t size);

/* "vip,office": labels of which each ends with NUL, the first empty one being none. At most @size bytes, with the NUL. Returns @out. */
const char *ipc_labels_text(const char *labels, char *out, size_t size);

#endif
