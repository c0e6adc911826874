/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "udx_private.h"

struct udx_mux *udx_mux_new(const struct random *random)
{
        struct udx_mux *mux = calloc(1, sizeof(*mux));
        uint8_t key[16];

        if (!mux)
                return NULL;
        mux->random = *random;
        mux->id_mask = UINT32_MAX;
        random_fill(random, key, sizeof(key));
        map_init(&mux->ids, key);
        list_init(&mux->streams);
        list_init(&mux->ready);
        list_init(&mux->eventful);
        list_init(&mux->closed);
        list_init(&mux->closed_ready);
        list_init(&mux->forwards);
        list_init(&mux->forwards_ready);
        udx_pool_init(&mux->pool);
        return mux;
}

void udx_mux_mark(struct udx_mux *mux, uint8_t mark)
{
        mux->id_mask = 0x00ffffff;
        mux->id_mark = (uint32_t)mark << 24;
}

void udx_mux_free(struct udx_mux *mux)
{
        if (!mux)
                return;
        list_for_each(at, &mux->streams)
                udx_stream_free(list_entry(at, struct udx_stream, all));
        udx_closed_forget_all(mux);
        udx_forward_free_all(mux);
        udx_run_reset(mux, &mux->run);
        map_fini(&mux->ids);
        udx_pool_fini(&mux->pool);
        free(mux);
}

struct udx_endpoint *udx_mux_find(struct udx_mux *mux, uint32_t id)
{
        if (mux->last && mux->last->id == id)
                return mux->last;
        for (struct map_entry *at = map_first(&mux->ids, map_hash(&mux->ids, &id, sizeof(id))); at; at = map_next(at)) {
                struct udx_endpoint *endpoint = container_of(at, struct udx_endpoint, entry);

                if (endpoint->id == id) {
                        mux->last = endpoint;
                        return endpoint;
                }
        }
        return NULL;
}

uint32_t udx_mux_free_id(struct udx_mux *mux)
{
        uint32_t id;

        do
                id = (random_u32(&mux->random) & mux->id_mask) | mux->id_mark;
        while (!id || udx_mux_find(mux, id));
        return id;
}

int udx_mux_add(struct udx_mux *mux, struct udx_endpoint *endpoint)
{
        return map_insert(&mux->ids, &endpoint->entry, map_hash(&mux->ids, &endpoint->id, sizeof(endpoint->id)));
}

void udx_mux_remove(struct udx_mux *mux, struct udx_endpoint *endpoint)
{
        if (mux->last == endpoint)
                mux->last = NULL;
        map_remove(&mux->ids, &endpoint->entry);
}

struct udx_note *udx_note_add(struct udx_mux *mux, struct udx_notes *notes, const void *bytes, size_t len)
{
        struct udx_note *note = udx_pool_take(&mux->pool, sizeof(*note) + len);

        if (!note)
                return NULL;
        *note = (struct udx_note){ .len = (uint16_t)len };
        if (len)
                memcpy(note->bytes, bytes, len);
        if (notes->count++)
                notes->last->next = note;
        else
                notes->first = note;
        notes->last = note;
        return note;
}

struct udx_note *udx_note_pop(struct udx_notes *notes)
{
        struct udx_note *note = notes->count ? notes->first : NULL;

        if (note) {
                notes->first = note->next;
                notes->count--;
        }
        return note;
}

void udx_note_free(struct udx_mux *mux, struct udx_note *note)
{
        if (note)
                udx_pool_give(&mux->pool, note, sizeof(*note) + note->len);
}

void udx_note_drop_all(struct udx_mux *mux, struct udx_notes *notes)
{
        while (notes->count)
                udx_note_free(mux, udx_note_pop(notes));
}

static void see_time(struct udx_mux *mux, usec_t now_us)
{
        mux->now_us = usec_max(mux->now_us, now_us);
}

enum udx_verdict udx_mux_receive(struct udx_mux *mux, unsigned socket, const struct addr *remote, const void *bytes, size_t len,
                                 usec_t now_us)
{
        struct udx_endpoint *endpoint;
        struct udx_packet packet;
        enum udx_verdict verdict;

        see_time(mux, now_us);
        verdict = udx_packet_read(bytes, len, &packet);
        if (verdict == UDX_OK) {
                endpoint = udx_mux_find(mux, packet.stream_id);
                if (!endpoint)
                        verdict = UDX_NOT_OURS;
                else if (endpoint->kind == UDX_ENDPOINT_FORWARD)
                        verdict = udx_forward_receive(mux, endpoint, socket, remote, bytes, len);
                else if (endpoint->kind == UDX_ENDPOINT_CLOSED)
                        verdict = udx_closed_receive(mux, endpoint, remote, &packet, mux->now_us);
                else
                        verdict = udx_stream_receive(container_of(endpoint, struct udx_stream, endpoint), socket, remote, &packet,
                                                     bytes, len);
        }
        mux->counters.verdicts[verdict]++;
        return verdict;
}

