/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_sessions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "ipc_channel.h"
#include "ipc_fd.h"
#include "run_memory.h"

/* What makes a client one: hashed and compared as bytes. */
struct session_key {
        uint8_t remote[16], local[16];
        uint32_t scope;
        uint16_t port, pad;
};

/* An address that has sessions; of IPv6 a network of 64 bits, which whoever has one address has. */
struct host {
        struct map_entry by_address;
        uint8_t address[16];
        size_t count;
        struct list young;              /* the longest silent first */
};

enum stage {
        SESSION_UNANSWERED,
        SESSION_ANSWERED,               /* still young: its client may not be where it says */
        SESSION_PROVEN,
};

/* Where its datagrams go. */
enum passage {
        PASSAGE_PAIR,                   /* through here */
        PASSAGE_REFUSED,                /* the same, for good: no other is to be had */
        PASSAGE_ASKED,                  /* the same; the supervisor makes it a socket of its own */
        PASSAGE_HANDED,                 /* the swarm worker has that, and reads what is left in the pair */
        PASSAGE_OWN,                    /* past us; there is no pair any more */
};

struct session {
        struct map_entry by_client;
        struct list in_young, in_host;  /* while it is young */
        struct heap_entry deadline;
        struct watched watched;         /* our end of the pair */
        struct client_session client;
        struct sessions *sessions;
        struct host *host;
        enum stage stage;
        enum passage passage;
        usec_t last_us;                 /* when a datagram last went either way */
        usec_t burst_us;                /* since when @burst were counted */
        size_t burst;
        struct session_key key;
        struct session_ends ends;
};

void sessions_init(struct sessions *sessions, struct clients *clients, struct watch *watch, uint8_t *buffer, uint64_t *dropped)
{
        uint8_t key[16];

        *sessions = (struct sessions){ .worker = clients->worker, .watch = watch, .clients = clients, .buffer = buffer,
                                       .dropped = dropped, .fd = -1 };
        random_fill(&clients->random, key, sizeof(key));
        map_init(&sessions->by_client, key);
        map_init(&sessions->hosts, key);
        list_init(&sessions->young);
}

static struct session_key key_of(const struct session_ends *ends)
{
        const union socket_address *remote = &ends->remote;
        struct session_key key = { .port = remote->any.sa_family == AF_INET6 ? remote->v6.sin6_port : remote->v4.sin_port,
                                   .scope = remote->any.sa_family == AF_INET6 ? remote->v6.sin6_scope_id : 0 };

        socket_address_ip(remote, key.remote);
        socket_address_ip(&ends->local, key.local);
        return key;
}

static struct session *find(const struct sessions *sessions, const struct session_key *key)
{
        struct map_entry *at = map_first(&sessions->by_client, map_hash(&sessions->by_client, key, sizeof(*key)));

        while (at && memcmp(&container_of(at, struct session, by_client)->key, key, sizeof(*key)) != 0)
                at = map_next(at);
        return at ? container_of(at, struct session, by_client) : NULL;
}

/* --- Hosts --- */

static void host_address(const struct session_key *key, uint8_t out[16])
{
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

        memcpy(out, key->remote, 16);
        if (memcmp(out, mapped, sizeof(mapped)) != 0)
                memset(out + 8, 0, 8);
}

static struct host *host_find(const struct sessions *sessions, const uint8_t address[16])
{
        struct map_entry *at = map_first(&sessions->hosts, map_hash(&sessions->hosts, address, 16));

        while (at && memcmp(container_of(at, struct host, by_address)->address, address, 16) != 0)
                at = map_next(at);
        return at ? container_of(at, struct host, by_address) : NULL;
}

static struct host *host_get(struct sessions *sessions, const struct session_key *key)
{
        uint8_t address[16];
        struct host *host;

        host_address(key, address);
        host = host_find(sessions, address);
        if (host || !(host = calloc(1, sizeof(*host))))
                return host;
        memcpy(host->address, address, sizeof(host->address));
        list_init(&host->young);
        if (map_insert(&sessions->hosts, &host->by_address, map_hash(&sessions->hosts, address, sizeof(address))) == 0)
                return host;
        free(host);
        return NULL;
}

