/* SPDX-License-Identifier: BSD-3-Clause */
/* The protocol stack below the tunnel as a program: a DHT node that listens, dials, announces and looks up, for tests with peers
 * of another make. One line of JSON on standard output for everything that happens.
 *
 *      stackpeer HOST:PORT listen SEED [TOPIC]         echoes on each connection, half-close included; announces TOPIC
 *      stackpeer HOST:PORT dial KEY COUNT PARALLEL BYTES       sends BYTES on each connection, wants them back, counts
 *      stackpeer HOST:PORT lookup TOPIC
 *      stackpeer HOST:PORT relay SEED                  is a blind relay
 *
 * HOST:PORT: a node of the DHT. SEED, KEY, TOPIC: 64 hex characters. Ends listening or relaying when standard input ends.
 *
 * RELAY_THROUGH=KEY names that blind relay to whom we dial, or who dials us; RELAY_PORT=PORT says where it is: then nothing but DHT
 * messages gets to or from any other port, as if there were no direct ways. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "conn.h"
#include "dht.h"
#include "list.h"
#include "peer.h"
#include "udx.h"

enum {
        SERVER,
        CLIENT,
        SOCKETS,
};

enum {
        SOCKET_BYTES = 4 * 1024 * 1024,
        RECEIVES_A_TURN = 256,
        CHUNK_BYTES = 60000,
};

/* One connection: it echoes, or sends the pattern and wants it back. */
struct session {
        struct list in_sessions;
        struct conn *conn;
        bool dialled, ended;
        uint64_t sent_bytes, received_bytes;
        bool wrong;
};

struct program {
        int sockets[SOCKETS];
        struct udx_mux *udx;
        struct dht *dht;
        struct peer_set *peers;
        struct peer_listener *listener;
        struct list sessions;
        struct now now;
        const char *verb;
        uint8_t secret_key[crypto_sign_SECRETKEYBYTES], key[32], topic[32];
        bool has_topic, announcing, finished;
        bool relay_through;
        size_t longest;                 /* datagram of UDX that was sent */
        uint8_t relay_key[32];
        uint16_t relay_port, ports[SOCKETS];    /* 0: any port is reached */
        uint64_t bytes;
        unsigned count, parallel, started, done, failed;
};

static void random_bytes(void *context, void *out, size_t len)
{
        randombytes_buf(out, len);
}

static usec_t clock_us(clockid_t clock)
{
        struct timespec time;

        clock_gettime(clock, &time);
        return SECONDS(time.tv_sec) + (usec_t)time.tv_nsec / 1000;
}

static void tell_time(struct program *p)
{
        p->now = (struct now){ clock_us(CLOCK_MONOTONIC), clock_us(CLOCK_BOOTTIME), clock_us(CLOCK_REALTIME) };
}

static _Noreturn void die(const char *what)
{
        fprintf(stderr, "stackpeer: %s\n", what);
        exit(2);
}

static void parse_hex(const char *text, uint8_t out[32])
{
        size_t len;

        if (sodium_hex2bin(out, 32, text, strlen(text), NULL, &len, NULL) < 0 || len != 32)
                die("a key, seed or topic has 64 hex characters");
}

static struct addr parse_addr(char *text)
{
        char *colon = strchr(text, ':');
        struct addr addr;

        if (!colon)
                die("HOST:PORT");
        *colon = '\0';
        if (inet_pton(AF_INET, text, addr.ip) != 1)
                die("HOST is an IPv4 address");
        addr.port = (uint16_t)atoi(colon + 1);
        return addr;
}

static const char *hex(const uint8_t key[32], char out[65])
{
        return sodium_bin2hex(out, 65, key, 32);
}

/* Byte @at of what every dialled connection sends. */
static uint8_t pattern(uint64_t at)
{
        uint64_t x = (at / 8 + 1) * 0x9e3779b97f4a7c15u;

        x ^= x >> 29;
        return (uint8_t)(x >> (8 * (at % 8)));
}

