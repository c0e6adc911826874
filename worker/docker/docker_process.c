/* SPDX-License-Identifier: BSD-3-Clause */
#include "docker_process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOON_S 0.03                     /* after something happened: more of it may follow */
#define PATIENCE_S 10.0
#define RETRY_FIRST_S 0.5
#define RETRY_LAST_S 5.0                /* it is on this machine */

enum { READ_BYTES = 64 * 1024, READS_PER_TURN = 16, FAILURES_MAX = 5, FILTERS_MAX = 1536 };

static void proceed(struct docker *docker);

/* --- What is said --- */

static uint64_t add_hash(uint64_t hash, const char *text, size_t len)
{
        for (size_t i = 0; i < len; i++)
                hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3;       /* FNV-1a, 64 bit */
        return hash * 0x100000001b3;
}

static bool has_told(const struct docker_told *told, uint64_t hash)
{
        for (size_t i = 0; i < told->count; i++)
                if (told->list[i] == hash)
                        return true;
        return false;
}

/* True: neither in this round nor in the one before. */
static bool is_news(struct docker *docker, const char *name, const char *what, const char *entry, size_t entry_len)
{
        uint64_t hash = add_hash(add_hash(add_hash(0xcbf29ce484222325, name, strlen(name)), what, strlen(what)), entry, entry_len);
        bool news = !has_told(&docker->told, hash) && !has_told(&docker->told_before, hash);

        if (docker->told.count == DOCKER_TOLD_MAX)
                return false;
        docker->told.list[docker->told.count++] = hash;
        return news;
}

static void on_complaint(void *context, const struct docker_container *container, const char *label, const char *entry, size_t entry_len)
{
        struct docker *docker = context;
        char shown[48];
        size_t len = 0;

        if (!is_news(docker, container->name, label, entry, entry_len))
                return;
        for (; len < entry_len && len + 1 < sizeof(shown); len++)
                shown[len] = entry[len] >= ' ' && entry[len] <= '~' ? entry[len] : '?';
        shown[len] = '\0';
        worker_log(&docker->worker, LOG_WARNING, "container %s: label %s: \"%s\" is none of its entries and is passed over: write %s",
                   container->name, label, shown,
                   strcmp(label, "hypergate.EXPOSE") == 0 ? "PORT, PORT:PUBLIC or either with /tcp or /udp, such as 80:8080/tcp" :
                                                            "PORT, PORT/tcp, PORT/udp or *");
}

/* --- Connections --- */

static void let_go(struct docker_conn *conn)
{
        ev_io_stop(conn->docker->worker.loop, &conn->readable);
        ev_io_stop(conn->docker->worker.loop, &conn->writable);
        if (conn->fd >= 0)
                close(conn->fd);
        conn->fd = -1;
        docker_http_fini(&conn->http);
}

static void want(struct docker_conn *conn)
{
        struct ipc_docker_want want = { .use = conn->use };

        if (conn->wanted || conn->fd >= 0)
                return;
        conn->wanted = true;
        worker_send(&conn->docker->worker.supervisor, IPC_DOCKER_WANT, &want, NULL, 0);
}

static void set_due(struct docker *docker, double after_s)
{
        ev_timer_stop(docker->worker.loop, &docker->due);
        ev_timer_set(&docker->due, after_s, 0);
        ev_timer_start(docker->worker.loop, &docker->due);
}

/* A round that is over without a result: what was found before stays. @why: NULL if the supervisor has said it. */
static void fail(struct docker *docker, const char *why)
{
        double wait_s = RETRY_FIRST_S;

        let_go(&docker->ask);
        ev_timer_stop(docker->worker.loop, &docker->patience);
        docker->step = DOCKER_IDLE;
        docker->minor = 0;              /* another engine may come back */
        docker->failures += docker->failures < FAILURES_MAX;
        for (unsigned i = 1; i < docker->failures; i++)
                wait_s *= 2;
        if (why && strcmp(docker->why, why) != 0) {
                snprintf(docker->why, sizeof(docker->why), "%s", why);
                worker_log(&docker->worker, LOG_WARNING, "the Docker engine: %s; what was found before stays, trying again", docker->why);
        }
        set_due(docker, wait_s < RETRY_LAST_S ? wait_s : RETRY_LAST_S);
}

