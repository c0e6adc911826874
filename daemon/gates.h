/* SPDX-License-Identifier: BSD-3-Clause */
/* Gates: what the router worker wants open, whether it may be, and the listeners. A listener stays open while the forward
 * worker that serves it starts anew: clients wait in its backlog. */
#ifndef HG_GATES_H
#define HG_GATES_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf.h"
#include "forwards.h"
#include "list.h"
#include "log.h"
#include "passed.h"
#include "usec.h"

enum {
        GATES_MAX = 4096,               /* open at a time */
        GATE_RETRY_FIRST_S = 1,         /* a port in use */
        GATE_RETRY_LONGEST_S = 10,      /* whoever frees it waits for us */
        GATE_FREED_MS = 2000,           /* our own socket before may be in the way so long: its forward worker has it, too, */
        GATE_FREED_RETRY_MS = 20,       /* and so often it is seen whether it has heard */
};

struct gate;

enum gate_hold {
        GATE_OURS,                      /* nobody else's */
        GATE_KEPT,                      /* kept for our next life, too */
        GATE_LENT,                      /* a socket unit's: never to be shut */
};

struct gate_listener {
        struct gate *gate;
        const struct conf_address *address;
        int fd;                         /* -1: not bound (yet) */
        enum gate_hold hold;
        unsigned failures;
        int error;                      /* the last one's errno: said once */
        ev_timer retry;
};

struct gate {
        struct list in_all;
        struct gates *gates;
        uint16_t port, protocol;
        struct forward *forward;        /* NULL while no listener is bound */
        usec_t freed_us;                /* when it left an address for others; 0: it did not */
        size_t listener_count;
        struct gate_listener listeners[];
};

struct gates {
        struct ev_loop *loop;
        const struct log *log;
        const struct conf_gateway *conf;
        struct forwards *forwards;
        struct passed *passed;
        struct list all;
        unsigned count;
        struct log_limit refusals, told;
        void (*served)(void *context, const struct gate *gate);         /* another set of listeners: tell its forward worker */
        void (*moved)(void *context, const struct gate *gate);          /* another forward worker (or none): tell the router */
        void *context;
};

void gates_init(struct gates *gates, struct ev_loop *loop, const struct log *log, const struct conf_gateway *conf,
                struct forwards *forwards, struct passed *passed, void (*served)(void *context, const struct gate *gate),
                void (*moved)(void *context, const struct gate *gate), void *context);
/* What is kept for the next life, or lent, goes on listening. */
void gates_fini(struct gates *gates);

/* @conf from now on; what was before is not borrowed any more. Gates that it does not allow are closed, the others are opened at addresses
 * that are new and closed at those that are gone; where they stay nobody notices. */
void gates_reload(struct gates *gates, const struct conf_gateway *conf);

/* Says which of the configured addresses this machine lacks now: they may come, and gates are tried again until then. */
void gates_look_at_addresses(const struct gates *gates);

/* Opens those whose sockets socket units have lent: they are open as long as the configuration allows it, whether or not somebody is behind
 * them, since nobody but the unit can close them. */
void gates_open_lent(struct gates *gates);

/* The router worker wants it open, or no longer. What may not be opened is refused and logged. */
void gates_open(struct gates *gates, uint16_t port, uint16_t protocol);
void gates_close(struct gates *gates, uint16_t port, uint16_t protocol);

/* The socket of a gate of that worker's to which a datagram comes that is sent to @ip, borrowed; -1: none. */
int gates_datagrams(const struct gates *gates, const struct forward *forward, uint16_t port, const uint8_t ip[16]);

/* Gates with at least one listener. */
unsigned gates_open_count(const struct gates *gates);

/* What the configuration says about that port, as far as port and protocol decide: the router's word is not taken for it. */
bool gates_allowed(const struct conf_gateway *conf, uint16_t port, uint16_t protocol);

/* Whether it may be opened again at a start, before the router worker has judged: one below 1024 only if it is named. */
bool gates_reopens(const struct conf_gateway *conf, uint16_t port, uint16_t protocol);

/* That of the first filter that has one and is for the gate, whatever else it says of services; else that of all gates. */
enum conf_policy gates_policy(const struct conf_gateway *conf, uint16_t port, uint16_t protocol);

#endif
