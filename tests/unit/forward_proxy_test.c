/* SPDX-License-Identifier: BSD-3-Clause */
/* PROXY headers as the specification has them: its own examples, what it forbids, and what we write read back. */
#include <arpa/inet.h>
#include <string.h>

#include "cleanup.h"
#include "forward_proxy.h"
#include "ipc_forward.h"
#include "ipc_message.h"
#include "test.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define TEXT(literal) (const uint8_t *)(literal), sizeof(literal) - 1

static union socket_address address(const char *ip, uint16_t port)
{
        union socket_address out = { 0 };

        if (inet_pton(AF_INET, ip, &out.v4.sin_addr) == 1) {
                out.v4.sin_family = AF_INET;
                out.v4.sin_port = htons(port);
        } else {
                check_equal(inet_pton(AF_INET6, ip, &out.v6.sin6_addr), 1);
                out.v6.sin6_family = AF_INET6;
                out.v6.sin6_port = htons(port);
        }
        return out;
}

static void check_address(const union socket_address *found, const char *ip, uint16_t port)
{
        union socket_address expected = address(ip, port);

        check_equal(found->any.sa_family, expected.any.sa_family);
        check(memcmp(found, &expected, socket_address_len(&expected)) == 0);
}

static enum proxy_verdict verdict(const uint8_t *bytes, size_t len)
{
        struct proxy_header header;
        size_t size;

        return proxy_read(bytes, len, &header, &size);
}

/* @bytes are that header and no part of it is; what comes behind is not its. */
static void check_read(const uint8_t *bytes, size_t len, struct proxy_header *out)
{
        uint8_t more[PROXY_READ_MAX + 1];
        size_t size = 0;

        for (size_t part = 0; part < len; part++)
                check_equal(verdict(bytes, part), PROXY_MORE);
        memcpy(more, bytes, len);
        more[len] = 'G';
        check_equal(proxy_read(more, len + 1, out, &size), PROXY_OK);
        check_equal(size, len);
}

TEST(version_1_is_read_as_the_specification_has_it)
{
        static const char longest[] = "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535                                                \r\n";
        struct proxy_header header;

        check_read(TEXT("PROXY TCP4 255.255.255.255 192.168.0.11 65535 443\r\n"), &header);
        check(header.named && header.protocol == IPC_TCP);
        check_address(&header.source, "255.255.255.255", 65535);
        check_address(&header.destination, "192.168.0.11", 443);
        check_read(TEXT("PROXY TCP6 2001:db8::1 ::1 0 1\r\n"), &header);
        check_address(&header.source, "2001:db8::1", 0);
        check_address(&header.destination, "::1", 1);
        check_read(TEXT("PROXY UNKNOWN\r\n"), &header);
        check(!header.named);
        check_equal(sizeof(longest) - 1, PROXY_V1_MAX);
        check_read(TEXT(longest), &header);
        check(!header.named);
}

TEST(what_is_no_header_of_version_1_is_not_taken_for_one)
{
        static const char *const texts[] = {
                "GET / HTTP/1.1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
                "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
                "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", "PROXY TCP4 1.2.3.4 ::1 1 2\r\n",
                "PROXY TCP4 ::1 ::1 1 2\r\n", "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
                "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY UNKNOWNS\r\n", "PROXY \r\n", "PROXY\r\n", "\n", "PROXY TCP4\r\n",
                "PROXY UNKNOWN                                                                                              too long\r\n",
        };

        for (size_t i = 0; i < ARRAY_LEN(texts); i++)
                if (verdict((const uint8_t *)texts[i], strlen(texts[i])) != PROXY_BAD)
                        test_fail(__FILE__, __LINE__, "%s", texts[i]);
        check_equal(verdict(TEXT("PROXY UNKNOWN \0\r\n")), PROXY_BAD);
        check_equal(verdict(TEXT("\x16\x03\x01")), PROXY_BAD);
}

TEST(version_2_is_read_as_the_specification_has_it)
{
        static const char tlvs[] = SIGNATURE "\x21\x11\x00\x13" "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x50\x01\xbb" "\x04\x00\x04" "abcd";
        struct proxy_header header;

        check_read(TEXT(SIGNATURE "\x21\x11\x00\x0c" "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x50\x01\xbb"), &header);
        check(header.named && header.protocol == IPC_TCP);
        check_address(&header.source, "1.2.3.4", 80);
        check_address(&header.destination, "5.6.7.8", 443);
        check_read(TEXT(tlvs), &header);
        check_address(&header.source, "1.2.3.4", 80);
        check_read(TEXT(SIGNATURE "\x21\x22\x00\x24" "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01" "\0\x35\xff\xff"), &header);
        check(header.named && header.protocol == IPC_UDP);
        check_address(&header.source, "2001:db8::1", 53);
        check_address(&header.destination, "::1", 65535);
        check_read(TEXT(SIGNATURE "\x20\x00\x00\x00"), &header);
        check(!header.named);
        check_read(TEXT(SIGNATURE "\x20\x11\x00\x0c" "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x50\x01\xbb"), &header);
        check(!header.named);           /* LOCAL: whatever it says */
        check_read(TEXT(SIGNATURE "\x21\x00\x00\x03" "abc"), &header);
        check(!header.named);           /* UNSPEC, which a receiver may also take */
        check_read(TEXT(SIGNATURE "\x21\x31\x00\x01" "a"), &header);
        check(!header.named);           /* AF_UNIX has no address of a client */
}

