/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf.h"

const char cli_usage[] =
        "usage: hypergate new [--output FILE] [--json]\n"
        "       hypergate rotate [--overlap TIME] [--json] NAME | FILE\n"
        "       hypergate check [--show] [--json] FILE...\n"
        "       hypergate run [--verbose] FILE\n"
        "       hypergate bootstrap --listen IP:PORT [--public IP:PORT] [--bootstrap HOST:PORT,...]\n"
        "       hypergate relay [--secret-file FILE | --open] [--listen IP:PORT]\n"
        "       hypergate scan [--seconds N] [--json] [--bootstrap HOST:PORT,...] KEY | --secret-file FILE\n"
        "       hypergate doctor [--json] [--bootstrap HOST:PORT,...]\n"
        "       hypergate status [--json] [NAME...]\n"
        "       hypergate peers [--json] [NAME...]\n"
        "       hypergate reload [--json] [--secret-file FILE] [NAME...]\n"
        "       hypergate routes | gates | services | channels [--json] [NAME...]\n"
        "       hypergate top [--delay SECONDS] [--count N] [NAME...]\n"
        "       hypergate metrics [--http | --listen IP:PORT]\n"
        "       hypergate log-level [--json] [LEVEL] [NAME...]\n"
        "       hypergate add [--save] [--json] SERVICES NAME...\n"
        "       hypergate remove [--save] [--json] PORT[/PROTOCOL] NAME...\n"
        "       hypergate drain [--wait SECONDS] [--json] [NAME...]\n"
        "       hypergate undrain [--json] [NAME...]\n"
        "       hypergate allow [--for TIME] [--unlimited] [--json] IP [NAME...]\n"
        "       hypergate deny [--json] IP [NAME...]\n"
        "       hypergate allowed [--json] [NAME...]\n"
        "       hypergate version [--json]\n"
        "       hypergate [--secret-file FILE | --router SECRET] --provider [SERVICES] [--provider SERVICES]...\n"
        "       hypergate [--secret-file FILE | --router SECRET] [--listen IP] --gateway [SERVICES]\n"
        "\n"
        "  new                       make a router secret; whoever holds it belongs together\n"
        "  rotate NAME               put a new secret in its place, beside which the old one counts for a day\n"
        "  check FILE...             say what is wrong with a configuration, or nothing\n"
        "  run FILE                  run an instance in the foreground, see hypergate.yaml(5)\n"
        "  bootstrap                 run a persistent DHT node, the first of a private network\n"
        "  relay                     carry what peers of the router can't send each other directly\n"
        "  scan KEY                  who is at that router: KEY is its public key, which is no secret\n"
        "  doctor                    what this machine's network is like, and whether peers will get through\n"
        "  status [NAME...]          how the instances on this machine fare, or only these\n"
        "  peers [NAME...]           whom they are connected to, and how, and whom they can't reach\n"
        "  reload [NAME...]          let them read their configuration anew, while all goes on\n"
        "  routes [NAME...]          which peer offers which gate port\n"
        "  gates [NAME...]           which gates are open, and where\n"
        "  services [NAME...]        what they offer to others\n"
        "  channels [NAME...]        what is carried now, from where to where\n"
        "  top [NAME...]             all of that, again and again, with how fast it goes\n"
        "  metrics                   all of that for Prometheus, as OpenMetrics\n"
        "  log-level [LEVEL]         how much they log, and from now on: error, warning, notice, info, debug\n"
        "  add SERVICES NAME...      offer these, too, while they run: a service file, or JSON\n"
        "  remove PORT NAME...       offer nothing behind that gate port any more, while they run\n"
        "  drain [NAME...]           take no new clients; those that are connected go on\n"
        "  undrain [NAME...]         take clients again\n"
        "  allow IP [NAME...]        let clients from that address in, for half an hour, whatever ingress policies say\n"
        "  deny IP [NAME...]         no longer: policies say again whether they come in; it is no ban\n"
        "  allowed [NAME...]         which addresses are let in so, and until when\n"
        "  version                   which one this is\n"
        "\n"
        "  --router SECRET           64 hexadecimal characters; safer in $HYPERGATE_ROUTER or a file\n"
        "  --provider [SERVICES]     offer these: a service file, see hypergate-services(5), or JSON\n"
        "  --gateway [SERVICES]      open a port for every service of the router, or only for these\n"
        "  --listen IP               where a gateway opens ports (default 127.0.0.1)\n"
        "  --listen IP:PORT          of bootstrap and relay: the UDP address of the node; of metrics: where to answer\n"
        "  --open                    of relay: for whoever knows its key, which is logged\n"
        "  --public IP:PORT          of bootstrap: where others reach it (default: as --listen)\n"
        "  --bootstrap HOST:PORT,... DHT nodes to begin with (default: the public HyperDHT)\n"
        "  --verbose                 log more\n"
        "  --routeFindingTimeoutMs MS  of a gateway: how long a client waits for a provider (default 60000)\n"
        "  --udpSocketTimeoutMs MS   UDP sessions that are silent for so long end (default 3600000)\n"
        "  --tcpSocketTimeoutMs MS   TCP connections that are silent for so long are reset (default: never)\n"
        "  --openRequestTimeoutMs MS   of a gateway: how long a provider may take to answer (default 15000)\n"
        "  --routeExpirationMs MS    of a gateway: what a provider does not repeat for so long is gone (default 120000)\n"
        "  --statsIntervalMs MS      between two lines that say what was carried, 0: none (default 600000)\n"
        "  --maxBufferPerChannel BYTES, --maxBufferPerPeer BYTES\n"
        "                            kept of what a channel, a peer sends until it is taken (default 67108864, 100663296)\n"
        "  --fingerprintResolverPort PORT, --fingerprintResolverHost IP\n"
        "                            of a provider: where services ask whose a connection is (default host 127.0.0.1)\n"
        "  --fingerprintResolverBasicAuth USER:PASSWORD\n"
        "                            who may; safer in $HYPERGATE_FINGERPRINT_RESOLVER_BASIC_AUTH or a file\n"
        "  --unlimitedSecret SECRET  of a gateway: clients with a token made with it are let in for half an hour; safer in\n"
        "                            $HYPERGATE_UNLIMITED_SECRET or a file\n"
        "  --unlimitedPort PORT, --unlimitedHost IP\n"
        "                            where they ask (default 8091 at 127.0.0.1)\n"
        "  --ingressPolicy POLICY    of a provider: who may use its services: a file, a URL or JSON; of several the later one counts\n"
        "  --docker [SOCKET]         of a provider: offer the services of containers, too (default /var/run/docker.sock); of a gateway:\n"
        "                            give services of others names and addresses among containers\n"
        "  --network NAME            on this network of containers (default hypergatenet)\n"
        "  --image NAME              with helpers of this image (default: of the container this runs in, or hypergate)\n"
        "  --refreshTime MS          look at all containers at least so often (default 20000)\n"
        "  --exposeOnlyDocker [true|false]\n"
        "                            of a gateway: services of containers alone (default: true with --docker, else false)\n"
        "  --exposeOnlyPublished [true|false]\n"
        "                            of a gateway: published services alone (default false)\n"
        "  --exposeOnlyServices HOST,...  of a gateway: services of these hosts alone\n"
        "  --channelTimeoutPollMs, --findRouteRetryMinMs, --findRouteRetryMaxMs, --peerStaleMs, --peerRefreshMs, --peerRefreshWaitMs\n"
        "                            limits of the original that have no effect here, see hypergate(1)\n"
        "  --output FILE             of new: write the secret to a new file that only its owner can read\n"
        "  --config FILE, -c FILE    of check and run: the same as FILE\n"
        "  --show                    of check: print what its files say together, with what they leave out\n"
        "  --overlap TIME            of rotate: for so long, such as 90m, 24h, 7d; 0: no old one counts any more\n"
        "  --secret-file FILE        the router secret is in there; of scan: whose router is looked at; of reload: hand it over, as root\n"
        "  --seconds N               of scan: for so long at most (default 10)\n"
        "  --json                    for programs: an object a line, see hypergate(1)\n"
        "  --http                    of metrics: answer one request of HTTP, from standard input to output\n"
        "  --save                    of add and remove: also for the next start, by a file in FILE.d\n"
        "  --wait SECONDS            of drain: until nobody is connected any more, for so long at most\n"
        "  --for TIME                of allow: for so long, 1s to 30d (default 30m)\n"
        "  --delay SECONDS, -d SECONDS\n"
        "                            of top: between two pages (default 2)\n"
        "  --count N, -n N           of top: end after so many pages\n"
        "  --user NAME               started as root: become this user once all files are read\n"
        "  --allow-root              started as root: stay root\n"
        "  --new                     the same as new\n"
        "  --scan [KEY]              the same as scan; without KEY that of --router\n"
        "  --help                    this text\n"
        "  --version                 the same as version\n"
        "\n"
        "Exit status: 64 for a wrong command line, 78 for a wrong configuration.\n";

