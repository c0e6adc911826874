/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_metadata.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "ipc_channel.h"
#include "test.h"

static struct sockaddr_storage address(const char *ip, uint16_t port)
{
        struct sockaddr_storage addr = { 0 };
        struct sockaddr_in *v4 = (void *)&addr;
        struct sockaddr_in6 *v6 = (void *)&addr;

        if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1) {
                v4->sin_family = AF_INET;
                v4->sin_port = htons(port);
        } else {
                check_equal(inet_pton(AF_INET6, ip, &v6->sin6_addr), 1);
                v6->sin6_family = AF_INET6;
                v6->sin6_port = htons(port);
        }
        return addr;
}

static struct metadata example(const char *source, const char *gateway)
{
        struct metadata metadata = {
                .opened_at_ms = 1700000000000, .gate_port = 8080, .channel_port = 7,
                .source = address(source, 51000), .gateway = address(gateway, 8080),
        };

        test_unhex("00112233445566778899aabbccddeeff", metadata.id, sizeof(metadata.id));
        return metadata;
}

/* Vector "open request tcp" of the original's messages. */
TEST(the_fingerprint_is_the_originals)
{
        static const char expected[] =
                "{\"id\":\"00112233445566778899aabbccddeeff\",\"openedAt\":1700000000000,\"protocol\":\"tcp\",\"gatePort\":8080,"
                "\"channelPort\":7,\"source\":{\"ip\":\"203.0.113.10\",\"ipRaw\":\"203.0.113.10\",\"port\":51000},"
                "\"gateway\":{\"ip\":\"192.0.2.1\",\"ipRaw\":\"192.0.2.1\",\"port\":8080}}";
        struct metadata metadata = example("203.0.113.10", "192.0.2.1");
        char out[IPC_METADATA_MAX];

        check_equal(metadata_write(&metadata, out), sizeof(expected) - 1);
        check_bytes(out, expected, sizeof(expected) - 1);
}

static const char *field(json_t *root, const char *object, const char *key)
{
        return json_string_value(json_object_get(json_object_get(root, object), key));
}

static bool reads(const char *text, const char *source, uint16_t source_port, const char *gateway, uint16_t gateway_port)
{
        union socket_address found[2] = { 0 };
        struct sockaddr_storage expected[2] = { address(source, source_port), address(gateway, gateway_port) };

        return metadata_read(text, strlen(text), &found[0], &found[1]) && memcmp(&found[0], &expected[0], sizeof(found[0])) == 0 &&
               memcmp(&found[1], &expected[1], sizeof(found[1])) == 0;
}

TEST(who_the_client_is_reads_back)
{
        static const char *const ips[] = { "203.0.113.10", "2001:db8::1", "::ffff:192.0.2.7" };

        for (size_t i = 0; i < 3; i++) {
                struct metadata metadata = example(ips[i], "192.0.2.1");
                char out[IPC_METADATA_MAX + 1];

                out[metadata_write(&metadata, out)] = '\0';
                check(reads(out, i == 2 ? "192.0.2.7" : ips[i], 51000, "192.0.2.1", 8080));
                for (size_t len = 0; len < strlen(out); len++) {        /* what was cut says nothing */
                        union socket_address unused;

                        check(!metadata_read(out, len, &unused, &unused));
                }
        }
}

/* As JavaScript may have written it, with keys of later versions, and texts that look like what is wanted. */
TEST(who_the_client_is_is_found_among_other_things)
{
        check(reads("{\"labels\":[\"\\\"source\\\":{}\",{\"source\":1}],\"x\":null,\"n\":-1.5e3,\"gateway\":{\"port\":80,\"ipRaw\":[],\"ip\":\"::1\"},"
                    " \"source\" : { \"ip\" : \"::ffff:1.2.3.4\" , \"port\" : 0, \"z\": {\"ip\":\"9.9.9.9\"} } }", "1.2.3.4", 0, "::1", 80));
}

TEST(what_does_not_say_who_the_client_is_is_not_believed)
{
        static const char *const texts[] = {
                "", "{}", "[]", "null", "{\"source\":{\"ip\":\"1.2.3.4\",\"port\":1}}",
                "{\"source\":{\"ip\":\"1.2.3.4\",\"port\":1},\"gateway\":{\"ip\":\"1.2.3.4\"}}",
                "{\"source\":{\"ip\":\"1.2.3.4\",\"port\":65536},\"gateway\":{\"ip\":\"1.2.3.4\",\"port\":1}}",
                "{\"source\":{\"ip\":\"1.2.3\",\"port\":1},\"gateway\":{\"ip\":\"1.2.3.4\",\"port\":1}}",
                "{\"source\":{\"ip\":\"1.2.3.4\",\"port\":\"1\"},\"gateway\":{\"ip\":\"1.2.3.4\",\"port\":1}}",
                "{\"source\":{\"ip\":\"\\u0031.2.3.4\",\"port\":1},\"gateway\":{\"ip\":\"1.2.3.4\",\"port\":1}}",
                "{\"x\":[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]],\"source\":{\"ip\":\"1.2.3.4\",\"port\":1},\"gateway\":{\"ip\":\"1.2.3.4\",\"port\":1}}",
                "{\"source\":[{\"ip\":\"1.2.3.4\",\"port\":1}],\"gateway\":{\"ip\":\"1.2.3.4\",\"port\":1}}",
        };

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                union socket_address unused;

                if (metadata_read(texts[i], strlen(texts[i]), &unused, &unused))
                        test_fail(__FILE__, __LINE__, "%s", texts[i]);
        }
}

