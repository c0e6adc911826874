/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_datagrams.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
        BATCHES_PER_TURN = 4,           /* of one gate, then the others have their turn */
        BATCHES_DRAINED = 64,           /* when a session leaves the gate, lest what it said last is overtaken */
};

#define TELL_EVERY_US SECONDS(1)

struct datagram_gate {
        struct list in_list;
        struct watched watched;
        struct sessions sessions;
        struct ipc_forward_listener what;
        union socket_address bound;
        uint32_t overflow;              /* what the socket had no room for, as it said last */
};

/* One batch, and where each came from and was sent to. */
struct batch {
        struct iovec iov[SESSIONS_BATCH_MAX];
        struct mmsghdr messages[SESSIONS_BATCH_MAX];
        struct session_ends ends[SESSIONS_BATCH_MAX];
        union {
                char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(uint32_t))];
                struct cmsghdr align;
        } control[SESSIONS_BATCH_MAX];
};

void datagrams_init(struct datagrams *datagrams, struct worker *worker, struct watch *watch, struct clients *clients)
{
        *datagrams = (struct datagrams){ .worker = worker, .watch = watch, .clients = clients };
        list_init(&datagrams->all);
        list_init(&datagrams->next);
}

static void gate_free(struct datagram_gate *gate, struct watch *watch)
{
        sessions_fini(&gate->sessions);
        watch_remove(watch, &gate->watched);
        close(gate->watched.fd);
        list_remove(&gate->in_list);
        free(gate);
}

static void free_all(struct datagrams *datagrams, struct list *list)
{
        list_for_each(at, list)
                gate_free(list_entry(at, struct datagram_gate, in_list), datagrams->watch);
}

void datagrams_fini(struct datagrams *datagrams)
{
        free_all(datagrams, &datagrams->all);
        free_all(datagrams, &datagrams->next);
        free(datagrams->buffer);
}

static void prepare(struct batch *batch, uint8_t *buffer)
{
        for (size_t i = 0; i < SESSIONS_BATCH_MAX; i++) {
                batch->ends[i] = (struct session_ends){ 0 };
                batch->iov[i] = (struct iovec){ buffer + i * SOCKET_DATAGRAM_MAX, SOCKET_DATAGRAM_MAX };
                batch->messages[i] = (struct mmsghdr){ .msg_hdr = {
                        .msg_name = &batch->ends[i].remote, .msg_namelen = sizeof(batch->ends[i].remote),
                        .msg_iov = &batch->iov[i], .msg_iovlen = 1,
                        .msg_control = &batch->control[i], .msg_controllen = sizeof(batch->control[i]) } };
        }
}

/* One that replaces another counts from nothing. */
static void note_overflow(struct datagram_gate *gate, uint32_t overflow)
{
        *gate->sessions.dropped += overflow - (overflow < gate->overflow ? 0 : gate->overflow);
        gate->overflow = overflow;
}

/* The address a client has sent to, which its answers shall come from: the socket may be bound to all. And what was lost before. */
static void read_control(struct datagram_gate *gate, struct msghdr *message, struct session_ends *ends)
{
        ends->local = gate->bound;
        for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
                struct in_pktinfo v4;
                struct in6_pktinfo v6;
                uint32_t overflow;

                if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
                        memcpy(&v4, CMSG_DATA(part), sizeof(v4));
                        ends->local.v4.sin_addr = v4.ipi_spec_dst;      /* of this machine even if it was a broadcast */
                        ends->broadcast = v4.ipi_addr.s_addr != v4.ipi_spec_dst.s_addr;
                } else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
                        memcpy(&v6, CMSG_DATA(part), sizeof(v6));
                        ends->local.v6.sin6_addr = v6.ipi6_addr;
                        ends->interface = IN6_IS_ADDR_LINKLOCAL(&v6.ipi6_addr) ? v6.ipi6_ifindex : 0;
                } else if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SO_RXQ_OVFL) {
                        memcpy(&overflow, CMSG_DATA(part), sizeof(overflow));
                        note_overflow(gate, overflow);
                }
        }
}

/* Port 0 can't be answered. */
static bool is_whole(const struct mmsghdr *message, const struct session_ends *ends)
{
        const union socket_address *remote = &ends->remote;

        if (message->msg_hdr.msg_flags & MSG_TRUNC)
                return false;
        return (remote->any.sa_family == AF_INET && remote->v4.sin_port) ||
               (remote->any.sa_family == AF_INET6 && remote->v6.sin6_port);
}

/* Runs of one client go on together. */
static void hand_on(struct datagram_gate *gate, struct batch *batch, size_t count, const struct now *now)
{
        size_t first = 0, run = 0;

        for (size_t i = 0; i < count; i++) {
                if (!is_whole(&batch->messages[i], &batch->ends[i])) {
                        ++*gate->sessions.dropped;
                        continue;
                }
                read_control(gate, &batch->messages[i].msg_hdr, &batch->ends[i]);
                batch->iov[i].iov_len = batch->messages[i].msg_len;
                if (run && (first + run != i || memcmp(&batch->ends[first], &batch->ends[i], sizeof(batch->ends[i])) != 0)) {
                        sessions_receive(&gate->sessions, &batch->ends[first], &batch->iov[first], run, now);
                        run = 0;
                }
                if (!run)
                        first = i;
                run++;
        }
        if (run)
                sessions_receive(&gate->sessions, &batch->ends[first], &batch->iov[first], run, now);
}

/* Errors that pass, of a network that is away or of memory. */
static bool passes(int error)
{
        return error == EAGAIN || error == EINTR || error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH ||
               error == ENETDOWN || error == ENOMEM || error == ENOBUFS;
}

