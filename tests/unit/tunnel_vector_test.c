/* SPDX-License-Identifier: BSD-3-Clause */
/* The Hypergate protocol against bytes of the original: tests/vectors/hypergate.json (made by calling it) and
 * hypergate-session.json (two of its processes talking). */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "test.h"
#include "tunnel.h"
#include "tunnel_frame.h"
#include "tunnel_hello.h"

enum { FRAME_MAX = 64 * 1024, DAY_MS = 24 * 60 * 60 * 1000 };

struct bytes {
        uint8_t at[FRAME_MAX];
        size_t len;
};

static json_t *load(const char *name)
{
        char path[4096];
        json_error_t error;
        json_t *root;

        snprintf(path, sizeof(path), "%s/%s", getenv("VECTORS"), name);
        root = json_load_file(path, 0, &error);
        if (!root)
                test_fail(__FILE__, __LINE__, "%s: %s", path, error.text);
        return root;
}

static const char *text(const json_t *object, const char *key)
{
        const char *value = json_string_value(json_object_get(object, key));

        if (!value)
                test_fail(__FILE__, __LINE__, "no %s", key);
        return value;
}

static long long number(const json_t *object, const char *key)
{
        return json_integer_value(json_object_get(object, key));
}

static size_t unhex(const json_t *object, const char *key, void *out, size_t max)
{
        return test_unhex(text(object, key), out, max);
}

/* The hexadecimal payload of a frame, with its length in front. */
static void frame_of(const char *hex, struct bytes *out)
{
        struct writer w = writer_over(out->at, 4);
        size_t len = test_unhex(hex, out->at + 4, sizeof(out->at) - 4);

        write_u32be(&w, (uint32_t)len);
        out->len = 4 + len;
}

static const json_t *router_of(const json_t *root, const char *secret)
{
        const json_t *routers = json_object_get(root, "router"), *router;
        size_t i;

        json_array_foreach(routers, i, router)
                if (strcmp(text(router, "secret_hex"), secret) == 0)
                        return router;
        test_fail(__FILE__, __LINE__, "no router %s", secret);
}

struct hello_row {
        uint8_t source[32], target[32], router[32], auth[64], blob[TUNNEL_HELLO_BYTES];
        int64_t time_ms;
        struct tunnel_hello_keys keys;
};

static void hello_row_read(const json_t *root, const json_t *row, struct hello_row *out)
{
        const json_t *router = router_of(root, text(row, "secret_hex"));

        unhex(row, "source_hex", out->source, 32);
        unhex(row, "target_hex", out->target, 32);
        unhex(router, "public_key_hex", out->router, 32);
        unhex(router, "auth_key_hex", out->auth, 64);
        check_equal(unhex(row, "blob_hex", out->blob, sizeof(out->blob)), TUNNEL_HELLO_BYTES);
        out->time_ms = number(row, "timestamp_ms");
        out->keys = (struct tunnel_hello_keys){ out->source, out->target, out->router, out->auth };
}

TEST(hello_blobs_are_the_originals)
{
        json_t *root = load("hypergate.json");
        const json_t *rows = json_object_get(root, "auth_blobs"), *row;
        size_t i;

        check_equal(json_array_size(rows), 24);
        json_array_foreach(rows, i, row) {
                uint8_t blob[TUNNEL_HELLO_BYTES];
                struct hello_row hello;
                int64_t time_ms = 0;

                hello_row_read(root, row, &hello);
                tunnel_hello_make(blob, &hello.keys, hello.time_ms);
                check_bytes(blob, hello.blob, sizeof(blob));
                check(tunnel_hello_check(hello.blob, &hello.keys, &time_ms));
                check_equal(time_ms, hello.time_ms);
        }
        json_decref(root);
}

