/* SPDX-License-Identifier: BSD-3-Clause */
#include "docker_process.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "docker_requests.h"
#include "docker_round.h"
#include "host_name.h"

#define EVENTS_AGAIN_S 0.5

static void on_answer(struct docker *docker)
{
        struct docker_http http = docker->ask.http;     /* the next question begins anew */

        docker->ask.http.body = NULL;
        if (http.closes)
                docker_conn_let_go(&docker->ask);
        docker_answer(docker, &http);
        docker_http_fini(&http);
}

/* --- Events --- */

static void ask_events(struct docker *docker)
{
        char path[DOCKER_PATH_MAX];

        if (docker_path_events(path, sizeof(path), docker->minor ? docker->minor : DOCKER_API_MIN))
                docker_conn_ask(&docker->events, "GET", path, NULL);
}

/* What happened before they are heard is seen by a round that begins afterwards. */
static void on_events(struct docker *docker)
{
        const struct docker_http *http = &docker->events.http;
        bool heard = http->status && docker->passed == UINT64_MAX;

        if (heard || (http->status && http->passed != docker->passed)) {
                docker->passed = http->passed;
                docker->again = true;
                if (docker->step == DOCKER_IDLE)
                        docker_set_due(docker, DOCKER_SOON_S);
        }
}

/* The next round asks for others. */
static void lose_events(struct docker *docker)
{
        docker_conn_let_go(&docker->events);
        docker->passed = UINT64_MAX;
        if (docker->step == DOCKER_IDLE && !docker->failures)
                docker_set_due(docker, EVENTS_AGAIN_S);
}

/* --- Connections --- */

static void on_open(void *context, struct docker_conn *conn)
{
        if (conn->use == IPC_DOCKER_EVENTS)
                ask_events(context);
        else
                docker_ask(context);
}

static void on_answered(void *context, struct docker_conn *conn)
{
        on_answer(context);
}

static void on_passed(void *context, struct docker_conn *conn)
{
        on_events(context);
}

static void on_lost(void *context, struct docker_conn *conn, const char *why)
{
        struct docker *docker = context;

        if (conn->use == IPC_DOCKER_EVENTS && why)
                lose_events(docker);
        else if (conn->use == IPC_DOCKER_ASK && docker->step != DOCKER_IDLE)
                docker_fail(docker, why);
        else
                docker_conn_let_go(conn);
}

static const struct docker_conn_events conn_events = { .open = on_open, .answered = on_answered, .passed = on_passed, .lost = on_lost };

static void on_due(struct ev_loop *loop, ev_timer *timer, int events)
{
        docker_begin_round(timer->data);
}

static void on_impatience(struct ev_loop *loop, ev_timer *timer, int events)
{
        docker_fail(timer->data, "it does not answer");
}

/* --- The supervisor --- */

static bool is_text(const char *text, size_t size)
{
        return memchr(text, '\0', size);
}

static bool is_name(const char *text, size_t size)
{
        size_t len = strnlen(text, size);

        return len > 0 && len < size && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == len;
}

static bool is_hex(const char *text, size_t size)
{
        return is_text(text, size) && strspn(text, "0123456789abcdef") == size - 1;
}

static bool is_good(const struct ipc_docker_conf *conf)
{
        bool good = conf->network_count > 0 && conf->network_count <= IPC_NETWORKS_MAX && conf->refresh_ms > 0 && conf->services <= 1 &&
                    conf->hosts <= 1 && is_text(conf->image, sizeof(conf->image)) && is_text(conf->socket, sizeof(conf->socket)) &&
                    (!conf->self[0] || is_hex(conf->self, sizeof(conf->self)));

        for (unsigned i = 0; good && i < conf->network_count; i++)
                good = is_name(conf->network[i], sizeof(conf->network[i]));
        return good && (!conf->hosts || (conf->socket[0] == '/' && is_hex(conf->id, sizeof(conf->id)) && !conf->read_only));
}

static void configure(struct docker *docker, const struct ipc_docker_conf *conf)
{
        struct docker_making *making = &docker->making;
        const char *file = strrchr(conf->socket, '/');

        docker->conf = *conf;
        for (unsigned i = 0; i < conf->network_count; i++)
                docker->networks[i] = docker->conf.network[i];
        snprintf(making->life, sizeof(making->life), "%016" PRIx64, conf->life);
        if (file) {
                making->file = docker->conf.socket + (file - conf->socket) + 1;
                snprintf(making->folder, sizeof(making->folder), "%.*s", (int)(file - conf->socket), conf->socket);
        }
        docker->configured = true;
}

/* Hosts alone change while it lives. */
static void on_begin(void *context, struct worker_link *from, struct ipc_received *message)
{
        ((struct docker *)context)->told_of.count = 0;
}

static void on_conf(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_docker_conf *conf = IPC_PAYLOAD(message, struct ipc_docker_conf);
        struct docker *docker = context;

        if (!is_good(conf))
                worker_disown(from);
        else if (!docker->configured)
                configure(docker, conf);
}

static void on_host(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_docker_host *host = IPC_PAYLOAD(message, struct ipc_docker_host);
        struct docker_wanted *told_of = &((struct docker *)context)->told_of;

        if (!is_text(host->host, sizeof(host->host)) || !host_name_is_given(host->host) || told_of->count == DOCKER_HOSTS_MAX)
                worker_disown(from);
        else
                memcpy(told_of->name[told_of->count++], host->host, sizeof(host->host));
}

static bool same_hosts(const struct docker_wanted *a, const struct docker_wanted *b)
{
        for (size_t i = 0; i < a->count && i < b->count; i++)
                if (strcmp(a->name[i], b->name[i]) != 0)
                        return false;
        return a->count == b->count;
}

/* Who does not answer is asked when it is time to. */
static void on_end(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct docker *docker = context;
        bool first = !docker->begun;

        if (!docker->configured) {
                worker_disown(from);
                return;
        }
        if (!first && same_hosts(&docker->told_of, &docker->wanted))
                return;
        docker->wanted = docker->told_of;
        docker->wanted_new = docker->begun = true;
        if (docker->step == DOCKER_IDLE && !docker->failures)
                docker_set_due(docker, first ? 0 : DOCKER_SOON_S);
}

static void on_socket(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_docker_socket *said = IPC_PAYLOAD(message, struct ipc_docker_socket);
        struct docker *docker = context;

        if (said->use >= IPC_DOCKER_USES ||
            !docker_conn_take(said->use == IPC_DOCKER_EVENTS ? &docker->events : &docker->ask, said, message))
                worker_disown(from);
}

const struct worker_handlers docker_handlers = {
        .message = { [IPC_CONF_BEGIN] = on_begin, [IPC_CONF_END] = on_end, [IPC_DOCKER_CONF] = on_conf, [IPC_DOCKER_HOST] = on_host,
                     [IPC_DOCKER_SOCKET] = on_socket },
};

void docker_init(struct docker *docker)
{
        docker_conn_init(&docker->ask, &docker->worker, IPC_DOCKER_ASK, &conn_events, docker);
        docker_conn_init(&docker->events, &docker->worker, IPC_DOCKER_EVENTS, &conn_events, docker);
        docker->passed = UINT64_MAX;
        ev_init(&docker->due, on_due);
        ev_timer_init(&docker->patience, on_impatience, 0, 0);
        docker->due.data = docker->patience.data = docker;
}

void docker_fini(struct docker *docker)
{
        docker_conn_let_go(&docker->ask);
        docker_conn_let_go(&docker->events);
        ev_timer_stop(docker->worker.loop, &docker->due);
        ev_timer_stop(docker->worker.loop, &docker->patience);
}
