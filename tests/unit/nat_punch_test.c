/* SPDX-License-Identifier: BSD-3-Clause */
/* Two sides of a punch, without relays, streams or NATs: what each says is handed to the other. */
#include "cleanup.h"
#include "nat_punch.h"

#include "test.h"

struct side {
        struct nat_punch punch;
        struct nat_gate gate;           /* its own, where there is no other */
        struct random random;
        uint64_t seed;
        struct nat_view view;
        struct addr addr;               /* as a relay sees it */
};

struct scene {
        struct side client, server;
        bool vouched;                   /* by a relay of the server's choice */
        usec_t now_us;
        size_t rounds;                  /* carried */
        uint8_t last[NAT_SEALED_MAX];   /* the client's last one */
        size_t last_len;
};

static const uint8_t hash[NAT_HASH_BYTES] = { 42 };
static const uint8_t ann[NAT_PEER_BYTES] = { 1 }, bob[NAT_PEER_BYTES] = { 2 }, eve[NAT_PEER_BYTES] = { 3 };

static struct nat_view view_of(enum nat_class class, const struct addr *addr)
{
        struct nat_view view = { .class = class };

        if (class != NAT_UNKNOWN)
                view.addresses[view.address_count++] = *addr;
        if (class == NAT_RANDOM)
                view.addresses[0].port = 0;
        return view;
}

static void side_begin(struct side *side, uint8_t number, enum nat_class class)
{
        side->seed = number;
        side->random = (struct random){ test_random_fill, &side->seed };
        side->addr = (struct addr){ .ip = { 80, 1, number, 1 }, .port = (uint16_t)(5000 + number) };
        side->view = view_of(class, &side->addr);
}

/* @client_gate, @server_gate: of whoever else lives there, or NULL. */
static void begin(struct scene *scene, enum nat_class client, enum nat_class server, struct nat_gate *client_gate,
                  struct nat_gate *server_gate)
{
        *scene = (struct scene){ .vouched = true, .now_us = SECONDS(100) };
        side_begin(&scene->client, 1, client);
        side_begin(&scene->server, 2, server);
        nat_punch_init(&scene->client.punch, &(struct nat_punch_config){
                .role = NAT_INITIATOR, .random = &scene->client.random, .gate = client_gate ? client_gate : &scene->client.gate, .peer = bob,
                .hash = hash, .socket = 1, .remote = scene->server.addr }, scene->now_us);
        nat_punch_init(&scene->server.punch, &(struct nat_punch_config){
                .role = NAT_RESPONDER, .random = &scene->server.random, .gate = server_gate ? server_gate : &scene->server.gate, .peer = ann,
                .hash = hash, .socket = 1, .remote = scene->client.addr }, scene->now_us);
        nat_punch_know(&scene->client.punch, &scene->client.view);
        nat_punch_know(&scene->server.punch, &scene->server.view);
}

static void end(struct scene *scene)
{
        nat_punch_fini(&scene->client.punch, false, scene->now_us);
        nat_punch_fini(&scene->server.punch, false, scene->now_us);
}

/* The answer's length; 0: silence. */
static size_t ask(struct scene *scene, uint8_t answer_out[NAT_SEALED_MAX])
{
        return nat_punch_asked(&scene->server.punch, scene->last, scene->last_len, &scene->client.addr, scene->vouched, answer_out,
                               scene->now_us);
}

/* Rounds that are due, there and back. */
static void carry(struct scene *scene)
{
        uint8_t answer[NAT_SEALED_MAX];
        struct addr server;
        size_t len;

        while (nat_punch_round(&scene->client.punch, scene->last, &scene->last_len, &server)) {
                scene->rounds++;
                len = ask(scene, answer);
                if (len)
                        nat_punch_answered(&scene->client.punch, answer, len, &scene->server.addr, scene->now_us);
                else
                        nat_punch_unanswered(&scene->client.punch, scene->now_us);
        }
}

static void pass(struct scene *scene, usec_t us)
{
        usec_t until_us = scene->now_us + us;

        for (; scene->now_us <= until_us; scene->now_us += MSEC(5)) {
                nat_punch_advance(&scene->client.punch, scene->now_us);
                nat_punch_advance(&scene->server.punch, scene->now_us);
                carry(scene);
        }
}

static bool both_probe(const struct scene *scene)
{
        return nat_punch_is_probing(&scene->client.punch) && nat_punch_is_probing(&scene->server.punch);
}

/* How many probes it has to send now to that host, and how many of them to that very port. */
static void count_probes(struct side *side, const struct addr *to, unsigned *host_out, unsigned *port_out)
{
        struct nat_probe probe;

        *host_out = *port_out = 0;
        while (nat_punch_probe(&side->punch, &probe)) {
                *host_out += addr_host_equal(&probe.to, to);
                *port_out += addr_equal(&probe.to, to);
        }
}

