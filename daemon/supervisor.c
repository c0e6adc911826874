/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "hear.h"
#include "gate_socket.h"
#include "introduce.h"
#include "ipc_fd.h"
#include "monotonic.h"
#include "notify.h"
#include "publish.h"

/* Whatever happened in this turn, each worker hears of it once, and complete. */
static void on_settle(struct ev_loop *loop, ev_prepare *prepare, int events)
{
        struct supervisor *supervisor = prepare->data;

        if (supervisor->children.stopping)
                return;
        if (supervisor->engine && supervisor->hosts.changed)
                supervisor->engine->unconfigured = true;
        supervisor->hosts.changed = false;
        list_for_each(at, &supervisor->children.all) {
                struct child *child = list_entry(at, struct child, in_all);

                if (child->unconfigured && child_alive(child))
                        child->unconfigured = !publish(supervisor, child);
        }
        reload_look(&supervisor->reload);
        introduce_new(&supervisor->children);
        if (supervisor->gates_changed && !supervisor->reload.overrides.drained)  /* the next start is not */
                last_gates_take(&supervisor->last, &supervisor->gates);
        supervisor->gates_changed = false;
}

static void on_started(void *context, struct child *child)
{
        struct supervisor *supervisor = context;

        questions_lose(&supervisor->questions, child);
        if (child->role == IPC_RESOLVE)
                names_worker(&supervisor->names, child);
        else if (child->role == IPC_HOSTS)
                hosts_lost(&supervisor->hosts);
        else if (child->role == IPC_DOCKER)
                docker_worker(&supervisor->docker);
        else if (child->role == IPC_SWARM) {
                struct core *core = cores_find(&supervisor->cores, child);

                if (core)
                        core_mend(core);
                status_begin(&supervisor->status, child->id);
        }
}

static bool all_up(const struct children *children)
{
        list_for_each(at, &children->all)
                if (list_entry(at, struct child, in_all)->state != CHILD_UP)
                        return false;
        return true;
}

/* Its key is what others need to use it. */
static void say_relay(const struct supervisor *supervisor)
{
        uint8_t public_key[crypto_sign_PUBLICKEYBYTES], secret_key[crypto_sign_SECRETKEYBYTES];
        char key[2 * sizeof(public_key) + 1];

        crypto_sign_seed_keypair(public_key, secret_key, supervisor->keys->relay_seed);
        sodium_memzero(secret_key, sizeof(secret_key));
        sodium_bin2hex(key, sizeof(key), public_key, sizeof(public_key));
        log_notice(supervisor->log, "relays for %s, key %s",
                   supervisor->conf->relay.anybody ? "whoever knows its key" : "peers of the router", key);
}

static void say_ready(const struct supervisor *supervisor)
{
        const struct conf *conf = supervisor->conf;
        bool provider = conf->provider.present, gateway = conf->gateway.present, relay = conf->relay.present;
        char key[2 * KEYS_BYTES + 1] = "", roles[96] = "DHT node";

        if (provider || gateway || relay)
                snprintf(roles, sizeof(roles), "%s%s%s%s%s", provider ? "provider" : "", provider && gateway ? " and " : "",
                         gateway ? "gateway" : "", relay && (provider || gateway) ? " and " : "", relay ? "relay" : "");
        if (supervisor->keys->router_count)
                sodium_bin2hex(key, sizeof(key), supervisor->keys->routers[0].public_key, KEYS_BYTES);
        log_event(supervisor->log, IPC_EVENT_READY, LOG_NOTICE, NULL, "ready: %s%s%.8s%s, UDP port %u", roles, *key ? " of router " : "", key,
                  *key ? "..." : "", supervisor->cores.list[0].sockets.server.port);
        if (relay)
                say_relay(supervisor);
}

static struct child *first_swarm(const struct supervisor *supervisor)
{
        return supervisor->cores.list[0].child;
}

