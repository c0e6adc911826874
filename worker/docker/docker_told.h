/* SPDX-License-Identifier: BSD-3-Clause */
/* What was complained of: what still is so in the next round is not said again. */
#ifndef HG_DOCKER_TOLD_H
#define HG_DOCKER_TOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DOCKER_TOLD_MAX = 256 };         /* in a round; further ones stay unsaid */

struct docker_told_list {
        uint64_t hash[DOCKER_TOLD_MAX];
        size_t count;
};

struct docker_told {
        struct docker_told_list now, before;
};

/* Another round. */
void docker_told_begin(struct docker_told *told);

/* True: neither in this round nor in the one before. */
bool docker_told_news(struct docker_told *told, const char *name, const char *what, const char *entry, size_t entry_len);

#endif
