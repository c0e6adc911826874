/* SPDX-License-Identifier: BSD-3-Clause */
/* What is said to be a router secret, on the command line or by systemd: 64 hexadecimal digits and blanks around them, by systemd with
 * previous ones below, or complaints that show none of it. */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf.h"

enum { DIGITS = 2 * CONF_SECRET_BYTES, SECRET_MAX = 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void demand(bool condition)
{
        if (!condition)
                abort();
}

static int file_of(const void *bytes, size_t len)
{
        int fd = memfd_create("fuzz", MFD_CLOEXEC);

        demand(fd >= 0 && write(fd, bytes, len) == (ssize_t)len && lseek(fd, 0, SEEK_SET) == 0);
        return fd;
}

/* NULL: it is none. */
static const uint8_t *digits_of(const uint8_t *data, size_t len)
{
        while (len && memchr(" \t\r\n", *data, 4)) {
                data++;
                len--;
        }
        while (len && memchr(" \t\r\n", data[len - 1], 4))
                len--;
        for (size_t i = 0; i < len; i++)
                if (!isxdigit(data[i]))
                        return NULL;
        return len == DIGITS ? data : NULL;
}

static void check_secret(const struct conf *conf, const uint8_t *digits)
{
        static const char hex[] = "0123456789abcdef";

        demand(conf->has_secret);
        for (size_t i = 0; i < DIGITS; i++)
                demand(hex[conf->secret[i / 2] >> (i % 2 ? 0 : 4) & 15] == tolower(digits[i]));
}

/* Of the first line that is not blank; *@alone_out: there is no other. */
static const uint8_t *first_digits_of(const uint8_t *data, size_t len, bool *alone_out)
{
        const uint8_t *end = data + len, *digits;
        size_t line;

        while (data < end && memchr(" \t\r\n", *data, 4))
                data++;
        line = memchr(data, '\n', (size_t)(end - data)) ? (size_t)((uint8_t *)memchr(data, '\n', (size_t)(end - data)) - data) : (size_t)(end - data);
        digits = digits_of(data, line);
        for (data += line; data < end && memchr(" \t\r\n", *data, 4);)
                data++;
        *alone_out = data == end;
        return digits;
}

static void check_previous(const struct conf *conf)
{
        demand(conf->previous_count <= CONF_PREVIOUS_MAX);
        for (size_t i = 0; i < conf->previous_count; i++)
                demand(conf->previous[i].until_s >= 0 && memcmp(conf->previous[i].secret, conf->secret, CONF_SECRET_BYTES) != 0);
}

static bool load(struct conf_source *source, const uint8_t *data, size_t len)
{
        static const char text[] = "gateway: {}\n";
        bool file = source->secret_fd < 0, alone = true;
        const uint8_t *digits = len >= SECRET_MAX ? NULL : file ? first_digits_of(data, len, &alone) : digits_of(data, len);
        struct conf_complaints complaints;
        struct conf *conf = NULL;
        enum conf_verdict verdict;

        source->path = "fuzz.yaml";
        source->fd = file_of(text, sizeof(text) - 1);
        verdict = conf_load(source, &conf, &complaints);
        demand((verdict == CONF_GOOD) == (conf != NULL) && (!conf || len >= SECRET_MAX || digits) && (!digits || !alone || conf));
        if (conf && digits)
                check_secret(conf, digits);
        if (conf)
                check_previous(conf);
        demand(conf ? complaints.error_count == 0 : file ? complaints.error_count > 0 : complaints.error_count == 1);
        demand(!conf || file || !conf->previous_count);
        conf_free(conf);
        conf_complaints_fini(&complaints);
        close(source->fd);
        return verdict == CONF_GOOD;
}

static char folder[] = "/tmp/hypergate-fuzz-XXXXXX", credential[sizeof(folder) + sizeof("/router.key")];

static void remove_folder(void)
{
        unlink(credential);
        rmdir(folder);
}

/* As the credential that systemd leaves in a folder: one that is there for as long as this program runs. */
static bool load_credential(const uint8_t *data, size_t len)
{
        struct conf_source source = { .secret_fd = -1, .credentials_directory = folder };
        int fd;

        if (!credential[0]) {
                demand(mkdtemp(folder) != NULL && atexit(remove_folder) == 0);
                snprintf(credential, sizeof(credential), "%s/router.key", folder);
        }
        fd = open(credential, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        demand(fd >= 0 && write(fd, data, len) == (ssize_t)len);
        close(fd);
        return load(&source, data, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        struct conf_source source = { .secret_fd = file_of(data, len) };
        bool good = load(&source, data, len);

        demand(load_credential(data, len) || !good);    /* previous ones stand in files alone */
        close(source.secret_fd);
        return 0;
}
