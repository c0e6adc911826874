/* SPDX-License-Identifier: BSD-3-Clause */
#include "docker_making.h"

#include <stdio.h>
#include <string.h>

#include "docker_requests.h"
#include "docker_round.h"

#define RETRY_FIRST_S 0.5
#define RETRY_LAST_S 30.0

enum { MADE_PER_ROUND = 4, FAILURES_MAX = 7 };  /* services that come and go are not to wait for all of them */

static double now_s(const struct docker *docker)
{
        return ev_now(docker->worker.loop);
}

static unsigned all_networks(const struct docker *docker)
{
        return (1u << docker->conf.network_count) - 1;
}

static bool went_well(const struct docker_http *http)
{
        return http->status >= 200 && http->status < 300;
}

/* --- The container that we are in --- */

void docker_ask_self(struct docker *docker)
{
        char path[DOCKER_PATH_MAX];

        snprintf(path, sizeof(path), "/v1.%u/containers/%s/json", docker->minor, docker->conf.self);
        docker_put(docker, true, "GET", path, NULL);
}

static void say_no_volume(struct docker *docker)
{
        if (docker->conf.hosts && !docker->making.self.type[0] && docker_told_news(&docker->told, "", "volume", "", 0))
                worker_log(&docker->worker, LOG_WARNING, "helpers of the virtual network can't be made: this container has no volume at %s, "
                           "by which they would reach it: docker run --volume %s", docker->making.folder, docker->making.folder);
}

/* 404: it is another engine's, to which we are a process of its machine. */
void docker_take_self(struct docker *docker, const struct docker_http *http)
{
        struct docker_making *making = &docker->making;

        making->inside = false;
        if (http->status == 404) {
                making->foreign = true;
        } else if (http->status == 200 && http->body && docker_self_read(http->body, http->body_len, docker->networks,
                                                                       docker->conf.network_count, making->folder, &making->self)) {
                making->inside = true;
                say_no_volume(docker);
        } else {
                docker_fail(docker, "what it says of the container that this is in is not understood");
                return;
        }
        docker_next(docker, DOCKER_ENTER, 0);
}

/* Services in containers are reached by who is in their network, or the machine. */
static bool is_outside(const struct docker *docker, size_t network)
{
        const struct docker_making *making = &docker->making;

        return docker->conf.services && making->inside && !making->self.shares && !(making->self.networks >> network & 1);
}

size_t docker_next_to_enter(struct docker *docker, size_t at)
{
        for (; at < docker->conf.network_count; at++) {
                const char *network = docker->networks[at];

                if (!is_outside(docker, at))
                        continue;
                if (!docker->conf.read_only)
                        break;
                if (docker_told_news(&docker->told, network, "outside", "", 0))
                        worker_log(&docker->worker, LOG_WARNING, "Docker network %s: this container is not on it, and readOnly is set: "
                                   "docker network connect %s %.12s", network, network, docker->conf.self);
        }
        return at;
}

void docker_ask_enter(struct docker *docker)
{
        char path[DOCKER_PATH_MAX], json[512];

        snprintf(path, sizeof(path), "/v1.%u/networks/%s/connect", docker->minor, docker->networks[docker->at]);
        docker_put(docker, docker_body_connect(json, sizeof(json), docker->conf.self, NULL), "POST", path, json);
}

void docker_take_entered(struct docker *docker, const struct docker_http *http)
{
        const char *network = docker->networks[docker->at];
        char says[DOCKER_SAYS_MAX];

        docker_says_read(http->body, http->body_len, says);
        if (went_well(http))
                worker_log(&docker->worker, LOG_NOTICE, "Docker network %s: this container is connected to it, as it was not", network);
        else if (docker_told_news(&docker->told, network, "entered", "", 0))
                worker_log(&docker->worker, LOG_WARNING, "Docker network %s: this container can't be connected to it (status %u): %s",
                           network, http->status, says);
        docker_next(docker, DOCKER_ENTER, docker->at + 1);
}

/* --- What is there --- */

static void on_name(void *context, const char *name)
{
        docker_hosts_local(context, name);
}

void docker_take_names(struct docker *docker, const struct docker_http *http)
{
        docker_names_read(http->body, http->body_len, docker->networks, docker->conf.network_count, on_name, &docker->hosts);
}

