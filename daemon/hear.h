/* SPDX-License-Identifier: BSD-3-Clause */
/* What workers say, and whom it concerns. */
#ifndef HG_HEAR_H
#define HG_HEAR_H

#include "supervisor.h"

/* From @child, about anything but itself: that it is killed for if it makes no sense. */
void hear(struct supervisor *supervisor, struct child *child, struct ipc_received *message);

#endif
