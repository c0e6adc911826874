/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of services: what a provider offers, what a gateway lets pass; in the configuration itself and in files of their own. */
#ifndef HG_CONF_SERVICES_H
#define HG_CONF_SERVICES_H

#include "conf_sources.h"

struct conf_services {
        struct conf_service *list;      /* memory of the image, as is what it points to; NULL before the first */
        size_t count, taken_count;      /* @taken_count: with those that are not there any more */
        struct conf_urls urls;          /* where more of them is fetched from */
};

struct conf_filters {
        struct conf_filter *list;
        size_t count, taken_count;
        bool keep_out;                  /* they are exceptions */
        struct conf_urls urls;
};

/* Read provider.services, gateway.services and gateway.except: a list of maps and of names of service files, whose entries come to those that
 * are there; an empty one takes these away. */
void conf_services_read(struct conf_read *read, const struct conf_node *node, struct conf_services *out);
void conf_filters_read(struct conf_read *read, const struct conf_node *node, struct conf_filters *out);

/* Of exceptions nothing is fetched: until it is known nothing could be told from them. */
void conf_exceptions_read(struct conf_read *read, const struct conf_node *node, struct conf_filters *out);

#endif
