/* SPDX-License-Identifier: BSD-3-Clause */
/* What a connection begins with, piece by piece: it has the name that it has at once, and that is one. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "forward_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void demand(bool condition)
{
        if (!condition)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        char name[IPC_NAME_MAX], first[IPC_NAME_MAX];
        enum hello_verdict verdict = hello_read(data, len, name), some = HELLO_MORE;
        size_t step = MAX(len / 64, (size_t)1);

        for (size_t part = 0; part <= len && some == HELLO_MORE; part += step)
                some = hello_read(data, part, first);
        if (some == HELLO_MORE)
                some = hello_read(data, len, first);
        demand(some == verdict);
        if (verdict == HELLO_NAMED)
                demand(*name && strcmp(name, first) == 0 &&
                       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-._") == strlen(name) && strlen(name) < sizeof(name));
        return 0;
}
