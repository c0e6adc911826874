/* SPDX-License-Identifier: BSD-3-Clause */
#include "keys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc_fd.h"

enum { MEMORY_BYTES = 64 * 1024 * 1024, PASSES = 2 };   /* hypergate.md 3 */

struct keys *keys_new(void)
{
        struct keys *keys = sodium_init() < 0 ? NULL : sodium_malloc(sizeof(*keys));

        if (!keys)
                return NULL;
        randombytes_buf(keys, sizeof(*keys));
        keys->router_count = 0;
        return keys;
}

void keys_free(struct keys *keys)
{
        sodium_free(keys);
}

void keys_router_name(struct keys_router *router, const uint8_t *secret)
{
        uint8_t pair[crypto_sign_SECRETKEYBYTES];

        *router = (struct keys_router){ .has_auth = false };
        crypto_sign_seed_keypair(router->public_key, pair, secret);
        sodium_memzero(pair, sizeof(pair));
}

void keys_router_take_auth(struct keys_router *router, const uint8_t auth[KEYS_AUTH_BYTES])
{
        memcpy(router->auth, auth, sizeof(router->auth));
        router->has_auth = true;
}

int keys_router_derive(struct keys_router *router, const uint8_t *secret)
{
        uint8_t pair[crypto_sign_SECRETKEYBYTES], salt[crypto_pwhash_SALTBYTES];
        int r;

        crypto_sign_seed_keypair(router->public_key, pair, secret);
        crypto_generichash(salt, sizeof(salt), pair, sizeof(pair), NULL, 0);
        r = crypto_pwhash(router->auth, sizeof(router->auth), (const char *)pair, sizeof(pair), salt, PASSES, MEMORY_BYTES,
                          crypto_pwhash_ALG_ARGON2ID13);
        sodium_memzero(pair, sizeof(pair));
        sodium_memzero(salt, sizeof(salt));
        router->has_auth = r == 0;
        return r == 0 ? 0 : -ENOMEM;
}

/* KEYS_REFUSED with ENOENT when there is none. */
static enum keys_verdict read_seed(const char *path, uid_t uid, uint8_t seed[KEYS_BYTES])
{
        cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        uint8_t bytes[KEYS_BYTES + 1];
        struct stat file;
        ssize_t len;

        if (fd < 0)
                return errno == ELOOP ? KEYS_MALFORMED : KEYS_REFUSED;
        if (fstat(fd, &file) < 0)
                return KEYS_REFUSED;
        if (!S_ISREG(file.st_mode) || (file.st_uid != uid && file.st_uid != geteuid()))
                return KEYS_MALFORMED;
        if (file.st_mode & 077)
                return KEYS_OPEN;
        len = read(fd, bytes, sizeof(bytes));
        if (len == KEYS_BYTES)
                memcpy(seed, bytes, KEYS_BYTES);
        sodium_memzero(bytes, sizeof(bytes));
        return len == KEYS_BYTES ? KEYS_READ : len < 0 ? KEYS_REFUSED : KEYS_MALFORMED;
}

/* Makes the new name last over a power failure. */
static int sync_folder_of(const char *path)
{
        const char *slash = strrchr(path, '/');
        char folder[PATH_MAX];
        cleanup_fd int fd = -1;

        snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
        fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int write_whole(int fd, const uint8_t seed[KEYS_BYTES], uid_t uid, gid_t gid)
{
        ssize_t len = write(fd, seed, KEYS_BYTES);

        if (len != KEYS_BYTES) {
                errno = len < 0 ? errno : ENOSPC;
                return -errno;
        }
        if ((geteuid() == 0 && fchown(fd, uid, gid) < 0) || fsync(fd) < 0)
                return -errno;
        return 0;
}

/* Beside @path, then linked to its name: an existing one is never replaced. 0 or -errno. */
static int write_seed(const char *path, uid_t uid, gid_t gid, const uint8_t seed[KEYS_BYTES])
{
        char beside[PATH_MAX];
        cleanup_fd int fd = -1;
        int r;

        if (snprintf(beside, sizeof(beside), "%s.new", path) >= (int)sizeof(beside))
                return -ENAMETOOLONG;
        if (unlink(beside) < 0 && errno != ENOENT)
                return -errno;
        fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        r = write_whole(fd, seed, uid, gid);
        if (r == 0 && link(beside, path) < 0)
                r = -errno;
        unlink(beside);
        return r < 0 ? r : sync_folder_of(path);
}

enum keys_verdict keys_identity(const char *path, uid_t uid, gid_t gid, uint8_t seed[KEYS_BYTES])
{
        enum keys_verdict verdict = read_seed(path, uid, seed);
        uint8_t made[KEYS_BYTES];
        int r;

        if (verdict != KEYS_REFUSED || errno != ENOENT)
                return verdict;
        randombytes_buf(made, sizeof(made));
        r = write_seed(path, uid, gid, made);
        if (r == 0)
                memcpy(seed, made, sizeof(made));
        sodium_memzero(made, sizeof(made));
        if (r == -EEXIST)               /* another instance was faster: it is its name, so be it */
                return read_seed(path, uid, seed);
        errno = -r;
        return r < 0 ? KEYS_REFUSED : KEYS_MADE;
}
