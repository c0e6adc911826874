/* SPDX-License-Identifier: BSD-3-Clause */
#include "publish.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc_admin.h"
#include "ipc_blob.h"
#include "ipc_channel.h"
#include "ipc_router.h"
#include "ipc_rule.h"
#include "ipc_swarm.h"

enum { SEED_ADDRESSES_MAX = 64 };

_Static_assert((int)CONF_TCP == (int)IPC_TCP && (int)CONF_UDP == (int)IPC_UDP, "both are the protocol's numbers");
_Static_assert((int)CONF_PROXY_V1 == (int)IPC_PROXY_V1 && (int)CONF_PROXY_V2 == (int)IPC_PROXY_V2, "both are the versions");
_Static_assert((int)CONF_FILTER_GATE_PORT == (int)IPC_FILTER_GATE_PORT &&
               (int)CONF_FILTER_SERVICE_PORT == (int)IPC_FILTER_SERVICE_PORT &&
               (int)CONF_FILTER_PROTOCOL == (int)IPC_FILTER_PROTOCOL && (int)CONF_FILTER_HOST == (int)IPC_FILTER_HOST &&
               (int)CONF_FILTER_TAGS == (int)IPC_FILTER_TAGS, "filters are passed on as they are");
_Static_assert((int)CONF_HEALTH_TCP == (int)IPC_HEALTH_TCP && (int)CONF_HEALTH_HTTP == (int)IPC_HEALTH_HTTP &&
               (int)CONF_HEALTH_PATH_MAX == (int)IPC_PATH_MAX, "health, too");
_Static_assert((int)CONF_POLICY_LEAST_CONNECTIONS == (int)IPC_POLICY_LEAST_CONNECTIONS &&
               (int)CONF_POLICY_SOURCE_HASH == (int)IPC_POLICY_SOURCE_HASH && (int)CONF_POLICY_FIRST == (int)IPC_POLICY_FIRST &&
               (int)CONF_PRIORITY_MAX == (int)IPC_PRIORITY_MAX, "so are policies and priorities");
_Static_assert((int)CONF_UP == (int)IPC_RULE_UP && (int)CONF_DOWN == (int)IPC_RULE_DOWN && (int)CONF_LABELS_MAX == (int)IPC_LABELS_MAX,
               "and what rules say");
_Static_assert((int)CONF_HOST_MAX == (int)IPC_NAME_MAX && (int)CONF_TAGS_MAX == (int)IPC_TAGS_MAX, "nothing is cut");
_Static_assert((int)CONF_KEY_BYTES == (int)IPC_KEY_BYTES, "a relay's too");
_Static_assert((int)CONF_BASIC_AUTH_MAX == (int)IPC_BASIC_AUTH_MAX, "it fits");
_Static_assert((int)CONF_ALLOWED_MAX == (int)IPC_ALLOWED_MAX, "all arrive");
_Static_assert((int)KEYS_BYTES == (int)IPC_KEY_BYTES && (int)KEYS_AUTH_BYTES == (int)IPC_AUTH_KEY_BYTES, "same keys");

static void send_socket(struct child *child, enum ipc_socket_kind kind, const struct udp_made *made, const uint8_t host[4])
{
        struct ipc_swarm_socket socket = { .kind = kind, .receive_bytes = made->receive_bytes, .local_port = made->port,
                                           .gso = made->gso, .gro = made->gro, .mark = made->mark };

        memcpy(socket.local_ip, host, sizeof(socket.local_ip));
        child_send(child, IPC_SWARM_SOCKET, &socket, &made->fd, 1);
        socket.for_strangers = 1;
        if (made->strangers_fd >= 0)
                child_send(child, IPC_SWARM_SOCKET, &socket, &made->strangers_fd, 1);
}

