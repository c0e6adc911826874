/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "udx_private.h"

enum {
        CLOSED_MAX = 4096,              /* beyond it the oldest is forgotten */
        DESTROYS = 3,                   /* times a DESTROY is said: nobody acknowledges it */
        DESTROYS_UNHEARD = 1,           /* and to who has never said anything, and perhaps never asked for any of this */
};

#define REMEMBER_US SECONDS(20)         /* longer than the peer repeats itself at the least RTO (13 s) */
#define REMEMBER_TIMEOUTS 14
#define DESTROY_AGAIN_US MSEC(250)
#define ANSWER_US MSEC(50)              /* answers are at least this far apart, so that nobody is hit through us */

struct udx_closed {
        struct udx_endpoint endpoint;
        struct list all, ready;
        struct heap_entry timer;
        struct udx_path path;
        struct addr remote_before;
        uint32_t seq, ack;              /* snd.nxt and rcv.nxt of the stream */
        bool destroyed;
        unsigned destroys_left;
        usec_t destroy_us, answer_us, forget_us;
};

static void forget(struct udx_mux *mux, struct udx_closed *closed)
{
        udx_mux_remove(mux, &closed->endpoint);
        list_remove(&closed->all);
        list_remove(&closed->ready);
        heap_remove(&mux->closed_timers, &closed->timer);
        mux->closed_count--;
        free(closed);
}

void udx_closed_forget_all(struct udx_mux *mux)
{
        list_for_each(at, &mux->closed)
                forget(mux, list_entry(at, struct udx_closed, all));
}

static void want(struct udx_mux *mux, struct udx_closed *closed)
{
        if (list_empty(&closed->ready))
                list_push_back(&mux->closed_ready, &closed->ready);
}

static void arm(struct udx_mux *mux, struct udx_closed *closed)
{
        heap_set(&mux->closed_timers, &closed->timer, usec_min(closed->destroy_us, closed->forget_us));
}

/* Whether the peer has sent anything that counts, or acknowledged something. */
static bool was_heard(const struct udx_stream *stream)
{
        return stream->assembly.next > 0 || stream->recovery.una > 0 || stream->bytes_in > 0;
}

/* Without memory the peer has to find out by itself. */
void udx_closed_remember(const struct udx_stream *stream, bool destroyed, bool ack_due)
{
        struct udx_mux *mux = stream->mux;
        struct udx_closed *closed = calloc(1, sizeof(*closed));

        if (!closed)
                return;
        *closed = (struct udx_closed){
                .endpoint = { .id = stream->endpoint.id, .kind = UDX_ENDPOINT_CLOSED },
                .path = stream->path,
                .remote_before = stream->remote_before,
                .seq = stream->recovery.nxt,
                .ack = stream->assembly.next,
                .destroyed = destroyed,
                .destroys_left = !destroyed ? 0 : was_heard(stream) ? DESTROYS : DESTROYS_UNHEARD,
                .destroy_us = USEC_NEVER,
                .forget_us = mux->now_us + usec_max(REMEMBER_US, REMEMBER_TIMEOUTS * stream->rtt.rto_us),
        };
        if (udx_mux_add(mux, &closed->endpoint) < 0) {
                free(closed);
                return;
        }
        list_push_back(&mux->closed, &closed->all);
        list_init(&closed->ready);
        arm(mux, closed);
        if (destroyed || ack_due)
                want(mux, closed);
        if (++mux->closed_count > CLOSED_MAX)
                forget(mux, list_entry(list_first(&mux->closed), struct udx_closed, all));
}

/* The peer still asks: our last word did not reach it. */
enum udx_verdict udx_closed_receive(struct udx_mux *mux, struct udx_endpoint *endpoint, const struct addr *remote,
                                    const struct udx_packet *packet, usec_t now_us)
{
        struct udx_closed *closed = container_of(endpoint, struct udx_closed, endpoint);

        if (!addr_equal(remote, &closed->path.remote) && !addr_equal(remote, &closed->remote_before))
                return UDX_WRONG_REMOTE;
        if (packet->type & UDX_DESTROY) {
                closed->destroys_left = 0;
                closed->destroy_us = USEC_NEVER;
                list_remove(&closed->ready);
                arm(mux, closed);
        } else if ((packet->type & (UDX_DATA | UDX_END | UDX_HEARTBEAT)) && now_us >= closed->answer_us) {
                closed->answer_us = now_us + ANSWER_US;
                want(mux, closed);
        }
        return UDX_LATE;
}

void udx_closed_advance(struct udx_mux *mux, usec_t now_us)
{
        struct heap_entry *entry;

        while ((entry = heap_pop_due(&mux->closed_timers, now_us))) {
                struct udx_closed *closed = container_of(entry, struct udx_closed, timer);

                if (now_us >= closed->forget_us) {
                        forget(mux, closed);
                        continue;
                }
                closed->destroy_us = USEC_NEVER;
                want(mux, closed);
                arm(mux, closed);
        }
}

bool udx_closed_transmit(struct udx_mux *mux, struct udx_run *run, struct udx_path *path_out)
{
        struct list *first = list_first(&mux->closed_ready);
        struct udx_closed *closed = first ? list_entry(first, struct udx_closed, ready) : NULL;
        struct udx_packet header;

        if (!closed)
                return false;
        list_remove(&closed->ready);
        header = (struct udx_packet){
                .type = closed->destroyed ? UDX_DESTROY : 0,
                .stream_id = closed->path.remote_id,
                .window_bytes = UDX_BUFFER_MAX,
                .seq = closed->seq,
                .ack = closed->ack,
        };
        udx_run_add_header(run, &header);
        *path_out = closed->path;
        if (closed->destroys_left && --closed->destroys_left)
                closed->destroy_us = mux->now_us + (DESTROYS - closed->destroys_left) * DESTROY_AGAIN_US;
        arm(mux, closed);
        mux->counters.acks_sent += !closed->destroyed;
        return true;
}
