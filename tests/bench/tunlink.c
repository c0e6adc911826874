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
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum {
        PACKET_BYTES = 2048,
        BATCH = 64,                     /* packets of one way, before the other one gets its turn */
        QUEUE_PACKETS = 16384,
};

#define SECOND_NS UINT64_C(1000000000)

struct packet {
        uint64_t due_ns;
        size_t len;
        unsigned char bytes[PACKET_BYTES];
};

/* What the link does to packets, each way. */
struct link {
        uint64_t delay_ns, jitter_ns;
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

static int tun_open(const char *device)
{
        struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
        int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);

        if (fd < 0)
                die("/dev/net/tun");
        snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
        if (ioctl(fd, TUNSETIFF, &request) < 0)
                die("TUNSETIFF");
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

/* Hands on what is due, as much as @fd takes. */
static void queue_drain(struct queue *queue, int fd, uint64_t at_ns)
{
        while (queue_due_ns(queue) <= at_ns) {
                const struct packet *packet = queue->at[queue->head];

                if (write(fd, packet->bytes, packet->len) < 0 && errno == EAGAIN)
                        break;
                queue->out++;
                queue->head = (queue->head + 1) % queue->room;
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

/* One packet from @fd. False: there is none. */
static bool queue_take(struct queue *queue, const struct link *link, int fd, uint64_t at_ns, uint64_t *random)
{
        unsigned char dropped[PACKET_BYTES];
        struct packet *packet = queue->at[queue->tail];
        bool full = queue_is_full(queue);
        ssize_t len = read(fd, full ? dropped : packet->bytes, PACKET_BYTES);

        if (len <= 0)
                return false;
        queue->in++;
        if (full) {
                queue->full++;
        } else if (link->loss > 0 && chance(random) < link->loss) {
                queue->lost++;
        } else {
                packet->len = (size_t)len;
                packet->due_ns = transmitted_ns(queue, link, packet->len, at_ns) + link->delay_ns +
                                 (uint64_t)(chance(random) * (double)link->jitter_ns);
                queue_sort_in(queue);
        }
        return true;
}

/* Until something comes or is due. False: a signal came. */
static bool wait_for(struct pollfd ends[2], const struct queue ways[2])
{
        uint64_t at_ns = now_ns(), due_ns = UINT64_MAX, left_ns;
        struct timespec left;

        for (int i = 0; i < 2; i++)
                due_ns = queue_due_ns(&ways[i]) < due_ns ? queue_due_ns(&ways[i]) : due_ns;
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
                if (!wait_for(ends, ways))
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