/* One that is lost leaves a door shut at which the peer knocks: some NATs are spoilt by that. */
TEST(a_nat_is_opened_three_times_at_once)
{
        struct nat_probe probe;
        unsigned openers = 0;
        struct scene scene;

        begin(&scene, NAT_CONSISTENT, NAT_CONSISTENT, NULL, NULL);
        for (usec_t until_us = scene.now_us + MSEC(40); scene.now_us < until_us; scene.now_us += MSEC(5)) {
                nat_punch_advance(&scene.server.punch, scene.now_us);
                while (nat_punch_probe(&scene.server.punch, &probe)) {
                        check(probe.short_lived && addr_equal(&probe.to, &scene.client.addr));
                        openers++;
                }
        }
        check_equal(openers, 3);
        check_equal(nat_punch_deadline(&scene.server.punch), USEC_NEVER);
        end(&scene);
}

TEST(two_consistent_ones_probe_after_a_round_and_a_second)
{
        unsigned host, port;
        struct scene scene;

        begin(&scene, NAT_CONSISTENT, NAT_CONSISTENT, NULL, NULL);
        carry(&scene);
        check_equal(scene.rounds, 2);
        check(both_probe(&scene));
        pass(&scene, SECONDS(3));
        count_probes(&scene.client, &scene.server.addr, &host, &port);
        check(port >= 4 && host == port);
        check(scene.client.gate.inside == 0 && scene.server.gate.inside == 0);
        end(&scene);
}

TEST(it_gives_up_where_nothing_comes_through)
{
        struct scene scene;

        begin(&scene, NAT_CONSISTENT, NAT_CONSISTENT, NULL, NULL);
        pass(&scene, NAT_CONSISTENT_US + SECONDS(1));
        check_equal(nat_punch_failure(&scene.client.punch), NAT_SHUT);
        check_equal(nat_punch_failure(&scene.server.punch), NAT_SHUT);
        check_equal(nat_punch_deadline(&scene.client.punch), USEC_NEVER);
        end(&scene);
}

/* When it ends, counted from the beginning, if its rounds were on their way for so long. */
static usec_t ends_after(usec_t late_us)
{
        usec_t end_us;
        struct scene scene;

        begin(&scene, NAT_CONSISTENT, NAT_CONSISTENT, NULL, NULL);
        scene.now_us += late_us;
        carry(&scene);
        check(both_probe(&scene));
        check_equal(nat_punch_deadline_last(&scene.server.punch), scene.now_us + NAT_CONSISTENT_US);
        end_us = nat_punch_deadline_last(&scene.client.punch) + late_us - scene.now_us;
        pass(&scene, end_us - late_us + MSEC(5));
        check_equal(nat_punch_failure(&scene.client.punch), NAT_SHUT);
        end(&scene);
        return end_us;
}

/* The client tells why they don't meet. */
TEST(rounds_that_took_long_leave_less_time_for_probes)
{
        check_equal(ends_after(0), NAT_CONSISTENT_US);
        check_equal(ends_after(SECONDS(3)), NAT_CONSISTENT_US);
        check_equal(ends_after(SECONDS(6)), SECONDS(6) + NAT_CONSISTENT_MIN_US);
}

TEST(a_class_that_shows_late_is_waited_for)
{
        struct scene scene;

        begin(&scene, NAT_UNKNOWN, NAT_CONSISTENT, NULL, NULL);
        pass(&scene, MSEC(1500));
        check(!both_probe(&scene) && nat_punch_failure(&scene.client.punch) == NAT_GOING);
        scene.client.view = view_of(NAT_CONSISTENT, &scene.client.addr);
        nat_punch_know(&scene.client.punch, &scene.client.view);
        pass(&scene, MSEC(1000));
        check(both_probe(&scene));
        end(&scene);
}

TEST(a_class_that_never_shows_ends_it_and_the_peer_is_told)
{
        struct scene scene;

        begin(&scene, NAT_CONSISTENT, NAT_UNKNOWN, NULL, NULL);
        pass(&scene, SECONDS(10));
        check_equal(nat_punch_failure(&scene.client.punch), NAT_UNDECIDED);
        check_equal(nat_punch_failure(&scene.server.punch), NAT_REFUSED);
        end(&scene);
}

TEST(two_random_ones_know_at_once_that_it_is_impossible)
{
        struct scene scene;

        begin(&scene, NAT_RANDOM, NAT_RANDOM, NULL, NULL);
        carry(&scene);
        check_equal(nat_punch_failure(&scene.client.punch), NAT_BOTH_RANDOM);
        check_equal(nat_punch_failure(&scene.server.punch), NAT_REFUSED);
        check(scene.client.gate.inside == 0 && scene.server.gate.inside == 0);
        end(&scene);
}

