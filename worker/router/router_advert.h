/* SPDX-License-Identifier: BSD-3-Clause */
/* Advertisements: which services a provider offers, as the JSON text of an advRoutes frame (Hypergate, Message.ts).
 *
 *      {"routes":[{"serviceHost":"127.0.0.1","servicePort":80,"protocol":0,"gatePort":8080,"routes":[],"ingressPolicy":{}}]}
 *
 * The text comes from an authenticated peer, which is still a stranger: whatever JavaScript would have let pass is read
 * (ports as text, a missing protocol), what means nothing is skipped and counted, and nothing grows without a bound. */
#ifndef HG_ROUTER_ADVERT_H
#define HG_ROUTER_ADVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc_rule.h"

enum {
        ADVERT_BYTES_MAX = 256 * 1024,
        ADVERT_ROUTES_MAX = 256,        /* of one peer */
        ADVERT_DEPTH_MAX = 32,          /* a policy needs 6 */
        ADVERT_HOST_MAX = 254,          /* with its NUL: RFC 1035 2.3.4 */
        ADVERT_TAGS_MAX = 512,          /* with its NUL */
};

enum advert_verdict {
        ADVERT_OK,
        ADVERT_NO_LIST,         /* an object without a list of routes, or one that only negotiates extensions: no news of routes */
        ADVERT_TOO_LARGE,
        ADVERT_TOO_DEEP,
        ADVERT_MALFORMED,       /* not JSON, or not an object */
        ADVERT_NO_MEMORY,       /* ours, to read it */
        ADVERT_VERDICTS,
};

/* What makes an entry of the list say nothing. A service port or a priority that is none does not: clients are told apart by the port of
 * the gate, and what is offered without these two is offered all the same. */
enum advert_flaw {
        ADVERT_FLAWLESS,
        ADVERT_NO_OBJECT,
        ADVERT_GATE_PORT,
        ADVERT_PROTOCOL,
        ADVERT_HOST,
        ADVERT_TAGS,
        ADVERT_SNI,
        ADVERT_FLAWS,
};

struct policy;

struct advert_route {
        struct policy *policy;          /* who may use it, held; NULL: everybody */
        uint16_t gate_port;             /* 1..65535 */
        uint16_t service_port;          /* 0: not told */
        uint16_t protocol;              /* enum ipc_protocol */
        uint16_t priority;              /* 0: best, to IPC_PRIORITY_MAX; "priority", which originals pass over */
        char host[ADVERT_HOST_MAX];
        char tags[ADVERT_TAGS_MAX];     /* words separated by blanks; empty: none */
        char sni[ADVERT_HOST_MAX];      /* whom TLS clients ask for, in lower case; empty: no name; "sni", which originals pass over */
        uint32_t keeps_policy;          /* 1: it does not say who may use it, so those may who might before */
};

struct advert {
        size_t count;
        unsigned garbage;               /* entries that say nothing we understand; of the first one: */
        unsigned flawed;                /* its number in the list, from 1 */
        enum advert_flaw flaw;
        bool starved;                   /* entries are missing for want of memory */
        unsigned surplus;               /* entries beyond ADVERT_ROUTES_MAX */
        struct ipc_rule rules[IPC_RULES_MAX];   /* room while it is read */
        struct advert_route routes[ADVERT_ROUTES_MAX];
};

/* Reads @len bytes of text. @out is filled on ADVERT_OK only, and then is the caller's to release. */
enum advert_verdict advert_decode(const char *text, size_t len, struct advert *out);
void advert_release(struct advert *advert);

/* Writes our services as the original writes its own, keys in its order; *@text_out is the caller's to free(). 0, -E2BIG
 * (more than ADVERT_ROUTES_MAX or ADVERT_BYTES_MAX), -EILSEQ (a string is not UTF-8) or -ENOMEM. */
int advert_encode(const struct advert_route *routes, size_t count, char **text_out, size_t *len_out);

#endif