static int open_socket(uint16_t *port_out)
{
        struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t len = sizeof(addr);
        int size = SOCKET_BYTES, fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
                die("no UDP socket");
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        *port_out = ntohs(addr.sin_port);
        return fd;
}

/* --- Datagrams --- */

static bool is_shut(const struct program *p, uint16_t port, const uint8_t *bytes, size_t len)
{
        uint32_t id;

        return p->relay_port && port != p->relay_port && (len == 1 || udx_packet_peek_id(bytes, len, &id));
}

static void send_datagram(struct program *p, unsigned number, const struct addr *to, const void *bytes, size_t len)
{
        struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(to->port) };

        memcpy(&addr.sin_addr, to->ip, 4);
        if (is_shut(p, to->port, bytes, len))
                return;
        if (sendto(p->sockets[number], bytes, len, 0, (struct sockaddr *)&addr, sizeof(addr)) < 0 && errno == EAGAIN)
                poll(&(struct pollfd){ .fd = p->sockets[number], .events = POLLOUT }, 1, 10);
}

static void transmit(struct program *p)
{
        static uint8_t run[65536];
        struct rpc_send request;
        struct udx_send send;

        while (dht_transmit(p->dht, &request))
                send_datagram(p, request.socket, &request.to, request.bytes, request.len);
        while (udx_mux_transmit(p->udx, &send, p->now.mono_us)) {
                size_t len = 0;

                for (unsigned i = 0; i < send.iov_len; i++) {
                        memcpy(run + len, send.iov[i].iov_base, send.iov[i].iov_len);
                        len += send.iov[i].iov_len;
                }
                p->longest = MAX(p->longest, (size_t)send.segment_bytes);
                for (size_t at = 0; at < len; at += send.segment_bytes)
                        send_datagram(p, send.socket, &send.remote, run + at, MIN(send.segment_bytes, len - at));
        }
}

static void receive(struct program *p, unsigned number)
{
        uint8_t bytes[2048];
        struct sockaddr_in addr;

        for (int i = 0; i < RECEIVES_A_TURN; i++) {
                socklen_t addr_len = sizeof(addr);
                ssize_t len = recvfrom(p->sockets[number], bytes, sizeof(bytes), 0, (struct sockaddr *)&addr, &addr_len);
                struct addr from = { .port = ntohs(addr.sin_port) };

                if (len < 0)
                        return;
                memcpy(from.ip, &addr.sin_addr, 4);
                if (is_shut(p, from.port, bytes, (size_t)len))
                        continue;
                if (udx_mux_receive(p->udx, number, &from, bytes, (size_t)len, p->now.mono_us) == UDX_NOT_OURS)
                        dht_receive(p->dht, number, &from, bytes, (size_t)len, &p->now);
        }
}

/* --- Sessions --- */

static void session_echo(struct program *p, struct session *s)
{
        const uint8_t *bytes;
        size_t len;

        while ((len = conn_peek(s->conn, &bytes)) > 0) {
                len = MIN(len, CHUNK_BYTES);
                if (conn_room_bytes(s->conn) < len + CONN_SEAL_BYTES || !conn_seal(s->conn, bytes, len, p->now.mono_us))
                        return;
                conn_consume(s->conn, len);
                s->received_bytes += len;
        }
        if (conn_at_end(s->conn) && !s->ended) {
                conn_end(s->conn);
                s->ended = true;
        }
}

static void session_send(struct program *p, struct session *s)
{
        static uint8_t chunk[CHUNK_BYTES];

        while (s->sent_bytes < p->bytes) {
                size_t len = (size_t)MIN(p->bytes - s->sent_bytes, CHUNK_BYTES);

                if (conn_room_bytes(s->conn) < len + CONN_SEAL_BYTES)
                        return;
                for (size_t i = 0; i < len; i++)
                        chunk[i] = pattern(s->sent_bytes + i);
                if (!conn_seal(s->conn, chunk, len, p->now.mono_us))
                        return;
                s->sent_bytes += len;
        }
        if (!s->ended) {
                conn_end(s->conn);
                s->ended = true;
        }
}

