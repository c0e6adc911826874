/* SPDX-License-Identifier: BSD-3-Clause */
/* hypergate metrics: how the instances of this user fare, for Prometheus and its like, as OpenMetrics 1.0 has it. The figures come by their
 * control sockets: so who answers a scraper is a process of its own, which holds no secret and no connection of theirs, and ends with
 * its answer. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli_ask.h"
#include "cli_each.h"
#include "cli_http.h"
#include "cli_serve.h"
#include "cli_talk.h"

enum { PATIENCE_S = 20, PEER_CHARS = 16 };

static const char type_openmetrics[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/* "\\", "\"" and line breaks: OpenMetrics 1.0, "escaped-string". */
static void write_escaped(FILE *out, const char *text)
{
        for (; *text; text++)
                if (*text == '\n')
                        fputs("\\n", out);
                else
                        fprintf(out, *text == '\\' || *text == '"' ? "\\%c" : "%c", *text);
}

static void family(FILE *out, const char *name, const char *type, const char *unit, const char *help)
{
        fprintf(out, "# TYPE hypergate_%s %s\n", name, type);
        if (unit)
                fprintf(out, "# UNIT hypergate_%s %s\n", name, unit);
        fprintf(out, "# HELP hypergate_%s %s\n", name, help);
}

/* @more: further labels, ",name=\"value\"" each, or "". */
static void sample(FILE *out, const char *name, const json_t *of, const char *more, double value)
{
        fprintf(out, "hypergate_%s{instance=\"", name);
        write_escaped(out, cli_talk_text(of, "instance"));
        fprintf(out, "\"%s} %.15g\n", more, value);
}

static bool is(const json_t *object, const char *key, const char *word)
{
        return strcmp(cli_talk_text(object, key), word) == 0;
}

/* One number of each instance. @inside: the object of it that has @key, or NULL. */
static const struct figure {
        const char *name, *type, *unit, *help, *inside, *key;
} figures[] = {
        { "uptime_seconds", "gauge", "seconds", "Since the instance began.", NULL, "uptimeSeconds" },
        { "dht_reached", "gauge", NULL, "1: nodes of the DHT answer.", "dht", "reached" },
        { "dht_nodes", "gauge", NULL, "Nodes of the DHT that are known.", "dht", "nodes" },
        { "dht_announced", "gauge", NULL, "Identities that others can find.", "dht", "announced" },
        { "addresses_allowed", "gauge", NULL, "Addresses that are let in, whatever ingress policies say.", NULL, "allowed" },
        { "host_names", "gauge", NULL, "Names of remote services in the virtual network.", "hosts", "names" },
        { "host_ports", "gauge", NULL, "Ports of all of them.", "hosts", "ports" },
        { "host_ports_open", "gauge", NULL, "Those that a helper has opened.", "hosts", "open" },
        { "services_gone", "gauge", NULL, "Services that are not offered, as their checks fail.", NULL, "servicesGone" },
        { "channels", "gauge", NULL, "Clients that are carried now.", NULL, "channels" },
        { "channel_sent_bytes", "counter", "bytes", "Of channels, to peers.", NULL, "sentBytes" },
        { "channel_received_bytes", "counter", "bytes", "Of channels, from peers.", NULL, "receivedBytes" },
        { "datagrams_dropped", "counter", NULL, "Datagrams of clients and for them, for want of room.", NULL, "datagramsDropped" },
        { "stream_packets_dropped", "counter", NULL, "Packets of peers that found their socket full.", NULL, "streamPacketsDropped" },
        { "strangers_dropped", "counter", NULL, "Packets of strangers.", NULL, "strangersDropped" },
        { "adverts_dropped", "counter", NULL, "Advertisements of providers that could not be read.", NULL, "advertsDropped" },
        { "relay_connections", "gauge", NULL, "Connections of others that are carried.", "relay", "connections" },
        { "relay_bytes", "counter", "bytes", "Of connections of others.", "relay", "bytes" },
        { "worker_restarts", "counter", NULL, "Workers that ended and were started again.", NULL, "workerRestarts" },
};

static void write_figure(FILE *out, const struct figure *figure, const json_t *told)
{
        bool counts = strcmp(figure->type, "counter") == 0;
        char name[64];

        snprintf(name, sizeof(name), "%s%s", figure->name, counts ? "_total" : "");
        family(out, figure->name, figure->type, figure->unit, figure->help);
        for (size_t i = 0; i < json_array_size(told); i++) {
                const json_t *status = json_array_get(told, i), *in = figure->inside ? json_object_get(status, figure->inside) : status;

                if (is(status, "type", "status") && json_object_get(in, figure->key))
                        sample(out, name, status, "", cli_talk_decimal(in, figure->key));
        }
}

