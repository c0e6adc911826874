/* SPDX-License-Identifier: BSD-3-Clause */
#include "services.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
        const struct conf_service *x = ((const struct service *)a)->conf, *y = ((const struct service *)b)->conf;

        if (x->gate_port != y->gate_port)
                return x->gate_port < y->gate_port ? -1 : 1;
        return (x->protocol > y->protocol) - (x->protocol < y->protocol);
}

/* 0 or -ENOMEM. */
static int begin(struct service *service, const struct service *before, struct names *names, struct forwards *forwards)
{
        char what[sizeof(service->name->what)];

        snprintf(what, sizeof(what), "service %u", service->conf->gate_port);
        service->name = names_add(names, service->conf->host, false, what);
        service->forward = before && compare(before, service) == 0 ? before->forward : forwards_hold(forwards, IPC_DUTY_SERVICES);
        if (!service->name || !service->forward)
                return -ENOMEM;
        forward_add_port(service->forward, (uint16_t)service->conf->protocol, service->conf->service_port);
        return 0;
}

int services_init(struct services *services, const struct conf_provider *conf, struct names *names, struct forwards *forwards)
{
        int r = 0;

        *services = (struct services){ .list = calloc(conf->service_count + 1, sizeof(*services->list)) };
        if (!services->list)
                return -ENOMEM;
        for (; services->count < conf->service_count; services->count++)
                services->list[services->count].conf = &conf->services[services->count];
        qsort(services->list, services->count, sizeof(*services->list), compare);
        for (size_t i = 0; i < services->count && r == 0; i++)
                r = begin(&services->list[i], i ? &services->list[i - 1] : NULL, names, forwards);
        return r < 0 ? r : forwards_start(forwards);
}

void services_fini(struct services *services)
{
        free(services->list);
}

void services_renamed(struct services *services, const struct name *name)
{
        for (size_t i = 0; i < services->count; i++)
                if (services->list[i].name == name && services->list[i].forward->child)
                        services->list[i].forward->child->unconfigured = true;
}
