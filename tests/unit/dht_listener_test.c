/* SPDX-License-Identifier: BSD-3-Clause */
/* A listener and its relays: what goes stale and how it notices (dht.md 9.5, whose numbers the comments give). (Linked with --wrap of
 * rpc_request.) */
#include <string.h>

#include "dht_id.h"
#include "dht_record.h"
#include "dht_world.h"

enum { FIND_PEER = 2, ANNOUNCE = 4, UNANNOUNCE = 5, NEAR = 6, ANY = 256, RELAYS = DHT_RELAYS_MAX };

struct rpc_request *__real_rpc_request(struct rpc *rpc, const struct rpc_request_spec *spec, usec_t now_us);
struct rpc_request *__wrap_rpc_request(struct rpc *rpc, const struct rpc_request_spec *spec, usec_t now_us);

/* The next so many requests go out, then so many can't, and after them all can. */
static size_t leave_next = SIZE_MAX, refuse_next;

struct rpc_request *__wrap_rpc_request(struct rpc *rpc, const struct rpc_request_spec *spec, usec_t now_us)
{
        if (leave_next) {
                leave_next--;
        } else if (refuse_next) {
                refuse_next--;
                return NULL;
        }
        return __real_rpc_request(rpc, spec, now_us);
}

static void let_leave(size_t leave, size_t then_refuse)
{
        leave_next = leave;
        refuse_next = then_refuse;
}

/* How the thirty nodes, and those that come later, treat us. */
static struct {
        bool silent[ANY];               /* by the third byte of its address */
        bool mute[ANY];                 /* to ANNOUNCE and UNANNOUNCE only */
        unsigned refusals;              /* so many of these get a token instead */
        uint64_t error;                 /* and all get that */
        struct addr near[NEAR];         /* nodes that come later, nearer than all others */
        size_t near_count;
        unsigned count;                 /* 0: thirty */
} them;

/* Nobody names who came later. */
static void name_some(struct world *w, const struct asked *asked, struct rpc_message *out)
{
        struct addr addrs[DHT_K];

        for (unsigned i = 0; i < DHT_K; i++)
                addrs[i] = world_addr((asked->to.ip[2] * 7 + i * 11 + (unsigned)w->asked_count) % them.count);
        world_name(w, out, addrs, DHT_K);
}

static bool keeps_us(struct world *w, const struct asked *asked, struct rpc_message *out)
{
        bool claims = !asked->message.internal && asked->message.command >= ANNOUNCE;
        struct addr addrs[DHT_K];
        uint8_t secret_key[64];

        if (them.silent[asked->to.ip[2]] || (claims && them.mute[asked->to.ip[2]]))
                return false;
        world_honest(w, asked, out);
        if (asked->message.target && them.count)
                name_some(w, asked, out);
        if (asked->message.target && them.near_count) {
                for (unsigned i = 0; i < 2; i++)
                        addrs[i] = them.near[(asked->to.ip[2] + i) % them.near_count];
                for (unsigned i = 2; i < DHT_K; i++)
                        addrs[i] = world_addr((asked->to.ip[2] + i) % 30);
                world_name(w, out, addrs, DHT_K);
        }
        if (claims) {
                out->error = them.refusals ? RPC_ERROR_INVALID_TOKEN : them.error;
                them.refusals -= them.refusals > 0;
                w->token[0]++;          /* a new one each time */
                out->token = out->error == RPC_ERROR_INVALID_TOKEN ? w->token : NULL;
        }
        if (asked->message.internal || asked->message.command != FIND_PEER || w->seen_as.ip[3] == 99)
                return true;
        world_key(secret_key);
        memcpy(w->value, secret_key + 32, 32);
        w->value[32] = 0;
        out->value = w->value;
        out->value_len = 33;
        return true;
}

static struct dht_listener *listen_here(struct world *w)
{
        uint8_t secret_key[64];
        struct dht_listener *listener;

        world_key(secret_key);
        listener = dht_listen(w->dht, secret_key, w, &w->now);
        check(listener);
        return listener;
}

static struct world *world_of_relays(void)
{
        memset(&them, 0, sizeof(them));
        return world_new(keeps_us, world_boot());
}

