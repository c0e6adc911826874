/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "test.h"
#include "udp.h"

enum { SEGMENT = 1200, PATIENCE_MS = 5000 };

/* Socket 0 of an udp, and somebody else's on the other side. */
struct pair {
        struct udp udp;
        int other;
        struct addr addr, other_addr;
};

static int bound(struct addr *addr_out, bool gro)
{
        struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t len = sizeof(addr);
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = gro;

        check(fd >= 0);
        check_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
        check_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
        check_equal(setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on)), 0);
        *addr_out = (struct addr){ .ip = { 127, 0, 0, 1 }, .port = ntohs(addr.sin_port) };
        return fd;
}

static void pair_init(struct pair *pair, bool gso)
{
        check_equal(udp_init(&pair->udp), 0);
        udp_take_socket(&pair->udp, 0, bound(&pair->addr, true), gso);
        pair->other = bound(&pair->other_addr, false);
}

static void pair_fini(struct pair *pair)
{
        udp_fini(&pair->udp);
        close(pair->other);
}

static void wait_readable(int fd)
{
        struct pollfd ready = { .fd = fd, .events = POLLIN };

        check_equal(poll(&ready, 1, PATIENCE_MS), 1);
}

static uint8_t pattern(size_t at)
{
        return (uint8_t)(at * 7 + at / 251);
}

/* @len bytes in one run, cut into pieces of memory of all sizes. */
static enum udp_sent send_run(struct pair *pair, size_t len, uint16_t segment)
{
        static uint8_t bytes[65536];
        struct iovec iov[64];
        unsigned count = 0;
        struct datagram out = { .remote = pair->other_addr, .iov = iov, .len = len, .segment_bytes = segment };

        for (size_t i = 0; i < len; i++)
                bytes[i] = pattern(i);
        for (size_t at = 0, piece; at < len; at += piece, count++) {
                piece = MIN(17 + at * 3 / 2, len - at);
                iov[count] = (struct iovec){ bytes + at, piece };
        }
        out.iov_len = count;
        return udp_send(&pair->udp, &out);
}

static void expect_packets(int fd, size_t len, size_t segment)
{
        uint8_t packet[2048];

        for (size_t at = 0, piece; at < len; at += piece) {
                piece = MIN(segment, len - at);
                wait_readable(fd);
                check_equal(recv(fd, packet, sizeof(packet), 0), piece);
                for (size_t i = 0; i < piece; i++)
                        check(packet[i] == pattern(at + i));
        }
}

static void from_other(struct pair *pair, size_t len)
{
        static uint8_t bytes[4096];
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(pair->addr.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

        for (size_t i = 0; i < len; i++)
                bytes[i] = pattern(i);
        check_equal(sendto(pair->other, bytes, len, 0, (struct sockaddr *)&to, sizeof(to)), len);
}

TEST(udp_sends_a_run_as_its_packets_with_and_without_segmentation)
{
        for (int gso = 0; gso < 2; gso++) {
                static const size_t lens[] = { 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 10 * SEGMENT, 20 * SEGMENT + 77 };
                cleanup_with(pair_fini) struct pair pair;

                pair_init(&pair, gso);
                for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
                        check_equal(send_run(&pair, lens[i], SEGMENT), UDP_SENT);
                        expect_packets(pair.other, lens[i], SEGMENT);
                }
                check_equal(send_run(&pair, 900, 0), UDP_SENT);
                expect_packets(pair.other, 900, 900);
        }
}

TEST(udp_receives_what_one_socket_got_and_from_whom)
{
        cleanup_with(pair_fini) struct pair pair;
        struct datagram in;

        pair_init(&pair, true);
        check(!udp_receive(&pair.udp, 0, &in));
        from_other(&pair, 1000);
        wait_readable(pair.udp.sockets[0].fd);
        check(udp_receive(&pair.udp, 0, &in));
        check(in.socket == 0 && in.iov_len == 1 && in.len == 1000 && addr_equal(&in.remote, &pair.other_addr));
        check(((const uint8_t *)in.iov[0].iov_base)[999] == pattern(999));
        check(!udp_receive(&pair.udp, 0, &in));
}

TEST(udp_receives_a_run_as_a_run)
{
        cleanup_with(pair_fini) struct pair pair, back;
        struct datagram in;
        size_t len = 0;

        pair_init(&pair, true);
        pair_init(&back, true);
        back.other_addr = pair.addr;
        check_equal(send_run(&back, 10 * SEGMENT + 5, SEGMENT), UDP_SENT);
        while (len < 10 * SEGMENT + 5) {        /* the kernel joins them, or not */
                wait_readable(pair.udp.sockets[0].fd);
                check(udp_receive(&pair.udp, 0, &in) && in.len);
                check(in.len <= SEGMENT || in.segment_bytes == SEGMENT);
                for (size_t i = 0; i < in.len; i++)
                        check(((const uint8_t *)in.iov[0].iov_base)[i] == pattern(len + i));
                len += in.len;
        }
        check_equal(len, 10 * SEGMENT + 5);
}