/* As soon as it is so. */
static void be_ready(struct supervisor *supervisor)
{
        if (supervisor->ready || supervisor->children.stopping || !first_swarm(supervisor) || !all_up(&supervisor->children) ||
            !routers_are_derived(&supervisor->routers))
                return;
        supervisor->ready = true;
        say_ready(supervisor);
        notify_ready();
        control_begin(&supervisor->control);
        reload_begin(&supervisor->reload);
        fetches_set(&supervisor->fetches, supervisor->conf);
}

static void on_ready(void *context, struct child *child)
{
        be_ready(context);
}

static void on_message(void *context, struct child *child, struct ipc_received *message)
{
        struct supervisor *supervisor = context;

        if (!supervisor->children.stopping)
                hear(supervisor, child, message);
}

/* Nothing more is decided from here on: no timer fires, no listener takes clients. */
static void release(struct supervisor *supervisor)
{
        control_fini(&supervisor->control);
        reload_stop(&supervisor->reload);
        routers_fini(&supervisor->routers);
        gates_fini(&supervisor->gates);
        hosts_fini(&supervisor->hosts);
        forwards_fini(&supervisor->forwards);
        services_fini(&supervisor->services);
        seeds_fini(&supervisor->seeds);
        known_fini(&supervisor->known);
        last_gates_fini(&supervisor->last);
        lost_links_fini(&supervisor->lost);
        fetches_fini(&supervisor->fetches);
        docker_fini(&supervisor->docker);
        names_fini(&supervisor->names);
        interfaces_fini(&supervisor->interfaces);
        status_fini(&supervisor->status);
        cores_fini(&supervisor->cores);
        site_fini(&supervisor->resolver);
        site_fini(&supervisor->unlimited);
}

static void stop(struct supervisor *supervisor, int exit_code)
{
        supervisor->exit_code = exit_code;
        notify_stopping();
        release(supervisor);
        children_stop(&supervisor->children, SUPERVISOR_STOP_MS);
}

void supervisor_say_dropped(struct supervisor *supervisor)
{
        uint32_t outdated = supervisor->status.last.outdated;

        if (outdated)
                log_notice(supervisor->log, "a previous router secret counts no more: %u peer%s that had shown no newer one %s let go", outdated,
                           outdated == 1 ? "" : "s", outdated == 1 ? "is" : "are");
        else
                log_notice(supervisor->log, "a previous router secret counts no more: all peers know a newer one");
}

/* Without one no peer is one: a start that fails. Later, what there is goes on. */
static void on_routers(void *context, enum routers_news news)
{
        struct supervisor *supervisor = context;

        if (news == ROUTERS_NO_MEMORY) {
                log_error(supervisor->log, "no memory for keys: 64 MiB are needed for a moment%s",
                          supervisor->ready ? ": the router secret that has come is not used until the next reload" : "");
                if (!supervisor->ready)
                        stop(supervisor, EX_OSERR);
                return;
        }
        if (news == ROUTERS_OVER)
                supervisor_say_dropped(supervisor);
        supervisor_tell_swarms(supervisor);
        be_ready(supervisor);
}

void supervisor_name_router(struct supervisor *supervisor)
{
        const uint8_t *public_key = supervisor->keys->routers[0].public_key;

        if (!supervisor->keys->router_count)
                return;
        log_router(supervisor->log, public_key);
        last_gates_of_router(&supervisor->last, public_key);
}

void supervisor_stop(struct supervisor *supervisor)
{
        if (!supervisor->children.stopping)
                stop(supervisor, EXIT_SUCCESS);
}

static bool answers(const struct child *child)
{
        return child && child->state == CHILD_UP && !child->unconfigured;
}

bool supervisor_swarm_answers(const struct supervisor *supervisor)
{
        return answers(first_swarm(supervisor));
}

bool supervisor_router_answers(const struct supervisor *supervisor)
{
        return answers(supervisor->router);
}

struct child *supervisor_next_swarm(const struct supervisor *supervisor, const struct child *after)
{
        for (size_t i = after ? after->id : 0; i < supervisor->cores.count; i++)
                if (answers(supervisor->cores.list[i].child))
                        return supervisor->cores.list[i].child;
        return NULL;
}

