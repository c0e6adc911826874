/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a redirect leads, and an answer with all in it: what is taken ends where it should, and a URL names who is asked. */
#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "ipc_fetch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void look_at_url(const char *text)
{
        struct conf_url url, again;
        char written[CONF_HOST_MAX + 32];

        if (conf_url_read(text, &url))
                return;
        assert(url.port && url.host[0] && strstr(text, url.host) && strlen(text) < CONF_URL_MAX);
        snprintf(written, sizeof(written), strchr(url.host, ':') ? "%s://[%s]:%u" : "%s://%s:%u", url.tls ? "https" : "http",
                 url.host, url.port);
        assert(!conf_url_read(written, &again) && again.port == url.port && again.tls == url.tls && strcmp(again.host, url.host) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        struct ipc_fetch_answer answer = { 0 };
        char text[CONF_URL_MAX + 16] = "";

        memcpy(text, data, len < sizeof(text) - 1 ? len : sizeof(text) - 1);
        look_at_url(text);
        memcpy(&answer, data, len < sizeof(answer) ? len : sizeof(answer));
        if (ipc_fetch_answer_good(&answer)) {
                assert(memchr(answer.etag, '\0', sizeof(answer.etag)) && memchr(answer.location, '\0', sizeof(answer.location)) &&
                       memchr(answer.reason, '\0', sizeof(answer.reason)) && answer.body_bytes <= IPC_FETCH_BODY_MAX);
                look_at_url(answer.location);
        }
        return 0;
}
