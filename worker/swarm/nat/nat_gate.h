/* SPDX-License-Identifier: BSD-3-Clause */
/* Lets punches with one peer at a time work with chance: such a punch holds hundreds of sockets, or fills a router's table with hundreds
 * of entries, and sends hundreds of probes a second. Two peers that dial each other punch twice at once, and neither is in the other's
 * way: at both ends one gate is open for both. More it is not, nor for long, whatever a peer does. hyperdht fails whoever finds it shut;
 * here they wait. */
#ifndef HG_NAT_GATE_H
#define HG_NAT_GATE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "usec.h"

enum {
        NAT_PEER_BYTES = 32,            /* of a name for a peer: its key */
        NAT_GATE_MAX = 2,               /* punches inside: of each one's dial to the other */
};

#define NAT_GATE_SECOND_US SECONDS(15)  /* the last follows the first within, so that nobody holds the gate for good */

/* It is shut after a punch for as long as that has sent probes, as the router needs time to forget; at most so long, and not for long
 * after one that led somewhere. hyperdht: 20 s, always. Not for the same peer, if it comes back as soon as a second may follow: it
 * goes on with what it lost, and a punch that it had not lost would send as much. */
#define NAT_GATE_FAILED_US SECONDS(10)
#define NAT_GATE_MET_US SECONDS(1)

/* Zeroed: open. */
struct nat_gate {
        unsigned inside;                /* punches, all of one peer: */
        uint8_t peer[NAT_PEER_BYTES];
        usec_t since_us;                /* since when that peer has come and gone; 0: nobody has */
        bool met;                       /* one of them led somewhere */
        usec_t probing_us;              /* since when one of them has sent probes; 0: none has */
        usec_t open_us;                 /* while nobody is inside: from then on */
};

static inline bool nat_gate_lets_join(const struct nat_gate *gate, const uint8_t peer[NAT_PEER_BYTES], usec_t now_us)
{
        return gate->inside < NAT_GATE_MAX && gate->since_us && now_us < gate->since_us + NAT_GATE_SECOND_US &&
               memcmp(gate->peer, peer, NAT_PEER_BYTES) == 0;
}

/* False: others are inside, or enough of this peer, or it is shut. Each that came in leaves, once. */
static inline bool nat_gate_enter(struct nat_gate *gate, const uint8_t peer[NAT_PEER_BYTES], usec_t now_us)
{
        bool joins = nat_gate_lets_join(gate, peer, now_us);

        if (!joins && (gate->inside || now_us < gate->open_us))
                return false;
        if (!joins)
                gate->since_us = now_us;
        memcpy(gate->peer, peer, NAT_PEER_BYTES);
        gate->inside++;
        return true;
}

/* One that is inside begins to send probes. */
static inline void nat_gate_probe(struct nat_gate *gate, usec_t now_us)
{
        if (!gate->probing_us)
                gate->probing_us = now_us;
}

static inline void nat_gate_leave(struct nat_gate *gate, bool met, usec_t now_us)
{
        usec_t probed_us = gate->probing_us ? now_us - gate->probing_us : 0;

        gate->met = gate->met || met;
        if (--gate->inside)
                return;
        gate->open_us = now_us + usec_min(probed_us, gate->met ? NAT_GATE_MET_US : NAT_GATE_FAILED_US);
        gate->probing_us = 0;
        gate->met = false;
}

#endif
