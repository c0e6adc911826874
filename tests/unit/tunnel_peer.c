/* SPDX-License-Identifier: BSD-3-Clause */
#include "tunnel_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"
#include "tunnel_frame.h"

json_t *peer_vectors(const char *name)
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

const char *peer_text(const json_t *object, const char *key)
{
        const char *value = json_string_value(json_object_get(object, key));

        if (!value)
                test_fail(__FILE__, __LINE__, "no %s", key);
        return value;
}

long long peer_number(const json_t *object, const char *key)
{
        return json_integer_value(json_object_get(object, key));
}

size_t peer_unhex(const json_t *object, const char *key, void *out, size_t max)
{
        return test_unhex(peer_text(object, key), out, max);
}

void peer_frame(const char *hex, struct peer_frame *out)
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
                if (strcmp(peer_text(router, "secret_hex"), secret) == 0)
                        return router;
        test_fail(__FILE__, __LINE__, "no router %s", secret);
}

void peer_hello_read(const json_t *root, const json_t *row, struct peer_hello *out)
{
        const json_t *router = router_of(root, peer_text(row, "secret_hex"));

        peer_unhex(row, "source_hex", out->source, 32);
        peer_unhex(row, "target_hex", out->target, 32);
        peer_unhex(router, "public_key_hex", out->router, 32);
        peer_unhex(router, "auth_key_hex", out->auth, 64);
        check_equal(peer_unhex(row, "blob_hex", out->blob, sizeof(out->blob)), TUNNEL_HELLO_BYTES);
        out->time_ms = peer_number(row, "timestamp_ms");
        out->keys = (struct tunnel_hello_keys){ out->source, out->target, out->router, out->auth };
}

struct tunnel *peer_tunnel(const struct peer_hello *hello, enum tunnel_role role, int64_t wall_ms)
{
        static uint64_t seed = 1;
        static struct tunnel_routers routers;
        struct tunnel_config config = { .role = role, .random = { test_random_fill, &seed }, .routers = &routers };
        struct now now = { .mono_us = SECONDS(1), .wall_us = (usec_t)wall_ms * 1000 };
        struct tunnel *t;

        memcpy(config.key, hello->target, 32);
        memcpy(config.peer_key, hello->source, 32);
        routers.list[0].held = true;
        memcpy(routers.list[0].public_key, hello->router, 32);
        memcpy(routers.list[0].auth_key, hello->auth, 64);
        check_equal(tunnel_new(&t, &config, &now), 0);
        tunnel_progress(t, 1 << 20, 0, SECONDS(1));
        return t;
}

enum tunnel_event_kind peer_event(struct tunnel *t, struct tunnel_event *event)
{
        if (!tunnel_event(t, event, SECONDS(1)))
                test_fail(__FILE__, __LINE__, "no event");
        return event->kind;
}

struct tunnel *peer_tunnel_up(enum tunnel_role role)
{
        json_t *root = peer_vectors("hypergate.json");
        const json_t *row = json_array_get(json_object_get(root, "auth_blobs"), 0);
        struct tunnel_message message;
        struct tunnel_event event;
        struct peer_hello hello;
        static struct peer_frame frame;
        struct tunnel *t;

        peer_hello_read(root, row, &hello);
        t = peer_tunnel(&hello, role, hello.time_ms);
        peer_frame(peer_text(row, role == TUNNEL_GATEWAY ? "hello_frame_provider_hex" : "hello_frame_gateway_hex"), &frame);
        check_equal(tunnel_receive(t, frame.at, frame.len, SECONDS(1)), frame.len);
        check_equal(peer_event(t, &event), TUNNEL_UP);
        check(event.role != role);
        check(tunnel_transmit(t, &message, SECONDS(1)) && message.len == 83 && message.bytes[4] == TUNNEL_ACTION_HELLO);
        check(tunnel_transmit(t, &message, SECONDS(1)) && message.bytes[4] == TUNNEL_ACTION_HGX);
        check(!tunnel_transmit(t, &message, SECONDS(1)));
        json_decref(root);
        return t;
}

void peer_feed(struct tunnel *t, const char *hex, usec_t now_us)
{
        static struct peer_frame frame;

        peer_frame(hex, &frame);
        for (size_t i = 0; i < frame.len; i++)          /* boundaries mean nothing */
                check_equal(tunnel_receive(t, frame.at + i, 1, now_us), 1);
}

void peer_expect(struct tunnel *t, const char *hex, usec_t now_us)
{
        static struct peer_frame frame;
        struct tunnel_message message;

        peer_frame(hex, &frame);
        check(tunnel_transmit(t, &message, now_us));
        check_equal(message.len, frame.len);
        check_bytes(message.bytes, frame.at, frame.len);
}

void peer_settle(struct tunnel *t, usec_t now_us)
{
        tunnel_progress(t, 1 << 20, 0, now_us);
        tunnel_advance(t, now_us);
}

bool peer_is_silent(struct tunnel *t, usec_t now_us)
{
        struct tunnel_message message;

        return !tunnel_transmit(t, &message, now_us);
}

void peer_expect_event(struct tunnel *t, enum tunnel_event_kind kind, const struct tunnel_channel *ch, enum tunnel_reason reason,
                       usec_t now_us)
{
        struct tunnel_event event;

        check(tunnel_event(t, &event, now_us));
        check_equal(event.kind, kind);
        check(event.channel == ch);
        check(event.reason == reason || (kind != TUNNEL_CLOSED && kind != TUNNEL_REFUSED));
}

void peer_expect_no_event(struct tunnel *t, usec_t now_us)
{
        struct tunnel_event event;

        check(!tunnel_event(t, &event, now_us));
}

void peer_expect_read(struct tunnel_channel *ch, const char *text, bool ends, usec_t now_us)
{
        const uint8_t *bytes;
        bool ended;
        size_t len = tunnel_peek(ch, &bytes, &ended);

        check_equal(len, strlen(text));
        check(!len || memcmp(bytes, text, len) == 0);
        check_equal(ended, ends);
        tunnel_consume(ch, len, now_us);
}

struct tunnel *peer_gateway_open(struct tunnel_channel **ch_out)
{
        struct tunnel *t = peer_tunnel_up(TUNNEL_GATEWAY);

        check_equal(tunnel_open(t, 8080, TUNNEL_TCP, NULL, 0, SECONDS(16), NULL, ch_out, SECONDS(1)), 0);
        peer_expect(t, "01000000000100001f9000", SECONDS(1));
        peer_feed(t, "01000000000100001f9000", SECONDS(1));
        peer_expect_event(t, TUNNEL_OPENED, *ch_out, 0, SECONDS(1));
        return t;
}
