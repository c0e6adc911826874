/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_process.h"

static usec_t deadline(const struct forward *forward)
{
        usec_t next_us = usec_min(clients_deadline(&forward->clients), listeners_deadline(&forward->listeners));

        next_us = usec_min(next_us, usec_min(tally_deadline(&forward->clients.tally), tally_deadline(&forward->arrivals.tally)));
        next_us = usec_min(next_us, usec_min(greetings_deadline(&forward->greetings), checks_deadline(&forward->checks)));
        return usec_min(next_us, usec_min(arrivals_deadline(&forward->arrivals), datagrams_deadline(&forward->datagrams)));
}

static void on_due(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct forward *forward = timer->data;
        struct now now;

        worker_now(&now);
        clients_advance(&forward->clients, &now);
        greetings_advance(&forward->greetings, &now);
        listeners_advance(&forward->listeners, now.mono_us);
        arrivals_advance(&forward->arrivals, now.mono_us);
        checks_advance(&forward->checks, now.mono_us);
        datagrams_advance(&forward->datagrams, now.mono_us);
        tally_advance(&forward->clients.tally, now.mono_us);
        tally_advance(&forward->arrivals.tally, now.mono_us);
}

/* Before the loop sleeps: whatever this turn did, the timer stands at the next deadline. */
static void on_turn(struct ev_loop *loop, ev_prepare *prepare, int events)
{
        struct forward *forward = prepare->data;
        usec_t next_us = deadline(forward);
        struct now now;

        ev_timer_stop(loop, &forward->due);
        if (next_us == USEC_NEVER)
                return;
        worker_now(&now);
        ev_now_update(loop);
        ev_timer_set(&forward->due, next_us > now.mono_us ? (double)(next_us - now.mono_us) / 1e6 : 0.0, 0.0);
        ev_timer_start(loop, &forward->due);
}

int forward_init(struct forward *forward, const struct random *random)
{
        struct ev_loop *loop = forward->worker.loop;
        int r = watch_init(&forward->watch, loop);
        uint8_t key[16];

        if (r < 0)
                return r;
        random_fill(random, key, sizeof(key));
        clients_init(&forward->clients, &forward->worker, &forward->watch, random);
        greetings_init(&forward->greetings, &forward->worker, &forward->watch, &forward->clients, key);
        listeners_init(&forward->listeners, &forward->worker, &forward->watch, &forward->greetings);
        datagrams_init(&forward->datagrams, &forward->worker, &forward->watch, &forward->clients);
        arrivals_init(&forward->arrivals, &forward->worker, &forward->watch, random);
        checks_init(&forward->checks, &forward->worker, &forward->watch, &forward->arrivals.services, &forward->arrivals.keep, random);
        ev_timer_init(&forward->due, on_due, 0.0, 0.0);
        ev_prepare_init(&forward->turn, on_turn);
        forward->due.data = forward->turn.data = forward;
        ev_prepare_start(loop, &forward->turn);
        return 0;
}

void forward_fini(struct forward *forward)
{
        ev_prepare_stop(forward->worker.loop, &forward->turn);
        ev_timer_stop(forward->worker.loop, &forward->due);
        listeners_fini(&forward->listeners);
        datagrams_fini(&forward->datagrams);
        greetings_fini(&forward->greetings);
        clients_fini(&forward->clients);
        checks_fini(&forward->checks);
        arrivals_fini(&forward->arrivals);
        watch_fini(&forward->watch);
}
