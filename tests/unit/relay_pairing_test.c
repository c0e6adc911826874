/* SPDX-License-Identifier: BSD-3-Clause */
/* A relay and peers that talk to it, frame by frame: npm blind-relay's rules, and the limits it has not. */
#include "relay_pairing.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "relay_client.h"
#include "test.h"
#include "vectors.h"

enum { PEERS = 8 };

/* A peer: its client's state, or what the test says in its place. */
struct peer {
        struct relay_session *session;
        struct relay_client client;
        struct relay_channel channel;
        uint8_t key[RELAY_KEY_BYTES];
        struct addr host;
        unsigned opens, rejects, answers;
        struct relay_message answer;
};

struct bench {
        uint64_t seed;
        struct relay_pairing *pairing;
        struct peer peer[PEERS];
        uint32_t last_id;
        int joints[1024];
        unsigned joined, parted;
        usec_t now_us;                  /* when all is said */
};

static void bench_free(struct bench *bench)
{
        relay_pairing_free(bench->pairing);
        free(bench);
}

static void bench_freep(struct bench **bench)
{
        bench_free(*bench);
}

static struct bench *bench_new(const struct relay_limits *limits)
{
        struct bench *bench = calloc(1, sizeof(*bench));
        struct random random;

        check(bench != NULL);
        random = (struct random){ .fill = test_random_fill, .context = &bench->seed };
        bench->pairing = relay_pairing_new(limits, &random);
        check(bench->pairing != NULL);
        for (unsigned i = 0; i < PEERS; i++) {
                memset(bench->peer[i].key, (int)i + 1, RELAY_KEY_BYTES);
                bench->peer[i].host = (struct addr){ .ip = { 10, 0, (uint8_t)i, 1 }, .port = 1 };
                bench->peer[i].session = relay_session_new(bench->pairing, bench->peer[i].key, &bench->peer[i].host, &bench->peer[i]);
        }
        return bench;
}

static void hear(struct peer *peer, const uint8_t *bytes, size_t len)
{
        struct relay_frames frames;
        struct relay_frame frame;
        struct relay_message message;

        relay_frames_init(&frames, bytes, len);
        while (relay_frames_next(&frames, &frame)) {
                peer->opens += frame.kind == RELAY_FRAME_OPEN;
                peer->rejects += frame.kind == RELAY_FRAME_REJECT;
                if (frame.kind != RELAY_FRAME_MESSAGE)
                        continue;
                check(relay_message_read(frame.type, frame.body, frame.body_len, &message));
                peer->answers++;
                peer->answer = message;
        }
        check(!frames.r.failed);
        relay_client_take(&peer->client, bytes, len);
}

static void settle(struct bench *bench)
{
        uint8_t frame[RELAY_FRAME_MAX];
        struct relay_event event;
        void *context;
        size_t len;

        while (relay_pairing_event(bench->pairing, &event)) {
                uint32_t ids[2] = { bench->last_id + 1, bench->last_id + 2 };

                if (event.kind == RELAY_PAIR_OVER) {
                        check_equal(*(int *)event.joint, 1);
                        *(int *)event.joint = 2;
                        bench->parted++;
                        continue;
                }
                bench->last_id += 2;
                bench->joints[bench->joined] = 1;
                relay_pair_join(event.pair, &bench->joints[bench->joined++], ids);
        }
        while (relay_pairing_frame(bench->pairing, &context, frame, &len))
                hear(context, frame, len);
        check(relay_pairing_deadline(bench->pairing) > 0);
}

static bool say(struct bench *bench, struct peer *peer, const uint8_t *bytes, size_t len, usec_t now_us)
{
        bool fine = relay_session_take(peer->session, bytes, len, now_us);

        settle(bench);
        return fine;
}

static void open_channel(struct bench *bench, struct peer *peer)
{
        uint8_t bytes[RELAY_FRAME_MAX];
        struct writer w = writer_over(bytes, sizeof(bytes));

        relay_open_write(&w, 1, peer->key);
        check(say(bench, peer, bytes, writer_len(&w), 0));
}

