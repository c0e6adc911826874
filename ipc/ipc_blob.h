/* SPDX-License-Identifier: BSD-3-Clause */
/* What has no fixed size rides as a sealed memory file: its reader knows that nobody can change it under its eyes. */
#ifndef HG_IPC_BLOB_H
#define HG_IPC_BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A sealed copy of @len (1..IPC_BLOB_MAX) bytes; the descriptor is the caller's. -errno; -EMSGSIZE for a bad length. */
int ipc_blob_new(const void *bytes, size_t len);

/* Whether it is one that nobody can change any more: reading it waits for nobody. */
bool ipc_blob_is_sealed(int fd);

/* Reads all of it into memory that the caller frees. -EPROTO when it isn't sealed or not exactly @len bytes, -errno. */
int ipc_blob_read(int fd, size_t len, uint8_t **bytes_out);

#endif
