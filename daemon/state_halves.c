/* SPDX-License-Identifier: BSD-3-Clause */
#include "state_halves.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "state_file.h"

enum { DIGEST_BYTES = 32 };

static size_t half_bytes(const struct state_halves *halves)
{
        return STATE_HALVES_COST + halves->body_bytes;
}

static void digest(const struct state_halves *halves, const uint8_t *half, uint8_t out[DIGEST_BYTES])
{
        crypto_generichash(out, DIGEST_BYTES, half, half_bytes(halves) - DIGEST_BYTES, NULL, 0);
}

/* Takes over what is in @half if that is whole and newer. */
static void half_read(struct state_halves *halves, const uint8_t *half, uint8_t *body_out)
{
        size_t digested = half_bytes(halves) - DIGEST_BYTES;
        struct reader r = reader_over(half, digested);
        uint8_t found[STATE_HALVES_MAGIC_BYTES], right[DIGEST_BYTES];
        uint64_t number;

        digest(halves, half, right);
        read_copy(&r, found, sizeof(found));
        number = read_u64le(&r);
        if (memcmp(right, half + digested, sizeof(right)) != 0 || memcmp(found, halves->magic, sizeof(found)) != 0 ||
            number <= halves->number)
                return;
        halves->number = number;
        read_copy(&r, body_out, halves->body_bytes);
}

int state_halves_open(struct state_halves *halves, const char *path, uid_t uid, gid_t gid, const char *magic, size_t body_bytes,
                      uint8_t *body_out)
{
        uint8_t half[STATE_HALVES_MAX];
        int r = path ? state_file_open(path, uid, gid) : -1;
        size_t len;

        assert(body_bytes <= STATE_HALVES_MAX - STATE_HALVES_COST);
        *halves = (struct state_halves){ .fd = r < 0 ? -1 : r, .magic = magic, .body_bytes = body_bytes };
        memset(body_out, 0, body_bytes);
        if (r < 0)
                return path ? r : 0;
        len = half_bytes(halves);
        for (size_t at = 0; at < 2 * len; at += len)
                if (pread(halves->fd, half, len, (off_t)at) == (ssize_t)len)
                        half_read(halves, half, body_out);
        return 0;
}

void state_halves_close(struct state_halves *halves)
{
        if (halves->fd >= 0)
                close(halves->fd);
        halves->fd = -1;
}

int state_halves_write(struct state_halves *halves, const uint8_t *body)
{
        size_t len = half_bytes(halves);
        uint64_t number = halves->number + 1;
        uint8_t half[STATE_HALVES_MAX];
        struct writer w = writer_over(half, len - DIGEST_BYTES);
        ssize_t written;

        if (halves->fd < 0)
                return 0;
        write_bytes(&w, halves->magic, STATE_HALVES_MAGIC_BYTES);
        write_u64le(&w, number);
        write_bytes(&w, body, halves->body_bytes);
        digest(halves, half, half + len - DIGEST_BYTES);
        written = pwrite(halves->fd, half, len, number % 2 ? (off_t)len : 0);
        if (written != (ssize_t)len)
                return written < 0 ? -errno : -ENOSPC;
        halves->number = number;
        return 0;
}
