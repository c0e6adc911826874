/* SPDX-License-Identifier: BSD-3-Clause */
/* A request of HTTP/1 (RFC 9112) as far as it is looked at here: method, path, parameters, Authorization, and where a body begins. */
#ifndef HG_ADMIN_REQUEST_H
#define HG_ADMIN_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

enum {
        ADMIN_REQUEST_MAX = 8192,       /* request line and header fields */
        ADMIN_VALUE_MAX = 128,          /* of a parameter, decoded, with its NUL */
};

enum admin_verdict {
        ADMIN_REQUEST_MORE,             /* it is not complete yet */
        ADMIN_REQUEST_GOOD,
        ADMIN_REQUEST_BAD,              /* it is none, or too long */
};

enum admin_method {
        ADMIN_GET,
        ADMIN_POST,
        ADMIN_OTHER,
};

/* Text within the request, without NUL. */
struct admin_text {
        const char *at;
        size_t len;
};

struct admin_request {
        enum admin_method method;
        struct admin_text path, query, authorization;   /* of what was not said @at is NULL */
        size_t head_len;                /* up to where a body begins */
        size_t body_len;                /* as it says; SIZE_MAX: in another way than by Content-Length, or none that can be */
};

/* Reads what came so far. @out borrows from @bytes, and is set only where all is good. */
enum admin_verdict admin_request_read(const char *bytes, size_t len, struct admin_request *out);

bool admin_text_is(struct admin_text text, const char *word);

/* Of text as in a query or a form, the parameter of one of these names (NULL at the end) that says something, the first of them in their order;
 * each by what is said first. False: there is none, and @out is as it was; or it does not decode to fewer than @size characters, or has a NUL
 * among them: @out is "". */
bool admin_text_value(struct admin_text text, const char *const *names, char *out, size_t size);

#endif
