/* SPDX-License-Identifier: BSD-3-Clause */
#include "status.h"

#include <stdio.h>

#include "notify.h"

#define UNREACHABLE_S 10.0
#define LINE_S 1.0

static const char *plural(unsigned count)
{
        return count == 1 ? "" : "s";
}

const char *status_text(const struct status *status, char *out, size_t size)
{
        const struct ipc_swarm_status *last = &status->last;
        unsigned open = status->gates ? gates_open_count(status->gates) : 0;

        if (!last->bootstrapped)
                snprintf(out, size, "DHT not reached yet, trying");
        else
                snprintf(out, size, "%u provider%s, %u gateway%s, %u gate%s open, %u channel%s, %u DHT nodes", last->providers,
                         plural(last->providers), last->gateways, plural(last->gateways), open, plural(open), last->channels,
                         plural(last->channels), last->nodes);
        return out;
}

static void on_line(struct ev_loop *loop, ev_timer *timer, int events)
{
        char text[160];

        notify_status(status_text(timer->data, text, sizeof(text)));
}

void status_touch(struct status *status)
{
        if (ev_is_active(&status->line))
                return;
        ev_timer_set(&status->line, LINE_S, 0);
        ev_timer_start(status->loop, &status->line);
}

static void on_unreachable(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct status *status = timer->data;

        log_warning(status->log, "DHT unreachable: none of %zu bootstrap node%s has answered; trying on", status->seeds,
                    plural((unsigned)status->seeds));
        status->told_unreachable = true;
        status->lost(status->context);
}

static void arm(struct status *status)
{
        ev_timer_stop(status->loop, &status->unreachable);
        if (status->seeds == 0)
                return;
        ev_timer_set(&status->unreachable, UNREACHABLE_S, 0);
        ev_timer_start(status->loop, &status->unreachable);
}

void status_begin(struct status *status)
{
        status->last = (struct ipc_swarm_status){ 0 };
        arm(status);
        status_touch(status);
}

static void on_reached(struct status *status, bool reached, unsigned nodes)
{
        if (reached) {
                log_write(status->log, status->told_unreachable ? LOG_NOTICE : LOG_INFO, NULL, "DHT reached: %u node%s known",
                          nodes, plural(nodes));
                ev_timer_stop(status->loop, &status->unreachable);
                status->told_unreachable = false;
        } else {
                log_notice(status->log, "DHT lost: reaching for it again");
                arm(status);
        }
}

void status_swarm(struct status *status, const struct ipc_swarm_status *now)
{
        const struct ipc_swarm_status before = status->last;

        status->last = *now;
        if (before.bootstrapped != now->bootstrapped)
                on_reached(status, now->bootstrapped, now->nodes);
        if (before.announced != now->announced)
                log_write(status->log, now->announced ? LOG_INFO : LOG_NOTICE, NULL, "announced %u identit%s on the DHT",
                          now->announced, now->announced == 1 ? "y" : "ies");
        if (before.providers != now->providers || before.gateways != now->gateways)
                log_notice(status->log, "connected to %u provider%s and %u gateway%s", now->providers, plural(now->providers),
                           now->gateways, plural(now->gateways));
        status_touch(status);
}

void status_init(struct status *status, struct ev_loop *loop, const struct log *log, const struct gates *gates, size_t seeds,
                 void (*lost)(void *context), void *context)
{
        *status = (struct status){ .loop = loop, .log = log, .gates = gates, .seeds = seeds, .lost = lost, .context = context };
        ev_init(&status->unreachable, on_unreachable);
        ev_init(&status->line, on_line);
        status->unreachable.data = status->line.data = status;
}

void status_fini(struct status *status)
{
        ev_timer_stop(status->loop, &status->unreachable);
        ev_timer_stop(status->loop, &status->line);
}