static void session_receive(struct session *s)
{
        const uint8_t *bytes;
        size_t len;

        while ((len = conn_peek(s->conn, &bytes)) > 0) {
                for (size_t i = 0; i < len; i++)
                        s->wrong = s->wrong || bytes[i] != pattern(s->received_bytes + i);
                s->received_bytes += len;
                conn_consume(s->conn, len);
        }
}

static void session_pump(struct program *p, struct session *s)
{
        if (!s->dialled) {
                session_echo(p, s);
                return;
        }
        session_send(p, s);
        session_receive(s);
}

static struct session *session_begin(struct program *p, const struct peer_event *event, bool dialled)
{
        struct session *s = calloc(1, sizeof(*s));

        assert(s);
        s->conn = event->conn;
        s->dialled = dialled;
        if (p->relay_port)
                printf("{\"event\":\"open\",\"relayed\":%s}\n", conn_is_relayed(s->conn) ? "true" : "false");
        conn_set_context(s->conn, s);
        list_push_back(&p->sessions, &s->in_sessions);
        return s;
}

static void session_over(struct program *p, struct session *s, enum peer_reason reason)
{
        bool good;

        session_pump(p, s);
        good = reason == PEER_CONN_DONE && !s->wrong && (!s->dialled || s->received_bytes == p->bytes);
        printf("{\"event\":\"closed\",\"dialled\":%s,\"good\":%s,\"reason\":%d,\"bytes\":%llu,\"datagram\":%zu}\n",
               s->dialled ? "true" : "false", good ? "true" : "false", reason, (unsigned long long)s->received_bytes,
               p->longest);
        p->done += s->dialled;
        p->failed += s->dialled && !good;
        list_remove(&s->in_sessions);
        conn_free(s->conn);
        free(s);
}

/* --- What to do --- */

static void dial_more(struct program *p)
{
        while (p->started < p->count && p->started - p->done < p->parallel) {
                struct peer_dial_spec spec = { .secret_key = p->secret_key, .remote_key = p->key,
                                               .relay_through = p->relay_through ? p->relay_key : NULL };
                struct peer_dial *dial;

                if (peer_dial(p->peers, &spec, &dial, &p->now) < 0)
                        die("can't dial");
                p->started++;
        }
        if (p->done == p->count) {
                printf("{\"event\":\"dialled\",\"count\":%u,\"failed\":%u}\n", p->count, p->failed);
                p->finished = true;
        }
}

static void query(struct program *p, enum dht_operation operation)
{
        struct addr relays[DHT_RELAYS_MAX];
        struct dht_query_spec spec = { .operation = operation, .target = p->topic };

        if (operation == DHT_ANNOUNCE) {
                spec.secret_key = p->secret_key;
                spec.relays = relays;
                spec.relay_count = peer_listener_relays(p->listener, relays);
                spec.clear = true;
        }
        if (!dht_query(p->dht, &spec, &p->now))
                die("no memory for a query");
}

static void begin(struct program *p)
{
        char text[65];

        if (strcmp(p->verb, "listen") == 0) {
                struct peer_listen_spec spec = { .secret_key = p->secret_key };

                if (peer_listen(p->peers, &spec, &p->listener, &p->now) < 0)
                        die("can't listen");
                if (p->relay_through)
                        peer_listener_relay_through(p->listener, p->relay_key, NULL, true);
                printf("{\"event\":\"listening\",\"key\":\"%s\"}\n", hex(peer_listener_key(p->listener), text));
        } else if (strcmp(p->verb, "dial") == 0) {
                dial_more(p);
        } else if (strcmp(p->verb, "relay") == 0) {
                struct peer_relay_spec spec = { .secret_key = p->secret_key };

                if (peer_relay_start(p->peers, &spec, &p->now) < 0)
                        die("can't relay");
                printf("{\"event\":\"relaying\",\"key\":\"%s\",\"ports\":[%d,%d]}\n", hex(p->secret_key + 32, text), p->ports[SERVER],
                       p->ports[CLIENT]);
        } else {
                query(p, DHT_LOOKUP);
        }
}

