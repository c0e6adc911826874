/* SPDX-License-Identifier: BSD-3-Clause */
/* Strangers: datagrams to live sockets from many addresses of 127.0.0.0/8, as fast as asked.
 *
 *   strangers [as-they-are] [forged] SEED SECONDS PER_SECOND [ADDRESS:]PORT... <SEEDS
 *
 * SEEDS: one datagram a line, in hexadecimal. Each datagram sent is one of them as it is, one changed in a few places, cut or
 * grown, a UDX packet for a stream nobody knows, or noise; as-they-are: one after another, round and round. forged: each comes from
 * another address of 11.0.0.0 to 126.255.255.255, and what comes back are the packets that this machine hears for one of these: it
 * should be the way there. Says at the end, or when it is terminated: datagrams sent, their bytes, datagrams that came back, their bytes. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
        SENDERS = 64,
        SEEDS_MAX = 16384,
        PORTS_MAX = 16,
        DATAGRAM_MAX = 1500,
        UDX_HEADER_BYTES = 20,
        PER_TURN = 50,
        IP_BYTES = 20,
        UDP_BYTES = 8,
        FORGED_FIRST = 11 << 24,
        FORGED_COUNT = 116 << 24,
};

struct seed {
        uint8_t bytes[DATAGRAM_MAX];
        size_t len;
};

struct strangers {
        uint64_t random;
        struct seed *seeds;
        size_t seed_count;
        bool as_they_are;
        size_t next_seed;
        int senders[SENDERS];
        int forger, listener;           /* -1: nothing is forged */
        struct sockaddr_in targets[PORTS_MAX];
        size_t target_count;
        uint64_t sent, sent_bytes, received, received_bytes;
};

static volatile sig_atomic_t terminated;

static void on_signal(int number)
{
        terminated = 1;
}

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

        s->seeds = calloc(SEEDS_MAX, sizeof(*s->seeds));        /* no page of what is not used is there */
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

/* What goes out has all its headers from us; what comes in is whatever this machine hears. */
static void open_forger(struct strangers *s)
{
        s->forger = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);
        s->listener = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_IP));
        if (s->forger < 0 || s->listener < 0)
                die("raw socket");
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

static size_t next(struct strangers *s, uint8_t *out)
{
        const struct seed *seed = &s->seeds[s->next_seed++ % s->seed_count];

        memcpy(out, seed->bytes, seed->len);
        return seed->len;
}

static void put_u16(uint8_t *at, size_t value)
{
        at[0] = (uint8_t)(value >> 8);
        at[1] = (uint8_t)value;
}

/* RFC 791, RFC 768; the kernel fills in identification and checksum, that of UDP may be left out. */
static ssize_t forge(struct strangers *s, const uint8_t *payload, size_t len, const struct sockaddr_in *to)
{
        uint8_t packet[IP_BYTES + UDP_BYTES + DATAGRAM_MAX] = { 0x45 };
        uint32_t from = htonl(FORGED_FIRST + below(s, FORGED_COUNT));

        put_u16(packet + 2, IP_BYTES + UDP_BYTES + len);
        packet[8] = 64;
        packet[9] = IPPROTO_UDP;
        memcpy(packet + 12, &from, sizeof(from));
        memcpy(packet + 16, &to->sin_addr, sizeof(to->sin_addr));
        put_u16(packet + IP_BYTES, 1 + below(s, 65535));
        memcpy(packet + IP_BYTES + 2, &to->sin_port, sizeof(to->sin_port));
        put_u16(packet + IP_BYTES + 4, UDP_BYTES + len);
        memcpy(packet + IP_BYTES + UDP_BYTES, payload, len);
        return sendto(s->forger, packet, IP_BYTES + UDP_BYTES + len, 0, (const struct sockaddr *)to, sizeof(*to));
}

