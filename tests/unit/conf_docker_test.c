/* SPDX-License-Identifier: BSD-3-Clause */
/* docker: what it says, what it leaves out, and what is no engine and no network. */
#include <string.h>

#include "conf.h"
#include "conf_folder.h"
#include "test.h"

#define PROVIDER "secretFile: key\nprovider: {}\n"

static struct conf *load(const char *text, const char *expected)
{
        struct conf *conf;
        const char *said;

        folder_write("x.yaml", text, strlen(text), 0644);
        said = folder_load((struct conf_source)CONF_SOURCE_INIT, &conf);
        if (strcmp(said, expected) != 0)
                test_fail(__FILE__, __LINE__, "%s\n--- says\n%s", text, said);
        return conf;
}

TEST(docker_with_nothing_said_and_with_everything)
{
        struct folder folder = folder_begin();
        struct conf *conf = load(PROVIDER "docker:\n", "");

        check(conf->docker.present && !conf->docker.read_only);
        check(strcmp(conf->docker.socket, "/var/run/docker.sock") == 0);
        check_equal(conf->docker.network_count, 1);
        check(strcmp(conf->docker.networks[0], "hypergatenet") == 0);
        check_equal(conf->docker.refresh_ms, 20000);
        conf_free(conf);
        conf = load(PROVIDER "docker: {socket: 'unix:///run/podman/podman.sock', network: [a, b.c], refreshTime: 1000, readOnly: true}\n", "");
        check(strcmp(conf->docker.socket, "/run/podman/podman.sock") == 0 && conf->docker.read_only);
        check_equal(conf->docker.network_count, 2);
        check(strcmp(conf->docker.networks[1], "b.c") == 0);
        check_equal(conf->docker.refresh_ms, 1000);
        conf_free(conf);
        folder_end(&folder);
}

TEST(docker_that_is_wrong)
{
        struct folder folder = folder_begin();

        check(!load(PROVIDER "docker: {network: 'a/b', socket: 'tcp://127.0.0.1:2375'}\n",
                    "x.yaml:3:19: network: expected the name of a Docker network: letters, digits, '-', '_' and '.', at most 127, such as "
                    "hypergatenet, not \"a/b\"\n"
                    "x.yaml:3:34: socket: expected the path of a unix socket, such as /var/run/docker.sock: an engine elsewhere has no "
                    "containers here, not \"tcp://127.0.0.1:2375\"\n"));
        check(!load(PROVIDER "docker: {network: []}\n",
                    "x.yaml:3:19: network: expected at least one network, such as hypergatenet, not a list\n"));
        folder_end(&folder);
}
