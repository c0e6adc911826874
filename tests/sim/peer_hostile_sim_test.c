/* SPDX-License-Identifier: BSD-3-Clause */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "peer_sim_dht.h"
#include "peer_stranger.h"
#include "test.h"

#define SIM cleanup_with(peer_sim_freep) struct peer_sim *
#define STRANGER cleanup_with(stranger_fini) struct stranger

static const struct net_link wan = { .delay_us = 20000 };

static struct peer_stats stats_of(const struct peer_sim_node *node)
{
        struct peer_stats stats;

        peer_stats(node->set, &stats);
        return stats;
}

/* --- At the door --- */

TEST(hostile_stranger_that_behaves_is_let_in)
{
        SIM sim = peer_sim_pair(1, &wan);
        struct peer_sim_node *server = &sim->node[1];
        STRANGER stranger;
        uint8_t frame[5 + SECRET_SEAL_BYTES];

        stranger_init(&stranger, sim, 1);
        stranger_prepare(&stranger, peer_sim_key(server));
        check(stranger_knock(&stranger, server));
        check_equal(stranger.answer.error, NOISE_ERROR_NONE);
        check(stranger.answer.has_udx && stranger.answer.udx_id && stranger.answer.has_secret_stream);
        check_equal(stranger.answer.firewall, NOISE_FIREWALL_CONSISTENT);
        check(stranger.answer.has_holepunch);
        check_equal(stranger.answer.relay_count, 2);
        check_equal(stranger.answer.address_count, 1);
        check(addr_equal(&stranger.answer.addresses[0], &server->addr));
        check_equal(stranger.answer.relay_address_count, 2);
        check(addr_equal(&stranger.answer.relay_addresses[1], &server->entry.relays[1]));
        stranger_connect(&stranger, server);
        stranger_send(&stranger, server, &stranger.addr, stranger.header, sizeof(stranger.header));
        check_equal(server->accepted, 1);
        check_bytes(server->end[0].remote_key, stranger.secret_key + 32, 32);
        secret_seal(&stranger.secret, frame, "\x00\x1f\x3e\x5d\x7c", 5);
        stranger_send(&stranger, server, &stranger.addr, frame, sizeof(frame));
        check_equal(server->end[0].read, 5);
}

TEST(hostile_replay_of_a_handshake_leads_nowhere)
{
        SIM sim = peer_sim_pair(2, &wan);
        struct peer_sim_node *server = &sim->node[1];
        STRANGER stranger;

        peer_sim_dial(&sim->node[0], server, 2);
        peer_sim_run(sim, SECONDS(30));
        check_equal(server->accepted, 1);
        stranger_init(&stranger, sim, 1);
        memcpy(stranger.question, sim->question, sim->question_len);
        stranger.question_len = sim->question_len;
        stranger.noise.state = NOISE_INITIATED; /* it has no key to read any answer with */
        for (unsigned i = 0; i < 50; i++) {
                check(!stranger_knock(&stranger, server));
                peer_sim_run(sim, MSEC(500));
        }
        peer_sim_run(sim, SECONDS(15));
        check_equal(server->accepted, 1);
        check(sim->node[0].end[0].conn && server->end[0].conn);
        check_equal(stats_of(server).sessions, 0);
        check(stats_of(server).handshakes <= 4);        /* one every ten seconds; the others were known */
}

TEST(hostile_handshake_for_another_key)
{
        SIM sim = peer_sim_pair(3, &wan);
        STRANGER stranger;

        stranger_init(&stranger, sim, 1);
        stranger_prepare(&stranger, peer_sim_key(&sim->node[0]));
        check(!stranger_knock(&stranger, &sim->node[1]));
        check_equal(stats_of(&sim->node[1]).undecryptable, 1);
        check_equal(stats_of(&sim->node[1]).sessions, 0);
}

TEST(hostile_handshake_with_any_bit_flipped)
{
        SIM sim = peer_sim_pair(4, &wan);
        STRANGER stranger;

        stranger_init(&stranger, sim, 1);
        for (size_t i = 0; i < 130; i++) {
                stranger_prepare(&stranger, peer_sim_key(&sim->node[1]));
                if (i >= stranger.question_len)
                        break;
                stranger.question[i] ^= (uint8_t)(1 << (i & 7));
                check(!stranger_knock(&stranger, &sim->node[1]));
        }
        check_equal(stats_of(&sim->node[1]).handshakes, 0);
        for (size_t len = 0; len < stranger.question_len; len++) {
                stranger_prepare(&stranger, peer_sim_key(&sim->node[1]));
                stranger.question_len = len;
                check(!stranger_knock(&stranger, &sim->node[1]));
        }
        check_equal(stats_of(&sim->node[1]).handshakes, 0);
}