TEST(what_is_no_header_of_version_2_is_not_taken_for_one)
{
        static const uint8_t largest[] = SIGNATURE "\x20\x00\x0f\xf0", larger[] = SIGNATURE "\x20\x00\x0f\xf1";

        check_equal(verdict(TEXT(SIGNATURE "\x22\x11\x00\x0c" "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x50\x01\xbb")), PROXY_BAD);       /* command */
        check_equal(verdict(TEXT(SIGNATURE "\x11\x11\x00\x0c" "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x50\x01\xbb")), PROXY_BAD);       /* version */
        check_equal(verdict(TEXT(SIGNATURE "\x21\x11\x00\x0b" "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x50\x01")), PROXY_BAD);
        check_equal(verdict(TEXT(SIGNATURE "\x21\x21\x00\x0c" "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x50\x01\xbb")), PROXY_BAD);
        check_equal(verdict(TEXT("\r\n\r\n\0\r\nQUIX\n\x20\x00\x00\x00")), PROXY_BAD);
        check_equal(verdict(largest, sizeof(largest) - 1), PROXY_MORE);
        check_equal(verdict(larger, sizeof(larger) - 1), PROXY_BAD);
}

static struct proxy_header named(uint16_t protocol, const char *source, const char *destination)
{
        return (struct proxy_header){ .named = true, .protocol = protocol, .source = address(source, 40000),
                                      .destination = address(destination, 443) };
}

static void check_written(uint32_t version, const struct proxy_header *header, const uint8_t *expected, size_t len)
{
        uint8_t out[PROXY_WRITE_MAX];

        check_equal(proxy_write(version, header, out), len);
        check_bytes(out, expected, len);
}

TEST(headers_are_written_as_the_specification_has_them)
{
        static const struct proxy_header nobody;
        struct proxy_header v4 = named(IPC_TCP, "1.2.3.4", "5.6.7.8"), v6 = named(IPC_UDP, "2001:db8::1", "::1");
        struct proxy_header mapped = named(IPC_TCP, "::ffff:1.2.3.4", "::ffff:5.6.7.8"), mixed = named(IPC_TCP, "1.2.3.4", "2001:db8::1");
        struct proxy_header longest = named(IPC_TCP, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe");

        check_written(IPC_PROXY_V1, &v4, TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 40000 443\r\n"));
        check_written(IPC_PROXY_V1, &mapped, TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 40000 443\r\n"));
        check_written(IPC_PROXY_V1, &mixed, TEXT("PROXY TCP6 ::ffff:1.2.3.4 2001:db8::1 40000 443\r\n"));
        check_written(IPC_PROXY_V1, &longest,
                      TEXT("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe 40000 443\r\n"));
        check_written(IPC_PROXY_V1, &v6, TEXT("PROXY UNKNOWN\r\n"));    /* of datagrams it can't tell */
        check_written(IPC_PROXY_V1, &nobody, TEXT("PROXY UNKNOWN\r\n"));
        check_written(IPC_PROXY_V2, &nobody, TEXT(SIGNATURE "\x20\0\0\0"));
        check_written(IPC_PROXY_V2, &v4, TEXT(SIGNATURE "\x21\x11\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x9c\x40\x01\xbb"));
        check_written(IPC_PROXY_V2, &v6, TEXT(SIGNATURE "\x21\x22\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
                                              "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x9c\x40\x01\xbb"));
}

TEST(what_is_written_reads_back)
{
        static const char *const ips[] = { "1.2.3.4", "255.255.255.255", "2001:db8::1", "::", "fe80::ffff:1" };

        for (uint32_t version = IPC_PROXY_V1; version <= IPC_PROXY_V2; version++)
                for (size_t i = 0; i < ARRAY_LEN(ips); i++)
                        for (size_t j = 0; j < ARRAY_LEN(ips); j++) {
                                struct proxy_header header = named(IPC_TCP, ips[i], ips[j]), again;
                                uint8_t out[PROXY_WRITE_MAX];
                                size_t len = proxy_write(version, &header, out);

                                check_read(out, len, &again);
                                check_address(&again.source, ips[i], 40000);
                                check_address(&again.destination, ips[j], 443);
                        }
}
