/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys, hello, frames and parsing against bytes of the original: tests/vectors/hypergate.json, made by calling its code. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "test.h"
#include "tunnel_frame.h"
#include "tunnel_peer.h"

enum {
        HOUR_MS = 60 * 60 * 1000,
        DAY_MS = 24 * HOUR_MS,
};

TEST(hello_blobs_are_the_originals)
{
        json_t *root = peer_vectors("hypergate.json");
        const json_t *rows = json_object_get(root, "auth_blobs"), *row;
        size_t i;

        check_equal(json_array_size(rows), 24);
        json_array_foreach(rows, i, row) {
                uint8_t blob[TUNNEL_HELLO_BYTES];
                struct peer_hello hello;
                int64_t time_ms = 0;

                peer_hello_read(root, row, &hello);
                tunnel_hello_make(blob, &hello.keys, hello.time_ms);
                check_bytes(blob, hello.blob, sizeof(blob));
                check(tunnel_hello_check(hello.blob, &hello.keys, &time_ms));
                check_equal(time_ms, hello.time_ms);
        }
        json_decref(root);
}

TEST(hello_with_any_one_bit_changed_is_refused)
{
        json_t *root = peer_vectors("hypergate.json");
        struct peer_hello hello;
        int64_t time_ms = -1;

        peer_hello_read(root, json_array_get(json_object_get(root, "auth_blobs"), 0), &hello);
        for (size_t bit = 0; bit < 8 * sizeof(hello.blob); bit++) {
                hello.blob[bit / 8] ^= (uint8_t)(1 << bit % 8);
                check(!tunnel_hello_check(hello.blob, &hello.keys, &time_ms));
                hello.blob[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        check_equal(time_ms, -1);       /* untouched on failure */
        check(tunnel_hello_check(hello.blob, &hello.keys, &time_ms));
        hello.keys.sender = hello.target;       /* reflected */
        hello.keys.receiver = hello.source;
        check(!tunnel_hello_check(hello.blob, &hello.keys, &time_ms));
        json_decref(root);
}

/* hypergate.md 3: who holds the secret may still say what is no time. */
TEST(hello_whose_time_has_another_tag_is_refused)
{
        json_t *root = peer_vectors("hypergate.json");
        crypto_generichash_state state;
        struct peer_hello hello;
        int64_t time_ms = -1;

        peer_hello_read(root, json_array_get(json_object_get(root, "auth_blobs"), 0), &hello);
        for (uint8_t other = 0; other < 2; other++) {
                hello.blob[0] = (uint8_t)(hello.blob[0] + other);
                crypto_generichash_init(&state, hello.keys.auth, TUNNEL_AUTH_KEY_BYTES, TUNNEL_HELLO_MAC_BYTES);
                crypto_generichash_update(&state, hello.keys.sender, TUNNEL_KEY_BYTES);
                crypto_generichash_update(&state, hello.keys.receiver, TUNNEL_KEY_BYTES);
                crypto_generichash_update(&state, hello.keys.router, TUNNEL_KEY_BYTES);
                crypto_generichash_update(&state, hello.blob, TUNNEL_HELLO_TIME_BYTES);
                crypto_generichash_final(&state, hello.blob + TUNNEL_HELLO_TIME_BYTES, TUNNEL_HELLO_MAC_BYTES);
                check_equal(tunnel_hello_check(hello.blob, &hello.keys, &time_ms), other == 0);
        }
        json_decref(root);
}

static enum tunnel_verdict verdict_for(const struct peer_hello *hello, enum tunnel_role role, int64_t wall_ms, const char *hex)
{
        struct tunnel *t = peer_tunnel(hello, role, wall_ms);
        struct tunnel_event event;
        static struct peer_frame frame;

        peer_frame(hex, &frame);
        check_equal(tunnel_receive(t, frame.at, frame.len, SECONDS(1)), frame.len);
        peer_event(t, &event);
        check(event.kind == (event.verdict == TUNNEL_FINE ? TUNNEL_UP : TUNNEL_FAILED));
        tunnel_free(t);
        return event.verdict;
}

TEST(hello_frames_of_the_original_bring_a_tunnel_up)
{
        json_t *root = peer_vectors("hypergate.json");
        const json_t *rows = json_object_get(root, "auth_blobs"), *row;
        size_t i;

        json_array_foreach(rows, i, row) {
                const char *gateway = peer_text(row, "hello_frame_gateway_hex");
                const char *provider = peer_text(row, "hello_frame_provider_hex");
                struct peer_hello hello;

                peer_hello_read(root, row, &hello);
                if (hello.time_ms < DAY_MS)
                        continue;       /* no wall clock is that early: see below */
                check_equal(verdict_for(&hello, TUNNEL_PROVIDER, hello.time_ms, gateway), TUNNEL_FINE);
                check_equal(verdict_for(&hello, TUNNEL_GATEWAY, hello.time_ms, provider), TUNNEL_FINE);
                check_equal(verdict_for(&hello, TUNNEL_GATEWAY, hello.time_ms, gateway), TUNNEL_FINE);
                check_equal(verdict_for(&hello, TUNNEL_PROVIDER, hello.time_ms, provider), TUNNEL_SAME_ROLE);
                check_equal(verdict_for(&hello, TUNNEL_GATEWAY, hello.time_ms + DAY_MS, provider), TUNNEL_FINE);
                check_equal(verdict_for(&hello, TUNNEL_GATEWAY, hello.time_ms - DAY_MS - 6 * HOUR_MS, provider),
                            TUNNEL_FINE);       /* ours lead by six hours */
                check_equal(verdict_for(&hello, TUNNEL_GATEWAY, hello.time_ms + DAY_MS + 1, provider), TUNNEL_SKEW);
                check_equal(verdict_for(&hello, TUNNEL_GATEWAY, hello.time_ms - DAY_MS - 6 * HOUR_MS - 1, provider),
                            TUNNEL_SKEW);
                hello.auth[i % 64] ^= 1;        /* another router */
                check_equal(verdict_for(&hello, TUNNEL_GATEWAY, hello.time_ms, provider), TUNNEL_BAD_AUTH);
        }
        json_decref(root);
}

TEST(a_time_before_the_epoch_or_beyond_all_clocks_is_skew_not_a_crash)
{
        static const int64_t times[] = { 0, 1, -5, INT64_MIN, INT64_MAX };
        json_t *root = peer_vectors("hypergate.json");
        struct peer_hello hello;

        peer_hello_read(root, json_array_get(json_object_get(root, "auth_blobs"), 0), &hello);
        for (size_t i = 0; i < ARRAY_LEN(times); i++) {
                uint8_t blob[TUNNEL_HELLO_BYTES];
                char hex[2 * TUNNEL_HELLO_FRAME_BYTES + 1] = "000000000000";

                tunnel_hello_make(blob, &hello.keys, times[i]);
                for (size_t k = 0; k < sizeof(blob); k++)
                        snprintf(hex + 12 + 2 * k, 3, "%02x", blob[k]);
                check_equal(verdict_for(&hello, TUNNEL_GATEWAY, hello.time_ms, hex), TUNNEL_SKEW);
        }
        json_decref(root);
}

static const char *message_hex(const json_t *root, const char *name)
{
        const json_t *rows = json_object_get(root, "messages"), *row;
        size_t i;

        json_array_foreach(rows, i, row)
                if (strcmp(peer_text(row, "name"), name) == 0)
                        return json_string_value(json_array_get(json_object_get(row, "frame_hex"), 0));
        test_fail(__FILE__, __LINE__, "no message %s", name);
}

/* Every frame of the vectors survives our header decoder and encoder. */
TEST(headers_are_the_originals)
{
        json_t *root = peer_vectors("hypergate.json");
        const json_t *rows = json_object_get(root, "messages"), *row, *hex;
        size_t i, k, seen = 0;

        json_array_foreach(rows, i, row) {
                json_array_foreach(json_object_get(row, "framed_hex"), k, hex) {
                        uint8_t head[TUNNEL_HEADER_BYTES], again[TUNNEL_HEADER_BYTES];
                        char start[2 * TUNNEL_HEADER_BYTES + 1];
                        struct tunnel_frame frame;
                        struct reader r;
                        struct writer w;

                        snprintf(start, sizeof(start), "%s", json_string_value(hex));
                        check_equal(test_unhex(start, head, sizeof(head)), sizeof(head));
                        r = reader_over(head, sizeof(head));
                        w = writer_over(again, sizeof(again));
                        tunnel_frame_read(&r, &frame);
                        check(!r.failed);
                        check_equal(frame.action, peer_number(row, "action"));
                        tunnel_frame_write(&w, frame.action, frame.error_len, frame.channel,
                                           frame.length - TUNNEL_FRAME_HEAD_BYTES);
                        check_bytes(again, head, sizeof(head));
                        seen++;
                }
        }
        check_equal(seen, 19);
        json_decref(root);
}

TEST(error_texts_are_the_originals)
{
        static const struct { const char *name, *text, *inside; } rows[] = {
                { "open error as a correct peer would send it", "Service 8080 not found", "Service 8080 not found" },
                { "open error utf8", "caf\xc3\xa9 \"quoted\"", "caf\xc3\xa9 \\\"quoted\\\"" },
        };
        json_t *root = peer_vectors("hypergate.json");

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                uint8_t frame[512], out[TUNNEL_ERROR_MAX];
                size_t len = test_unhex(message_hex(root, rows[i].name), frame, sizeof(frame)), error_len = frame[1];
                const uint8_t *inside = tunnel_error_read(frame + 6, &error_len);

                check_equal(tunnel_error_write(out, rows[i].text, strlen(rows[i].text)), len - 6);
                check_bytes(out, frame + 6, len - 6);
                check_equal(error_len, strlen(rows[i].inside));
                check_bytes(inside, rows[i].inside, error_len);
        }
        json_decref(root);
}

TEST(error_texts_are_cut_to_255_bytes_between_characters)
{
        char long_text[600];
        uint8_t out[TUNNEL_ERROR_MAX];

        for (size_t lead = 0; lead < 4; lead++) {
                size_t len = lead;

                memset(long_text, 'a', sizeof(long_text));
                for (; len + 3 <= sizeof(long_text); len += 3)
                        memcpy(long_text + len, "\xe2\x82\xac", 3);
                len = tunnel_error_write(out, long_text, len);
                check(len > 250 && len <= 255);
                check(out[0] == '"' && out[len - 1] == '"' && (len - 2 - lead) % 3 == 0);
        }
        memset(long_text, '"', sizeof(long_text));
        check_equal(tunnel_error_write(out, long_text, sizeof(long_text)), 254);        /* no half escape */
        check_equal(tunnel_error_write(out, "\n\xff", 2), 9);
        check_bytes(out, "\"\\u000a?\"", 9);
        check_equal(tunnel_error_write(out, NULL, 0), 2);
}

/* A gateway's life with an original provider, frame by frame from the vectors. Ours counts channels from 1. */
TEST(opens_as_a_gateway_sends_and_hears_them)
{
        static const char metadata[] = "{\"x\":1}";
        struct tunnel *t = peer_tunnel_up(TUNNEL_GATEWAY);
        struct tunnel_channel *ch;
        struct tunnel_event event;
        usec_t now_us = SECONDS(1);

        for (unsigned id = 1; id < 7; id++) {
                check_equal(tunnel_open(t, 80, TUNNEL_TCP, NULL, 0, USEC_NEVER, NULL, &ch, now_us), 0);
                tunnel_abort(ch, now_us);       /* never left: no trace */
        }
        check_equal(tunnel_open(t, 8080, TUNNEL_TCP, metadata, sizeof(metadata) - 1, SECONDS(16), t, &ch, now_us), 0);
        peer_expect(t, "01000000000700001f90007b2278223a317d", now_us);
        peer_feed(t, "01000000000700001f9000", now_us);
        check_equal(peer_event(t, &event), TUNNEL_OPENED);
        check(event.channel == ch && event.context == t);
        peer_feed(t, "02000000000768656c6c6f", now_us);
        check_equal(peer_event(t, &event), TUNNEL_READABLE);
        peer_feed(t, "020000000007", now_us);        /* without data: legal, and nothing */
        check(!tunnel_event(t, &event, now_us));
        peer_feed(t, "030000000007", now_us);
        tunnel_free(t);
}

TEST(opens_as_a_provider_hears_and_answers_them)
{
        json_t *root = peer_vectors("hypergate.json");
        struct tunnel *t = peer_tunnel_up(TUNNEL_PROVIDER);
        const uint8_t *bytes = NULL;
        struct tunnel_event event;
        bool ended;

        peer_feed(t, message_hex(root, "open request tcp"), SECONDS(1));
        check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
        check_equal(event.gate_port, 8080);
        check(event.len > 100 && event.bytes[0] == '{' && event.bytes[event.len - 1] == '}');
        tunnel_accept(event.channel, t, SECONDS(1));
        peer_expect(t, message_hex(root, "open confirmation tcp"), SECONDS(1));
        peer_feed(t, message_hex(root, "stream small"), SECONDS(1));
        check_equal(peer_event(t, &event), TUNNEL_READABLE);
        check_equal(tunnel_peek(event.channel, &bytes, &ended), 5);
        check_bytes(bytes, "hello", 5);
        check(!ended);
        peer_feed(t, message_hex(root, "close max channel"), SECONDS(1));
        check(!tunnel_event(t, &event, SECONDS(1)));
        json_decref(root);
        tunnel_free(t);
}

/* The most that may be written at once is one frame, as everything less. */
TEST(data_is_framed_as_the_original_does)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_PROVIDER);
        uint8_t header[TUNNEL_HEADER_BYTES];
        struct tunnel_message message;
        struct tunnel_event event;

        peer_feed(t, "01000000000700001f9000", SECONDS(1));
        check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
        check_equal(tunnel_writable(event.channel), 0);
        tunnel_accept(event.channel, NULL, SECONDS(1));
        check_equal(tunnel_writable(event.channel), 0);         /* the confirm goes first */
        check(tunnel_transmit(t, &message, SECONDS(1)));
        check_equal(tunnel_writable(event.channel), 61440);     /* the original's own largest */
        tunnel_write(event.channel, 61440, header, SECONDS(1));
        check_bytes(header, "\0\0\xf0\x06\2\0\0\0\0\7", sizeof(header));
        check_equal(tunnel_writable(event.channel), 61440);
        tunnel_write(event.channel, 5, header, SECONDS(1));
        check_bytes(header, "\0\0\0\x0b\2\0\0\0\0\7", sizeof(header));
        tunnel_free(t);
}

