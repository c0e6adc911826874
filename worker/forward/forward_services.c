/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_services.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

struct service {
        struct list in_list;
        struct ipc_forward_service what;
        bool gone;                      /* by its checks */
        bool down;                      /* by the last attempt, */
        bool silent;                    /* which was in vain for long */
        bool probed;                    /* its rest ended and somebody asks whether it still is: the answer counts */
        unsigned failures;              /* in a row */
        usec_t rests_until_us;          /* 0: fit */
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

/* What was known of the same one stays known. */
static void take_over(struct service *service, const struct list *before)
{
        list_for_each(at, before) {
                const struct service *old = list_entry(at, struct service, in_list);

                if (old->what.service != service->what.service || old->what.service_port != service->what.service_port)
                        continue;
                service->gone = old->gone && service->what.health;
                service->down = old->down;
                service->silent = old->silent;
                service->probed = old->probed;
                service->failures = old->failures;
                service->rests_until_us = old->rests_until_us;
                return;
        }
}

void services_end(struct services *services)
{
        struct service_group *group = NULL;

        list_for_each(at, &services->next) {
                struct service *service = list_entry(at, struct service, in_list);

                take_over(service, &find(services, service->what.gate_port, service->what.protocol)->services);
        }

        while ((group = services_next(services, group)))
                free_list(&group->services);
        list_for_each(at, &services->next) {
                const struct ipc_forward_service *what = &list_entry(at, struct service, in_list)->what;

                list_remove(at);
                list_push_back(&find(services, what->gate_port, what->protocol)->services, at);
        }
}

static bool is_fit(const struct service *service, usec_t now_us)
{
        return !service->gone && service->rests_until_us <= now_us;
}

/* Whether @service is taken rather than @other, whose turn is before it. */
static bool is_preferred(const struct service *service, const struct service *other, usec_t now_us)
{
        if (is_fit(service, now_us) != is_fit(other, now_us))
                return is_fit(service, now_us);
        if (!is_fit(service, now_us) && service->silent != other->silent)
                return other->silent;   /* who refuses does so at once */
        if (!is_fit(service, now_us))
                return service->rests_until_us < other->rests_until_us;
        return service->what.priority < other->what.priority;
}

const struct ipc_forward_service *services_pick(struct services *services, uint16_t gate_port, uint16_t protocol, bool insist, usec_t now_us)
{
        struct service_group *group = find(services, gate_port, protocol);
        struct service *best = NULL;

        if (!group)
                return NULL;
        list_for_each(at, &group->services) {
                struct service *service = list_entry(at, struct service, in_list);

                if (!best || is_preferred(service, best, now_us))
                        best = service;
        }
        if (!best || (!insist && !is_fit(best, now_us)))
                return NULL;
        list_remove(&best->in_list);
        list_push_back(&group->services, &best->in_list);
        return &best->what;
}

bool services_have_other(const struct services *services, const struct ipc_forward_service *what, usec_t now_us)
{
        struct service_group *group = find(services, what->gate_port, what->protocol);

        if (!group)
                return false;
        list_for_each(at, &group->services) {
                const struct service *service = list_entry(at, struct service, in_list);

                if (is_fit(service, now_us) && memcmp(&service->what, what, sizeof(*what)) != 0)
                        return true;
        }
        return false;
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

/* Who fails while it rests was under way before. */
static enum services_news note(struct service *service, enum services_outcome outcome, usec_t now_us)
{
        bool works = outcome == SERVICES_WORKED, news = service->down == works;
        bool counts = service->probed || service->rests_until_us <= now_us;
        usec_t rest_us = SERVICES_REST_MIN_US;

        service->down = !works;
        service->silent = outcome == SERVICES_SILENT;
        service->probed = false;
        if (works) {
                service->failures = 0;
                service->rests_until_us = 0;
        } else if (counts) {
                for (unsigned i = 0; i < service->failures && rest_us < SERVICES_REST_MAX_US; i++)
                        rest_us *= 2;
                service->failures++;
                service->rests_until_us = usec_add(now_us, usec_min(rest_us, SERVICES_REST_MAX_US));
        }
        return news ? SERVICES_CHANGED : !works && counts ? SERVICES_FAILS_AGAIN : SERVICES_NO_NEWS;
}

enum services_news services_note_session(struct services *services, uint16_t gate_port, const uint8_t address[16], uint16_t service_port,
                                         bool works, usec_t now_us, const struct ipc_forward_service **what_out)
{
        struct service_group *group = find(services, gate_port, IPC_UDP);

        if (!group)
                return SERVICES_NO_NEWS;
        list_for_each(at, &group->services) {
                struct service *service = list_entry(at, struct service, in_list);
                enum services_news news;

                if (!service->what.count || !leads_to(&service->what, address, service_port))
                        continue;
                news = note(service, works ? SERVICES_WORKED : SERVICES_REFUSED, now_us);
                if (!works)
                        put_last(&service->what, address);
                if (news)
                        *what_out = &service->what;
                return news;
        }
        return SERVICES_NO_NEWS;
}

enum services_news services_note(struct services *services, const struct ipc_forward_service *what, enum services_outcome outcome,
                                 usec_t now_us)
{
        struct service_group *group = find(services, what->gate_port, what->protocol);

        if (!group)
                return SERVICES_NO_NEWS;
        list_for_each(at, &group->services) {
                struct service *service = list_entry(at, struct service, in_list);

                if (memcmp(&service->what, what, sizeof(*what)) == 0)
                        return note(service, outcome, now_us);
        }
        return SERVICES_NO_NEWS;
}

static struct service *service_of(const struct ipc_forward_service *what)
{
        return (struct service *)((uintptr_t)what - offsetof(struct service, what));
}

bool services_ask(const struct ipc_forward_service *what, usec_t now_us, usec_t patience_us)
{
        struct service *service = service_of(what);

        if (!service->silent)
                return true;
        if (service->rests_until_us > now_us)
                return false;
        service->probed = true;
        service->rests_until_us = usec_add(now_us, patience_us);
        return true;
}

void services_mark(const struct ipc_forward_service *what, bool there)
{
        service_of(what)->gone = !there;
}

const struct ipc_forward_service *services_of(const struct service_group *group, const struct ipc_forward_service *what)
{
        struct list *next = what ? service_of(what)->in_list.next : group->services.next;

        return next == &group->services ? NULL : &list_entry(next, struct service, in_list)->what;
}
