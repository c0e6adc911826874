/* SPDX-License-Identifier: BSD-3-Clause */
/* A configuration that is read for an instance that runs: what can't change stays, and that is said where it stands. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "conf_folder.h"
#include "test.h"

enum { NOBODY = 65534 };

#define KEEPS "this changes with a restart alone; until then it stays as it was\n"

static void write_text(const char *text)
{
        folder_write("x.yaml", text, strlen(text), 0644);
}

static struct conf *start(const char *text)
{
        struct conf *conf;

        write_text(text);
        if (*folder_load((struct conf_source)CONF_SOURCE_INIT, &conf))
                test_fail(__FILE__, __LINE__, "%s", text);
        return conf;
}

/* Reads @text for an instance that runs with @running, which says @expected. */
static struct conf *reload(const struct conf *running, const char *text, const char *expected)
{
        struct conf_source source = CONF_SOURCE_INIT;
        const char *said;
        struct conf *conf;

        write_text(text);
        source.running = running;
        said = folder_load(source, &conf);
        if (strcmp(said, expected) != 0)
                test_fail(__FILE__, __LINE__, "%s\n--- says\n%s", text, said);
        return conf;
}

TEST(nobody_who_holds_a_pipe_makes_it_wait)
{
        static const char text[] = "secretFile: key\ngateway:\n";
        struct folder folder = folder_begin();
        struct conf *running = start(text);
        int fd;

        check(mkfifo("pipe", 0600) == 0 && mkdir("x.yaml.d", 0700) == 0 && symlink("../pipe", "x.yaml.d/1.yaml") == 0);
        fd = open("pipe", O_RDWR | O_CLOEXEC);
        check(fd >= 0);
        reload(running, "secretFile: key\ngateway:\ninclude: [pipe]\n",
               "x.yaml:3:11: include: cannot read \"pipe\": it is a pipe, and an instance that runs waits for none\n"
               "x.yaml.d/1.yaml: cannot read it: it is a pipe, and an instance that runs waits for none\n");
        close(fd);
        conf_free(running);
        folder_end(&folder);
}

TEST(services_that_were_added_count_with_those_of_the_files)
{
        static const char text[] = "secretFile: key\nprovider: {services: [{gatePort: 1-16384, serviceHost: a, servicePort: 1-16384}]}\n";
        struct folder folder = folder_begin();
        struct conf *running = start("secretFile: key\nprovider: {services: []}\n"), *conf;
        struct conf_source source = CONF_SOURCE_INIT;
        const char *said;

        write_text(text);
        source.running = running;
        source.added_count = 1;
        said = folder_load(source, &conf);
        check(!conf && strstr(said, "x.yaml: more than 16384 services with the 1 that were added while it runs: "));
        source.added_count = 0;
        folder_load(source, &conf);
        check(conf && conf->provider.service_count == CONF_SERVICES_MAX);
        conf_free(conf);
        conf_free(running);
        folder_end(&folder);
}

TEST(the_same_again_says_nothing)
{
        static const char text[] = "secretFile: key\nport: 1234\nhost: 192.0.2.1\nstateDirectory: state\nbootstrap: [one:1]\n"
                                   "dht: {persistent: true}\nrelay: {connections: 4}\ngateway: {}\nprovider: {services: []}\n";
        struct folder folder = folder_begin();
        struct conf *running = start(text), *conf = reload(running, text, "");
        struct conf_difference difference;

        check_equal(conf_compare(running, conf, &difference), 0);
        check_equal(difference.parts, 0);
        conf_free(conf);
        conf_free(running);
        folder_end(&folder);
}

TEST(what_others_know_the_instance_by_stays)
{
        struct folder folder = folder_begin();
        struct conf *running = start("secretFile: key\nport: 1234\nhost: 192.0.2.1\nstateDirectory: state\n"
                                     "bootstrap: ['192.0.2.9@one:1', two:2]\ngateway: {}\n");
        struct conf *conf = reload(running, "secretFile: key\nlogLevel: debug\nport: 4321\nhost: 192.0.2.2\nstateDirectory: other\n"
                                            "bootstrap: [one:1, two:2]\ndht: {persistent: true}\ngateway: {listen: '::1'}\ncores: 2\nidentity: ephemeral\n",
                                   "x.yaml:3:1: warning: port: " KEEPS
                                   "x.yaml:4:1: warning: host: " KEEPS
                                   "x.yaml:5:1: warning: stateDirectory: " KEEPS
                                   "x.yaml:6:1: warning: bootstrap: " KEEPS
                                   "x.yaml:7:1: warning: dht: " KEEPS
                                   "x.yaml:9:1: warning: cores: " KEEPS
                                   "x.yaml:10:1: warning: identity: " KEEPS);
        struct conf_difference difference;

        check_equal(conf_compare(running, conf, &difference), 0);
        conf_free(running);             /* nothing of it is borrowed */
        check_equal(difference.parts, CONF_PART_LISTEN | CONF_PART_LOG_LEVEL);
        check_equal(conf->port, 1234);
        check_equal(conf->cores, 1);
        check_equal(conf->identity, CONF_IDENTITY_KEPT);
        check_equal(conf->host[3], 1);
        check(strcmp(conf->state_directory, "state") == 0);
        check(conf->bootstrap_count == 2 && strcmp(conf->bootstrap[0].ip, "192.0.2.9") == 0);
        check(strcmp(conf->bootstrap[1].host, "two") == 0 && conf->bootstrap[1].port == 2);
        check(!conf->dht.persistent);
        conf_free(conf);
        folder_end(&folder);
}

