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
                udp->sockets[i].fd = -1;
        udp->buffer = malloc(UDP_RECEIVE_BYTES);
        return udp->buffer ? 0 : -ENOMEM;
}

static void drop_held(struct udp *udp)
{
        free(udp->held.bytes);
        udp->held.bytes = NULL;
}

void udp_fini(struct udp *udp)
{
        for (size_t i = 0; i < ARRAY_LEN(udp->sockets); i++)
                if (udp->sockets[i].fd >= 0)
                        close(udp->sockets[i].fd);
        drop_held(udp);
        free(udp->buffer);
}

void udp_take_socket(struct udp *udp, unsigned number, int fd, bool gso)
{
        struct udp_socket *socket = &udp->sockets[number];

        assert(number < ARRAY_LEN(udp->sockets));
        if (socket->fd >= 0)
                close(socket->fd);
        *socket = (struct udp_socket){ .fd = fd, .gso = gso };
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

/* Segment size the kernel joined this batch from (UDP_GRO, udp(7)), 0 for a single datagram. */
static size_t gro_segment(struct msghdr *message)
{
        for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
                int segment;

                if (part->cmsg_level != SOL_UDP || part->cmsg_type != UDP_GRO)
                        continue;
                memcpy(&segment, CMSG_DATA(part), sizeof(segment));
                return segment > 0 ? (size_t)segment : 0;
        }
        return 0;
}

bool udp_receive(struct udp *udp, unsigned number, struct datagram *out)
{
        struct sockaddr_in from;
        union {
                char bytes[CMSG_SPACE(sizeof(int))];
                struct cmsghdr align;
        } control;
        struct iovec iov = { udp->buffer, UDP_RECEIVE_BYTES };
        struct msghdr message = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1,
                                  .msg_control = &control, .msg_controllen = sizeof(control) };
        ssize_t len;
        size_t segment;

        do      /* a pending ICMP error is reported once, by any call: not about what comes next */
                len = recvmsg(udp->sockets[number].fd, &message, MSG_DONTWAIT | MSG_TRUNC);
        while (len < 0 && (errno == EINTR || errno == ECONNREFUSED || errno == EHOSTUNREACH || errno == ENETUNREACH));
        if (len < 0)
                return false;

        segment = gro_segment(&message);
        if ((message.msg_flags & MSG_TRUNC) || (segment ? segment : (size_t)len) > UDP_SINGLE_MAX ||
            message.msg_namelen < sizeof(from) || from.sin_family != AF_INET || from.sin_port == 0) {
                udp->oversized++;
                len = 0;
        }
        udp->received = (struct iovec){ udp->buffer, (size_t)len };
        *out = (struct datagram){ .socket = number, .remote = addr_from(&from), .iov = &udp->received, .iov_len = 1,
                                  .len = (size_t)len, .segment_bytes = (uint16_t)segment };
        return true;
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

static int send_datagram(struct udp_socket *socket, const struct datagram *datagram)
{
        bool run = datagram->segment_bytes && datagram->len > datagram->segment_bytes;
        int r;

        assert(datagram->iov_len <= SEND_IOV_MAX);
        if (socket->fd < 0)
                return -EBADF;          /* of a connection that is over */
        if (!run)
                return send_run(socket, datagram, datagram->iov, datagram->iov_len, 0);
        if (!socket->gso)
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
