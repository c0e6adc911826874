/* SPDX-License-Identifier: BSD-3-Clause */
/* Several ingress policies that are one: files, URLs and JSON texts of the command line. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "conf_folder.h"
#include "test.h"

static const char *fetched(void *context, const char *url, size_t *len_out)
{
        const char *text = strcmp(url, "http://a/known") == 0 ? context : NULL;

        *len_out = text ? strlen(text) : 0;
        return text;
}

static void write_text(const char *name, const char *text)
{
        folder_write(name, text, strlen(text), 0644);
}

/* A provider with that list of policies. Returns the complaints. */
static const char *load(const char *list, char *known, struct conf **conf_out)
{
        static const char *const flags[] = { "--provider", "--ingressPolicy" };
        struct conf_source source = { .path = "command line", .secret_fd = -1, .router_secret = FOLDER_SECRET, .flags = flags,
                                      .flag_count = 2, .fetched = fetched, .fetched_context = known };
        char text[4096];
        const char *said;

        snprintf(text, sizeof(text), "provider: {services: [],\ningressPolicy: [%s]}\n", list);
        write_text("sheet", text);
        source.fd = open("sheet", O_RDONLY | O_CLOEXEC);
        said = folder_load(source, conf_out);
        close(source.fd);
        return said;
}

static void check_together(const char *list, const char *expected)
{
        struct conf *conf, *same;

        check(strcmp(load(list, NULL, &conf), "") == 0);
        check(strcmp(load(expected, NULL, &same), "") == 0);
        check_equal(conf->provider.ingress->count, same->provider.ingress->count);
        check(memcmp(conf->provider.ingress->rules, same->provider.ingress->rules,
                     same->provider.ingress->count * sizeof(struct conf_rule)) == 0);
        conf_free(conf);
        conf_free(same);
}

/* As the original's mergeIngressPolicies() does: tests/vectors/hypergate.json, ingress_policy_merge. */
TEST(of_several_policies_the_later_one_counts_word_by_word)
{
        struct folder folder = folder_begin();

        check_together("'{}'", "'{}'");
        check_together("'{\"defaults\": {\"allow\": true, \"bandwidthLimit\": {\"mbps\": 1, \"burstMbps\": 2}}}', "
                       "'{\"defaults\": {\"bandwidthLimit\": {\"mbps\": 5}}}'",
                       "'{\"defaults\": {\"allow\": true, \"bandwidthLimit\": {\"mbps\": 5, \"burstMbps\": 2}}}'");
        check_together("'{\"defaults\": {\"allow\": true, \"bandwidthLimit\": {\"mbps\": 1}}}', '{\"defaults\": {\"bandwidthLimit\": null}}'",
                       "'{\"defaults\": {\"allow\": true}}'");
        check_together("'{\"ips\": {\"1.2.3.4\": {\"allow\": false, \"labels\": [\"a\", \"b\"]}}}', "
                       "'{\"ips\": {\"1.2.3.4\": {\"allow\": true, \"labels\": [\"c\"]}}}'",
                       "'{\"ips\": {\"1.2.3.4\": {\"allow\": true, \"labels\": [\"c\"]}}}'");
        folder_end(&folder);
}

/* The first rule about a client decides: what is said again keeps its place. */
TEST(policies_keep_the_order_of_what_they_said_first)
{
        struct folder folder = folder_begin();

        write_text("first.json", "{\"ips\": {\"10.0.0.0/8\": {\"allow\": true}, \"*\": {\"allow\": true}}}");
        write_text("second.yaml", "ips: {\"*\": {allow: false}, 192.0.2.1: {allow: true}}\ndefaults: {allow: false}\n");
        check_together("first.json, second.yaml, '{\"ips\": {\"10.0.0.0/8\": {\"labels\": [\"x\"]}}}'",
                       "'{\"defaults\": {\"allow\": false}, \"ips\": {\"10.0.0.0/8\": {\"allow\": true, \"labels\": [\"x\"]}, "
                       "\"*\": {\"allow\": false}, \"192.0.2.1\": {\"allow\": true}}}'");
        folder_end(&folder);
}

TEST(nobody_comes_until_all_policies_are_known)
{
        static char known[] = "{\"ips\": {\"10.0.0.0/8\": {\"allow\": true}}}";
        struct folder folder = folder_begin();
        struct conf *conf;

        check(strcmp(load("'{\"defaults\": {\"allow\": true}}', 'http://a/known', 'http://a/later'", known, &conf), "") == 0);
        check_equal(conf->provider.url_count, 2);
        check_equal(conf->provider.ingress->count, 1);
        check(conf->provider.ingress->rules[0].who == CONF_RULE_OTHERS && !conf->provider.ingress->rules[0].allow);
        conf_free(conf);

        check(strcmp(load("'{\"defaults\": {\"allow\": false}}', 'http://a/known'", known, &conf), "") == 0);
        check_equal(conf->provider.ingress->count, 2);
        check(conf->provider.ingress->rules[0].bits == 104 && conf->provider.ingress->rules[0].allow);
        check(conf->provider.ingress->rules[1].who == CONF_RULE_OTHERS && !conf->provider.ingress->rules[1].allow);
        conf_free(conf);
        folder_end(&folder);
}

