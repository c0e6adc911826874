/* SPDX-License-Identifier: BSD-3-Clause */
/* fingerprintResolver: where services ask whose a connection to them is. */
#ifndef HG_CONF_RESOLVER_H
#define HG_CONF_RESOLVER_H

#include "conf_value.h"

struct conf_resolver_draft {
        struct conf_place at;           /* of the key; without a file it was not said */
        struct conf_node auth;          /* basicAuthFile; its text NULL: it was not said, or not well */
        const struct conf_file *auth_from;
        bool auth_given;
};

void conf_resolver_read(struct conf_read *read, const struct conf_node *node, struct conf_resolver_draft *draft, struct conf_resolver *into);

/* Once all files are known: finds what who asks must know, and says what does not go together. */
void conf_resolver_finish(struct conf_read *read, const struct conf_resolver_draft *draft, struct conf *conf);

bool conf_resolver_same(const struct conf_resolver *a, const struct conf_resolver *b);

#endif
