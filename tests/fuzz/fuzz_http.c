/* SPDX-License-Identifier: BSD-3-Clause */
/* A request of a scraper, as it comes: piece by piece it is what it is at once, and a good one is a GET of the path. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "cli_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        const char *bytes = (const char *)data;
        enum cli_http whole = cli_http_read(bytes, len, "/metrics"), some = CLI_HTTP_MORE;

        for (size_t i = 0; i < len && some == CLI_HTTP_MORE; i++)
                some = cli_http_read(bytes, i + 1, "/metrics");
        assert(len == 0 || some == whole);
        assert(whole != CLI_HTTP_OK || (len > 16 && memcmp(bytes, "GET /metrics", 12) == 0 && (bytes[12] == ' ' || bytes[12] == '?')));
        return 0;
}
