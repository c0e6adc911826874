/* SPDX-License-Identifier: BSD-3-Clause */
/* hypergate status. */
#include <stdio.h>
#include <string.h>

#include "cli_ask.h"
#include "cli_each.h"
#include "cli_talk.h"

static void print_gates(const json_t *gates)
{
        for (size_t i = 0; i < json_array_size(gates); i++) {
                const json_t *gate = json_array_get(gates, i);
                bool listening = cli_talk_number(gate, "listening") == cli_talk_number(gate, "addresses");

                printf("%s%lld/%s%s", i ? ", " : "", cli_talk_number(gate, "port"), cli_talk_text(gate, "protocol"),
                       listening ? "" : " (not listening)");
        }
}

/* While a secret is exchanged. */
static void print_previous(const json_t *previous, long long peers)
{
        for (size_t i = 0; i < json_array_size(previous); i++)
                printf("  previous  router %.8s... until %s\n", cli_talk_text(json_array_get(previous, i), "router"),
                       cli_talk_text(json_array_get(previous, i), "until"));
        if (json_array_size(previous))
                printf("            %lld peer%s shown no newer secret yet%s\n", peers, peers == 1 ? " has" : "s have",
                       peers ? ": hypergate peers" : "");
}

/* One for each of its cores. */
static void print_keys(const char *what, const json_t *keys)
{
        for (size_t i = 0; i < json_array_size(keys); i++) {
                const char *key = json_string_value(json_array_get(keys, i));

                printf("  %-8s  %s\n", i ? "" : what, key ? key : "");
        }
}

static void print_status(const json_t *status)
{
        const json_t *dht = json_object_get(status, "dht"), *peers = json_object_get(status, "peers"),
                     *gates = json_object_get(status, "gates"), *relay = json_object_get(status, "relay"), *hosts = json_object_get(status, "hosts");
        bool provider = cli_talk_flag(status, "provider"), gateway = cli_talk_flag(status, "gateway");

        printf("%s: %s%s%s", cli_talk_text(status, "instance"), provider ? "provider" : "", provider && gateway ? " and " : "",
               gateway ? "gateway" : provider ? "" : "DHT node");
        if (*cli_talk_text(status, "router"))
                printf(" of router %.8s...", cli_talk_text(status, "router"));
        printf(", up for %lld s, version %s\n", cli_talk_number(status, "uptimeSeconds"), cli_talk_text(status, "version"));
        if (cli_talk_flag(status, "drained"))
                printf("  drained   takes no new clients: hypergate undrain\n");
        print_previous(json_object_get(status, "previousRouters"), cli_talk_number(peers, "previousSecret"));
        if (gateway)
                print_keys("gateway", json_object_get(status, "gatewayKeys"));
        if (provider)
                print_keys("provider", json_object_get(status, "providerKeys"));
        printf("  DHT       %s, %lld nodes, UDP port %lld%s\n", cli_talk_flag(dht, "reached") ? "reached" : "not reached",
               cli_talk_number(dht, "nodes"), cli_talk_number(dht, "udpPort"),
               cli_talk_number(dht, "announced") || (!provider && !gateway) ? "" : ", not announced yet");
        if (provider || gateway)
                printf("  peers     %lld providers, %lld gateways%s\n", cli_talk_number(peers, "providers"),
                       cli_talk_number(peers, "gateways"), cli_talk_number(peers, "relayed") ? ", some through a relay: hypergate peers" : "");
        if (cli_talk_number(relay, "connections") || cli_talk_number(relay, "bytes"))
                printf("  relay     %lld connections of others now, %lld bytes in all\n", cli_talk_number(relay, "connections"),
                       cli_talk_number(relay, "bytes"));
        if (gateway) {
                printf("  gates     ");
                print_gates(gates);
                puts(json_array_size(gates) ? "" : "none");
        }
        if (hosts)
                printf("  hosts     %lld names, %lld of %lld ports open\n", cli_talk_number(hosts, "names"), cli_talk_number(hosts, "open"),
                       cli_talk_number(hosts, "ports"));
        if (cli_talk_number(status, "allowed"))
                printf("  allowed   %lld address%s, whatever policies say: hypergate allowed\n", cli_talk_number(status, "allowed"),
                       cli_talk_number(status, "allowed") == 1 ? "" : "es");
        if (cli_talk_number(status, "servicesGone"))
                printf("  services  %lld not there, and not offered: hypergate services\n", cli_talk_number(status, "servicesGone"));
        printf("  channels  %lld, %lld bytes sent, %lld received\n", cli_talk_number(status, "channels"),
               cli_talk_number(status, "sentBytes"), cli_talk_number(status, "receivedBytes"));
        printf("  dropped   %lld datagrams, %lld packets of streams, %lld of strangers\n", cli_talk_number(status, "datagramsDropped"),
               cli_talk_number(status, "streamPacketsDropped"), cli_talk_number(status, "strangersDropped"));
        if (cli_talk_number(status, "advertsDropped"))
                printf("  adverts   %lld of providers could not be read: see the log\n", cli_talk_number(status, "advertsDropped"));
}

static void take(void *context, const char *instance, const json_t *object, const char *line)
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

int cli_status_run(const struct cli_options *options)
{
        bool json = cli_options_next(options, CLI_OPTION_JSON, NULL);

        return cli_each_named(&(struct cli_each){ "status\n", take, &json }, options);
}
