/* SPDX-License-Identifier: BSD-3-Clause */
/* hypergate doctor: what this machine's network is like for peers, by an instance that is there for that alone. */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli_ask.h"
#include "cli_each.h"
#include "cli_json.h"
#include "cli_peers.h"
#include "cli_talk.h"

enum {
        SKEWS_MAX = 256,
        MTU_TOLD = 1500,                /* what is less is worth a word */
};

struct doctor {
        bool json, reached;
        double skews_s[SKEWS_MAX];      /* of peers' clocks */
        size_t skew_count;
};

/* What people want to know of it. */
static const struct {
        const char *class, *verdict;
} classes[] = {
        { "open", "open: peers reach this machine without help" },
        { "consistent", "consistent: peers get through, but for those behind a NAT that can't be punched from outside" },
        { "random", "random: another port for each peer. Peers that are open or behind a consistent NAT get through; two such NATs need a "
                    "relay" },
        { "unknown", "unknown: too few DHT nodes have answered" },
};

static const char *said(const json_t *object, const char *key)
{
        const char *text = cli_talk_text(object, key);

        return *text ? text : "an unknown address";
}

static void print_bootstrap(const json_t *object)
{
        long long mtu = cli_talk_number(object, "pathMtuBytes");

        printf("bootstrap  %s ", cli_talk_text(object, "address"));
        if (cli_talk_flag(object, "answers"))
                printf("answers within %.0f ms, sees us at %s%s%s", cli_talk_decimal(object, "tookMs"),
                       said(object, "seesUsAt"), *cli_talk_text(object, "seesServerAt") ? ", and the port that peers reach at " : "",
                       cli_talk_text(object, "seesServerAt"));
        else
                printf("does not answer");
        if (mtu && mtu < MTU_TOLD)
                printf("; packets to it have no more than %lld bytes", mtu);
        puts("");
}

static void print_socket(const json_t *socket)
{
        long long granted = cli_talk_number(socket, "receiveBufferBytes"), wanted = cli_talk_number(socket, "receiveBufferWantedBytes");

        printf("buffer     UDP port %lld (%s): %lld KiB%s\n", cli_talk_number(socket, "port"), cli_talk_text(socket, "name"),
               granted / 1024, granted < wanted ? "; faster transfers want more: sysctl -w net.core.rmem_max=4194304" : "");
}

static void print_self(struct doctor *doctor, const json_t *object)
{
        const json_t *sockets = json_object_get(object, "sockets"), *local = json_object_get(object, "localAddresses");
        const json_t *loops = json_object_get(object, "loopsBack");
        const char *class = cli_talk_text(object, "nat"), *address = cli_talk_text(object, "publicAddress");

        printf("DHT        %s, %lld nodes known\n", doctor->reached ? "reached" : "not reached: is UDP let out?",
               cli_talk_number(object, "dhtNodes"));
        for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
                if (strcmp(classes[i].class, class) == 0)
                        printf("NAT        %s\n", classes[i].verdict);
        printf("address    %s, as %zu node%s say\n", *address ? address : "unknown", json_array_size(json_object_get(object, "seenBy")),
               json_array_size(json_object_get(object, "seenBy")) == 1 ? "" : "s");
        if (json_is_boolean(loops))
                printf("loopback   the router %s\n", json_is_true(loops) ?
                       "leads back in: peers behind it meet at its address, too" :
                       "does not lead back in: peers behind it meet in its network, or over a relay");
        if (!cli_talk_flag(object, "ipv4"))
                printf("IPv4       none but loopback: the DHT and all connections to peers are IPv4, so nobody else is reached\n");
        for (size_t i = 0; i < json_array_size(local); i++)
                printf("local      %s\n", json_string_value(json_array_get(local, i)));
        for (size_t i = 0; i < json_array_size(sockets); i++)
                print_socket(json_array_get(sockets, i));
}

