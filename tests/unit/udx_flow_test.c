/* SPDX-License-Identifier: BSD-3-Clause */
/* Flows recorded between two ends of udx-native 1.21.3 (tests/vectors/udx.json), played again with one of our streams in place of
 * either end: it gets what reached that end, does what that end did, and must say the same: DATA, END, MESSAGE and DESTROY byte
 * for byte, answers with the same ack and SACK blocks, packet by packet. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "test.h"
#include "udx.h"
#include "vectors.h"

#define PATIENCE_US MSEC(1)     /* an answer waits so long for something of ours to ride on, where libudx gives it at once */

enum { ACK_AT = 16, SOCKET = 3, SEQS_MAX = 256, STREAM_MAX = SEQS_MAX * UDX_DATAGRAM_MAX };

struct datagram {
        uint8_t bytes[UDX_DATAGRAM_MAX];
        size_t len;
        struct udx_packet packet;       /* read from them */
};

struct player {
        struct udx_mux *mux;
        struct udx_stream *stream;
        struct udx_path path;
        struct datagram *deeds;         /* what the recorded end sent, apart from answers; we have sent the first @deeds_done */
        unsigned deed_count, deeds_done;
        struct datagram *answers;       /* bare ACKs and SACKs of ours; the first @answers_checked are accounted for */
        unsigned answer_count, answers_checked;
        uint32_t nxt, done_nxt;         /* seqs among the deeds, and those done */
        struct datagram *theirs[SEQS_MAX];      /* what arrived, by seq */
        uint8_t *received;
        size_t received_len, message_count;
        bool connected, destroyed, ended, closed;
        enum udx_reason reason;
        usec_t now_us;
};

static const struct addr remote = { { 127, 0, 0, 1 }, 4000 };

static void player_fini(struct player *p)
{
        udx_mux_free(p->mux);
        for (unsigned i = 0; i < SEQS_MAX; i++)
                free(p->theirs[i]);
        free(p->deeds);
        free(p->answers);
        free(p->received);
}

static void player_init(struct player *p, uint32_t local_id, uint32_t remote_id)
{
        static uint64_t seed = 1;
        struct random random = { test_random_fill, &seed };

        *p = (struct player){
                .mux = udx_mux_new(&random), .received = malloc(STREAM_MAX),
                .deeds = calloc(SEQS_MAX, sizeof(struct datagram)), .answers = calloc(SEQS_MAX, sizeof(struct datagram)),
                .path = { .socket = SOCKET, .remote_id = remote_id, .remote = remote }, .now_us = SECONDS(1),
        };
        check(p->mux && p->received && p->deeds && p->answers);
        check_equal(udx_stream_new(p->mux, local_id, NULL, &p->stream), 0);
}

static void take_events(struct player *p)
{
        struct udx_event event;
        uint8_t *span, message[UDX_MESSAGE_BUFFER];
        size_t len;

        while (udx_mux_event(p->mux, &event)) {
                p->ended = p->ended || event.type == UDX_REMOTE_ENDED;
                if (event.type == UDX_CLOSED) {
                        p->closed = true;
                        p->reason = event.reason;
                }
        }
        while ((len = udx_stream_peek(p->stream, &span))) {
                check(p->received_len + len <= STREAM_MAX);
                memcpy(p->received + p->received_len, span, len);
                p->received_len += len;
                udx_stream_consume(p->stream, len);
        }
        while (udx_stream_receive_message(p->stream, message, &len))
                p->message_count++;
}

/* A datagram of its own, so that what was read from it stays good. */
static void append(struct datagram *list, unsigned *count, const uint8_t *bytes, size_t len)
{
        struct datagram *d = &list[(*count)++];

        check(*count <= SEQS_MAX && len <= sizeof(d->bytes));
        memcpy(d->bytes, bytes, len);
        d->len = len;
        check_equal(udx_packet_read(d->bytes, len, &d->packet), UDX_OK);
}

