/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of a request of ours: dht-rpc lib/io.js Request. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "rpc_state.h"
#include "wire.h"

enum {
        SOON = 2,               /* sends that are repeated as soon as an answer should have been there */
        SOON_EAGER = 5,
};

static uint64_t hash_of(const struct rpc *rpc, uint16_t tid, const struct addr *remote)
{
        uint8_t key[sizeof(tid) + RPC_ADDR_BYTES];
        struct writer w = writer_over(key, sizeof(key));

        write_u16le(&w, tid);
        wire_write_addr(&w, remote);
        return map_hash(&rpc->by_tid, key, sizeof(key));
}

static struct rpc_request *find(const struct rpc *rpc, uint16_t tid, const struct addr *remote)
{
        struct map_entry *entry = map_first(&rpc->by_tid, hash_of(rpc, tid, remote));

        for (; entry; entry = map_next(entry)) {
                struct rpc_request *request = container_of(entry, struct rpc_request, by_tid);

                if (request->tid == tid && addr_equal(&request->datagram.to, remote))
                        return request;
        }
        return NULL;
}

/* An answer to what was not even sent is a guess. */
struct rpc_request *rpc_request_find(const struct rpc *rpc, uint16_t tid, const struct addr *remote)
{
        struct rpc_request *request = find(rpc, tid, remote);

        return request && request->sends ? request : NULL;
}

/* Original nodes count up, so that whoever was asked once knows the next ones; a tid is all that a forger has to guess. */
static uint16_t choose_tid(const struct rpc *rpc, const struct addr *to)
{
        uint16_t tid = (uint16_t)random_u32(&rpc->random);

        while (find(rpc, tid, to))      /* ends: there are fewer requests than tids */
                tid++;
        return tid;
}

static struct rpc_request *make(struct rpc *rpc, const struct rpc_request_spec *spec)
{
        uint32_t socket = spec->by_server ? rpc->server_socket : rpc_socket(rpc);
        struct rpc_message message = {
                .type = RPC_TYPE_REQUEST, .tid = choose_tid(rpc, &spec->to), .to = spec->to, .id = rpc_id_for(rpc, socket),
                .token = spec->token, .internal = spec->internal, .command = spec->command, .target = spec->target,
                .value = spec->value, .value_len = spec->value_len,
        };
        uint8_t bytes[RPC_DATAGRAM_MAX];
        size_t len = rpc_message_write(&message, bytes, sizeof(bytes));
        struct rpc_request *request = len ? malloc(sizeof(*request) + len) : NULL;

        if (!request)
                return NULL;
        *request = (struct rpc_request){
                .tid = message.tid, .retries = spec->retries, .urgent = spec->urgent, .far = spec->far, .eager = spec->eager, .kind = spec->kind, .context = spec->context,
                .datagram = { .socket = socket, .to = spec->to, .len = len, .bytes = request->bytes },
        };
        memcpy(request->bytes, bytes, len);
        list_init(&request->waiting);
        list_init(&request->news);
        list_init(&request->datagram.queued);
        return request;
}

/* Soon for what may have been lost, and seconds in all for an outage, or who is slow. The last is waited for longest. */
static usec_t timer(const struct rpc *rpc, const struct rpc_request *request)
{
        unsigned soon = request->eager ? SOON_EAGER : SOON;
        usec_t timer_us = rpc_rtt_timer(&rpc->rtt) * (request->far ? 2 : 1) * (request->eager ? 1 : request->sends);

        return request->sends > MIN(request->retries, soon) ? RPC_TIMER_MAX_US : usec_min(timer_us, RPC_TIMER_MAX_US);
}

static void send_now(struct rpc *rpc, struct rpc_request *request, usec_t now_us)
{
        request->state = RPC_OUT;
        list_remove(&request->waiting);
        if (request->sends++ == 0)
                rpc->out++;
        else
                rpc->stats.retransmits++;
        rpc_window_send(&rpc->window);
        rpc_output_queue(&rpc->output, &request->datagram);
        request->sent_us = now_us;
        heap_set(&rpc->timers, &request->timer, now_us + timer(rpc, request));
}

/* What waited longest leaves first; after this, either nothing waits or the window is full. */
static void release_waiting(struct rpc *rpc, usec_t now_us)
{
        rpc_window_turn(&rpc->window, now_us);
        while (!list_empty(&rpc->waiting) && !rpc_window_full(&rpc->window))
                send_now(rpc, list_entry(list_first(&rpc->waiting), struct rpc_request, waiting), now_us);
}