enum argument { NO_ARGUMENT, OPTIONAL_ARGUMENT, NEEDS_ARGUMENT };

#define AT(command) (1u << (command))
#define NODES (AT(CLI_BOOTSTRAP) | AT(CLI_RELAY))
#define ASKS (AT(CLI_SCAN) | AT(CLI_DOCTOR))
#define SEES (AT(CLI_STATUS) | AT(CLI_PEERS) | AT(CLI_ROUTES) | AT(CLI_GATES) | AT(CLI_SERVICES) | AT(CLI_CHANNELS) | AT(CLI_LOG_LEVEL) | \
              AT(CLI_ALLOWED))
#define CHANGES (AT(CLI_RELOAD) | AT(CLI_ADD) | AT(CLI_REMOVE) | AT(CLI_DRAIN) | AT(CLI_UNDRAIN) | AT(CLI_ALLOW) | AT(CLI_DENY))
#define LIMIT(flag, variable) { flag, variable, NEEDS_ARGUMENT, AT(CLI_INSTANCE) }
#define TRUTH(flag, variable) { flag, variable, OPTIONAL_ARGUMENT, AT(CLI_INSTANCE) }
#define STARTS_ONE (AT(CLI_INSTANCE) | AT(CLI_RUN) | NODES | ASKS)