/* What crossed on the way there has arrived here: our ack may be newer, but for that nothing differs. */
static void check_deed(struct player *p, const struct datagram *ours)
{
        struct datagram *deed = &p->deeds[p->deeds_done];
        uint8_t alike[UDX_DATAGRAM_MAX];

        if (ours->packet.type & (UDX_DATA | UDX_END)) {
                if (ours->packet.seq < p->done_nxt)
                        return;                         /* sent again */
                p->done_nxt++;
        }
        check(p->deeds_done++ < p->deed_count);
        check_equal(ours->len, deed->len);
        check(udx_seq_diff(ours->packet.ack, deed->packet.ack) >= 0);
        memcpy(alike, ours->bytes, ours->len);
        memcpy(alike + ACK_AT, deed->bytes + ACK_AT, 4);
        check_bytes(alike, deed->bytes, deed->len);
}

static bool is_answer(const struct udx_packet *packet)
{
        return !(packet->type & ~UDX_SACK);
}

static void keep_segment(struct player *p, const uint8_t *bytes, size_t len)
{
        struct datagram d;
        unsigned one = 0;

        append(&d, &one, bytes, len);
        if (is_answer(&d.packet))
                append(p->answers, &p->answer_count, bytes, len);
        else
                check_deed(p, &d);
}

static void drain(struct player *p)
{
        static uint8_t flat[UDX_RUN_BYTES];
        struct udx_send out;

        while (udx_mux_transmit(p->mux, &out, p->now_us)) {
                size_t len = 0;

                check_equal(out.socket, SOCKET);
                check(addr_equal(&out.remote, &remote));
                for (unsigned i = 0; i < out.iov_len; len += out.iov[i++].iov_len)
                        memcpy(flat + len, out.iov[i].iov_base, out.iov[i].iov_len);
                for (size_t at = 0; at < len; at += out.segment_bytes)
                        keep_segment(p, flat + at, MIN(out.segment_bytes, len - at));
        }
}

/* Long packets were recorded by their beginning only; zeros stand for the rest. */
static void load(json_t *row, struct datagram *out)
{
        memset(out, 0, sizeof(*out));
        out->len = (size_t)vector_number(row, "udpLength");
        check(vector_bytes(row, "bytes", out->bytes, sizeof(out->bytes)) <= out->len);
        check_equal(udx_packet_read(out->bytes, out->len, &out->packet), UDX_OK);
}

static void keep_theirs(struct player *p, const struct datagram *d)
{
        uint32_t seq = d->packet.seq;

        if (!(d->packet.type & (UDX_DATA | UDX_END)))
                return;
        check(seq < SEQS_MAX);
        if (p->theirs[seq])
                return;
        p->theirs[seq] = malloc(sizeof(*d));
        check(p->theirs[seq]);
        *p->theirs[seq] = *d;
        check_equal(udx_packet_read(p->theirs[seq]->bytes, d->len, &p->theirs[seq]->packet), UDX_OK);
}

static void play_theirs(struct player *p, const struct datagram *d)
{
        enum udx_verdict verdict = udx_mux_receive(p->mux, SOCKET, &remote, d->bytes, d->len, p->now_us);

        check_equal(verdict, !p->connected ? UDX_HELD : p->closed || p->destroyed ? UDX_LATE : UDX_OK);
        keep_theirs(p, d);
        take_events(p);
        drain(p);
        if (udx_mux_deadline(p->mux) > p->now_us + PATIENCE_US)
                return;
        p->now_us += PATIENCE_US;
        udx_mux_advance(p->mux, p->now_us);
        drain(p);
}

static void connect(struct player *p)
{
        if (p->connected)
                return;
        p->connected = true;
        udx_stream_connect(p->stream, &p->path, p->now_us);
        take_events(p);
        drain(p);
}

