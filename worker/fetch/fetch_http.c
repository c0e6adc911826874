/* SPDX-License-Identifier: BSD-3-Clause */
#include "fetch_http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum { CONNECT_TIME_MS = 10000, ASK_AGAIN_MS = 1000, LINE_MAX_BYTES = 8192 };

/* As the walls want it. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
        if (address->family != AF_INET && address->family != AF_INET6)
                return CURL_SOCKET_BAD;
        return socket(address->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static size_t take_body(char *bytes, size_t one, size_t len, void *context)
{
        struct fetch_http *http = context;

        if (len > IPC_FETCH_BODY_MAX - http->body_bytes) {
                snprintf(http->error, sizeof(http->error), "what is there has more than %d bytes", IPC_FETCH_BODY_MAX);
                return 0;
        }
        memcpy(http->body + http->body_bytes, bytes, len);
        http->body_bytes += len;
        return len;
}

/* "ETag: W/"x"\r\n", of which only one that can be sent back as it is counts. */
static size_t take_header(char *bytes, size_t one, size_t len, void *context)
{
        static const char name[] = "etag:";
        struct fetch_http *http = context;
        size_t at = sizeof(name) - 1, end = len;

        if (len <= at || strncasecmp(bytes, name, at) != 0)
                return len;
        while (at < end && (bytes[at] == ' ' || bytes[at] == '\t'))
                at++;
        while (end > at && strchr(" \t\r\n", bytes[end - 1]))
                end--;
        http->etag[0] = '\0';
        if (end - at < sizeof(http->etag))
                snprintf(http->etag, sizeof(http->etag), "%.*s", (int)(end - at), bytes + at);
        return len;
}

/* Lines that tell it what it would otherwise look up or leave out. */
static bool make_lists(struct fetch_http *http, const struct ipc_fetch_order *order)
{
        char line[LINE_MAX_BYTES];

        http->headers = curl_slist_append(NULL, "Accept: application/json");
        if (!http->headers)
                return false;
        if (!strchr(order->host, ':')) {        /* IPv6 is looked up nowhere, and colons divide what stands in this list */
                snprintf(line, sizeof(line), "%s:%u:%s", order->host, order->port, order->addresses);
                http->addresses = curl_slist_append(NULL, line);
                if (!http->addresses)
                        return false;
        }
        if (!order->etag[0])
                return true;
        snprintf(line, sizeof(line), "If-None-Match: %s", order->etag);
        return curl_slist_append(http->headers, line);
}

bool fetch_http_init(struct fetch_http *http, const struct ipc_fetch_order *order, const uint8_t *ca, size_t ca_bytes)
{
        struct curl_blob trusted = { .data = (void *)(uintptr_t)ca, .len = ca_bytes, .flags = CURL_BLOB_COPY };
        CURLcode bad = CURLE_OK;

        *http = (struct fetch_http){ .body = malloc(IPC_FETCH_BODY_MAX) };
        if (!http->body || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return false;
        http->multi = curl_multi_init();
        http->easy = curl_easy_init();
        if (!http->multi || !http->easy || !make_lists(http, order))
                return false;
#define SET(option, value) (bad = bad ? bad : curl_easy_setopt(http->easy, (option), (value)))
        SET(CURLOPT_URL, order->url);
        SET(CURLOPT_PROTOCOLS_STR, "http,https");
        SET(CURLOPT_RESOLVE, http->addresses);
        SET(CURLOPT_HTTPHEADER, http->headers);
        SET(CURLOPT_USERAGENT, "hypergate/" HG_VERSION);
        SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
        SET(CURLOPT_CAINFO, NULL);
        SET(CURLOPT_CAPATH, NULL);
        SET(CURLOPT_CAINFO_BLOB, &trusted);
        SET(CURLOPT_PROXY, "");
        SET(CURLOPT_FOLLOWLOCATION, 0L);
        SET(CURLOPT_MAXFILESIZE, (long)IPC_FETCH_BODY_MAX);
        SET(CURLOPT_TIMEOUT_MS, (long)IPC_FETCH_TIME_MS);
        SET(CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIME_MS);
        SET(CURLOPT_NOSIGNAL, 1L);
        SET(CURLOPT_ERRORBUFFER, http->error);
        SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
        SET(CURLOPT_WRITEFUNCTION, take_body);
        SET(CURLOPT_WRITEDATA, http);
        SET(CURLOPT_HEADERFUNCTION, take_header);
        SET(CURLOPT_HEADERDATA, http);
#undef SET
        return bad == CURLE_OK && curl_multi_add_handle(http->multi, http->easy) == CURLM_OK;
}

/* Until it is over. */
static CURLcode perform(struct fetch_http *http)
{
        const CURLMsg *message;
        int running = 1, left;

        while (running && curl_multi_perform(http->multi, &running) == CURLM_OK && running)
                if (curl_multi_poll(http->multi, NULL, 0, ASK_AGAIN_MS, NULL) != CURLM_OK)
                        break;
        message = curl_multi_info_read(http->multi, &left);
        return message && message->msg == CURLMSG_DONE ? message->data.result : CURLE_FAILED_INIT;
}

void fetch_http_run(struct fetch_http *http, struct ipc_fetch_answer *out)
{
        CURLcode code = perform(http);
        char *location = NULL;
        long status = 0;

        *out = (struct ipc_fetch_answer){ 0 };
        if (code != CURLE_OK) {
                snprintf(out->reason, sizeof(out->reason), "%.*s", (int)sizeof(out->reason) - 1, http->error[0] ? http->error : curl_easy_strerror(code));
                return;
        }
        curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(http->easy, CURLINFO_REDIRECT_URL, &location);
        out->status = (uint32_t)status;
        out->body_bytes = (uint32_t)http->body_bytes;
        strcpy(out->etag, http->etag);
        if (location && strlen(location) < sizeof(out->location))
                strcpy(out->location, location);
}

void fetch_http_fini(struct fetch_http *http)
{
        if (http->multi && http->easy)
                curl_multi_remove_handle(http->multi, http->easy);
        curl_easy_cleanup(http->easy);
        curl_multi_cleanup(http->multi);
        curl_slist_free_all(http->addresses);
        curl_slist_free_all(http->headers);
        free(http->body);
        *http = (struct fetch_http){ 0 };
}
