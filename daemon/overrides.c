/* SPDX-License-Identifier: BSD-3-Clause */
#include "overrides.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What an overridden configuration has of its own. */
struct overridden {
        struct conf conf;
        struct conf_service services[];
};

/* --- Services that were added --- */

static int compare_pointers(const void *a, const void *b)
{
        return conf_service_compare(*(const struct conf_service *const *)a, *(const struct conf_service *const *)b);
}

static void free_sortedp(const struct conf_service ***sorted)
{
        free(*sorted);
}

/* Lists are long, and the supervisor waits for what is done with them. NULL: no memory. */
static const struct conf_service **sort(const struct conf_service *list, size_t count)
{
        const struct conf_service **sorted = calloc(count + 1, sizeof(*sorted));

        if (!sorted)
                return NULL;
        for (size_t i = 0; i < count; i++)
                sorted[i] = &list[i];
        qsort(sorted, count, sizeof(*sorted), compare_pointers);
        return sorted;
}

static bool has(const struct conf_service *const *sorted, size_t count, const struct conf_service *service)
{
        return bsearch(&service, sorted, count, sizeof(*sorted), compare_pointers);
}

static void forget(struct conf_service *service)
{
        free((char *)(uintptr_t)service->host);
        free((char *)(uintptr_t)service->alias);
        free((char *)(uintptr_t)service->tags);
        free((char *)(uintptr_t)service->sni);
        free((char *)(uintptr_t)service->health.path);
}

/* There is room. */
static int append(struct overrides *overrides, const struct conf_service *service)
{
        struct conf_service *own = &overrides->added[overrides->added_count];

        *own = *service;
        own->line = 0;
        own->file = "";
        own->host = strdup(service->host);
        own->alias = service->alias ? strdup(service->alias) : NULL;
        own->tags = strdup(service->tags);
        own->sni = strdup(service->sni);
        own->health.path = service->health.path ? strdup(service->health.path) : NULL;
        if (own->host && (own->alias || !service->alias) && own->tags && own->sni && (own->health.path || !service->health.path)) {
                overrides->added_count++;
                return 0;
        }
        forget(own);
        return -ENOMEM;
}

/* For @count more. 0 or -ENOMEM. */
static int make_room(struct overrides *overrides, size_t count)
{
        struct conf_service *grown = reallocarray(overrides->added, overrides->added_count + count + 1, sizeof(*grown));

        if (!grown)
                return -ENOMEM;
        overrides->added = grown;
        return 0;
}

/* Each occurs once in @list. */
static int add_list(struct overrides *overrides, const struct conf_service *list, size_t count)
{
        __attribute__((cleanup(free_sortedp))) const struct conf_service **before = NULL;
        size_t before_count = overrides->added_count;
        int r = make_room(overrides, count);

        if (r < 0)
                return r;
        before = sort(overrides->added, before_count);
        if (!before)
                return -ENOMEM;
        for (size_t i = 0; i < count && r == 0; i++)
                if (!has(before, before_count, &list[i]))
                        r = append(overrides, &list[i]);
        return r;
}

int overrides_add(struct overrides *overrides, const struct conf_provider *conf)
{
        return add_list(overrides, conf->services, conf->service_count);
}

/* As peers are told of it, by a name, and where it is. */
static struct conf_service as_service(const struct conf_found *found)
{
        return (struct conf_service){ .gate_port = found->gate_port, .service_port = found->service_port, .protocol = found->protocol,
                                      .host = found->address, .alias = found->host, .tags = found->published ? "docker published" : "docker",
                                      .sni = "" };
}

/* Of equal ones one stays. */
static int append_each(struct overrides *overrides, const struct conf_service *list, size_t count)
{
        __attribute__((cleanup(free_sortedp))) const struct conf_service **sorted = sort(list, count);
        int r = sorted ? make_room(overrides, count) : -ENOMEM;

        for (size_t i = 0; i < count && r == 0; i++)
                if (i == 0 || conf_service_compare(sorted[i - 1], sorted[i]) != 0)
                        r = append(overrides, sorted[i]);
        return r;
}

int overrides_found(struct overrides *overrides, const struct conf_found *list, size_t count)
{
        struct conf_service *services = calloc(count + 1, sizeof(*services));
        int r = services ? 0 : -ENOMEM;

        *overrides = (struct overrides){ 0 };
        for (size_t i = 0; i < count && services; i++)
                services[i] = as_service(&list[i]);
        if (services)
                r = append_each(overrides, services, count);
        if (r < 0)
                overrides_fini(overrides);
        free(services);
        return r;
}

static bool is_behind(const struct conf_service *service, uint16_t port, enum conf_protocol protocol)
{
        return service->gate_port == port && service->protocol == protocol;
}

