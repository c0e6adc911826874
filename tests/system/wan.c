/* SPDX-License-Identifier: BSD-3-Clause */
/* wan: an Ethernet switch with distances, for a kernel without netem. Each interface plugged in (of this network namespace) delays what
 * comes in from it, and loses some of that, before it goes out at the interface behind which its destination was seen.
 *
 * Standard input, a line each: NAME DELAY_US LOSS_PPM plugs that interface in, or changes what is so; answered by NAME, when it is so.
 * An interface that is gone is forgotten. Ends with standard input. Which frames of an interface are lost depends only on its number,
 * the seed (the one argument) and how many came before. What is not IP passes at once: a real WAN has no ARP.
 *
 * Frames keep their virtio_net header, so that checksums which the sender's kernel left to the device are computed by nobody; whoever
 * plugs an interface in has its far end send no more than one segment a frame ("ip link set DEV gso_max_segs 1"). */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

enum {
        PORTS_MAX = 128,
        FRAME_BYTES = 2048,             /* with its virtio_net header; a longer one is lost */
        WAITING_MAX = 20000,            /* frames of one port on their way; beyond, they are lost */
        TURN_FRAMES = 64,               /* of one port, before the others have theirs */
        CARDS_MAX = 256,
        LINE_BYTES = 256,
        MILLION = 1000000,
};

struct frame {
        struct frame *next;
        uint64_t due_ns;
        size_t len;
        uint8_t bytes[FRAME_BYTES];
};

/* An interface, and what is on its way from there: all of a port takes equally long, so that it is due in order. */
struct port {
        char name[IF_NAMESIZE];
        int fd;                         /* -1: gone */
        uint64_t delay_ns, came;
        uint32_t loss_ppm;
        struct frame *first, **last;
        size_t waiting;
};

struct card {
        uint8_t addr[ETH_ALEN];
        size_t port;
};

static struct port ports[PORTS_MAX];
static struct card cards[CARDS_MAX];
static size_t port_count, card_count;
static struct frame *spare;
static uint64_t seed = 1;

static void die(const char *what)
{
        fprintf(stderr, "wan: %s: %s\n", what, strerror(errno));
        exit(1);
}

static uint64_t clock_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 * MILLION + (uint64_t)now.tv_nsec;
}

/* splitmix64 */
static uint64_t mixed(uint64_t value)
{
        value += 0x9e3779b97f4a7c15u;
        value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
        value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
        return value ^ (value >> 31);
}

static struct frame *frame_take(void)
{
        struct frame *frame = spare;

        if (!frame)
                return malloc(sizeof(*frame));
        spare = frame->next;
        return frame;
}

static void frame_give(struct frame *frame)
{
        frame->next = spare;
        spare = frame;
}

static const struct ethhdr *header(const struct frame *frame)
{
        return (const void *)(frame->bytes + sizeof(struct virtio_net_hdr));
}

/* --- Where to --- */

static struct card *card_find(const uint8_t addr[ETH_ALEN])
{
        for (size_t i = 0; i < card_count; i++)
                if (memcmp(cards[i].addr, addr, ETH_ALEN) == 0)
                        return &cards[i];
        return NULL;
}

static void card_learn(const uint8_t addr[ETH_ALEN], size_t port)
{
        struct card *card = card_find(addr);

        if (!card && card_count < CARDS_MAX) {
                card = &cards[card_count++];
                memcpy(card->addr, addr, ETH_ALEN);
        }
        if (card)
                card->port = port;
}

/* What does not fit there is lost. */
static void emit(const struct port *port, const struct frame *frame)
{
        if (port->fd >= 0 && send(port->fd, frame->bytes, frame->len, MSG_DONTWAIT) < 0 && errno == EINVAL)
                fprintf(stderr, "wan: %s takes no frame of %zu bytes\n", port->name, frame->len);
}

static void deliver(size_t from, const struct frame *frame)
{
        const struct card *card = card_find(header(frame)->h_dest);

        if (card && card->port != from)
                emit(&ports[card->port], frame);
        for (size_t i = 0; !card && i < port_count; i++)
                if (i != from)
                        emit(&ports[i], frame);
}

/* --- On the way --- */

static bool is_ip(const struct frame *frame)
{
        return header(frame)->h_proto == htons(ETH_P_IP) || header(frame)->h_proto == htons(ETH_P_IPV6);
}

static bool is_lost(size_t from)
{
        struct port *port = &ports[from];

        return mixed(mixed(seed * PORTS_MAX + from) + port->came++) % MILLION < port->loss_ppm || port->waiting >= WAITING_MAX;
}

/* Takes over @frame. */
static void take_in(size_t from, struct frame *frame)
{
        struct port *port = &ports[from];

        card_learn(header(frame)->h_source, from);
        if (!is_ip(frame)) {
                deliver(from, frame);
                frame_give(frame);
        } else if (is_lost(from)) {
                frame_give(frame);
        } else {
                frame->due_ns = clock_ns() + port->delay_ns;
                frame->next = NULL;
                *port->last = frame;
                port->last = &frame->next;
                port->waiting++;
        }
}

