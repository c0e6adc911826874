/* SPDX-License-Identifier: BSD-3-Clause */
/* Where instances listen to people, as hypergated(8) makes it and hypergate(1) finds it: sockets NAME.sock in a folder. */
#ifndef HG_IPC_CONTROL_H
#define HG_IPC_CONTROL_H

#include <stdbool.h>
#include <sys/types.h>

#define IPC_CONTROL_SUFFIX ".sock"

/* Connects to the one at @path. 0 or -errno; -ECONNREFUSED: it is a socket, and whoever made it does not listen any more. */
int ipc_control_connect(const char *path, int *fd_out);

/* Whether it is a socket at which nobody listens now. */
bool ipc_control_is_dead(const char *path);

/* Removes a socket that nobody listens at. It is left where somebody does, where it is so new that its maker may be about to listen, or
 * where the folder is not ours to change. True: it is gone. */
bool ipc_control_sweep_one(const char *path);

/* The same for all in @folder, whoever left them; returns how many are gone. */
unsigned ipc_control_sweep(const char *folder);

#endif
