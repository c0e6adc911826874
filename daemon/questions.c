/* SPDX-License-Identifier: BSD-3-Clause */
#include "questions.h"

#include <stdlib.h>

void questions_init(struct questions *questions)
{
        list_init(&questions->all);
}

struct question *questions_ask(struct questions *questions, struct child *swarm, struct ipc_swarm_ask *ask, question_answer answer,
                               void *context)
{
        struct question *question = calloc(1, sizeof(*question));

        if (!question)
                return NULL;
        question->number = ask->question = ++questions->last;
        question->answer = answer;
        question->context = context;
        list_push_back(&questions->all, &question->in_all);
        child_send(swarm, IPC_SWARM_ASK, ask, NULL, 0);
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

void questions_hear(struct questions *questions, const struct ipc_received *message)
{
        uint64_t number = number_of(message);

        list_for_each(at, &questions->all) {
                struct question *question = list_entry(at, struct question, in_all);

                if (question->number != number)
                        continue;
                if (message->type == IPC_SWARM_ANSWERED)
                        end(question, message);
                else
                        question->answer(question->context, message);
                return;
        }
}

void questions_lose(struct questions *questions)
{
        uint64_t last = questions->last;

        while (!list_empty(&questions->all)) {
                struct question *question = list_entry(list_first(&questions->all), struct question, in_all);

                if (question->number > last)
                        break;
                end(question, NULL);
        }
}
