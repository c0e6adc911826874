/* SPDX-License-Identifier: BSD-3-Clause */
/* Mutations that know steps, for libFuzzer (which looks these two functions up by name). The steps of an input are known once it has
 * run; those of inputs that ran lately are kept, and others are run once more. */
#include <stdlib.h>

#include "steps.h"

enum { INPUT_MAX = 1 << 16, KEPT = 1 << 12 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
size_t LLVMFuzzerMutate(uint8_t *data, size_t len, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_len, const uint8_t *other, size_t other_len, uint8_t *out, size_t max,
                                 unsigned seed);

static uint64_t state;

static size_t below(size_t bound)
{
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return bound ? (size_t)((state >> 16) % bound) : 0;
}

/* Where those of an input are kept. */
static struct steps *place_of(uint64_t hash)
{
        static struct steps *kept;

        if (!kept)
                kept = calloc(KEPT, sizeof(*kept));
        if (!kept)
                abort();
        return &kept[hash % KEPT];
}

/* Those of the input that ran last, which the next one to run forgets. */
static void keep_last(void)
{
        if (steps.hash)
                *place_of(steps.hash) = steps;
}

/* The steps of @data: a copy of an input of the same bytes is run, exactly its size. */
static struct steps steps_of(const uint8_t *data, size_t len)
{
        uint64_t hash = steps_hash(data, len);
        const struct steps *place = place_of(hash);
        uint8_t *copy;

        if (len == 0 || len > INPUT_MAX)
                return (struct steps){ 0 };
        keep_last();
        if (place->hash == hash && (place->count == 0 || place->at[place->count] == len))
                return *place;
        copy = malloc(len);
        if (!copy)
                abort();
        memcpy(copy, data, len);
        LLVMFuzzerTestOneInput(copy, len);
        free(copy);
        keep_last();
        return *place;
}

/* A run of a few steps of @all: the bytes [*from, *to). */
static void choose(const struct steps *all, size_t *from, size_t *to)
{
        size_t first = below(all->count), count = 1 + below(below(4) ? 3 : all->count);

        *from = all->at[first];
        *to = all->at[first + count < all->count ? first + count : all->count];
}

/* @data with the bytes [from, to) replaced by @put_len others; 0: it would not fit. */
static size_t replace(uint8_t *data, size_t len, size_t max, size_t from, size_t to, const uint8_t *put, size_t put_len)
{
        if (len - (to - from) + put_len > max)
                return 0;
        memmove(data + from + put_len, data + to, len - to);
        if (put_len)
                memcpy(data + from, put, put_len);
        return len - (to - from) + put_len;
}

/* Bytes within one step change, as libFuzzer likes; it grows and shrinks alone. */
static size_t change_one(uint8_t *data, size_t len, size_t max, const struct steps *all)
{
        static uint8_t step[INPUT_MAX];
        size_t which = below(all->count), from = all->at[which], to = all->at[which + 1], size = to - from, step_max = size + 64;

        memcpy(step, data + from, size);
        size = LLVMFuzzerMutate(step, size, below(3) ? size : step_max < sizeof(step) ? step_max : sizeof(step));
        return replace(data, len, max, from, to, step, size);
}

/* Steps are said again elsewhere. */
static size_t say_again(uint8_t *data, size_t len, size_t max, const struct steps *all)
{
        static uint8_t said[INPUT_MAX];
        size_t from, to, at = all->at[below(all->count + 1)];

        choose(all, &from, &to);
        memcpy(said, data + from, to - from);
        return replace(data, len, max, at, at, said, to - from);
}

static size_t leave_out(uint8_t *data, size_t len, size_t max, const struct steps *all)
{
        size_t from, to;

        choose(all, &from, &to);
        return replace(data, len, max, from, to, NULL, 0);
}

/* Two neighbours change places. */
static size_t swap(uint8_t *data, size_t len, const struct steps *all)
{
        static uint8_t first[INPUT_MAX];
        size_t which = below(all->count - 1), from = all->at[which], middle = all->at[which + 1], to = all->at[which + 2];

        memcpy(first, data + from, middle - from);
        memmove(data + from, data + middle, to - middle);
        memcpy(data + from + (to - middle), first, middle - from);
        return len;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed)
{
        struct steps all = steps_of(data, len);
        size_t changed = 0;

        state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
        below(2);
        if (all.count == 0 || len > INPUT_MAX || below(8) == 0)
                return LLVMFuzzerMutate(data, len, max);
        switch (below(8)) {
        case 0:
        case 1:
                changed = say_again(data, len, max, &all);
                break;
        case 2:
                changed = all.count > 1 ? leave_out(data, len, max, &all) : 0;
                break;
        case 3:
                changed = all.count > 1 ? swap(data, len, &all) : 0;
                break;
        default:
                changed = change_one(data, len, max, &all);
        }
        return changed ? changed : LLVMFuzzerMutate(data, len, max);
}

/* Steps of one are put among those of the other. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_len, const uint8_t *other, size_t other_len, uint8_t *out, size_t max,
                                 unsigned seed)
{
        struct steps here = steps_of(one, one_len), there = steps_of(other, other_len);
        size_t from, to, at, over;

        state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
        below(2);
        if (here.count == 0 || there.count == 0 || one_len > max)
                return 0;
        choose(&there, &from, &to);
        at = here.at[below(here.count + 1)];
        over = below(2) && at < one_len ? here.at[here.count] : at;
        if (over > one_len)
                return 0;
        memcpy(out, one, one_len);
        return replace(out, one_len, max, at, below(4) ? at : over, other + from, to - from);
}
