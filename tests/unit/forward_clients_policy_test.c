/* SPDX-License-Identifier: BSD-3-Clause */
/* Whom the policies of a gateway and of its providers let in, and how fast. */
#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#include "forward_clients_scene.h"
#include "ipc_channel.h"
#include "ipc_forward.h"
#include "ipc_route.h"
#include "policy.h"

static struct policy *policy_for(const char *network, bool allow)
{
        struct ipc_rule rule = { .who = *network ? IPC_RULE_IPV4 : IPC_RULE_ALL, .bits = *network ? 128 : 0, .allow = allow, .protocols = 3,
                                 .port_last = UINT16_MAX, .except_first = 1 };

        if (*network)
                memset(rule.ip + 10, 0xff, 2);
        if (*network)
                check_equal(inet_pton(AF_INET, network, rule.ip + 12), 1);
        return policy_new(&rule, 1);
}

static void restrict_provider(char name, struct policy *policy)
{
        struct ipc_via via = { .peer = { (uint8_t)name }, .swarm = 1 };

        choose_restrict(&forward.clients.choose, &via, GATE, IPC_TCP, 0, policy);
        policy_leave(policy);
}

static int knock(const char *address)
{
        union socket_address remote = { .v4.sin_family = AF_INET };

        check_equal(inet_pton(AF_INET, address, &remote.v4.sin_addr), 1);
        return come_as(&remote);
}

TEST(whom_one_provider_does_not_let_in_goes_to_another)
{
        struct ipc_channel_open open;
        int client, fd;

        begin("AB");
        restrict_provider('A', policy_for("192.0.2.1", false));
        for (unsigned i = 0; i < 4; i++) {
                client = knock("192.0.2.1");
                check_equal(asked(&fd, &open), 'B');
                close(fd);
                close(client);
        }
        finish();
}

TEST(whom_no_provider_lets_in_is_reset_before_anybody_is_asked)
{
        struct ipc_channel_open open;
        int client, other, fd;

        begin("AB");
        restrict_provider('A', policy_for("192.0.2.1", false));
        restrict_provider('B', policy_for("", false));
        client = knock("192.0.2.1");
        check_equal(asked(&fd, &open), '-');
        check(closed(client));
        check_equal(forward.clients.tally.more.ended[IPC_REASON_DENIED], 1);
        check_equal(clients_deadline(&forward.clients), USEC_NEVER);
        other = knock("192.0.2.2");
        check_equal(asked(&fd, &open), 'A');
        close(fd);
        close(other);
        close(client);
        finish();
}

/* One of two providers is fit, but lets nobody in: that is no reason to look again before the other one's rest is over. */
TEST(who_waits_is_looked_at_when_something_may_have_changed_and_not_between)
{
        struct ipc_channel_open open;
        int client, fd;

        begin("AB");
        restrict_provider('B', policy_for("", false));
        client = knock("192.0.2.1");
        check_equal(asked(&fd, &open), 'A');
        refuse(&open, IPC_REASON_NO_PEER, fd);
        check(!closed(client));
        check_equal(next_due(), CHOOSE_REST_MIN_US);
        check_equal(asked(&fd, &open), 'A');
        close(fd);
        close(client);
        finish();
}

TEST(whoever_waits_is_reset_when_the_first_provider_does_not_let_it_in)
{
        struct ipc_via via = { .peer = { 'A' }, .swarm = 1 };
        struct ipc_channel_open open;
        int client, fd;

        begin("");
        client = knock("192.0.2.1");
        check(!closed(client));
        check_equal(choose_set(&forward.clients.choose, &via, GATE, IPC_TCP, 0, 0, 0), 0);
        restrict_provider('A', policy_for("", false));
        clients_serve(&forward.clients, GATE, IPC_TCP, &now);
        check_equal(asked(&fd, &open), '-');
        check(closed(client));
        close(client);
        finish();
}

TEST(a_route_that_is_said_again_without_a_policy_is_everybodys)
{
        struct ipc_via via = { .peer = { 'A' }, .swarm = 1 };
        struct ipc_channel_open open;
        int client, fd;

        begin("A");
        restrict_provider('A', policy_for("", false));
        check_equal(choose_set(&forward.clients.choose, &via, GATE, IPC_TCP, 0, 0, 0), 0);
        client = knock("192.0.2.1");
        check_equal(asked(&fd, &open), 'A');
        close(fd);
        close(client);
        finish();
}