static bool tell(struct bench *bench, struct peer *peer, enum relay_message_type type, bool initiator, uint8_t token, uint32_t id)
{
        struct relay_message message = { .type = type, .initiator = initiator, .stream_id = id };
        uint8_t bytes[RELAY_FRAME_MAX];
        struct writer w = writer_over(bytes, sizeof(bytes));

        memset(message.token, token, sizeof(message.token));
        relay_message_write(&w, 1, &message);
        return say(bench, peer, bytes, writer_len(&w), bench->now_us);
}

static struct bench *opened_bench(const struct relay_limits *limits)
{
        struct bench *bench = bench_new(limits);

        for (unsigned i = 0; i < PEERS; i++)
                if (bench->peer[i].session)
                        open_channel(bench, &bench->peer[i]);
        return bench;
}

static struct relay_stats stats_of(const struct bench *bench)
{
        struct relay_stats stats;

        relay_pairing_stats(bench->pairing, &stats);
        return stats;
}

static const struct relay_limits no_limits;

TEST(relay_joins_two_halves_whoever_comes_first)
{
        for (unsigned first = 0; first < 2; first++) {
                cleanup_with(bench_freep) struct bench *bench = opened_bench(&no_limits);
                struct peer *a = &bench->peer[0], *b = &bench->peer[1];

                check_equal(a->opens, 1);
                check(tell(bench, a, RELAY_PAIR, first, 7, 1000));
                check_equal(a->answers, 0);
                check_equal(stats_of(bench).waiting, 1);
                check(tell(bench, b, RELAY_PAIR, !first, 7, 2000));
                check_equal(bench->joined, 1);
                check_equal(a->answers, 1);
                check_equal(b->answers, 1);
                check_equal(a->answer.initiator, first);
                check_equal(a->answer.stream_id, first ? 2 : 1);
                check_equal(b->answer.stream_id, first ? 1 : 2);
                check_equal(a->answer.token[5], 7);
                check_equal(stats_of(bench).pairs, 1);
                check_equal(stats_of(bench).waiting, 0);
        }
}

TEST(relay_keeps_the_first_of_two_equal_halves)
{
        cleanup_with(bench_freep) struct bench *bench = opened_bench(&no_limits);

        check(tell(bench, &bench->peer[0], RELAY_PAIR, true, 7, 1000));
        check(tell(bench, &bench->peer[0], RELAY_PAIR, true, 7, 1001));
        check(tell(bench, &bench->peer[1], RELAY_PAIR, true, 7, 1002));
        check_equal(bench->joined, 0);
        check(tell(bench, &bench->peer[2], RELAY_PAIR, false, 7, 1003));
        check_equal(bench->joined, 1);
        check_equal(bench->peer[0].answers, 1);
        check_equal(bench->peer[1].answers, 0);
        check(tell(bench, &bench->peer[3], RELAY_PAIR, false, 7, 1004));       /* the token is new again */
        check_equal(stats_of(bench).waiting, 1);
}

TEST(relay_pairs_both_halves_of_one_session_and_forgets_them_with_it)
{
        cleanup_with(bench_freep) struct bench *bench = opened_bench(&no_limits);
        struct peer *a = &bench->peer[0];

        check(tell(bench, a, RELAY_PAIR, true, 7, 1000));
        check(tell(bench, a, RELAY_PAIR, false, 7, 1001));
        check_equal(bench->joined, 1);
        check_equal(a->answers, 2);
        relay_session_free(a->session);
        settle(bench);
        check_equal(bench->parted, 1);
        check_equal(stats_of(bench).pairs, 0);
}