void supervisor_tell_swarms(struct supervisor *supervisor)
{
        list_for_each(at, &supervisor->children.all) {
                struct child *child = list_entry(at, struct child, in_all);

                if (child->role == IPC_SWARM)
                        child->unconfigured = true;
        }
}

static void on_mismatched(void *context, struct child *child)
{
        struct supervisor *supervisor = context;
        char name[CHILD_NAME_MAX];

        log_error(supervisor->log, "the %s is of another build: install all parts of one version",
                  child_name(child, name, sizeof(name)));
        stop(supervisor, EX_SOFTWARE);
}

static void on_all_ended(void *context)
{
        struct supervisor *supervisor = context;

        ev_break(supervisor->loop, EVBREAK_ALL);
}

/* The second time, who asks is in a hurry. */
static void on_signal(struct ev_loop *loop, ev_signal *signal, int events)
{
        struct supervisor *supervisor = signal->data;

        if (supervisor->children.stopping) {
                ev_break(loop, EVBREAK_ALL);
                return;
        }
        log_event(supervisor->log, IPC_EVENT_STOPPING, LOG_NOTICE, NULL, "stopping: %s", strsignal(signal->signum));
        stop(supervisor, EXIT_SUCCESS);
}

static void on_hangup(struct ev_loop *loop, ev_signal *signal, int events)
{
        struct supervisor *supervisor = signal->data;

        if (supervisor->children.stopping)
                return;
        reload_run(&supervisor->reload, -1, NULL);
        fetches_refresh(&supervisor->fetches);
}

/* Behind a URL; with all the rest of the configuration as it is now. */
static bool on_fetched(void *context)
{
        struct supervisor *supervisor = context;
        struct reload_told told;

        reload_run(&supervisor->reload, -1, &told);
        conf_complaints_fini(&told.complaints);
        return told.good;
}

static bool on_found(void *context)
{
        struct supervisor *supervisor = context;
        size_t count;
        const struct conf_found *list = docker_services(&supervisor->docker, &count);

        return reload_found(&supervisor->reload, list, count);
}

static void on_served(void *context, const struct gate *gate)
{
        gate->forward->child->unconfigured = true;
}

static void on_moved(void *context, const struct gate *gate)
{
        publish_gate(context, gate);
}

static void on_host_moved(void *context, const struct host *host)
{
        publish_host(context, host);
}

static void on_name_changed(void *context, const struct name *name)
{
        struct supervisor *supervisor = context;

        services_renamed(&supervisor->services, name);
        fetches_renamed(&supervisor->fetches, name);
        if (seeds_use(&supervisor->seeds, name) || appointed_use(&supervisor->appointed, name))
                supervisor_tell_swarms(supervisor);
}

static void on_name_wanted(void *context)
{
        struct supervisor *supervisor = context;

        if (!supervisor->resolve)
                supervisor->resolve = children_add(&supervisor->children, IPC_RESOLVE, 1, NULL);
}

/* Silence would be all that is seen of it. */
static void tell_lonely(const struct supervisor *supervisor)
{
        static const uint8_t any[4];

        if (!interfaces_has_ipv4(&supervisor->interfaces) && memcmp(supervisor->conf->host, any, sizeof(any)) == 0)
                log_event(supervisor->log, IPC_EVENT_ADDRESSES_MISSING, LOG_WARNING, NULL,
                          "this machine has no IPv4 address but loopback: the HyperDHT and connections to peers are IPv4 alone, "
                          "so that nobody else is reached until it has one");
}

static void on_interfaces(void *context)
{
        struct supervisor *supervisor = context;
        const struct interfaces *interfaces = &supervisor->interfaces;
        char first[INET_ADDRSTRLEN];

        tell_lonely(supervisor);

        inet_ntop(AF_INET, interfaces->ip[0], first, sizeof(first));
        log_event(supervisor->log, IPC_EVENT_ADDRESSES_CHANGED, LOG_INFO, NULL,
                  "this machine has other addresses now (%s%s): announcing anew", first, interfaces->count > 1 ? " and others" : "");
        supervisor_tell_swarms(supervisor);
}

/* What was written beside a node's name may be out of date. */
static void on_lost(void *context)
{
        struct supervisor *supervisor = context;

        seeds_distrust_hints(&supervisor->seeds, &supervisor->names);
}

