/* SPDX-License-Identifier: BSD-3-Clause */
/* Configurations that are good, and where their parts come from. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf.h"
#include "conf_folder.h"
#include "test.h"

#define OTHER_SECRET "1c09f6f0f2b3e1d04f5a6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f80912"

#define write_text(name, text) folder_write(name, text, strlen(text), 0644)

static const char http_json[] =
        "{\n    \"name\": \"HTTP Server\",\n    \"icon\": \"\",\n    \"services\": [\n        { \n            \"gatePort\": 8080,\n"
        "            \"serviceHost\": \"localhost\",\n            \"servicePort\": 8080,\n            \"protocol\": \"tcp\"\n"
        "        }        \n    ]\n}";

static const char minecraft_json[] =
        "{\"name\": \"Minecraft Server\", \"icon\": \"\", \"services\": [\n"
        " { \"gatePort\": 25565, \"serviceHost\": \"localhost\", \"servicePort\": 25565, \"protocol\": \"tcp\" },\n"
        " { \"gatePort\": 19132, \"serviceHost\": \"localhost\", \"servicePort\": 19132, \"protocol\": \"udp\" },\n"
        " { \"gatePort\": 8123, \"serviceHost\": \"localhost\", \"servicePort\": 8123, \"protocol\": \"tcp\" } ]}";

static struct conf *load(const char *text, const char *expected)
{
        const char *said;
        struct conf *conf;

        write_text("x.yaml", text);
        said = folder_load((struct conf_source)CONF_SOURCE_INIT, &conf);
        if (strcmp(said, expected) != 0)
                test_fail(__FILE__, __LINE__, "%s\n--- says\n%s", text, said);
        check(conf);
        return conf;
}

static void check_secret(const struct conf *conf)
{
        check(conf->has_secret);
        for (size_t i = 0; i < CONF_SECRET_BYTES; i++)
                check_equal(conf->secret[i], i);
}

static void check_service(const struct conf_service *service, unsigned gate_port, const char *host, unsigned port, const char *tags)
{
        check_equal(service->gate_port, gate_port);
        check_equal(service->service_port, port);
        check_equal(service->protocol, CONF_TCP);
        check(strcmp(service->host, host) == 0);
        check(strcmp(service->tags, tags) == 0);
}

TEST(conf_of_a_gateway_alone)
{
        struct folder folder = folder_begin();
        struct conf *conf = load("secretFile: key\ngateway:\n", "");
        static const uint8_t loopback[16] = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 }, any[4];

        check(strcmp(conf->name, "x") == 0);
        check_secret(conf);
        check(conf->gateway.present && !conf->provider.present && !conf->dht.persistent);
        check_equal(conf->gateway.listen_count, 1);
        check_bytes(conf->gateway.listen[0].ip, loopback, 16);
        check(strcmp(conf->gateway.listen[0].text, "127.0.0.1") == 0);
        check_equal(conf->gateway.filter_count, 0);
        check_equal(conf->gateway.route_finding_timeout_ms, 60000);
        check_equal(conf->port, 0);
        check_bytes(conf->host, any, 4);
        check(!conf->state_directory);
        check_equal(conf->log_level, 6);
        check(!conf->log_channels);
        check_equal(conf->bootstrap_count, 3);
        check(strcmp(conf->bootstrap[0].ip, "88.99.3.86") == 0 && strcmp(conf->bootstrap[0].host, "node1.hyperdht.org") == 0);
        check_equal(conf->bootstrap[0].port, 49737);
        conf_free(conf);
        folder_end(&folder);
}

TEST(conf_with_everything)
{
        struct folder folder = folder_begin();
        struct conf *conf;
        static const uint8_t loopback6[16] = { [15] = 1 }, host[4] = { 192, 0, 2, 7 }, public[4] = { 203, 0, 113, 9 };

        check(mkdir("etc", 0700) == 0);
        write_text("etc/http.json", http_json);
        write_text("etc/ssh.yaml", "services:\n  - {gatePort: 22, serviceHost: '::1', servicePort: 2222, tags: '  a   b '}\n");
        conf = load("secretFile: key\nstateDirectory: var\nport: 49740\nhost: 192.0.2.7\nlogLevel: Debug\nlogChannels: true\n"
                    "bootstrap: ['192.0.2.1@boot.example.org:1', boot2:65535]\n"
                    "dht: {persistent: true, public: '203.0.113.9:1000'}\n"
                    "provider:\n  services:\n"
                    "    - {gatePort: 80, serviceHost: web-1.example.org, servicePort: 8080, protocol: TCP, tags: docker "
                    "published}\n"
                    "    - etc/http.json\n    - etc/ssh.yaml\n"
                    "gateway:\n  listen: [0.0.0.0, '::1']\n  routeFindingTimeoutMs: 0\n"
                    "  services: [{gatePort: 80}, {tags: a b, protocol: udp, serviceHost: x, servicePort: 3}]\n", "");
        check(strcmp(conf->state_directory, "var") == 0);
        check_equal(conf->port, 49740);
        check_bytes(conf->host, host, 4);
        check_equal(conf->log_level, 7);
        check(conf->log_channels);
        check_equal(conf->bootstrap_count, 2);
        check(strcmp(conf->bootstrap[0].ip, "192.0.2.1") == 0 && strcmp(conf->bootstrap[0].host, "boot.example.org") == 0);
        check(conf->bootstrap[1].ip[0] == '\0' && strcmp(conf->bootstrap[1].host, "boot2") == 0);
        check_equal(conf->bootstrap[1].port, 65535);
        check(conf->dht.persistent);
        check_bytes(conf->dht.public_ip, public, 4);
        check_equal(conf->dht.public_port, 1000);
        check_equal(conf->provider.service_count, 3);
        check_service(&conf->provider.services[0], 80, "web-1.example.org", 8080, "docker published");
        check_service(&conf->provider.services[1], 8080, "localhost", 8080, "");
        check(strcmp(conf->provider.services[1].file, "etc/http.json") == 0);
        check_equal(conf->provider.services[1].line, 5);
        check_service(&conf->provider.services[2], 22, "::1", 2222, "a b");
        check_equal(conf->gateway.listen_count, 2);
        check_bytes(conf->gateway.listen[1].ip, loopback6, 16);
        check_equal(conf->gateway.route_finding_timeout_ms, 0);
        check_equal(conf->gateway.filter_count, 2);
        check_equal(conf->gateway.filters[0].fields, CONF_FILTER_GATE_PORT);
        check(conf->gateway.filters[0].host[0] == '\0');
        check_equal(conf->gateway.filters[1].fields,
                    CONF_FILTER_TAGS | CONF_FILTER_PROTOCOL | CONF_FILTER_HOST | CONF_FILTER_SERVICE_PORT);
        check_equal(conf->gateway.filters[1].protocol, CONF_UDP);
        check(strcmp(conf->gateway.filters[1].tags, "a b") == 0);
        conf_free(conf);
        folder_end(&folder);
}

/* The files that come with the original, and what else its JSON.parse() takes. */
TEST(conf_takes_the_service_files_of_the_original)
{
        struct folder folder = folder_begin();
        struct conf *conf;

        write_text("http.json", http_json);
        write_text("minecraft.json", minecraft_json);
        conf = load("secretFile: key\nprovider: {services: [http.json, minecraft.json]}\ngateway: {services: minecraft.json}\n",
                    "");
        check_equal(conf->provider.service_count, 4);
        check_equal(conf->provider.services[2].protocol, CONF_UDP);
        check_equal(conf->provider.services[2].gate_port, 19132);
        check_service(&conf->provider.services[3], 8123, "localhost", 8123, "");
        check_equal(conf->gateway.filter_count, 3);
        check_equal(conf->gateway.filters[1].protocol, CONF_UDP);
        conf_free(conf);

        write_text("odd", "\xef\xbb\xbf "
                          "[{\"gatePort\"\n:8.08e3,\"serviceHost\":\"\\u006cocalhost\",\"servicePort\":80.0,\"protocol\":\"Tcp\","
                          "\"tags\":null,\"comment\":\"\\ud83d\\ude00\"}]");
        conf = load("secretFile: key\nprovider: {services: odd}\n", "odd:2:88: warning: unknown key \"comment\" is passed over\n");
        check_service(&conf->provider.services[0], 8080, "localhost", 80, "");
        conf_free(conf);

        write_text("policy.json", "[{\"gatePort\":80,\"serviceHost\":\"a\",\"servicePort\":80,\"ingressPolicy\":{}},"
                                  " {\"gatePort\":81,\"serviceHost\":\"a\",\"servicePort\":80,\"ingressPolicy\":null}]");
        conf = load("secretFile: key\nprovider: {services: policy.json}\n", "");
        check_equal(conf->provider.service_count, 2);
        conf_free(conf);
        conf = load("secretFile: key\ngateway: {services: [{gatePort: 80, ingressPolicy: {defaults: {allow: false}}}]}\n", "");
        check_equal(conf->gateway.filter_count, 1);
        conf_free(conf);
        folder_end(&folder);
}

