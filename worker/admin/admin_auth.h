/* SPDX-License-Identifier: BSD-3-Clause */
/* Basic authentication: RFC 7617. */
#ifndef HG_ADMIN_AUTH_H
#define HG_ADMIN_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "admin_request.h"
#include "ipc_admin.h"

enum { ADMIN_TOKEN_MAX = (IPC_BASIC_AUTH_MAX + 2) / 3 * 4 };

/* What must be behind "Basic ". */
struct admin_auth {
        char token[ADMIN_TOKEN_MAX];
        size_t len;                     /* 0: nothing need be */
};

/* @text: "USER:PASSWORD", at most IPC_BASIC_AUTH_MAX bytes; none: whoever asks is answered. */
void admin_auth_init(struct admin_auth *auth, const char *text, size_t len);

/* Whether that is the value of Authorization that must be. It takes as long for any that is not. */
bool admin_auth_passes(const struct admin_auth *auth, struct admin_text value);

#endif
