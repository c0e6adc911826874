/* SPDX-License-Identifier: BSD-3-Clause */
#include "docker_told.h"

#include <string.h>

#include "ipc_hash.h"

/* With a NUL behind it. */
static uint64_t add_hash(uint64_t hash, const char *text, size_t len)
{
        return ipc_hash(ipc_hash(hash, text, len), "", 1);
}

static bool has(const struct docker_told_list *list, uint64_t hash)
{
        for (size_t i = 0; i < list->count; i++)
                if (list->hash[i] == hash)
                        return true;
        return false;
}

void docker_told_begin(struct docker_told *told)
{
        told->before = told->now;
        told->now.count = 0;
}

bool docker_told_news(struct docker_told *told, const char *name, const char *what, const char *entry, size_t entry_len)
{
        uint64_t hash = add_hash(add_hash(add_hash(IPC_HASH_BEGIN, name, strlen(name)), what, strlen(what)), entry, entry_len);
        bool news = !has(&told->now, hash) && !has(&told->before, hash);

        if (told->now.count == DOCKER_TOLD_MAX)
                return false;
        told->now.hash[told->now.count++] = hash;
        return news;
}
