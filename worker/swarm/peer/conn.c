/* SPDX-License-Identifier: BSD-3-Clause */
#include "conn.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "peer_private.h"

static_assert((int)CONN_SEAL_BYTES == SECRET_SEAL_BYTES, "conn.h says what secret.h does");
static_assert((int)CONN_KEY_BYTES == NOISE_KEY_BYTES, "conn.h says what noise.h does");
static_assert((int)CONN_UNORDERED_MAX + SECRET_UNORDERED_BYTES == UDX_MESSAGE_MAX, "a message of ours is one of UDX's");

#define SOCKET_LINGER_US SECONDS(3)     /* a socket of its own stays that long, for its last packets: hyperdht's pool does so */

int conn_new(struct peer_set *set, bool initiator, const uint8_t local_key[CONN_KEY_BYTES], struct conn **conn_out)
{
        struct conn *conn = calloc(1, sizeof(*conn));
        int r;

        if (!conn)
                return -ENOMEM;
        r = udx_stream_new(set->udx, 0, conn, &conn->stream);
        if (r < 0) {
                free(conn);
                return r;
        }
        udx_stream_allow_moves(conn->stream, true);
        udx_stream_set_receive_limit(conn->stream, UDX_BUFFER_MIN);
        conn->window_bytes = set->receive_limit_bytes ? MAX(set->receive_limit_bytes, (size_t)UDX_BUFFER_MIN)
                                                      : (size_t)UDX_BUFFER_MAX;
        conn->window_bytes = MIN(conn->window_bytes, (size_t)UDX_BUFFER_MAX);
        peer_source_init(&conn->source, PEER_SOURCE_CONN, set);
        list_push_back(&set->conns, &conn->all);
        set->conn_count++;
        conn->initiator = initiator;
        memcpy(conn->local_key, local_key, CONN_KEY_BYTES);
        *conn_out = conn;
        return 0;
}

void conn_free(struct conn *conn)
{
        if (!conn)
                return;
        peer_detour_leave(conn->detour);
        peer_source_fini(&conn->source);
        list_remove(&conn->all);
        conn->source.set->conn_count--;
        udx_stream_free(conn->stream);
        if (conn->owns_socket)
                peer_release_socket(conn, SOCKET_LINGER_US);
        if (conn->keyed)
                secret_fini(&conn->secret);
        sodium_memzero(conn->header, sizeof(conn->header));
        free(conn);
}

/* The handshake is done: the peer's name and ours for this connection are known. */
void conn_set_keys(struct conn *conn, const struct noise_session *session, uint32_t remote_id)
{
        struct secret_config config = {
                .cipher = conn->source.set->cipher,
                .role = conn->initiator ? SECRET_INITIATOR : SECRET_RESPONDER,
                .tx = session->tx,
                .rx = session->rx,
                .hash = session->hash,
                .open_max = CONN_OPEN_MAX,
        };

        secret_init(&conn->secret, &config, &conn->source.set->random, conn->header);
        conn->keyed = true;
        conn->remote_id = remote_id;
        memcpy(conn->remote_key, session->remote_key, CONN_KEY_BYTES);
}

void conn_trust(struct conn *conn)
{
        const struct udx_path *path = udx_stream_path(conn->stream);

        udx_stream_set_receive_limit(conn->stream, conn->window_bytes);
        udx_stream_let_window_grow(conn->stream);
        conn->trusted = true;
        if (path && !conn_is_relayed(conn))
                peer_guard_remember(conn->source.set, &path->remote, conn->source.set->now_us);
}

void conn_reach(struct conn *conn, const struct peer_way *way, usec_t now_us)
{
        struct udx_path path = { .socket = way->socket, .remote_id = peer_detour_remote_id(conn, way), .remote = way->remote };

        udx_stream_connect(conn->stream, &path, now_us);
        udx_stream_let_datagrams_grow(conn->stream, !conn_is_relayed(conn));
}

/* The least that shows the peer where we are and opens what only opens from our side: an empty unordered message. The peer's
 * secret stream drops it for being too short. */