static void send_node(const struct supervisor *supervisor, struct child *child, const struct core *core)
{
        const struct swarm_sockets *sockets = &core->sockets;
        const struct conf_dht *dht = &supervisor->conf->dht;
        struct ipc_swarm_node node = { 0 };

        if (core_is_first(core)) {
                node.persistent = dht->persistent;
                node.public_port = dht->public_port;
                memcpy(node.public_ip, dht->public_ip, sizeof(node.public_ip));
        }
        child_send(child, IPC_SWARM_NODE, &node, NULL, 0);
        send_socket(child, IPC_SOCKET_SERVER, &sockets->server, sockets->host);
        send_socket(child, IPC_SOCKET_CLIENT, &sockets->client, sockets->host);
        for (size_t i = 0; i < supervisor->interfaces.count; i++) {
                struct ipc_swarm_address address;

                memcpy(address.ip, supervisor->interfaces.ip[i], sizeof(address.ip));
                child_send(child, IPC_SWARM_ADDRESS, &address, NULL, 0);
        }
}

static void send_identity(const struct keys *keys, struct child *child, enum ipc_instance_role role)
{
        struct ipc_swarm_identity identity = { .role = role };

        cores_identity(child->id, keys->seed[role == IPC_AS_PROVIDER], identity.seed);
        child_send(child, IPC_SWARM_IDENTITY, &identity, NULL, 0);
        sodium_memzero(&identity, sizeof(identity));
}

static void send_routers(const struct supervisor *supervisor, struct child *child)
{
        const struct conf *conf = supervisor->conf;
        const struct keys *keys = supervisor->keys;
        bool any = false;

        for (size_t i = 0; i < keys->router_count; i++) {
                struct ipc_swarm_router router;

                if (!keys->routers[i].has_auth)
                        continue;               /* soon: then it is told again */
                memcpy(router.public_key, keys->routers[i].public_key, sizeof(router.public_key));
                memcpy(router.auth_key, keys->routers[i].auth, sizeof(router.auth_key));
                child_send(child, IPC_SWARM_ROUTER, &router, NULL, 0);
                sodium_memzero(&router, sizeof(router));
                any = true;
        }
        if (!any)
                return;
        if (conf->gateway.present || !conf->provider.present)
                send_identity(keys, child, IPC_AS_GATEWAY);     /* a relay alone comes as one that opens nothing */
        if (conf->provider.present)
                send_identity(keys, child, IPC_AS_PROVIDER);
}

static void send_relays(const struct supervisor *supervisor, struct child *child, const struct core *core)
{
        const struct conf *conf = supervisor->conf;
        struct ipc_swarm_relay relay = { .anybody = conf->relay.anybody, .connections = conf->relay.connections,
                                         .connections_per_host = conf->relay.connections_per_client,
                                         .bytes_per_s = conf->relay.bytes_per_second,
                                         .bytes_per_s_per_host = conf->relay.bytes_per_second_per_client };

        for (size_t i = 0; i < conf->relay_count; i++)
                child_send(child, IPC_SWARM_THROUGH, conf->relays[i], NULL, 0);
        if (!core_is_first(core))
                relay = (struct ipc_swarm_relay){ .mode = IPC_RELAY_NEVER };    /* the first is the relay, if any is */
        else if (!conf->relay.present && !conf->relay.never)
                return;
        else
                relay.mode = conf->relay.never ? IPC_RELAY_NEVER : IPC_RELAY_ALWAYS;
        if (relay.mode == IPC_RELAY_ALWAYS)
                memcpy(relay.seed, supervisor->keys->relay_seed, sizeof(relay.seed));
        child_send(child, IPC_SWARM_RELAY, &relay, NULL, 0);
        sodium_memzero(&relay, sizeof(relay));
}

static void send_allowed(const struct conf_keys *keys, enum ipc_instance_role role, struct child *child)
{
        struct ipc_swarm_allowed allowed = { .role = role };

        for (size_t i = 0; i < keys->count; i++) {
                memcpy(allowed.key, keys->list[i], sizeof(allowed.key));
                child_send(child, IPC_SWARM_ALLOWED, &allowed, NULL, 0);
        }
}

