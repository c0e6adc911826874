/* SPDX-License-Identifier: BSD-3-Clause */
/* Which provider gets the next client, and by which swarm worker: the forward worker's replica of the routes, and how each did lately.
 *
 * Of the providers of a gate those of the best priority are meant, as long as one of them is fit; among these the gate's policy decides. One
 * that failed rests, 1 s at first and twice as long each time up to 30 s, and is passed over while others are fit. When its rest ends it gets
 * one client at a time until one succeeds.
 *
 * A limit is kept by the swarm worker that carries what is limited. So a client for whom there is one goes by the same swarm worker whenever it
 * comes, to whichever provider the policy says that this one has; by another one only if its caller waits no longer for that. */
#ifndef HG_FORWARD_CHOOSE_H
#define HG_FORWARD_CHOOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc_forward.h"
#include "ipc_route.h"
#include "list.h"
#include "map.h"
#include "usec.h"

#define CHOOSE_REST_MIN_US SECONDS(1)
#define CHOOSE_REST_MAX_US SECONDS(30)
#define CHOOSE_PROBE_US SECONDS(1)      /* from one probing client to the next, unless the first one's answer comes before */

enum {
        CHOOSE_ROUTES_MAX = 65536,      /* of all gates together: as many as the router holds */
        CHOOSE_SHARED = 64,             /* policies that the next route may share */
};

struct choose {
        struct map gates;
        size_t routes;
        bool replacing;         /* between choose_begin() and choose_end() */
        bool sweeping;          /* gates are walked: none goes but the one that is looked at */
        struct policy *shared[CHOOSE_SHARED];   /* held, by the peer's key, the last one: a provider's routes often have one, and share it */
};

/* From a gate to one of its providers. It stays while a client is on it, also when the route is gone. */
struct choose_way {
        struct list in_gate;
        struct choose_gate *gate;
        struct ipc_via via;
        uint32_t priority;              /* 0: best */
        uint64_t service;               /* that is meant; 0: any */
        uint16_t offered_port;          /* the gate port by which the provider has it */
        struct policy *policy;          /* of the provider, held: who may come; NULL: everybody */
        uint32_t clients;               /* that took it and have not left */
        unsigned failures;              /* in a row */
        usec_t rests_until_us;          /* 0: fit */
        bool probing;                   /* its rest ended and a client was sent: the answer counts */
        bool repeated;                  /* since choose_begin() */
        bool parted;                    /* the route is gone */
};

/* @map_key: 16 random bytes. All clients have left by the end. */
void choose_init(struct choose *choose, const uint8_t map_key[16]);
void choose_fini(struct choose *choose);

/* Until choose_end() the routes that are not set again stay in use; then they go. A second begin starts over. */
void choose_begin(struct choose *choose);
void choose_end(struct choose *choose);

/* @service: which of the peer's behind the gate is meant; 0: any. @name: whom it is for (struct ipc_route). 0, -ENOSPC or -ENOMEM. A route that is there keeps
 * its history, but not its policy: see choose_restrict(). */
int choose_set(struct choose *choose, const struct ipc_via *via, uint16_t gate_port, uint16_t protocol, uint64_t service,
               uint32_t priority, uint32_t name);

/* By which gate port the provider that is there has it, if not by this one. */
void choose_offered(struct choose *choose, const struct ipc_via *via, uint16_t gate_port, uint16_t protocol, uint16_t offered_port);

/* Who may come that way, which is there; @policy is held from here on. */
void choose_restrict(struct choose *choose, const struct ipc_via *via, uint16_t gate_port, uint16_t protocol, uint32_t name,
                     struct policy *policy);

void choose_drop(struct choose *choose, const struct ipc_via *via, uint16_t gate_port, uint16_t protocol, uint32_t name);

/* Whom a TLS client asks for, as ipc_server_name() has it: whole, and with the first word replaced by *. */
struct choose_names {
        uint32_t whole, any;
};

void choose_names(const char *name, struct choose_names *out);

/* Whether some of that gate's routes have a name. */
bool choose_are_named(const struct choose *choose, uint16_t gate_port, uint16_t protocol);

/* Whether a client can be sent that way now; NULL: all can. */
typedef bool (*choose_usable)(void *context, const struct ipc_via *via);

/* Whether it may ever be sent that way; what is not does not count among the ways. NULL: all may. */
typedef bool (*choose_admits)(void *context, const struct choose_way *way);

/* Whether it would have a limit there, which holds for all its connections together. NULL: nowhere. */
typedef bool (*choose_limits)(void *context, const struct choose_way *way);

/* A client who wants to go on. */
struct choose_ask {
        uint16_t gate_port, protocol;
        enum ipc_policy policy;
        bool insist;                    /* rather than nobody one that rests, the one closest to its end: it has tried none yet */
        const struct choose_names *names;       /* NULL: it does not say; else who has that name goes before who has none */
        const uint8_t *address;         /* 16 bytes that are the same whenever it comes */
        uint32_t own;                   /* the swarm worker by which alone it goes if it has a limit; 0: its own before others */
        usec_t now_us;
        choose_usable usable;
        choose_admits admits;
        choose_limits limits;
        void *context;
};

/* The way for it, which it is on until choose_leave(). NULL: there is none, or all of them rest or are not @usable. */
struct choose_way *choose_take(struct choose *choose, const struct choose_ask *ask);
void choose_leave(struct choose *choose, struct choose_way *way);

/* Of @swarms workers, of the ids 1 and up, the one of clients from @address that have a limit; 0: of none. */
uint32_t choose_own(const uint8_t address[16], uint32_t swarms);

/* Whether it has a limit, and another swarm worker than @ask->own a provider for it that this one has not; @failed: or that rests there. */
bool choose_lacks(const struct choose *choose, const struct choose_ask *ask, bool failed);

/* What became of it. */
void choose_failed(struct choose_way *way, usec_t now_us);
void choose_worked(struct choose_way *way);

/* When the first way is fit whose rest does not end before @after_us; a way that does not rest is fit at 0. USEC_NEVER: none. */
usec_t choose_ready_us(const struct choose *choose, uint16_t gate_port, uint16_t protocol, const struct choose_names *names,
                       usec_t after_us);

#endif
