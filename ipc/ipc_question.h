/* SPDX-License-Identifier: BSD-3-Clause */
/* What the supervisor asks the swarm worker, and the router worker, for people at the control socket, and the answers: payloads of rows of ipc_message.h. */
#ifndef HG_IPC_QUESTION_H
#define HG_IPC_QUESTION_H

#include <stdint.h>

#include "ipc_channel.h"
#include "ipc_swarm.h"

enum {
        IPC_RELAYS_MAX = 8,             /* nodes in the record of a peer */
        IPC_OWN_RELAYS_MAX = 3,
        IPC_SIGHTINGS_MAX = 16,
        IPC_WHY_MAX = 96,               /* with its NUL */
};

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

enum ipc_question {
        IPC_ASK_SCAN,                   /* @key: who is announced there? FOUND for each, then ANSWERED */
        IPC_ASK_PING,                   /* @node, @by_server: is this DHT node there? PONG if it is, then ANSWERED */
        IPC_ASK_SELF,                   /* how is the worker seen by others? SELF, then ANSWERED */
        IPC_ASK_PEERS,                  /* whom is the worker connected to, and whom has it failed to reach? PEER for each, then ANSWERED */
        IPC_ASK_CHANNELS,               /* which channels are there? CHANNEL for each, then ANSWERED */
        IPC_QUESTIONS,
};

/* What somebody at the control socket wants to know. ANSWERED follows at once where there is no room for another question. */
struct ipc_swarm_ask {
        uint64_t question;              /* the supervisor's number for it, in every answer */
        uint32_t what;                  /* enum ipc_question */
        struct ipc_swarm_bootstrap node;
        uint8_t key[IPC_KEY_BYTES];
        uint8_t by_server;              /* ping: 1: by the socket that peers reach; 0: by the one that requests leave by */
        uint8_t pad[3];
};

/* A key that is announced on the topic, and the DHT nodes through which it says that it is reached. */
struct ipc_swarm_found {
        uint64_t question;
        uint8_t key[IPC_KEY_BYTES];
        uint32_t relay_count;
        struct ipc_swarm_bootstrap relay[IPC_RELAYS_MAX];
        uint8_t pad[4];
};

struct ipc_swarm_pong {
        uint64_t question;
        uint64_t took_us;               /* since it was first asked */
        uint32_t sends;
        struct ipc_swarm_bootstrap seen;        /* the worker, as that node sees it */
        uint8_t pad[4];
};

enum ipc_nat {
        IPC_NAT_UNKNOWN,
        IPC_NAT_OPEN,
        IPC_NAT_CONSISTENT,
        IPC_NAT_RANDOM,
        IPC_NATS,
};

struct ipc_swarm_self {
        uint64_t question;
        uint32_t nat;                   /* enum ipc_nat */
        uint32_t settled;               /* 0 or 1: @nat is all that will be known; a PING by the socket that peers reach is refused before */
        uint32_t persistent;            /* 0 or 1 */
        struct ipc_swarm_bootstrap seen;        /* all zero: unknown; port 0: others see different ones */
        uint32_t sighting_count;
        struct ipc_swarm_bootstrap witness[IPC_SIGHTINGS_MAX], sighting[IPC_SIGHTINGS_MAX];
        uint32_t relay_count[2];        /* of the gateway, of the provider */
        struct ipc_swarm_bootstrap relay[2][IPC_OWN_RELAYS_MAX];
};

enum ipc_path {
        IPC_PATH_NONE,                  /* not reached: @why */
        IPC_PATH_DIRECT,
        IPC_PATH_NEAR,
        IPC_PATH_PUNCHED,
        IPC_PATH_CHANCE,
        IPC_PATH_RELAY,
        IPC_PATHS,
};

struct ipc_swarm_peer {
        uint64_t question;
        uint64_t took_us;               /* to reach it */
        uint64_t rtt_us;                /* 0: not known yet */
        uint64_t up_us;
        uint64_t sent_bytes, received_bytes;
        uint64_t packets_resent;
        int64_t skew_ms;                /* its clock minus ours */
        uint8_t key[IPC_KEY_BYTES];
        struct ipc_swarm_bootstrap at;  /* its address, or that of the relay */
        uint32_t role;                  /* enum ipc_instance_role; 0: not reached */
        uint32_t path;                  /* enum ipc_path */
        uint32_t own_nat, peer_nat;     /* enum ipc_nat */
        uint32_t rounds;                /* of hole punching */
        uint32_t incoming;              /* 0 or 1: it was the peer's attempt */
        uint32_t leaves;                /* 0 or 1: it has said that it does */
        uint32_t datagram_bytes;        /* longest of a service's that goes beside the stream as things are; 0: none does */
        uint32_t outdated;              /* 0 or 1: it has not shown that it knows the newest secret of the router */
        uint32_t forbidden;             /* 0 or 1: not reached, as it is not among those that may meet us */
        char why[IPC_WHY_MAX];          /* text, with its NUL */
};

enum ipc_channel_state {
        IPC_CHANNEL_STATE_OPENING,      /* the peer has been asked, or the service here */
        IPC_CHANNEL_STATE_OPEN,
        IPC_CHANNEL_STATES,
};

struct ipc_swarm_channel {
        uint64_t question;
        uint64_t channel;               /* its number among those of this worker */
        uint64_t age_us;
        uint64_t sent_bytes, received_bytes;    /* to the peer, from it */
        uint8_t key[IPC_KEY_BYTES];     /* the peer's */
        uint16_t gate_port;
        uint16_t protocol;
        uint32_t incoming;              /* 0: a client came to a gate here; 1: the peer wants a service of ours */
        uint32_t state;                 /* enum ipc_channel_state */
        uint32_t pad;
        struct ipc_client client;
};

/* Which routes are there? ROUTE for each, at most IPC_ROUTES_TOLD_MAX, then ANSWERED, which is the same payload. */
struct ipc_router_ask {
        uint64_t question;
};

enum { IPC_ROUTES_TOLD_MAX = 1024, IPC_CHANNELS_TOLD_MAX = 1024 };

struct ipc_router_route {
        uint64_t question;
        uint8_t key[IPC_KEY_BYTES];     /* of the peer that offers it */
        uint16_t gate_port;
        uint16_t protocol;
        uint32_t services;              /* so many stand behind it there */
        uint32_t swarm;                 /* id of the worker that is connected to it */
        uint32_t priority;              /* 0: best */
};

struct ipc_swarm_answered {
        uint64_t question;
        uint32_t replies;               /* DHT nodes that answered */
        uint32_t busy;                  /* 1: it was not asked, for want of room */
};

#pragma GCC diagnostic pop

#endif