/* What is no UDP socket would be ready for ever. */
static void fail(struct datagram_gate *gate, int error)
{
        struct sessions *sessions = &gate->sessions;

        worker_log(sessions->worker, LOG_ERR, "gate %u/udp: can't be read from: %s", gate->what.gate_port, strerror(error));
        watch_remove(sessions->watch, &gate->watched);
}

/* Until there is no more, or so much has been taken. */
static void take_in(struct datagram_gate *gate, int batches_max, const struct now *now)
{
        struct batch batch;

        for (int i = 0; i < batches_max; i++) {
                int count;

                prepare(&batch, gate->sessions.buffer);
                count = recvmmsg(gate->watched.fd, batch.messages, SESSIONS_BATCH_MAX, MSG_DONTWAIT, NULL);
                if (count > 0)
                        hand_on(gate, &batch, (size_t)count, now);
                else if (count < 0 && !passes(errno))
                        fail(gate, errno);
                if (count < SESSIONS_BATCH_MAX)
                        return;
        }
}

static void on_ready(struct watched *watched, uint32_t events)
{
        struct now now;

        worker_now(&now);
        take_in(container_of(watched, struct datagram_gate, watched), BATCHES_PER_TURN, &now);
}

static void drain(struct sessions *sessions, const struct now *now)
{
        take_in(container_of(sessions, struct datagram_gate, sessions), BATCHES_DRAINED, now);
}

void datagrams_begin(struct datagrams *datagrams)
{
        free_all(datagrams, &datagrams->next);
}

int datagrams_add(struct datagrams *datagrams, const struct ipc_forward_listener *what, int fd)
{
        struct datagram_gate *gate = calloc(1, sizeof(*gate));
        socklen_t len = sizeof(gate->bound);

        if (!datagrams->buffer)
                datagrams->buffer = malloc(SESSIONS_BUFFER_BYTES);
        if (!gate || !datagrams->buffer) {
                free(gate);
                close(fd);
                return -ENOMEM;
        }
        gate->what = *what;
        gate->watched = (struct watched){ .fd = fd, .ready = on_ready };
        getsockname(fd, &gate->bound.any, &len);
        sessions_init(&gate->sessions, datagrams->clients, datagrams->watch, datagrams->buffer, &datagrams->dropped);
        gate->sessions.drain = drain;
        list_push_back(&datagrams->next, &gate->in_list);
        return 0;
}

static struct datagram_gate *find_same(struct datagrams *datagrams, const struct datagram_gate *as)
{
        list_for_each(at, &datagrams->all) {
                struct datagram_gate *gate = list_entry(at, struct datagram_gate, in_list);

                if (gate->what.gate_port == as->what.gate_port && memcmp(&gate->bound, &as->bound, sizeof(as->bound)) == 0)
                        return gate;
        }
        return NULL;
}

/* @gate goes on where @before was, with its sessions. */
static void succeed(struct datagram_gate *before, struct datagram_gate *gate, struct watch *watch)
{
        int fd = before->watched.fd;

        watch_remove(watch, &before->watched);
        before->watched.fd = gate->watched.fd;
        before->what = gate->what;
        gate->watched.fd = fd;
}

static void serve(struct datagrams *datagrams, struct datagram_gate *gate)
{
        gate->sessions.fd = gate->watched.fd;
        gate->sessions.gate_port = gate->what.gate_port;
        gate->sessions.idle_us = MSEC(gate->what.idle_ms);
        if (watch_add(datagrams->watch, &gate->watched, EPOLLIN) < 0)
                worker_log(datagrams->worker, LOG_ERR, "gate %u/udp: can't be listened to", gate->what.gate_port);
}

void datagrams_end(struct datagrams *datagrams)
{
        struct list stay;

        list_init(&stay);
        list_for_each(at, &datagrams->next) {
                struct datagram_gate *gate = list_entry(at, struct datagram_gate, in_list), *before = find_same(datagrams, gate);

                list_remove(&gate->in_list);
                if (before) {
                        succeed(before, gate, datagrams->watch);
                        gate_free(gate, datagrams->watch);
                        gate = before;
                        list_remove(&gate->in_list);
                }
                list_push_back(&stay, &gate->in_list);
                serve(datagrams, gate);
        }
        free_all(datagrams, &datagrams->all);
        list_for_each(at, &stay) {
                list_remove(at);
                list_push_back(&datagrams->all, at);
        }
}

static void tell(struct datagrams *datagrams, usec_t now_us)
{
        struct ipc_forward_status status = { .datagrams_dropped = datagrams->dropped - datagrams->told };

        if (!status.datagrams_dropped || now_us < datagrams->tell_us)
                return;
        datagrams->told = datagrams->dropped;
        datagrams->tell_us = usec_add(now_us, TELL_EVERY_US);
        worker_send(&datagrams->worker->supervisor, IPC_FORWARD_STATUS, &status, NULL, 0);
}

void datagrams_advance(struct datagrams *datagrams, usec_t now_us)
{
        tell(datagrams, now_us);
        list_for_each(at, &datagrams->all)
                sessions_advance(&list_entry(at, struct datagram_gate, in_list)->sessions, now_us);
}

usec_t datagrams_deadline(const struct datagrams *datagrams)
{
        usec_t next_us = datagrams->dropped != datagrams->told ? datagrams->tell_us : USEC_NEVER;

        list_for_each(at, &datagrams->all)
                next_us = usec_min(next_us, sessions_deadline(&list_entry(at, struct datagram_gate, in_list)->sessions));
        return next_us;
}