TEST(conf_keeps_one_of_equal_services_and_the_order)
{
        struct folder folder = folder_begin();
        struct conf *conf;

        write_text("http.json", http_json);
        conf = load("secretFile: key\nprovider:\n  services:\n"
                    "    - {gatePort: 9, serviceHost: b, servicePort: 1}\n"
                    "    - {gatePort: 8, serviceHost: a, servicePort: 1}\n"
                    "    - http.json\n"
                    "    - {gatePort: 9, serviceHost: b, servicePort: 1, tags: t}\n"
                    "    - {gatePort: 9, serviceHost: b, servicePort: 2}\n"
                    "    - {gatePort: 9, serviceHost: b, servicePort: 1, protocol: tcp}\n"
                    "    - {gatePort: 9, serviceHost: b, servicePort: 1, protocol: udp}\n"
                    "    - http.json\n", "");
        check_equal(conf->provider.service_count, 6);
        check_service(&conf->provider.services[0], 9, "b", 1, "");
        check_equal(conf->provider.services[0].line, 4);
        check_service(&conf->provider.services[1], 8, "a", 1, "");
        check_service(&conf->provider.services[2], 8080, "localhost", 8080, "");
        check_service(&conf->provider.services[3], 9, "b", 1, "t");
        check_service(&conf->provider.services[4], 9, "b", 2, "");
        check(conf->provider.services[5].service_port == 1 && conf->provider.services[5].protocol == CONF_UDP);
        conf_free(conf);
        folder_end(&folder);
}