/* Others may begin at the port of the first swarm worker. */
static void on_first_moved(void *context)
{
        supervisor_tell_swarms(context);
}

/* 0 or -errno. */
static int begin_sites(struct supervisor *supervisor)
{
        int r = site_begin(&supervisor->resolver, &supervisor->conf->resolver);

        return r < 0 ? r : site_begin(&supervisor->unlimited, &supervisor->conf->unlimited);
}

/* 0 or -errno. */
static int begin_hosts(struct supervisor *supervisor)
{
        const char *path = supervisor->conf->gateway.present ? supervisor->conf->gateway.hosts : NULL;
        int r = path ? hosts_begin(&supervisor->hosts, &supervisor->children, path) : 0;

        if (r < 0)
                log_error(supervisor->log, "hosts: can't listen on %s: %s", path, gate_socket_refusal(-r));
        return r;
}

/* 0 or -errno. */
static int begin_docker(struct supervisor *supervisor)
{
        if (!supervisor->conf->docker.present)
                return 0;
        docker_begin(&supervisor->docker, supervisor->keys->router_count ? supervisor->keys->routers[0].public_key : NULL);
        supervisor->engine = children_add(&supervisor->children, IPC_DOCKER, 1, NULL);
        return supervisor->engine ? 0 : -ENOMEM;
}

/* Everything there is to start. 0 or -errno. */
static int begin(struct supervisor *supervisor)
{
        const struct conf *conf = supervisor->conf;
        bool has_role = conf->provider.present || conf->gateway.present || conf->relay.present;
        int r = 0;

        routers_init(&supervisor->routers, supervisor->loop, supervisor->keys, on_routers, supervisor);
        if (conf->has_secret && has_role)
                r = routers_set(&supervisor->routers, conf);
        if (r == 0)
                r = seeds_init(&supervisor->seeds, &supervisor->names, conf);
        if (r == 0)
                r = appointed_init(&supervisor->appointed, &supervisor->names, conf);
        status_init(&supervisor->status, supervisor->loop, supervisor->log, conf->gateway.present ? &supervisor->gates : NULL,
                    conf, on_lost, supervisor);
        if (conf->provider.present || conf->gateway.present) {
                supervisor->router = children_add(&supervisor->children, IPC_ROUTER, 1, NULL);
                on_name_wanted(supervisor);     /* a bare DHT node may never need it */
        }
        tell_lonely(supervisor);
        gates_look_at_addresses(&supervisor->gates);
        if (conf->gateway.present)
                last_gates_open(&supervisor->last, &supervisor->gates);
        gates_open_lent(&supervisor->gates);
        cores_begin(&supervisor->cores, &supervisor->children, supervisor->passed, conf, on_first_moved, supervisor);
        if (r == 0)
                r = begin_sites(supervisor);
        if (r == 0)
                r = begin_hosts(supervisor);
        if (r == 0)
                r = begin_docker(supervisor);
        if (r == 0)
                r = services_init(&supervisor->services, &conf->provider, &supervisor->names, &supervisor->forwards);
        return r;
}

static void watch_signal(struct supervisor *supervisor, ev_signal *watcher, int number,
                         void (*handler)(struct ev_loop *loop, ev_signal *signal, int events))
{
        ev_signal_init(watcher, handler, number);
        watcher->data = supervisor;
        ev_signal_start(supervisor->loop, watcher);
}

static void mask_signals(int how)
{
        sigset_t ours;

        sigemptyset(&ours);
        sigaddset(&ours, SIGTERM);
        sigaddset(&ours, SIGINT);
        sigaddset(&ours, SIGHUP);
        sigprocmask(how, &ours, NULL);
}

void supervisor_hold_signals(void)
{
        mask_signals(SIG_BLOCK);
}