void conn_probe(struct conn *conn)
{
        (void)udx_stream_send_message(conn->stream, "", 0);
}

/* Our header frame, once. */
void conn_greet(struct conn *conn)
{
        if (conn->greeted)
                return;
        conn->greeted = udx_stream_write(conn->stream, conn->header, sizeof(conn->header)) == sizeof(conn->header);
}

static void close_with(struct conn *conn, enum peer_reason reason)
{
        if (conn->state == CONN_CLOSED)
                return;
        conn->state = CONN_CLOSED;
        conn->reason = reason;
        heap_set(&conn->source.set->timers, &conn->source.timer, USEC_NEVER);
        peer_source_report(&conn->source, PEER_CONN_CLOSED);
}

/* Nothing can be trusted from here on; what is unread is lost. */
void conn_break_off(struct conn *conn)
{
        udx_stream_destroy(conn->stream);
        conn->broken = true;
        conn->taken_bytes = conn->plain_bytes = 0;
        close_with(conn, conn->too_long_bytes ? PEER_CONN_TOO_LONG : PEER_CONN_BROKEN);
}

static void note_use(struct conn *conn, usec_t now_us)
{
        if (!conn->used_us && conn_is_used(conn))
                conn->used_us = now_us;
}

static void take(struct conn *conn, size_t len)
{
        conn->bytes_in += len;
        if (len)
                udx_stream_consume(conn->stream, len);
}

/* The window must take the whole frame: an original tells all its services in one. Who is not trusted yet waits with it. */
static bool hold_frame(struct conn *conn, size_t frame_bytes)
{
        return !conn->trusted || udx_stream_hold_frame(conn->stream, frame_bytes);
}

/* Opens the next message where it lies. */
static enum secret_verdict open_next(struct conn *conn)
{
        const uint8_t *plain;
        uint8_t *bytes;
        size_t len = udx_stream_peek(conn->stream, &bytes), taken = 0, frame_bytes = 0, plain_len, in_order;
        enum secret_verdict verdict = secret_open(&conn->secret, bytes, len, &taken, &plain, &plain_len);

        if ((verdict == SECRET_MORE || verdict == SECRET_OVERSIZE) && secret_is_open(&conn->secret))
                frame_bytes = secret_frame_bytes(bytes + taken, len - taken);
        if (verdict == SECRET_MORE && !hold_frame(conn, frame_bytes))
                verdict = SECRET_OVERSIZE;
        if (verdict == SECRET_MESSAGE) {
                conn->partial = false;
                conn->taken_bytes = taken;
                conn->plain_at = (size_t)(plain - bytes);
                conn->plain_bytes = plain_len;
                conn->messages_in++;
                note_use(conn, conn->source.set->now_us);
        } else if (verdict == SECRET_MORE) {
                take(conn, taken);
                in_order = udx_stream_gather(conn->stream, frame_bytes);
                conn->partial = len > taken;
                if (conn->remote_ended && len > taken && in_order == len - taken)
                        return SECRET_SHORT;    /* the end came within a frame */
        } else if (verdict == SECRET_OVERSIZE) {
                conn->too_long_bytes = frame_bytes;
        }
        return verdict;
}

void conn_open_or_break(struct conn *conn)
{
        enum secret_verdict verdict = open_next(conn);

        if (verdict != SECRET_MESSAGE && verdict != SECRET_MORE)
                conn_break_off(conn);
}

size_t conn_peek(struct conn *conn, const uint8_t **bytes_out)
{
        uint8_t *bytes;

        if (!conn->plain_bytes && !conn->broken)
                conn_open_or_break(conn);
        if (!conn->plain_bytes)
                return 0;
        (void)udx_stream_peek(conn->stream, &bytes);
        *bytes_out = bytes + conn->plain_at;
        return conn->plain_bytes;
}

void conn_consume(struct conn *conn, size_t len)
{
        assert(len <= conn->plain_bytes);
        conn->plain_at += len;
        conn->plain_bytes -= len;
        if (conn->plain_bytes || !len)
                return;
        take(conn, conn->taken_bytes);
        conn->taken_bytes = 0;
}

