/* SPDX-License-Identifier: BSD-3-Clause */
#include "admin_auth.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

void admin_auth_init(struct admin_auth *auth, const char *text, size_t len)
{
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

        *auth = (struct admin_auth){ .len = 0 };
        for (size_t i = 0; i < len; i += 3) {           /* RFC 4648 4 */
                uint32_t three = 0;

                for (size_t j = 0; j < 3; j++)
                        three = three << 8 | (i + j < len ? (uint8_t)text[i + j] : 0);
                for (size_t j = 0; j < 4; j++)
                        auth->token[auth->len++] = i + j > len ? '=' : digits[three >> (18 - 6 * j) & 63];
        }
}

bool admin_auth_passes(const struct admin_auth *auth, struct admin_text value)
{
        static const char scheme[] = "Basic ";
        bool basic = value.at && value.len >= sizeof(scheme) - 1 && strncasecmp(value.at, scheme, sizeof(scheme) - 1) == 0;
        const char *given = basic ? value.at + sizeof(scheme) - 1 : "";
        size_t len = basic ? value.len - (sizeof(scheme) - 1) : 0;
        volatile uint8_t differ = len != auth->len;     /* read and written each time: no loop ends early */

        for (size_t i = 0; i < sizeof(auth->token); i++)
                differ = (uint8_t)(differ | (auth->token[i] ^ (i < len ? given[i] : 0)));
        return auth->len == 0 || (basic && !differ);
}
