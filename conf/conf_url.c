/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "conf_host.h"

enum { HTTP_PORT = 80, HTTPS_PORT = 443 };

static const char expected[] = "http://HOST/PATH or https://HOST:PORT/PATH, such as https://example.org/services.json";

static bool is_printable(const char *text)
{
        for (; *text; text++)
                if (*text <= ' ' || *text > '~')
                        return false;
        return true;
}

/* ":8080", or nothing. */
static bool read_port(const char *text, size_t len, uint16_t *port)
{
        unsigned long value = 0;

        if (len == 0)
                return true;
        if (text[0] != ':' || len < 2 || len > 6)
                return false;
        for (size_t i = 1; i < len; i++) {
                if (text[i] < '0' || text[i] > '9')
                        return false;
                value = 10 * value + (unsigned long)(text[i] - '0');
        }
        *port = (uint16_t)value;
        return value >= 1 && value <= UINT16_MAX;
}

/* "host", "host:port", "[ip]" or "[ip]:port" */
static bool read_authority(const char *text, size_t len, struct conf_url *out)
{
        const char *end = text + len, *bracket = len && *text == '[' ? memchr(text, ']', len) : NULL;
        const char *colon = bracket ? bracket + 1 : memchr(text, ':', len), *host = bracket ? text + 1 : text;
        size_t host_len = (size_t)((bracket ? bracket : colon ? colon : end) - host);

        if (host_len == 0 || host_len >= sizeof(out->host) || (len && *text == '[' && !bracket))
                return false;
        memcpy(out->host, host, host_len);
        out->host[host_len] = '\0';
        return !conf_host_check(out->host) && !strchr(out->host, ':') == !bracket &&
               (!colon || read_port(colon, (size_t)(end - colon), &out->port));
}

const char *conf_url_read(const char *text, struct conf_url *out)
{
        size_t scheme = strncmp(text, "https://", 8) == 0 ? 8 : strncmp(text, "http://", 7) == 0 ? 7 : 0;
        const char *authority = text + scheme;
        size_t len;

        *out = (struct conf_url){ .tls = scheme == 8, .port = scheme == 8 ? HTTPS_PORT : HTTP_PORT };
        if (!scheme || strlen(text) >= CONF_URL_MAX || !is_printable(text) || strpbrk(text, "#\\"))
                return expected;
        len = strcspn(authority, "/?");
        if (memchr(authority, '@', len))
                return "a URL without a user and a password";
        return read_authority(authority, len, out) ? NULL : expected;
}
