/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_site.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf_host.h"
#include "conf_input.h"
#include "conf_path.h"

enum { FILE_MAX = 1024 };

static const struct kind {
        const char *key, *file_key, *credential, *variable;
        const char *listen, *listen_example, *file_example;
        const char *expected;           /* in the file */
        bool local;                     /* it may be a unix socket, too: who asks needs no address */
} kinds[CONF_SITES] = {
        [CONF_SITE_RESOLVER] = { "fingerprintResolver", "basicAuthFile", "resolver.auth", "HYPERGATE_FINGERPRINT_RESOLVER_BASIC_AUTH",
                                 "127.0.0.1:8080",
                                 "IP:PORT, such as 127.0.0.1:8080 or \"[::1]:8080\", or unix: and the whole path of a socket",
                                 "/etc/hypergate/resolver.auth",
                                 "expected USER:PASSWORD on one line, at most 256 bytes, and nothing else", true },
        [CONF_SITE_UNLIMITED] = { "unlimited", "tokenSecretFile", "unlimited.secret", "HYPERGATE_UNLIMITED_SECRET",
                                  "127.0.0.1:8091", "IP:PORT, such as 127.0.0.1:8091 or \"[::1]:8091\"", "/etc/hypergate/unlimited.secret",
                                  "expected the secret on one line, at most 256 bytes, and nothing else", false },
};

/* What is being read. */
struct target {
        const struct kind *kind;
        struct conf_site_draft *draft;
        struct conf_site *site;
};

static struct conf_site *site_of(struct conf *conf, enum conf_site_kind kind)
{
        return kind == CONF_SITE_RESOLVER ? &conf->resolver : &conf->unlimited;
}

static bool read_port(const char *text, uint16_t *out)
{
        size_t len = strspn(text, "0123456789");
        unsigned long port = len > 0 && len <= 5 && !text[len] ? strtoul(text, NULL, 10) : 0;

        *out = (uint16_t)port;
        return port > 0 && port <= UINT16_MAX;
}

static bool read_where(const char *text, struct conf_site *out)
{
        const char *colon = strrchr(text, ':');
        size_t len = colon ? (size_t)(colon - text) : 0;
        bool brackets = len > 2 && *text == '[' && text[len - 1] == ']';
        char host[64];

        len -= brackets ? 2 : 0;
        if (len == 0 || len >= sizeof(host))
                return false;
        memcpy(host, text + brackets, len);
        host[len] = '\0';
        return (strchr(host, ':') != NULL) == brackets && !conf_host_address(host, out->ip) && read_port(colon + 1, &out->port);
}

static void read_listen(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct target *target = into;
        struct conf_site at = { .port = 0 };
        const char *text, *path;

        if (!conf_value_text(read, node, target->kind->listen, &text))
                return;
        path = target->kind->local ? conf_host_path(text) : NULL;
        if (path ? !strrchr(path, '/')[1] : !read_where(text, &at)) {
                conf_value_wrong(read, node, target->kind->listen_example);
                return;
        }
        memcpy(target->site->ip, at.ip, sizeof(at.ip));
        target->site->port = at.port;
        target->site->text = conf_value_copy(read, text);
        target->site->path = path ? target->site->text + (path - text) : NULL;
}

/* The file is looked at once it is known that no later one names another. */
static void read_auth_file(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct target *target = into;
        char path[CONF_PATH_MAX];
        const char *name;

        target->draft->auth_given = true;
        if (!conf_value_text(read, node, target->kind->file_example, &name) || !conf_path(read, node, name, path))
                return;
        target->site->auth_file = conf_value_copy(read, path);
        target->draft->auth = (struct conf_node){ .at = node->at, .text = target->site->auth_file };
        target->draft->auth_from = read->file;
}

