/* SPDX-License-Identifier: BSD-3-Clause */
/* Channels that arrive before the forward worker of their service has said that it serves it: in the first moments of this
 * worker, and of a forward worker that takes the place of one that died. A gateway whose clients wait asks the moment it hears
 * of a provider; told "not found" it would send them away. Who asks for what the configuration does not name is told so at once. */
#ifndef HG_EARLY_H
#define HG_EARLY_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "list.h"
#include "node.h"

enum {
        EARLY_MAX = 64,                 /* channels that wait; more are refused at once */
        EARLY_PATIENCE_S = 3,           /* then they are, and everybody whose service is not here */
        EARLY_PROTOCOLS = 2,
};

/* Services, by protocol and gate port. */
struct early_services {
        uint8_t bits[EARLY_PROTOCOLS][(UINT16_MAX + 1) / 8];
};

struct early {
        struct ev_loop *loop;
        ev_timer patience;
        struct list kept;
        unsigned count;
        struct early_services expected; /* by the configuration */
        void (*refuse)(void *context, const struct node_event *event);
        void *context;
};

void early_init(struct early *early, struct ev_loop *loop, void (*refuse)(void *context, const struct node_event *event),
                void *context);
void early_fini(struct early *early);

/* A protocol that is none has no services. */
void early_services_add(struct early_services *services, uint16_t gate_port, uint16_t protocol);

/* What workers will ever serve, in place of what was said before: none but these are waited for. If that is something else, some are about
 * to say so. */
void early_expect(struct early *early, const struct early_services *services);

/* Workers are about to say what they serve: patience begins, again if need be. */
void early_begin(struct early *early);

/* Keeps a NODE_CHANNEL_ARRIVED (copied). False: its service is not expected, there is no patience, or no room. */
bool early_keep(struct early *early, const struct node_event *event);

/* The longest kept event for that service, if any; @event is to be early_free()d. */
struct node_event *early_take(struct early *early, uint16_t gate_port, uint16_t protocol);
void early_free(struct node_event *event);

/* The channel is gone. */
void early_drop(struct early *early, node_channel_id channel);

#endif