TEST(hostile_client_of_another_version_or_without_udx_is_told)
{
        SIM sim = peer_sim_pair(5, &wan);
        STRANGER stranger;

        stranger_init(&stranger, sim, 1);
        stranger.payload.has_udx = false;
        stranger_prepare(&stranger, peer_sim_key(&sim->node[1]));
        check(stranger_knock(&stranger, &sim->node[1]));
        check_equal(stranger.answer.error, NOISE_ERROR_ABORTED);
        check_equal(stranger.answer.udx_id, 0);
        check_equal(stats_of(&sim->node[1]).sessions, 0);
        check_equal(stats_of(&sim->node[1]).conns, 0);
        peer_sim_run(sim, SECONDS(20));
        check_equal(sim->node[1].udx_out, 0);
}

TEST(hostile_client_with_nowhere_to_answer)
{
        SIM sim = peer_sim_pair(6, &wan);
        STRANGER stranger;

        stranger_init(&stranger, sim, 1);
        stranger.addr = (struct addr){ .ip = { 224, 0, 0, 1 }, .port = 9 };
        stranger_prepare(&stranger, peer_sim_key(&sim->node[1]));
        check(!stranger_knock(&stranger, &sim->node[1]));
        stranger.addr = (struct addr){ .ip = { 8, 8, 8, 8 } };
        check(!stranger_knock(&stranger, &sim->node[1]));
        check_equal(stats_of(&sim->node[1]).handshakes, 0);
}

/* What a client that never comes costs: an answer, probes that do not arrive, and the word that it is over. */
TEST(hostile_client_that_never_comes)
{
        SIM sim = peer_sim_pair(7, &wan);
        STRANGER stranger;

        stranger_init(&stranger, sim, 1);
        stranger_prepare(&stranger, peer_sim_key(&sim->node[1]));
        check(stranger_knock(&stranger, &sim->node[1]));
        peer_sim_run(sim, SECONDS(20));
        check_equal(sim->node[1].udx_out, 1);
        check_equal(stats_of(&sim->node[1]).sessions, 0);
        check_equal(stats_of(&sim->node[1]).expired, 1);
        check_equal(stats_of(&sim->node[1]).conns, 0);
}

/* One that claims to be open is called, with what it needs to answer; but it may be somebody else's address: with our answer it is
 * less than three times what came, headers of IP and UDP included. */
TEST(hostile_client_that_claims_to_be_open)
{
        enum { HEADERS = 28, ASKING = 46, ANSWERING = 20 };     /* of IP and UDP; of the DHT's messages around the handshake's */
        SIM sim = peer_sim_pair(8, &wan);
        uint64_t before, out;
        STRANGER stranger;

        stranger_init(&stranger, sim, 1);
        stranger.payload.firewall = NOISE_FIREWALL_OPEN;
        stranger_prepare(&stranger, peer_sim_key(&sim->node[1]));
        before = net_totals(sim->net)->bytes_sent;
        check(stranger_knock(&stranger, &sim->node[1]));
        peer_sim_run(sim, SECONDS(60));
        check_equal(sim->node[1].udx_out, 4);
        out = net_totals(sim->net)->bytes_sent - before + peer_sim_dht_answer(sim->node[1].dht)->len + ANSWERING + 5 * HEADERS;
        check(out < 3 * (stranger.question_len + ASKING + HEADERS));
        check_equal(stats_of(&sim->node[1]).conns, 0);
}

/* A relay that carries a client's handshake says that it is from somebody else, and from another one each time it repeats it. The first of
 * these gets what opens our NAT for it, or calls it: less than three times what came once, headers included. The others get nothing, and
 * the relay itself what it has sent for. */