/* What each odd frame of the vectors does to a provider: an arrival on which port, an ignored frame, or nothing. */
TEST(parser_edge_cases_end_as_with_the_original)
{
        static const struct { const char *name; unsigned ignored; uint16_t port; size_t metadata_len; } rows[] = {
                { "empty", 1, 0, 0 },
                { "5 bytes", 1, 0, 0 },
                { "unknown action 6", 1, 0, 0 },
                { "unknown action 77 with payload", 1, 0, 0 },
                { "unknown action with error flag", 1, 0, 0 },
                { "old open format (gate port only)", 0, 8080, 0 },
                { "open protocol byte 9 falls back to tcp", 0, 8080, 0 },
                { "open with broken json", 0, 8080, 7 },        /* metadata is opaque here */
                { "open without gate port", 1, 0, 0 },
                { "open with extra keys in json", 0, 8080, 18 },
                { "advRoutes with extra top level key", 1, 0, 0 },      /* a provider ignores them all */
                { "advRoutes without routes", 1, 0, 0 },
                { "advRoutes null", 1, 0, 0 },
                { "advRoutes with non-zero channel", 1, 0, 0 },
                { "hello gate", 1, 0, 0 },                      /* a second hello */
                { "hello channel field 2 (not gate)", 1, 0, 0 },
                { "end with trailing bytes", 0, 0, 0 },
                { "close with error flag", 0, 0, 0 },
                { "stream with no data", 0, 0, 0 },
                { "error length larger than remaining", 1, 0, 0 },
        };
        json_t *root = peer_vectors("hypergate.json");
        const json_t *cases = json_object_get(root, "parse_edge_cases");

        check_equal(json_array_size(cases), ARRAY_LEN(rows));
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                struct tunnel *t = peer_tunnel_up(TUNNEL_PROVIDER);
                struct tunnel_stats stats;
                struct tunnel_event event;

                check(strcmp(peer_text(json_array_get(cases, i), "name"), rows[i].name) == 0);
                peer_feed(t, peer_text(json_array_get(cases, i), "frame_hex"), SECONDS(1));
                tunnel_stats(t, &stats);
                check_equal(stats.frames_ignored, rows[i].ignored);
                check_equal(tunnel_event(t, &event, SECONDS(1)), rows[i].port != 0);
                check(!rows[i].port || (event.kind == TUNNEL_ARRIVED && event.gate_port == rows[i].port));
                check(!rows[i].port || event.len == rows[i].metadata_len);
                peer_feed(t, "01000000000900000050", SECONDS(1));    /* the connection lives on */
                check_equal(peer_event(t, &event), TUNNEL_ARRIVED);
                tunnel_free(t);
        }
        json_decref(root);
}