void conf_site_read(struct conf_read *read, const struct conf_node *node, enum conf_site_kind kind, struct conf_site_draft *draft,
                    struct conf *into)
{
        static const struct conf_field resolver[] = {
                { "listen", read_listen },
                { "basicAuthFile", read_auth_file },
                { NULL, NULL },
        }, unlimited[] = {
                { "listen", read_listen },
                { "tokenSecretFile", read_auth_file },
                { NULL, NULL },
        };
        struct target target = { &kinds[kind], draft, site_of(into, kind) };

        draft->at = (struct conf_place){ read->file, node->key_at };
        conf_value_map(read, node, kinds[kind].key, kind == CONF_SITE_RESOLVER ? resolver : unlimited, &target);
}

/* And a line break behind it. False: it is none. */
static bool take_auth(const struct kind *kind, const char *text, size_t len, struct conf_site *out)
{
        const char *colon;

        while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
                len--;
        colon = memchr(text, ':', len);
        if ((kind == &kinds[CONF_SITE_RESOLVER] && (!colon || colon == text)) || len == 0 || len > sizeof(out->auth))
                return false;
        for (size_t i = 0; i < len; i++)
                if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
                        return false;
        memcpy(out->auth, text, len);
        out->auth_len = (uint32_t)len;
        return true;
}

/* Takes @fd. 0; -EBADMSG: it says something else; -errno. */
static int take_file(const struct kind *kind, int fd, struct conf_site *out)
{
        char *text = NULL;
        size_t len = 0;
        int r = conf_input_read(fd, FILE_MAX, &text, &len);

        close(fd);
        if (r < 0)
                return r;
        r = take_auth(kind, text, len, out) ? 0 : -EBADMSG;
        explicit_bzero(text, len);
        free(text);
        return r;
}

static const char *error_text(const struct kind *kind, int error)
{
        return error == -EBADMSG ? kind->expected : conf_input_error(error);
}

static void keep_running(const struct conf_site *running, struct conf_site *out)
{
        memcpy(out->auth, running->auth, sizeof(out->auth));
        out->auth_len = running->auth_len;
}

/* NULL, or what is wrong with that file. Who holds a pipe makes nobody wait. */
static const char *look_at(int fd)
{
        struct stat status;

        if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
                return "it is no file";
        return status.st_mode & (S_IRWXG | S_IRWXO) ? "it is open to others than its owner: chmod 600 it, and think of a new password" : NULL;
}

static void from_file(struct conf_read *read, const struct conf_site_draft *draft, const struct kind *kind, const struct conf_site *running,
                      struct conf_site *out)
{
        char quoted[CONF_QUOTE_MAX];
        int fd = conf_input_open(draft->auth.text), r;
        const char *why = fd < 0 ? NULL : look_at(fd);

        conf_quote(draft->auth.text, quoted, sizeof(quoted));
        if (fd == -EACCES && running && running->auth_len) {
                keep_running(running, out);     /* who runs it may not be who started it */
                return;
        }
        if (why) {
                close(fd);
                conf_error(&read->report, draft->auth_from, draft->auth.at, "%s: %s: %s", kind->file_key, quoted, why);
                return;
        }
        r = fd < 0 ? fd : take_file(kind, fd, out);
        if (r < 0)
                conf_error(&read->report, draft->auth_from, draft->auth.at, "%s: %s: %s", kind->file_key, quoted, error_text(kind, r));
}

/* False: there is none. A complaint counts as one. */
static bool from_credential(struct conf_read *read, const struct conf_site_draft *draft, const struct kind *kind, struct conf_site *out)
{
        const char *folder = read->source->credentials_directory;
        char path[CONF_PATH_MAX];
        int len = folder ? snprintf(path, sizeof(path), "%s/%s", folder, kind->credential) : -1;
        int fd = len > 0 && len < CONF_PATH_MAX ? conf_input_open(path) : -ENOENT;
        int r = fd < 0 ? fd : take_file(kind, fd, out);

        if (r < 0 && r != -ENOENT)
                conf_error(&read->report, draft->at.file, draft->at.at, "%s: the credential %s: %s", kind->key, kind->credential,
                           error_text(kind, r));
        return r != -ENOENT;
}

