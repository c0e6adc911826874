/* SPDX-License-Identifier: BSD-3-Clause */
#include "docker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "container.h"
#include "dial.h"
#include "ipc_fd.h"
#include "keys.h"
#include "monotonic.h"

_Static_assert((int)CONF_DOCKER_NETWORKS_MAX == (int)IPC_NETWORKS_MAX && (int)CONF_DOCKER_NETWORK_MAX == (int)IPC_NETWORK_MAX &&
               (int)CONF_IMAGE_MAX == (int)IPC_IMAGE_MAX && (int)CONF_SOCKET_PATH_MAX == (int)IPC_SOCKET_PATH_MAX, "nothing is cut");

static const char *advice(int error)
{
        switch (error) {
        case ENOENT:
                return ": is the engine installed, and its socket there? docker: {socket: PATH} names another";
        case EACCES:
        case EPERM:
                return ": who runs this must be of the socket's group, with systemd by SupplementaryGroups=docker, as docker.conf has it";
        case ECONNREFUSED:
                return ": the engine does not run";
        default:
                return "";
        }
}

/* When it becomes so. */
static void say(struct docker *docker, int error)
{
        if (error == docker->error)
                return;
        docker->error = error;
        if (error)
                log_warning(docker->log, "Docker engine at %s: %s%s; trying again", docker->conf->docker.socket, strerror(error),
                            advice(error));
        else
                log_notice(docker->log, "Docker engine at %s: it can be reached now", docker->conf->docker.socket);
}

static bool is_too_often(struct docker *docker)
{
        usec_t now_us = monotonic_us();

        if (now_us - docker->since_us > SECONDS(DOCKER_CONNECTS_S)) {
                docker->since_us = now_us;
                docker->connects = 0;
        }
        return ++docker->connects > DOCKER_CONNECTS_MAX;
}

static bool on_want(struct docker *docker, struct child *child, const struct ipc_docker_want *want)
{
        struct ipc_docker_socket socket = { .use = want->use };
        cleanup_fd int fd = -1;

        if (want->use >= IPC_DOCKER_USES || is_too_often(docker))
                return false;
        fd = dial_unix(docker->conf->docker.socket);
        socket.error = fd < 0 ? (uint32_t)-fd : 0;
        say(docker, (int)socket.error);
        child_send(child, IPC_DOCKER_SOCKET, &socket, &fd, fd >= 0);
        return true;
}

static bool on_begin(struct docker *docker, const struct ipc_docker_list *list)
{
        if (docker->listing || list->count > CONF_FOUND_MAX)
                return false;
        if (!docker->next.list)
                docker->next.list = calloc(CONF_FOUND_MAX, sizeof(*docker->next.list));
        docker->next.count = 0;
        docker->expected = list->count;
        docker->listing = true;
        return true;
}

/* It is announced, and shown. */
static bool is_host(const char *text, size_t size)
{
        size_t len = strnlen(text, size);

        return len > 0 && len < size && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == len;
}

static bool on_service(struct docker *docker, const struct ipc_docker_service *said)
{
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
        bool v4 = memcmp(said->ip, mapped, sizeof(mapped)) == 0;
        struct conf_found *found;

        if (!docker->listing || docker->next.count == docker->expected || !said->gate_port || !said->service_port ||
            said->protocol > IPC_UDP || said->published > 1 || !is_host(said->host, sizeof(said->host)))
                return false;
        if (!docker->next.list)
                return true;            /* no memory: what is there stays */
        found = &docker->next.list[docker->next.count++];
        memset(found, 0, sizeof(*found));
        found->gate_port = said->gate_port;
        found->service_port = said->service_port;
        found->protocol = (enum conf_protocol)said->protocol;
        found->published = said->published;
        memcpy(found->host, said->host, strlen(said->host) + 1);
        inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? said->ip + sizeof(mapped) : said->ip, found->address, sizeof(found->address));
        return true;
}

/* What the configuration does not take with it stays away until there is something else. */
static bool on_end(struct docker *docker)
{
        struct docker_found before = docker->found;

        if (!docker->listing)
                return false;
        docker->listing = false;
        if (!docker->next.list)
                return true;
        if (docker->next.count != docker->expected)
                return false;
        if (before.count == docker->next.count &&
            (before.count == 0 || memcmp(before.list, docker->next.list, before.count * sizeof(*before.list)) == 0))
                return true;
        docker->found = docker->next;
        docker->next = before;
        docker->changed(docker->context);
        return true;
}