TEST(whom_the_operator_lets_in_no_policy_keeps_out_while_its_time_lasts)
{
        struct ipc_forward_allow allow = { .ip = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 } };
        struct ipc_channel_open open;
        int client, fd;

        begin("A");
        restrict_provider('A', policy_for("", false));
        allow.until_ms = now.wall_us / 1000 + 1000;
        check_equal(ipc_allowances_set(&forward.clients.admissions.allowed, &allow, now.wall_us / 1000), 0);
        client = knock("192.0.2.1");
        check_equal(asked(&fd, &open), 'A');
        close(fd);
        close(client);
        client = knock("192.0.2.2");
        check(closed(client));
        close(client);
        at(now.mono_us + SECONDS(1));
        client = knock("192.0.2.1");
        check(closed(client));
        close(client);
        for (unsigned i = 0; i < IPC_ALLOWANCES_MAX; i++) {
                allow.ip[14] = (uint8_t)(i / 256);
                allow.ip[15] = (uint8_t)i;
                allow.until_ms = now.wall_us / 1000 + 1;
                check_equal(ipc_allowances_set(&forward.clients.admissions.allowed, &allow, now.wall_us / 1000), 0);
        }
        allow.ip[14] = 99;
        check_equal(ipc_allowances_set(&forward.clients.admissions.allowed, &allow, now.wall_us / 1000), -28);
        check_equal(ipc_allowances_count(&forward.clients.admissions.allowed, now.wall_us / 1000), IPC_ALLOWANCES_MAX);
        check_equal(ipc_allowances_count(&forward.clients.admissions.allowed, now.wall_us / 1000 + 1), 0);
        clients_gates_begin(&forward.clients);
        clients_gates_end(&forward.clients);
        check_equal(forward.clients.admissions.allowed.count, 0);  /* a new configuration says who they are */
        finish();
}

TEST(a_provider_is_told_the_labels_of_the_rule_that_let_a_client_in)
{
        struct policy *policy = policy_for("192.0.2.1", true);
        struct ipc_channel_open open;
        int client, fd;

        strcpy(policy->rule[0].labels, "vip");
        begin("A");
        restrict_provider('A', policy);
        client = knock("192.0.2.1");
        check_equal(asked(&fd, &open), 'A');
        check(memmem(open.metadata, open.metadata_len, ",\"ingressLabels\":[\"vip\"]}", 25) != NULL);
        check(open.client.known && memcmp(open.client.ip + 12, (uint8_t[]){ 192, 0, 2, 1 }, 4) == 0 && strcmp(open.client.labels, "vip") == 0);
        close(fd);
        close(client);
        finish();
}

static struct policy *policy_of(uint64_t bytes_per_s)
{
        struct policy *policy = policy_for("", true);

        policy->rule[0].bytes_per_s = policy->rule[0].burst_bytes = bytes_per_s;
        policy->rule[0].ways = IPC_RULE_DOWN;
        return policy;
}

static struct ipc_channel_open knock_and_ask(const char *address)
{
        struct ipc_channel_open open;
        int client = knock(address), fd = -1;

        check(asked(&fd, &open));
        close(fd);
        close(client);
        return open;
}

/* The number of a bucket is made of the rule and of who is limited, so that all workers and all providers that say the same mean the same. */
TEST(a_limit_goes_with_each_connection_of_whom_it_is_about)
{
        struct ipc_channel_open first, again, other, changed;

        begin("A");
        restrict_provider('A', policy_of(1000));
        first = knock_and_ask("192.0.2.1");
        check(first.limit[1].bytes_per_s == 1000 && first.limit[1].burst_bytes == 1000 && first.limit[1].ways == IPC_RULE_DOWN);
        check_equal(first.limit[0].bytes_per_s, 0);
        again = knock_and_ask("192.0.2.1");
        other = knock_and_ask("192.0.2.2");
        check(again.limit[1].limiter == first.limit[1].limiter && other.limit[1].limiter != first.limit[1].limiter);
        restrict_provider('A', policy_of(2000));
        changed = knock_and_ask("192.0.2.1");
        check(changed.limit[1].limiter != first.limit[1].limiter && changed.limit[1].bytes_per_s == 2000);
        finish();
}