static void send_limits_of_peers(const struct conf *conf, struct child *child)
{
        struct ipc_swarm_limits limits = { .connections_per_peer = conf->provider.connections_per_peer,
                                           .channel_buffer_bytes = conf->channel_buffer_bytes, .peer_buffer_bytes = conf->peer_buffer_bytes };

        child_send(child, IPC_SWARM_LIMITS, &limits, NULL, 0);
}

/* A bare DHT node may find a secret in its environment. */
static bool has_role(const struct conf *conf)
{
        return conf->gateway.present || conf->provider.present || conf->relay.present;
}

/* What forward workers will hold, each once: services are in the order of their gates. */
static void send_held(const struct services *services, struct child *child)
{
        struct ipc_service_held held, last = { 0 };

        for (size_t i = 0; i < services->count; i++, last = held) {
                const struct conf_service *from = services->list[i].conf;

                held = (struct ipc_service_held){ .gate_port = from->gate_port, .protocol = (uint16_t)from->protocol };
                if (held.gate_port != last.gate_port || held.protocol != last.protocol)
                        child_send(child, IPC_SERVICE_HELD, &held, NULL, 0);
        }
}

/* Where nobody else is asked for the way in, the first worker's node is the network. */
static void send_first(const struct supervisor *supervisor, struct child *child)
{
        static const uint8_t any[4], loopback[4] = { 127, 0, 0, 1 };
        const struct swarm_sockets *sockets = &supervisor->cores.list[0].sockets;
        struct ipc_swarm_bootstrap first = { .port = sockets->server.port };

        if (memcmp(sockets->host, any, sizeof(any)) != 0)
                memcpy(first.ip, sockets->host, sizeof(first.ip));
        else
                memcpy(first.ip, supervisor->interfaces.count ? supervisor->interfaces.ip[0] : loopback, sizeof(first.ip));
        child_send(child, IPC_SWARM_BOOTSTRAP, &first, NULL, 0);
}

static void publish_swarm(struct supervisor *supervisor, struct child *child)
{
        const struct core *core = cores_find(&supervisor->cores, child);
        struct seed_address seeds[SEED_ADDRESSES_MAX];
        size_t count = seeds_addresses(&supervisor->seeds, seeds, SEED_ADDRESSES_MAX);

        send_node(supervisor, child, core);
        if (!core_is_first(core) && supervisor->seeds.count == 0)
                send_first(supervisor, child);
        for (size_t i = 0; i < count; i++) {
                struct ipc_swarm_bootstrap seed = { .port = seeds[i].port };

                memcpy(seed.ip, seeds[i].ip, sizeof(seed.ip));
                child_send(child, IPC_SWARM_BOOTSTRAP, &seed, NULL, 0);
        }
        if (supervisor->known.nodes.count > 0)
                child_send(child, IPC_SWARM_KNOWN, &supervisor->known.nodes, NULL, 0);
        send_allowed(&supervisor->conf->gateway.allowed, IPC_AS_GATEWAY, child);
        send_allowed(&supervisor->conf->provider.allowed, IPC_AS_PROVIDER, child);
        send_limits_of_peers(supervisor->conf, child);
        if (has_role(supervisor->conf))
                send_routers(supervisor, child);
        appointed_publish(&supervisor->appointed, child);
        send_relays(supervisor, child, core);
        send_held(&supervisor->services, child);
}

static const struct conf_ingress *ingress_of(const struct conf_provider *conf, const struct conf_service *service)
{
        return service->ingress ? service->ingress : conf->ingress;
}

