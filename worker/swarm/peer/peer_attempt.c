/* SPDX-License-Identifier: BSD-3-Clause */
/* What it took to reach a peer: for those who want to know why it did not work. */
#include "peer_private.h"

/* @punch (NULL: there is none) is over, or asked about. */
void peer_attempt_punch(struct peer_attempt *attempt, const struct peer_punch *punch)
{
        if (!punch)
                return;
        attempt->rounds = punch->nat.rounds;
        attempt->own_nat = punch->nat.own.class;
        attempt->remote_nat = punch->nat.remote_class;
        attempt->path = nat_punch_is_random(&punch->nat) ? PEER_PATH_CHANCE : PEER_PATH_PUNCHED;
}

/* After that: it was reached, and how is seen by where @conn goes. */
void peer_attempt_meet(struct peer_attempt *attempt, const struct conn *conn)
{
        struct addr remote = conn_remote_addr(conn);

        if (peer_detour_is_used(conn))
                attempt->path = PEER_PATH_RELAY;
        else if (addr_is_private(&remote) || peer_is_own_host(conn->source.set, &remote))
                attempt->path = PEER_PATH_NEAR;
        else if (attempt->path == PEER_PATH_NONE)
                attempt->path = PEER_PATH_DIRECT;
}

struct peer_attempt peer_dial_attempt(const struct peer_dial *dial, const struct now *now)
{
        struct peer_attempt attempt = dial->attempt;

        peer_attempt_punch(&attempt, dial->punch);
        attempt.path = PEER_PATH_NONE;
        attempt.took_us = now->mono_us - dial->begun_us;
        return attempt;
}
