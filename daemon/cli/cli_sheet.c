/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_sheet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli_instance.h"

struct writer_state {
        FILE *out;
        struct cli_sheet *sheet;
};

/* In double quotes. A line break would make two lines of one, and the libyaml's other breaks (U+0085, U+2028, U+2029) too. */
static void write_quoted(FILE *out, const char *text, size_t len)
{
        fputc('"', out);
        for (size_t i = 0; i < len; i++) {
                unsigned char c = (unsigned char)text[i];

                if (c == '"' || c == '\\')
                        fprintf(out, "\\%c", c);
                else if (c < 0x20 || c == 0x7f)
                        fprintf(out, "\\x%02x", c);
                else
                        fputc(c, out);
        }
        fputc('"', out);
}

/* Ends a line that @flag said. */
static void end_line(struct writer_state *state, const char *flag)
{
        fputc('\n', state->out);
        state->sheet->flags[state->sheet->flag_count++] = flag;
}

static void write_text(struct writer_state *state, const char *before, const struct cli_given *given, const char *after)
{
        fputs(before, state->out);
        write_quoted(state->out, given->value, strlen(given->value));
        fputs(after, state->out);
        end_line(state, given->flag);
}

static void write_line(struct writer_state *state, const char *line)
{
        fputs(line, state->out);
        end_line(state, NULL);
}

/* "key: [" and a line for each time the option was given. */
static void write_list(struct writer_state *state, const struct cli_options *options, enum cli_option option, const char *key)
{
        const struct cli_given *given = NULL;

        fputs(key, state->out);
        write_line(state, ": [");
        while ((given = cli_options_next(options, option, given)))
                if (*given->value)
                        write_text(state, " ", given, ",");
}

/* A line for each time the option was given, with what commas part in its value. */
static void write_parts(struct writer_state *state, const struct cli_options *options, enum cli_option option)
{
        const struct cli_given *given = NULL;

        while ((given = cli_options_next(options, option, given))) {
                const char *at = given->value;

                for (size_t len = strcspn(at, ","); *at; at += len + (at[len] == ','), len = strcspn(at, ",")) {
                        write_quoted(state->out, at, len);
                        fputs(", ", state->out);
                }
                end_line(state, given->flag);
        }
}

static void write_bootstrap(struct writer_state *state, const struct cli_options *options)
{
        write_line(state, "bootstrap: [");
        write_parts(state, options, CLI_OPTION_BOOTSTRAP);
        write_line(state, "]");
}

static void write_verbose(struct writer_state *state, const struct cli_options *options)
{
        const struct cli_given *verbose = cli_options_next(options, CLI_OPTION_VERBOSE, NULL);

        if (!verbose)
                return;
        fputs("logLevel: debug", state->out);
        end_line(state, verbose->flag);
}

static bool has_value(const struct cli_options *options, enum cli_option option)
{
        const char *value = cli_options_value(options, option);

        return value && *value;
}

static const struct cli_given *last(const struct cli_options *options, enum cli_option option)
{
        const struct cli_given *given = NULL, *found = NULL;

        while ((given = cli_options_next(options, option, given)))
                found = given;
        return found;
}

/* One that is no number stays a text, for the complaint. */
static void write_number(struct writer_state *state, const char *text)
{
        if (*text && strspn(text, "0123456789") == strlen(text))
                fputs(text, state->out);
        else
                write_quoted(state->out, text, strlen(text));
}

enum { OF_PROVIDER = 1, OF_GATEWAY = 2, OF_INSTANCE = 4 };

/* The original's, in what they are said of here. */
static const struct {
        enum cli_option option;
        const char *key;
        unsigned of;
} limits[] = {
        { CLI_OPTION_ROUTE_FINDING_TIMEOUT, "routeFindingTimeoutMs", OF_GATEWAY },
        { CLI_OPTION_UDP_TIMEOUT, "udpSocketTimeoutMs", OF_PROVIDER | OF_GATEWAY },
        { CLI_OPTION_TCP_TIMEOUT, "tcpSocketTimeoutMs", OF_PROVIDER | OF_GATEWAY },
        { CLI_OPTION_OPEN_REQUEST_TIMEOUT, "openRequestTimeoutMs", OF_GATEWAY },
        { CLI_OPTION_ROUTE_EXPIRATION, "routeExpirationMs", OF_GATEWAY },
        { CLI_OPTION_STATS_INTERVAL, "statsIntervalMs", OF_INSTANCE },
        { CLI_OPTION_CHANNEL_BUFFER, "maxBufferPerChannel", OF_INSTANCE },
        { CLI_OPTION_PEER_BUFFER, "maxBufferPerPeer", OF_INSTANCE },
        { CLI_OPTION_CHANNEL_TIMEOUT_POLL, "channelTimeoutPollMs", OF_INSTANCE },
        { CLI_OPTION_FIND_ROUTE_RETRY_MIN, "findRouteRetryMinMs", OF_INSTANCE },
        { CLI_OPTION_FIND_ROUTE_RETRY_MAX, "findRouteRetryMaxMs", OF_INSTANCE },
        { CLI_OPTION_PEER_STALE, "peerStaleMs", OF_INSTANCE },
        { CLI_OPTION_PEER_REFRESH, "peerRefreshMs", OF_INSTANCE },
        { CLI_OPTION_PEER_REFRESH_WAIT, "peerRefreshWaitMs", OF_INSTANCE },
};