static void write_instances(FILE *out, const json_t *told)
{
        char more[160];

        family(out, "instance", "info", NULL, "Its version, and what it is.");
        for (size_t i = 0; i < json_array_size(told); i++) {
                const json_t *status = json_array_get(told, i);

                if (!is(status, "type", "status"))
                        continue;
                snprintf(more, sizeof(more), ",version=\"%.32s\",provider=\"%d\",gateway=\"%d\"", cli_talk_text(status, "version"),
                         cli_talk_flag(status, "provider"), cli_talk_flag(status, "gateway"));
                sample(out, "instance_info", status, more, 1);
        }
}

static void write_gates(FILE *out, const json_t *told)
{
        family(out, "gates", "gauge", NULL, "Gates that are wanted, and whether they listen on all their addresses.");
        for (size_t i = 0; i < json_array_size(told); i++) {
                const json_t *status = json_array_get(told, i), *gates = json_object_get(status, "gates");
                size_t listening = 0;

                if (!is(status, "type", "status") || !cli_talk_flag(status, "gateway"))
                        continue;
                for (size_t j = 0; j < json_array_size(gates); j++)
                        listening += cli_talk_number(json_array_get(gates, j), "listening") ==
                                     cli_talk_number(json_array_get(gates, j), "addresses");
                sample(out, "gates", status, ",listening=\"yes\"", (double)listening);
                sample(out, "gates", status, ",listening=\"no\"", (double)(json_array_size(gates) - listening));
        }
}

static void write_ended(FILE *out, const json_t *told)
{
        char more[64];

        family(out, "channels_ended", "counter", NULL, "Channels that are over, by why: see hypergate-journal(7).");
        for (size_t i = 0; i < json_array_size(told); i++) {
                const json_t *status = json_array_get(told, i), *value;
                const char *reason;

                json_object_foreach(json_object_get(status, "channelsEnded"), reason, value) {
                        snprintf(more, sizeof(more), ",reason=\"%.32s\"", reason);
                        sample(out, "channels_ended_total", status, more, json_number_value(value));
                }
        }
}

static const char *const roles[] = { "provider", "gateway" }, *const paths[] = { "direct", "near", "punched", "chance", "relay" };

enum { ROLES = sizeof(roles) / sizeof(roles[0]), PATHS = sizeof(paths) / sizeof(paths[0]) };

/* The peers of one instance. */
struct tally {
        const json_t *status;
        unsigned peers[ROLES][PATHS], unreached;
};

struct tallies {
        struct tally *list;
        size_t count;
};

/* That of the instance which told @object; NULL: it did not tell its status. All that one has told follows each other: @last, of the object
 * before, is nearly always the one. */
static struct tally *tally_of(const struct tallies *tallies, const json_t *object, struct tally *last)
{
        const char *instance = cli_talk_text(object, "instance");

        if (last && is(last->status, "instance", instance))
                return last;
        for (size_t i = 0; i < tallies->count; i++)
                if (is(tallies->list[i].status, "instance", instance))
                        return &tallies->list[i];
        return NULL;
}

static void count_peer(struct tally *tally, const json_t *peer)
{
        for (size_t i = 0; i < ROLES; i++)
                for (size_t j = 0; j < PATHS; j++)
                        tally->peers[i][j] += is(peer, "role", roles[i]) && is(peer, "path", paths[j]);
}

/* All peers once. Without memory there are no tallies. */
static struct tallies count_peers(const json_t *told)
{
        struct tallies tallies = { .list = calloc(json_array_size(told) + 1, sizeof(*tallies.list)) };
        struct tally *tally = NULL;

        for (size_t i = 0; tallies.list && i < json_array_size(told); i++) {
                const json_t *object = json_array_get(told, i);

                if (is(object, "type", "status"))
                        tallies.list[tallies.count++].status = object;
                else
                        tally = tally_of(&tallies, object, tally);
                if (tally && is(object, "type", "peer"))
                        count_peer(tally, object);
                else if (tally && is(object, "type", "unreached"))
                        tally->unreached++;
        }
        return tallies;
}

static void write_peers(FILE *out, const json_t *told)
{
        struct tallies tallies = count_peers(told);
        char more[64];

        family(out, "peers", "gauge", NULL, "Peers that are connected, by what they are and how.");
        for (size_t i = 0; i < tallies.count; i++)
                for (size_t j = 0; j < ROLES; j++)
                        for (size_t k = 0; k < PATHS; k++) {
                                snprintf(more, sizeof(more), ",role=\"%s\",path=\"%s\"", roles[j], paths[k]);
                                sample(out, "peers", tallies.list[i].status, more, tallies.list[i].peers[j][k]);
                        }
        family(out, "peers_unreached", "gauge", NULL, "Peers that could not be reached lately.");
        for (size_t i = 0; i < tallies.count; i++)
                sample(out, "peers_unreached", tallies.list[i].status, "", tallies.list[i].unreached);
        free(tallies.list);
}