TEST(what_is_left_out_now_is_told_of_the_whole_file)
{
        struct folder folder = folder_begin();
        struct conf *running = start("secretFile: key\nport: 1234\nstateDirectory: state\ngateway: {}\n");
        struct conf *conf = reload(running, "secretFile: key\ngateway: {}\n",
                                   "x.yaml: warning: port: " KEEPS "x.yaml: warning: stateDirectory: " KEEPS);

        check_equal(conf->port, 1234);
        check(strcmp(conf->state_directory, "state") == 0);
        conf_free(conf);
        conf_free(running);
        folder_end(&folder);
}

TEST(a_role_that_is_gone_does_nothing_any_more_and_a_new_one_waits_for_a_restart)
{
        struct folder folder = folder_begin();
        struct conf *running = start("secretFile: key\nprovider: {services: [{gatePort: 1, serviceHost: a, servicePort: 1}]}\n");
        struct conf *conf = reload(running, "secretFile: key\ngateway: {}\n",
                                   "x.yaml: warning: provider: is gone: its services are withdrawn; the rest of it ends with a restart\n"
                                   "x.yaml:2:1: warning: gateway: " KEEPS), *again;
        struct conf_difference difference;

        check(conf->provider.present && !conf->gateway.present);
        check_equal(conf_compare(running, conf, &difference), 0);
        check(difference.removed == 1 && difference.added == 0);
        again = reload(conf, "secretFile: key\nprovider: {services: [{gatePort: 1, serviceHost: a, servicePort: 1}]}\n", "");
        check_equal(again->provider.service_count, 1);
        conf_free(again);
        conf_free(conf);
        conf_free(running);

        running = start("secretFile: key\ngateway: {}\n");
        conf = reload(running, "secretFile: key\nprovider: {services: []}\n",
                      "x.yaml: warning: gateway: is gone: its gates are closed; the rest of it ends with a restart\n"
                      "x.yaml:2:1: warning: provider: " KEEPS);
        check(conf->gateway.present && conf->gateway.filter_count == 1);
        check(conf->gateway.filters[0].fields == CONF_FILTER_GATE_PORT && conf->gateway.filters[0].gate_port == 0);
        conf_free(conf);
        conf_free(running);
        folder_end(&folder);
}

TEST(what_kind_of_relay_it_is_stays_and_its_limits_change)
{
        struct folder folder = folder_begin();
        struct conf *running = start("secretFile: key\ngateway: {}\nrelay: {connections: 4}\n");
        struct conf *conf = reload(running, "secretFile: key\ngateway: {}\nrelay: {connections: 5}\n", "");

        check_equal(conf->relay.connections, 5);
        conf_free(conf);
        conf = reload(running, "secretFile: key\ngateway: {}\nrelay: false\n", "x.yaml:3:1: warning: relay: " KEEPS);
        check(conf->relay.present && !conf->relay.never && conf->relay.connections == 4);
        conf_free(conf);
        conf_free(running);
        folder_end(&folder);
}

TEST(another_secret_is_taken_with_those_before_it)
{
        static const char other[] = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n" FOLDER_SECRET " until 2026-12-01T12:00:00Z\n";
        struct folder folder = folder_begin();
        struct conf *running = start("secretFile: key\ngateway: {}\n"), *conf;
        struct conf_difference difference;

        folder_write("other", other, strlen(other), 0600);
        conf = reload(running, "gateway: {}\nsecretFile: other\n", "");
        check(conf->has_secret);
        check_equal(conf->secret[0], 0xff);
        check_equal(conf->previous_count, 1);
        check_bytes(conf->previous[0].secret, running->secret, CONF_SECRET_BYTES);
        check_equal(conf_compare(running, conf, &difference), 0);
        check_equal(difference.parts, CONF_PART_SECRET);
        conf_free(conf);
        conf_free(running);
        folder_end(&folder);
}

