/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"
#include "router_advert.h"
#include "test.h"

static struct advert advert;

static enum advert_verdict decode(const char *text)
{
        memset(&advert, 0xa5, sizeof(advert));
        return advert_decode(text, strlen(text), &advert);
}

/* Decodes one entry; true when it is taken. */
static bool takes(const char *entry)
{
        char text[4096];

        snprintf(text, sizeof(text), "{\"routes\":[%s]}", entry);
        check_equal(decode(text), ADVERT_OK);
        check_equal(advert.count + advert.garbage, 1);
        return advert.count == 1;
}

static json_t *vectors(void)
{
        char path[1024];
        json_t *root;

        snprintf(path, sizeof(path), "%s/advert.json", getenv("VECTORS"));
        root = json_load_file(path, 0, NULL);
        check(root != NULL);
        return root;
}

TEST(what_the_original_writes_is_read)
{
        json_t *root = vectors(), *vector, *entry;
        size_t at, i;

        json_array_foreach (json_object_get(root, "adverts"), at, vector) {
                json_t *said = json_object_get(vector, "routes");
                uint8_t text[4096];
                size_t len = test_unhex(json_string_value(json_object_get(vector, "body_hex")), text, sizeof(text)), kept = 0;

                check_equal(advert_decode((char *)text, len, &advert), ADVERT_OK);
                json_array_foreach (said, i, entry) {
                        json_t *tags = json_object_get(entry, "tags");
                        bool restricts = json_object_get(json_object_get(entry, "ingressPolicy"), "ips") != NULL;

                        check_equal(advert.routes[kept].policy != NULL, restricts);
                        check_equal(advert.routes[kept].keeps_policy, !json_object_get(entry, "ingressPolicy"));
                        check_equal(advert.routes[kept].gate_port, json_integer_value(json_object_get(entry, "gatePort")));
                        check_equal(advert.routes[kept].service_port, json_integer_value(json_object_get(entry, "servicePort")));
                        check_equal(advert.routes[kept].protocol, json_integer_value(json_object_get(entry, "protocol")));
                        check(strcmp(advert.routes[kept].host, json_string_value(json_object_get(entry, "serviceHost"))) == 0);
                        check(strcmp(advert.routes[kept].tags, tags ? json_string_value(tags) : "") == 0);
                        kept++;
                }
                check_equal(advert.count, kept);
                check(kept < 2 || advert.routes[0].policy == advert.routes[1].policy);   /* one copy of what is the same */
                advert_release(&advert);
                check_equal(advert.garbage, 0);
        }
        check(at >= 4);
        json_decref(root);
}

TEST(we_write_byte_for_byte_what_the_original_would)
{
        struct advert_route route = { .gate_port = 8080, .service_port = 80, .host = "127.0.0.1" };
        json_t *root = vectors(), *vector;
        unsigned compared = 0;
        size_t at;

        json_array_foreach (json_object_get(root, "adverts"), at, vector) {
                const char *name = json_string_value(json_object_get(vector, "name"));
                char expected[4096], *text;
                size_t len, expected_len = test_unhex(json_string_value(json_object_get(vector, "body_hex")), expected, 4096);
                size_t count = strcmp(name, "advRoutes empty") == 0 ? 0 : 1;

                if (count && !strstr(name, "as the CLI sends it"))
                        continue;
                check_equal(advert_encode(&route, count, &text, &len), 0);
                check_equal(len, expected_len);
                check_bytes(text, expected, len);
                free(text);
                compared++;
        }
        check_equal(compared, 2);
        json_decref(root);
}

TEST(what_we_write_we_read)
{
        static struct advert_route routes[ADVERT_ROUTES_MAX];
        char *text;
        size_t len;

        for (size_t i = 0; i < ADVERT_ROUTES_MAX; i++) {
                routes[i] = (struct advert_route){ .gate_port = (uint16_t)(i * 255 + 1), .service_port = (uint16_t)i,
                                                   .protocol = i % 2 };
                routes[i].priority = (uint16_t)(i % 256);
                snprintf(routes[i].host, sizeof(routes[i].host), "h\u00f6st-%zu", i);
                snprintf(routes[i].tags, sizeof(routes[i].tags), "%s", i % 3 ? "a \"b\" \\c\t\x01" : "");
        }
        check_equal(advert_encode(routes, ADVERT_ROUTES_MAX, &text, &len), 0);
        check_equal(advert_decode(text, len, &advert), ADVERT_OK);
        check_equal(advert.count, ADVERT_ROUTES_MAX);
        check_bytes(advert.routes, routes, sizeof(routes));
        free(text);
}

TEST(a_priority_that_is_none_is_the_best)
{
        static const struct { const char *said; unsigned priority; } cases[] = {
                { "0", 0 }, { "255", 255 }, { "7.0", 7 }, { "\"7\"", 7 }, { "256", 0 }, { "-1", 0 }, { "1e99", 0 }, { "null", 0 }, { "[1]", 0 },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                char text[128];
                int len = snprintf(text, sizeof(text), "{\"routes\":[{\"gatePort\":1,\"priority\":%s}]}", cases[i].said);

                check_equal(advert_decode(text, (size_t)len, &advert), ADVERT_OK);
                check_equal(advert.count, 1);
                check_equal(advert.routes[0].priority, cases[i].priority);
        }
}