TEST(a_random_one_opens_many_sockets_and_the_other_tries_many_ports)
{
        unsigned host, port;
        struct scene scene;

        begin(&scene, NAT_RANDOM, NAT_CONSISTENT, NULL, NULL);
        pass(&scene, MSEC(10));
        check(both_probe(&scene));
        check_equal(nat_punch_wants_sockets(&scene.client.punch), NAT_POOL);
        check_equal(nat_punch_wants_sockets(&scene.server.punch), 0);
        count_probes(&scene.client, &scene.server.addr, &host, &port);
        for (uint32_t i = 0; i < NAT_POOL; i++)
                nat_punch_give_socket(&scene.client.punch, 100 + i);
        check_equal(nat_punch_wants_sockets(&scene.client.punch), 0);
        count_probes(&scene.client, &scene.server.addr, &host, &port);
        check_equal(port, NAT_POOL);
        count_probes(&scene.server, &scene.client.addr, &host, &port);
        pass(&scene, MSEC(70));
        count_probes(&scene.server, &scene.client.addr, &host, &port);
        check(host >= 10 && port <= 1);
        end(&scene);
        check(scene.client.gate.inside == 0 && scene.server.gate.inside == 0);
}

/* An original needs 3.5 s to hit one of 256, and 15 s one time in twenty. */
TEST(a_random_one_opens_more_sockets_when_these_have_not_been_hit_for_a_second)
{
        struct scene scene;

        begin(&scene, NAT_RANDOM, NAT_CONSISTENT, NULL, NULL);
        pass(&scene, MSEC(10));
        check(both_probe(&scene));
        for (uint32_t i = 0; i < NAT_POOL; i++)
                nat_punch_give_socket(&scene.client.punch, 100 + i);
        pass(&scene, MSEC(900));
        check_equal(nat_punch_wants_sockets(&scene.client.punch), 0);
        pass(&scene, MSEC(300));
        check_equal(nat_punch_wants_sockets(&scene.client.punch), NAT_POOL_MAX - NAT_POOL);
        check(nat_gate_enter(scene.client.punch.gate, bob, scene.now_us));
        check_equal(nat_punch_wants_sockets(&scene.client.punch), 0);
        nat_gate_leave(scene.client.punch.gate, false, scene.now_us);
        for (uint32_t i = NAT_POOL; i < NAT_POOL_MAX; i++)
                nat_punch_give_socket(&scene.client.punch, 100 + i);
        check_equal(nat_punch_wants_sockets(&scene.client.punch), 0);
        end(&scene);
}

/* Else anybody could have somebody else's host probed at all its ports. */
TEST(by_chance_only_a_host_that_is_vouched_for_is_probed)
{
        struct scene scene;

        begin(&scene, NAT_RANDOM, NAT_CONSISTENT, NULL, NULL);
        scene.vouched = false;
        pass(&scene, SECONDS(5));
        check(!nat_punch_is_probing(&scene.server.punch));
        check_equal(nat_punch_failure(&scene.client.punch), NAT_REFUSED);
        end(&scene);
}

TEST(a_round_that_is_said_again_is_answered_again)
{
        uint8_t answer[NAT_SEALED_MAX];
        struct scene scene;

        begin(&scene, NAT_CONSISTENT, NAT_RANDOM, NULL, NULL);
        pass(&scene, MSEC(10));
        check(both_probe(&scene));
        check(ask(&scene, answer) > 0 && ask(&scene, answer) > 0);
        check(nat_punch_is_probing(&scene.server.punch) && scene.server.gate.inside == 1);
        end(&scene);
}

TEST(silence_and_forged_answers_end_it)
{
        uint8_t sealed[NAT_SEALED_MAX], junk[80] = { 1 };
        struct addr server;
        struct scene scene;
        size_t len;

        begin(&scene, NAT_CONSISTENT, NAT_CONSISTENT, NULL, NULL);
        check(nat_punch_round(&scene.client.punch, sealed, &len, &server));
        check(!nat_punch_round(&scene.client.punch, sealed, &len, &server));
        check_equal(nat_punch_asked(&scene.server.punch, junk, sizeof(junk), &scene.client.addr, true, sealed, scene.now_us), 0);
        nat_punch_answered(&scene.client.punch, junk, sizeof(junk), &scene.server.addr, scene.now_us);
        check_equal(nat_punch_failure(&scene.client.punch), NAT_UNANSWERED);
        end(&scene);
}

/* What was said in the round that commits us stays. */
TEST(a_class_is_not_changed_while_probing)
{
        struct scene scene;

        begin(&scene, NAT_CONSISTENT, NAT_CONSISTENT, NULL, NULL);
        carry(&scene);
        scene.client.view = view_of(NAT_RANDOM, &scene.client.addr);
        nat_punch_know(&scene.client.punch, &scene.client.view);
        check(!nat_punch_is_random(&scene.client.punch));
        end(&scene);
}

