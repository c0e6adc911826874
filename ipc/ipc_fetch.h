/* SPDX-License-Identifier: BSD-3-Clause */
/* What the supervisor and a process that fetches one URL say to each other: an order on its standard input, an answer on descriptor 3.
 * Both are structs of a fixed size with bytes behind them; the reader checks them as a stranger's. */
#ifndef HG_IPC_FETCH_H
#define HG_IPC_FETCH_H

#include <stdbool.h>
#include <stdint.h>

enum {
        IPC_URL_MAX = 2048,             /* with its NUL, as all of these */
        IPC_ETAG_MAX = 256,
        IPC_FETCH_HOST_MAX = 254,
        IPC_FETCH_ADDRESSES_MAX = 16 * 46,
        IPC_FETCH_REASON_MAX = 160,
        IPC_FETCH_BODY_MAX = 10 * 1024 * 1024,
        IPC_FETCH_CA_MAX = 1024 * 1024,
        IPC_FETCH_TIME_MS = 30000,      /* for all of it */
};

/* Followed by @ca_bytes of PEM, without which the system's certificates are trusted. */
struct ipc_fetch_order {
        char url[IPC_URL_MAX];
        char host[IPC_FETCH_HOST_MAX];          /* in @url */
        char addresses[IPC_FETCH_ADDRESSES_MAX];        /* of @host, with commas: nobody else is asked */
        char etag[IPC_ETAG_MAX];                /* of what is there already; "": nothing is */
        uint16_t port;
        uint32_t ca_bytes;
};

/* Followed by @body_bytes. */
struct ipc_fetch_answer {
        uint32_t status;                        /* of HTTP; 0: there is none, for @reason */
        uint32_t body_bytes;
        char etag[IPC_ETAG_MAX];                /* "": none */
        char location[IPC_URL_MAX];             /* where a redirect leads, whole; "": nowhere */
        char reason[IPC_FETCH_REASON_MAX];
};

bool ipc_fetch_order_good(const struct ipc_fetch_order *order);
bool ipc_fetch_answer_good(const struct ipc_fetch_answer *answer);

#endif
