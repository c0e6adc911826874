/* SPDX-License-Identifier: BSD-3-Clause */
#include "docker_container.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "test.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char *const networks[] = { "hyper", "other" };

/* What was complained of, and the ports as text. */
struct story {
        struct docker_container container;
        char complaints[256], ports[256];
};

static void on_complaint(void *context, const struct docker_container *container, const char *label, const char *entry, size_t entry_len)
{
        struct story *story = context;
        size_t len = strlen(story->complaints);

        check(strcmp(container->name, "web") == 0);
        snprintf(story->complaints + len, sizeof(story->complaints) - len, "%s%s=%.*s", len ? " " : "", label + strlen("hypergate."),
                 (int)entry_len, entry);
}

/* @labels, @exposed and @bound: the members of these maps. */
static void read_one(struct story *story, const char *labels, const char *exposed, const char *bound, const char *on)
{
        char json[2048];

        memset(story, 0, sizeof(*story));
        snprintf(json, sizeof(json), "{\"Id\":\"" ID "\",\"Name\":\"/web\",\"State\":{\"Running\":true},\"Config\":{\"Labels\":{%s},"
                 "\"ExposedPorts\":{%s}},\"NetworkSettings\":{\"Ports\":{%s},\"Networks\":{%s}}}", labels, exposed, bound, on);
        check(docker_container_read(json, strlen(json), networks, 2, on_complaint, story, &story->container));
        for (size_t i = 0; i < story->container.ports.count; i++) {
                const struct docker_port *port = &story->container.ports.list[i];
                size_t len = strlen(story->ports);

                snprintf(story->ports + len, sizeof(story->ports) - len, "%s%u:%u/%s", len ? " " : "", port->inside, port->outside,
                         port->protocol == IPC_UDP ? "udp" : "tcp");
        }
}

TEST(labels_choose_ports)
{
        static const struct { const char *labels, *exposed, *bound, *ports, *complaints; } rows[] = {
                { "", "\"80/tcp\":{},\"53/udp\":{}", "", "80:0/tcp 53:0/udp", "" },
                { "", "\"80/tcp\":{}", "\"80/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"8080\"},{\"HostIp\":\"::\",\"HostPort\":\"8080\"}]", "80:8080/tcp", "" },
                { "", "", "\"80/tcp\":null,\"81/sctp\":null", "80:0/tcp", "" },
                { "\"hypergate.EXPOSE\":\"3306\"", "", "", "3306:0/tcp", "" },
                { "\"hypergate.EXPOSE\":\"3306:13306\"", "", "", "3306:13306/tcp", "" },
                { "\"hypergate.EXPOSE\":\"53:5353/udp\"", "", "", "53:5353/udp", "" },
                { "\"hypergate.EXPOSE\":\" 80 , 443 : 8443 / TCP ,\"", "", "", "80:0/tcp 443:8443/tcp", "" },
                { "\"hypergate.EXPOSE\":\"80,x,443:,0,65536,1/sctp,99999999999,81/udp\"", "", "", "80:0/tcp 81:0/udp",
                  "EXPOSE=x EXPOSE=443: EXPOSE=0 EXPOSE=65536 EXPOSE=1/sctp EXPOSE=99999999999" },
                { "\"hypergate.EXPOSE\":\"80:8080\"", "\"80/tcp\":{}", "", "80:8080/tcp", "" },
                { "\"hypergate.EXPOSE\":\"80\"", "", "\"80/tcp\":[{\"HostPort\":\"8080\"}]", "80:8080/tcp", "" },
                { "\"hypergate.UNEXPOSE\":\"80\"", "\"80/tcp\":{},\"80/udp\":{},\"81/tcp\":{}", "", "80:0/udp 81:0/tcp", "" },
                { "\"hypergate.UNEXPOSE\":\"80/tcp, 53/udp\"", "\"80/tcp\":{},\"53/udp\":{},\"54/udp\":{}", "", "54:0/udp", "" },
                { "\"hypergate.UNEXPOSE\":\"*\"", "\"80/tcp\":{},\"81/tcp\":{},\"82/udp\":{}", "", "", "" },
                { "\"hypergate.UNEXPOSE\":\"80,*\"", "\"81/tcp\":{}", "\"80/tcp\":[{\"HostPort\":\"8080\"}]", "80:8080/tcp", "" },
                { "\"hypergate.UNEXPOSE\":\"80\",\"hypergate.EXPOSE\":\"80\"", "\"80/tcp\":{}", "", "80:0/tcp", "" },
                { "\"hypergate.UNEXPOSE\":\"80:81,ports\"", "\"80/tcp\":{}", "", "80:0/tcp", "UNEXPOSE=80:81 UNEXPOSE=ports" },
                { "\"hypergate.EXCLUDE\":\"false\",\"hypergate.EXPOSE\":\"1\"", "", "", "1:0/tcp", "" },
                { "\"hypergate.EXPOSE\":17,\"hypergate.UNEXPOSE\":null", "\"80/tcp\":{}", "", "80:0/tcp", "" },
        };
        struct story story;

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                read_one(&story, rows[i].labels, rows[i].exposed, rows[i].bound, "");
                if (strcmp(story.ports, rows[i].ports) != 0 || strcmp(story.complaints, rows[i].complaints) != 0)
                        test_fail(__FILE__, __LINE__, "row %zu: ports \"%s\", complaints \"%s\"", i, story.ports, story.complaints);
        }
}

