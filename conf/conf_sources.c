/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_sources.h"

#include <string.h>

#include "conf_path.h"

static bool is_inline(const char *text)
{
        return text[0] == '[' || text[0] == '{';
}

static bool is_among(const struct conf_urls *urls, const char *url)
{
        for (size_t i = 0; i < urls->count; i++)
                if (strcmp(urls->list[i], url) == 0)
                        return true;
        return false;
}

static void read_url(struct conf_read *read, const struct conf_node *node, const char *url, const struct conf_sources *sources)
{
        const struct conf_source *source = read->source;
        const char *text, *expected;
        struct conf_url where;
        size_t len = 0;

        expected = sources->urls ? conf_url_read(url, &where) : "the name of a file: nothing is fetched for this, download it first";
        if (!expected && !is_among(sources->urls, url) && sources->urls->count == CONF_URLS_MAX)
                expected = "at most 16 URLs";
        if (expected) {
                conf_value_wrong(read, node, expected);
                return;
        }
        if (!is_among(sources->urls, url))
                sources->urls->list[sources->urls->count++] = conf_value_copy(read, url);
        text = source->fetched ? source->fetched(source->fetched_context, url, &len) : NULL;
        if (text)
                conf_document_read_fetched(read, node, url, text, len, sources->function, sources->context);
        else if (sources->pending)
                sources->pending(sources->context);
}

const char *const *conf_sources_urls(struct conf_read *read, const struct conf_urls *urls, size_t *count_out)
{
        const char **list = conf_arena_take(&read->image, (urls->count + 1) * sizeof(*list));

        memcpy(list, urls->list, urls->count * sizeof(*list));
        *count_out = urls->count;
        return list;
}

void conf_sources_read(struct conf_read *read, const struct conf_node *node, const struct conf_sources *sources)
{
        char path[CONF_PATH_MAX];
        const char *text;

        if (!conf_value_text(read, node, sources->example, &text))
                return;
        if (is_inline(text))
                conf_document_read_text(read, node, text, sources->function, sources->context);
        else if (strstr(text, "://"))
                read_url(read, node, text, sources);
        else if (conf_path(read, node, text, path))
                conf_document_read_named(read, node, path, text, CONF_DOCUMENT_SERVICES, sources->function, sources->context);
}
