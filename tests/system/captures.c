/* SPDX-License-Identifier: BSD-3-Clause */
/* What other implementations once said, said again to live sockets, changed and made true: to strangers that say it from many addresses
 * of 127.0.0.0/8 the sockets give tokens, and ask questions of their own.
 *
 *   captures SEED SECONDS PER_SECOND PORT... <CAPTURES
 *
 * CAPTURES: one datagram a line, in hexadecimal. A DHT message gets the sender's id and the token that it was given last, is for a target
 * that the sockets asked for or a key that they told, or answers what they asked. Everything but one in four is changed besides. Says at
 * the end: datagrams sent, their bytes, datagrams that came back, their bytes, and of these requests. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "rpc_message.h"

enum { SENDERS = 48, CAPTURES_MAX = 4096, TARGETS_MAX = 64, PORTS_MAX = 16, ASKED_MAX = 64, DATAGRAM_MAX = 1500, PER_TURN = 20 };

struct bytes {
        uint8_t bytes[DATAGRAM_MAX];
        size_t len;
};

struct sender {
        int fd;
        struct addr addr;
        uint8_t token[PORTS_MAX][RPC_TOKEN_BYTES];      /* the last one from each port, */
        bool has_token[PORTS_MAX];      /* if any */
};

struct asked {
        size_t sender;
        struct sockaddr_in from;
        uint16_t tid;
};

struct captures {
        uint64_t random;
        struct bytes *all;
        size_t count;
        uint8_t targets[TARGETS_MAX][RPC_TARGET_BYTES];
        size_t target_count;            /* noted so far; the newest are kept */
        struct sender senders[SENDERS];
        uint16_t ports[PORTS_MAX];
        size_t port_count;
        struct asked asked[ASKED_MAX];  /* not answered yet, a ring */
        size_t asked_count, answered_count;
        unsigned long long sent, sent_bytes, received, received_bytes, requests;
};

static _Noreturn void die(const char *what)
{
        fprintf(stderr, "captures: %s: %s\n", what, strerror(errno));
        exit(EXIT_FAILURE);
}

static uint64_t now_us(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* xorshift64*: the same seed, the same choices. */
static size_t below(struct captures *c, size_t bound)
{
        c->random ^= c->random >> 12;
        c->random ^= c->random << 25;
        c->random ^= c->random >> 27;
        return bound ? (size_t)((c->random * 2685821657736338717ULL) >> 32) % bound : 0;
}

static size_t unhex(const char *text, uint8_t *out, size_t max)
{
        unsigned byte;
        size_t len = 0;

        for (; len < max && sscanf(text, "%2x", &byte) == 1; text += 2)
                out[len++] = (uint8_t)byte;
        return len;
}

static void read_captures(struct captures *c)
{
        static char line[2 * DATAGRAM_MAX + 2];

        c->all = calloc(CAPTURES_MAX, sizeof(*c->all));
        if (!c->all)
                die("memory");
        while (c->count < CAPTURES_MAX && fgets(line, sizeof(line), stdin))
                c->count += (c->all[c->count].len = unhex(line, c->all[c->count].bytes, DATAGRAM_MAX)) > 0;
        if (c->count == 0)
                die("no captures");
}

/* 127.N.N.1: no two of them share a /24. */
static void open_senders(struct captures *c)
{
        for (size_t i = 0; i < SENDERS; i++) {
                struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001 + ((uint32_t)i + 1) * 0x010100) };
                socklen_t len = sizeof(from);
                struct sender *sender = &c->senders[i];

                sender->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                if (sender->fd < 0 || bind(sender->fd, (struct sockaddr *)&from, len) < 0 ||
                    getsockname(sender->fd, (struct sockaddr *)&from, &len) < 0)
                        die("socket");
                memcpy(sender->addr.ip, &from.sin_addr, 4);
                sender->addr.port = ntohs(from.sin_port);
        }
}

/* A DHT message as @sender could say it to port @port; *@asked: it is the answer to that. False: it is none. */
static bool make_true(struct captures *c, const struct sender *sender, size_t port, const struct asked *asked, struct bytes *b)
{
        uint8_t copy[DATAGRAM_MAX], id[RPC_ID_BYTES];
        struct rpc_message message;

        memcpy(copy, b->bytes, b->len);
        if (!rpc_message_read(copy, b->len, &message) || (asked && message.type != RPC_TYPE_RESPONSE))
                return false;
        rpc_node_id(&sender->addr, id);
        message.tid = asked ? asked->tid : (uint16_t)below(c, 65536);
        if (message.id || below(c, 2))
                message.id = id;
        if (message.token && sender->has_token[port])
                message.token = sender->token[port];
        if (message.target && c->target_count && below(c, 2))
                message.target = c->targets[below(c, MIN(c->target_count, (size_t)TARGETS_MAX))];
        b->len = rpc_message_write(&message, b->bytes, sizeof(b->bytes));
        return b->len > 0;
}

