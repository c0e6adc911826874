/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading tests/vectors: bytes that the JavaScript implementations made. Whatever is missing fails the test. */
#ifndef HG_VECTORS_H
#define HG_VECTORS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* The file of that name, loaded once and kept. */
json_t *vectors(const char *file);

/* Members by dotted path ("a.b.3.c": digits index arrays). */
json_t *vector_at(json_t *from, const char *path);
const char *vector_text(json_t *from, const char *path);
long long vector_number(json_t *from, const char *path);
int vector_true(json_t *from, const char *path);

/* Hex text at @path into @out; returns the length. */
size_t vector_bytes(json_t *from, const char *path, void *out, size_t max);

#endif
