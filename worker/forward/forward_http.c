/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_http.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>


/* An IPv6 address is told in brackets (RFC 9112 3.2, RFC 3986 3.2.2), a unix socket has no name. */
size_t http_request_write(const char *path, const char *host, char out[HTTP_REQUEST_MAX])
{
        bool local = strncmp(host, "unix:", 5) == 0, literal = !local && strchr(host, ':');
        int len = snprintf(out, HTTP_REQUEST_MAX, "GET %.127s HTTP/1.1\r\nHost: %s%.253s%s\r\nUser-Agent: hypergate\r\nAccept: */*\r\nConnection: close\r\n\r\n",
                           path, literal ? "[" : "", local ? "localhost" : host, literal ? "]" : "");

        return (size_t)len;
}

/* "HTTP/1.1 200 OK": section 4; a service of HTTP/1.0 is there as well, and one that says no reason. */
enum http_verdict http_status_read(const uint8_t *bytes, size_t len, unsigned *status_out)
{
        static const char form[] = "HTTP/1.d dddE";
        unsigned status = 0;

        for (size_t i = 0; i < sizeof(form) - 1; i++) {
                uint8_t byte;
                bool digit;

                if (i >= len)
                        return HTTP_MORE;
                byte = bytes[i];
                digit = byte >= '0' && byte <= '9';
                if (form[i] == 'd' ? !digit : form[i] == 'E' ? byte != ' ' && byte != '\r' && byte != '\n' : byte != (uint8_t)form[i])
                        return HTTP_BAD;
                if (i >= 9 && digit)
                        status = status * 10 + byte - '0';
        }
        if (status < 100 || status > 599)
                return HTTP_BAD;
        *status_out = status;
        return HTTP_OK;
}
