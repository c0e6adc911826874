/* SPDX-License-Identifier: BSD-3-Clause */
#include "services.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "ipc_router.h"
#include "ipc_service.h"

/* What stands behind one gate port: neighbours in the list. */
struct group {
        struct service *list;
        size_t count;
};

static int compare(const void *a, const void *b)
{
        return conf_service_compare(((const struct service *)a)->conf, ((const struct service *)b)->conf);
}

static int compare_gates(const struct conf_service *a, const struct conf_service *b)
{
        if (a->gate_port != b->gate_port)
                return a->gate_port < b->gate_port ? -1 : 1;
        return (a->protocol > b->protocol) - (a->protocol < b->protocol);
}

/* The one that begins @from the list's start; of nobody at its end. */
static struct group group_at(const struct services *services, size_t from)
{
        size_t to = from;

        while (to < services->count && compare_gates(services->list[to].conf, services->list[from].conf) == 0)
                to++;
        return (struct group){ services->list + from, to - from };
}

/* The one behind the same gate port as @other. */
static struct group group_like(const struct services *services, const struct group *other)
{
        size_t low = 0, high = services->count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (compare_gates(services->list[middle].conf, other->list->conf) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        if (low == services->count || compare_gates(services->list[low].conf, other->list->conf) != 0)
                return (struct group){ NULL, 0 };
        return group_at(services, low);
}

static bool same(const struct group *a, const struct group *b)
{
        if (a->count != b->count)
                return false;
        for (size_t i = 0; i < a->count; i++)
                if (conf_service_compare(a->list[i].conf, b->list[i].conf) != 0)
                        return false;
        return true;
}

static bool fits(const struct forward *forward, const void *what)
{
        const struct group *group = what;

        for (size_t i = 0; i < group->count; i++)
                if (!conf_service_path(group->list[i].conf) &&
                    !forward_reaches(forward, (uint16_t)group->list[i].conf->protocol, group->list[i].conf->service_port))
                        return false;
        return true;
}

static void must_hear(struct forward *forward)
{
        if (forward->child)
                forward->child->unconfigured = true;
}

/* Its forward worker: that of @before, of which there may be none, or another one. 0 or -ENOMEM. */
static int hold(const struct group *group, const struct group *before, struct forwards *forwards)
{
        bool stays = before->count > 0 && fits(before->list->forward, group);
        struct forward *forward = stays ? before->list->forward : forwards_hold_services(forwards, fits, group);

        if (!forward)
                return -ENOMEM;
        for (size_t i = 0; i < group->count; i++) {
                group->list[i].forward = forward;
                if (!forward->child && !conf_service_path(group->list[i].conf))
                        forward_add_port(forward, (uint16_t)group->list[i].conf->protocol, group->list[i].conf->service_port);
        }
        return 0;
}

/* Who is stopped hears first that it serves nothing, and so ends the sessions that would have no end. */
static void let_go(struct forward *forward, struct forwards *forwards)
{
        if (forward->held == 1 && forward->child) {
                child_conf_begin(forward->child);
                child_conf_end(forward->child);
        }
        if (forwards_release(forwards, forward))
                must_hear(forward);
}

/* Of each group of @services, what the same one of @others does not hold as well. */
static void release(const struct services *services, const struct services *others, struct forwards *forwards)
{
        struct group group;

        for (size_t at = 0; at < services->count; at += group.count) {
                struct group other;

                group = group_at(services, at);
                other = group_like(others, &group);
                if (group.list->forward && (!other.count || other.list->forward != group.list->forward))
                        let_go(group.list->forward, forwards);
        }
}

/* Whoever has something new. */
static void announce(const struct services *services, const struct services *before)
{
        struct group group;

        for (size_t at = 0; at < services->count; at += group.count) {
                struct group other;

                group = group_at(services, at);
                other = group_like(before, &group);
                if (!other.count || other.list->forward != group.list->forward || !same(&group, &other))
                        must_hear(group.list->forward);
        }
}

/* 0 or -ENOMEM. */
static int fill(struct services *services, const struct conf_provider *conf, struct names *names)
{
        services->list = calloc(conf->service_count + 1, sizeof(*services->list));
        if (!services->list)
                return -ENOMEM;
        for (; services->count < conf->service_count; services->count++) {
                struct service *service = &services->list[services->count];
                char what[sizeof(service->name->what)];

                service->conf = &conf->services[services->count];
                if (conf_service_path(service->conf))
                        continue;
                snprintf(what, sizeof(what), "service %u", service->conf->gate_port);
                service->name = names_add(names, service->conf->host, false, what);
                if (!service->name)
                        return -ENOMEM;
        }
        qsort(services->list, services->count, sizeof(*services->list), compare);
        return 0;
}

static int hold_all(struct services *services, const struct services *before, struct forwards *forwards)
{
        struct group group;
        int r = 0;

        for (size_t at = 0; at < services->count && r == 0; at += group.count) {
                struct group other;

                group = group_at(services, at);
                other = group_like(before, &group);
                r = hold(&group, &other, forwards);
        }
        return r;
}

static void forget(struct services *services)
{
        for (size_t i = 0; i < services->count; i++)
                names_drop(services->list[i].name);
        free(services->list);
}

static struct service *find(const struct services *services, const struct conf_service *conf)
{
        const struct service wanted = { .conf = conf };

