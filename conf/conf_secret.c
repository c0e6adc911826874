/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "conf_input.h"
#include "conf_path.h"

enum {
        SECRET_DIGITS = 2 * CONF_SECRET_BYTES,
        READ_MAX = CONF_SECRET_FILE_MAX,        /* with previous ones; to tell how long a wrong one is, up to here */
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

/* A piece of one line; @line 0: elsewhere than in a file there are no places. */
struct piece {
        const char *start, *end;
        uint32_t line, column;          /* of @start */
        bool cut;                       /* there is more of it */
};

static struct conf_position position(const struct piece *piece, size_t index)
{
        return piece->line ? (struct conf_position){ piece->line, piece->column + (uint32_t)index } : CONF_WHOLE_FILE;
}

/* Blanks around it don't count. */
static void trim(struct piece *piece)
{
        for (; piece->start < piece->end && is_blank(*piece->start); piece->start++)
                piece->column++;
        while (piece->end > piece->start && is_blank(piece->end[-1]))
                piece->end--;
}

/* What is before the first blank of @piece, and what is behind that. */
static struct piece take_word(struct piece *piece)
{
        struct piece word = *piece;

        trim(&word);
        word.cut = false;
        *piece = word;
        while (piece->start < piece->end && !is_blank(*piece->start))
                piece->start++;
        piece->column += (uint32_t)(piece->start - word.start);
        word.end = piece->start;
        return word;
}

static bool decode(struct conf_read *read, const struct conf_file *file, const struct piece *piece, uint8_t out[CONF_SECRET_BYTES])
{
        const char *start = piece->start;
        size_t len = (size_t)(piece->end - start);

        for (size_t i = 0; i < len; i++)
                if (digit_value(start[i]) < 0) {
                        conf_error(&read->report, file, position(piece, i),
                                   "the router secret: character %zu is none of 0-9 a-f; it is %d of these and nothing else", i + 1, SECRET_DIGITS);
                        return false;
                }
        if (len != SECRET_DIGITS) {
                conf_error(&read->report, file, position(piece, 0), "the router secret has %s%zu characters, not %d",
                           piece->cut ? "at least " : "", len, SECRET_DIGITS);
                return false;
        }
        for (size_t i = 0; i < CONF_SECRET_BYTES; i++)
                out[i] = (uint8_t)(digit_value(start[2 * i]) << 4 | digit_value(start[2 * i + 1]));
        return true;
}

/* --- Previous ones --- */

/* "2026-12-01T12:00:00Z" (RFC 3339), and nothing else. */
static bool read_time(const struct piece *piece, int64_t *out)
{
        char text[sizeof("2026-12-01T12:00:00Z")], again[sizeof(text)];
        struct tm tm = { 0 };
        const char *end;
        time_t time;

        if (piece->end - piece->start != sizeof(text) - 1)
                return false;
        memcpy(text, piece->start, sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
        time = end && !*end ? timegm(&tm) : -1;
        /* What there is no such day of comes out as another one. */
        if (time < 0 || !strftime(again, sizeof(again), "%Y-%m-%dT%H:%M:%SZ", &tm) || strcmp(again, text) != 0)
                return false;
        *out = time;
        return true;
}

static bool is_word(const struct piece *piece, const char *word)
{
        return (size_t)(piece->end - piece->start) == strlen(word) && memcmp(piece->start, word, strlen(word)) == 0;
}

static bool is_known(const struct conf *conf, const uint8_t secret[CONF_SECRET_BYTES])
{
        bool known = memcmp(conf->secret, secret, CONF_SECRET_BYTES) == 0;

        for (size_t i = 0; i < conf->previous_count; i++)
                known = known || memcmp(conf->previous[i].secret, secret, CONF_SECRET_BYTES) == 0;
        return known;
}

/* "SECRET until TIME". */
static bool decode_previous(struct conf_read *read, const struct conf_file *file, const struct piece *line, struct conf *conf)
{
        struct piece rest = *line, secret = take_word(&rest), until = take_word(&rest), time = take_word(&rest);
        struct conf_previous previous;
        bool good = false;

        trim(&rest);
        if (!decode(read, file, &secret, previous.secret))
                goto end;
        if (!is_word(&until, "until"))
                conf_error(&read->report, file, position(&until, 0),
                           "a previous secret: expected \"until\" and a time behind it, as in \"until 2026-12-01T12:00:00Z\"");
        else if (!read_time(&time, &previous.until_s))
                conf_error(&read->report, file, position(&time, 0),
                           "a previous secret: until: expected a time of UTC like 2026-12-01T12:00:00Z");
        else if (rest.start < rest.end)
                conf_error(&read->report, file, position(&rest, 0), "a previous secret: there is something behind the time: take it away");
        else if (conf->previous_count == CONF_PREVIOUS_MAX)
                conf_error(&read->report, file, position(line, 0), "previous secrets: there are more than %d: take the last ones away",
                           CONF_PREVIOUS_MAX);
        else if (is_known(conf, previous.secret))
                conf_error(&read->report, file, position(line, 0), "a previous secret: it is there already: take this line away");
        else
                good = true;
        if (good)
                conf->previous[conf->previous_count++] = previous;
end:
        explicit_bzero(&previous, sizeof(previous));
        return good;
}

/* A secret; in a file, previous ones may follow it, one a line. */
static bool decode_all(struct conf_read *read, const struct conf_file *file, bool positions, const struct secret_text *text, struct conf *conf)
{
        const char *end = text->bytes + text->len;
        struct piece line = { .start = text->bytes, .end = end, .cut = text->len == READ_MAX };
        bool found = false, good = true;

        if (is_all_blank(text)) {
                conf_error(&read->report, file, CONF_WHOLE_FILE, "the router secret is empty; \"hypergate new\" makes one");
                return false;
        }
        for (uint32_t number = 1; line.start < end; line.start = line.end + 1, number++) {
                const char *newline = positions ? memchr(line.start, '\n', (size_t)(end - line.start)) : NULL;
                struct piece content;

                line.end = newline ? newline : end;
                content = line;
                content.cut = line.cut && !newline;
                content.line = positions ? number : 0;
                content.column = 1;
                trim(&content);
                if (content.start == content.end)
                        continue;
                good = (found ? decode_previous(read, file, &content, conf) : decode(read, file, &content, conf->secret)) && good;
                found = true;
        }
        return good;
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

static bool from_fd(struct conf_read *read, int fd, const char *label, bool positions, struct conf *conf)
{
        struct conf_file file = file_for(read, label);
        struct secret_text text = { .len = 0 };
        int error = read_text(fd, &text);
        bool good = false;

        if (error < 0)
                conf_error(&read->report, &file, CONF_WHOLE_FILE, "cannot read the router secret: %s", conf_input_error(error));
        else
                good = decode_all(read, &file, positions, &text, conf);
        wipe(&text);
        return good;
}

/* A file whose owner has looked at who may read it. */
static bool from_hand(struct conf_read *read, bool wanted, struct conf *conf)
{
        static const char label[] = "--secret-file";
        struct conf_file file;

        if (wanted)
                return from_fd(read, read->source->secret_fd, label, true, conf);
        file = file_for(read, label);
        conf_error(&read->report, &file, CONF_WHOLE_FILE, "the instance has no router, and keeps no secret");
        return false;
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
static bool from_running(const struct conf_read *read, struct conf *conf)
{
        const struct conf *running = read->source->running;

        if (!running || !running->has_secret)
                return false;
        memcpy(conf->secret, running->secret, sizeof(conf->secret));
        memcpy(conf->previous, running->previous, sizeof(conf->previous));
        conf->previous_count = running->previous_count;
        return true;
}

static bool from_file(struct conf_read *read, const struct conf_node *node, struct conf *conf)
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
        if (fd == -EACCES && from_running(read, conf)) {
                conf_warning(&read->report, read->file, node->at,
                             "secretFile: this user may not read %s: the secret stays as it was; \"hypergate reload --secret-file\", "
                             "as root, hands it over", quoted);
                return true;
        }
        if (fd < 0)
                complain_unread(read, node, name, fd);
        else if (!is_private(fd, &mode))
                conf_error(&read->report, read->file, node->at,
                           "secretFile: %s is open to others than its owner (mode %04o): chmod 600 it, and think of a new secret",
                           quoted, mode);
        else
                good = from_fd(read, fd, path, true, conf);
        if (fd >= 0)
                close(fd);
        return good;
}

/* What systemd's LoadCredential= left for us is private already: by its folder, and by an ACL that shows as group bits. A blank one is
 * what a unit says where there is no file: SetCredential= needs something to say. */
static bool from_credential(struct conf_read *read, bool *found, struct conf *conf)
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
                good = decode_all(read, &file, true, &text, conf);
        wipe(&text);
        if (fd >= 0)
                close(fd);
        return good;
}

static bool from_variable(struct conf_read *read, struct conf *conf)
{
        struct conf_file file = file_for(read, "HYPERGATE_ROUTER");
        struct secret_text text = { .len = strnlen(read->source->router_secret, READ_MAX) };
        bool good;

        memcpy(text.bytes, read->source->router_secret, text.len);
        good = decode_all(read, &file, false, &text, conf);
        wipe(&text);
        return good;
}

/* Returns whether all of it is good. @node: the secretFile of the configuration, or NULL. */
static bool find(struct conf_read *read, const struct conf_file *file, const struct conf_node *node, bool needed, struct conf *conf)
{
        bool found = false, good;

        if (read->source->secret_handed)
                return from_hand(read, node || needed, conf);
        if (read->source->credential_old && (read->source->secret_fd >= 0 || (needed && !node)) && from_running(read, conf))
                return true;
        if (read->source->secret_fd >= 0)
                return from_fd(read, read->source->secret_fd, "--router", false, conf);
        if (node)
                return from_file(read, node, conf);
        if (!needed)
                return false;
        good = from_credential(read, &found, conf);
        if (found)
                return good;
        if (read->source->router_secret && read->source->router_secret[0])
                return from_variable(read, conf);
        if (from_running(read, conf))
                return true;            /* the variable has been wiped since */
        conf_error(&read->report, file, CONF_WHOLE_FILE,
                   "no router secret: %s; \"hypergate new --output FILE\" makes one",
                   read->source->notify_socket ? "LoadCredential=router.key:FILE in the unit hands it over (as shipped, FILE is "
                                                 "/etc/hypergate/NAME.key)"
                                               : "name its file with secretFile, or set HYPERGATE_ROUTER");
        return false;
}

void conf_secret_read(struct conf_read *read, const struct conf_node *node, struct conf_secret_draft *draft, struct conf *conf)
{
        char path[CONF_PATH_MAX];
        const char *name;

        draft->given = true;
        if (!conf_value_text(read, node, "/etc/hypergate/router1.key", &name) || !conf_path(read, node, name, path))
                return;
        conf->secret_file = conf_value_copy(read, path);
        draft->node = (struct conf_node){ .kind = CONF_QUOTED, .at = node->at, .key = "secretFile", .text = conf_value_copy(read, name) };
        draft->from = read->file;
}

void conf_secret_finish(struct conf_read *read, const struct conf_secret_draft *draft, const struct conf_file *file, bool needed,
                        struct conf *conf)
{
        read->file = draft->from;
        if (draft->from)
                conf->has_secret = find(read, read->file, &draft->node, true, conf);
        else if (!draft->given)
                conf->has_secret = find(read, file, NULL, needed, conf);
        read->file = NULL;
}