TEST(advertisements_reach_a_gateway_as_they_are)
{
        json_t *root = peer_vectors("hypergate.json");
        const json_t *rows = json_object_get(root, "messages"), *row;
        struct tunnel *t = peer_tunnel_up(TUNNEL_GATEWAY);
        size_t i, seen = 0;

        json_array_foreach(rows, i, row) {
                const char *hex = json_string_value(json_array_get(json_object_get(row, "frame_hex"), 0));
                static struct peer_frame frame;
                struct tunnel_event event;

                if (peer_number(row, "action") != TUNNEL_ACTION_ADVERTISE)
                        continue;
                peer_frame(hex, &frame);
                peer_feed(t, hex, SECONDS(1));
                check_equal(peer_event(t, &event), TUNNEL_ADVERT);
                check_equal(event.len, frame.len - TUNNEL_HEADER_BYTES);
                check_bytes(event.bytes, frame.at + TUNNEL_HEADER_BYTES, event.len);
                seen++;
        }
        check_equal(seen, 4);
        json_decref(root);
        tunnel_free(t);
}

TEST(an_advertisement_that_is_too_long_is_told_of_and_passed_over)
{
        static uint8_t bytes[TUNNEL_HEADER_BYTES + TUNNEL_ADVERT_MAX + 1];
        struct writer w = writer_over(bytes, sizeof(bytes));
        struct tunnel *t = peer_tunnel_up(TUNNEL_GATEWAY);
        struct tunnel_event event;

        tunnel_frame_write(&w, TUNNEL_ACTION_ADVERTISE, 0, 0, TUNNEL_ADVERT_MAX + 1);
        check_equal(tunnel_receive(t, bytes, sizeof(bytes), SECONDS(1)), sizeof(bytes));
        check_equal(peer_event(t, &event), TUNNEL_ADVERT_LONG);
        check_equal(event.len, TUNNEL_ADVERT_MAX + 1);
        peer_expect_no_event(t, SECONDS(1));
        w = writer_over(bytes, sizeof(bytes));
        tunnel_frame_write(&w, TUNNEL_ACTION_ADVERTISE, 0, 0, TUNNEL_ADVERT_MAX);
        check_equal(tunnel_receive(t, bytes, sizeof(bytes) - 1, SECONDS(2)), sizeof(bytes) - 1);
        check_equal(peer_event(t, &event), TUNNEL_ADVERT);
        check_equal(event.len, TUNNEL_ADVERT_MAX);
        tunnel_free(t);
}

