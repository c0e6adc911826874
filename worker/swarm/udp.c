/* SPDX-License-Identifier: BSD-3-Clause */
#include "udp.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"

enum { SEND_IOV_MAX = 256 };

int udp_init(struct udp *udp)
{
        *udp = (struct udp){ 0 };
        for (size_t i = 0; i < ARRAY_LEN(udp->sockets); i++)
                udp->sockets[i].fd = udp->sockets[i].strangers_fd = -1;
        udp->buffer = malloc(UDP_RECEIVE_BYTES);
        return udp->buffer ? 0 : -ENOMEM;
}

static void drop_held(struct udp *udp)
{
        free(udp->held.bytes);
        udp->held.bytes = NULL;
}

static void close_if_open(int fd)
{
        if (fd >= 0)
                close(fd);
}

void udp_fini(struct udp *udp)
{
        for (size_t i = 0; i < ARRAY_LEN(udp->sockets); i++) {
                close_if_open(udp->sockets[i].fd);
                close_if_open(udp->sockets[i].strangers_fd);
        }
        drop_held(udp);
        free(udp->buffer);
}

void udp_take_socket(struct udp *udp, unsigned number, int fd, bool gso)
{
        struct udp_socket *socket = &udp->sockets[number];

        assert(number < ARRAY_LEN(udp->sockets));
        close_if_open(socket->fd);
        close_if_open(socket->strangers_fd);
        udp->closed_drops += socket->drops;
        udp->closed_strangers_drops += socket->strangers_drops;
        *socket = (struct udp_socket){ .fd = fd, .strangers_fd = -1, .gso = gso };
}

void udp_take_strangers(struct udp *udp, unsigned number, int fd)
{
        assert(number < ARRAY_LEN(udp->sockets));
        close_if_open(udp->sockets[number].strangers_fd);
        udp->sockets[number].strangers_fd = fd;
}

int udp_add_socket(struct udp *udp, int fd, bool gso)
{
        for (unsigned number = UDP_SOCKETS_OWN; number < UDP_SOCKETS_MAX; number++) {
                if (udp->sockets[number].fd >= 0)
                        continue;
                udp_take_socket(udp, number, fd, gso);
                return (int)number;
        }
        return -1;
}

void udp_close_socket(struct udp *udp, unsigned number)
{
        if (udp_held_socket(udp) == (int)number)
                drop_held(udp);
        if (udp->sockets[number].fd >= 0)
                close(udp->sockets[number].fd);
        udp->sockets[number].fd = -1;
}

static struct addr addr_from(const struct sockaddr_in *from)
{
        struct addr addr = { .port = ntohs(from->sin_port) };

        memcpy(addr.ip, &from->sin_addr, sizeof(addr.ip));
        return addr;
}

static struct sockaddr_in addr_to(const struct addr *addr)
{
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(addr->port) };

        memcpy(&to.sin_addr, addr->ip, sizeof(addr->ip));
        return to;
}

/* What the kernel says beside a datagram: the size of the segments it joined this batch from (UDP_GRO, udp(7)), 0 for a single one; and
 * how many were dropped at this socket before it, which it leaves out while there are none. */
union remarks {
        char bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint32_t))];
        struct cmsghdr align;
};

static size_t read_remarks(struct msghdr *message, uint32_t *drops)
{
        int segment = 0;

        for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
                if (part->cmsg_level == SOL_UDP && part->cmsg_type == UDP_GRO)
                        memcpy(&segment, CMSG_DATA(part), sizeof(segment));
                else if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SO_RXQ_OVFL)
                        memcpy(drops, CMSG_DATA(part), sizeof(*drops));
        }
        return segment > 0 ? (size_t)segment : 0;
}

/* What @message brought: @len bytes. Those that can be nobody's come as len 0. */
static struct datagram datagram_of(struct udp *udp, unsigned number, struct msghdr *message, size_t len, uint32_t *drops,
                                   struct iovec *received)
{
        const struct sockaddr_in *from = message->msg_name;
        size_t segment = read_remarks(message, drops);

        if ((message->msg_flags & MSG_TRUNC) || (segment ? segment : len) > UDP_SINGLE_MAX ||
            message->msg_namelen < sizeof(*from) || from->sin_family != AF_INET || from->sin_port == 0) {
                udp->oversized++;
                len = 0;
        }
        *received = (struct iovec){ message->msg_iov->iov_base, len };
        return (struct datagram){ .socket = number, .remote = addr_from(from), .iov = received, .iov_len = 1, .len = len,
                                  .segment_bytes = (uint16_t)segment };
}

/* A pending ICMP error is reported once, by any call: not about what comes next. */
static bool is_of_the_past(int error)
{
        return error == EINTR || error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH;
}