bool conn_at_end(const struct conn *conn)
{
        return !conn->broken && udx_stream_at_end(conn->stream);
}

size_t conn_room_bytes(struct conn *conn)
{
        return conn->state == CONN_OPEN ? udx_stream_writable_bytes(conn->stream) : 0;
}

usec_t conn_rtt_us(const struct conn *conn)
{
        return udx_stream_rtt_us(conn->stream);
}

size_t conn_unacked_bytes(const struct conn *conn)
{
        return udx_stream_unacked_bytes(conn->stream);
}

static bool seal(struct conn *conn, const void *bytes, size_t len, usec_t now_us)
{
        size_t frame_bytes = len + SECRET_SEAL_BYTES;
        uint8_t *frame = conn->state == CONN_OPEN ? udx_stream_reserve(conn->stream, frame_bytes) : NULL;

        if (!frame)
                return false;
        secret_seal(&conn->secret, frame, bytes, len);
        udx_stream_commit(conn->stream, frame_bytes);
        conn->bytes_out += frame_bytes;
        conn->written_us = now_us;
        note_use(conn, now_us);
        return true;
}

bool conn_seal(struct conn *conn, const void *bytes, size_t len, usec_t now_us)
{
        assert(len > 0 && len <= CONN_MESSAGE_MAX);
        if (!seal(conn, bytes, len, now_us))
                return false;
        conn->messages_out++;
        return true;
}

bool conn_takes_unordered(struct conn *conn, size_t len, usec_t now_us)
{
        return conn->state == CONN_OPEN && udx_stream_takes_message(conn->stream, len + SECRET_UNORDERED_BYTES, now_us);
}

size_t conn_unordered_bytes(const struct conn *conn)
{
        struct udx_stats udx;

        udx_stream_stats(conn->stream, &udx);
        return udx.message_bytes - SECRET_UNORDERED_BYTES;
}

bool conn_seal_unordered(struct conn *conn, const void *bytes, size_t len)
{
        uint8_t message[UDX_MESSAGE_MAX];

        assert(len <= CONN_UNORDERED_MAX);
        if (conn->state != CONN_OPEN)
                return false;
        secret_seal_unordered(&conn->secret, message, bytes, len);
        return udx_stream_send_message(conn->stream, message, len + SECRET_UNORDERED_BYTES);
}

/* Probes are among them, too short to be one. */
bool conn_receive_unordered(struct conn *conn, uint8_t out[CONN_UNORDERED_BUFFER], size_t *len_out)
{
        size_t len;

        while (!conn->broken && udx_stream_receive_message(conn->stream, out, &len))
                if (secret_open_unordered(&conn->secret, out, out, len) == SECRET_MESSAGE) {
                        *len_out = len - SECRET_UNORDERED_BYTES;
                        return true;
                }
        return false;
}

void conn_ping(struct conn *conn, usec_t now_us)
{
        (void)seal(conn, "", 0, now_us);        /* no room: something is on its way that does as well */
}

void conn_end(struct conn *conn)
{
        if (conn->state != CONN_OPEN)
                return;
        udx_stream_end(conn->stream);
        heap_set(&conn->source.set->timers, &conn->source.timer, USEC_NEVER);
}

/* Two holes may be open when the first frames pass: which one is used is the client's choice, which may reach us after we have taken
 * to the other. Its packets come there, and ours would not be taken from another. */
void conn_follow(struct conn *conn, usec_t until_us)
{
        conn->follow_us = until_us;
        udx_stream_allow_moves(conn->stream, until_us > 0);
}

static void follow(struct conn *conn, const struct peer_way *way, usec_t now_us)
{
        const struct udx_path *path = udx_stream_path(conn->stream);

        if (now_us < conn->follow_us && addr_host_equal(&way->remote, &path->remote) && !addr_is_unusable(&way->remote) &&
            peer_change_socket(conn, way->socket))
                conn_reach(conn, way, now_us);
}

