/* SPDX-License-Identifier: BSD-3-Clause */
/* What the resolver of fingerprints answers to a request (Hypergate, FingerprintResolver.ts). */
#ifndef HG_ADMIN_ANSWER_H
#define HG_ADMIN_ANSWER_H

#include "admin_auth.h"
#include "admin_fingerprints.h"
#include "admin_request.h"

struct admin_answer {
        unsigned status;
        const char *fields;             /* of the header, beside the usual ones; "" */
        char *body;                     /* JSON, the caller's to free; NULL: no memory */
};

/* @request: NULL, it was none. Nobody is told anything who does not know @auth. */
struct admin_answer admin_answer(const struct admin_fingerprints *all, const struct admin_auth *auth, const struct admin_request *request,
                                 usec_t wall_us);

#endif
