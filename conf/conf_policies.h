/* SPDX-License-Identifier: BSD-3-Clause */
/* Several ingress policies that are one, as the original's command line has them. */
#ifndef HG_CONF_POLICIES_H
#define HG_CONF_POLICIES_H

#include "conf_sources.h"

/* A list of files, URLs and JSON texts: of what two say, the later one counts, rule by rule and word by word; each must be good alone. As
 * long as one of them has not been fetched, nobody may come. NULL: they were complained of. */
const struct conf_ingress *conf_policies_read(struct conf_read *read, const struct conf_node *node, struct conf_urls *urls);

#endif