/* Sent as the socket takes it. */
static void put(struct docker_conn *conn, const char *method, const char *path, const char *json)
{
        struct ev_loop *loop = conn->docker->worker.loop;

        docker_http_fini(&conn->http);
        docker_http_init(&conn->http, conn->use == IPC_DOCKER_EVENTS);
        conn->out_len = docker_http_ask(conn->out, sizeof(conn->out), method, path, json);
        conn->out_at = 0;
        if (conn->out_len)
                ev_io_start(loop, &conn->writable);
        if (conn->use == IPC_DOCKER_ASK)
                ev_timer_again(loop, &conn->docker->patience);
}

/* False: it is of no use any more. */
static bool send_out(struct docker_conn *conn)
{
        ssize_t len = write(conn->fd, conn->out + conn->out_at, conn->out_len - conn->out_at);

        if (len < 0)
                return errno == EAGAIN || errno == EINTR;
        conn->out_at += (size_t)len;
        if (conn->out_at == conn->out_len)
                ev_io_stop(conn->docker->worker.loop, &conn->writable);
        return true;
}

/* --- A round --- */

/* "{"network":["a","b"],"status":["running"]}" as part of a path. */
static bool put_filters(const struct docker *docker, char *out, size_t size)
{
        char json[FILTERS_MAX];
        size_t len = (size_t)snprintf(json, sizeof(json), "{\"status\":[\"running\"],\"network\":[");

        for (unsigned i = 0; i < docker->conf.network_count && len < sizeof(json); i++)
                len += (size_t)snprintf(json + len, sizeof(json) - len, "%s\"%s\"", i ? "," : "", docker->conf.network[i]);
        if (len < sizeof(json))
                len += (size_t)snprintf(json + len, sizeof(json) - len, "]}");
        return len < sizeof(json) && docker_http_escape(out, size, json);
}

static void ask_list(struct docker *docker)
{
        char filters[DOCKER_ASK_MAX / 2 + 512], path[DOCKER_ASK_MAX - 128];

        if (!put_filters(docker, filters, sizeof(filters)) ||
            snprintf(path, sizeof(path), "/v1.%u/containers/json?filters=%s", docker->minor, filters) >= (int)sizeof(path))
                fail(docker, "the names of the networks are longer than a question may be");
        else
                put(&docker->ask, "GET", path, NULL);
}

static void ask_create(struct docker *docker)
{
        char path[64], json[IPC_NETWORK_MAX + 64];

        snprintf(path, sizeof(path), "/v1.%u/networks/create", docker->minor);
        snprintf(json, sizeof(json), "{\"Name\":\"%s\",\"Driver\":\"bridge\",\"CheckDuplicate\":true}", docker->conf.network[docker->at]);
        put(&docker->ask, "POST", path, json);
}

/* Asks what this step is about. */
static void ask(struct docker *docker)
{
        char path[IPC_NETWORK_MAX + 64];

        switch (docker->step) {
        case DOCKER_VERSION:
                put(&docker->ask, "GET", "/version", NULL);
                break;
        case DOCKER_NETWORK:
                snprintf(path, sizeof(path), "/v1.%u/networks/%s", docker->minor, docker->conf.network[docker->at]);
                put(&docker->ask, "GET", path, NULL);
                break;
        case DOCKER_CREATE:
                ask_create(docker);
                break;
        case DOCKER_LIST:
                ask_list(docker);
                break;
        case DOCKER_INSPECT:
                snprintf(path, sizeof(path), "/v1.%u/containers/%s/json", docker->minor, docker->ids.list[docker->at]);
                put(&docker->ask, "GET", path, NULL);
                break;
        case DOCKER_IDLE:
                break;
        }
}

static void proceed(struct docker *docker)
{
        if (docker->ask.fd < 0)
                want(&docker->ask);
        else
                ask(docker);
}

static void begin_round(struct docker *docker)
{
        if (docker->step != DOCKER_IDLE) {
                docker->again = true;
                return;
        }
        ev_timer_stop(docker->worker.loop, &docker->due);
        docker->again = false;
        docker->at = 0;
        docker->found.count = docker->found.more = 0;
        docker->told_before = docker->told;
        docker->told.count = 0;
        docker->step = docker->minor ? DOCKER_NETWORK : DOCKER_VERSION;
        proceed(docker);
}

