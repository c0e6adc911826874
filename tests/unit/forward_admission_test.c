/* SPDX-License-Identifier: BSD-3-Clause */
/* Whom a gateway's policy and its provider's let in, and on which terms. */
#include "forward_admission.h"

#include <arpa/inet.h>
#include <string.h>

#include "ipc_channel.h"
#include "ipc_forward.h"
#include "policy.h"
#include "test.h"

enum { GATE = 443, OFFERED = 8443, NOW_MS = 1000 };

static const uint8_t address[16] = { 1 };

/* About all, of one range of ports; labels end with a blank each. */
static struct policy *policy_of(bool allow, uint16_t port, uint64_t bytes_per_s, const char *labels)
{
        struct ipc_rule rule = { .who = IPC_RULE_ALL, .allow = allow, .protocols = 3, .port_first = port, .port_last = port,
                                 .except_first = 1,
                                 .bytes_per_s = bytes_per_s, .burst_bytes = bytes_per_s, .ways = IPC_RULE_UP | IPC_RULE_DOWN };

        for (size_t i = 0; labels[i]; i++)
                rule.labels[i] = labels[i] == ' ' ? '\0' : labels[i];
        return policy_new(&rule, 1);
}

/* A client of the gate, and a way to a provider who has that. Both take their policies. */
struct scene {
        struct admissions admissions;
        struct admission admission;
        struct choose_way way;
};

static void begin(struct scene *scene, struct policy *own, struct policy *theirs)
{
        union socket_address remote = { .v4.sin_family = AF_INET, .v4.sin_addr.s_addr = htonl(0xc0000201) };

        memset(scene, 0, sizeof(*scene));
        scene->way = (struct choose_way){ .offered_port = OFFERED, .policy = theirs };
        admissions_begin(&scene->admissions);
        if (own)
                admissions_restrict(&scene->admissions, own);
        policy_leave(own);
        admissions_end(&scene->admissions);
        admission_begin(&scene->admission, &scene->admissions, &remote, GATE, IPC_TCP, NOW_MS);
}

static void finish(struct scene *scene)
{
        policy_leave(scene->way.policy);
        admissions_fini(&scene->admissions);
}

TEST(both_the_gateway_and_the_provider_must_let_a_client_in)
{
        for (unsigned i = 0; i < 4; i++) {
                struct scene scene;

                begin(&scene, policy_of(i & 1, GATE, 0, ""), policy_of(i & 2, OFFERED, 0, ""));
                check_equal(admission_here(&scene.admission), (i & 1) != 0);
                check_equal(admission_there(&scene.admission, &scene.way), (i & 2) != 0);
                finish(&scene);
        }
}

/* A provider's is about the port that the provider has, ours about the gate's. */
TEST(each_policy_is_about_its_own_ports)
{
        struct scene scene;

        begin(&scene, policy_of(false, OFFERED, 0, ""), policy_of(false, GATE, 0, ""));
        check(admission_here(&scene.admission) && admission_there(&scene.admission, &scene.way));
        finish(&scene);
        begin(&scene, NULL, NULL);
        check(admission_here(&scene.admission) && admission_there(&scene.admission, &scene.way));
        check(!admission_is_limited(&scene.admission, &scene.way));
        finish(&scene);
}

TEST(who_comes_by_a_unix_socket_is_nobodys_address)
{
        struct ipc_rule rule = { .who = IPC_RULE_IPV4, .bits = 128, .ip = { [10] = 0xff, [11] = 0xff }, .protocols = 3,
                                 .port_last = UINT16_MAX, .except_first = 1 };
        union socket_address nowhere = { 0 };
        struct scene scene;

        begin(&scene, policy_new(&rule, 1), NULL);
        check(admission_here(&scene.admission));
        admission_begin(&scene.admission, &scene.admissions, &nowhere, GATE, IPC_TCP, NOW_MS);
        check(!admission_here(&scene.admission));
        finish(&scene);
}