static void host_put(struct sessions *sessions, struct host *host)
{
        if (host->count)
                return;
        map_remove(&sessions->hosts, &host->by_address);
        free(host);
}

/* --- A session's life --- */

static void close_pair(struct session *session)
{
        watch_remove(session->sessions->watch, &session->watched);
        close_fdp(&session->watched.fd);
}

static void session_free(struct session *session)
{
        struct sessions *sessions = session->sessions;

        close_pair(session);
        sessions->detached -= session->passage >= PASSAGE_ASKED;
        heap_remove(&sessions->deadlines, &session->deadline);
        list_remove(&session->in_young);
        list_remove(&session->in_host);
        map_remove(&sessions->by_client, &session->by_client);
        session->host->count--;
        host_put(sessions, session->host);
        sessions->count--;
        free(session);
}

/* The swarm worker that has its socket lets go of it. */
static void call_back(const struct session *session)
{
        struct ipc_channel end;
        struct worker_link *swarm = clients_mover(session->client.client, &end.channel);

        if (swarm)
                worker_send(swarm, IPC_CHANNEL_END, &end, NULL, 0);
}

/* The swarm worker reads what is left in the pair, then its end. */
static void session_end(struct session *session)
{
        if (session->client.client && session->passage >= PASSAGE_HANDED)
                call_back(session);
        if (session->client.client)
                clients_dismiss(session->client.client);
        session_free(session);
}

static void on_client_over(struct client_session *client)
{
        session_free(container_of(client, struct session, client));
}

void sessions_fini(struct sessions *sessions)
{
        struct map_entry *at;

        while ((at = map_walk(&sessions->by_client, NULL)))
                session_end(container_of(at, struct session, by_client));
        map_fini(&sessions->by_client);
        map_fini(&sessions->hosts);
}

static usec_t limit_us(const struct session *session)
{
        usec_t idle_us = session->sessions->idle_us;

        return session->stage == SESSION_PROVEN ? idle_us : usec_min(idle_us, SESSIONS_YOUNG_US);
}

/* Its deadline moves only when it is due: a datagram costs no more than this. */
static void touch(struct session *session, usec_t now_us)
{
        session->last_us = now_us;
        if (session->stage == SESSION_PROVEN)
                return;
        list_remove(&session->in_young);
        list_push_back(&session->sessions->young, &session->in_young);
        list_remove(&session->in_host);
        list_push_back(&session->host->young, &session->in_host);
}

/* --- A socket of its own --- */

static void ask(struct session *session, usec_t now_us)
{
        struct sessions *sessions = session->sessions;
        const struct session_ends *ends = &session->ends;
        struct ipc_session_detach asked = { .scope = session->key.scope ? session->key.scope : ends->interface,
                                            .remote_port = socket_address_port(&ends->remote), .gate_port = sessions->gate_port };

        if (!session->client.client || !clients_mover(session->client.client, &asked.session))
                return;
        memcpy(asked.remote_ip, session->key.remote, sizeof(asked.remote_ip));
        memcpy(asked.local_ip, session->key.local, sizeof(asked.local_ip));
        if (worker_send(&sessions->worker->supervisor, IPC_SESSION_DETACH, &asked, NULL, 0) < 0) {
                sessions->detach_us = usec_add(now_us, SESSIONS_REFUSED_US);
                return;
        }
        session->passage = PASSAGE_ASKED;
        sessions->detached++;
}

/* It would be taken for busy as well whose address is false and who goes on blindly: that costs others these sockets, and no more. */
static void count_busy(struct session *session, size_t count, usec_t now_us)
{
        const struct sessions *sessions = session->sessions;

        if (now_us - session->burst_us >= SECONDS(1)) {
                session->burst_us = now_us;
                session->burst = 0;
        }
        session->burst += count;
        if (session->burst >= SESSIONS_BUSY && session->stage == SESSION_PROVEN && session->passage == PASSAGE_PAIR &&
            sessions->detached < SESSIONS_DETACHED_MAX && now_us >= sessions->detach_us)
                ask(session, now_us);
}

/* What could not be done for one can be for none, for some time, unless it lies with that one's address. */
static void on_refused(struct session *session, uint32_t error, usec_t now_us)
{
        if (error != EADDRNOTAVAIL)
                session->sessions->detach_us = usec_add(now_us, SESSIONS_REFUSED_US);
        session->sessions->detached--;
        session->passage = PASSAGE_REFUSED;
}

