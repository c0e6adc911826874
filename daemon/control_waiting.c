/* SPDX-License-Identifier: BSD-3-Clause */
#include "control_waiting.h"

#include <stdlib.h>

#include "monotonic.h"
#include "supervisor.h"

struct control_waiting {
        struct control_job job;
        struct reload_waiter waiter;
        const char *type;
        struct conf_difference difference;
        usec_t began_us;
};

static void cancel(struct control_job *job)
{
        struct control_waiting *waiting = container_of(job, struct control_waiting, job);

        reload_cancel(&waiting->waiter);
        free(waiting);
}

static void end(struct control_waiting *waiting, bool good, bool confirmed)
{
        struct control_conn *conn = waiting->job.conn;
        const struct supervisor *supervisor = conn->control->supervisor;
        struct json_line *out = &conn->out;

        json_line_begin(out, waiting->type);
        json_line_text(out, "instance", supervisor->asked_as);
        if (supervisor->reload.source.fd < 0 && *supervisor->reload.source.path == '/')
                json_line_text(out, "file", supervisor->reload.source.path);
        else
                json_line_null(out, "file");
        json_line_flag(out, "good", good);
        json_line_flag(out, "confirmed", confirmed);
        json_line_flag(out, "drained", supervisor->reload.overrides.drained);
        json_line_flag(out, "changed", good && waiting->difference.parts);
        json_line_number(out, "servicesAdded", waiting->difference.added);
        json_line_number(out, "servicesRemoved", waiting->difference.removed);
        json_line_decimal(out, "tookMs", (double)(monotonic_us() - waiting->began_us) / 1e3);
        json_line_end(out);
        json_line_begin(out, "end");
        json_line_end(out);
        free(waiting);
        control_flush(conn, true);
}

static void on_done(void *context, bool confirmed)
{
        end(context, true, confirmed);
}

struct control_waiting *control_waiting_new(struct control_conn *conn, const char *type)
{
        struct control_waiting *waiting = conn->control->alone ? NULL : calloc(1, sizeof(*waiting));

        if (!waiting) {
                control_refuse(conn, conn->control->alone ? "it was started to answer a question: it has no configuration of its own" :
                                                            "no memory");
                return NULL;
        }
        waiting->job = (struct control_job){ .conn = conn, .cancel = cancel };
        waiting->waiter = (struct reload_waiter){ .done = on_done, .context = waiting };
        waiting->type = type;
        waiting->began_us = monotonic_us();
        return waiting;
}

void control_waiting_complaints(struct control_waiting *waiting, struct conf_complaints *complaints)
{
        struct json_line *out = &waiting->job.conn->out;

        for (size_t i = 0; i < complaints->count; i++) {
                const struct conf_complaint *complaint = &complaints->list[i];

                json_line_begin(out, "complaint");
                json_line_text(out, "file", complaint->file);
                json_line_number(out, "line", complaint->line);
                json_line_number(out, "column", complaint->column);
                json_line_flag(out, "warning", complaint->warning);
                json_line_text(out, "text", complaint->text);
                json_line_end(out);
        }
        conf_complaints_fini(complaints);
}

void control_waiting_taken(struct control_waiting *waiting, const struct conf_difference *difference)
{
        struct control_conn *conn = waiting->job.conn;

        waiting->difference = *difference;
        conn->job = &waiting->job;
        reload_wait(&conn->control->supervisor->reload, &waiting->waiter);
        control_flush(conn, false);
}

void control_waiting_refused(struct control_waiting *waiting)
{
        end(waiting, false, false);
}

void control_waiting_failed(struct control_waiting *waiting, const char *error)
{
        struct control_conn *conn = waiting->job.conn;

        free(waiting);
        control_refuse(conn, error);
}
