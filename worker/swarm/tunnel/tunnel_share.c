/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may send next. The room of the connection is dealt round robin, a share of one full frame each, so that no channel
 * starves (deficit round robin: what is left of a share is kept). Those who have not used one up lately go first: a keystroke
 * does not wait behind four downloads. */
#include <assert.h>

#include "tunnel_state.h"

#define LATELY_US MSEC(100)
#define CONTROL_ROOM 4096       /* left for control while data is in flight */
#define SHARE_MIN 2048          /* less is not worth a frame: a share waits for its next, room for more while data is in flight */
#define WINDOW_PARTS 4          /* what the greedy wait for, of all that may be in flight: an acknowledgement a packet makes no frame a packet */
#define FRAME_BYTES (TUNNEL_HEADER_BYTES + TUNNEL_SEAL_BYTES)
#define RESERVED_US MSEC(5)     /* how long room waits for one who was told to write */
#define HEARD_US MSEC(250)      /* and a round trip: who was heard so lately is most likely still there */

static size_t usable(const struct tunnel *t, size_t own_reserved)
{
        size_t taken = FRAME_BYTES + (t->unacked_bytes ? CONTROL_ROOM : 0) + t->reserved_bytes - own_reserved;

        if (t->leaving_len || t->disconnected || t->verdict != TUNNEL_FINE)
                return 0;
        return t->room_bytes > taken ? t->room_bytes - taken : 0;
}

/* Data bytes of a full frame. An original relays a frame as one block, and its own are no larger (hypergate.md 16). */
static size_t frame_max(const struct tunnel_channel *ch)
{
        return tunnel_channel_plain(ch) ? TUNNEL_PLAIN_DATA_MAX : TUNNEL_DATA_MAX;
}

/* Room that is worth a frame. Each costs its receiver a decryption, and an original some more; where nothing is in flight, no more room
 * will come. */
static bool worthwhile(const struct tunnel *t, size_t room, bool greedy)
{
        size_t part = (t->room_bytes + t->unacked_bytes) / WINDOW_PARTS;
        size_t least = greedy ? MIN(MAX(part, (size_t)SHARE_MIN), (size_t)TUNNEL_PLAIN_DATA_MAX) : SHARE_MIN;

        return room && (room >= least || !t->unacked_bytes);
}

/* What the peer takes of this channel. */
static uint64_t allowance(const struct tunnel_channel *ch)
{
        const struct tunnel *t = ch->tunnel;

        if (tunnel_channel_credited(ch))
                return ch->credit;
        return !t->hgx_seen && t->unacked_bytes >= TUNNEL_PLAIN_MAX ? 0 : UINT64_MAX;
}

/* Of @room, what @ch may use in one write. */
static size_t cut(const struct tunnel_channel *ch, size_t room)
{
        uint64_t allowed = allowance(ch);
        size_t len = MIN(room, ch->share);

        len = MIN(len, frame_max(ch));
        return allowed < len ? (size_t)allowed : len;
}

/* An answer of ours has to leave first. */
static bool answer_first(const struct tunnel_channel *ch)
{
        return ch->out & ~TUNNEL_OUT_CREDIT;
}

static bool spent(const struct tunnel_channel *ch)
{
        return ch->share < SHARE_MIN;
}

static bool greedy(const struct tunnel_channel *ch)
{
        return ch->exhausted_us && ch->tunnel->now_us < usec_add(ch->exhausted_us, LATELY_US);
}

void tunnel_share_wait(struct tunnel_channel *ch)
{
        struct tunnel *t = ch->tunnel;

        if (!ch->asked || !list_empty(&ch->turn) || answer_first(ch) || (tunnel_channel_credited(ch) && !ch->credit))
                return;
        if (!greedy(ch))
                list_push_back(&t->urgent, &ch->turn);
        else if (!spent(ch))
                list_push_front(&t->waiting, &ch->turn);        /* still its turn */
        else
                list_push_back(&t->waiting, &ch->turn);
}

static void unreserve(struct tunnel_channel *ch, size_t len)
{
        ch->reserved -= len;
        ch->tunnel->reserved_bytes -= len;
        if (!ch->reserved)
                list_remove(&ch->reserved_entry);
}

void tunnel_share_drop(struct tunnel_channel *ch)
{
        list_remove(&ch->turn);
        ch->asked = false;
        unreserve(ch, ch->reserved);
}

struct tunnel_channel *tunnel_share_next(const struct tunnel *t)
{
        struct list *first = list_first(&t->urgent);
        bool greedy = !first;

        if (!worthwhile(t, usable(t, 0), greedy) || (!t->hgx_seen && t->unacked_bytes >= TUNNEL_PLAIN_MAX))
                return NULL;
        if (greedy)
                first = list_first(&t->waiting);
        return first ? list_entry(first, struct tunnel_channel, turn) : NULL;
}