static const struct option {
        const char *name, *variable;    /* the variable is looked at when the option is not given to CLI_INSTANCE */
        enum argument argument;
        unsigned commands;
} table[CLI_OPTIONS] = {
        [CLI_OPTION_ROUTER] = { "--router", NULL, NEEDS_ARGUMENT, AT(CLI_INSTANCE) | AT(CLI_RELAY) | AT(CLI_SCAN) },
        [CLI_OPTION_PROVIDER] = { "--provider", "HYPERGATE_PROVIDER", OPTIONAL_ARGUMENT, AT(CLI_INSTANCE) },
        [CLI_OPTION_GATEWAY] = { "--gateway", "HYPERGATE_GATEWAY", OPTIONAL_ARGUMENT, AT(CLI_INSTANCE) },
        [CLI_OPTION_LISTEN] = { "--listen", "HYPERGATE_LISTEN", NEEDS_ARGUMENT, AT(CLI_INSTANCE) | NODES | AT(CLI_METRICS) },
        [CLI_OPTION_PUBLIC] = { "--public", NULL, NEEDS_ARGUMENT, AT(CLI_BOOTSTRAP) },
        [CLI_OPTION_OPEN] = { "--open", NULL, NO_ARGUMENT, AT(CLI_RELAY) },
        [CLI_OPTION_BOOTSTRAP] = { "--bootstrap", NULL, NEEDS_ARGUMENT, AT(CLI_INSTANCE) | NODES | ASKS },
        [CLI_OPTION_VERBOSE] = { "--verbose", "HYPERGATE_VERBOSE", NO_ARGUMENT, AT(CLI_INSTANCE) | AT(CLI_RUN) | NODES },
        [CLI_OPTION_SCAN] = { "--scan", NULL, OPTIONAL_ARGUMENT, AT(CLI_SCAN) },
        [CLI_OPTION_ROUTE_FINDING_TIMEOUT] = LIMIT("--routeFindingTimeoutMs", "HYPERGATE_ROUTE_FINDING_TIMEOUT_MS"),
        [CLI_OPTION_UDP_TIMEOUT] = LIMIT("--udpSocketTimeoutMs", "HYPERGATE_UDP_SOCKET_TIMEOUT_MS"),
        [CLI_OPTION_TCP_TIMEOUT] = LIMIT("--tcpSocketTimeoutMs", "HYPERGATE_TCP_SOCKET_TIMEOUT_MS"),
        [CLI_OPTION_OPEN_REQUEST_TIMEOUT] = LIMIT("--openRequestTimeoutMs", "HYPERGATE_OPEN_REQUEST_TIMEOUT_MS"),
        [CLI_OPTION_ROUTE_EXPIRATION] = LIMIT("--routeExpirationMs", "HYPERGATE_ROUTE_EXPIRATION_MS"),
        [CLI_OPTION_STATS_INTERVAL] = LIMIT("--statsIntervalMs", "HYPERGATE_STATS_INTERVAL_MS"),
        [CLI_OPTION_CHANNEL_BUFFER] = LIMIT("--maxBufferPerChannel", "HYPERGATE_MAX_BUFFER_PER_CHANNEL"),
        [CLI_OPTION_PEER_BUFFER] = LIMIT("--maxBufferPerPeer", "HYPERGATE_MAX_BUFFER_PER_PEER"),
        [CLI_OPTION_RESOLVER_HOST] = LIMIT("--fingerprintResolverHost", "HYPERGATE_FINGERPRINT_RESOLVER_HOST"),
        [CLI_OPTION_RESOLVER_PORT] = LIMIT("--fingerprintResolverPort", "HYPERGATE_FINGERPRINT_RESOLVER_PORT"),
        [CLI_OPTION_RESOLVER_AUTH] = LIMIT("--fingerprintResolverBasicAuth", NULL),     /* its variable is read by who needs it */
        [CLI_OPTION_UNLIMITED_HOST] = LIMIT("--unlimitedHost", "HYPERGATE_UNLIMITED_HOST"),
        [CLI_OPTION_UNLIMITED_PORT] = LIMIT("--unlimitedPort", "HYPERGATE_UNLIMITED_PORT"),
        [CLI_OPTION_UNLIMITED_SECRET] = LIMIT("--unlimitedSecret", NULL),       /* as above */
        [CLI_OPTION_INGRESS_POLICY] = { "--ingressPolicy", "HYPERGATE_INGRESS_POLICY", NEEDS_ARGUMENT, AT(CLI_INSTANCE) },
        [CLI_OPTION_DOCKER] = { "--docker", "HYPERGATE_DOCKER", OPTIONAL_ARGUMENT, AT(CLI_INSTANCE) },
        [CLI_OPTION_NETWORK] = { "--network", "HYPERGATE_NETWORK", NEEDS_ARGUMENT, AT(CLI_INSTANCE) },
        [CLI_OPTION_IMAGE] = { "--image", "HYPERGATE_IMAGE", NEEDS_ARGUMENT, AT(CLI_INSTANCE) },
        [CLI_OPTION_REFRESH_TIME] = LIMIT("--refreshTime", "HYPERGATE_REFRESH_TIME"),
        [CLI_OPTION_EXPOSE_ONLY_DOCKER] = TRUTH("--exposeOnlyDocker", "HYPERGATE_EXPOSE_ONLY_DOCKER"),
        [CLI_OPTION_EXPOSE_ONLY_PUBLISHED] = TRUTH("--exposeOnlyPublished", "HYPERGATE_EXPOSE_ONLY_PUBLISHED"),
        [CLI_OPTION_EXPOSE_ONLY_SERVICES] = { "--exposeOnlyServices", "HYPERGATE_EXPOSE_ONLY_SERVICES", NEEDS_ARGUMENT, AT(CLI_INSTANCE) },
        [CLI_OPTION_CHANNEL_TIMEOUT_POLL] = LIMIT("--channelTimeoutPollMs", "HYPERGATE_CHANNEL_TIMEOUT_POLL_MS"),
        [CLI_OPTION_FIND_ROUTE_RETRY_MIN] = LIMIT("--findRouteRetryMinMs", "HYPERGATE_FIND_ROUTE_RETRY_MIN_MS"),
        [CLI_OPTION_FIND_ROUTE_RETRY_MAX] = LIMIT("--findRouteRetryMaxMs", "HYPERGATE_FIND_ROUTE_RETRY_MAX_MS"),
        [CLI_OPTION_PEER_STALE] = LIMIT("--peerStaleMs", "HYPERGATE_PEER_STALE_MS"),
        [CLI_OPTION_PEER_REFRESH] = LIMIT("--peerRefreshMs", "HYPERGATE_PEER_REFRESH_MS"),
        [CLI_OPTION_PEER_REFRESH_WAIT] = LIMIT("--peerRefreshWaitMs", "HYPERGATE_PEER_REFRESH_WAIT_MS"),
        [CLI_OPTION_OUTPUT] = { "--output", NULL, NEEDS_ARGUMENT, AT(CLI_NEW) },
        [CLI_OPTION_CONFIG] = { "--config", NULL, NEEDS_ARGUMENT, AT(CLI_CHECK) | AT(CLI_RUN) },
        [CLI_OPTION_SHOW] = { "--show", NULL, NO_ARGUMENT, AT(CLI_CHECK) },
        [CLI_OPTION_OVERLAP] = { "--overlap", NULL, NEEDS_ARGUMENT, AT(CLI_ROTATE) },
        [CLI_OPTION_SECRET_FILE] = { "--secret-file", NULL, NEEDS_ARGUMENT, AT(CLI_INSTANCE) | AT(CLI_RELAY) | AT(CLI_SCAN) | AT(CLI_RELOAD) },
        [CLI_OPTION_SECONDS] = { "--seconds", NULL, NEEDS_ARGUMENT, AT(CLI_SCAN) },
        [CLI_OPTION_JSON] = { "--json", NULL, NO_ARGUMENT, ASKS | SEES | CHANGES | AT(CLI_NEW) | AT(CLI_ROTATE) | AT(CLI_CHECK) },
        [CLI_OPTION_HTTP] = { "--http", NULL, NO_ARGUMENT, AT(CLI_METRICS) },
        [CLI_OPTION_SAVE] = { "--save", NULL, NO_ARGUMENT, AT(CLI_ADD) | AT(CLI_REMOVE) },
        [CLI_OPTION_WAIT] = { "--wait", NULL, NEEDS_ARGUMENT, AT(CLI_DRAIN) },
        [CLI_OPTION_FOR] = { "--for", NULL, NEEDS_ARGUMENT, AT(CLI_ALLOW) },
        [CLI_OPTION_UNLIMITED] = { "--unlimited", NULL, NO_ARGUMENT, AT(CLI_ALLOW) },
        [CLI_OPTION_DELAY] = { "--delay", NULL, NEEDS_ARGUMENT, AT(CLI_TOP) },
        [CLI_OPTION_COUNT] = { "--count", NULL, NEEDS_ARGUMENT, AT(CLI_TOP) },
        [CLI_OPTION_USER] = { "--user", NULL, NEEDS_ARGUMENT, STARTS_ONE },
        [CLI_OPTION_ALLOW_ROOT] = { "--allow-root", NULL, NO_ARGUMENT, STARTS_ONE },
        [CLI_OPTION_NEW] = { "--new", NULL, NO_ARGUMENT, AT(CLI_NEW) },
        [CLI_OPTION_HELP] = { "--help", NULL, NO_ARGUMENT, ~0u },
        [CLI_OPTION_VERSION] = { "--version", NULL, NO_ARGUMENT, ~0u },
};

