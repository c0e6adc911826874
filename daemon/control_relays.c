/* SPDX-License-Identifier: BSD-3-Clause */
/* "relays": a line "relays" with the nodes of the DHT through which peers reach this instance, as a gateway and as a provider. */
#include <stdlib.h>

#include "control_conn.h"
#include "supervisor.h"

struct relays {
        struct control_job job;
        struct question *question;
};

static void cancel(struct control_job *job)
{
        struct relays *relays = container_of(job, struct relays, job);

        if (relays->question)
                question_cancel(relays->question);
        free(relays);
}

static void write_list(struct json_line *out, const char *key, const struct ipc_swarm_self *self, size_t role)
{
        json_line_open_list(out, key);
        for (size_t i = 0; i < MIN(self->relay_count[role], (uint32_t)IPC_OWN_RELAYS_MAX); i++)
                json_line_address(out, NULL, self->relay[role][i].ip, self->relay[role][i].port);
        json_line_close_list(out);
}

static void write_relays(struct json_line *out, const struct ipc_swarm_self *self)
{
        json_line_begin(out, "relays");
        write_list(out, "gateway", self, 0);
        write_list(out, "provider", self, 1);
        json_line_end(out);
}

static void end(struct relays *relays, const char *error)
{
        struct control_conn *conn = relays->job.conn;

        relays->question = NULL;
        cancel(&relays->job);
        if (error) {
                control_refuse(conn, error);
                return;
        }
        json_line_begin(&conn->out, "end");
        json_line_end(&conn->out);
        control_flush(conn, true);
}

static void on_answer(void *context, const struct ipc_received *message)
{
        struct relays *relays = context;

        if (!message || message->type == IPC_SWARM_ANSWERED)
                end(relays, message ? NULL : "the swarm worker has just ended: ask again");
        else if (message->type == IPC_SWARM_SELF)
                write_relays(&relays->job.conn->out, IPC_PAYLOAD(message, struct ipc_swarm_self));
}

void control_relays(struct control_conn *conn, const char *words)
{
        struct supervisor *supervisor = conn->control->supervisor;
        struct ipc_swarm_ask ask = { .what = IPC_ASK_SELF };
        struct relays *relays = supervisor_swarm_answers(supervisor) ? calloc(1, sizeof(*relays)) : NULL;

        if (!relays) {
                control_refuse(conn, "the swarm worker does not run now: ask again");
                return;
        }
        relays->job = (struct control_job){ .conn = conn, .cancel = cancel };
        conn->job = &relays->job;
        relays->question = questions_ask(&supervisor->questions, supervisor->swarm, &ask, on_answer, relays);
        if (!relays->question)
                end(relays, "no memory");
}
