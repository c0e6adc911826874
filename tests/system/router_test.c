/* SPDX-License-Identifier: BSD-3-Clause */
/* The real router worker; supervisor, swarm and forward workers are this test. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"
#include "ipc_blob.h"
#include "ipc_route.h"
#include "ipc_router.h"
#include "ipc_rule.h"
#include "test.h"

enum { GATE = 8080 };

struct scene {
        struct host host;
        struct ipc_link swarm, forward;
};

static const struct ipc_generation generation = { .generation = 1 };

static void begin(struct scene *scene)
{
        host_start(&scene->host, IPC_ROUTER, IPC_DUTY_NONE, NULL, 0);
}

static void finish(struct scene *scene)
{
        host_stop(&scene->host);
        ipc_link_fini(&scene->swarm);
}

static void conf_begin(struct scene *scene, uint32_t roles)
{
        host_send(&scene->host.worker, IPC_CONF_BEGIN, &generation, -1);
        host_send(&scene->host.worker, IPC_ROUTER_ROLES, &(struct ipc_router_roles){ roles }, -1);
}

static void conf_end(struct scene *scene)
{
        host_send(&scene->host.worker, IPC_CONF_END, &generation, -1);
}

static void conf_service(struct scene *scene, uint16_t gate_port)
{
        struct ipc_router_service service = { .gate_port = gate_port, .service_port = 80, .host = "127.0.0.1", .tags = "web" };

        host_send(&scene->host.worker, IPC_ROUTER_SERVICE, &service, -1);
}

static void hold(struct scene *scene, uint16_t gate_port, uint32_t forward)
{
        struct ipc_router_gate gate = { .gate_port = gate_port, .forward = forward };

        host_send(&scene->host.worker, IPC_ROUTER_GATE, &gate, -1);
}

/* A gateway with its swarm worker. */
static void begin_gateway(struct scene *scene)
{
        begin(scene);
        conf_begin(scene, IPC_AS_GATEWAY);
        conf_end(scene);
        host_introduce(&scene->host, IPC_SWARM, 1, &scene->swarm);
}

static void peer(struct scene *scene, enum ipc_type type, char name, uint32_t role)
{
        struct ipc_peer peer = { .peer = { (uint8_t)name }, .role = role };

        host_send(&scene->swarm, type, &peer, -1);
}

static void advertise_bytes(struct scene *scene, char name, const char *text, size_t len)
{
        struct ipc_peer_advert advert = { .peer = { (uint8_t)name }, .len = (uint32_t)len };
        int fd = ipc_blob_new(text, len);

        check(fd >= 0);
        host_send(&scene->swarm, IPC_PEER_ADVERT, &advert, fd);
        close(fd);
}

static void advertise(struct scene *scene, char name, const char *text)
{
        advertise_bytes(scene, name, text, strlen(text));
}

/* A provider that offers GATE. */
static void offer(struct scene *scene, char name)
{
        peer(scene, IPC_PEER_UP, name, IPC_AS_PROVIDER);
        advertise(scene, name, "{\"routes\":[{\"serviceHost\":\"h\",\"servicePort\":80,\"protocol\":0,\"gatePort\":8080}]}");
}

static void expect_gate(struct scene *scene, enum ipc_type type, uint16_t gate_port)
{
        struct ipc_gate gate;

        host_expect(&scene->host, &scene->host.worker, type, &gate);
        check_equal(gate.gate_port, gate_port);
        check_equal(gate.protocol, IPC_TCP);
}

static void expect_route(struct scene *scene, enum ipc_type type, char name)
{
        struct ipc_route route;

        host_expect(&scene->host, &scene->forward, type, &route);
        check_equal(route.peer[0], name);
        check_equal(route.gate_port, GATE);
}

static void expect_advert(struct scene *scene, const char *text)
{
        struct ipc_advertise advertise;
        uint8_t *bytes;
        int fd = host_expect(&scene->host, &scene->swarm, IPC_ADVERTISE, &advertise);

        check_equal(ipc_blob_read(fd, advertise.len, &bytes), 0);
        close(fd);
        check_equal(advertise.len, strlen(text));
        check_bytes(bytes, text, strlen(text));
        free(bytes);
}

