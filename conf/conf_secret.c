/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf_input.h"
#include "conf_path.h"

enum {
        SECRET_DIGITS = 2 * CONF_SECRET_BYTES,
        READ_MAX = 512,                 /* to tell how long a wrong one is, up to here */
};

static const char credential_name[] = "router.key";

struct secret_text {
        char bytes[READ_MAX];
        size_t len;
};

static void wipe(struct secret_text *text)
{
        explicit_bzero(text, sizeof(*text));
}

static bool is_blank(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_all_blank(const struct secret_text *text)
{
        size_t at = 0;

        while (at < text->len && is_blank(text->bytes[at]))
                at++;
        return at == text->len;
}

static int digit_value(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* In a file, of one line. Elsewhere there are no places. */
static struct conf_position position(bool positions, size_t index)
{
        return positions ? (struct conf_position){ 1, (uint32_t)index + 1 } : CONF_WHOLE_FILE;
}

/* Blanks around it don't count. */
static bool decode(struct conf_read *read, const struct conf_file *file, bool positions, const struct secret_text *text,
                   uint8_t out[CONF_SECRET_BYTES])
{
        const char *start = text->bytes, *end = text->bytes + text->len;
        size_t len;

        while (start < end && is_blank(*start))
                start++;
        while (end > start && is_blank(end[-1]))
                end--;
        len = (size_t)(end - start);
        if (len == 0) {
                conf_error(&read->report, file, CONF_WHOLE_FILE, "the router secret is empty; \"hypergate new\" makes one");
                return false;
        }
        for (size_t i = 0; i < len; i++)
                if (digit_value(start[i]) < 0) {
                        conf_error(&read->report, file, position(positions, i),
                                   "the router secret: character %zu is none of 0-9 a-f; it is %d of these and nothing else", i + 1, SECRET_DIGITS);
                        return false;
                }
        if (len != SECRET_DIGITS) {
                conf_error(&read->report, file, position(positions, 0), "the router secret has %s%zu characters, not %d",
                           text->len == READ_MAX ? "at least " : "", len, SECRET_DIGITS);
                return false;
        }
        for (size_t i = 0; i < CONF_SECRET_BYTES; i++)
                out[i] = (uint8_t)(digit_value(start[2 * i]) << 4 | digit_value(start[2 * i + 1]));
        return true;
}

static int read_text(int fd, struct secret_text *text)
{
        if (lseek(fd, 0, SEEK_SET) < 0 && errno != ESPIPE)
                return -errno;
        while (text->len < sizeof(text->bytes)) {
                ssize_t got = read(fd, text->bytes + text->len, sizeof(text->bytes) - text->len);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return got < 0 ? -errno : 0;
                text->len += (size_t)got;
        }
        return 0;
}

static struct conf_file file_for(struct conf_read *read, const char *label)
{
        return (struct conf_file){ .label = conf_report_label(&read->report, label), .folder = "", .number = read->file_count++ };
}

static bool from_fd(struct conf_read *read, int fd, const char *label, bool positions, uint8_t out[CONF_SECRET_BYTES])
{
        struct conf_file file = file_for(read, label);
        struct secret_text text = { .len = 0 };
        int error = read_text(fd, &text);
        bool good = false;

        if (error < 0)
                conf_error(&read->report, &file, CONF_WHOLE_FILE, "cannot read the router secret: %s", conf_input_error(error));
        else
                good = decode(read, &file, positions, &text, out);
        wipe(&text);
        return good;
}

/* Who may read the file? Nobody but its owner. */
static bool is_private(int fd, unsigned *mode_out)
{
        struct stat status;

        if (fstat(fd, &status) < 0)
                return false;
        *mode_out = status.st_mode & 07777;
        return !S_ISREG(status.st_mode) || (*mode_out & (S_IRWXG | S_IRWXO)) == 0;
}

/* Whether somebody wrote the secret itself where its file belongs. */
static bool is_secret(const char *text)
{
        size_t len = 0;

        while (digit_value(text[len]) >= 0)
                len++;
        return len == SECRET_DIGITS && !text[len];
}

static void complain_unread(struct conf_read *read, const struct conf_node *node, const char *name, int error)
{
        const char *hint = error == -ENOENT ? conf_path_hint(name) : "";
        char quoted[CONF_QUOTE_MAX];

        if (error == -ENOENT && !hint[0])
                hint = "; \"hypergate new --output FILE\" makes one";
        else if (error == -EACCES && read->source->notify_socket)
                hint = "; systemd reads it for its services: leave secretFile out, and have LoadCredential=router.key:FILE in the unit";
        conf_error(&read->report, read->file, node->at, "secretFile: cannot read %s: %s%s",
                   conf_quote(name, quoted, sizeof(quoted)), conf_input_error(error), hint);
}

/* As it runs, the instance may not be who it was at its start. */
static bool from_running(const struct conf_read *read, uint8_t out[CONF_SECRET_BYTES])
{
        const struct conf *running = read->source->running;

        if (!running || !running->has_secret)
                return false;
        memcpy(out, running->secret, CONF_SECRET_BYTES);
        return true;
}

static bool from_file(struct conf_read *read, const struct conf_node *node, uint8_t out[CONF_SECRET_BYTES])
{
        char path[CONF_PATH_MAX], quoted[CONF_QUOTE_MAX];
        const char *name;
        unsigned mode = 0;
        bool good = false;
        int fd;

        if (!conf_value_text(read, node, "/etc/hypergate/router1.key", &name) ||
            !conf_path(read, node, name, path))
                return false;
        if (is_secret(name)) {
                conf_error(&read->report, read->file, node->at,
                           "secretFile: expected the name of a file with the secret in it: the secret itself never stands here");
                return false;
        }
        conf_quote(name, quoted, sizeof(quoted));
        fd = conf_input_open(path);
        if (fd == -EACCES && from_running(read, out)) {
                conf_warning(&read->report, read->file, node->at,
                             "secretFile: this user may not read %s: the secret stays as it was at the start; to change it, restart", quoted);
                return true;
        }
        if (fd < 0)
                complain_unread(read, node, name, fd);
        else if (!is_private(fd, &mode))
                conf_error(&read->report, read->file, node->at,
                           "secretFile: %s is open to others than its owner (mode %04o): chmod 600 it, and think of a new secret",
                           quoted, mode);
        else
                good = from_fd(read, fd, path, true, out);
        if (fd >= 0)
                close(fd);
        return good;
}

/* What systemd's LoadCredential= left for us is private already: by its folder, and by an ACL that shows as group bits. A blank one is
 * what a unit says where there is no file: SetCredential= needs something to say. */
static bool from_credential(struct conf_read *read, bool *found, uint8_t out[CONF_SECRET_BYTES])
{
        char path[CONF_PATH_MAX];
        const char *folder = read->source->credentials_directory;
        int len = folder ? snprintf(path, sizeof(path), "%s/%s", folder, credential_name) : -1;
        int fd = len > 0 && len < CONF_PATH_MAX ? conf_input_open(path) : -ENOENT, error;
        struct secret_text text = { .len = 0 };
        struct conf_file file;
        bool good = false;

        *found = fd != -ENOENT;
        if (!*found)
                return false;
        file = file_for(read, path);
        error = fd < 0 ? fd : read_text(fd, &text);
        if (error < 0)
                conf_error(&read->report, &file, CONF_WHOLE_FILE, "cannot read the credential: %s", conf_input_error(error));
        else if (is_all_blank(&text))
                *found = false;
        else
                good = decode(read, &file, true, &text, out);
        wipe(&text);
        if (fd >= 0)
                close(fd);
        return good;
}

static bool from_variable(struct conf_read *read, uint8_t out[CONF_SECRET_BYTES])
{
        struct conf_file file = file_for(read, "HYPERGATE_ROUTER");
        struct secret_text text = { .len = strnlen(read->source->router_secret, READ_MAX) };
        bool good;

        memcpy(text.bytes, read->source->router_secret, text.len);
        good = decode(read, &file, false, &text, out);
        wipe(&text);
        return good;
}

bool conf_secret_find(struct conf_read *read, const struct conf_file *file, const struct conf_node *node, bool needed,
                      uint8_t out[CONF_SECRET_BYTES])
{
        bool found = false, good;

        if (read->source->secret_fd >= 0)
                return from_fd(read, read->source->secret_fd, "--router", false, out);
        if (node)
                return from_file(read, node, out);
        if (!needed)
                return false;
        good = from_credential(read, &found, out);
        if (found)
                return good;
        if (read->source->router_secret && read->source->router_secret[0])
                return from_variable(read, out);
        if (from_running(read, out))
                return true;            /* the variable has been wiped since */
        conf_error(&read->report, file, CONF_WHOLE_FILE,
                   "no router secret: %s; \"hypergate new --output FILE\" makes one",
                   read->source->notify_socket ? "LoadCredential=router.key:FILE in the unit hands it over (as shipped, FILE is "
                                                 "/etc/hypergate/NAME.key)"
                                               : "name its file with secretFile, or set HYPERGATE_ROUTER");
        return false;
}