        return services->count ? bsearch(&wanted, services->list, services->count, sizeof(wanted), compare) : NULL;
}

/* Who asks a service knows it by its name, and what it knows goes on, whatever else is written of it now. */
static enum service_health known_of(const struct services *before, struct service *service)
{
        const struct group group = group_like(before, &(struct group){ service, 1 });
        uint64_t name = service->conf->health.type ? service_name(service->conf) : 0;

        for (size_t i = 0; service->conf->health.type && i < group.count; i++)
                if (group.list[i].conf->health.type && service_name(group.list[i].conf) == name)
                        return group.list[i].health;
        return SERVICE_UNKNOWN;
}

/* What is known of those that stay. */
static void take_over(struct services *services, const struct services *before)
{
        for (size_t i = 0; i < services->count; i++)
                services->list[i].health = known_of(before, &services->list[i]);
}

bool services_gone(const struct services *services, const struct conf_service *conf)
{
        const struct service *service = find(services, conf);

        return service && service->health == SERVICE_GONE;
}

size_t services_gone_count(const struct services *services)
{
        size_t count = 0;

        for (size_t i = 0; i < services->count; i++)
                count += services->list[i].health == SERVICE_GONE;
        return count;
}

int services_reload(struct services *services, const struct conf_provider *conf, struct names *names, struct forwards *forwards)
{
        struct services next = { 0 };
        int r = fill(&next, conf, names);

        if (r == 0)
                r = hold_all(&next, services, forwards);
        if (r == 0)
                r = forwards_start(forwards);
        if (r < 0) {
                release(&next, services, forwards);
                forget(&next);
                return r;
        }
        take_over(&next, services);
        announce(&next, services);
        release(services, &next, forwards);
        forget(services);
        *services = next;
        return 0;
}

int services_init(struct services *services, const struct conf_provider *conf, struct names *names, struct forwards *forwards)
{
        *services = (struct services){ 0 };
        return services_reload(services, conf, names, forwards);
}

void services_fini(struct services *services)
{
        free(services->list);
        *services = (struct services){ 0 };
}

uint64_t service_name(const struct conf_service *service)
{
        char host[IPC_NAME_MAX], tags[IPC_TAGS_MAX];

        snprintf(host, sizeof(host), "%s", conf_service_announced(service));
        snprintf(tags, sizeof(tags), "%s", service->tags);
        return ipc_service_name(host, service->service_port, tags);
}

static struct service *find_held(const struct services *services, const struct forward *forward, uint16_t gate_port,
                                 enum conf_protocol protocol, uint64_t name)
{
        const struct conf_service wanted = { .gate_port = gate_port, .protocol = protocol };
        struct service first = { .conf = &wanted };
        struct group group = group_like(services, &(struct group){ &first, 1 });

        for (size_t i = 0; forward && i < group.count; i++)
                if (group.list[i].forward == forward && service_name(group.list[i].conf) == name)
                        return &group.list[i];
        return NULL;
}

const struct service *services_find(const struct services *services, const struct forward *forward, uint16_t gate_port, uint64_t name)
{
        return find_held(services, forward, gate_port, CONF_TCP, name);
}

bool services_hear(struct services *services, const struct forward *forward, const struct ipc_service_health *said)
{
        struct service *first = said->protocol == IPC_TCP ? find_held(services, forward, said->gate_port, CONF_TCP, said->service) : NULL;
        enum service_health health = said->there ? SERVICE_THERE : SERVICE_GONE;
        bool news = false;

        /* Several may be one by name: for TLS clients of several names. */
        for (struct service *at = first; at && at < services->list + services->count && compare_gates(at->conf, first->conf) == 0; at++) {
                if (at->forward != forward || !at->conf->health.type || service_name(at->conf) != said->service)
                        continue;
                news = news || (at->health == SERVICE_GONE) != (health == SERVICE_GONE);
                at->health = health;
        }
        return news;
}

void services_doubt(struct services *services, const struct forward *forward, const struct ipc_service_fails *said)
{
        enum conf_protocol protocol = said->protocol == IPC_UDP ? CONF_UDP : CONF_TCP;
        struct service *service = find_held(services, forward, said->gate_port, protocol, said->service);

        if (service)
                names_doubt(service->name);
}

void services_renamed(struct services *services, const struct name *name)
{
        for (size_t i = 0; i < services->count; i++)
                if (services->list[i].name == name)
                        must_hear(services->list[i].forward);
}