TEST(hostile_relay_that_lies_about_a_client_brings_nobody_more_than_it_has_sent)
{
        enum { HEADERS = 28, ASKING = 46, VICTIMS = 40 };
        static const uint64_t firewalls[] = { NOISE_FIREWALL_UNKNOWN, NOISE_FIREWALL_OPEN, NOISE_FIREWALL_CONSISTENT,
                                              NOISE_FIREWALL_RANDOM };

        for (size_t i = 0; i < ARRAY_LEN(firewalls); i++) {
                SIM sim = peer_sim_pair(8, &wan);
                struct peer_sim_node *server = &sim->node[1];
                const struct net_totals *totals = net_totals(sim->net);
                struct net_totals before;
                uint64_t first, out;
                STRANGER stranger;

                stranger_init(&stranger, sim, 1);
                stranger.relay = server->entry.relays[0];
                stranger.payload.firewall = firewalls[i];
                stranger_prepare(&stranger, peer_sim_key(server));
                before = *totals;
                check(stranger_knock(&stranger, server));
                for (uint8_t victim = 0; victim < VICTIMS; victim++) {
                        struct dht_inbound inbound = { .socket = server->socket, .mode = stranger.mode, .from = stranger.relay,
                                                       .client = { .ip = { 99, 0, victim, 1 }, .port = 99 }, .to = server->seen };

                        peer_sim_dht_knock(server->dht, &inbound, stranger.question, stranger.question_len);
                        peer_sim_settle(sim);
                        check(addr_equal(&peer_sim_dht_answer(server->dht)->inbound.from, &stranger.relay));
                        peer_sim_run(sim, MSEC(100));
                }
                check_equal(stats_of(server).handshakes, 1);
                check_equal(stats_of(server).repeated, VICTIMS);
                peer_sim_run(sim, SECONDS(60));
                first = stranger.question_len + ASKING + HEADERS;
                out = totals->bytes_sent - before.bytes_sent + (totals->sent - before.sent) * HEADERS;
                printf("# firewall %d: %u bytes in %u packets for %u of the relay's\n", (int)firewalls[i], (unsigned)out,
                       (unsigned)(totals->sent - before.sent), (unsigned)(first * (1 + VICTIMS)));
                check(out < 3 * first);
                check_equal(stats_of(server).sessions, 0);
        }
}

TEST(hostile_flood_from_one_host_is_bounded)
{
        SIM sim = peer_sim_pair(9, &wan);
        struct peer_sim_node *server = &sim->node[1];
        unsigned answered = 0;

        for (unsigned i = 0; i < 300; i++) {
                STRANGER stranger;

                stranger_init(&stranger, sim, 1);
                stranger.addr.port = (uint16_t)(1000 + i);
                stranger.relay.ip[2] = (uint8_t)i;
                stranger_prepare(&stranger, peer_sim_key(server));
                answered += stranger_knock(&stranger, server);
        }
        check_equal(answered, PEER_SESSIONS_PER_HOST);
        check_equal(stats_of(server).sessions, PEER_SESSIONS_PER_HOST);
        peer_sim_dial(&sim->node[0], server, 2);
        peer_sim_run(sim, SECONDS(1));
        check_equal(sim->node[0].connected, 1);
}

TEST(hostile_flood_through_one_relay_is_bounded)
{
        SIM sim = peer_sim_pair(10, &wan);
        struct peer_sim_node *server = &sim->node[1];
        unsigned answered = 0;

        for (unsigned i = 0; i < 300; i++) {
                STRANGER stranger;

                stranger_init(&stranger, sim, (uint8_t)i);
                stranger.addr.ip[1] = (uint8_t)(i >> 8);
                stranger.relay = (struct addr){ .ip = { 66, 6, 6, 6 }, .port = 6 };
                stranger_prepare(&stranger, peer_sim_key(server));
                answered += stranger_knock(&stranger, server);
        }
        check_equal(answered, PEER_SESSIONS_PER_RELAY);
        peer_sim_dial(&sim->node[0], server, 2);
        peer_sim_run(sim, SECONDS(1));
        check_equal(sim->node[0].connected, 1);
}

TEST(hostile_flood_from_everywhere_is_bounded_and_does_not_lock_out)
{
        SIM sim = peer_sim_pair(11, &wan);
        struct peer_sim_node *server = &sim->node[1];

        for (unsigned i = 0; i < 3000; i++) {
                STRANGER stranger;

                stranger_init(&stranger, sim, (uint8_t)i);
                stranger.addr.ip[1] = stranger.relay.ip[1] = (uint8_t)(i >> 8);
                stranger_prepare(&stranger, peer_sim_key(server));
                stranger_knock(&stranger, server);
                check(stats_of(server).sessions <= PEER_SESSIONS_MAX);
                check(stats_of(server).conns <= PEER_SESSIONS_MAX);
                peer_sim_run(sim, MSEC(3));
        }
        check(stats_of(server).handshakes > 500 && stats_of(server).handshakes < 600);   /* 100 at once, and 50 a second for nine seconds */
        check_equal(stats_of(server).handshakes + stats_of(server).limited, 3000);
        peer_sim_dial(&sim->node[0], server, 2);
        peer_sim_run(sim, SECONDS(1));
        check_equal(sim->node[0].connected, 1);
        peer_sim_run(sim, SECONDS(30));
        check_equal(stats_of(server).sessions, 0);
        check_equal(stats_of(server).conns, 1);
}