bool docker_hear(struct docker *docker, struct child *child, const struct ipc_received *message)
{
        switch (message->type) {
        case IPC_DOCKER_WANT:
                return on_want(docker, child, IPC_PAYLOAD(message, struct ipc_docker_want));
        case IPC_DOCKER_BEGIN:
                return on_begin(docker, IPC_PAYLOAD(message, struct ipc_docker_list));
        case IPC_DOCKER_SERVICE:
                return on_service(docker, IPC_PAYLOAD(message, struct ipc_docker_service));
        default:
                return on_end(docker);
        }
}

void docker_worker(struct docker *docker)
{
        docker->listing = false;
}

const struct conf_found *docker_services(void *context, size_t *count_out)
{
        const struct docker *docker = context;

        *count_out = docker->found.count;
        return docker->found.list;
}

/* Two instances of one machine have no socket in common, and two containers of one image not themselves. */
static void name_helpers(struct docker *docker, const uint8_t *router_key)
{
        const char *parts[] = { docker->conf->name, docker->conf->gateway.hosts ? docker->conf->gateway.hosts : "", docker->self };
        uint8_t digest[(IPC_HELPERS_ID_MAX - 1) / 2];
        crypto_generichash_state state;

        crypto_generichash_init(&state, NULL, 0, sizeof(digest));
        if (router_key)
                crypto_generichash_update(&state, router_key, KEYS_BYTES);
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
                crypto_generichash_update(&state, (const uint8_t *)parts[i], strlen(parts[i]) + 1);
        crypto_generichash_final(&state, digest, sizeof(digest));
        sodium_bin2hex(docker->id, sizeof(docker->id), digest, sizeof(digest));
}

void docker_begin(struct docker *docker, const uint8_t *router_key)
{
        randombytes_buf(&docker->life, sizeof(docker->life));
        container_self(docker->self);
        name_helpers(docker, router_key);
}

/* Each name once, whatever ports it has: those of one stand together. */
static void send_hosts(const struct hosts *hosts, struct child *child)
{
        const char *last = "";

        list_for_each(entry, &hosts->all) {
                const char *name = list_entry(entry, struct host, in_all)->at.host;
                struct ipc_docker_host host = { .host = "" };

                if (strcmp(name, last) == 0)
                        continue;
                snprintf(host.host, sizeof(host.host), "%s", name);
                child_send(child, IPC_DOCKER_HOST, &host, NULL, 0);
                last = name;
        }
}

void docker_publish(const struct docker *docker, const struct hosts *hosts, struct child *child)
{
        const struct conf_docker *from = &docker->conf->docker;
        struct ipc_docker_conf conf = { .life = docker->life, .uid = getuid(), .gid = getgid(), .refresh_ms = from->refresh_ms,
                                        .network_count = (uint16_t)from->network_count, .read_only = from->read_only,
                                        .services = docker->conf->provider.present, .hosts = conf_docker_makes_hosts(docker->conf) };

        for (size_t i = 0; i < from->network_count; i++)
                snprintf(conf.network[i], sizeof(conf.network[i]), "%s", from->networks[i]);
        snprintf(conf.self, sizeof(conf.self), "%s", docker->self);
        snprintf(conf.id, sizeof(conf.id), "%s", docker->id);
        snprintf(conf.socket, sizeof(conf.socket), "%s", conf.hosts ? docker->conf->gateway.hosts : "");
        snprintf(conf.image, sizeof(conf.image), "%s", from->image ? from->image : "");
        child_send(child, IPC_DOCKER_CONF, &conf, NULL, 0);
        if (conf.hosts)
                send_hosts(hosts, child);
}

void docker_init(struct docker *docker, const struct log *log, const struct conf *conf, bool (*changed)(void *context), void *context)
{
        *docker = (struct docker){ .log = log, .conf = conf, .changed = changed, .context = context };
}

void docker_fini(struct docker *docker)
{
        free(docker->found.list);
        free(docker->next.list);
        docker->found = docker->next = (struct docker_found){ NULL, 0 };
}
