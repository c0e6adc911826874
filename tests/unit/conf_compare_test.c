/* SPDX-License-Identifier: BSD-3-Clause */
/* In which parts two configurations differ. */
#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "conf_folder.h"
#include "test.h"

#define BOTH "secretFile: key\n"

static struct conf *load(const char *text)
{
        struct conf *conf;

        folder_write("x.yaml", text, strlen(text), 0644);
        if (*folder_load((struct conf_source)CONF_SOURCE_INIT, &conf))
                test_fail(__FILE__, __LINE__, "%s", text);
        return conf;
}

static struct conf_difference compare(const char *before_text, const char *after_text)
{
        struct folder folder = folder_begin();
        struct conf *before = load(before_text), *after = load(after_text);
        struct conf_difference found;

        check_equal(conf_compare(before, after, &found), 0);
        conf_free(before);
        conf_free(after);
        folder_end(&folder);
        return found;
}

static void check_services(const char *before, const char *after, size_t added, size_t removed)
{
        char texts[2][1024];
        struct conf_difference found;

        snprintf(texts[0], sizeof(texts[0]), BOTH "provider: {services: [%s]}\n", before);
        snprintf(texts[1], sizeof(texts[1]), BOTH "provider: {services: [%s]}\n", after);
        found = compare(texts[0], texts[1]);
        check_equal(found.added, added);
        check_equal(found.removed, removed);
        check_equal(found.parts, added + removed ? CONF_PART_SERVICES : 0);
}

#define A "{gatePort: 1, serviceHost: a, servicePort: 10}"
#define A_UDP "{gatePort: 1, serviceHost: a, servicePort: 10, protocol: udp}"
#define A_AT_B "{gatePort: 1, serviceHost: b, servicePort: 10}"
#define A_ALIAS "{gatePort: 1, serviceHost: a, alias: b, servicePort: 10}"
#define A_PORT "{gatePort: 1, serviceHost: a, servicePort: 11}"
#define A_TAGS "{gatePort: 1, serviceHost: a, servicePort: 10, tags: web}"
#define A_SNI "{gatePort: 1, serviceHost: a, servicePort: 10, sni: a.example}"
#define A_PROXY "{gatePort: 1, serviceHost: a, servicePort: 10, proxyProtocol: v2}"
#define A_FOR_SOME "{gatePort: 1, serviceHost: a, servicePort: 10, ingressPolicy: {defaults: {allow: false}}}"
#define A_FOR_ALL "{gatePort: 1, serviceHost: a, servicePort: 10, ingressPolicy: {defaults: {}}}"
#define B "{gatePort: 2, serviceHost: a, servicePort: 10}"
#define C "{gatePort: 3, serviceHost: a, servicePort: 10}"

TEST(services_come_go_and_change)
{
        check_services("", "", 0, 0);
        check_services(A, A, 0, 0);
        check_services("", A, 1, 0);
        check_services(A, "", 0, 1);
        check_services(A ", " B, B ", " A, 0, 0);       /* their order means nothing */
        check_services(A ", " B ", " C, A ", " C, 0, 1);
        check_services(A ", " C, A ", " B ", " C, 1, 0);
        check_services(A ", " B, C, 1, 2);
        check_services(A, A_UDP, 1, 1);
        check_services(A, A_AT_B, 1, 1);
        check_services(A, A_PORT, 1, 1);
        check_services(A, A_ALIAS, 1, 1);
        check_services(A_ALIAS, A_AT_B, 1, 1);
        check_services(A, A_TAGS, 1, 1);
        check_services(A, A_PROXY, 1, 1);
        check_services(A, A_SNI, 1, 1);
        check_services(A, A_FOR_SOME, 1, 1);
        check_services(A_FOR_SOME, A_FOR_ALL, 1, 1);
        check_services(A ", " B, A ", " A_AT_B ", " B, 1, 0);   /* an alternative more */
}

