/* SPDX-License-Identifier: BSD-3-Clause */
/* The router worker over minutes, in virtual time. */
#include "router_process.h"

#include <string.h>
#include <unistd.h>

#include "inside.h"
#include "ipc_blob.h"
#include "ipc_question.h"
#include "ipc_route.h"
#include "ipc_router.h"
#include "test.h"

enum { GATE = 8080 };

static struct router router;
static struct inside inside;
static const uint8_t key[16] = { 3 };
static const struct ipc_generation generation = { .generation = 1 };

static usec_t now_us(void)
{
        struct now now;

        worker_now(&now);
        return now.mono_us;
}

static void turn(void)
{
        worker_turn(&router.worker, &router_handlers, &router);
}

static void configure(uint32_t roles, const struct ipc_router_gate *gate)
{
        inside_send(&inside, IPC_SUPERVISOR, IPC_CONF_BEGIN, &generation, -1);
        inside_send(&inside, IPC_SUPERVISOR, IPC_ROUTER_ROLES, &(struct ipc_router_roles){ roles }, -1);
        if (gate)
                inside_send(&inside, IPC_SUPERVISOR, IPC_ROUTER_GATE, gate, -1);
        inside_send(&inside, IPC_SUPERVISOR, IPC_CONF_END, &generation, -1);
        turn();
}

static void begin(const struct ipc_router_gate *gate)
{
        memset(&router, 0, sizeof(router));
        inside_begin(&inside, &router.worker, IPC_ROUTER, IPC_DUTY_NONE);
        router_init(&router, key);
        configure(IPC_AS_GATEWAY, gate);
        inside_drain(&inside);
}

static void finish(void)
{
        worker_part(&router.worker);
        router_fini(&router);
        inside_end(&inside);
}

static void offer(char name)
{
        struct ipc_via peer = { .peer = { (uint8_t)name }, .swarm = 1 };

        router.heard = (struct advert){ .count = 1, .routes = { { .gate_port = GATE } } };
        check_equal(route_table_merge(&router.table, &peer, &router.heard, now_us()), 0);
        router_settle(&router, now_us());
}

/* What the supervisor was told of gates: "open", "close" or "". */
static const char *told(void)
{
        struct ipc_received message;
        const char *what = "";

        while (inside_receive(&inside, IPC_SUPERVISOR, &message)) {
                if (message.type == IPC_GATE_OPEN)
                        what = "open";
                else if (message.type == IPC_GATE_CLOSE)
                        what = "close";
                ipc_received_fini(&message);
        }
        return what;
}

TEST(a_gate_closes_a_while_after_its_last_route)
{
        usec_t gone_us;

        begin(NULL);
        offer('A');
        check(strcmp(told(), "open") == 0);
        gone_us = now_us();
        route_table_drop_all(&router.table, gone_us);
        router_settle(&router, gone_us);
        router_settle(&router, gone_us + ROUTE_GATE_LINGER_US - 1);
        check(strcmp(told(), "") == 0);
        router_settle(&router, gone_us + ROUTE_GATE_LINGER_US);
        check(strcmp(told(), "close") == 0);
        check_equal(router.gates.map.count, 0);
        finish();
}

TEST(who_asks_for_routes_is_told_all_and_then_that_it_is_all)
{
        struct ipc_router_ask ask = { .question = 7 };
        struct ipc_received message;

        begin(NULL);
        offer('A');
        offer('B');
        told();
        inside_send(&inside, IPC_SUPERVISOR, IPC_ROUTER_ASK, &ask, -1);
        turn();
        for (char name = 'A'; name <= 'B'; name++) {
                const struct ipc_router_route *route = IPC_PAYLOAD(&message, struct ipc_router_route);

                check(inside_receive(&inside, IPC_SUPERVISOR, &message) && message.type == IPC_ROUTER_ROUTE);
                check(route->question == 7 && route->gate_port == GATE && route->protocol == IPC_TCP && route->services == 1);
                check_equal(route->key[0], name);
        }
        check(inside_receive(&inside, IPC_SUPERVISOR, &message) && message.type == IPC_ROUTER_ANSWERED);
        check_equal(IPC_PAYLOAD(&message, struct ipc_router_ask)->question, 7);
        finish();
}