static void write_limits(struct writer_state *state, const struct cli_options *options, unsigned of)
{
        for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
                const struct cli_given *given = limits[i].of & of ? last(options, limits[i].option) : NULL;

                if (!given)
                        continue;
                fprintf(state->out, "%s%s: ", of == OF_INSTANCE ? "" : " ", limits[i].key);
                write_number(state, given->value);
                fputs(of == OF_INSTANCE ? "" : ",", state->out);
                end_line(state, given->flag);
        }
}

static void write_secret(struct writer_state *state, const struct cli_options *options)
{
        write_text(state, "secretFile: ", last(options, CLI_OPTION_SECRET_FILE), "");
}

static void write_site(struct writer_state *state, const char *key, const struct cli_given *host, const char *port, const char *flag)
{
        const char *ip = host ? host->value : "127.0.0.1";
        bool v6 = strchr(ip, ':') && *ip != '[';
        char *where = NULL;

        if (asprintf(&where, "%s%s%s:%s", v6 ? "[" : "", ip, v6 ? "]" : "", port) < 0)
                return;
        fprintf(state->out, "%s: { listen: ", key);
        write_quoted(state->out, where, strlen(where));
        fputs(" }", state->out);
        end_line(state, flag);
        free(where);
}

static void write_sites(struct writer_state *state, const struct cli_options *options)
{
        const struct cli_given *resolver = last(options, CLI_OPTION_RESOLVER_PORT), *port = last(options, CLI_OPTION_UNLIMITED_PORT);

        if (resolver)
                write_site(state, "fingerprintResolver", last(options, CLI_OPTION_RESOLVER_HOST), resolver->value, resolver->flag);
        if (cli_instance_unlimited(options))
                write_site(state, "unlimited", last(options, CLI_OPTION_UNLIMITED_HOST), port ? port->value : "8091",
                           port ? port->flag : "--unlimitedSecret");
}

/* One that is neither stays a text, for the complaint. */
static void write_truth(struct writer_state *state, const char *key, const struct cli_given *given)
{
        fprintf(state->out, " %s: ", key);
        if (!*given->value || strcasecmp(given->value, "true") == 0)
                fputs("true", state->out);
        else if (strcasecmp(given->value, "false") == 0)
                fputs("false", state->out);
        else
                write_quoted(state->out, given->value, strlen(given->value));
        fputc(',', state->out);
        end_line(state, given->flag);
}

/* With --docker it is services of containers alone unless something else is said. */
static void write_exposed(struct writer_state *state, const struct cli_options *options)
{
        const struct cli_given *docker = last(options, CLI_OPTION_DOCKER), *only_docker = last(options, CLI_OPTION_EXPOSE_ONLY_DOCKER),
                               *published = last(options, CLI_OPTION_EXPOSE_ONLY_PUBLISHED);

        if (only_docker)
                write_truth(state, "exposeOnlyDocker", only_docker);
        else if (docker) {
                fputs(" exposeOnlyDocker: true,", state->out);
                end_line(state, docker->flag);
        }
        if (published)
                write_truth(state, "exposeOnlyPublished", published);
        if (!cli_options_next(options, CLI_OPTION_EXPOSE_ONLY_SERVICES, NULL))
                return;
        write_line(state, " exposeOnlyServices: [");
        write_parts(state, options, CLI_OPTION_EXPOSE_ONLY_SERVICES);
        write_line(state, " ],");
}

static void write_docker(struct writer_state *state, const struct cli_options *options)
{
        const struct cli_given *docker = last(options, CLI_OPTION_DOCKER), *image = last(options, CLI_OPTION_IMAGE),
                               *refresh = last(options, CLI_OPTION_REFRESH_TIME);

        if (!docker)
                return;
        fputs("docker: {", state->out);
        end_line(state, docker->flag);
        if (*docker->value)
                write_text(state, " socket: ", docker, ",");
        if (cli_options_next(options, CLI_OPTION_NETWORK, NULL)) {
                write_list(state, options, CLI_OPTION_NETWORK, " network");
                write_line(state, " ],");
        }
        if (image)
                write_text(state, " image: ", image, ",");
        if (refresh) {
                fputs(" refreshTime: ", state->out);
                write_number(state, refresh->value);
                fputc(',', state->out);
                end_line(state, refresh->flag);
        }
        write_line(state, "}");
}

