/* SPDX-License-Identifier: BSD-3-Clause */
/* A "hosts:" line of nsswitch.conf: each module is a word of that line, in its order, and of characters that no path needs. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "resolve_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool condition)
{
        if (!condition)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
        char *text = malloc(len + 1), name[32];
        const char *at = text;

        must(text != NULL);
        if (len)
                memcpy(text, data, len);
        text[len] = '\0';
        for (const char *before = at; (at = resolve_files_next_module(at, name, sizeof(name))); before = at) {
                size_t name_len = strlen(name);

                must(name_len > 0 && name_len == strspn(name, allowed) && at <= text + strlen(text));
                must(at - before >= (ptrdiff_t)name_len && memcmp(at - name_len, name, name_len) == 0);
        }
        free(text);
        return 0;
}
