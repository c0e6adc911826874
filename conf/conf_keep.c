/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_keep.h"

#include <string.h>

#include "conf_docker.h"

static const char *image_text(struct conf_read *read, const char *text)
{
        return text ? conf_arena_text(&read->image, text, strlen(text)) : NULL;
}

/* Another one is a matter of conf_compare(). */
static bool same_secret(const struct conf *a, const struct conf *b)
{
        return a->has_secret == b->has_secret;
}

static void keep_secret(struct conf_read *read, struct conf *conf, const struct conf *running)
{
        conf->has_secret = running->has_secret;
        memcpy(conf->secret, running->secret, sizeof(conf->secret));
        memcpy(conf->previous, running->previous, sizeof(conf->previous));
        conf->previous_count = running->previous_count;
        conf->secret_file = image_text(read, running->secret_file);
}

static bool same_provider(const struct conf *a, const struct conf *b)
{
        return a->provider.present == b->provider.present;
}

/* One that is gone offers nothing any more. */
static void keep_provider(struct conf_read *read, struct conf *conf, const struct conf *running)
{
        conf->provider = (struct conf_provider){ .present = running->provider.present, .udp_timeout_ms = running->provider.udp_timeout_ms,
                                                 .tcp = running->provider.tcp, .allowed = running->provider.allowed,
                                                 .connections_per_peer = running->provider.connections_per_peer };
}

static bool same_gateway(const struct conf *a, const struct conf *b)
{
        return a->gateway.present == b->gateway.present;
}

/* One that is gone lets nothing pass any more: no gate has port 0. */
static void keep_gateway(struct conf_read *read, struct conf *conf, const struct conf *running)
{
        static const struct conf_filter nothing = { .fields = CONF_FILTER_GATE_PORT, .host = "", .tags = "", .priority = -1, .policy = -1 };

        conf->gateway.present = running->gateway.present;
        conf->gateway.allowed = running->gateway.allowed;
        conf->gateway.filters = &nothing;
        conf->gateway.filter_mode = CONF_FILTER_ANY;
        conf->gateway.filter_count = 1;
}

static bool same_relay(const struct conf *a, const struct conf *b)
{
        return a->relay.present == b->relay.present && a->relay.never == b->relay.never && a->relay.anybody == b->relay.anybody;
}

static void keep_relay(struct conf_read *read, struct conf *conf, const struct conf *running)
{
        conf->relay = running->relay;
}

/* NULL: it is none that somebody named. */
static const char *named_hosts(const struct conf *conf)
{
        return conf->gateway.hosts_own ? NULL : conf->gateway.hosts;
}

/* Helpers are connected to it. */
static bool same_hosts(const struct conf *a, const struct conf *b)
{
        const char *one = named_hosts(a), *other = named_hosts(b);

        return one && other ? strcmp(one, other) == 0 : one == other;
}

static void keep_hosts(struct conf_read *read, struct conf *conf, const struct conf *running)
{
        conf->gateway.hosts = image_text(read, running->gateway.hosts);
        conf->gateway.hosts_own = running->gateway.hosts_own;
}

static bool same_docker(const struct conf *a, const struct conf *b)
{
        return conf_docker_same(&a->docker, &b->docker);
}

static void keep_docker(struct conf_read *read, struct conf *conf, const struct conf *running)
{
        bool hosts_too = conf->gateway.hosts_own || running->gateway.hosts_own;

        conf->docker = running->docker;
        conf->docker.socket = image_text(read, running->docker.socket);
        conf->docker.image = image_text(read, running->docker.image);
        for (size_t i = 0; i < conf->docker.network_count; i++)
                conf->docker.networks[i] = image_text(read, running->docker.networks[i]);
        if (hosts_too)
                keep_hosts(read, conf, running);
}

static bool same_dht(const struct conf *a, const struct conf *b)
{
        return a->dht.persistent == b->dht.persistent && a->dht.public_port == b->dht.public_port &&
               memcmp(a->dht.public_ip, b->dht.public_ip, sizeof(a->dht.public_ip)) == 0;
}

static void keep_dht(struct conf_read *read, struct conf *conf, const struct conf *running)
{
        conf->dht = running->dht;
}

static bool same_bootstrap(const struct conf *a, const struct conf *b)
{
        if (a->bootstrap_count != b->bootstrap_count)
                return false;
        for (size_t i = 0; i < a->bootstrap_count; i++)
                if (a->bootstrap[i].port != b->bootstrap[i].port || strcmp(a->bootstrap[i].host, b->bootstrap[i].host) != 0 ||
                    strcmp(a->bootstrap[i].ip, b->bootstrap[i].ip) != 0)
                        return false;
        return true;
}

