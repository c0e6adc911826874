/* SPDX-License-Identifier: BSD-3-Clause */
/* A NAT: gives each inner address an outer port, and decides whom it lets in. No clock, no network: net.c puts it in the way. */
#ifndef HG_SIM_NAT_BOX_H
#define HG_SIM_NAT_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "random.h"
#include "usec.h"

/* To whom an outer port is the same (RFC 4787 4.1), or who may come in through it (5). */
enum nat_scope {
        NAT_BOX_ANYBODY,
        NAT_BOX_SAME_HOST,              /* mapping: one a remote host; filtering: hosts we have sent to */
        NAT_BOX_SAME_PORT,              /* the same of host and port */
};

struct nat_box_kind {
        enum nat_scope mapping, filtering;
        bool random_ports;              /* otherwise the inner port is kept where it is free */
        bool hairpin;                   /* inner addresses reach each other by their outer ones */
        bool isolates;                  /* and not by their inner ones: a network for guests */
        bool jealous;                   /* who knocks unasked makes an entry: what we send him after that leaves by another port, until
                                         * he has been quiet for 30 s */
        bool udp_blocked;               /* nothing leaves */
        usec_t lifetime_us;             /* of a mapping without traffic out; 0: for ever */
};

struct nat_box;

struct nat_box *nat_box_new(const uint8_t outer_ip[4], const struct nat_box_kind *kind, const struct random *random);
void nat_box_free(struct nat_box *box);

const uint8_t *nat_box_outer_ip(const struct nat_box *box);
const struct nat_box_kind *nat_box_kind(const struct nat_box *box);

/* A packet from @inner leaves for @remote: its address out there. False: it doesn't. */
bool nat_box_leave(struct nat_box *box, const struct addr *inner, const struct addr *remote, usec_t now_us, struct addr *outer_out);

/* A packet from @remote comes to the outer @port: whom it is for. False: nobody. */
bool nat_box_enter(struct nat_box *box, const struct addr *remote, uint16_t port, usec_t now_us, struct addr *inner_out);

/* Forgets everything, as after a power cut. */
void nat_box_reboot(struct nat_box *box);

/* Mappings that live. */
size_t nat_box_mappings(const struct nat_box *box, usec_t now_us);

#endif