static void deliver_due(size_t from)
{
        struct port *port = &ports[from];
        uint64_t now_ns = clock_ns();

        while (port->first && port->first->due_ns <= now_ns) {
                struct frame *frame = port->first;

                port->first = frame->next;
                if (!port->first)
                        port->last = &port->first;
                port->waiting--;
                deliver(from, frame);
                frame_give(frame);
        }
}

static void hear(size_t from)
{
        struct port *port = &ports[from];

        for (int i = 0; i < TURN_FRAMES; i++) {
                struct frame *frame = frame_take();
                ssize_t len;

                if (!frame)
                        return;
                len = recv(port->fd, frame->bytes, sizeof(frame->bytes), MSG_DONTWAIT | MSG_TRUNC);
                if (len >= (ssize_t)(sizeof(struct virtio_net_hdr) + ETH_HLEN) && len <= (ssize_t)sizeof(frame->bytes)) {
                        frame->len = (size_t)len;
                        take_in(from, frame);
                        continue;
                }
                frame_give(frame);
                if (len < 0 && errno != EAGAIN && errno != EINTR) {
                        close(port->fd);
                        port->fd = -1;
                }
                if (len < 0)
                        return;
        }
}

/* --- What is plugged in --- */

static int open_interface(const char *name)
{
        int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)), one = 1, bytes = 8 << 20;
        struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(name) };
        struct packet_mreq all = { .mr_ifindex = at.sll_ifindex, .mr_type = PACKET_MR_PROMISC };

        if (fd < 0 || !at.sll_ifindex || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) < 0 ||
            setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0 ||
            setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) < 0 || bind(fd, (void *)&at, sizeof(at)) < 0)
                die(name);
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
        setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
        return fd;
}

static struct port *port_of(const char *name)
{
        struct port *port;

        for (size_t i = 0; i < port_count; i++)
                if (strcmp(ports[i].name, name) == 0 && ports[i].fd >= 0)
                        return &ports[i];
        if (port_count == PORTS_MAX) {
                errno = ENFILE;
                die(name);
        }
        port = &ports[port_count];
        *port = (struct port){ .fd = open_interface(name), .last = &port->first };
        memcpy(port->name, name, strlen(name) + 1);
        port_count++;
        return port;
}

static void obey(const char *line)
{
        unsigned delay_us, loss_ppm;
        char name[IF_NAMESIZE];
        struct port *port;

        if (sscanf(line, "%15s %u %u", name, &delay_us, &loss_ppm) != 3) {
                errno = EINVAL;
                die(line);
        }
        port = port_of(name);
        port->delay_ns = delay_us * (uint64_t)1000;
        port->loss_ppm = loss_ppm;
        puts(name);
        fflush(stdout);
}

/* False: there is no more to come. */
static bool listen_to_input(void)
{
        static char text[LINE_BYTES];
        static size_t len;
        ssize_t more = read(STDIN_FILENO, text + len, sizeof(text) - 1 - len);
        char *end;

        if (more <= 0)
                return false;
        len += (size_t)more;
        text[len] = 0;
        while ((end = strchr(text, '\n'))) {
                *end++ = 0;
                obey(text);
                len -= (size_t)(end - text);
                memmove(text, end, len + 1);
        }
        return true;
}

/* Until something comes in, or is due. */
static void wait_for_any(struct pollfd polls[PORTS_MAX + 1])
{
        uint64_t due_ns = UINT64_MAX, now_ns = clock_ns();
        struct timespec pause = { 0, 0 };

        polls[PORTS_MAX] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
        for (size_t i = 0; i < PORTS_MAX; i++) {
                polls[i] = (struct pollfd){ .fd = i < port_count ? ports[i].fd : -1, .events = POLLIN };
                if (i < port_count && ports[i].first && ports[i].first->due_ns < due_ns)
                        due_ns = ports[i].first->due_ns;
        }
        if (due_ns != UINT64_MAX && due_ns > now_ns) {
                pause.tv_sec = (time_t)((due_ns - now_ns) / (1000 * MILLION));
                pause.tv_nsec = (long)((due_ns - now_ns) % (1000 * MILLION));
        }
        if (ppoll(polls, PORTS_MAX + 1, due_ns == UINT64_MAX ? NULL : &pause, NULL) < 0 && errno != EINTR)
                die("ppoll");
}

int main(int argc, char **argv)
{
        static struct pollfd polls[PORTS_MAX + 1];

        if (argc > 1)
                seed = strtoull(argv[1], NULL, 0);
        prctl(PR_SET_TIMERSLACK, 1UL);
        for (;;) {
                wait_for_any(polls);
                if (polls[PORTS_MAX].revents && !listen_to_input())
                        return 0;
                for (size_t i = 0; i < port_count; i++) {
                        if (polls[i].revents && ports[i].fd >= 0)
                                hear(i);
                        deliver_due(i);
                }
        }
}