bool conn_is_used(const struct conn *conn)
{
        return conn->bytes_in + conn->taken_bytes > SECRET_HEADER_BYTES && conn->bytes_out > 0;
}

bool conn_crossed(const struct conn *conn, const struct conn *other)
{
        return !conn_is_used(other) || conn->begun_us <= other->used_us;
}

static void become_open(struct conn *conn, const struct now *now)
{
        conn_greet(conn);
        udx_stream_allow_moves(conn->stream, false);
        conn->state = CONN_OPEN;
        conn->written_us = conn->opened_us = conn->heard_us = now->mono_us;
        if (conn->dial) {
                peer_dial_opened(conn->dial, now);
                peer_source_report(&conn->source, PEER_CONNECTED);
        } else {
                peer_session_opened(conn->session, now);
                peer_source_report(&conn->source, PEER_ACCEPTED);
        }
        conn_arm(conn);
        peer_detour_opened(conn);
}

/* It will never be open. @conn is gone afterwards. */
static void give_up(struct conn *conn, enum peer_failure failure, const struct now *now)
{
        if (conn->dial)
                peer_dial_lost(conn->dial, failure, now);
        else
                peer_session_free(conn->session);
}

static enum peer_failure failure_of(enum udx_reason reason)
{
        return reason == UDX_TIMEOUT ? PEER_UNREACHED : PEER_REFUSED;
}

static enum peer_reason reason_of(enum udx_reason reason)
{
        static const enum peer_reason reasons[] = {
                [UDX_CLEAN] = PEER_CONN_DONE,
                [UDX_RESET] = PEER_CONN_RESET,
                [UDX_TIMEOUT] = PEER_CONN_TIMED_OUT,
                [UDX_DAMAGED] = PEER_CONN_RESET,        /* what came before is whole */
        };

        return reasons[reason];
}

static void drop_messages(struct conn *conn)
{
        uint8_t message[UDX_MESSAGE_BUFFER];
        size_t len;

        while (udx_stream_receive_message(conn->stream, message, &len))
                ;
}

/* What comes by the relay before it has told us its stream can't be answered yet. */
static void call(struct conn *conn, const struct peer_way *way, const struct now *now)
{
        if (peer_detour_is_trying(conn) && peer_detour_is_way(conn, way))
                return;
        if (conn->dial)
                peer_reach_called(conn->dial, way, now);
        else
                peer_session_called(conn->session, way, now);
}

/* The peer's first bytes: its header frame, or nothing of its. */
static void take_header(struct conn *conn, const struct now *now)
{
        enum secret_verdict verdict = open_next(conn);

        if (verdict != SECRET_MESSAGE && verdict != SECRET_MORE) {
                give_up(conn, PEER_BROKEN, now);
                return;
        }
        if (!secret_is_open(&conn->secret))
                return;
        become_open(conn, now);
        if (conn->plain_bytes || conn->remote_ended)
                peer_source_report(&conn->source, PEER_CONN_READABLE);
}

/* The same, when it is the header frame itself. */
static bool is_early(const struct conn *conn, const struct udx_event *event)
{
        struct peer_way way = { .socket = event->socket, .remote = event->remote };

        return peer_detour_is_trying(conn) && peer_detour_is_way(conn, &way);
}

void conn_take_waiting(struct conn *conn, const struct now *now)
{
        uint8_t *bytes;

        if (conn->state == CONN_REACHING && udx_stream_peek(conn->stream, &bytes))
                take_header(conn, now);
}

static void event_while_reaching(struct conn *conn, const struct udx_event *event, const struct now *now)
{
        const struct udx_path *path;

        switch (event->type) {
        case UDX_PATH:
                call(conn, &(struct peer_way){ .socket = event->socket, .remote = event->remote }, now);
                break;
        case UDX_MESSAGES:
                drop_messages(conn);
                path = udx_stream_path(conn->stream);
                call(conn, &(struct peer_way){ .socket = path->socket, .remote = path->remote }, now);
                break;
        case UDX_REMOTE_ENDED:
                conn->remote_ended = true;
                break;
        case UDX_READABLE:
                if (!is_early(conn, event))
                        take_header(conn, now);
                break;
        case UDX_CLOSED:
                give_up(conn, failure_of(event->reason), now);
                break;
        case UDX_WRITABLE:
        case UDX_ENDED:
                break;
        }
}

