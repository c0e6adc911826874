/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the network begins for us: the configured bootstrap nodes, as far as their names are resolved. */
#ifndef HG_SEEDS_H
#define HG_SEEDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "names.h"

struct seed {
        const struct conf_bootstrap *conf;
        bool hinted;                    /* its address was written beside its name */
        uint8_t hint[4];
        struct name *name;              /* NULL: not looked up, the hint must do */
};

struct seeds {
        struct seed *list;
        size_t count;                   /* 0: we are the first node of a private network */
};

struct seed_address {
        uint8_t ip[4];
        uint16_t port;
};

/* Strings of @conf are borrowed. 0 or -ENOMEM. */
int seeds_init(struct seeds *seeds, struct names *names, const struct conf *conf);
void seeds_fini(struct seeds *seeds);

/* The hints lead nowhere: look up the names as well. */
void seeds_distrust_hints(struct seeds *seeds, struct names *names);

/* All addresses known now, each once; at most @max. */
size_t seeds_addresses(const struct seeds *seeds, struct seed_address *out, size_t max);

/* Whether one of them stands behind @name. */
bool seeds_use(const struct seeds *seeds, const struct name *name);

#endif
