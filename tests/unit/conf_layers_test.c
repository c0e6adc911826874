/* SPDX-License-Identifier: BSD-3-Clause */
/* Configurations of several files: who has the last word, what adds up, and which file a complaint names. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "conf_folder.h"
#include "test.h"

#define KEEPS "this changes with a restart alone; until then it stays as it was\n"
#define A "{gatePort: 1, serviceHost: a, servicePort: 10}"
#define B "{gatePort: 2, serviceHost: b, servicePort: 20}"
#define C "{gatePort: 3, serviceHost: c, servicePort: 30}"
#define KEY "0b7c1f6f2a3e4d5c6b7a8990a1b2c3d4e5f60718293a4b5c6d7e8f900112233"

static void write_text(const char *name, const char *text)
{
        folder_write(name, text, strlen(text), 0644);
}

static struct folder begin(const char *text)
{
        struct folder folder = folder_begin();

        check(mkdir("x.yaml.d", 0755) == 0);
        write_text("x.yaml", text);
        return folder;
}

static struct conf *load(const char *expected)
{
        const char *said;
        struct conf *conf;

        said = folder_load((struct conf_source)CONF_SOURCE_INIT, &conf);
        if (strcmp(said, expected) != 0)
                test_fail(__FILE__, __LINE__, "says\n%s", said);
        return conf;
}

static void end(struct folder *folder, struct conf *conf)
{
        conf_free(conf);
        folder_end(folder);
}

static void check_gate_ports(const struct conf *conf, const char *expected)
{
        char ports[128] = "";

        for (size_t i = 0; i < conf->provider.service_count; i++)
                snprintf(ports + strlen(ports), sizeof(ports) - strlen(ports), " %u", conf->provider.services[i].gate_port);
        if (strcmp(ports, expected) != 0)
                test_fail(__FILE__, __LINE__, "%s", ports);
}

TEST(drop_ins_go_before_the_file_and_later_names_before_earlier_ones)
{
        struct folder folder = begin("secretFile: key\nport: 1\nlogLevel: error\ngateway: {listen: 127.0.0.1, udpSocketTimeoutMs: 5000}\n");
        struct conf *conf;

        write_text("x.yaml.d/20.yaml", "logLevel: debug\nport: 3\n");
        write_text("x.yaml.d/10.yaml", "port: 2\nlogLevel: notice\ngateway: {listen: ['::1'], routeFindingTimeoutMs: 7}\n");
        write_text("x.yaml.d/B.yaml", "# nothing\n");
        write_text("x.yaml.d/a.yaml", "");
        conf = load("");
        check_equal(conf->port, 3);
        check_equal(conf->log_level, 7);
        check(conf->gateway.listen_count == 1 && strcmp(conf->gateway.listen[0].text, "::1") == 0);
        check_equal(conf->gateway.udp_timeout_ms, 5000);
        check_equal(conf->gateway.route_finding_timeout_ms, 7);
        check_equal(conf->file_count, 3);
        check(strcmp(conf->files[0], "x.yaml") == 0 && strcmp(conf->files[2], "x.yaml.d/20.yaml") == 0);
        end(&folder, conf);
}

TEST(services_peers_and_relays_of_all_files_add_up)
{
        struct folder folder = begin("secretFile: key\nprovider: {services: [" A "]}\npeers: ['" KEY "1@a:1']\nrelays: [" KEY "1]\n"
                                     "gateway: {services: [{gatePort: 1}], except: {tags: internal}}\nbootstrap: ['one:1']\n");
        struct conf *conf;

        write_text("x.yaml.d/1.yaml", "provider: {services: [" B ", " A "]}\npeers: ['" KEY "2@a:1']\nrelays: [" KEY "2]\n"
                                      "bootstrap: ['two:2']\ngateway: {services: {gatePort: 2}, except: [{gatePort: 9}]}\n");
        conf = load("");
        check_gate_ports(conf, " 1 2");
        check(conf->peer_count == 2 && conf->peers[0].key[31] == 0x31 && conf->peers[1].key[31] == 0x32);
        check(conf->relay_count == 2 && conf->relays[1][31] == 0x32);
        check(conf->gateway.filter_count == 2 && conf->gateway.filters[1].gate_port == 2);
        check(conf->gateway.exception_count == 2 && conf->gateway.exceptions[1].gate_port == 9);
        check(conf->bootstrap_count == 1 && strcmp(conf->bootstrap[0].host, "two") == 0);
        conf_free(conf);

        write_text("x.yaml.d/2.yaml", "provider: {services: []}\npeers: []\nrelays: []\nbootstrap: []\ngateway: {services: []}\n");
        conf = load("x.yaml.d/2.yaml:5:21: warning: services: this takes away those of other files: every service passes\n");
        check_gate_ports(conf, "");
        check(conf->peer_count == 0 && conf->relay_count == 0 && conf->bootstrap_count == 0 && conf->gateway.filter_count == 0);
        conf_free(conf);

        write_text("x.yaml.d/3.yaml", "provider: {services: [" C "]}\n");
        conf = load("x.yaml.d/2.yaml:5:21: warning: services: this takes away those of other files: every service passes\n");
        check_gate_ports(conf, " 3");
        end(&folder, conf);
}

TEST(peers_that_are_allowed_add_up_and_are_never_none)
{
        struct folder folder = begin("secretFile: key\nprovider: {allowPeers: " KEY "1}\ngateway: {allowPeers: [" KEY "2]}\n");
        struct conf *conf;

        write_text("x.yaml.d/1.yaml", "provider: {allowPeers: [" KEY "3, " KEY "4]}\n");
        conf = load("");
        check_equal(conf->gateway.allowed.count, 1);
        check_equal(conf->provider.allowed.count, 3);
        for (uint8_t i = 0; i < 3; i++)
                check_equal(conf->provider.allowed.list[i][31], i ? 0x32 + i : 0x31);
        conf_free(conf);

        write_text("x.yaml.d/2.yaml", "peers: ['" KEY "4@a:1', '" KEY "2@b:2', '" KEY "5@c:3']\n");
        conf = load("x.yaml: warning: peers: the one at c:3 is not among allowPeers: it is not dialled\n");
        end(&folder, conf);
}

TEST(what_a_map_says_stays_unless_it_is_said_again_and_a_word_replaces_it)
{
        struct folder folder = begin("secretFile: key\ngateway:\nrelay: {connections: 5, open: true}\n"
                                     "dht: {persistent: true, public: '192.0.2.1:1'}\n");
        struct conf *conf;

        write_text("x.yaml.d/1.yaml", "relay: {connections: 6}\ndht: {public: '192.0.2.1:2'}\ngateway:\n");
        conf = load("");
        check(conf->relay.connections == 6 && conf->relay.anybody);
        check(conf->dht.persistent && conf->dht.public_port == 2);
        conf_free(conf);
        write_text("x.yaml.d/2.yaml", "relay: false\n");
        conf = load("");
        check(conf->relay.never && !conf->relay.present && !conf->relay.connections && !conf->relay.anybody);
        conf_free(conf);
        write_text("x.yaml.d/3.yaml", "relay:\n");
        conf = load("");
        check(conf->relay.present && !conf->relay.never && !conf->relay.connections);
        end(&folder, conf);
}

TEST(a_file_has_the_last_word_over_those_it_includes)
{
        struct folder folder = begin("include: [common/all.yaml, 'more.yaml']\nport: 3\nprovider: {services: [" C "]}\n");
        struct conf *conf;

        check(mkdir("common", 0755) == 0);
        write_text("common/all.yaml", "include: host.yaml\nport: 1\nlogLevel: error\nsecretFile: ../key\nstateDirectory: state\n"
                                      "provider: {services: [" A "]}\n");
        write_text("common/host.yaml", "port: 9\nhost: 192.0.2.1\nlogChannels: true\n");
        write_text("more.yaml", "port: 2\nlogLevel: warning\nprovider: {services: [" B "]}\n");
        conf = load("");
        check_equal(conf->port, 3);
        check_equal(conf->log_level, 4);
        check(conf->log_channels && conf->host[3] == 1);
        check_gate_ports(conf, " 1 2 3");
        check(strcmp(conf->state_directory, "common/state") == 0);
        check(strcmp(conf->secret_file, "common/../key") == 0);
        conf_free(conf);

        write_text("x.yaml.d/1.yaml", "include: ../common/host.yaml\nlogLevel: debug\n");
        conf = load("");
        check_equal(conf->port, 9);
        check_equal(conf->log_level, 7);
        end(&folder, conf);
}

TEST(the_last_secret_file_is_the_only_one_that_is_read)
{
        struct folder folder = begin("secretFile: none\ngateway:\n");
        struct conf *conf;

        write_text("x.yaml.d/1.yaml", "secretFile: ../key\n");
        conf = load("");
        check(conf->has_secret && conf->secret[1] == 1);
        conf_free(conf);
        write_text("x.yaml.d/2.yaml", "\nsecretFile: [../key]\n");
        load("x.yaml.d/2.yaml:2:13: secretFile: expected a text such as \"/etc/hypergate/router1.key\", not a list\n");
        write_text("x.yaml.d/2.yaml", "\nsecretFile: gone\n");
        load("x.yaml.d/2.yaml:2:13: secretFile: cannot read \"gone\": No such file or directory; \"hypergate new --output FILE\" makes one\n");
        folder_end(&folder);
}

TEST(complaints_name_the_file_that_is_wrong)
{
        struct folder folder = begin("secretFile: key\nprot: 1\ngateway:\ninclude: [one.yaml, '', {}]\n");

        write_text("one.yaml", "gateway: {listen: here}\n");
        write_text("x.yaml.d/1.yaml", "dht: {persistent: true}\n");
        write_text("x.yaml.d/2.yaml", "port: x\nlogLevel: much\n");
        write_text("x.yaml.d/3.yaml", "[1]\n");
        load("x.yaml:2:1: unknown key \"prot\"; did you mean port?\n"
             "x.yaml:4:21: include: expected a text such as \"common.yaml\", not \"\"\n"
             "x.yaml:4:25: include: expected a text such as \"common.yaml\", not a map\n"
             "one.yaml:1:19: listen: expected an address of this machine, such as 127.0.0.1, 0.0.0.0 (all) or ::1, not \"here\"\n"
             "x.yaml.d/2.yaml:1:7: port: expected a whole number from 0 to 65535, such as 49737, not \"x\"\n"
             "x.yaml.d/2.yaml:2:11: logLevel: expected error, warning, notice, info or debug, not \"much\"\n"
             "x.yaml.d/3.yaml:1:1: expected a map of keys and values, such as \"secretFile: ...\", not a list\n");
        check(unlink("x.yaml.d/2.yaml") == 0 && unlink("x.yaml.d/3.yaml") == 0);
        write_text("x.yaml", "secretFile: key\ngateway:\n");
        load("x.yaml.d/1.yaml:1:1: dht: a persistent node must say where others reach it: public: IP:PORT, such as 192.0.2.1:49737\n");
        folder_end(&folder);
}

TEST(what_is_in_the_way_of_an_include_is_told_where_it_stands)
{
        struct folder folder = begin("secretFile: key\ngateway:\ninclude: [gone.yaml, '*.yaml', x.yaml.d]\n");
        char name[16], text[64];

        load("x.yaml:3:11: include: cannot read \"gone.yaml\": No such file or directory\n"
             "x.yaml:3:22: include: cannot read \"*.yaml\": No such file or directory; patterns mean nothing here: name each file\n"
             "x.yaml:3:32: include: cannot read \"x.yaml.d\": it is a folder\n");
        write_text("x.yaml", "secretFile: key\ngateway:\ninclude: [two.yaml]\n");
        write_text("two.yaml", "include: ./x.yaml\n");
        load("two.yaml:1:10: include: \"./x.yaml\" is being read already: this would never end\n");
        for (unsigned i = 1; i <= 9; i++) {
                snprintf(name, sizeof(name), "%u.yaml", i);
                snprintf(text, sizeof(text), i == 9 ? "port: 9\n" : "include: %u.yaml\n", i + 1);
                write_text(name, text);
        }
        write_text("x.yaml", "secretFile: key\ngateway:\ninclude: [2.yaml]\n");
        conf_free(load(""));
        write_text("x.yaml", "secretFile: key\ngateway:\ninclude: [1.yaml]\n");
        load("8.yaml:1:10: include: more than 8 files of which each names the next\n");
        folder_end(&folder);
}

TEST(only_files_that_end_with_yaml_are_drop_ins)
{
        struct folder folder = begin("secretFile: key\ngateway:\n");
        struct conf *conf;

        write_text("x.yaml.d/.hidden.yaml", "port: x\n");
        write_text("x.yaml.d/old.yaml~", "port: x\n");
        write_text("x.yaml.d/README", "port: x\n");
        write_text("x.yaml.d/x.yml", "port: x\n");
        conf = load("x.yaml.d/x.yml: warning: passed over: the name of a drop-in ends with .yaml\n");
        conf_free(conf);
        check(unlink("x.yaml.d/x.yml") == 0 && mkdir("x.yaml.d/y.yaml", 0700) == 0 && symlink("gone", "x.yaml.d/z.yaml") == 0);
        load("x.yaml.d/y.yaml: cannot read it: it is a folder\n"
             "x.yaml.d/z.yaml: cannot read it: No such file or directory\n");
        folder_end(&folder);
        folder = folder_begin();
        write_text("x.yaml", "secretFile: key\ngateway:\n");
        write_text("x.yaml.d", "port: 1\n");
        load("x.yaml.d: cannot read this folder: Not a directory\n");
        folder_end(&folder);
}

TEST(names_that_are_passed_over_cost_no_drop_in_its_place)
{
        struct folder folder = begin("secretFile: key\ngateway:\n");
        const char *said;
        struct conf *conf;
        char name[64];

        for (unsigned i = 0; i <= CONF_FILES_MAX; i++) {
                snprintf(name, sizeof(name), "x.yaml.d/a%03u.yml", i);
                write_text(name, "port: x\n");
        }
        write_text("x.yaml.d/z.yaml", "port: x\n");
        said = folder_load((struct conf_source)CONF_SOURCE_INIT, &conf);
        check(!conf && strstr(said, "x.yaml.d/a000.yml: warning: passed over: "));
        check(strstr(said, "x.yaml.d/z.yaml:1:7: port: expected a whole number"));
        write_text("x.yaml.d/z.yaml", "port: 7\n");
        said = folder_load((struct conf_source)CONF_SOURCE_INIT, &conf);
        check(conf && conf->port == 7);
        end(&folder, conf);
}

TEST(a_folder_whose_drop_ins_have_too_long_paths_is_told_once)
{
        struct folder folder = begin("secretFile: key\ngateway:\n");
        char path[PATH_MAX], name[300];
        struct conf_source source = CONF_SOURCE_INIT;
        struct conf_complaints complaints;
        struct conf *conf = NULL;
        size_t used = 0;

        for (unsigned i = 0; i < 1200; i++) {
                snprintf(name, sizeof(name), "x.yaml.d/%0200u.yaml", i);
                write_text(name, "port: 1\n");
        }
        while (used < sizeof(path) - 20)
                used += (size_t)snprintf(path + used, sizeof(path) - used, "./");
        snprintf(path + used, sizeof(path) - used, "x.yaml");
        source.path = path;
        check_equal(conf_load(&source, &conf, &complaints), CONF_BAD);
        check_equal(complaints.error_count, 1);
        check(strstr(complaints.list[0].text, "File name too long"));
        conf_complaints_fini(&complaints);
        folder_end(&folder);
}

TEST(files_that_list_nothing_open_no_gate)
{
        static const char wrong[] = "x.yaml:2:21: services: what it names lists no service: every service would pass; "
                                    "leave it out if that is meant\n";
        struct folder folder = begin("secretFile: key\ngateway: {services: [allowed.json]}\n");
        struct conf *conf;

        write_text("allowed.json", "[]");
        load(wrong);
        write_text("allowed.json", "{\"services\": []}");
        load(wrong);
        write_text("x.yaml", "secretFile: key\ngateway: {services: allowed.json}\n");
        load(wrong);
        write_text("x.yaml", "secretFile: key\ngateway: {services: [allowed.json, {gatePort: 1}]}\n");
        conf = load("");
        check_equal(conf->gateway.filter_count, 1);
        end(&folder, conf);
}

TEST(exceptions_that_are_taken_away_are_told)
{
        struct folder folder = begin("secretFile: key\ngateway: {except: [{gatePort: 1}]}\n");
        struct conf *conf;

        write_text("x.yaml.d/1.yaml", "gateway: {except: []}\n");
        conf = load("x.yaml.d/1.yaml:1:19: warning: except: this takes away those of other files: they pass again\n");
        check_equal(conf->gateway.exception_count, 0);
        end(&folder, conf);
}

TEST(more_files_than_are_taken_are_told_once)
{
        struct folder folder = begin("secretFile: key\ngateway:\n");
        char name[64];

        for (unsigned i = 0; i < CONF_FILES_MAX; i++) {
                snprintf(name, sizeof(name), "x.yaml.d/%u.yaml", i);
                write_text(name, "port: 1\nstateDirectory: s\nbootstrap: ['a:1']\ngateway: {listen: '::1'}\n");
        }
        conf_free(load(""));
        write_text("x.yaml.d/more.yaml", "port: 1\n");
        write_text("x.yaml.d/much.yaml", "port: 1\n");
        load("x.yaml: more than 256 files beside the first\n");
        folder_end(&folder);
}

TEST(what_does_not_fit_with_what_other_files_say_is_told)
{
        struct folder folder = begin("secretFile: key\ngateway:\nrelays: [" KEY "1, " KEY "2, " KEY "3, " KEY "4, " KEY "5]\n");
        static char services[CONF_SERVICES_MAX / 2 * 64];
        size_t len;

        write_text("x.yaml.d/1.yaml", "relays: [" KEY "1, " KEY "2, " KEY "3, " KEY "4]\n");
        load("x.yaml.d/1.yaml:1:9: relays: with those of other files more than 8\n");
        len = (size_t)snprintf(services, sizeof(services), "provider:\n  services:\n");
        for (unsigned i = 0; i < CONF_SERVICES_MAX / 2; i++)
                len += (size_t)snprintf(services + len, sizeof(services) - len,
                                        "  - {gatePort: %u, serviceHost: a, servicePort: 1}\n", i + 1);
        write_text("x.yaml", services);
        write_text("x.yaml.d/1.yaml", services);
        write_text("x.yaml.d/2.yaml", "secretFile: ../key\nprovider:\n  services:\n  - " A "\n  - " B "\n");
        load("x.yaml:3:3: warning: 8192 services: gateways learn of the first 256 only\n"
             "x.yaml.d/2.yaml:4:5: more than 16384 services in all\n");
        folder_end(&folder);
}

TEST(a_change_that_takes_a_restart_is_told_where_it_was_made)
{
        struct folder folder = begin("secretFile: key\ngateway:\nport: 1\n");
        struct conf_source source = CONF_SOURCE_INIT;
        struct conf *running = load(""), *conf;

        write_text("x.yaml.d/1.yaml", "logLevel: debug\nport: 2\n");
        source.running = running;
        check(strcmp(folder_load(source, &conf), "x.yaml.d/1.yaml:2:1: warning: port: " KEEPS) == 0);
        check(conf->port == 1 && conf->log_level == 7);
        conf_free(running);
        end(&folder, conf);
}
