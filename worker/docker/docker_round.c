/* SPDX-License-Identifier: BSD-3-Clause */
#include "docker_round.h"

#include <stdio.h>
#include <string.h>

#include "docker_making.h"
#include "docker_requests.h"
#include "ipc_docker.h"

#define PATIENCE_S 10.0
#define LONG_PATIENCE_S 60.0            /* with what it makes, starts or removes */
#define RETRY_FIRST_S 0.5
#define RETRY_LAST_S 5.0                /* it is on this machine */

enum { FAILURES_MAX = 5 };

/* --- Rounds --- */

static void on_complaint(void *context, const struct docker_container *container, const char *label, const char *entry, size_t entry_len)
{
        struct docker *docker = context;
        char shown[48];
        size_t len = 0;

        if (!docker_told_news(&docker->told, container->name, label, entry, entry_len))
                return;
        for (; len < entry_len && len + 1 < sizeof(shown); len++)
                shown[len] = entry[len] >= ' ' && entry[len] <= '~' ? entry[len] : '?';
        shown[len] = '\0';
        worker_log(&docker->worker, LOG_WARNING, "container %s: label %s: \"%s\" is none of its entries and is passed over: write %s",
                   container->name, label, shown,
                   strcmp(label, "hypergate.EXPOSE") == 0 ? "PORT, PORT:PUBLIC or either with /tcp or /udp, such as 80:8080/tcp" :
                                                            "PORT, PORT/tcp, PORT/udp or *");
}

void docker_set_due(struct docker *docker, double after_s)
{
        ev_timer_stop(docker->worker.loop, &docker->due);
        ev_timer_set(&docker->due, after_s, 0);
        ev_timer_start(docker->worker.loop, &docker->due);
}

void docker_fail(struct docker *docker, const char *why)
{
        double wait_s = RETRY_FIRST_S;

        docker_conn_let_go(&docker->ask);
        ev_timer_stop(docker->worker.loop, &docker->patience);
        docker->step = DOCKER_IDLE;
        docker->minor = 0;              /* another engine may come back */
        docker->making.foreign = false;
        docker->failures += docker->failures < FAILURES_MAX;
        for (unsigned i = 1; i < docker->failures; i++)
                wait_s *= 2;
        if (why && strcmp(docker->why, why) != 0) {
                snprintf(docker->why, sizeof(docker->why), "%s", why);
                worker_log(&docker->worker, LOG_WARNING, "the Docker engine: %s; what was found before stays, trying again", docker->why);
        }
        docker_set_due(docker, wait_s < RETRY_LAST_S ? wait_s : RETRY_LAST_S);
}

void docker_put(struct docker *docker, bool fits, const char *method, const char *path, const char *json)
{
        if (!fits || !docker_conn_ask(&docker->ask, method, path, json)) {
                docker_fail(docker, "a question is longer than it may be, or no text: are all names and paths short?");
                return;
        }
        docker->patience.repeat = strcmp(method, "GET") == 0 ? PATIENCE_S : LONG_PATIENCE_S;
        ev_timer_again(docker->worker.loop, &docker->patience);
}

static void proceed(struct docker *docker)
{
        if (docker->ask.fd < 0)
                docker_conn_want(&docker->ask);
        else
                docker_ask(docker);
}