static void on_dht_event(struct program *p, const struct dht_event *event)
{
        char text[65];

        if (event->kind == DHT_BOOTSTRAPPED) {
                begin(p);
        } else if (event->kind == DHT_PEER_LISTED) {
                printf("{\"event\":\"listed\",\"key\":\"%s\",\"relays\":%zu}\n", hex(event->public_key, text), event->relay_count);
        } else if (event->kind == DHT_QUERY_DONE) {
                printf("{\"event\":\"done\",\"replies\":%u,\"accepted\":%u}\n", event->replies, event->accepted);
                p->finished = strcmp(p->verb, "lookup") == 0;
        }
}

static void on_peer_event(struct program *p, const struct peer_event *event)
{
        switch (event->kind) {
        case PEER_CONNECTED:
        case PEER_ACCEPTED:
                session_begin(p, event, event->kind == PEER_CONNECTED);
                break;
        case PEER_DIAL_FAILED:
                printf("{\"event\":\"dial failed\",\"failure\":%d}\n", event->failure);
                p->done++;
                p->failed++;
                break;
        case PEER_RELAYS_CHANGED:
                printf("{\"event\":\"announced\"}\n");
                if (p->has_topic && !p->announcing)
                        query(p, DHT_ANNOUNCE);
                p->announcing = true;
                break;
        case PEER_CONN_CLOSED:
                session_over(p, event->context, event->reason);
                break;
        case PEER_UNLISTENED:
                p->finished = true;
                break;
        default:
                break;
        }
}

static bool drain(struct program *p)
{
        struct dht_event dht_happened;
        struct peer_event peer_happened;
        bool any = false;

        while (dht_event(p->dht, &dht_happened)) {
                any = true;
                if (!peer_dht_event(p->peers, &dht_happened, &p->now))
                        on_dht_event(p, &dht_happened);
        }
        while (peer_event(p->peers, &peer_happened, &p->now)) {
                any = true;
                on_peer_event(p, &peer_happened);
        }
        return any;
}

static void settle(struct program *p)
{
        udx_mux_advance(p->udx, p->now.mono_us);
        dht_advance(p->dht, &p->now);
        peer_advance(p->peers, &p->now);
        for (int rounds = 0; rounds < 16 && drain(p); rounds++) {
                list_for_each(at, &p->sessions)
                        session_pump(p, list_entry(at, struct session, in_sessions));
                if (strcmp(p->verb, "dial") == 0 && p->started)
                        dial_more(p);
        }
        transmit(p);
        fflush(stdout);
}

static int timeout_ms(const struct program *p)
{
        usec_t deadline_us = usec_min(udx_mux_deadline(p->udx), usec_min(dht_deadline(p->dht), peer_deadline(p->peers)));

        if (deadline_us <= p->now.mono_us)
                return 0;
        return (int)usec_min((deadline_us - p->now.mono_us + 999) / 1000, 1000);
}

static void stop_relaying(struct program *p)
{
        struct peer_relay_stats stats = { 0 };

        peer_relay_stats(p->peers, &stats);
        printf("{\"event\":\"relayed\",\"made\":%llu,\"bytes\":%llu}\n", (unsigned long long)stats.made, (unsigned long long)stats.bytes);
        peer_relay_stop(p->peers, &p->now);
        transmit(p);
}

