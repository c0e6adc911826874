/* SPDX-License-Identifier: BSD-3-Clause */
/* What is shown of a configuration reads as the same one, and holds no secret. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "conf_folder.h"
#include "test.h"

#define KEY "0b7c1f6f2a3e4d5c6b7a8990a1b2c3d4e5f60718293a4b5c6d7e8f9001122334"

static struct conf *load(const char *path, const struct conf *running)
{
        struct conf_source source = CONF_SOURCE_INIT;
        const char *said;
        struct conf *conf;

        source.path = path;
        source.running = running;
        source.router_secret = FOLDER_SECRET;
        said = folder_load(source, &conf);
        if (*said || !conf)
                test_fail(__FILE__, __LINE__, "%s: %s", path, said);
        return conf;
}

static char *show(const struct conf *conf)
{
        char folder[256], *text = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&text, &len);

        check(out && getcwd(folder, sizeof(folder)) && conf_show(conf, folder, out) && fclose(out) == 0);
        return text;
}

/* Nothing differs: neither what could change while it runs, nor what could not; from another folder, too. */
static char *go_round(const struct folder *folder, const char *text)
{
        struct conf_difference difference;
        struct conf *conf, *again;
        char path[128], *shown;

        snprintf(path, sizeof(path), "%s/x.yaml", folder->path);
        folder_write("x.yaml", text, strlen(text), 0644);
        conf = load(path, NULL);
        shown = show(conf);
        check(mkdir("elsewhere", 0755) == 0);
        folder_write("elsewhere/x.yaml", shown, strlen(shown), 0644);
        again = load("elsewhere/x.yaml", conf);
        check_equal(conf_compare(conf, again, &difference), 0);
        if (difference.parts || difference.added || difference.removed)
                test_fail(__FILE__, __LINE__, "parts %x differ in\n%s", difference.parts, shown);
        check(!strstr(shown, FOLDER_SECRET) && !strstr(shown, "0001020304"));
        conf_free(again);
        conf_free(conf);
        return shown;
}

