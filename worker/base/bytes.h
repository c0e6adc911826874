/* SPDX-License-Identifier: BSD-3-Clause */
/* The bounded reader and writer that every byte from or to a stranger goes through. */
#ifndef HG_BYTES_H
#define HG_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Fails once and for good: after a short read every read yields zero, so a decoder reads all its fields in a
 * straight line and looks at `failed` once. */
struct reader {
        const uint8_t *at, *end;
        bool failed;
};

static inline struct reader reader_over(const void *bytes, size_t len)
{
        const uint8_t *at = bytes;

        return (struct reader){ .at = at, .end = len ? at + len : at };
}

static inline size_t reader_left(const struct reader *r)
{
        return (size_t)(r->end - r->at);
}

/* The next @len bytes where they lie, or NULL and failed. Zero bytes never fail. */
static inline const uint8_t *read_bytes(struct reader *r, size_t len)
{
        r->failed = r->failed || len > reader_left(r);
        if (r->failed)
                return NULL;
        if (len)
                r->at += len;
        return len ? r->at - len : r->at;
}

/* Copies @len bytes to @out, or fills it with zeros and fails. */
static inline void read_copy(struct reader *r, void *out, size_t len)
{
        const uint8_t *bytes = read_bytes(r, len);

        if (!len)
                return;
        if (bytes)
                memcpy(out, bytes, len);
        else
                memset(out, 0, len);
}

static inline void read_fail(struct reader *r)
{
        r->failed = true;
}

static inline uint64_t read_le(struct reader *r, size_t len)
{
        const uint8_t *bytes = read_bytes(r, len);
        uint64_t value = 0;

        for (size_t i = 0; bytes && i < len; i++)
                value |= (uint64_t)bytes[i] << (8 * i);
        return value;
}

static inline uint64_t read_be(struct reader *r, size_t len)
{
        const uint8_t *bytes = read_bytes(r, len);
        uint64_t value = 0;

        for (size_t i = 0; bytes && i < len; i++)
                value = value << 8 | bytes[i];
        return value;
}

static inline uint8_t read_u8(struct reader *r) { return (uint8_t)read_le(r, 1); }
static inline uint16_t read_u16le(struct reader *r) { return (uint16_t)read_le(r, 2); }
static inline uint32_t read_u24le(struct reader *r) { return (uint32_t)read_le(r, 3); }
static inline uint32_t read_u32le(struct reader *r) { return (uint32_t)read_le(r, 4); }
static inline uint64_t read_u64le(struct reader *r) { return read_le(r, 8); }
static inline uint16_t read_u16be(struct reader *r) { return (uint16_t)read_be(r, 2); }
static inline uint32_t read_u32be(struct reader *r) { return (uint32_t)read_be(r, 4); }
static inline uint64_t read_u64be(struct reader *r) { return read_be(r, 8); }

/* Mirrors the reader: what does not fit fails once and for good and writes nothing from there on. */
struct writer {
        uint8_t *start, *at, *end;
        bool failed;
};

static inline struct writer writer_over(void *bytes, size_t len)
{
        uint8_t *at = bytes;

        return (struct writer){ .start = at, .at = at, .end = at + len };
}

static inline size_t writer_left(const struct writer *w)
{
        return (size_t)(w->end - w->at);
}

/* Bytes written so far. */
static inline size_t writer_len(const struct writer *w)
{
        return (size_t)(w->at - w->start);
}

/* Room for @len bytes which the caller fills, or NULL and failed. */
static inline uint8_t *write_reserve(struct writer *w, size_t len)
{
        w->failed = w->failed || len > writer_left(w);
        if (w->failed)
                return NULL;
        w->at += len;
        return w->at - len;
}

static inline void write_bytes(struct writer *w, const void *bytes, size_t len)
{
        uint8_t *out = len ? write_reserve(w, len) : NULL;

        if (out)
                memcpy(out, bytes, len);
}

static inline void write_le(struct writer *w, uint64_t value, size_t len)
{
        uint8_t *out = write_reserve(w, len);

        for (size_t i = 0; out && i < len; i++)
                out[i] = (uint8_t)(value >> (8 * i));
}

static inline void write_be(struct writer *w, uint64_t value, size_t len)
{
        uint8_t *out = write_reserve(w, len);

        for (size_t i = 0; out && i < len; i++)
                out[i] = (uint8_t)(value >> (8 * (len - 1 - i)));
}

static inline void write_u8(struct writer *w, uint8_t value) { write_le(w, value, 1); }
static inline void write_u16le(struct writer *w, uint16_t value) { write_le(w, value, 2); }
static inline void write_u24le(struct writer *w, uint32_t value) { write_le(w, value, 3); }
static inline void write_u32le(struct writer *w, uint32_t value) { write_le(w, value, 4); }
static inline void write_u64le(struct writer *w, uint64_t value) { write_le(w, value, 8); }
static inline void write_u16be(struct writer *w, uint16_t value) { write_be(w, value, 2); }
static inline void write_u32be(struct writer *w, uint32_t value) { write_be(w, value, 4); }
static inline void write_u64be(struct writer *w, uint64_t value) { write_be(w, value, 8); }

#endif