static void act(struct player *p, const struct udx_packet *ours)
{
        if (ours->type & UDX_MESSAGE)
                check(udx_stream_send_message(p->stream, ours->payload, ours->payload_len));
        if (ours->type & UDX_DATA)
                check_equal(udx_stream_write(p->stream, ours->payload, ours->payload_len), ours->payload_len);
        if (ours->type & UDX_END)
                udx_stream_end(p->stream);
        if (ours->type & UDX_DESTROY) {
                udx_stream_destroy(p->stream);
                p->destroyed = true;
        }
}

/* An answer of theirs that says nothing new is a habit of libudx: one more when its END was acknowledged, one per duplicate. Ours
 * are in the same order, one per packet. */
static void check_answer(struct player *p, const struct udx_packet *theirs)
{
        const struct udx_packet *ours = &p->answers[p->answers_checked].packet;

        if (p->answers_checked == p->answer_count || (!theirs->sack_count && udx_seq_diff(theirs->ack, ours->ack) < 0))
                return;
        p->answers_checked++;
        check_equal(ours->ack, theirs->ack);
        check_equal(ours->window_bytes, theirs->window_bytes);
        check_equal(ours->sack_count, theirs->sack_count);
        check_bytes(ours->sacks, theirs->sacks, theirs->sack_count * UDX_SACK_BYTES);
}

static bool is_new_deed(const struct player *p, const struct udx_packet *packet)
{
        return packet->type & (UDX_DATA | UDX_END) ? packet->seq == p->nxt : packet->type & (UDX_MESSAGE | UDX_DESTROY);
}

static void play_ours(struct player *p, const struct datagram *d)
{
        connect(p);
        if (is_answer(&d->packet))
                check_answer(p, &d->packet);
        if (p->closed || !is_new_deed(p, &d->packet))
                return;
        append(p->deeds, &p->deed_count, d->bytes, d->len);
        if (d->packet.type & (UDX_DATA | UDX_END))
                p->nxt++;
        act(p, &d->packet);
        drain(p);
}

/* Everything that arrived without a gap was read, in order. */
static void check_received(const struct player *p)
{
        size_t at = 0;

        for (unsigned seq = 0; p->connected && seq < SEQS_MAX && p->theirs[seq]; seq++) {
                const struct udx_packet *packet = &p->theirs[seq]->packet;

                if (!(packet->type & UDX_DATA))
                        continue;
                check(at + packet->payload_len <= p->received_len);
                check_bytes(p->received + at, packet->payload, packet->payload_len);
                at += packet->payload_len;
        }
        check_equal(p->received_len, at);
}

/* Plays @scenario as end @side ("A" or "B"), connected from the start or when that end first spoke. */
static void play(struct player *p, json_t *scenario, const char *side, bool connects_late)
{
        bool as_a = *side == 'A';
        json_t *row;
        size_t index;

        player_init(p, (uint32_t)vector_number(scenario, as_a ? "streamIdA" : "streamIdB"),
                    (uint32_t)vector_number(scenario, as_a ? "streamIdB" : "streamIdA"));
        if (!connects_late)
                connect(p);
        json_array_foreach(vector_at(scenario, "packets"), index, row) {
                bool ours = *vector_text(row, "dir") == *side;
                struct datagram d;

                load(row, &d);
                p->now_us = usec_max(p->now_us, SECONDS(1) + (usec_t)(json_number_value(vector_at(row, "ms")) * 1000));
                if (ours)
                        play_ours(p, &d);
                else if (!json_is_true(json_object_get(row, "dropped")))
                        play_theirs(p, &d);
        }
        check_received(p);
        check_equal(p->deeds_done, p->deed_count);
}

static json_t *scenario_named(const char *name)
{
        size_t index;
        json_t *scenario;

        json_array_foreach(vector_at(vectors("udx.json"), "scenarios"), index, scenario)
                if (strcmp(vector_text(scenario, "name"), name) == 0)
                        return scenario;
        test_fail(__FILE__, __LINE__, "no scenario %s", name);
}

