/* SPDX-License-Identifier: BSD-3-Clause */
/* hypergate routes, gates, services and channels: what each instance has of these, a line for each. */
#include <stdio.h>
#include <string.h>

#include "cli_ask.h"
#include "cli_each.h"
#include "cli_json.h"
#include "cli_talk.h"

static void print_route(const json_t *route)
{
        long long services = cli_talk_number(route, "services"), priority = cli_talk_number(route, "priority");

        printf("gate %lld/%s to provider %.8s...", cli_talk_number(route, "gatePort"), cli_talk_text(route, "protocol"),
               cli_talk_text(route, "peer"));
        if (services != 1)
                printf(", %lld services there", services);
        if (priority)
                printf(", priority %lld", priority);
        puts("");
}

static void print_gate(const json_t *gate)
{
        const json_t *listen = json_object_get(gate, "listen");

        printf("gate %lld/%s%s", cli_talk_number(gate, "gatePort"), cli_talk_text(gate, "protocol"), json_array_size(listen) ? " on" : "");
        for (size_t i = 0; i < json_array_size(listen); i++) {
                const json_t *at = json_array_get(listen, i);
                const char *why = cli_talk_text(at, "why");

                printf("%s %s", i ? "," : "", cli_talk_text(at, "address"));
                if (!cli_talk_flag(at, "listening"))
                        printf(" (not listening%s%s)", *why ? ": " : "", why);
        }
        puts("");
}

static void print_service(const json_t *service)
{
        const char *tags = cli_talk_text(service, "tags");
        char port[32], priority[80] = "";

        snprintf(port, sizeof(port), ":%lld", cli_talk_number(service, "servicePort"));
        if (cli_talk_number(service, "priority"))
                snprintf(priority, sizeof(priority), ", priority %lld", cli_talk_number(service, "priority"));
        if (strcmp(cli_talk_text(service, "health"), "gone") == 0)
                strcat(priority, ", not there: not offered");
        printf("gate %lld/%s from %s%s%s%s%s%s%s\n", cli_talk_number(service, "gatePort"), cli_talk_text(service, "protocol"),
               cli_talk_text(service, "serviceHost"), cli_talk_number(service, "servicePort") ? port : "", *tags ? ", tags " : "", tags, priority,
               cli_talk_flag(service, "added") ? ", added" : "", cli_talk_number(service, "addresses") ? "" : ": no address is known");
}

/* " for 192.0.2.1:51000 (vip,office)", as the log has it. */
static void print_client(const json_t *channel)
{
        const char *address = cli_talk_text(channel, "clientAddress");
        const json_t *labels = json_object_get(channel, "labels");
        bool v6 = strchr(address, ':');

        if (*address)
                printf(" for %s%s%s:%lld", v6 ? "[" : "", address, v6 ? "]" : "", cli_talk_number(channel, "clientPort"));
        for (size_t i = 0; i < json_array_size(labels); i++)
                printf("%s%s", i ? "," : " (", json_string_value(json_array_get(labels, i)));
        fputs(json_array_size(labels) ? ")" : "", stdout);
}

static void print_channel(const json_t *channel)
{
        bool service = strcmp(cli_talk_text(channel, "end"), "service") == 0;

        printf("%s %lld/%s", cli_talk_text(channel, "end"), cli_talk_number(channel, "gatePort"), cli_talk_text(channel, "protocol"));
        print_client(channel);
        printf(" %s peer %.8s..., %s for %.1f s, %lld bytes sent, %lld received\n", service ? "from" : "to",
               cli_talk_text(channel, "peer"), cli_talk_text(channel, "state"), cli_talk_decimal(channel, "ageSeconds"),
               cli_talk_number(channel, "sentBytes"), cli_talk_number(channel, "receivedBytes"));
}

static const struct list {
        const char *request, *type;
        void (*print)(const json_t *object);
} lists[CLI_COMMANDS] = {
        [CLI_ROUTES] = { "routes\n", "route", print_route },
        [CLI_GATES] = { "gates\n", "gate", print_gate },
        [CLI_SERVICES] = { "services\n", "service", print_service },
        [CLI_CHANNELS] = { "channels\n", "channel", print_channel },
};

struct printing {
        const struct list *list;
        bool json;
};

static void take(void *context, const char *instance, const json_t *object, const char *line)
{
        const struct printing *printing = context;

        if (strcmp(cli_talk_text(object, "type"), printing->list->type) != 0)
                return;
        if (printing->json) {
                cli_json_print_line(instance, object, line);
        } else {
                printf("%s: ", instance);
                printing->list->print(object);
        }
        fflush(stdout);
}

int cli_list_run(const struct cli_options *options)
{
        struct printing printing = { .list = &lists[options->command], .json = cli_options_next(options, CLI_OPTION_JSON, NULL) };

        return cli_each_named(&(struct cli_each){ printing.list->request, take, &printing }, options);
}
