/* SPDX-License-Identifier: BSD-3-Clause */
#include "docker_conn.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024, READS_PER_TURN = 16 };

static void lose(struct docker_conn *conn, const char *why)
{
        conn->events->lost(conn->context, conn, why);
}

/* False: @conn is over, or has another question by now. */
static bool take(struct docker_conn *conn, const uint8_t *bytes, size_t len)
{
        enum docker_http_verdict verdict;
        size_t taken = 0;

        verdict = len ? docker_http_take(&conn->http, bytes, len, &taken) : docker_http_end(&conn->http);
        if (verdict == DOCKER_HTTP_MORE) {
                if (conn->use == IPC_DOCKER_EVENTS)
                        conn->events->passed(conn->context, conn);
                return true;
        }
        if (!len || taken != len)
                conn->http.closes = true;       /* nobody asked for more */
        if (verdict == DOCKER_HTTP_BAD || conn->use == IPC_DOCKER_EVENTS)
                lose(conn, len ? "what it says is no HTTP, or too much" : "it hangs up before it has said all");
        else
                conn->events->answered(conn->context, conn);
        return false;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct docker_conn *conn = watcher->data;
        static uint8_t bytes[READ_BYTES];

        for (int i = 0; i < READS_PER_TURN; i++) {
                ssize_t len = read(conn->fd, bytes, sizeof(bytes));

                if (len < 0 && (errno == EAGAIN || errno == EINTR))
                        return;
                if (len < 0) {
                        lose(conn, strerror(errno));
                        return;
                }
                if (!take(conn, bytes, (size_t)len))
                        return;
        }
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct docker_conn *conn = watcher->data;
        ssize_t len = write(conn->fd, conn->out + conn->out_at, conn->out_len - conn->out_at);

        if (len < 0 && errno != EAGAIN && errno != EINTR) {
                lose(conn, strerror(errno));
                return;
        }
        conn->out_at += len > 0 ? (size_t)len : 0;
        if (conn->out_at == conn->out_len)
                ev_io_stop(loop, watcher);
}

void docker_conn_init(struct docker_conn *conn, struct worker *worker, enum ipc_docker_use use, const struct docker_conn_events *events,
                      void *context)
{
        conn->worker = worker;
        conn->use = use;
        conn->fd = -1;
        conn->events = events;
        conn->context = context;
        ev_init(&conn->readable, on_readable);
        ev_init(&conn->writable, on_writable);
        conn->readable.data = conn->writable.data = conn;
}

void docker_conn_want(struct docker_conn *conn)
{
        struct ipc_docker_want want = { .use = conn->use };

        if (conn->wanted || conn->fd >= 0)
                return;
        conn->wanted = true;
        worker_send(&conn->worker->supervisor, IPC_DOCKER_WANT, &want, NULL, 0);
}

bool docker_conn_take(struct docker_conn *conn, const struct ipc_docker_socket *said, struct ipc_received *message)
{
        if (!conn->wanted || (message->fd_count == 0) != (said->error != 0))
                return false;
        conn->wanted = false;
        if (said->error) {
                lose(conn, NULL);
                return true;
        }
        conn->fd = ipc_received_take_fd(message, 0);
        ev_io_set(&conn->readable, conn->fd, EV_READ);
        ev_io_set(&conn->writable, conn->fd, EV_WRITE);
        ev_io_start(conn->worker->loop, &conn->readable);
        conn->events->open(conn->context, conn);
        return true;
}

bool docker_conn_ask(struct docker_conn *conn, const char *method, const char *path, const char *json)
{
        docker_http_fini(&conn->http);
        docker_http_init(&conn->http, conn->use == IPC_DOCKER_EVENTS);
        conn->out_len = docker_http_ask(conn->out, sizeof(conn->out), method, path, json);
        conn->out_at = 0;
        if (conn->out_len)
                ev_io_start(conn->worker->loop, &conn->writable);
        return conn->out_len > 0;
}

void docker_conn_let_go(struct docker_conn *conn)
{
        ev_io_stop(conn->worker->loop, &conn->readable);
        ev_io_stop(conn->worker->loop, &conn->writable);
        if (conn->fd >= 0)
                close(conn->fd);
        conn->fd = -1;
        docker_http_fini(&conn->http);
}