/* Length limits: 79 bytes before hello, 10 MiB after. */
static enum tunnel_verdict verdict_for_length(struct tunnel *t, uint32_t length)
{
        struct tunnel_event event = { .verdict = TUNNEL_FINE };
        uint8_t head[4];
        struct writer w = writer_over(head, sizeof(head));

        write_u32be(&w, length);
        check_equal(tunnel_receive(t, head, sizeof(head), SECONDS(1)), sizeof(head));
        (void)tunnel_event(t, &event, SECONDS(1));
        check_equal(event.len, event.verdict == TUNNEL_OVERSIZE ? length : 0);  /* for whoever can make it shorter */
        tunnel_free(t);
        return event.verdict;
}

TEST(weakness_14_4_oversized_frames_end_the_connection)
{
        json_t *root = peer_vectors("hypergate.json");
        struct peer_hello hello;

        peer_hello_read(root, json_array_get(json_object_get(root, "auth_blobs"), 0), &hello);
        check_equal(verdict_for_length(peer_tunnel(&hello, TUNNEL_GATEWAY, hello.time_ms), 79), TUNNEL_FINE);
        check_equal(verdict_for_length(peer_tunnel(&hello, TUNNEL_GATEWAY, hello.time_ms), 80), TUNNEL_OVERSIZE);
        check_equal(verdict_for_length(peer_tunnel_up(TUNNEL_GATEWAY), 10485760), TUNNEL_FINE);
        check_equal(verdict_for_length(peer_tunnel_up(TUNNEL_GATEWAY), 10485761), TUNNEL_OVERSIZE);
        json_decref(root);
}

