/* SPDX-License-Identifier: BSD-3-Clause */
/* The way of a connection over a blind relay (connect.md 7): a connection of its own to the relay, over which both ends name a token,
 * and the stream goes where that one does. It is tried beside all direct ways and used until one of these opens. */
#include <sodium.h>
#include <stdlib.h>

#include "peer_private.h"

/* When the direct ways are looked at again, counted from when the connection was open. */
static const usec_t probe_times_us[] = { MSEC(100), MSEC(500), MSEC(1500), SECONDS(4), SECONDS(10), SECONDS(30), SECONDS(60) };

#define PROVE_US SECONDS(3)             /* a direct way that brings no answer for so long is none */
#define LINGER_US SECONDS(15)           /* after its connection: whoever has not heard our last word asks again, libudx for 13 s */
#define DRAIN_US SECONDS(5)             /* what the peer resends by a relay that was left: libudx resends on the old path */
#define STANDBY_US SECONDS(20)          /* that relay stays at hand: what was punched dies early, or not for long */
#define LOOK_US MSEC(250)               /* while it does: whether the direct way is alive */
#define STILL_US MSEC(1500)             /* no acknowledgement for so long, or so many round trips: the other way is tried */
#define STILL_ROUNDS 6
#define AGAIN_FIRST_US SECONDS(30)      /* until holes are punched again for what goes over a relay; twice as long each time */
#define AGAIN_LONGEST_US MINUTES(30)
#define AGAIN_LEAST_US SECONDS(15)      /* and no sooner for whoever is asked to */
#define MOVED_US SECONDS(2)             /* until it is done after our address has changed */
#define MOVES_US SECONDS(60)            /* in which one change counts */

enum { TURNS_MAX = 6 };                 /* from one way to the other and back, while both are still */

static bool is_asking(const struct peer_detour *detour)
{
        return detour->has_plan && detour->plan.role == NAT_INITIATOR;
}

static void arm(struct peer_detour *detour)
{
        usec_t due_us = usec_min(usec_min(detour->probe_us, detour->leave_us), usec_min(detour->look_us, detour->client.limit_us));

        heap_set(&detour->source.set->timers, &detour->source.timer, is_asking(detour) ? usec_min(due_us, detour->again_us) : due_us);
}

void peer_detour_free(struct peer_detour *detour)
{
        struct now now;

        if (!detour)
                return;
        now = (struct now){ .mono_us = detour->source.set->now_us };
        peer_punch_free(detour->punch, detour->conn);
        if (detour->dial)
                peer_dial_cancel(detour->dial, &now);
        conn_free(detour->control);
        if (detour->conn)
                detour->conn->detour = NULL;
        peer_source_fini(&detour->source);
        list_remove(&detour->all);
        detour->source.set->detour_count--;
        sodium_memzero(&detour->client, sizeof(detour->client));
        sodium_memzero(&detour->plan, sizeof(detour->plan));
        free(detour);
}

unsigned peer_detour_count(const struct peer_set *set, const struct addr *client_host)
{
        unsigned count = 0;

        list_for_each(at, &set->detours)
                count += addr_host_equal(&list_entry(at, struct peer_detour, all)->client_host, client_host);
        return count;
}

static void keep_plan(struct peer_detour *detour)
{
        const struct conn *conn = detour->conn;
        const struct peer_punch *punch = conn->dial ? conn->dial->punch : conn->session ? conn->session->punch : NULL;

        detour->has_plan = punch != NULL;
        if (punch)
                detour->plan = punch->plan;
}

void peer_detour_begin(struct conn *conn, const struct peer_detour_spec *spec, const struct now *now)
{
        struct peer_set *set = conn->source.set;
        struct peer_dial_spec dial_spec = { .secret_key = set->detour_secret_key, .remote_key = spec->key };
        struct peer_detour *detour;

        if (set->detour_count >= PEER_DETOURS_MAX || memcmp(spec->key, conn->remote_key, PEER_KEY_BYTES) == 0 ||
            memcmp(spec->key, conn->local_key, PEER_KEY_BYTES) == 0)
                return;
        detour = calloc(1, sizeof(*detour));
        if (!detour)
                return;
        peer_source_init(&detour->source, PEER_SOURCE_DETOUR, set);
        list_push_back(&set->detours, &detour->all);
        set->detour_count++;
        detour->conn = conn;
        memcpy(detour->key, spec->key, sizeof(detour->key));
        detour->probe_us = detour->leave_us = detour->look_us = detour->again_us = USEC_NEVER;
        keep_plan(detour);
        conn->detour = detour;
        relay_client_init(&detour->client, spec->initiator, spec->token, udx_stream_local_id(conn->stream), now->mono_us);
        if (peer_dial(set, &dial_spec, &detour->dial, now) < 0) {
                detour->dial = NULL;
                peer_detour_free(detour);
                return;
        }
        detour->dial->detour = detour;
        arm(detour);
}