/* More in one moment than can be computed: the rest is dropped before it costs anything. */
TEST(hostile_burst_is_cut)
{
        SIM sim = peer_sim_pair(12, &wan);
        struct peer_sim_node *server = &sim->node[1];

        for (unsigned i = 0; i < 2000; i++) {
                STRANGER stranger;

                stranger_init(&stranger, sim, (uint8_t)i);
                stranger.addr.ip[1] = stranger.relay.ip[1] = (uint8_t)(i >> 8);
                memset(stranger.question, (int)i, 150);
                memcpy(stranger.question + 150, &i, sizeof(i));
                stranger.question_len = 160;
                stranger_knock(&stranger, server);
        }
        check_equal(stats_of(server).undecryptable, 100);
        check_equal(stats_of(server).limited, 1900);
}

/* Ten thousand a second from everywhere, all of them sound: what is computed is bounded, and who comes through a relay of ours is let in. */
TEST(hostile_storm_keeps_nobody_out_who_comes_through_our_relays)
{
        SIM sim = peer_sim_pair(13, &wan);
        struct peer_sim_node *server = &sim->node[1];
        static struct stranger strangers[300];

        for (unsigned i = 0; i < 300; i++) {
                stranger_init(&strangers[i], sim, (uint8_t)i);
                strangers[i].addr.ip[1] = strangers[i].relay.ip[1] = (uint8_t)(i >> 8);
                strangers[i].mode = i % 2 ? DHT_FROM_CLIENT : DHT_FROM_RELAY;
        }
        peer_sim_dial(&sim->node[0], server, 1);
        for (unsigned i = 0; i < 3000; i++) {
                struct stranger *stranger = &strangers[i % 300];

                stranger->addr.port = (uint16_t)(1000 + i);
                stranger_prepare(stranger, peer_sim_key(server));
                stranger_knock(stranger, server);
                if (i % 10 == 0)
                        peer_sim_run(sim, MSEC(1));
        }
        check_equal(sim->node[0].connected, 1);
        check(stats_of(server).handshakes <= 100 + 50 + 1);
        for (unsigned i = 0; i < 300; i++)
                stranger_fini(&strangers[i]);
}

/* Relays are named to everybody, and their addresses are easily forged. Who was here before is known by his own. */
TEST(hostile_storm_keeps_nobody_out_who_was_here_before)
{
        SIM sim = peer_sim_pair(14, &wan);
        struct peer_sim_node *server = &sim->node[1];

        server->trusts = false;
        peer_sim_dial(&sim->node[0], server, 1);
        peer_sim_run(sim, SECONDS(1));
        check_equal(sim->node[0].connected, 1);
        check(server->entry.relay_count > 0);
        for (int known = 0; known <= 1; known++) {
                STRANGER peer;

                for (unsigned i = 0; i < 400; i++) {
                        STRANGER stranger;

                        stranger_init(&stranger, sim, (uint8_t)i);
                        stranger.addr.ip[1] = (uint8_t)(i >> 8);
                        stranger.addr.port = (uint16_t)(1000 + known);
                        stranger.relay = server->entry.relays[i % server->entry.relay_count];
                        stranger_prepare(&stranger, peer_sim_key(server));
                        stranger_knock(&stranger, server);
                }
                stranger_init(&peer, sim, (uint8_t)(101 + known));
                peer.addr = sim->node[0].addr;
                peer.relay = server->entry.relays[0];
                if (known)
                        conn_trust(server->end[0].conn);
                stranger_prepare(&peer, peer_sim_key(server));
                check(stranger_knock(&peer, server) == known);
        }
}

/* --- On the stream --- */

enum { CASES = 8 };