static int hand_over(struct session *session, int fd)
{
        struct ipc_channel_socket socket = { .idle_ms = (uint32_t)(session->sessions->idle_us / MSEC(1)) };
        struct worker_link *swarm = clients_mover(session->client.client, &socket.channel);

        return swarm ? worker_send(swarm, IPC_CHANNEL_SOCKET, &socket, &fd, 1) : -ENOTCONN;
}

void sessions_detached(struct clients *clients, const struct ipc_session_detached *detached, int fd, const struct now *now)
{
        struct client_session *client = clients_session(clients, detached->session);
        struct session *session = client ? container_of(client, struct session, client) : NULL;

        if (session && session->passage == PASSAGE_ASKED) {
                if (fd < 0 || worker_fd_spare(clients->worker, fd) || hand_over(session, fd) < 0)
                        on_refused(session, detached->error, now->mono_us);
                else
                        session->passage = PASSAGE_HANDED;
        }
        close_fdp(&fd);
}

/* The swarm worker writes no more into the pair. What its client sent before it had that socket waits in the gate's: it goes first. */
static void let_go(struct session *session, const struct now *now)
{
        struct sessions *sessions = session->sessions;

        if (sessions->drain)
                sessions->drain(sessions, now);
        close_pair(session);
        heap_remove(&sessions->deadlines, &session->deadline);
        session->passage = PASSAGE_OWN;
}

static void on_spoken(struct session *session, usec_t now_us)
{
        if (session->stage == SESSION_ANSWERED) {
                session->stage = SESSION_PROVEN;
                list_remove(&session->in_young);
                list_remove(&session->in_host);
        }
        touch(session, now_us);
}

static void on_answered(struct session *session, usec_t now_us)
{
        if (session->stage == SESSION_UNANSWERED)
                session->stage = SESSION_ANSWERED;
        touch(session, now_us);
}

/* --- To the swarm worker --- */

/* What finds no room in the pair is lost: the stream is behind. */
static void send_on(const struct session *session, const struct iovec *datagrams, size_t count)
{
        struct ipc_session_batch batch = { .marked = true };
        int sent;

        for (size_t i = 0; i < count; i++)
                ipc_session_put(&batch, i, datagrams[i]);
        sent = sendmmsg(session->watched.fd, batch.message, (unsigned)count, MSG_DONTWAIT | MSG_NOSIGNAL);
        *session->sessions->dropped += count - (size_t)MAX(sent, 0);
}

/* --- To the client --- */

static void put_source(struct msghdr *message, const struct session_ends *ends, void *control)
{
        struct cmsghdr *part = control;
        struct in_pktinfo v4 = { .ipi_spec_dst = ends->local.v4.sin_addr };
        struct in6_pktinfo v6 = { .ipi6_ifindex = ends->interface };
        bool is_v6 = ends->local.any.sa_family == AF_INET6;
        size_t len = is_v6 ? sizeof(v6) : sizeof(v4);

        if (is_v6)
                v6.ipi6_addr = ends->local.v6.sin6_addr;
        part->cmsg_level = is_v6 ? IPPROTO_IPV6 : IPPROTO_IP;
        part->cmsg_type = is_v6 ? IPV6_PKTINFO : IP_PKTINFO;
        part->cmsg_len = CMSG_LEN(len);
        memcpy(CMSG_DATA(part), is_v6 ? (const void *)&v6 : (const void *)&v4, len);
        message->msg_control = control;
        message->msg_controllen = CMSG_SPACE(len);
}

/* One that can't leave, for its size or a filter of the machine's, does not stop those behind it. */
static void answer(const struct session *session, struct iovec *datagrams, size_t count)
{
        union {
                char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
                struct cmsghdr align;
        } control = { 0 };
        struct mmsghdr messages[SESSIONS_BATCH_MAX] = { 0 };
        union socket_address remote = session->ends.remote;
        size_t done = 0;

        for (size_t i = 0; i < count; i++) {
                messages[i].msg_hdr = (struct msghdr){ .msg_name = &remote, .msg_namelen = socket_address_len(&remote),
                                                       .msg_iov = &datagrams[i], .msg_iovlen = 1 };
                put_source(&messages[i].msg_hdr, &session->ends, &control);
        }
        while (done < count) {
                int sent = sendmmsg(session->sessions->fd, messages + done, (unsigned)(count - done), MSG_DONTWAIT | MSG_NOSIGNAL);

                if (sent < 0 && errno == EAGAIN)
                        break;
                *session->sessions->dropped += sent <= 0;
                done += sent > 0 ? (size_t)sent : 1;
        }
        *session->sessions->dropped += count - done;
}