TEST(udp_drops_what_is_too_long_for_any_peer_of_ours)
{
        cleanup_with(pair_fini) struct pair pair;
        struct datagram in;

        pair_init(&pair, true);
        from_other(&pair, UDP_SINGLE_MAX + 1);
        from_other(&pair, UDP_SINGLE_MAX);
        wait_readable(pair.udp.sockets[0].fd);
        check(udp_receive(&pair.udp, 0, &in) && in.len == 0);
        check_equal(pair.udp.oversized, 1);
        wait_readable(pair.udp.sockets[0].fd);
        check(udp_receive(&pair.udp, 0, &in) && in.len == UDP_SINGLE_MAX);
}

/* An ICMP error is about a packet of the past, perhaps to a peer that is gone: no reason to stop with the others. */
TEST(udp_goes_on_after_a_port_that_nobody_listens_on)
{
        cleanup_with(pair_fini) struct pair pair;
        struct addr gone, there;
        struct datagram in;

        pair_init(&pair, true);
        there = pair.other_addr;
        close(bound(&gone, false));
        for (int i = 0; i < 3; i++) {
                pair.other_addr = gone;
                check(send_run(&pair, 100, 0) != UDP_HELD);
                pair.other_addr = there;
                check_equal(send_run(&pair, 100, 0), UDP_SENT);
                expect_packets(pair.other, 100, 100);
                from_other(&pair, 50);
                wait_readable(pair.udp.sockets[0].fd);
                check(udp_receive(&pair.udp, 0, &in) && in.len == 50);
        }
}

static int ttl_of_next(int fd)
{
        char byte, control[64];
        struct iovec iov = { &byte, 1 };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
        int ttl = 0;

        wait_readable(fd);
        check_equal(recvmsg(fd, &message, 0), 1);
        for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part))
                if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_TTL)
                        memcpy(&ttl, CMSG_DATA(part), sizeof(ttl));
        return ttl;
}

TEST(udp_sends_a_packet_with_few_hops_to_live_and_the_next_with_many)
{
        struct pair pair;
        uint8_t byte = 0;
        struct iovec iov = { &byte, 1 };
        struct datagram out = { .iov = &iov, .iov_len = 1, .len = 1, .ttl = 5 };
        int on = 1;

        pair_init(&pair, true);
        check_equal(setsockopt(pair.other, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on)), 0);
        out.remote = pair.other_addr;
        check_equal(udp_send(&pair.udp, &out), UDP_SENT);
        check_equal(ttl_of_next(pair.other), 5);
        out.ttl = 0;
        check_equal(udp_send(&pair.udp, &out), UDP_SENT);
        check(ttl_of_next(pair.other) > 5);
        pair_fini(&pair);
}

static int mtu_mode(int fd)
{
        int mode = -1;
        socklen_t len = sizeof(mode);

        check_equal(getsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &mode, &len), 0);
        return mode;
}

/* DF is the socket's, and so is not there or there again for each datagram; a run is sent packet by packet then. */
TEST(udp_sends_what_may_be_cut_without_df_and_the_next_with_it)
{
        static const uint8_t bytes[3 * SEGMENT - 100];
        struct iovec iov = { (void *)(uintptr_t)bytes, sizeof(bytes) };
        cleanup_with(pair_fini) struct pair pair;
        struct datagram run = { .iov = &iov, .iov_len = 1, .len = sizeof(bytes), .segment_bytes = SEGMENT };
        uint8_t in[2 * SEGMENT];

        pair_init(&pair, true);
        run.remote = pair.other_addr;
        check_equal(setsockopt(pair.udp.sockets[0].fd, IPPROTO_IP, IP_MTU_DISCOVER, &(int){ IP_PMTUDISC_PROBE }, sizeof(int)), 0);
        for (unsigned i = 0; i < 4; i++) {
                run.pieces = i % 2;
                check_equal(udp_send(&pair.udp, &run), UDP_SENT);
                check_equal(mtu_mode(pair.udp.sockets[0].fd), run.pieces ? IP_PMTUDISC_DONT : IP_PMTUDISC_PROBE);
                for (unsigned n = 0; n < 3; n++) {
                        wait_readable(pair.other);
                        check_equal(recv(pair.other, in, sizeof(in), 0), n < 2 ? SEGMENT : SEGMENT - 100);
                }
        }
        check(pair.udp.sockets[0].gso);
}

