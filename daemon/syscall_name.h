/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HG_SYSCALL_NAME_H
#define HG_SYSCALL_NAME_H

#include <stdint.h>

/* "openat", or "?" when the call is of another architecture (@arch: AUDIT_ARCH_*) or newer than our headers. */
const char *syscall_name(uint32_t number, uint32_t arch);

#endif
