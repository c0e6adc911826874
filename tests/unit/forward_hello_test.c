/* SPDX-License-Identifier: BSD-3-Clause */
/* The name in a ClientHello of OpenSSL's, whole, in pieces, in fragments, and spoilt. */
#include "forward_hello.h"

#include <string.h>

#include "cleanup.h"
#include "test.h"

/* openssl s_client -servername a.example -alpn h2,http/1.1 -tls1_2 */
static const char recorded[] =
        "16030100c1010000bd0303ad264246b087c5240de1e0b649e95e2d1d72a538ec1d4272abbdfe8704d2750b00001ec02cc030c02bc02fcca9cca8c024"
        "c028c023c027009f009e006b006700ff010000760000000e000c000009612e6578616d706c65000b000403000102000a000c000a001d0017001e0019"
        "0018002300000010000e000c02683208687474702f312e310016000000170000000d002a0028040305030603080708080809080a080b080408050806"
        "040105010601030303010302040205020602";

enum { HELLO_BYTES = 198, HEADER = 5, NAME_AT = 89 };

static uint8_t hello[HELLO_BYTES];
static char name[IPC_NAME_MAX];

static enum hello_verdict read_hello(const uint8_t *bytes, size_t len)
{
        strcpy(name, "untouched");
        return hello_read(bytes, len, name);
}

static void load(void)
{
        check_equal(strlen(recorded), 2 * HELLO_BYTES);
        test_unhex(recorded, hello, sizeof(hello));
}

TEST(a_hello_says_whom_it_is_for)
{
        load();
        check(read_hello(hello, sizeof(hello)) == HELLO_NAMED && strcmp(name, "a.example") == 0);
        memcpy(hello + NAME_AT, "WWW.X-1_2", 9);
        check(read_hello(hello, sizeof(hello)) == HELLO_NAMED && strcmp(name, "www.x-1_2") == 0);
        hello[NAME_AT + 8] = '.';
        check(read_hello(hello, sizeof(hello)) == HELLO_NAMED && strcmp(name, "www.x-1_") == 0);
}

TEST(less_than_a_hello_is_no_news)
{
        load();
        for (size_t len = 0; len < sizeof(hello); len++) {
                check_equal(read_hello(hello, len), HELLO_MORE);
                check(strcmp(name, "untouched") == 0);
        }
}

/* As they cross a middle box that splits them, or a client that wants to see one fail. */
TEST(a_hello_may_come_in_several_records)
{
        static uint8_t pieces[6 * HELLO_BYTES];

        load();
        for (size_t size = 1; size < sizeof(hello); size++) {
                size_t len = 0;

                for (size_t at = HEADER; at < sizeof(hello); at += size) {
                        size_t part = MIN(size, sizeof(hello) - at);
                        const uint8_t header[HEADER] = { 22, 3, 1, (uint8_t)(part >> 8), (uint8_t)part };

                        memcpy(pieces + len, header, HEADER);
                        memcpy(pieces + len + HEADER, hello + at, part);
                        len += HEADER + part;
                        if (at + part < sizeof(hello))
                                check_equal(read_hello(pieces, len), HELLO_MORE);
                }
                check(read_hello(pieces, len) == HELLO_NAMED && strcmp(name, "a.example") == 0);
        }
}

static void check_nameless(size_t at, uint8_t value)
{
        load();
        hello[at] = value;
        if (read_hello(hello, sizeof(hello)) != HELLO_NAMELESS || strcmp(name, "untouched") != 0)
                test_fail(__FILE__, __LINE__, "byte %zu is %u: %s", at, value, name);
}

TEST(what_is_no_hello_or_has_no_name_is_not_waited_for)
{
        static const char request[] = "GET / HTTP/1.1\r\n";

        check_equal(read_hello((const uint8_t *)request, sizeof(request) - 1), HELLO_NAMELESS);
        check_equal(read_hello((const uint8_t *)request, 1), HELLO_NAMELESS);
        check_nameless(0, 23);                  /* data */
        check_nameless(1, 2);                   /* SSL 2.0 */
        check_nameless(5, 2);                   /* ServerHello */
        check_nameless(6, 1);                   /* longer than any */
        check_nameless(HEADER + 4 + 2 + 32, 255);       /* its session is longer than the rest */
        check_nameless(NAME_AT - 3, 1);         /* a name that is none of a host */
        check_nameless(NAME_AT - 1, 255);       /* longer than its extension */
        check_nameless(NAME_AT, '*');
        check_nameless(NAME_AT, ' ');
        check_nameless(NAME_AT, 0);
        check_nameless(NAME_AT - 8, 0x7f);      /* another extension in its place */
        load();
        hello[3] = hello[4] = 0;                /* an empty record */
        check_equal(read_hello(hello, sizeof(hello)), HELLO_NAMELESS);
        load();
        hello[3] = 0x40;                        /* a record that is too large: RFC 8446 5.1 */
        check_equal(read_hello(hello, sizeof(hello)), HELLO_NAMELESS);
}
