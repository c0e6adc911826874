/* SPDX-License-Identifier: BSD-3-Clause */
/* Deadlines in order: an intrusive pairing heap, smallest key first. Never allocates. */
#ifndef HG_HEAP_H
#define HG_HEAP_H

#include <stdbool.h>

#include "cleanup.h"
#include "usec.h"

struct heap_entry {
        struct heap_entry *child, *next, **link;        /* @link: who points at us; NULL when in no heap */
        usec_t key_us;
};

struct heap {
        struct heap_entry *root;
};

static inline bool heap_holds(const struct heap_entry *entry)
{
        return entry->link != NULL;
}

/* Puts @entry (in no heap, zeroed once at birth) in at @key_us. */
void heap_insert(struct heap *heap, struct heap_entry *entry, usec_t key_us);

/* Takes @entry out; nothing happens when it is in no heap. */
void heap_remove(struct heap *heap, struct heap_entry *entry);

/* Moves @entry to @key_us, in or out as needed: USEC_NEVER takes it out. */
void heap_set(struct heap *heap, struct heap_entry *entry, usec_t key_us);

static inline struct heap_entry *heap_first(const struct heap *heap)
{
        return heap->root;
}

/* Key of the first, or USEC_NEVER. */
static inline usec_t heap_deadline(const struct heap *heap)
{
        return heap->root ? heap->root->key_us : USEC_NEVER;
}

/* Takes out and returns the first if it is due at @now_us, else NULL. */
struct heap_entry *heap_pop_due(struct heap *heap, usec_t now_us);

#endif
