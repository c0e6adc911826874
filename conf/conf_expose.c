/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_expose.h"

#include "conf_host.h"

static const char docker[] = "docker", published[] = "published", both[] = "docker published";

void conf_expose_docker_read(struct conf_read *read, const struct conf_node *node, struct conf_gateway *gateway)
{
        conf_value_bool(read, node, &gateway->only_docker);
}

void conf_expose_published_read(struct conf_read *read, const struct conf_node *node, struct conf_gateway *gateway)
{
        conf_value_bool(read, node, &gateway->only_published);
}

static const char *make_host(struct conf_read *read, const char *text, void *entry_out, const void *list, size_t count)
{
        const char **host = entry_out, *expected;
        bool local;

        expected = conf_host_service(text, &local);
        if (!expected)
                *host = conf_value_copy(read, text);
        return expected;
}

/* None at all would let every host pass. */
void conf_expose_services_read(struct conf_read *read, const struct conf_node *node, struct conf_gateway *gateway)
{
        static const struct conf_texts hosts = { .max = CONF_ONLY_HOSTS_MAX, .example = "phpmyadmin.hyper",
                                                 .none = "at least one serviceHost, such as phpmyadmin.hyper",
                                                 .entry_bytes = sizeof(char *), .make = make_host };
        const char *const *list = conf_value_texts(read, node, &hosts, &gateway->only_host_count);

        gateway->only_hosts = list ? list : gateway->only_hosts;
}

/* One for each host, with the tags that all need; or one with the tags alone. */
void conf_expose_finish(struct conf_read *read, struct conf_gateway *gateway)
{
        const char *tags = gateway->only_docker ? (gateway->only_published ? both : docker) : gateway->only_published ? published : "";
        unsigned fields = *tags ? CONF_FILTER_TAGS : 0;
        size_t count = gateway->only_host_count ? gateway->only_host_count : fields != 0;
        struct conf_filter *list = conf_arena_take(&read->image, count * sizeof(*list));

        for (size_t i = 0; i < count; i++)
                list[i] = (struct conf_filter){
                        .fields = fields | (gateway->only_host_count ? CONF_FILTER_HOST : 0), .tags = tags,
                        .host = gateway->only_host_count ? gateway->only_hosts[i] : "", .priority = -1, .policy = -1,
                };
        gateway->only = list;
        gateway->only_count = count;
}