static void change_one(struct captures *c, struct bytes *b)
{
        static const uint8_t edges[] = { 0, 1, 0x7f, 0x80, 0xfc, 0xfd, 0xfe, 0xff };
        const struct bytes *other = &c->all[below(c, c->count)];
        size_t at = below(c, b->len), count = below(c, b->len - at + 1), from;

        switch (below(c, 7)) {
        case 0:
                b->bytes[at] ^= (uint8_t)(1u << below(c, 8));
                break;
        case 1:
                b->bytes[at] = edges[below(c, sizeof(edges))];
                break;
        case 2:
                b->bytes[at] = (uint8_t)below(c, 256);
                break;
        case 3:                         /* cut off */
                b->len = at + 1;
                break;
        case 4:                         /* cut out */
                memmove(b->bytes + at, b->bytes + at + count, b->len - at - count);
                b->len -= count;
                break;
        case 5:                         /* said twice */
                count = MIN(count, DATAGRAM_MAX - b->len);
                memmove(b->bytes + at + count, b->bytes + at, b->len - at);
                b->len += count;
                break;
        default:                        /* goes on as another one */
                from = below(c, other->len);
                count = MIN(other->len - from, DATAGRAM_MAX - at);
                memcpy(b->bytes + at, other->bytes + from, count);
                b->len = MAX(b->len, at + count);
        }
}

static void change(struct captures *c, struct bytes *b)
{
        for (size_t n = below(c, 4) ? 1 + below(c, 4) : 0; n > 0 && b->len; n--)
                change_one(c, b);
}

static void send_from(struct captures *c, size_t which, const struct sockaddr_in *to, const struct bytes *b)
{
        if (sendto(c->senders[which].fd, b->bytes, b->len, 0, (const struct sockaddr *)to, sizeof(*to)) < 0)
                return;         /* full for the moment, or a port that was closed answered the one before */
        c->sent++;
        c->sent_bytes += b->len;
}

static void say_one(struct captures *c)
{
        size_t which = below(c, SENDERS), port = below(c, c->port_count);
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(c->ports[port]), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct bytes b = c->all[below(c, c->count)];

        make_true(c, &c->senders[which], port, NULL, &b);
        change(c, &b);
        send_from(c, which, &to, &b);
}

/* Somebody asked: an answer that was once given to somebody else. */
static void answer_one(struct captures *c)
{
        const struct asked *asked = &c->asked[c->answered_count++ % ASKED_MAX];

        for (unsigned tries = 0; tries < 50; tries++) {
                struct bytes b = c->all[below(c, c->count)];

                if (!make_true(c, &c->senders[asked->sender], 0, asked, &b))
                        continue;
                change(c, &b);
                send_from(c, asked->sender, &asked->from, &b);
                return;
        }
}

static void note_target(struct captures *c, const struct rpc_message *message)
{
        uint8_t *target = c->targets[c->target_count % TARGETS_MAX];

        if (message->target)
                memcpy(target, message->target, RPC_TARGET_BYTES);
        else if (message->value_len > 32)       /* an array of records, each of which begins with a key: hyperdht lib/messages.js */
                crypto_generichash(target, RPC_TARGET_BYTES, message->value + 1, 32, NULL, 0);
        else
                return;
        c->target_count++;
}

static void hear(struct captures *c, size_t which, const struct sockaddr_in *from, const uint8_t *bytes, size_t len)
{
        struct sender *sender = &c->senders[which];
        struct rpc_message message;

        c->received++;
        c->received_bytes += len;
        if (!rpc_message_read(bytes, len, &message))
                return;
        note_target(c, &message);
        if (message.type == RPC_TYPE_REQUEST) {
                c->requests++;
                c->asked[c->asked_count++ % ASKED_MAX] = (struct asked){ which, *from, message.tid };
                if (c->asked_count - c->answered_count > ASKED_MAX)
                        c->answered_count = c->asked_count - ASKED_MAX;
        }
        for (size_t i = 0; message.token && i < c->port_count; i++) {
                if (c->ports[i] != ntohs(from->sin_port))
                        continue;
                memcpy(sender->token[i], message.token, RPC_TOKEN_BYTES);
                sender->has_token[i] = true;
        }
}

static void hear_all(struct captures *c)
{
        uint8_t bytes[65536];
        struct sockaddr_in from;
        socklen_t size = sizeof(from);
        ssize_t len;

        for (size_t i = 0; i < SENDERS; i++)
                while ((len = recvfrom(c->senders[i].fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &size)) >= 0)
                        hear(c, i, &from, bytes, (size_t)len);
}

static void say_all(struct captures *c, uint64_t seconds, uint64_t per_second)
{
        uint64_t began_us = now_us(), end_us = began_us + seconds * 1000000, now;

        for (uint64_t tried = 0; (now = now_us()) < end_us;) {
                hear_all(c);
                while (c->answered_count < c->asked_count)
                        answer_one(c);
                if (tried > (now - began_us) * per_second / 1000000) {
                        usleep(500);
                        continue;
                }
                for (int i = 0; i < PER_TURN; i++, tried++)
                        say_one(c);
        }
        usleep(200000);
        hear_all(c);
}

int main(int argc, char **argv)
{
        static struct captures c;

        if (argc < 5 || argc - 4 > PORTS_MAX) {
                fprintf(stderr, "usage: captures SEED SECONDS PER_SECOND PORT... <CAPTURES\n");
                return EXIT_FAILURE;
        }
        c.random = strtoull(argv[1], NULL, 10) * 2 + 1;
        for (int i = 4; i < argc; i++)
                c.ports[c.port_count++] = (uint16_t)atoi(argv[i]);
        read_captures(&c);
        open_senders(&c);
        say_all(&c, strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
        printf("%llu %llu %llu %llu %llu\n", c.sent, c.sent_bytes, c.received, c.received_bytes, c.requests);
        for (size_t i = 0; i < SENDERS; i++)
                close(c.senders[i].fd);
        free(c.all);
        return EXIT_SUCCESS;
}
