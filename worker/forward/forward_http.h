/* SPDX-License-Identifier: BSD-3-Clause */
/* As much of HTTP as it takes to ask a service whether it is there: a request, and the status of its answer (RFC 9112). */
#ifndef HG_FORWARD_HTTP_H
#define HG_FORWARD_HTTP_H

#include <stddef.h>
#include <stdint.h>

enum {
        HTTP_REQUEST_MAX = 768,
        HTTP_STATUS_BYTES = 13,         /* "HTTP/1.1 200" and what ends the number: no more is looked at */
};

enum http_verdict {
        HTTP_OK,
        HTTP_MORE,                      /* so far it is the beginning of an answer */
        HTTP_BAD,
};

/* A request for @path at @host, after which the service closes. Its length, below HTTP_REQUEST_MAX. */
size_t http_request_write(const char *path, const char *host, char out[HTTP_REQUEST_MAX]);

/* The first bytes of an answer; HTTP_STATUS_BYTES are always enough. *@status_out is 100 to 599 on HTTP_OK. */
enum http_verdict http_status_read(const uint8_t *bytes, size_t len, unsigned *status_out);

#endif