static bool same_services(const struct docker_services *a, const struct docker_services *b)
{
        return a->count == b->count && memcmp(a->list, b->list, a->count * sizeof(a->list[0])) == 0;
}

static void tell(struct docker *docker)
{
        struct worker_link *to = &docker->worker.supervisor;
        struct ipc_docker_list list = { .count = (uint32_t)docker->found.count };

        if (docker->has_sent && same_services(&docker->found, &docker->sent))
                return;
        worker_send(to, IPC_DOCKER_BEGIN, &list, NULL, 0);
        for (size_t i = 0; i < docker->found.count; i++)
                worker_send(to, IPC_DOCKER_SERVICE, &docker->found.list[i], NULL, 0);
        worker_send(to, IPC_DOCKER_END, &list, NULL, 0);
        docker->sent = docker->found;
        docker->has_sent = true;
}

static void end_round(struct docker *docker)
{
        size_t left = docker->found.more + docker->ids.more;

        ev_timer_stop(docker->worker.loop, &docker->patience);
        docker->step = DOCKER_IDLE;
        docker->failures = 0;
        if (docker->why[0])
                worker_log(&docker->worker, LOG_NOTICE, "the Docker engine answers again");
        docker->why[0] = '\0';
        if (left && is_news(docker, "", "more", "", 0))
                worker_log(&docker->worker, LOG_WARNING, "more services in containers than %d, or containers than %d: the rest is passed "
                           "over", DOCKER_SERVICES_MAX, DOCKER_CONTAINERS_MAX);
        tell(docker);
        set_due(docker, docker->again ? SOON_S : (double)docker->conf.refresh_ms / 1e3);
        want(&docker->events);
}

static void next_step(struct docker *docker, enum docker_step step, size_t at)
{
        docker->step = step;
        docker->at = at;
        if (step == DOCKER_NETWORK && at >= docker->conf.network_count)
                docker->step = DOCKER_LIST;
        if (step == DOCKER_INSPECT && at >= docker->ids.count)
                end_round(docker);
        else
                proceed(docker);
}

/* --- Answers --- */

static void take_version(struct docker *docker, const struct docker_http *http)
{
        unsigned minor, theirs = 0;
        char why[DOCKER_WHY_MAX];

        if (http->status == 200 && http->body && docker_version_read(http->body, http->body_len, &minor, &theirs)) {
                worker_log(&docker->worker, LOG_INFO, "the Docker engine speaks API 1.%u: asking it by 1.%u", theirs, minor);
                docker->minor = minor;
                next_step(docker, DOCKER_NETWORK, 0);
                return;
        }
        if (theirs)
                snprintf(why, sizeof(why), "it speaks API 1.%u: from 1.%d to 1.%d is known here", theirs, DOCKER_API_MIN, DOCKER_API_MAX);
        else
                snprintf(why, sizeof(why), "no version of a Docker engine (status %u): is that its socket?", http->status);
        fail(docker, why);
}

static void take_network(struct docker *docker, const struct docker_http *http)
{
        const char *name = docker->conf.network[docker->at];
        char driver[32];

        if (http->status == 404 && !docker->conf.read_only) {
                next_step(docker, DOCKER_CREATE, docker->at);
                return;
        }
        if (http->status == 404 && is_news(docker, name, "missing", "", 0))
                worker_log(&docker->worker, LOG_WARNING, "Docker network %s: there is none, and readOnly is set: docker network create %s",
                           name, name);
        else if (http->status == 200 && http->body && docker_network_read(http->body, http->body_len, driver, sizeof(driver)) &&
                 strcmp(driver, "bridge") != 0 && is_news(docker, name, "driver", driver, strlen(driver)))
                worker_log(&docker->worker, LOG_WARNING, "Docker network %s is of driver %s, not bridge: whether its containers can be "
                           "reached from here is up to that", name, driver);
        next_step(docker, DOCKER_NETWORK, docker->at + 1);
}