void docker_ask_helpers(struct docker *docker)
{
        char path[DOCKER_PATH_MAX];

        docker_put(docker, docker_path_helpers(path, sizeof(path), docker->minor), "GET", path, NULL);
}

static void on_helper(void *context, const struct docker_helper *helper)
{
        struct docker *docker = context;

        docker_hosts_found(&docker->hosts, helper, docker->conf.id, docker->making.life, all_networks(docker), now_s(docker));
}

/* Whether a helper would find its way back to us. */
static bool can_make(const struct docker *docker)
{
        const struct docker_making *making = &docker->making;

        return (!making->inside || making->self.type[0]) && making->not_before_s <= now_s(docker);
}

/* Removes come first: a name that is free is one that can be taken. */
static void go_on(struct docker *docker, size_t removed)
{
        struct docker_making *making = &docker->making;

        making->host = removed >= docker->hosts.doomed_count && making->made < MADE_PER_ROUND && can_make(docker) ?
                       docker_hosts_next(&docker->hosts, now_s(docker)) : NULL;
        making->cleared = false;
        if (removed < docker->hosts.doomed_count)
                docker_next(docker, DOCKER_REMOVE, removed);
        else if (making->host)
                docker_next(docker, DOCKER_MAKE, 0);
        else
                docker_end_round(docker);
}

void docker_take_helpers(struct docker *docker, const struct docker_http *http)
{
        docker->making.made = 0;
        if (http->status == 200 && http->body && docker_helpers_read(http->body, http->body_len, docker->networks,
                                                                     docker->conf.network_count, on_helper, docker))
                go_on(docker, 0);
        else
                docker_fail(docker, "no list of helpers comes of it");
}

/* --- What is too much --- */

void docker_ask_remove(struct docker *docker)
{
        char path[DOCKER_PATH_MAX];

        snprintf(path, sizeof(path), "/v1.%u/containers/%s?force=1&v=1", docker->minor, docker->hosts.doomed[docker->at]);
        docker_put(docker, true, "DELETE", path, NULL);
}

/* 404, 409: it is gone, or about to be. */
void docker_take_removed(struct docker *docker, const struct docker_http *http)
{
        const char *id = docker->hosts.doomed[docker->at];
        char says[DOCKER_SAYS_MAX];

        docker_says_read(http->body, http->body_len, says);
        if (!went_well(http) && http->status != 404 && http->status != 409 && docker_told_news(&docker->told, id, "remove", "", 0))
                worker_log(&docker->worker, LOG_WARNING, "helper %.12s can't be removed (status %u): %s; trying again", id, http->status,
                           says);
        go_on(docker, docker->at + 1);
}

/* --- What is missing --- */

static const char *image_of(const struct docker *docker)
{
        const struct docker_making *making = &docker->making;

        return docker->conf.image[0] ? docker->conf.image : making->inside ? making->self.image : "hypergate";
}

void docker_ask_make(struct docker *docker)
{
        const struct docker_making *making = &docker->making;
        const struct docker_frame frame = {
                .id = docker->conf.id, .life = making->life, .image = image_of(docker), .network = docker->networks[0],
                .uid = docker->conf.uid, .gid = docker->conf.gid, .type = making->inside ? making->self.type : "bind",
                .source = making->inside ? making->self.source : making->folder, .rest = making->inside ? making->self.rest : "",
                .file = making->file,
        };
        char path[DOCKER_PATH_MAX], json[DOCKER_ASK_MAX - DOCKER_PATH_MAX];

        docker_put(docker, docker_path_helper(path, sizeof(path), docker->minor, docker->conf.id, making->host->name) &&
                   docker_body_helper(json, sizeof(json), &frame, making->host->name), "POST", path, json);
}

/* What people can do about it. */
static const char *advice(const char *says)
{
        if (strcasestr(says, "no such image"))
                return ": docker load -i hypergate-*-image-*.tar.gz brings it, docker: {image: NAME} names another";
        if (strcasestr(says, "no available") || strcasestr(says, "address pool"))
                return ": make that network anew, with a larger --subnet";
        return "";
}

