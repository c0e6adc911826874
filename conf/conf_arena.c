/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_arena.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t round_up(size_t len, size_t unit)
{
        return (len + unit - 1) / unit * unit;
}

int conf_arena_init(struct conf_arena *arena, size_t reserved)
{
        void *start = mmap(NULL, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (start == MAP_FAILED)
                return -errno;
        *arena = (struct conf_arena){ .start = start, .reserved = reserved };
        return 0;
}

void conf_arena_fini(struct conf_arena *arena)
{
        if (arena->start)
                munmap(arena->start, arena->reserved);
        *arena = (struct conf_arena){ 0 };
}

void *conf_arena_take(struct conf_arena *arena, size_t len)
{
        size_t at = arena->used;

        assert(len <= arena->reserved - at);
        arena->used = round_up(at + len, alignof(max_align_t));
        assert(arena->used <= arena->reserved);
        return arena->start + at;
}

char *conf_arena_text(struct conf_arena *arena, const char *text, size_t len)
{
        char *copy = conf_arena_take(arena, len + 1);

        if (len)
                memcpy(copy, text, len);
        return copy;
}

static size_t page_size(void)
{
        return (size_t)sysconf(_SC_PAGESIZE);
}

int conf_arena_trim(struct conf_arena *arena)
{
        size_t len = round_up(arena->used, page_size());

        if (len < arena->reserved && munmap(arena->start + len, arena->reserved - len) < 0)
                return -errno;
        arena->reserved = len;
        return 0;
}

int conf_arena_protect(struct conf_arena *arena)
{
        madvise(arena->start, arena->reserved, MADV_DONTDUMP);
        mlock(arena->start, page_size());       /* the secret is there; where RLIMIT_MEMLOCK forbids it, it may be swapped */
        return mprotect(arena->start, arena->reserved, PROT_READ) < 0 ? -errno : 0;
}