static struct ipc_rule rule_of(const struct conf_rule *from)
{
        static const enum ipc_rule_who who[] = { [CONF_RULE_ALL] = IPC_RULE_ALL, [CONF_RULE_IPV4] = IPC_RULE_IPV4,
                                                 [CONF_RULE_IPV6] = IPC_RULE_IPV6, [CONF_RULE_OTHERS] = IPC_RULE_OTHERS };
        struct ipc_rule rule = { .who = (uint8_t)who[from->who], .bits = from->bits, .allow = from->allow, .protocols = from->protocols,
                                 .port_first = from->port_first, .port_last = from->port_last, .except_first = from->except_first,
                                 .except_last = from->except_last, .ways = from->ways, .expires_ms = from->expires_ms,
                                 .bytes_per_s = from->bytes_per_s, .burst_bytes = from->burst_bytes };

        memcpy(rule.ip, from->ip, sizeof(rule.ip));
        memcpy(rule.labels, from->labels, sizeof(rule.labels));
        return rule;
}

/* As a sealed memory file of rules, of which there are some. -errno: it can't be had. */
static int make_ingress(const struct conf_ingress *ingress)
{
        struct ipc_rule *rules = calloc(ingress->count, sizeof(*rules));
        int fd = -ENOMEM;

        for (size_t i = 0; rules && i < ingress->count; i++)
                rules[i] = rule_of(&ingress->rules[i]);
        if (rules)
                fd = ipc_blob_new(rules, ingress->count * sizeof(*rules));
        free(rules);
        return fd;
}

/* Of the services that follow. What can't be told leaves them out: they would be everybody's. */
static bool send_ingress(const struct conf_ingress *ingress, const struct log *log, struct child *child)
{
        struct ipc_router_policy policy = { .len = ingress ? (uint32_t)(ingress->count * sizeof(struct ipc_rule)) : 0 };
        int fd;

        if (!policy.len) {
                child_send(child, IPC_ROUTER_POLICY, &policy, NULL, 0);
                return true;
        }
        fd = make_ingress(ingress);
        if (fd < 0) {
                log_error(log, "services with an ingress policy are left out: it can't be told: %s", strerror(-fd));
                return false;
        }
        child_send(child, IPC_ROUTER_POLICY, &policy, &fd, 1);
        close(fd);
        return true;
}

static void send_services(const struct conf_provider *conf, const struct services *services, const struct log *log, struct child *child)
{
        const struct conf_ingress *told = NULL; /* that is how it begins */
        bool good = true;

        for (size_t i = 0; i < conf->service_count; i++) {
                const struct conf_service *from = &conf->services[i];
                const struct conf_ingress *ingress = ingress_of(conf, from);
                struct ipc_router_service service = { .gate_port = from->gate_port, .service_port = from->service_port,
                                                      .protocol = (uint16_t)from->protocol, .priority = from->priority,
                                                      .withheld = services_gone(services, from) };

                if (told != ingress) {
                        good = send_ingress(ingress, log, child);
                        told = ingress;
                }
                if (!good)
                        continue;
                snprintf(service.host, sizeof(service.host), "%s", conf_service_announced(from));
                snprintf(service.tags, sizeof(service.tags), "%s", from->tags);
                snprintf(service.sni, sizeof(service.sni), "%s", from->sni);
                child_send(child, IPC_ROUTER_SERVICE, &service, NULL, 0);
        }
}

static void send_filters(const struct conf_filter *filters, size_t count, unsigned more_fields, struct child *child)
{
        for (size_t i = 0; i < count; i++) {
                const struct conf_filter *from = &filters[i];
                struct ipc_router_filter filter = { .fields = from->fields | more_fields,
                                                    .gate_port = from->gate_port, .gate_port_last = from->gate_port_last,
                                                    .service_port = from->service_port, .service_port_last = from->service_port_last,
                                                    .protocol = (uint16_t)from->protocol, .priority = (int16_t)from->priority };

                snprintf(filter.host, sizeof(filter.host), "%s", from->host);
                snprintf(filter.tags, sizeof(filter.tags), "%s", from->tags);
                child_send(child, IPC_ROUTER_FILTER, &filter, NULL, 0);
        }
}