/* All that are missing will have the same reason, mostly: it is said once, and they wait. */
static void give_up(struct docker *docker, const char *what, const struct docker_http *http)
{
        struct docker_making *making = &docker->making;
        char says[DOCKER_SAYS_MAX], why[DOCKER_WHY_MAX];
        double wait_s = RETRY_FIRST_S;

        docker_says_read(http->body, http->body_len, says);
        snprintf(why, sizeof(why), "can't be %s (status %u): %s%s", what, http->status, says, advice(says));
        making->failures += making->failures < FAILURES_MAX;
        for (unsigned i = 1; i < making->failures; i++)
                wait_s *= 2;
        making->not_before_s = now_s(docker) + (wait_s < RETRY_LAST_S ? wait_s : RETRY_LAST_S);
        if (strcmp(making->why, why) == 0)
                return;
        snprintf(making->why, sizeof(making->why), "%s", why);
        worker_log(&docker->worker, LOG_WARNING, "host %s: its helper %s; trying again", making->host->name, making->why);
}

static void join_or_start(struct docker *docker, size_t network)
{
        docker_next(docker, network < docker->conf.network_count ? DOCKER_JOIN : DOCKER_START, network);
}

void docker_take_made(struct docker *docker, const struct docker_http *http)
{
        struct docker_making *making = &docker->making;

        if (http->status == 201 && http->body && docker_made_read(http->body, http->body_len, making->id)) {
                join_or_start(docker, 1);
        } else if (http->status == 409 && !making->cleared) {
                docker_next(docker, DOCKER_CLEAR, 0);
        } else {
                give_up(docker, "made", http);
                docker_end_round(docker);
        }
}

/* A name that ends in our id is ours. */
void docker_ask_clear(struct docker *docker)
{
        char path[DOCKER_PATH_MAX];
        bool fits = docker_path_remove_helper(path, sizeof(path), docker->minor, docker->conf.id, docker->making.host->name);

        docker_put(docker, fits, "DELETE", path, NULL);
}

void docker_take_cleared(struct docker *docker, const struct docker_http *http)
{
        docker->making.cleared = true;
        docker_next(docker, DOCKER_MAKE, 0);
}

void docker_ask_join(struct docker *docker)
{
        char path[DOCKER_PATH_MAX], json[512];

        snprintf(path, sizeof(path), "/v1.%u/networks/%s/connect", docker->minor, docker->networks[docker->at]);
        docker_put(docker, docker_body_connect(json, sizeof(json), docker->making.id, docker->making.host->name), "POST", path, json);
}

/* One that never ran does not go by itself. */
static void undo(struct docker *docker, const char *what, const struct docker_http *http)
{
        give_up(docker, what, http);
        docker_next(docker, DOCKER_UNDO, 0);
}

void docker_take_joined(struct docker *docker, const struct docker_http *http)
{
        if (went_well(http))
                join_or_start(docker, docker->at + 1);
        else
                undo(docker, "connected to all networks", http);
}

void docker_ask_start(struct docker *docker)
{
        char path[DOCKER_PATH_MAX];

        snprintf(path, sizeof(path), "/v1.%u/containers/%s/start", docker->minor, docker->making.id);
        docker_put(docker, true, "POST", path, NULL);
}

void docker_take_started(struct docker *docker, const struct docker_http *http)
{
        struct docker_making *making = &docker->making;

        if (!went_well(http)) {
                undo(docker, "started", http);
                return;
        }
        docker_host_made(making->host, now_s(docker));
        if (making->host->tries == DOCKER_HOST_OFTEN)
                worker_log(&docker->worker, LOG_WARNING, "host %s: its helpers end as soon as they start: is image %s of this version, and "
                           "may who is %u:%u in there reach %s?", making->host->name, image_of(docker), docker->conf.uid, docker->conf.gid,
                           making->folder);
        else if (making->host->tries == 1)
                worker_log(&docker->worker, LOG_INFO, "host %s: its helper is made", making->host->name);
        making->made++;
        making->failures = 0;
        making->why[0] = '\0';
        go_on(docker, docker->hosts.doomed_count);
}

void docker_ask_undo(struct docker *docker)
{
        char path[DOCKER_PATH_MAX];

        snprintf(path, sizeof(path), "/v1.%u/containers/%s?force=1&v=1", docker->minor, docker->making.id);
        docker_put(docker, true, "DELETE", path, NULL);
}

void docker_take_undone(struct docker *docker, const struct docker_http *http)
{
        docker_end_round(docker);
}
