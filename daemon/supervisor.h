/* SPDX-License-Identifier: BSD-3-Clause */
/* One instance: its configuration, its workers, and what they are told. Everything hangs here. */
#ifndef HG_SUPERVISOR_H
#define HG_SUPERVISOR_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "appointed.h"
#include "children.h"
#include "conf.h"
#include "control.h"
#include "cores.h"
#include "docker.h"
#include "fetches.h"
#include "forwards.h"
#include "gates.h"
#include "hosts.h"
#include "interfaces.h"
#include "ipc_allowances.h"
#include "keys.h"
#include "known.h"
#include "last_gates.h"
#include "log.h"
#include "lost_links.h"
#include "names.h"
#include "passed.h"
#include "questions.h"
#include "reload.h"
#include "routers.h"
#include "services.h"
#include "seeds.h"
#include "site.h"
#include "status.h"
#include "swarm_sockets.h"
#include "watchdog.h"

struct supervisor {
        struct ev_loop *loop;
        struct log *log;
        const struct conf *conf;        /* as it is now */
        struct keys *keys;
        struct routers routers;
        struct children children;
        struct lost_links lost;
        struct child *router, *resolve, *engine;        /* NULL: not needed (yet) */
        struct site resolver;           /* where services ask whose a connection is */
        struct site unlimited;          /* where clients ask to be let in */
        struct cores cores;
        struct forwards forwards;
        struct ipc_allowances allowances;       /* what people have said at the control socket */
        struct gates gates;
        struct hosts hosts;
        struct services services;
        struct seeds seeds;
        struct appointed appointed;
        struct known known;
        struct last_gates last;
        struct passed *passed;
        struct names names;
        struct fetches fetches;
        struct docker docker;
        struct interfaces interfaces;
        struct status status;
        struct watchdog watchdog;
        struct questions questions;
        struct control control;
        struct reload reload;
        const char *asked_as;           /* what people call the instance */
        usec_t began_us;
        ev_prepare settle;              /* before each wait: tells what has become untrue in this turn, once */
        ev_signal terminate, interrupt, hangup;
        bool gates_changed;             /* since they were stored */
        bool ready;                     /* all have been up together */
        int exit_code;
};

enum { SUPERVISOR_STOP_MS = 3000 };     /* what workers get for their goodbyes */

/* What was had before privileges were given up, all taken over. */
struct supervisor_start {
        struct log *log;
        const struct conf *conf;
        const struct conf_source *source;       /* where it came from, and comes from when it is read anew */
        struct keys *keys;              /* without the auth key */
        struct swarm_sockets *sockets;
        struct known *known;
        struct last_gates *last;
        struct passed *passed;          /* borrowed: it outlives us */
        const struct oom_score *oom_score;      /* borrowed */
        int control_listener, control_conn;     /* -1: none */
        const char *asked_as;           /* by people; borrowed */
        const char *libexec;
};

/* From here on, who tells us to end is obeyed when supervisor_run() can do so in order; whoever hangs up too early ends nobody. */
void supervisor_hold_signals(void);

/* Runs until told to stop; returns the exit code. */
int supervisor_run(struct supervisor *supervisor, const struct supervisor_start *start);

/* The newest secret of the router may be another one than it was: so it is called from now on. */
void supervisor_name_router(struct supervisor *supervisor);

/* A previous secret of the router is there no more: into the log, before the swarm workers hear of it. */
void supervisor_say_dropped(struct supervisor *supervisor);

/* Ends it in order, as SIGTERM does. */
void supervisor_stop(struct supervisor *supervisor);

/* The first swarm worker runs and is configured: it can be asked. */
bool supervisor_swarm_answers(const struct supervisor *supervisor);

/* Swarm workers that can be asked, in their order: NULL is the first, the last yields NULL. */
struct child *supervisor_next_swarm(const struct supervisor *supervisor, const struct child *after);

/* All swarm workers are to hear their configuration anew. */
void supervisor_tell_swarms(struct supervisor *supervisor);

/* The same of the router worker; false, too, where there is none: an instance without a role. */
bool supervisor_router_answers(const struct supervisor *supervisor);

#endif
