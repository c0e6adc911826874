/* SPDX-License-Identifier: BSD-3-Clause */
#include "syscall_name.h"

#include <linux/audit.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "cleanup.h"

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv)
#define OUR_ARCH AUDIT_ARCH_RISCV64
#else
#define OUR_ARCH 0      /* numbers alone, then */
#endif

static const struct {
        uint32_t number;
        const char *name;
} names[] = {
#include "syscall_names.h"
};

const char *syscall_name(uint32_t number, uint32_t arch)
{
        for (size_t i = 0; arch == OUR_ARCH && i < ARRAY_LEN(names); i++)
                if (names[i].number == number)
                        return names[i].name;
        return "?";
}
