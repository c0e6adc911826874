/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin_answer.h"
#include "ipc_fingerprint.h"
#include "test.h"

static const uint8_t map_key[16];
static int here, there;                 /* two who say something */

static struct ipc_fingerprint example(uint64_t channel, uint16_t port, const char *text)
{
        struct ipc_fingerprint said = { .channel = channel, .gate_port = 8080, .idle_ms = 3600000, .metadata_len = (uint32_t)strlen(text),
                                        .tuple = { .local_port = port, .remote_port = 80,
                                                   .local_ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }, .remote_ip = { [15] = 1 } } };

        memcpy(said.metadata, text, said.metadata_len);
        return said;
}

/* The status and the body, one behind the other. */
static const char *ask(const struct admin_fingerprints *all, const char *auth_text, const char *line)
{
        static char text[4096], out[4096];
        struct admin_request request;
        struct admin_auth auth;
        struct admin_answer answer;

        snprintf(text, sizeof(text), "%s HTTP/1.1\r\nAuthorization: Basic dTpw\r\n\r\n", line);
        check_equal(admin_request_read(text, strlen(text), &request), ADMIN_REQUEST_GOOD);
        admin_auth_init(&auth, auth_text, strlen(auth_text));
        answer = admin_answer(all, &auth, &request, false, SECONDS(5));
        snprintf(out, sizeof(out), "%u %s%s", answer.status, answer.fields, answer.body);
        free(answer.body);
        return out;
}

static void check_says(const struct admin_fingerprints *all, const char *line, const char *wanted)
{
        const char *said = ask(all, "u:p", line);

        if (strcmp(said, wanted) != 0)
                test_fail(__FILE__, __LINE__, "%s: %s, not %s", line, said, wanted);
}

TEST(what_a_gateway_said_is_told_to_the_service)
{
        struct ipc_fingerprint said = example(1, 5, "{\"id\": \"ab\", \"channelPort\": 7, \"source\": {\"ip\": \"203.0.113.7\"}}");
        struct admin_fingerprints all;

        admin_fingerprints_init(&all, map_key);
        check_says(&all, "GET /all", "200 []");
        check_equal(admin_fingerprints_set(&all, &here, true, &said, SECONDS(2)), 0);
        check_says(&all, "GET /resolve?remote_addr=127.0.0.1&remote_port=5&server_addr=0:0::1&server_port=80",
                   "200 {\"key\":\"tcp|127.0.0.1|5|::1|80\",\"protocol\":\"tcp\",\"gatePort\":8080,\"channelPort\":7,"
                   "\"fingerprint\":{\"id\":\"ab\",\"channelPort\":7,\"source\":{\"ip\":\"203.0.113.7\"}},\"createdAt\":2000,\"expiresAt\":3665000}");
        check(strstr(ask(&all, "u:p", "POST /resolve?protocol=TCP&remoteAddr=::ffff:127.0.0.1&remotePort=5&localAddr=::1&localPort=80"),
                     "200 {") != NULL);
        check(strstr(ask(&all, "u:p", "GET /resolve?proto=&remote_addr=127.0.0.1&remote_port=5&local_addr=::1&local_port=80"),
                     "200 {") != NULL);
        check(strstr(ask(&all, "u:p", "GET /all"), "200 [{\"key\":\"tcp|127.0.0.1|5|::1|80\"") != NULL);
        check_says(&all, "GET /resolve?proto=udp&remote_addr=127.0.0.1&remote_port=5&server_addr=::1&server_port=80",
                   "404 {\"error\":\"not_found\",\"key\":\"udp|127.0.0.1|5|::1|80\"}");
        check_says(&all, "GET /resolve?remote_addr=name&remote_port=5&server_addr=::1&server_port=80",
                   "404 {\"error\":\"not_found\",\"key\":\"tcp|name|5|::1|80\"}");
        check_says(&all, "GET /resolve?remote_addr=%ff&remote_port=5&server_addr=::1&server_port=80", "404 {\"error\":\"not_found\"}");
        admin_fingerprints_fini(&all);
}

