/* SPDX-License-Identifier: BSD-3-Clause */
#include "docker_helper.h"

#include <stdio.h>
#include <string.h>

#include "test.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char *const networks[] = { "hyper", "other" };

static struct docker_helper last;
static unsigned told;

static void on_helper(void *context, const struct docker_helper *helper)
{
        last = *helper;
        told++;
}

static bool read_list(const char *json)
{
        told = 0;
        return docker_helpers_read(json, strlen(json), networks, 2, on_helper, NULL);
}

TEST(helpers_are_read_with_whose_they_are_and_how)
{
        check(read_list("[]") && told == 0);
        check(read_list("[{\"Id\":\"" ID "\",\"Created\":7,\"State\":\"running\",\"Labels\":{\"hypergate.helper\":\"01\","
                        "\"hypergate.host\":\"a.hyper\",\"hypergate.life\":\"00aa\"},"
                        "\"NetworkSettings\":{\"Networks\":{\"other\":{}}}}]"));
        check(told == 1 && last.state == DOCKER_HELPER_RUNS && last.networks == 2);
        check(strcmp(last.owner, "01") == 0 && last.made_s == 7);
        check(strcmp(last.host, "a.hyper") == 0 && strcmp(last.life, "00aa") == 0 && strcmp(last.id, ID) == 0);
        check(read_list("[{\"Id\":\"" ID "\",\"State\":\"removing\",\"Labels\":{\"hypergate.host\":\"a.hyper\"}}]"));
        check(told == 1 && last.state == DOCKER_HELPER_LEAVING && last.networks == 0 && !last.host[0]);
        check(read_list("[{\"Id\":\"" ID "\",\"State\":\"paused\"}]") && last.state == DOCKER_HELPER_RUNS);
        check(read_list("[{\"Id\":\"" ID "\",\"State\":7,\"Labels\":{\"hypergate.host\":1,\"hypergate.life\":\"00000000000000000000\"}}]"));
        check(told == 1 && last.state == DOCKER_HELPER_STANDS && !last.host[0]);
}

TEST(what_is_no_list_of_helpers_is_refused)
{
        static const char *const texts[] = { "", "{", "{}", "null", "[{}]", "[7]", "[{\"Id\":\"../x\"}]", "[{\"Id\":\"" ID "\"}" };

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                check(!read_list(texts[i]));
}

static char names[128];

static void on_name(void *context, const char *name)
{
        snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s ", name);
}

TEST(all_names_on_our_networks_are_told)
{
        static const char json[] = "{\"Name\":\"/web\",\"NetworkSettings\":{\"Networks\":{\"hyper\":{\"Aliases\":[\"a\",7,\"b\"],\"DNSNames\":[\"c\"]},"
                                   "\"third\":{\"Aliases\":[\"d\"]}}}}";

        docker_names_read(json, strlen(json), networks, 2, on_name, NULL);
        check(strcmp(names, "web a b c ") == 0);
        docker_names_read("[", 1, networks, 2, on_name, NULL);
        docker_names_read("{\"NetworkSettings\":{\"Networks\":{\"hyper\":null}}}", 48, networks, 2, on_name, NULL);
        check(strcmp(names, "web a b c ") == 0);
}

static bool read_self(const char *mode, const char *mounts, struct docker_self *out)
{
        char json[2048];

        snprintf(json, sizeof(json), "{\"Image\":\"sha256:1\",\"HostConfig\":{\"NetworkMode\":\"%s\"},\"NetworkSettings\":{\"Networks\":"
                 "{\"hyper\":{}}},\"Mounts\":[%s]}", mode, mounts);
        return docker_self_read(json, strlen(json), networks, 2, "/run/hypergate/hosts/x", out);
}

TEST(the_innermost_mount_with_the_folder_counts)
{
        static const char around[] = "{\"Type\":\"volume\",\"Name\":\"v1\",\"Source\":\"/var\",\"Destination\":\"/run/hypergate\"}";
        static const char inner[] = "{\"Type\":\"bind\",\"Source\":\"/srv/hosts\",\"Destination\":\"/run/hypergate/hosts\"}";
        static const char memory[] = "{\"Type\":\"tmpfs\",\"Source\":\"\",\"Destination\":\"/run/hypergate/hosts\"}";
        static const char beside[] = "{\"Type\":\"volume\",\"Name\":\"v2\",\"Destination\":\"/run/hyper\"}";
        struct docker_self self;
        char both[512];

        check(read_self("bridge", around, &self) && strcmp(self.type, "volume") == 0);
        check(strcmp(self.source, "v1") == 0 && strcmp(self.rest, "/hosts/x") == 0 && self.networks == 1 && !self.shares);
        snprintf(both, sizeof(both), "%s,%s,%s", inner, around, beside);
        check(read_self("hyper", both, &self) && strcmp(self.type, "bind") == 0 && strcmp(self.source, "/srv/hosts") == 0);
        check(strcmp(self.rest, "/x") == 0 && strcmp(self.image, "sha256:1") == 0);
        snprintf(both, sizeof(both), "%s,%s", around, memory);
        check(read_self("hyper", both, &self) && !self.type[0]);
        check(read_self("hyper", beside, &self) && !self.type[0]);
        check(read_self("host", "", &self) && self.shares && read_self("container:x", "", &self) && self.shares);
        check(!docker_self_read("{}", 2, networks, 2, "/run", &self) && !docker_self_read("[", 1, networks, 2, "/run", &self));
}

TEST(ids_and_words_are_taken_as_far_as_they_are_some)
{
        char id[DOCKER_ID_MAX], says[DOCKER_SAYS_MAX], json[512];

        check(docker_made_read("{\"Id\":\"" ID "\"}", strlen("{\"Id\":\"" ID "\"}"), id) && strcmp(id, ID) == 0);
        check(!docker_made_read("{\"Id\":\"0123\"}", 13, id) && !docker_made_read("{}", 2, id) && !docker_made_read("", 0, id));
        strcpy(json, "{\"message\":\"no\\nsuch \\u00e9\"}");
        docker_says_read(json, strlen(json), says);
        check(strcmp(says, "no?such ??") == 0);
        docker_says_read("half", 4, says);
        check(!says[0]);
        docker_says_read(NULL, 0, says);
        check(!says[0]);
        snprintf(json, sizeof(json), "{\"message\":\"%0400d\"}", 1);
        docker_says_read(json, strlen(json), says);
        check_equal(strlen(says), DOCKER_SAYS_MAX - 1);
}