static void watch(struct supervisor *supervisor)
{
        signal(SIGPIPE, SIG_IGN);
        watch_signal(supervisor, &supervisor->terminate, SIGTERM, on_signal);
        watch_signal(supervisor, &supervisor->interrupt, SIGINT, on_signal);
        watch_signal(supervisor, &supervisor->hangup, SIGHUP, on_hangup);
        mask_signals(SIG_UNBLOCK);
        ev_prepare_init(&supervisor->settle, on_settle);
        supervisor->settle.data = supervisor;
        ev_prepare_start(supervisor->loop, &supervisor->settle);
}

static int init(struct supervisor *supervisor, const struct supervisor_start *start)
{
        static const struct children_events events = { .started = on_started, .ready = on_ready, .message = on_message,
                                                       .mismatched = on_mismatched, .all_ended = on_all_ended };
        const struct conf *conf = supervisor->conf;
        uint8_t map_key[16];
        int r;

        randombytes_buf(map_key, sizeof(map_key));
        names_init(&supervisor->names, supervisor->loop, supervisor->log, map_key, on_name_changed, on_name_wanted, supervisor);
        fetches_init(&supervisor->fetches, supervisor->loop, supervisor->log, &supervisor->names, start->libexec, on_fetched, supervisor);
        docker_init(&supervisor->docker, supervisor->log, conf, on_found, supervisor);
        interfaces_init(&supervisor->interfaces, supervisor->loop, conf->host, on_interfaces, supervisor);
        forwards_init(&supervisor->forwards, &supervisor->children,
                      conf->gateway.present && conf->provider.present ? FORWARDS_MAX / 2 : FORWARDS_MAX);
        gates_init(&supervisor->gates, supervisor->loop, supervisor->log, &conf->gateway, &supervisor->forwards, supervisor->passed,
                   on_served, on_moved, supervisor);
        hosts_init(&supervisor->hosts, supervisor->log, &supervisor->forwards, on_host_moved, supervisor);
        site_init(&supervisor->resolver, supervisor->log, &supervisor->children, "fingerprintResolver", IPC_ADMIN_OF_RESOLVER);
        site_init(&supervisor->unlimited, supervisor->log, &supervisor->children, "unlimited", IPC_ADMIN_OF_UNLIMITED);
        questions_init(&supervisor->questions);
        lost_links_init(&supervisor->lost, &supervisor->children, supervisor->loop);
        watch(supervisor);
        watchdog_begin(&supervisor->watchdog, supervisor->loop);
        r = children_init(&supervisor->children, supervisor->loop, supervisor->log, start->libexec, conf->name, &events, supervisor);
        supervisor->children.log_channels = conf->log_channels;
        supervisor->children.oom_score = start->oom_score;
        return r;
}

static void fini(struct supervisor *supervisor)
{
        if (!supervisor->children.stopping)
                release(supervisor);
        children_fini(&supervisor->children);
        reload_fini(&supervisor->reload);
        watchdog_end(&supervisor->watchdog, supervisor->loop);
        ev_loop_destroy(supervisor->loop);
}

int supervisor_run(struct supervisor *supervisor, const struct supervisor_start *start)
{
        int r;

        *supervisor = (struct supervisor){ .loop = ev_default_loop(EVBACKEND_EPOLL | EVFLAG_NOENV), .log = start->log,
                                           .conf = start->conf, .keys = start->keys,
                                           .known = *start->known, .last = *start->last, .passed = start->passed,
                                           .began_us = monotonic_us() };
        cores_init(&supervisor->cores, start->sockets);
        if (!supervisor->loop) {
                log_error(start->log, "no event loop: %s", strerror(errno));
                return EX_OSERR;
        }
        reload_init(&supervisor->reload, supervisor, start->source);
        supervisor->reload.source.fetched = fetches_text;
        supervisor->reload.source.fetched_context = &supervisor->fetches;
        control_init(&supervisor->control, supervisor, start->control_listener, start->control_conn);
        supervisor->asked_as = start->asked_as;
        r = init(supervisor, start);
        if (r == 0)
                r = begin(supervisor);
        if (r == 0) {
                ev_run(supervisor->loop, 0);
        } else {
                log_error(start->log, "can't start: %s", strerror(-r));
                supervisor->exit_code = EX_OSERR;
        }
        fini(supervisor);
        return supervisor->exit_code;
}
