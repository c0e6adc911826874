/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HG_INTRODUCE_H
#define HG_INTRODUCE_H

#include "children.h"

/* Gives each pair of workers that shall speak to each other a link, when one of them is new and both are configured. Then
 * the supervisor is out of it. */
void introduce_new(struct children *children);

/* Gives these two a new link, in the place of the one they had. */
void introduce(struct child *a, struct child *b);

/* Whether these two shall speak to each other. */
bool introduce_meet(const struct child *a, const struct child *b);

#endif