TEST(conf_of_ports_in_a_row_and_of_both_protocols)
{
        struct folder folder = folder_begin();
        struct conf *conf;

        write_text("game.json", "[{\"gatePort\": \"27000-27050\", \"serviceHost\": \"a\", \"servicePort\": \"65485-65535\", \"protocol\": \"TCP+UDP\"}]");
        conf = load("secretFile: key\nprovider:\n  services:\n    - game.json\n"
                    "    - {gatePort: 7-7, serviceHost: a, servicePort: 8, protocol: udp}\n"
                    "gateway: {services: [{gatePort: 1000-65535, servicePort: '1-2', protocol: tcp+udp}, {gatePort: 7, protocol: udp}]}\n", "");
        check_equal(conf->provider.service_count, 2 * 51 + 1);
        for (unsigned i = 0; i < 102; i++) {
                const struct conf_service *service = &conf->provider.services[i];

                check_equal(service->gate_port, 27000 + i / 2);
                check_equal(service->service_port, 65485 + i / 2);
                check_equal(service->protocol, i % 2 ? CONF_UDP : CONF_TCP);
                check(strcmp(service->file, "game.json") == 0 && service->line == 1);
        }
        check(conf->provider.services[102].gate_port == 7 && conf->provider.services[102].service_port == 8);
        check_equal(conf->gateway.filters[0].fields, CONF_FILTER_GATE_PORT | CONF_FILTER_SERVICE_PORT);
        check(conf->gateway.filters[0].gate_port == 1000 && conf->gateway.filters[0].gate_port_last == 65535);
        check(conf->gateway.filters[0].service_port == 1 && conf->gateway.filters[0].service_port_last == 2);
        check(conf->gateway.filters[1].gate_port == 7 && conf->gateway.filters[1].gate_port_last == 7);
        check_equal(conf->gateway.filters[1].protocol, CONF_UDP);
        conf_free(conf);
        folder_end(&folder);
}

