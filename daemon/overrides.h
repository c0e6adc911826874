/* SPDX-License-Identifier: BSD-3-Clause */
/* What people want of an instance that runs, beyond what its configuration says: services added and removed, and that it takes nothing new.
 * It is laid over the configuration, over one that is read anew as well, and forgotten when the instance ends. */
#ifndef HG_OVERRIDES_H
#define HG_OVERRIDES_H

#include <stdbool.h>
#include <stddef.h>

#include "conf.h"

/* A gate port behind which the configuration has nothing to offer. */
struct overrides_gate {
        uint16_t port;
        enum conf_protocol protocol;
};

struct overrides {
        bool drained;                   /* no services, and no gates */
        struct conf_service *added;     /* line 0; their texts are ours */
        size_t added_count;
        struct overrides_gate *removed;
        size_t removed_count;
};

/* 0 or -ENOMEM. */
int overrides_copy(struct overrides *overrides, const struct overrides *from);
void overrides_fini(struct overrides *overrides);

/* Those of @conf are offered, too. What is added already stays. 0 or -ENOMEM. */
int overrides_add(struct overrides *overrides, const struct conf_provider *conf);

/* Those that were found in containers, which @list says, and nothing else. 0 or -ENOMEM. */
int overrides_found(struct overrides *overrides, const struct conf_found *list, size_t count);

/* Nothing behind that port is offered any more, whether @conf or somebody has said so. 1, 0: nothing is there, or -ENOMEM. */
int overrides_remove(struct overrides *overrides, const struct conf_provider *conf, uint16_t port, enum conf_protocol protocol);

/* Nothing goes beyond the configuration. */
bool overrides_empty(const struct overrides *overrides);

/* @conf with what goes beyond it; borrows from both, and is freed with overridden_free() before they are. NULL: no memory. */
struct conf *overridden_new(const struct conf *conf, const struct overrides *overrides);
void overridden_free(struct conf *overridden);

#endif