TEST(what_is_shown_reads_as_the_same_configuration)
{
        static const char *const texts[] = {
                "gateway:\n",
                "provider:\n",
                "relay:\n",
                "relay: {open: true, connections: 1, connectionsPerClient: 2, bytesPerSecond: 10000, bytesPerSecondPerClient: 10001}\n",
                "relay: false\ngateway: {listen: ['::', 0.0.0.0, 10.0.0.1]}\n",
                "dht: {persistent: true}\nhost: 192.0.2.7\nport: 49737\nbootstrap: []\n",
                "dht: {persistent: true, public: '203.0.113.9:1000'}\nport: 1\nbootstrap: ['192.0.2.1@a.example:1', 'b:65535', '192.0.2.2:7']\n",
                "gateway: {routeFindingTimeoutMs: 0, udpSocketTimeoutMs: 1000, services: [{gatePort: 80}, {tags: 'a b'}, {protocol: udp},"
                " {protocol: tcp, serviceHost: '::1', servicePort: 3, gatePort: 4, tags: x}]}\n",
                "provider: {udpSocketTimeoutMs: 1234, services: [{gatePort: 80, serviceHost: 'fe80::1', servicePort: 8080},"
                " {gatePort: 53, serviceHost: ns.example, servicePort: 53, protocol: udp, tags: 'a \"quoted\" \\ one'},"
                " {gatePort: 54, serviceHost: 1.2.3.4, servicePort: 1, tags: \"\\u00e9\\u2028\\U0001f600 #x: {}\"}]}\n",
                "gateway:\npeers: ['" KEY "@192.0.2.7:1', '" KEY "@name.example:2']\nrelays: [" KEY "]\nlogLevel: error\nlogChannels: true\n"
                "stateDirectory: \"st\\u00e4te \\\" dir\"\nsecretFile: key\n",
                "provider: {ingressPolicy: {defaults: {allow: false}, ips: {10.0.0.0/8: {}, '2001:db8::/32': {allow: false, expireAt: 4102444800000,"
                " labels: [a, 'b \"c\"']}, '*': {bandwidthLimit: {mbps: 0.3, direction: down}, onlyPorts: 80-443, excludePorts: [{from: 81, to: 82}],"
                " excludeProtocols: [udp]}}}, services: [{gatePort: 80, serviceHost: a, servicePort: 80, ingressPolicy: {}},"
                " {gatePort: 81, serviceHost: a, servicePort: 81, ingressPolicy: {defaults: {}}}]}\n",
                "gateway:\nstateDirectory: /var/lib/x\nlogLevel: debug\n",
                "gateway:\nstateDirectory: /var/lib/x\nidentity: persistent\n",
                "gateway:\nidentity: Ephemeral\n",
                "provider: {services: [{gatePort: 10-12, serviceHost: a, servicePort: 20-22, protocol: tcp+udp}]}\n",
                "provider: {services: [{gatePort: 1, serviceHost: 'unix:/run/a \"b\".sock'}]}\n",
                "provider: {services: [{gatePort: 1-2, serviceHost: 10.0.0.7, alias: db.internal, servicePort: 5432-5433},"
                " {gatePort: 3, serviceHost: 'unix:/a', alias: app}]}\n",
                "provider: {services: [{gatePort: 1, serviceHost: a, servicePort: 2, proxyProtocol: v1}, {gatePort: 1, serviceHost: a,"
                " servicePort: 2, proxyProtocol: v2}, {gatePort: 1, serviceHost: a, servicePort: 2, proxyProtocol: none}]}\n",
                "provider: {services: [{gatePort: 443, serviceHost: a, servicePort: 2, sni: Www.Example.ORG.}, {gatePort: 443, serviceHost: a,"
                " servicePort: 2, sni: '*.example.org'}]}\n",
                "gateway: {listen: [127.0.0.1, 'unix:/run/{gatePort}.sock'], socketMode: '0666'}\n",
                "gateway: {hosts: 'unix:/run/hosts/port.sock'}\n",
                "gateway:\ndocker: {network: [a, b], image: 'x/y:1', refreshTime: 1000}\n",
                "gateway: {hosts: 'unix:/run/hosts/port.sock'}\ndocker:\n",
                "gateway:\nprovider:\ndocker: {virtualNetwork: false, readOnly: true}\n",
                "gateway: {trustedProxies: [10.0.0.0/8, 192.0.2.7, '2001:db8::/33', 0.0.0.0/0, '::/0']}\n",
                "provider: {}\nfingerprintResolver: {listen: '[::1]:8080'}\n",
                "gateway: {connections: 65536, connectionsPerClient: 1}\n",
                "gateway: {ingressPolicy: {defaults: {allow: false}, ips: {10.0.0.0/8: {labels: [a]}, '*': {bandwidthLimit: {mbps: 1}}}}}\n",
                "gateway: {ingressPolicy: {}}\n",
                "gateway: {connectionRate: 65536, connectionRatePerClient: 1}\n",
                "provider: {connectionsPerPeer: 65536}\ngateway: {routesPerPeer: 1}\n",
                "gateway: {tcpSocketTimeoutMs: 1000, keepAlive: false}\nprovider: {tcpSocketTimeoutMs: 2592000000, keepAlive: {idleSeconds: 1,"
                " intervalSeconds: 32767, count: 127}}\n",
                "gateway: {allowPeers: " KEY "}\nprovider: {allowPeers: [" KEY ", " KEY "]}\n",
                "provider: {}\ndocker: {network: [a, b], refreshTime: 1000, readOnly: true}\n",
                "gateway: {exposeOnlyDocker: true, exposeOnlyPublished: true, exposeOnlyServices: [page.hyper, 192.0.2.1, 'unix:/run/a.sock']}\n",
                "gateway: {except: [{gatePort: 3306}, {tags: internal, protocol: udp}]}\n",
                "gateway: {policy: source-hash, filterMode: original, services: [{gatePort: 1, policy: first, priority: 0}, {tags: x, priority: 255}]}\n",
                "provider: {services: [{gatePort: 1, serviceHost: a, servicePort: 2, priority: 3}]}\n",
                "provider: {services: [{gatePort: 1, serviceHost: a, servicePort: 2, health: {type: http, path: '/a?b=\"c\"', status: 204,"
                " intervalMs: 500, timeoutMs: 50, rise: 1, fall: 100}}, {gatePort: 2, serviceHost: 'unix:/a', health: {}}]}\n",
                "gateway: {services: [{gatePort: 10-12}, {servicePort: 1-65535, gatePort: 1}]}\n",
        };

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                struct folder folder = folder_begin();

                free(go_round(&folder, texts[i]));
                folder_end(&folder);
        }
}

