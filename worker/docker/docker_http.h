/* SPDX-License-Identifier: BSD-3-Clause */
/* One answer of HTTP/1.1 (RFC 9112) as its bytes come: pure, of bounded memory. Who asks decides whether the body is kept, or only
 * passes, as that of a stream without an end does. */
#ifndef HG_DOCKER_HTTP_H
#define HG_DOCKER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        DOCKER_HTTP_LINE_MAX = 4096,    /* of the head and of chunks, with its NUL */
        DOCKER_HTTP_LINES_MAX = 128,    /* of the head */
        DOCKER_HTTP_BODY_MAX = 8 * 1024 * 1024,
};

enum docker_http_verdict {
        DOCKER_HTTP_MORE,               /* is needed */
        DOCKER_HTTP_DONE,
        DOCKER_HTTP_BAD,                /* no HTTP, or more than fits: nothing more is taken */
};

enum docker_http_state {
        DOCKER_HTTP_STATUS,
        DOCKER_HTTP_HEAD,
        DOCKER_HTTP_LENGTH,             /* @left bytes */
        DOCKER_HTTP_UNTIL_END,
        DOCKER_HTTP_CHUNK,              /* its size comes */
        DOCKER_HTTP_CHUNK_BYTES,        /* @left of them */
        DOCKER_HTTP_CHUNK_END,
        DOCKER_HTTP_TRAILER,
        DOCKER_HTTP_OVER,
        DOCKER_HTTP_FAILED,
};

struct docker_http {
        enum docker_http_state state;
        unsigned status;                /* 200; 0: not known yet */
        bool passes;                    /* the body is not kept */
        bool closes;                    /* the connection is of no use afterwards */
        bool chunked, has_length;
        uint64_t left;
        unsigned lines;
        char line[DOCKER_HTTP_LINE_MAX];
        size_t line_len;
        char *body;                     /* ends with NUL; NULL: none */
        size_t body_len, body_size;
        uint64_t passed;                /* bytes of a body that is not kept */
};

/* For the next answer. */
void docker_http_init(struct docker_http *http, bool passes);
void docker_http_fini(struct docker_http *http);

/* *@taken_out of @len bytes belong to it. */
enum docker_http_verdict docker_http_take(struct docker_http *http, const uint8_t *bytes, size_t len, size_t *taken_out);

/* No more bytes come. */
enum docker_http_verdict docker_http_end(struct docker_http *http);

/* A request with a JSON body, or none (NULL), in @out. Its length, or 0: it does not fit. */
size_t docker_http_ask(char *out, size_t size, const char *method, const char *path, const char *json);

/* @text with all but letters, digits, '-', '.', '_' and '~' as %XX, as RFC 3986 2.3 has it. False: it does not fit. */
bool docker_http_escape(char *out, size_t size, const char *text);

#endif
