/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf.h"

const char *conf_runtime_directory(char *out, size_t size)
{
        const char *own = secure_getenv("XDG_RUNTIME_DIR");
        int len = 0;

        if (geteuid() == 0)
                len = snprintf(out, size, "%s", CONF_SYSTEM_RUNTIME);
        else if (own && *own == '/')
                len = snprintf(out, size, "%s/hypergate", own);
        return len > 0 && (size_t)len < size ? out : NULL;
}
