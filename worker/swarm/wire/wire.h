/* SPDX-License-Identifier: BSD-3-Clause */
/* Compact encoding, the JavaScript stack's way to write values (npm compact-encoding 3.5): variable integers, buffers
 * and addresses, on top of the bounded reader and writer. */
#ifndef HG_WIRE_H
#define HG_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "bytes.h"

#define WIRE_UINT_MAX ((UINT64_C(1) << 53) - 1) /* what a JavaScript number holds exactly: more is refused both ways */

enum {
        WIRE_ADDR_BYTES = 6,
        WIRE_ADDR6_BYTES = 18,
};

/* One byte up to 0xfc; 0xfd, 0xfe, 0xff announce 2, 4 or 8 bytes, little-endian. Longer forms than needed are read. */
uint64_t wire_read_uint(struct reader *r);
void wire_write_uint(struct writer *w, uint64_t value);

/* Bytes wire_write_uint() will write. */
size_t wire_uint_bytes(uint64_t value);

/* A count of elements of at least @element_bytes each: held against what is left before anyone allocates or loops. */
size_t wire_read_count(struct reader *r, size_t element_bytes);

/* A length and that many bytes, where they lie; NULL only on failure. */
const uint8_t *wire_read_buffer(struct reader *r, size_t *len_out);
void wire_write_buffer(struct writer *w, const void *bytes, size_t len);

/* IPv4: the host in reading order, the port little-endian. */
struct addr wire_read_addr(struct reader *r);
void wire_write_addr(struct writer *w, const struct addr *addr);

#endif