static void send_gate(struct child *child, const struct gate *gate)
{
        struct ipc_router_gate held = { .gate_port = gate->port, .protocol = gate->protocol,
                                        .forward = gate->forward ? gate->forward->child->id : 0 };

        child_send(child, IPC_ROUTER_GATE, &held, NULL, 0);
}

static void send_host(struct child *child, const struct host *host)
{
        struct ipc_router_host said = { .at = host->at, .number = host->number, .forward = host->forward ? host->forward->child->id : 0 };

        child_send(child, IPC_ROUTER_HOST, &said, NULL, 0);
}

static void publish_router(const struct supervisor *supervisor, struct child *child)
{
        const struct conf *conf = supervisor->conf;
        struct ipc_router_roles roles = { .roles = (conf->gateway.present ? (uint32_t)IPC_AS_GATEWAY : 0) |
                                                   (conf->provider.present ? (uint32_t)IPC_AS_PROVIDER : 0),
                                          .gates_per_peer = conf->gateway.routes_per_peer,
                                          .every_filter = conf->gateway.filter_mode == CONF_FILTER_ORIGINAL,
                                          .expiry_ms = conf->gateway.route_expiration_ms,
                                          .hosts = conf->gateway.present && conf->gateway.hosts };

        child_send(child, IPC_ROUTER_ROLES, &roles, NULL, 0);
        send_services(&conf->provider, &supervisor->services, supervisor->log, child);
        send_filters(conf->gateway.filters, conf->gateway.filter_count, 0, child);
        send_filters(conf->gateway.exceptions, conf->gateway.exception_count, IPC_FILTER_EXCEPT, child);
        send_filters(conf->gateway.only, conf->gateway.only_count, IPC_FILTER_ONLY, child);
        list_for_each(at, &supervisor->gates.all) {
                const struct gate *gate = list_entry(at, struct gate, in_all);

                if (gate->forward)
                        send_gate(child, gate);
        }
        list_for_each(at, &supervisor->hosts.all)
                send_host(child, list_entry(at, struct host, in_all));
}

static void send_listeners(const struct supervisor *supervisor, struct child *child, const struct forward *forward)
{
        const struct conf_gateway *conf = &supervisor->conf->gateway;

        list_for_each(at, &supervisor->gates.all) {
                const struct gate *gate = list_entry(at, struct gate, in_all);
                struct ipc_forward_listener listener = { .gate_port = gate->port, .protocol = gate->protocol,
                                                         .wait_ms = conf->route_finding_timeout_ms,
                                                         .idle_ms = gate->protocol == CONF_UDP ? conf->udp_timeout_ms : conf->tcp.timeout_ms,
                                                         .policy = gates_policy(conf, gate->port, gate->protocol) };

                for (size_t i = 0; gate->forward == forward && i < gate->listener_count; i++)
                        if (gate->listeners[i].fd >= 0)
                                child_send(child, IPC_FORWARD_LISTENER, &listener, &gate->listeners[i].fd, 1);
        }
}

static void send_limits(const struct conf_gateway *conf, size_t swarms, struct child *child)
{
        struct ipc_forward_limits limits = { conf->connections, conf->connections_per_client, conf->connection_rate,
                                             conf->connection_rate_per_client, conf->open_timeout_ms, (uint32_t)swarms };

        _Static_assert((int)CONF_CORES_MAX <= (int)IPC_SWARMS_MAX && (int)SWARM_SOCKETS_FIRST == 1, "all have such ids");
        child_send(child, IPC_FORWARD_LIMITS, &limits, NULL, 0);
}

static void send_trusted(const struct conf_gateway *conf, struct child *child)
{
        for (size_t i = 0; i < conf->trusted_count; i++) {
                struct ipc_forward_trusted trusted = { .bits = conf->trusted[i].bits };

                memcpy(trusted.ip, conf->trusted[i].ip, sizeof(trusted.ip));
                child_send(child, IPC_FORWARD_TRUSTED, &trusted, NULL, 0);
        }
}