static struct world *listening(void)
{
        struct world *w = world_of_relays();

        listen_here(w);
        world_run(w, SECONDS(2));
        check_equal(world_count(w, DHT_RELAYS_CHANGED), 1);
        return w;
}

static size_t sent(const struct world *w, size_t from, uint64_t command)
{
        return world_sent(w, from, false, command, NULL);
}

/* --- What a relay forgets, and where it sees us (1, 2, 12) --- */

TEST(dht_listener_asks_its_relays_and_is_quiet_when_all_is_well)
{
        cleanup_with(world_free) struct world *w = listening();
        size_t from = w->asked_count;

        world_run(w, SECONDS(30));
        check_equal(world_sent(w, from, false, 4, NULL), 0);
        check_equal(world_sent(w, from, false, 2, NULL), 30);         /* 3 relays, every 3 s */
        check_equal(world_count(w, DHT_RELAYS_CHANGED), 1);
}

/* The NAT gave our socket another port: relays would forward to the old one. */
TEST(dht_listener_announces_anew_when_relays_see_it_elsewhere)
{
        cleanup_with(world_free) struct world *w = listening();
        struct dht_relay relays[DHT_RELAYS_MAX];
        size_t from = w->asked_count;

        w->seen_as = (struct addr){ { 90, 1, 1, 1 }, 61234 };
        world_run(w, SECONDS(4));
        check(world_sent(w, from, false, 4, NULL) >= 3);
        check_equal(dht_listener_relays(world_last(w, DHT_RELAYS_CHANGED)->listener, relays), 3);
        for (unsigned i = 0; i < 3; i++)
                check_equal(relays[i].peer.port, 61234);
        check(world_count(w, DHT_MOVED) >= 1 && addr_equal(&world_last(w, DHT_MOVED)->to, &w->seen_as));
}

/* Whoever gets no answer from a peer wants to know now, not in 3 s, whether that is why. */
TEST(dht_listener_asks_at_once_where_it_is_seen_but_not_all_the_time)
{
        cleanup_with(world_free) struct world *w = listening();
        size_t from;

        world_run(w, SECONDS(4));
        from = w->asked_count;
        for (unsigned i = 0; i < 10; i++) {
                dht_check_relays(w->dht, &w->now);
                world_run(w, MSEC(10));
        }
        check(world_sent(w, from, false, 2, NULL) >= 2 && world_sent(w, from, false, 2, NULL) <= 4);    /* and one by turn */
        check_equal(world_count(w, DHT_MOVED), 0);
        w->seen_as = (struct addr){ { 90, 1, 1, 1 }, 61234 };
        world_run(w, MSEC(500));
        dht_check_relays(w->dht, &w->now);
        world_run(w, MSEC(200));
        check(world_count(w, DHT_MOVED) >= 1);
}

/* They are asked by turns, and the first that sees it tells. */
TEST(dht_listener_hears_within_a_second_and_a_quarter_that_it_is_elsewhere)
{
        for (unsigned i = 0; i < 30; i++) {
                cleanup_with(world_free) struct world *w = listening();
                size_t from;

                world_run(w, SECONDS(10) + i * MSEC(100));
                w->seen_as = (struct addr){ { 90, 1, 1, 1 }, 61234 };
                from = w->asked_count;
                world_run(w, MSEC(1250));
                check(world_count(w, DHT_MOVED) >= 1);
                check(world_sent(w, from, false, ANNOUNCE, NULL) >= RELAYS);    /* and tells the others */
        }
}

TEST(dht_listener_announces_anew_where_its_record_is_gone_but_not_without_pause)
{
        cleanup_with(world_free) struct world *w = listening();
        size_t from = w->asked_count;

        w->seen_as = (struct addr){ { 90, 1, 1, 99 }, CLIENT_PORT };    /* keeps_us() no longer does */
        world_run(w, SECONDS(4));
        check_equal(world_sent(w, from, false, 4, NULL), 3);
        from = w->asked_count;
        world_run(w, SECONDS(30));
        check(world_sent(w, from, false, 4, NULL) <= 9);
}