static bool is_trying(const struct peer_detour *detour)
{
        return detour->client.state < RELAY_PAIRED;
}

bool peer_detour_is_trying(const struct conn *conn)
{
        return conn->detour && is_trying(conn->detour);
}

/* Where its control connection goes: the relayed stream shares its addresses. */
static bool relay_way(const struct peer_detour *detour, struct peer_way *way_out)
{
        const struct udx_path *path = detour->control ? udx_stream_path(detour->control->stream) : NULL;

        if (!path)
                return false;
        *way_out = (struct peer_way){ .socket = path->socket, .remote = path->remote };
        return true;
}

static bool is_relay(const struct peer_detour *detour, const struct peer_way *way)
{
        struct peer_way relay;

        return relay_way(detour, &relay) && relay.socket == way->socket && addr_equal(&relay.remote, &way->remote);
}

bool peer_detour_is_way(const struct conn *conn, const struct peer_way *way)
{
        return conn->detour && is_relay(conn->detour, way);
}

uint32_t peer_detour_remote_id(const struct conn *conn, const struct peer_way *way)
{
        return peer_detour_is_way(conn, way) && !peer_detour_is_trying(conn) ? conn->detour->client.relay_id : conn->remote_id;
}

bool peer_detour_is_used(const struct conn *conn)
{
        const struct udx_path *path = udx_stream_path(conn->stream);
        struct peer_way way;

        if (!conn->detour || !path)
                return false;
        way = (struct peer_way){ .socket = path->socket, .remote = path->remote };
        return is_relay(conn->detour, &way);
}

/* Its connection is gone. What that has said last, and what is remembered of it to say it again, still needs the way. */
void peer_detour_leave(struct peer_detour *detour)
{
        if (!detour)
                return;
        if (detour->client.state != RELAY_PAIRED || !detour->control || !peer_detour_is_used(detour->conn)) {
                peer_detour_free(detour);
                return;
        }
        peer_punch_free(detour->punch, detour->conn);
        detour->punch = NULL;
        detour->conn->detour = NULL;
        detour->conn = NULL;
        detour->probe_us = detour->look_us = detour->again_us = USEC_NEVER;
        detour->leave_us = detour->source.set->now_us + LINGER_US;
        arm(detour);
}

/* --- Back to the direct way --- */

static void add_way(struct peer_detour *detour, const struct peer_way *way)
{
        if (is_relay(detour, way))
                return;
        for (unsigned i = 0; i < detour->way_count; i++)
                if (detour->ways[i].socket == way->socket && addr_equal(&detour->ways[i].remote, &way->remote))
                        return;
        if (detour->way_count < PEER_WAYS_MAX)
                detour->ways[detour->way_count++] = *way;
}

void peer_detour_remember(struct conn *conn, const struct peer_way *ways, unsigned count)
{
        for (unsigned i = 0; conn->detour && i < count; i++)
                add_way(conn->detour, &ways[i]);
}

static void set_probe(struct peer_detour *detour)
{
        detour->probe_us = detour->way_count && detour->probes < ARRAY_LEN(probe_times_us)
                ? detour->conn->opened_us + probe_times_us[detour->probes] : USEC_NEVER;
}

static void probe_way(struct conn *conn, const struct peer_way *way)
{
        struct udx_path path = { .socket = way->socket, .remote_id = conn->remote_id, .remote = way->remote };

        (void)udx_stream_probe(conn->stream, &path);
}

static void probe_all(struct peer_detour *detour)
{
        for (unsigned i = 0; i < detour->way_count; i++)
                probe_way(detour->conn, &detour->ways[i]);
        detour->probes++;
        set_probe(detour);
}

/* --- Punching again --- */