TEST(relay_forgets_the_halves_and_ends_the_pairs_of_a_session_that_is_gone)
{
        cleanup_with(bench_freep) struct bench *bench = opened_bench(&no_limits);
        struct peer *a = &bench->peer[0], *b = &bench->peer[1];

        check(tell(bench, a, RELAY_PAIR, true, 1, 1000));
        check(tell(bench, a, RELAY_PAIR, true, 2, 1001));
        check(tell(bench, b, RELAY_PAIR, false, 1, 1002));
        check_equal(bench->joined, 1);
        relay_session_free(a->session);
        settle(bench);
        check_equal(bench->parted, 1);
        check(tell(bench, b, RELAY_PAIR, false, 2, 1003));
        check_equal(bench->joined, 1);
        check_equal(stats_of(bench).waiting, 1);
        relay_session_free(b->session);
        settle(bench);
        check_equal(stats_of(bench).waiting, 0);
        check_equal(bench->parted, 1);
}

TEST(relay_cancels_a_half_for_all_who_know_it_and_a_pair_for_its_own)
{
        cleanup_with(bench_freep) struct bench *bench = opened_bench(&no_limits);

        check(tell(bench, &bench->peer[0], RELAY_PAIR, true, 1, 1000));
        check(tell(bench, &bench->peer[2], RELAY_UNPAIR, false, 1, 0));
        check_equal(stats_of(bench).waiting, 0);
        check(tell(bench, &bench->peer[0], RELAY_PAIR, true, 2, 1000));
        check(tell(bench, &bench->peer[1], RELAY_PAIR, false, 2, 2000));
        check(tell(bench, &bench->peer[2], RELAY_UNPAIR, false, 2, 0));
        check_equal(bench->parted, 0);
        check(tell(bench, &bench->peer[1], RELAY_UNPAIR, false, 2, 0));
        check_equal(bench->parted, 1);
        check(tell(bench, &bench->peer[1], RELAY_UNPAIR, false, 3, 0));        /* never heard of */
        check_equal(stats_of(bench).cancelled, 2);
}

TEST(relay_lets_no_half_wait_for_ever)
{
        cleanup_with(bench_freep) struct bench *bench = opened_bench(&no_limits);

        check(tell(bench, &bench->peer[0], RELAY_PAIR, true, 1, 1000));
        check_equal(relay_pairing_deadline(bench->pairing), RELAY_HALF_US);
        relay_pairing_advance(bench->pairing, RELAY_HALF_US - 1);
        check_equal(stats_of(bench).waiting, 1);
        relay_pairing_advance(bench->pairing, RELAY_HALF_US);
        check_equal(stats_of(bench).waiting, 0);
        check(relay_pairing_deadline(bench->pairing) == USEC_NEVER);
        check(tell(bench, &bench->peer[1], RELAY_PAIR, true, 2, 1));
        check(tell(bench, &bench->peer[2], RELAY_PAIR, false, 2, 2));
        relay_pairing_advance(bench->pairing, 100 * RELAY_HALF_US);     /* what is joined stays */
        check_equal(stats_of(bench).pairs, 1);
}

TEST(relay_keeps_to_its_limits)
{
        static const struct relay_limits limits = { .sessions = 3, .pairs = 3, .per_session = 2 };
        cleanup_with(bench_freep) struct bench *bench = opened_bench(&limits);
        struct peer *peer = bench->peer;

        check(peer[2].session && !peer[3].session);
        check_equal(stats_of(bench).limited, PEERS - 3);
        for (uint8_t i = 0; i < 3; i++)
                check(tell(bench, &peer[0], RELAY_PAIR, true, i, i));
        check_equal(stats_of(bench).waiting, 2);
        check(tell(bench, &peer[1], RELAY_PAIR, true, 10, 1));
        bench->now_us = RELAY_MEET_US;
        check(tell(bench, &peer[1], RELAY_PAIR, true, 11, 1));         /* for which the oldest gives way */
        check_equal(stats_of(bench).waiting, 3);
        check_equal(stats_of(bench).evicted, 1);
        check(tell(bench, &peer[2], RELAY_PAIR, false, 1, 1));          /* the other half of one is no further pair */
        check_equal(bench->joined, 1);
        relay_session_free(peer[0].session);
        settle(bench);
        check(tell(bench, &peer[1], RELAY_PAIR, true, 12, 1));
        check_equal(stats_of(bench).waiting, 2);
        check_equal(stats_of(bench).limited, PEERS - 3 + 2);
}

