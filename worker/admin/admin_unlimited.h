/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients of gates who ask, with a token, to be let in for a while (Hypergate, LimitRemoverService.ts). Where an original says why a token is no
 * good, it helps whoever makes others of it: here all of them get one answer, and the log says the rest. */
#ifndef HG_ADMIN_UNLIMITED_H
#define HG_ADMIN_UNLIMITED_H

#include "admin_http.h"
#include "admin_tokens.h"
#include "rate.h"

enum {
        UNLIMITED_WINDOW_S = 300,       /* between a token's time and ours, either way */
        UNLIMITED_USED_MAX = 1024,      /* tokens that were good and whose time is not over: none is good twice */
        UNLIMITED_CALLERS_MAX = 256,    /* who asked last: */
        UNLIMITED_PER_CALLER_S = 1,     /* each may so often in a second, */
        UNLIMITED_PER_S = 20,           /* and all of them, for each costs milliseconds */
};

struct unlimited_used {
        uint8_t name[ADMIN_TOKEN_NAME_BYTES];
        uint64_t until_ms;
};

struct unlimited_caller {
        uint8_t ip[16];
        struct rate rate;
};

struct admin_unlimited {
        struct admin_tokens *tokens;
        struct rate rate;
        struct unlimited_caller callers[UNLIMITED_CALLERS_MAX];
        unsigned caller_next;           /* the place of who makes room */
        struct unlimited_used used[UNLIMITED_USED_MAX];
        size_t used_count;
        /* Somebody at @ip is to be let in: admin_unlimited_allowed() is the answer to that number. */
        void (*allow)(void *context, uint64_t number, const uint8_t ip[16]);
        void (*say)(void *context, const char *text);   /* to who reads the log */
        void *context;
};

/* Of a site with bodies. @context is the struct admin_unlimited. */
struct admin_answer admin_unlimited_answer(void *context, const struct admin_asked *asked);

/* What is answered to who was let in until then; 0: there is no room. */
struct admin_answer admin_unlimited_allowed(const uint8_t ip[16], uint64_t until_ms);

#endif
