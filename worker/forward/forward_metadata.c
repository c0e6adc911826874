/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_metadata.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Address texts hold hex digits, dots and colons only: nothing to escape in JSON. */
struct endpoint {
        char ip[INET6_ADDRSTRLEN], raw[INET6_ADDRSTRLEN];
        uint16_t port;
};

static struct endpoint endpoint_of(const struct sockaddr_storage *addr)
{
        const struct sockaddr_in *v4 = (const void *)addr;
        const struct sockaddr_in6 *v6 = (const void *)addr;
        struct endpoint endpoint = { .ip = "" };
        bool mapped;

        if (addr->ss_family == AF_INET) {
                inet_ntop(AF_INET, &v4->sin_addr, endpoint.raw, sizeof(endpoint.raw));
                memcpy(endpoint.ip, endpoint.raw, sizeof(endpoint.ip));
                endpoint.port = ntohs(v4->sin_port);
        } else if (addr->ss_family == AF_INET6) {
                mapped = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
                inet_ntop(AF_INET6, &v6->sin6_addr, endpoint.raw, sizeof(endpoint.raw));
                inet_ntop(mapped ? AF_INET : AF_INET6, v6->sin6_addr.s6_addr + (mapped ? 12 : 0), endpoint.ip,
                          sizeof(endpoint.ip));
                endpoint.port = ntohs(v6->sin6_port);
        }
        return endpoint;
}

/* One more text of JSON at @at, behind @before; where that ends, or @at if it would be behind @end. */
static char *put_label(char *at, const char *end, const char *before, const char *label)
{
        char *begin = at;

        if (end - at < (ptrdiff_t)(strlen(before) + 2))
                return begin;
        at = stpcpy(at, before);
        *at++ = '"';
        for (; *label; label++) {
                bool plain = (unsigned char)*label >= 0x20 && *label != '"' && *label != '\\';

                if (end - at < 8)       /* "\u0000", the quote and a NUL */
                        return begin;
                if (plain)
                        *at++ = *label;
                else
                        at += sprintf(at, "\\u%04x", (unsigned)(unsigned char)*label);
        }
        *at++ = '"';
        return at;
}

/* Of the rule that let it in; with the end of the map. */
static size_t put_labels(const char *labels, char out[IPC_METADATA_MAX], size_t len)
{
        char *begin = out + len, *at = begin;
        const char *end = out + IPC_METADATA_MAX - sizeof("]}");

        for (; labels && *labels; labels += strlen(labels) + 1)
                at = put_label(at, end, at == begin ? ",\"ingressLabels\":[" : ",", labels);
        if (at > begin)
                *at++ = ']';
        *at++ = '}';
        return (size_t)(at - out);
}

size_t metadata_write(const struct metadata *metadata, char out[IPC_METADATA_MAX])
{
        struct endpoint source = endpoint_of(&metadata->source), gateway = endpoint_of(&metadata->gateway);
        char id[2 * METADATA_ID_BYTES + 1];
        int len;

        for (size_t i = 0; i < METADATA_ID_BYTES; i++)
                snprintf(id + 2 * i, 3, "%02x", metadata->id[i]);
        len = snprintf(out, IPC_METADATA_MAX,
                       "{\"id\":\"%s\",\"openedAt\":%" PRIu64 ",\"protocol\":\"%s\",\"gatePort\":%u,\"channelPort\":%" PRIu32
                       ",\"source\":{\"ip\":\"%s\",\"ipRaw\":\"%s\",\"port\":%u}"
                       ",\"gateway\":{\"ip\":\"%s\",\"ipRaw\":\"%s\",\"port\":%u}",
                       id, metadata->opened_at_ms, metadata->protocol == IPC_UDP ? "udp" : "tcp", metadata->gate_port,
                       metadata->channel_port, source.ip, source.raw, source.port, gateway.ip, gateway.raw, gateway.port);
        assert(len > 0 && len < IPC_METADATA_MAX - (int)sizeof("]}"));
        return put_labels(metadata->labels, out, (size_t)len);
}

