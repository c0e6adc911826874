/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory of one configuration: it grows while files are read; then nobody writes to it any more, and it goes all at once, without what
 * is secret in it. conf_free() is here, too. */
#ifndef HG_CONF_IMAGE_H
#define HG_CONF_IMAGE_H

#include "conf.h"
#include "conf_arena.h"

/* An empty one, in @arena, to which all that it points to is added; NULL: no memory. */
struct conf *conf_image_new(struct conf_arena *arena);

/* It comes to nothing. */
void conf_image_drop(struct conf_arena *arena, struct conf *conf);

/* Read-only from here on, until conf_free(). 0 or -errno: it is to be dropped. */
int conf_image_seal(struct conf_arena *arena, struct conf *conf);

#endif