static void keep_bootstrap(struct conf_read *read, struct conf *conf, const struct conf *running)
{
        struct conf_bootstrap *list = conf_arena_take(&read->image, running->bootstrap_count * sizeof(*list));

        for (size_t i = 0; i < running->bootstrap_count; i++) {
                const struct conf_bootstrap *from = &running->bootstrap[i];

                list[i] = (struct conf_bootstrap){ image_text(read, from->ip), image_text(read, from->host), from->port };
        }
        conf->bootstrap = list;
        conf->bootstrap_count = running->bootstrap_count;
}

static bool same_host(const struct conf *a, const struct conf *b)
{
        return memcmp(a->host, b->host, sizeof(a->host)) == 0;
}

static void keep_host(struct conf_read *read, struct conf *conf, const struct conf *running)
{
        memcpy(conf->host, running->host, sizeof(conf->host));
}

static bool same_port(const struct conf *a, const struct conf *b)
{
        return a->port == b->port;
}

static void keep_port(struct conf_read *read, struct conf *conf, const struct conf *running)
{
        conf->port = running->port;
}

static bool same_cores(const struct conf *a, const struct conf *b)
{
        return a->cores == b->cores;
}

static void keep_cores(struct conf_read *read, struct conf *conf, const struct conf *running)
{
        conf->cores = running->cores;
}

static bool same_state_directory(const struct conf *a, const struct conf *b)
{
        return a->state_directory && b->state_directory ? strcmp(a->state_directory, b->state_directory) == 0 :
                                                          a->state_directory == b->state_directory;
}

static void keep_state_directory(struct conf_read *read, struct conf *conf, const struct conf *running)
{
        conf->state_directory = image_text(read, running->state_directory);
}

static bool same_identity(const struct conf *a, const struct conf *b)
{
        return a->identity == b->identity;
}

static void keep_identity(struct conf_read *read, struct conf *conf, const struct conf *running)
{
        conf->identity = running->identity;
}

static const struct kept {
        const char *key, *gone;         /* @gone: what to say when it is not there any more, or NULL */
        bool (*same)(const struct conf *a, const struct conf *b);
        void (*keep)(struct conf_read *read, struct conf *conf, const struct conf *running);
} all_kept[] = {
        { "secretFile", NULL, same_secret, keep_secret },
        { "provider", "its services are withdrawn", same_provider, keep_provider },
        { "gateway", "its gates are closed", same_gateway, keep_gateway },
        { "gateway.hosts", NULL, same_hosts, keep_hosts },
        { "relay", NULL, same_relay, keep_relay },
        { "docker", NULL, same_docker, keep_docker },
        { "dht", NULL, same_dht, keep_dht },
        { "bootstrap", NULL, same_bootstrap, keep_bootstrap },
        { "host", NULL, same_host, keep_host },
        { "port", NULL, same_port, keep_port },
        { "cores", NULL, same_cores, keep_cores },
        { "stateDirectory", NULL, same_state_directory, keep_state_directory },
        { "identity", NULL, same_identity, keep_identity },
};

_Static_assert(sizeof(all_kept) / sizeof(all_kept[0]) == CONF_PLACES, "a place for each");

void conf_places_note(struct conf_places *places, const struct conf_file *file, const struct conf_node *root)
{
        for (const struct conf_node *node = root->kind == CONF_MAP ? root->first : NULL; node; node = node->next)
                for (size_t i = 0; i < CONF_PLACES; i++)
                        if (strcmp(node->key, all_kept[i].key) == 0)
                                places->at[i] = (struct conf_place){ file, node->key_at };
}

void conf_keep(struct conf_read *read, const struct conf_file *file, const struct conf_places *places, struct conf *conf)
{
        const struct conf *running = read->source->running;

        for (size_t i = 0; i < CONF_PLACES; i++) {
                const struct conf_place place = places->at[i].file ? places->at[i] : (struct conf_place){ file, CONF_WHOLE_FILE };
                const struct kept *kept = &all_kept[i];

                if (kept->same(conf, running))
                        continue;
                if (kept->gone && !places->at[i].file)
                        conf_warning(&read->report, file, CONF_WHOLE_FILE, "%s: is gone: %s; the rest of it ends with a restart", kept->key,
                                     kept->gone);
                else
                        conf_warning(&read->report, place.file, place.at,
                                     "%s: this changes with a restart alone; until then it stays as it was", kept->key);
                kept->keep(read, conf, running);
        }
}
