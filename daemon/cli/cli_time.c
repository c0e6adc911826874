/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_time.h"

#include <stdlib.h>
#include <string.h>

bool cli_time_read(const char *text, int64_t max_s, int64_t *out_s)
{
        static const struct { char unit; int64_t s; } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 60 * 60 }, { 'd', 24 * 60 * 60 } };
        const char *unit = text + strspn(text, "0123456789");
        unsigned long number = strtoul(text, NULL, 10);

        if (unit == text || number > (unsigned long)max_s || !unit[0] || unit[1])
                return false;
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
                if (*unit == units[i].unit && (int64_t)number <= max_s / units[i].s) {
                        *out_s = (int64_t)number * units[i].s;
                        return true;
                }
        return false;
}