void tunnel_share_grant(struct tunnel_channel *ch)
{
        struct tunnel *t = ch->tunnel;

        list_remove(&ch->turn);
        ch->asked = false;
        unreserve(ch, ch->reserved);
        if (spent(ch))
                ch->share += frame_max(ch);
        ch->reserved = cut(ch, usable(t, 0)) + FRAME_BYTES;
        ch->reserved_us = t->now_us;
        t->reserved_bytes += ch->reserved;
        list_push_back(&t->reservations, &ch->reserved_entry);
}

void tunnel_share_expire(struct tunnel *t)
{
        struct list *first;

        while ((first = list_first(&t->reservations))) {
                struct tunnel_channel *ch = list_entry(first, struct tunnel_channel, reserved_entry);

                if (t->now_us < usec_add(ch->reserved_us, RESERVED_US))
                        return;
                unreserve(ch, ch->reserved);
        }
}

usec_t tunnel_share_deadline(const struct tunnel *t)
{
        struct list *first = list_first(&t->reservations);

        if (!first || (list_empty(&t->urgent) && list_empty(&t->waiting)))
                return USEC_NEVER;
        return usec_add(list_entry(first, struct tunnel_channel, reserved_entry)->reserved_us, RESERVED_US);
}

static bool holds_others(const struct list *head, const struct list *than)
{
        return !list_empty(head) && (head->next != than || head->prev != than);
}

/* Room for @ch now. Others who want it have theirs kept for them; while there are any, the greedy get none but their own. */
static size_t room_for(struct tunnel_channel *ch)
{
        struct tunnel *t = ch->tunnel;
        bool contended = holds_others(&t->urgent, &ch->turn) || holds_others(&t->waiting, &ch->turn) ||
                         t->reserved_bytes > ch->reserved;

        if (!contended && spent(ch))
                ch->share += frame_max(ch);
        if (spent(ch))
                return 0;
        if (!greedy(ch))
                return usable(t, ch->reserved);
        if (!contended)
                return worthwhile(t, usable(t, ch->reserved), true) ? usable(t, ch->reserved) : 0;
        return ch->reserved > FRAME_BYTES ? MIN(ch->reserved - FRAME_BYTES, usable(t, ch->reserved)) : 0;
}

/* Data may follow an open at once where it has a window of its own and the peer is there to take it: what was sent to one who has died
 * can't be given to another, since it may have got through. */
static bool may_be_early(const struct tunnel_channel *ch)
{
        const struct tunnel *t = ch->tunnel;
        usec_t heard_us = usec_add(usec_max(t->heard_us, t->acked_us), usec_add(t->rtt_us, HEARD_US));

        return ch->phase == TUNNEL_OPENING && tunnel_channel_credited(ch) && t->now_us < heard_us && ch->sent_bytes < TUNNEL_EARLY_MAX;
}

static bool may_send(const struct tunnel_channel *ch)
{
        return ch->phase == TUNNEL_RUNNING || may_be_early(ch);
}

size_t tunnel_writable(struct tunnel_channel *ch)
{
        size_t len;

        if (!may_send(ch) || ch->sending != TUNNEL_SENDING || ch->closing != TUNNEL_UNCLOSED)
                return 0;
        len = answer_first(ch) ? 0 : cut(ch, room_for(ch));
        if (ch->phase == TUNNEL_OPENING)
                len = MIN(len, TUNNEL_EARLY_MAX - (size_t)ch->sent_bytes);
        ch->asked = !len;
        if (len)
                list_remove(&ch->turn);
        else
                tunnel_share_wait(ch);
        return len;
}

void tunnel_share_spend(struct tunnel_channel *ch, size_t data_len, size_t sealed_len, usec_t now_us)
{
        ch->tunnel->now_us = now_us;
        unreserve(ch, MIN(sealed_len, ch->reserved));
        ch->share -= MIN(data_len, ch->share);
        if (!spent(ch))
                return;
        ch->exhausted_us = now_us;
        unreserve(ch, ch->reserved);
}

void tunnel_write(struct tunnel_channel *ch, size_t len, uint8_t header_out[TUNNEL_HEADER_BYTES], usec_t now_us)
{
        struct tunnel *t = ch->tunnel;
        struct writer w = writer_over(header_out, TUNNEL_HEADER_BYTES);
        size_t sealed_len = len + FRAME_BYTES;

        assert(may_send(ch) && ch->protocol == TUNNEL_TCP && ch->sending == TUNNEL_SENDING);
        assert(!answer_first(ch) && !t->leaving_len);
        assert(len && len <= ch->share && len <= allowance(ch));
        tunnel_frame_write(&w, TUNNEL_ACTION_STREAM, 0, ch->id, len);
        t->sent_bytes += sealed_len;
        t->unacked_bytes += sealed_len;
        t->room_bytes -= MIN(sealed_len, t->room_bytes);
        if (tunnel_channel_credited(ch))
                ch->credit -= len;
        ch->sent_bytes += len;
        ch->drain_mark = t->sent_bytes;
        tunnel_share_spend(ch, len, sealed_len, now_us);
}