static void send_one(struct strangers *s)
{
        static size_t (*const kinds[])(struct strangers *, uint8_t *) = { noise, unknown_stream, as_it_is, changed, changed };
        const struct sockaddr_in *to = &s->targets[below(s, (uint32_t)s->target_count)];
        uint8_t bytes[DATAGRAM_MAX];
        size_t len = s->as_they_are ? next(s, bytes) : kinds[below(s, sizeof(kinds) / sizeof(kinds[0]))](s, bytes);
        ssize_t sent = s->forger >= 0 ? forge(s, bytes, len, to) :
                       sendto(s->senders[below(s, SENDERS)], bytes, len, 0, (const struct sockaddr *)to, sizeof(*to));

        if (sent < 0)
                return;         /* full for the moment, or a port that was closed answered the one before */
        s->sent++;
        s->sent_bytes += len;
}

/* Of all this machine hears. */
static void count_answer(struct strangers *s, const uint8_t *packet, size_t len)
{
        uint32_t to;

        if (len < IP_BYTES + UDP_BYTES)
                return;
        memcpy(&to, packet + 16, sizeof(to));
        if (ntohl(to) - FORGED_FIRST >= FORGED_COUNT)
                return;
        s->received++;
        s->received_bytes += len - IP_BYTES - UDP_BYTES;
}

static void receive_all(struct strangers *s)
{
        struct sockaddr_ll from;
        socklen_t from_len = sizeof(from);
        uint8_t bytes[65536];
        ssize_t len;

        while (s->listener >= 0 &&
               (len = recvfrom(s->listener, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &from_len)) >= 0)
                if (from.sll_pkttype != PACKET_OUTGOING)
                        count_answer(s, bytes, (size_t)len);
        for (size_t i = 0; i < SENDERS; i++)
                while ((len = recv(s->senders[i], bytes, sizeof(bytes), 0)) >= 0) {
                        s->received++;
                        s->received_bytes += (uint64_t)len;
                }
}

static void flood(struct strangers *s, uint64_t seconds, uint64_t per_second)
{
        uint64_t began_us = now_us(), end_us = began_us + seconds * 1000000, now;

        for (uint64_t tried = 0; !terminated && (now = now_us()) < end_us;) {
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

static void read_target(struct strangers *s, const char *word)
{
        const char *colon = strrchr(word, ':');
        struct sockaddr_in *to = &s->targets[s->target_count++];
        char address[INET_ADDRSTRLEN];

        snprintf(address, sizeof(address), "%.*s", colon ? (int)(colon - word) : 9, colon ? word : "127.0.0.1");
        to->sin_family = AF_INET;
        to->sin_port = htons((uint16_t)atoi(colon ? colon + 1 : word));
        if (inet_pton(AF_INET, address, &to->sin_addr) != 1)
                die(word);
}

/* @word, if it is next. */
static bool take(int *argc, char ***argv, const char *word)
{
        if (*argc < 2 || strcmp((*argv)[1], word) != 0)
                return false;
        --*argc;
        ++*argv;
        return true;
}

int main(int argc, char **argv)
{
        struct strangers s = { .forger = -1, .listener = -1, .as_they_are = take(&argc, &argv, "as-they-are") };
        bool forged = take(&argc, &argv, "forged");

        if (argc < 5 || argc - 4 > PORTS_MAX) {
                fprintf(stderr, "usage: strangers [as-they-are] [forged] SEED SECONDS PER_SECOND [ADDRESS:]PORT... <SEEDS\n");
                return EXIT_FAILURE;
        }
        s.random = strtoull(argv[1], NULL, 10) * 2 + 1;
        for (int i = 4; i < argc; i++)
                read_target(&s, argv[i]);
        read_seeds(&s);
        signal(SIGTERM, on_signal);
        open_senders(&s);
        if (forged)
                open_forger(&s);
        flood(&s, strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
        printf("%llu %llu %llu %llu\n", (unsigned long long)s.sent, (unsigned long long)s.sent_bytes,
               (unsigned long long)s.received, (unsigned long long)s.received_bytes);
        for (size_t i = 0; i < SENDERS; i++)
                close(s.senders[i]);
        free(s.seeds);
        return EXIT_SUCCESS;
}