TEST(dht_wake_announces_anew_and_forgets_the_address)
{
        cleanup_with(world_free) struct world *w = listening();
        size_t from = w->asked_count;
        struct addr addr;

        dht_wake(w->dht, &w->now);
        check(!dht_public_addr(w->dht, &addr));
        world_run(w, SECONDS(2));
        check_equal(world_sent(w, from, false, 4, NULL), 3);
        check(dht_public_addr(w->dht, &addr));
}

TEST(dht_notices_by_itself_that_the_machine_slept)
{
        cleanup_with(world_free) struct world *w = listening();
        size_t from;

        world_run(w, SECONDS(10));
        from = w->asked_count;
        w->now.boot_us += MINUTES(10);          /* while monotonic time stood still */
        w->now.wall_us += MINUTES(10);
        world_run(w, SECONDS(6));
        check_equal(world_sent(w, from, false, 4, NULL), 3);
}

/* --- Tokens that ran out (11) --- */

TEST(dht_listener_announces_with_the_fresh_token_of_a_refusal)
{
        cleanup_with(world_free) struct world *w = world_of_relays();
        struct dht_relay relays[RELAYS];
        struct dht_announce announce;
        const struct asked *last;
        uint8_t id[DHT_ID_BYTES];

        them.refusals = RELAYS;
        check_equal(dht_listener_relays(listen_here(w), relays), 0);
        world_run(w, SECONDS(2));
        check_equal(sent(w, 0, ANNOUNCE), 2 * RELAYS);
        check_equal(world_count(w, DHT_RELAYS_CHANGED), 1);
        check_equal(dht_listener_relays(world_last(w, DHT_RELAYS_CHANGED)->listener, relays), RELAYS);
        last = &w->asked[w->asked_count - 1];
        while (last->message.command == FIND_PEER)
                last--;                 /* relays are asked by turns by now */
        check_equal(last->message.command, ANNOUNCE);
        rpc_node_id(&last->to, id);
        check(last->message.token[0] > 0 && dht_announce_decode(last->message.value, last->message.value_len, &announce));
        check(dht_claim_verify(DHT_CLAIM_ANNOUNCE, &(struct dht_scope){ last->message.target, id, last->message.token }, &announce));
}

TEST(dht_listener_gives_a_relay_one_more_token_only_and_tries_again_later_and_later)
{
        cleanup_with(world_free) struct world *w = world_of_relays();

        them.refusals = 1000000;
        listen_here(w);
        world_run(w, MSEC(900));
        check_equal(sent(w, 0, ANNOUNCE), 2 * RELAYS);
        world_run(w, SECONDS(59));              /* cycles begin after 1, 2, 4, 8, 16 seconds, (3) */
        check_equal(sent(w, 0, ANNOUNCE), 6 * 2 * RELAYS);
        check_equal(world_count(w, DHT_RELAYS_CHANGED), 0);
        them.refusals = 0;
        world_run(w, SECONDS(32));
        check_equal(world_count(w, DHT_RELAYS_CHANGED), 1);
}

TEST(dht_listener_withdraws_with_the_fresh_token_of_a_refusal)
{
        cleanup_with(world_free) struct world *w = listening();
        size_t from = w->asked_count;

        them.refusals = RELAYS;
        dht_unlisten(w->dht, world_last(w, DHT_RELAYS_CHANGED)->listener, false, &w->now);
        world_run(w, SECONDS(1));
        check_equal(sent(w, from, UNANNOUNCE), 2 * RELAYS);
        check_equal(world_count(w, DHT_UNLISTENED), 1);
}

/* --- Relays that are others now --- */

/* Nodes of one /24, or of as many, nearer to our target than all others: the network grows. */
static void nodes_come(bool one_net, size_t count)
{
        uint8_t secret_key[64], target[DHT_TARGET_BYTES], nearest[DHT_ID_BYTES];

        world_key(secret_key);
        dht_target(secret_key + 32, target);
        for (unsigned i = 0; i < MAX(them.count, 30U); i++) {
                struct addr addr = world_addr(i);
                uint8_t id[DHT_ID_BYTES];

                rpc_node_id(&addr, id);
                if (i == 0 || dht_id_compare(target, id, nearest) < 0)
                        memcpy(nearest, id, sizeof(nearest));
        }
        them.near_count = 0;
        for (unsigned i = 0; them.near_count < count; i++) {
                struct addr addr = { { 99, 9, one_net ? 200 : (uint8_t)(200 + them.near_count), (uint8_t)i }, (uint16_t)(2000 + i) };
                uint8_t id[DHT_ID_BYTES];

                rpc_node_id(&addr, id);
                if (dht_id_compare(target, id, nearest) < 0)
                        them.near[them.near_count++] = addr;
        }
}