static void conf_policy(struct scene *scene, const char *bytes, size_t len, size_t said)
{
        struct ipc_router_policy policy = { .len = (uint32_t)said };
        int fd = len ? ipc_blob_new(bytes, len) : -1;

        host_send(&scene->host.worker, IPC_ROUTER_POLICY, &policy, fd);
        if (fd >= 0)
                close(fd);
}

#define SERVICE(port) "{\"serviceHost\":\"127.0.0.1\",\"servicePort\":80,\"protocol\":0,\"gatePort\":" #port \
                      ",\"tags\":\"web\",\"routes\":[],\"ingressPolicy\":{}}"

TEST(services_are_advertised_to_each_swarm_worker_and_when_they_change)
{
        struct scene scene;

        begin(&scene);
        conf_begin(&scene, IPC_AS_PROVIDER);
        conf_service(&scene, 8080);
        conf_end(&scene);
        host_introduce(&scene.host, IPC_SWARM, 1, &scene.swarm);
        expect_advert(&scene, "{\"routes\":[" SERVICE(8080) "]}");
        conf_begin(&scene, IPC_AS_PROVIDER);
        conf_service(&scene, 8080);
        conf_end(&scene);
        host_expect_nothing(&scene.host, &scene.swarm);
        conf_begin(&scene, IPC_AS_PROVIDER | IPC_AS_GATEWAY);
        conf_service(&scene, 8080);
        conf_service(&scene, 8081);
        conf_end(&scene);
        expect_advert(&scene, "{\"routes\":[" SERVICE(8080) "," SERVICE(8081) "]}");
        ipc_link_fini(&scene.swarm);
        host_introduce(&scene.host, IPC_SWARM, 1, &scene.swarm);
        expect_advert(&scene, "{\"routes\":[" SERVICE(8080) "," SERVICE(8081) "]}");
        conf_begin(&scene, IPC_AS_GATEWAY);
        conf_end(&scene);
        expect_advert(&scene, "{\"routes\":[]}");
        finish(&scene);
}

TEST(services_are_advertised_with_the_policy_that_was_said_before_them)
{
        struct ipc_rule rule = { .who = IPC_RULE_OTHERS, .protocols = 3, .port_last = UINT16_MAX, .except_first = 1, .ways = 3 };
        struct scene scene;

        begin(&scene);
        conf_begin(&scene, IPC_AS_PROVIDER);
        conf_service(&scene, 8080);
        conf_policy(&scene, (const char *)&rule, sizeof(rule), sizeof(rule));
        conf_service(&scene, 8081);
        conf_policy(&scene, NULL, 0, 0);
        conf_service(&scene, 8082);
        conf_end(&scene);
        host_introduce(&scene.host, IPC_SWARM, 1, &scene.swarm);
        expect_advert(&scene, "{\"routes\":[" SERVICE(8080) ",{\"serviceHost\":\"127.0.0.1\",\"servicePort\":80,\"protocol\":0,\"gatePort\":8081,"
                              "\"tags\":\"web\",\"routes\":[],\"ingressPolicy\":{\"defaults\":{\"allow\":false}}}," SERVICE(8082) "]}");
        finish(&scene);
}

TEST(more_services_than_fit_are_left_out_aloud)
{
        struct scene scene;

        begin(&scene);
        conf_begin(&scene, IPC_AS_PROVIDER);
        for (unsigned i = 0; i < 300; i++)
                conf_service(&scene, (uint16_t)(10000 + i));
        conf_end(&scene);
        host_expect_log(&scene.host, "only the first 256 of 300 services are advertised: no more fit");
        host_introduce(&scene.host, IPC_SWARM, 1, &scene.swarm);
        close(host_expect(&scene.host, &scene.swarm, IPC_ADVERTISE, NULL));
        finish(&scene);
}

TEST(a_gateway_alone_advertises_nothing)
{
        struct scene scene;

        begin_gateway(&scene);
        host_expect_nothing(&scene.host, &scene.swarm);
        finish(&scene);
}