static void check_part(const char *before, const char *after, unsigned parts)
{
        char texts[2][1024];

        snprintf(texts[0], sizeof(texts[0]), BOTH "%s", before);
        snprintf(texts[1], sizeof(texts[1]), BOTH "%s", after);
        check_equal(compare(texts[0], texts[1]).parts, parts);
        check_equal(compare(texts[1], texts[0]).parts, parts);
        check_equal(compare(texts[0], texts[0]).parts, 0);
        check_equal(compare(texts[1], texts[1]).parts, 0);
}

TEST(each_part_is_told_from_the_others)
{
        static const char key[] = "1111111111111111111111111111111111111111111111111111111111111111";
        char peers[2][256], relays[256], allowed[3][256];

        snprintf(peers[0], sizeof(peers[0]), "gateway: {}\npeers: ['%s@192.0.2.1:1']\n", key);
        snprintf(peers[1], sizeof(peers[1]), "gateway: {}\npeers: ['%s@192.0.2.1:2']\n", key);
        snprintf(allowed[0], sizeof(allowed[0]), "gateway: {allowPeers: '%s'}\n", key);
        snprintf(allowed[1], sizeof(allowed[1]), "gateway: {allowPeers: ['%s', '%s']}\n", key, key);
        snprintf(allowed[2], sizeof(allowed[2]), "provider: {allowPeers: '%s'}\n", key);
        snprintf(relays, sizeof(relays), "gateway: {}\nrelays: ['%s']\n", key);
        check_part("provider: {services: []}\n", "provider: {services: [], udpSocketTimeoutMs: 5000}\n", CONF_PART_SERVICE_TIMES);
        check_part("gateway: {}\n", "gateway: {services: [{gatePort: 1}]}\n", CONF_PART_FILTERS);
        check_part("gateway: {services: [{gatePort: 1}]}\n", "gateway: {services: [{servicePort: 1}]}\n", CONF_PART_FILTERS);
        check_part("gateway: {services: [{tags: a}]}\n", "gateway: {services: [{tags: b}]}\n", CONF_PART_FILTERS);
        check_part("gateway: {}\n", "gateway: {listen: 0.0.0.0}\n", CONF_PART_LISTEN);
        check_part("gateway: {}\n", "gateway: {listen: [127.0.0.1, '::1']}\n", CONF_PART_LISTEN);
        check_part("gateway: {}\n", "gateway: {udpSocketTimeoutMs: 5000}\n", CONF_PART_GATE_TIMES);
        check_part("provider: {services: []}\n", "provider: {services: [], tcpSocketTimeoutMs: 5000}\n", CONF_PART_SERVICE_TIMES);
        check_part("provider: {services: []}\n", "provider: {services: [], keepAlive: {idleSeconds: 61}}\n", CONF_PART_SERVICE_TIMES);
        check_part("gateway: {}\n", "gateway: {tcpSocketTimeoutMs: 5000}\n", CONF_PART_GATE_TIMES);
        check_part("gateway: {}\n", "gateway: {keepAlive: {intervalSeconds: 11}}\n", CONF_PART_GATE_TIMES);
        check_part("gateway: {}\n", "gateway: {socketMode: 0600}\n", CONF_PART_LISTEN);
        check_part("gateway: {listen: 'unix:/a/{gatePort}'}\n", "gateway: {listen: 'unix:/b/{gatePort}'}\n", CONF_PART_LISTEN);
        check_part("gateway: {}\n", "gateway: {trustedProxies: 10.0.0.0/8}\n", CONF_PART_GATE_TIMES);
        check_part("gateway: {trustedProxies: 10.0.0.0/9}\n", "gateway: {trustedProxies: 10.0.0.0/8}\n", CONF_PART_GATE_TIMES);
        check_part("gateway: {keepAlive: {count: 7}}\n", "gateway: {keepAlive: false}\n", CONF_PART_GATE_TIMES);
        check_part("gateway: {}\n", "gateway: {routeFindingTimeoutMs: 5000}\n", CONF_PART_GATE_TIMES);
        check_part("gateway: {}\n", peers[0], CONF_PART_PEERS);
        check_part(peers[0], peers[1], CONF_PART_PEERS);
        check_part("gateway: {}\n", relays, CONF_PART_RELAYS);
        check_part("gateway: {}\n", allowed[0], CONF_PART_ALLOWED);
        check_part(allowed[0], allowed[1], CONF_PART_ALLOWED);
        check_part("provider: {}\n", allowed[2], CONF_PART_ALLOWED);
        check_part("gateway: {}\n", "gateway: {}\nrelay: false\n", CONF_PART_RELAY);
        check_part("relay: {connections: 5}\n", "relay: {connections: 6}\n", CONF_PART_RELAY);
        check_part("gateway: {}\n", "gateway: {}\nlogLevel: debug\n", CONF_PART_LOG_LEVEL);
        check_part("gateway: {}\n", "gateway: {}\nlogChannels: true\n", CONF_PART_LOG_LEVEL);
        check_part("gateway: {services: [{gatePort: 1-2}]}\n", "gateway: {services: [{gatePort: 1-3}]}\n", CONF_PART_FILTERS);
        check_part("gateway: {}\n", "gateway: {connections: 5}\n", CONF_PART_GATE_TIMES);
        check_part("gateway: {}\n", "gateway: {connectionsPerClient: 5}\n", CONF_PART_GATE_TIMES);
        check_part("gateway: {}\n", "gateway: {connectionRate: 5}\n", CONF_PART_GATE_TIMES);
        check_part("gateway: {}\n", "gateway: {routesPerPeer: 5}\n", CONF_PART_FILTERS);
        check_part("provider: {}\n", "provider: {connectionsPerPeer: 5}\n", CONF_PART_SERVICE_LIMITS);
        check_part("gateway: {connectionRate: 5}\n", "gateway: {connectionRate: 5, connectionRatePerClient: 5}\n", CONF_PART_GATE_TIMES);
        check_part("gateway: {}\n", "gateway: {policy: first}\n", CONF_PART_GATE_TIMES);
        check_part("gateway: {}\n", "gateway: {ingressPolicy: {defaults: {allow: false}}}\n", CONF_PART_GATE_TIMES);
        check_part("gateway: {ingressPolicy: {defaults: {labels: [a]}}}\n", "gateway: {ingressPolicy: {defaults: {labels: [b]}}}\n",
                   CONF_PART_GATE_TIMES);
        check_part("gateway: {}\n", "gateway: {filterMode: original}\n", CONF_PART_FILTERS);
        check_part("gateway: {}\n", "gateway: {exposeOnlyDocker: true}\n", CONF_PART_FILTERS);
        check_part("gateway: {exposeOnlyDocker: true}\n", "gateway: {exposeOnlyPublished: true}\n", CONF_PART_FILTERS);
        check_part("gateway: {exposeOnlyServices: a}\n", "gateway: {exposeOnlyServices: b}\n", CONF_PART_FILTERS);
        check_part("gateway: {services: [{gatePort: 1}]}\n", "gateway: {services: [{gatePort: 1, policy: first}]}\n", CONF_PART_FILTERS);
        check_part("gateway: {services: [{gatePort: 1}]}\n", "gateway: {services: [{gatePort: 1, priority: 0}]}\n", CONF_PART_FILTERS);
        check_part("gateway: {except: [{gatePort: 1}]}\n", "gateway: {except: [{gatePort: 2}]}\n", CONF_PART_FILTERS);
        check_part("gateway: {}\n", "gateway: {except: [{gatePort: 2}]}\n", CONF_PART_FILTERS);
        check_part("gateway: {services: [{servicePort: 1-2}]}\n", "gateway: {services: [{servicePort: 1-3}]}\n", CONF_PART_FILTERS);
        check_part("gateway: {}\n", "gateway: {udpSocketTimeoutMs: 5000, listen: '::1'}\nlogLevel: error\n",
                   CONF_PART_GATE_TIMES | CONF_PART_LISTEN | CONF_PART_LOG_LEVEL);
}
