/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of a gate's clients share. Nobody else includes it. */
#ifndef HG_FORWARD_CLIENTS_STATE_H
#define HG_FORWARD_CLIENTS_STATE_H

#include "forward_clients.h"
#include "ipc_forward.h"

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
        uint64_t in_vain;               /* swarm workers that somebody with a limit has waited for in vain, by id - 1 */
        usec_t in_vain_until_us;        /* that is so */
        usec_t full_told_us;            /* when the log last said of this gate that somebody has reached a limit; 0: never */
        usec_t denied_told_us;          /* the same, that somebody is not let in */
        uint16_t port, protocol;
        uint16_t seen_port;             /* as its clients know it: of a host, that of its service */
        char title[GATE_TITLE_MAX];     /* for messages: "gate 53/udp", "mysql.hyper:3306" */
        enum ipc_policy policy;
        bool of_host;                   /* of a virtual network; else a port of ours */
        bool listed;                    /* in the list being made */
        bool named;                     /* clients_are_named() */
        bool unsent;                    /* a client could not be sent on, for want of memory */
        bool complained;                /* the last client found nobody, and the log says so */
};

enum client_state {
        CLIENT_SAME,
        CLIENT_HELD,            /* its connection is in our hand, for as long as a function runs */
        CLIENT_WAITING,         /* for a provider */
        CLIENT_HANDED,          /* the swarm worker asks the provider */
        CLIENT_RUNNING,         /* its bytes flow */
        CLIENT_OVER,
        CLIENT_STATES,
};

enum client_event {
        CLIENT_SENT,            /* CHANNEL_OPEN left with the connection */
        CLIENT_FOUND_NOBODY,
        CLIENT_RETURNED,        /* CHANNEL_REFUSED brought the connection back */
        CLIENT_CONFIRMED,
        CLIENT_ENDED,           /* whoever holds the connection closed it, or we give up */
        CLIENT_EVENTS,
};

struct client {
        struct clients *clients;
        struct gate *gate;              /* NULL: closed meanwhile */
        struct guest *guest;
        struct client_session *session; /* of a client of datagrams, until it or the session ends */
        struct search *search;          /* NULL: RUNNING */
        struct map_entry by_number;     /* HANDED, RUNNING */
        uint64_t number;                /* of the last attempt */
        struct choose_way *way;         /* HANDED, RUNNING: where it is */
        char *labels;                   /* of the rules that let it in, one after the other, for the log; NULL: none */
        enum client_state state;
        uint16_t gate_port, protocol;
        union socket_address remote;
};

/* What happened to it; nothing of it is touched after CLIENT_ENDED. */
void clients_step(struct client *client, enum client_event event);

/* A swarm worker is about to have it, by that number. 0 or -ENOMEM. */
int clients_enlist(struct client *client, uint64_t number);

struct gate *clients_gate_find(const struct clients *clients, uint16_t port, uint16_t protocol);

/* NULL: the first; NULL after the last. */
struct gate *clients_gate_next(const struct clients *clients, const struct gate *gate);

/* forward_clients_wait.c: it begins to wait at its gate, or waits no more. */
void clients_wait_begin(struct client *client);
void clients_wait_end(struct client *client);

/* The swarm worker that is its own if it has a limit; 0: of none. Whether it is to go by that one alone, for now. */
uint32_t clients_wait_own(const struct client *client);
bool clients_wait_stays(const struct client *client, uint32_t own, const struct now *now);

/* It has gone by @swarm, in place of its own perhaps. */
void clients_wait_went(struct client *client, uint32_t own, uint32_t swarm, const struct now *now);

/* When those who wait at @gate are worth another look, unless something happens before. */
void clients_wait_arm(struct clients *clients, struct gate *gate, usec_t now_us);

/* Whoever waits there and can go on does. */
void clients_gate_serve(struct clients *clients, struct gate *gate, const struct now *now);

/* The gateway's and all providers' policies, for who comes to that gate from there. */
void clients_gate_ask(const struct clients *clients, const struct gate *gate, const union socket_address *remote, const struct now *now,
                      struct admission *out);

/* A client finds nobody: said once until one does. */
void clients_gate_complain(struct clients *clients, struct gate *gate, const char *what);

/* A client is turned away, as @who ("there are") has as many connections as may be, or as many @per ("", " a second"). */
void clients_gate_full(struct clients *clients, struct gate *gate, const char *who, uint32_t limit, const char *per, const struct now *now);

/* The same, as it is not let in by the policy of @whose ("this gateway", "any provider"), by that rule. */
void clients_gate_deny(struct clients *clients, struct gate *gate, const union socket_address *remote, const char *whose,
                       const struct ipc_rule *rule, const struct now *now);

#endif
