/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <string.h>

#include "conf.h"
#include "conf_dht.h"
#include "conf_docker.h"
#include "conf_gateway.h"
#include "conf_host.h"
#include "conf_image.h"
#include "conf_keep.h"
#include "conf_layers.h"
#include "conf_limits.h"
#include "conf_path.h"
#include "conf_peers.h"
#include "conf_provider.h"
#include "conf_relay.h"
#include "conf_secret.h"
#include "conf_site.h"
#include "conf_tcp.h"

enum {
        LOG_INFO_LEVEL = 6,
        LOG_DEBUG_LEVEL = 7,
};

/* What is known of the configuration while its files are read. */
struct draft {
        struct conf *conf;
        const struct conf_file *file;   /* the first one */
        const char **files;
        struct conf_services services;
        struct conf_gateway_draft gateway;
        struct conf_dht_draft dht;
        struct conf_secret_draft secret;
        struct conf_place identity_at;
        struct conf_places places;
        struct conf_site_draft site[CONF_SITES];
        struct conf_docker_draft docker;
        bool seen, address_bad;
};

static void read_secret_file(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;

        conf_secret_read(read, node, &draft->secret, draft->conf);
}

static void read_state_directory(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_path_read(read, node, "/var/lib/hypergate/router1", &((struct draft *)into)->conf->state_directory);
}

static void read_ca_file(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_path_read(read, node, "/etc/hypergate/ca.pem", &((struct draft *)into)->conf->ca_file);
}

static void read_port(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;
        uint32_t port;

        if (conf_value_whole(read, node, 0, UINT16_MAX, 49737, &port))
                draft->conf->port = (uint16_t)port;
        else
                draft->address_bad = true;
}

static void read_host(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;
        const char *text, *expected = NULL;
        bool good = conf_value_text(read, node, "0.0.0.0", &text);

        if (good && (expected = conf_host_ipv4(text, draft->conf->host)))
                good = conf_value_wrong(read, node, expected);
        draft->address_bad |= !good;
}

static void read_bootstrap(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_bootstrap_read(read, node, ((struct draft *)into)->conf);
}

const char *const conf_log_levels[] = { "error", "warning", "notice", "info", "debug", NULL };

static void read_identity(struct conf_read *read, const struct conf_node *node, void *into)
{
        static const char *const words[] = { "persistent", "ephemeral", NULL };
        struct draft *draft = into;
        unsigned index;

        draft->identity_at = (struct conf_place){ read->file, node->at };
        if (conf_value_choice(read, node, words, &index))
                draft->conf->identity = index == 0 ? CONF_IDENTITY_PERSISTENT : CONF_IDENTITY_EPHEMERAL;
}

static void read_log_level(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;
        unsigned index;

        if (conf_value_choice(read, node, conf_log_levels, &index))
                draft->conf->log_level = CONF_LOG_LEVEL_FIRST + (int)index;
}

static void read_log_channels(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;

        conf_value_bool(read, node, &draft->conf->log_channels);
}

static void read_provider(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;

        conf_provider_read(read, node, &draft->services, &draft->conf->provider);
}

static void read_gateway(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;

        conf_gateway_read(read, node, &draft->gateway, &draft->conf->gateway);
}

static void read_dht(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;

        conf_dht_read(read, node, &draft->dht, &draft->conf->dht);
}

static void read_peers(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_peers_read(read, node, ((struct draft *)into)->conf);
}

static void read_relay(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_relay_read(read, node, &((struct draft *)into)->conf->relay);
}

static void read_resolver(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;

        conf_site_read(read, node, CONF_SITE_RESOLVER, &draft->site[CONF_SITE_RESOLVER], draft->conf);
}

static void read_unlimited(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;

        conf_site_read(read, node, CONF_SITE_UNLIMITED, &draft->site[CONF_SITE_UNLIMITED], draft->conf);
}

static void read_docker(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;

        conf_docker_read(read, node, &draft->docker, &draft->conf->docker);
}

static void read_relays(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_relays_read(read, node, ((struct draft *)into)->conf);
}

static void read_cores(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_value_whole(read, node, 1, CONF_CORES_MAX, 1, &((struct draft *)into)->conf->cores);
}

static void read_stats_interval(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_stats_interval_read(read, node, ((struct draft *)into)->conf);
}

static void read_channel_buffer(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_channel_buffer_read(read, node, ((struct draft *)into)->conf);
}

static void read_peer_buffer(struct conf_read *read, const struct conf_node *node, void *into)
{
        conf_peer_buffer_read(read, node, ((struct draft *)into)->conf);
}

static void read_root(struct conf_read *read, const struct conf_node *root, void *context)
{
        static const struct conf_field fields[] = {
                { "secretFile", read_secret_file },
                { "provider", read_provider },
                { "gateway", read_gateway },
                { "dht", read_dht },
                { "relay", read_relay },
                { "relays", read_relays },
                { "fingerprintResolver", read_resolver },
                { "unlimited", read_unlimited },
                { "docker", read_docker },
                { "bootstrap", read_bootstrap },
                { "peers", read_peers },
                { "host", read_host },
                { "port", read_port },
                { "cores", read_cores },
                { "stateDirectory", read_state_directory },
                { "identity", read_identity },
                { "caFile", read_ca_file },
                { "logLevel", read_log_level },
                { "logChannels", read_log_channels },
                { "statsIntervalMs", read_stats_interval },
                { "maxBufferPerChannel", read_channel_buffer },
                { "maxBufferPerPeer", read_peer_buffer },
                { "channelTimeoutPollMs", conf_limits_pass_over, .unnamed = true },
                { "findRouteRetryMinMs", conf_limits_pass_over, .unnamed = true },
                { "findRouteRetryMaxMs", conf_limits_pass_over, .unnamed = true },
                { "peerStaleMs", conf_limits_pass_over, .unnamed = true },
                { "peerRefreshMs", conf_limits_pass_over, .unnamed = true },
                { "peerRefreshWaitMs", conf_limits_pass_over, .unnamed = true },
                { "include", conf_layers_pass_over },
                { NULL, NULL },
        };

        struct draft *draft = context;

        draft->seen = draft->seen || root->kind == CONF_MAP;
        draft->files[draft->conf->file_count++] = read->file->name;
        conf_places_note(&draft->places, read->file, root);
        conf_value_map(read, root, "the configuration", fields, context);
}