static void on_ready(struct watched *watched, uint32_t events)
{
        struct session *session = container_of(watched, struct session, watched);
        struct ipc_session_batch batch = { .marked = true };
        struct iovec datagrams[SESSIONS_BATCH_MAX];
        bool ended = false;
        struct now now;
        size_t found, cut = 0;
        int count;

        for (size_t i = 0; i < SESSIONS_BATCH_MAX; i++)
                ipc_session_put(&batch, i, (struct iovec){ session->sessions->buffer + i * SOCKET_DATAGRAM_MAX, SOCKET_DATAGRAM_MAX });
        count = recvmmsg(watched->fd, batch.message, SESSIONS_BATCH_MAX, MSG_DONTWAIT, NULL);
        if (count < 0 && ipc_session_goes_on(errno))
                return;
        found = count > 0 ? ipc_session_collect(&batch, (size_t)count, datagrams, &cut, &ended) : 0;
        *session->sessions->dropped += cut;
        worker_now(&now);
        if (found) {
                answer(session, datagrams, found);
                on_answered(session, now.mono_us);
                count_busy(session, found, now.mono_us);
        }
        if (ended && session->passage == PASSAGE_HANDED)
                let_go(session, &now);
        else if (ended || count < 0)
                session_end(session);
}

/* --- New ones --- */

static void tell_full(struct sessions *sessions, const char *what)
{
        if (!sessions->told_full)
                worker_log_event(sessions->worker, IPC_EVENT_SHORT_OF, LOG_NOTICE, NULL,
                                 "gate %u/udp: %s: new clients are not answered until some end", sessions->gate_port, what);
        sessions->told_full = true;
}

static bool may_have_memory(struct sessions *sessions)
{
        if (!run_memory_short())
                return true;
        tell_full(sessions, "no memory left");
        return false;
}

/* The one that was silent longest, if that is long. Who sends blindly, and again after an answer that went elsewhere, has proven itself
 * as well: it would hold its place for as long as sessions last. Deadlines move late: those in front are put right first. */
static struct session *rested(struct sessions *sessions, usec_t now_us)
{
        struct heap_entry *first;

        while ((first = heap_first(&sessions->deadlines))) {
                struct session *session = container_of(first, struct session, deadline);
                usec_t at_us = usec_add(session->last_us, limit_us(session));

                if (at_us <= heap_deadline(&sessions->deadlines))
                        return now_us - session->last_us >= SESSIONS_RESTED_US ? session : NULL;
                heap_set(&sessions->deadlines, first, at_us);
        }
        return NULL;
}

/* Room for one more of @host, if need be in place of the young one that was silent longest, its own first; or of one that rests. */
static bool make_room(struct sessions *sessions, const struct host *host, usec_t now_us)
{
        size_t own = host->count, others = sessions->count - own;
        bool full = sessions->count >= SESSIONS_MAX || worker_fds_short(sessions->worker);
        struct list *oldest = list_first(&host->young);
        struct session *silent;

        if (!full && own < (SESSIONS_MAX - others + 1) / 2)
                return true;
        if (!oldest && full)
                oldest = list_first(&sessions->young);
        if (!oldest) {
                silent = full ? rested(sessions, now_us) : NULL;
                if (silent)
                        session_end(silent);
                return silent;
        }
        if (list_first(&host->young))
                session_end(list_entry(oldest, struct session, in_host));
        else
                session_end(list_entry(oldest, struct session, in_young));
        return true;
}

/* A bucket of SESSIONS_NEW_PER_S, in time. */
static bool may_begin(struct sessions *sessions, usec_t now_us)
{
        usec_t price_us = SECONDS(1) / SESSIONS_NEW_PER_S, earliest_us = now_us - usec_min(now_us, SECONDS(1));

        sessions->new_us = usec_max(sessions->new_us, earliest_us);
        if (usec_add(sessions->new_us, price_us) > now_us)
                return false;
        sessions->new_us += price_us;
        return true;
}

