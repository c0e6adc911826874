/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of arrivals: one gate and its service, at addresses where somebody answers, somebody keeps silent or nobody is. Silent is a
 * listener whose backlog is full: it does not even refuse. */
#ifndef HG_TEST_FORWARD_ARRIVALS_SCENE_H
#define HG_TEST_FORWARD_ARRIVALS_SCENE_H

#include "forward_arrivals.h"
#include "forward_scene.h"
#include "ipc_channel.h"
#include "ipc_forward.h"

enum { GATE = 8080, SILENT_HOST = 1, GOOD_HOST = 2, NOBODY_HOST = 3 };  /* 127.0.0.x */

static const usec_t start_us = SECONDS(1000);

extern int silent, good;                /* the listeners */
extern uint16_t port;                   /* of all three */
extern unsigned fails_told;             /* how often the supervisor was told that a service fails */

/* The service has these addresses. */
void begin(const uint8_t *hosts, uint16_t count);
void finish(void);

/* A channel arrives at the gate, in virtual time, from that peer or any. */
void arrive_from(uint16_t peer, uint64_t channel);
void arrive(uint64_t channel);

/* The same by the clock, as the worker's turns are; returns what it shows. */
usec_t arrive_now(uint64_t channel);

/* What the swarm worker is told next, and in which words; false: nothing. */
bool said(enum ipc_type *type_out, char text_out[IPC_TEXT_MAX + 1]);

/* The same, as soon as it is told something; by the clock. */
enum ipc_type await(char text_out[IPC_TEXT_MAX + 1]);

/* The notices in the log so far, one behind the other. */
const char *noticed(void);

#endif
