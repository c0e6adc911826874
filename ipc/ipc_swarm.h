/* SPDX-License-Identifier: BSD-3-Clause */
/* What the supervisor tells the swarm worker, and hears from it: payloads of rows of ipc_message.h. What it asks for people: ipc_question.h. */
#ifndef HG_IPC_SWARM_H
#define HG_IPC_SWARM_H

#include <stdint.h>

#include "ipc_message.h"

enum {
        IPC_AUTH_KEY_BYTES = 64,        /* hello key, Argon2id of the router secret key (tunnel/) */
        IPC_GRANT_MAX = 64,
        IPC_ROUTERS_MAX = 4,            /* the secret and those before it */
        IPC_KNOWN_MAX = 64,             /* DHT nodes kept over a restart */
        IPC_ALLOWED_MAX = 256,          /* peers that may meet one role of ours */
};

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* (conf) Exactly once. With @persistent the node serves the DHT under @public_address (a private network's bootstrap node). */
struct ipc_swarm_node {
        uint8_t public_ip[4];
        uint16_t public_port;
        uint8_t persistent;
        uint8_t pad;
};

enum ipc_socket_kind {
        IPC_SOCKET_SERVER,              /* stable port; what peers reach */
        IPC_SOCKET_CLIENT,              /* any port; queries leave here while we may be firewalled */
};

/* (conf) A bound, non-blocking UDP socket with DF, GRO and buffers set. The receiver may know it already (same
 * inode): then the new descriptor is closed. */
struct ipc_swarm_socket {
        uint32_t kind;                  /* enum ipc_socket_kind */
        uint32_t receive_bytes;         /* granted SO_RCVBUF */
        uint8_t local_ip[4];
        uint16_t local_port;
        uint8_t gso;                    /* the kernel takes UDP_SEGMENT */
        uint8_t gro;
        uint8_t for_strangers;          /* all that comes to that port and is for no stream; follows the other, if there is one */
        uint8_t mark;                   /* then: highest byte of the ids of streams */
        uint8_t pad[2];
};

/* A NAT gives each remote another port: @count more UDP sockets, as the server's but for their port, would get through to a peer
 * (at most IPC_GRANT_MAX are granted at a time). They are the worker's, who closes those that did not. */
struct ipc_swarm_want {
        uint32_t count;
};

/* Some of them; @last: no more of this grant. */
struct ipc_swarm_grant {
        uint32_t last;                  /* 0 or 1 */
        uint32_t gso;                   /* 0 or 1, as in struct ipc_swarm_socket */
};

/* (conf) One IPv4 address of a local interface, for same-host and LAN dialling. */
struct ipc_swarm_address {
        uint8_t ip[4];
};

/* (conf) One resolved bootstrap node. */
struct ipc_swarm_bootstrap {
        uint8_t ip[4];
        uint16_t port;
        uint8_t pad[2];
};

/* (conf) A peer of the router, and where it is. */
struct ipc_swarm_appointed {
        uint8_t key[IPC_KEY_BYTES];
        struct ipc_swarm_bootstrap at;
};

/* Nodes that are there: the swarm worker says so every few minutes. (conf) Nodes that were there when it last said so. */
struct ipc_swarm_known {
        uint32_t count;
        struct ipc_swarm_bootstrap node[IPC_KNOWN_MAX];
};

/* (conf) The router: what is announced, and what hello is keyed with. Not the secret itself. The same of each previous secret that counts
 * still follows, newest first. */
struct ipc_swarm_router {
        uint8_t public_key[IPC_KEY_BYTES];
        uint8_t auth_key[IPC_AUTH_KEY_BYTES];
};

/* (conf) One identity per role this instance has on that router. */
struct ipc_swarm_identity {
        uint32_t role;                  /* enum ipc_instance_role */
        uint8_t seed[IPC_KEY_BYTES];
};

/* (conf) A peer that may meet our identity of that role; if there is any for a role, no others may. */
struct ipc_swarm_allowed {
        uint32_t role;                  /* enum ipc_instance_role */
        uint8_t key[IPC_KEY_BYTES];
};

enum ipc_relay_mode {
        IPC_RELAY_ON_DEMAND,            /* of a peer of the router, if strangers reach us */
        IPC_RELAY_ALWAYS,
        IPC_RELAY_NEVER,
        IPC_RELAY_MODES,
};

/* (conf) When this instance is a blind relay; without, on demand. 0 in a number: the default, or no limit. */
struct ipc_swarm_relay {
        uint8_t seed[IPC_KEY_BYTES];    /* clients find it by the public key */
        uint32_t anybody;               /* 1: whoever knows that key; 0: peers of the router and those they bring */
        uint32_t connections;           /* carried at a time */
        uint32_t connections_per_host;  /* ends of these from one host */
        uint32_t mode;                  /* enum ipc_relay_mode */
        uint64_t bytes_per_s;           /* in all */
        uint64_t bytes_per_s_per_host;  /* from and to one host */
};

/* (conf) A blind relay to use where no packet gets through to a peer. */
struct ipc_swarm_through {
        uint8_t key[IPC_KEY_BYTES];
};

/* (conf) How many channels each peer may have to services here; 0: no limit. */
struct ipc_swarm_limits {
        uint32_t connections_per_peer;
        uint32_t channel_buffer_bytes, peer_buffer_bytes;       /* received and not handed on, of connections to come; 0: as usual */
};

/* At most once a second, when something changed. */
struct ipc_swarm_status {
        uint32_t nodes;                 /* in the routing table */
        uint32_t bootstrapped;          /* 0 or 1 */
        uint32_t announced;             /* identities whose announcement was confirmed by at least one node */
        uint32_t gateways, providers;   /* authenticated peers by their role */
        uint32_t channels;
        uint32_t relayed;               /* of these peers, through a relay */
        uint32_t relays;                /* connections of others that are carried, as a relay */
        uint32_t outdated;              /* of these peers, who have not shown that they know the newest secret of the router */
        uint32_t pad;
        uint64_t relayed_bytes;         /* in all, as a relay */
        uint64_t sent_bytes, received_bytes;    /* of channels, ended ones included */
        uint64_t datagrams_dropped;     /* of channels, for want of room */
        uint64_t strangers_dropped;     /* datagrams that were nothing of the protocol, or too many of strangers */
        uint64_t streams_dropped;       /* packets of peers' streams, by the kernel, for want of room: sent again */
        uint64_t limited;               /* channels that peers were refused, as they had as many as they may */
};

#pragma GCC diagnostic pop

#endif
