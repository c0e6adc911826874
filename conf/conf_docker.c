/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_docker.h"

#include <string.h>

#include "conf_path.h"

enum { REFRESH_MS = 20000, REFRESH_MIN_MS = 1000, REFRESH_MAX_MS = 3600000 };

static const char default_socket[] = "/var/run/docker.sock", default_network[] = "hypergatenet";

static const char *image_text(struct conf_read *read, const char *text)
{
        return conf_arena_text(&read->image, text, strlen(text));
}

static void read_socket(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct conf_docker *docker = into;
        char path[CONF_PATH_MAX];
        const char *name;

        if (!conf_value_text(read, node, default_socket, &name))
                return;
        if (strncmp(name, "unix://", 7) == 0)
                name += 7;
        if (strstr(name, "://")) {
                conf_value_wrong(read, node, "the path of a unix socket, such as /var/run/docker.sock: an engine elsewhere has no "
                                 "containers here");
                return;
        }
        if (!conf_path(read, node, name, path))
                return;
        if (strlen(path) >= CONF_SOCKET_PATH_MAX)
                conf_value_wrong(read, node, "a path of at most 107 bytes");
        else
                docker->socket = image_text(read, path);
}

/* It goes into paths and JSON as it is: moby's own names, github.com/moby/moby daemon/names. */
static bool is_network(const char *text)
{
        size_t len = strlen(text);

        return len > 0 && len < CONF_DOCKER_NETWORK_MAX && text[0] != '.' && text[0] != '-' && text[0] != '_' &&
               strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == len;
}

static void read_network(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct conf_docker *docker = into;
        const struct conf_node *entry;
        const char *text;
        uint32_t count;

        if (!conf_value_list(read, node, CONF_DOCKER_NETWORKS_MAX, &entry, &count))
                return;
        docker->network_count = 0;
        for (; count > 0; count--, entry = entry->next) {
                if (!conf_value_text(read, entry, default_network, &text))
                        continue;
                if (is_network(text))
                        docker->networks[docker->network_count++] = image_text(read, text);
                else
                        conf_value_wrong(read, entry, "the name of a Docker network: letters, digits, '-', '_' and '.', at most 127, "
                                         "such as hypergatenet");
        }
        if (docker->network_count == 0 && node->kind == CONF_LIST && !node->first)
                conf_value_wrong(read, node, "at least one network, such as hypergatenet");
}

static void read_refresh(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_whole(read, node, REFRESH_MIN_MS, REFRESH_MAX_MS, REFRESH_MS, &((struct conf_docker *)into)->refresh_ms);
}

static void read_read_only(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_bool(read, node, &((struct conf_docker *)into)->read_only);
}

void conf_docker_read(struct conf_read *read, const struct conf_node *node, struct conf_docker_draft *draft, struct conf_docker *into)
{
        static const struct conf_field fields[] = {
                { "socket", read_socket },
                { "network", read_network },
                { "refreshTime", read_refresh },
                { "readOnly", read_read_only },
                { NULL, NULL },
        };

        if (!into->present)
                *into = (struct conf_docker){ .present = true, .socket = default_socket, .networks = { default_network },
                                              .network_count = 1, .refresh_ms = REFRESH_MS };
        draft->at = (struct conf_place){ read->file, node->key_at };
        conf_value_map(read, node, "docker", fields, into);
}

void conf_docker_finish(struct conf_read *read, const struct conf_docker_draft *draft, const struct conf *conf)
{
        if (conf->docker.present && !conf->provider.present)
                conf_error(&read->report, draft->at.file, draft->at.at,
                           "docker: it finds services of a provider, and there is none: write provider: {} beside it");
}

bool conf_docker_same(const struct conf_docker *a, const struct conf_docker *b)
{
        if (a->present != b->present || a->network_count != b->network_count || a->refresh_ms != b->refresh_ms ||
            a->read_only != b->read_only)
                return false;
        for (size_t i = 0; i < a->network_count; i++)
                if (strcmp(a->networks[i], b->networks[i]) != 0)
                        return false;
        return !a->present || strcmp(a->socket, b->socket) == 0;
}
