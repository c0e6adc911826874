/* SPDX-License-Identifier: BSD-3-Clause */
#include "docker_http.h"

#include <string.h>

#include "test.h"

static const char chunked[] =
        "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\nA;x=y\r\n1234567890\r\n1\r\n}\r\n0\r\nX: y\r\n\r\n";

/* In pieces of @piece bytes, with the end of the connection behind. */
static enum docker_http_verdict take(struct docker_http *http, const char *text, size_t piece)
{
        enum docker_http_verdict verdict = DOCKER_HTTP_MORE;
        size_t len = strlen(text), taken;

        docker_http_init(http, false);
        for (size_t at = 0; at < len && verdict == DOCKER_HTTP_MORE; at += taken)
                verdict = docker_http_take(http, (const uint8_t *)text + at, at + piece < len ? piece : len - at, &taken);
        return verdict == DOCKER_HTTP_MORE ? docker_http_end(http) : verdict;
}

static void is_good(const char *text, unsigned status, const char *body)
{
        struct docker_http http;

        for (size_t piece = 1; piece <= strlen(text); piece++) {
                check_equal(take(&http, text, piece), DOCKER_HTTP_DONE);
                check_equal(http.status, status);
                check_equal(http.body_len, strlen(body));
                check(http.body_len == 0 || strcmp(http.body, body) == 0);
                docker_http_fini(&http);
        }
}

static void is_bad(const char *text)
{
        struct docker_http http;

        check_equal(take(&http, text, 7), DOCKER_HTTP_BAD);
        docker_http_fini(&http);
}

TEST(an_answer_is_whole_however_it_comes_in_pieces)
{
        is_good(chunked, 200, "{\"a\":1234567890}");
        is_good("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, "abc");
        is_good("HTTP/1.1 404 Not Found\r\ncontent-length:2\r\n\r\n{}", 404, "{}");
        is_good("HTTP/1.1 204 No Content\r\n\r\n", 204, "");
        is_good("HTTP/1.0 200 OK\n\nuntil the end", 200, "until the end");
        is_good("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}", 201, "{}");
        is_good("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "");
}

TEST(half_an_answer_and_what_is_none_are_refused)
{
        is_bad("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc");
        is_bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc");
        is_bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcdeX\r\n0\r\n\r\n");
        is_bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n0\r\n\r\n");
        is_bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n");
        is_bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000000000\r\n");
        is_bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n");
        is_bad("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd");
        is_bad("HTTP/1.1 200 OK\r\nContent-Length: 3x\r\n\r\nabc");
        is_bad("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
        is_bad("HTTP/2 200\r\n\r\n");
        is_bad("HTTP/1.1 2000 OK\r\n\r\n");
        is_bad("HTTP/1.1 abc OK\r\n\r\n");
        is_bad("SSH-2.0-OpenSSH_9.2\r\n\r\n");
        is_bad("\r\n\r\n");
        is_bad("HTTP/1.1 200 OK\r\n");
}

TEST(a_head_without_an_end_is_not_kept)
{
        static const char line[] = "A: b\r\n";
        struct docker_http http;
        uint8_t long_line[DOCKER_HTTP_LINE_MAX];
        size_t taken;

        docker_http_init(&http, false);
        memset(long_line, 'a', sizeof(long_line));
        check_equal(docker_http_take(&http, long_line, sizeof(long_line), &taken), DOCKER_HTTP_BAD);
        docker_http_init(&http, false);
        check_equal(docker_http_take(&http, (const uint8_t *)"HTTP/1.1 200 OK\r\n", 17, &taken), DOCKER_HTTP_MORE);
        for (unsigned i = 0; i < DOCKER_HTTP_LINES_MAX; i++)
                check_equal(docker_http_take(&http, (const uint8_t *)line, strlen(line), &taken), DOCKER_HTTP_MORE);
        check_equal(docker_http_take(&http, (const uint8_t *)line, strlen(line), &taken), DOCKER_HTTP_BAD);
}

TEST(a_body_is_kept_up_to_its_bound_and_one_that_passes_is_counted)
{
        static const char head[] = "HTTP/1.1 200 OK\r\n\r\n";
        static uint8_t much[1024 * 1024];
        enum docker_http_verdict verdict = DOCKER_HTTP_MORE;
        struct docker_http http;
        size_t taken;

        docker_http_init(&http, false);
        docker_http_take(&http, (const uint8_t *)head, strlen(head), &taken);
        for (size_t i = 0; i < DOCKER_HTTP_BODY_MAX / sizeof(much); i++)
                check_equal(docker_http_take(&http, much, sizeof(much), &taken), DOCKER_HTTP_MORE);
        verdict = docker_http_take(&http, much, 1, &taken);
        check_equal(verdict, DOCKER_HTTP_BAD);
        docker_http_fini(&http);
        docker_http_init(&http, true);
        docker_http_take(&http, (const uint8_t *)head, strlen(head), &taken);
        for (size_t i = 0; i <= DOCKER_HTTP_BODY_MAX / sizeof(much); i++)
                check_equal(docker_http_take(&http, much, sizeof(much), &taken), DOCKER_HTTP_MORE);
        check(http.passed > DOCKER_HTTP_BODY_MAX && !http.body);
}

TEST(what_follows_an_answer_is_left_for_the_next)
{
        static const char two[] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n";
        struct docker_http http;
        size_t taken, rest;

        docker_http_init(&http, false);
        check_equal(docker_http_take(&http, (const uint8_t *)two, strlen(two), &taken), DOCKER_HTTP_DONE);
        check(!http.closes);
        docker_http_fini(&http);
        docker_http_init(&http, false);
        check_equal(docker_http_take(&http, (const uint8_t *)two + taken, strlen(two) - taken, &rest), DOCKER_HTTP_DONE);
        check_equal(http.status, 404);
        check_equal(taken + rest, strlen(two));
        docker_http_fini(&http);
}

TEST(requests_are_one_text_or_none)
{
        char out[160], escaped[16];

        check(docker_http_ask(out, sizeof(out), "GET", "/version", NULL) == strlen(out));
        check(strcmp(out, "GET /version HTTP/1.1\r\nHost: docker\r\n\r\n") == 0);
        check(docker_http_ask(out, sizeof(out), "POST", "/x", "{}") == strlen(out));
        check(strcmp(out, "POST /x HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}") == 0);
        check_equal(docker_http_ask(out, 20, "GET", "/version", NULL), 0);
        check(docker_http_escape(escaped, sizeof(escaped), "a {\"/") && strcmp(escaped, "a%20%7B%22%2F") == 0);
        check(!docker_http_escape(escaped, 4, "ab\r"));
}