/* Two gates, each of which a punch of its own side is in before that of the other gets there. */
TEST(crossed_punches_by_chance_both_begin)
{
        struct nat_gate ours = { .inside = 0 }, theirs = { .inside = 0 };
        uint8_t answer[NAT_SEALED_MAX];
        struct scene one, other;
        struct addr server;
        size_t len;

        begin(&one, NAT_RANDOM, NAT_CONSISTENT, &ours, &theirs);
        begin(&other, NAT_CONSISTENT, NAT_RANDOM, &theirs, &ours);
        /* In the scene of the other dial the two have each other's names. */
        memcpy(other.client.punch.peer, ann, sizeof(ann));
        memcpy(other.server.punch.peer, bob, sizeof(bob));
        for (unsigned round = 0; round < 2; round++) {
                nat_punch_advance(&one.client.punch, one.now_us);
                nat_punch_advance(&other.client.punch, other.now_us);
                check(nat_punch_round(&one.client.punch, one.last, &one.last_len, &server));
                check(nat_punch_round(&other.client.punch, other.last, &other.last_len, &server));
                len = ask(&one, answer);
                nat_punch_answered(&one.client.punch, answer, len, &one.server.addr, one.now_us);
                len = ask(&other, answer);
                nat_punch_answered(&other.client.punch, answer, len, &other.server.addr, other.now_us);
        }
        check(both_probe(&one) && both_probe(&other));
        check_equal(ours.inside, 2);
        check_equal(theirs.inside, 2);
        end(&one);
        check_equal(ours.inside, 1);
        end(&other);
        check(ours.inside == 0 && theirs.inside == 0);
}

TEST(others_at_the_peer_are_waited_for)
{
        struct nat_gate theirs = { .inside = 0 };
        struct scene scene;

        check(nat_gate_enter(&theirs, eve, SECONDS(100)));
        begin(&scene, NAT_RANDOM, NAT_CONSISTENT, NULL, &theirs);
        pass(&scene, SECONDS(4));
        check(!both_probe(&scene) && nat_punch_failure(&scene.client.punch) == NAT_GOING);
        check(scene.rounds >= 3 && scene.client.gate.inside == 0);
        nat_gate_leave(&theirs, true, scene.now_us);
        pass(&scene, SECONDS(3));
        check(both_probe(&scene));
        end(&scene);
}

/* Two that wait for the same third would else come back together each time. */
TEST(who_is_put_off_comes_back_at_a_time_of_its_own)
{
        struct nat_gate theirs = { .inside = 0 };
        struct scene scenes[8];
        usec_t first_us = USEC_NEVER, last_us = 0;

        check(nat_gate_enter(&theirs, eve, SECONDS(100)));
        for (size_t i = 0; i < ARRAY_LEN(scenes); i++) {
                usec_t again_us;

                begin(&scenes[i], NAT_RANDOM, NAT_CONSISTENT, NULL, &theirs);
                scenes[i].client.seed = 100 + i;
                pass(&scenes[i], MSEC(100));
                check_equal(scenes[i].rounds, 2);
                again_us = nat_punch_deadline(&scenes[i].client.punch);
                first_us = usec_min(first_us, again_us);
                last_us = usec_max(last_us, again_us);
                end(&scenes[i]);
        }
        check(first_us >= SECONDS(100) + MSEC(750) && last_us <= SECONDS(100) + MSEC(1260));
        check(last_us - first_us > MSEC(100));
}

/* It would not keep what it has of us otherwise. */
TEST(a_peer_hears_of_who_waits_for_its_own_gate)
{
        struct nat_gate ours = { .inside = 0 };
        struct scene scene;

        check(nat_gate_enter(&ours, eve, SECONDS(100)));
        begin(&scene, NAT_RANDOM, NAT_CONSISTENT, &ours, NULL);
        pass(&scene, SECONDS(10));
        check_equal(nat_punch_failure(&scene.client.punch), NAT_GOING);
        check_equal(scene.rounds, 1 + 2);
        check(!nat_punch_is_probing(&scene.server.punch));
        nat_gate_leave(&ours, true, scene.now_us);
        pass(&scene, SECONDS(1));
        check(both_probe(&scene));
        end(&scene);
}

TEST(others_here_are_waited_for_but_not_for_ever)
{
        struct nat_gate ours = { .inside = 0 };
        struct scene scene;

        check(nat_gate_enter(&ours, eve, SECONDS(100)));
        begin(&scene, NAT_RANDOM, NAT_CONSISTENT, &ours, NULL);
        pass(&scene, SECONDS(60));
        check_equal(nat_punch_failure(&scene.client.punch), NAT_BUSY);
        check_equal(ours.inside, 1);
        end(&scene);
        check_equal(ours.inside, 1);
}
