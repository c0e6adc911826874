/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_resolver.h"

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

static const char example[] = "IP:PORT, such as 127.0.0.1:8080 or \"[::1]:8080\"";
static const char credential_name[] = "resolver.auth", variable_name[] = "HYPERGATE_FINGERPRINT_RESOLVER_BASIC_AUTH";

/* What is being read. */
struct target {
        struct conf_resolver_draft *draft;
        struct conf_resolver *resolver;
};

static const char *image_text(struct conf_read *read, const char *text)
{
        return conf_arena_text(&read->image, text, strlen(text));
}

static bool read_port(const char *text, uint16_t *out)
{
        size_t len = strspn(text, "0123456789");
        unsigned long port = len > 0 && len <= 5 && !text[len] ? strtoul(text, NULL, 10) : 0;

        *out = (uint16_t)port;
        return port > 0 && port <= UINT16_MAX;
}

static bool read_where(const char *text, struct conf_resolver *out)
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
        struct conf_resolver at;
        const char *text;

        if (!conf_value_text(read, node, "127.0.0.1:8080", &text))
                return;
        if (!read_where(text, &at)) {
                conf_value_wrong(read, node, example);
                return;
        }
        memcpy(target->resolver->ip, at.ip, sizeof(at.ip));
        target->resolver->port = at.port;
        target->resolver->text = image_text(read, text);
}

/* The file is looked at once it is known that no later one names another. */
static void read_auth_file(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct target *target = into;
        char path[CONF_PATH_MAX];
        const char *name;

        target->draft->auth_given = true;
        if (!conf_value_text(read, node, "/etc/hypergate/resolver.auth", &name) || !conf_path(read, node, name, path))
                return;
        target->resolver->auth_file = image_text(read, path);
        target->draft->auth = (struct conf_node){ .at = node->at, .text = target->resolver->auth_file };
        target->draft->auth_from = read->file;
}

void conf_resolver_read(struct conf_read *read, const struct conf_node *node, struct conf_resolver_draft *draft, struct conf_resolver *into)
{
        static const struct conf_field fields[] = {
                { "listen", read_listen },
                { "basicAuthFile", read_auth_file },
                { NULL, NULL },
        };
        struct target target = { draft, into };

        draft->at = (struct conf_place){ read->file, node->key_at };
        conf_value_map(read, node, "fingerprintResolver", fields, &target);
}

/* "USER:PASSWORD", and a line break behind it. False: it is none. */
static bool take_auth(const char *text, size_t len, struct conf_resolver *out)
{
        const char *colon;

        while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
                len--;
        colon = memchr(text, ':', len);
        if (!colon || colon == text || len > sizeof(out->auth))
                return false;
        for (size_t i = 0; i < len; i++)
                if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
                        return false;
        memcpy(out->auth, text, len);
        out->auth_len = (uint32_t)len;
        return true;
}

/* Takes @fd. 0; -EBADMSG: it says something else; -errno. */
static int take_file(int fd, struct conf_resolver *out)
{
        char *text = NULL;
        size_t len = 0;
        int r = conf_input_read(fd, FILE_MAX, &text, &len);

        close(fd);
        if (r < 0)
                return r;
        r = take_auth(text, len, out) ? 0 : -EBADMSG;
        explicit_bzero(text, len);
        free(text);
        return r;
}

static const char *error_text(int error)
{
        return error == -EBADMSG ? "expected USER:PASSWORD on one line, at most 256 bytes, and nothing else" : conf_input_error(error);
}

static void keep_running(const struct conf_resolver *running, struct conf_resolver *out)
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

static void from_file(struct conf_read *read, const struct conf_resolver_draft *draft, struct conf_resolver *out)
{
        const struct conf *running = read->source->running;
        char quoted[CONF_QUOTE_MAX];
        int fd = conf_input_open(draft->auth.text), r;
        const char *why = fd < 0 ? NULL : look_at(fd);

        conf_quote(draft->auth.text, quoted, sizeof(quoted));
        if (fd == -EACCES && running && running->resolver.auth_len) {
                keep_running(&running->resolver, out);  /* who runs it may not be who started it */
                return;
        }
        if (why) {
                close(fd);
                conf_error(&read->report, draft->auth_from, draft->auth.at, "basicAuthFile: %s: %s", quoted, why);
                return;
        }
        r = fd < 0 ? fd : take_file(fd, out);
        if (r < 0)
                conf_error(&read->report, draft->auth_from, draft->auth.at, "basicAuthFile: %s: %s", quoted, error_text(r));
}

/* False: there is none. A complaint counts as one. */
static bool from_credential(struct conf_read *read, const struct conf_resolver_draft *draft, struct conf_resolver *out)
{
        const char *folder = read->source->credentials_directory;
        char path[CONF_PATH_MAX];
        int len = folder ? snprintf(path, sizeof(path), "%s/%s", folder, credential_name) : -1;
        int fd = len > 0 && len < CONF_PATH_MAX ? conf_input_open(path) : -ENOENT;
        int r = fd < 0 ? fd : take_file(fd, out);

        if (r < 0 && r != -ENOENT)
                conf_error(&read->report, draft->at.file, draft->at.at, "fingerprintResolver: the credential %s: %s", credential_name,
                           error_text(r));
        return r != -ENOENT;
}

static void find_auth(struct conf_read *read, const struct conf_resolver_draft *draft, struct conf_resolver *out)
{
        const char *variable = read->source->resolver_auth;
        const struct conf *running = read->source->running;

        if (draft->auth.text)
                from_file(read, draft, out);
        else if (draft->auth_given || from_credential(read, draft, out))
                return;
        else if (variable && *variable && !take_auth(variable, strlen(variable), out))
                conf_error(&read->report, draft->at.file, draft->at.at, "%s: %s", variable_name, error_text(-EBADMSG));
        else if (running && !out->auth_len)
                keep_running(&running->resolver, out);          /* the variable has been wiped since */
}

static bool is_loopback(const uint8_t ip[16])
{
        static const uint8_t mapped[13] = { [10] = 0xff, [11] = 0xff, [12] = 127 }, one[16] = { [15] = 1 };

        return memcmp(ip, mapped, sizeof(mapped)) == 0 || memcmp(ip, one, sizeof(one)) == 0;
}

void conf_resolver_finish(struct conf_read *read, const struct conf_resolver_draft *draft, struct conf *conf)
{
        uint32_t errors = read->report.error_count;

        if (!draft->at.file)
                return;
        find_auth(read, draft, &conf->resolver);
        if (!conf->provider.present)
                conf_warning(&read->report, draft->at.file, draft->at.at, "fingerprintResolver: it is for the services of a provider: there is none");
        if (!conf->resolver.port && read->report.error_count == 0)
                conf_error(&read->report, draft->at.file, draft->at.at, "fingerprintResolver: where? listen: %s", example);
        else if (!conf->resolver.auth_len && !is_loopback(conf->resolver.ip) && read->report.error_count == errors && conf->resolver.port)
                conf_error(&read->report, draft->at.file, draft->at.at,
                           "fingerprintResolver: others than this machine could ask at %s: say who may by basicAuthFile, or listen on 127.0.0.1",
                           conf->resolver.text);
}

bool conf_resolver_same(const struct conf_resolver *a, const struct conf_resolver *b)
{
        return a->port == b->port && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0 && a->auth_len == b->auth_len &&
               memcmp(a->auth, b->auth, sizeof(a->auth)) == 0;
}
