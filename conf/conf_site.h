/* SPDX-License-Identifier: BSD-3-Clause */
/* Where somebody asks by HTTP. fingerprintResolver: services ask whose a connection to them is. unlimited: clients ask to be let in for a
 * while, with tokens. */
#ifndef HG_CONF_SITE_H
#define HG_CONF_SITE_H

#include "conf_value.h"

enum conf_site_kind {
        CONF_SITE_RESOLVER,
        CONF_SITE_UNLIMITED,
        CONF_SITES,
};

struct conf_site_draft {
        struct conf_place at;           /* of the key; without a file it was not said */
        struct conf_node auth;          /* of its file; its text NULL: it was not said, or not well */
        const struct conf_file *auth_from;
        bool auth_given;
};

void conf_site_read(struct conf_read *read, const struct conf_node *node, enum conf_site_kind kind, struct conf_site_draft *draft,
                    struct conf *into);

/* Once all files are known: finds what who asks must know, and says what does not go together. */
void conf_site_finish(struct conf_read *read, const struct conf_site_draft *draft, enum conf_site_kind kind, struct conf *conf);

bool conf_site_same(const struct conf_site *a, const struct conf_site *b);

#endif