bool udp_receive(struct udp *udp, unsigned number, struct datagram *out)
{
        struct udp_socket *socket = &udp->sockets[number];
        struct sockaddr_in from;
        union remarks remarks;
        struct iovec iov = { udp->buffer, UDP_RECEIVE_BYTES };
        struct msghdr message = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1,
                                  .msg_control = &remarks, .msg_controllen = sizeof(remarks) };
        ssize_t len;

        do
                len = recvmsg(socket->fd, &message, MSG_DONTWAIT | MSG_TRUNC);
        while (len < 0 && is_of_the_past(errno));
        if (len < 0)
                return false;
        *out = datagram_of(udp, number, &message, (size_t)len, &socket->drops, &udp->received[0]);
        return true;
}

size_t udp_receive_strangers(struct udp *udp, unsigned number, struct datagram *out, size_t max)
{
        struct udp_socket *socket = &udp->sockets[number];
        struct mmsghdr messages[UDP_BATCH_MAX];
        struct sockaddr_in from[UDP_BATCH_MAX];
        union remarks remarks[UDP_BATCH_MAX];
        struct iovec iov[UDP_BATCH_MAX];
        int count;

        for (size_t i = 0; i < max; i++) {
                iov[i] = (struct iovec){ udp->buffer + i * UDP_SINGLE_MAX, UDP_SINGLE_MAX };
                messages[i].msg_hdr = (struct msghdr){ .msg_name = &from[i], .msg_namelen = sizeof(from[i]), .msg_iov = &iov[i],
                                                       .msg_iovlen = 1, .msg_control = &remarks[i],
                                                       .msg_controllen = sizeof(remarks[i]) };
        }
        do
                count = recvmmsg(socket->strangers_fd, messages, (unsigned)max, MSG_DONTWAIT, NULL);
        while (count < 0 && is_of_the_past(errno));
        for (int i = 0; i < count; i++)
                out[i] = datagram_of(udp, number, &messages[i].msg_hdr, messages[i].msg_len, &socket->strangers_drops,
                                     &udp->received[i]);
        return count > 0 ? (size_t)count : 0;
}

uint64_t udp_stream_drops(const struct udp *udp)
{
        uint64_t drops = udp->closed_drops;

        for (size_t i = 0; i < ARRAY_LEN(udp->sockets); i++)
                drops += udp->sockets[i].drops;
        return drops;
}

uint64_t udp_stranger_drops(const struct udp *udp)
{
        uint64_t drops = udp->closed_strangers_drops;

        for (size_t i = 0; i < ARRAY_LEN(udp->sockets); i++)
                drops += udp->sockets[i].strangers_drops;
        return drops;
}

/* One control message with @value, in what is left of the message's buffer. */
static void add_control(struct msghdr *message, int level, int type, const void *value, size_t len)
{
        struct cmsghdr *part = (struct cmsghdr *)(void *)((char *)message->msg_control + message->msg_controllen);

        part->cmsg_level = level;
        part->cmsg_type = type;
        part->cmsg_len = CMSG_LEN(len);
        memcpy(CMSG_DATA(part), value, len);
        message->msg_controllen += CMSG_SPACE(len);
}

/* One sendmsg: a run with UDP_SEGMENT, a single packet without. 0 or -errno. */
static int send_run(const struct udp_socket *socket, const struct datagram *datagram, const struct iovec *iov, size_t iov_len,
                    size_t segment_bytes)
{
        struct sockaddr_in to = addr_to(&datagram->remote);
        union {
                char bytes[CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(int))];
                struct cmsghdr align;
        } control = { 0 };
        struct msghdr message = { .msg_name = &to, .msg_namelen = sizeof(to),
                                  .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = iov_len, .msg_control = &control };
        ssize_t sent;

        if (segment_bytes)
                add_control(&message, SOL_UDP, UDP_SEGMENT, &(uint16_t){ (uint16_t)segment_bytes }, sizeof(uint16_t));
        if (datagram->ttl)
                add_control(&message, IPPROTO_IP, IP_TTL, &(int){ datagram->ttl }, sizeof(int));
        if (!message.msg_controllen)
                message.msg_control = NULL;
        do      /* see udp_receive(): an error of the past is no reason not to send */
                sent = sendmsg(socket->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        while (sent < 0 && (errno == EINTR || errno == ECONNREFUSED));
        return sent < 0 ? -errno : 0;
}