/* 409: somebody else was faster. */
static void take_created(struct docker *docker, const struct docker_http *http)
{
        const char *name = docker->conf.network[docker->at];
        char why[DOCKER_WHY_MAX];

        if (http->status != 201 && http->status != 200 && http->status != 409) {
                snprintf(why, sizeof(why), "network %.100s can't be made (status %u)", name, http->status);
                for (char *at = why; *at; at++)
                        *at = *at >= ' ' && *at <= '~' ? *at : '?';
                fail(docker, why);
                return;
        }
        if (http->status != 409)
                worker_log(&docker->worker, LOG_NOTICE, "Docker network %s: made, as there was none", name);
        next_step(docker, DOCKER_NETWORK, docker->at + 1);
}

static void take_list(struct docker *docker, const struct docker_http *http)
{
        if (http->status == 200 && http->body && docker_ids_read(http->body, http->body_len, &docker->ids))
                next_step(docker, DOCKER_INSPECT, 0);
        else
                fail(docker, "no list of containers comes of it");
}

static void add_services(struct docker *docker, const struct docker_container *container)
{
        for (size_t i = 0; i < container->ports.count; i++) {
                const struct docker_port *port = &container->ports.list[i];
                struct ipc_docker_service *service = &docker->found.list[docker->found.count];

                if (docker->found.count == DOCKER_SERVICES_MAX) {
                        docker->found.more++;
                        continue;
                }
                docker->found.count++;
                memset(service, 0, sizeof(*service));
                service->gate_port = port->outside ? port->outside : port->inside;
                service->service_port = port->inside;
                service->protocol = port->protocol;
                service->published = port->outside != 0;
                memcpy(service->ip, container->ip, sizeof(service->ip));
                memcpy(service->host, container->host, strlen(container->host) + 1);
        }
        if (container->ports.more && is_news(docker, container->name, "ports", "", 0))
                worker_log(&docker->worker, LOG_WARNING, "container %s: more than %d ports: the rest is passed over", container->name,
                           DOCKER_PORTS_MAX);
}

/* 404: it is gone since. */
static void take_container(struct docker *docker, const struct docker_http *http)
{
        const char *networks[IPC_NETWORKS_MAX];
        struct docker_container container;

        for (unsigned i = 0; i < docker->conf.network_count; i++)
                networks[i] = docker->conf.network[i];
        if (http->status == 200 && (!http->body || !docker_container_read(http->body, http->body_len, networks, docker->conf.network_count,
                                                                          on_complaint, docker, &container))) {
                fail(docker, "what it says of a container is not understood");
                return;
        }
        if (http->status == 200 && !container.excluded && container.host[0])
                add_services(docker, &container);
        next_step(docker, DOCKER_INSPECT, docker->at + 1);
}

static void on_answer(struct docker *docker)
{
        static void (*const take[])(struct docker *docker, const struct docker_http *http) = {
                [DOCKER_VERSION] = take_version, [DOCKER_NETWORK] = take_network, [DOCKER_CREATE] = take_created,
                [DOCKER_LIST] = take_list, [DOCKER_INSPECT] = take_container,
        };
        struct docker_http http = docker->ask.http;     /* the next question begins anew */

        docker->ask.http.body = NULL;
        if (http.closes)
                let_go(&docker->ask);
        if (docker->step != DOCKER_IDLE)
                take[docker->step](docker, &http);
        docker_http_fini(&http);
}

/* --- Events --- */

static void ask_events(struct docker *docker)
{
        static const char filters[] = "{\"type\":[\"container\",\"network\"],"
                                       "\"event\":[\"start\",\"die\",\"rename\",\"connect\",\"disconnect\"]}";
        char escaped[512], path[640];

        if (docker_http_escape(escaped, sizeof(escaped), filters)) {
                snprintf(path, sizeof(path), "/v1.%u/events?filters=%s", docker->minor ? docker->minor : DOCKER_API_MIN, escaped);
                put(&docker->events, "GET", path, NULL);
        }
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
                        set_due(docker, SOON_S);
        }
}

/* The next round asks for others. */
static void lose_events(struct docker *docker)
{
        let_go(&docker->events);
        docker->passed = UINT64_MAX;
        if (docker->step == DOCKER_IDLE && !docker->failures)
                set_due(docker, RETRY_FIRST_S);
}

static void lose(struct docker_conn *conn, const char *why)
{
        if (conn->use == IPC_DOCKER_EVENTS)
                lose_events(conn->docker);
        else if (conn->docker->step != DOCKER_IDLE)
                fail(conn->docker, why);
        else
                let_go(conn);
}

