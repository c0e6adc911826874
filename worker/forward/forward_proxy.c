/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_proxy.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"
#include "ipc_forward.h"
#include "ipc_message.h"

enum {
        COMMAND_LOCAL = 0x20,           /* with the version, 2, in front */
        COMMAND_PROXY = 0x21,
        FAMILY_NONE = 0x00,             /* AF_UNSPEC, of whatever transport */
        FAMILY_IPV4 = 0x10,             /* AF_INET, and so on: the lower half says which transport */
        FAMILY_IPV6 = 0x20,
        FAMILY_UNIX = 0x30,
        TRANSPORT_STREAM = 1,
        TRANSPORT_DATAGRAM = 2,
        ENDS_IPV4_BYTES = 12,
        ENDS_IPV6_BYTES = 36,
};

static const uint8_t signature[12] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };

/* Both ends as their header tells them. */
struct ends {
        bool v6;
        uint8_t source[16], destination[16];            /* IPv4: the last four */
        uint16_t source_port, destination_port;
};

static bool is_mapped(const uint8_t ip[16])
{
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

        return memcmp(ip, mapped, sizeof(mapped)) == 0;
}

static struct ends ends_of(const struct proxy_header *header)
{
        struct ends ends = { .source_port = socket_address_port(&header->source),
                             .destination_port = socket_address_port(&header->destination) };

        socket_address_ip(&header->source, ends.source);
        socket_address_ip(&header->destination, ends.destination);
        ends.v6 = !is_mapped(ends.source) || !is_mapped(ends.destination);
        return ends;
}

static void print_ip(const uint8_t ip[16], bool v6, char out[INET6_ADDRSTRLEN])
{
        inet_ntop(v6 ? AF_INET6 : AF_INET, v6 ? ip : ip + 12, out, INET6_ADDRSTRLEN);
}

/* Section 2.1. */
static size_t write_v1(const struct proxy_header *header, uint8_t out[PROXY_WRITE_MAX])
{
        char text[PROXY_V1_MAX + 1], source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
        struct ends ends;
        int len;

        if (header->named && header->protocol == IPC_TCP) {
                ends = ends_of(header);
                print_ip(ends.source, ends.v6, source);
                print_ip(ends.destination, ends.v6, destination);
                len = snprintf(text, sizeof(text), "PROXY TCP%c %s %s %u %u\r\n", ends.v6 ? '6' : '4', source, destination, ends.source_port,
                               ends.destination_port);
        } else {
                len = snprintf(text, sizeof(text), "PROXY UNKNOWN\r\n");
        }
        assert(len > 0 && len <= PROXY_V1_MAX);
        memcpy(out, text, (size_t)len);
        return (size_t)len;
}

/* Section 2.2. */
static size_t write_v2(const struct proxy_header *header, uint8_t out[PROXY_WRITE_MAX])
{
        struct writer w = writer_over(out, PROXY_WRITE_MAX);
        struct ends ends;
        size_t skipped;

        write_bytes(&w, signature, sizeof(signature));
        if (!header->named) {
                write_u8(&w, COMMAND_LOCAL);
                write_u8(&w, FAMILY_NONE);
                write_u16be(&w, 0);
                return PROXY_V2_FIXED;
        }
        ends = ends_of(header);
        skipped = ends.v6 ? 0 : 12;
        write_u8(&w, COMMAND_PROXY);
        write_u8(&w, (uint8_t)((ends.v6 ? FAMILY_IPV6 : FAMILY_IPV4) |
                               (header->protocol == IPC_UDP ? TRANSPORT_DATAGRAM : TRANSPORT_STREAM)));
        write_u16be(&w, ends.v6 ? ENDS_IPV6_BYTES : ENDS_IPV4_BYTES);
        write_bytes(&w, ends.source + skipped, 16 - skipped);
        write_bytes(&w, ends.destination + skipped, 16 - skipped);
        write_u16be(&w, ends.source_port);
        write_u16be(&w, ends.destination_port);
        return writer_len(&w);
}

size_t proxy_write(uint32_t version, const struct proxy_header *header, uint8_t out[PROXY_WRITE_MAX])
{
        return version == IPC_PROXY_V1 ? write_v1(header, out) : write_v2(header, out);
}

/* --- Reading --- */

/* The word up to the next blank, or the end; false: there is none, or it is longer than any. */
static bool take_word(const char **at, char out[INET6_ADDRSTRLEN])
{
        size_t len = strcspn(*at, " ");

        if (len == 0 || len >= INET6_ADDRSTRLEN)
                return false;
        memcpy(out, *at, len);
        out[len] = '\0';
        *at += len;
        if (**at)
                (*at)++;
        return true;
}

/* "0" to "65535", without leading zeros. */
static bool take_port(const char **at, uint16_t *out)
{
        char word[INET6_ADDRSTRLEN];
        unsigned long number = 0;

        if (!take_word(at, word) || strlen(word) > 5 || (word[0] == '0' && word[1]))
                return false;
        for (const char *digit = word; *digit; digit++) {
                if (*digit < '0' || *digit > '9')
                        return false;
                number = 10 * number + (unsigned long)(*digit - '0');
        }
        *out = (uint16_t)number;
        return number <= UINT16_MAX;
}