TEST(the_limits_of_both_hold_in_buckets_of_their_own)
{
        struct ipc_channel_open open = { 0 }, again = { 0 }, alone = { 0 };
        struct scene scene;

        begin(&scene, policy_of(true, GATE, 1000, ""), policy_of(true, OFFERED, 1000, ""));
        check(admission_is_limited(&scene.admission, &scene.way));
        admission_limit(&scene.admission, &scene.way, address, &open);
        admission_limit(&scene.admission, &scene.way, address, &again);
        check(open.limit[0].bytes_per_s == 1000 && open.limit[1].bytes_per_s == 1000 && open.limit[0].limiter != open.limit[1].limiter);
        check(memcmp(open.limit, again.limit, sizeof(open.limit)) == 0);
        finish(&scene);

        begin(&scene, policy_of(true, GATE, 1000, ""), NULL);
        check(admission_is_limited(&scene.admission, &scene.way));
        admission_limit(&scene.admission, &scene.way, address, &alone);
        check(alone.limit[0].limiter == open.limit[0].limiter && alone.limit[1].bytes_per_s == 0);
        finish(&scene);
}

/* The same rule in both: the gateway's bucket is for all providers. */
TEST(a_gateways_bucket_is_another_than_that_of_a_provider_who_says_the_same)
{
        struct ipc_channel_open open = { 0 };
        struct scene scene;

        begin(&scene, policy_of(true, GATE, 1000, ""), policy_of(true, GATE, 1000, ""));
        scene.way.offered_port = GATE;
        admission_limit(&scene.admission, &scene.way, address, &open);
        check(open.limit[0].bytes_per_s && open.limit[1].bytes_per_s && open.limit[0].limiter != open.limit[1].limiter);
        finish(&scene);
}

static void check_labels(const char *own, const char *theirs, const char *expected)
{
        char labels[ADMISSION_LABELS_MAX], text[ADMISSION_LABELS_MAX] = "";
        struct scene scene;

        begin(&scene, policy_of(true, GATE, 0, own), policy_of(true, OFFERED, 0, theirs));
        admission_labels(&scene.admission, &scene.way, labels);
        for (const char *label = labels; *label; label += strlen(label) + 1)
                strcat(strcat(text, label), " ");
        check(strcmp(text, expected) == 0);
        finish(&scene);
}

TEST(the_labels_of_both_are_told_each_once)
{
        char longest[2][IPC_LABELS_MAX] = { { 0 } }, both[2 * IPC_LABELS_MAX];

        check_labels("", "", "");
        check_labels("a ", "", "a ");
        check_labels("a b ", "vip ", "vip a b ");
        check_labels("a vip b ", "vip ", "vip a b ");
        for (unsigned i = 0; i < 2; i++) {
                memset(longest[i], 'a' + (int)i, IPC_LABELS_MAX - 2);
                longest[i][IPC_LABELS_MAX - 2] = ' ';
        }
        strcat(strcpy(both, longest[1]), longest[0]);
        check_labels(longest[0], longest[1], both);
}

TEST(whom_the_operator_lets_in_neither_keeps_out_or_limits)
{
        struct ipc_forward_allow allow = { .ip = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 }, .until_ms = NOW_MS + 1 };
        union socket_address remote = { .v4.sin_family = AF_INET, .v4.sin_addr.s_addr = htonl(0xc0000201) };
        struct ipc_channel_open open = { 0 };
        char labels[ADMISSION_LABELS_MAX];
        struct scene scene;

        begin(&scene, policy_of(false, GATE, 1000, "a "), policy_of(false, OFFERED, 1000, "b "));
        check_equal(ipc_allowances_set(&scene.admissions.allowed, &allow, NOW_MS), 0);
        admission_begin(&scene.admission, &scene.admissions, &remote, GATE, IPC_TCP, NOW_MS);
        check(admission_here(&scene.admission) && admission_there(&scene.admission, &scene.way));
        check(!admission_is_limited(&scene.admission, &scene.way));
        admission_limit(&scene.admission, &scene.way, address, &open);
        check(!open.limit[0].bytes_per_s && !open.limit[1].bytes_per_s);
        admission_labels(&scene.admission, &scene.way, labels);
        check(memcmp(labels, "gateway-unlimited\0", 19) == 0);
        admission_begin(&scene.admission, &scene.admissions, &remote, GATE, IPC_TCP, NOW_MS + 1);
        check(!admission_here(&scene.admission));
        finish(&scene);
}

TEST(a_configuration_says_all_of_it_anew)
{
        struct scene scene;

        begin(&scene, policy_of(false, GATE, 0, ""), NULL);
        admissions_begin(&scene.admissions);
        check(scene.admissions.policy);         /* until the end */
        admissions_end(&scene.admissions);
        check(!scene.admissions.policy);
        finish(&scene);
}
