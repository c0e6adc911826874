/* SPDX-License-Identifier: BSD-3-Clause */
/* Every way to be wrong, with the exact words that follow. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "conf_folder.h"
#include "test.h"

struct wrong {
        const char *text;               /* of x.yaml */
        const char *expected;
        const char *file, *file_text;   /* one more file */
};

static void check_text(const char *text, const char *actual, const char *expected)
{
        if (strcmp(actual, expected) != 0)
                test_fail(__FILE__, __LINE__, "%s\n--- says\n%s--- instead of\n%s", text, actual, expected);
}

static void run(const struct wrong *wrong, size_t count)
{
        struct folder folder = folder_begin();

        for (size_t i = 0; i < count; i++) {
                struct conf *conf;

                folder_write("x.yaml", wrong[i].text, strlen(wrong[i].text), 0644);
                if (wrong[i].file)
                        folder_write(wrong[i].file, wrong[i].file_text, strlen(wrong[i].file_text), 0644);
                check_text(wrong[i].text, folder_load((struct conf_source)CONF_SOURCE_INIT, &conf), wrong[i].expected);
                conf_free(conf);
                if (wrong[i].file)
                        remove(wrong[i].file);
        }
        folder_end(&folder);
}

#define ROOT_KEYS "secretFile, provider, gateway, dht, relay, relays, fingerprintResolver, unlimited, docker, bootstrap, peers, host, port, cores, stateDirectory, identity, caFile, logLevel, logChannels, statsIntervalMs, maxBufferPerChannel, maxBufferPerPeer, include"
#define RUN(table) run(table, sizeof(table) / sizeof(table[0]))
#define KEY "secretFile: key\n"
#define PORT_EXPECTED "expected a whole number from 1 to 65535, such as 8080, not "
#define PORTS_EXPECTED "expected ports from 1 to 65535, the lowest first, such as 27000-27050, not "
#define SERVICE(fields) KEY "provider: {services: [" fields "]}\n"
#define SERVICE_WITH(field) SERVICE("{gatePort: 1, serviceHost: a, servicePort: 2, " field "}")

TEST(conf_files_that_are_no_configuration)
{
        static const struct wrong wrong[] = {
                { "", "x.yaml: the file is empty\n" },
                { " \n\n\t\n", "x.yaml: the file is empty\n" },
                { "# only words\n", "x.yaml: holds nothing\n" },
                { "---\n", "x.yaml: holds nothing\n" },
                { "~", "x.yaml: holds nothing\n" },
                { "hello\n", "x.yaml:1:1: expected a map of keys and values, such as \"secretFile: ...\", not \"hello\"\n" },
                { "- a\n", "x.yaml:1:1: expected a map of keys and values, such as \"secretFile: ...\", not a list\n" },
                { "\x7f" "ELF\x02", "x.yaml:1:1: not a text file: it holds the character U+007F\n" },
                { "port: 1\na: \xff\n", "x.yaml:2:4: not UTF-8 text: byte 0xff; save it as UTF-8\n" },
                { "a: \xc3\xa9\xc3\n", "x.yaml:1:5: not UTF-8 text: byte 0xc3; save it as UTF-8\n" },
                { "a: \xed\xa0\x80\n", "x.yaml:1:4: not UTF-8 text: byte 0xed; save it as UTF-8\n" },
                { "\xff\xfe" "a\n", "x.yaml:1:1: not UTF-8 text: UTF-16, which begins with byte 0xff; save it as UTF-8\n" },
                { "\xef\xbb\xbf\xef\xbb\xbf" "a: b\n", "x.yaml:1:1: not a text file: it holds the character U+FEFF\n" },
        };

        RUN(wrong);
}