static bool is_relay(const struct world *w, const struct addr *addr)
{
        struct dht_relay relays[RELAYS];
        size_t count = dht_listener_relays(world_last(w, DHT_RELAYS_CHANGED)->listener, relays);

        for (size_t i = 0; i < count; i++)
                if (addr_equal(&relays[i].relay, addr))
                        return true;
        return false;
}

/* (4) */
TEST(dht_listener_leaves_no_relay_before_the_new_ones_have_confirmed)
{
        cleanup_with(world_free) struct world *w = listening();
        struct dht_relay old[RELAYS];
        size_t from = w->asked_count;

        check_equal(dht_listener_relays(world_last(w, DHT_RELAYS_CHANGED)->listener, old), RELAYS);
        nodes_come(false, RELAYS);
        for (size_t i = 0; i < RELAYS; i++)
                them.mute[them.near[i].ip[2]] = true;
        dht_look_around(w->dht, &w->now);
        world_run(w, SECONDS(20));
        check_equal(sent(w, from, UNANNOUNCE), 0);
        for (size_t i = 0; i < RELAYS; i++)
                check(world_sent(w, from, false, ANNOUNCE, &them.near[i]) > 0 && is_relay(w, &old[i].relay));
        memset(them.mute, 0, sizeof(them.mute));
        w->asked_count = w->answered_count = from = 0;
        world_run(w, MINUTES(5));               /* the old ones are good enough until the next cycle */
        for (size_t i = 0; i < RELAYS; i++) {
                check(is_relay(w, &them.near[i]));
                check_equal(world_sent(w, from, false, UNANNOUNCE, &old[i].relay), 1);
        }
        check_equal(sent(w, from, UNANNOUNCE), RELAYS);
}

/* (3), (4) */
TEST(dht_listener_keeps_its_relays_through_an_outage)
{
        cleanup_with(world_free) struct world *w = listening();
        struct dht_relay relays[RELAYS];
        size_t from = w->asked_count;

        memset(them.silent, 1, sizeof(them.silent));
        world_run(w, MINUTES(2));
        check_equal(sent(w, from, UNANNOUNCE), 0);
        check(dht_listener_relays(world_last(w, DHT_RELAYS_CHANGED)->listener, relays) >= 1);
        memset(them.silent, 0, sizeof(them.silent));
        world_run(w, SECONDS(10));
        check_equal(dht_listener_relays(world_last(w, DHT_RELAYS_CHANGED)->listener, relays), RELAYS);
}

/* Pauses between attempts are for a network that is down. However long it was: it is asked each second whether it is back. */
TEST(dht_listener_is_back_within_two_seconds_of_the_end_of_an_outage)
{
        for (unsigned i = 0; i < 40; i++) {
                cleanup_with(world_free) struct world *w = listening();
                struct dht_relay found[RELAYS];
                size_t told, from;

                world_run(w, SECONDS(i % 3));
                memset(them.silent, 1, sizeof(them.silent));
                world_run(w, SECONDS(10) + i * MSEC(3777));
                check_equal(world_count(w, DHT_HEARD_AGAIN), 0);
                memset(them.silent, 0, sizeof(them.silent));
                from = w->asked_count;
                world_run(w, MSEC(1600));
                check_equal(told = world_count(w, DHT_HEARD_AGAIN), 1);
                world_run(w, MSEC(400));
                check(sent(w, from, ANNOUNCE) >= RELAYS || world_count(w, DHT_RELAYS_CHANGED) == 1);
                check_equal(dht_listener_relays(world_last(w, DHT_RELAYS_CHANGED)->listener, found), RELAYS);
                world_run(w, MINUTES(1));
                check_equal(world_count(w, DHT_HEARD_AGAIN), told);
        }
}