static bool take_ip(const char **at, bool v6, uint8_t out[16])
{
        char word[INET6_ADDRSTRLEN];

        memset(out, 0, 10);
        memset(out + 10, 0xff, 2);
        return take_word(at, word) && inet_pton(v6 ? AF_INET6 : AF_INET, word, v6 ? out : out + 12) == 1;
}

static enum proxy_verdict read_line(const char *text, struct proxy_header *out)
{
        static const char tcp4[] = "PROXY TCP4 ", tcp6[] = "PROXY TCP6 ", unknown[] = "PROXY UNKNOWN";
        bool v6 = strncmp(text, tcp6, strlen(tcp6)) == 0;
        const char *at = text + strlen(tcp4);
        struct ends ends;

        *out = (struct proxy_header){ .protocol = IPC_TCP };
        if (strncmp(text, unknown, strlen(unknown)) == 0)       /* whatever stands behind it, nothing is meant */
                return text[strlen(unknown)] == '\0' || text[strlen(unknown)] == ' ' ? PROXY_OK : PROXY_BAD;
        if (!v6 && strncmp(text, tcp4, strlen(tcp4)) != 0)
                return PROXY_BAD;
        if (!take_ip(&at, v6, ends.source) || !take_ip(&at, v6, ends.destination) || !take_port(&at, &ends.source_port) ||
            !take_port(&at, &ends.destination_port) || *at || at[-1] == ' ')
                return PROXY_BAD;
        out->named = true;
        socket_address_from(ends.source, ends.source_port, &out->source);
        socket_address_from(ends.destination, ends.destination_port, &out->destination);
        return PROXY_OK;
}

/* A line of text, of which nothing is taken before all of it is there. */
static enum proxy_verdict read_v1(const uint8_t *bytes, size_t len, struct proxy_header *out, size_t *size_out)
{
        static const char begins[] = "PROXY ";
        const uint8_t *end = memchr(bytes, '\n', MIN(len, (size_t)PROXY_V1_MAX));
        char text[PROXY_V1_MAX];

        if (memcmp(bytes, begins, MIN(len, strlen(begins))) != 0)
                return PROXY_BAD;
        if (!end)
                return len < PROXY_V1_MAX ? PROXY_MORE : PROXY_BAD;
        *size_out = (size_t)(end - bytes) + 1;
        if (end == bytes || end[-1] != '\r' || memchr(bytes, '\0', *size_out))
                return PROXY_BAD;
        memcpy(text, bytes, *size_out - 2);
        text[*size_out - 2] = '\0';
        return read_line(text, out);
}

static void read_ip(struct reader *r, bool v6, uint8_t out[16])
{
        const uint8_t *bytes = read_bytes(r, v6 ? 16 : 4);

        memset(out, 0, 10);
        memset(out + 10, 0xff, 2);
        if (bytes)
                memcpy(v6 ? out : out + 12, bytes, v6 ? 16 : 4);
}

/* What stands behind them are TLVs, of which we want none. */
static enum proxy_verdict read_ends(struct reader *r, uint8_t family, struct proxy_header *out)
{
        bool v6 = (family & 0xf0) == FAMILY_IPV6;
        struct ends ends;

        read_ip(r, v6, ends.source);
        read_ip(r, v6, ends.destination);
        ends.source_port = read_u16be(r);
        ends.destination_port = read_u16be(r);
        if (r->failed)
                return PROXY_BAD;
        out->named = true;
        out->protocol = (family & 0x0f) == TRANSPORT_DATAGRAM ? IPC_UDP : IPC_TCP;
        socket_address_from(ends.source, ends.source_port, &out->source);
        socket_address_from(ends.destination, ends.destination_port, &out->destination);
        return PROXY_OK;
}

/* Families and transports that are none of ours are good, and name nobody; other commands and versions are not: section 2.2. */
static enum proxy_verdict read_v2(const uint8_t *bytes, size_t len, struct proxy_header *out, size_t *size_out)
{
        struct reader r = reader_over(bytes + sizeof(signature), len - sizeof(signature));
        uint8_t command = read_u8(&r), family = read_u8(&r);
        size_t size = (size_t)PROXY_V2_FIXED + read_u16be(&r);

        if (len < PROXY_V2_FIXED)
                return PROXY_MORE;
        if ((command != COMMAND_LOCAL && command != COMMAND_PROXY) || size > PROXY_READ_MAX)
                return PROXY_BAD;
        if (len < size)
                return PROXY_MORE;
        *size_out = size;
        *out = (struct proxy_header){ .protocol = IPC_TCP };
        r = reader_over(bytes + PROXY_V2_FIXED, size - PROXY_V2_FIXED);
        if (command == COMMAND_LOCAL || (family & 0x0f) < TRANSPORT_STREAM || (family & 0x0f) > TRANSPORT_DATAGRAM ||
            ((family & 0xf0) != FAMILY_IPV4 && (family & 0xf0) != FAMILY_IPV6))
                return PROXY_OK;
        return read_ends(&r, family, out);
}

enum proxy_verdict proxy_read(const uint8_t *bytes, size_t len, struct proxy_header *out, size_t *size_out)
{
        size_t begun = MIN(len, sizeof(signature));

        if (len == 0)
                return PROXY_MORE;
        if (memcmp(bytes, signature, begun) != 0)
                return read_v1(bytes, len, out, size_out);
        return begun < sizeof(signature) ? PROXY_MORE : read_v2(bytes, len, out, size_out);
}