TEST(relay_drops_a_pair_its_owner_can_not_join)
{
        cleanup_with(bench_freep) struct bench *bench = opened_bench(&no_limits);
        struct relay_event event;
        uint8_t bytes[RELAY_FRAME_MAX];
        struct writer w = writer_over(bytes, sizeof(bytes));
        struct relay_message message = { .type = RELAY_PAIR };

        check(tell(bench, &bench->peer[0], RELAY_PAIR, true, 0, 1));
        relay_message_write(&w, 1, &message);
        check(relay_session_take(bench->peer[1].session, bytes, writer_len(&w), 0));
        check(relay_pairing_event(bench->pairing, &event));
        check_equal(event.kind, RELAY_PAIR_MADE);
        check_equal(event.stream_ids[1], 1);
        relay_pair_drop(event.pair);
        settle(bench);
        check_equal(bench->peer[0].answers, 0);
        check_equal(stats_of(bench).pairs, 0);
}

TEST(relay_ends_who_talks_nonsense_and_refuses_other_channels)
{
        cleanup_with(bench_freep) struct bench *bench = bench_new(&no_limits);
        static const uint8_t other[] = { 0, 1, 2, 4, 'e', 'l', 's', 'e', 0 }, cut[] = { 0, 1 }, nobody[] = { 0, 1, 0, 0, 0 };
        static const uint8_t short_pair[] = { 1, 0, 1, 2, 3 }, closing[] = { 0, 3, 1 }, early[] = { 1, 0, 9 };
        struct peer *peer = bench->peer;

        settle(bench);
        check(say(bench, &peer[0], early, sizeof(early), 0));           /* no channel is open: means nothing yet */
        open_channel(bench, &peer[0]);
        for (unsigned i = 0; i < 3; i++)
                check(say(bench, &peer[0], other, sizeof(other), 0));
        check_equal(peer[0].rejects, 3);
        open_channel(bench, &peer[0]);                                  /* once more */
        check_equal(peer[0].rejects, 4);
        check(!say(bench, &peer[0], cut, sizeof(cut), 0));
        check(!say(bench, &peer[1], nobody, sizeof(nobody), 0));
        open_channel(bench, &peer[2]);
        check(!say(bench, &peer[2], short_pair, sizeof(short_pair), 0));
        open_channel(bench, &peer[3]);
        check(!say(bench, &peer[3], closing, sizeof(closing), 0));
        check_equal(stats_of(bench).malformed, 3);
}

/* --- Its clients --- */

static void ask(struct bench *bench, struct peer *peer)
{
        uint8_t frame[RELAY_FRAME_MAX];
        size_t len;

        while (relay_client_frame(&peer->client, frame, &len))
                check(say(bench, peer, frame, len, 0));
}

TEST(relay_clients_find_each_other)
{
        cleanup_with(bench_freep) struct bench *bench = bench_new(&no_limits);
        static const uint8_t token[RELAY_TOKEN_BYTES] = { 9 };
        struct peer *a = &bench->peer[0], *b = &bench->peer[1];

        relay_client_init(&a->client, true, token, 1000, 5);
        relay_client_init(&b->client, false, token, 2000, 5);
        relay_client_connected(&a->client, a->key);
        relay_client_connected(&b->client, b->key);
        settle(bench);
        ask(bench, a);
        check_equal(a->client.state, RELAY_PAIRING);
        check_equal(a->client.limit_us, 5 + RELAY_PATIENCE_US);
        ask(bench, b);
        check_equal(a->client.state, RELAY_PAIRED);
        check_equal(b->client.state, RELAY_PAIRED);
        check_equal(a->client.relay_id, 2);
        check_equal(b->client.relay_id, 1);
        relay_client_lost(&a->client);
        relay_client_advance(&a->client, USEC_NEVER - 1);
        check_equal(a->client.state, RELAY_PAIRED);
}

