/* SPDX-License-Identifier: BSD-3-Clause */
/* tunlink: a lossy, slow link between this network namespace and another one.
 *
 *   tunlink NSFILE DEV DELAY_MS LOSS_PCT [MBIT [QUEUE_PKTS [JITTER_MS]]]
 *
 * Makes TUN device DEV here and in the namespace of NSFILE (/run/netns/X) and
 * carries packets between them, each direction with the given one-way delay,
 * independent random loss, optional rate, and up to JITTER_MS more for each
 * packet, which may overtake others by that. Needs no netem. The caller gives
 * the devices their addresses. Prints counters on SIGTERM.
 *
 * Datagrams of one flow cross the devices in runs, as a network card takes and
 * gives them (UDP_SEGMENT, UDP_GRO), or a gigabit of them takes a core here.
 * On the link they are packets, each with its own delay, loss and share of the
 * rate; those that come out within a thousandth of the delay come in one run.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/udp.h>
#include <linux/virtio_net.h>
#include <netinet/ip.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5     /* since Linux 6.2 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

enum {
        PACKET_BYTES = 2048,
        RUN_BYTES = 65535,
        RUN_PACKETS = 64,
        HEADER_BYTES = sizeof(struct iphdr) + sizeof(struct udphdr),
        BATCH = 64,                     /* reads of one way, before the other one gets its turn */
        QUEUE_PACKETS = 16384,
};

#define SECOND_NS UINT64_C(1000000000)

struct packet {
        uint64_t due_ns;
        size_t len;
        struct virtio_net_hdr told;     /* of its checksum, by who sent it */
        unsigned char bytes[PACKET_BYTES];
};

/* What the link does to packets, each way. */
struct link {
        uint64_t delay_ns, jitter_ns;
        uint64_t moderation_ns;         /* between two looks at what is due */
        double loss;                    /* 0 to 1 */
        double mbit;                    /* 0: as fast as they come */
};

/* Packets on their way, a ring in the order they are due. */
struct queue {
        struct packet **at;
        unsigned head, tail, room;
        uint64_t busy_until_ns;
        uint64_t in, lost, full, out;
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
        (void)number;
        stopped = 1;
}

static void die(const char *what)
{
        fprintf(stderr, "tunlink: %s: %s\n", what, strerror(errno));
        exit(1);
}

static uint64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

/* From 0 to 1, without 1: xorshift64. */
static double chance(uint64_t *state)
{
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return (double)(*state >> 11) / 9007199254740992.0;
}

/* Without runs of datagrams where the kernel has none. */
static int tun_open(const char *device)
{
        struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR };
        int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);

        if (fd < 0)
                die("/dev/net/tun");
        snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
        if (ioctl(fd, TUNSETIFF, &request) < 0)
                die("TUNSETIFF");
        if (ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_USO4 | TUN_F_USO6) < 0 && ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM) < 0)
                die("TUNSETOFFLOAD");
        return fd;
}

/* Of so many packets. One place stays free, by which a full ring is told from an empty one. */
static void queue_init(struct queue *queue, unsigned packets)
{
        struct packet *all;

        *queue = (struct queue){ .room = packets + 1 };
        all = malloc(queue->room * sizeof(*all));
        queue->at = malloc(queue->room * sizeof(struct packet *));
        if (!all || !queue->at)
                die("malloc");
        for (unsigned i = 0; i < queue->room; i++)
                queue->at[i] = &all[i];
}

static bool queue_is_full(const struct queue *queue)
{
        return (queue->tail + 1) % queue->room == queue->head;
}

/* When the first is due; UINT64_MAX: there is none. */
static uint64_t queue_due_ns(const struct queue *queue)
{
        return queue->head != queue->tail ? queue->at[queue->head]->due_ns : UINT64_MAX;
}

static struct packet *queue_at(const struct queue *queue, unsigned ahead)
{
        return queue->at[(queue->head + ahead) % queue->room];
}

static uint16_t folded(uint32_t sum)
{
        while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
        return (uint16_t)sum;
}

static uint32_t sum16(const void *bytes, size_t len)
{
        uint32_t sum = 0;
        uint16_t word;

        for (size_t i = 0; i < len; i += sizeof(word)) {
                memcpy(&word, (const unsigned char *)bytes + i, sizeof(word));
                sum += word;
        }
        return sum;
}

/* Lengths and checksums of a datagram of @len bytes whose headers begin with @bytes; of the payload the kernel sums the rest. */
static void write_lengths(unsigned char *bytes, size_t len)
{
        struct iphdr ip;
        struct udphdr udp;

        memcpy(&ip, bytes, sizeof(ip));
        memcpy(&udp, bytes + sizeof(ip), sizeof(udp));
        ip.tot_len = htons((uint16_t)len);
        ip.check = 0;
        ip.check = (uint16_t)~folded(sum16(&ip, sizeof(ip)));
        udp.len = htons((uint16_t)(len - sizeof(ip)));
        udp.check = folded(sum16(&ip.saddr, 2 * sizeof(ip.saddr)) + htons(IPPROTO_UDP) + udp.len);
        memcpy(bytes, &ip, sizeof(ip));
        memcpy(bytes + sizeof(ip), &udp, sizeof(udp));
}