/* Of one letter. */
static const struct { char letter; enum cli_option option; } briefs[] = {
        { 'c', CLI_OPTION_CONFIG },
        { 'd', CLI_OPTION_DELAY },
        { 'n', CLI_OPTION_COUNT },
};

static const struct command {
        const char *name;
        size_t operands_min, operands_max;
        const char *which;              /* operands there are too few of */
} commands[CLI_COMMANDS] = {
        [CLI_INSTANCE] = { "", 0, 0 },
        [CLI_NEW] = { "new", 0, 0 },
        [CLI_ROTATE] = { "rotate", 1, 1, "which NAME or FILE?" },
        [CLI_CHECK] = { "check", 1, SIZE_MAX, "which FILE?" },
        [CLI_RUN] = { "run", 1, 1, "which FILE?" },
        [CLI_BOOTSTRAP] = { "bootstrap", 0, 0 },
        [CLI_RELAY] = { "relay", 0, 0 },
        [CLI_SCAN] = { "scan", 0, 1 },
        [CLI_DOCTOR] = { "doctor", 0, 0 },
        [CLI_STATUS] = { "status", 0, SIZE_MAX },
        [CLI_PEERS] = { "peers", 0, SIZE_MAX },
        [CLI_RELOAD] = { "reload", 0, SIZE_MAX },
        [CLI_ROUTES] = { "routes", 0, SIZE_MAX },
        [CLI_GATES] = { "gates", 0, SIZE_MAX },
        [CLI_SERVICES] = { "services", 0, SIZE_MAX },
        [CLI_CHANNELS] = { "channels", 0, SIZE_MAX },
        [CLI_METRICS] = { "metrics", 0, 0 },
        [CLI_LOG_LEVEL] = { "log-level", 0, SIZE_MAX },
        [CLI_ADD] = { "add", 2, SIZE_MAX, "which SERVICES, and to which NAME?" },
        [CLI_REMOVE] = { "remove", 2, SIZE_MAX, "which gate PORT, and from which NAME?" },
        [CLI_DRAIN] = { "drain", 0, SIZE_MAX },
        [CLI_UNDRAIN] = { "undrain", 0, SIZE_MAX },
        [CLI_ALLOW] = { "allow", 1, SIZE_MAX, "which IP?" },
        [CLI_DENY] = { "deny", 1, SIZE_MAX, "which IP?" },
        [CLI_ALLOWED] = { "allowed", 0, SIZE_MAX },
        [CLI_TOP] = { "top", 0, SIZE_MAX },
        [CLI_HELP] = { "help", 0, SIZE_MAX },
        [CLI_VERSION] = { "version", 0, SIZE_MAX },
};

