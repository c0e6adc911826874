/* SPDX-License-Identifier: BSD-3-Clause */
/* "relays": for each swarm worker a line "relays" with the nodes of the DHT through which peers reach it, as a gateway and as a provider. */
#include "cleanup.h"
#include "control_ask.h"
#include "ipc_question.h"

static void write_list(struct json_line *out, const char *key, const struct ipc_swarm_self *self, size_t role)
{
        json_line_open_list(out, key);
        for (size_t i = 0; i < MIN(self->relay_count[role], (uint32_t)IPC_OWN_RELAYS_MAX); i++)
                json_line_address(out, NULL, self->relay[role][i].ip, self->relay[role][i].port);
        json_line_close_list(out);
}

static void write_relays(struct json_line *out, const struct ipc_received *message, uint32_t worker)
{
        const struct ipc_swarm_self *self = IPC_PAYLOAD(message, struct ipc_swarm_self);

        if (message->type != IPC_SWARM_SELF)
                return;
        json_line_begin(out, "relays");
        write_list(out, "gateway", self, 0);
        write_list(out, "provider", self, 1);
        json_line_number(out, "worker", worker);
        json_line_end(out);
}

void control_relays(struct control_conn *conn, const char *words)
{
        control_ask_swarms(conn, IPC_ASK_SELF, write_relays);
}
