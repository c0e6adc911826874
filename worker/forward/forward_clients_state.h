/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of a gate's clients share. Nobody else includes it. */
#ifndef HG_FORWARD_CLIENTS_STATE_H
#define HG_FORWARD_CLIENTS_STATE_H

#include "forward_clients.h"

enum { GATE_TITLE_MAX = IPC_NAME_MAX + 16 };

/* A gate as its clients see it. */
struct gate {
        struct map_entry by_port;
        struct heap_entry retry;
        struct list waiting;            /* clients, the oldest first */
        size_t waiting_count;
        usec_t wait_us;
        uint32_t idle_ms;
        uint32_t count;                 /* clients, waiting or not, since it is there */
        struct rate rate;               /* at which they come */
        usec_t full_told_us;            /* when the log last said of this gate that somebody has reached a limit; 0: never */
        usec_t denied_told_us;          /* the same, that somebody is not let in */
        uint16_t port, protocol;
        uint16_t seen_port;             /* as its clients know it: of a host, that of its service */
        char title[GATE_TITLE_MAX];     /* for messages: "gate 53/udp", "mysql.hyper:3306" */
        enum ipc_policy policy;
        bool of_host;                   /* of a virtual network; else a port of ours */
        bool listed;                    /* in the list being made */
        bool named;                     /* clients_are_named() */
        bool complained;                /* the last client found nobody, and the log says so */
};

struct gate *clients_gate_find(const struct clients *clients, uint16_t port, uint16_t protocol);

/* NULL: the first; NULL after the last. */
struct gate *clients_gate_next(const struct clients *clients, const struct gate *gate);

/* When a client that waits could go on, as far as its provider is concerned. */
usec_t clients_ready_us(struct list *in_gate);

/* When those who wait are worth another look, unless something happens before. */
void clients_gate_arm(struct clients *clients, struct gate *gate, usec_t now_us);

/* A client finds nobody: said once until one does. */
void clients_gate_complain(struct clients *clients, struct gate *gate, const char *what);

/* A client is turned away, as @who ("there are") has as many connections as may be, or as many @per ("", " a second"). */
void clients_gate_full(struct clients *clients, struct gate *gate, const char *who, uint32_t limit, const char *per, const struct now *now);

/* The same, as it is not let in by the policy of @whose ("this gateway", "any provider"), by that rule. */
void clients_gate_deny(struct clients *clients, struct gate *gate, const union socket_address *remote, const char *whose,
                       const struct ipc_rule *rule, const struct now *now);

#endif
