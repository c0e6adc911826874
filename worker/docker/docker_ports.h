/* SPDX-License-Identifier: BSD-3-Clause */
/* Which ports of a container are services: what its image exposes and what is published, as its labels change it. */
#ifndef HG_DOCKER_PORTS_H
#define HG_DOCKER_PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc_message.h"

enum { DOCKER_PORTS_MAX = 64 };

struct docker_port {
        uint16_t inside;                /* where the container listens */
        uint16_t outside;               /* where gateways do; 0: at @inside */
        uint16_t protocol;              /* enum ipc_protocol */
};

struct docker_ports {
        struct docker_port list[DOCKER_PORTS_MAX];
        size_t count;
        size_t more;                    /* that did not fit */
};

/* Told of each entry of a label that says nothing that can be. */
typedef void docker_ports_complaint(void *context, const char *label, const char *entry, size_t entry_len);

/* Once each: of an image that exposes it and of one that is published, which then has an @outside, the latter. */
void docker_ports_add(struct docker_ports *ports, struct docker_port port);

/* "80/tcp", as the engine writes it. False: it is none. */
bool docker_port_read(const char *text, struct docker_port *out);

/* hypergate.UNEXPOSE, "port[/protocol]" or "*", with commas: all that is not published. */
void docker_ports_unexpose(struct docker_ports *ports, const char *label, docker_ports_complaint *complain, void *context);

/* hypergate.EXPOSE, "port[:public port][/protocol]", with commas: after hypergate.UNEXPOSE, which does not touch these. */
void docker_ports_expose(struct docker_ports *ports, const char *label, docker_ports_complaint *complain, void *context);

/* hypergate.EXCLUDE: "true", in any case. */
bool docker_label_true(const char *label);

#endif