TEST(what_cannot_be_written_says_why)
{
        static struct advert_route routes[ADVERT_ROUTES_MAX + 1];
        char *text = NULL;
        size_t len = 77;

        check_equal(advert_encode(routes, ADVERT_ROUTES_MAX + 1, &text, &len), -E2BIG);
        for (size_t i = 0; i < ADVERT_ROUTES_MAX; i++) {
                memset(routes[i].host, 1, ADVERT_HOST_MAX - 1);         /* six bytes each in JSON */
                memset(routes[i].tags, 1, ADVERT_TAGS_MAX - 1);
        }
        check_equal(advert_encode(routes, ADVERT_ROUTES_MAX, &text, &len), -E2BIG);
        strcpy(routes[0].host, "\xff\xfe");
        check_equal(advert_encode(routes, 1, &text, &len), -EILSEQ);
        check(text == NULL && len == 77);
}

TEST(weakness_14_13_javascript_typing_is_tolerated)
{
        check(takes("{\"gatePort\":\"80\"}"));
        check_equal(advert.routes[0].gate_port, 80);
        check_equal(advert.routes[0].protocol, 0);
        check_equal(advert.routes[0].service_port, 0);
        check(takes("{\"gatePort\":80.0,\"protocol\":\"1\",\"servicePort\":\"53\",\"serviceHost\":null,\"tags\":null}"));
        check_equal(advert.routes[0].protocol, 1);
        check_equal(advert.routes[0].service_port, 53);
        check(takes("{\"gatePort\":8e1,\"protocol\":\"udp\",\"later\":{\"x\":[1]}}"));
        check_equal(advert.routes[0].protocol, 1);
        check(takes("{\"gatePort\":65535,\"servicePort\":-1,\"protocol\":null}"));
        check_equal(advert.routes[0].gate_port, 65535);
        check_equal(advert.routes[0].service_port, 0);
}

TEST(weakness_14_13_what_means_nothing_is_skipped_and_counted)
{
        static const char *const garbage[] = {
                "null", "1", "\"x\"", "[]", "{}", "{\"gatePort\":0}", "{\"gatePort\":65536}", "{\"gatePort\":-1}",
                "{\"gatePort\":80.5}", "{\"gatePort\":1e300}", "{\"gatePort\":99999999999999999999}", "{\"gatePort\":\"\"}",
                "{\"gatePort\":\"80x\"}", "{\"gatePort\":\"80\\u0000\"}", "{\"gatePort\":\"000080\"}", "{\"gatePort\":true}",
                "{\"gatePort\":[80]}", "{\"gatePort\":80,\"protocol\":2}", "{\"gatePort\":80,\"protocol\":\"sctp\"}",
                "{\"gatePort\":80,\"protocol\":{}}", "{\"gatePort\":80,\"serviceHost\":7}", "{\"gatePort\":80,\"tags\":[]}",
                "{\"gatePort\":80,\"serviceHost\":\"a\\u0000b\"}",
        };
        char text[2048], host[ADVERT_HOST_MAX + 1] = "";

        for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
                check(!takes(garbage[i]));
                check_equal(advert.garbage, 1);
                check(advert.flawed == 1 && advert.flaw == (i < 4 ? ADVERT_NO_OBJECT : i < 17 ? ADVERT_GATE_PORT : i < 20 ? ADVERT_PROTOCOL
                                                            : i == 21 ? ADVERT_TAGS : ADVERT_HOST));
        }
        memset(host, 'h', ADVERT_HOST_MAX);
        snprintf(text, sizeof(text), "{\"gatePort\":1,\"serviceHost\":\"%s\"}", host);
        check(!takes(text));
        host[ADVERT_HOST_MAX - 1] = '\0';
        snprintf(text, sizeof(text), "{\"gatePort\":1,\"serviceHost\":\"%s\"}", host);
        check(takes(text));
        check_equal(decode("{\"routes\":[7,{\"gatePort\":81},null,{\"gatePort\":82}]}"), ADVERT_OK);
        check_equal(advert.count, 2);
        check_equal(advert.routes[1].gate_port, 82);
        check_equal(advert.garbage, 2);
        check(advert.flawed == 1 && !advert.starved);
        check_equal(decode("{\"routes\":[{\"gatePort\":81},{\"gatePort\":82,\"sni\":1},7]}"), ADVERT_OK);
        check(advert.garbage == 2 && advert.flawed == 2 && advert.flaw == ADVERT_SNI);
        check_equal(decode("{\"routes\":[{\"gatePort\":81}]}"), ADVERT_OK);
        check(advert.garbage == 0 && advert.flaw == ADVERT_FLAWLESS);
}

