/* SPDX-License-Identifier: BSD-3-Clause */
/* Fredman, Sedgewick, Sleator, Tarjan, "The pairing heap", 1986. */
#include "heap.h"

#include <assert.h>
#include <stddef.h>

static struct heap_entry *meld(struct heap_entry *a, struct heap_entry *b)
{
        struct heap_entry *winner, *loser;

        if (!a || !b)
                return a ? a : b;
        winner = b->key_us < a->key_us ? b : a;
        loser = winner == a ? b : a;
        loser->next = winner->child;
        if (loser->next)
                loser->next->link = &loser->next;
        winner->child = loser;
        loser->link = &winner->child;
        winner->next = NULL;
        return winner;
}

/* Two passes over the siblings: pair them up from the left, then meld the pairs from the right. */
static struct heap_entry *meld_siblings(struct heap_entry *first)
{
        struct heap_entry *pairs = NULL, *root = NULL;

        while (first) {
                struct heap_entry *a = first, *b = a->next;

                first = b ? b->next : NULL;
                a->next = NULL;
                if (b)
                        b->next = NULL;
                a = meld(a, b);
                a->next = pairs;
                pairs = a;
        }
        while (pairs) {
                struct heap_entry *next = pairs->next;

                pairs->next = NULL;
                root = meld(root, pairs);
                pairs = next;
        }
        return root;
}

static void set_root(struct heap *heap, struct heap_entry *root)
{
        heap->root = root;
        if (root)
                root->link = &heap->root;
}

void heap_insert(struct heap *heap, struct heap_entry *entry, usec_t key_us)
{
        assert(!entry->link);
        *entry = (struct heap_entry){ .key_us = key_us };
        set_root(heap, meld(heap->root, entry));
}

void heap_remove(struct heap *heap, struct heap_entry *entry)
{
        struct heap_entry *below;

        if (!entry->link)
                return;
        *entry->link = entry->next;
        if (entry->next)
                entry->next->link = entry->link;
        below = meld_siblings(entry->child);
        entry->child = entry->next = NULL;
        entry->link = NULL;
        set_root(heap, meld(heap->root, below));
}

void heap_set(struct heap *heap, struct heap_entry *entry, usec_t key_us)
{
        if (entry->link && entry->key_us == key_us)
                return;
        heap_remove(heap, entry);
        if (key_us != USEC_NEVER)
                heap_insert(heap, entry, key_us);
}

struct heap_entry *heap_pop_due(struct heap *heap, usec_t now_us)
{
        struct heap_entry *first = heap->root;

        if (!first || first->key_us > now_us)
                return NULL;
        heap_remove(heap, first);
        return first;
}
