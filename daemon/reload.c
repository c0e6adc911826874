/* SPDX-License-Identifier: BSD-3-Clause */
#include "reload.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "complaints.h"
#include "monotonic.h"
#include "notify.h"
#include "supervisor.h"

/* --- What is different --- */

static size_t add_text(char *out, size_t len, size_t size, const char *text)
{
        int wrote = snprintf(out + len, size - len, "%s%s", len ? ", " : "", text);

        return MIN(len + (size_t)MAX(wrote, 0), size - 1);
}

/* By the keys that say so. */
static void describe(const struct conf_difference *difference, char *out, size_t size)
{
        static const struct { enum conf_part part; const char *key; } parts[] = {
                { CONF_PART_SERVICE_TIMES, "timeouts of provider" },
                { CONF_PART_FILTERS, "gateway.services, except, what else it exposes, or routesPerPeer" },
                { CONF_PART_LISTEN, "gateway.listen" },
                { CONF_PART_GATE_TIMES, "timeouts, limits and policies of gateway" },
                { CONF_PART_ROUTE_TIMES, "routeExpirationMs" },
                { CONF_PART_BUFFERS, "maxBufferPerChannel or maxBufferPerPeer" },
                { CONF_PART_PEERS, "peers" },
                { CONF_PART_RELAY, "relay" },
                { CONF_PART_RELAYS, "relays" },
                { CONF_PART_LOG_LEVEL, "logLevel" },
                { CONF_PART_SECRET, "the router secret" },
                { CONF_PART_ALLOWED, "allowPeers" },
                { CONF_PART_SERVICE_LIMITS, "limits of provider" },
                { CONF_PART_SITES, "fingerprintResolver or unlimited" },
        };
        char services[64];
        size_t len = 0;

        *out = '\0';
        snprintf(services, sizeof(services), "services: %zu more, %zu gone", difference->added, difference->removed);
        if (difference->parts & CONF_PART_SERVICES)
                len = add_text(out, len, size, services);
        for (size_t i = 0; i < ARRAY_LEN(parts); i++)
                if (difference->parts & parts[i].part)
                        len = add_text(out, len, size, parts[i].key);
        if (len == 0)
                add_text(out, 0, size, "nothing is different");
}

/* --- Putting it into effect --- */

static void must_hear(struct child *child)
{
        if (child)
                child->unconfigured = true;
}

static void forwards_must_hear(struct supervisor *supervisor, enum ipc_duty duty)
{
        list_for_each(at, &supervisor->children.all) {
                struct child *child = list_entry(at, struct child, in_all);
                const struct forward *forward = forward_of(child);

                if (forward && forward->duty == duty)
                        must_hear(child);
        }
}

/* Those beside gates and services, who look after their own. */
static void tell_workers(struct supervisor *supervisor, unsigned parts)
{
        if (parts & (CONF_PART_SERVICES | CONF_PART_FILTERS | CONF_PART_ROUTE_TIMES))
                must_hear(supervisor->router);
        if (parts & (CONF_PART_SERVICES | CONF_PART_PEERS | CONF_PART_RELAY | CONF_PART_RELAYS | CONF_PART_ALLOWED |
                     CONF_PART_SERVICE_LIMITS | CONF_PART_BUFFERS))
                supervisor_tell_swarms(supervisor);
        if ((parts & CONF_PART_SECRET || supervisor->routers.dropped) && routers_are_derived(&supervisor->routers))
                supervisor_tell_swarms(supervisor);   /* else then */
        if (parts & CONF_PART_SITES) {
                must_hear(supervisor->resolver.child);
                must_hear(supervisor->unlimited.child);
        }
        if (parts & CONF_PART_SERVICE_TIMES)
                forwards_must_hear(supervisor, IPC_DUTY_SERVICES);
        if (parts & (CONF_PART_GATE_TIMES | CONF_PART_FILTERS)) {
                forwards_must_hear(supervisor, IPC_DUTY_GATES);
                forwards_must_hear(supervisor, IPC_DUTY_HOSTS);
        }
        if (parts & CONF_PART_LOG_LEVEL) {
                supervisor->log->level = supervisor->conf->log_level;
                supervisor->children.log_channels = supervisor->conf->log_channels;
                children_log_level(&supervisor->children, supervisor->conf->log_level);
        }
}

/* What can fail comes first. 0 or -ENOMEM: nothing has changed. */
static int apply(struct supervisor *supervisor, const struct conf *conf, struct conf_difference *difference_out)
{
        struct appointed appointed;
        int r = conf_compare(supervisor->conf, conf, difference_out);

        if (r < 0)
                return r;
        r = appointed_init(&appointed, &supervisor->names, conf);
        if (r == 0 && supervisor->routers.conf)
                r = routers_set(&supervisor->routers, conf);
        if (r < 0) {
                appointed_fini(&appointed);
                return r;
        }
        r = services_reload(&supervisor->services, &conf->provider, &supervisor->names, &supervisor->forwards);
        if (r < 0) {
                appointed_fini(&appointed);
                if (supervisor->routers.conf)
                        (void)routers_set(&supervisor->routers, supervisor->conf);      /* those are derived */
                return r;
        }
        if (supervisor->routers.dropped)
                supervisor_say_dropped(supervisor);
        appointed_fini(&supervisor->appointed);
        supervisor->appointed = appointed;
        supervisor->conf = conf;
        fetches_set(&supervisor->fetches, conf);
        gates_reload(&supervisor->gates, &conf->gateway);
        status_reload(&supervisor->status, conf);
        site_reload(&supervisor->resolver, &conf->resolver);
        site_reload(&supervisor->unlimited, &conf->unlimited);
        supervisor->gates_changed = true;
        supervisor_name_router(supervisor);
        tell_workers(supervisor, difference_out->parts);
        return 0;
}

