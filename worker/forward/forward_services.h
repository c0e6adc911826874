/* SPDX-License-Identifier: BSD-3-Clause */
/* The services this worker connects to, by gate port; several under one port are alternatives: those of the best priority take turns. One
 * that fails rests, 1 s at first and twice as long each time up to 30 s, and is passed over while others are fit. One that had no answer
 * is not asked at all meanwhile, for each who asks would wait in vain; then one asks, and until that one knows the others are refused. */
#ifndef HG_FORWARD_SERVICES_H
#define HG_FORWARD_SERVICES_H

#include <stdbool.h>

#include "ipc_channel.h"
#include "ipc_forward.h"
#include "list.h"
#include "map.h"
#include "random.h"
#include "usec.h"

#define SERVICES_REST_MIN_US SECONDS(1)
#define SERVICES_REST_MAX_US SECONDS(30)

struct services {
        struct map groups;              /* by gate port and protocol */
        struct list next;               /* of the configuration being told */
};

/* One gate port with something behind it. */
struct service_group {
        struct map_entry by_port;
        struct ipc_service_held held;
        struct list services;           /* the next in turn first */
        bool told;                      /* swarm workers know that we hold it */
};

void services_init(struct services *services, const struct random *random);
void services_fini(struct services *services);

/* The complete list, in between. Groups that are not in it any more have no services left, but stay until forgotten: after the
 * end, for before it those that are new have none yet. */
void services_begin(struct services *services);
void services_end(struct services *services);
int services_add(struct services *services, const struct ipc_forward_service *service);    /* 0 or -ENOMEM */

/* Whose turn it is, or NULL; with @insist rather one that rests, the one closest to its end, than none. Valid until services_end(). */
const struct ipc_forward_service *services_pick(struct services *services, uint16_t gate_port, uint16_t protocol, bool insist, usec_t now_us);

/* Whether there is one that does not rest, beside @service. */
bool services_have_other(const struct services *services, const struct ipc_forward_service *service, usec_t now_us);

/* The one of that name (ipc_service.h); NULL: it is not there (any more). */
const struct ipc_forward_service *services_named(const struct services *services, uint16_t gate_port, uint16_t protocol, uint64_t name);

/* Whether who wants @service, which was picked or named, may ask it: else it had no answer of late, and is refused at once. Who may ask one
 * whose rest is over does so alone, for as long as its patience goes. */
bool services_ask(const struct ipc_forward_service *service, usec_t now_us, usec_t patience_us);

enum services_outcome {
        SERVICES_WORKED,
        SERVICES_REFUSED,               /* or whatever is known soon */
        SERVICES_SILENT,
};

enum services_news {
        SERVICES_NO_NEWS,
        SERVICES_FAILS_AGAIN,           /* it has rested, and still does */
        SERVICES_CHANGED,               /* it works again, or does not any more */
};

/* Notes whether a connection to @service could be made. One that is not configured any more is no news. */
enum services_news services_note(struct services *services, const struct ipc_forward_service *service, enum services_outcome outcome,
                                 usec_t now_us);

/* The same of a service of datagrams, whose connections can always be made: whether somebody answered at @address. If not, the next one
 * tries the next of its addresses first. *@what_out is the service when that is any news. */
enum services_news services_note_session(struct services *services, uint16_t gate_port, const uint8_t address[16], uint16_t service_port,
                                         bool works, usec_t now_us, const struct ipc_forward_service **what_out);

/* Whether what is @address at @service_port is still one of those. Not asked of a service whose name has no address now: it keeps what
 * it had. */
bool services_lead_to(const struct services *services, uint16_t gate_port, uint16_t protocol, const uint8_t address[16],
                      uint16_t service_port);

/* Whether @service is there, by its checks: one that is not is taken only if no other one is. */
void services_mark(const struct ipc_forward_service *service, bool there);

/* Walks those of a group, in no order: NULL is the first; the last yields NULL. */
const struct ipc_forward_service *services_of(const struct service_group *group, const struct ipc_forward_service *service);

/* Walks all groups: NULL is the first. Don't forget the current one before the next was taken. */
struct service_group *services_next(const struct services *services, const struct service_group *group);
void services_forget(struct services *services, struct service_group *group);

#endif
