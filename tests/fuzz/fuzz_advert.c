/* SPDX-License-Identifier: BSD-3-Clause */
/* An advertisement from a peer: whatever is taken can be written again and reads back the same. */
#include <stdlib.h>
#include <string.h>

#include "router_advert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        static struct advert first, second;
        char *text;
        size_t text_len;

        if (advert_decode((const char *)data, len, &first) != ADVERT_OK)
                return 0;
        if (first.count > ADVERT_ROUTES_MAX || advert_encode(first.routes, first.count, &text, &text_len) < 0)
                return 0;
        if (advert_decode(text, text_len, &second) != ADVERT_OK || second.count != first.count || second.garbage ||
            memcmp(first.routes, second.routes, first.count * sizeof(first.routes[0])) != 0)
                abort();
        free(text);
        return 0;
}
