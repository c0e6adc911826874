/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "ipc_resolve.h"
#include "resolve_pool.h"
#include "test.h"

static const uint8_t loopback_mapped[16] = { [10] = 0xff, [11] = 0xff, 127, 0, 0, 1 };

static struct ipc_resolve_ask ask_for(uint64_t question, const char *name, bool ipv4_only)
{
        struct ipc_resolve_ask ask = { .question = question, .ipv4_only = ipv4_only };

        snprintf(ask.name, sizeof(ask.name), "%s", name);
        return ask;
}

TEST(addresses_come_in_one_form)
{
        struct ipc_resolve_ask ask = ask_for(7, "127.0.0.1", false);
        struct ipc_resolve_answer answer;

        resolve_look_up(&ask, &answer);
        check_equal(answer.question, 7);
        check_equal(answer.error, 0);
        check_equal(answer.count, 1);
        check_bytes(answer.address[0], loopback_mapped, 16);
        ask = ask_for(8, "::2", false);
        resolve_look_up(&ask, &answer);
        check_equal(answer.count, 1);
        check_equal(answer.address[0][15], 2);
}

TEST(what_can_not_be_used_is_no_answer)
{
        struct ipc_resolve_ask ask = ask_for(1, "::1", true);
        struct ipc_resolve_answer answer;

        resolve_look_up(&ask, &answer);
        check(answer.error != 0 && answer.count == 0);
        check(answer.text[0] != '\0');
        ask = ask_for(1, "fe80::1", false);
        resolve_look_up(&ask, &answer);
        check(answer.error != 0 && answer.count == 0);
}

/* "6" and "4" for the families that @families has, as getaddrinfo() would say them, each address ending with its place from 1. */
static uint16_t put(const char *families, uint8_t out[IPC_ADDRESSES_MAX][16])
{
        static struct addrinfo list[32];
        static struct sockaddr_in6 v6[32];
        static struct sockaddr_in v4[32];
        size_t count = strlen(families);

        for (size_t i = 0; i < count; i++) {
                bool six = families[i] == '6';

                v6[i] = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_addr.s6_addr = { 0x20, 1, [15] = (uint8_t)(i + 1) } };
                v4[i] = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl((uint32_t)(0x0a000001 + i)) };
                list[i] = (struct addrinfo){ .ai_family = six ? AF_INET6 : AF_INET,
                                             .ai_addr = six ? (struct sockaddr *)&v6[i] : (struct sockaddr *)&v4[i],
                                             .ai_next = i + 1 < count ? &list[i + 1] : NULL };
        }
        return resolve_put_addresses(out, count ? list : NULL);
}

TEST(the_families_take_turns)
{
        static const struct {
                const char *families;
                uint8_t order[8];
        } cases[] = {
                { "", { 0 } },
                { "6", { 1 } },
                { "444", { 1, 2, 3 } },
                { "6644", { 1, 3, 2, 4 } },
                { "6664", { 1, 4, 2, 3 } },
                { "46666", { 1, 2, 3, 4, 5 } },
                { "4446", { 1, 4, 2, 3 } },
        };
        uint8_t out[IPC_ADDRESSES_MAX][16];

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                check_equal(put(cases[i].families, out), strlen(cases[i].families));
                for (size_t k = 0; k < strlen(cases[i].families); k++)
                        check_equal(out[k][15], cases[i].order[k]);
        }
        /* More of one family than there is room for leave some for the other. */
        check_equal(put("66666666666666666664", out), IPC_ADDRESSES_MAX);
        check(out[1][15] == 20 && out[1][12] == 10);
}

struct heard {
        unsigned count, refused;
        uint64_t sum;
        struct ev_loop *loop;
        unsigned wanted;
};

static void on_answer(void *context, const struct ipc_resolve_answer *answer)
{
        struct heard *heard = context;

        heard->count++;
        heard->sum += answer->question;
        heard->refused += answer->error == EAI_AGAIN;
        if (heard->count == heard->wanted)
                ev_break(heard->loop, EVBREAK_ALL);
}

TEST(every_question_is_answered_once)
{
        struct heard heard = { .loop = ev_loop_new(EVFLAG_AUTO), .wanted = 500 };
        static struct resolve_pool pool;        /* its threads may outlive the test by a moment */

        resolve_pool_init(&pool, heard.loop, on_answer, &heard);
        for (unsigned i = 1; i <= heard.wanted; i++) {
                struct ipc_resolve_ask ask = ask_for(i, "127.0.0.1", false);

                resolve_pool_ask(&pool, &ask);
        }
        if (heard.count < heard.wanted)
                ev_run(heard.loop, 0);
        check_equal(heard.count, 500);
        check_equal(heard.sum, 500 * 501 / 2);
        check(heard.refused < 500 - RESOLVE_QUEUE_MAX + 1);
        check(pool.thread_count <= RESOLVE_THREADS_MAX);
        check(resolve_pool_stuck_since(&pool) == USEC_NEVER);
        resolve_pool_fini(&pool);
        ev_loop_destroy(heard.loop);
}

TEST(it_is_stuck_when_all_are)
{
        static struct resolve_pool pool;
        struct heard heard = { .loop = ev_loop_new(EVFLAG_AUTO) };

        resolve_pool_init(&pool, heard.loop, on_answer, &heard);
        for (unsigned i = 0; i < RESOLVE_THREADS_MAX; i++)
                pool.busy_since_us[i] = SECONDS(100 + i);
        check_equal(resolve_pool_stuck_since(&pool), SECONDS(100 + RESOLVE_THREADS_MAX - 1));
        pool.busy_since_us[3] = 0;
        check(resolve_pool_stuck_since(&pool) == USEC_NEVER);
        resolve_pool_fini(&pool);
        ev_loop_destroy(heard.loop);
}
