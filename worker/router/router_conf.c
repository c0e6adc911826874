/* SPDX-License-Identifier: BSD-3-Clause */
#include "router_conf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "host_name.h"
#include "policy.h"

_Static_assert((int)ADVERT_HOST_MAX == (int)IPC_NAME_MAX && (int)ADVERT_TAGS_MAX == (int)IPC_TAGS_MAX, "copied as they are");

void router_conf_fini(struct router_conf *conf)
{
        for (size_t i = 0; i < conf->service_count; i++)
                policy_leave(conf->services[i].policy);
        policy_leave(conf->policy);
        conf->policy = NULL;
        free(conf->filters);
        free(conf->gates);
        free(conf->held);
        conf->filters = NULL;
        conf->gates = NULL;
        conf->held = NULL;
        conf->filter_count = conf->filter_room = conf->gate_count = conf->gate_room = conf->held_count = conf->held_room = 0;
        conf->service_count = conf->surplus = 0;        /* the services themselves are left: memory nobody touched costs nothing */
        conf->roles = conf->gates_per_peer = 0;
        conf->every_filter = conf->hosts = false;
        conf->open = false;
}

void router_conf_begin(struct router_conf *conf)
{
        router_conf_fini(conf);
        conf->open = true;
}

static bool ends(const char *text, size_t max)
{
        return memchr(text, '\0', max) != NULL;
}

int router_conf_roles(struct router_conf *conf, const struct ipc_router_roles *roles)
{
        if (!conf->open || (roles->roles & ~(uint32_t)(IPC_AS_GATEWAY | IPC_AS_PROVIDER)) || roles->every_filter > 1 ||
            roles->hosts > 1)
                return -EPROTO;
        conf->roles = roles->roles;
        conf->gates_per_peer = roles->gates_per_peer;
        conf->every_filter = roles->every_filter;
        conf->expiry_ms = roles->expiry_ms;
        conf->hosts = roles->hosts;
        return 0;
}

int router_conf_service(struct router_conf *conf, const struct ipc_router_service *service)
{
        struct advert_route route = { .gate_port = service->gate_port, .service_port = service->service_port,
                                      .protocol = service->protocol, .priority = service->priority,
                                      .policy = conf->policy };
        char *text;
        size_t len;
        int r;

        if (!conf->open || service->gate_port == 0 || service->protocol > IPC_UDP || service->priority > IPC_PRIORITY_MAX ||
            service->withheld > 1 ||
            !ends(service->host, sizeof(service->host)) || !ends(service->tags, sizeof(service->tags)) ||
            !ends(service->sni, sizeof(service->sni)))
                return -EPROTO;
        strcpy(route.sni, service->sni);
        strcpy(route.host, service->host);
        strcpy(route.tags, service->tags);
        r = advert_encode(&route, 1, &text, &len);
        if (r < 0)
                return r;
        free(text);
        if (conf->service_count == ADVERT_ROUTES_MAX) {
                conf->surplus++;
        } else {
                conf->withheld[conf->service_count] = service->withheld;
                conf->services[conf->service_count++] = route;
                policy_hold(route.policy);
        }
        return 0;
}

int router_conf_policy(struct router_conf *conf, struct policy *policy)
{
        if (!conf->open)
                return -EPROTO;
        policy_set(&conf->policy, policy);
        return 0;
}

/* Room for one more element of @size bytes. 0, -ENOSPC or -ENOMEM. */
static int grow(void **list, size_t count, size_t *room, size_t size)
{
        size_t more = *room ? 2 * *room : 16;
        void *grown;

        if (count < *room)
                return 0;
        if (count >= ROUTER_CONF_MAX)
                return -ENOSPC;
        grown = reallocarray(*list, more, size);
        if (!grown)
                return -ENOMEM;
        *list = grown;
        *room = more;
        return 0;
}

int router_conf_filter(struct router_conf *conf, const struct ipc_router_filter *filter)
{
        void *list = conf->filters;
        int r;

        if (!conf->open || filter->priority > IPC_PRIORITY_MAX || !ends(filter->host, sizeof(filter->host)) || !ends(filter->tags, sizeof(filter->tags)))
                return -EPROTO;
        r = grow(&list, conf->filter_count, &conf->filter_room, sizeof(*filter));
        conf->filters = list;
        if (r == 0)
                conf->filters[conf->filter_count++] = *filter;
        return r;
}

int router_conf_gate(struct router_conf *conf, const struct ipc_router_gate *gate)
{
        void *list = conf->gates;
        int r = grow(&list, conf->gate_count, &conf->gate_room, sizeof(*gate));

        conf->gates = list;
        if (r == 0)
                conf->gates[conf->gate_count++] = *gate;
        return r;
}

bool router_conf_host_good(const struct ipc_router_host *host)
{
        return ends(host->at.host, sizeof(host->at.host)) && host_name_is_given(host->at.host) && host->at.port && host->at.protocol <= IPC_UDP &&
               (host->forward == 0 || host->number);
}

int router_conf_host(struct router_conf *conf, const struct ipc_router_host *host)
{
        void *list = conf->held;
        int r = router_conf_host_good(host) ? grow(&list, conf->held_count, &conf->held_room, sizeof(*host)) : -EPROTO;

        conf->held = list;
        if (r == 0)
                conf->held[conf->held_count++] = *host;
        return r;
}
