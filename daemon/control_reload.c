/* SPDX-License-Identifier: BSD-3-Clause */
/* "reload": the configuration is read anew. "reload secret", and with it a sealed copy of the secret file: that comes from there, where the
 * instance may not read it itself. */
#include <string.h>

#include "control_waiting.h"
#include "ipc_blob.h"
#include "ipc_fd.h"
#include "supervisor.h"

/* NULL, or why not. What is not sealed could be a pipe, and be waited for, or become something else meanwhile. */
static const char *refuse(const struct control_conn *conn, bool handed)
{
        if (!handed)
                return conn->handed < 0 ? NULL : "reload: a descriptor came that nobody has asked for";
        if (!control_is_root(conn))
                return "only root hands a secret over; who it runs as lets it read its file";
        return conn->handed >= 0 && ipc_blob_is_sealed(conn->handed) ? NULL : "reload: the secret came not as a sealed memory file";
}

void control_reload(struct control_conn *conn, const char *words)
{
        bool handed = strcmp(words, "secret") == 0;
        const char *why = *words && !handed ? "reload: of another version?" : refuse(conn, handed);
        struct control_waiting *waiting;
        struct reload_told told;

        if (why) {
                control_refuse(conn, why);
                return;
        }
        waiting = control_waiting_new(conn, "reload");
        if (!waiting)
                return;
        reload_run(&conn->control->supervisor->reload, conn->handed, &told);
        close_fdp(&conn->handed);
        fetches_refresh(&conn->control->supervisor->fetches);
        control_waiting_complaints(waiting, &told.complaints);
        if (told.good)
                control_waiting_taken(waiting, &told.difference);
        else
                control_waiting_refused(waiting);
}
