/* SPDX-License-Identifier: BSD-3-Clause */
/* An engine's answer, in pieces: it comes to an end within its bounds, and whatever a container is said to be has ports, a name and a host
 * that can be. The first byte is the size of the pieces. */
#include <stdlib.h>
#include <string.h>

#include "docker_container.h"
#include "docker_helper.h"
#include "docker_hosts.h"
#include "docker_http.h"
#include "ipc_docker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void demand(bool condition)
{
        if (!condition)
                abort();
}

static void on_complaint(void *context, const struct docker_container *container, const char *label, const char *entry, size_t entry_len)
{
        demand(entry_len > 0 && strlen(container->name) < DOCKER_NAME_MAX && strncmp(label, "hypergate.", 10) == 0 && entry);
}

static void on_helper(void *context, const struct docker_helper *helper)
{
        demand(strlen(helper->id) == DOCKER_ID_MAX - 1 && strlen(helper->host) < IPC_NAME_MAX &&
               strlen(helper->owner) < IPC_HELPERS_ID_MAX && strlen(helper->life) < DOCKER_LIFE_MAX);
        demand(helper->networks < 4 && helper->state <= DOCKER_HELPER_LEAVING);
        docker_hosts_found(context, helper, "0123", "00000000000000aa", 1, 1);
}

static void on_name(void *context, const char *name)
{
        docker_hosts_local(context, name);
}

/* Whatever helpers there are said to be, a host has one or needs one, and what is removed is one of them. */
static void look_at_helpers(const char *json, size_t len, const char *const *networks)
{
        static const struct docker_wanted wanted = { .name = { "a.hyper", "b.hyper" }, .count = 2 };
        static struct docker_hosts hosts;
        struct docker_self self;
        char id[DOCKER_ID_MAX], says[DOCKER_SAYS_MAX];

        docker_hosts_want(&hosts, &wanted);
        docker_hosts_look(&hosts);
        docker_names_read(json, len, networks, 2, on_name, &hosts);
        docker_helpers_read(json, len, networks, 2, on_helper, &hosts);
        demand(hosts.count == 2 && hosts.doomed_count <= DOCKER_DOOMED_MAX);
        for (size_t i = 0; i < hosts.count; i++)
                demand(!(hosts.list[i].local && hosts.list[i].there));
        if (docker_made_read(json, len, id))
                demand(strspn(id, "0123456789abcdef") == DOCKER_ID_MAX - 1);
        docker_says_read(json, len, says);
        for (const char *at = says; *at; at++)
                demand(*at >= ' ' && *at <= '~');
        if (docker_self_read(json, len, networks, 2, "/run/hypergate/hosts/x", &self) && self.type[0])
                demand(strlen(self.source) < DOCKER_SOURCE_MAX && (self.rest[0] == '/' || self.rest[0] == '\0'));
}

static void look(const char *json, size_t len)
{
        static const char *const networks[] = { "hyper", "other" };
        static struct docker_ids ids;
        struct docker_container container;
        char driver[16];
        unsigned minor, theirs;

        if (docker_container_read(json, len, networks, 2, on_complaint, NULL, &container)) {
                demand(container.ports.count <= DOCKER_PORTS_MAX && strlen(container.host) < IPC_NAME_MAX);
                demand(!container.excluded || !container.host[0]);
                for (size_t i = 0; i < container.ports.count; i++)
                        demand(container.ports.list[i].inside > 0 && container.ports.list[i].protocol <= IPC_UDP);
        }
        if (docker_ids_read(json, len, &ids))
                for (size_t i = 0; i < ids.count; i++)
                        demand(strspn(ids.list[i], "0123456789abcdef") == DOCKER_ID_MAX - 1);
        if (docker_network_read(json, len, driver, sizeof(driver)))
                demand(strlen(driver) < sizeof(driver));
        look_at_helpers(json, len, networks);
        if (docker_version_read(json, len, &minor, &theirs))
                demand(minor >= DOCKER_API_MIN && minor <= DOCKER_API_MAX && minor <= theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        size_t piece = len > 0 && data[0] ? data[0] : 1, taken;
        enum docker_http_verdict verdict = DOCKER_HTTP_MORE;
        struct docker_http http;

        docker_http_init(&http, false);
        for (size_t at = 1; at < len && verdict == DOCKER_HTTP_MORE; at += taken) {
                size_t part = len - at < piece ? len - at : piece;

                verdict = docker_http_take(&http, data + at, part, &taken);
                demand(taken <= part && (taken == part || verdict != DOCKER_HTTP_MORE));
        }
        if (verdict == DOCKER_HTTP_MORE)
                verdict = docker_http_end(&http);
        if (verdict == DOCKER_HTTP_DONE) {
                demand(http.status >= 200 && http.status <= 999);
                if (http.body)
                        look(http.body, http.body_len);
        }
        docker_http_fini(&http);
        return 0;
}
