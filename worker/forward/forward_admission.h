/* SPDX-License-Identifier: BSD-3-Clause */
/* Whom a gateway lets in, and what goes with it. Its own ingress policy is asked first, then the provider's: both must let a client in, the
 * limits of both hold, and the service is told the labels of both. Whom the operator lets in for a while no policy keeps out or limits. */
#ifndef HG_FORWARD_ADMISSION_H
#define HG_FORWARD_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "forward_choose.h"
#include "forward_socket.h"
#include "ipc_allowances.h"
#include "ipc_channel.h"
#include "ipc_rule.h"

enum { ADMISSION_LABELS_MAX = IPC_CLIENT_LABELS_MAX };

_Static_assert((int)ADMISSION_LABELS_MAX >= 2 * (int)IPC_LABELS_MAX, "those of two rules");

/* What all clients have in common; zeroed, everybody is let in. */
struct admissions {
        struct policy *policy, *policy_next;            /* the gateway's own, held; NULL: everybody may come. @next: of the configuration being told */
        struct ipc_allowances allowed, allowed_next;    /* whom the operator lets in */
};

/* A complete configuration, in between. */
void admissions_begin(struct admissions *admissions);
void admissions_restrict(struct admissions *admissions, struct policy *policy);         /* which is held from here on */
void admissions_end(struct admissions *admissions);
void admissions_fini(struct admissions *admissions);

/* One client, at one time; valid as long as the configuration. */
struct admission {
        uint8_t ip[16];
        uint16_t protocol;
        uint64_t now_ms;                /* since the epoch */
        bool allowed;                   /* by the operator */
        const struct ipc_rule *own;     /* that the gateway's policy has about it; NULL: none */
};

/* @port: of the gate, as its clients know it. */
void admission_begin(struct admission *admission, const struct admissions *admissions, const union socket_address *remote, uint16_t port,
                     uint16_t protocol, uint64_t now_ms);

/* The rule of that way's provider about it; NULL: none. */
const struct ipc_rule *admission_rule_there(const struct admission *admission, const struct choose_way *way);

/* Whether this gateway lets it in; if so, whether the provider of that way does, and whether there is a limit then. */
bool admission_here(const struct admission *admission);
bool admission_there(const struct admission *admission, const struct choose_way *way);
bool admission_is_limited(const struct admission *admission, const struct choose_way *way);

/* The limits of who goes that way, in @open. @address: by which it is known whenever it comes. */
void admission_limit(const struct admission *admission, const struct choose_way *way, const uint8_t address[16], struct ipc_channel_open *open);

/* The labels, the provider's first; each ends with NUL, the first empty one is none. */
void admission_labels(const struct admission *admission, const struct choose_way *way, char out[ADMISSION_LABELS_MAX]);

#endif
