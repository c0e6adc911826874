/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of who tells the admin worker whose connections are: what it hears. */
#ifndef HG_TEST_FINGERPRINT_EAR_H
#define HG_TEST_FINGERPRINT_EAR_H

#include "inside.h"
#include "ipc_fingerprint.h"

/* Next it is that connection of swarm worker 1, all of it. */
void hears_connection(struct inside *inside, const struct ipc_fingerprint *expected);

/* Next it is the end of one. */
void hears_end(struct inside *inside, uint64_t channel, const struct ipc_tuple *tuple);

#endif