/* IPv4, whole, without options; its checksum is still to be made. */
static bool is_datagram(const unsigned char *bytes, size_t len, const struct virtio_net_hdr *told)
{
        return len > HEADER_BYTES && bytes[0] == 0x45 && bytes[offsetof(struct iphdr, protocol)] == IPPROTO_UDP &&
               !(bytes[6] & 0x3f) && !bytes[7] && told->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
}

/* Whether @next, due, belongs to the run that begins with @first: same ends, as long or the last. */
static bool continues(const struct packet *first, const struct packet *before, const struct packet *next)
{
        return before->len == first->len && next->len <= first->len && is_datagram(next->bytes, next->len, &next->told) &&
               !memcmp(first->bytes + offsetof(struct iphdr, saddr), next->bytes + offsetof(struct iphdr, saddr), 12);
}

/* How many of those that are due by @at_ns, at least one, go out together. */
static unsigned run_length(const struct queue *queue, uint64_t at_ns)
{
        const struct packet *first = queue_at(queue, 0), *before = first;
        unsigned waiting = (queue->tail + queue->room - queue->head) % queue->room, n = 1;
        size_t bytes = first->len;

        if (!is_datagram(first->bytes, first->len, &first->told))
                return 1;
        for (; n < waiting && n < RUN_PACKETS; n++) {
                const struct packet *next = queue_at(queue, n);

                if (next->due_ns > at_ns || bytes + next->len - HEADER_BYTES > RUN_BYTES || !continues(first, before, next))
                        break;
                bytes += next->len - HEADER_BYTES;
                before = next;
        }
        return n;
}

/* The first @count as one packet. False: @fd is full. */
static bool write_run(const struct queue *queue, int fd, unsigned count)
{
        struct packet *first = queue_at(queue, 0);
        struct virtio_net_hdr told = first->told;
        unsigned char headers[HEADER_BYTES];
        struct iovec parts[RUN_PACKETS + 2] = { { &told, sizeof(told) }, { first->bytes, first->len } };
        int used = 2;

        if (count > 1) {
                size_t bytes = first->len;

                memcpy(headers, first->bytes, sizeof(headers));
                parts[1] = (struct iovec){ headers, sizeof(headers) };
                parts[used++] = (struct iovec){ first->bytes + HEADER_BYTES, first->len - HEADER_BYTES };
                for (unsigned i = 1; i < count; i++) {
                        struct packet *packet = queue_at(queue, i);

                        parts[used++] = (struct iovec){ packet->bytes + HEADER_BYTES, packet->len - HEADER_BYTES };
                        bytes += packet->len - HEADER_BYTES;
                }
                write_lengths(headers, bytes);
                told.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
                told.gso_size = (uint16_t)(first->len - HEADER_BYTES);
                told.hdr_len = HEADER_BYTES;
        }
        return writev(fd, parts, used) >= 0 || errno != EAGAIN;
}

/* Hands on what is due, as much as @fd takes. */
static void queue_drain(struct queue *queue, int fd, uint64_t at_ns)
{
        while (queue_due_ns(queue) <= at_ns) {
                unsigned count = run_length(queue, at_ns);

                if (!write_run(queue, fd, count))
                        break;
                queue->out += count;
                queue->head = (queue->head + count) % queue->room;
        }
}

/* The packet that was read into the last place takes the place that its time gives it. */
static void queue_sort_in(struct queue *queue)
{
        struct packet *packet = queue->at[queue->tail];

        for (unsigned to = queue->tail; to != queue->head;) {
                unsigned before = (to + queue->room - 1) % queue->room;

                if (queue->at[before]->due_ns <= packet->due_ns)
                        break;
                queue->at[to] = queue->at[before];
                queue->at[to = before] = packet;
        }
        queue->tail = (queue->tail + 1) % queue->room;
}

/* When the last bit of a packet of @len bytes that comes now leaves the link. */
static uint64_t transmitted_ns(struct queue *queue, const struct link *link, size_t len, uint64_t at_ns)
{
        if (link->mbit <= 0)
                return at_ns;
        if (queue->busy_until_ns < at_ns)
                queue->busy_until_ns = at_ns;
        queue->busy_until_ns += (uint64_t)((double)len * 8000.0 / link->mbit);
        return queue->busy_until_ns;
}

/* Onto the link, if that doesn't lose it: @len bytes at @bytes, or of a run the datagram with that payload below the run's headers. */
static void queue_put(struct queue *queue, const struct link *link, const unsigned char *headers, const unsigned char *bytes, size_t len,
                      const struct virtio_net_hdr *told, uint64_t at_ns, uint64_t *random)
{
        struct packet *packet = queue->at[queue->tail];
        size_t above = headers ? HEADER_BYTES : 0;

        queue->in++;
        if (queue_is_full(queue) || above + len > PACKET_BYTES) {
                queue->full++;
                return;
        }
        if (link->loss > 0 && chance(random) < link->loss) {
                queue->lost++;
                return;
        }
        packet->told = *told;
        packet->len = above + len;
        if (headers)
                memcpy(packet->bytes, headers, above);
        memcpy(packet->bytes + above, bytes, len);
        if (headers) {
                write_lengths(packet->bytes, packet->len);
                packet->told.gso_type = packet->told.gso_size = packet->told.hdr_len = 0;
        }
        packet->due_ns = transmitted_ns(queue, link, packet->len, at_ns) + link->delay_ns + (uint64_t)(chance(random) * (double)link->jitter_ns);
        queue_sort_in(queue);
}