static bool complain(const char *about, const char *what)
{
        fprintf(stderr, "hypergate: %s%s%s\nTry: hypergate --help\n", about, *about ? ": " : "", what);
        return false;
}

/* Without its value, which may be a secret. */
static bool complain_unknown(const char *argument, size_t len)
{
        char flag[64], quoted[128], what[256] = "unknown option";
        const char *names[CLI_OPTIONS + 1] = { NULL }, *suggestion;

        snprintf(flag, sizeof(flag), "%.*s", (int)(len < sizeof(flag) ? len : sizeof(flag)), argument);
        for (size_t i = 0; i < CLI_OPTIONS; i++)
                names[i] = table[i].name;
        suggestion = conf_suggest(flag, names);
        if (suggestion)
                snprintf(what, sizeof(what), "unknown option; did you mean %s?", suggestion);
        return complain(conf_quote(flag, quoted, sizeof(quoted)), what);
}

static void give(struct cli_options *options, enum cli_option option, const char *flag, char *value)
{
        options->given[options->given_count++] = (struct cli_given){ option, flag, value };
}

static enum cli_option find_option(const char *argument, size_t len)
{
        enum cli_option i = 0;

        for (size_t j = 0; len == 2 && j < sizeof(briefs) / sizeof(briefs[0]); j++)
                if (briefs[j].letter == argument[1])
                        return briefs[j].option;
        while (i < CLI_OPTIONS && (strlen(table[i].name) != len || memcmp(table[i].name, argument, len) != 0))
                i++;
        return i;
}