TEST(an_offer_opens_its_gate_and_reaches_the_worker_that_holds_it)
{
        struct scene scene;

        begin_gateway(&scene);
        offer(&scene, 'A');
        expect_gate(&scene, IPC_GATE_OPEN, GATE);
        host_introduce(&scene.host, IPC_FORWARD, 1, &scene.forward);
        host_expect(&scene.host, &scene.forward, IPC_ROUTES_BEGIN, NULL);
        hold(&scene, GATE, 1);
        expect_route(&scene, IPC_ROUTE_SET, 'A');
        host_expect(&scene.host, &scene.forward, IPC_ROUTES_END, NULL);
        offer(&scene, 'B');
        expect_route(&scene, IPC_ROUTE_SET, 'B');
        offer(&scene, 'B');                                             /* no news */
        peer(&scene, IPC_PEER_DOWN, 'B', IPC_AS_GATEWAY);               /* nor is this: it had no routes in that role */
        peer(&scene, IPC_PEER_DOWN, 'A', IPC_AS_PROVIDER);
        expect_route(&scene, IPC_ROUTE_DROP, 'A');
        advertise(&scene, 'B', "{\"routes\":[]}");
        expect_route(&scene, IPC_ROUTE_DROP, 'B');
        host_expect_nothing(&scene.host, &scene.host.worker);           /* the gate stays a while */
        ipc_link_fini(&scene.forward);
        finish(&scene);
}

TEST(a_gate_is_followed_from_worker_to_worker)
{
        struct scene scene;
        struct ipc_link second;

        begin_gateway(&scene);
        offer(&scene, 'A');
        expect_gate(&scene, IPC_GATE_OPEN, GATE);
        hold(&scene, GATE, 1);
        host_introduce(&scene.host, IPC_FORWARD, 1, &scene.forward);
        host_expect(&scene.host, &scene.forward, IPC_ROUTES_BEGIN, NULL);
        expect_route(&scene, IPC_ROUTE_SET, 'A');
        host_expect(&scene.host, &scene.forward, IPC_ROUTES_END, NULL);
        host_introduce(&scene.host, IPC_FORWARD, 2, &second);
        host_expect(&scene.host, &second, IPC_ROUTES_BEGIN, NULL);
        host_expect(&scene.host, &second, IPC_ROUTES_END, NULL);
        hold(&scene, GATE, 2);
        expect_route(&scene, IPC_ROUTE_DROP, 'A');
        host_expect(&scene.host, &second, IPC_ROUTE_SET, NULL);
        ipc_link_fini(&second);                                         /* it dies and comes back */
        host_introduce(&scene.host, IPC_FORWARD, 2, &second);
        host_expect(&scene.host, &second, IPC_ROUTES_BEGIN, NULL);
        host_expect(&scene.host, &second, IPC_ROUTE_SET, NULL);
        host_expect(&scene.host, &second, IPC_ROUTES_END, NULL);
        hold(&scene, GATE, 0);
        host_expect(&scene.host, &second, IPC_ROUTE_DROP, NULL);
        ipc_link_fini(&second);
        ipc_link_fini(&scene.forward);
        finish(&scene);
}

TEST(a_new_router_worker_ends_the_forward_workers_memory_only_when_it_knows_all)
{
        struct scene scene;

        begin(&scene);
        conf_begin(&scene, IPC_AS_GATEWAY);
        hold(&scene, GATE, 1);                                          /* open from before */
        conf_end(&scene);
        host_introduce(&scene.host, IPC_FORWARD, 1, &scene.forward);
        host_expect(&scene.host, &scene.forward, IPC_ROUTES_BEGIN, NULL);
        host_expect_nothing(&scene.host, &scene.forward);               /* no end: the swarm worker has not spoken */
        host_introduce(&scene.host, IPC_SWARM, 1, &scene.swarm);
        offer(&scene, 'A');
        expect_route(&scene, IPC_ROUTE_SET, 'A');
        host_expect(&scene.host, &scene.forward, IPC_ROUTES_END, NULL);
        host_expect_nothing(&scene.host, &scene.host.worker);           /* and the gate is no news */
        ipc_link_fini(&scene.forward);
        finish(&scene);
}

TEST(with_the_swarm_worker_all_routes_are_gone_until_it_tells_them_again)
{
        struct scene scene;

        begin_gateway(&scene);
        offer(&scene, 'A');
        expect_gate(&scene, IPC_GATE_OPEN, GATE);
        hold(&scene, GATE, 1);
        host_introduce(&scene.host, IPC_FORWARD, 1, &scene.forward);
        host_expect(&scene.host, &scene.forward, IPC_ROUTES_BEGIN, NULL);
        expect_route(&scene, IPC_ROUTE_SET, 'A');
        host_expect(&scene.host, &scene.forward, IPC_ROUTES_END, NULL);
        ipc_link_fini(&scene.swarm);
        expect_route(&scene, IPC_ROUTE_DROP, 'A');
        host_introduce(&scene.host, IPC_SWARM, 1, &scene.swarm);
        offer(&scene, 'A');
        expect_route(&scene, IPC_ROUTE_SET, 'A');
        host_expect_nothing(&scene.host, &scene.host.worker);           /* the gate stayed open meanwhile */
        ipc_link_fini(&scene.forward);
        finish(&scene);
}

