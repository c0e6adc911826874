/* SPDX-License-Identifier: BSD-3-Clause */
/* The swarm worker: keys, the network and the bytes of all channels. Everything it knows hangs here. */
#ifndef HG_SWARM_PROCESS_H
#define HG_SWARM_PROCESS_H

#include "attempts.h"
#include "channels.h"
#include "cipher.h"
#include "driver.h"
#include "fingerprints.h"
#include "ipc_question.h"
#include "ipc_swarm.h"
#include "peers.h"
#include "run.h"
#include "udp.h"

enum {
        SWARM_ADDRESSES_MAX = 64,       /* of each kind, in one configuration */
        SWARM_IDENTITIES_MAX = 2,       /* one a role */
        SWARM_THROUGH_MAX = NODE_RELAYS_MAX,
};

/* What CONF_BEGIN .. CONF_END said so far; wiped as soon as it is applied. */
struct swarm_conf {
        bool open, has_node, has_relay;
        struct ipc_swarm_node node;
        struct node_router routers[NODE_ROUTERS_MAX];
        size_t router_count;
        struct ipc_swarm_identity identities[SWARM_IDENTITIES_MAX];
        struct ipc_swarm_relay relay;
        uint8_t allowed[NODE_ROLES][NODE_ALLOWED_MAX][NODE_KEY_BYTES];
        size_t allowed_count[NODE_ROLES];
        uint8_t through[SWARM_THROUGH_MAX][NODE_KEY_BYTES];
        size_t through_count;
        struct addr bootstrap[SWARM_ADDRESSES_MAX], local[SWARM_ADDRESSES_MAX], known[IPC_KNOWN_MAX];
        struct node_appointed appointed[NODE_APPOINTED_MAX];
        size_t appointed_count;
        size_t identity_count, bootstrap_count, local_count, known_count;
        struct ipc_swarm_limits limits;
        struct early_services services;
};

struct swarm_process {
        struct worker worker;
        struct udp udp;
        struct driver driver;
        struct cipher *cipher;
        struct node *node;              /* NULL until the first configuration */
        struct channels channels;
        struct fingerprints fingerprints;
        struct peers peers;
        struct attempts attempts;
        struct swarm_conf conf;
        struct addr server_local;
        size_t receive_bytes;           /* granted, the smallest of the sockets' */
        bool marks_streams;             /* the kernel tells streams from strangers by the highest byte of their ids: */
        uint8_t stream_mark;
        struct ipc_swarm_status told;   /* the last SWARM_STATUS */
        usec_t told_us;
        usec_t limited_told_us;         /* when it last said that a peer has as many channels as it may; 0: never */
        usec_t full_told_us;            /* when it last said that it takes no more connections; 0: never */
        ev_timer status, known;
        double known_after_s;           /* the nodes are told again */
        size_t pool_wanted;             /* sockets that the node asked for and has not got */
        bool joined[SWARM_IDENTITIES_MAX];
        bool leaving;
};

/* swarm_conf.c: the messages from the supervisor. */
extern const struct worker_handlers swarm_handlers;

/* swarm_status.c: tells the supervisor what changed, at most once a second. */
void swarm_status_init(struct swarm_process *swarm);
void swarm_status_fini(struct swarm_process *swarm);
void swarm_status_look(struct swarm_process *swarm);

/* swarm_known.c: tells it which nodes are there, from the node's start on. */
void swarm_known_init(struct swarm_process *swarm);
void swarm_known_start(struct swarm_process *swarm);
void swarm_known_fini(struct swarm_process *swarm);

/* swarm_pool.c: further sockets. */
void swarm_pool_want(struct swarm_process *swarm, size_t count);
void swarm_pool_grant(struct swarm_process *swarm, struct ipc_received *message);
void swarm_pool_done(struct swarm_process *swarm, uint32_t number);

/* swarm_ask.c: questions. False: none that can be asked. */
bool swarm_ask(struct swarm_process *swarm, const struct ipc_swarm_ask *ask);
void swarm_ask_event(struct swarm_process *swarm, const struct node_event *event);

/* What there is before the first configuration, once @swarm->worker has begun. 0 or -errno: no memory, or no timer. */
int swarm_process_init(struct swarm_process *swarm);
void swarm_process_fini(struct swarm_process *swarm);

/* The first configuration is complete: the node starts. 0 or -ENOMEM. */
int swarm_start_node(struct swarm_process *swarm, const struct node_config *config);

#endif