/* --- Reading --- */

enum {
        DEPTH_MAX = 16,                 /* lists and maps in each other; a fingerprint has 2 */
        WORD_MAX = INET6_ADDRSTRLEN,    /* of the texts that are wanted, with their NUL: none of them needs an escape */
};

/* As much of JSON as finds the way through it. */
struct scan {
        const char *at, *end;
        bool failed;
};

/* Whether that comes next, blanks aside. */
static bool scan_sees(struct scan *scan, char wanted)
{
        while (scan->at < scan->end && *scan->at && strchr(" \t\r\n", *scan->at))
                scan->at++;
        return !scan->failed && scan->at < scan->end && *scan->at == wanted;
}

static bool scan_skip(struct scan *scan, char wanted)
{
        bool found = scan_sees(scan, wanted);

        scan->at += found;
        return found;
}

static void scan_need(struct scan *scan, char wanted)
{
        scan->failed = !scan_skip(scan, wanted) || scan->failed;
}

/* A text. @out gets it if it is shorter than @size and has no escapes, else nothing. */
static void scan_text(struct scan *scan, char *out, size_t size)
{
        bool plain = true;
        size_t len = 0;

        out[0] = '\0';
        scan_need(scan, '"');
        while (!scan->failed && scan->at < scan->end && *scan->at != '"') {
                plain = plain && *scan->at != '\\' && *scan->at && len < size - 1;
                if (plain)
                        out[len++] = *scan->at;
                scan->at += *scan->at == '\\' && scan->end - scan->at > 1 ? 2 : 1;
        }
        scan_need(scan, '"');
        out[plain && !scan->failed ? len : 0] = '\0';
}

/* Of a number, or of true, false and null, as they stand there. */
static void scan_word(struct scan *scan, char out[WORD_MAX])
{
        size_t len = 0;

        while (scan->at < scan->end && *scan->at && strchr("+-.0123456789Eaeflnrstu", *scan->at)) {
                if (len < WORD_MAX - 1)
                        out[len++] = *scan->at;
                scan->at++;
        }
        out[len] = '\0';
        scan->failed = scan->failed || len == 0;
}

/* Any value: by its brackets, whatever is in them. */
static void scan_value(struct scan *scan)
{
        unsigned depth = 0;
        char unused[WORD_MAX];

        do {
                scan_skip(scan, ',');
                if (scan_skip(scan, '{') || scan_skip(scan, '[')) {
                        scan->failed = scan->failed || ++depth > DEPTH_MAX;
                } else if (scan_skip(scan, '}') || scan_skip(scan, ']')) {
                        scan->failed = scan->failed || depth-- == 0;
                } else if (scan_sees(scan, '"')) {
                        scan_text(scan, unused, sizeof(unused));
                        scan_skip(scan, ':');
                } else {
                        scan_word(scan, unused);
                }
        } while (depth > 0 && !scan->failed);
}

/* To the member of the map that begins here, or behind the one before; false: there is none any more. */
static bool scan_member(struct scan *scan, bool *begun, char key[WORD_MAX])
{
        if (!*begun)
                scan_need(scan, '{');
        else if (!scan_skip(scan, ','))
                scan_need(scan, '}');
        if (scan->failed || (!*begun && scan_skip(scan, '}')) || (*begun && scan->at[-1] == '}'))
                return false;
        *begun = true;
        scan_text(scan, key, WORD_MAX);
        scan_need(scan, ':');
        return !scan->failed;
}

static bool read_ip(const char *text, uint8_t out[16])
{
        memset(out, 0, 10);
        memset(out + 10, 0xff, 2);
        return inet_pton(AF_INET, text, out + 12) == 1 || inet_pton(AF_INET6, text, out) == 1;
}