/* The original starts without a policy that it cannot read. */
TEST(a_policy_that_cannot_be_read_starts_nothing)
{
        struct folder folder = folder_begin();
        struct conf *conf;
        const char *said;

        said = load("nowhere.json", NULL, &conf);
        check(strcmp(said, "--ingressPolicy: ingressPolicy: cannot read \"nowhere.json\": No such file or directory\n") == 0);
        said = load("'{\"defaults\": {\"allow\": 1}}', '{\"x\": 1}'", NULL, &conf);
        check(strstr(said, "--ingressPolicy:1:24: allow: ") && strstr(said, "warning: unknown key \"x\""));
        said = load("'{\"ips\": {\"10.0.0.0/8\": {}}}', '{\"ips\": {\"::ffff:10.0.0.0/104\": {}}}'", NULL, &conf);
        check(strcmp(said, "--ingressPolicy:1:10: ips: each network once: the first one decides\n") == 0);
        said = load("'[]'", NULL, &conf);
        check(*said && !strstr(said, "warning"));
        check(strcmp(load("'{\"x\": 1}', '{}'", NULL, &conf), "--ingressPolicy:1:2: warning: unknown key \"x\" is passed over\n") == 0);
        conf_free(conf);
        folder_end(&folder);
}

/* A fault that only shows when all are one has the place of what makes it one. */
TEST(a_fault_of_several_policies_has_its_place_in_the_one_that_it_is_in)
{
        struct folder folder = folder_begin();
        char list[512] = "", name[16], text[4096];
        struct conf *conf;

        write_text("first.json", "{\"ips\": {\"10.0.0.0/8\": {\"allow\": true}}}");
        write_text("second.yaml", "defaults: {allow: true}\nips:\n  192.0.2.1: {}\n  ::ffff:10.0.0.0/104: {allow: false}\n");
        check(strcmp(load("first.json, second.yaml", NULL, &conf),
                     "second.yaml:4:3: ips: each network once: the first one decides\n") == 0);
        for (unsigned i = 0; i < 17; i++) {
                strcpy(text, "{\"ips\": {\n");
                for (unsigned j = 0; j < 60; j++)
                        sprintf(text + strlen(text), "%s\"1.1.%u.%u\": {}\n", j ? "," : " ", i, j);
                snprintf(name, sizeof(name), "%u.json", i);
                write_text(name, strcat(text, "}}"));
                sprintf(list + strlen(list), "%s%s", i ? ", " : "", name);
        }
        check(strcmp(load(list, NULL, &conf), "16.json:42:2: ips: at most 1000 networks in all policies together\n") == 0);
        folder_end(&folder);
}

/* Hypergate, Gateway.ts: without allow a rule lets nobody in. A configuration of ours says so where it is meant. */
TEST(a_rule_of_json_that_does_not_say_keeps_out_as_with_the_original)
{
        static const char expected[] = "rules.json:2:9: warning: a rule without allow keeps its clients out, as with the original: write \"allow\": true, "
                                       "or false if that is meant\n";
        struct folder folder = folder_begin();
        struct conf *conf;

        write_text("rules.yaml", "ips: {10.0.0.0/8: {labels: [x]}}\n");
        check(strcmp(load("rules.yaml", NULL, &conf), "") == 0);
        check(conf->provider.ingress->rules[0].allow);
        conf_free(conf);
        write_text("rules.json", "{\"defaults\": {\"allow\": true},\n\"ips\": {\"10.0.0.0/8\": {\"labels\": [\"x\"]}}}");
        check(strcmp(load("rules.json", NULL, &conf), expected) == 0);
        check(!conf->provider.ingress->rules[0].allow && conf->provider.ingress->rules[1].allow);
        conf_free(conf);
        check(strcmp(load("rules.json, '{\"ips\": {\"10.0.0.0/8\": {\"allow\": true}}}'", NULL, &conf), "") == 0);      /* another one says it */
        check(conf->provider.ingress->rules[0].allow);
        conf_free(conf);
        check(strstr(load("rules.json, rules.yaml, '{\"defaults\": {\"labels\": []}, \"ips\": {\"*\": null}}'", NULL, &conf),
                     expected) != NULL);
        check(!conf->provider.ingress->rules[0].allow && !conf->provider.ingress->rules[1].allow && conf->provider.ingress->rules[2].allow);
        conf_free(conf);
        folder_end(&folder);
}