static struct session *session_new(struct sessions *sessions, struct host *host, const struct session_key *key,
                                   const struct session_ends *ends, int fd)
{
        struct session *session = calloc(1, sizeof(*session));

        if (!session ||
            map_insert(&sessions->by_client, &session->by_client, map_hash(&sessions->by_client, key, sizeof(*key))) < 0) {
                free(session);
                return NULL;
        }
        session->sessions = sessions;
        session->host = host;
        session->key = *key;
        session->ends = *ends;
        session->watched = (struct watched){ .fd = fd, .ready = on_ready };
        session->client.over = on_client_over;
        list_init(&session->in_young);
        list_init(&session->in_host);
        host->count++;
        sessions->count++;
        return session;
}

/* The host is kept while the session is made: what makes room for it may be the host's last other one. */
static struct session *begin(struct sessions *sessions, const struct session_key *key, const struct session_ends *ends, int fds[2],
                             usec_t now_us)
{
        struct host *host = host_get(sessions, key);
        struct session *session = NULL;

        if (!host)
                return NULL;
        host->count++;
        if (make_room(sessions, host, now_us)) {
                if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0) {
                        session = session_new(sessions, host, key, ends, fds[0]);
                        if (!session) {
                                close(fds[0]);
                                close(fds[1]);
                        }
                }
        } else {
                tell_full(sessions, "too many sessions");
        }
        host->count--;
        host_put(sessions, host);
        return session;
}

/* Its first datagrams wait in the pair before anybody else has an end of it. */
static void open_session(struct sessions *sessions, const struct session_key *key, const struct session_ends *ends,
                         const struct iovec *datagrams, size_t count, const struct now *now)
{
        struct session *session = NULL;
        int fds[2];

        if (clients_admit(sessions->clients, sessions->gate_port, IPC_UDP, &ends->remote, now) && !clients_busy(sessions->clients) &&
            may_begin(sessions, now->mono_us) && may_have_memory(sessions))
                session = begin(sessions, key, ends, fds, now->mono_us);
        if (!session) {
                *sessions->dropped += count;
                return;
        }
        socket_prepare_datagrams(fds[0]);
        socket_prepare_datagrams(fds[1]);
        touch(session, now->mono_us);
        heap_insert(&sessions->deadlines, &session->deadline, usec_add(now->mono_us, limit_us(session)));
        send_on(session, datagrams, count);
        if (watch_add(sessions->watch, &session->watched, EPOLLIN) < 0) {
                close(fds[1]);
                session_end(session);
                return;
        }
        clients_accept_session(sessions->clients, sessions->gate_port, fds[1], &ends->remote, &ends->local, &session->client, now);
}

void sessions_receive(struct sessions *sessions, const struct session_ends *ends, const struct iovec *datagrams, size_t count,
                      const struct now *now)
{
        struct session_key key = key_of(ends);
        struct session *session = find(sessions, &key);

        if (!session) {
                open_session(sessions, &key, ends, datagrams, count, now);
                return;
        }
        if (session->passage == PASSAGE_OWN) {  /* it has just ended, and we hear of it in a moment */
                *sessions->dropped += count;
                return;
        }
        if (ends->broadcast && session->passage == PASSAGE_PAIR)
                session->passage = PASSAGE_REFUSED;     /* a socket of its own would not get these */
        send_on(session, datagrams, count);
        on_spoken(session, now->mono_us);
        count_busy(session, count, now->mono_us);
}

void sessions_advance(struct sessions *sessions, usec_t now_us)
{
        struct heap_entry *due;

        while ((due = heap_pop_due(&sessions->deadlines, now_us))) {
                struct session *session = container_of(due, struct session, deadline);
                usec_t at_us = usec_add(session->last_us, limit_us(session));

                if (at_us > now_us) {
                        heap_insert(&sessions->deadlines, &session->deadline, at_us);
                        continue;
                }
                session_end(session);
                sessions->told_full = false;
        }
}

usec_t sessions_deadline(const struct sessions *sessions)
{
        return heap_deadline(&sessions->deadlines);
}
