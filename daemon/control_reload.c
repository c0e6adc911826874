/* SPDX-License-Identifier: BSD-3-Clause */
/* "reload": the configuration is read anew. */
#include "control_waiting.h"
#include "supervisor.h"

void control_reload(struct control_conn *conn, const char *words)
{
        struct control_waiting *waiting = control_waiting_new(conn, "reload");
        struct reload_told told;

        if (!waiting)
                return;
        reload_run(&conn->control->supervisor->reload, &told);
        control_waiting_complaints(waiting, &told.complaints);
        if (told.good)
                control_waiting_taken(waiting, &told.difference);
        else
                control_waiting_refused(waiting);
}
