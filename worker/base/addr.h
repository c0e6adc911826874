/* SPDX-License-Identifier: BSD-3-Clause */
/* A UDP remote: an IPv4 host and a port. The DHT is IPv4 only. */
#ifndef HG_ADDR_H
#define HG_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct addr {
        uint8_t ip[4];  /* in reading order: 10.1.2.3 is { 10, 1, 2, 3 } */
        uint16_t port;  /* host order */
};

#define ADDR_TEXT_MAX 22        /* "255.255.255.255:65535" and its NUL */
#define ADDR_HOST_TEXT_MAX 16

static inline bool addr_equal(const struct addr *a, const struct addr *b)
{
        return memcmp(a->ip, b->ip, sizeof(a->ip)) == 0 && a->port == b->port;
}

static inline bool addr_host_equal(const struct addr *a, const struct addr *b)
{
        return memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

/* A total order for tables and tests: host, then port. */
int addr_compare(const struct addr *a, const struct addr *b);

/* Dotted decimal of the host, NUL-terminated; returns its length. */
size_t addr_host_text(const struct addr *addr, char out[ADDR_HOST_TEXT_MAX]);

/* "host:port", NUL-terminated; returns its length. */
size_t addr_text(const struct addr *addr, char out[ADDR_TEXT_MAX]);

/* 10/8, 100.64/10, 127/8, 169.254/16, 172.16/12, 192.168/16. */
bool addr_is_private(const struct addr *addr);

/* 0/8, 192.0.0/24, 192.0.2/24, 198.18/15, 198.51.100/24, 203.0.113/24, 224/4, 240/4: never dialled. */
bool addr_is_reserved(const struct addr *addr);

/* Not a place to send anything: port 0, 0/8, multicast, class E and broadcast. */
bool addr_is_unusable(const struct addr *addr);

#endif