/* True: there were some. */
static bool take_back(struct overrides *overrides, uint16_t port, enum conf_protocol protocol)
{
        size_t kept = 0, count = overrides->added_count;

        for (size_t i = 0; i < count; i++)
                if (is_behind(&overrides->added[i], port, protocol))
                        forget(&overrides->added[i]);
                else
                        overrides->added[kept++] = overrides->added[i];
        overrides->added_count = kept;
        return kept < count;
}

/* --- Gate ports that were removed --- */

static bool is_removed(const struct overrides *overrides, uint16_t port, enum conf_protocol protocol)
{
        for (size_t i = 0; i < overrides->removed_count; i++)
                if (overrides->removed[i].port == port && overrides->removed[i].protocol == protocol)
                        return true;
        return false;
}

int overrides_remove(struct overrides *overrides, const struct conf_provider *conf, uint16_t port, enum conf_protocol protocol)
{
        bool found = take_back(overrides, port, protocol), configured = false;
        struct overrides_gate *grown;

        for (size_t i = 0; i < conf->service_count && !configured; i++)
                configured = is_behind(&conf->services[i], port, protocol);
        if (!configured || is_removed(overrides, port, protocol))
                return found;
        grown = reallocarray(overrides->removed, overrides->removed_count + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        overrides->removed = grown;
        overrides->removed[overrides->removed_count++] = (struct overrides_gate){ port, protocol };
        return 1;
}

/* --- All of it --- */

int overrides_copy(struct overrides *overrides, const struct overrides *from)
{
        int r;

        *overrides = (struct overrides){ .drained = from->drained, .removed = calloc(from->removed_count + 1, sizeof(*overrides->removed)) };
        if (!overrides->removed)
                return -ENOMEM;
        for (; overrides->removed_count < from->removed_count; overrides->removed_count++)
                overrides->removed[overrides->removed_count] = from->removed[overrides->removed_count];
        r = make_room(overrides, from->added_count);
        for (size_t i = 0; i < from->added_count && r == 0; i++)
                r = append(overrides, &from->added[i]);
        if (r < 0)
                overrides_fini(overrides);
        return r;
}

void overrides_fini(struct overrides *overrides)
{
        for (size_t i = 0; i < overrides->added_count; i++)
                forget(&overrides->added[i]);
        free(overrides->added);
        free(overrides->removed);
        *overrides = (struct overrides){ 0 };
}

bool overrides_empty(const struct overrides *overrides)
{
        return !overrides->drained && overrides->added_count == 0 && overrides->removed_count == 0;
}

/* --- Over a configuration --- */

/* 0 or -ENOMEM. */
static int lay_over_services(struct overridden *overridden, const struct conf_provider *from, const struct overrides *overrides)
{
        __attribute__((cleanup(free_sortedp))) const struct conf_service **configured = NULL;
        struct conf_provider *provider = &overridden->conf.provider;
        size_t configured_count;

        provider->services = overridden->services;
        provider->service_count = 0;
        for (size_t i = 0; i < from->service_count; i++)
                if (!is_removed(overrides, from->services[i].gate_port, from->services[i].protocol))
                        overridden->services[provider->service_count++] = from->services[i];
        configured_count = provider->service_count;
        configured = sort(overridden->services, configured_count);
        if (!configured)
                return -ENOMEM;
        for (size_t i = 0; i < overrides->added_count; i++)
                if (!has(configured, configured_count, &overrides->added[i]))
                        overridden->services[provider->service_count++] = overrides->added[i];
        return 0;
}

/* No gate has port 0. */
static void drain(struct conf *conf)
{
        static const struct conf_filter nothing = { .fields = CONF_FILTER_GATE_PORT, .host = "", .tags = "", .priority = -1, .policy = -1 };

        conf->provider.service_count = 0;
        conf->gateway.filters = &nothing;
        conf->gateway.filter_mode = CONF_FILTER_ANY;
        conf->gateway.filter_count = 1;
}

struct conf *overridden_new(const struct conf *conf, const struct overrides *overrides)
{
        size_t most = conf->provider.service_count + overrides->added_count;
        struct overridden *overridden = calloc(1, sizeof(*overridden) + most * sizeof(overridden->services[0]));

        if (!overridden)
                return NULL;
        overridden->conf = *conf;
        if (conf->provider.present && lay_over_services(overridden, &conf->provider, overrides) < 0) {
                overridden_free(&overridden->conf);
                return NULL;
        }
        if (overrides->drained)
                drain(&overridden->conf);
        return &overridden->conf;
}

void overridden_free(struct conf *overridden)
{
        if (overridden) {
                explicit_bzero(overridden->secret, sizeof(overridden->secret));
                explicit_bzero(overridden->previous, sizeof(overridden->previous));
        }
        free(overridden);
}
