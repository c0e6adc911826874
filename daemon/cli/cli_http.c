/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_http.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { SILENCE_MS = 5000, READS_MAX = 64 };

static bool has(const char **at, const char *end, const char *word)
{
        size_t len = strlen(word);

        if ((size_t)(end - *at) < len || memcmp(*at, word, len) != 0)
                return false;
        *at += len;
        return true;
}

/* "GET /metrics HTTP/1.1", up to the end of the line: RFC 9112 3. A query means nothing here. */
static enum cli_http read_line(const char *at, const char *end, const char *path)
{
        const char *target, *space;
        bool get = has(&at, end, "GET ");

        if (!get) {
                for (space = at; space < end && *space >= 'A' && *space <= 'Z'; space++)
                        ;
                if (space == at || space == end || *space != ' ')
                        return CLI_HTTP_BAD;
                at = space + 1;
        }
        target = at;
        space = memchr(at, ' ', (size_t)(end - at));
        if (!space || space == target || *target != '/')
                return CLI_HTTP_BAD;
        at = space + 1;
        if (!has(&at, end, "HTTP/1.") || end - at != 1 || *at < '0' || *at > '9')
                return CLI_HTTP_BAD;
        if (!has(&target, space, path) || (target < space && *target != '?'))
                return CLI_HTTP_NOT_FOUND;
        return get ? CLI_HTTP_OK : CLI_HTTP_NOT_ALLOWED;
}

enum cli_http cli_http_read(const char *bytes, size_t len, const char *path)
{
        const char *end = memmem(bytes, len, "\r\n\r\n", 4), *line = memmem(bytes, len, "\r\n", 2);

        if (!end)
                return len < CLI_HTTP_REQUEST_MAX ? CLI_HTTP_MORE : CLI_HTTP_BAD;
        return read_line(bytes, line, path);
}

enum cli_http cli_http_receive(int in, const char *path)
{
        char bytes[CLI_HTTP_REQUEST_MAX];
        enum cli_http status = CLI_HTTP_MORE;
        size_t len = 0;

        for (int i = 0; i < READS_MAX && status == CLI_HTTP_MORE; i++) {
                struct pollfd ready = { .fd = in, .events = POLLIN };
                ssize_t got = poll(&ready, 1, SILENCE_MS) == 1 ? read(in, bytes + len, sizeof(bytes) - len) : 0;

                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return CLI_HTTP_BAD;
                len += (size_t)got;
                status = cli_http_read(bytes, len, path);
        }
        return status == CLI_HTTP_MORE ? CLI_HTTP_BAD : status;
}

static int write_all(int out, const char *bytes, size_t len)
{
        while (len > 0) {
                ssize_t wrote = write(out, bytes, len);

                if (wrote < 0 && errno == EINTR)
                        continue;
                if (wrote <= 0)
                        return -1;
                bytes += wrote;
                len -= (size_t)wrote;
        }
        return 0;
}

int cli_http_answer(int out, enum cli_http status, const char *type, const char *body, size_t len)
{
        const char *words = status == CLI_HTTP_OK ? "OK" : status == CLI_HTTP_NOT_FOUND ? "Not Found" :
                            status == CLI_HTTP_NOT_ALLOWED ? "Method Not Allowed" : "Bad Request";
        char head[256];
        int head_len = snprintf(head, sizeof(head), "HTTP/1.1 %d %s\r\n%sContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                                (int)status, words, status == CLI_HTTP_NOT_ALLOWED ? "Allow: GET\r\n" : "", type, len);

        return write_all(out, head, (size_t)head_len) < 0 ? -1 : write_all(out, body, len);
}