static void route(char name, uint32_t swarm, struct policy *policy)
{
        struct ipc_via via = { .peer = { (uint8_t)name }, .swarm = swarm };

        check_equal(choose_set(&forward.clients.choose, &via, GATE, IPC_TCP, 0, 0, 0), 0);
        choose_restrict(&forward.clients.choose, &via, GATE, IPC_TCP, 0, policy);
        policy_leave(policy);
        clients_serve(&forward.clients, GATE, IPC_TCP, &now);
}

/* From 192.0.2.1; its own swarm worker of the two is the one that begin_missed() returns, and the other one has provider A. */
static uint32_t begin_missed(uint64_t bytes_per_s)
{
        const uint8_t address[16] = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 };
        uint32_t own = choose_own(address, 2);

        begin("");
        inside_introduce(&inside, INSIDE_SWARM_2);
        scene_turn();
        forward.clients.limits.swarms = 2;
        route('A', 3 - own, policy_of(bytes_per_s));
        return own;
}

/* Who is asked for the client by that swarm worker; '-': nobody. The connection goes to @fd_out. */
static char asked_by(uint32_t swarm, int *fd_out, struct ipc_channel_open *open)
{
        struct ipc_received message;

        if (!inside_receive(&inside, swarm == 2 ? INSIDE_SWARM_2 : IPC_SWARM, &message))
                return '-';
        check_equal(message.type, IPC_CHANNEL_OPEN);
        *open = *IPC_PAYLOAD(&message, struct ipc_channel_open);
        *fd_out = ipc_received_take_fd(&message, 0);
        return (char)open->peer[0];
}

TEST(whom_a_limit_is_about_waits_for_its_own_swarm_worker_and_goes_on_as_soon_as_that_meets_a_provider)
{
        struct ipc_channel_open open;
        uint32_t own = begin_missed(1000);
        int client = knock("192.0.2.1"), fd;

        check_equal(asked_by(3 - own, &fd, &open), '-');
        check_equal(clients_deadline(&forward.clients), now.mono_us + MSEC(CLIENTS_OWN_MS));
        at(now.mono_us + SECONDS(1));
        route('B', own, NULL);
        check_equal(asked_by(own, &fd, &open), 'B');
        close(fd);
        check_equal(clients_deadline(&forward.clients), USEC_NEVER);
        close(client);
        finish();
}

TEST(whom_no_limit_is_about_goes_by_any_swarm_worker_at_once)
{
        struct ipc_channel_open open;
        uint32_t own = begin_missed(0);
        int client = knock("192.0.2.1"), fd;

        check_equal(asked_by(3 - own, &fd, &open), 'A');
        close(fd);
        close(client);
        finish();
}

/* Nor do others wait for what one has waited for in vain, for a minute, unless that swarm worker has somebody meanwhile. */
TEST(whom_a_limit_is_about_goes_by_another_swarm_worker_when_it_has_waited_long_for_its_own)
{
        struct ipc_channel_open open;
        uint32_t own = begin_missed(1000);
        struct ipc_via via = { .peer = { 'A' }, .swarm = own };
        int client = knock("192.0.2.1"), fd;

        check_equal(next_due(), MSEC(CLIENTS_OWN_MS));
        check_equal(asked_by(3 - own, &fd, &open), 'A');
        check_equal(open.limit[1].bytes_per_s, 1000);
        close(fd);
        close(client);
        for (unsigned i = 0; i < 2; i++) {
                at(now.mono_us + SECONDS(29));
                client = knock("192.0.2.1");
                check_equal(asked_by(3 - own, &fd, &open), 'A');
                close(fd);
                close(client);
        }
        at(now.mono_us + SECONDS(2));
        client = knock("192.0.2.1");
        check_equal(next_due(), MSEC(CLIENTS_OWN_MS));
        check_equal(asked_by(3 - own, &fd, &open), 'A');
        close(fd);
        close(client);
        route('A', own, policy_of(1000));
        client = knock("192.0.2.1");
        check_equal(asked_by(own, &fd, &open), 'A');
        close(fd);
        close(client);
        choose_drop(&forward.clients.choose, &via, GATE, IPC_TCP, 0);
        client = knock("192.0.2.1");
        check_equal(asked_by(3 - own, &fd, &open), '-');
        check_equal(next_due(), MSEC(CLIENTS_OWN_MS));
        check_equal(asked_by(3 - own, &fd, &open), 'A');
        close(fd);
        close(client);
        finish();
}

