/* SPDX-License-Identifier: BSD-3-Clause */
/* A state of fixed size that is kept in a file.
 *
 * The supervisor can write to nothing after its start but what it opened before, and can rename nothing. So the file has two
 * halves, each with a number and a digest, and the older one is overwritten: a write that is cut off costs what it would have
 * brought. */
#ifndef HG_STATE_HALVES_H
#define HG_STATE_HALVES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
        STATE_HALVES_MAGIC_BYTES = 8,
        STATE_HALVES_MAX = 2048,        /* bytes of a half, this included: */
        STATE_HALVES_COST = STATE_HALVES_MAGIC_BYTES + 8 + 32,
};

struct state_halves {
        int fd;                         /* -1: nothing is kept */
        uint64_t number;                /* of the newest half; 0: there is none */
        const char *magic;              /* STATE_HALVES_MAGIC_BYTES of it stand first; borrowed */
        size_t body_bytes;
};

/* Opens or makes the file at @path (NULL: none) as state_file_open() does, and reads it: @body_out (@body_bytes, at most
 * STATE_HALVES_MAX - STATE_HALVES_COST) is that of the newest half, or zeros where none is whole. 0, or -errno: then nothing is
 * kept. */
int state_halves_open(struct state_halves *halves, const char *path, uid_t uid, gid_t gid, const char *magic, size_t body_bytes,
                      uint8_t *body_out);
void state_halves_close(struct state_halves *halves);

/* Stores @body. 0 (also where nothing is kept), or -errno: then what was stored before stays, and the next goes to the same half. */
int state_halves_write(struct state_halves *halves, const uint8_t *body);

#endif
