/* SPDX-License-Identifier: BSD-3-Clause */
/* Ingress policies: who may use a service, and how fast. */
#ifndef HG_CONF_INGRESS_H
#define HG_CONF_INGRESS_H

#include "conf_value.h"

/* The original's map of defaults and ips, or nothing. NULL: it was complained of. */
const struct conf_ingress *conf_ingress_read(struct conf_read *read, const struct conf_node *node);

/* The same in two steps, for one that is made of several: what one of them does not say, another one may. */
const struct conf_ingress *conf_ingress_parse(struct conf_read *read, const struct conf_node *node);
void conf_ingress_warn(struct conf_read *read, const struct conf_node *node);  /* of what is good, and may be meant otherwise */

/* Nobody may come. */
const struct conf_ingress *conf_ingress_nobody(struct conf_read *read);

/* The order of policies, NULL first. 0: they say the same. */
int conf_ingress_compare(const struct conf_ingress *a, const struct conf_ingress *b);

/* As one flow map, without its key. */
void conf_ingress_show(FILE *out, const struct conf_ingress *ingress);

#endif