static bool read_port(const char *text, uint16_t *out)
{
        size_t len = strspn(text, "0123456789");
        unsigned long port = 0;

        if (len == 0 || len > 5 || text[len])
                return false;
        for (size_t i = 0; i < len; i++)
                port = 10 * port + (unsigned long)(text[i] - '0');
        *out = (uint16_t)port;
        return port <= UINT16_MAX;
}

/* {"ip": "192.0.2.1", "port": 80}, and whatever else. */
static bool scan_endpoint(struct scan *scan, union socket_address *out)
{
        bool begun = false, has_ip = false, has_port = false;
        char key[WORD_MAX], word[WORD_MAX];
        uint8_t ip[16];
        uint16_t port = 0;

        while (scan_member(scan, &begun, key)) {
                bool text = scan_sees(scan, '"');

                if (strcmp(key, "ip") == 0 && text) {
                        scan_text(scan, word, sizeof(word));
                        has_ip = read_ip(word, ip);
                } else if (strcmp(key, "port") == 0 && !text) {
                        scan_word(scan, word);
                        has_port = read_port(word, &port);
                } else {
                        scan_value(scan);
                }
        }
        if (scan->failed || !has_ip || !has_port)
                return false;
        socket_address_from(ip, port, out);
        return true;
}

bool metadata_read(const char *text, size_t len, union socket_address *source_out, union socket_address *gateway_out)
{
        struct scan scan = { .at = text, .end = text + len };
        bool begun = false, has_source = false, has_gateway = false;
        char key[WORD_MAX];

        while (scan_member(&scan, &begun, key)) {
                bool map = scan_sees(&scan, '{');

                if (strcmp(key, "source") == 0 && map)
                        has_source = scan_endpoint(&scan, source_out);
                else if (strcmp(key, "gateway") == 0 && map)
                        has_gateway = scan_endpoint(&scan, gateway_out);
                else
                        scan_value(&scan);
        }
        return !scan.failed && has_source && has_gateway;
}

/* What is no text has no label. */
static void scan_labels(struct scan *scan, char out[IPC_CLIENT_LABELS_MAX])
{
        size_t len = 0;

        scan_need(scan, '[');
        while (!scan->failed && !scan_skip(scan, ']')) {
                if (scan_sees(scan, '"') && len < IPC_CLIENT_LABELS_MAX - 1) {
                        scan_text(scan, out + len, IPC_CLIENT_LABELS_MAX - 1 - len);
                        if (out[len])
                                len += strlen(out + len) + 1;
                        else
                                memset(out + len, 0, IPC_CLIENT_LABELS_MAX - len);      /* what there was of it */
                } else {
                        scan_value(scan);
                }
                if (!scan_skip(scan, ',') && !scan_sees(scan, ']'))
                        scan->failed = true;
        }
}

void metadata_read_labels(const char *text, size_t len, char out[IPC_CLIENT_LABELS_MAX])
{
        struct scan scan = { .at = text, .end = text + len };
        bool begun = false;
        char key[WORD_MAX];

        memset(out, 0, IPC_CLIENT_LABELS_MAX);
        while (scan_member(&scan, &begun, key)) {
                if (strcmp(key, "ingressLabels") != 0 || !scan_sees(&scan, '[')) {
                        scan_value(&scan);
                        continue;
                }
                memset(out, 0, IPC_CLIENT_LABELS_MAX);
                scan_labels(&scan, out);
        }
        if (scan.failed)
                memset(out, 0, IPC_CLIENT_LABELS_MAX);
}

void metadata_address_text(const struct sockaddr_storage *addr, char out[METADATA_ADDRESS_TEXT_MAX])
{
        struct endpoint endpoint = endpoint_of(addr);

        if (!*endpoint.ip)
                snprintf(out, METADATA_ADDRESS_TEXT_MAX, "a unix socket");
        else if (strchr(endpoint.ip, ':'))
                snprintf(out, METADATA_ADDRESS_TEXT_MAX, "[%s]:%u", endpoint.ip, endpoint.port);
        else
                snprintf(out, METADATA_ADDRESS_TEXT_MAX, "%s:%u", endpoint.ip, endpoint.port);
}
