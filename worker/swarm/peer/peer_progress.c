/* SPDX-License-Identifier: BSD-3-Clause */
/* How it goes with the clients of a listener that are being reached: what decides whether they are dialled, too, or helped by a relay. */
#include "peer_private.h"

#define PUNCHING_US SECONDS(5)          /* from one round of a client that punches to the next, one of which may be lost */

/* A round that it has sealed lately: no repeated old handshake has such. What was in vain here is not over yet for the client, which has
 * begun later, and whose attempt tells why it failed. */
static bool is_punching(const struct peer_session *session, usec_t now_us)
{
        const struct peer_punch *punch = session->punch;

        if (!punch || !punch->heard_us || !nat_punch_is_possible(&punch->nat))
                return false;
        if (punch->failed)
                return nat_punch_failure(&punch->nat) == NAT_SHUT;
        return nat_punch_is_probing(&punch->nat) || now_us < punch->heard_us + PUNCHING_US;
}

bool peer_listener_punches(const struct peer_listener *listener, const uint8_t key[PEER_KEY_BYTES], const struct now *now)
{
        list_for_each(at, &listener->source.set->sessions) {
                const struct peer_session *session = list_entry(at, struct peer_session, all);

                if (session->listener == listener && session->state == PEER_SESSION_REACHING && is_punching(session, now->mono_us) &&
                    memcmp(conn_remote_key(session->conn), key, PEER_KEY_BYTES) == 0)
                        return true;
        }
        return false;
}

bool peer_session_struggles(const struct peer_session *session, const struct now *now)
{
        return session->state == PEER_SESSION_REACHING && session->punch && !session->conn->detour &&
               now->mono_us >= session->conn->begun_us + PEER_STRUGGLE_US;
}

size_t peer_listener_struggling(const struct peer_listener *listener, uint8_t (*out)[PEER_KEY_BYTES], size_t max, const struct now *now)
{
        size_t count = 0;

        list_for_each(at, &listener->source.set->sessions) {
                const struct peer_session *session = list_entry(at, struct peer_session, all);

                if (count < max && session->listener == listener && peer_session_struggles(session, now))
                        memcpy(out[count++], conn_remote_key(session->conn), PEER_KEY_BYTES);
        }
        return count;
}

bool peer_listener_struggles(const struct peer_listener *listener, const uint8_t key[PEER_KEY_BYTES], const struct now *now)
{
        list_for_each(at, &listener->source.set->sessions) {
                const struct peer_session *session = list_entry(at, struct peer_session, all);

                if (session->listener == listener && peer_session_struggles(session, now) &&
                    memcmp(conn_remote_key(session->conn), key, PEER_KEY_BYTES) == 0)
                        return true;
        }
        return false;
}

/* All that the client can still do is begin again, and we can do that, too. */
static bool is_in_vain(const struct peer_session *session)
{
        return session->punch && !session->conn->detour && !nat_punch_is_possible(&session->punch->nat);
}

bool peer_listener_awaits(const struct peer_listener *listener, const uint8_t key[PEER_KEY_BYTES], usec_t within_us,
                          const struct now *now)
{
        list_for_each(at, &listener->source.set->sessions) {
                const struct peer_session *session = list_entry(at, struct peer_session, all);

                if (session->listener == listener && session->state == PEER_SESSION_REACHING &&
                    now->mono_us < session->conn->begun_us + within_us && !is_in_vain(session) &&
                    memcmp(conn_remote_key(session->conn), key, PEER_KEY_BYTES) == 0)
                        return true;
        }
        return false;
}
