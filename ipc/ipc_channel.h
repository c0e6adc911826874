/* SPDX-License-Identifier: BSD-3-Clause */
/* What a forward worker and the swarm worker say to each other of one channel, which is one connection of a client: payloads of rows of
 * ipc_message.h. */
#ifndef HG_IPC_CHANNEL_H
#define HG_IPC_CHANNEL_H

#include <stdint.h>

#include "ipc_fingerprint.h"
#include "ipc_message.h"

enum {
        IPC_FRONT_MAX = 56,             /* a PROXY header of version 2 between two IPv6 addresses is 52 */
        IPC_LIMITS_MAX = 2,             /* of one channel: the gateway's own, and the provider's */
        IPC_CLIENT_LABELS_MAX = 256,    /* of one client: those of two rules */
};

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* Channels that arrive for this gate port and protocol may come over this link, until SERVICE_LEFT. From the supervisor (conf): some
 * forward worker will say so; what neither has said is served by nobody. */
struct ipc_service_held {
        uint16_t gate_port;
        uint16_t protocol;
};

/* Whose a channel is, for people. */
struct ipc_client {
        uint8_t ip[16];                 /* IPv6, or IPv4 as ::ffff:a.b.c.d */
        uint16_t port;
        uint16_t known;                 /* 0 or 1; if not, all else is 0 */
        uint8_t pad[4];
        char labels[IPC_CLIENT_LABELS_MAX];     /* of the rules that let it in; each ends with NUL; the first empty one is none */
};

struct ipc_limit {
        uint64_t limiter;
        uint64_t bytes_per_s;           /* below IPC_RATE_MAX; 0: no limit, and nothing at once either */
        uint64_t burst_bytes;           /* the same */
        uint32_t ways;                  /* or of enum ipc_rule_way */
        uint32_t pad;
};

/* Open a channel to @peer for the connection whose fd rides along, from then on the swarm worker's, with SO_LINGER{1,0}
 * set so that dying with it resets it. Answered by CHANNEL_OPENED or by CHANNEL_REFUSED; the latter returns the fd, for
 * no byte is read before.
 *
 * With IPC_UDP the fd is one end of a SOCK_SEQPACKET pair whose other end the forward worker keeps: each message is a zero byte and
 * then one datagram, so that an empty datagram is no end. Whoever closes its end has ended the session.
 *
 * All channels of one @limit share its bucket, whoever opens them; it is another one for each of @ways. One with two carries no more than
 * both hold. */
struct ipc_channel_open {
        uint64_t channel;               /* sender's choice, unique on this link */
        uint64_t service;               /* the one that is meant, if the peer can be told; 0: any */
        uint8_t peer[IPC_KEY_BYTES];
        uint16_t gate_port;
        uint16_t protocol;
        uint32_t deadline_ms;
        uint32_t metadata_len;
        uint32_t idle_ms;               /* IPC_TCP: reset after so long without a byte either way; 0: never */
        char metadata[IPC_METADATA_MAX];
        struct ipc_limit limit[IPC_LIMITS_MAX];
        struct ipc_client client;
};

struct ipc_channel {
        uint64_t channel;
};

/* A channel of datagrams that is OPENED gets its client's own socket (SESSION_DETACHED), in place of its end of the pair: nothing more is
 * written there, and when the other end has closed, everything in it having been read, datagrams go by the socket both ways. A channel
 * that can't, or is over, closes the socket. Without a datagram for @idle_ms it ends, and on CHANNEL_END. */
struct ipc_channel_socket {
        uint64_t channel;
        uint32_t idle_ms;
        uint32_t pad;
};

/* With IPC_UDP each datagram for the service gets @front in front of it. @tuple is all zero where the service is a unix socket. */
struct ipc_channel_ready {
        uint64_t channel;
        uint32_t idle_ms;               /* ended after so long without a byte or datagram either way; 0: never */
        uint32_t front_len;
        uint8_t front[IPC_FRONT_MAX];
        struct ipc_client client;
        struct ipc_tuple tuple;
};

struct ipc_channel_refused {
        uint64_t channel;
        uint32_t reason;                /* enum ipc_reason */
        uint32_t text_len;
        char text[IPC_TEXT_MAX];        /* for the log and, at a provider, for the gateway */
};

/* A peer's client wants this service. @channel is the swarm worker's choice; answered by CHANNEL_READY with the connected
 * socket (of TCP, SO_LINGER{1,0} set, or of UDP) or CHANNEL_REFUSE; CHANNEL_GONE before that: no longer wanted. */
struct ipc_channel_arrived {
        uint64_t channel;
        uint64_t service;               /* the one that is meant, 0: any behind that port */
        uint8_t peer[IPC_KEY_BYTES];
        uint16_t gate_port;
        uint16_t protocol;
        uint32_t metadata_len;
        char metadata[IPC_METADATA_MAX];
};

struct ipc_channel_closed {
        uint64_t channel;
        uint64_t sent_bytes;            /* towards the peer */
        uint64_t received_bytes;        /* from the peer */
        uint64_t duration_us;
        uint32_t reason;                /* enum ipc_reason */
        uint32_t pad;
};

#pragma GCC diagnostic pop

#endif
