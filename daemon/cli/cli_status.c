/* SPDX-License-Identifier: BSD-3-Clause */
/* hypergate status: every instance whose control socket is where this user's are, or those that were named. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli_ask.h"
#include "cli_talk.h"
#include "conf.h"

static const char suffix[] = ".sock";

static void print_gates(const json_t *gates)
{
        for (size_t i = 0; i < json_array_size(gates); i++) {
                const json_t *gate = json_array_get(gates, i);
                bool listening = cli_talk_number(gate, "listening") == cli_talk_number(gate, "addresses");

                printf("%s%lld/%s%s", i ? ", " : "", cli_talk_number(gate, "port"), cli_talk_text(gate, "protocol"),
                       listening ? "" : " (not listening)");
        }
}

static void print_status(const json_t *status)
{
        const json_t *dht = json_object_get(status, "dht"), *peers = json_object_get(status, "peers"),
                     *gates = json_object_get(status, "gates");
        bool provider = cli_talk_flag(status, "provider"), gateway = cli_talk_flag(status, "gateway");

        printf("%s: %s%s%s", cli_talk_text(status, "instance"), provider ? "provider" : "", provider && gateway ? " and " : "",
               gateway ? "gateway" : provider ? "" : "DHT node");
        if (*cli_talk_text(status, "router"))
                printf(" of router %.8s...", cli_talk_text(status, "router"));
        printf(", up for %lld s, version %s\n", cli_talk_number(status, "uptimeSeconds"), cli_talk_text(status, "version"));
        printf("  DHT       %s, %lld nodes, UDP port %lld%s\n", cli_talk_flag(dht, "reached") ? "reached" : "not reached",
               cli_talk_number(dht, "nodes"), cli_talk_number(dht, "udpPort"),
               cli_talk_number(dht, "announced") || (!provider && !gateway) ? "" : ", not announced yet");
        if (provider || gateway)
                printf("  peers     %lld providers, %lld gateways\n", cli_talk_number(peers, "providers"),
                       cli_talk_number(peers, "gateways"));
        if (gateway) {
                printf("  gates     ");
                print_gates(gates);
                puts(json_array_size(gates) ? "" : "none");
        }
        printf("  channels  %lld, %lld bytes sent, %lld received\n", cli_talk_number(status, "channels"),
               cli_talk_number(status, "sentBytes"), cli_talk_number(status, "receivedBytes"));
        printf("  dropped   %lld datagrams, %lld of strangers\n", cli_talk_number(status, "datagramsDropped"),
               cli_talk_number(status, "strangersDropped"));
}

static void take(void *context, const json_t *object, const char *line)
{
        const bool *json = context;

        if (strcmp(cli_talk_text(object, "type"), "status") != 0)
                return;
        if (*json)
                fputs(line, stdout);
        else
                print_status(object);
        fflush(stdout);
}

/* 0: it answered. */
static int ask(const char *folder, const char *name, bool json)
{
        char path[PATH_MAX];
        struct cli_talk talk;
        int r;

        snprintf(path, sizeof(path), "%s/%s%s", folder, name, suffix);
        r = cli_talk_connect(&talk, path);
        if (r < 0)
                return r;
        return cli_talk(&talk, "status\n", take, &json) ? 0 : -EPROTO;
}

static int ask_named(const struct cli_options *options, const char *folder, bool json)
{
        int status = EX_OK;

        for (size_t i = 0; i < options->operand_count; i++) {
                const char *name = options->operands[i];
                int r = strchr(name, '/') ? -EINVAL : ask(folder, name, json);
                char quoted[128];

                if (r == 0)
                        continue;
                status = CLI_EXIT_NOTHING;
                conf_quote(name, quoted, sizeof(quoted));
                if (r == -ENOENT || r == -ECONNREFUSED)
                        fprintf(stderr, "hypergate: %s does not run here, or runs as somebody else\n", quoted);
                else
                        fprintf(stderr, "hypergate: %s: %s\n", quoted, strerror(-r));
        }
        return status;
}

static int is_control_socket(const struct dirent *entry)
{
        size_t len = strlen(entry->d_name);

        return len > strlen(suffix) && strcmp(entry->d_name + len - strlen(suffix), suffix) == 0;
}

/* What a dead instance left is no instance. */
static int ask_all(const char *folder, bool json)
{
        struct dirent **entries = NULL;
        int count = scandir(folder, &entries, is_control_socket, alphasort), alive = 0;

        for (int i = 0; i < count; i++) {
                entries[i]->d_name[strlen(entries[i]->d_name) - strlen(suffix)] = '\0';
                alive += ask(folder, entries[i]->d_name, json) == 0;
                free(entries[i]);
        }
        free(entries);
        if (alive == 0)
                fprintf(stderr, "hypergate: no instance of this user runs here (%s)\n", folder);
        return alive ? EX_OK : CLI_EXIT_NOTHING;
}

int cli_status_run(const struct cli_options *options)
{
        const char *told = secure_getenv("RUNTIME_DIRECTORY");
        char folder[PATH_MAX / 2];
        bool json = cli_options_next(options, CLI_OPTION_JSON, NULL);

        if (told && *told) {
                snprintf(folder, sizeof(folder), "%s", told);
        } else if (!conf_runtime_directory(folder, sizeof(folder))) {
                fprintf(stderr, "hypergate: XDG_RUNTIME_DIR is not set: no place for control sockets\n");
                return EX_UNAVAILABLE;
        }
        return options->operand_count ? ask_named(options, folder, json) : ask_all(folder, json);
}