/* Whoever asks waits longer each time, by chance not all at once; whoever is asked lets no time pass but what a crowd would want. */
static void set_again(struct peer_detour *detour)
{
        struct peer_set *set = detour->source.set;
        usec_t pause_us = usec_min(AGAIN_FIRST_US << MIN(detour->agains, 6U), AGAIN_LONGEST_US);

        if (is_asking(detour))
                pause_us += random_below(&set->random, (uint32_t)(pause_us / 4));
        else
                pause_us = AGAIN_LEAST_US;
        detour->again_us = detour->has_plan ? usec_add(set->now_us, pause_us) : USEC_NEVER;
}

/* It goes over the relay, and no direct way is being tried. */
static bool is_content(const struct peer_detour *detour)
{
        return detour->conn && detour->conn->state == CONN_OPEN && detour->leave_us == USEC_NEVER && !detour->punch &&
               peer_detour_is_used(detour->conn);
}

static void punch_again(struct peer_detour *detour, const struct now *now)
{
        bool can = is_content(detour);

        detour->agains++;
        set_again(detour);
        if (!can || !peer_punch_again(detour, now))
                return;
        detour->source.set->stats.punched_again++;
        peer_punch_advance(detour->punch, now);
}

/* Whose client asks to punch by the handshake @id of @listener's once more. */
struct peer_detour *peer_detour_find(struct peer_set *set, const struct peer_listener *listener, uint64_t id, usec_t now_us)
{
        list_for_each(at, &set->detours) {
                struct peer_detour *detour = list_entry(at, struct peer_detour, all);
                const struct peer_punch_plan *plan = &detour->plan;

                if (detour->has_plan && plan->role == NAT_RESPONDER && plan->listener == listener && plan->id == id)
                        return is_content(detour) && now_us >= detour->again_us ? detour : NULL;
        }
        return NULL;
}

/* Our address is another one, and so may be our NAT. Others tell us so, who may lie. */
void peer_detour_ground_moved(struct peer_set *set, const struct now *now)
{
        if (now->mono_us < set->ground_moves_us)
                return;
        set->ground_moves_us = usec_add(now->mono_us, MOVES_US);
        list_for_each(at, &set->detours) {
                struct peer_detour *detour = list_entry(at, struct peer_detour, all);

                if (!is_asking(detour) || !is_content(detour))
                        continue;
                detour->agains = 0;
                detour->again_us = usec_add(now->mono_us, MOVED_US);
                arm(detour);
        }
}

/* @conn came up while @punch, which led to it or not, still worked: over a relay it goes on. False: it is of no more use. */
bool peer_detour_punch(struct conn *conn, struct peer_punch *punch)
{
        if (!punch || punch->failed || !peer_detour_is_used(conn))
                return false;
        punch->dial = NULL;
        punch->session = NULL;
        punch->detour = conn->detour;
        conn->detour->punch = punch;
        return true;
}

static void end_punch(struct peer_detour *detour)
{
        peer_punch_free(detour->punch, detour->conn);
        detour->punch = NULL;
}

void peer_detour_punch_failed(struct peer_detour *detour)
{
        end_punch(detour);
        set_again(detour);
        arm(detour);
}

/* --- From the relay to a direct way, and back --- */

/* The peer's probe came from there, or anybody's: only an answer of the peer's stream says that it is there. */
void peer_detour_heard(struct peer_detour *detour, const struct peer_way *way)
{
        if (!detour->conn || detour->leave_us != USEC_NEVER || is_relay(detour, way))
                return;
        if (detour->way_count == PEER_WAYS_MAX)
                detour->way_count--;
        add_way(detour, way);
        probe_way(detour->conn, way);
}

/* A round trip was measured since: packets get through both ways. */
static bool is_proven(const struct conn *conn)
{
        struct udx_stats stats;

        udx_stream_stats(conn->stream, &stats);
        return stats.srtt_us > 0;
}

/* A client has heard its server by then. A server only knows that its client is heard, which comes to the relay if it hears nothing. */
void peer_detour_opened(struct conn *conn)
{
        struct peer_detour *detour = conn->detour;

        if (!detour)
                return;
        if (!conn->initiator && is_trying(detour)) {
                detour->leave_us = usec_add(conn->opened_us, LOOK_US);
                arm(detour);
                return;
        }
        if (!peer_detour_is_used(conn)) {
                peer_detour_free(detour);
                return;
        }
        udx_stream_allow_moves(conn->stream, true);
        set_probe(detour);
        if (!detour->punch)
                set_again(detour);
        arm(detour);
}

