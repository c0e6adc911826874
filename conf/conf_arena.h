/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that grows in one direction, inside one reserved mapping, and goes all at once. What is put into it is bounded by
 * its users before they put it there; so taking never fails. */
#ifndef HG_CONF_ARENA_H
#define HG_CONF_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct conf_arena {
        uint8_t *start;
        size_t used, reserved;
};

/* Reserves address space for @reserved bytes, memory comes with use. 0 or -errno. */
int conf_arena_init(struct conf_arena *arena, size_t reserved);
void conf_arena_fini(struct conf_arena *arena);

/* @len zeroed bytes, aligned for anything. */
void *conf_arena_take(struct conf_arena *arena, size_t len);

/* A copy of @len bytes of @text with a NUL. */
char *conf_arena_text(struct conf_arena *arena, const char *text, size_t len);

/* Gives back what is not used; arena->reserved is the length of the mapping from then on. 0 or -errno. */
int conf_arena_trim(struct conf_arena *arena);

/* From here on nobody writes to it and nobody dumps it; its first page isn't swapped. 0 or -errno. */
int conf_arena_protect(struct conf_arena *arena);

#endif
