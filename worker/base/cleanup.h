/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HG_CLEANUP_H
#define HG_CLEANUP_H

#include <stddef.h>

#define cleanup_with(function) __attribute__((cleanup(function)))

#define container_of(pointer, type, member) \
        ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