/* What can't be told lets nobody in: who was to be kept out would come. */
static void send_gateway_ingress(const struct conf_ingress *ingress, const struct log *log, struct child *child)
{
        struct ipc_forward_policy policy = { .rules = ingress ? (uint32_t)ingress->count : 0 };
        int fd;

        if (!policy.rules)
                return;
        fd = make_ingress(ingress);
        if (fd < 0) {
                log_error(log, "gateway.ingressPolicy can't be told: gates let nobody in until it can: %s", strerror(-fd));
                policy.rules = 0;
        }
        child_send(child, IPC_FORWARD_POLICY, &policy, &fd, fd >= 0);
        if (fd >= 0)
                close(fd);
}

/* Those whose time is over as well: who hears of them knows the time. */
static void send_allowances(const struct ipc_allowances *allowances, struct child *child)
{
        for (size_t i = 0; i < allowances->count; i++)
                child_send(child, IPC_FORWARD_ALLOW, &allowances->list[i], NULL, 0);
}

static void send_keep_alive(const struct conf_tcp *conf, struct child *child)
{
        struct ipc_forward_keep_alive keep = { conf->keep_idle_s, conf->keep_interval_s, conf->keep_count };

        child_send(child, IPC_FORWARD_KEEP_ALIVE, &keep, NULL, 0);
}

static void send_hosts(const struct supervisor *supervisor, const struct forward *forward)
{
        const struct conf_gateway *conf = &supervisor->conf->gateway;
        struct ipc_forward_listener how = { .wait_ms = conf->route_finding_timeout_ms, .idle_ms = conf->tcp.timeout_ms,
                                            .policy = conf->policy };

        hosts_publish_forward(&supervisor->hosts, forward, how, conf->udp_timeout_ms);
}

static void publish_forward(const struct supervisor *supervisor, struct child *child)
{
        const struct forward *forward = forward_of(child);
        const struct conf_provider *conf = &supervisor->conf->provider;

        send_keep_alive(forward->duty != IPC_DUTY_SERVICES ? &supervisor->conf->gateway.tcp : &conf->tcp, child);
        if (forward->duty != IPC_DUTY_SERVICES) {
                send_limits(&supervisor->conf->gateway, supervisor->cores.count, child);
                send_trusted(&supervisor->conf->gateway, child);
                send_allowances(&supervisor->allowances, child);
                send_gateway_ingress(supervisor->conf->gateway.ingress, supervisor->log, child);
        }
        send_listeners(supervisor, child, forward);
        if (forward->duty == IPC_DUTY_HOSTS)
                send_hosts(supervisor, forward);
        for (size_t i = 0; i < supervisor->services.count; i++) {
                const struct service *from = &supervisor->services.list[i];
                struct ipc_forward_service service = { .gate_port = from->conf->gate_port,
                                                       .protocol = (uint16_t)from->conf->protocol,
                                                       .service_port = from->conf->service_port,
                                                       .idle_ms = from->conf->protocol == CONF_UDP ? conf->udp_timeout_ms : conf->tcp.timeout_ms,
                                                       .proxy = (uint16_t)from->conf->proxy,
                                                       .local = conf_service_path(from->conf) != NULL,
                                                       .priority = from->conf->priority };
                const struct conf_health *health = &from->conf->health;

                if (from->forward != forward)
                        continue;
                if (from->name) {
                        service.count = (uint16_t)from->name->count;
                        memcpy(service.address, from->name->address, sizeof(service.address));
                }
                child->dials = child->dials || service.local;
                snprintf(service.host, sizeof(service.host), "%s", from->conf->host);
                snprintf(service.alias, sizeof(service.alias), "%s", from->conf->alias ? from->conf->alias : "");
                service.service = service_name(from->conf);
                if (health->type) {
                        service.health = (uint16_t)health->type;
                        service.status_first = health->status_first;
                        service.status_last = health->status_last;
                        service.rise = (uint16_t)health->rise;
                        service.fall = (uint16_t)health->fall;
                        service.interval_ms = health->interval_ms;
                        service.timeout_ms = health->timeout_ms;
                        snprintf(service.path, sizeof(service.path), "%s", health->path);
                }
                child_send(child, IPC_FORWARD_SERVICE, &service, NULL, 0);
        }
}

