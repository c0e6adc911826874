/* SPDX-License-Identifier: BSD-3-Clause */
#include "questions.h"

#include <string.h>

#include "daemon_world.h"
#include "ipc_question.h"
#include "test.h"

struct heard {
        unsigned routes, answered, lost;
};

static void on_answer(void *context, const struct ipc_received *message)
{
        struct heard *heard = context;

        heard->routes += message && message->type == IPC_ROUTER_ROUTE;
        heard->answered += message && (message->type == IPC_ROUTER_ANSWERED || message->type == IPC_SWARM_ANSWERED);
        heard->lost += !message;
}

/* A worker says that of question @number. */
static void hear(struct questions *questions, enum ipc_role role, enum ipc_type type, uint64_t number)
{
        const struct child child = { .role = role, .id = 1 };
        struct ipc_received message = { .type = type };

        memcpy(message.payload.bytes, &number, sizeof(number));
        questions_hear(questions, &child, &message);
}

TEST(who_was_not_asked_does_not_answer)
{
        struct ipc_swarm_ask ask = { .what = IPC_ASK_CHANNELS };
        struct heard swarm = { 0 }, router = { 0 };
        struct questions questions;
        struct ipc_link end;
        struct child asked;
        struct world world;

        world_begin(&world, IPC_SWARM);
        world_child(&world, &asked, &end, IPC_ROUTER, 1);
        questions_init(&questions);
        check(questions_ask(&questions, &world.child, &ask, on_answer, &swarm));
        check(questions_ask_routes(&questions, &asked, on_answer, &router));
        hear(&questions, IPC_ROUTER, IPC_ROUTER_ROUTE, 1);
        hear(&questions, IPC_ROUTER, IPC_ROUTER_ANSWERED, 1);
        hear(&questions, IPC_SWARM, IPC_SWARM_ANSWERED, 2);
        check_equal(swarm.routes + swarm.answered + router.routes + router.answered, 0);
        hear(&questions, IPC_ROUTER, IPC_ROUTER_ROUTE, 2);
        hear(&questions, IPC_ROUTER, IPC_ROUTER_ANSWERED, 2);
        check(router.routes == 1 && router.answered == 1);
        hear(&questions, IPC_ROUTER, IPC_ROUTER_ANSWERED, 2);
        check_equal(router.answered, 1);
        hear(&questions, IPC_SWARM, IPC_SWARM_ANSWERED, 1);
        check(swarm.answered == 1 && list_empty(&questions.all));
        world_child_end(&world, &asked, &end);
        world_end(&world);
}

TEST(a_worker_that_ends_answers_nothing_and_the_other_one_still_may)
{
        struct ipc_swarm_ask ask = { .what = IPC_ASK_CHANNELS };
        struct heard swarm = { 0 }, router = { 0 };
        struct questions questions;
        struct ipc_link end;
        struct child asked;
        struct world world;

        world_begin(&world, IPC_SWARM);
        world_child(&world, &asked, &end, IPC_ROUTER, 1);
        questions_init(&questions);
        check(questions_ask(&questions, &world.child, &ask, on_answer, &swarm));
        check(questions_ask_routes(&questions, &asked, on_answer, &router));
        check(questions_ask(&questions, &world.child, &ask, on_answer, &swarm));
        questions_lose(&questions, &(struct child){ .role = IPC_SWARM, .id = 1 });
        check(swarm.lost == 2 && router.lost == 0);
        questions_lose(&questions, &(struct child){ .role = IPC_ROUTER, .id = 1 });
        check(router.lost == 1 && list_empty(&questions.all));
        world_child_end(&world, &asked, &end);
        world_end(&world);
}

TEST(of_two_workers_of_a_role_the_one_that_was_asked_answers)
{
        const struct child other = { .role = IPC_SWARM, .id = 2 };
        struct ipc_received message = { .type = IPC_SWARM_ANSWERED };
        struct ipc_swarm_ask ask = { .what = IPC_ASK_CHANNELS };
        struct heard swarm = { 0 };
        struct questions questions;
        struct world world;

        world_begin(&world, IPC_SWARM);
        questions_init(&questions);
        check(questions_ask(&questions, &world.child, &ask, on_answer, &swarm));
        memcpy(message.payload.bytes, &(uint64_t){ 1 }, sizeof(uint64_t));
        questions_hear(&questions, &other, &message);
        questions_lose(&questions, &other);
        check(swarm.answered == 0 && swarm.lost == 0);
        questions_hear(&questions, &world.child, &message);
        check(swarm.answered == 1 && list_empty(&questions.all));
        world_end(&world);
}