void docker_begin_round(struct docker *docker)
{
        if (docker->step != DOCKER_IDLE) {
                docker->again = true;
                return;
        }
        ev_timer_stop(docker->worker.loop, &docker->due);
        docker->again = false;
        docker->at = 0;
        docker->found.count = docker->found.more = 0;
        docker_told_begin(&docker->told);
        if (docker->wanted_new)
                docker_hosts_want(&docker->hosts, &docker->wanted);
        docker->wanted_new = false;
        docker_hosts_look(&docker->hosts);
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

/* All containers have been looked at. */
static void end_looking(struct docker *docker)
{
        if ((docker->found.more || docker->ids.more) && docker_told_news(&docker->told, "", "more", "", 0))
                worker_log(&docker->worker, LOG_WARNING, "more services in containers than %d, or containers than %d: the rest is passed "
                           "over", DOCKER_SERVICES_MAX, DOCKER_CONTAINERS_MAX);
        if (docker->conf.services)
                tell(docker);
        if (docker->conf.hosts)
                docker_next(docker, DOCKER_HELPERS, 0);
        else
                docker_end_round(docker);
}

/* Until the next one, though nothing happens. */
static double wait_s(const struct docker *docker)
{
        double now_s = ev_now(docker->worker.loop), refresh_s = (double)docker->conf.refresh_ms / 1e3;
        double hosts_s = docker->conf.hosts ? docker_hosts_wait(&docker->hosts, now_s) : -1;

        if (hosts_s >= 0 && hosts_s < docker->making.not_before_s - now_s)
                hosts_s = docker->making.not_before_s - now_s;
        if (hosts_s >= 0 && docker->making.inside && !docker->making.self.type[0])
                hosts_s = refresh_s;    /* nothing comes of it */
        if (docker->again || docker->wanted_new || (hosts_s >= 0 && hosts_s < DOCKER_SOON_S))
                return DOCKER_SOON_S;
        return hosts_s >= 0 && hosts_s < refresh_s ? hosts_s : refresh_s;
}

void docker_end_round(struct docker *docker)
{
        ev_timer_stop(docker->worker.loop, &docker->patience);
        docker->step = DOCKER_IDLE;
        docker->failures = 0;
        if (docker->why[0])
                worker_log(&docker->worker, LOG_NOTICE, "the Docker engine answers again");
        docker->why[0] = '\0';
        docker_set_due(docker, wait_s(docker));
        docker_conn_want(&docker->events);
}

void docker_next(struct docker *docker, enum docker_step step, size_t at)
{
        if (step == DOCKER_NETWORK && at >= docker->conf.network_count)
                step = docker->conf.self[0] && !docker->making.foreign ? DOCKER_SELF : DOCKER_LIST;
        if (step == DOCKER_ENTER) {
                at = docker_next_to_enter(docker, at);
                step = at < docker->conf.network_count ? step : DOCKER_LIST;
        }
        docker->step = step;
        docker->at = at;
        if (step == DOCKER_INSPECT && at >= docker->ids.count)
                end_looking(docker);
        else
                proceed(docker);
}

/* --- Questions and answers --- */

static void ask_version(struct docker *docker)
{
        docker_put(docker, true, "GET", "/version", NULL);
}

static void take_version(struct docker *docker, const struct docker_http *http)
{
        unsigned minor, theirs = 0;
        char why[DOCKER_WHY_MAX];

        if (http->status == 200 && http->body && docker_version_read(http->body, http->body_len, &minor, &theirs)) {
                worker_log(&docker->worker, LOG_INFO, "the Docker engine speaks API 1.%u: asking it by 1.%u", theirs, minor);
                docker->minor = minor;
                docker_next(docker, DOCKER_NETWORK, 0);
                return;
        }
        if (theirs)
                snprintf(why, sizeof(why), "it speaks API 1.%u: from 1.%d to 1.%d is known here", theirs, DOCKER_API_MIN, DOCKER_API_MAX);
        else
                snprintf(why, sizeof(why), "no version of a Docker engine (status %u): is that its socket?", http->status);
        docker_fail(docker, why);
}

static void ask_network(struct docker *docker)
{
        char path[IPC_NETWORK_MAX + 64];

        snprintf(path, sizeof(path), "/v1.%u/networks/%s", docker->minor, docker->networks[docker->at]);
        docker_put(docker, true, "GET", path, NULL);
}

static void take_network(struct docker *docker, const struct docker_http *http)
{
        const char *name = docker->networks[docker->at];
        char driver[32];

        if (http->status == 404 && !docker->conf.read_only) {
                docker_next(docker, DOCKER_CREATE, docker->at);
                return;
        }
        if (http->status == 404 && docker_told_news(&docker->told, name, "missing", "", 0))
                worker_log(&docker->worker, LOG_WARNING, "Docker network %s: there is none, and readOnly is set: docker network create %s",
                           name, name);
        else if (http->status == 200 && http->body && docker_network_read(http->body, http->body_len, driver, sizeof(driver)) &&
                 strcmp(driver, "bridge") != 0 && docker_told_news(&docker->told, name, "driver", driver, strlen(driver)))
                worker_log(&docker->worker, LOG_WARNING, "Docker network %s is of driver %s, not bridge: whether its containers can be "
                           "reached from here is up to that", name, driver);
        docker_next(docker, DOCKER_NETWORK, docker->at + 1);
}

static void ask_create(struct docker *docker)
{
        char path[64], json[IPC_NETWORK_MAX + 64];

        snprintf(path, sizeof(path), "/v1.%u/networks/create", docker->minor);
        docker_put(docker, docker_body_network(json, sizeof(json), docker->networks[docker->at]), "POST", path, json);
}

/* 409: somebody else was faster. */
static void take_created(struct docker *docker, const struct docker_http *http)
{
        const char *name = docker->networks[docker->at];
        char why[DOCKER_WHY_MAX], says[DOCKER_SAYS_MAX];

        docker_says_read(http->body, http->body_len, says);
        if (http->status != 201 && http->status != 200 && http->status != 409) {
                snprintf(why, sizeof(why), "network %.100s can't be made (status %u): %s%s", name, http->status, says,
                         strstr(says, "address pool") ? ": docker network create with a --subnet that is free makes it" : "");
                docker_fail(docker, why);
                return;
        }
        if (http->status != 409)
                worker_log(&docker->worker, LOG_NOTICE, "Docker network %s: made, as there was none", name);
        docker_next(docker, DOCKER_NETWORK, docker->at + 1);
}

static void ask_list(struct docker *docker)
{
        char path[DOCKER_PATH_MAX];
        bool fits = docker_path_list(path, sizeof(path), docker->minor, docker->networks, docker->conf.network_count);

        docker_put(docker, fits, "GET", path, NULL);
}

static void take_list(struct docker *docker, const struct docker_http *http)
{
        if (http->status == 200 && http->body && docker_ids_read(http->body, http->body_len, &docker->ids))
                docker_next(docker, DOCKER_INSPECT, 0);
        else
                docker_fail(docker, "no list of containers comes of it");
}

static void ask_inspect(struct docker *docker)
{
        char path[DOCKER_PATH_MAX];

        snprintf(path, sizeof(path), "/v1.%u/containers/%s/json", docker->minor, docker->ids.list[docker->at]);
        docker_put(docker, true, "GET", path, NULL);
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
        if (container->ports.more && docker_told_news(&docker->told, container->name, "ports", "", 0))
                worker_log(&docker->worker, LOG_WARNING, "container %s: more than %d ports: the rest is passed over", container->name,
                           DOCKER_PORTS_MAX);
}

/* Labels that nobody wants the services of are nobody's concern. */
static void no_complaint(void *context, const struct docker_container *container, const char *label, const char *entry, size_t entry_len)
{
}

/* 404: it is gone since. */
static void take_container(struct docker *docker, const struct docker_http *http)
{
        bool services = docker->conf.services;
        struct docker_container container;

        if (http->status == 200 && (!http->body || !docker_container_read(http->body, http->body_len, docker->networks,
                                                                          docker->conf.network_count,
                                                                          services ? on_complaint : no_complaint, docker, &container))) {
                docker_fail(docker, "what it says of a container is not understood");
                return;
        }
        if (http->status == 200 && services && !container.excluded && container.host[0])
                add_services(docker, &container);
        if (http->status == 200 && docker->conf.hosts)
                docker_take_names(docker, http);
        docker_next(docker, DOCKER_INSPECT, docker->at + 1);
}

static const struct {
        void (*ask)(struct docker *docker);
        void (*take)(struct docker *docker, const struct docker_http *http);
} steps[DOCKER_STEPS] = {
        [DOCKER_VERSION] = { ask_version, take_version },
        [DOCKER_NETWORK] = { ask_network, take_network },
        [DOCKER_CREATE] = { ask_create, take_created },
        [DOCKER_SELF] = { docker_ask_self, docker_take_self },
        [DOCKER_ENTER] = { docker_ask_enter, docker_take_entered },
        [DOCKER_LIST] = { ask_list, take_list },
        [DOCKER_INSPECT] = { ask_inspect, take_container },
        [DOCKER_HELPERS] = { docker_ask_helpers, docker_take_helpers },
        [DOCKER_REMOVE] = { docker_ask_remove, docker_take_removed },
        [DOCKER_MAKE] = { docker_ask_make, docker_take_made },
        [DOCKER_CLEAR] = { docker_ask_clear, docker_take_cleared },
        [DOCKER_JOIN] = { docker_ask_join, docker_take_joined },
        [DOCKER_START] = { docker_ask_start, docker_take_started },
        [DOCKER_UNDO] = { docker_ask_undo, docker_take_undone },
};

void docker_ask(struct docker *docker)
{
        if (steps[docker->step].ask)
                steps[docker->step].ask(docker);
}

void docker_answer(struct docker *docker, const struct docker_http *http)
{
        if (steps[docker->step].take)
                steps[docker->step].take(docker, http);
}