/* How each end of each flow fares. The ends that are not here write in bulk, cut and paced in libudx's way. */
static const struct row {
        const char *name, *side;
        bool connects_late, ended, closed;
        enum udx_reason reason;
        unsigned messages, bytes;
        unsigned answers;               /* theirs that ours equal; the recording may end before the others */
        unsigned resent;
} rows[] = {
        { "basic: data both ways, messages, half close, end", "A",
          .ended = true, .closed = true, .messages = 1, .bytes = 9, .answers = 3 },
        { "basic: data both ways, messages, half close, end", "B",
          .ended = true, .closed = true, .messages = 1, .bytes = 5, .answers = 2 },
        { "end with data in the same packet", "A", .ended = true, .closed = true, .bytes = 0, .answers = 1 },
        { "end with data in the same packet", "B", .ended = true, .closed = true, .bytes = 6, .answers = 1 },
        { "both end at once", "A", .ended = true, .closed = true, .bytes = 1, .answers = 2 },
        { "both end at once", "B", .ended = true, .closed = true, .bytes = 1, .answers = 2 },
        { "mtu search succeeds", "B", .bytes = 99852, .answers = 74 },
        { "mtu search, path limited to 1400", "B", .bytes = 104236, .answers = 70 },
        { "loss with sack", "A", .bytes = 0, .answers = 0, .resent = 3 },
        { "loss with sack", "B", .closed = true, .reason = UDX_RESET, .bytes = 11520, .answers = 11 },
        { "tail loss probe", "A", .bytes = 0, .answers = 0 },
        { "tail loss probe", "B", .closed = true, .reason = UDX_RESET, .bytes = 29, .answers = 6 },
        { "heartbeat keepalive", "A", .bytes = 0, .answers = 0 },
        { "heartbeat keepalive", "B", .closed = true, .reason = UDX_RESET, .bytes = 1, .answers = 4 },
        { "destroy", "A", .bytes = 0, .answers = 0 },
        { "destroy", "B", .closed = true, .reason = UDX_RESET, .bytes = 1, .answers = 1 },
        { "data before B is connected", "A", .bytes = 0, .answers = 0 },
        { "data before B is connected", "B",
          .connects_late = true, .closed = true, .reason = UDX_RESET, .bytes = 12, .answers = 1 },
        { "firewall default denies before connect", "A", .bytes = 0, .answers = 0 },
        { "firewall default denies before connect", "B", .connects_late = true, .bytes = 0, .answers = 0 },
        { "end while the other side still has data in flight", "A", .bytes = 34540, .answers = 25 },
        { "end while a small amount is in flight", "A", .bytes = 29932, .answers = 10 },
        { "change remote", "A", .bytes = 0, .answers = 0 },
        { "change remote", "B", .closed = true, .reason = UDX_RESET, .bytes = 6, .answers = 2 },
        { "change remote, default firewall", "A", .bytes = 0, .answers = 0 },
        { "change remote, default firewall", "B", .closed = true, .reason = UDX_RESET, .bytes = 6, .answers = 3 },
        { "secret-stream over udx", "A", .ended = true, .closed = true, .bytes = 137, .answers = 5 },
        { "secret-stream over udx", "B", .ended = true, .closed = true, .messages = 1, .bytes = 3137, .answers = 6 },
};

TEST(udx_plays_either_end_of_recorded_flows)
{
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                const struct row *row = &rows[i];
                cleanup_with(player_fini) struct player p;

                play(&p, scenario_named(row->name), row->side, row->connects_late);
                check_equal(p.ended, row->ended);
                check_equal(p.closed, row->closed);
                check_equal(p.reason, row->reason);
                check_equal(p.message_count, row->messages);
                check_equal(p.received_len, row->bytes);
                check_equal(p.answers_checked, row->answers);
                check_equal(udx_mux_counters(p.mux)->packets_resent, row->resent);
        }
}