TEST(drop_ins_included_files_and_service_files_are_shown_as_one)
{
        static const char more[] = "provider: {services: [http.json]}\nlogLevel: error\n", drop_in[] = "logLevel: notice\ninclude: ../more.yaml\n",
                          http[] = "[{\"gatePort\": 80, \"serviceHost\": \"a\", \"servicePort\": 8080}]";
        struct folder folder = folder_begin();
        char expected[1024];
        struct conf *conf;
        char *shown;

        check(mkdir("x.yaml.d", 0755) == 0);
        folder_write("x.yaml.d/1.yaml", drop_in, strlen(drop_in), 0644);
        folder_write("more.yaml", more, strlen(more), 0644);
        folder_write("http.json", http, strlen(http), 0644);
        free(go_round(&folder,
                      "secretFile: key\nstateDirectory: state\nprovider: {services: [{gatePort: 1, serviceHost: a, servicePort: 1}]}\n"));
        conf = load("x.yaml", NULL);
        shown = show(conf);
        snprintf(expected, sizeof(expected),
                 "# x.yaml\n# x.yaml.d/../more.yaml\n# x.yaml.d/1.yaml\nsecretFile: \"%s/key\"\nprovider:\n  udpSocketTimeoutMs: 3600000\n"
                 "  keepAlive: {idleSeconds: 60, intervalSeconds: 10, count: 6}\n  services:\n"
                 "    - {gatePort: 1, serviceHost: \"a\", servicePort: 1, protocol: tcp}         # x.yaml:3\n"
                 "    - {gatePort: 80, serviceHost: \"a\", servicePort: 8080, protocol: tcp}         # x.yaml.d/../http.json:1\n"
                 "relays: []\npeers: []\nbootstrap:\n  - \"88.99.3.86@node1.hyperdht.org:49737\"\n"
                 "  - \"142.93.90.113@node2.hyperdht.org:49737\"\n  - \"138.68.147.8@node3.hyperdht.org:49737\"\n"
                 "dht:\n  persistent: false\nhost: 0.0.0.0\nport: 0\ncores: 1\nstateDirectory: \"%s/state\"\n"
                 "statsIntervalMs: 600000\nmaxBufferPerChannel: 67108864\nmaxBufferPerPeer: 100663296\nlogLevel: notice\nlogChannels: false\n",
                 folder.path, folder.path);
        if (strcmp(shown, expected) != 0)
                test_fail(__FILE__, __LINE__, "%s", shown);
        free(shown);
        conf_free(conf);
        folder_end(&folder);
}

TEST(what_can_not_be_written_is_told)
{
        struct folder folder = folder_begin();
        FILE *full = fopen("/dev/full", "w");
        struct conf *conf;

        folder_write("x.yaml", "gateway:\n", 9, 0644);
        conf = load("x.yaml", NULL);
        check(full && !conf_show(conf, "/", full));
        fclose(full);
        conf_free(conf);
        folder_end(&folder);
}