/* --- One time --- */

static void finish(struct reload *reload, bool confirmed)
{
        struct supervisor *supervisor = reload->supervisor;
        double took_ms = (double)(monotonic_us() - reload->began_us) / 1e3;
        char what[256];

        describe(&reload->difference, what, sizeof(what));
        reload->difference = (struct conf_difference){ 0 };
        ev_timer_stop(supervisor->loop, &reload->patience);
        if (confirmed && reload->read)
                log_event(supervisor->log, IPC_EVENT_RELOADED, LOG_NOTICE, NULL, "reloaded in %.1f ms: %s", took_ms, what);
        else if (!confirmed)
                log_event(supervisor->log, IPC_EVENT_RELOADED, LOG_WARNING, NULL,
                          "%s: %s; not all workers have said within %d s that they have it", reload->read ? "reloaded" : "changed", what,
                          RELOAD_PATIENCE_S);
        if (reload->read)
                notify_ready();
        reload->read = false;
        while (!list_empty(&reload->waiters)) {
                struct reload_waiter *waiter = list_entry(list_first(&reload->waiters), struct reload_waiter, in_reload);

                list_remove(&waiter->in_reload);
                waiter->done(waiter->context, confirmed);
        }
}

static void on_impatience(struct ev_loop *loop, ev_timer *timer, int events)
{
        finish(timer->data, false);
}

/* Who is not there hears all of it when it starts. */
static bool all_confirmed(const struct children *children)
{
        list_for_each(at, &children->all) {
                const struct child *child = list_entry(at, struct child, in_all);

                if (child->state == CHILD_STARTING || (child_alive(child) && !child_confirmed(child)))
                        return false;
        }
        return true;
}

void reload_look(struct reload *reload)
{
        struct supervisor *supervisor = reload->supervisor;

        if (ev_is_active(&reload->patience) && routers_are_derived(&supervisor->routers) && all_confirmed(&supervisor->children))
                finish(reload, true);
}

static void wait_for_workers(struct reload *reload)
{
        ev_timer_stop(reload->supervisor->loop, &reload->patience);
        ev_timer_set(&reload->patience, RELOAD_PATIENCE_S, 0);
        ev_timer_start(reload->supervisor->loop, &reload->patience);
}

static const struct conf *last_read(const struct reload *reload)
{
        return reload->conf ? reload->conf : reload->first;
}

const struct conf *reload_conf(const struct reload *reload)
{
        return reload->laid ? reload->laid : last_read(reload);
}

/* @conf with @found over it, as many as there is room for; *@laid_out is NULL where that is none. 0 or -ENOMEM. */
static int lay(const struct reload *reload, const struct conf *conf, const struct overrides *found, struct conf **laid_out)
{
        size_t taken = conf->provider.service_count + reload->overrides.added_count;
        struct overrides some = *found;         /* borrowed */

        some.added_count = MIN(found->added_count, taken < CONF_SERVICES_MAX ? CONF_SERVICES_MAX - taken : 0);
        *laid_out = some.added_count && conf->provider.present ? overridden_new(conf, &some) : NULL;
        return *laid_out || !some.added_count || !conf->provider.present ? 0 : -ENOMEM;
}

/* What runs is @conf with @overrides from now on; what ran before is borrowed by nobody, but for that of the start. 0 or -ENOMEM. */
static int put(struct reload *reload, const struct conf *conf, const struct overrides *overrides, struct conf_difference *difference)
{
        bool plain = overrides_empty(overrides);
        struct conf *overridden = plain ? NULL : overridden_new(conf, overrides);
        int r = plain || overridden ? apply(reload->supervisor, plain ? conf : overridden, difference) : -ENOMEM;

        if (r < 0) {
                overridden_free(overridden);
                return r;
        }
        overridden_free(reload->overridden);
        reload->overridden = overridden;
        reload->difference.parts |= difference->parts;
        reload->difference.added += difference->added;
        reload->difference.removed += difference->removed;
        wait_for_workers(reload);
        return 0;
}

static bool take(struct reload *reload, struct conf *conf, struct conf_difference *difference)
{
        struct conf *laid;

        if (lay(reload, conf, &reload->found, &laid) < 0 || put(reload, laid ? laid : conf, &reload->overrides, difference) < 0) {
                log_event(reload->supervisor->log, IPC_EVENT_RELOAD_REFUSED, LOG_ERR, NULL, "reload: no memory: what runs stays as it is");
                overridden_free(laid);
                conf_free(conf);
                return false;
        }
        overridden_free(reload->laid);
        conf_free(reload->conf);
        reload->laid = laid;
        reload->conf = conf;
        reload->read = true;
        return true;
}