/* Cuts the next @len bytes off the front of @iov into @out; returns how many entries that took. */
static size_t cut_front(struct iovec *iov, size_t *at, size_t iov_len, size_t len, struct iovec *out)
{
        size_t count = 0;

        while (len && *at < iov_len) {
                size_t take = MIN(len, iov[*at].iov_len);

                out[count++] = (struct iovec){ iov[*at].iov_base, take };
                iov[*at].iov_base = (uint8_t *)iov[*at].iov_base + take;
                iov[*at].iov_len -= take;
                len -= take;
                if (!iov[*at].iov_len)
                        (*at)++;
        }
        return count;
}

/* The run packet by packet, for kernels or paths without UDP_SEGMENT. Stops at the first refusal: the rest is lost
 * on the way, and loss recovery slows down as it should. */
static int send_singly(const struct udp_socket *socket, const struct datagram *datagram)
{
        struct iovec left[SEND_IOV_MAX], packet[SEND_IOV_MAX];
        size_t at = 0, iov_len = MIN(datagram->iov_len, (unsigned)SEND_IOV_MAX);

        memcpy(left, datagram->iov, iov_len * sizeof(*left));
        for (size_t done = 0; done < datagram->len; done += datagram->segment_bytes) {
                size_t len = MIN(datagram->len - done, (size_t)datagram->segment_bytes);
                int r = send_run(socket, datagram, packet, cut_front(left, &at, iov_len, len, packet), 0);

                if (r < 0)
                        return done && r == -EAGAIN ? -ENOBUFS : r;
        }
        return 0;
}

/* The supervisor's setting and back: with or without DF, and cut here already where the way out demands it (IP_MTU_DISCOVER, ip(7)).
 * Where that is refused, what is too long is lost. */
static void allow_pieces(struct udp_socket *socket, bool pieces)
{
        int mode = pieces ? IP_PMTUDISC_DONT : IP_PMTUDISC_PROBE;

        if (pieces != socket->pieces && setsockopt(socket->fd, IPPROTO_IP, IP_MTU_DISCOVER, &mode, sizeof(mode)) == 0)
                socket->pieces = pieces;
}

static int send_datagram(struct udp_socket *socket, const struct datagram *datagram)
{
        bool run = datagram->segment_bytes && datagram->len > datagram->segment_bytes;
        int r;

        assert(datagram->iov_len <= SEND_IOV_MAX);
        if (socket->fd < 0)
                return -EBADF;          /* of a connection that is over */
        allow_pieces(socket, datagram->pieces);
        if (!run)
                return send_run(socket, datagram, datagram->iov, datagram->iov_len, 0);
        if (!socket->gso || datagram->pieces)           /* segments are not cut */
                return send_singly(socket, datagram);
        r = send_run(socket, datagram, datagram->iov, datagram->iov_len, datagram->segment_bytes);
        /* EINVAL, EIO: no UDP_SEGMENT here or no checksum offload on the way out (udp(7)). EMSGSIZE also comes from
         * a segment above the path MTU: then single packets tell which it is. */
        if (r == -EINVAL || r == -EIO || r == -EOPNOTSUPP)
                socket->gso = false;
        return r == -EINVAL || r == -EIO || r == -EOPNOTSUPP || r == -EMSGSIZE ? send_singly(socket, datagram) : r;
}

static bool hold(struct udp *udp, const struct datagram *datagram)
{
        uint8_t *bytes = malloc(datagram->len ? datagram->len : 1);
        size_t len = 0;

        if (!bytes)
                return false;
        for (unsigned i = 0; i < datagram->iov_len; i++) {
                memcpy(bytes + len, datagram->iov[i].iov_base, datagram->iov[i].iov_len);
                len += datagram->iov[i].iov_len;
        }
        udp->held.bytes = bytes;
        udp->held.iov = (struct iovec){ bytes, len };
        udp->held.datagram = *datagram;
        udp->held.datagram.iov = &udp->held.iov;
        udp->held.datagram.iov_len = 1;
        return true;
}

enum udp_sent udp_send(struct udp *udp, const struct datagram *datagram)
{
        int r;

        assert(datagram->socket < ARRAY_LEN(udp->sockets) && !udp->held.bytes);
        r = send_datagram(&udp->sockets[datagram->socket], datagram);
        if (r == -EAGAIN && hold(udp, datagram))
                return UDP_HELD;
        errno = -r;
        return r < 0 ? UDP_LOST : UDP_SENT;
}

int udp_held_socket(const struct udp *udp)
{
        return udp->held.bytes ? (int)udp->held.datagram.socket : -1;
}

bool udp_resume(struct udp *udp)
{
        if (!udp->held.bytes)
                return true;
        if (send_datagram(&udp->sockets[udp->held.datagram.socket], &udp->held.datagram) == -EAGAIN)
                return false;
        drop_held(udp);
        return true;
}
