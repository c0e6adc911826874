/* SPDX-License-Identifier: BSD-3-Clause */
#include "docker_requests.h"

#include <string.h>

#include "docker_process.h"
#include "ipc_docker.h"
#include "test.h"

#define ID "0123456789abcdef0123456789abcdef"

static const char *const networks[] = { "hyper", "other" };

static struct docker_frame frame(void)
{
        return (struct docker_frame){ .id = ID, .life = "00000000000000aa", .image = "hypergate", .network = "hyper",
                                      .uid = 64023, .gid = 7, .type = "volume", .source = "v1", .rest = "/x", .file = "port.sock" };
}

TEST(paths_are_those_of_the_engine)
{
        char out[1024];

        check(docker_path_list(out, sizeof(out), 41, networks, 2));
        check(strcmp(out, "/v1.41/containers/json?filters=%7B%22status%22%3A%5B%22running%22%5D%2C%22network%22%3A%5B%22hyper%22%2C%22other%22%5D%7D") == 0);
        check(docker_path_helpers(out, sizeof(out), 41));
        check(strcmp(out, "/v1.41/containers/json?all=1&filters=%7B%22label%22%3A%5B%22hypergate.helper%22%5D%7D") == 0);
        check(docker_path_events(out, sizeof(out), 25) && strncmp(out, "/v1.25/events?filters=%7B%22type%22", 35) == 0);
        check(strstr(out, "%22die%22") && strstr(out, "%22died%22"));   /* Docker's word and podman's */
        check(docker_path_helper(out, sizeof(out), 41, ID, "a.hyper"));
        check(strcmp(out, "/v1.41/containers/create?name=hypergate-a.hyper-01234567") == 0);
        check(docker_path_remove_helper(out, sizeof(out), 41, ID, "a.hyper"));
        check(strcmp(out, "/v1.41/containers/hypergate-a.hyper-01234567?force=1&v=1") == 0);
}

TEST(what_does_not_fit_is_not_asked)
{
        struct docker_frame how = frame();
        char out[64];

        check(!docker_path_list(out, sizeof(out), 41, networks, 2) && !docker_path_helpers(out, sizeof(out), 41));
        check(!docker_path_helper(out, 16, 41, ID, "a.hyper") && !docker_path_remove_helper(out, 16, 41, ID, "a.hyper"));
        check(!docker_body_network(out, 16, "hyper") && !docker_body_connect(out, sizeof(out), ID ID, "a.hyper"));
        check(!docker_body_helper(out, sizeof(out), &how, "a.hyper"));
        how.source = "\xff";            /* no text */
        check(!docker_body_helper(out, sizeof(out), &how, "a.hyper"));
}

TEST(bodies_say_what_is_wanted)
{
        char out[1024];

        check(docker_body_network(out, sizeof(out), "hyper"));
        check(strcmp(out, "{\"Name\":\"hyper\",\"Driver\":\"bridge\",\"CheckDuplicate\":true}") == 0);
        check(docker_body_connect(out, sizeof(out), "abc", "a.hyper"));
        check(strcmp(out, "{\"Container\":\"abc\",\"EndpointConfig\":{\"Aliases\":[\"a.hyper\"]}}") == 0);
        check(docker_body_connect(out, sizeof(out), "abc", NULL));
        check(strcmp(out, "{\"Container\":\"abc\",\"EndpointConfig\":{}}") == 0);
}

TEST(a_helper_may_do_nothing_but_what_it_is_for)
{
        static const char expected[] =
                "{\"Image\":\"hypergate\",\"Entrypoint\":[\"/usr/local/libexec/hypergate/hypergate-port\"],"
                "\"Cmd\":[\"/run/hypergate/hosts/x/port.sock\",\"a.hyper\"],\"User\":\"64023:7\",\"Labels\":{\"hypergate.EXCLUDE\":\"true\","
                "\"hypergate.helper\":\"" ID "\",\"hypergate.host\":\"a.hyper\",\"hypergate.life\":\"00000000000000aa\"},"
                "\"HostConfig\":{\"AutoRemove\":true,\"NetworkMode\":\"hyper\",\"CapDrop\":[\"ALL\"],\"ReadonlyRootfs\":true,"
                "\"SecurityOpt\":[\"no-new-privileges\"],\"Sysctls\":{\"net.ipv4.ip_unprivileged_port_start\":\"0\"},\"PidsLimit\":32,"
                "\"Memory\":16777216,\"LogConfig\":{\"Type\":\"none\"},\"RestartPolicy\":{\"Name\":\"no\"},\"Mounts\":[{\"Type\":\"volume\","
                "\"Source\":\"v1\",\"Target\":\"/run/hypergate/hosts\",\"ReadOnly\":true}],\"Tmpfs\":{\"/run/hypergate\":\"size=4k\","
                "\"/var/lib/hypergate\":\"size=4k\"}},\"NetworkingConfig\":{\"EndpointsConfig\":{\"hyper\":{\"Aliases\":[\"a.hyper\"]}}}}";
        struct docker_frame how = frame();
        char out[4096];

        check(docker_body_helper(out, sizeof(out), &how, "a.hyper"));
        if (strcmp(out, expected) != 0)
                test_fail(__FILE__, __LINE__, "%s", out);
}

TEST(the_longest_names_fit)
{
        char name[IPC_NAME_MAX], source[DOCKER_SOURCE_MAX], network[IPC_NETWORK_MAX], path[DOCKER_PATH_MAX], body[DOCKER_ASK_MAX - DOCKER_PATH_MAX];
        const char *all[IPC_NETWORKS_MAX];
        struct docker_frame how = frame();

        memset(name, 'a', sizeof(name) - 1);
        memset(source, 's', sizeof(source) - 1);
        memset(network, 'n', sizeof(network) - 1);
        name[sizeof(name) - 1] = source[sizeof(source) - 1] = network[sizeof(network) - 1] = '\0';
        how.source = source;
        how.network = network;
        for (size_t i = 0; i < IPC_NETWORKS_MAX; i++)
                all[i] = network;
        check(docker_path_list(path, sizeof(path), 99, all, IPC_NETWORKS_MAX) && docker_path_helper(path, sizeof(path), 99, ID, name));
        check(docker_body_helper(body, sizeof(body), &how, name) && docker_body_connect(body, 512, ID ID, name));
}
