/* SPDX-License-Identifier: BSD-3-Clause */
/* One who asks at the control socket. What the files that answer share. */
#ifndef HG_CONTROL_CONN_H
#define HG_CONTROL_CONN_H

#include "control.h"
#include "json_line.h"

struct control_conn;

/* An answer in the making. @cancel frees it; it says nothing more. */
struct control_job {
        struct control_conn *conn;
        void (*cancel)(struct control_job *job);
};

struct control_conn {
        struct list in_control;
        struct control *control;
        int fd;
        ev_io readable, writable;
        ev_timer patience;
        char line[CONTROL_LINE_MAX];
        size_t line_len;
        int handed;                     /* a descriptor that came with the request; -1: none */
        struct json_line out;
        size_t sent;
        struct control_job *job;        /* NULL: not asked yet, or answered */
        bool answered;
};

/* Whether it was root who connected. */
bool control_is_root(const struct control_conn *conn);

/* Lines were added to @conn->out. The connection may be gone afterwards if @end: the answer is complete, its job (freed by who made it) is
 * no longer there. */
void control_flush(struct control_conn *conn, bool end);

/* {"type": "end", "error": @error}, and flushes. */
void control_refuse(struct control_conn *conn, const char *error);

/* The same where it lacks @role, with {"needs": @role}: of several that are asked, others are meant. */
void control_refuse_role(struct control_conn *conn, const char *role, const char *error);

/* The requests. @words: what follows the first one. Each answers at once or leaves a job. */
void control_add(struct control_conn *conn, const char *words);
void control_remove(struct control_conn *conn, const char *words);
void control_allow(struct control_conn *conn, const char *words);
void control_allowed(struct control_conn *conn, const char *words);
void control_deny(struct control_conn *conn, const char *words);
void control_drain(struct control_conn *conn, const char *words);
void control_undrain(struct control_conn *conn, const char *words);
void control_scan(struct control_conn *conn, const char *words);
void control_doctor(struct control_conn *conn, const char *words);
void control_log_level(struct control_conn *conn, const char *words);
void control_peers(struct control_conn *conn, const char *words);
void control_relays(struct control_conn *conn, const char *words);
void control_reload(struct control_conn *conn, const char *words);
void control_gates(struct control_conn *conn, const char *words);
void control_services(struct control_conn *conn, const char *words);
void control_routes(struct control_conn *conn, const char *words);
void control_channels(struct control_conn *conn, const char *words);
void control_status(struct control_conn *conn, const char *words);

#endif
