/* SPDX-License-Identifier: BSD-3-Clause */
/* What hypergate(1) was told: a command, its options, its operands. One table says which option goes with which command. */
#ifndef HG_CLI_OPTIONS_H
#define HG_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum cli_command {
        CLI_INSTANCE,                   /* no command: the original's flags */
        CLI_NEW,
        CLI_ROTATE,
        CLI_CHECK,
        CLI_RUN,
        CLI_BOOTSTRAP,
        CLI_RELAY,
        CLI_SCAN,
        CLI_DOCTOR,
        CLI_STATUS,
        CLI_PEERS,
        CLI_RELOAD,
        CLI_ROUTES,
        CLI_GATES,
        CLI_SERVICES,
        CLI_CHANNELS,
        CLI_METRICS,
        CLI_LOG_LEVEL,
        CLI_ADD,
        CLI_REMOVE,
        CLI_DRAIN,
        CLI_UNDRAIN,
        CLI_ALLOW,
        CLI_DENY,
        CLI_ALLOWED,
        CLI_TOP,
        CLI_HELP,
        CLI_VERSION,
        CLI_COMMANDS,
};

enum cli_option {
        CLI_OPTION_ROUTER,
        CLI_OPTION_PROVIDER,
        CLI_OPTION_GATEWAY,
        CLI_OPTION_LISTEN,
        CLI_OPTION_PUBLIC,
        CLI_OPTION_OPEN,
        CLI_OPTION_BOOTSTRAP,
        CLI_OPTION_VERBOSE,
        CLI_OPTION_SCAN,                /* a command of the original's */
        CLI_OPTION_ROUTE_FINDING_TIMEOUT,       /* limits, from here on: see cli_sheet.c */
        CLI_OPTION_UDP_TIMEOUT,
        CLI_OPTION_TCP_TIMEOUT,
        CLI_OPTION_OPEN_REQUEST_TIMEOUT,
        CLI_OPTION_ROUTE_EXPIRATION,
        CLI_OPTION_STATS_INTERVAL,
        CLI_OPTION_CHANNEL_BUFFER,
        CLI_OPTION_PEER_BUFFER,
        CLI_OPTION_RESOLVER_HOST,
        CLI_OPTION_RESOLVER_PORT,
        CLI_OPTION_RESOLVER_AUTH,
        CLI_OPTION_UNLIMITED_HOST,
        CLI_OPTION_UNLIMITED_PORT,
        CLI_OPTION_UNLIMITED_SECRET,
        CLI_OPTION_INGRESS_POLICY,
        CLI_OPTION_DOCKER,
        CLI_OPTION_NETWORK,
        CLI_OPTION_IMAGE,
        CLI_OPTION_REFRESH_TIME,
        CLI_OPTION_EXPOSE_ONLY_DOCKER,
        CLI_OPTION_EXPOSE_ONLY_PUBLISHED,
        CLI_OPTION_EXPOSE_ONLY_SERVICES,
        CLI_OPTION_CHANNEL_TIMEOUT_POLL,
        CLI_OPTION_FIND_ROUTE_RETRY_MIN,
        CLI_OPTION_FIND_ROUTE_RETRY_MAX,
        CLI_OPTION_PEER_STALE,
        CLI_OPTION_PEER_REFRESH,
        CLI_OPTION_PEER_REFRESH_WAIT,
        CLI_OPTION_OUTPUT,
        CLI_OPTION_CONFIG,              /* becomes an operand */
        CLI_OPTION_SHOW,
        CLI_OPTION_OVERLAP,
        CLI_OPTION_SECRET_FILE,
        CLI_OPTION_SECONDS,
        CLI_OPTION_JSON,
        CLI_OPTION_HTTP,
        CLI_OPTION_SAVE,
        CLI_OPTION_WAIT,
        CLI_OPTION_FOR,
        CLI_OPTION_UNLIMITED,           /* what allow always does */
        CLI_OPTION_DELAY,
        CLI_OPTION_COUNT,
        CLI_OPTION_USER,
        CLI_OPTION_ALLOW_ROOT,
        CLI_OPTION_NEW,
        CLI_OPTION_HELP,
        CLI_OPTION_VERSION,
        CLI_OPTIONS,
};

/* An option as it was given; @value is "" where an optional one is missing, NULL where there is none. */
struct cli_given {
        enum cli_option option;
        const char *flag;               /* "--listen", or the variable that stood in for it */
        char *value;                    /* argv's or the environment's own memory */
};

struct cli_options {
        enum cli_command command;
        struct cli_given *given;
        size_t given_count;
        char **operands;                /* argv's, moved together */
        size_t operand_count;
};

/* Reads @argv and, for flags that are missing, the original's variables. On false something was printed to stderr: a usage
 * error. */
bool cli_options_init(struct cli_options *options, int argc, char **argv);
void cli_options_fini(struct cli_options *options);

/* The next one of that kind after @after (NULL: the first), or NULL. */
const struct cli_given *cli_options_next(const struct cli_options *options, enum cli_option option, const struct cli_given *after);

/* The last one's value, or NULL. */
const char *cli_options_value(const struct cli_options *options, enum cli_option option);

extern const char cli_usage[];

#endif