TEST(a_mapped_address_is_told_plain_and_raw)
{
        struct metadata metadata = example("::ffff:203.0.113.10", "2001:db8::1");
        char out[IPC_METADATA_MAX];
        json_t *root = json_loadb(out, metadata_write(&metadata, out), 0, NULL);

        check(root != NULL);
        check(strcmp(field(root, "source", "ip"), "203.0.113.10") == 0);
        check(strcmp(field(root, "source", "ipRaw"), "::ffff:203.0.113.10") == 0);
        check(strcmp(field(root, "gateway", "ip"), "2001:db8::1") == 0);
        check(strcmp(field(root, "gateway", "ipRaw"), "2001:db8::1") == 0);
        json_decref(root);
}

TEST(the_longest_fingerprint_fits)
{
        struct metadata metadata = example("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe");
        char out[IPC_METADATA_MAX];
        json_t *root;

        metadata.opened_at_ms = UINT64_MAX;
        metadata.channel_port = UINT32_MAX;
        metadata.gate_port = UINT16_MAX;
        root = json_loadb(out, metadata_write(&metadata, out), JSON_DECODE_INT_AS_REAL, NULL);
        check(root != NULL);
        json_decref(root);
        memset(&metadata.source, 0, sizeof(metadata.source));   /* a client that was gone before it could be asked */
        root = json_loadb(out, metadata_write(&metadata, out), JSON_DECODE_INT_AS_REAL, NULL);
        check(root && strcmp(field(root, "source", "ip"), "") == 0);
        json_decref(root);
}

TEST(addresses_for_the_log)
{
        struct sockaddr_storage v4 = address("192.0.2.1", 80), v6 = address("2001:db8::1", 443),
                                mapped = address("::ffff:192.0.2.1", 80);
        char text[METADATA_ADDRESS_TEXT_MAX];

        metadata_address_text(&v4, text);
        check(strcmp(text, "192.0.2.1:80") == 0);
        metadata_address_text(&mapped, text);
        check(strcmp(text, "192.0.2.1:80") == 0);
        metadata_address_text(&v6, text);
        check(strcmp(text, "[2001:db8::1]:443") == 0);
}

static void check_labels(const char *text, const char *expected, size_t len)
{
        char out[IPC_CLIENT_LABELS_MAX], none[IPC_CLIENT_LABELS_MAX] = { 0 };

        memset(out, 'x', sizeof(out));
        metadata_read_labels(text, strlen(text), out);
        check(memcmp(out, expected, len) == 0 && memcmp(out + len, none, sizeof(out) - len) == 0);
}

TEST(labels_are_read_where_they_stand_and_no_others)
{
        char many[1024] = "{\"ingressLabels\":[", longest[IPC_CLIENT_LABELS_MAX] = { 0 };

        check_labels("{\"id\":\"ab\",\"ingressLabels\":[\"vip\",\"office\"],\"x\":1}", "vip\0office", 11);
        check_labels("{\"source\":{\"ingressLabels\":[\"no\"]},\"ingressLabels\":[\"vip\"]}", "vip", 4);
        check_labels("{ \"ingressLabels\" : [ 7 , {\"a\":[\"b\"]}, \"a\\u0041\", \"\", null, \"vip\" ] }", "vip", 4);
        check_labels("{\"ingressLabels\":[]}", "", 0);
        check_labels("{\"ingressLabels\":\"vip\"}", "", 0);
        check_labels("{\"ingressLabels\":[\"vip\"", "", 0);
        check_labels("{\"ingressLabels\":[\"vip\" \"office\"]}", "", 0);
        check_labels("{\"ingressLabels\":[\"vip\",", "", 0);
        check_labels("", "", 0);
        for (size_t i = 0; i < 5; i++) {        /* the third finds no room, and neither does what comes then */
                memset(longest + 101 * i, 'a', i < 2 ? 100 : 0);
                sprintf(many + strlen(many), "%s\"%.*s\"", i ? "," : "", 100,
                        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        }
        check_labels(strcat(many, "]}"), longest, sizeof(longest));
}

TEST(labels_are_told_as_far_as_they_find_room)
{
        struct metadata metadata = { .labels = "vip\0a \"b\" \\ \x01\0\xc3\xbc\0" };
        char out[IPC_METADATA_MAX + 1], many[4096];
        json_t *root, *labels;

        root = json_loadb(out, metadata_write(&metadata, out), 0, NULL);
        labels = json_object_get(root, "ingressLabels");
        check_equal(json_array_size(labels), 3);
        check(strcmp(json_string_value(json_array_get(labels, 0)), "vip") == 0);
        check(strcmp(json_string_value(json_array_get(labels, 1)), "a \"b\" \\ \x01") == 0);
        check(strcmp(json_string_value(json_array_get(labels, 2)), "\xc3\xbc") == 0);
        json_decref(root);
        for (size_t len = 1; len < sizeof(many) / 2 - 2; len++) {
                size_t written;

                memset(many, 1, len);
                memcpy(many + len, "\0z\0", 4);
                metadata.labels = many;
                out[IPC_METADATA_MAX] = 'x';
                written = metadata_write(&metadata, out);
                check(written <= IPC_METADATA_MAX && out[IPC_METADATA_MAX] == 'x');
                root = json_loadb(out, written, 0, NULL);
                labels = json_object_get(root, "ingressLabels");
                check(json_array_size(labels) == 1 || json_array_size(labels) == 2);
                json_decref(root);
        }
        metadata.labels = "";
        root = json_loadb(out, metadata_write(&metadata, out), 0, NULL);
        check(root && !json_object_get(root, "ingressLabels"));
        json_decref(root);
}
