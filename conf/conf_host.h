/* SPDX-License-Identifier: BSD-3-Clause */
/* Names and addresses of hosts, as text: nothing is looked up. The functions return NULL, or what to write instead. */
#ifndef HG_CONF_HOST_H
#define HG_CONF_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"

struct conf_host_port {
        char ip[16];                    /* before an '@', "" when there was none */
        char host[CONF_HOST_MAX];
        uint16_t port;
};

/* A host name (RFC 1123 2.1, '_' let pass) or an IPv4 or IPv6 address. */
const char *conf_host_check(const char *host);

/* The same, or "unix:" and the whole path of a socket: *@local_out, whether that is good or bad. */
const char *conf_host_service(const char *text, bool *local_out);

/* The path in "unix:" and the whole path of a socket; NULL: it is none. */
const char *conf_host_path(const char *text);

/* The same path of gates, with CONF_GATE_PORT_WORD in it, within @text; NULL: it has no "unix:". *@expected_out: what to write instead, or NULL. */
const char *conf_host_gate_path(const char *text, const char **expected_out);

/* "0.0.0.0" */
const char *conf_host_ipv4(const char *text, uint8_t ip_out[4]);

/* IPv4 as ::ffff:a.b.c.d, or IPv6. */
const char *conf_host_address(const char *text, uint8_t ip_out[16]);

/* "[ip@]host:port"; @host is a name or an IPv4 address, for the DHT is IPv4 only. */
const char *conf_host_port(const char *text, struct conf_host_port *out);

#endif
