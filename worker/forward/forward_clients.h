/* SPDX-License-Identifier: BSD-3-Clause */
/* The clients of all gates, each from its acceptance to its end: a provider is chosen, the connection goes to the swarm worker
 * untouched, comes back if that provider fails, and goes to the next; when there is none it waits, within bounds. */
#ifndef HG_FORWARD_CLIENTS_H
#define HG_FORWARD_CLIENTS_H

#include "forward_admission.h"
#include "forward_choose.h"
#include "forward_guests.h"
#include "forward_socket.h"
#include "forward_tally.h"
#include "heap.h"
#include "ipc_channel.h"
#include "ipc_forward.h"
#include "list.h"
#include "map.h"
#include "random.h"
#include "run.h"
#include "run_watch.h"

enum {
        CLIENTS_WAITING_MAX = 256,      /* of one gate; more are reset at once */
        CLIENTS_OPEN_MS = 15000,        /* for a provider's answer (Hypergate: OPEN_REQUEST_TIMEOUT_MS) */
        CLIENTS_OPEN_LEAST_MS = 1000,   /* even when the client's time is nearly up */
        CLIENTS_OWN_MS = 5000,          /* who has a limit waits so long for its own swarm worker: it takes a second to start again and
                                         * to meet its peers, on a busy machine some */
};

struct client;

/* Who speaks for a client of datagrams and keeps the other end of its pair. */
struct client_session {
        struct client *client;          /* NULL: none any more */
        void (*over)(struct client_session *session);   /* the client is gone; nothing is touched after */
};

struct clients {
        struct worker *worker;
        struct watch *watch;
        struct random random;
        struct choose choose;
        struct map gates;
        struct guests guests;
        struct ipc_forward_keep_alive keep;
        struct ipc_forward_limits limits, limits_next;  /* of each gate: more are reset; of the configuration being told, 0 unless it says so */
        struct admissions admissions;
        struct map handed;              /* clients that a swarm worker has, by number */
        struct heap deadlines;          /* of clients that wait */
        struct heap retries;            /* of gates whose clients wait */
        uint64_t last_number;
        struct tally tally;
};

/* Seeds its maps from @random, which is kept, and so are @worker and @watch. */
void clients_init(struct clients *clients, struct worker *worker, struct watch *watch, const struct random *random);

/* Who waits is reset; what the swarm worker has lives on. */
void clients_fini(struct clients *clients);

/* The complete list of gates, in between. Clients that wait for one that is no longer there are reset. */
void clients_gates_begin(struct clients *clients);
int clients_gate_set(struct clients *clients, const struct ipc_forward_listener *what);    /* 0 or -ENOMEM */
void clients_gate_entitle(struct clients *clients, const struct ipc_forward_host *host);   /* one that is set is that host's */
void clients_gates_end(struct clients *clients);

/* Whether the gateway's own policy lets in who comes to that gate from there. Else it is counted, and told of. */
bool clients_admit(struct clients *clients, uint16_t gate_port, uint16_t protocol, const union socket_address *remote, const struct now *now);

/* A connection, non-blocking and ours from here on, that came to a gate. @local: where its client has connected to; NULL: here. @names:
 * whom it asks for, NULL: it does not say. */
void clients_accept(struct clients *clients, uint16_t gate_port, uint16_t protocol, int fd, const union socket_address *remote,
                    const union socket_address *local, const struct choose_names *names, const struct now *now);

/* Providers of that gate have names, or had: who comes is asked for one. */
void clients_name(struct clients *clients, uint16_t gate_port, uint16_t protocol);
bool clients_are_named(const struct clients *clients, uint16_t gate_port, uint16_t protocol);

/* The same for a session of datagrams from @remote to @local: @fd is one end of a pair, with what came so far in it. @session->client
 * is set, until @session->over is called, which may be before this returns. */
void clients_accept_session(struct clients *clients, uint16_t gate_port, int fd, const union socket_address *remote,
                            const union socket_address *local, struct client_session *session, const struct now *now);

/* The session ends by itself, and closes its end of the pair: nothing of it is touched any more. */
void clients_dismiss(struct client *client);

/* The swarm worker that moves the client's datagrams, and by what number they both know it; NULL: none (yet, or any more). */
struct worker_link *clients_mover(const struct client *client, uint64_t *number_out);

/* Whom that number was given for; NULL: nobody who has a session still. */
struct client_session *clients_session(const struct clients *clients, uint64_t number);

/* All swarm workers are behind: what is accepted now would only wait here instead of in the kernel. */
bool clients_busy(const struct clients *clients);

/* The one of that id has ended. What it had is gone, and the kernel has reset it. */
void clients_lose(struct clients *clients, uint32_t swarm, const struct now *now);

/* @clients->choose changed for this gate, or a swarm worker came, or takes messages again: whoever waits is looked at again. */
void clients_serve(struct clients *clients, uint16_t gate_port, uint16_t protocol, const struct now *now);
void clients_serve_all(struct clients *clients, const struct now *now);

/* What the swarm worker of that id says. @fd: the connection that comes back, ours from here on, or -1. Numbers it was never given mean
 * nothing. */
void clients_opened(struct clients *clients, uint32_t swarm, const struct ipc_channel *opened, const struct now *now);
void clients_refused(struct clients *clients, uint32_t swarm, const struct ipc_channel_refused *refused, int fd, const struct now *now);
void clients_closed(struct clients *clients, uint32_t swarm, const struct ipc_channel_closed *closed);

/* Does what has become due; when that is the next time. */
void clients_advance(struct clients *clients, const struct now *now);
usec_t clients_deadline(const struct clients *clients);

#endif
