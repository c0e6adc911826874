/* SPDX-License-Identifier: BSD-3-Clause */
#include "udx_forward.h"

#include <errno.h>
#include <stdlib.h>

#include "udx_private.h"

enum {
        ID_AT = 4,                      /* offset in a header */
        BURST_MIN = 64 * 1024,          /* a rate is kept to on average: so much may come at once, or a tenth of a second's */
};

/* One direction ends here: packets for our id leave by the other side. */
struct side {
        struct udx_endpoint endpoint;
        struct udx_forward *forward;
        struct udx_path path;
        struct udx_notes queue;         /* for the peer at @path */
        struct list ready;
};

struct udx_forward {
        struct udx_mux *mux;
        struct list all;
        struct side side[2];
        struct udx_meter *meters[2];
        struct udx_forward_stats stats;
};

static int add_side(struct udx_forward *forward, unsigned number, const struct udx_path *path)
{
        struct side *side = &forward->side[number];

        side->forward = forward;
        side->path = *path;
        side->endpoint.kind = UDX_ENDPOINT_FORWARD;
        side->endpoint.id = udx_mux_free_id(forward->mux);
        list_init(&side->ready);
        return udx_mux_add(forward->mux, &side->endpoint);
}

int udx_forward_new(struct udx_mux *mux, const struct udx_path paths[2], usec_t now_us, struct udx_forward **forward_out)
{
        struct udx_forward *forward = calloc(1, sizeof(*forward));

        if (!forward)
                return -ENOMEM;
        forward->mux = mux;
        forward->stats.passed_us = now_us;
        if (add_side(forward, 0, &paths[0]) < 0) {
                free(forward);
                return -ENOMEM;
        }
        if (add_side(forward, 1, &paths[1]) < 0) {
                udx_mux_remove(mux, &forward->side[0].endpoint);
                free(forward);
                return -ENOMEM;
        }
        list_push_back(&mux->forwards, &forward->all);
        *forward_out = forward;
        return 0;
}

static void drop_queue(struct udx_mux *mux, struct udx_notes *queue)
{
        struct udx_note *note;

        while ((note = udx_note_pop(queue))) {
                mux->forward_bytes -= note->len;
                udx_note_free(mux, note);
        }
}

void udx_forward_free(struct udx_forward *forward)
{
        if (!forward)
                return;
        for (unsigned i = 0; i < 2; i++) {
                udx_mux_remove(forward->mux, &forward->side[i].endpoint);
                list_remove(&forward->side[i].ready);
                drop_queue(forward->mux, &forward->side[i].queue);
        }
        list_remove(&forward->all);
        free(forward);
}

void udx_forward_free_all(struct udx_mux *mux)
{
        list_for_each(at, &mux->forwards)
                udx_forward_free(list_entry(at, struct udx_forward, all));
}

uint32_t udx_forward_id(const struct udx_forward *forward, unsigned side)
{
        return forward->side[side].endpoint.id;
}

void udx_forward_stats(const struct udx_forward *forward, struct udx_forward_stats *out)
{
        *out = forward->stats;
}

void udx_mux_set_forward_rate(struct udx_mux *mux, uint64_t bytes_per_s)
{
        mux->forward_meter = (struct udx_meter){ .bytes_per_s = bytes_per_s, .earned_us = mux->now_us };
}

void udx_forward_meter(struct udx_forward *forward, struct udx_meter *const meters[2])
{
        memcpy(forward->meters, meters, sizeof(forward->meters));
}

static bool affords(struct udx_meter *meter, size_t len, usec_t now_us)
{
        uint64_t most = meter ? MAX(meter->bytes_per_s / 10, (uint64_t)BURST_MIN) : 0, earned;

        if (!meter || !meter->bytes_per_s)
                return true;
        earned = meter->bytes_per_s * usec_min(now_us - meter->earned_us, SECONDS(1)) / SECONDS(1);
        if (earned) {
                meter->budget = MIN(meter->budget + earned, most);
                meter->earned_us = now_us;
        }
        return meter->budget >= len;
}

static void spend(struct udx_meter *meter, size_t len)
{
        if (meter)
                meter->budget -= MIN(meter->budget, len);
}

/* All of them, or it counts for none. */
static bool afford(struct udx_mux *mux, const struct udx_forward *forward, size_t len)
{
        if (!affords(&mux->forward_meter, len, mux->now_us) || !affords(forward->meters[0], len, mux->now_us) ||
            !affords(forward->meters[1], len, mux->now_us))
                return false;
        spend(&mux->forward_meter, len);
        spend(forward->meters[0], len);
        spend(forward->meters[1], len);
        return true;
}

static bool has_room(const struct udx_mux *mux, const struct side *to, size_t len)
{
        return len <= UDX_DATAGRAM_MAX && to->queue.count < UDX_FORWARD_QUEUE && mux->forward_bytes + len <= UDX_FORWARD_BYTES;
}

/* In whatever state: what a packet means is the peers' business. The peer may call another socket of ours than the one we know it
 * by, and is answered from where it calls: its NAT may let nothing else in. */
enum udx_verdict udx_forward_receive(struct udx_mux *mux, struct udx_endpoint *endpoint, unsigned socket, const struct addr *remote,
                                     const void *bytes, size_t len)
{
        struct side *from = container_of(endpoint, struct side, endpoint);
        struct udx_forward *forward = from->forward;
        struct side *to = &forward->side[from == &forward->side[0]];
        struct udx_note *note;
        struct writer w;

        if (!addr_equal(remote, &from->path.remote))
                return UDX_WRONG_REMOTE;
        from->path.socket = socket;
        note = has_room(mux, to, len) && afford(mux, forward, len) ? udx_note_add(mux, &to->queue, bytes, len) : NULL;
        if (!note) {
                forward->stats.dropped++;
                return UDX_NO_ROOM;
        }
        w = writer_over(note->bytes + ID_AT, 4);
        write_u32le(&w, to->path.remote_id);
        mux->forward_bytes += len;
        forward->stats.packets++;
        forward->stats.bytes += len;
        forward->stats.passed_us = mux->now_us;
        if (list_empty(&to->ready))
                list_push_back(&mux->forwards_ready, &to->ready);
        return UDX_OK;
}

static void add(struct udx_mux *mux, struct udx_run *run, struct udx_note *note)
{
        mux->forward_bytes -= note->len;
        udx_run_keep(run, note);
        run->iov[run->iov_len++] = (struct iovec){ .iov_base = note->bytes, .iov_len = note->len };
        run->segments++;
        run->bytes += note->len;
        if (run->segments == 1)
                run->first_bytes = note->len;
}

bool udx_forward_transmit(struct udx_mux *mux, struct udx_run *run, struct udx_path *path_out)
{
        struct list *first = list_first(&mux->forwards_ready);
        struct side *side = first ? list_entry(first, struct side, ready) : NULL;

        if (!side)
                return false;
        list_remove(&side->ready);
        do
                add(mux, run, udx_note_pop(&side->queue));
        while (side->queue.count && udx_run_takes(run, side->queue.first->len));
        if (side->queue.count)
                list_push_back(&mux->forwards_ready, &side->ready);
        *path_out = side->path;
        return true;
}
