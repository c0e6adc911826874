/* SPDX-License-Identifier: BSD-3-Clause */
/* "reload": a line "complaint" for each of the configuration, which is read anew, then one "reload": whether it is what runs now, and since
 * when all workers know. For root and for who we are. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control_conn.h"
#include "monotonic.h"
#include "supervisor.h"

struct reloading {
        struct control_job job;
        struct reload_waiter waiter;
        struct conf_difference difference;
        usec_t began_us;
};

static void cancel(struct control_job *job)
{
        struct reloading *reloading = container_of(job, struct reloading, job);

        reload_cancel(&reloading->waiter);
        free(reloading);
}

static void write_complaints(struct json_line *out, const struct conf_complaints *complaints)
{
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
}

static void end(struct control_conn *conn, bool good, bool confirmed, const struct conf_difference *difference, usec_t began_us)
{
        struct json_line *out = &conn->out;

        json_line_begin(out, "reload");
        json_line_text(out, "instance", conn->control->supervisor->asked_as);
        json_line_flag(out, "good", good);
        json_line_flag(out, "confirmed", confirmed);
        json_line_flag(out, "changed", good && difference->parts);
        json_line_number(out, "servicesAdded", difference->added);
        json_line_number(out, "servicesRemoved", difference->removed);
        json_line_decimal(out, "tookMs", (double)(monotonic_us() - began_us) / 1e3);
        json_line_end(out);
        json_line_begin(out, "end");
        json_line_end(out);
        control_flush(conn, true);
}

static void on_done(void *context, bool confirmed)
{
        struct reloading *reloading = context;
        struct control_conn *conn = reloading->job.conn;
        struct conf_difference difference = reloading->difference;
        usec_t began_us = reloading->began_us;

        free(reloading);
        end(conn, true, confirmed, &difference, began_us);
}

/* The socket is theirs alone already. */
static bool may(const struct control_conn *conn)
{
        struct ucred who;
        socklen_t len = sizeof(who);

        return getsockopt(conn->fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && (who.uid == 0 || who.uid == geteuid());
}

void control_reload(struct control_conn *conn, const char *words)
{
        struct reload *reload = &conn->control->supervisor->reload;
        struct reloading *reloading = may(conn) && !conn->control->alone ? calloc(1, sizeof(*reloading)) : NULL;
        struct reload_told told;

        if (!reloading) {
                control_refuse(conn, conn->control->alone ? "it was started to answer a question: it has no configuration of its own" :
                                     may(conn)            ? "no memory" :
                                                            "only root, and the user it runs as, may reload it");
                return;
        }
        reloading->began_us = monotonic_us();
        reload_run(reload, &told);
        write_complaints(&conn->out, &told.complaints);
        conf_complaints_fini(&told.complaints);
        if (!told.good) {
                end(conn, false, false, &told.difference, reloading->began_us);
                free(reloading);
                return;
        }
        reloading->job = (struct control_job){ .conn = conn, .cancel = cancel };
        reloading->waiter = (struct reload_waiter){ .done = on_done, .context = reloading };
        reloading->difference = told.difference;
        conn->job = &reloading->job;
        reload_wait(reload, &reloading->waiter);
        control_flush(conn, false);
}
