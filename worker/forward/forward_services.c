/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_services.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

struct service {
        struct list in_list;
        struct ipc_forward_service what;
        bool down;                      /* by the last attempt */
};

void services_init(struct services *services, const struct random *random)
{
        uint8_t key[16];

        random_fill(random, key, sizeof(key));
        map_init(&services->groups, key);
        list_init(&services->next);
}

static void free_list(struct list *list)
{
        list_for_each(at, list) {
                list_remove(at);
                free(list_entry(at, struct service, in_list));
        }
}

struct service_group *services_next(const struct services *services, const struct service_group *group)
{
        struct map_entry *at = map_walk(&services->groups, group ? &group->by_port : NULL);

        return at ? container_of(at, struct service_group, by_port) : NULL;
}

void services_forget(struct services *services, struct service_group *group)
{
        free_list(&group->services);
        map_remove(&services->groups, &group->by_port);
        free(group);
}

void services_fini(struct services *services)
{
        struct service_group *group;

        while ((group = services_next(services, NULL)))
                services_forget(services, group);
        free_list(&services->next);
        map_fini(&services->groups);
}

static uint64_t hash_of(const struct services *services, uint16_t gate_port, uint16_t protocol)
{
        uint16_t key[2] = { gate_port, protocol };

        return map_hash(&services->groups, key, sizeof(key));
}

static struct service_group *find(const struct services *services, uint16_t gate_port, uint16_t protocol)
{
        struct map_entry *at = map_first(&services->groups, hash_of(services, gate_port, protocol));

        for (; at; at = map_next(at)) {
                struct service_group *group = container_of(at, struct service_group, by_port);

                if (group->held.gate_port == gate_port && group->held.protocol == protocol)
                        return group;
        }
        return NULL;
}

static struct service_group *get(struct services *services, uint16_t gate_port, uint16_t protocol)
{
        struct service_group *group = find(services, gate_port, protocol);

        if (group || !(group = calloc(1, sizeof(*group))))
                return group;
        group->held = (struct ipc_service_held){ .gate_port = gate_port, .protocol = protocol };
        list_init(&group->services);
        if (map_insert(&services->groups, &group->by_port, hash_of(services, gate_port, protocol)) == 0)
                return group;
        free(group);
        return NULL;
}

void services_begin(struct services *services)
{
        free_list(&services->next);
}

/* The group is made at once, so that nothing can fail at the end. */
int services_add(struct services *services, const struct ipc_forward_service *what)
{
        struct service *service = calloc(1, sizeof(*service));

        if (!service || !get(services, what->gate_port, what->protocol)) {
                free(service);
                return -ENOMEM;
        }
        service->what = *what;
        list_push_back(&services->next, &service->in_list);
        return 0;
}

void services_end(struct services *services)
{
        struct service_group *group = NULL;

        while ((group = services_next(services, group)))
                free_list(&group->services);
        list_for_each(at, &services->next) {
                const struct ipc_forward_service *what = &list_entry(at, struct service, in_list)->what;

                list_remove(at);
                list_push_back(&find(services, what->gate_port, what->protocol)->services, at);
        }
}

const struct ipc_forward_service *services_pick(struct services *services, uint16_t gate_port, uint16_t protocol)
{
        struct service_group *group = find(services, gate_port, protocol);
        struct list *first = group ? list_first(&group->services) : NULL;

        if (!first)
                return NULL;
        list_remove(first);
        list_push_back(&group->services, first);
        return &list_entry(first, struct service, in_list)->what;
}

const struct ipc_forward_service *services_named(const struct services *services, uint16_t gate_port, uint16_t protocol, uint64_t name)
{
        struct service_group *group = find(services, gate_port, protocol);

        if (!group)
                return NULL;
        list_for_each(at, &group->services)
                if (list_entry(at, struct service, in_list)->what.service == name)
                        return &list_entry(at, struct service, in_list)->what;
        return NULL;
}

static bool same_address(const uint8_t a[16], const uint8_t b[16])
{
        return memcmp(a, b, 16) == 0;
}

static bool leads_to(const struct ipc_forward_service *what, const uint8_t address[16], uint16_t service_port)
{
        if (what->service_port != service_port)
                return false;
        for (unsigned i = 0; i < what->count; i++)
                if (same_address(what->address[i], address))
                        return true;
        return what->count == 0;
}

bool services_lead_to(const struct services *services, uint16_t gate_port, uint16_t protocol, const uint8_t address[16],
                      uint16_t service_port)
{
        struct service_group *group = find(services, gate_port, protocol);

        if (!group)
                return false;
        list_for_each(at, &group->services)
                if (leads_to(&list_entry(at, struct service, in_list)->what, address, service_port))
                        return true;
        return false;
}

/* Behind all others. */
static void put_last(struct ipc_forward_service *what, const uint8_t address[16])
{
        for (unsigned i = 0; i + 1U < what->count; i++) {
                if (!same_address(what->address[i], address))
                        continue;
                memcpy(what->address[i], what->address[i + 1], 16);
                memcpy(what->address[i + 1], address, 16);
        }
}

bool services_note_session(struct services *services, uint16_t gate_port, const uint8_t address[16], uint16_t service_port, bool works,
                           const struct ipc_forward_service **what_out)
{
        struct service_group *group = find(services, gate_port, IPC_UDP);

        if (!group)
                return false;
        list_for_each(at, &group->services) {
                struct service *service = list_entry(at, struct service, in_list);
                bool news = service->down == works;

                if (!service->what.count || !leads_to(&service->what, address, service_port))
                        continue;
                service->down = !works;
                if (!works)
                        put_last(&service->what, address);
                if (news)
                        *what_out = &service->what;
                return news;
        }
        return false;
}

bool services_note(struct services *services, const struct ipc_forward_service *what, bool works)
{
        struct service_group *group = find(services, what->gate_port, what->protocol);

        if (!group)
                return false;
        list_for_each(at, &group->services) {
                struct service *service = list_entry(at, struct service, in_list);
                bool news = service->down == works;

                if (memcmp(&service->what, what, sizeof(*what)) != 0)
                        continue;
                service->down = !works;
                return news;
        }
        return false;
}
