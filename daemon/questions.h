/* SPDX-License-Identifier: BSD-3-Clause */
/* What the swarm worker and the router worker were asked and have not answered yet. */
#ifndef HG_QUESTIONS_H
#define HG_QUESTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "children.h"
#include "ipc_question.h"
#include "list.h"

/* @message: one of IPC_SWARM_FOUND, PONG, SELF, PEER, CHANNEL, or IPC_ROUTER_ROUTE; IPC_SWARM_ANSWERED or IPC_ROUTER_ANSWERED is the last
 * one; NULL: the worker died, this is the last. With the last one the question is gone. */
typedef void (*question_answer)(void *context, const struct ipc_received *message);

struct question {
        struct list in_all;
        uint64_t number;
        enum ipc_role role;             /* who was asked, role and id: nobody else answers */
        uint32_t id;
        question_answer answer;
        void *context;
};

struct questions {
        struct list all;
        uint64_t last;
};

void questions_init(struct questions *questions);

/* Asks @swarm, which is configured; @ask->question is filled in. NULL: no memory. */
struct question *questions_ask(struct questions *questions, struct child *swarm, struct ipc_swarm_ask *ask, question_answer answer,
                               void *context);

/* The same of @router: which routes are there? */
struct question *questions_ask_routes(struct questions *questions, struct child *router, question_answer answer, void *context);

/* Nobody waits for the answer any more: what still comes is dropped. */
void question_cancel(struct question *question);

/* What that worker says; an answer to nobody is late, and no news. */
void questions_hear(struct questions *questions, const struct child *child, const struct ipc_received *message);

/* A new life of that worker, which knows of no question. */
void questions_lose(struct questions *questions, const struct child *child);

#endif