static void write_instance(struct writer_state *state, const struct cli_options *options)
{
        if (cli_options_next(options, CLI_OPTION_PROVIDER, NULL)) {
                write_line(state, "provider: {");
                write_limits(state, options, OF_PROVIDER);
                if (cli_options_next(options, CLI_OPTION_INGRESS_POLICY, NULL)) {
                        write_list(state, options, CLI_OPTION_INGRESS_POLICY, " ingressPolicy");
                        write_line(state, " ],");
                }
                write_list(state, options, CLI_OPTION_PROVIDER, " services");
                write_line(state, " ]}");
        }
        if (cli_options_next(options, CLI_OPTION_GATEWAY, NULL)) {
                write_line(state, "gateway: {");
                write_limits(state, options, OF_GATEWAY);
                if (has_value(options, CLI_OPTION_GATEWAY)) {
                        write_list(state, options, CLI_OPTION_GATEWAY, " services");
                        write_line(state, " ],");
                }
                if (cli_options_next(options, CLI_OPTION_LISTEN, NULL)) {
                        write_list(state, options, CLI_OPTION_LISTEN, " listen");
                        write_line(state, " ],");
                }
                write_exposed(state, options);
                write_line(state, "}");
        }
        write_docker(state, options);
        write_sites(state, options);
        if (cli_options_next(options, CLI_OPTION_SECRET_FILE, NULL))
                write_secret(state, options);
        if (cli_options_next(options, CLI_OPTION_BOOTSTRAP, NULL))
                write_bootstrap(state, options);
        write_limits(state, options, OF_INSTANCE);
        write_verbose(state, options);
}

/* HOST:PORT becomes host and port. */
static void write_listen(struct writer_state *state, const struct cli_given *listen)
{
        const char *colon = strrchr(listen->value, ':');

        fputs("host: ", state->out);
        write_quoted(state->out, listen->value, colon ? (size_t)(colon - listen->value) : strlen(listen->value));
        end_line(state, listen->flag);
        fputs("port: ", state->out);
        write_number(state, colon ? colon + 1 : "");
        end_line(state, listen->flag);
}

static void write_bootstrap_node(struct writer_state *state, const struct cli_options *options)
{
        const struct cli_given *public = last(options, CLI_OPTION_PUBLIC);

        fputs("dht: { persistent: true,", state->out);
        end_line(state, "--public");
        if (public)
                write_text(state, " public: ", public, "");
        write_line(state, "}");
        write_listen(state, last(options, CLI_OPTION_LISTEN));
        write_bootstrap(state, options);
        write_verbose(state, options);
}

static void write_relay(struct writer_state *state, const struct cli_options *options)
{
        const struct cli_given *open = last(options, CLI_OPTION_OPEN), *listen = last(options, CLI_OPTION_LISTEN);

        fprintf(state->out, "relay: { open: %s }", open ? "true" : "false");
        end_line(state, open ? open->flag : "relay");
        if (cli_options_next(options, CLI_OPTION_SECRET_FILE, NULL))
                write_secret(state, options);
        if (listen)
                write_listen(state, listen);
        if (cli_options_next(options, CLI_OPTION_BOOTSTRAP, NULL))
                write_bootstrap(state, options);
        write_verbose(state, options);
}

/* One that is there for a question. */
static void write_asked(struct writer_state *state, const struct cli_options *options)
{
        write_line(state, "logLevel: warning");
        if (cli_options_next(options, CLI_OPTION_BOOTSTRAP, NULL))
                write_bootstrap(state, options);
}

/* Lines: at most three for each option given, and a dozen around them. */
static int init(struct cli_sheet *sheet, const struct cli_options *options,
                void (*writes)(struct writer_state *state, const struct cli_options *options))
{
        struct writer_state state = { .sheet = sheet };
        bool failed;

        *sheet = (struct cli_sheet){ .flags = calloc(3 * options->given_count + 16, sizeof(*sheet->flags)) };
        state.out = open_memstream(&sheet->text, &sheet->len);
        failed = !sheet->flags || !state.out;
        if (!failed)
                writes(&state, options);
        if (state.out && fclose(state.out) != 0)
                failed = true;
        if (!failed)
                return 0;
        cli_sheet_fini(sheet);
        return -ENOMEM;
}

int cli_sheet_init(struct cli_sheet *sheet, const struct cli_options *options)
{
        return init(sheet, options, options->command == CLI_INSTANCE ? write_instance :
                                    options->command == CLI_BOOTSTRAP ? write_bootstrap_node :
                                    options->command == CLI_RELAY ? write_relay : write_asked);
}

int cli_sheet_init_secret(struct cli_sheet *sheet, const struct cli_options *options)
{
        return init(sheet, options, write_secret);
}

void cli_sheet_fini(struct cli_sheet *sheet)
{
        free(sheet->text);
        free(sheet->flags);
        *sheet = (struct cli_sheet){ 0 };
}