/* The first of several, as systemd.exec(5) has it; NULL: none. */
static const char *first_directory(struct conf_read *read, const char *directories)
{
        size_t len = directories ? strcspn(directories, ":") : 0;

        return len > 0 && len < CONF_PATH_MAX ? conf_arena_text(&read->image, directories, len) : NULL;
}

static void set_defaults(struct conf_read *read, struct draft *draft)
{
        struct conf *conf = draft->conf;

        conf->name = conf_path_stem(read, read->source->path);
        conf->log_level = LOG_INFO_LEVEL;
        conf->cores = 1;
        conf_limits_defaults(conf);
        conf_gateway_defaults(&conf->gateway);
        conf_tcp_defaults(&conf->provider.tcp);
        conf_dht_defaults(conf);
        conf->state_directory = first_directory(read, read->source->state_directory);
        conf->runtime_directory = first_directory(read, read->source->runtime_directory);
}

static void finish_identity(struct conf_read *read, const struct draft *draft)
{
        if (draft->conf->identity == CONF_IDENTITY_PERSISTENT && !draft->conf->state_directory)
                conf_error(&read->report, draft->identity_at.file, draft->identity_at.at,
                           "identity: a persistent one needs a folder to be kept in: %s, such as /var/lib/hypergate/router1",
                           read->source->notify_socket ? "StateDirectory=NAME in the unit, or stateDirectory: PATH" : "stateDirectory: PATH");
}

/* What can be said only when all files are known. */
static void finish(struct conf_read *read, struct draft *draft)
{
        struct conf *conf = draft->conf;
        bool has_role = conf->provider.present || conf->gateway.present || (conf->relay.present && !conf->relay.anybody);

        conf_dht_finish(read, &draft->dht, draft->address_bad, conf);
        conf_peers_finish(read, draft->file, conf);
        finish_identity(read, draft);
        conf_docker_finish(read, &draft->docker, conf);
        for (enum conf_site_kind kind = 0; kind < CONF_SITES && !read->source->without_secret; kind++)
                conf_site_finish(read, &draft->site[kind], kind, conf);
        if (!has_role && !conf->dht.persistent && !conf->relay.present && !read->source->without_role)
                conf_error(&read->report, draft->file, CONF_WHOLE_FILE,
                           "nothing to do: it has neither provider: nor gateway: nor relay: nor dht: {persistent: true}");
        if (conf->provider.service_count + read->source->added_count > CONF_SERVICES_MAX)
                conf_error(&read->report, draft->file, CONF_WHOLE_FILE,
                           "more than %d services with the %zu that were added while it runs: remove some of these, or of those in the files",
                           CONF_SERVICES_MAX, read->source->added_count);
        if (!read->source->without_secret)
                conf_secret_finish(read, &draft->secret, draft->file, has_role, conf);
        if (read->source->running && read->report.error_count == 0)
                conf_keep(read, draft->file, &draft->places, conf);
}

static void load_all(struct conf_read *read, struct conf *conf)
{
        struct draft draft = { .conf = conf };

        set_defaults(read, &draft);
        draft.files = conf_arena_take(&read->image, (CONF_FILES_MAX + 1) * sizeof(*draft.files));
        draft.file = conf_layers_read(read, read_root, &draft);
        conf->files = draft.files;
        conf_provider_finish(read, &draft.services, &conf->provider);
        conf_gateway_finish(read, &draft.gateway, &conf->gateway);
        if (read->source->verbose)
                conf->log_level = LOG_DEBUG_LEVEL;
        if (draft.seen)
                finish(read, &draft);
}

static const struct conf_complaint no_memory_complaint = { .file = "hypergate", .text = "no memory to read a configuration" };
static const struct conf_complaints no_memory = { .list = &no_memory_complaint, .count = 1, .error_count = 1 };

enum conf_verdict conf_load(const struct conf_source *source, struct conf **conf_out, struct conf_complaints *complaints_out)
{
        struct conf_read read = { .source = source };
        struct conf_report *report = &read.report;
        struct conf *conf;

        assert(source->path);
        if (conf_report_init(report) < 0) {
                *complaints_out = no_memory;
                return CONF_BAD;
        }
        conf = conf_image_new(&read.image);
        if (!conf) {
                conf_arena_fini(&report->arena);
                *complaints_out = no_memory;
                return CONF_BAD;
        }
        load_all(&read, conf);
        conf_report_finish(report, complaints_out);
        if (report->error_count > 0) {
                conf_image_drop(&read.image, conf);
                return CONF_BAD;
        }
        if (conf_image_seal(&read.image, conf) < 0) {
                conf_image_drop(&read.image, conf);
                conf_complaints_fini(complaints_out);
                *complaints_out = no_memory;
                return CONF_BAD;
        }
        *conf_out = conf;
        return CONF_GOOD;
}
