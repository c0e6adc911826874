/* SPDX-License-Identifier: BSD-3-Clause */
/* The answer to who has asked for another configuration: a line "complaint" for each that there is, then one that says whether it is what
 * runs now, and since when all workers know. */
#ifndef HG_CONTROL_WAITING_H
#define HG_CONTROL_WAITING_H

#include "conf.h"
#include "control_conn.h"

struct control_waiting;

/* Its last line has @type, a literal. NULL: @conn was refused: no memory, or an instance without a configuration of its own. */
struct control_waiting *control_waiting_new(struct control_conn *conn, const char *type);

/* Tells all of @complaints, and ends them. */
void control_waiting_complaints(struct control_waiting *waiting, struct conf_complaints *complaints);

/* One of these ends it: it was taken, with that @difference, so that workers are waited for; it was not, as its complaints say; or because
 * of @error. */
void control_waiting_taken(struct control_waiting *waiting, const struct conf_difference *difference);
void control_waiting_refused(struct control_waiting *waiting);
void control_waiting_failed(struct control_waiting *waiting, const char *error);

#endif
