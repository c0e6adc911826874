/* SPDX-License-Identifier: BSD-3-Clause */
/* A connection to the engine, by the supervisor: one question at a time, and what comes of it. */
#ifndef HG_DOCKER_CONN_H
#define HG_DOCKER_CONN_H

#include "docker_http.h"
#include "ipc_docker.h"
#include "run.h"

enum { DOCKER_ASK_MAX = 8192 };         /* bytes of a request */

struct docker_conn;

/* Told from the loop alone, and nothing is read of @conn after such a call. */
struct docker_conn_events {
        void (*open)(void *context, struct docker_conn *conn);          /* a question can be asked */
        void (*answered)(void *context, struct docker_conn *conn);      /* @http is the answer */
        void (*passed)(void *context, struct docker_conn *conn);        /* more of one that is not kept */
        void (*lost)(void *context, struct docker_conn *conn, const char *why); /* let it go; @why: NULL if the supervisor has said it */
};

struct docker_conn {
        struct worker *worker;
        enum ipc_docker_use use;
        int fd;                         /* -1: none, */
        bool wanted;                    /* but it is asked for */
        ev_io readable, writable;
        char out[DOCKER_ASK_MAX];
        size_t out_len, out_at;
        struct docker_http http;
        const struct docker_conn_events *events;
        void *context;
};

void docker_conn_init(struct docker_conn *conn, struct worker *worker, enum ipc_docker_use use, const struct docker_conn_events *events,
                      void *context);

/* Asks the supervisor for one, if there is none. */
void docker_conn_want(struct docker_conn *conn);

/* It has come, or has not. False: nobody asked for it. */
bool docker_conn_take(struct docker_conn *conn, const struct ipc_docker_socket *said, struct ipc_received *message);

/* Sent as the socket takes it. False: it is longer than may be. */
bool docker_conn_ask(struct docker_conn *conn, const char *method, const char *path, const char *json);

void docker_conn_let_go(struct docker_conn *conn);

#endif
