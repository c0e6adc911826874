/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of arrivals share. Nobody else includes it. */
#ifndef HG_FORWARD_ARRIVALS_STATE_H
#define HG_FORWARD_ARRIVALS_STATE_H

#include "forward_arrivals.h"
#include "forward_socket.h"

struct arrival {
        struct arrivals *arrivals;
        struct map_entry by_number;
        uint64_t number;                /* at the worker it came from, */
        uint32_t swarm;                 /* and the id of that */
        uint16_t gate_port, protocol;
        uint8_t peer[IPC_KEY_BYTES];
        char *local;                    /* the name of the unix socket that it is, or NULL */
        struct making *making;          /* NULL: it is made */
        union socket_address remote;    /* of the service, when it is */
        struct fingerprint *fingerprint;        /* whose it is, for a service that asks; NULL: none does */
        struct visitor *visitor;        /* whose it is, for people; NULL: its gateway does not say */
};

/* It is gone, and nobody is told. */
void arrivals_drop(struct arrival *arrival);

/* The swarm worker of that id hears why there is no connection for its channel. */
void arrivals_refuse(struct arrivals *arrivals, uint32_t swarm, uint64_t number, const char *text);

/* forward_arrivals_judge.c: what a try of the service that is being connected to shows of it, and a session of datagrams that is over. */
void arrivals_judge_try(struct arrival *arrival, bool works, usec_t now_us);
void arrivals_judge_session(const struct arrival *arrival, const struct ipc_channel_closed *closed, usec_t now_us);

#endif
