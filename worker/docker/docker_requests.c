/* SPDX-License-Identifier: BSD-3-Clause */
#include "docker_requests.h"

#include <jansson.h>
#include <stdio.h>

#include "docker_helper.h"
#include "docker_http.h"
#include "ipc_docker.h"

#define HELPER_PROGRAM "/usr/local/libexec/hypergate/hypergate-port"
#define HELPER_FOLDER "/run/hypergate/hosts"    /* in the image it is a volume, which then is not made */

enum {
        FILTERS_MAX = 1536,
        HELPER_PROCESSES = 32,          /* threads of the runtime that starts it count */
        HELPER_BYTES = 16 * 1024 * 1024,
        ID_SHOWN = 8,
};

/* Takes @value. */
static bool put(char *out, size_t size, json_t *value)
{
        size_t len = value ? json_dumpb(value, out, size, JSON_COMPACT) : 0;

        json_decref(value);
        if (len == 0 || len >= size)
                return false;
        out[len] = '\0';
        return true;
}

/* Behind @path, which ends in a filter's name and '='. Takes @filters. */
static bool put_filtered(char *out, size_t size, const char *path, json_t *filters)
{
        char json[FILTERS_MAX];
        size_t len = (size_t)snprintf(out, size, "%s", path);

        return put(json, sizeof(json), filters) && len < size && docker_http_escape(out + len, size - len, json);
}

bool docker_path_list(char *out, size_t size, unsigned minor, const char *const *networks, size_t network_count)
{
        json_t *names = json_array();
        char path[64];

        for (size_t i = 0; i < network_count; i++)
                json_array_append_new(names, json_string(networks[i]));
        snprintf(path, sizeof(path), "/v1.%u/containers/json?filters=", minor);
        return put_filtered(out, size, path, json_pack("{s:[s], s:o}", "status", "running", "network", names));
}

bool docker_path_helpers(char *out, size_t size, unsigned minor)
{
        char path[64];

        snprintf(path, sizeof(path), "/v1.%u/containers/json?all=1&filters=", minor);
        return put_filtered(out, size, path, json_pack("{s:[s]}", "label", DOCKER_LABEL_HELPER));
}

/* "died" is podman's word for "die"; an engine that does not know one of them tells of the others. */
bool docker_path_events(char *out, size_t size, unsigned minor)
{
        char path[64];

        snprintf(path, sizeof(path), "/v1.%u/events?filters=", minor);
        return put_filtered(out, size, path, json_pack("{s:[s,s], s:[s,s,s,s,s,s]}", "type", "container", "network", "event", "start",
                                                       "die", "died", "rename", "connect", "disconnect"));
}

bool docker_path_helper(char *out, size_t size, unsigned minor, const char *id, const char *host)
{
        return (size_t)snprintf(out, size, "/v1.%u/containers/create?name=hypergate-%s-%.*s", minor, host, ID_SHOWN, id) < size;
}

bool docker_path_remove_helper(char *out, size_t size, unsigned minor, const char *id, const char *host)
{
        return (size_t)snprintf(out, size, "/v1.%u/containers/hypergate-%s-%.*s?force=1&v=1", minor, host, ID_SHOWN, id) < size;
}

bool docker_body_network(char *out, size_t size, const char *network)
{
        return put(out, size, json_pack("{s:s, s:s, s:b}", "Name", network, "Driver", "bridge", "CheckDuplicate", 1));
}

static json_t *endpoint(const char *alias)
{
        return alias ? json_pack("{s:[s]}", "Aliases", alias) : json_object();
}

bool docker_body_connect(char *out, size_t size, const char *container, const char *alias)
{
        return put(out, size, json_pack("{s:s, s:o}", "Container", container, "EndpointConfig", endpoint(alias)));
}

/* It may do nothing but what it is there for, and is gone when it ends. */
static json_t *host_config(const struct docker_frame *frame)
{
        return json_pack("{s:b, s:s, s:[s], s:b, s:[s], s:{s:s}, s:i, s:i, s:{s:s}, s:{s:s}, s:[{s:s, s:s, s:s, s:b}], s:{s:s, s:s}}",
                         "AutoRemove", 1, "NetworkMode", frame->network, "CapDrop", "ALL", "ReadonlyRootfs", 1,
                         "SecurityOpt", "no-new-privileges", "Sysctls", "net.ipv4.ip_unprivileged_port_start", "0",
                         "PidsLimit", HELPER_PROCESSES, "Memory", HELPER_BYTES, "LogConfig", "Type", "none", "RestartPolicy", "Name", "no",
                         "Mounts", "Type", frame->type, "Source", frame->source, "Target", HELPER_FOLDER, "ReadOnly", 1,
                         "Tmpfs", "/run/hypergate", "size=4k", "/var/lib/hypergate", "size=4k");       /* else they are volumes, too */
}

bool docker_body_helper(char *out, size_t size, const struct docker_frame *frame, const char *host)
{
        char user[32], socket[sizeof(HELPER_FOLDER) + 2 * IPC_SOCKET_PATH_MAX];
        json_t *labels = json_pack("{s:s, s:s, s:s, s:s}", "hypergate.EXCLUDE", "true", DOCKER_LABEL_HELPER, frame->id,
                                   DOCKER_LABEL_HOST, host, DOCKER_LABEL_LIFE, frame->life);
        json_t *networks = json_pack("{s:{s:o}}", "EndpointsConfig", frame->network, endpoint(host));

        snprintf(user, sizeof(user), "%u:%u", frame->uid, frame->gid);
        snprintf(socket, sizeof(socket), HELPER_FOLDER "%s/%s", frame->rest, frame->file);
        return put(out, size, json_pack("{s:s, s:[s], s:[s,s], s:s, s:o, s:o, s:o}", "Image", frame->image, "Entrypoint", HELPER_PROGRAM,
                                        "Cmd", socket, host, "User", user, "Labels", labels, "HostConfig", host_config(frame),
                                        "NetworkingConfig", networks));
}
