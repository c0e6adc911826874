/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether we are in a container, and in which. */
#ifndef HG_CONTAINER_H
#define HG_CONTAINER_H

#include <stdbool.h>

#include "ipc_docker.h"

/* One line of mountinfo, as proc(5) has it: an engine brings files such as /etc/hostname from a folder that is named after the container.
 * False: this line is none of these. */
bool container_line(const char *line, char out[IPC_CONTAINER_ID_MAX]);

/* Ours; "" outside of any. */
void container_self(char out[IPC_CONTAINER_ID_MAX]);

#endif
