/* SPDX-License-Identifier: BSD-3-Clause */
#include "questions.h"

#include <stdlib.h>

void questions_init(struct questions *questions)
{
        list_init(&questions->all);
}

static struct question *add(struct questions *questions, const struct child *asked, question_answer answer, void *context)
{
        struct question *question = calloc(1, sizeof(*question));

        if (!question)
                return NULL;
        question->number = ++questions->last;
        question->role = asked->role;
        question->id = asked->id;
        question->answer = answer;
        question->context = context;
        list_push_back(&questions->all, &question->in_all);
        return question;
}

struct question *questions_ask(struct questions *questions, struct child *swarm, struct ipc_swarm_ask *ask, question_answer answer,
                               void *context)
{
        struct question *question = add(questions, swarm, answer, context);

        if (!question)
                return NULL;
        ask->question = question->number;
        child_send(swarm, IPC_SWARM_ASK, ask, NULL, 0);
        return question;
}

struct question *questions_ask_routes(struct questions *questions, struct child *router, question_answer answer, void *context)
{
        struct question *question = add(questions, router, answer, context);

        if (question)
                child_send(router, IPC_ROUTER_ASK, &(struct ipc_router_ask){ .question = question->number }, NULL, 0);
        return question;
}

void question_cancel(struct question *question)
{
        list_remove(&question->in_all);
        free(question);
}

static uint64_t number_of(const struct ipc_received *message)
{
        switch (message->type) {
        case IPC_SWARM_FOUND:
                return IPC_PAYLOAD(message, struct ipc_swarm_found)->question;
        case IPC_SWARM_PONG:
                return IPC_PAYLOAD(message, struct ipc_swarm_pong)->question;
        case IPC_SWARM_SELF:
                return IPC_PAYLOAD(message, struct ipc_swarm_self)->question;
        case IPC_SWARM_PEER:
                return IPC_PAYLOAD(message, struct ipc_swarm_peer)->question;
        case IPC_SWARM_CHANNEL:
                return IPC_PAYLOAD(message, struct ipc_swarm_channel)->question;
        case IPC_ROUTER_ROUTE:
                return IPC_PAYLOAD(message, struct ipc_router_route)->question;
        case IPC_ROUTER_ANSWERED:
                return IPC_PAYLOAD(message, struct ipc_router_ask)->question;
        default:
                return IPC_PAYLOAD(message, struct ipc_swarm_answered)->question;
        }
}

/* Off the list before its owner hears of it: he may ask anew. */
static void end(struct question *question, const struct ipc_received *message)
{
        question_answer answer = question->answer;
        void *context = question->context;

        question_cancel(question);
        answer(context, message);
}

static bool is_for(const struct question *question, const struct child *child)
{
        return question->role == child->role && question->id == child->id;
}

void questions_hear(struct questions *questions, const struct child *child, const struct ipc_received *message)
{
        uint64_t number = number_of(message);

        list_for_each(at, &questions->all) {
                struct question *question = list_entry(at, struct question, in_all);

                if (question->number != number || !is_for(question, child))
                        continue;
                if (message->type == IPC_SWARM_ANSWERED || message->type == IPC_ROUTER_ANSWERED)
                        end(question, message);
                else
                        question->answer(question->context, message);
                return;
        }
}

/* The oldest one up to that number. */
static struct question *of(const struct questions *questions, const struct child *child, uint64_t last)
{
        list_for_each(at, &questions->all) {
                struct question *question = list_entry(at, struct question, in_all);

                if (is_for(question, child) && question->number <= last)
                        return question;
        }
        return NULL;
}

/* Whoever hears of it may ask anew, or end others. */
void questions_lose(struct questions *questions, const struct child *child)
{
        uint64_t last = questions->last;
        struct question *question;

        while ((question = of(questions, child, last)))
                end(question, NULL);
}
