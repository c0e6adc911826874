/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests in virtual time: matching, retries, the congestion window, and what strangers try. */
#include "rpc.h"

#include <string.h>

#include "cleanup.h"
#include "rpc_limit.h"
#include "rpc_output.h"
#include "rpc_window.h"
#include "test.h"

enum { SERVER = 7, CLIENT = 8, REQUESTS_MAX = 4096 };

static const struct addr node = { { 198, 51, 100, 1 }, 40000 };
static const struct addr other = { { 198, 51, 100, 2 }, 40000 };
static const struct addr local = { { 127, 0, 0, 1 }, 40000 };
static const uint8_t target[RPC_TARGET_BYTES] = { 1, 2, 3 };

static void rpc_freep(struct rpc **rpc)
{
        rpc_free(*rpc);
}

static struct rpc *make(uint64_t *seed)
{
        struct rpc_config config = {
                .random = { test_random_fill, seed }, .server_socket = SERVER, .client_socket = CLIENT, .firewalled = true,
        };
        struct rpc *rpc;

        check_equal(rpc_new(&rpc, &config, SECONDS(1)), 0);
        return rpc;
}

#define MAKE(name)              \
        uint64_t name##_seed = 1; \
        cleanup_with(rpc_freep) struct rpc *name = make(&name##_seed)

static struct rpc_request *ask(struct rpc *rpc, const struct addr *to, unsigned retries, usec_t now_us)
{
        struct rpc_request_spec spec = { .to = *to, .internal = true, .command = RPC_FIND_NODE, .target = target,
                                         .retries = retries, .kind = 5, .context = rpc };

        return rpc_request(rpc, &spec, now_us);
}

/* The next datagram out, read; its bytes live until the next one. */
static struct rpc_message sent(struct rpc *rpc, struct rpc_send *send)
{
        struct rpc_message message;

        check(rpc_transmit(rpc, send));
        check(rpc_message_read(send->bytes, send->len, &message));
        return message;
}

static size_t drain(struct rpc *rpc)
{
        struct rpc_send send;
        size_t count = 0;

        while (rpc_transmit(rpc, &send))
                count++;
        return count;
}

static enum rpc_verdict receive(struct rpc *rpc, uint32_t socket, const struct addr *from, const struct rpc_message *message,
                                usec_t now_us, struct rpc_event *event)
{
        static uint8_t bytes[RPC_DATAGRAM_MAX];
        size_t len = rpc_message_write(message, bytes, sizeof(bytes));

        check(len);
        return rpc_receive(rpc, socket, from, bytes, len, now_us, event);
}

static struct rpc_message answer_to(const struct rpc_message *request)
{
        return (struct rpc_message){ .type = RPC_TYPE_RESPONSE, .tid = request->tid };
}

static struct rpc_message find_peer(uint16_t tid)
{
        return (struct rpc_message){ .type = RPC_TYPE_REQUEST, .tid = tid, .command = 2, .target = target };
}

TEST(rpc_answer_ends_its_request_once)
{
        MAKE(rpc);
        struct rpc_request *request = ask(rpc, &node, 3, SECONDS(1));
        struct rpc_event event;
        struct rpc_send send;
        struct rpc_message message = sent(rpc, &send), answer = answer_to(&message);

        check_equal(send.socket, CLIENT);
        check(addr_equal(&send.to, &node) && addr_equal(&message.to, &node));
        check(!message.id && !message.token && !message.value);
        check(message.internal && message.command == RPC_FIND_NODE);
        check_bytes(message.target, target, sizeof(target));
        check_equal(rpc_in_flight(rpc), 1);
        check_equal(rpc_deadline(rpc), SECONDS(2));

        check_equal(receive(rpc, CLIENT, &node, &answer, SECONDS(1), &event), RPC_OK);
        check_equal(event.kind, RPC_RESPONSE);
        check(event.request == request && event.context == rpc && event.request_kind == 5 && event.sends == 1);
        check_equal(rpc_in_flight(rpc), 0);
        check_equal(rpc_deadline(rpc), USEC_NEVER);

        check_equal(receive(rpc, CLIENT, &node, &answer, SECONDS(1), &event), RPC_UNASKED);
        rpc_advance(rpc, SECONDS(100));
        check(!rpc_event(rpc, &event));
        check_equal(drain(rpc), 0);
}

/* Who is told of an end finds out by the handle whose it was, and may ask anew before: that must not look like the same. */
TEST(rpc_handle_of_what_has_ended_is_not_given_out_while_that_is_told)
{
        MAKE(rpc);

        for (unsigned timed_out = 0; timed_out < 2; timed_out++) {
                struct rpc_request *request = ask(rpc, &node, 0, SECONDS(1));
                struct rpc_event event;
                struct rpc_send send;
                struct rpc_message message = sent(rpc, &send), answer = answer_to(&message);

                if (timed_out) {
                        rpc_advance(rpc, SECONDS(2));
                        check(rpc_event(rpc, &event) && event.kind == RPC_TIMED_OUT);
                } else {
                        check_equal(receive(rpc, CLIENT, &node, &answer, SECONDS(1), &event), RPC_OK);
                }
                check(event.request == request);
                for (unsigned i = 0; i < 8; i++)
                        check(ask(rpc, &node, 0, SECONDS(2)) != request);
                drain(rpc);
        }
}

TEST(rpc_answer_counts_from_nobody_but_the_one_who_was_asked)
{
        MAKE(rpc);
        struct addr other_port = { { 198, 51, 100, 1 }, 40001 };
        struct rpc_event event;
        struct rpc_send send;
        struct rpc_message answer;

        check(ask(rpc, &node, 3, SECONDS(1)));
        answer = sent(rpc, &send);
        answer = answer_to(&answer);
        check_equal(receive(rpc, CLIENT, &other, &answer, SECONDS(1), &event), RPC_UNASKED);
        check_equal(receive(rpc, CLIENT, &other_port, &answer, SECONDS(1), &event), RPC_UNASKED);
        answer.tid++;
        check_equal(receive(rpc, CLIENT, &node, &answer, SECONDS(1), &event), RPC_UNASKED);
        answer.tid--;
        check_equal(receive(rpc, SERVER, &node, &answer, SECONDS(1), &event), RPC_OK);  /* by any socket: PING_NAT */
}

TEST(rpc_repeats_the_same_bytes_and_gives_up)
{
        MAKE(rpc);
        struct rpc_request *request = ask(rpc, &node, 3, SECONDS(1));
        struct rpc_event event;
        struct rpc_send send;
        uint8_t first[RPC_DATAGRAM_MAX];
        struct rpc_message answer = sent(rpc, &send);
        size_t len = send.len;

        memcpy(first, send.bytes, len);
        answer = answer_to(&answer);
        for (unsigned n = 2; n <= 4; n++) {
                rpc_advance(rpc, SECONDS(n) - 1);
                check_equal(drain(rpc), 0);
                rpc_advance(rpc, SECONDS(n));
                check(rpc_transmit(rpc, &send));
                check_equal(send.len, len);
                check_bytes(send.bytes, first, len);
                check_equal(rpc_request_sends(request), n);
                check_equal(rpc_event(rpc, &event), n == 2);
                if (n == 2)
                        check(event.kind == RPC_SLOW && event.request == request && addr_equal(&event.from, &node));
        }
        rpc_advance(rpc, SECONDS(5));
        check_equal(drain(rpc), 0);
        check(rpc_event(rpc, &event));
        check(event.kind == RPC_TIMED_OUT && event.request == request && event.sends == 4 && event.context == rpc);
        check(!rpc_event(rpc, &event));
        check_equal(rpc_deadline(rpc), USEC_NEVER);
        check_equal(receive(rpc, CLIENT, &node, &answer, SECONDS(5), &event), RPC_UNASKED);
}

TEST(rpc_late_answer_to_a_repeated_request_counts)
{
        MAKE(rpc);
        struct rpc_event event;
        struct rpc_send send;
        struct rpc_message answer;

        check(ask(rpc, &node, 3, SECONDS(1)));
        answer = sent(rpc, &send);
        answer = answer_to(&answer);
        rpc_advance(rpc, SECONDS(2));
        check_equal(receive(rpc, CLIENT, &node, &answer, SECONDS(2), &event), RPC_OK);
        check_equal(event.sends, 2);
        check(!rpc_event(rpc, &event));         /* nothing of it is slow any more */
        check_equal(drain(rpc), 0);             /* nor sent: the repetition had not left */
}

TEST(rpc_timed_out_request_can_be_cancelled_before_it_is_told)
{
        MAKE(rpc);
        struct rpc_request *request = ask(rpc, &node, 0, SECONDS(1));
        struct rpc_event event;

        rpc_advance(rpc, SECONDS(2));
        check_equal(rpc_in_flight(rpc), 0);
        rpc_cancel(rpc, request);
        check(!rpc_event(rpc, &event));
}

TEST(rpc_cancelled_request_is_silent)
{
        MAKE(rpc);
        struct rpc_request *first = ask(rpc, &node, 3, SECONDS(1)), *second = ask(rpc, &node, 3, SECONDS(1));
        struct rpc_event event;

        rpc_cancel(rpc, first);                 /* before it left */
        check_equal(drain(rpc), 1);
        rpc_cancel(rpc, second);
        rpc_advance(rpc, SECONDS(50));
        check(!rpc_event(rpc, &event));
        check_equal(drain(rpc), 0);
        check_equal(rpc_in_flight(rpc), 0);
}

TEST(rpc_late_advance_sends_once)
{
        MAKE(rpc);

        check(ask(rpc, &node, 3, SECONDS(1)));
        check_equal(drain(rpc), 1);
        rpc_advance(rpc, SECONDS(60));
        check_equal(drain(rpc), 1);
        check_equal(rpc_deadline(rpc), SECONDS(61));
}

TEST(rpc_id_goes_out_by_the_server_socket_of_a_persistent_node_only)
{
        MAKE(rpc);
        uint8_t id[RPC_ID_BYTES] = { 9 };
        struct rpc_send send;
        struct rpc_message message;

        rpc_set_id(rpc, id);
        check(ask(rpc, &node, 0, SECONDS(1)));
        message = sent(rpc, &send);
        check(send.socket == CLIENT && !message.id);
        rpc_set_firewalled(rpc, false);
        check_equal(rpc_socket(rpc), SERVER);
        check(ask(rpc, &node, 0, SECONDS(1)));
        message = sent(rpc, &send);
        check(send.socket == SERVER && message.id);
        check_bytes(message.id, id, sizeof(id));
        rpc_set_id(rpc, NULL);
        check(ask(rpc, &node, 0, SECONDS(1)));
        message = sent(rpc, &send);
        check(send.socket == SERVER && !message.id);
}

TEST(rpc_window_lets_eighty_out_in_a_slot_and_the_rest_as_answers_come)
{
        MAKE(rpc);
        struct rpc_send send;
        struct rpc_event event;
        struct rpc_message answer = { 0 };
        struct addr to = { { 198, 51, 100, 1 }, 1 };

        for (unsigned i = 0; i < 100; i++, to.port++)
                check(ask(rpc, &to, 3, SECONDS(1)));
        for (unsigned i = 0; i < RPC_WINDOW_SLOT_MAX; i++)
                answer = sent(rpc, &send);
        check(!rpc_transmit(rpc, &send));
        check_equal(rpc_in_flight(rpc), 80);

        to.port = 80;
        answer = answer_to(&answer);
        check_equal(receive(rpc, CLIENT, &to, &answer, SECONDS(1) + MSEC(500), &event), RPC_OK);
        sent(rpc, &send);
        check_equal(send.to.port, 81);          /* what waited longest */
        check_equal(drain(rpc), 0);

        check_equal(rpc_deadline(rpc), SECONDS(1) + MSEC(RPC_WINDOW_SLOT_MS));
        rpc_advance(rpc, SECONDS(1) + MSEC(RPC_WINDOW_SLOT_MS));
        check_equal(drain(rpc), 19);
        check_equal(rpc_deadline(rpc), SECONDS(2));
}

/* Answers @count requests, each @took_us after it was sent. */
static void answer_some(struct rpc *rpc, unsigned count, usec_t took_us)
{
        for (unsigned i = 0; i < count; i++) {
                struct rpc_event event;
                struct rpc_send send;
                struct rpc_message answer;

                check(ask(rpc, &node, 3, SECONDS(1)));
                answer = sent(rpc, &send);
                answer = answer_to(&answer);
                check_equal(receive(rpc, CLIENT, &node, &answer, SECONDS(1) + took_us, &event), RPC_OK);
        }
}

/* Sent at SECONDS(10): when it is sent again, and given up. */
static void check_sends(struct rpc *rpc, const struct rpc_request_spec *spec, const unsigned *again_ms, size_t count)
{
        struct rpc_event event;

        check(rpc_request(rpc, spec, SECONDS(10)));
        check_equal(drain(rpc), 1);
        for (size_t i = 0; i < count; i++) {
                check_equal(rpc_deadline(rpc), SECONDS(10) + MSEC(again_ms[i]));
                rpc_advance(rpc, rpc_deadline(rpc));
                check_equal(drain(rpc), i < count - 1);
                check_equal(rpc_event(rpc, &event), i == 0 || i == count - 1);
        }
        check_equal(event.kind, RPC_TIMED_OUT);
        check_equal(rpc_deadline(rpc), USEC_NEVER);
}

TEST(rpc_asks_again_as_soon_as_nodes_use_to_answer_and_then_with_patience)
{
        static const unsigned near_ms[] = { 200, 600, 1600, 2600, 3600 }, far_ms[] = { 400, 1200, 2200, 3200, 4200 },
                              eager_ms[] = { 400, 800, 1200, 1600, 2000, 3000, 4000, 5000, 6000 },
                              twice_ms[] = { 200, 1200 }, once_ms[] = { 1000 };
        struct rpc_request_spec spec = { .to = other, .internal = true, .retries = RPC_RETRIES };
        MAKE(rpc);

        answer_some(rpc, 20, MSEC(40));
        check_sends(rpc, &spec, near_ms, ARRAY_LEN(near_ms));
        spec.far = true;
        check_sends(rpc, &spec, far_ms, ARRAY_LEN(far_ms));
        spec.eager = true;
        spec.retries = RPC_RETRIES_EAGER;
        check_sends(rpc, &spec, eager_ms, ARRAY_LEN(eager_ms));
        spec = (struct rpc_request_spec){ .to = other, .internal = true, .retries = 1 };
        check_sends(rpc, &spec, twice_ms, ARRAY_LEN(twice_ms));
        spec.retries = 0;
        check_sends(rpc, &spec, once_ms, ARRAY_LEN(once_ms));
}

TEST(rpc_timer_follows_how_long_answers_take_between_a_fifth_of_a_second_and_one)
{
        MAKE(rpc);

        check_equal(rpc_timer(rpc), SECONDS(1));
        answer_some(rpc, 1, MSEC(100));
        check_equal(rpc_timer(rpc), MSEC(300));
        answer_some(rpc, 50, MSEC(300));
        check(rpc_timer(rpc) >= MSEC(300) && rpc_timer(rpc) < MSEC(310));
        answer_some(rpc, 5, MSEC(900));         /* some are far away */
        check_equal(rpc_timer(rpc), SECONDS(1));
        answer_some(rpc, 50, MSEC(1));
        check_equal(rpc_timer(rpc), MSEC(200));
}

/* Whether an answer is to the first send or to the second, nobody knows. */
TEST(rpc_timer_learns_nothing_from_what_was_sent_twice)
{
        MAKE(rpc);
        struct rpc_event event;
        struct rpc_send send;
        struct rpc_message answer;

        check(ask(rpc, &node, 3, SECONDS(1)));
        answer = sent(rpc, &send);
        answer = answer_to(&answer);
        rpc_advance(rpc, SECONDS(2));
        check_equal(receive(rpc, CLIENT, &node, &answer, SECONDS(2) + MSEC(10), &event), RPC_OK);
        check_equal(rpc_timer(rpc), SECONDS(1));
}

TEST(rpc_urgent_request_passes_the_window)
{
        MAKE(rpc);
        struct rpc_request_spec spec = { .to = other, .internal = true, .urgent = true };
        struct addr to = { { 198, 51, 100, 1 }, 1 };
        struct rpc_send send;

        for (unsigned i = 0; i < 100; i++, to.port++)
                check(ask(rpc, &to, 3, SECONDS(1)));
        check_equal(drain(rpc), 80);
        check(rpc_request(rpc, &spec, SECONDS(1)));
        check(rpc_transmit(rpc, &send));
        check(addr_equal(&send.to, &other));
}

/* Every turn of the loop must move the deadline, or the caller spins. */
TEST(rpc_deadline_moves_on_while_the_window_is_full_for_long)
{
        MAKE(rpc);
        struct addr to = { { 198, 51, 100, 1 }, 1 };
        struct rpc_event event;
        usec_t now_us = SECONDS(1);
        unsigned turns = 0, over = 0;

        for (unsigned i = 0; i < 1000; i++, to.port++)
                check(ask(rpc, &to, 3, now_us));
        while (rpc_deadline(rpc) != USEC_NEVER) {
                check(rpc_deadline(rpc) > now_us);
                now_us = rpc_deadline(rpc);
                rpc_advance(rpc, now_us);
                while (rpc_event(rpc, &event))
                        over += event.kind == RPC_TIMED_OUT;
                check(drain(rpc) <= RPC_WINDOW_MAX);
                check(++turns < 1000);
        }
        check_equal(over, 1000);
        check(now_us > SECONDS(15));            /* 4,000 sends at no more than 160 in 3 s, but what times out makes room */
}

TEST(rpc_refuses_more_requests_than_it_can_hold_and_goes_on)
{
        MAKE(rpc);
        struct addr to = { { 198, 51, 100, 1 }, 1 };
        struct rpc_request *last = NULL, *request;
        size_t count = 0;

        for (; (request = ask(rpc, &to, 3, SECONDS(1))); to.port++, count++)
                last = request;
        check_equal(count, REQUESTS_MAX);
        rpc_cancel(rpc, last);
        check(ask(rpc, &to, 3, SECONDS(1)));
        check_equal(drain(rpc), RPC_WINDOW_SLOT_MAX);
}

TEST(rpc_refuses_a_request_longer_than_a_datagram)
{
        MAKE(rpc);
        static const uint8_t value[RPC_DATAGRAM_MAX];
        struct rpc_request_spec spec = { .to = node, .value = value, .value_len = RPC_DATAGRAM_MAX - RPC_HEADER_BYTES - 1 - 3 };

        check(rpc_request(rpc, &spec, SECONDS(1)));
        spec.value_len++;
        check(!rpc_request(rpc, &spec, SECONDS(1)));
}

TEST(rpc_answer_to_what_was_never_sent_is_refused)
{
        MAKE(rpc);
        struct addr to = { { 198, 51, 100, 1 }, 1 };
        struct rpc_message answer = { .type = RPC_TYPE_RESPONSE };
        struct rpc_event event;

        for (unsigned i = 0; i < RPC_WINDOW_SLOT_MAX; i++, to.port++)
                check(ask(rpc, &to, 3, SECONDS(1)));
        check(ask(rpc, &other, 3, SECONDS(1)));
        for (unsigned tid = 0; tid <= UINT16_MAX; tid++) {
                answer.tid = (uint16_t)tid;
                check_equal(receive(rpc, CLIENT, &other, &answer, SECONDS(1), &event), RPC_UNASKED);
        }
}

TEST(rpc_tids_are_apart_and_no_count)
{
        MAKE(rpc);
        static uint8_t seen[UINT16_MAX + 1];
        struct rpc_request_spec spec = { .to = node, .internal = true, .urgent = true };
        struct rpc_send send;
        unsigned next_by_one = 0;
        uint16_t last = 0;

        memset(seen, 0, sizeof(seen));
        for (unsigned i = 0; i < REQUESTS_MAX; i++) {
                check(rpc_request(rpc, &spec, SECONDS(1)));
                uint16_t tid = sent(rpc, &send).tid;
                check(!seen[tid]);
                seen[tid] = 1;
                next_by_one += tid == (uint16_t)(last + 1);
                last = tid;
        }
        check(next_by_one < 10);
}

TEST(rpc_request_of_another_comes_up_and_the_reply_goes_back_by_its_socket)
{
        MAKE(rpc);
        struct rpc_message asked = find_peer(777), answer;
        struct addr closer[2] = { { { 10, 0, 0, 1 }, 1 }, { { 10, 0, 0, 2 }, 2 } };
        struct rpc_reply reply = {
                .token = true, .closer = closer, .closer_count = 2, .value = (const uint8_t *)"abc", .value_len = 3,
        };
        struct rpc_event event;
        struct rpc_send send;
        struct addr back;

        check_equal(receive(rpc, SERVER, &node, &asked, SECONDS(1), &event), RPC_OK);
        check(event.kind == RPC_REQUESTED && event.socket == SERVER && addr_equal(&event.from, &node) && !event.token_valid);
        check(!event.request && event.message.command == 2 && !event.message.internal);
        rpc_reply(rpc, &event, &reply, SECONDS(1));
        answer = sent(rpc, &send);
        check(send.socket == SERVER && addr_equal(&send.to, &node) && addr_equal(&answer.to, &node));
        check(answer.type == RPC_TYPE_RESPONSE && answer.tid == 777 && answer.token && answer.error == 0);
        check_equal(answer.closer_count, 2);
        back = rpc_message_closer(&answer, 1);
        check(addr_equal(&back, &closer[1]));
        check_bytes(answer.value, "abc", 3);
}

TEST(rpc_token_of_a_reply_is_valid_for_that_host_and_a_while)
{
        MAKE(rpc);
        struct rpc_message asked = find_peer(1), message;
        struct addr same_host = { { 198, 51, 100, 1 }, 9 };
        struct rpc_reply reply = { .token = true };
        uint8_t token[RPC_TOKEN_BYTES];
        struct rpc_event event;
        struct rpc_send send;

        check_equal(receive(rpc, SERVER, &node, &asked, SECONDS(1), &event), RPC_OK);
        rpc_reply(rpc, &event, &reply, SECONDS(1));
        message = sent(rpc, &send);
        memcpy(token, message.token, sizeof(token));
        asked.token = token;
        check(receive(rpc, SERVER, &same_host, &asked, SECONDS(1) + MSEC(7500), &event) == RPC_OK && event.token_valid);
        check(receive(rpc, SERVER, &other, &asked, SECONDS(1) + MSEC(7500), &event) == RPC_OK && !event.token_valid);
        check(receive(rpc, SERVER, &node, &asked, SECONDS(16), &event) == RPC_OK && !event.token_valid);
}

TEST(rpc_id_is_believed_only_where_it_fits_the_source)
{
        MAKE(rpc);
        uint8_t id[RPC_ID_BYTES];
        struct rpc_message asked = find_peer(1);
        struct rpc_event event;

        rpc_node_id(&node, id);
        asked.id = id;
        check(receive(rpc, SERVER, &node, &asked, SECONDS(1), &event) == RPC_OK && event.message.id);
        check(receive(rpc, SERVER, &other, &asked, SECONDS(1), &event) == RPC_OK && !event.message.id);
}

TEST(rpc_drops_garbage_and_leaves_the_event_alone)
{
        MAKE(rpc);
        struct addr port_zero = { { 198, 51, 100, 1 }, 0 };
        struct rpc_message asked = find_peer(1);
        struct rpc_event event = { .sends = 42 };
        struct rpc_stats stats;
        static uint8_t bytes[RPC_DATAGRAM_MAX + 1];

        check_equal(rpc_receive(rpc, SERVER, &node, bytes, 0, SECONDS(1), &event), RPC_MALFORMED);
        check_equal(rpc_receive(rpc, SERVER, &node, "\x03\x04", 2, SECONDS(1), &event), RPC_MALFORMED);
        check_equal(receive(rpc, SERVER, &port_zero, &asked, SECONDS(1), &event), RPC_MALFORMED);
        check(rpc_message_write(&asked, bytes, sizeof(bytes)));
        check_equal(rpc_receive(rpc, SERVER, &node, bytes, sizeof(bytes), SECONDS(1), &event), RPC_MALFORMED);
        check_equal(event.sends, 42);
        check_equal(rpc_receive(rpc, SERVER, &node, bytes, sizeof(bytes) - 1, SECONDS(1), &event), RPC_OK);
        rpc_stats(rpc, &stats);
        check_equal(stats.verdicts[RPC_MALFORMED], 4);
        check_equal(stats.verdicts[RPC_OK], 1);
        check_equal(drain(rpc), 0);
}

TEST(rpc_reply_cuts_the_farthest_nodes_where_it_gets_too_long)
{
        MAKE(rpc);
        static const uint8_t value[1500];
        struct rpc_message asked = find_peer(1), answer;
        struct addr closer[RPC_CLOSER_MAX + 10];
        struct rpc_reply reply = { .token = true, .closer = closer, .closer_count = RPC_CLOSER_MAX + 10, .value = value };
        struct rpc_event event;
        struct rpc_send send;

        for (unsigned i = 0; i < RPC_CLOSER_MAX + 10; i++)
                closer[i] = (struct addr){ { 10, 0, 0, (uint8_t)i }, 1 };
        check_equal(receive(rpc, SERVER, &local, &asked, SECONDS(1), &event), RPC_OK);
        for (size_t len = 1000; len <= sizeof(value); len += 10) {
                size_t rest = RPC_HEADER_BYTES + RPC_TOKEN_BYTES + 1 + 3 + len;
                size_t room = rest < RPC_REPLY_MAX ? (RPC_REPLY_MAX - rest) / RPC_ADDR_BYTES : 0;

                reply.value_len = len;
                rpc_reply(rpc, &event, &reply, SECONDS(1));
                answer = sent(rpc, &send);
                check_equal(answer.value_len, len);
                check_equal(answer.closer_count, MIN(room, RPC_CLOSER_MAX));
                if (answer.closer_count)
                        check(rpc_message_closer(&answer, 0).ip[3] == 0 && send.len <= RPC_REPLY_MAX);
        }
        reply.value_len = RPC_DATAGRAM_MAX;
        rpc_reply(rpc, &event, &reply, SECONDS(1));
        check_equal(drain(rpc), 0);
}

TEST(rpc_takes_no_more_closer_nodes_than_an_honest_answer_has)
{
        MAKE(rpc);
        static const uint8_t closer[300 * RPC_ADDR_BYTES];
        struct rpc_event event;
        struct rpc_send send;
        struct rpc_message answer;

        check(ask(rpc, &node, 3, SECONDS(1)));
        answer = sent(rpc, &send);
        answer = answer_to(&answer);
        answer.closer = closer;
        answer.closer_count = 300;
        check_equal(receive(rpc, CLIENT, &node, &answer, SECONDS(1), &event), RPC_OK);
        check_equal(event.message.closer_count, RPC_CLOSER_MAX);
}

TEST(rpc_relays_under_the_given_tid_without_a_token)
{
        MAKE(rpc);
        uint8_t id[RPC_ID_BYTES] = { 1 };
        struct rpc_message message;
        struct rpc_send send;

        rpc_set_id(rpc, id);
        rpc_relay(rpc, SERVER, &node, 4711, 0, target, "xyz", 3);
        message = sent(rpc, &send);
        check(send.socket == SERVER && addr_equal(&send.to, &node) && addr_equal(&message.to, &node));
        check(message.type == RPC_TYPE_REQUEST && message.tid == 4711 && !message.internal && message.command == 0);
        check(message.id && !message.token && message.target);
        check_bytes(message.value, "xyz", 3);
}

TEST(rpc_keeps_no_more_replies_than_its_bound)
{
        MAKE(rpc);
        struct rpc_reply reply = { 0 };
        struct rpc_stats stats;

        for (unsigned i = 0; i < RPC_OUTPUT_MAX + 5; i++)
                rpc_reply_to(rpc, SERVER, &local, (uint16_t)i, &reply, SECONDS(1));
        check(ask(rpc, &node, 3, SECONDS(1)));  /* ours are bounded on their own */
        rpc_stats(rpc, &stats);
        check_equal(stats.unsent, 5);
        check_equal(stats.replies, RPC_OUTPUT_MAX);
        check_equal(drain(rpc), RPC_OUTPUT_MAX + 1);
        rpc_reply_to(rpc, SERVER, &local, 1, &reply, SECONDS(1));
        check_equal(drain(rpc), 1);
}

TEST(rpc_limits_requests_per_host)
{
        MAKE(rpc);
        struct rpc_message asked = find_peer(1);
        struct rpc_event event;
        unsigned taken = 0;

        for (unsigned i = 0; i < 1000; i++)
                taken += receive(rpc, SERVER, &node, &asked, SECONDS(1), &event) == RPC_OK;
        check_equal(taken, 2 * RPC_REQUESTS_PER_S);
        check_equal(receive(rpc, SERVER, &other, &asked, SECONDS(1), &event), RPC_OK);
        check_equal(receive(rpc, SERVER, &local, &asked, SECONDS(1), &event), RPC_OK);
        check_equal(receive(rpc, SERVER, &node, &asked, SECONDS(1) + MSEC(10), &event), RPC_OK);
        check_equal(receive(rpc, SERVER, &node, &asked, SECONDS(1) + MSEC(10), &event), RPC_LIMITED);
}

TEST(rpc_gives_large_values_to_possible_victims_only_now_and_then)
{
        MAKE(rpc);
        static const uint8_t value[1000];
        struct rpc_message asked = find_peer(1), answer;
        struct rpc_reply reply = { .token = true, .closer = &other, .closer_count = 1, .value = value, .value_len = sizeof(value) };
        uint8_t token[RPC_TOKEN_BYTES];
        struct rpc_event event;
        struct rpc_send send;

        for (unsigned i = 0; i < 20; i++) {
                check_equal(receive(rpc, SERVER, &node, &asked, SECONDS(1), &event), RPC_OK);
                rpc_reply(rpc, &event, &reply, SECONDS(1));
                answer = sent(rpc, &send);
                check_equal(answer.value != NULL, i < RPC_LARGE_PER_S);
                check(answer.token && answer.closer_count == 1);
                memcpy(token, answer.token, sizeof(token));
        }
        asked.token = token;                    /* it receives what we send: no victim */
        check_equal(receive(rpc, SERVER, &node, &asked, SECONDS(1), &event), RPC_OK);
        rpc_reply(rpc, &event, &reply, SECONDS(1));
        answer = sent(rpc, &send);
        check(answer.value != NULL);
}

/* A handshake is answered by one of its own size: no amplification, no limit. */
TEST(rpc_reply_no_longer_than_twice_its_request_is_not_large)
{
        MAKE(rpc);
        static const uint8_t value[600];
        struct rpc_message asked = find_peer(1), answer;
        struct rpc_reply reply = { .value = value, .value_len = sizeof(value) };
        struct rpc_event event;
        struct rpc_send send;

        asked.value = value;
        asked.value_len = 350;
        for (unsigned i = 0; i < 20; i++) {
                check_equal(receive(rpc, SERVER, &node, &asked, SECONDS(1), &event), RPC_OK);
                rpc_reply(rpc, &event, &reply, SECONDS(1));
                answer = sent(rpc, &send);
                check(answer.value != NULL);
        }
}

TEST(rpc_idle_needs_no_timer)
{
        MAKE(rpc);
        struct rpc_message asked = find_peer(1);
        struct rpc_reply reply = { .token = true };
        struct rpc_event event;

        check_equal(receive(rpc, SERVER, &node, &asked, SECONDS(1), &event), RPC_OK);
        rpc_reply(rpc, &event, &reply, SECONDS(1));
        check_equal(drain(rpc), 1);
        check_equal(rpc_deadline(rpc), USEC_NEVER);
}
