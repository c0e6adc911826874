/* SPDX-License-Identifier: BSD-3-Clause */
/* The forward worker: gates whose clients go to a provider, or services that channels are connected to. Everything it knows
 * hangs here. */
#ifndef HG_FORWARD_PROCESS_H
#define HG_FORWARD_PROCESS_H

#include "forward_arrivals.h"
#include "forward_clients.h"
#include "forward_datagrams.h"
#include "forward_health.h"
#include "forward_greetings.h"
#include "forward_listeners.h"
#include "ipc_forward.h"
#include "run.h"
#include "run_watch.h"

struct forward {
        struct worker worker;
        struct watch watch;
        struct clients clients;         /* of an IPC_DUTY_GATES or IPC_DUTY_HOSTS worker, */
        struct greetings greetings;
        struct listeners listeners;
        struct datagrams datagrams;
        struct arrivals arrivals;       /* of an IPC_DUTY_SERVICES worker */
        struct checks checks;
        struct ipc_forward_keep_alive keep_next;        /* of the configuration being told */
        bool conf_open;                 /* between CONF_BEGIN and CONF_END */
        bool leaving;                   /* STOP was said: links end because we do */
        ev_prepare turn;
        ev_timer due;
};

static inline bool forward_has_gates(const struct forward *forward)
{
        return forward->worker.begin.duty == IPC_DUTY_GATES || forward->worker.begin.duty == IPC_DUTY_HOSTS;
}

/* The worker has begun; @random is kept. 0 or -errno. */
int forward_init(struct forward *forward, const struct random *random);
void forward_fini(struct forward *forward);

/* forward_handlers.c: what others say. */
extern const struct worker_handlers forward_handlers;

#endif
