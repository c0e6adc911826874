/* SPDX-License-Identifier: BSD-3-Clause */
/* hypergate rotate: a new secret in the place of the one in a file, which moves below it, with the time until which it counts beside the
 * new one. The file is another one then, whole or not at all, of the same owner. No secret is printed. */
#include "cli_rotate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "cli_instance.h"
#include "cli_json.h"
#include "cli_secret.h"
#include "cli_time.h"
#include "conf.h"
#include "conf_text.h"
#include "ipc_blob.h"
#include "ipc_fd.h"

#define OVERLAP_S (24 * 60 * 60)
#define OVERLAP_MIN_S 60
#define OVERLAP_MAX_S (366 * 24 * 60 * 60)

enum {
        HEX_SIZE = 2 * CONF_SECRET_BYTES + 1,
        NAME_SIZE = 2 * crypto_sign_PUBLICKEYBYTES + 1,
        TIME_SIZE = sizeof("2026-12-01T12:00:00Z"),
        TEXT_MAX = (1 + CONF_PREVIOUS_MAX) * (HEX_SIZE + (int)sizeof(" until ") + TIME_SIZE),
        QUOTED_MAX = 128,
};

struct rotation {
        char path[PATH_MAX];            /* of the file itself, whatever links led there */
        int64_t overlap_s;
        char name[NAME_SIZE], previous_name[NAME_SIZE];         /* public keys, which are no secrets */
        char until[TIME_SIZE];          /* "": the previous one counts no more */
        char text[TEXT_MAX];            /* of the new file */
        size_t len;
        unsigned dropped;               /* still counted, and there is no room */
};

/* "24h", "90m", "7d", "0". */
static bool read_overlap(const char *text, int64_t *out_s)
{
        if (strcmp(text, "0") == 0) {
                *out_s = 0;
                return true;
        }
        return cli_time_read(text, OVERLAP_MAX_S, out_s) && *out_s >= OVERLAP_MIN_S;
}

static void write_time(char out[TIME_SIZE], int64_t s)
{
        time_t time = (time_t)s;
        struct tm tm;

        if (!gmtime_r(&time, &tm) || !strftime(out, TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm))
                *out = '\0';
}

static void name(char out[NAME_SIZE], const uint8_t secret[CONF_SECRET_BYTES])
{
        uint8_t public_key[crypto_sign_PUBLICKEYBYTES], pair[crypto_sign_SECRETKEYBYTES];

        crypto_sign_seed_keypair(public_key, pair, secret);
        sodium_memzero(pair, sizeof(pair));
        sodium_bin2hex(out, NAME_SIZE, public_key, sizeof(public_key));
}

static void add_line(struct rotation *rotation, const uint8_t secret[CONF_SECRET_BYTES], const char *until)
{
        char hex[HEX_SIZE];

        sodium_bin2hex(hex, sizeof(hex), secret, CONF_SECRET_BYTES);
        rotation->len += (size_t)snprintf(rotation->text + rotation->len, sizeof(rotation->text) - rotation->len, "%s%s%s\n", hex,
                                          *until ? " until " : "", until);
        sodium_memzero(hex, sizeof(hex));
}

/* What still counts of those before stays, as long as there is room. */
static void compose(struct rotation *rotation, const struct conf *conf)
{
        int64_t now_s = time(NULL);
        uint8_t secret[CONF_SECRET_BYTES];
        size_t kept = 0;

        randombytes_buf(secret, sizeof(secret));
        name(rotation->name, secret);
        name(rotation->previous_name, conf->secret);
        add_line(rotation, secret, "");
        sodium_memzero(secret, sizeof(secret));
        if (rotation->overlap_s) {
                write_time(rotation->until, now_s + rotation->overlap_s);
                add_line(rotation, conf->secret, rotation->until);
                kept++;
        }
        for (size_t i = 0; i < conf->previous_count && rotation->overlap_s; i++) {
                char until[TIME_SIZE];

                if (conf->previous[i].until_s <= now_s)
                        continue;
                if (kept++ >= CONF_PREVIOUS_MAX) {
                        rotation->dropped++;
                        continue;
                }
                write_time(until, conf->previous[i].until_s);
                add_line(rotation, conf->previous[i].secret, until);
        }
}