/* What carried it is gone. */
void conn_lose(struct conn *conn)
{
        close_with(conn, PEER_CONN_TIMED_OUT);
}

void conn_udx_event(struct conn *conn, const struct udx_event *event, const struct now *now)
{
        if (conn->state == CONN_REACHING) {
                event_while_reaching(conn, event, now);
                return;
        }
        switch (event->type) {
        case UDX_PATH:          /* moves are over, and this one was reported before; or a direct way beside a relay's */
                if (conn->follow_us)
                        follow(conn, &(struct peer_way){ .socket = event->socket, .remote = event->remote }, now->mono_us);
                else
                        peer_detour_called(conn, &(struct peer_way){ .socket = event->socket, .remote = event->remote }, now);
                break;
        case UDX_MESSAGES:
                peer_source_report(&conn->source, PEER_CONN_UNORDERED);
                break;
        case UDX_REMOTE_ENDED:
                conn->remote_ended = true;
                peer_source_report(&conn->source, PEER_CONN_READABLE);
                break;
        case UDX_READABLE:
                conn->heard_us = now->mono_us;
                peer_source_report(&conn->source, PEER_CONN_READABLE);
                break;
        case UDX_WRITABLE:
                peer_source_report(&conn->source, PEER_CONN_WRITABLE);
                break;
        case UDX_ENDED:
                peer_source_report(&conn->source, PEER_CONN_ENDED);
                break;
        case UDX_CLOSED:
                close_with(conn, reason_of(event->reason));
                break;
        }
}

void conn_tell(struct conn *conn, enum peer_event_kind kind, struct peer_event *out)
{
        out->conn = conn;
        out->context = conn->context;
        out->reason = conn->reason;
        out->frame_bytes = conn->too_long_bytes;
        if (kind == PEER_CONN_MOVED) {
                out->remote = conn_remote_addr(conn);
                out->attempt = conn->attempt;
        }
        if (kind != PEER_CONNECTED && kind != PEER_ACCEPTED)
                return;
        out->remote = conn_remote_addr(conn);
        memcpy(out->remote_key, conn->remote_key, sizeof(out->remote_key));
        if (kind == PEER_CONNECTED) {
                peer_dial_tell(conn->dial, out);
                return;
        }
        out->attempt = conn->attempt;
        out->listener = conn->listener;
        out->context = conn->listener->context;
        conn->listener = NULL;
}

const uint8_t *conn_relay_key(const struct conn *conn)
{
        return peer_detour_is_used(conn) ? conn->detour->key : NULL;
}

bool conn_is_relayed(const struct conn *conn)
{
        return peer_detour_is_used(conn);
}

uint32_t conn_stream_id(const struct conn *conn)
{
        return udx_stream_local_id(conn->stream);
}

/* From now on @socket is this connection's, and goes back with it. */
void conn_set_context(struct conn *conn, void *context)
{
        conn->context = context;
}

void *conn_context(const struct conn *conn)
{
        return conn->context;
}

bool conn_is_initiator(const struct conn *conn)
{
        return conn->initiator;
}

const uint8_t *conn_local_key(const struct conn *conn)
{
        return conn->local_key;
}

const uint8_t *conn_remote_key(const struct conn *conn)
{
        return conn->remote_key;
}

struct addr conn_remote_addr(const struct conn *conn)
{
        const struct udx_path *path = udx_stream_path(conn->stream);

        return path ? path->remote : (struct addr){ .port = 0 };
}

void conn_stats(const struct conn *conn, struct conn_stats *out)
{
        *out = (struct conn_stats){
                .bytes_in = conn->bytes_in,
                .bytes_out = conn->bytes_out,
                .messages_in = conn->messages_in,
                .messages_out = conn->messages_out,
                .opened_us = conn->opened_us,
        };
        udx_stream_stats(conn->stream, &out->udx);
}