static size_t wrong_bytes(struct stranger *stranger, unsigned which, uint8_t out[200])
{
        memcpy(out, stranger->header, SECRET_HEADER_BYTES);
        switch (which) {
        case 0:         /* another length than a header's */
                out[0]++;
                return SECRET_HEADER_BYTES;
        case 1:         /* another connection's id */
                out[10] ^= 1;
                return SECRET_HEADER_BYTES;
        case 2:         /* a message where the header belongs */
                secret_seal(&stranger->secret, out, "early", 5);
                return 5 + SECRET_SEAL_BYTES;
        case 3:         /* the server's own id come back */
                crypto_generichash(out + 3, 32, (const uint8_t *)"x", 1, stranger->session.hash, 64);
                return SECRET_HEADER_BYTES;
        case 4:         /* a forged frame behind a good header */
                memset(out + SECRET_HEADER_BYTES, 0x17, 3 + 23);
                out[SECRET_HEADER_BYTES + 1] = out[SECRET_HEADER_BYTES + 2] = 0;
                return SECRET_HEADER_BYTES + 3 + 23;
        case 5:         /* one too short for any */
                memcpy(out + SECRET_HEADER_BYTES, "\x10\x00\x00", 3);
                return SECRET_HEADER_BYTES + 3;
        case 6:         /* and one longer than we take */
                memcpy(out + SECRET_HEADER_BYTES, "\xff\xff\xff", 3);
                return SECRET_HEADER_BYTES + 3;
        default:        /* the same frame twice */
                secret_seal(&stranger->secret, out + SECRET_HEADER_BYTES, "\x00\x1f\x3e", 3);
                memcpy(out + SECRET_HEADER_BYTES + 3 + SECRET_SEAL_BYTES, out + SECRET_HEADER_BYTES, 3 + SECRET_SEAL_BYTES);
                return SECRET_HEADER_BYTES + 2 * (3 + SECRET_SEAL_BYTES);
        }
}

TEST(hostile_stream_is_cut_off)
{
        for (unsigned which = 0; which < CASES; which++) {
                SIM sim = peer_sim_pair(1300 + which, &wan);
                struct peer_sim_node *server = &sim->node[1];
                STRANGER stranger;
                uint8_t bytes[200];
                size_t len;

                stranger_init(&stranger, sim, 1);
                stranger_prepare(&stranger, peer_sim_key(server));
                check(stranger_knock(&stranger, server));
                stranger_connect(&stranger, server);
                len = wrong_bytes(&stranger, which, bytes);
                stranger_send(&stranger, server, &stranger.addr, bytes, len);
                if (which < 4) {
                        check_equal(server->accepted, 0);
                } else if (server->accepted) {
                        check(server->end[0].closed);
                        check_equal(server->end[0].reason, PEER_CONN_BROKEN);
                        check_equal(server->end[0].read, which == 7 ? 3 : 0);
                }
                check_equal(stats_of(server).conns, 0);
                peer_sim_run(sim, SECONDS(20));
                check_equal(stats_of(server).sessions, 0);
        }
}

TEST(hostile_end_within_a_frame_is_no_end)
{
        SIM sim = peer_sim_pair(14, &wan);
        struct peer_sim_node *server = &sim->node[1];
        STRANGER stranger;
        uint8_t frame[100 + SECRET_SEAL_BYTES];

        stranger_init(&stranger, sim, 1);
        stranger_prepare(&stranger, peer_sim_key(server));
        check(stranger_knock(&stranger, server));
        stranger_connect(&stranger, server);
        stranger_send(&stranger, server, &stranger.addr, stranger.header, sizeof(stranger.header));
        check_equal(server->accepted, 1);
        memset(frame, 0, sizeof(frame));
        secret_seal(&stranger.secret, frame, frame, 100);
        udx_stream_write(stranger.stream, frame, 60);
        udx_stream_end(stranger.stream);
        stranger_send(&stranger, server, &stranger.addr, "", 0);
        check(server->end[0].closed && !server->end[0].at_end);
        check_equal(server->end[0].reason, PEER_CONN_BROKEN);
}

/* Before the header is here the way follows whoever knows the stream's number; afterwards it stays. */
TEST(hostile_header_from_elsewhere_than_announced)
{
        SIM sim = peer_sim_pair(15, &wan);
        struct peer_sim_node *server = &sim->node[1];
        struct addr elsewhere = { .ip = { 44, 4, 4, 4 }, .port = 44 }, later = { .ip = { 45, 5, 5, 5 }, .port = 55 };
        STRANGER stranger;
        uint8_t frame[1 + SECRET_SEAL_BYTES];

        stranger_init(&stranger, sim, 1);
        stranger_prepare(&stranger, peer_sim_key(server));
        check(stranger_knock(&stranger, server));
        stranger_connect(&stranger, server);
        stranger_send(&stranger, server, &elsewhere, stranger.header, sizeof(stranger.header));
        check_equal(server->accepted, 1);
        check(addr_equal(&server->end[0].remote, &elsewhere));
        secret_seal(&stranger.secret, frame, "", 1);
        stranger_send(&stranger, server, &later, frame, sizeof(frame));
        check_equal(server->end[0].read, 0);
        check(addr_equal(&server->end[0].remote, &elsewhere));
}