/* One option at argv[*at], which moves to its value if that is an argument of its own. As the original's parser does, the
 * next argument is no value if it begins with "-". */
static bool take_option(struct cli_options *options, char **argv, int *at)
{
        static char nothing[1];
        char *argument = argv[*at], *equals = strchr(argument, '='), *next = argv[*at + 1], *value = equals ? equals + 1 : NULL;
        size_t len = equals ? (size_t)(equals - argument) : strlen(argument);
        enum cli_option option = find_option(argument, len);

        if (option == CLI_OPTIONS)
                return complain_unknown(argument, len);
        if (table[option].argument == NO_ARGUMENT && equals)
                return complain(table[option].name, "takes no value");
        if (table[option].argument != NO_ARGUMENT && !value && next && next[0] != '-')
                value = argv[++*at];
        if ((table[option].argument == NEEDS_ARGUMENT && !value) || (table[option].argument != NO_ARGUMENT && value && !*value))
                return complain(table[option].name, "needs a value");
        give(options, option, table[option].name, !value && table[option].argument == OPTIONAL_ARGUMENT ? nothing : value);
        return true;
}

static bool take_arguments(struct cli_options *options, int argc, char **argv)
{
        bool only_operands = false;

        for (int at = 1; at < argc; at++) {
                if (!only_operands && strcmp(argv[at], "--") == 0)
                        only_operands = true;
                else if (!only_operands && strcmp(argv[at], "-h") == 0)
                        give(options, CLI_OPTION_HELP, argv[at], NULL);
                else if (!only_operands && argv[at][0] == '-' && argv[at][1]) {
                        if (!take_option(options, argv, &at))
                                return false;
                } else {
                        options->operands[options->operand_count++] = argv[at];
                }
        }
        return true;
}