TEST(where_clients_wait_shortly_for_a_provider_half_of_that_is_for_their_own_swarm_worker)
{
        struct ipc_forward_listener listener = { .gate_port = GATE, .protocol = IPC_TCP, .wait_ms = 3000 };
        struct ipc_channel_open open;
        uint32_t own = begin_missed(1000);
        int client, fd;

        check_equal(clients_gate_set(&forward.clients, &listener), 0);
        client = knock("192.0.2.1");
        check_equal(next_due(), MSEC(1500));
        check_equal(asked_by(3 - own, &fd, &open), 'A');
        close(fd);
        close(client);
        finish();
}

/* A provider's no is one, by whichever swarm worker; but one that only the other swarm worker has may say yes. */
TEST(whom_a_limit_is_about_is_reset_when_all_have_refused_and_not_before)
{
        struct ipc_channel_open open;
        uint32_t own = begin_missed(1000);
        int client, fd;

        route('A', own, policy_of(1000));
        client = knock("192.0.2.1");
        check_equal(asked_by(own, &fd, &open), 'A');
        clients_refused(&forward.clients, own, &(struct ipc_channel_refused){ .channel = open.channel, .reason = IPC_REASON_REFUSED }, fd,
                        &now);
        check(closed(client));
        close(client);
        at(now.mono_us + MINUTES(1));
        route('B', 3 - own, NULL);
        client = knock("192.0.2.1");
        check_equal(asked_by(own, &fd, &open), 'A');
        clients_refused(&forward.clients, own, &(struct ipc_channel_refused){ .channel = open.channel, .reason = IPC_REASON_REFUSED }, fd,
                        &now);
        check(!closed(client));
        check_equal(asked_by(3 - own, &fd, &open), '-');
        route('B', own, NULL);
        check_equal(asked_by(own, &fd, &open), 'B');
        close(fd);
        close(client);
        finish();
}

/* Its own swarm worker has the provider, and loses it again and again: it is asked when the rests of 1 and 2 s are over. */
TEST(whom_a_limit_is_about_goes_by_another_swarm_worker_when_its_own_has_failed_for_long)
{
        struct ipc_channel_open open;
        uint32_t own = begin_missed(1000);
        usec_t began_us = now.mono_us;
        int client, fd;

        route('A', own, policy_of(1000));
        client = knock("192.0.2.1");
        for (unsigned i = 0; i < 3; i++) {
                if (i)
                        check_equal(next_due(), SECONDS(i));
                check_equal(asked_by(own, &fd, &open), 'A');
                clients_refused(&forward.clients, own,
                                &(struct ipc_channel_refused){ .channel = open.channel, .reason = IPC_REASON_PEER_LOST }, fd, &now);
        }
        check_equal(next_due(), SECONDS(2));
        check_equal(now.mono_us - began_us, MSEC(CLIENTS_OWN_MS));
        check_equal(asked_by(own, &fd, &open), '-');
        check_equal(asked_by(3 - own, &fd, &open), 'A');
        close(fd);
        close(client);
        finish();
}

/* Its swarm worker's death is heard of before the router worker drops what that had. */
TEST(whom_a_limit_is_about_waits_for_its_own_swarm_worker_after_that_ones_death)
{
        struct ipc_channel_open open;
        uint32_t own = begin_missed(1000);
        struct ipc_route gone = { .peer = { 'A' }, .gate_port = GATE, .protocol = IPC_TCP, .swarm = own };
        enum ipc_role role = own == 2 ? INSIDE_SWARM_2 : IPC_SWARM;
        int client, fd;

        route('A', own, policy_of(1000));
        inside_introduce(&inside, IPC_ROUTER);
        inside_depart(&inside, role);
        scene_turn();
        client = knock("192.0.2.1");
        check_equal(asked_by(3 - own, &fd, &open), '-');
        inside_send(&inside, IPC_ROUTER, IPC_ROUTE_DROP, &gone, -1);
        scene_turn();
        check_equal(asked_by(3 - own, &fd, &open), '-');
        check(clients_deadline(&forward.clients) <= now.mono_us + MSEC(CLIENTS_OWN_MS));        /* the drop was looked at */
        inside_introduce(&inside, role);
        scene_turn();
        check_equal(asked_by(3 - own, &fd, &open), '-');
        route('A', own, policy_of(1000));
        check_equal(asked_by(own, &fd, &open), 'A');
        close(fd);
        close(client);
        finish();
}