/* One number of each peer; counters begin anew with a connection. */
static const struct peer_figure {
        const char *name, *type, *unit, *help, *key;
        double scale;
} peer_figures[] = {
        { "peer_rtt_seconds", "gauge", "seconds", "There and back to a peer, smoothed.", "rttMs", 1e-3 },
        { "peer_sent_bytes", "counter", "bytes", "To a peer, sealing included.", "sentBytes", 1 },
        { "peer_received_bytes", "counter", "bytes", "From a peer, sealing included.", "receivedBytes", 1 },
        { "peer_packets_resent", "counter", NULL, "Packets that were sent to a peer again.", "packetsResent", 1 },
        { "peer_leaves", "gauge", NULL, "1: the peer has said that it is being stopped.", "leaves", 1 },
};

static void write_peer_figure(FILE *out, const struct peer_figure *figure, const json_t *told)
{
        bool counts = strcmp(figure->type, "counter") == 0;
        char name[64], more[128];

        snprintf(name, sizeof(name), "%s%s", figure->name, counts ? "_total" : "");
        family(out, figure->name, figure->type, figure->unit, figure->help);
        for (size_t i = 0; i < json_array_size(told); i++) {
                const json_t *peer = json_array_get(told, i), *value = json_object_get(peer, figure->key);

                if (!is(peer, "type", "peer") || !value || json_is_null(value))
                        continue;
                snprintf(more, sizeof(more), ",peer=\"%.*s\",role=\"%.16s\"", PEER_CHARS, cli_talk_text(peer, "key"), cli_talk_text(peer, "role"));
                sample(out, name, peer, more, cli_talk_decimal(peer, figure->key) * figure->scale);
        }
}

static void write_all(FILE *out, const json_t *told)
{
        write_instances(out, told);
        for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
                write_figure(out, &figures[i], told);
        write_gates(out, told);
        write_ended(out, told);
        write_peers(out, told);
        for (size_t i = 0; i < sizeof(peer_figures) / sizeof(peer_figures[0]); i++)
                write_peer_figure(out, &peer_figures[i], told);
        fputs("# EOF\n", out);
}

/* The text, to be freed; NULL: no memory. An instance that does not answer is not in it. */
static char *measure(size_t *len_out)
{
        json_t *told = json_array();
        char *text = NULL;
        FILE *out = told ? open_memstream(&text, len_out) : NULL;

        if (out) {
                cli_each_there(&(struct cli_each){ .request = "status\n", .take = cli_each_collect, .context = told });
                cli_each_there(&(struct cli_each){ .request = "peers\n", .take = cli_each_collect, .context = told });
                write_all(out, told);
                if (fclose(out) != 0) {
                        free(text);
                        text = NULL;
                }
        }
        json_decref(told);
        return text;
}

static int answer_http(void)
{
        enum cli_http status = cli_http_receive(STDIN_FILENO, "/metrics");
        size_t len = 0;
        char *text = status == CLI_HTTP_OK ? measure(&len) : NULL;
        int r;

        if (status == CLI_HTTP_OK && !text)
                return EX_OSERR;
        r = cli_http_answer(STDOUT_FILENO, status, text ? type_openmetrics : "text/plain", text ? text : "", text ? len : 0);
        free(text);
        return r < 0 ? EX_IOERR : EX_OK;
}

/* A process for each request, as systemd would start it; who hangs is ended by its own alarm. */
static int answer_at(void *context, int fd)
{
        if (dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
                return EX_OSERR;
        alarm(PATIENCE_S);
        return answer_http();
}

static int print(void)
{
        size_t len = 0;
        char *text;
        bool good;

        text = measure(&len);
        good = text && fwrite(text, 1, len, stdout) == len && fflush(stdout) == 0;
        free(text);
        return good ? EX_OK : EX_IOERR;
}

int cli_metrics_run(const struct cli_options *options)
{
        const char *listen = cli_options_value(options, CLI_OPTION_LISTEN);
        bool http = cli_options_next(options, CLI_OPTION_HTTP, NULL);

        signal(SIGPIPE, SIG_IGN);
        if (listen && http) {
                fprintf(stderr, "hypergate: metrics: --http answers one request, --listen all: one of both\nTry: hypergate --help\n");
                return EX_USAGE;
        }
        if (listen)
                return cli_serve(listen, answer_at, NULL);
        alarm(PATIENCE_S);              /* an instance that hangs holds nobody up for long */
        return http ? answer_http() : print();
}
