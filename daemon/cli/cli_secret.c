/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "conf.h"
#include "ipc_blob.h"
#include "ipc_fd.h"

enum {
        SECRET_BYTES = crypto_sign_SEEDBYTES,
        NAME_TEXT = crypto_sign_PUBLICKEYBYTES * 2 + 1,
        PATH_SHOWN = 128,
        JSON_MAX = 256,
        LINE_LEN = SECRET_BYTES * 2 + 1,        /* with its newline */
};

struct secret {
        uint8_t seed[SECRET_BYTES], key[crypto_sign_SECRETKEYBYTES];
        char line[LINE_LEN + 1];
        char name[NAME_TEXT];           /* the public key: what the router is called, and the topic where its peers meet */
};

static void secret_init(struct secret *secret)
{
        uint8_t public_key[crypto_sign_PUBLICKEYBYTES];

        randombytes_buf(secret->seed, sizeof(secret->seed));
        crypto_sign_seed_keypair(public_key, secret->key, secret->seed);
        sodium_bin2hex(secret->line, sizeof(secret->line), secret->seed, sizeof(secret->seed));
        secret->line[LINE_LEN - 1] = '\n';
        secret->line[LINE_LEN] = '\0';
        sodium_bin2hex(secret->name, sizeof(secret->name), public_key, sizeof(public_key));
}

static void secret_fini(struct secret *secret)
{
        explicit_bzero(secret, sizeof(*secret));
}

int cli_secret_write(int fd, const char *text, size_t len)
{
        while (len > 0) {
                ssize_t wrote = write(fd, text, len);

                if (wrote < 0 && errno != EINTR)
                        return -errno;
                text += wrote > 0 ? wrote : 0;
                len -= wrote > 0 ? (size_t)wrote : 0;
        }
        return 0;
}

/* Never over one that exists: it may be the only copy. A half-written file is taken away. */
static int write_file(const char *path, const struct secret *secret)
{
        cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
        int error;

        if (fd < 0)
                return -errno;
        error = fchmod(fd, S_IRUSR | S_IWUSR) < 0 ? -errno : cli_secret_write(fd, secret->line, LINE_LEN);
        if (error == 0 && fsync(fd) < 0 && errno != EINVAL)
                error = -errno;
        if (error < 0)
                unlink(path);
        return error;
}

static int to_file(const char *path, const struct secret *secret, bool json)
{
        int error = write_file(path, secret), wrote;
        char quoted[PATH_SHOWN];

        conf_quote(path, quoted, sizeof(quoted));
        if (error == -EEXIST)
                fprintf(stderr, "hypergate: %s exists and is left as it is: it may be the only copy of a secret\n", quoted);
        else if (error < 0)
                fprintf(stderr, "hypergate: cannot write %s: %s\n", quoted, strerror(-error));
        if (error < 0)
                return EX_CANTCREAT;
        wrote = json ? printf("{\"type\":\"new\",\"router\":\"%s\"}\n", secret->name)
                     : printf("the secret of router %s, whose name is no secret, is in %s\n", secret->name, quoted);
        return wrote < 0 || fflush(stdout) < 0 ? EX_IOERR : EX_OK;
}

/* Past the buffers of stdio, where it would stay. */
static int to_stdout(const struct secret *secret, bool json)
{
        char object[JSON_MAX];
        int len = json ? snprintf(object, sizeof(object), "{\"type\":\"new\",\"router\":\"%s\",\"secret\":\"%.*s\"}\n", secret->name,
                                  LINE_LEN - 1, secret->line) : 0;
        int error = json ? cli_secret_write(STDOUT_FILENO, object, (size_t)len) : cli_secret_write(STDOUT_FILENO, secret->line, LINE_LEN);

        explicit_bzero(object, sizeof(object));
        if (error < 0)
                fprintf(stderr, "hypergate: cannot write the secret: %s\n", strerror(-error));
        return error < 0 ? EX_IOERR : EX_OK;
}

int cli_secret_new(const char *file, bool json)
{
        struct secret secret;
        int status;

        if (sodium_init() < 0) {
                fprintf(stderr, "hypergate: libsodium does not work on this machine\n");
                return EX_OSERR;
        }
        secret_init(&secret);
        status = file ? to_file(file, &secret, json) : to_stdout(&secret, json);
        secret_fini(&secret);
        return status;
}

/* Up to its end, or as much as there is room for. */
static ssize_t read_all(int fd, char *out, size_t size)
{
        size_t len = 0;

        while (len < size) {
                ssize_t got = read(fd, out + len, size - len);

                if (got < 0 && errno != EINTR)
                        return -errno;
                if (got == 0)
                        break;
                len += got > 0 ? (size_t)got : 0;
        }
        return (ssize_t)len;
}

int cli_secret_copy(const char *path)
{
        cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        char text[CONF_SECRET_FILE_MAX];
        struct stat about;
        ssize_t len;
        int r;

        if (fd < 0 || fstat(fd, &about) < 0)
                return -errno;
        if (!S_ISREG(about.st_mode) || about.st_size > (off_t)sizeof(text))
                return -EINVAL;
        if (about.st_mode & (S_IRWXG | S_IRWXO))
                return -EPERM;
        len = read_all(fd, text, sizeof(text));
        r = len < 0 ? (int)len : len == 0 ? -EINVAL : ipc_blob_new(text, (size_t)len);
        explicit_bzero(text, sizeof(text));
        return r;
}

int cli_secret_take(char *text)
{
        size_t len = strlen(text);
        int fd = ipc_blob_new(text, len);

        explicit_bzero(text, len);
        return fd;
}