/* A hello that is no hello, and frames ahead of it. */
TEST(weakness_14_3_nothing_counts_before_a_hello_of_exactly_79_bytes)
{
        json_t *root = peer_vectors("hypergate.json");
        const json_t *row = json_array_get(json_object_get(root, "auth_blobs"), 0);
        const char *good = peer_text(row, "hello_frame_gateway_hex");
        struct peer_hello hello;
        struct tunnel_event event;
        char cut[2 * TUNNEL_HELLO_FRAME_BYTES + 1], error[2 * TUNNEL_HELLO_FRAME_BYTES + 1];
        struct tunnel *t;

        peer_hello_read(root, row, &hello);
        snprintf(cut, sizeof(cut), "%.*s", 2 * (TUNNEL_HELLO_FRAME_BYTES - 1), good);
        check_equal(verdict_for(&hello, TUNNEL_PROVIDER, hello.time_ms, cut), TUNNEL_BAD_AUTH);
        snprintf(error, sizeof(error), "%s", good);
        error[3] = '1';                                 /* the length of an error, of what is a hello otherwise */
        check_equal(verdict_for(&hello, TUNNEL_PROVIDER, hello.time_ms, error), TUNNEL_BAD_AUTH);
        t = peer_tunnel(&hello, TUNNEL_PROVIDER, hello.time_ms);
        peer_feed(t, "01000000000900000050", SECONDS(1));
        check(!tunnel_event(t, &event, SECONDS(1)));
        peer_feed(t, good, SECONDS(1));
        check_equal(peer_event(t, &event), TUNNEL_UP);
        check(!tunnel_event(t, &event, SECONDS(1)));    /* the open was not kept */
        tunnel_free(t);

        t = peer_tunnel(&hello, TUNNEL_PROVIDER, hello.time_ms);
        check_equal(tunnel_deadline(t), 0);             /* our own hello waits */
        tunnel_advance(t, SECONDS(11) - 1);
        check(!tunnel_event(t, &event, SECONDS(11) - 1));
        tunnel_advance(t, SECONDS(11));
        check(tunnel_event(t, &event, SECONDS(11)) && event.verdict == TUNNEL_LATE);
        tunnel_free(t);
        json_decref(root);
}
