/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of the forward worker's rooms: one worker inside the test (inside.h). Nothing is due in it but what a test makes due. */
#ifndef HG_TEST_FORWARD_SCENE_H
#define HG_TEST_FORWARD_SCENE_H

#include "forward_process.h"
#include "inside.h"
#include "test.h"

extern struct forward forward;
extern struct inside inside;

/* A worker of @duty that knows @sibling, or nobody: IPC_SUPERVISOR. */
void scene_begin(enum ipc_duty duty, enum ipc_role sibling);
void scene_end(void);

/* The worker reads what it was told. */
void scene_turn(void);

/* A TCP socket at 127.0.0.@host and *@port, or, if that is 0, at one that was free, which it becomes. Until it listens, and again after
 * scene_deafen(), who connects there is refused, and nobody else gets the port. */
int scene_bind(uint8_t host, uint16_t *port);
void scene_deafen(int listener);

/* That gate and no other, at which clients wait for a minute. */
void scene_gate(uint16_t port, uint16_t protocol);

/* Provider @name, connected to the swarm worker, offers that gate. */
void scene_provider(char name, uint16_t gate_port, uint16_t protocol);

#endif