/* False: @conn is over, or has another question by now. */
static bool take(struct docker_conn *conn, const uint8_t *bytes, size_t len)
{
        enum docker_http_verdict verdict;
        size_t taken = 0;

        verdict = len ? docker_http_take(&conn->http, bytes, len, &taken) : docker_http_end(&conn->http);
        if (verdict == DOCKER_HTTP_MORE) {
                if (conn->use == IPC_DOCKER_EVENTS)
                        on_events(conn->docker);
                return true;
        }
        if (!len || taken != len)
                conn->http.closes = true;       /* nobody asked for more */
        if (verdict == DOCKER_HTTP_BAD || conn->use == IPC_DOCKER_EVENTS)
                lose(conn, len ? "what it says is no HTTP, or too much" : "it hangs up before it has said all");
        else
                on_answer(conn->docker);
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

        if (!send_out(conn))
                lose(conn, strerror(errno));
}

static void on_due(struct ev_loop *loop, ev_timer *timer, int events)
{
        begin_round(timer->data);
}

static void on_impatience(struct ev_loop *loop, ev_timer *timer, int events)
{
        fail(timer->data, "it does not answer");
}

/* --- The supervisor --- */

static bool is_name(const char *text, size_t size)
{
        size_t len = strnlen(text, size);

        return len > 0 && len < size && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == len;
}

/* What is wanted of it does not change while it lives. */
static void on_conf(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_docker_conf *conf = IPC_PAYLOAD(message, struct ipc_docker_conf);
        struct docker *docker = context;
        bool good = conf->network_count > 0 && conf->network_count <= IPC_NETWORKS_MAX && conf->refresh_ms > 0;

        for (unsigned i = 0; good && i < conf->network_count; i++)
                good = is_name(conf->network[i], sizeof(conf->network[i]));
        if (!good) {
                worker_disown(from);
                return;
        }
        docker->conf = *conf;
        if (!docker->configured)
                set_due(docker, 0);
        docker->configured = true;
}

static void on_generation(void *context, struct worker_link *from, struct ipc_received *message)
{
}

static void on_socket(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_docker_socket *said = IPC_PAYLOAD(message, struct ipc_docker_socket);
        struct docker *docker = context;
        struct docker_conn *conn = said->use == IPC_DOCKER_EVENTS ? &docker->events : &docker->ask;

        if (said->use >= IPC_DOCKER_USES || !conn->wanted || (message->fd_count == 0) != (said->error != 0)) {
                worker_disown(from);
                return;
        }
        conn->wanted = false;
        if (said->error) {
                if (conn == &docker->ask)
                        fail(docker, NULL);
                return;
        }
        conn->fd = ipc_received_take_fd(message, 0);
        ev_io_set(&conn->readable, conn->fd, EV_READ);
        ev_io_set(&conn->writable, conn->fd, EV_WRITE);
        ev_io_start(docker->worker.loop, &conn->readable);
        if (conn == &docker->events)
                ask_events(docker);
        else
                ask(docker);
}

const struct worker_handlers docker_handlers = {
        .message = { [IPC_CONF_BEGIN] = on_generation, [IPC_CONF_END] = on_generation, [IPC_DOCKER_CONF] = on_conf,
                     [IPC_DOCKER_SOCKET] = on_socket },
};

static void init_conn(struct docker *docker, struct docker_conn *conn, enum ipc_docker_use use)
{
        conn->docker = docker;
        conn->use = use;
        conn->fd = -1;
        ev_init(&conn->readable, on_readable);
        ev_init(&conn->writable, on_writable);
        conn->readable.data = conn->writable.data = conn;
}

void docker_init(struct docker *docker)
{
        init_conn(docker, &docker->ask, IPC_DOCKER_ASK);
        init_conn(docker, &docker->events, IPC_DOCKER_EVENTS);
        docker->passed = UINT64_MAX;
        ev_init(&docker->due, on_due);
        ev_timer_init(&docker->patience, on_impatience, 0, PATIENCE_S);
        docker->due.data = docker->patience.data = docker;
}

void docker_fini(struct docker *docker)
{
        let_go(&docker->ask);
        let_go(&docker->events);
        ev_timer_stop(docker->worker.loop, &docker->due);
        ev_timer_stop(docker->worker.loop, &docker->patience);
}
