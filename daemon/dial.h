/* SPDX-License-Identifier: BSD-3-Clause */
/* Services that are unix sockets: the supervisor connects to them for forward workers, whose walls let them reach none. */
#ifndef HG_DIAL_H
#define HG_DIAL_H

#include "children.h"
#include "ipc_forward.h"
#include "services.h"

/* Answers @child, which asks for one of its services. */
void dial(const struct services *services, struct child *child, const struct ipc_service_dial *asked);

/* On this machine it is done at once: nobody is waited for. The descriptor, or -errno; -EAGAIN: who listens has more than it accepts. @path fits
 * a struct sockaddr_un. */
int dial_unix(const char *path);

#endif