static void send_or_wait(struct rpc *rpc, struct rpc_request *request, usec_t now_us)
{
        release_waiting(rpc, now_us);
        if (request->urgent || !rpc_window_full(&rpc->window)) {
                send_now(rpc, request, now_us);
                return;
        }
        request->state = RPC_WAITING;
        list_push_back(&rpc->waiting, &request->waiting);
}

struct rpc_request *rpc_request(struct rpc *rpc, const struct rpc_request_spec *spec, usec_t now_us)
{
        struct rpc_request *request = rpc->count < RPC_REQUESTS_MAX ? make(rpc, spec) : NULL;

        if (!request)
                return NULL;
        if (map_insert(&rpc->by_tid, &request->by_tid, hash_of(rpc, request->tid, &spec->to)) < 0) {
                free(request);
                return NULL;
        }
        list_push_back(&rpc->all, &request->all);
        rpc->count++;
        rpc->stats.requests++;
        send_or_wait(rpc, request, now_us);
        return request;
}

/* Out of everything that would send it, time it or find it. */
static void retire(struct rpc *rpc, struct rpc_request *request)
{
        if (request->state == RPC_OVER)
                return;
        request->state = RPC_OVER;
        map_remove(&rpc->by_tid, &request->by_tid);
        heap_remove(&rpc->timers, &request->timer);
        list_remove(&request->waiting);
        rpc_output_forget(&request->datagram);
        rpc->count--;
        if (request->sends) {
                rpc->out--;
                rpc_window_receive(&rpc->window);
        }
}

void rpc_request_free(struct rpc *rpc, struct rpc_request *request)
{
        retire(rpc, request);
        list_remove(&request->news);
        list_remove(&request->all);
        free(request);
}

void rpc_request_told(struct rpc *rpc, struct rpc_request *request)
{
        retire(rpc, request);
        list_remove(&request->news);
        list_remove(&request->all);
        free(rpc->told);
        rpc->told = request;
}

void rpc_request_answered(struct rpc *rpc, struct rpc_request *request, usec_t now_us)
{
        if (request->sends == 1 && !request->far)
                rpc_rtt_sample(&rpc->rtt, now_us - request->sent_us);
        rpc_request_told(rpc, request);
        release_waiting(rpc, now_us);
}

void rpc_cancel(struct rpc *rpc, struct rpc_request *request)
{
        rpc_request_free(rpc, request);
}

unsigned rpc_request_sends(const struct rpc_request *request)
{
        return request->sends;
}

const struct addr *rpc_request_to(const struct rpc_request *request)
{
        return &request->datagram.to;
}

usec_t rpc_timer(const struct rpc *rpc)
{
        return rpc_rtt_timer(&rpc->rtt);
}

size_t rpc_in_flight(const struct rpc *rpc)
{
        return rpc->out;
}

static void tell(struct rpc *rpc, struct rpc_request *request)
{
        if (list_empty(&request->news))
                list_push_back(&rpc->news, &request->news);
}

static void timer_fired(struct rpc *rpc, struct rpc_request *request, usec_t now_us)
{
        if (request->sends > request->retries) {
                rpc->stats.timeouts++;
                retire(rpc, request);
                tell(rpc, request);
                return;
        }
        if (request->sends == 1)
                tell(rpc, request);
        send_or_wait(rpc, request, now_us);
}

void rpc_advance(struct rpc *rpc, usec_t now_us)
{
        struct heap_entry *due;

        while ((due = heap_pop_due(&rpc->timers, now_us)))
                timer_fired(rpc, container_of(due, struct rpc_request, timer), now_us);
        release_waiting(rpc, now_us);
}

/* An idle rpc has nothing to wake for: the window and the tokens catch up when they are used. */
usec_t rpc_deadline(const struct rpc *rpc)
{
        usec_t window_us = list_empty(&rpc->waiting) ? USEC_NEVER : rpc_window_turns_at(&rpc->window);

        return usec_min(heap_deadline(&rpc->timers), window_us);
}

bool rpc_event(struct rpc *rpc, struct rpc_event *out)
{
        struct list *first = list_first(&rpc->news);
        struct rpc_request *request;

        if (!first)
                return false;
        list_remove(first);
        request = list_entry(first, struct rpc_request, news);
        *out = (struct rpc_event){
                .kind = request->state == RPC_OVER ? RPC_TIMED_OUT : RPC_SLOW, .socket = request->datagram.socket,
                .from = request->datagram.to, .request = request, .request_kind = request->kind, .context = request->context,
                .sends = request->sends,
        };
        if (request->state == RPC_OVER)
                rpc_request_told(rpc, request);
        return true;
}
