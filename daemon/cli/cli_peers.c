/* SPDX-License-Identifier: BSD-3-Clause */
/* hypergate peers: whom each instance is connected to, how, and whom it can't reach, and why. */
#include "cli_peers.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cli_ask.h"
#include "cli_each.h"
#include "cli_json.h"
#include "cli_talk.h"

/* More than this, and hello is refused by originals: fifteen minutes. Told before it comes to that. */
#define SKEW_TOLD_S 60.0

static const char *path_text(const char *path)
{
        static const struct { const char *word, *text; } paths[] = {
                { "direct", "direct" },
                { "near", "on the same network" },
                { "punched", "through both NATs" },
                { "chance", "through a NAT that was hard to get through" },
                { "relay", "over a relay" },
        };

        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
                if (strcmp(paths[i].word, path) == 0)
                        return paths[i].text;
        return path;
}

static void print_peer(const char *instance, const json_t *peer)
{
        double skew_s = cli_talk_decimal(peer, "clockSkewSeconds");

        printf("%s: %s %.8s... at %s, %s", instance, cli_talk_text(peer, "role"), cli_talk_text(peer, "key"),
               cli_talk_text(peer, "address"), path_text(cli_talk_text(peer, "path")));
        if (strcmp(cli_talk_text(peer, "path"), "relay") == 0)
                printf(" (%s)", cli_talk_text(peer, "why"));
        if (cli_talk_flag(peer, "leaves"))
                printf(", leaves");
        if (cli_talk_flag(peer, "previousSecret"))
                printf(", knows a previous secret only");
        if (cli_talk_decimal(peer, "rttMs") > 0)
                printf(", %.1f ms away", cli_talk_decimal(peer, "rttMs"));
        printf(", up for %.0f s, %lld bytes sent, %lld received", cli_talk_decimal(peer, "upSeconds"), cli_talk_number(peer, "sentBytes"),
               cli_talk_number(peer, "receivedBytes"));
        if (skew_s > SKEW_TOLD_S || skew_s < -SKEW_TOLD_S)
                printf("; its clock is %.0f s %s ours: one of them is wrong", skew_s > 0 ? skew_s : -skew_s,
                       skew_s > 0 ? "ahead of" : "behind");
        puts("");
}

/* Of one that is kept out the whole key, by which it is let in. */
static void print_unreached(const char *instance, const json_t *peer)
{
        if (cli_talk_flag(peer, "forbidden"))
                printf("%s: %s is not let in: %s\n", instance, cli_talk_text(peer, "key"), cli_talk_text(peer, "why"));
        else
                printf("%s: %.8s... was not reached: %s\n", instance, cli_talk_text(peer, "key"), cli_talk_text(peer, "why"));
}

void cli_peers_print(const char *instance, const json_t *object)
{
        const char *type = cli_talk_text(object, "type");

        if (strcmp(type, "peer") == 0)
                print_peer(instance, object);
        else if (strcmp(type, "unreached") == 0)
                print_unreached(instance, object);
}

static void take(void *context, const char *instance, const json_t *object, const char *line)
{
        const bool *json = context;

        if (*json)
                cli_json_print_line(instance, object, line);
        else
                cli_peers_print(instance, object);
        fflush(stdout);
}

int cli_peers_run(const struct cli_options *options)
{
        bool json = cli_options_next(options, CLI_OPTION_JSON, NULL);

        return cli_each_named(&(struct cli_each){ "peers\n", take, &json }, options);
}