TEST(a_gate_from_before_that_nobody_offers_any_more_is_closed)
{
        struct ipc_router_gate gate = { .gate_port = GATE, .forward = 1 };

        begin(&gate);
        router_settle(&router, now_us() + ROUTE_GATE_ADOPTED_US / 2);
        check(strcmp(told(), "") == 0);
        router_settle(&router, now_us() + ROUTE_GATE_ADOPTED_US);
        check(strcmp(told(), "close") == 0);
        check_equal(router.gates.map.count, 1);         /* it is held until the supervisor says otherwise */
        gate.forward = 0;
        inside_send(&inside, IPC_SUPERVISOR, IPC_ROUTER_GATE, &gate, -1);
        turn();
        check_equal(router.gates.map.count, 0);
        finish();
}

TEST(one_that_is_no_gateway_any_more_knows_no_routes)
{
        begin(NULL);
        offer('A');
        check_equal(router.table.routes, 1);
        configure(IPC_AS_PROVIDER, NULL);
        check_equal(router.table.routes, 0);
        finish();
}

/* What the supervisor was told of lost links: the last of them; false: nothing. */
static bool lost(struct ipc_link_lost *lost_out)
{
        struct ipc_received message;
        bool any = false;

        while (inside_receive(&inside, IPC_SUPERVISOR, &message)) {
                if (message.type == IPC_LINK_LOST) {
                        *lost_out = *IPC_PAYLOAD(&message, struct ipc_link_lost);
                        any = true;
                }
                ipc_received_fini(&message);
        }
        return any;
}

TEST(a_sibling_that_lies_or_is_gone_is_told_to_the_supervisor)
{
        static const uint32_t nonsense = 1;
        struct ipc_link_lost said;

        begin(NULL);
        inside_introduce(&inside, IPC_SWARM);
        inside_introduce(&inside, IPC_FORWARD);
        turn();
        check(!lost(&said));
        inside_send_raw(&inside, IPC_SWARM, IPC_ADVERTISE, &nonsense, sizeof(nonsense), NULL, 0);
        turn();
        check(lost(&said) && said.role == IPC_SWARM && said.id == 1 && said.why == IPC_LOST_BROKEN && said.link == inside.links - 1);
        inside_depart(&inside, IPC_FORWARD);
        turn();
        check(lost(&said) && said.role == IPC_FORWARD && said.why == IPC_LOST_GONE && said.link == inside.links);
        finish();
}

TEST(gates_that_a_configuration_does_not_list_are_held_by_nobody)
{
        struct ipc_router_gate gate = { .gate_port = GATE, .forward = 1 };

        begin(&gate);
        check_equal(router_gates_find(&router.gates, GATE, IPC_TCP)->forward, 1);
        configure(IPC_AS_GATEWAY, NULL);
        check_equal(router_gates_find(&router.gates, GATE, IPC_TCP)->forward, 0);
        finish();
}

static void configure_filtered(uint16_t port)
{
        struct ipc_router_filter filter = { .fields = IPC_FILTER_GATE_PORT, .gate_port = port, .gate_port_last = port };

        inside_send(&inside, IPC_SUPERVISOR, IPC_CONF_BEGIN, &generation, -1);
        inside_send(&inside, IPC_SUPERVISOR, IPC_ROUTER_ROLES, &(struct ipc_router_roles){ IPC_AS_GATEWAY }, -1);
        inside_send(&inside, IPC_SUPERVISOR, IPC_ROUTER_FILTER, &filter, -1);
        inside_send(&inside, IPC_SUPERVISOR, IPC_CONF_END, &generation, -1);
        turn();
}