/* Without any node to ask, the swarm worker would take itself for the first of a network. */
static bool swarm_may_start(struct supervisor *supervisor, const struct child *child)
{
        const struct core *core = cores_find(&supervisor->cores, child);
        struct seed_address one;

        if (!swarm_sockets_made(&supervisor->cores.list[0].sockets) || !swarm_sockets_made(&core->sockets))
                return false;
        return supervisor->seeds.count == 0 || seeds_addresses(&supervisor->seeds, &one, 1) > 0 ||
               (supervisor->known.nodes.count > 0 && !supervisor->conf->dht.persistent);
}

static void publish_admin(const struct supervisor *supervisor, struct child *child)
{
        bool unlimited = child == supervisor->unlimited.child;
        const struct site *at = unlimited ? &supervisor->unlimited : &supervisor->resolver;
        const struct conf_site *site = unlimited ? &supervisor->conf->unlimited : &supervisor->conf->resolver;
        struct ipc_admin_listener listener = { .auth_len = site->auth_len };

        if (at->fd < 0)
                return;                 /* nobody is answered any more */
        memcpy(listener.auth, site->auth, site->auth_len);
        child_send(child, unlimited ? IPC_ADMIN_UNLIMITED : IPC_ADMIN_LISTENER, &listener, &at->fd, 1);
        sodium_memzero(&listener, sizeof(listener));
}

bool publish(struct supervisor *supervisor, struct child *child)
{
        if (child->role == IPC_RESOLVE)
                return true;            /* is asked, not configured */
        if (child->role == IPC_SWARM && !swarm_may_start(supervisor, child))
                return false;
        child_conf_begin(child);
        if (child->role == IPC_SWARM)
                publish_swarm(supervisor, child);
        else if (child->role == IPC_ROUTER)
                publish_router(supervisor, child);
        else if (child->role == IPC_FORWARD)
                publish_forward(supervisor, child);
        else if (child->role == IPC_ADMIN)
                publish_admin(supervisor, child);
        else if (child->role == IPC_HOSTS)
                hosts_publish(&supervisor->hosts);
        else if (child->role == IPC_DOCKER)
                docker_publish(&supervisor->docker, &supervisor->hosts, child);
        child_conf_end(child);
        return true;
}

void publish_gate(struct supervisor *supervisor, const struct gate *gate)
{
        struct child *router = supervisor->router;

        if (router && child_alive(router) && !router->unconfigured)     /* else it hears with all the rest */
                send_gate(router, gate);
}

void publish_host(struct supervisor *supervisor, const struct host *host)
{
        struct child *router = supervisor->router;

        if (router && child_alive(router) && !router->unconfigured)     /* else it hears with all the rest */
                send_host(router, host);
}

void publish_health(struct supervisor *supervisor, const struct ipc_service_health *health)
{
        struct child *router = supervisor->router;

        if (router && child_alive(router) && !router->unconfigured)     /* else it hears with all the rest */
                child_send(router, IPC_ROUTER_HEALTH, health, NULL, 0);
}

void publish_allowance(struct supervisor *supervisor, const struct ipc_forward_allow *who)
{
        list_for_each(at, &supervisor->children.all) {
                struct child *child = list_entry(at, struct child, in_all);
                const struct forward *forward = forward_of(child);

                if (forward && forward->duty != IPC_DUTY_SERVICES && child_alive(child) && !child->unconfigured)   /* else with all the rest */
                        child_send(child, IPC_FORWARD_ALLOW, who, NULL, 0);
        }
}