TEST(what_is_refused_is_refused_as_by_an_original)
{
        static const char *const incomplete[] = { "", "?remote_addr=1.2.3.4&remote_port=1&server_addr=1.2.3.4", "?remote_addr=1.2.3.4&remote_port=1&server_port=1",
                "?remote_addr=1.2.3.4&remote_port=0&server_addr=1.2.3.4&server_port=1", "?remote_addr=1.2.3.4&remote_port=x&server_addr=1.2.3.4&server_port=1",
                "?remote_addr=1.2.3.4&remote_port=65536&server_addr=1.2.3.4&server_port=1" };
        static const char *const paths[] = { "GET /health", "GET /resolve", "GET /all", "GET /", "DELETE /health" };
        struct admin_fingerprints all;
        struct admin_answer answer;
        struct admin_auth auth = { .len = 0 };
        char line[256];

        admin_fingerprints_init(&all, map_key);
        for (size_t i = 0; i < sizeof(incomplete) / sizeof(incomplete[0]); i++) {
                snprintf(line, sizeof(line), "GET /resolve%s", incomplete[i]);
                check_says(&all, line, "400 {\"error\":\"missing_tuple_params\"}");
        }
        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
                check(strcmp(ask(&all, "u:q", paths[i]),
                             "401 WWW-Authenticate: Basic realm=\"hypergate-fingerprint-resolver\"\r\n{\"error\":\"unauthorized\"}") == 0);
        check_says(&all, "GET /health", "200 {\"ok\":true}");
        check_says(&all, "GET /healthy", "404 {\"error\":\"not_found\"}");
        check_says(&all, "PUT /health", "405 Allow: GET, POST\r\n{\"error\":\"method_not_allowed\"}");
        answer = admin_answer(&all, &auth, NULL, false, 0);
        check(answer.status == 400);
        free(answer.body);
        admin_fingerprints_fini(&all);
}

TEST(a_connection_is_whose_it_was_said_to_be_last)
{
        struct ipc_fingerprint first = example(1, 5, "{}"), second = example(2, 5, "{}"), none = example(3, 5, "[]"), other = example(1, 6, "{}");
        struct ipc_fingerprint_drop drop = { .channel = 1, .tuple = first.tuple };
        struct admin_fingerprints all;

        admin_fingerprints_init(&all, map_key);
        check_equal(admin_fingerprints_set(&all, &here, true, &first, 0), 0);
        check_equal(admin_fingerprints_set(&all, &here, true, &second, 0), 0);
        check_equal(admin_fingerprints_set(&all, &there, true, &other, 0), 0);
        admin_fingerprints_drop(&all, &here, &drop);            /* the one before: too late to mean anything */
        check(admin_fingerprints_find(&all, &first.tuple)->channel == 2);
        drop.channel = 2;
        admin_fingerprints_drop(&all, &there, &drop);           /* not its own */
        check(admin_fingerprints_find(&all, &first.tuple) != NULL);
        admin_fingerprints_lose(&all, &there);
        check(!admin_fingerprints_find(&all, &other.tuple) && admin_fingerprints_find(&all, &first.tuple));
        check_equal(admin_fingerprints_set(&all, &here, true, &none, 0), 0);  /* no object: nobody knows */
        check(!admin_fingerprints_find(&all, &first.tuple));
        check_equal(admin_fingerprints_set(&all, &here, true, &second, 0), 0);
        admin_fingerprints_drop(&all, &here, &drop);
        check(!admin_fingerprints_find(&all, &first.tuple) && all.by_tuple.count == 0);
        admin_fingerprints_fini(&all);
}

