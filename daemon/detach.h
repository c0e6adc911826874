/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients of gates that send and get many datagrams: the supervisor makes each a socket of its own, for the forward worker that holds the
 * gate, whose walls let it make none. */
#ifndef HG_DETACH_H
#define HG_DETACH_H

#include "children.h"
#include "gates.h"
#include "ipc_forward.h"

/* Answers @child, which asks for one to a client of one of its gates. */
void detach(const struct gates *gates, struct child *child, const struct ipc_session_detach *asked);

#endif
