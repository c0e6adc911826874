/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "conf.h"

void conf_source_environment(struct conf_source *source)
{
        const struct { const char *name, **value; } variables[] = {
                { "HYPERGATE_ROUTER", &source->router_secret },
                { "HYPERGATE_FINGERPRINT_RESOLVER_BASIC_AUTH", &source->resolver_auth },
                { "HYPERGATE_UNLIMITED_SECRET", &source->unlimited_secret },
                { "CREDENTIALS_DIRECTORY", &source->credentials_directory },
                { "NOTIFY_SOCKET", &source->notify_socket },
                { "STATE_DIRECTORY", &source->state_directory },
                { "RUNTIME_DIRECTORY", &source->runtime_directory },
        };

        for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
                if (!*variables[i].value)
                        *variables[i].value = secure_getenv(variables[i].name);
}
