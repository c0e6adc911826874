/* SPDX-License-Identifier: BSD-3-Clause */
/* One request of HTTP/1, of which only its first line matters, and one answer to it. */
#ifndef HG_CLI_HTTP_H
#define HG_CLI_HTTP_H

#include <stddef.h>

enum { CLI_HTTP_REQUEST_MAX = 8192 };

/* What to answer: the status code. */
enum cli_http {
        CLI_HTTP_MORE = 0,              /* the request is not complete yet */
        CLI_HTTP_OK = 200,
        CLI_HTTP_BAD = 400,             /* it is none, or too long */
        CLI_HTTP_NOT_FOUND = 404,       /* not for @path */
        CLI_HTTP_NOT_ALLOWED = 405,     /* no GET */
};

/* Reads what came so far. */
enum cli_http cli_http_read(const char *bytes, size_t len, const char *path);

/* Reads a request from @in, for at most a few seconds of silence. */
enum cli_http cli_http_receive(int in, const char *path);

/* Writes the whole answer. 0, or -1: nobody reads it. */
int cli_http_answer(int out, enum cli_http status, const char *type, const char *body, size_t len);

#endif
