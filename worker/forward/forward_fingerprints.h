/* SPDX-License-Identifier: BSD-3-Clause */
/* What the admin worker, where there is one, is told of connections to services: whose each of them is. It hears of each as soon as it takes it,
 * and of all that are there when it is new. */
#ifndef HG_FORWARD_FINGERPRINTS_H
#define HG_FORWARD_FINGERPRINTS_H

#include <stdbool.h>

#include "forward_socket.h"
#include "ipc_channel.h"
#include "list.h"
#include "run.h"

struct fingerprints {
        struct worker *worker;
        struct list told, untold;
        uint64_t last_number;
        bool wanted;                    /* there is an admin worker, or was one, which comes again */
};

struct fingerprint;

void fingerprints_init(struct fingerprints *all, struct worker *worker);

/* Of a channel that has arrived. NULL: nobody wants to know, its gateway said nothing, or there is no memory. */
struct fingerprint *fingerprint_new(struct fingerprints *all, const struct ipc_channel_arrived *arrived, uint16_t protocol);

/* Its connection is made: @fd, to @remote. NULL is fine. */
void fingerprint_tell(struct fingerprint *fingerprint, int fd, const union socket_address *remote, uint32_t idle_ms);

/* It is over. NULL is fine. */
void fingerprint_free(struct fingerprint *fingerprint);

/* There is a new admin worker. */
void fingerprints_introduce(struct fingerprints *all);

/* Tells what it takes now. */
void fingerprints_advance(struct fingerprints *all);

#endif