/* A configuration that names it, in which YAML 5.7 lets every character stand as its number; what is no UTF-8 stands in none. */
static int write_down(const char *path)
{
        static const char key[] = "secretFile: \"";
        char text[sizeof(key) + 10 * PATH_MAX + 4];
        const char *end = path + strlen(path);
        size_t len = sizeof(key) - 1;

        memcpy(text, key, len);
        while (path < end) {
                uint32_t code = 0;
                size_t size = conf_utf8_next(path, end, &code);

                if (size == 0)
                        return -EILSEQ;
                len += (size_t)snprintf(text + len, sizeof(text) - len, "\\U%08x", code);
                path += size;
        }
        len += (size_t)snprintf(text + len, sizeof(text) - len, "\"\n");
        return ipc_blob_new(text, len);
}

/* Reads it as an instance would: complaints name it. NULL: they were printed. */
static struct conf *load(const char *path)
{
        cleanup_fd int fd = write_down(path);
        struct conf_source source = CONF_SOURCE_INIT;
        struct conf_complaints complaints;
        struct conf *conf = NULL;
        char quoted[QUOTED_MAX];

        if (fd < 0) {
                fprintf(stderr, "hypergate: cannot read the secret in %s: %s\n", conf_quote(path, quoted, sizeof(quoted)),
                        fd == -EILSEQ ? "no configuration can say this name: it is not UTF-8" : strerror(-fd));
                return NULL;
        }
        source.path = "command line";
        source.fd = fd;
        source.without_role = true;
        if (conf_load(&source, &conf, &complaints) != CONF_GOOD)
                cli_print_complaints(&complaints);
        conf_complaints_fini(&complaints);
        return conf;
}

static int open_folder(const char *path)
{
        char folder[PATH_MAX];

        snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path) + 1, path);
        return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Beside it, and then in its place. Once it is there nothing is a failure any more: the secret is another one. */
static int replace(const struct rotation *rotation, const char *beside)
{
        cleanup_fd int folder = open_folder(rotation->path), fd = -1;
        struct stat before;
        int r;

        if (folder < 0 || stat(rotation->path, &before) < 0)
                return -errno;
        fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
        if (fd < 0)
                return -errno;
        r = fchmod(fd, S_IRUSR | S_IWUSR) < 0 || fchown(fd, before.st_uid, before.st_gid) < 0 ? -errno : 0;
        if (r == 0)
                r = cli_secret_write(fd, rotation->text, rotation->len);
        if (r == 0 && (fsync(fd) < 0 || rename(beside, rotation->path) < 0))
                r = -errno;
        if (r < 0)
                unlink(beside);
        else if (fsync(folder) < 0)
                fprintf(stderr, "hypergate: warning: until the disk has it, a crash may bring the previous secret back: %s\n",
                        strerror(errno));
        return r;
}

/* --- What is said --- */

/* How it is read where it is: root hands it to who may not read it itself, also to one that systemd has given it at its start. */
static const char *reload_by(const char *quoted, char *out, size_t size)
{
        snprintf(out, size, "hypergate reload%s%s", geteuid() == 0 ? " --secret-file " : "", geteuid() == 0 ? quoted : "");
        return out;
}

/* What an instance would be called that has it: the file without folder and suffix. */
static void instance_name(const char *path, char out[NAME_MAX + 1])
{
        static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
        char *dot;

        snprintf(out, NAME_MAX + 1, "%s", strrchr(path, '/') + 1);
        dot = strrchr(out, '.');
        if (dot && dot != out)
                *dot = '\0';
        if (out[strspn(out, plain)])
                strcpy(out, "NAME");
}