/* Whoever has the connection hears of it. */
static void tell_moved(struct peer_detour *detour)
{
        struct peer_attempt *attempt = &detour->conn->attempt;

        attempt->path = PEER_PATH_NONE;
        peer_attempt_punch(attempt, detour->punch);
        peer_attempt_meet(attempt, detour->conn);
        peer_source_report(&detour->conn->source, PEER_CONN_MOVED);
}

/* To the relay that stands by, or from there to the direct way again. */
static void turn(struct peer_detour *detour, const struct now *now)
{
        struct conn *conn = detour->conn;
        struct peer_way relay;

        if (!relay_way(detour, &relay))
                return;
        conn_reach(conn, peer_detour_is_used(conn) ? &detour->direct : &relay, now->mono_us);
        conn_ping(conn, now->mono_us);
        detour->still_us = now->mono_us;
        detour->turns++;
}

/* The direct way is dead: it goes over the relay as before. */
static void stay_back(struct peer_detour *detour)
{
        detour->proven = false;
        detour->leave_us = detour->look_us = USEC_NEVER;
        detour->turns = 0;
        detour->source.set->stats.detours_returned++;
        set_again(detour);
        tell_moved(detour);
        udx_stream_allow_moves(detour->conn->stream, true);
}

/* While the relay stands by. A peer that does not keep it, as originals don't, is not met there, and then the other way is tried again. */
static void look_whether_alive(struct peer_detour *detour, const struct now *now)
{
        struct conn_stats stats;
        uint64_t acked;
        usec_t limit_us;

        conn_stats(detour->conn, &stats);
        acked = stats.bytes_out - conn_unacked_bytes(detour->conn);
        limit_us = usec_max(STILL_US, STILL_ROUNDS * stats.udx.srtt_us);
        detour->look_us = now->mono_us + LOOK_US;
        if (!detour->drained && now->mono_us >= detour->news_from_us) {
                detour->drained = true;
                udx_stream_allow_moves(detour->conn->stream, true);
        }
        if (acked != detour->acked_bytes && peer_detour_is_used(detour->conn))
                stay_back(detour);
        else if (acked != detour->acked_bytes || !conn_unacked_bytes(detour->conn))
                detour->still_us = now->mono_us;
        else if (now->mono_us >= detour->still_us + limit_us && detour->turns < TURNS_MAX)
                turn(detour, now);
        detour->acked_bytes = acked;
}

/* The peer speaks from there. The first ping and what is resent show whether it hears us, too. */
void peer_detour_called(struct conn *conn, const struct peer_way *way, const struct now *now)
{
        struct peer_detour *detour = conn->detour;

        if (detour && detour->proven && is_relay(detour, way)) {
                if (now->mono_us >= detour->news_from_us && !peer_detour_is_used(conn) && detour->turns < TURNS_MAX)
                        turn(detour, now);      /* it has come back */
                return;
        }
        if (!detour || is_relay(detour, way) || addr_is_unusable(&way->remote) || detour->leave_us != USEC_NEVER)
                return;
        conn_reach(conn, way, now->mono_us);
        conn_probe(conn);               /* for the original it is what makes it come along */
        conn_ping(conn, now->mono_us);
        detour->probe_us = USEC_NEVER;
        detour->leave_us = now->mono_us + PROVE_US;
        arm(detour);
}

/* Punching has done what it could. From here on a packet of the peer's by the relay is news. */
static void take_direct(struct peer_detour *detour, const struct now *now)
{
        const struct udx_path *path = udx_stream_path(detour->conn->stream);

        detour->direct = (struct peer_way){ .socket = path->socket, .remote = path->remote };
        detour->source.set->stats.detours_left++;
        tell_moved(detour);
        end_punch(detour);
        detour->again_us = USEC_NEVER;
        detour->turns = 0;
        detour->still_us = now->mono_us;
        detour->look_us = now->mono_us + LOOK_US;
        detour->news_from_us = now->mono_us + DRAIN_US;
        detour->drained = false;
        detour->leave_us = now->mono_us + STANDBY_US;
}

