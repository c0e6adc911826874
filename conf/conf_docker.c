/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_docker.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf_path.h"

enum { REFRESH_MS = 20000, REFRESH_MIN_MS = 1000, REFRESH_MAX_MS = 3600000 };

struct into {
        struct conf_docker *docker;
        struct conf_docker_draft *draft;
};

static const char default_socket[] = "/var/run/docker.sock", default_network[] = "hypergatenet", default_image[] = "hypergate";

static void read_socket(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct conf_docker *docker = ((struct into *)into)->docker;
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
                docker->socket = conf_value_copy(read, path);
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
        struct conf_docker *docker = ((struct into *)into)->docker;
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
                        docker->networks[docker->network_count++] = conf_value_copy(read, text);
                else
                        conf_value_wrong(read, entry, "the name of a Docker network: letters, digits, '-', '_' and '.', at most 127, "
                                         "such as hypergatenet");
        }
        if (docker->network_count == 0 && node->kind == CONF_LIST && !node->first)
                conf_value_wrong(read, node, "at least one network, such as hypergatenet");
}

static void read_refresh(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_whole(read, node, REFRESH_MIN_MS, REFRESH_MAX_MS, REFRESH_MS, &((struct into *)into)->docker->refresh_ms);
}

static void read_read_only(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct into *what = into;

        what->draft->read_only_at = (struct conf_place){ read->file, node->key_at };
        conf_value_bool(read, node, &what->docker->read_only);
}

static void read_virtual_network(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_bool(read, node, &((struct into *)into)->docker->virtual_network);
}

/* "registry.example.org:5000/team/hypergate:1.0@sha256:…": the engine knows best. */
static void read_image(struct conf_read *read, const struct conf_node *node, void *into)
{
        const char *text;
        size_t len;

        if (!conf_value_text(read, node, default_image, &text))
                return;
        len = strlen(text);
        if (len == 0 || len >= CONF_IMAGE_MAX ||
            strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-:/@") != len)
                conf_value_wrong(read, node, "the name of an image, of at most 255 letters, digits and _ . - : / @, such as "
                                 "hypergate:latest");
        else
                ((struct into *)into)->docker->image = conf_value_copy(read, text);
}

void conf_docker_read(struct conf_read *read, const struct conf_node *node, struct conf_docker_draft *draft, struct conf_docker *into)
{
        static const struct conf_field fields[] = {
                { "socket", read_socket },
                { "network", read_network },
                { "refreshTime", read_refresh },
                { "readOnly", read_read_only },
                { "virtualNetwork", read_virtual_network },
                { "image", read_image },
                { NULL, NULL },
        };

        struct into what = { into, draft };

        if (!into->present)
                *into = (struct conf_docker){ .present = true, .socket = default_socket, .networks = { default_network },
                                              .network_count = 1, .refresh_ms = REFRESH_MS, .virtual_network = true };
        draft->at = (struct conf_place){ read->file, node->key_at };
        conf_value_map(read, node, "docker", fields, &what);
}

bool conf_docker_makes_hosts(const struct conf *conf)
{
        return conf->docker.present && conf->gateway.present && conf->docker.virtual_network;
}

/* Where nobody else makes a socket: in a folder of this instance alone, in one for all of them, which an image may have as a volume. None
 * if there is no such place. */
static void choose_hosts(struct conf_read *read, struct conf *conf)
{
        char folder[CONF_PATH_MAX], path[CONF_SOCKET_PATH_MAX], number[32] = "";
        const char *runtime = conf->runtime_directory ? conf->runtime_directory : conf_runtime_directory(folder, sizeof(folder));

        conf->gateway.hosts_own = true;
        if (read->source->fd >= 0)      /* a command line: all of these have one name */
                snprintf(number, sizeof(number), "gateway-%d", (int)getpid());
        if (runtime && snprintf(path, sizeof(path), "%s/hosts/%s/port.sock", runtime, *number ? number : conf->name) < (int)sizeof(path))
                conf->gateway.hosts = conf_value_copy(read, path);
}

void conf_docker_finish(struct conf_read *read, const struct conf_docker_draft *draft, struct conf *conf)
{
        bool makes_hosts = conf_docker_makes_hosts(conf);

        if (!conf->docker.present)
                return;
        if (!conf->provider.present && !conf->gateway.present)
                conf_error(&read->report, draft->at.file, draft->at.at,
                           "docker: it finds services of a provider and makes hosts of a gateway, and there is neither: write provider: {} "
                           "or gateway: {} beside it");
        else if (!conf->provider.present && !makes_hosts)
                conf_error(&read->report, draft->at.file, draft->at.at,
                           "docker: without a virtual network there is nothing to do for it at a gateway: leave it out");
        else if (makes_hosts && conf->docker.read_only)
                conf_error(&read->report, draft->read_only_at.file, draft->read_only_at.at,
                           "readOnly: a virtual network is made of containers: write virtualNetwork: false beside it, or leave it out");
        if (makes_hosts && !conf->gateway.hosts)
                choose_hosts(read, conf);
}

static bool same_text(const char *a, const char *b)
{
        return a && b ? strcmp(a, b) == 0 : a == b;
}

bool conf_docker_same(const struct conf_docker *a, const struct conf_docker *b)
{
        if (a->present != b->present || a->network_count != b->network_count || a->refresh_ms != b->refresh_ms ||
            a->read_only != b->read_only || a->virtual_network != b->virtual_network || !same_text(a->image, b->image))
                return false;
        for (size_t i = 0; i < a->network_count; i++)
                if (strcmp(a->networks[i], b->networks[i]) != 0)
                        return false;
        return !a->present || strcmp(a->socket, b->socket) == 0;
}
