/* SPDX-License-Identifier: BSD-3-Clause */
/* A request to the resolver of fingerprints, and what a gateway says of a client: piece by piece a request is what it is at once, who does not know
 * the password is told nothing but that, and what is believed of a gateway is JSON that can be told. */
#include <assert.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admin_answer.h"
#include "cleanup.h"
#include "ipc_fingerprint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct ipc_tuple tuple = { .local_ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }, .local_port = 5,
                                        .remote_ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }, .remote_port = 80 };

static void say(struct admin_fingerprints *all, const uint8_t *data, size_t len)
{
        struct ipc_fingerprint said = { .channel = 1, .tuple = tuple, .gate_port = 80, .metadata_len = (uint32_t)MIN(len, (size_t)IPC_METADATA_MAX) };

        memcpy(said.metadata, data, said.metadata_len);
        assert(admin_fingerprints_set(all, all, true, &said, 1000) == 0);
}

static unsigned ask(const struct admin_fingerprints *all, const struct admin_request *request)
{
        struct admin_auth auth;
        struct admin_answer answer;
        json_t *body;

        admin_auth_init(&auth, "u:p", 3);
        answer = admin_answer(all, &auth, request, false, 2000);
        body = answer.body ? json_loads(answer.body, 0, NULL) : NULL;
        assert(body);
        assert(answer.status == 400 || answer.status == 401 || !request || admin_auth_passes(&auth, request->authorization));
        json_decref(body);
        free(answer.body);
        return answer.status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        static const uint8_t key[16];
        static const char line[] = "GET /resolve?remote_addr=127.0.0.1&remote_port=5&server_addr=127.0.0.1&server_port=80 HTTP/1.1\r\n"
                                   "Authorization: Basic dTpw\r\n\r\n";
        const char *bytes = (const char *)data;
        struct admin_request request, part;
        struct admin_fingerprints all;
        enum admin_verdict whole = admin_request_read(bytes, len, &request), some = ADMIN_REQUEST_MORE;

        for (size_t i = 0; i < len && some == ADMIN_REQUEST_MORE; i++)
                some = admin_request_read(bytes, i + 1, &part);
        assert(len == 0 || some == whole);
        admin_fingerprints_init(&all, key);
        say(&all, data, len);
        if (whole == ADMIN_REQUEST_GOOD)
                ask(&all, &request);
        assert(admin_request_read(line, sizeof(line) - 1, &request) == ADMIN_REQUEST_GOOD);
        assert(ask(&all, &request) == (admin_fingerprints_find(&all, &tuple) ? 200 : 404));
        admin_fingerprints_fini(&all);
        return 0;
}
