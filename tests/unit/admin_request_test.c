/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "admin_auth.h"
#include "admin_request.h"
#include "ipc_admin.h"
#include "test.h"

static enum admin_verdict read_text(const char *text, struct admin_request *out)
{
        return admin_request_read(text, strlen(text), out);
}

TEST(a_request_is_read)
{
        static const char text[] = "GET /resolve?a=1&b=%3a%3A1+x&a=2&c= HTTP/1.1\r\nHost: x\r\naUTHORIZATION:  Basic dTpw \r\nX:\r\n\r\nmore";
        static const char *const a[] = { "A", "a", NULL }, *const b[] = { "b", NULL }, *const c[] = { "c", "a", NULL }, *const d[] = { "d", NULL };
        struct admin_request request;
        char value[ADMIN_VALUE_MAX];

        check_equal(read_text(text, &request), ADMIN_REQUEST_GOOD);
        check(request.method == ADMIN_GET && admin_text_is(request.path, "/resolve"));
        check(admin_text_is(request.authorization, "Basic dTpw"));
        check(admin_text_value(request.query, a, value, sizeof(value)) && strcmp(value, "1") == 0);
        check(admin_text_value(request.query, b, value, sizeof(value)) && strcmp(value, "::1 x") == 0);
        check(admin_text_value(request.query, c, value, sizeof(value)) && strcmp(value, "1") == 0);      /* what says nothing is not there */
        check(!admin_text_value(request.query, d, value, sizeof(value)));
        for (size_t i = 0; i < (size_t)(strstr(text, "\r\n\r\n") - text) + 4; i++)
                check_equal(admin_request_read(text, i, &request), ADMIN_REQUEST_MORE);
        check_equal(read_text("POST / HTTP/1.0\r\n\r\n", &request), ADMIN_REQUEST_GOOD);
        check(request.method == ADMIN_POST && !request.query.at && !request.authorization.at);
}

TEST(what_is_no_request)
{
        static const char *const bad[] = {
                "\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/2.0\r\n\r\n", "GET / HTTP/1.1 \r\n\r\n", "GET  / HTTP/1.1\r\n\r\n", "GET x HTTP/1.1\r\n\r\n",
                "GET http://x/ HTTP/1.1\r\n\r\n", "G:T / HTTP/1.1\r\n\r\n", "GET /\x01 HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n folded\r\n\r\n",
                "GET / HTTP/1.1\r\nno colon\r\n\r\n", "GET / HTTP/1.1\r\nA : b\r\n\r\n",
                "GET / HTTP/1.1\r\nAuthorization: a\r\nAuthorization: a\r\n\r\n",
        };
        static char much[ADMIN_REQUEST_MAX + 4];
        struct admin_request request;

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                if (read_text(bad[i], &request) != ADMIN_REQUEST_BAD)
                        test_fail(__FILE__, __LINE__, "%s", bad[i]);
        memset(much, 'x', sizeof(much));
        check_equal(admin_request_read(much, ADMIN_REQUEST_MAX - 1, &request), ADMIN_REQUEST_MORE);
        check_equal(admin_request_read(much, ADMIN_REQUEST_MAX, &request), ADMIN_REQUEST_BAD);
        memcpy(much, "GET / HTTP/1.1\r\nx: ", 19);
        memcpy(much + ADMIN_REQUEST_MAX, "\r\n\r\n", 4);
        check_equal(admin_request_read(much, sizeof(much), &request), ADMIN_REQUEST_BAD);
}

TEST(a_value_that_does_not_fit_is_none)
{
        static const char *const name[] = { "v", NULL };
        struct admin_request request = { .query = { "v=%00", 5 } };
        char text[2 + ADMIN_VALUE_MAX + 1] = "v=", value[ADMIN_VALUE_MAX] = "before";

        check(!admin_text_value(request.query, name, value, sizeof(value)) && !*value);
        memset(text + 2, 'x', ADMIN_VALUE_MAX);
        request.query = (struct admin_text){ text, strlen(text) };
        check(!admin_text_value(request.query, name, value, sizeof(value)) && !*value);
        request.query.len--;
        check(admin_text_value(request.query, name, value, sizeof(value)) && strlen(value) == ADMIN_VALUE_MAX - 1);
        request.query = (struct admin_text){ "v=%4", 4 };
        check(admin_text_value(request.query, name, value, sizeof(value)) && strcmp(value, "%4") == 0);
}

static bool passes(const struct admin_auth *auth, const char *value)
{
        return admin_auth_passes(auth, (struct admin_text){ value, value ? strlen(value) : 0 });
}

/* RFC 7617 2: the user "Aladdin". */
TEST(who_knows_the_password)
{
        struct admin_auth auth;
        static char longest[IPC_BASIC_AUTH_MAX];

        admin_auth_init(&auth, "Aladdin:open sesame", 19);
        check(passes(&auth, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==") && passes(&auth, "basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        check(!passes(&auth, NULL) && !passes(&auth, "") && !passes(&auth, "Basic ") && !passes(&auth, "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        check(!passes(&auth, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=") && !passes(&auth, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==x"));
        check(!passes(&auth, "Basic qWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        admin_auth_init(&auth, "u:p", 3);
        check(passes(&auth, "Basic dTpw"));
        memset(longest, 'x', sizeof(longest));
        admin_auth_init(&auth, longest, sizeof(longest));
        check_equal(auth.len, ADMIN_TOKEN_MAX);
        admin_auth_init(&auth, "", 0);
        check(passes(&auth, NULL) && passes(&auth, "Bearer x"));
}