static void take(void *context, const json_t *object, const char *line)
{
        struct doctor *doctor = context;
        const char *type = cli_talk_text(object, "type");

        if (strcmp(type, "self") == 0)
                doctor->reached = cli_talk_flag(object, "dhtReached");
        if (doctor->json)
                fputs(line, stdout);
        else if (strcmp(type, "bootstrap") == 0)
                print_bootstrap(object);
        else if (strcmp(type, "self") == 0)
                print_self(doctor, object);
        fflush(stdout);
}

static void take_peer(void *context, const char *instance, const json_t *object, const char *line)
{
        struct doctor *doctor = context;

        if (doctor->json)
                cli_json_print_line(instance, object, line);
        else
                cli_peers_print(instance, object);
        if (strcmp(cli_talk_text(object, "type"), "peer") == 0 && doctor->skew_count < SKEWS_MAX)
                doctor->skews_s[doctor->skew_count++] = cli_talk_decimal(object, "clockSkewSeconds");
}

/* Through which nodes of the DHT peers reach a swarm worker of an instance that runs here. */
static void print_relays(const char *instance, const json_t *object)
{
        static const char *const roles[] = { "gateway", "provider" };

        long long worker = cli_talk_number(object, "worker");
        char which[32] = "";

        if (worker > 1)
                snprintf(which, sizeof(which), ", worker %lld,", worker);
        for (size_t role = 0; role < sizeof(roles) / sizeof(roles[0]); role++) {
                const json_t *list = json_object_get(object, roles[role]);

                if (json_array_size(list))
                        printf("relays     peers reach the %s %s%s through ", roles[role], instance, which);
                for (size_t i = 0; i < json_array_size(list); i++)
                        printf("%s%s", json_string_value(json_array_get(list, i)), i + 1 < json_array_size(list) ? ", " : "\n");
        }
}

static void take_relays(void *context, const char *instance, const json_t *object, const char *line)
{
        const struct doctor *doctor = context;

        if (strcmp(cli_talk_text(object, "type"), "relays") != 0)
                return;
        if (doctor->json)
                cli_json_print_line(instance, object, line);
        else
                print_relays(instance, object);
}

static int compare(const void *a, const void *b)
{
        const double *one = a, *other = b;

        return (*one > *other) - (*one < *other);
}

/* The DHT has no time: peers' hellos have. Of several the median counts, which one wrong clock does not move. */
static void print_clock(struct doctor *doctor)
{
        double ahead_s;

        qsort(doctor->skews_s, doctor->skew_count, sizeof(doctor->skews_s[0]), compare);
        ahead_s = doctor->skew_count ? doctor->skews_s[(doctor->skew_count - 1) / 2] : 0;
        if (doctor->json && doctor->skew_count)
                printf("{\"type\":\"clock\",\"peers\":%zu,\"peersAheadSeconds\":%.3f}\n", doctor->skew_count, ahead_s);
        else if (doctor->json)
                printf("{\"type\":\"clock\",\"peers\":0,\"peersAheadSeconds\":null}\n");
        else if (doctor->skew_count)
                printf("clock      peers' clocks are %.1f s %s this one (median of %zu)\n", ahead_s < 0 ? -ahead_s : ahead_s,
                       ahead_s < 0 ? "behind" : "ahead of", doctor->skew_count);
        else
                printf("clock      unknown: no instance here is connected to a peer, and the DHT has no time\n");
}

/* What the instances that run here know of their peers is told last. */
int cli_doctor_run(const struct cli_options *options)
{
        struct doctor doctor = { .json = cli_options_next(options, CLI_OPTION_JSON, NULL) };
        struct cli_talk talk;
        int status = cli_talk_start(&talk, options);

        if (status != EX_OK)
                return status;
        if (!cli_talk(&talk, "doctor\n", take, &doctor))
                return EX_UNAVAILABLE;
        cli_each_there(&(struct cli_each){ "relays\n", take_relays, &doctor });
        cli_each_there(&(struct cli_each){ "peers\n", take_peer, &doctor });
        print_clock(&doctor);
        return doctor.reached ? EX_OK : CLI_EXIT_NOTHING;
}
