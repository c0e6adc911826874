/* SPDX-License-Identifier: BSD-3-Clause */
/* "log-level" or "log-level LEVEL": a line, how much is logged; with LEVEL, from now on, by the supervisor and all workers. It lasts until
 * the instance ends. */
#include <string.h>

#include "control_conn.h"
#include "supervisor.h"

/* False: no such level. */
static bool set(struct supervisor *supervisor, const char *word)
{
        for (int i = 0; conf_log_levels[i]; i++) {
                struct ipc_fields fields = IPC_FIELDS_INIT;

                if (strcmp(conf_log_levels[i], word) != 0)
                        continue;
                supervisor->log->level = CONF_LOG_LEVEL_FIRST + i;
                children_log_level(&supervisor->children, supervisor->log->level);
                ipc_fields_text(&fields, "LEVEL", word);
                log_event(supervisor->log, IPC_EVENT_LOG_LEVEL, LOG_NOTICE, fields.list, "the log has the level %s now", word);
                return true;
        }
        return false;
}

void control_log_level(struct control_conn *conn, const char *words)
{
        struct supervisor *supervisor = conn->control->supervisor;

        if (*words && !set(supervisor, words)) {
                control_refuse(conn, "log-level: error, warning, notice, info or debug?");
                return;
        }
        json_line_begin(&conn->out, "log-level");
        json_line_text(&conn->out, "level", conf_log_levels[supervisor->log->level - CONF_LOG_LEVEL_FIRST]);
        json_line_flag(&conn->out, "channels", supervisor->children.log_channels);
        json_line_end(&conn->out);
        json_line_begin(&conn->out, "end");
        json_line_end(&conn->out);
        control_flush(conn, true);
}
