/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "keys.h"
#include "test.h"
#include "vectors.h"

static void freep(struct keys **keys)
{
        keys_free(*keys);
}

/* The original's own blobs can be made with our key: hypergate.md 3. */
static void check_blob(json_t *vector)
{
        struct keys_router router;
        uint8_t secret[32], input[256], blob[128], mac[64];
        size_t len;

        check_equal(vector_bytes(vector, "secret_hex", secret, sizeof(secret)), sizeof(secret));
        check_equal(keys_router_derive(&router, secret), 0);
        check(router.has_auth);
        len = vector_bytes(vector, "mac_input_hex", input, sizeof(input));
        check_equal(vector_bytes(vector, "blob_hex", blob, sizeof(blob)), 73);
        check_bytes(input + 64, router.public_key, 32);
        crypto_generichash(mac, sizeof(mac), input, len, router.auth, sizeof(router.auth));
        check_bytes(mac, blob + 9, sizeof(mac));
}

TEST(the_auth_key_makes_the_originals_hello)
{
        json_t *blobs = vector_at(vectors("hypergate.json"), "auth_blobs");

        check(json_array_size(blobs) >= 2);
        check_blob(json_array_get(blobs, 0));
        check_blob(json_array_get(blobs, json_array_size(blobs) - 1));
}

TEST(identities_differ_from_start_to_start_and_from_role_to_role)
{
        cleanup_with(freep) struct keys *a = keys_new(), *b = keys_new();

        check(memcmp(a->seed[0], b->seed[0], KEYS_BYTES) != 0);
        check(memcmp(a->seed[0], a->seed[1], KEYS_BYTES) != 0);
}

struct place {
        char folder[64], path[96];
};

static void make_place(struct place *place)
{
        snprintf(place->folder, sizeof(place->folder), "/tmp/hypergate-keys.XXXXXX");
        check(mkdtemp(place->folder) != NULL);
        snprintf(place->path, sizeof(place->path), "%s/a.gateway.seed", place->folder);
}

static void drop_place(struct place *place)
{
        unlink(place->path);
        check_equal(rmdir(place->folder), 0);   /* nothing else is left in it */
}

TEST(a_stored_identity_lasts)
{
        cleanup_with(drop_place) struct place place;
        uint8_t first[KEYS_BYTES] = { 0 }, second[KEYS_BYTES] = { 0 };
        struct stat file;

        make_place(&place);
        check_equal(keys_identity(place.path, geteuid(), getegid(), first), KEYS_MADE);
        check(!sodium_is_zero(first, sizeof(first)));
        check_equal(stat(place.path, &file), 0);
        check_equal(file.st_mode & 07777, 0600);
        check_equal(file.st_size, KEYS_BYTES);
        check_equal(keys_identity(place.path, geteuid(), getegid(), second), KEYS_READ);
        check_bytes(second, first, sizeof(first));
}

TEST(an_identity_that_others_can_read_is_not_used)
{
        cleanup_with(drop_place) struct place place;
        uint8_t seed[KEYS_BYTES] = { 0 };

        make_place(&place);
        check_equal(keys_identity(place.path, geteuid(), getegid(), seed), KEYS_MADE);
        check_equal(chmod(place.path, 0640), 0);
        memset(seed, 0, sizeof(seed));
        check_equal(keys_identity(place.path, geteuid(), getegid(), seed), KEYS_OPEN);
        check(sodium_is_zero(seed, sizeof(seed)));
}

TEST(what_is_no_identity_is_not_used_and_not_replaced)
{
        cleanup_with(drop_place) struct place place;
        uint8_t seed[KEYS_BYTES] = { 0 };
        struct stat file;
        int fd;

        make_place(&place);
        fd = open(place.path, O_WRONLY | O_CREAT | O_EXCL, 0600);
        check(fd >= 0 && write(fd, "short", 5) == 5);
        close(fd);
        check_equal(keys_identity(place.path, geteuid(), getegid(), seed), KEYS_MALFORMED);
        check(stat(place.path, &file) == 0 && file.st_size == 5);
        check_equal(unlink(place.path), 0);
        check_equal(symlink("/etc/passwd", place.path), 0);
        check_equal(keys_identity(place.path, geteuid(), getegid(), seed), KEYS_MALFORMED);
        check(sodium_is_zero(seed, sizeof(seed)));
}

TEST(an_identity_that_a_full_disk_does_not_take_leaves_nothing_half_written)
{
        cleanup_with(drop_place) struct place place;
        uint8_t seed[KEYS_BYTES] = { 0 };

        make_place(&place);
        signal(SIGXFSZ, SIG_IGN);
        for (rlim_t room = 0; room < KEYS_BYTES; room += 5) {
                check_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ room, RLIM_INFINITY }), 0);
                check_equal(keys_identity(place.path, geteuid(), getegid(), seed), KEYS_REFUSED);
                check(errno == (room ? ENOSPC : EFBIG));
                check(sodium_is_zero(seed, sizeof(seed)));
                check_equal(access(place.path, F_OK), -1);
        }
        check_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY }), 0);
        check_equal(keys_identity(place.path, geteuid(), getegid(), seed), KEYS_MADE);
}

TEST(without_a_folder_the_system_refuses)
{
        uint8_t seed[KEYS_BYTES] = { 0 };

        check_equal(keys_identity("/proc/none/a.seed", geteuid(), getegid(), seed), KEYS_REFUSED);
        check_equal(errno, ENOENT);
        check(sodium_is_zero(seed, sizeof(seed)));
}
