/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients who are let in for a while, whatever ingress policies say: by the operator, or by a token of theirs. They last until the instance
 * ends, also over a configuration that is read anew and over the end of a worker. */
#ifndef HG_ALLOWANCES_H
#define HG_ALLOWANCES_H

#include "ipc_admin.h"
#include "ipc_forward.h"
#include "supervisor.h"

enum { ALLOWANCES_TOKEN_S = 30 * 60 };  /* as with an original: LimitRemoverService.ts */

uint64_t allowances_now_ms(void);

/* All that have gates hear of it at once; it is logged. -ENOSPC: as many are let in as may be. */
int allowances_let_in(struct supervisor *supervisor, const uint8_t ip[16], unsigned long s, struct ipc_forward_allow *made_out);

/* False: nobody had. */
bool allowances_end(struct supervisor *supervisor, const uint8_t ip[16], struct ipc_forward_allow *ended_out);

/* ADMIN_ALLOW: the child that reads tokens says so. Another one has no business here. */
void allowances_hear(struct supervisor *supervisor, struct child *child, const struct ipc_admin_allow *said);

#endif