static void begin(struct relay_client *client)
{
        static const uint8_t token[RELAY_TOKEN_BYTES] = { 9 }, key[RELAY_KEY_BYTES] = { 1 };
        uint8_t frame[RELAY_FRAME_MAX];
        size_t len;

        relay_client_init(client, true, token, 1000, 0);
        relay_client_connected(client, key);
        while (relay_client_frame(client, frame, &len))
                ;
}

TEST(relay_client_gives_up)
{
        static const uint8_t reject[] = { 0, 2, 1 }, cut[] = { 0, 1 }, other_reject[] = { 0, 2, 2 };
        struct relay_client client;

        begin(&client);
        relay_client_advance(&client, RELAY_PATIENCE_US - 1);
        check_equal(client.state, RELAY_PAIRING);
        relay_client_advance(&client, RELAY_PATIENCE_US);
        check_equal(client.state, RELAY_GIVEN_UP);
        begin(&client);
        relay_client_take(&client, other_reject, sizeof(other_reject));
        check_equal(client.state, RELAY_PAIRING);
        relay_client_take(&client, reject, sizeof(reject));
        check_equal(client.state, RELAY_GIVEN_UP);
        begin(&client);
        relay_client_take(&client, cut, sizeof(cut));
        check_equal(client.state, RELAY_GIVEN_UP);
        begin(&client);
        relay_client_lost(&client);
        check_equal(client.state, RELAY_GIVEN_UP);
}

/* What a peer of the original's said and heard in each scenario that paired, replayed to a client of ours. */
TEST(relay_client_understands_the_reference)
{
        json_t *scenarios = vector_at(vectors("relay.json"), "scenarios"), *scenario, *event;
        unsigned paired = 0, asked = 0;
        size_t i, k;

        json_array_foreach(scenarios, i, scenario) {
                struct relay_client client = { .state = RELAY_GIVEN_UP };
                unsigned said = 0;

                json_array_foreach(vector_at(scenario, "events"), k, event) {
                        uint8_t bytes[128], expected[RELAY_FRAME_MAX];
                        struct relay_frame frame;
                        struct relay_frames frames;
                        struct relay_message message;
                        size_t len, expected_len = 0;

                        if (strcmp(vector_text(event, "kind"), "mux") != 0 || strcmp(vector_text(scenario, "name"), "messages") == 0)
                                continue;
                        if (strcmp(vector_text(event, "node"), "client-node") != 0)
                                continue;
                        len = vector_bytes(event, "hex", bytes, sizeof(bytes));
                        if (strcmp(vector_text(event, "dir"), "recv") == 0) {
                                relay_client_take(&client, bytes, len);
                                continue;
                        }
                        if (said++ == 1) {
                                relay_frames_init(&frames, bytes, len);
                                check(relay_frames_next(&frames, &frame));
                                check(relay_message_read(frame.type, frame.body, frame.body_len, &message));
                                client.question = message;
                                check(relay_client_frame(&client, expected, &expected_len));
                                check_equal(expected_len, len);
                                check_bytes(expected, bytes, len);
                                asked++;
                        } else if (said == 1) {
                                relay_client_init(&client, false, bytes, 0, 0);
                                relay_client_connected(&client, bytes + len - RELAY_KEY_BYTES);
                                check(relay_client_frame(&client, expected, &expected_len));
                                check_equal(expected_len, len);
                                check_bytes(expected, bytes, len);
                        }
                }
                paired += client.state == RELAY_PAIRED;
        }
        check(asked >= 7 && paired >= 6);
}

/* A token made for the relay, with chance that this test knows. */
static void make_token(struct bench *bench, const uint8_t *proof, const uint8_t *relay_key, uint8_t out[RELAY_TOKEN_BYTES])
{
        struct random random = { .fill = test_random_fill, .context = &bench->seed };

        relay_token_make(out, proof, relay_key, &random);
}

