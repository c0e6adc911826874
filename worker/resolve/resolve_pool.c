/* SPDX-License-Identifier: BSD-3-Clause */
#include "resolve_pool.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREAD_STACK_BYTES = 256 * 1024 };       /* the resolver's buffers are on it: 64 KiB at most in glibc */

struct question {
        struct list in_list;            /* asked, then answered; in neither while a thread has it */
        struct ipc_resolve_ask ask;
        struct ipc_resolve_answer answer;
};

static bool put_address(uint8_t out[16], const struct addrinfo *info)
{
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

        if (info->ai_family == AF_INET) {
                memcpy(out, mapped, sizeof(mapped));
                memcpy(out + sizeof(mapped), &((const struct sockaddr_in *)(const void *)info->ai_addr)->sin_addr, 4);
                return true;
        }
        if (info->ai_family == AF_INET6) {
                const struct in6_addr *ip = &((const struct sockaddr_in6 *)(const void *)info->ai_addr)->sin6_addr;

                memcpy(out, ip, 16);
                return !IN6_IS_ADDR_LINKLOCAL(ip);      /* of no use without its interface */
        }
        return false;
}

/* The next of that family from @at on, or NULL. */
static const struct addrinfo *of_family(const struct addrinfo *at, int family)
{
        while (at && at->ai_family != family)
                at = at->ai_next;
        return at;
}

/* The families take turns, lest one that leads nowhere has to be tried to its end first, or fills the list: RFC 8305 4. The first stays first. */
uint16_t resolve_put_addresses(uint8_t out[IPC_ADDRESSES_MAX][16], const struct addrinfo *found)
{
        int first = found ? found->ai_family : AF_INET;
        const struct addrinfo *next[2] = { found, of_family(found, first == AF_INET ? AF_INET6 : AF_INET) };
        uint16_t count = 0;

        for (unsigned turn = 0; (next[0] || next[1]) && count < IPC_ADDRESSES_MAX; turn = !turn) {
                const struct addrinfo *at = next[turn];

                if (!at)
                        continue;
                count += put_address(out[count], at);
                next[turn] = of_family(at->ai_next, at->ai_family);
        }
        return count;
}

void resolve_look_up(const struct ipc_resolve_ask *ask, struct ipc_resolve_answer *answer)
{
        struct addrinfo hints = { .ai_family = ask->ipv4_only ? AF_INET : AF_UNSPEC, .ai_socktype = SOCK_STREAM };
        struct addrinfo *found = NULL;

        *answer = (struct ipc_resolve_answer){ .question = ask->question };
        answer->error = getaddrinfo(ask->name, NULL, &hints, &found);
        if (answer->error == 0) {
                answer->count = resolve_put_addresses(answer->address, found);
                freeaddrinfo(found);
        }
        if (answer->error == 0 && answer->count == 0)
                answer->error = EAI_NODATA;
        if (answer->error)
                snprintf(answer->text, sizeof(answer->text), "%s", gai_strerror(answer->error));
}

static usec_t monotonic_us(void)
{
        struct timespec time;

        clock_gettime(CLOCK_MONOTONIC, &time);
        return SECONDS(time.tv_sec) + (usec_t)time.tv_nsec / 1000;
}

struct thread {
        struct resolve_pool *pool;
        unsigned number;
};

/* With the lock held. */
static struct question *take_question(struct resolve_pool *pool)
{
        struct question *question;

        while (list_empty(&pool->asked) && !pool->ended) {
                pool->idle_count++;
                pthread_cond_wait(&pool->work, &pool->lock);
                pool->idle_count--;
        }
        if (pool->ended)
                return NULL;
        question = list_entry(list_first(&pool->asked), struct question, in_list);
        list_remove(&question->in_list);
        pool->asked_count--;
        return question;
}

/* With the lock held: after the end there is no loop to wake. */
static void put_answer(struct resolve_pool *pool, struct question *question)
{
        if (pool->ended) {
                free(question);
                return;
        }
        list_push_back(&pool->answered, &question->in_list);
        ev_async_send(pool->loop, &pool->wake);
}

static void *thread_main(void *context)
{
        struct thread thread = *(struct thread *)context;
        struct resolve_pool *pool = thread.pool;
        struct question *question;

        free(context);
        pthread_mutex_lock(&pool->lock);
        while ((question = take_question(pool))) {
                pool->busy_since_us[thread.number] = monotonic_us();
                pthread_mutex_unlock(&pool->lock);
                resolve_look_up(&question->ask, &question->answer);
                pthread_mutex_lock(&pool->lock);
                pool->busy_since_us[thread.number] = 0;
                put_answer(pool, question);
        }
        pthread_mutex_unlock(&pool->lock);
        return NULL;
}

