/* SPDX-License-Identifier: BSD-3-Clause */
/* Opens what a helper is asked for, where it is. */
#ifndef HG_PORT_OPEN_H
#define HG_PORT_OPEN_H

#include "port_talk.h"

/* A TCP listener, or a bound UDP socket, as @asked (PORT_BIND) says. 0 or -errno. */
int port_open(const struct port_said *asked, int *fd_out);

#endif