/* Who makes a connection tells of it first, who carries it from then on; both are heard in any order. */
TEST(a_connection_is_known_as_long_as_who_carries_it_says)
{
        struct ipc_fingerprint said = example(1, 5, "{}"), next = example(2, 5, "{}");
        struct ipc_fingerprint_drop over = { .channel = 1, .tuple = said.tuple };
        struct admin_fingerprints all;

        admin_fingerprints_init(&all, map_key);
        for (unsigned early = 0; early < 2; early++) {          /* the maker's word comes before the carrier's, or behind it */
                check_equal(admin_fingerprints_set(&all, &here, !early, &said, SECONDS(1)), 0);
                check(admin_fingerprints_find(&all, &said.tuple) != NULL);
                check_equal(admin_fingerprints_set(&all, &there, early, &said, SECONDS(2)), 0);
                check_equal(admin_fingerprints_find(&all, &said.tuple)->since_us, SECONDS(1));
                admin_fingerprints_lose(&all, early ? &here : &there);  /* who made it is killed */
                check(admin_fingerprints_find(&all, &said.tuple) != NULL);
                admin_fingerprints_drop(&all, early ? &there : &here, &over);
                check(!admin_fingerprints_find(&all, &said.tuple));
        }
        check_equal(admin_fingerprints_set(&all, &there, false, &said, 0), 0);  /* its end is known already */
        admin_fingerprints_drop(&all, &there, &over);
        check(!admin_fingerprints_find(&all, &said.tuple));
        check_equal(admin_fingerprints_set(&all, &here, true, &said, 0), 0);
        check_equal(admin_fingerprints_set(&all, &there, false, &next, 0), 0);  /* the same ends again, before the end of who had them */
        admin_fingerprints_drop(&all, &here, &over);
        check_equal(admin_fingerprints_find(&all, &said.tuple)->channel, 2);
        next.swarm = 2;
        check_equal(admin_fingerprints_set(&all, &there, false, &next, 0), 0);  /* that number of another swarm worker */
        check_equal(admin_fingerprints_find(&all, &said.tuple)->swarm, 2);
        admin_fingerprints_fini(&all);
}

static unsigned status_of(const struct admin_fingerprints *all, const char *line, bool short_only)
{
        struct admin_auth auth = { .len = 0 };
        struct admin_request request;
        struct admin_answer answer;
        char text[256];

        snprintf(text, sizeof(text), "%s HTTP/1.1\r\n\r\n", line);
        check_equal(admin_request_read(text, strlen(text), &request), ADMIN_REQUEST_GOOD);
        answer = admin_answer(all, &auth, &request, short_only, 0);
        check((strlen(answer.body) > ADMIN_LONG_BYTES) == (answer.status == 200 && strstr(line, "/all") && all->by_tuple.count > 10));
        free(answer.body);
        return answer.status;
}

TEST(a_second_long_answer_is_not_even_made)
{
        static const char one[] = "GET /resolve?remote_addr=127.0.0.1&remote_port=5&server_addr=::1&server_port=80";
        struct ipc_fingerprint said = example(1, 0, "{\"id\": \"0123456789012345678901234567890123456789\"}");
        struct admin_fingerprints all;

        admin_fingerprints_init(&all, map_key);
        check_equal(admin_fingerprints_set(&all, &here, true, &said, 0), 0);
        check_equal(status_of(&all, "GET /all", true), 200);
        for (unsigned i = 1; i < 1000; i++) {
                said.tuple.local_port = (uint16_t)i;
                check_equal(admin_fingerprints_set(&all, &here, true, &said, 0), 0);
        }
        check_equal(status_of(&all, "GET /all", false), 200);
        check_equal(status_of(&all, "GET /all", true), 503);
        check_equal(status_of(&all, one, true), 200);
        admin_fingerprints_lose(&all, &here);
        check_equal(all.text_bytes, 0);
        check_equal(status_of(&all, "GET /all", true), 200);
        admin_fingerprints_fini(&all);
}

TEST(there_is_a_bound)
{
        struct admin_fingerprints all;
        struct ipc_fingerprint said = example(1, 0, "{}");

        admin_fingerprints_init(&all, map_key);
        for (unsigned i = 0; i < ADMIN_FINGERPRINTS_MAX; i++) {
                said.tuple.local_port = (uint16_t)i;
                check_equal(admin_fingerprints_set(&all, &here, true, &said, 0), 0);
        }
        check_equal(admin_fingerprints_set(&all, &here, true, &said, 0), 0);  /* in the place of another */
        said.tuple.remote_port = 81;
        check_equal(admin_fingerprints_set(&all, &here, true, &said, 0), -ENOBUFS);
        admin_fingerprints_fini(&all);
}