/* One that is gone is no outage, nor is a pause in which nobody is asked. */
TEST(dht_does_not_take_the_silence_of_one_relay_for_an_outage)
{
        cleanup_with(world_free) struct world *w = listening();
        struct dht_relay relays[RELAYS];

        dht_listener_relays(world_last(w, DHT_RELAYS_CHANGED)->listener, relays);
        them.silent[relays[0].relay.ip[2]] = true;
        world_run(w, MINUTES(5));
        check(sent(w, 0, ANNOUNCE) > RELAYS);
        check_equal(world_count(w, DHT_HEARD_AGAIN), 0);
}

/* (5) */
TEST(dht_listener_does_not_wait_for_a_slow_relay_to_name_the_others)
{
        cleanup_with(world_free) struct world *w = world_of_relays();

        nodes_come(false, RELAYS);
        them.mute[them.near[1].ip[2]] = true;
        listen_here(w);
        world_run(w, MSEC(1200));
        check(is_relay(w, &them.near[0]) && is_relay(w, &them.near[2]) && !is_relay(w, &them.near[1]));
}

/* The same nodes stay nearest, whoever names them: an hour of cycles goes by them all, and leaves no record anywhere else. */
TEST(dht_listener_trap_6_relays_are_the_same_in_each_cycle)
{
        cleanup_with(world_free) struct world *w = listening();
        struct dht_relay old[RELAYS];
        unsigned announced = 0;

        check_equal(dht_listener_relays(world_last(w, DHT_RELAYS_CHANGED)->listener, old), RELAYS);
        for (unsigned minute = 0; minute < 60; minute++) {
                w->asked_count = w->answered_count = 0;
                if (minute % 10 == 9)
                        dht_look_around(w->dht, &w->now);       /* one before its time */
                world_run(w, MINUTES(1));
                for (unsigned i = 0; i < RELAYS; i++)
                        announced += (unsigned)world_sent(w, 0, false, ANNOUNCE, &old[i].relay);
                check_equal(sent(w, 0, UNANNOUNCE), 0);
        }
        check(announced >= 11 * RELAYS && announced <= 17 * RELAYS);
        check_equal(world_count(w, DHT_RELAYS_CHANGED), 1);
}

/* Among so many our table, full of those that have long been there, has no room for them, and whoever named them does so no more: we
 * alone know who the nearest are. */
TEST(dht_listener_trap_6_begins_at_the_nearest_of_the_last_cycle)
{
        cleanup_with(world_free) struct world *w = world_of_relays();
        size_t from;

        them.count = 199;
        for (unsigned minute = 0; minute < 90; minute++) {
                w->asked_count = w->answered_count = 0;
                world_run(w, MINUTES(1));
        }
        nodes_come(false, RELAYS);
        listen_here(w);
        world_run(w, SECONDS(2));
        them.near_count = 0;
        for (unsigned i = 0; i < RELAYS; i++)
                check(is_relay(w, &them.near[i]));
        from = w->asked_count;
        dht_look_around(w->dht, &w->now);
        world_run(w, SECONDS(5));
        for (unsigned i = 0; i < RELAYS; i++)
                check(world_sent(w, from, false, ANNOUNCE, &them.near[i]) == 1 && is_relay(w, &them.near[i]));
        check_equal(world_count(w, DHT_RELAYS_CHANGED), 1);
}

static size_t relays_now(struct world *w)
{
        struct dht_relay relays[RELAYS];
        const struct dht_event *event = world_last(w, DHT_RELAYS_CHANGED);

        return event ? dht_listener_relays(event->listener, relays) : 0;
}

/* It keeps asking, and goes through a cycle when it shall. */
static void check_not_stuck(struct world *w)
{
        size_t from = w->asked_count;

        check_equal(relays_now(w), RELAYS);
        world_run(w, SECONDS(3));
        check(sent(w, from, FIND_PEER) >= RELAYS);
        dht_look_around(w->dht, &w->now);
        world_run(w, SECONDS(2));
        check(sent(w, from, ANNOUNCE) >= RELAYS);
}

