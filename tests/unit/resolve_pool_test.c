/* SPDX-License-Identifier: BSD-3-Clause */
#include <netdb.h>
#include <stdio.h>
#include <string.h>

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