TEST(conf_of_a_unix_socket)
{
        struct folder folder = folder_begin();
        struct conf *conf = load("secretFile: key\nprovider:\n  services:\n    - {gatePort: 7-7, serviceHost: 'unix:/run/a b.sock', tags: t}\n"
                                 "gateway: {services: [{serviceHost: unix:/run/x}]}\n", "");

        check_service(&conf->provider.services[0], 7, "unix:/run/a b.sock", 0, "t");
        check(strcmp(conf_service_path(&conf->provider.services[0]), "/run/a b.sock") == 0);
        check(strcmp(conf->gateway.filters[0].host, "unix:/run/x") == 0);
        conf_free(conf);
        folder_end(&folder);
}

TEST(conf_of_an_alias_announced_and_filtered_by)
{
        struct folder folder = folder_begin();
        struct conf *conf = load("secretFile: key\nprovider: {services: [{gatePort: 1, serviceHost: 10.0.0.7, alias: db.internal, servicePort: 2},"
                                 " {gatePort: 2, serviceHost: 10.0.0.7, servicePort: 2}]}\n"
                                 "gateway: {services: [{gatePort: 1, serviceHost: 10.0.0.7, alias: db.internal}]}\n", "");
        const struct conf_service *services = conf->provider.services;

        check_service(&services[0], 1, "10.0.0.7", 2, "");
        check(strcmp(conf_service_announced(&services[0]), "db.internal") == 0);
        check(!services[1].alias && strcmp(conf_service_announced(&services[1]), "10.0.0.7") == 0);
        check_equal(conf->gateway.filters[0].fields, CONF_FILTER_GATE_PORT | CONF_FILTER_HOST);
        check(strcmp(conf->gateway.filters[0].host, "db.internal") == 0);
        conf_free(conf);
        folder_end(&folder);
}

TEST(conf_of_a_bootstrap_node)
{
        struct folder folder = folder_begin();
        struct conf *conf = load("dht: {persistent: true}\nhost: 127.0.0.1\nport: 4000\nbootstrap: []\n", "");
        static const uint8_t loopback[4] = { 127, 0, 0, 1 };

        check(!conf->has_secret);
        check_equal(conf->bootstrap_count, 0);
        check_bytes(conf->dht.public_ip, loopback, 4);
        check_equal(conf->dht.public_port, 4000);
        conf_free(conf);
        folder_end(&folder);
}