/* --- Behind the relays of a dial --- */

struct impostor {
        const struct peer_sim_node *server;
        struct noise_payload payload;
        const uint8_t *raw;             /* instead of @payload */
        size_t raw_len;
};

static size_t impersonate(void *context, const uint8_t *question, size_t len, uint8_t answer_out[DHT_NOISE_MAX])
{
        struct impostor *impostor = context;
        uint8_t payload[NOISE_PAYLOAD_MAX], plain[DHT_NOISE_MAX];
        struct writer w = writer_over(payload, sizeof(payload));
        struct noise_session session;
        struct noise noise;

        noise_init(&noise, impostor->server->secret_key, noise_hyperdht_prologue, NOISE_PROLOGUE_BYTES);
        check_equal(noise_accept(&noise, question, len, plain), NOISE_FINE);
        noise_payload_write(&w, &impostor->payload);
        if (impostor->raw)
                w = writer_over(payload, sizeof(payload));
        if (impostor->raw)
                write_bytes(&w, impostor->raw, impostor->raw_len);
        check_equal(noise_respond(&noise, net_random(impostor->server->sim->net), payload, writer_len(&w), answer_out, &session),
                    NOISE_FINE);
        return writer_len(&w) + NOISE_SECOND_BYTES;
}

static enum peer_failure dial_impostor(struct impostor *impostor, usec_t *took_us_out)
{
        SIM sim = peer_sim_pair(16, &wan);

        impostor->server = &sim->node[1];
        sim->impostor = impersonate;
        sim->impostor_context = impostor;
        sim->node[1].entry.behaviour[0] = sim->node[1].entry.behaviour[1] = PEER_SIM_IMPOSTOR;
        peer_sim_dial(&sim->node[0], &sim->node[1], 2);
        peer_sim_run(sim, SECONDS(60));
        check_equal(sim->node[0].failed, 1);
        check_equal(sim->node[0].connected, 0);
        check_equal(stats_of(&sim->node[0]).dials + stats_of(&sim->node[0]).conns, 0);
        if (took_us_out)
                *took_us_out = sim->node[0].took_us;
        return sim->node[0].failure;
}

TEST(hostile_answers_fail_for_what_they_are)
{
        static const uint8_t future[] = { 2, 0, 0, 0 }, cut[] = { 1, 8, 0, 0, 1 };
        struct impostor refusing = { .payload = { .error = NOISE_ERROR_TRY_LATER } };
        struct impostor aborting = { .payload = { .error = NOISE_ERROR_VERSION_MISMATCH } };
        struct impostor bare = { .payload = { .firewall = NOISE_FIREWALL_OPEN } };
        struct impostor other = { .raw = future, .raw_len = sizeof(future) };
        struct impostor broken = { .raw = cut, .raw_len = sizeof(cut) };
        struct impostor empty = { .raw = cut, .raw_len = 0 };

        check_equal(dial_impostor(&refusing, NULL), PEER_REFUSED);
        check_equal(dial_impostor(&aborting, NULL), PEER_INCOMPATIBLE);
        check_equal(dial_impostor(&bare, NULL), PEER_INCOMPATIBLE);
        check_equal(dial_impostor(&other, NULL), PEER_INCOMPATIBLE);
        check_equal(dial_impostor(&broken, NULL), PEER_INCOMPATIBLE);
        check_equal(dial_impostor(&empty, NULL), PEER_INCOMPATIBLE);
}

TEST(hostile_answer_that_sends_us_nowhere)
{
        struct impostor impostor = {
                .payload = { .firewall = NOISE_FIREWALL_OPEN, .has_udx = true, .udx_id = 1, .address_count = 3,
                             .addresses = { { .ip = { 224, 1, 1, 1 }, .port = 1 }, { .ip = { 0, 1, 1, 1 }, .port = 1 },
                                            { .ip = { 8, 8, 8, 8 } } } },
        };
        usec_t took_us;

        check_equal(dial_impostor(&impostor, &took_us), PEER_UNREACHED);
        check_equal(took_us / SECONDS(1), PEER_REACH_US / SECONDS(1));
}
