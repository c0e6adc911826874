/* SPDX-License-Identifier: BSD-3-Clause */
/* Probes that are sent back, so that who sent them learns that they arrived. hyperdht sends each back once (lib/holepuncher.js
 * _onmessage()): where that is lost, the one port of thousands that was hit is lost, too; and two that both answer would do so for ever.
 * Here each remote gets a few, with pauses, and no more for a while. */
#ifndef HG_NAT_ECHO_H
#define HG_NAT_ECHO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "usec.h"

enum {
        NAT_ECHOES_MAX = 8,             /* remotes that are answered at a time; the oldest gives way */
        NAT_ECHO_TIMES = 3,
};

#define NAT_ECHO_PAUSE_US MSEC(150)     /* after the first; four times as long after the second */
#define NAT_ECHO_QUIET_US SECONDS(5)    /* from one answered probe to the next of the same remote that is */

struct nat_echo {
        uint32_t socket;
        struct addr to;
        unsigned sent;
        usec_t heard_us, due_us;
};

/* Zeroed: none. Oldest first. */
struct nat_echoes {
        struct nat_echo echo[NAT_ECHOES_MAX];
        size_t count;
};

/* A probe came from there. */
void nat_echoes_hear(struct nat_echoes *echoes, uint32_t socket, const struct addr *from, usec_t now_us);

/* The next to be sent now; drained until false. */
bool nat_echoes_next(struct nat_echoes *echoes, uint32_t *socket_out, struct addr *to_out, usec_t now_us);
usec_t nat_echoes_deadline(const struct nat_echoes *echoes);

#endif
