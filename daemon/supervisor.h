/* SPDX-License-Identifier: BSD-3-Clause */
/* One instance: its configuration, its workers, and what they are told. Everything hangs here. */
#ifndef HG_SUPERVISOR_H
#define HG_SUPERVISOR_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "children.h"
#include "conf.h"
#include "forwards.h"
#include "gates.h"
#include "interfaces.h"
#include "keys.h"
#include "known.h"
#include "last_gates.h"
#include "log.h"
#include "lost_links.h"
#include "names.h"
#include "services.h"
#include "seeds.h"
#include "status.h"
#include "swarm_sockets.h"

struct supervisor {
        struct ev_loop *loop;
        const struct log *log;
        const struct conf *conf;
        const struct keys *keys;
        struct swarm_sockets sockets;
        struct children children;
        struct lost_links lost;
        struct child *swarm, *router, *resolve;         /* NULL: not needed (yet) */
        struct forwards forwards;
        struct gates gates;
        struct services services;
        struct seeds seeds;
        struct known known;
        struct last_gates last;
        struct names names;
        struct interfaces interfaces;
        struct status status;
        ev_prepare settle;              /* before each wait: tells what has become untrue in this turn, once */
        ev_signal terminate, interrupt, hangup;
        uint64_t generation;
        bool gates_changed;             /* since they were stored */
        bool ready;                     /* all have been up together */
        int exit_code;
};

enum { SUPERVISOR_STOP_MS = 3000 };     /* what workers get for their goodbyes */

/* Runs until told to stop; returns the exit code. Takes over the sockets that exist and the nodes and gates that are known. */
int supervisor_run(struct supervisor *supervisor, const struct log *log, const struct conf *conf, const struct keys *keys,
                   struct swarm_sockets *sockets, struct known *known, struct last_gates *last, const char *libexec);

#endif