static bool name_token(struct bench *bench, struct peer *peer, enum relay_message_type type, bool initiator, const uint8_t *token)
{
        struct relay_message message = { .type = type, .initiator = initiator, .stream_id = 1 };
        uint8_t bytes[RELAY_FRAME_MAX];
        struct writer w = writer_over(bytes, sizeof(bytes));

        memcpy(message.token, token, sizeof(message.token));
        relay_message_write(&w, 1, &message);
        return say(bench, peer, bytes, writer_len(&w), 0);
}

TEST(relay_that_demands_proof_takes_tokens_of_its_own_alone)
{
        static const uint8_t proofs[][RELAY_PROOF_BYTES] = { { 9 }, { 1 } }, *proof = proofs[1], other[RELAY_PROOF_BYTES] = { 2 },
                             key[RELAY_KEY_BYTES] = { 3 }, elsewhere[RELAY_KEY_BYTES] = { 4 };
        cleanup_with(bench_freep) struct bench *bench = opened_bench(&no_limits);
        struct peer *peer = bench->peer;
        uint8_t token[RELAY_TOKEN_BYTES];

        relay_pairing_demand_proof(bench->pairing, proofs, ARRAY_LEN(proofs), key);
        make_token(bench, proof, key, token);
        check(name_token(bench, &peer[0], RELAY_PAIR, true, token));
        check(name_token(bench, &peer[1], RELAY_PAIR, false, token));
        check_equal(bench->joined, 1);
        make_token(bench, NULL, key, token);
        check(!name_token(bench, &peer[2], RELAY_PAIR, true, token));
        make_token(bench, other, key, token);
        check(!name_token(bench, &peer[3], RELAY_PAIR, true, token));
        make_token(bench, proof, elsewhere, token);
        check(!name_token(bench, &peer[4], RELAY_PAIR, true, token));
        for (unsigned bit = 0; bit < 8 * RELAY_TOKEN_BYTES; bit++) {
                make_token(bench, proof, key, token);
                token[bit / 8] ^= (uint8_t)(1 << bit % 8);
                check(!name_token(bench, &peer[5], bit % 2 ? RELAY_PAIR : RELAY_UNPAIR, true, token));
        }
        check_equal(stats_of(bench).unproven, 3 + 8 * RELAY_TOKEN_BYTES);
        check_equal(stats_of(bench).waiting, 0);
        check(!relay_session_has_asked(peer[5].session) && relay_session_has_asked(peer[0].session));
        relay_pairing_demand_proof(bench->pairing, NULL, 0, key);
        check(name_token(bench, &peer[6], RELAY_PAIR, true, token));
}

/* By however many keys and sessions. */
TEST(relay_gives_no_host_more_than_its_share)
{
        static const struct relay_limits limits = { .per_host = 3 };
        cleanup_with(bench_freep) struct bench *bench = opened_bench(&limits);
        struct peer *peer = bench->peer;
        struct relay_session *more[64];
        unsigned count = 0;

        for (unsigned i = 0; i < 4; i++)
                relay_session_free(peer[i].session);
        for (unsigned i = 0; i < 4; i++) {
                peer[i].host = peer[7].host;
                peer[i].session = relay_session_new(bench->pairing, peer[i].key, &peer[i].host, &peer[i]);
                memset(&peer[i].channel, 0, sizeof(peer[i].channel));
                open_channel(bench, &peer[i]);
                check(tell(bench, &peer[i], RELAY_PAIR, true, (uint8_t)(10 + i), 1));
                bench->now_us = RELAY_MEET_US;
        }
        check_equal(stats_of(bench).waiting, 3);
        check_equal(stats_of(bench).evicted, 1);
        check(tell(bench, &peer[7], RELAY_PAIR, false, 11, 1));         /* nor the other half of its own */
        check_equal(stats_of(bench).limited, 1);
        check_equal(bench->joined, 0);
        check(tell(bench, &peer[6], RELAY_PAIR, false, 11, 1));
        check_equal(bench->joined, 1);
        while (count < ARRAY_LEN(more) && (more[count] = relay_session_new(bench->pairing, peer[7].key, &peer[7].host, NULL)))
                count++;
        check(count < 16);
        check(relay_session_new(bench->pairing, peer[6].key, &peer[6].host, NULL) != NULL);
}