TEST(whom_the_operator_lets_in_has_no_limit_while_its_time_lasts)
{
        struct ipc_forward_allow allow = { .ip = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 } };

        begin("A");
        restrict_provider('A', policy_of(1000));
        allow.until_ms = now.wall_us / 1000 + 5000;
        check_equal(ipc_allowances_set(&forward.clients.admissions.allowed, &allow, now.wall_us / 1000), 0);
        check_equal(knock_and_ask("192.0.2.1").limit[1].bytes_per_s, 0);
        check_equal(knock_and_ask("192.0.2.2").limit[1].bytes_per_s, 1000);
        finish();
}

/* As the supervisor tells it; NULL: none. */
static void restrict_gateway(const struct ipc_rule *rule)
{
        struct ipc_forward_listener listener = { .gate_port = GATE, .protocol = IPC_TCP, .wait_ms = 1000 * WAIT_S };
        struct policy *policy = rule ? policy_new(rule, 1) : NULL;

        clients_gates_begin(&forward.clients);
        check_equal(clients_gate_set(&forward.clients, &listener), 0);
        if (policy)
                admissions_restrict(&forward.clients.admissions, policy);
        policy_leave(policy);
        clients_gates_end(&forward.clients);
}

static const struct ipc_rule not_from_there = { .who = IPC_RULE_IPV4, .bits = 128, .ip = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 },
                                                .protocols = 3, .port_last = UINT16_MAX, .except_first = 1 };

TEST(whom_the_gateway_keeps_out_is_reset_whatever_the_provider_says_and_takes_no_room)
{
        struct ipc_channel_open open;
        int client, other, fd;

        begin("A");
        restrict_gateway(&not_from_there);
        restrict_provider('A', policy_for("", true));
        forward.clients.limits.rate = forward.clients.limits.connections = 1;
        for (unsigned i = 0; i < 10; i++) {
                client = knock("192.0.2.1");
                check(closed(client));
                close(client);
        }
        check_equal(asked(&fd, &open), '-');
        check_equal(forward.clients.tally.more.ended[IPC_REASON_DENIED], 10);
        check_equal(forward.clients.tally.more.ended[IPC_REASON_LIMIT], 0);
        check_equal(forward.clients.guests.all.count, 0);
        other = knock("192.0.2.2");
        check_equal(asked(&fd, &open), 'A');
        close(fd);
        close(other);
        finish();
}

/* Also where there is no provider yet. */
TEST(who_waits_is_reset_when_the_gateway_lets_it_in_no_more)
{
        struct ipc_channel_open open;
        int client, other, fd;

        begin("");
        client = knock("192.0.2.1");
        other = knock("192.0.2.2");
        restrict_gateway(&not_from_there);
        clients_serve_all(&forward.clients, &now);
        check(closed(client) && !closed(other));
        close(client);
        restrict_gateway(NULL);
        client = knock("192.0.2.1");
        check(!closed(client));
        check_equal(asked(&fd, &open), '-');
        close(client);
        close(other);
        finish();
}

TEST(a_policy_that_is_none_ends_the_link_and_one_that_can_not_be_told_keeps_all_out)
{
        int client;

        begin("A");
        inside_send(&inside, IPC_SUPERVISOR, IPC_CONF_BEGIN, &(struct ipc_generation){ 1 }, -1);
        inside_send(&inside, IPC_SUPERVISOR, IPC_FORWARD_POLICY, &(struct ipc_forward_policy){ .rules = 0 }, -1);
        scene_turn();
        check_equal(clients_gate_set(&forward.clients, &(struct ipc_forward_listener){ .gate_port = GATE, .protocol = IPC_TCP,
                                                                                       .wait_ms = 1000 * WAIT_S }), 0);
        inside_send(&inside, IPC_SUPERVISOR, IPC_CONF_END, &(struct ipc_generation){ 1 }, -1);
        scene_turn();
        client = knock("192.0.2.1");
        check(closed(client));
        close(client);
        finish();
}