TEST(udp_takes_sockets_until_there_are_too_many_and_closes_them)
{
        struct pair pair;
        struct addr addr;
        uint8_t byte = 0;
        struct iovec iov = { &byte, 1 };
        struct datagram out = { .socket = UDP_SOCKETS_OWN, .iov = &iov, .iov_len = 1, .len = 1 };
        int fd;

        pair_init(&pair, true);
        for (int i = UDP_SOCKETS_OWN; i < UDP_SOCKETS_MAX; i++)
                check_equal(udp_add_socket(&pair.udp, bound(&addr, false), true), i);
        fd = bound(&addr, false);
        check_equal(udp_add_socket(&pair.udp, fd, true), -1);
        udp_close_socket(&pair.udp, UDP_SOCKETS_OWN + 7);
        check_equal(udp_add_socket(&pair.udp, fd, true), UDP_SOCKETS_OWN + 7);
        out.remote = pair.other_addr;
        check_equal(udp_send(&pair.udp, &out), UDP_SENT);
        udp_close_socket(&pair.udp, UDP_SOCKETS_OWN);
        check_equal(udp_send(&pair.udp, &out), UDP_LOST);
        pair_fini(&pair);
}

/* Little room, and it is told what found none. */
static void make_narrow(int fd)
{
        int one = 1, bytes = 20000;

        check_equal(setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof(one)), 0);
        check_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
}

static void stranger_pair_init(struct pair *pair, struct addr *strangers_out)
{
        int fd = bound(strangers_out, false);

        pair_init(pair, true);
        make_narrow(fd);
        udp_take_strangers(&pair->udp, 0, fd);
}

TEST(udp_reads_strangers_by_the_batch)
{
        static const size_t sent[] = { 30, UDP_SINGLE_MAX + 1, UDP_SINGLE_MAX, 31 }, expected[] = { 30, 0, UDP_SINGLE_MAX, 31 };
        cleanup_with(pair_fini) struct pair pair;
        struct datagram in[UDP_BATCH_MAX];
        struct addr strangers;

        stranger_pair_init(&pair, &strangers);
        check_equal(udp_receive_strangers(&pair.udp, 0, in, ARRAY_LEN(in)), 0);
        pair.addr = strangers;
        for (size_t i = 0; i < ARRAY_LEN(sent); i++)
                from_other(&pair, sent[i]);
        for (size_t at = 0, count, max = 1; at < ARRAY_LEN(sent); at += count, max = ARRAY_LEN(in)) {
                wait_readable(pair.udp.sockets[0].strangers_fd);
                count = udp_receive_strangers(&pair.udp, 0, in, max);
                check(count > 0 && count <= max);
                for (size_t i = 0; i < count; i++) {
                        check_equal(in[i].len, expected[at + i]);
                        check(addr_equal(&in[i].remote, &pair.other_addr) && !in[i].segment_bytes);
                        for (size_t byte = 0; byte < in[i].len; byte++)
                                check(((const uint8_t *)in[i].iov[0].iov_base)[byte] == pattern(byte));
                }
        }
        check_equal(pair.udp.oversized, 1);
}

TEST(udp_tells_what_the_kernel_dropped)
{
        enum { SENT = 500 };
        cleanup_with(pair_fini) struct pair pair;
        struct datagram in[UDP_BATCH_MAX];
        struct addr strangers;
        size_t received = 0, sent = SENT;

        stranger_pair_init(&pair, &strangers);
        pair.addr = strangers;
        for (int i = 0; i < SENT; i++)
                from_other(&pair, 30);
        while (received + udp_stranger_drops(&pair.udp) < sent) {
                struct pollfd ready = { .fd = pair.udp.sockets[0].strangers_fd, .events = POLLIN };

                if (poll(&ready, 1, 100) == 0) {        /* one more, which says it */
                        from_other(&pair, 30);
                        sent++;
                }
                received += udp_receive_strangers(&pair.udp, 0, in, ARRAY_LEN(in));
        }
        check_equal(received + udp_stranger_drops(&pair.udp), sent);
        check(received > 0 && received < SENT);
        check_equal(udp_stream_drops(&pair.udp), 0);
}

TEST(udp_tells_of_streams_what_the_kernel_dropped_and_forgets_it_with_no_socket)
{
        enum { SENT = 500 };
        cleanup_with(pair_fini) struct pair pair;
        struct datagram in;
        struct addr addr;
        size_t received = 0, sent = SENT;

        pair_init(&pair, true);
        make_narrow(pair.udp.sockets[0].fd);
        for (int i = 0; i < SENT; i++)
                from_other(&pair, 1000);
        while (received + udp_stream_drops(&pair.udp) < sent) {
                struct pollfd ready = { .fd = pair.udp.sockets[0].fd, .events = POLLIN };

                if (poll(&ready, 1, 100) == 0) {
                        from_other(&pair, 1000);
                        sent++;
                }
                while (udp_receive(&pair.udp, 0, &in))
                        received += in.len / 1000;
        }
        check_equal(received + udp_stream_drops(&pair.udp), sent);
        check(received > 0 && received < SENT);
        check_equal(udp_stranger_drops(&pair.udp), 0);
        udp_close_socket(&pair.udp, 0);
        udp_take_socket(&pair.udp, 0, bound(&addr, true), true);
        check_equal(received + udp_stream_drops(&pair.udp), sent);
}