TEST(an_excluded_container_is_nowhere)
{
        static const char *const labels[] = { "true", "TRUE", " True ", "false", "1", "" };
        struct story story;
        char text[64];

        for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
                snprintf(text, sizeof(text), "\"hypergate.EXCLUDE\":\"%s\"", labels[i]);
                read_one(&story, text, "", "", "\"hyper\":{\"IPAddress\":\"172.18.0.2\"}");
                check_equal(story.container.excluded, i < 3);
                check_equal(story.container.host[0] == '\0', i < 3);
        }
}

TEST(a_service_is_called_by_its_first_alias_on_the_first_network)
{
        static const struct { const char *on, *host, *ip; } rows[] = {
                { "\"hyper\":{\"IPAddress\":\"172.18.0.2\",\"Aliases\":[\"0123456789ab\",\"db.hyper\",\"db\"]}", "db.hyper",
                  "::ffff:172.18.0.2" },
                { "\"hyper\":{\"IPAddress\":\"172.18.0.2\",\"Aliases\":[\"0123456789ab\"]}", "web", "::ffff:172.18.0.2" },
                { "\"hyper\":{\"IPAddress\":\"172.18.0.2\",\"Aliases\":null}", "web", "::ffff:172.18.0.2" },
                { "\"hyper\":{\"IPAddress\":\"\",\"GlobalIPv6Address\":\"fd00::2\"}", "web", "fd00::2" },
                { "\"hyper\":{\"IPAddress\":\"172.18.0.2\",\"Aliases\":[\"a b\",\"-x\",7,\"good\"]}", "good", "::ffff:172.18.0.2" },
                { "\"other\":{\"IPAddress\":\"10.0.0.2\",\"Aliases\":[\"o\"]},\"hyper\":{\"IPAddress\":\"172.18.0.2\",\"Aliases\":[\"h\"]}",
                  "h", "::ffff:172.18.0.2" },
                { "\"hyper\":{\"IPAddress\":\"\"},\"other\":{\"IPAddress\":\"10.0.0.2\"}", "web", "::ffff:10.0.0.2" },
                { "\"bridge\":{\"IPAddress\":\"172.17.0.2\"}", "", "" },
                { "\"hyper\":{\"IPAddress\":\"172.18.0\"}", "", "" },
        };
        struct story story;
        uint8_t ip[16];

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                read_one(&story, "", "\"80/tcp\":{}", "", rows[i].on);
                if (strcmp(story.container.host, rows[i].host) != 0)
                        test_fail(__FILE__, __LINE__, "row %zu: %s", i, story.container.host);
                if (*rows[i].ip) {
                        check_equal(inet_pton(AF_INET6, rows[i].ip, ip), 1);
                        check_bytes(story.container.ip, ip, 16);
                }
        }
}

TEST(what_is_no_container_is_refused)
{
        static const char *const texts[] = { "", "{", "[]", "null", "{\"Id\":\"" ID "\"}", "{\"Id\":\"../x\",\"Name\":\"/web\"}",
                                             "{\"Id\":7,\"Name\":8}", "{\"Id\":\"" ID "\",\"Name\":\"/w" };
        struct docker_container container;

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                check(!docker_container_read(texts[i], strlen(texts[i]), networks, 2, on_complaint, NULL, &container));
}

TEST(more_ports_than_there_is_room_for_are_counted)
{
        struct docker_ports ports = { .count = 0 };

        for (unsigned i = 1; i <= DOCKER_PORTS_MAX + 2; i++)
                docker_ports_add(&ports, (struct docker_port){ .inside = (uint16_t)i });
        check_equal(ports.count, DOCKER_PORTS_MAX);
        check_equal(ports.more, 2);
}

TEST(the_highest_version_that_both_know_is_spoken)
{
        static const struct { const char *json; bool good; unsigned minor, theirs; } rows[] = {
                { "{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\"}", true, 41, 41 },
                { "{\"ApiVersion\":\"1.99\",\"MinAPIVersion\":\"1.44\"}", true, DOCKER_API_MAX, 99 },
                { "{\"ApiVersion\":\"1.99\",\"MinAPIVersion\":\"1.90\"}", false, 0, 99 },
                { "{\"ApiVersion\":\"1.40\"}", true, 40, 40 },
                { "{\"ApiVersion\":\"1.18\"}", false, 0, 18 },
                { "{\"ApiVersion\":\"2.0\"}", false, 0, 0 },
                { "{\"ApiVersion\":\"1.4x\"}", false, 0, 0 },
                { "{\"ApiVersion\":1.41}", false, 0, 0 },
                { "{\"ApiVersion\":\"1.41\"", false, 0, 0 },
                { "[]", false, 0, 0 },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                unsigned minor = 0, theirs = 0;

                check_equal(docker_version_read(rows[i].json, strlen(rows[i].json), &minor, &theirs), rows[i].good);
                check_equal(minor, rows[i].minor);
                check_equal(theirs, rows[i].theirs);
        }
}

TEST(lists_and_networks_are_what_they_must_be)
{
        static struct docker_ids ids;
        char driver[8];

        check(docker_ids_read("[]", 2, &ids) && ids.count == 0);
        check(docker_ids_read("[{\"Id\":\"" ID "\",\"Names\":[]}]", strlen("[{\"Id\":\"" ID "\",\"Names\":[]}]"), &ids) && ids.count == 1);
        check(strcmp(ids.list[0], ID) == 0);
        check(!docker_ids_read("{}", 2, &ids));
        check(!docker_ids_read("[{\"Id\":\"../containers\"}]", 24, &ids));
        check(!docker_ids_read("[{", 2, &ids));
        check(docker_network_read("{\"Driver\":\"macvlan over\"}", 25, driver, sizeof(driver)) && strcmp(driver, "macvlan") == 0);
        check(!docker_network_read("{\"Driver\":1}", 12, driver, sizeof(driver)));
}
