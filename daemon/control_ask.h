/* SPDX-License-Identifier: BSD-3-Clause */
/* An answer that workers know: lines, in which what each of them says is written as it comes, then the end. */
#ifndef HG_CONTROL_ASK_H
#define HG_CONTROL_ASK_H

#include <stdint.h>

#include "control_conn.h"
#include "ipc_link.h"

/* Writes what one message of @worker says. */
typedef void (*control_ask_write)(struct json_line *out, const struct ipc_received *message, uint32_t worker);

/* Asks all swarm workers, one after the other, for @what (enum ipc_ask). */
void control_ask_swarms(struct control_conn *conn, uint32_t what, control_ask_write write);

/* Asks the router worker for its routes; where there is none there are none. */
void control_ask_router(struct control_conn *conn, control_ask_write write);

/* {"type": "end"}, and flushes. */
void control_ask_end(struct control_conn *conn);

#endif