/* The first operand names it, unless there is none. */
static bool find_command(struct cli_options *options)
{
        const char *names[CLI_COMMANDS + 1] = { NULL }, *suggestion, *word = options->operand_count ? options->operands[0] : NULL;
        char quoted[128], what[128];

        for (enum cli_command i = CLI_NEW; word && i < CLI_COMMANDS; i++)
                if (strcmp(names[i - CLI_NEW] = commands[i].name, word) == 0) {
                        options->command = i;
                        options->operands++;
                        options->operand_count--;
                        return true;
                }
        options->command = CLI_INSTANCE;
        if (!word)
                return true;
        suggestion = conf_suggest(word, names);
        snprintf(what, sizeof(what), "unknown command%s%s%s", suggestion ? "; did you mean " : "", suggestion ? suggestion : "",
                 suggestion ? "?" : "");
        return complain(conf_quote(word, quoted, sizeof(quoted)), what);
}

/* Each was an argument: there is room for it. */
static void take_files(struct cli_options *options)
{
        const struct cli_given *given = NULL;

        while ((given = cli_options_next(options, CLI_OPTION_CONFIG, given)))
                options->operands[options->operand_count++] = given->value;
}

static bool check_command(const struct cli_options *options)
{
        const struct command *command = &commands[options->command];
        char what[128];

        for (size_t i = 0; i < options->given_count; i++)
                if (!(table[options->given[i].option].commands & AT(options->command))) {
                        snprintf(what, sizeof(what), "does not go with %s",
                                 options->command == CLI_INSTANCE ? "these options" : command->name);
                        return complain(options->given[i].flag, what);
                }
        if (options->operand_count < command->operands_min)
                return complain(command->name, command->which);
        if (options->command == CLI_CHECK && options->operand_count > 1 && cli_options_next(options, CLI_OPTION_SHOW, NULL))
                return complain("--show", "one FILE is enough");
        if (options->operand_count > command->operands_max)
                return complain(command->name, !command->operands_max ? "takes no operand" :
                                               options->command == CLI_SCAN ? "one KEY is enough" : "one FILE is enough");
        return true;
}