static void run(struct program *p)
{
        bool stopping = false, is_relay = strcmp(p->verb, "relay") == 0;

        while (!p->finished) {
                struct pollfd fds[SOCKETS + 1] = {
                        { .fd = p->sockets[SERVER], .events = POLLIN },
                        { .fd = p->sockets[CLIENT], .events = POLLIN },
                        { .fd = stopping || (!is_relay && strcmp(p->verb, "listen") != 0) ? -1 : STDIN_FILENO, .events = POLLIN },
                };
                char ignored[256];

                poll(fds, SOCKETS + 1, timeout_ms(p));
                tell_time(p);
                receive(p, SERVER);
                receive(p, CLIENT);
                if (fds[SOCKETS].revents && read(STDIN_FILENO, ignored, sizeof(ignored)) <= 0) {
                        stopping = true;
                        if (is_relay) {
                                stop_relaying(p);
                                return;
                        }
                        peer_unlisten(p->listener, &p->now);
                }
                settle(p);
        }
}

static void parse(struct program *p, int argc, char **argv)
{
        uint8_t seed[32], public_key[32];

        if (getenv("RELAY_THROUGH")) {
                p->relay_through = true;
                parse_hex(getenv("RELAY_THROUGH"), p->relay_key);
        }
        if (getenv("RELAY_PORT"))
                p->relay_port = (uint16_t)atoi(getenv("RELAY_PORT"));
        if (argc < 3)
                die("HOST:PORT listen|dial|lookup ...");
        p->verb = argv[2];
        random_bytes(NULL, seed, sizeof(seed));
        if (strcmp(p->verb, "listen") == 0 && argc >= 4) {
                parse_hex(argv[3], seed);
                p->has_topic = argc == 5;
                if (p->has_topic)
                        parse_hex(argv[4], p->topic);
        } else if (strcmp(p->verb, "dial") == 0 && argc == 7) {
                parse_hex(argv[3], p->key);
                p->count = (unsigned)atoi(argv[4]);
                p->parallel = (unsigned)atoi(argv[5]);
                p->bytes = strtoull(argv[6], NULL, 10);
        } else if (strcmp(p->verb, "relay") == 0 && argc == 4) {
                parse_hex(argv[3], seed);
        } else if (strcmp(p->verb, "lookup") == 0 && argc == 4) {
                parse_hex(argv[3], p->topic);
        } else {
                die("unknown verb, or not its arguments");
        }
        crypto_sign_seed_keypair(public_key, p->secret_key, seed);
}

static void make(struct program *p, const struct addr *bootstrap)
{
        struct random random = { .fill = random_bytes };
        struct addr local = { .ip = { 127, 0, 0, 1 } };
        uint16_t port, client_port;

        p->sockets[SERVER] = open_socket(&port);
        p->sockets[CLIENT] = open_socket(&client_port);
        p->ports[SERVER] = port;        /* with a port that is not ours we never find ourselves open, below */
        p->ports[CLIENT] = client_port;
        tell_time(p);
        list_init(&p->sessions);
        p->udx = udx_mux_new(&random);
        if (!p->udx || dht_new(&p->dht, &(struct dht_config){ .random = random, .server_socket = SERVER, .client_socket = CLIENT,
                                                              .server_port = p->relay_port ? 1 : port }, &p->now) < 0 ||
            dht_set_bootstrap(p->dht, bootstrap, 1, &p->now) < 0)
                die("no memory");
        local.port = port;
        if (peer_set_new(&p->peers, &(struct peer_config){ .random = random, .udx = p->udx, .dht = p->dht, .server_socket = SERVER,
                                                           .server_local = local }) < 0)
                die("no memory");
        peer_set_local_addresses(p->peers, &local, 1);
}

int main(int argc, char **argv)
{
        static struct program program;
        struct addr bootstrap;

        if (sodium_init() < 0)
                die("no randomness");
        parse(&program, argc, argv);
        bootstrap = parse_addr(argv[1]);
        make(&program, &bootstrap);
        run(&program);
        list_for_each(at, &program.sessions) {
                struct session *s = list_entry(at, struct session, in_sessions);

                conn_free(s->conn);
                free(s);
        }
        peer_set_free(program.peers);
        dht_free(program.dht);
        udx_mux_free(program.udx);
        return program.failed ? 1 : 0;
}