static void find_auth(struct conf_read *read, const struct conf_site_draft *draft, const struct kind *kind, const char *variable,
                      const struct conf_site *running, struct conf_site *out)
{
        if (draft->auth.text)
                from_file(read, draft, kind, running, out);
        else if (draft->auth_given || from_credential(read, draft, kind, out))
                return;
        else if (variable && *variable && !take_auth(kind, variable, strlen(variable), out))
                conf_error(&read->report, draft->at.file, draft->at.at, "%s: %s", kind->variable, error_text(kind, -EBADMSG));
        else if (running && !running->auth_file && !out->auth_len)
                keep_running(running, out);             /* the variable has been wiped since */
}

static bool is_loopback(const uint8_t ip[16])
{
        static const uint8_t mapped[13] = { [10] = 0xff, [11] = 0xff, [12] = 127 }, one[16] = { [15] = 1 };

        return memcmp(ip, mapped, sizeof(mapped)) == 0 || memcmp(ip, one, sizeof(one)) == 0;
}

static void finish_resolver(struct conf_read *read, const struct conf_site_draft *draft, const struct conf *conf, bool good)
{
        if (!conf->provider.present)
                conf_warning(&read->report, draft->at.file, draft->at.at,
                             "fingerprintResolver: it is for the services of a provider: there is none");
        if (!conf_site_answers(&conf->resolver) && read->report.error_count == 0)
                conf_error(&read->report, draft->at.file, draft->at.at, "fingerprintResolver: where? listen: %s",
                           kinds[CONF_SITE_RESOLVER].listen_example);
        else if (!conf->resolver.auth_len && !is_loopback(conf->resolver.ip) && good && conf->resolver.port)
                conf_error(&read->report, draft->at.file, draft->at.at,
                           "fingerprintResolver: others than this machine could ask at %s: say who may by basicAuthFile, or listen on 127.0.0.1",
                           conf->resolver.text);
}

static void finish_unlimited(struct conf_read *read, const struct conf_site_draft *draft, struct conf *conf, bool good)
{
#ifndef HG_OPENSSL
        conf_error(&read->report, draft->at.file, draft->at.at,
                   "unlimited: tokens are made with AES-256-CBC, which this build lacks (meson -Dopenssl=enabled): use hypergate allow");
#endif
        if (!conf->gateway.present)
                conf_warning(&read->report, draft->at.file, draft->at.at, "unlimited: it is for clients of a gateway: there is none");
        if (!conf->unlimited.port) {
                read_where(kinds[CONF_SITE_UNLIMITED].listen, &conf->unlimited);
                conf->unlimited.text = kinds[CONF_SITE_UNLIMITED].listen;
        }
        if (!conf->unlimited.auth_len && good)
                conf_error(&read->report, draft->at.file, draft->at.at,
                           "unlimited: what are tokens made with? tokenSecretFile: a file with a long random text, such as "
                           "openssl rand -hex 32 makes");
}

void conf_site_finish(struct conf_read *read, const struct conf_site_draft *draft, enum conf_site_kind kind, struct conf *conf)
{
        const struct conf *running = read->source->running;
        uint32_t errors = read->report.error_count;
        bool resolver = kind == CONF_SITE_RESOLVER;

        if (!draft->at.file)
                return;
        find_auth(read, draft, &kinds[kind], resolver ? read->source->resolver_auth : read->source->unlimited_secret,
                  running ? (resolver ? &running->resolver : &running->unlimited) : NULL, site_of(conf, kind));
        if (resolver)
                finish_resolver(read, draft, conf, read->report.error_count == errors);
        else
                finish_unlimited(read, draft, conf, read->report.error_count == errors);
}

static bool same_path(const char *a, const char *b)
{
        return a && b ? strcmp(a, b) == 0 : a == b;
}

bool conf_site_same(const struct conf_site *a, const struct conf_site *b)
{
        return same_path(a->path, b->path) && a->port == b->port && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0 && a->auth_len == b->auth_len &&
               memcmp(a->auth, b->auth, sizeof(a->auth)) == 0;
}
