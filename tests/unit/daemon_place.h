/* SPDX-License-Identifier: BSD-3-Clause */
/* A folder of its own for a state file, removed at the end of its scope. */
#ifndef HG_DAEMON_PLACE_H
#define HG_DAEMON_PLACE_H

#include "cleanup.h"

struct place {
        char folder[32], path[64];      /* @path: of the file, which is not there yet */
};

void place_make(struct place *place);
void place_remove(struct place *place);

#define PLACE(name)                                              \
        cleanup_with(place_remove) struct place name;            \
        place_make(&name)

#endif