static void begin_change(struct reload *reload)
{
        if (!ev_is_active(&reload->patience))
                reload->began_us = monotonic_us();
}

int reload_override(struct reload *reload, struct overrides *overrides, struct conf_difference *difference_out)
{
        int r;

        begin_change(reload);
        r = put(reload, reload_conf(reload), overrides, difference_out);
        if (r < 0)
                return r;
        overrides_fini(&reload->overrides);
        reload->overrides = *overrides;
        *overrides = (struct overrides){ 0 };
        return 0;
}

/* What it is handed goes before what it would find itself, and later before a credential, which is as old as the start. */
static enum conf_verdict read_anew(struct reload *reload, int secret_fd, struct conf **conf_out, struct conf_complaints *complaints_out)
{
        struct conf_source source = reload->source;

        source.running = reload_conf(reload);
        source.added_count = reload->overrides.added_count;
        if (secret_fd >= 0) {
                source.secret_fd = secret_fd;
                source.secret_handed = true;
        }
        return conf_load(&source, conf_out, complaints_out);
}

void reload_run(struct reload *reload, int secret_fd, struct reload_told *told_out)
{
        struct supervisor *supervisor = reload->supervisor;
        struct reload_told told = { .good = false };
        struct conf *conf;

        if (!reload->begun) {
                assert(!told_out);      /* nobody can ask before */
                reload->wanted = true;
                return;
        }
        begin_change(reload);
        notify_reloading();
        if (read_anew(reload, secret_fd, &conf, &told.complaints) == CONF_GOOD) {
                complaints_say(&told.complaints, supervisor->log);
                told.good = take(reload, conf, &told.difference);
                reload->source.credential_old |= told.good && secret_fd >= 0;
        } else {
                complaints_say(&told.complaints, supervisor->log);
                log_event(supervisor->log, IPC_EVENT_RELOAD_REFUSED, LOG_ERR, NULL,
                          "reload: the configuration is wrong: what runs stays as it is");
        }
        if (!told.good && !reload->read)
                notify_ready();
        if (told_out)
                *told_out = told;
        else
                conf_complaints_fini(&told.complaints);
}

/* Takes @found over. 0 or -ENOMEM. */
static int put_found(struct reload *reload, struct overrides *found)
{
        const struct conf *conf = last_read(reload);
        struct conf_difference difference;
        struct conf *laid;
        int r = lay(reload, conf, found, &laid);

        begin_change(reload);
        if (r == 0)
                r = put(reload, laid ? laid : conf, &reload->overrides, &difference);
        if (r < 0) {
                overridden_free(laid);
                return r;
        }
        overridden_free(reload->laid);
        overrides_fini(&reload->found);
        reload->laid = laid;
        reload->found = *found;
        *found = (struct overrides){ 0 };
        log_info(reload->supervisor->log, "services in containers: %zu more, %zu gone", difference.added, difference.removed);
        return 0;
}

bool reload_found(struct reload *reload, const struct conf_found *list, size_t count)
{
        struct overrides found;
        int r = overrides_found(&found, list, count);

        if (r == 0 && !reload->begun) {
                overrides_fini(&reload->found);         /* they are put into effect at the beginning */
                reload->found = found;
                return true;
        }
        if (r == 0 && (r = put_found(reload, &found)) < 0)
                overrides_fini(&found);
        if (r < 0)
                log_event(reload->supervisor->log, IPC_EVENT_RELOAD_REFUSED, LOG_ERR, NULL,
                          "services in containers: no memory: what runs stays as it is");
        return r == 0;
}

void reload_wait(struct reload *reload, struct reload_waiter *waiter)
{
        list_push_back(&reload->waiters, &waiter->in_reload);
}

void reload_cancel(struct reload_waiter *waiter)
{
        list_remove(&waiter->in_reload);
}

void reload_init(struct reload *reload, struct supervisor *supervisor, const struct conf_source *source)
{
        *reload = (struct reload){ .supervisor = supervisor, .source = *source, .first = supervisor->conf };
        list_init(&reload->waiters);
        ev_timer_init(&reload->patience, on_impatience, 0, 0);
        reload->patience.data = reload;
}

void reload_begin(struct reload *reload)
{
        struct overrides found = reload->found;

        reload->begun = true;
        reload->found = (struct overrides){ 0 };
        if (found.added_count && put_found(reload, &found) < 0)
                overrides_fini(&found);
        if (reload->wanted)
                reload_run(reload, -1, NULL);
        reload->wanted = false;
}

void reload_stop(struct reload *reload)
{
        ev_timer_stop(reload->supervisor->loop, &reload->patience);
}

void reload_fini(struct reload *reload)
{
        overridden_free(reload->overridden);
        overridden_free(reload->laid);
        overrides_fini(&reload->overrides);
        overrides_fini(&reload->found);
        conf_free(reload->conf);
}