static void leave_or_return(struct peer_detour *detour, const struct now *now)
{
        struct conn *conn = detour->conn;
        struct peer_way way;

        if (!conn || (is_trying(detour) && is_proven(conn))) {
                peer_detour_free(detour);
                return;
        }
        if (is_trying(detour)) {
                detour->leave_us = usec_add(now->mono_us, LOOK_US);
                arm(detour);
                return;
        }
        if (detour->proven && !peer_detour_is_used(conn)) {
                udx_stream_allow_moves(conn->stream, false);
                peer_detour_free(detour);
                return;
        }
        if (detour->proven) {
                stay_back(detour);
                arm(detour);
                return;
        }
        detour->leave_us = USEC_NEVER;
        detour->proven = is_proven(conn);
        if (detour->proven)
                take_direct(detour, now);
        else if (relay_way(detour, &way))
                conn_reach(conn, &way, now->mono_us);
        arm(detour);
}

/* --- Pairing --- */

static void give_up(struct peer_detour *detour, const struct now *now)
{
        struct conn *conn = detour->conn;

        conn->source.set->stats.detours_failed++;
        peer_detour_free(detour);
        if (conn->dial)
                peer_reach_alone(conn->dial, now);
}

static void use(struct peer_detour *detour, const struct now *now)
{
        struct conn *conn = detour->conn;
        struct peer_way way;

        if (conn->state == CONN_CLOSED || (conn->state == CONN_OPEN && is_proven(conn)) || !relay_way(detour, &way)) {
                peer_detour_free(detour);       /* a direct way was faster */
                return;
        }
        conn->source.set->stats.detours_paired++;
        if (conn->state == CONN_OPEN) {
                conn_reach(conn, &way, now->mono_us);
                conn_ping(conn, now->mono_us);
                stay_back(detour);
        }
        arm(detour);
        if (conn->dial)
                peer_reach_relayed(conn->dial, &way, now);
        else if (conn->session)
                peer_session_relayed(conn->session, &way, now);
        conn_take_waiting(conn, now);
}

static void look(struct peer_detour *detour, const struct now *now)
{
        if (detour->client.state == RELAY_GIVEN_UP)
                give_up(detour, now);
        else if (detour->client.state == RELAY_PAIRED)
                use(detour, now);
}

static void pump(struct peer_detour *detour, const struct now *now)
{
        uint8_t frame[RELAY_FRAME_MAX];
        const uint8_t *bytes;
        size_t len;

        while (relay_client_frame(&detour->client, frame, &len))
                if (!conn_seal(detour->control, frame, len, now->mono_us))
                        relay_client_lost(&detour->client);
        while ((len = conn_peek(detour->control, &bytes))) {
                relay_client_take(&detour->client, bytes, len);
                conn_consume(detour->control, len);
        }
}

/* The relay is gone, and with it a stream that goes over it. hyperdht waits until that finds it out by itself, which takes 17 s. */
static void lose_control(struct peer_detour *detour, const struct now *now)
{
        bool used = detour->conn && peer_detour_is_used(detour->conn) && detour->conn->state == CONN_OPEN;

        conn_free(detour->control);
        detour->control = NULL;
        if (detour->client.state == RELAY_PAIRED) {
                if (used)
                        conn_lose(detour->conn);
                if (detour->conn)
                        udx_stream_allow_moves(detour->conn->stream, false);
                peer_detour_free(detour);
                return;
        }
        relay_client_lost(&detour->client);
        look(detour, now);
}

void peer_detour_event(struct peer_detour *detour, const struct peer_event *event, const struct now *now)
{
        bool trying = is_trying(detour);

        switch (event->kind) {
        case PEER_CONNECTED:
                detour->dial = NULL;
                detour->control = event->conn;
                event->conn->control_of = detour;
                relay_client_connected(&detour->client, event->conn->local_key);
                break;
        case PEER_DIAL_FAILED:
                detour->dial = NULL;
                relay_client_lost(&detour->client);
                break;
        case PEER_CONN_CLOSED:
                lose_control(detour, now);
                return;
        default:
                break;
        }
        if (detour->control)
                pump(detour, now);
        if (trying)
                look(detour, now);
}

/* --- Time --- */

void peer_detour_advance(struct peer_detour *detour, const struct now *now)
{
        bool trying = is_trying(detour);

        relay_client_advance(&detour->client, now->mono_us);
        if (trying && detour->client.state == RELAY_GIVEN_UP) {
                give_up(detour, now);
                return;
        }
        if (now->mono_us >= detour->probe_us)
                probe_all(detour);
        if (now->mono_us >= detour->look_us)
                look_whether_alive(detour, now);
        if (is_asking(detour) && now->mono_us >= detour->again_us)
                punch_again(detour, now);
        if (now->mono_us >= detour->leave_us)
                leave_or_return(detour, now);
        else
                arm(detour);
}