/* With the lock held. */
static bool start_thread(struct resolve_pool *pool)
{
        struct thread *thread = malloc(sizeof(*thread));
        pthread_attr_t attributes;
        pthread_t id;
        bool started;

        if (!thread)
                return false;
        *thread = (struct thread){ .pool = pool, .number = pool->thread_count };
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
        started = pthread_create(&id, &attributes, thread_main, thread) == 0;
        pthread_attr_destroy(&attributes);
        if (started)
                pool->thread_count++;
        else
                free(thread);
        return started;
}

static void on_wake(struct ev_loop *loop, ev_async *wake, int events)
{
        struct resolve_pool *pool = wake->data;
        struct list answered = LIST_INIT(answered);

        pthread_mutex_lock(&pool->lock);
        list_for_each(at, &pool->answered) {
                list_remove(at);
                list_push_back(&answered, at);
        }
        pthread_mutex_unlock(&pool->lock);
        list_for_each(at, &answered) {
                struct question *question = list_entry(at, struct question, in_list);

                pool->on_answer(pool->context, &question->answer);
                free(question);
        }
}

static void *do_nothing(void *context)
{
        return NULL;
}

/* The C library sets up its signals with the first thread, which must be before the wall: no handler changes behind it. */
static void begin_threading(void)
{
        pthread_t first;

        if (pthread_create(&first, NULL, do_nothing, NULL) == 0)
                pthread_join(first, NULL);
}

void resolve_pool_init(struct resolve_pool *pool, struct ev_loop *loop,
                       void (*on_answer)(void *context, const struct ipc_resolve_answer *answer), void *context)
{
        *pool = (struct resolve_pool){ .loop = loop, .on_answer = on_answer, .context = context };
        begin_threading();
        pthread_mutex_init(&pool->lock, NULL);
        pthread_cond_init(&pool->work, NULL);
        list_init(&pool->asked);
        list_init(&pool->answered);
        ev_async_init(&pool->wake, on_wake);
        pool->wake.data = pool;
        ev_async_start(loop, &pool->wake);
}

static void drop_all(struct list *questions)
{
        list_for_each(at, questions)
                free(list_entry(at, struct question, in_list));
        list_init(questions);
}

void resolve_pool_fini(struct resolve_pool *pool)
{
        pthread_mutex_lock(&pool->lock);
        pool->ended = true;
        drop_all(&pool->asked);
        drop_all(&pool->answered);
        ev_async_stop(pool->loop, &pool->wake);
        pthread_cond_broadcast(&pool->work);
        pthread_mutex_unlock(&pool->lock);
}

static void refuse(struct resolve_pool *pool, const struct ipc_resolve_ask *ask)
{
        struct ipc_resolve_answer answer = { .question = ask->question, .error = EAI_AGAIN };

        snprintf(answer.text, sizeof(answer.text), "%s", gai_strerror(EAI_AGAIN));
        pool->on_answer(pool->context, &answer);
}

/* True when a thread will take the question. */
static bool enqueue(struct resolve_pool *pool, struct question *question)
{
        bool taken;

        pthread_mutex_lock(&pool->lock);
        if (pool->idle_count <= pool->asked_count && pool->thread_count < RESOLVE_THREADS_MAX)
                start_thread(pool);
        taken = pool->thread_count > 0 && pool->asked_count < RESOLVE_QUEUE_MAX;
        if (taken) {
                list_push_back(&pool->asked, &question->in_list);
                pool->asked_count++;
                pthread_cond_signal(&pool->work);
        }
        pthread_mutex_unlock(&pool->lock);
        return taken;
}

void resolve_pool_ask(struct resolve_pool *pool, const struct ipc_resolve_ask *ask)
{
        struct question *question = calloc(1, sizeof(*question));

        if (question)
                question->ask = *ask;
        if (!question || !enqueue(pool, question)) {
                free(question);
                refuse(pool, ask);
        }
}

usec_t resolve_pool_stuck_since(struct resolve_pool *pool)
{
        usec_t latest_us = 0;

        pthread_mutex_lock(&pool->lock);
        for (unsigned i = 0; i < RESOLVE_THREADS_MAX; i++) {
                if (pool->busy_since_us[i] == 0)
                        latest_us = USEC_NEVER;
                latest_us = usec_max(latest_us, pool->busy_since_us[i]);
        }
        pthread_mutex_unlock(&pool->lock);
        return latest_us;
}
