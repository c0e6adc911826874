/* SPDX-License-Identifier: BSD-3-Clause */
/* The name that a TLS client wants to reach, from its ClientHello: RFC 8446 4.1.2, RFC 6066 3. Nothing of it is answered or changed. */
#ifndef HG_FORWARD_HELLO_H
#define HG_FORWARD_HELLO_H

#include <stddef.h>
#include <stdint.h>

#include "ipc_message.h"

enum { HELLO_MAX = 16 * 1024 };         /* what is longer has no name to us: post-quantum key shares make it some 2 KiB */

enum hello_verdict {
        HELLO_NAMED,
        HELLO_NAMELESS,                 /* it has no name, none that can be one, or is no ClientHello at all */
        HELLO_MORE,                     /* so far it is the beginning of one */
};

/* What a connection begins with. The name is written in lower case, without a dot at its end. With HELLO_MORE for HELLO_MAX bytes there is
 * nothing to wait for. */
enum hello_verdict hello_read(const uint8_t *bytes, size_t len, char name_out[IPC_NAME_MAX]);

#endif
