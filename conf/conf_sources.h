/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a list says that more of it is: the name of a file, a URL, or JSON as the original's command line takes it. */
#ifndef HG_CONF_SOURCES_H
#define HG_CONF_SOURCES_H

#include "conf_document.h"

struct conf_urls {
        const char *list[CONF_URLS_MAX];        /* memory of the image */
        size_t count;
};

struct conf_sources {
        conf_document_function *function;       /* looks at what each holds */
        void *context;
        const char *example;            /* the name of such a file */
        struct conf_urls *urls;         /* NULL: nothing is fetched */
        void (*pending)(void *context); /* what a URL says is not known yet; NULL: then there is less of it */
};

/* The list of @urls as the configuration has it. */
const char *const *conf_sources_urls(struct conf_read *read, const struct conf_urls *urls, size_t *count_out);

/* @node, a text, is one of them. */
void conf_sources_read(struct conf_read *read, const struct conf_node *node, const struct conf_sources *sources);

#endif