TEST(conf_yaml_that_is_not_taken)
{
        static const struct wrong wrong[] = {
                { "port: [1\n", "x.yaml:2:1: the list whose [ is on line 1 needs a , or its ] here\n" },
                { "port: 'a\n", "x.yaml:1:7: the quote that opens here is never closed\n" },
                { "port: @1\n", "x.yaml:1:7: a text that begins with this character needs quotes\n" },
                { "a\tb: 1\n c: 2\n", "x.yaml:2:3: a colon can't stand here: indent this line exactly as its neighbours, and put a "
                                        "blank behind each colon above\n" },
                { "gateway:\n  listen: 127.0.0.1\n\tport: 1\n",
                  "x.yaml:3:1: a tab at the start of a line; YAML is indented with blanks\n" },
                { "port: &p 1\n",
                  "x.yaml:1:7: anchors (&) and tags (!) are not used here; a text that begins with one needs quotes\n" },
                { "provider: !!map {}\n",
                  "x.yaml:1:11: anchors (&) and tags (!) are not used here; a text that begins with one needs quotes\n" },
                { "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n",
                  "x.yaml:1:4: anchors (&) and tags (!) are not used here; a text that begins with one needs quotes\n" },
                { "port: *p\n", "x.yaml:1:7: aliases (*) are not used here: write the value itself, or quote it\n" },
                { "port: 1\n---\nport: 2\n", "x.yaml:2:1: a second document begins here; there must be one only\n" },
                { "? [a]\n: 1\n", "x.yaml:1:3: a key must be a word\n" },
                { "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "x.yaml:1:17: more than 16 lists and maps in each other\n" },
                { "stateDirectory: \"a\\0b\"\n", "x.yaml:1:17: a text with a NUL character\n" },
                { KEY "gateway: {listen: 127.0.0.1, listen: 127.0.0.2}\n",
                  "x.yaml:2:30: \"listen\" is here twice; the first one is on line 2\n" },
                { KEY "gateway:\nsecretFile: other\n", "x.yaml:3:1: \"secretFile\" is here twice; the first one is on line 1\n" },
        };

        RUN(wrong);
}

TEST(conf_keys_and_types)
{
        static const struct wrong wrong[] = {
                { KEY "gatway: {}\n",
                  "x.yaml: nothing to do: it has neither provider: nor gateway: nor relay: nor dht: {persistent: true}\n"
                  "x.yaml:2:1: unknown key \"gatway\"; did you mean gateway?\n" },
                { KEY "gateway: {}\nzebra: 1\n",
                  "x.yaml:3:1: unknown key \"zebra\"; the configuration has: " ROOT_KEYS "\n" },
                { KEY "gateway: {}\n\"a\\e[31m\": 1\n",
                  "x.yaml:3:1: unknown key \"a\\u{1b}[31m\"; the configuration has: " ROOT_KEYS "\n" },
                { KEY "gateway: {listen_: 127.0.0.1}\n", "x.yaml:2:11: unknown key \"listen_\"; did you mean listen?\n" },
                { KEY "gateway: 127.0.0.1\n",
                  "x.yaml:2:10: gateway: expected a map of keys and values, such as \"listen: ...\", not \"127.0.0.1\"\n" },
                { KEY "gateway: []\n",
                  "x.yaml:2:10: gateway: expected a map of keys and values, such as \"listen: ...\", not a list\n" },
                { KEY "gateway: {}\ncores: 0\n", "x.yaml:3:8: cores: expected a whole number from 1 to 8, such as 1, not \"0\"\n" },
                { KEY "gateway: {}\ncores: 9\n", "x.yaml:3:8: cores: expected a whole number from 1 to 8, such as 1, not \"9\"\n" },
                { KEY "gateway: {}\nport: 65536\n",
                  "x.yaml:3:7: port: expected a whole number from 0 to 65535, such as 49737, not \"65536\"\n" },
                { KEY "gateway: {}\nport: 0x10\n",
                  "x.yaml:3:7: port: expected a whole number from 0 to 65535, such as 49737, not \"0x10\"\n" },
                { KEY "gateway: {}\nport: 010\n",
                  "x.yaml:3:7: port: expected a whole number from 0 to 65535, such as 49737, not \"010\"\n" },
                { KEY "gateway: {}\nport: -1\n",
                  "x.yaml:3:7: port: expected a whole number from 0 to 65535, such as 49737, not \"-1\"\n" },
                { KEY "gateway: {}\nport: 99999999999999999999\n",
                  "x.yaml:3:7: port: expected a whole number from 0 to 65535, such as 49737, not (20 characters)\n" },
                { KEY "gateway: {}\nport:\n",
                  "x.yaml:3:6: port: expected a whole number from 0 to 65535, such as 49737, not nothing\n" },
                { KEY "gateway: {}\nport: {}\n",
                  "x.yaml:3:7: port: expected a whole number from 0 to 65535, such as 49737, not a map\n" },
                { KEY "gateway: {}\nlogLevel: loud\n", "x.yaml:3:11: logLevel: expected error, warning, notice, info or debug, not "
                                                       "\"loud\"\n" },
                { KEY "gateway: {}\nlogLevel: dbug\n", "x.yaml:3:11: logLevel: expected debug, not \"dbug\"\n" },
                { KEY "gateway: {}\nstateDirectory: []\n",
                  "x.yaml:3:17: stateDirectory: expected a text such as \"/var/lib/hypergate/router1\", not a list\n" },
                { KEY "gateway: {routeFindingTimeoutMs: 1h}\n",
                  "x.yaml:2:34: routeFindingTimeoutMs: expected a whole number from 0 to 3600000, such as 60000, not \"1h\"\n" },
                { KEY, "x.yaml: nothing to do: it has neither provider: nor gateway: nor relay: nor dht: {persistent: true}\n" },
        };

        RUN(wrong);
}

TEST(conf_addresses)
{
        static const struct wrong wrong[] = {
                { KEY "gateway: {listen: localhost}\n",
                  "x.yaml:2:19: listen: expected an address of this machine, such as 127.0.0.1, 0.0.0.0 (all) or ::1, not "
                  "\"localhost\"\n" },
                { KEY "gateway: {listen: [127.0.0.1, 127.0.0.1]}\n",
                  "x.yaml:2:31: listen: expected each address once, not \"127.0.0.1\"\n" },
                { KEY "gateway: {listen: []}\n",
                  "x.yaml:2:19: listen: expected at least one address of this machine, such as 127.0.0.1, not a list\n" },
                { KEY "gateway: {listen: }\n", "x.yaml:2:19: listen: expected a list; write listen: [] for an empty one, not "
                                               "nothing\n" },
                { KEY "gateway: {exposeOnlyServices: [], exposeOnlyDocker: yes}\nexposeOnlyPublished: true\n",
                  "x.yaml:2:31: exposeOnlyServices: expected at least one serviceHost, such as phpmyadmin.hyper, not a list\n"
                  "x.yaml:2:53: exposeOnlyDocker: expected true or false, not \"yes\"\n"
                  "x.yaml:3:1: \"exposeOnlyPublished\" does not belong here but below gateway:\n" },
                { KEY "gateway: {exposeOnlyServices: ['a,b', 'unix:x', {}]}\n",
                  "x.yaml:2:32: exposeOnlyServices: expected a host name or an address, such as localhost or 127.0.0.1, not \"a,b\"\n"
                  "x.yaml:2:39: exposeOnlyServices: expected unix: and the whole path of a socket, of at most 107 bytes, such as "
                  "unix:/run/app.sock, not \"unix:x\"\n"
                  "x.yaml:2:49: exposeOnlyServices: expected a text such as \"phpmyadmin.hyper\", not a map\n" },
                { KEY "gateway: {}\nhost: '::'\n", "x.yaml:3:7: host: expected an IPv4 address such as 0.0.0.0, not \"::\"\n" },
                { KEY "gateway: {}\nbootstrap: [node1, 'node1:0', '1.2.3@node1:1', '::1:2', 'a b:1', {}]\n",
                  "x.yaml:3:13: bootstrap: expected HOST:PORT, such as 192.0.2.1:49737 or node1.example.org:49737, not \"node1\"\n"
                  "x.yaml:3:20: bootstrap: expected HOST:PORT with a port from 1 to 65535, such as 192.0.2.1:49737, not "
                  "\"node1:0\"\n"
                  "x.yaml:3:31: bootstrap: expected IP@HOST:PORT with an IPv4 address, such as "
                  "192.0.2.1@node1.example.org:49737, not "
                  "\"1.2.3@node1:1\"\n"
                  "x.yaml:3:48: bootstrap: expected HOST:PORT with a name or an IPv4 address: the DHT is IPv4 only, not \"::1:2\"\n"
                  "x.yaml:3:57: bootstrap: expected HOST:PORT, such as 192.0.2.1:49737 or node1.example.org:49737, not \"a b:1\"\n"
                  "x.yaml:3:66: bootstrap: expected a text such as \"192.0.2.1:49737\", not a map\n" },
                { "dht: {persistent: yes}\n",
                  "x.yaml: nothing to do: it has neither provider: nor gateway: nor relay: nor dht: {persistent: true}\n"
                  "x.yaml:1:19: persistent: expected true or false, not \"yes\"\n" },
                { "dht: {persistent: true}\n",
                  "x.yaml:1:1: dht: a persistent node must say where others reach it: public: IP:PORT, such as 192.0.2.1:49737\n" },
                { "dht: {persistent: true}\nhost: here\nport: 1\n",
                  "x.yaml:2:7: host: expected an IPv4 address such as 0.0.0.0, not \"here\"\n" },
                { "dht: {persistent: true, public: 'node1:49737'}\n",
                  "x.yaml:1:33: public: expected IP:PORT with the IPv4 address where others reach this node, such as "
                  "192.0.2.1:49737, not "
                  "\"node1:49737\"\n" },
                { KEY "gateway:\ndht: {public: '192.0.2.1:1'}\n",
                  "x.yaml:3:1: warning: dht: public says nothing without persistent: true\n" },
        };

        RUN(wrong);
}

TEST(conf_services_in_the_configuration)
{
        static const struct wrong wrong[] = {
                { SERVICE("{}"),
                  "x.yaml:2:23: a service without gatePort, which gateways open, such as gatePort: 8080\n"
                  "x.yaml:2:23: a service without serviceHost, where it runs, such as serviceHost: 127.0.0.1\n"
                  "x.yaml:2:23: a service without servicePort, its port there, such as servicePort: 80\n" },
                { SERVICE("{gatePort: 0, serviceHost: a, servicePort: '80'}"),
                  "x.yaml:2:34: gatePort: " PORT_EXPECTED "\"0\"\n"
                  "x.yaml:2:66: servicePort: expected a whole number from 1 to 65535 without quotes, such as 8080, not \"80\"\n" },
                { SERVICE("{gatePort: 22:22, serviceHost: a, servicePort: 80.0}"),
                  "x.yaml:2:34: gatePort: " PORT_EXPECTED "\"22:22\"\n"
                  "x.yaml:2:70: servicePort: " PORT_EXPECTED "\"80.0\"\n" },
                { SERVICE_WITH("protocol: tpc"), "x.yaml:2:79: protocol: expected tcp, not \"tpc\"\n" },
                { SERVICE_WITH("protocol: sctp"), "x.yaml:2:79: protocol: expected tcp, udp or tcp+udp, not \"sctp\"\n" },
                { SERVICE_WITH("protocol: 2"), "x.yaml:2:79: protocol: expected tcp, udp or tcp+udp, not \"2\"\n" },
                { SERVICE("{gatePort: 7-5, serviceHost: a, servicePort: 0-1}"),
                  "x.yaml:2:34: gatePort: " PORTS_EXPECTED "\"7-5\"\nx.yaml:2:68: servicePort: " PORTS_EXPECTED "\"0-1\"\n" },
                { SERVICE("{gatePort: 1-65536, serviceHost: a, servicePort: 1-2-3}"),
                  "x.yaml:2:34: gatePort: " PORTS_EXPECTED "\"1-65536\"\nx.yaml:2:72: servicePort: " PORTS_EXPECTED "\"1-2-3\"\n" },
                { SERVICE("{gatePort: 100-, serviceHost: a, servicePort: -1}"),
                  "x.yaml:2:34: gatePort: " PORTS_EXPECTED "\"100-\"\nx.yaml:2:69: servicePort: " PORT_EXPECTED "\"-1\"\n" },
                { SERVICE("{gatePort: 10-19, serviceHost: a, servicePort: 80}"),
                  "x.yaml:2:23: gatePort is 10 and servicePort 1 in a row: write as many for both, such as gatePort: 27000-27050, "
                  "servicePort: 27000-27050\n" },
                { SERVICE("{gatePort: 1, serviceHost: 'unix:app.sock'}"),
                  "x.yaml:2:50: serviceHost: expected unix: and the whole path of a socket, of at most 107 bytes, such as unix:/run/app.sock, not "
                  "\"unix:app.sock\"\n" },
                { SERVICE("{gatePort: 1, serviceHost: 'unix:/a', servicePort: 80}"),
                  "x.yaml:2:23: a unix socket has no servicePort, and no protocol but tcp: leave them out\n" },
                { SERVICE("{gatePort: 1, serviceHost: 'unix:/a', protocol: tcp+udp}"),
                  "x.yaml:2:23: a unix socket has no servicePort, and no protocol but tcp: leave them out\n" },
                { SERVICE("{gatePort: 1-2, serviceHost: 'unix:/a'}"), "x.yaml:2:23: a unix socket is behind one gatePort, not behind 2\n" },
                { SERVICE("{gatePort: 1-65535, serviceHost: a, servicePort: 1-65535}"), "x.yaml:2:23: more than 16384 services in all\n" },
                { SERVICE("{gatePort: 1-8193, serviceHost: a, servicePort: 1-8193, protocol: tcp+udp}"),
                  "x.yaml:2:23: more than 16384 services in all\n" },
                { SERVICE_WITH("tags: [a]"), "x.yaml:2:75: tags: expected a text such as \"docker published\", not a list\n" },
                { SERVICE_WITH("alias: 'unix:/a'"),
                  "x.yaml:2:76: alias: expected a name for gateways to be told instead of serviceHost, such as db.internal, not \"unix:/a\"\n" },
                { SERVICE_WITH("hots: b"), "x.yaml:2:69: unknown key \"hots\"; a service has: gatePort, serviceHost, "
                                           "alias, servicePort, protocol, "
                                           "tags, priority, policy, proxyProtocol, sni, health, ingressPolicy\n" },
                { SERVICE("{gatePort: 1, serviceHost: 'a b', servicePort: 1}"),
                  "x.yaml:2:50: serviceHost: expected a host name or an address, such as localhost or 127.0.0.1, not \"a b\"\n" },
                { SERVICE("{gatePort: 1, serviceHost: 'b\xc3\xbc" "cher', servicePort: 1}"),
                  "x.yaml:2:50: serviceHost: expected a host name in its ASCII form (xn--...), not \"b\\u{fc}cher\"\n" },
                { SERVICE("{gatePort: 1, serviceHost: 127.0.0.256, servicePort: 1}"),
                  "x.yaml:2:50: serviceHost: expected an address with four numbers from 0 to 255, such as 127.0.0.1, not "
                  "\"127.0.0.256\"\n" },
                { SERVICE("{gatePort: 1, serviceHost: '127.0.0.1:80', servicePort: 1}"),
                  "x.yaml:2:50: serviceHost: expected a host alone, without a port: a name, or an address such as 127.0.0.1 or "
                  "::1, not "
                  "\"127.0.0.1:80\"\n" },
                { KEY "provider: {services: [{gatePort: 1, serviceHost: a, servicePort: 2, proxyProtocol: v3}, {gatePort: 1, serviceHost: a,"
                  " servicePort: 2, protocol: udp, proxyProtocol: v1}]}\n",
                  "x.yaml:2:84: proxyProtocol: expected v1, not \"v3\"\n"
                  "x.yaml:2:150: proxyProtocol: v1 can't tell of datagrams: write v2\n" },
                { KEY "provider: {services: [{gatePort: 1, serviceHost: a, servicePort: 2, sni: '*'}, {gatePort: 1, serviceHost: a, servicePort: 2, sni: 1.2.3.4},"
                  " {gatePort: 1, serviceHost: a, servicePort: 2, sni: 'a.*.b'}, {gatePort: 1, serviceHost: a, servicePort: 2, protocol: tcp+udp, sni: a.b}]}\n",
                  "x.yaml:2:74: sni: expected a host name, such as www.example.org, or *.example.org for all with one word more, not \"*\"\n"
                  "x.yaml:2:131: sni: expected a host name, such as www.example.org, or *.example.org for all with one word more, not \"1.2.3.4\"\n"
                  "x.yaml:2:192: sni: expected a host name, such as www.example.org, or *.example.org for all with one word more, not \"a.*.b\"\n"
                  "x.yaml:2:267: sni is asked for by TLS, over tcp alone: leave it out, or udp\n" },
        };

        RUN(wrong);
}

TEST(conf_lists_of_services)
{
        static const struct wrong wrong[] = {
                { SERVICE("[1]"),
                  "x.yaml:2:23: services: expected a service {gatePort: ...} or the name of a service file, not a list\n" },
                { SERVICE("'{\"gatePort\": 1}'"),
                  "x.yaml:2:23: services: expected the name of a file, or the service itself without quotes, not "
                  "\"{\"gatePort\": 1}\"\n" },
                { SERVICE("'ftp://example.org/http.json'"),
                  "x.yaml:2:23: services: expected http://HOST/PATH or https://HOST:PORT/PATH, such as "
                  "https://example.org/services.json, not \"ftp://example.org/http.json\"\n" },
                { SERVICE("'https://me:pw@example.org/'"),
                  "x.yaml:2:23: services: expected a URL without a user and a password, not \"https://me:pw@example.org/\"\n" },
                { KEY "gateway: {except: ['https://example.org/x']}\n",
                  "x.yaml:2:20: except: expected the name of a file: nothing is fetched for this, download it first, not "
                  "\"https://example.org/x\"\n" },
                { KEY "provider: {services: }\n",
                  "x.yaml:2:22: services: expected a list; write services: [] for an empty one, not nothing\n" },
                { KEY "gateway: {services: [{}]}\n",
                  "x.yaml:2:22: says nothing about which services are meant; it needs at least one of gatePort, serviceHost, "
                  "servicePort, "
                  "protocol, tags\n" },
                { KEY "gateway: {policy: lest-connections, services: [{tags: x, policy: first}, {gatePort: 1, policy: random, priority: 256}], "
                      "except: [{gatePort: 1, priority: 1}, {gatePort: 2, policy: first}]}\n",
                  "x.yaml:2:19: policy: expected least-connections, not \"lest-connections\"\n"
                  "x.yaml:2:58: policy is one of a gate: say which gatePort, such as gatePort: 8000; or leave it out and write "
                  "gateway: {policy: first} for all\n"
                  "x.yaml:2:96: policy: expected round-robin, least-connections, source-hash or first, not \"random\"\n"
                  "x.yaml:2:114: priority: expected a whole number from 0 to 255, such as 1, not \"256\"\n"
                  "x.yaml:2:144: priority says nothing here: what matches is kept out; leave it out\n"
                  "x.yaml:2:172: policy says nothing here: what matches is kept out; leave it out\n" },
                { KEY "except: []\ngateway: {except: [{}, {port: 1}]}\n",
                  "x.yaml:2:1: \"except\" does not belong here but below gateway:\n"
                  "x.yaml:3:20: says nothing about which services are meant; it needs at least one of gatePort, serviceHost, servicePort, "
                  "protocol, tags\n"
                  "x.yaml:3:24: says nothing about which services are meant; it needs at least one of gatePort, serviceHost, servicePort, "
                  "protocol, tags\n"
                  "x.yaml:3:25: unknown key \"port\"; a service has: gatePort, serviceHost, alias, servicePort, protocol, tags, priority, policy, proxyProtocol, sni, health, ingressPolicy\n" },
                { KEY "gateway: {services: []}\n",
                  "x.yaml:2:21: warning: services: an empty list lets every service pass; leave it out to say so\n" },
        };

        RUN(wrong);
}

TEST(conf_health_of_a_service)
{
        static const struct wrong wrong[] = {
                { SERVICE_WITH("health: tcp"),
                  "x.yaml:2:77: health: expected a map of keys and values, such as \"type: ...\", not \"tcp\"\n" },
                { SERVICE_WITH("health: {path: /a}"), "x.yaml:2:78: path says nothing without type: http\n" },
                { SERVICE_WITH("health: {type: http, path: a b, status: 99, intervalMs: 1, timeoutMs: 0, rise: 0, fall: 101, to: 1}"),
                  "x.yaml:2:96: path: expected a path that begins with /, of at most 127 printable characters, such as /ready, not \"a b\"\n"
                  "x.yaml:2:109: status: expected a status of HTTP from 100 to 599, or a range such as 200-399, not \"99\"\n"
                  "x.yaml:2:125: intervalMs: expected a whole number from 500 to 3600000, such as 10000, not \"1\"\n"
                  "x.yaml:2:139: timeoutMs: expected a whole number from 50 to 60000, such as 2000, not \"0\"\n"
                  "x.yaml:2:148: rise: expected a whole number from 1 to 100, such as 2, not \"0\"\n"
                  "x.yaml:2:157: fall: expected a whole number from 1 to 100, such as 3, not \"101\"\n"
                  "x.yaml:2:162: unknown key \"to\"; health has: type, path, status, intervalMs, timeoutMs, rise, fall\n" },
                { SERVICE_WITH("protocol: udp, health: {}"), "x.yaml:2:84: health is asked by TCP: who is there by UDP is found out by its "
                  "clients; write an entry without it for udp\n" },
        };

        RUN(wrong);
}

TEST(conf_ingress_policies)
{
        static const struct wrong wrong[] = {
                { SERVICE_WITH("ingressPolicy: {deny: 1, ips: {10.0.0.1/8: {}, 10.0.0.0/8: {allow: 1}, '::ffff:10.0.0.0/104': {}}}"),
                  "x.yaml:2:85: unknown key \"deny\"; ingressPolicy has: defaults, ips\n"
                  "x.yaml:2:100: ips: expected a network whose address ends with it: beyond the bits behind the / all are 0, as in 10.0.0.0/8, "
                  "or \"*\" for all, not \"10.0.0.1/8\"\n"
                  "x.yaml:2:136: allow: expected true or false, not \"1\"\n"
                  "x.yaml:2:140: ips: each network once: the first one decides\n" },
                { SERVICE_WITH("ingressPolicy: {ips: {'*': {bandwidthLimit: {burstMbps: 0}, expireAt: soon, onlyPorts: [443, 80], onlyProtocols: "
                               "[tpc]}}, defaults: {onlyPorts: [1, 2]}}"),
                  "x.yaml:2:125: burstMbps: expected Mbit/s from 0.001 to 1000000, such as 10, not \"0\"\n"
                  "x.yaml:2:139: expireAt: expected milliseconds since 1970, such as 1798761600000, not \"soon\"\n"
                  "x.yaml:2:156: onlyPorts: expected the lower port first, such as [80, 443], not a list\n"
                  "x.yaml:2:183: onlyProtocols: expected tcp, not \"tpc\"\n"
                  "x.yaml:2:202: unknown key \"onlyPorts\"; defaults has: allow, bandwidthLimit, expireAt, labels, desc\n" },
                { SERVICE_WITH("ingressPolicy: {defaults: {bandwidthLimit: {direction: up}}}"),
                  "x.yaml:2:112: bandwidthLimit without mbps, such as {mbps: 10, burstMbps: 20}\n" },
        };

        RUN(wrong);
}

TEST(conf_gates_and_who_asks)
{
        static const struct wrong wrong[] = {
                { KEY "provider: {}\nfingerprintResolver: {listen: 8080}\n",
                  "x.yaml:3:31: listen: expected IP:PORT, such as 127.0.0.1:8080 or \"[::1]:8080\", or unix: and the whole "
                  "path of a socket, not \"8080\"\n" },
                { KEY "gateway: {trustedProxies: [10.0.0.1/8, 10.0.0.0/33, proxy.example, '::/129', 1.2.3.4, 1.2.3.4/32, '::1/', '2001:db8::1/64']}\n",
                  "x.yaml:2:28: trustedProxies: expected a network whose address ends with it: beyond the bits behind the / all are 0, as in 10.0.0.0/8,"
                  " not \"10.0.0.1/8\"\n"
                  "x.yaml:2:40: trustedProxies: expected a network, such as 10.0.0.0/8 or 2001:db8::/32, or an address, such as 192.0.2.7, not \"10.0.0.0/33\"\n"
                  "x.yaml:2:53: trustedProxies: expected a network, such as 10.0.0.0/8 or 2001:db8::/32, or an address, such as 192.0.2.7, not \"proxy.example\"\n"
                  "x.yaml:2:68: trustedProxies: expected a network, such as 10.0.0.0/8 or 2001:db8::/32, or an address, such as 192.0.2.7, not \"::/129\"\n"
                  "x.yaml:2:87: trustedProxies: expected each network once, not \"1.2.3.4/32\"\n"
                  "x.yaml:2:99: trustedProxies: expected a network, such as 10.0.0.0/8 or 2001:db8::/32, or an address, such as 192.0.2.7, not \"::1/\"\n"
                  "x.yaml:2:107: trustedProxies: expected a network whose address ends with it: beyond the bits behind the / all are 0, as in 10.0.0.0/8,"
                  " not \"2001:db8::1/64\"\n" },
                { KEY "gateway: {listen: ['unix:/run/x.sock', 'unix:{gatePort}', 'unix:/{gatePort}', 'unix:/{gatePort}', 'unix:/{gatePort}{gatePort}'],"
                  " socketMode: 660}\n",
                  "x.yaml:2:20: listen: expected unix: and the whole path of a socket, of at most 107 bytes, with {gatePort} in its name once, such as"
                  " unix:/run/gates/{gatePort}.sock, not \"unix:/run/x.sock\"\n"
                  "x.yaml:2:40: listen: expected unix: and the whole path of a socket, of at most 107 bytes, with {gatePort} in its name once, such as"
                  " unix:/run/gates/{gatePort}.sock, not \"unix:{gatePort}\"\n"
                  "x.yaml:2:79: listen: expected each address once, not \"unix:/{gatePort}\"\n"
                  "x.yaml:2:99: listen: expected unix: and the whole path of a socket, of at most 107 bytes, with {gatePort} in its name once, such as"
                  " unix:/run/gates/{gatePort}.sock, not \"unix:/{gatePort}{gatePort}\"\n"
                  "x.yaml:2:142: socketMode: expected four octal digits, from 0000 to 0777, such as 0660, not \"660\"\n" },
        };

        RUN(wrong);
}

TEST(conf_limits)
{
        static const struct wrong wrong[] = {
                { KEY "gateway: {tcpSocketTimeoutMs: 999, keepAlive: {idleSeconds: 0, intervalSeconds: 32768, count: 128, idle: 1}}\n"
                  "provider: {services: [], tcpSocketTimeoutMs: 2592000001, keepAlive: soon}\n",
                  "x.yaml:2:31: tcpSocketTimeoutMs: expected a whole number from 1000 to 2592000000, such as 3600000, not \"999\"\n"
                  "x.yaml:2:61: idleSeconds: expected a whole number from 1 to 32767, such as 60, not \"0\"\n"
                  "x.yaml:2:81: intervalSeconds: expected a whole number from 1 to 32767, such as 10, not \"32768\"\n"
                  "x.yaml:2:95: count: expected a whole number from 1 to 127, such as 6, not \"128\"\n"
                  "x.yaml:2:100: unknown key \"idle\"; did you mean idleSeconds?\n"
                  "x.yaml:3:46: tcpSocketTimeoutMs: expected a whole number from 1000 to 2592000000, such as 3600000, not \"2592000001\"\n"
                  "x.yaml:3:69: keepAlive: expected true or false, not \"soon\"\n" },
                { KEY "gateway: {routesPerPeer: 257}\n",
                  "x.yaml:2:26: routesPerPeer: expected a whole number from 1 to 256, such as 20, not \"257\"\n" },
                { KEY "gateway: {connectionsPerPeer: 1}\nprovider: {connectionsPerPeer: 0}\n",
                  "x.yaml:2:11: \"connectionsPerPeer\" does not belong here but below provider:\n"
                  "x.yaml:3:32: connectionsPerPeer: expected a whole number from 1 to 65536, such as 1000, not \"0\"\n" },
                { KEY "connectionRate: 1\ngateway: {connectionRate: 0, connectionRatePerClient: 65537}\n",
                  "x.yaml:2:1: \"connectionRate\" does not belong here but below gateway:\n"
                  "x.yaml:3:27: connectionRate: expected a whole number from 1 to 65536, such as 100, not \"0\"\n"
                  "x.yaml:3:55: connectionRatePerClient: expected a whole number from 1 to 65536, such as 5, not \"65537\"\n" },
                { KEY "connections: 1\ngateway: {connections: 0, connectionsPerClient: 65537}\n",
                  "x.yaml:2:1: \"connections\" does not belong here but below gateway: or relay:\n"
                  "x.yaml:3:24: connections: expected a whole number from 1 to 65536, such as 1000, not \"0\"\n"
                  "x.yaml:3:49: connectionsPerClient: expected a whole number from 1 to 65536, such as 50, not \"65537\"\n" },
        };

        RUN(wrong);
}

TEST(conf_identity_and_peers)
{
        static const struct wrong wrong[] = {
                { KEY "gateway: {identity: persistent}\nidentity: forever\n",
                  "x.yaml:2:11: \"identity\" does not belong here but at the left margin\n"
                  "x.yaml:3:11: identity: expected persistent or ephemeral, not \"forever\"\n" },
                { KEY "gateway: {}\nidentity: persistent\n",
                  "x.yaml:3:11: identity: a persistent one needs a folder to be kept in: stateDirectory: PATH, such as /var/lib/hypergate/router1\n" },
                { KEY "allowPeers: [x]\ngateway: {allowPeers: []}\nprovider: {allowPeers: [0b7c, {}]}\n",
                  "x.yaml:2:1: \"allowPeers\" does not belong here but below provider: or gateway:\n"
                  "x.yaml:3:23: allowPeers: an empty list; leave it out to let all come that know the secret, or name who may\n"
                  "x.yaml:4:25: allowPeers: expected a peer's key, 64 characters 0-9 a-f, as hypergate status says it there, not \"0b7c\"\n"
                  "x.yaml:4:31: allowPeers: expected a text such as \"0b7c...\", not a map\n" },
                { KEY "gateway: {peers: [], logChannels: true}\n",
                  "x.yaml:2:11: \"peers\" does not belong here but at the left margin\n"
                  "x.yaml:2:22: \"logChannels\" does not belong here but at the left margin\n" },
        };

        RUN(wrong);
}

TEST(conf_docker_and_its_hosts)
{
        static const struct wrong wrong[] = {
                { KEY "relay:\ndocker: {}\n",
                  "x.yaml:3:1: docker: it finds services of a provider and makes hosts of a gateway, and there is neither: write provider: {} or "
                  "gateway: {} beside it\n" },
                { KEY "gateway: {}\ndocker: {virtualNetwork: false}\n",
                  "x.yaml:3:1: docker: without a virtual network there is nothing to do for it at a gateway: leave it out\n" },
                { KEY "gateway: {}\nprovider: {}\ndocker: {readOnly: true}\n",
                  "x.yaml:4:10: readOnly: a virtual network is made of containers: write virtualNetwork: false beside it, or leave it out\n" },
                { KEY "gateway: {}\ndocker: {image: 'a b'}\n",
                  "x.yaml:3:17: image: expected the name of an image, of at most 255 letters, digits and _ . - : / @, such as hypergate:latest, "
                  "not \"a b\"\n" },
                { KEY "gateway: {hosts: /run/port.sock}\n",
                  "x.yaml:2:18: hosts: expected unix: and the whole path of a socket, of at most 107 bytes, such as"
                  " unix:/run/hypergate/hosts/port.sock, not \"/run/port.sock\"\n" },
                { KEY "gateway: {hosts: 'unix:/run/'}\n",
                  "x.yaml:2:18: hosts: expected unix: and the whole path of a socket, of at most 107 bytes, such as"
                  " unix:/run/hypergate/hosts/port.sock, not \"unix:/run/\"\n" },
        };

        RUN(wrong);
}

TEST(conf_service_files)
{
        static const char main_text[] = KEY "provider:\n  services:\n    - s.json\n";
        static const char yaml_text[] = KEY "provider:\n  services:\n    - s.yaml\n";
        static const struct wrong wrong[] = {
                { main_text, "x.yaml:4:7: services: cannot read \"s.json\": No such file or directory\n" },
                { main_text, "s.json: the file is empty\n", "s.json", "" },
                { main_text, "s.json: holds nothing\n", "s.json", "null" },
                { main_text, "s.json:1:1: a service file is a list of services, or a map with one: services: "
                             "[...]\n", "s.json", "80" },
                { main_text,
                  "s.json:1:1: a service file is a list of services, or a map with one: services: [...]\n"
                  "s.json:1:2: warning: unknown key \"gatePort\" is passed over\n", "s.json", "{\"gatePort\": 80}" },
                { main_text, "s.json:1:2: expected a service, {gatePort: ..., serviceHost: ..., servicePort: ...}, not "
                             "\"t.json\"\n",
                  "s.json", "[\"t.json\"]" },
                { main_text,
                  "s.json:2:12: gatePort: expected a whole number from 1 to 65535 without quotes, such as 8080, not \"80\"\n"
                  "s.json:2:33: serviceHost: expected a text such as \"127.0.0.1\", not \"1\"\n"
                  "s.json:3:2: warning: unknown key \"service_port\" is passed over; did you mean servicePort?\n"
                  "s.json:3:36: servicePort: " PORT_EXPECTED "\"1.5\"\n", "s.json",
                  "[{\n\"gatePort\":\"80\", \"serviceHost\": 1,\n \"service_port\": 1, \"servicePort\": 1.5}]" },
                { main_text,
                  "s.json:3:56: warning: unknown key \"x\" is passed over\n"
                  "s.json:3:81: ingressPolicy: expected a map of keys and values, such as \"defaults: ...\", not \"1\"\n", "s.json",
                  "[{\"gatePort\": 1, \"serviceHost\": \"a\", \"servicePort\": 1,\n\"ingressPolicy\": {\"ips\": {}}},\n"
                  " {\"gatePort\": 2, \"serviceHost\": \"a\", \"servicePort\": 1, \"x\": 1, \"ingressPolicy\": 1}]" },
                { main_text, "s.json:1:18: \"services\" is here twice; the first one is on line 1\n", "s.json",
                  "{\"services\": [], \"services\": []}" },
                { yaml_text, "s.yaml:1:3: unknown key \"gateport\"; did you mean gatePort?\n"
                             "s.yaml:1:3: a service without gatePort, which gateways open, such as gatePort: 8080\n", "s.yaml",
                  "- gateport: 80\n  serviceHost: a\n  servicePort: 80\n" },
                { KEY "provider: {services: [/dev/null, /tmp]}\n",
                  "x.yaml:2:23: services: cannot read \"/dev/null\": not a file\n"
                  "x.yaml:2:34: services: cannot read \"/tmp\": it is a folder\n" },
        };

        RUN(wrong);
}

#define KEY_EXPECTED "expected 64 characters 0-9 a-f, the key that a relay logs at its start, not "

TEST(conf_relays_and_what_they_need)
{
        static const struct wrong wrong[] = {
                { "relay: true\n", "x.yaml: no router secret: name its file with secretFile, or set HYPERGATE_ROUTER; \"hypergate "
                                   "new --output FILE\" makes one\n" },
                { KEY "relay: false\n", "x.yaml: nothing to do: it has neither provider: nor gateway: nor relay: nor dht: "
                                        "{persistent: true}\n" },
                { KEY "relay: {open: maybe, connections: 0, connectionsPerClient: x, bytesPerSecond: 9999, to: 1}\n",
                  "x.yaml:2:15: open: expected true or false, not \"maybe\"\n"
                  "x.yaml:2:35: connections: expected a whole number from 1 to 65536, such as 100, not \"0\"\n"
                  "x.yaml:2:60: connectionsPerClient: expected a whole number from 1 to 65536, such as 10, not \"x\"\n"
                  "x.yaml:2:79: bytesPerSecond: expected a whole number from 10000 to 4294967295, such as 10000000, "
                  "not \"9999\"\n"
                  "x.yaml:2:85: unknown key \"to\"; relay has: open, connections, connectionsPerClient, bytesPerSecond, "
                  "bytesPerSecondPerClient\n" },
                { KEY "gateway: {relays: []}\n",
                  "x.yaml:2:11: \"relays\" does not belong here but at the left margin\n" },
                { KEY "gateway:\nrelays: [abc, " FOLDER_SECRET "0, \"\"]\n",
                  "x.yaml:3:10: relays: " KEY_EXPECTED "\"abc\"\n"
                  "x.yaml:3:15: relays: " KEY_EXPECTED "(65 characters)\n"
                  "x.yaml:3:82: relays: expected a text such as \"0b7c...\", not \"\"\n" },
        };

        RUN(wrong);
}

TEST(conf_secrets_that_are_none)
{
        static const struct wrong wrong[] = {
                { "gateway:\n", "x.yaml: no router secret: name its file with secretFile, or set HYPERGATE_ROUTER; \"hypergate "
                                "new --output "
                                "FILE\" makes one\n" },
                { "secretFile: nokey\ngateway:\n",
                  "x.yaml:1:13: secretFile: cannot read \"nokey\": No such file or directory; \"hypergate new --output "
                  "FILE\" makes one\n" },
                { "secretFile: .\ngateway:\n", "x.yaml:1:13: secretFile: cannot read \".\": it is a folder\n" },
                { "secretFile: " FOLDER_SECRET "\ngateway:\n",
                  "x.yaml:1:13: secretFile: expected the name of a file with the secret in it: the secret itself never stands "
                  "here\n" },
                { "secret: " FOLDER_SECRET "\nsecretFile: key\ngateway:\n", "x.yaml:1:1: unknown key \"secret\"; did you mean "
                                                                            "secretFile?\n" },
                { FOLDER_SECRET ": 1\n" KEY "gateway:\n",
                  "x.yaml:1:1: unknown key (64 characters); the configuration has: " ROOT_KEYS "\n" },
        };

        RUN(wrong);
}

/* What becomes of a secret file with this content and mode. */
static const char *with_secret(const char *text, unsigned mode)
{
        const char *said;
        struct conf *conf;

        folder_write("other", text, strlen(text), mode);
        folder_write("x.yaml", "secretFile: other\ngateway:\n", strlen("secretFile: other\ngateway:\n"), 0644);
        said = folder_load((struct conf_source)CONF_SOURCE_INIT, &conf);
        check(!!conf == !said[0]);
        conf_free(conf);
        return said;
}

TEST(conf_secret_files_that_are_not_good)
{
        struct folder folder = folder_begin();

        check_text("whole", with_secret(FOLDER_SECRET "\n", 0600), "");
        check_text("read-only", with_secret(FOLDER_SECRET, 0400), "");
        check_text("blanks", with_secret("  " FOLDER_SECRET " \r\n\n", 0600), "");
        check_text("upper case", with_secret("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", 0600), "");
        check_text("open", with_secret(FOLDER_SECRET "\n", 0640),
                   "x.yaml:1:13: secretFile: \"other\" is open to others than its owner (mode 0640): chmod 600 it, and think of "
                   "a new secret\n");
        check_text("writable", with_secret(FOLDER_SECRET "\n", 0602),
                   "x.yaml:1:13: secretFile: \"other\" is open to others than its owner (mode 0602): chmod 600 it, and think of "
                   "a new secret\n");
        check_text("empty", with_secret("\n", 0600), "other: the router secret is empty; \"hypergate new\" makes one\n");
        check_text("short", with_secret("0123456789abcdef\n", 0600), "other:1:1: the router secret has 16 characters, not 64\n");
        check_text("long", with_secret(FOLDER_SECRET "00", 0600), "other:1:1: the router secret has 66 characters, not 64\n");
        check_text("no hex", with_secret("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1g", 0600),
                   "other:1:64: the router secret: character 64 is none of 0-9 a-f; it is 64 of these and nothing else\n");
        check_text("two", with_secret(FOLDER_SECRET " " FOLDER_SECRET, 0600),
                   "other:1:65: the router secret: character 65 is none of 0-9 a-f; it is 64 of these and nothing else\n");
        folder_end(&folder);
}

TEST(conf_complaints_are_kept_up_to_a_bound_and_counted_beyond)
{
        enum { KEYS = 60, MAPS = 10 };
        struct folder folder = folder_begin();
        struct conf_source source = CONF_SOURCE_INIT;
        struct conf_complaints complaints;
        struct conf *conf = NULL;
        char *text;
        size_t len;
        FILE *out = open_memstream(&text, &len);

        for (int i = 0; i < 250; i++)
                fprintf(out, "%s{\"gatePort\": %d, \"serviceHost\": \"a\", \"servicePort\": 1, \"unknown\": 1}", i ? ", " : "[", i + 1);
        fputs("]", out);
        fclose(out);
        folder_write("s.json", text, len, 0644);
        free(text);

        out = open_memstream(&text, &len);
        fputs(KEY "provider:\n  services:\n    - s.json\n", out);
        for (int i = 0; i < MAPS; i++) {
                fprintf(out, "    - {gatePort: %d, serviceHost: a, servicePort: 1", i + 1);
                for (int j = 0; j < KEYS; j++)
                        fprintf(out, ", k%d: 1", j);
                fputs("}\n", out);
        }
        fclose(out);
        folder_write("x.yaml", text, len, 0644);
        free(text);
        source.path = "x.yaml";
        check_equal(conf_load(&source, &conf, &complaints), CONF_BAD);
        check(!conf);
        check_equal(complaints.count, CONF_COMPLAINTS_MAX);
        check_equal(complaints.error_count, KEYS * MAPS);
        check_equal(complaints.warning_count, 250);
        check_equal(complaints.omitted_count, KEYS * MAPS + 250 - CONF_COMPLAINTS_MAX);
        for (size_t i = 0; i < complaints.count; i++)
                check(!complaints.list[i].warning);
        conf_complaints_fini(&complaints);
        folder_end(&folder);
}

TEST(conf_files_beyond_the_bounds)
{
        struct folder folder = folder_begin();
        struct conf *conf;
        char *text;
        size_t len;
        FILE *out = open_memstream(&text, &len);

        for (int i = 0; i < CONF_FILE_BYTES_MAX; i++)
                fputs("#", out);
        fputs("\n", out);
        fclose(out);
        folder_write("x.yaml", text, len, 0644);
        check_text("long file", folder_load((struct conf_source)CONF_SOURCE_INIT, &conf), "x.yaml: cannot read it: more than 1 "
                                                                                          "MiB\n");
        folder_write("x.yaml", text, len - 1, 0644);
        check_text("longest file", folder_load((struct conf_source)CONF_SOURCE_INIT, &conf), "x.yaml: holds nothing\n");
        free(text);

        out = open_memstream(&text, &len);
        for (int i = 0; i < 300000; i++)
                fputs("1,", out);
        fclose(out);
        folder_write("s.json", "[", 1, 0644);
        out = fopen("s.json", "a");
        fwrite(text, 1, len, out);
        fclose(out);
        free(text);
        folder_write("x.yaml", SERVICE("s.json"), strlen(SERVICE("s.json")), 0644);
        check_text("many values", folder_load((struct conf_source)CONF_SOURCE_INIT, &conf),
                   "s.json:1:524288: more than 262144 values in one file\n");
        folder_end(&folder);
}

TEST(conf_with_more_services_than_are_advertised)
{
        struct folder folder = folder_begin();
        struct conf *conf;
        char *text;
        size_t len;
        FILE *out = open_memstream(&text, &len);

        fputs(KEY "provider:\n  services:\n", out);
        for (int i = 1; i <= 257; i++)
                fprintf(out, "    - {gatePort: %d, serviceHost: a, servicePort: 1}\n", i);
        fclose(out);
        folder_write("x.yaml", text, len, 0644);
        check_text("257", folder_load((struct conf_source)CONF_SOURCE_INIT, &conf),
                   "x.yaml:4:5: warning: 257 services: gateways learn of the first 256 only\n");
        check_equal(conf->provider.service_count, 257);
        conf_free(conf);
        free(text);
        folder_end(&folder);
}

TEST(conf_service_files_are_counted)
{
        struct folder folder = folder_begin();
        struct conf *conf;
        char *text;
        size_t len;
        FILE *out = open_memstream(&text, &len);

        folder_write("s.yaml", "services: []\n", 13, 0644);
        fputs(KEY "provider:\n  services:\n", out);
        for (int i = 0; i < CONF_FILES_MAX + 2; i++)
                fputs("    - s.yaml\n", out);
        fclose(out);
        folder_write("x.yaml", text, len, 0644);
        free(text);
        check_text("files", folder_load((struct conf_source)CONF_SOURCE_INIT, &conf),
                   "x.yaml:260:7: more than 256 files beside the first\n");
        folder_end(&folder);
}
