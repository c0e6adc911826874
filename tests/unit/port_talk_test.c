/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host_name.h"
#include "port_open.h"
#include "port_talk.h"
#include "test.h"

static const uint8_t loopback[16] = { [10] = 0xff, [11] = 0xff, 127, 0, 0, 1 };

/* What @hex is read as; false: nothing. */
static bool read_hex(const char *hex, struct port_said *out)
{
        uint8_t packet[PORT_PACKET_MAX + 16];

        return port_read(packet, test_unhex(hex, packet, sizeof(packet)), out);
}

static void check_written(const struct port_said *said, const char *hex)
{
        uint8_t packet[PORT_PACKET_MAX], expected[PORT_PACKET_MAX];
        size_t len = test_unhex(hex, expected, sizeof(expected));

        check_equal(port_write(said, packet), len);
        check_bytes(packet, expected, len);
}

TEST(each_kind_is_read_as_it_is_written)
{
        struct port_said said;

        check(read_hex("6867703101056d792e6462", &said));
        check(said.kind == PORT_HELLO && strcmp(said.host, "my.db") == 0);
        check_written(&said, "6867703101056d792e6462");
        check(read_hex("686770310207000000013500" "00000000000000000000ffff7f000001", &said));
        check(said.kind == PORT_BIND && said.number == 7 && said.datagrams && said.port == 53);
        check_bytes(said.ip, loopback, 16);
        check_written(&said, "686770310207000000013500" "00000000000000000000ffff7f000001");
        check(read_hex("68677031030700000062000000", &said));
        check(said.kind == PORT_BOUND && said.number == 7 && said.error == EADDRINUSE);
        check_written(&said, "68677031030700000062000000");
}

TEST(what_is_no_packet_is_not_read)
{
        struct port_said said = { .number = 99 };

        check(!read_hex("", &said));
        check(!read_hex("6867703201056d792e6462", &said));              /* another magic */
        check(!read_hex("6867703100", &said));                          /* no kind */
        check(!read_hex("6867703104", &said));
        check(!read_hex("6867703101056d792e64", &said));                /* a byte too short */
        check(!read_hex("6867703101056d792e646200", &said));            /* too long */
        check(!read_hex("6867703101056d790062" "62", &said));           /* NUL in the name */
        check(!read_hex("6867703101ff6d", &said));
        check(!read_hex("686770310207000000023500" "00000000000000000000ffff7f000001", &said));         /* neither TCP nor UDP */
        check(!read_hex("686770310207000000010000" "00000000000000000000ffff7f000001", &said));         /* port 0 */
        check(!read_hex("68677031030700000000100000", &said));          /* no errno */
        check_equal(said.number, 99);
}

TEST(hosts_are_names_of_the_name_service)
{
        char longest[PORT_HOST_MAX + 1];

        check(host_name_good("mysql") && host_name_good("mysql.hyper") && host_name_good("my_sql-2.HYPER") && host_name_good("10.0.0.1"));
        check(!host_name_good("") && !host_name_good(".") && !host_name_good("a..b") && !host_name_good(".a") && !host_name_good("a."));
        check(!host_name_good("-a") && !host_name_good("a-.b") && !host_name_good("a b") && !host_name_good("a/b") && !host_name_good("fd00::1"));
        memset(longest, 'a', sizeof(longest));
        for (size_t i = 63; i < sizeof(longest); i += 64)
                longest[i] = '.';
        longest[PORT_HOST_MAX - 1] = '\0';
        check(host_name_good(longest));
        longest[PORT_HOST_MAX - 1] = 'a';
        longest[PORT_HOST_MAX] = '\0';
        check(!host_name_good(longest));
        longest[64] = '\0';
        check(!host_name_good(longest));        /* ends with a dot */
        longest[63] = 'a';
        check(!host_name_good(longest));        /* a label of 64 */
        check(host_name_is_given("mysql.hyper") && host_name_is_given("db1") && host_name_is_given("10.0.0.1a"));
        check(!host_name_is_given("10.0.0.1") && !host_name_is_given("LocalHost") && !host_name_is_given("a..b") && !host_name_is_given("7"));
}

static uint16_t port_of(int fd)
{
        struct sockaddr_in at = { 0 };
        socklen_t len = sizeof(at);

        check(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
        check_equal(ntohl(at.sin_addr.s_addr), INADDR_LOOPBACK);
        return ntohs(at.sin_port);
}

TEST(a_port_is_opened_where_it_is_asked_for)
{
        struct port_said asked = { .kind = PORT_BIND, .port = 40123 };
        int fd = -1, second = -1, listens = 0;
        socklen_t len = sizeof(listens);

        memcpy(asked.ip, loopback, sizeof(asked.ip));
        while (port_open(&asked, &fd) == -EADDRINUSE)
                asked.port++;
        check(fd >= 0);
        check_equal(port_of(fd), asked.port);
        check(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens == 1);
        check_equal(port_open(&asked, &second), -EADDRINUSE);
        check_equal(second, -1);
        close(fd);
        asked.datagrams = true;
        while (port_open(&asked, &fd) == -EADDRINUSE)
                asked.port++;
        check_equal(port_of(fd), asked.port);
        close(fd);
}
