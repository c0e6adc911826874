/* SPDX-License-Identifier: BSD-3-Clause */
/* What is answered to a request; and what the resolver of fingerprints answers (Hypergate, FingerprintResolver.ts). */
#ifndef HG_ADMIN_ANSWER_H
#define HG_ADMIN_ANSWER_H

#include <jansson.h>

#include "admin_auth.h"
#include "admin_fingerprints.h"
#include "admin_request.h"

struct admin_answer {
        unsigned status;                /* 0: it comes later, by admin_http_answer() */
        const char *fields;             /* of the header, beside the usual ones; "" */
        char *body;                     /* JSON, the caller's to free; NULL: no memory */
};

/* Takes @body. */
struct admin_answer admin_say(unsigned status, json_t *body);

/* {"error": @why} */
struct admin_answer admin_refuse(unsigned status, const char *why);

/* Later, perhaps. */
struct admin_answer admin_busy(void);

/* IPv4 is never IPv6. */
void admin_print_ip(const uint8_t ip[16], char out[ADMIN_VALUE_MAX]);

enum { ADMIN_LONG_BYTES = 65536 };      /* of an answer: of those that are longer, one at a time */

/* @request: NULL, it was none. Nobody is told anything who does not know @auth. @short_only: what is longer than that is not even made. */
struct admin_answer admin_answer(const struct admin_fingerprints *all, const struct admin_auth *auth, const struct admin_request *request,
                                 bool short_only, usec_t wall_us);

#endif
