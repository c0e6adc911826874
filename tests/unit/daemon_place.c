/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "test.h"

void place_make(struct place *place)
{
        snprintf(place->folder, sizeof(place->folder), "/tmp/hg-state.XXXXXX");
        check(mkdtemp(place->folder));
        snprintf(place->path, sizeof(place->path), "%s/state", place->folder);
}

void place_remove(struct place *place)
{
        unlink(place->path);
        rmdir(place->folder);
}