static bool print_json(const struct rotation *rotation)
{
        json_t *object = json_pack("{s:s, s:s, s:s, s:s}", "type", "rotate", "file", rotation->path, "router", rotation->name,
                                   "previousRouter", rotation->previous_name);

        if (object)
                json_object_set_new(object, "until", *rotation->until ? json_string(rotation->until) : json_null());
        return cli_json_print(object);
}

static void print_text(const struct rotation *rotation)
{
        char quoted[QUOTED_MAX], reload[QUOTED_MAX + 40], instance[NAME_MAX + 1];

        conf_quote(rotation->path, quoted, sizeof(quoted));
        reload_by(quoted, reload, sizeof(reload));
        instance_name(rotation->path, instance);
        printf("%s has a new secret, that of router %s\n", quoted, rotation->name);
        if (*rotation->until)
                printf("the previous one, of router %s, counts beside it until %s\n\n"
                       "Now, on this machine:              %s %s\n"
                       "and before then, on each other:    copy %s there as it is, and reload there\n"
                       "Who has not come along is shown by hypergate status and hypergate peers.\n",
                       rotation->previous_name, rotation->until, reload, instance, quoted);
        else
                printf("the previous one, of router %s, and those before it count no more once this is read: whoever has them alone "
                       "is let go\n\n"
                       "Now, on each other machine:        copy %s there as it is\n"
                       "and then on all:                   %s %s\n",
                       rotation->previous_name, quoted, reload, instance);
        if (rotation->dropped)
                printf("There are more than %d previous secrets: %u of the oldest count no more.\n", CONF_PREVIOUS_MAX, rotation->dropped);
}

static bool find(const char *operand, struct rotation *rotation)
{
        char path[PATH_MAX], quoted[QUOTED_MAX];

        if (snprintf(path, sizeof(path), strchr(operand, '/') ? "%s" : "/etc/hypergate/%s.key", operand) >= (int)sizeof(path))
                errno = ENAMETOOLONG;
        else if (realpath(path, rotation->path))
                return true;
        fprintf(stderr, "hypergate: %s: %s; NAME stands for /etc/hypergate/NAME.key, and any other file is named with a / in it\n",
                conf_quote(path, quoted, sizeof(quoted)), strerror(errno));
        return false;
}

static int rotate(struct rotation *rotation, bool json)
{
        struct conf *conf = load(rotation->path);
        char beside[PATH_MAX + 8], quoted[QUOTED_MAX];
        int r;

        if (!conf)
                return EX_CONFIG;
        compose(rotation, conf);
        conf_free(conf);
        snprintf(beside, sizeof(beside), "%s.new", rotation->path);
        r = replace(rotation, beside);
        sodium_memzero(rotation->text, sizeof(rotation->text));
        if (r == -EEXIST)
                fprintf(stderr, "hypergate: %s is there already: somebody else is at it, or was cut off; remove it then\n",
                        conf_quote(beside, quoted, sizeof(quoted)));
        else if (r < 0)
                fprintf(stderr, "hypergate: cannot write %s: %s\n", conf_quote(rotation->path, quoted, sizeof(quoted)), strerror(-r));
        if (r < 0)
                return EX_CANTCREAT;
        if (!json)
                print_text(rotation);
        return !json || print_json(rotation) ? EX_OK : EX_IOERR;
}

int cli_rotate_run(const struct cli_options *options)
{
        const char *overlap = cli_options_value(options, CLI_OPTION_OVERLAP);
        struct rotation rotation = { .overlap_s = OVERLAP_S };

        if (sodium_init() < 0) {
                fprintf(stderr, "hypergate: libsodium does not work on this machine\n");
                return EX_OSERR;
        }
        if (overlap && !read_overlap(overlap, &rotation.overlap_s)) {
                fprintf(stderr, "hypergate: --overlap: for how long? 1m to 366d, such as 24h, 90m, 7d; or 0\n");
                return EX_USAGE;
        }
        if (!find(options->operands[0], &rotation))
                return EX_NOINPUT;
        return rotate(&rotation, cli_options_next(options, CLI_OPTION_JSON, NULL));
}
