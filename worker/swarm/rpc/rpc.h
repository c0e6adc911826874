/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests and responses over UDP: matches each response to its request, repeats requests, limits what strangers may ask.
 *
 * It knows messages, not their meaning: incoming requests go up, replies come down. A turn: rpc_receive() per datagram,
 * rpc_advance(), rpc_event() until false, rpc_transmit() until false; rpc_deadline() says when to come again.
 * Time is monotonic microseconds. Sockets are the caller's numbers. */
#ifndef HG_RPC_H
#define HG_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "random.h"
#include "rpc_message.h"
#include "usec.h"

struct rpc;
struct rpc_request;     /* one of ours in flight or waiting */

enum {
        RPC_RETRIES = 4,                /* plain requests: 5 sends within 4 s. dht-rpc: 4, a second apart */
        RPC_RETRIES_QUERY = 6,          /* within queries; dht-rpc: one less, too */
        RPC_RETRIES_EAGER = 8,          /* 9 sends within 6 s, 6 of them within 2 s */
};

struct rpc_config {
        struct random random;
        uint32_t server_socket;         /* datagrams leaving here carry our id once we have one */
        uint32_t client_socket;         /* requests leave here while @firewalled */
        bool firewalled;
};

int rpc_new(struct rpc **rpc_out, const struct rpc_config *config, usec_t now_us);
void rpc_free(struct rpc *rpc);

/* From now on we are a persistent node under @id, or (NULL) an ephemeral one that sends none. Copied. */
void rpc_set_id(struct rpc *rpc, const uint8_t *id);

/* Which socket new requests leave by: the client socket while firewalled, the server socket when not. */
void rpc_set_firewalled(struct rpc *rpc, bool firewalled);
uint32_t rpc_socket(const struct rpc *rpc);

struct rpc_request_spec {
        struct addr to;
        bool internal;
        uint64_t command;
        const uint8_t *target, *token;  /* or NULL */
        const uint8_t *value;           /* or NULL */
        size_t value_len;
        unsigned retries;               /* further sends after the first */
        bool urgent;                    /* past the congestion window */
        bool by_server;                 /* it leaves by the server socket, whatever rpc_socket() is */
        bool far;                       /* who is asked asks another one: it takes twice as long */
        bool eager;                     /* nobody else is asked meanwhile, and a person waits: repeated soon more than twice */
        unsigned kind;                  /* handed back in the event: what @context is */
        void *context;
};

/* Sends a request, now or when the congestion window lets it. It ends in exactly one RPC_RESPONSE or RPC_TIMED_OUT, or in
 * rpc_cancel(); the handle is good until then. NULL when it can't even wait (memory, too many, longer than a datagram): nothing
 * follows. */
struct rpc_request *rpc_request(struct rpc *rpc, const struct rpc_request_spec *spec, usec_t now_us)
        __attribute__((warn_unused_result));
void rpc_cancel(struct rpc *rpc, struct rpc_request *request);

/* How often a request was sent so far, and to whom. */
unsigned rpc_request_sends(const struct rpc_request *request);
const struct addr *rpc_request_to(const struct rpc_request *request);

/* How long whoever is asked should take to answer, as far as is known: the first timer of a request. */
usec_t rpc_timer(const struct rpc *rpc);

/* Requests of ours that are out and unanswered. */
size_t rpc_in_flight(const struct rpc *rpc);

enum rpc_verdict {
        RPC_OK,                 /* the event says what */
        RPC_MALFORMED,          /* no message of ours, or from port 0 */
        RPC_UNASKED,            /* a response nobody waits for, from anybody but the one who was asked, or late */
        RPC_LIMITED,            /* its sender asks too much */
        RPC_VERDICTS
};

enum rpc_event_kind {
        RPC_REQUESTED,          /* somebody asks; answer with rpc_reply() or rpc_relay(), or stay silent */
        RPC_RESPONSE,           /* one of ours was answered; also when the answer is an error */
        RPC_SLOW,               /* one of ours has no answer after its first timer; it goes on */
        RPC_TIMED_OUT,          /* one of ours has no answer and will get none */
};

struct rpc_event {
        enum rpc_event_kind kind;
        uint32_t socket;                /* it came by */
        struct addr from;               /* source of the datagram; for slow and timed out: who was asked */
        struct rpc_message message;     /* points into the datagram; @id is NULL unless it fits the source address; closer nodes
                                         * beyond RPC_CLOSER_MAX are cut off */
        bool token_valid;               /* requested: the token in it is a fresh one of ours for that host */
        struct rpc_request *request;    /* ours; gone unless RPC_SLOW: compare it, don't use it. No other one has this handle
                                         * before the next event */
        unsigned request_kind;          /* both as in the spec */
        void *context;
        unsigned sends;
};

/* One datagram that is no UDX packet. RPC_OK: @out is filled, its pointers good as long as @bytes. Else @out is untouched. */
enum rpc_verdict rpc_receive(struct rpc *rpc, uint32_t socket, const struct addr *from, const void *bytes, size_t len,
                             usec_t now_us, struct rpc_event *out);

/* Timers: afterwards rpc_event() has what ran out. */
void rpc_advance(struct rpc *rpc, usec_t now_us);
usec_t rpc_deadline(const struct rpc *rpc);
bool rpc_event(struct rpc *rpc, struct rpc_event *out);

struct rpc_reply {
        uint64_t error;
        bool token;                     /* with a fresh token for the host it goes to */
        const struct addr *closer;      /* nearest first; cut from the end where the datagram gets too long */
        size_t closer_count;
        const uint8_t *value;           /* or NULL */
        size_t value_len;
};

/* Answers an RPC_REQUESTED event to where it came from, by the socket it came by. */
void rpc_reply(struct rpc *rpc, const struct rpc_event *request, const struct rpc_reply *reply, usec_t now_us);

/* The same to another address: the reply port of PING_NAT, the client of a relayed handshake. */
void rpc_reply_to(struct rpc *rpc, uint32_t socket, const struct addr *to, uint16_t tid, const struct rpc_reply *reply,
                  usec_t now_us);

/* Passes a request on under its own tid: sent once, nothing is remembered. External command space, no token. */
void rpc_relay(struct rpc *rpc, uint32_t socket, const struct addr *to, uint16_t tid, uint64_t command,
               const uint8_t *target, const void *value, size_t len);

/* What costs more than a reply is limited more tightly per source host. */
enum rpc_cost {
        RPC_COST_SIGNATURE,     /* a signature to check */
        RPC_COST_RELAY,         /* a datagram to a third party */
        RPC_COST_DELAY,         /* a timer to hold */
        RPC_COSTS
};

/* Takes one from the source's allowance; false: it has none left. Loopback is never limited: it is this machine's own, and a
 * test network of fifty nodes shares that one host. */
bool rpc_allow(struct rpc *rpc, const struct addr *from, enum rpc_cost cost, usec_t now_us);

struct rpc_send {
        uint32_t socket;
        struct addr to;
        const uint8_t *bytes;           /* valid until the next call */
        size_t len;
};

bool rpc_transmit(struct rpc *rpc, struct rpc_send *out);

struct rpc_stats {
        uint64_t verdicts[RPC_VERDICTS];
        uint64_t requests, retransmits, responses, timeouts;    /* ours */
        uint64_t replies, relays, unsent;                       /* unsent: dropped here, the output was full */
};

void rpc_stats(const struct rpc *rpc, struct rpc_stats *out);

#endif
