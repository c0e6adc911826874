/* SPDX-License-Identifier: BSD-3-Clause */
/* One request of HTTP by libcurl, of whose many abilities it has no more than this takes: no redirect, proxy, cookie, password or
 * compressed body, and nobody is asked but the addresses that the order names. */
#ifndef HG_FETCH_HTTP_H
#define HG_FETCH_HTTP_H

#include <curl/curl.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc_fetch.h"

struct fetch_http {
        CURLM *multi;
        CURL *easy;
        struct curl_slist *addresses, *headers;
        char error[CURL_ERROR_SIZE];
        uint8_t *body;                  /* of IPC_FETCH_BODY_MAX */
        size_t body_bytes;
        char etag[IPC_ETAG_MAX];
};

/* All that takes files or calls which the walls forbid. @ca: @order's PEM, or that of the system. False: no memory. */
bool fetch_http_init(struct fetch_http *http, const struct ipc_fetch_order *order, const uint8_t *ca, size_t ca_bytes);

/* Does it, and says what came of it; the body is in @http. */
void fetch_http_run(struct fetch_http *http, struct ipc_fetch_answer *out);

void fetch_http_fini(struct fetch_http *http);

#endif
