/* SPDX-License-Identifier: BSD-3-Clause */
/* What others see of a socket of ours, and what that says about the NAT in front of it.
 *
 * hyperdht asks four nodes once and keeps what the first three said (lib/nat.js). Here every answer counts for as long as its
 * witness says nothing else, the latest ones decide, and nothing is final: a random NAT that gave three equal ports by luck is
 * found out by the fourth, and one that was restarted is not taken for random. */
#ifndef HG_NAT_SAMPLE_H
#define HG_NAT_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "nat_payload.h"

enum { NAT_SAMPLES_MAX = 8 };

struct nat_sample {
        struct addr witness, seen;
};

/* Zeroed: nothing is known. Latest last, one for each witness. */
struct nat_samples {
        struct nat_sample sample[NAT_SAMPLES_MAX];
        size_t count;
};

/* @witness sees us as @seen. One that saw us elsewhere on that host before says that our mapping is another one now: what the
 * others said before that is forgotten, unless each of them sees another port anyway. */
void nat_samples_add(struct nat_samples *samples, const struct addr *witness, const struct addr *seen);

/* What to tell peers of it. */
struct nat_view {
        enum nat_class class;
        struct addr addresses[NAT_ADDRESSES_MAX];       /* consistent: those agreed on, best first; random: its host, port 0 */
        size_t address_count;
};

/* Consistent: at least three quarters of the witnesses, and three at least, see one address, or all see two hosts with one address
 * each, twice; random: three disagree; otherwise unknown. Two witnesses on one host that see the same are one: to them a NAT that has a
 * mapping for each host is consistent. But for private addresses: in a test network many share one. */
struct nat_view nat_samples_judge(const struct nat_samples *samples);

/* The same, for who can't wait for more of them: one witness is right, and two are, whether they agree or not. Unknown only without
 * any. */
struct nat_view nat_samples_guess(const struct nat_samples *samples);

#endif