TEST(each_configuration_hears_of_all_gates_again)
{
        struct scene scene;

        begin_gateway(&scene);
        offer(&scene, 'A');
        expect_gate(&scene, IPC_GATE_OPEN, GATE);
        conf_begin(&scene, IPC_AS_GATEWAY);
        conf_end(&scene);
        expect_gate(&scene, IPC_GATE_OPEN, GATE);
        finish(&scene);
}

TEST(filters_say_which_gates_open)
{
        struct ipc_router_filter filter = { .fields = IPC_FILTER_GATE_PORT, .gate_port = 80, .gate_port_last = 80 };
        struct scene scene;

        begin_gateway(&scene);
        peer(&scene, IPC_PEER_UP, 'A', IPC_AS_PROVIDER);
        advertise(&scene, 'A', "{\"routes\":[{\"gatePort\":80},{\"gatePort\":53,\"protocol\":1}]}");
        host_expect_log(&scene.host, "gate port 80 is offered and stays closed");
        host_expect_nothing(&scene.host, &scene.host.worker);
        conf_begin(&scene, IPC_AS_GATEWAY);
        host_send(&scene.host.worker, IPC_ROUTER_FILTER, &filter, -1);
        conf_end(&scene);
        expect_gate(&scene, IPC_GATE_OPEN, 80);
        finish(&scene);
}

TEST(one_port_has_a_gate_for_each_protocol)
{
        struct ipc_gate gate[2];
        struct scene scene;

        begin_gateway(&scene);
        peer(&scene, IPC_PEER_UP, 'A', IPC_AS_PROVIDER);
        advertise(&scene, 'A', "{\"routes\":[{\"gatePort\":8053},{\"gatePort\":8053,\"protocol\":\"udp\"}]}");
        for (int i = 0; i < 2; i++) {
                host_expect(&scene.host, &scene.host.worker, IPC_GATE_OPEN, &gate[i]);
                check_equal(gate[i].gate_port, 8053);
        }
        check_equal(gate[0].protocol + gate[1].protocol, IPC_UDP);
        finish(&scene);
}

TEST(strangers_may_say_what_they_like)
{
        struct scene scene;
        char deep[4096];

        begin_gateway(&scene);
        memset(deep, '[', sizeof(deep));
        advertise_bytes(&scene, 'A', deep, sizeof(deep));
        advertise(&scene, 'A', "null");
        advertise(&scene, 'A', "{\"routes\":{}}");
        advertise_bytes(&scene, 'A', "{\"routes\":[{\"gatePort\":\"\0\"}]}", 29);
        advertise(&scene, 'A', "{\"routes\":[{\"gatePort\":70000},{\"gatePort\":0},17,{\"gatePort\":8080}]}");
        expect_gate(&scene, IPC_GATE_OPEN, GATE);
        check(scene.host.adverts_dropped >= 1);         /* and the others within a second */
        host_expect_log(&scene.host, "all routes of provider 41000000 are left out");
        finish(&scene);
}

TEST(siblings_may_not)
{
        struct ipc_peer_advert advert = { .peer = { 'A' }, .len = 5 };
        struct ipc_router_service service = { .gate_port = 1 };
        struct scene scene;
        int fds[2];

        begin_gateway(&scene);
        check_equal(pipe(fds), 0);
        host_send(&scene.swarm, IPC_PEER_ADVERT, &advert, fds[0]);      /* neither sealed nor of that length */
        host_expect_log(&scene.host, "swarm worker 1 broke the rules");
        close(fds[0]);
        close(fds[1]);
        memset(service.host, 'x', sizeof(service.host));                /* no end */
        conf_begin(&scene, IPC_AS_PROVIDER);
        host_send(&scene.host.worker, IPC_ROUTER_SERVICE, &service, -1);
        check(WIFEXITED(host_wait(&scene.host)));
        ipc_link_fini(&scene.swarm);
}
