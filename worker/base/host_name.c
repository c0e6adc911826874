/* SPDX-License-Identifier: BSD-3-Clause */
#include "host_name.h"

#include <stddef.h>
#include <string.h>

enum { LABEL_MAX = 63 };

static bool is_letter(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool may_be_in_label(char c)
{
        return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static bool label_good(const char *label, size_t len)
{
        for (size_t i = 0; i < len; i++)
                if (!may_be_in_label(label[i]))
                        return false;
        return len > 0 && len <= LABEL_MAX && label[0] != '-' && label[len - 1] != '-';
}

bool host_name_good(const char *name)
{
        size_t len = strnlen(name, HOST_NAME_MAX_BYTES);

        if (len == 0 || len >= HOST_NAME_MAX_BYTES)
                return false;
        for (;;) {
                const char *dot = strchr(name, '.');

                if (!label_good(name, dot ? (size_t)(dot - name) : strlen(name)))
                        return false;
                if (!dot)
                        return true;
                name = dot + 1;
        }
}

/* In any case of letters. */
static bool is_this(const char *name)
{
        static const char ours[] = "localhost";
        size_t at = 0;

        while (ours[at] && (name[at] == ours[at] || name[at] == ours[at] - 'a' + 'A'))
                at++;
        return !ours[at] && !name[at];
}

/* The last label of a name has a letter (RFC 3696 2), that of an address has none. */
bool host_name_is_given(const char *name)
{
        const char *dot, *last;

        if (!host_name_good(name) || is_this(name))
                return false;
        dot = strrchr(name, '.');
        for (last = dot ? dot + 1 : name; *last; last++)
                if (is_letter(*last))
                        return true;
        return false;
}