/* Whichever of its requests they are, of the walk or to relays. */
TEST(dht_listener_trap_7_requests_that_can_not_leave_hold_up_no_cycle)
{
        static const size_t refusals[] = { 1, 2, 3, 30, 500 };

        for (size_t leave = 0; leave < 70; leave++) {
                cleanup_with(world_free) struct world *w = world_of_relays();

                world_run(w, SECONDS(10));
                let_leave(leave, refusals[leave % ARRAY_LEN(refusals)]);
                listen_here(w);
                world_run(w, MINUTES(1));
                let_leave(SIZE_MAX, 0);
                world_run(w, SECONDS(40));      /* the longest pause between two cycles */
                check_not_stuck(w);
        }
}

TEST(dht_listener_trap_7_not_even_when_none_can_leave_for_minutes)
{
        cleanup_with(world_free) struct world *w = listening();

        let_leave(0, SIZE_MAX);
        world_run(w, MINUTES(7));
        check_equal(relays_now(w), RELAYS);             /* they may be there still */
        let_leave(SIZE_MAX, 0);
        world_run(w, SECONDS(40));
        check_not_stuck(w);

        let_leave(0, SIZE_MAX);
        dht_unlisten(w->dht, world_last(w, DHT_RELAYS_CHANGED)->listener, false, &w->now);
        world_run(w, SECONDS(1));
        let_leave(SIZE_MAX, 0);
        check_equal(world_count(w, DHT_UNLISTENED), 1);
}

/* (9) */
TEST(dht_listener_prefers_relays_of_different_networks)
{
        cleanup_with(world_free) struct world *w = world_of_relays();
        unsigned of_net = 0;

        nodes_come(true, NEAR);
        listen_here(w);
        world_run(w, SECONDS(3));
        for (size_t i = 0; i < NEAR; i++)
                of_net += is_relay(w, &them.near[i]);
        check_equal(of_net, 1);
}

/* (10) */
TEST(dht_listener_tries_a_few_times_to_withdraw_from_a_relay_that_is_silent)
{
        cleanup_with(world_free) struct world *w = listening();
        struct dht_relay old[RELAYS];
        size_t from = w->asked_count;

        check_equal(dht_listener_relays(world_last(w, DHT_RELAYS_CHANGED)->listener, old), RELAYS);
        them.mute[old[0].relay.ip[2]] = them.mute[old[1].relay.ip[2]] = true;
        nodes_come(false, RELAYS);
        dht_look_around(w->dht, &w->now);
        world_run(w, SECONDS(8));
        check_equal(world_sent(w, from, false, UNANNOUNCE, &old[0].relay), RPC_RETRIES + 1);      /* one request, all its sends */
        check_equal(world_sent(w, from, false, UNANNOUNCE, &old[2].relay), 1);
        them.mute[old[1].relay.ip[2]] = false;
        world_run(w, MINUTES(2));
        check_equal(world_sent(w, from, false, UNANNOUNCE, &old[0].relay), 3 * (RPC_RETRIES + 1));
        check_equal(world_sent(w, from, false, UNANNOUNCE, &old[1].relay), RPC_RETRIES + 1 + 1);
        check_equal(world_sent(w, from, false, UNANNOUNCE, &old[2].relay), 1);
}

/* (13) */
TEST(dht_listener_announces_anew_by_the_socket_that_strangers_reach)
{
        cleanup_with(world_free) struct world *w = listening();
        struct dht_stats stats;
        size_t from = w->asked_count, by_server = 0;

        w->pongs_by = SERVER;
        world_run(w, MINUTES(19));
        dht_stats(w->dht, &stats);
        check(stats.firewalled);
        w->asked_count = w->answered_count = from = 0;
        world_run(w, MINUTES(2));               /* every twenty minutes strangers are asked to try */
        dht_stats(w->dht, &stats);
        check(!stats.firewalled);
        for (size_t i = from; i < w->asked_count; i++)
                if (!w->asked[i].message.internal && w->asked[i].message.command == ANNOUNCE)
                        by_server += w->asked[i].socket == SERVER;
        check_equal(by_server, RELAYS);
}