/* --help, --version, --new and --scan KEY stand for commands. */
static void apply_shortcuts(struct cli_options *options)
{
        const struct cli_given *scan = cli_options_next(options, CLI_OPTION_SCAN, NULL);

        if (scan && options->command == CLI_INSTANCE) {
                options->command = CLI_SCAN;
                if (*scan->value)
                        options->operands[options->operand_count++] = scan->value;
        }
        if (cli_options_next(options, CLI_OPTION_NEW, NULL) && options->command == CLI_INSTANCE)
                options->command = CLI_NEW;
        if (cli_options_next(options, CLI_OPTION_VERSION, NULL))
                options->command = CLI_VERSION;
        if (cli_options_next(options, CLI_OPTION_HELP, NULL))
                options->command = CLI_HELP;
}

/* "true" is the original's word for a flag that stands alone, anything else is its value; but no socket of an engine is called "false". */
static void take_variables(struct cli_options *options)
{
        size_t given = options->given_count;

        for (enum cli_option i = 0; i < CLI_OPTIONS; i++) {
                char *value = table[i].variable ? getenv(table[i].variable) : NULL;
                bool found = value && *value;

                for (size_t j = 0; j < given; j++)
                        found = found && options->given[j].option != i;
                if (found && i == CLI_OPTION_DOCKER)
                        found = strcasecmp(value, "false") != 0;
                if (found && table[i].argument == NO_ARGUMENT)
                        found = strcasecmp(value, "true") == 0;
                if (found && table[i].argument == OPTIONAL_ARGUMENT && strcmp(value, "true") == 0)
                        value += strlen(value);
                if (found)
                        give(options, i, table[i].variable, value);
        }
}

bool cli_options_init(struct cli_options *options, int argc, char **argv)
{
        *options = (struct cli_options){ .given = calloc((size_t)argc + CLI_OPTIONS, sizeof(*options->given)), .operands = argv };
        if (!options->given)
                return complain("", strerror(errno));
        if (!take_arguments(options, argc, argv) || !find_command(options))
                return false;
        apply_shortcuts(options);
        if (options->command == CLI_INSTANCE)
                take_variables(options);
        if (options->command == CLI_CHECK || options->command == CLI_RUN)
                take_files(options);
        return options->command >= CLI_HELP || check_command(options);
}

void cli_options_fini(struct cli_options *options)
{
        free(options->given);
        *options = (struct cli_options){ 0 };
}

const struct cli_given *cli_options_next(const struct cli_options *options, enum cli_option option, const struct cli_given *after)
{
        const struct cli_given *given = after ? after + 1 : options->given, *end = options->given + options->given_count;

        while (given < end && given->option != option)
                given++;
        return given < end ? given : NULL;
}

const char *cli_options_value(const struct cli_options *options, enum cli_option option)
{
        const struct cli_given *given = NULL, *last = NULL;

        while ((given = cli_options_next(options, option, given)))
                last = given;
        return last ? last->value : NULL;
}