TEST(conf_of_relays)
{
        static const char key[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1F";
        struct folder folder = folder_begin();
        char text[512];
        struct conf *conf = load("relay: {open: true}\n", "");

        check(conf->relay.present && conf->relay.anybody && !conf->has_secret);
        check_equal(conf->relay.connections, 0);
        conf_free(conf);
        conf = load("secretFile: key\nrelay:\n", "");
        check(conf->relay.present && !conf->relay.never && !conf->relay.anybody && conf->has_secret);
        conf_free(conf);
        conf = load("secretFile: key\nrelay: {connections: 1, connectionsPerClient: 65536, bytesPerSecond: 4294967295, bytesPerSecondPerClient: 10000}\n", "");
        check_equal(conf->relay.connections, 1);
        check_equal(conf->relay.connections_per_client, 65536);
        check_equal(conf->relay.bytes_per_second, UINT32_MAX);
        check_equal(conf->relay.bytes_per_second_per_client, 10000);
        conf_free(conf);
        snprintf(text, sizeof(text), "secretFile: key\ngateway:\nrelay: false\nrelays: [%s, %.63s0]\n", key, key);
        conf = load(text, "");
        check(!conf->relay.present && conf->relay.never);
        check_equal(conf->relay_count, 2);
        for (unsigned i = 0; i < CONF_KEY_BYTES; i++)
                check_equal(conf->relays[0][i], i);
        check_equal(conf->relays[1][31], 0x10);
        conf_free(conf);
        snprintf(text, sizeof(text), "secretFile: key\ngateway:\nrelays: %s\n", key);
        conf = load(text, "");
        check_equal(conf->relay_count, 1);
        conf_free(conf);
        folder_end(&folder);
}

TEST(conf_of_peers)
{
        static const char key[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1F";
        struct folder folder = folder_begin();
        char text[512];
        struct conf *conf;

        snprintf(text, sizeof(text), "secretFile: key\ngateway:\npeers: [%s@192.0.2.1:49737, \"%s@house.example:1\"]\n", key, key);
        conf = load(text, "");
        check_equal(conf->peer_count, 2);
        for (unsigned i = 0; i < CONF_KEY_BYTES; i++)
                check_equal(conf->peers[1].key[i], i);
        check(strcmp(conf->peers[0].host, "192.0.2.1") == 0 && conf->peers[0].port == 49737);
        check(strcmp(conf->peers[1].host, "house.example") == 0 && conf->peers[1].port == 1);
        conf_free(conf);
        folder_end(&folder);
}

TEST(conf_paths_start_from_the_file_that_names_them)
{
        struct folder folder = folder_begin();
        struct conf_source source = CONF_SOURCE_INIT;
        struct conf *conf;

        check(mkdir("etc", 0700) == 0 && rename("key", "etc/key") == 0);
        write_text("etc/router.1.yaml", "secretFile: key\nstateDirectory: ../var\nprovider: {services: [http.json]}\n");
        write_text("etc/http.json", http_json);
        source.path = "etc/router.1.yaml";
        check(strcmp(folder_load(source, &conf), "") == 0);
        check(strcmp(conf->name, "router.1") == 0);
        check(strcmp(conf->state_directory, "etc/../var") == 0);
        check(strcmp(conf->provider.services[0].file, "etc/http.json") == 0);
        conf_free(conf);
        folder_end(&folder);
}

TEST(conf_secret_comes_from_the_first_that_has_one)
{
        static const char wrong[] = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
        struct folder folder = folder_begin();
        struct conf_source source = { .fd = -1, .secret_fd = -1, .router_secret = FOLDER_SECRET };
        struct conf *conf;

        write_text("x.yaml", "gateway:\n");
        check(strcmp(folder_load(source, &conf), "") == 0);
        check_secret(conf);
        conf_free(conf);

        source.router_secret = wrong;
        source.credentials_directory = "credentials";
        check(strcmp(folder_load(source, &conf), "") == 0);
        check_equal(conf->secret[0], 0xff);
        conf_free(conf);
        check(mkdir("credentials", 0700) == 0);
        folder_write("credentials/router.key", FOLDER_SECRET, 64, 0440);
        check(strcmp(folder_load(source, &conf), "") == 0);
        check_secret(conf);
        conf_free(conf);
        folder_write("credentials/router.key", wrong, 63, 0440);
        check(strcmp(folder_load(source, &conf), "credentials/router.key:1:1: the router secret has 63 characters, not 64\n") == 0);

        write_text("x.yaml", "secretFile: key\ngateway:\n");
        check(strcmp(folder_load(source, &conf), "") == 0);
        check_secret(conf);
        conf_free(conf);

        folder_write("fd", wrong, 64, 0600);
        source.secret_fd = open("fd", O_RDONLY | O_CLOEXEC);
        check(strcmp(folder_load(source, &conf), "") == 0);
        check_equal(conf->secret[31], 0xff);
        conf_free(conf);
        folder_write("fd", "zz", 2, 0600);
        check(strcmp(folder_load(source, &conf), "--router: the router secret: character 1 is none of 0-9 a-f; it is 64 of "
                                                 "these and nothing else\n") == 0);
        close(source.secret_fd);
        folder_end(&folder);
}

TEST(conf_takes_a_blank_credential_for_none_and_names_where_systemd_has_one)
{
        struct folder folder = folder_begin();
        struct conf_source source = { .fd = -1, .secret_fd = -1, .credentials_directory = "credentials" };
        struct conf *conf;

        check(mkdir("credentials", 0700) == 0);
        folder_write("credentials/router.key", "\n", 1, 0440);
        write_text("x.yaml", "gateway:\n");
        check(strstr(folder_load(source, &conf), "no router secret: name its file with secretFile"));
        source.notify_socket = "/run/systemd/notify";
        check(strstr(folder_load(source, &conf), "no router secret: LoadCredential=router.key:FILE"));
        write_text("x.yaml", "dht: {persistent: true, public: \"192.0.2.1:1\"}\n");
        check(strcmp(folder_load(source, &conf), "") == 0);
        check(!conf->has_secret);
        conf_free(conf);

        write_text("x.yaml", "gateway:\n");
        source.router_secret = FOLDER_SECRET;
        check(strcmp(folder_load(source, &conf), "") == 0);
        check_secret(conf);
        conf_free(conf);
        folder_end(&folder);
}

TEST(conf_takes_what_root_hands_over_before_all_else_and_remembers_it)
{
        struct folder folder = folder_begin();
        struct conf_source source = { .fd = -1, .secret_fd = -1, .credentials_directory = "credentials" };
        static const char handed[] = FOLDER_SECRET "\n" OTHER_SECRET " until 2100-01-01T00:00:00Z\n";
        struct conf *running, *conf;

        check(mkdir("credentials", 0700) == 0);
        folder_write("credentials/router.key", OTHER_SECRET "\n", strlen(OTHER_SECRET) + 1, 0400);
        folder_write("handed", handed, sizeof(handed) - 1, 0600);
        write_text("x.yaml", "gateway:\n");
        source.secret_fd = open("handed", O_RDONLY | O_CLOEXEC);
        source.secret_handed = true;
        check(strcmp(folder_load(source, &running), "") == 0);
        check_secret(running);
        check_equal(running->previous_count, 1);

        write_text("x.yaml", "dht: {persistent: true, public: \"192.0.2.1:1\"}\n");
        check(strstr(folder_load(source, &conf), "--secret-file: the instance has no router"));
        write_text("x.yaml", "gateway:\n");
        folder_write("handed", "no secret", strlen("no secret"), 0600);
        check(strstr(folder_load(source, &conf), "--secret-file:1:1: the router secret: character 1 is none"));
        close(source.secret_fd);

        source = (struct conf_source){ .fd = -1, .secret_fd = -1, .credentials_directory = "credentials", .credential_old = true };
        source.running = running;
        check(strcmp(folder_load(source, &conf), "") == 0);
        check_secret(conf);
        check_equal(conf->previous_count, 1);
        conf_free(conf);
        source.credential_old = false;
        check(strcmp(folder_load(source, &conf), "") == 0);
        check(memcmp(conf->secret, running->secret, CONF_SECRET_BYTES) != 0);
        conf_free(conf);
        conf_free(running);
        folder_end(&folder);
}

TEST(conf_environment_fills_what_is_not_set)
{
        struct folder folder = folder_begin();
        struct conf_source source = { .fd = -1, .secret_fd = -1, .credentials_directory = "mine" };
        struct conf *conf;

        check(setenv("HYPERGATE_ROUTER", FOLDER_SECRET, 1) == 0);
        check(setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x", 1) == 0);
        check(setenv("STATE_DIRECTORY", "/var/lib/one:/var/lib/two", 1) == 0);
        conf_source_environment(&source);
        check(strcmp(source.credentials_directory, "mine") == 0);
        write_text("x.yaml", "gateway:\n");
        check(strcmp(folder_load(source, &conf), "") == 0);
        check_secret(conf);
        check(strcmp(conf->state_directory, "/var/lib/one") == 0);
        conf_free(conf);
        write_text("x.yaml", "gateway:\nstateDirectory: /srv\n");
        check(strcmp(folder_load(source, &conf), "") == 0);
        check(strcmp(conf->state_directory, "/srv") == 0);
        conf_free(conf);
        unsetenv("HYPERGATE_ROUTER");
        unsetenv("CREDENTIALS_DIRECTORY");
        unsetenv("STATE_DIRECTORY");
        folder_end(&folder);
}

TEST(conf_verbose_goes_before_what_the_file_says)
{
        static const char text[] = "secretFile: key\ngateway:\nlogLevel: error\n";
        struct conf_source source = CONF_SOURCE_INIT;
        struct folder folder = folder_begin();
        struct conf *conf;

        folder_write("x.yaml", text, strlen(text), 0644);
        source.verbose = true;
        check(!folder_load(source, &conf)[0]);
        check_equal(conf->log_level, 7);
        conf_free(conf);
        folder_end(&folder);
}

TEST(conf_of_the_command_line_names_flags)
{
        static const char *const flags[] = { NULL, "--listen", "--provider", NULL };
        static const char text[] = "gateway: {\nlisten: here,\nservices: ['[{\"gatePort\": 0}]']\n}\nhost: there\n";
        struct folder folder = folder_begin();
        struct conf_source source = {
                .path = "command line", .secret_fd = -1, .router_secret = FOLDER_SECRET, .flags = flags, .flag_count = 4,
        };
        struct conf *conf;

        write_text("sheet", text);
        source.fd = open("sheet", O_RDONLY | O_CLOEXEC);
        for (int i = 0; i < 2; i++)     /* again: from the start of the file */
                check(strcmp(folder_load(source, &conf),
                             "--listen: listen: expected an address of this machine, such as 127.0.0.1, 0.0.0.0 (all) or ::1, "
                             "not \"here\"\n"
                             "command line:5:7: host: expected an IPv4 address such as 0.0.0.0, not \"there\"\n"
                             "--provider:1:15: gatePort: expected a whole number from 1 to 65535, such as 8080, not \"0\"\n") == 0);
        check(fcntl(source.fd, F_GETFD) >= 0);
        close(source.fd);

        /* hypergated reads it again, without knowing flags. */
        source.flags = NULL;
        source.flag_count = 0;
        write_text("sheet", "provider: {services: ['[{\"gatePort\": 1, \"serviceHost\": \"a\", \"servicePort\": 2, \"x\": "
                            "3}]']}\n");
        source.fd = open("sheet", O_RDONLY | O_CLOEXEC);
        check(strcmp(folder_load(source, &conf), "command line:1:56: warning: unknown key \"x\" is passed over\n") == 0);
        check_service(&conf->provider.services[0], 1, "a", 2, "");
        check(strcmp(conf->provider.services[0].file, "command line") == 0);
        conf_free(conf);
        close(source.fd);
        folder_end(&folder);
}

TEST(conf_urls_are_read)
{
        static const struct { const char *text, *host; uint16_t port; bool tls; } urls[] = {
                { "http://a/x", "a", 80, false }, { "https://a", "a", 443, true }, { "https://a.b:8443?q=1", "a.b", 8443, true },
                { "http://[::1]:1/", "::1", 1, false }, { "http://192.0.2.1/%20", "192.0.2.1", 80, false },
                { "http://a:/", NULL }, { "http://a:0/", NULL }, { "http://a:65536/", NULL }, { "http://a:1x/", NULL }, { "http://::1/", NULL },
                { "http://[a]/", NULL }, { "http://[::1/", NULL }, { "http://[::1]1/", NULL }, { "http:///x", NULL }, { "http://a b/", NULL },
                { "http://a/\xc3\xa4", NULL }, { "http://a/#f", NULL }, { "http://u@a/", NULL }, { "HTTP://a/", NULL }, { "file:///x", NULL },
        };

        for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
                struct conf_url url;
                bool good = !conf_url_read(urls[i].text, &url);

                check_equal(good, urls[i].host != NULL);
                check(!good || (strcmp(url.host, urls[i].host) == 0 && url.port == urls[i].port && url.tls == urls[i].tls));
        }
}

static const char *fetched(void *context, const char *url, size_t *len_out)
{
        const char *text = strcmp(url, "http://a/known?x=1") == 0 ? context : NULL;

        *len_out = text ? strlen(text) : 0;
        return text;
}

/* What is not known yet is no service, and a filter that nothing passes. */
TEST(conf_of_service_files_behind_urls)
{
        static const char text[] = "provider: {services: ['http://a/known?x=1', 'http://a/later', 'http://a/later']}\n"
                                   "gateway: {services: 'http://a/later'}\n";
        static char list[] = "{\"services\": [{\"gatePort\": 1, \"serviceHost\": \"a\", \"servicePort\": 2}]}", wrong[] = "[{\"gatePort\": 0}]";
        struct folder folder = folder_begin();
        struct conf_source source = { .path = "x.yaml", .fd = -1, .secret_fd = -1, .router_secret = FOLDER_SECRET, .fetched = fetched,
                                      .fetched_context = list };
        struct conf *conf;

        write_text("x.yaml", text);
        check(strcmp(folder_load(source, &conf), "") == 0);
        check_equal(conf->provider.service_count, 1);
        check_service(&conf->provider.services[0], 1, "a", 2, "");
        check_equal(conf->provider.url_count, 2);
        check_equal(conf->gateway.url_count, 1);
        check_equal(conf->gateway.filter_count, 1);
        check(conf->gateway.filters[0].fields == CONF_FILTER_GATE_PORT &&
              conf->gateway.filters[0].gate_port > conf->gateway.filters[0].gate_port_last);
        conf_free(conf);

        source.fetched_context = wrong;
        check(strcmp(folder_load(source, &conf),
                     "http://a/known:1:2: a service without serviceHost, where it runs, such as serviceHost: 127.0.0.1\n"
                     "http://a/known:1:2: a service without servicePort, its port there, such as servicePort: 80\n"
                     "http://a/known:1:15: gatePort: expected a whole number from 1 to 65535, such as 8080, not \"0\"\n") == 0);
        folder_end(&folder);
}

TEST(conf_reads_pipes)
{
        struct folder folder = folder_begin();
        struct conf_source source = { .fd = -1, .secret_fd = -1, .router_secret = FOLDER_SECRET };
        int pipe_fds[2];
        struct conf *conf;
        char path[32];

        check(pipe(pipe_fds) == 0 && write(pipe_fds[1], "gateway:\n", 9) == 9);
        close(pipe_fds[1]);
        snprintf(path, sizeof(path), "/dev/fd/%d", pipe_fds[0]);
        source.path = path;
        check(strcmp(folder_load(source, &conf), "") == 0);
        check(conf->gateway.present);
        conf_free(conf);
        close(pipe_fds[0]);
        folder_end(&folder);
}

/* In a child: it is to die of it. */
static int signal_of_writing(struct conf *conf, void *at)
{
        pid_t pid = fork();
        int status;

        check(pid >= 0);
        if (pid == 0) {
                signal(SIGSEGV, SIG_DFL);       /* a sanitizer would report it instead */
                *(volatile uint8_t *)at = 1;
                _exit(0);
        }
        check(waitpid(pid, &status, 0) == pid);
        return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST(conf_is_read_only_memory)
{
        struct folder folder = folder_begin();
        struct conf *conf = load("secretFile: key\nprovider: {services: [{gatePort: 1, serviceHost: a, servicePort: 2}]}\n", "");

        check_equal(signal_of_writing(conf, &conf->port), SIGSEGV);
        check_equal(signal_of_writing(conf, conf->secret), SIGSEGV);
        check_equal(signal_of_writing(conf, (void *)(uintptr_t)conf->provider.services[0].host), SIGSEGV);
        conf_free(conf);
        conf_free(NULL);
        folder_end(&folder);
}

TEST(conf_quotes_what_can_be_shown)
{
        char out[128];

        check(strcmp(conf_quote("plain", out, sizeof(out)), "\"plain\"") == 0);
        check(strcmp(conf_quote("\x1b[2J\r\n\xff\xc3\xa9", out, sizeof(out)), "\"\\u{1b}[2J\\u{d}\\u{a}\\xff\\u{e9}\"") == 0);
        check(strcmp(conf_quote("a\xe2\x80\xaeZ", out, sizeof(out)), "\"a\\u{202e}Z\"") == 0);
        check(strcmp(conf_quote("0123456789abcde", out, sizeof(out)), "\"0123456789abcde\"") == 0);
        check(strcmp(conf_quote("0123456789abcdeF", out, sizeof(out)), "(16 characters)") == 0);
        check(strcmp(conf_quote("xx" FOLDER_SECRET, out, sizeof(out)), "(66 characters)") == 0);
        conf_quote("The quick brown fox jumps over the lazy dog, The quick brown fox jumps over the lazy dog", out, sizeof(out));
        check(strcmp(out, "\"The quick brown fox jumps over the lazy dog, The quick brow...\"") == 0);
        check(strcmp(conf_quote("plain", out, 4), "\"pl") == 0);
}

static const char *suggest(const char *word)
{
        static const char *const names[] = { "gatePort", "servicePort", "serviceHost", "tcp", "ip", NULL };

        return conf_suggest(word, names) ? conf_suggest(word, names) : "";
}

TEST(conf_suggests_what_was_meant)
{
        check(strcmp(suggest("gate_port"), "gatePort") == 0);
        check(strcmp(suggest("GATEPORT"), "gatePort") == 0);
        check(strcmp(suggest("getPort"), "gatePort") == 0);
        check(strcmp(suggest("agtePort"), "gatePort") == 0);
        check(strcmp(suggest("serviceProt"), "servicePort") == 0);
        check(strcmp(suggest("gate"), "gatePort") == 0);
        check(strcmp(suggest("tpc"), "tcp") == 0);
        check(strcmp(suggest("op"), "ip") == 0);
        check(strcmp(suggest("udp"), "") == 0);
        check(strcmp(suggest("host"), "") == 0);
        check(strcmp(suggest(""), "") == 0);
        check(strcmp(suggest("0123456789012345678901234567890123456789"), "") == 0);
}