size_t udx_mux_receive_run(struct udx_mux *mux, unsigned socket, const struct addr *remote, const void *bytes, size_t len,
                           size_t segment_bytes, usec_t now_us)
{
        const uint8_t *at = bytes;
        size_t taken = 0, segment;

        while (taken < len) {
                segment = segment_bytes ? MIN(segment_bytes, len - taken) : len;
                if (udx_mux_receive(mux, socket, remote, at + taken, segment, now_us) == UDX_NOT_OURS)
                        break;
                taken += segment;
        }
        return taken;
}

usec_t udx_mux_deadline(const struct udx_mux *mux)
{
        return usec_min(heap_deadline(&mux->timers), heap_deadline(&mux->closed_timers));
}

void udx_mux_advance(struct udx_mux *mux, usec_t now_us)
{
        struct heap_entry *entry;

        see_time(mux, now_us);
        while ((entry = heap_pop_due(&mux->timers, mux->now_us)))
                udx_stream_fire(container_of(entry, struct udx_stream, timer), mux->now_us);
        udx_closed_advance(mux, mux->now_us);
}

static void hand_out(const struct udx_run *run, const struct udx_path *path, struct udx_send *out)
{
        *out = (struct udx_send){
                .socket = path->socket,
                .remote = path->remote,
                .iov = run->iov,
                .iov_len = run->iov_len,
                .segment_bytes = (uint16_t)run->first_bytes,
                .segments = run->segments,
                .bytes = run->bytes,
                .pieces = run->pieces,
        };
}

bool udx_mux_transmit(struct udx_mux *mux, struct udx_send *out, usec_t now_us)
{
        struct udx_path path;
        struct list *first;

        see_time(mux, now_us);
        udx_run_reset(mux, &mux->run);
        if (udx_closed_transmit(mux, &mux->run, &path) || udx_forward_transmit(mux, &mux->run, &path)) {
                hand_out(&mux->run, &path, out);
                mux->counters.packets_sent += mux->run.segments;
                return true;
        }
        while ((first = list_first(&mux->ready))) {
                struct udx_stream *stream = list_entry(first, struct udx_stream, ready);

                list_remove(first);
                if (udx_stream_transmit(stream, &mux->run, mux->now_us)) {
                        list_push_back(&mux->ready, &stream->ready);
                        hand_out(&mux->run, mux->run.elsewhere ? &mux->run.path : &stream->path, out);
                        mux->counters.packets_sent += mux->run.segments;
                        return true;
                }
                udx_stream_arm(stream);
        }
        return false;
}

void udx_mux_refused(struct udx_mux *mux, unsigned socket, const struct addr *remote, size_t bytes)
{
        list_for_each(at, &mux->streams) {
                struct udx_stream *stream = list_entry(at, struct udx_stream, all);

                if (stream->state != UDX_OPEN || stream->path.socket != socket || !addr_equal(&stream->path.remote, remote))
                        continue;
                udx_mtu_refused(&stream->mtu, bytes, mux->now_us);
        }
}

bool udx_mux_event(struct udx_mux *mux, struct udx_event *out)
{
        struct list *first = list_first(&mux->eventful);
        struct udx_stream *stream;
        enum udx_event_type type;

        if (!first)
                return false;
        stream = list_entry(first, struct udx_stream, eventful);
        type = (enum udx_event_type)__builtin_ctz(stream->events);
        stream->events &= ~(1u << type);
        if (!stream->events)
                list_remove(&stream->eventful);
        *out = (struct udx_event){
                .type = type,
                .stream = stream,
                .context = stream->context,
                .reason = stream->reason,
                .socket = stream->seen_socket,
                .remote = stream->seen_remote,
        };
        return true;
}

void udx_mux_trim(struct udx_mux *mux)
{
        udx_pool_trim(&mux->pool);
}

const struct udx_counters *udx_mux_counters(const struct udx_mux *mux)
{
        return &mux->counters;
}
