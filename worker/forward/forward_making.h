/* SPDX-License-Identifier: BSD-3-Clause */
/* The connection of an arrival to its service, as long as it is being made: one address after the other, then one service after the other
 * behind the same gate port, until one answers or the time is over. forward_arrivals.c has it made. Nobody else includes it. */
#ifndef HG_FORWARD_MAKING_H
#define HG_FORWARD_MAKING_H

#include "forward_arrivals_state.h"
#include "forward_dial.h"
#include "forward_proxy.h"

/* What it takes to make the connection. */
struct making {
        struct arrival *arrival;
        struct list in_pending;
        struct ipc_forward_service service;     /* a copy */
        bool named;                     /* it is for that service and no other */
        struct proxy_header client;     /* what the gateway says of it, for a service that wants to know */
        char labels[IPC_CLIENT_LABELS_MAX];     /* the same, for people */
        struct dial dial;
        struct heap_entry deadline;     /* of the address being tried */
        usec_t began_us;                /* with this service */
        usec_t gives_up_us;             /* on all of them */
        unsigned tried;                 /* services */
};

/* Whether one more may be made for that peer. */
bool making_has_room(const struct arrivals *arrivals, const uint8_t peer[IPC_KEY_BYTES]);

/* What is known of it, for the caller to free until it begins. NULL: no memory. */
struct making *making_new(struct arrival *arrival, const struct ipc_channel_arrived *arrived, const struct ipc_forward_service *service);

/* @arrival's own begins. From here on each of these may end it, with success or as a refusal, and then @arrival may be gone. */
void making_begin(struct arrival *arrival, usec_t now_us);

/* The supervisor has connected to the local service, or could not: @fd is -1 then. */
void making_dialled(struct arrival *arrival, int error, int fd, usec_t now_us);

/* Nobody answered so far. */
void making_late(struct making *making, usec_t now_us);

/* It is being made no more. Nothing if it was not. */
void making_end(struct arrival *arrival);

#endif