/* What a client that no rule is about meets. */
static bool lets_in(const struct policy *policy)
{
        static const uint8_t ip[16] = { [10] = 0xff, [11] = 0xff, 1, 2, 3, 4 };

        return policy_admits(policy_find(policy, &(struct policy_client){ .ip = ip, .gate_port = 8080, .protocol = 0 }));
}

TEST(weakness_14_12_a_policy_turns_away_whom_it_turned_away_at_the_original)
{
        static const char *const admits[] = {
                "null", "{}", "[]", "7", "{\"defaults\":null}", "{\"defaults\":{\"allow\":true}}", "{\"ips\":{}}",
                "{\"defaults\":{\"allow\":1,\"bandwidthLimit\":{\"mbps\":1}},\"ips\":{\"*\":{\"allow\":\"yes\"}}}",
        };
        static const char *const restricts[] = {
                "{\"defaults\":{}}", "{\"defaults\":{\"allow\":false}}", "{\"defaults\":{\"allow\":0}}", "{\"defaults\":false}",
                "{\"defaults\":{\"allow\":\"\"}}", "{\"ips\":{\"1.2.3.4\":{}}}", "{\"ips\":{\"*\":null}}",
                "{\"defaults\":{\"allow\":true},\"ips\":{\"10.0.0.0/8\":{\"allow\":true},\"*\":{\"allow\":false}}}",
        };
        char text[1024];

        for (size_t i = 0; i < sizeof(admits) / sizeof(admits[0]); i++) {
                snprintf(text, sizeof(text), "{\"gatePort\":8080,\"ingressPolicy\":%s}", admits[i]);
                check(takes(text));
                check(lets_in(advert.routes[0].policy));
                advert_release(&advert);
        }
        for (size_t i = 0; i < sizeof(restricts) / sizeof(restricts[0]); i++) {
                snprintf(text, sizeof(text), "{\"gatePort\":8080,\"ingressPolicy\":%s}", restricts[i]);
                check(takes(text));
                check(!lets_in(advert.routes[0].policy));
                advert_release(&advert);
        }
}

TEST(what_is_no_advertisement_has_a_verdict)
{
        static char text[ADVERT_BYTES_MAX + 2];

        check_equal(decode(""), ADVERT_MALFORMED);
        check_equal(decode("null"), ADVERT_MALFORMED);
        check_equal(decode("[]"), ADVERT_MALFORMED);
        check_equal(decode("{\"routes\":["), ADVERT_MALFORMED);
        check_equal(decode("{\"routes\":[]}x"), ADVERT_MALFORMED);
        check_equal(decode("{\"routes\":[\"\xff\"]}"), ADVERT_MALFORMED);
        check_equal(decode("{}"), ADVERT_NO_LIST);
        check_equal(decode("{\"routes\":{}}"), ADVERT_NO_LIST);
        check_equal(decode("{\"routes\":[],\"hgx\":{\"v\":1}}"), ADVERT_NO_LIST);
        check_equal(decode("{\"routes\":[{\"gatePort\":80}],\"hgx\":{\"v\":1}}"), ADVERT_OK);
        memset(text, '[', ADVERT_BYTES_MAX + 1);
        check_equal(decode(text), ADVERT_TOO_LARGE);
        text[ADVERT_BYTES_MAX] = '\0';
        check_equal(decode(text), ADVERT_TOO_DEEP);
        for (unsigned i = 0; i + 1 < ADVERT_BYTES_MAX; i += 2)
                memcpy(text + i, "[]", 2);
        check_equal(decode(text), ADVERT_MALFORMED);
        check_equal(decode("{\"routes\":[{\"gatePort\":1,\"serviceHost\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\"}]}"), ADVERT_OK);
}

TEST(weakness_14_2_more_than_the_limit_is_cut_and_counted)
{
        static char text[ADVERT_BYTES_MAX];
        size_t len = (size_t)sprintf(text, "{\"routes\":[null");

        for (unsigned i = 0; i < ADVERT_ROUTES_MAX + 44; i++)
                len += (size_t)sprintf(text + len, ",{\"gatePort\":%u}", i + 1);
        strcpy(text + len, "]}");
        check_equal(decode(text), ADVERT_OK);
        check_equal(advert.count, ADVERT_ROUTES_MAX);
        check_equal(advert.surplus, 44);
        check_equal(advert.garbage, 1);
}

/* What an original passes over. */
TEST(the_name_that_tls_clients_ask_for_goes_along)
{
        struct advert_route routes[2] = { { .gate_port = 443, .service_port = 8443, .host = "a", .sni = "*.example.org" },
                                          { .gate_port = 443, .service_port = 8444, .host = "b" } };
        char *text;
        size_t len;

        check_equal(advert_encode(routes, 2, &text, &len), 0);
        check(memmem(text, len, "\"sni\":\"*.example.org\"", 21));
        check_equal(advert_decode(text, len, &advert), ADVERT_OK);
        check(advert.count == 2 && strcmp(advert.routes[0].sni, "*.example.org") == 0 && !*advert.routes[1].sni);
        free(text);
        check(!takes("{\"gatePort\":443,\"servicePort\":1,\"serviceHost\":\"a\",\"sni\":7}"));
}