TEST(a_gate_that_filters_forbid_does_not_linger_and_one_they_allow_again_opens)
{
        begin(NULL);
        offer('A');
        check(strcmp(told(), "open") == 0);
        configure_filtered(GATE);
        check(strcmp(told(), "open") == 0);     /* said again, for whoever has closed it */
        configure_filtered(GATE + 1);
        check(strcmp(told(), "close") == 0);    /* and nothing after it */
        configure(IPC_AS_GATEWAY, NULL);
        check(strcmp(told(), "open") == 0);
        finish();
}

/* Which generation the worker says that it has taken over; 0: none. */
static uint64_t confirmed(void)
{
        struct ipc_received message;
        uint64_t last = 0;

        while (inside_receive(&inside, IPC_SUPERVISOR, &message)) {
                if (message.type == IPC_CONF_DONE)
                        last = IPC_PAYLOAD(&message, struct ipc_generation)->generation;
                ipc_received_fini(&message);
        }
        return last;
}

/* What is not there need not fit. */
TEST(services_that_are_left_out_are_counted_among_those_that_are_there)
{
        static const char line[] = "only the first 246 of 266 services are advertised: no more fit";
        struct ipc_router_service service = { .service_port = 80, .host = "127.0.0.1" };
        struct ipc_received message;
        unsigned told = 0;

        begin(NULL);
        inside_send(&inside, IPC_SUPERVISOR, IPC_CONF_BEGIN, &generation, -1);
        inside_send(&inside, IPC_SUPERVISOR, IPC_ROUTER_ROLES, &(struct ipc_router_roles){ IPC_AS_PROVIDER }, -1);
        for (unsigned i = 0; i < ADVERT_ROUTES_MAX + 20; i++) {
                service.gate_port = (uint16_t)(GATE + i);
                service.withheld = i < 10;
                inside_send(&inside, IPC_SUPERVISOR, IPC_ROUTER_SERVICE, &service, -1);
                turn();
        }
        inside_send(&inside, IPC_SUPERVISOR, IPC_CONF_END, &generation, -1);
        turn();
        while (inside_receive(&inside, IPC_SUPERVISOR, &message))
                told += message.type == IPC_LOG && strcmp(IPC_PAYLOAD(&message, struct ipc_log)->text, line) == 0;
        check_equal(told, 1);
        finish();
}

TEST(a_worker_says_when_it_has_a_configuration)
{
        struct ipc_generation other = { .generation = 7 };

        begin(NULL);
        inside_send(&inside, IPC_SUPERVISOR, IPC_CONF_BEGIN, &other, -1);
        turn();
        check_equal(confirmed(), 0);
        inside_send(&inside, IPC_SUPERVISOR, IPC_CONF_END, &other, -1);
        turn();
        check_equal(confirmed(), 7);
        finish();
}

static void advertise(char name, const char *text)
{
        struct ipc_peer_advert advert = { .peer = { (uint8_t)name }, .len = (uint32_t)strlen(text) };
        int fd = ipc_blob_new(text, advert.len);

        check(fd >= 0);
        inside_send(&inside, IPC_SWARM, IPC_PEER_ADVERT, &advert, fd);
        close(fd);
        turn();
}

static void too_long(char name, uint32_t len, uint32_t most)
{
        struct ipc_peer_advert_long advert = { .peer = { (uint8_t)name }, .len = len, .most = most };

        inside_send(&inside, IPC_SWARM, IPC_PEER_ADVERT_LONG, &advert, -1);
        turn();
}

