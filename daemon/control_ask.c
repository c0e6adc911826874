/* SPDX-License-Identifier: BSD-3-Clause */
#include "control_ask.h"

#include <stdlib.h>

#include "supervisor.h"

struct asked {
        struct control_job job;
        struct question *question;
        struct child *worker;           /* of swarm workers one after the other */
        uint32_t what;
        control_ask_write write;
};

static void cancel(struct control_job *job)
{
        struct asked *asked = container_of(job, struct asked, job);

        if (asked->question)
                question_cancel(asked->question);
        free(asked);
}

void control_ask_end(struct control_conn *conn)
{
        json_line_begin(&conn->out, "end");
        json_line_end(&conn->out);
        control_flush(conn, true);
}

static void end(struct asked *asked, const char *error)
{
        struct control_conn *conn = asked->job.conn;

        asked->question = NULL;
        cancel(&asked->job);
        if (error)
                control_refuse(conn, error);
        else
                control_ask_end(conn);
}

static void on_answer(void *context, const struct ipc_received *message);

/* False: all have answered. */
static bool ask_next_swarm(struct asked *asked)
{
        struct supervisor *supervisor = asked->job.conn->control->supervisor;
        struct child *swarm = supervisor_next_swarm(supervisor, asked->worker);
        struct ipc_swarm_ask ask = { .what = asked->what };

        if (!swarm)
                return false;
        asked->worker = swarm;
        asked->question = questions_ask(&supervisor->questions, swarm, &ask, on_answer, asked);
        if (!asked->question)
                end(asked, "no memory");
        return true;
}

static void on_answer(void *context, const struct ipc_received *message)
{
        struct asked *asked = context;

        if (!message) {
                end(asked, "the worker that knows has just ended: ask again");
        } else if (message->type == IPC_ROUTER_ANSWERED || message->type == IPC_SWARM_ANSWERED) {
                if (message->type == IPC_ROUTER_ANSWERED || !ask_next_swarm(asked))
                        end(asked, NULL);
        } else {
                asked->write(&asked->job.conn->out, message, asked->worker->id);
                control_flush(asked->job.conn, false);
        }
}

/* NULL: it was refused. */
static struct asked *begin(struct control_conn *conn, bool answers, control_ask_write write)
{
        struct asked *asked = answers ? calloc(1, sizeof(*asked)) : NULL;

        if (!asked) {
                control_refuse(conn, answers ? "no memory" : "the worker that knows does not run now: ask again");
                return NULL;
        }
        asked->job = (struct control_job){ .conn = conn, .cancel = cancel };
        asked->write = write;
        conn->job = &asked->job;
        return asked;
}

void control_ask_swarms(struct control_conn *conn, uint32_t what, control_ask_write write)
{
        struct asked *asked = begin(conn, supervisor_swarm_answers(conn->control->supervisor), write);

        if (!asked)
                return;
        asked->what = what;
        ask_next_swarm(asked);
}

void control_ask_router(struct control_conn *conn, control_ask_write write)
{
        struct supervisor *supervisor = conn->control->supervisor;
        struct asked *asked;

        if (!supervisor->router) {
                control_ask_end(conn);
                return;
        }
        asked = begin(conn, supervisor_router_answers(supervisor), write);
        if (!asked)
                return;
        asked->worker = supervisor->router;
        asked->question = questions_ask_routes(&supervisor->questions, supervisor->router, on_answer, asked);
        if (!asked->question)
                end(asked, "no memory");
}
