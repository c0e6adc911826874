/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipc_fetch.h"

#include <stddef.h>
#include <string.h>

/* It ends, and is of printable characters: RFC 9110 5.5 lets others pass, which nobody needs. */
static bool is_text(const char *text, size_t size)
{
        const char *end = memchr(text, '\0', size);

        for (const char *at = text; end && at < end; at++)
                if (*at < ' ' || *at > '~')
                        return false;
        return end;
}

#define IS_TEXT(member) is_text((member), sizeof(member))

bool ipc_fetch_order_good(const struct ipc_fetch_order *order)
{
        return IS_TEXT(order->url) && IS_TEXT(order->host) && IS_TEXT(order->addresses) && IS_TEXT(order->etag) && order->url[0] &&
               order->host[0] && order->addresses[0] && order->port;
}

bool ipc_fetch_answer_good(const struct ipc_fetch_answer *answer)
{
        return answer->status <= 999 && answer->body_bytes <= IPC_FETCH_BODY_MAX && IS_TEXT(answer->etag) && IS_TEXT(answer->location) &&
               IS_TEXT(answer->reason);
}
