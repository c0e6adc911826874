/* SPDX-License-Identifier: BSD-3-Clause */
/* hypergate scan: looks up a router's topic, announces nothing, and ends. */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli_ask.h"
#include "cli_instance.h"
#include "cli_talk.h"
#include "conf.h"
#include "ipc_blob.h"
#include "ipc_fd.h"

enum { KEY_TEXT = 2 * crypto_sign_PUBLICKEYBYTES, SECONDS_DEFAULT = 10, SECONDS_MAX = 300 };

struct scan {
        bool json;
        long long peers;
};

static int refuse(const char *why)
{
        fprintf(stderr, "hypergate: scan: %s\nTry: hypergate --help\n", why);
        return EX_USAGE;
}

static int fail(int error)
{
        fprintf(stderr, "hypergate: cannot write down the command line: %s\n", strerror(-error));
        return EX_OSERR;
}

/* As a configuration would read it, with the same complaints. @secret_fd: -1 where a file has it. */
static int read_secret(const struct cli_options *options, int secret_fd, uint8_t seed[CONF_SECRET_BYTES])
{
        struct cli_sheet sheet;
        int r = secret_fd < 0 ? cli_sheet_init_secret(&sheet, options) : cli_sheet_init(&sheet, options), status;
        cleanup_fd int fd = r < 0 ? r : ipc_blob_new(sheet.text, sheet.len);

        if (r < 0)
                return fail(r);
        status = fd < 0 ? fail(fd) : cli_instance_check(&sheet, fd, secret_fd, true, seed) ? EX_OK : EX_CONFIG;
        cli_sheet_fini(&sheet);
        return status;
}

/* Of the router whose secret that is. An exit status. */
static int read_key(const struct cli_options *options, int secret_fd, char key[KEY_TEXT + 1])
{
        uint8_t public_key[crypto_sign_PUBLICKEYBYTES], secret_key[crypto_sign_SECRETKEYBYTES], seed[CONF_SECRET_BYTES] = { 0 };
        int status = sodium_init() < 0 ? EX_OSERR : read_secret(options, secret_fd, seed);

        crypto_sign_seed_keypair(public_key, secret_key, seed);
        sodium_bin2hex(key, KEY_TEXT + 1, public_key, sizeof(public_key));
        sodium_memzero(secret_key, sizeof(secret_key));
        sodium_memzero(seed, sizeof(seed));
        return status;
}

/* The original wants --router beside a KEY: then it is taken out of the argument list, and says nothing. */
static int find_key(const struct cli_options *options, char key[KEY_TEXT + 1])
{
        const char *file = cli_options_value(options, CLI_OPTION_SECRET_FILE), *text = options->operand_count ? options->operands[0] : NULL;
        cleanup_fd int secret_fd = cli_instance_secret(options, !file && !text);

        if (secret_fd < 0 && secret_fd != -ENOENT)
                return fail(secret_fd);
        if ((file && (text || secret_fd >= 0)) || (!file && !text && secret_fd < 0))
                return refuse("which router? Its public KEY, or --secret-file FILE");
        if (!text)
                return read_key(options, secret_fd, key);
        if (strlen(text) != KEY_TEXT || strspn(text, "0123456789abcdefABCDEF") != KEY_TEXT)
                return refuse("a KEY is 64 hexadecimal characters: hypergate new says which, and so does hypergate status --json");
        memcpy(key, text, KEY_TEXT + 1);
        return EX_OK;
}

static void take(void *context, const json_t *object, const char *line)
{
        struct scan *scan = context;
        const json_t *relays = json_object_get(object, "relays");
        const char *type = cli_talk_text(object, "type");

        scan->peers += strcmp(type, "peer") == 0;
        if (scan->json) {
                fputs(line, stdout);
        } else if (strcmp(type, "peer") == 0) {
                printf("%s", cli_talk_text(object, "key"));
                for (size_t i = 0; i < json_array_size(relays); i++)
                        printf("%s%s", i ? ", " : "  through ", json_string_value(json_array_get(relays, i)));
                puts("");
        } else if (strcmp(type, "end") == 0) {
                printf("%lld peer%s; %lld DHT node%s answered%s\n", scan->peers, scan->peers == 1 ? "" : "s",
                       cli_talk_number(object, "nodesAnswered"), cli_talk_number(object, "nodesAnswered") == 1 ? "" : "s",
                       cli_talk_flag(object, "timeUp") ? "; the time was up" : "");
        }
        fflush(stdout);
}

int cli_scan_run(const struct cli_options *options)
{
        const char *text = cli_options_value(options, CLI_OPTION_SECONDS);
        struct scan scan = { .json = cli_options_next(options, CLI_OPTION_JSON, NULL) };
        char key[KEY_TEXT + 1], request[KEY_TEXT + 32], *rest = NULL;
        unsigned long seconds = text ? strtoul(text, &rest, 10) : SECONDS_DEFAULT;
        struct cli_talk talk;
        int status;

        if (text && (*text < '0' || *text > '9' || *rest || seconds < 1 || seconds > SECONDS_MAX))
                return refuse("--seconds: a whole number from 1 to 300");
        status = find_key(options, key);
        if (status == EX_OK)
                status = cli_talk_start(&talk, options);
        if (status != EX_OK)
                return status;
        snprintf(request, sizeof(request), "scan %s %lu\n", key, seconds);
        if (!cli_talk(&talk, request, take, &scan))
                return EX_UNAVAILABLE;
        return scan.peers ? EX_OK : CLI_EXIT_NOTHING;
}