/* As many sessions from there as are let in, each of which asks for all it can: halves of tokens nobody else has, or pairs with itself. */
static void crowd(struct bench *bench, const struct addr *host, bool pairs, uint32_t *token)
{
        struct peer *peer = &bench->peer[0];    /* hears it all */
        struct peer one = *peer;

        while ((one.session = relay_session_new(bench->pairing, one.key, host, peer))) {
                open_channel(bench, &one);
                for (unsigned i = 0; i < RELAY_PER_SESSION_MAX; i++) {
                        struct relay_message message = { .type = RELAY_PAIR, .initiator = pairs && i % 2, .stream_id = 1 };
                        uint8_t bytes[RELAY_FRAME_MAX];
                        struct writer w = writer_over(bytes, sizeof(bytes));

                        *token += !pairs || i % 2 == 0;
                        memset(message.token, 0xcc, sizeof(message.token));
                        memcpy(message.token, token, sizeof(*token));
                        relay_message_write(&w, 1, &message);
                        check(say(bench, &one, bytes, writer_len(&w), 0));
                }
        }
}

/* Where strangers are served four hosts filled it, for as long as they liked. */
TEST(relay_keeps_room_for_others_whatever_a_few_hosts_do)
{
        for (unsigned way = 0; way < 4; way++) {
                cleanup_with(bench_freep) struct bench *bench = opened_bench(&no_limits);
                bool pairs = way % 2, near = way / 2;
                uint32_t token = 0;
                unsigned before;

                for (unsigned round = 0; round < 2; round++)
                        for (unsigned i = 0; i < 16; i++) {
                                struct addr host = { .ip = { 203, 0, near ? 113 : (uint8_t)i, (uint8_t)i }, .port = 1 };

                                crowd(bench, &host, pairs, &token);
                        }
                before = bench->joined;
                for (uint8_t i = 1; i < 7; i++)
                        check(tell(bench, &bench->peer[i], RELAY_PAIR, i % 2, (uint8_t)(i - 1) / 2, 1));
                check_equal(bench->joined, before + 3);
                for (unsigned i = 0; i < 8; i++) {
                        struct addr host = { .ip = { 198, 51, (uint8_t)i, 1 }, .port = 1 };

                        check(relay_session_new(bench->pairing, bench->peer[3].key, &host, &bench->peer[3]) != NULL);
                }
        }
}

/* Who waits longest has had the most time, and whoever comes new has had none. But some is left to each. */
TEST(relay_lets_the_oldest_half_of_a_host_give_way_to_its_newest)
{
        static const struct relay_limits limits = { .per_host = 2 };
        cleanup_with(bench_freep) struct bench *bench = opened_bench(&limits);
        struct peer *peer = bench->peer;

        for (uint8_t i = 0; i < 3; i++)
                check(tell(bench, &peer[0], RELAY_PAIR, true, i, 1));
        check(stats_of(bench).waiting == 2 && !stats_of(bench).evicted && stats_of(bench).limited == 1);
        bench->now_us = RELAY_MEET_US;
        check(tell(bench, &peer[0], RELAY_PAIR, true, 2, 1));
        check(stats_of(bench).waiting == 2 && stats_of(bench).evicted == 1);
        check(tell(bench, &peer[1], RELAY_PAIR, false, 0, 1));
        check_equal(bench->joined, 0);
        check(tell(bench, &peer[1], RELAY_PAIR, false, 2, 1));
        check_equal(bench->joined, 1);
}
