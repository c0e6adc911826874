/* SPDX-License-Identifier: BSD-3-Clause */
/* What a service answers to a check, as it comes: piece by piece it is what it is at once, and soon it is something. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "forward_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        unsigned status = 0, again = 0;
        enum http_verdict whole = http_status_read(data, len, &status), some = HTTP_MORE;

        for (size_t i = 0; i < len && some == HTTP_MORE; i++)
                some = http_status_read(data, i + 1, &again);
        assert(len == 0 || (some == whole && again == status));
        assert(whole != HTTP_MORE || len < HTTP_STATUS_BYTES);
        assert(whole != HTTP_OK || (status >= 100 && status <= 599 && len >= HTTP_STATUS_BYTES && memcmp(data, "HTTP/1.", 7) == 0));
        return 0;
}