/* Lines about what providers advertise, and the last of them; what was counted is added to *@dropped. */
static unsigned complained(struct ipc_log *last, uint64_t *dropped)
{
        struct ipc_received message;
        unsigned lines = 0;

        while (inside_receive(&inside, IPC_SUPERVISOR, &message)) {
                if (message.type == IPC_ROUTER_STATUS)
                        *dropped += IPC_PAYLOAD(&message, struct ipc_router_status)->adverts_dropped;
                if (message.type == IPC_LOG) {
                        lines++;
                        *last = *IPC_PAYLOAD(&message, struct ipc_log);
                        check(last->event == IPC_EVENT_ROUTES_LEFT_OUT && last->level == LOG_WARNING);
                }
                ipc_received_fini(&message);
        }
        return lines;
}

TEST(what_can_not_be_read_of_an_advertisement_is_a_line_with_its_provider)
{
        static const char *const whole[] = { "{\"routes\":[", "7", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[" };
        struct ipc_log line;
        uint64_t dropped = 0;

        begin(NULL);
        inside_introduce(&inside, IPC_SWARM);
        turn();
        advertise('A', "{\"routes\":[{\"gatePort\":8080},{\"gatePort\":\"\\u001b[31m\"},{\"gatePort\":70000}]}");
        check_equal(complained(&line, &dropped), 1);
        check(strcmp(line.text, "some routes of provider 41000000 are left out: 2 can't be understood; the first of these, number 2 in its "
                                "list, has no gatePort from 1 to 65535") == 0);
        check_equal(router.table.routes, 1);    /* the good one beside them */
        for (unsigned i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
                advertise((char)('B' + i), whole[i]);
                check_equal(complained(&line, &dropped), 1);    /* each of them, whoever else was told of */
                check(strstr(line.text, "all routes of provider 4") == line.text);
                advertise((char)('B' + i), whole[i]);
                check_equal(complained(&line, &dropped), 0);
        }
        router_settle(&router, now_us() + ROUTER_STATUS_US);
        check_equal(complained(&line, &dropped), 0);
        check_equal(dropped, 6);
        dropped = 0;
        for (unsigned i = 0; i < 3; i++) {      /* those that were not even passed on, each told of, whoever else was */
                too_long('F', 3000000, 2097152);
                too_long('G', 400000, 0);
        }
        check_equal(complained(&line, &dropped), 2);
        check(strstr(line.text, "all routes of provider 47000000 are left out: its list has 400000 bytes, of more than 262144 none are read"));
        router_settle(&router, now_us() + 3 * ROUTER_STATUS_US);
        check_equal(complained(&line, &dropped), 0);
        check_equal(dropped, 6);
        check_equal(router.table.routes, 1);
        advertise('C', "{}");                   /* negotiates extensions, maybe */
        check_equal(complained(&line, &dropped), 0);
        check_equal(router.table.routes, 1);
        finish();
}

TEST(what_is_no_gateway_reads_no_advertisement)
{
        struct ipc_log line;
        uint64_t dropped = 0;

        begin(NULL);
        configure(IPC_AS_PROVIDER, NULL);
        inside_introduce(&inside, IPC_SWARM);
        turn();
        inside_drain(&inside);
        advertise('A', "7");
        too_long('A', 300000, 0);
        router_settle(&router, now_us() + ROUTER_STATUS_US);
        check_equal(complained(&line, &dropped), 0);
        check_equal(dropped, 0);
        finish();
}

TEST(a_worker_takes_another_log_level_and_none_that_is_no_level)
{
        begin(NULL);
        inside_send(&inside, IPC_SUPERVISOR, IPC_LOG_LEVEL, &(struct ipc_log_level){ .level = LOG_ERR }, -1);
        turn();
        check_equal(router.worker.log_level, LOG_ERR);
        inside_send(&inside, IPC_SUPERVISOR, IPC_LOG_LEVEL, &(struct ipc_log_level){ .level = LOG_DEBUG + 1 }, -1);
        turn();
        check_equal(router.worker.log_level, LOG_ERR);
        check_equal(router.worker.supervisor.ipc.fd, -1);       /* whoever says that is not believed any more */
        finish();
}