TEST(a_secret_that_can_not_be_had_any_more_is_the_one_that_is_had)
{
        struct folder folder = folder_begin();
        struct conf_source source = CONF_SOURCE_INIT;
        struct conf *running, *conf;
        uid_t root = geteuid();

        write_text("gateway: {}\n");
        source.router_secret = FOLDER_SECRET;   /* wiped right after the start */
        check(*folder_load(source, &running) == '\0' && running);
        conf = reload(running, "gateway: {}\n", "");
        check(conf->has_secret);
        check_bytes(conf->secret, running->secret, CONF_SECRET_BYTES);
        conf_free(conf);
        folder_write("closed", FOLDER_SECRET "\n", strlen(FOLDER_SECRET) + 1, 0);
        write_text("gateway: {}\nsecretFile: closed\n");
        check(chmod(".", 0755) == 0 && (root != 0 || seteuid(NOBODY) == 0));      /* root meets no closed file */
        source = (struct conf_source)CONF_SOURCE_INIT;
        source.running = running;
        check(strcmp(folder_load(source, &conf), "x.yaml:2:13: warning: secretFile: this user may not read \"closed\": the secret stays as it "
                                                 "was; \"hypergate reload --secret-file\", as root, hands it over\n") == 0);
        check(seteuid(root) == 0);
        check_bytes(conf->secret, running->secret, CONF_SECRET_BYTES);
        conf_free(conf);
        conf_free(running);
        folder_end(&folder);
}

TEST(a_bad_one_says_what_is_bad_and_nothing_of_what_stays)
{
        struct folder folder = folder_begin();
        struct conf *running = start("secretFile: key\ngateway: {}\n");

        check(!reload(running, "secretFile: key\nport: 7\ngateway: {listn: x}\n",
                      "x.yaml:3:11: unknown key \"listn\"; did you mean listen?\n"));
        conf_free(running);
        folder_end(&folder);
}

TEST(where_helpers_connect_stays)
{
        static const char text[] = "secretFile: key\ngateway: {hosts: 'unix:/run/a.sock'}\n";
        struct folder folder = folder_begin();
        struct conf *running = start(text), *conf = reload(running, text, "");

        check(strcmp(conf->gateway.hosts, "/run/a.sock") == 0);
        conf_free(conf);
        conf = reload(running, "secretFile: key\ngateway: {hosts: 'unix:/run/b.sock'}\n", "x.yaml: warning: gateway.hosts: " KEEPS);
        check(strcmp(conf->gateway.hosts, "/run/a.sock") == 0);
        conf_free(conf);
        conf = reload(running, "secretFile: key\ngateway: {}\n", "x.yaml: warning: gateway.hosts: " KEEPS);
        check(strcmp(conf->gateway.hosts, "/run/a.sock") == 0);
        conf_free(conf);
        conf_free(running);
        folder_end(&folder);
}

TEST(an_engine_and_the_socket_that_comes_with_it_stay)
{
        static const char text[] = "secretFile: key\ngateway: {}\ndocker: {image: a}\n";
        struct folder folder = folder_begin();
        struct conf *running, *conf;

        check(setenv("XDG_RUNTIME_DIR", "/run/user/7", 1) == 0);
        running = start(text);
        conf = reload(running, text, "");
        check(conf->gateway.hosts_own && strcmp(strstr(conf->gateway.hosts, "/hypergate"), "/hypergate/hosts/x/port.sock") == 0);
        conf_free(conf);
        conf = reload(running, "secretFile: key\ngateway: {}\n", "x.yaml: warning: docker: " KEEPS);
        check(conf->gateway.hosts_own && strcmp(conf->gateway.hosts, running->gateway.hosts) == 0 && strcmp(conf->docker.image, "a") == 0);
        conf_free(conf);
        conf = reload(running, "secretFile: key\ngateway: {hosts: 'unix:/run/b.sock'}\ndocker: {image: a}\n",
                      "x.yaml: warning: gateway.hosts: " KEEPS);
        check(conf->gateway.hosts_own && strcmp(conf->gateway.hosts, running->gateway.hosts) == 0);
        conf_free(conf);
        conf_free(running);
        running = start("secretFile: key\ngateway: {}\n");
        conf = reload(running, text, "x.yaml:3:1: warning: docker: " KEEPS);
        check(!conf->gateway.hosts && !conf->gateway.hosts_own && !conf->docker.present);
        conf_free(conf);
        conf_free(running);
        folder_end(&folder);
}