/* One packet or run of them from @fd. False: there is none. */
static bool queue_take(struct queue *queue, const struct link *link, int fd, uint64_t at_ns, uint64_t *random)
{
        struct virtio_net_hdr told;
        unsigned char bytes[RUN_BYTES + 1];
        struct iovec parts[2] = { { &told, sizeof(told) }, { bytes, sizeof(bytes) } };
        ssize_t read = readv(fd, parts, 2);
        size_t len;

        if (read <= (ssize_t)sizeof(told))
                return false;
        len = (size_t)read - sizeof(told);
        if (told.gso_type != VIRTIO_NET_HDR_GSO_UDP_L4 || !told.gso_size || !is_datagram(bytes, len, &told)) {
                queue_put(queue, link, NULL, bytes, len, &told, at_ns, random);
                return true;
        }
        for (size_t at = HEADER_BYTES; at < len; at += told.gso_size)
                queue_put(queue, link, bytes, bytes + at, at + told.gso_size < len ? told.gso_size : len - at, &told, at_ns, random);
        return true;
}

/* Until something comes or is due, @moderation_ns after @last_ns at the earliest. False: a signal came. */
static bool wait_for(struct pollfd ends[2], const struct queue ways[2], uint64_t last_ns, uint64_t moderation_ns)
{
        uint64_t at_ns = now_ns(), due_ns = UINT64_MAX, left_ns;
        struct timespec left;

        for (int i = 0; i < 2; i++)
                due_ns = queue_due_ns(&ways[i]) < due_ns ? queue_due_ns(&ways[i]) : due_ns;
        due_ns = due_ns < last_ns + moderation_ns ? last_ns + moderation_ns : due_ns;
        left_ns = due_ns > at_ns ? due_ns - at_ns : 0;
        left = (struct timespec){ (time_t)(left_ns / SECOND_NS), (long)(left_ns % SECOND_NS) };
        return ppoll(ends, 2, due_ns == UINT64_MAX ? NULL : &left, NULL) >= 0;
}

/* @fds: here, and there. */
static void carry(const int fds[2], struct queue ways[2], const struct link *link)
{
        struct pollfd ends[2] = { { fds[0], POLLIN, 0 }, { fds[1], POLLIN, 0 } };
        uint64_t random = UINT64_C(88172645463325252) ^ now_ns() * UINT64_C(0x9e3779b97f4a7c15), at_ns;

        while (!stopped) {
                at_ns = now_ns();
                for (int i = 0; i < 2; i++)
                        queue_drain(&ways[i], fds[!i], at_ns);
                if (!wait_for(ends, ways, at_ns, link->moderation_ns))
                        continue;
                at_ns = now_ns();
                for (int i = 0; i < 2; i++)
                        for (int n = 0; ends[i].revents & POLLIN && n < BATCH && queue_take(&ways[i], link, fds[i], at_ns, &random); n++)
                                ;
        }
}

int main(int argc, char **argv)
{
        static const char *const names[2] = { "to-ns", "from-ns" };
        struct queue ways[2];
        struct link link;
        int fds[2], ns;

        if (argc < 5) {
                fprintf(stderr, "usage: tunlink NSFILE DEV DELAY_MS LOSS_PCT [MBIT [QUEUE_PKTS [JITTER_MS]]]\n");
                return 2;
        }
        link = (struct link){ .delay_ns = (uint64_t)(atof(argv[3]) * 1e6), .loss = atof(argv[4]) / 100,
                              .mbit = argc > 5 ? atof(argv[5]) : 0, .jitter_ns = argc > 7 ? (uint64_t)(atof(argv[7]) * 1e6) : 0 };
        link.moderation_ns = link.delay_ns / 1000;
        for (int i = 0; i < 2; i++)
                queue_init(&ways[i], argc > 6 ? (unsigned)atoi(argv[6]) : QUEUE_PACKETS);
        prctl(PR_SET_TIMERSLACK, 1000);
        signal(SIGTERM, on_signal);
        signal(SIGINT, on_signal);
        fds[0] = tun_open(argv[2]);
        ns = open(argv[1], O_RDONLY);
        if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
                die(argv[1]);
        fds[1] = tun_open(argv[2]);
        printf("ready\n");
        fflush(stdout);
        carry(fds, ways, &link);
        for (int i = 0; i < 2; i++)
                printf("%s in %llu lost %llu full %llu out %llu\n", names[i], (unsigned long long)ways[i].in,
                       (unsigned long long)ways[i].lost, (unsigned long long)ways[i].full, (unsigned long long)ways[i].out);
        return 0;
}