TEST(hello_with_any_one_bit_changed_is_refused)
{
        json_t *root = load("hypergate.json");
        struct hello_row hello;
        int64_t time_ms = -1;

        hello_row_read(root, json_array_get(json_object_get(root, "auth_blobs"), 0), &hello);
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

/* A tunnel on the receiving end of the row. */
static struct tunnel *tunnel_for(const struct hello_row *hello, enum tunnel_role role, int64_t wall_ms)
{
        static uint64_t seed = 1;
        struct tunnel_config config = { .role = role, .random = { test_random_fill, &seed } };
        struct now now = { .mono_us = SECONDS(1), .wall_us = (usec_t)wall_ms * 1000 };
        struct tunnel *t;

        memcpy(config.key, hello->target, 32);
        memcpy(config.peer_key, hello->source, 32);
        memcpy(config.router_key, hello->router, 32);
        memcpy(config.auth_key, hello->auth, 64);
        check_equal(tunnel_new(&t, &config, &now), 0);
        tunnel_progress(t, 1 << 20, 0, SECONDS(1));
        return t;
}

static enum tunnel_event_kind next_event(struct tunnel *t, struct tunnel_event *event)
{
        if (!tunnel_event(t, event, SECONDS(1)))
                test_fail(__FILE__, __LINE__, "no event");
        return event->kind;
}

static enum tunnel_verdict verdict_for(const struct hello_row *hello, enum tunnel_role role, int64_t wall_ms, const char *hex)
{
        struct tunnel *t = tunnel_for(hello, role, wall_ms);
        struct tunnel_event event;
        static struct bytes frame;

        frame_of(hex, &frame);
        check_equal(tunnel_receive(t, frame.at, frame.len, SECONDS(1)), frame.len);
        next_event(t, &event);
        check(event.kind == (event.verdict == TUNNEL_FINE ? TUNNEL_UP : TUNNEL_FAILED));
        tunnel_free(t);
        return event.verdict;
}

TEST(hello_frames_of_the_original_bring_a_tunnel_up)
{
        json_t *root = load("hypergate.json");
        const json_t *rows = json_object_get(root, "auth_blobs"), *row;
        size_t i;

        json_array_foreach(rows, i, row) {
                const char *gateway = text(row, "hello_frame_gateway_hex"), *provider = text(row, "hello_frame_provider_hex");
                struct hello_row hello;

                hello_row_read(root, row, &hello);
                if (hello.time_ms < DAY_MS)
                        continue;       /* no wall clock is that early: see below */
                check_equal(verdict_for(&hello, TUNNEL_PROVIDER, hello.time_ms, gateway), TUNNEL_FINE);
                check_equal(verdict_for(&hello, TUNNEL_GATEWAY, hello.time_ms, provider), TUNNEL_FINE);
                check_equal(verdict_for(&hello, TUNNEL_GATEWAY, hello.time_ms, gateway), TUNNEL_FINE);
                check_equal(verdict_for(&hello, TUNNEL_PROVIDER, hello.time_ms, provider), TUNNEL_SAME_ROLE);
                check_equal(verdict_for(&hello, TUNNEL_GATEWAY, hello.time_ms + DAY_MS, provider), TUNNEL_FINE);
                check_equal(verdict_for(&hello, TUNNEL_GATEWAY, hello.time_ms - DAY_MS, provider), TUNNEL_FINE);
                check_equal(verdict_for(&hello, TUNNEL_GATEWAY, hello.time_ms + DAY_MS + 1, provider), TUNNEL_SKEW);
                check_equal(verdict_for(&hello, TUNNEL_GATEWAY, hello.time_ms - DAY_MS - 1, provider), TUNNEL_SKEW);
                hello.auth[i % 64] ^= 1;        /* another router */
                check_equal(verdict_for(&hello, TUNNEL_GATEWAY, hello.time_ms, provider), TUNNEL_BAD_AUTH);
        }
        json_decref(root);
}

TEST(a_time_before_the_epoch_or_beyond_all_clocks_is_skew_not_a_crash)
{
        static const int64_t times[] = { 0, 1, -5, INT64_MIN, INT64_MAX };
        json_t *root = load("hypergate.json");
        struct hello_row hello;

        hello_row_read(root, json_array_get(json_object_get(root, "auth_blobs"), 0), &hello);
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

/* A tunnel that is up with an original on the other end, its own hello and HGX out of the way. */
static struct tunnel *tunnel_up(enum tunnel_role role)
{
        json_t *root = load("hypergate.json");
        const json_t *row = json_array_get(json_object_get(root, "auth_blobs"), 0);
        struct tunnel_message message;
        struct tunnel_event event;
        struct hello_row hello;
        static struct bytes frame;
        struct tunnel *t;

        hello_row_read(root, row, &hello);
        t = tunnel_for(&hello, role, hello.time_ms);
        frame_of(text(row, role == TUNNEL_GATEWAY ? "hello_frame_provider_hex" : "hello_frame_gateway_hex"), &frame);
        check_equal(tunnel_receive(t, frame.at, frame.len, SECONDS(1)), frame.len);
        check_equal(next_event(t, &event), TUNNEL_UP);
        check(event.role != role);
        check(tunnel_transmit(t, &message, SECONDS(1)) && message.len == 83 && message.bytes[4] == TUNNEL_ACTION_HELLO);
        check(tunnel_transmit(t, &message, SECONDS(1)) && message.bytes[4] == TUNNEL_ACTION_HGX);
        check(!tunnel_transmit(t, &message, SECONDS(1)));
        json_decref(root);
        return t;
}

static void feed(struct tunnel *t, const char *hex, usec_t now_us)
{
        static struct bytes frame;

        frame_of(hex, &frame);
        for (size_t i = 0; i < frame.len; i++)          /* boundaries mean nothing */
                check_equal(tunnel_receive(t, frame.at + i, 1, now_us), 1);
}

static void expect_message(struct tunnel *t, const char *hex, usec_t now_us)
{
        static struct bytes frame;
        struct tunnel_message message;

        frame_of(hex, &frame);
        check(tunnel_transmit(t, &message, now_us));
        check_equal(message.len, frame.len);
        check_bytes(message.bytes, frame.at, frame.len);
}

static const char *message_hex(const json_t *root, const char *name)
{
        const json_t *rows = json_object_get(root, "messages"), *row;
        size_t i;

        json_array_foreach(rows, i, row)
                if (strcmp(text(row, "name"), name) == 0)
                        return json_string_value(json_array_get(json_object_get(row, "frame_hex"), 0));
        test_fail(__FILE__, __LINE__, "no message %s", name);
}

/* Every frame of the vectors survives our header decoder and encoder. */
TEST(headers_are_the_originals)
{
        json_t *root = load("hypergate.json");
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
                        check_equal(frame.action, number(row, "action"));
                        tunnel_frame_write(&w, frame.action, frame.error_len, frame.channel, frame.length - TUNNEL_FRAME_HEAD_BYTES);
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
        json_t *root = load("hypergate.json");

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
        struct tunnel *t = tunnel_up(TUNNEL_GATEWAY);
        struct tunnel_channel *ch;
        struct tunnel_event event;
        usec_t now_us = SECONDS(1);

        for (unsigned id = 1; id < 7; id++) {
                check_equal(tunnel_open(t, 80, NULL, 0, USEC_NEVER, NULL, &ch, now_us), 0);
                tunnel_abort(ch, now_us);       /* never left: no trace */
        }
        check_equal(tunnel_open(t, 8080, metadata, sizeof(metadata) - 1, SECONDS(16), t, &ch, now_us), 0);
        expect_message(t, "01000000000700001f90007b2278223a317d", now_us);
        feed(t, "01000000000700001f9000", now_us);
        check_equal(next_event(t, &event), TUNNEL_OPENED);
        check(event.channel == ch && event.context == t);
        feed(t, "02000000000768656c6c6f", now_us);
        check_equal(next_event(t, &event), TUNNEL_READABLE);
        feed(t, "020000000007", now_us);        /* without data: legal, and nothing */
        check(!tunnel_event(t, &event, now_us));
        feed(t, "030000000007", now_us);
        tunnel_free(t);
}

TEST(opens_as_a_provider_hears_and_answers_them)
{
        json_t *root = load("hypergate.json");
        struct tunnel *t = tunnel_up(TUNNEL_PROVIDER);
        const uint8_t *bytes = NULL;
        struct tunnel_event event;
        bool ended;

        feed(t, message_hex(root, "open request tcp"), SECONDS(1));
        check_equal(next_event(t, &event), TUNNEL_ARRIVED);
        check_equal(event.gate_port, 8080);
        check(event.len > 100 && event.bytes[0] == '{' && event.bytes[event.len - 1] == '}');
        tunnel_accept(event.channel, t, SECONDS(1));
        expect_message(t, message_hex(root, "open confirmation tcp"), SECONDS(1));
        feed(t, message_hex(root, "stream small"), SECONDS(1));
        check_equal(next_event(t, &event), TUNNEL_READABLE);
        check_equal(tunnel_peek(event.channel, &bytes, &ended), 5);
        check_bytes(bytes, "hello", 5);
        check(!ended);
        feed(t, message_hex(root, "close max channel"), SECONDS(1));
        check(!tunnel_event(t, &event, SECONDS(1)));
        json_decref(root);
        tunnel_free(t);
}

/* 61,440 bytes are one frame and no more. */
TEST(data_is_framed_as_the_original_does)
{
        struct tunnel *t = tunnel_up(TUNNEL_PROVIDER);
        uint8_t header[TUNNEL_HEADER_BYTES];
        struct tunnel_message message;
        struct tunnel_event event;

        feed(t, "01000000000700001f9000", SECONDS(1));
        check_equal(next_event(t, &event), TUNNEL_ARRIVED);
        check_equal(tunnel_writable(event.channel), 0);
        tunnel_accept(event.channel, NULL, SECONDS(1));
        check_equal(tunnel_writable(event.channel), 0);         /* the confirm goes first */
        check(tunnel_transmit(t, &message, SECONDS(1)));
        check_equal(tunnel_writable(event.channel), TUNNEL_DATA_MAX);
        tunnel_write(event.channel, TUNNEL_DATA_MAX, header, SECONDS(1));
        check_bytes(header, "\0\0\xf0\x06\2\0\0\0\0\7", sizeof(header));
        check_equal(tunnel_writable(event.channel), TUNNEL_DATA_MAX);
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
        json_t *root = load("hypergate.json");
        const json_t *cases = json_object_get(root, "parse_edge_cases");

        check_equal(json_array_size(cases), ARRAY_LEN(rows));
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                struct tunnel *t = tunnel_up(TUNNEL_PROVIDER);
                struct tunnel_stats stats;
                struct tunnel_event event;

                check(strcmp(text(json_array_get(cases, i), "name"), rows[i].name) == 0);
                feed(t, text(json_array_get(cases, i), "frame_hex"), SECONDS(1));
                tunnel_stats(t, &stats);
                check_equal(stats.frames_ignored, rows[i].ignored);
                check_equal(tunnel_event(t, &event, SECONDS(1)), rows[i].port != 0);
                check(!rows[i].port || (event.kind == TUNNEL_ARRIVED && event.gate_port == rows[i].port));
                check(!rows[i].port || event.len == rows[i].metadata_len);
                feed(t, "01000000000900000050", SECONDS(1));    /* the connection lives on */
                check_equal(next_event(t, &event), TUNNEL_ARRIVED);
                tunnel_free(t);
        }
        json_decref(root);
}

TEST(advertisements_reach_a_gateway_as_they_are)
{
        json_t *root = load("hypergate.json");
        const json_t *rows = json_object_get(root, "messages"), *row;
        struct tunnel *t = tunnel_up(TUNNEL_GATEWAY);
        size_t i, seen = 0;

        json_array_foreach(rows, i, row) {
                const char *hex = json_string_value(json_array_get(json_object_get(row, "frame_hex"), 0));
                static struct bytes frame;
                struct tunnel_event event;

                if (number(row, "action") != TUNNEL_ACTION_ADVERTISE)
                        continue;
                frame_of(hex, &frame);
                feed(t, hex, SECONDS(1));
                check_equal(next_event(t, &event), TUNNEL_ADVERT);
                check_equal(event.len, frame.len - TUNNEL_HEADER_BYTES);
                check_bytes(event.bytes, frame.at + TUNNEL_HEADER_BYTES, event.len);
                seen++;
        }
        check_equal(seen, 4);
        json_decref(root);
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
        tunnel_free(t);
        return event.verdict;
}

TEST(oversized_frames_end_the_connection)
{
        json_t *root = load("hypergate.json");
        struct hello_row hello;

        hello_row_read(root, json_array_get(json_object_get(root, "auth_blobs"), 0), &hello);
        check_equal(verdict_for_length(tunnel_for(&hello, TUNNEL_GATEWAY, hello.time_ms), 79), TUNNEL_FINE);
        check_equal(verdict_for_length(tunnel_for(&hello, TUNNEL_GATEWAY, hello.time_ms), 80), TUNNEL_OVERSIZE);
        check_equal(verdict_for_length(tunnel_up(TUNNEL_GATEWAY), 10485760), TUNNEL_FINE);
        check_equal(verdict_for_length(tunnel_up(TUNNEL_GATEWAY), 10485761), TUNNEL_OVERSIZE);
        json_decref(root);
}

/* A hello that is no hello, and frames ahead of it. */
TEST(nothing_counts_before_a_hello_of_exactly_79_bytes)
{
        json_t *root = load("hypergate.json");
        const json_t *row = json_array_get(json_object_get(root, "auth_blobs"), 0);
        const char *good = text(row, "hello_frame_gateway_hex");
        struct hello_row hello;
        struct tunnel_event event;
        char cut[2 * TUNNEL_HELLO_FRAME_BYTES + 1];
        struct tunnel *t;

        hello_row_read(root, row, &hello);
        snprintf(cut, sizeof(cut), "%.*s", 2 * (TUNNEL_HELLO_FRAME_BYTES - 1), good);
        check_equal(verdict_for(&hello, TUNNEL_PROVIDER, hello.time_ms, cut), TUNNEL_BAD_AUTH);
        t = tunnel_for(&hello, TUNNEL_PROVIDER, hello.time_ms);
        feed(t, "01000000000900000050", SECONDS(1));
        check(!tunnel_event(t, &event, SECONDS(1)));
        feed(t, good, SECONDS(1));
        check_equal(next_event(t, &event), TUNNEL_UP);
        check(!tunnel_event(t, &event, SECONDS(1)));    /* the open was not kept */
        tunnel_free(t);

        t = tunnel_for(&hello, TUNNEL_PROVIDER, hello.time_ms);
        check_equal(tunnel_deadline(t), 0);             /* our own hello waits */
        tunnel_advance(t, SECONDS(11) - 1);
        check(!tunnel_event(t, &event, SECONDS(11) - 1));
        tunnel_advance(t, SECONDS(11));
        check(tunnel_event(t, &event, SECONDS(11)) && event.verdict == TUNNEL_LATE);
        tunnel_free(t);
        json_decref(root);
}

/* The recorded session: what arrived at one end goes into a tunnel of ours in that role. */
struct replay {
        struct tunnel *t;
        enum tunnel_role role;
        unsigned arrived, readable, adverts, closed, opened, refused, frames;
        size_t data_bytes;
};

static void replay_event(struct replay *replay, const struct tunnel_event *event, usec_t now_us)
{
        const uint8_t *bytes;
        bool ended;
        size_t len;

        switch (event->kind) {
        case TUNNEL_ARRIVED:
                replay->arrived++;
                check(event->gate_port == 28280 || event->gate_port == 28281);
                if (event->gate_port == 28280)
                        tunnel_accept(event->channel, replay, now_us);
                else
                        tunnel_refuse(event->channel, "no", 2, now_us);
                return;
        case TUNNEL_READABLE:
                replay->readable++;
                while ((len = tunnel_peek(event->channel, &bytes, &ended)) > 0) {
                        replay->data_bytes += len;
                        tunnel_consume(event->channel, len, now_us);
                }
                if (!ended)
                        return;
                tunnel_consume_end(event->channel, now_us);
                tunnel_end(event->channel, now_us);
                return;
        case TUNNEL_ADVERT:
                replay->adverts++;
                check_equal(event->len, 432);
                return;
        case TUNNEL_OPENED:
                replay->opened++;
                return;
        case TUNNEL_REFUSED:
                replay->refused++;
                return;
        case TUNNEL_CLOSED:
                replay->closed++;
                return;
        case TUNNEL_UP:
        case TUNNEL_FAILED:
        case TUNNEL_WRITABLE:
                return;
        }
}

static void replay_settle(struct replay *replay, usec_t now_us)
{
        struct tunnel_message message;
        struct tunnel_event event;

        tunnel_progress(replay->t, 1 << 20, 0, now_us);
        while (tunnel_deadline(replay->t) <= now_us && tunnel_deadline(replay->t))
                tunnel_advance(replay->t, now_us);
        while (tunnel_event(replay->t, &event, now_us))
                replay_event(replay, &event, now_us);
        while (tunnel_transmit(replay->t, &message, now_us))
                replay->frames++;
}

/* The gateway's own opens, so that the provider's answers find them. */
static void replay_open(struct replay *replay, const json_t *frame, usec_t now_us)
{
        struct tunnel_channel *ch;

        if (replay->role == TUNNEL_GATEWAY && strcmp(text(frame, "action"), "open") == 0)
                check_equal(tunnel_open(replay->t, 28280, NULL, 0, USEC_NEVER, NULL, &ch, now_us), 0);
        replay_settle(replay, now_us);
}

static void replay_run(struct replay *replay, const char *at, unsigned until_ms)
{
        json_t *root = load("hypergate-session.json");
        const json_t *frames = json_object_get(root, "frames"), *frame;
        size_t i;

        replay->t = tunnel_up(replay->role);
        json_array_foreach(frames, i, frame) {
                usec_t now_us = SECONDS(1) + MSEC(number(frame, "t_ms"));

                if (json_object_get(frame, "step") || strcmp(text(frame, "at"), at) != 0 || number(frame, "t_ms") > until_ms)
                        continue;
                if (strcmp(text(frame, "dir"), "out") == 0) {
                        replay_open(replay, frame, now_us);
                        continue;
                }
                replay_settle(replay, now_us);
                feed(replay->t, text(frame, "frame_hex"), now_us);
                replay_settle(replay, now_us);
        }
        replay_settle(replay, MINUTES(10));
        json_decref(root);
}

TEST(a_recorded_gateway_finds_a_provider_in_us)
{
        struct replay replay = { .role = TUNNEL_PROVIDER };
        struct tunnel_stats stats;

        replay_run(&replay, "provider (1st process)", 60000);
        check_equal(replay.arrived, 6);                 /* channels 1, 3, 4 and three tries of 5; UDP's 2 is refused */
        check_equal(replay.data_bytes, 89 + 5 + 5);     /* TCP only: UDP never opened */
        check_equal(replay.closed, 3);                  /* 1 and 4 both ended, 3 was reset */
        tunnel_stats(replay.t, &stats);
        check_equal(stats.channels, 0);
        tunnel_free(replay.t);
}

TEST(a_recorded_provider_finds_a_gateway_in_us)
{
        struct replay replay = { .role = TUNNEL_GATEWAY };

        replay_run(&replay, "gateway (1st process)", 30000);
        check_equal(replay.adverts, 5);
        check_equal(replay.opened, 4);                  /* 1 to 4 are confirmed, 2 in UDP's name */
        check_equal(replay.refused, 1);                 /* 5, by an error for channel 0 */
        check_equal(replay.data_bytes, 185 + 19 + 10 + 10 + 19);
        tunnel_free(replay.t);
}
