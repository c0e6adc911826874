/* SPDX-License-Identifier: BSD-3-Clause */
#include "addr.h"

static size_t decimal(char *out, unsigned value)
{
        char digits[10];
        size_t len = 0;

        do
                digits[len++] = (char)('0' + value % 10);
        while (value /= 10);
        for (size_t i = 0; i < len; i++)
                out[i] = digits[len - 1 - i];
        return len;
}

int addr_compare(const struct addr *a, const struct addr *b)
{
        int order = memcmp(a->ip, b->ip, sizeof(a->ip));

        return order ? order : (a->port > b->port) - (a->port < b->port);
}

size_t addr_host_text(const struct addr *addr, char out[ADDR_HOST_TEXT_MAX])
{
        size_t len = 0;

        for (int i = 0; i < 4; i++) {
                if (i)
                        out[len++] = '.';
                len += decimal(out + len, addr->ip[i]);
        }
        out[len] = '\0';
        return len;
}

size_t addr_text(const struct addr *addr, char out[ADDR_TEXT_MAX])
{
        char host[ADDR_HOST_TEXT_MAX];
        size_t len = addr_host_text(addr, host);

        memcpy(out, host, len);
        out[len++] = ':';
        len += decimal(out + len, addr->port);
        out[len] = '\0';
        return len;
}

bool addr_is_private(const struct addr *addr)
{
        const uint8_t *ip = addr->ip;

        return ip[0] == 10 || ip[0] == 127 || (ip[0] == 100 && (ip[1] & 0xc0) == 64) || (ip[0] == 169 && ip[1] == 254) ||
               (ip[0] == 172 && (ip[1] & 0xf0) == 16) || (ip[0] == 192 && ip[1] == 168);
}

bool addr_is_reserved(const struct addr *addr)
{
        const uint8_t *ip = addr->ip;

        return ip[0] == 0 || ip[0] >= 224 || (ip[0] == 192 && ip[1] == 0 && (ip[2] == 0 || ip[2] == 2)) ||
               (ip[0] == 198 && (ip[1] & 0xfe) == 18) || (ip[0] == 198 && ip[1] == 51 && ip[2] == 100) ||
               (ip[0] == 203 && ip[1] == 0 && ip[2] == 113);
}

bool addr_is_unusable(const struct addr *addr)
{
        return addr->port == 0 || addr->ip[0] == 0 || addr->ip[0] >= 224;
}
