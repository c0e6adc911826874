/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions of a gate for datagrams: one for each client address, each with a pair of sockets to the swarm worker. Anybody can put
 * any address on a datagram, so a session is young until its client spoke again after an answer: young ones end soon, and make room
 * for others when there are too many, and where there are none, whoever has rested for long. One that is busy gets a socket of its own, which the swarm worker reads and writes from then on:
 * of that session nothing passes through here any more. */
#ifndef HG_FORWARD_SESSIONS_H
#define HG_FORWARD_SESSIONS_H

#include <sys/uio.h>

#include "forward_clients.h"
#include "forward_socket.h"
#include "heap.h"
#include "ipc_forward.h"
#include "ipc_session.h"
#include "list.h"
#include "map.h"
#include "run_watch.h"

enum {
        SESSIONS_MAX = 4096,            /* of one socket; of one host at most half of what others leave */
        SESSIONS_NEW_PER_S = 1000,      /* and as many at once after a quiet second */
        SESSIONS_BUSY = 32,             /* datagrams in a second, both ways: a session of more gets a socket of its own, */
        SESSIONS_DETACHED_MAX = 256,    /* as so many of one gate's socket may have: older kernels go through them for each datagram */
        SESSIONS_BATCH_MAX = IPC_SESSION_BATCH_MAX,     /* datagrams in one system call */
        SESSIONS_BUFFER_BYTES = SESSIONS_BATCH_MAX * SOCKET_DATAGRAM_MAX,
};

#define SESSIONS_YOUNG_US SECONDS(30)   /* without a datagram, or less if the gate says so: hypergate.md 14.10 */
/* Without a datagram, of one that has proven itself, where there is no room for another one: RFC 4787 REQ-5 has NATs keep them for so long. */
#define SESSIONS_RESTED_US MINUTES(2)
#define SESSIONS_REFUSED_US SECONDS(60) /* before another socket is asked for */

struct session;

struct sessions {
        struct worker *worker;
        struct watch *watch;
        struct clients *clients;
        uint8_t *buffer;                /* SESSIONS_BUFFER_BYTES, borrowed: nothing stays in it between calls */
        int fd;                         /* the gate's, borrowed: answers leave here */
        uint16_t gate_port;
        usec_t idle_us;
        struct map by_client;
        struct map hosts;
        struct list young;              /* the longest silent first */
        struct heap deadlines;
        size_t count;
        size_t detached;                /* of them: have asked for a socket of their own, or have one */
        usec_t detach_us;               /* not before */
        usec_t new_us;                  /* new ones are paid for up to here */
        void (*drain)(struct sessions *sessions, const struct now *now);        /* takes in what waits in @fd by now */
        uint64_t *dropped;              /* borrowed: datagrams for which there was no room */
        bool told_full;                 /* that there was no room for one, and the log says so */
};

/* Where a datagram came from and where it was sent to. */
struct session_ends {
        union socket_address remote, local;     /* @local: its port is the gate's */
        uint32_t interface;             /* of a link-local @local, else 0 */
        uint32_t broadcast;             /* 1: sent to a broadcast address, @local is where answers come from; else 0 */
};

/* Seeds its maps from @clients->random. @drain is the caller's to set; until then nothing waits in @fd. */
void sessions_init(struct sessions *sessions, struct clients *clients, struct watch *watch, uint8_t *buffer, uint64_t *dropped);

/* Ends all. */
void sessions_fini(struct sessions *sessions);

/* Datagrams of one client, in order, at most SESSIONS_BATCH_MAX. They are dropped when there is no room: for another session, or in
 * the one there is. */
void sessions_receive(struct sessions *sessions, const struct session_ends *ends, const struct iovec *datagrams, size_t count,
                      const struct now *now);

/* The supervisor's answer to SESSION_DETACH for one of @clients: @fd is its socket, ours from here on, or -1. */
void sessions_detached(struct clients *clients, const struct ipc_session_detached *detached, int fd, const struct now *now);

/* Ends what was silent for too long; when that is the next time, or earlier. */
void sessions_advance(struct sessions *sessions, usec_t now_us);
usec_t sessions_deadline(const struct sessions *sessions);

#endif
