/* SPDX-License-Identifier: BSD-3-Clause */
/* Strangers: datagrams to live sockets from many addresses of 127.0.0.0/8, as fast as asked.
 *
 *   strangers SEED SECONDS PER_SECOND PORT... <SEEDS
 *
 * SEEDS: one datagram a line, in hexadecimal. Each datagram sent is one of them as it is, one changed in a few places, cut or
 * grown, a UDX packet for a stream nobody knows, or noise. Says at the end: datagrams sent, their bytes, datagrams that came
 * back, their bytes. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
        SENDERS = 64,
        SEEDS_MAX = 1024,
        PORTS_MAX = 16,
        DATAGRAM_MAX = 1500,
        UDX_HEADER_BYTES = 20,
        PER_TURN = 50,
};

struct seed {
        uint8_t bytes[DATAGRAM_MAX];
        size_t len;
};

struct strangers {
        uint64_t random;
        struct seed *seeds;
        size_t seed_count;
        int senders[SENDERS];
        uint16_t ports[PORTS_MAX];
        size_t port_count;
        uint64_t sent, sent_bytes, received, received_bytes;
};

static _Noreturn void die(const char *what)
{
        fprintf(stderr, "strangers: %s: %s\n", what, strerror(errno));
        exit(EXIT_FAILURE);
}

static uint64_t now_us(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* xorshift64*: repeatable, and good enough for noise. */
static uint32_t below(struct strangers *s, uint32_t bound)
{
        s->random ^= s->random >> 12;
        s->random ^= s->random << 25;
        s->random ^= s->random >> 27;
        return (uint32_t)((s->random * 2685821657736338717ULL) >> 32) % bound;
}

static void read_seeds(struct strangers *s)
{
        char line[2 * DATAGRAM_MAX + 2];

        s->seeds = calloc(SEEDS_MAX, sizeof(*s->seeds));
        if (!s->seeds)
                die("memory");
        while (s->seed_count < SEEDS_MAX && fgets(line, sizeof(line), stdin)) {
                struct seed *seed = &s->seeds[s->seed_count];
                unsigned byte;

                for (const char *at = line; seed->len < DATAGRAM_MAX && sscanf(at, "%2x", &byte) == 1; at += 2)
                        seed->bytes[seed->len++] = (uint8_t)byte;
                s->seed_count += seed->len > 0;
        }
        if (s->seed_count == 0)
                die("no seeds");
}

/* 127.N.N.1: no two of them share a /24, so that limits by address see strangers, not one stranger. */
static void open_senders(struct strangers *s)
{
        for (size_t i = 0; i < SENDERS; i++) {
                struct sockaddr_in from = { .sin_family = AF_INET };

                from.sin_addr.s_addr = htonl(0x7f000001 + ((uint32_t)i + 1) * 0x010100);
                s->senders[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                if (s->senders[i] < 0 || bind(s->senders[i], (struct sockaddr *)&from, sizeof(from)) < 0)
                        die("socket");
        }
}

static size_t noise(struct strangers *s, uint8_t *out)
{
        size_t len = below(s, DATAGRAM_MAX);

        for (size_t i = 0; i < len; i++)
                out[i] = (uint8_t)below(s, 256);
        return len;
}

/* Magic, version, any flags, no such stream: libudx v1, src/udx.c process_packet(). */
static size_t unknown_stream(struct strangers *s, uint8_t *out)
{
        size_t len = UDX_HEADER_BYTES + below(s, 1000);

        for (size_t i = 0; i < len; i++)
                out[i] = (uint8_t)below(s, 256);
        out[0] = 0xff;
        out[1] = 1;
        out[2] &= 0x1f;
        out[3] = 0;
        return len;
}

static size_t as_it_is(struct strangers *s, uint8_t *out)
{
        const struct seed *seed = &s->seeds[below(s, (uint32_t)s->seed_count)];

        memcpy(out, seed->bytes, seed->len);
        return seed->len;
}

static size_t changed(struct strangers *s, uint8_t *out)
{
        size_t len = as_it_is(s, out);

        for (uint32_t n = 1 + below(s, 4); n > 0; n--)
                out[below(s, (uint32_t)len)] = (uint8_t)below(s, 256);
        if (below(s, 4) == 0)
                len = 1 + below(s, (uint32_t)len);
        else if (below(s, 4) == 0)
                while (len < DATAGRAM_MAX && below(s, 50) != 0)
                        out[len++] = (uint8_t)below(s, 256);
        return len;
}

static void send_one(struct strangers *s)
{
        static size_t (*const kinds[])(struct strangers *, uint8_t *) = { noise, unknown_stream, as_it_is, changed, changed };
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(s->ports[below(s, (uint32_t)s->port_count)]) };
        uint8_t bytes[DATAGRAM_MAX];
        size_t len = kinds[below(s, sizeof(kinds) / sizeof(kinds[0]))](s, bytes);

        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (sendto(s->senders[below(s, SENDERS)], bytes, len, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
                return;         /* full for the moment, or a port that was closed answered the one before */
        s->sent++;
        s->sent_bytes += len;
}

static void receive_all(struct strangers *s)
{
        uint8_t bytes[65536];
        ssize_t len;

        for (size_t i = 0; i < SENDERS; i++)
                while ((len = recv(s->senders[i], bytes, sizeof(bytes), 0)) >= 0) {
                        s->received++;
                        s->received_bytes += (uint64_t)len;
                }
}

static void flood(struct strangers *s, uint64_t seconds, uint64_t per_second)
{
        uint64_t began_us = now_us(), end_us = began_us + seconds * 1000000, now;

        for (uint64_t tried = 0; (now = now_us()) < end_us;) {
                if (tried > (now - began_us) * per_second / 1000000) {
                        usleep(500);
                        receive_all(s);
                        continue;
                }
                for (int i = 0; i < PER_TURN; i++, tried++)
                        send_one(s);
        }
        usleep(200000);
        receive_all(s);
}

int main(int argc, char **argv)
{
        struct strangers s = { 0 };

        if (argc < 5 || argc - 4 > PORTS_MAX) {
                fprintf(stderr, "usage: strangers SEED SECONDS PER_SECOND PORT... <SEEDS\n");
                return EXIT_FAILURE;
        }
        s.random = strtoull(argv[1], NULL, 10) * 2 + 1;
        for (int i = 4; i < argc; i++)
                s.ports[s.port_count++] = (uint16_t)atoi(argv[i]);
        read_seeds(&s);
        open_senders(&s);
        flood(&s, strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
        printf("%llu %llu %llu %llu\n", (unsigned long long)s.sent, (unsigned long long)s.sent_bytes,
               (unsigned long long)s.received, (unsigned long long)s.received_bytes);
        for (size_t i = 0; i < SENDERS; i++)
                close(s.senders[i]);
        free(s.seeds);
        return EXIT_SUCCESS;
}
