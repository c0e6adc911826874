/* SPDX-License-Identifier: BSD-3-Clause */
#include "routers.h"

#include <sodium.h>
#include <string.h>

#include "cleanup.h"

_Static_assert((int)KEYS_ROUTERS_MAX == 1 + (int)CONF_PREVIOUS_MAX, "all that a configuration may have");

static int derive_next(struct routers *routers);

static void on_derived(void *context, bool good)
{
        struct routers *routers = context;

        if (!good || derive_next(routers) < 0)
                routers->told(routers->context, ROUTERS_NO_MEMORY);
        else if (!ev_is_active(&routers->derive.readable))
                routers->told(routers->context, ROUTERS_DERIVED);
}

/* 0: if there is one. */
static int derive_next(struct routers *routers)
{
        struct keys *keys = routers->keys;

        for (size_t i = 0; i < keys->router_count; i++)
                if (!keys->routers[i].has_auth)
                        return derive_begin(&routers->derive, routers->loop, &keys->routers[i], routers->secrets[i], on_derived, routers);
        return 0;
}

static void watch_the_time(struct routers *routers)
{
        const struct keys *keys = routers->keys;
        int64_t first_s = 0;

        for (size_t i = 1; i < keys->router_count; i++)
                if (!first_s || keys->routers[i].until_s < first_s)
                        first_s = keys->routers[i].until_s;
        ev_periodic_stop(routers->loop, &routers->over);
        if (!first_s)
                return;
        ev_periodic_set(&routers->over, MAX((ev_tstamp)first_s, ev_time() + 1), 0, NULL);      /* what fails is not tried at each turn */
        ev_periodic_start(routers->loop, &routers->over);
}

/* With what is known of it. */
static void add(struct routers *routers, struct keys_router list[KEYS_ROUTERS_MAX], size_t *count, const uint8_t *secret, int64_t until_s)
{
        const struct keys *keys = routers->keys;
        struct keys_router *router = &list[*count];

        keys_router_name(router, secret);
        for (size_t i = 0; i < keys->router_count; i++)
                if (keys->routers[i].has_auth && memcmp(keys->routers[i].public_key, router->public_key, KEYS_BYTES) == 0)
                        *router = keys->routers[i];
        router->until_s = until_s;
        routers->secrets[(*count)++] = secret;
}

/* Whether one that was a previous one is there no more. */
static bool is_one_gone(const struct keys_router before[KEYS_ROUTERS_MAX], size_t count_before, const struct keys *keys)
{
        for (size_t i = 1; i < count_before; i++) {
                bool there = false;

                for (size_t j = 0; j < keys->router_count; j++)
                        there = there || memcmp(before[i].public_key, keys->routers[j].public_key, KEYS_BYTES) == 0;
                if (!there)
                        return true;
        }
        return false;
}

int routers_set(struct routers *routers, const struct conf *conf)
{
        struct keys *keys = routers->keys;
        struct keys_router list[KEYS_ROUTERS_MAX], before[KEYS_ROUTERS_MAX];
        const struct conf *conf_before = routers->conf;
        const uint8_t *secrets_before[KEYS_ROUTERS_MAX];
        size_t count = 0, count_before = keys->router_count;
        int r;

        memcpy(before, keys->routers, sizeof(before));
        memcpy(secrets_before, routers->secrets, sizeof(secrets_before));
        add(routers, list, &count, conf->secret, 0);
        for (size_t i = 0; i < conf->previous_count; i++)
                if ((ev_tstamp)conf->previous[i].until_s > ev_time())
                        add(routers, list, &count, conf->previous[i].secret, conf->previous[i].until_s);
        derive_fini(&routers->derive);
        memcpy(keys->routers, list, count * sizeof(*list));
        keys->router_count = count;
        routers->conf = conf;
        r = derive_next(routers);
        if (r < 0) {
                memcpy(keys->routers, before, sizeof(before));
                memcpy(routers->secrets, secrets_before, sizeof(secrets_before));
                keys->router_count = count_before;
                routers->conf = conf_before;
                (void)derive_next(routers);     /* one may have been under way */
        }
        routers->dropped = is_one_gone(before, count_before, keys);
        watch_the_time(routers);
        sodium_memzero(list, sizeof(list));
        sodium_memzero(before, sizeof(before));
        return r;
}

static void on_over(struct ev_loop *loop, ev_periodic *timer, int events)
{
        struct routers *routers = timer->data;

        if (routers_set(routers, routers->conf) == 0)
                routers->told(routers->context, ROUTERS_OVER);
}

void routers_init(struct routers *routers, struct ev_loop *loop, struct keys *keys, void (*told)(void *context, enum routers_news news),
                  void *context)
{
        *routers = (struct routers){ .loop = loop, .keys = keys, .told = told, .context = context };
        ev_periodic_init(&routers->over, on_over, 0, 0, NULL);
        routers->over.data = routers;
}

bool routers_are_derived(struct routers *routers)
{
        return !ev_is_active(&routers->derive.readable);
}

void routers_fini(struct routers *routers)
{
        derive_fini(&routers->derive);
        ev_periodic_stop(routers->loop, &routers->over);
}
