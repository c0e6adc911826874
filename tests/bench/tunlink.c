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
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define PKT 2048
typedef uint64_t u64;
struct pkt { u64 due; int len; unsigned char b[PKT]; };
struct q { struct pkt **p; unsigned head, tail, cap; u64 busy, in, lost, full, out; };
static volatile sig_atomic_t stop;
static void onsig(int s) { (void)s; stop = 1; }

static u64 now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
}
static u64 rs = 88172645463325252u;
static double rnd(void)
{
	rs ^= rs << 13;
	rs ^= rs >> 7;
	rs ^= rs << 17;
	return (double)(rs >> 11) / 9007199254740992.0;
}
static void die(const char *m) { fprintf(stderr, "tunlink: %s: %s\n", m, strerror(errno)); exit(1); }
static int tun(const char *dev)
{
	struct ifreq r;
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	if (fd < 0)
		die("/dev/net/tun");
	memset(&r, 0, sizeof r);
	r.ifr_flags = IFF_TUN | IFF_NO_PI;
	snprintf(r.ifr_name, sizeof r.ifr_name, "%s", dev);
	if (ioctl(fd, TUNSETIFF, &r) < 0)
		die("TUNSETIFF");
	return fd;
}
int main(int c, char **v)
{
	struct q q[2];
	struct pollfd p[2];
	int fd[2], ns, d, i;
	u64 delay, jitter;
	double loss, mbit;

	if (c < 5) {
		fprintf(stderr, "usage: tunlink NSFILE DEV DELAY_MS LOSS_PCT [MBIT [QUEUE_PKTS [JITTER_MS]]]\n");
		return 2;
	}
	delay = (u64)(atof(v[3]) * 1e6);
	loss = atof(v[4]) / 100;
	mbit = c > 5 ? atof(v[5]) : 0;
	jitter = c > 7 ? (u64)(atof(v[7]) * 1e6) : 0;
	memset(q, 0, sizeof q);
	for (d = 0; d < 2; d++) {
		q[d].cap = c > 6 ? (unsigned)atoi(v[6]) + 1 : 16385;
		struct pkt *all = malloc(q[d].cap * sizeof *all);
		if (!all || !(q[d].p = malloc(q[d].cap * sizeof *q[d].p)))
			die("malloc");
		for (unsigned k = 0; k < q[d].cap; k++)
			q[d].p[k] = &all[k];
	}
	rs ^= now_ns() * 0x9e3779b97f4a7c15u;
	prctl(PR_SET_TIMERSLACK, 1000);
	signal(SIGTERM, onsig);
	signal(SIGINT, onsig);
	fd[0] = tun(v[2]);
	if ((ns = open(v[1], O_RDONLY)) < 0 || setns(ns, CLONE_NEWNET) < 0)
		die(v[1]);
	fd[1] = tun(v[2]);
	printf("ready\n");
	fflush(stdout);
	while (!stop) {
		u64 t = now_ns(), next = UINT64_MAX;
		struct timespec ts, *tp = NULL;
		for (d = 0; d < 2; d++) {
			struct q *x = &q[d];
			while (x->head != x->tail && x->p[x->head]->due <= t) {
				if (write(fd[!d], x->p[x->head]->b, (size_t)x->p[x->head]->len) < 0 && errno == EAGAIN)
					break;
				x->out++;
				x->head = (x->head + 1) % x->cap;
			}
			if (x->head != x->tail && x->p[x->head]->due < next)
				next = x->p[x->head]->due;
			p[d] = (struct pollfd){ fd[d], POLLIN, 0 };
		}
		if (next != UINT64_MAX) {
			u64 w = next > t ? next - t : 0;
			ts = (struct timespec){ (time_t)(w / 1000000000u), (long)(w % 1000000000u) };
			tp = &ts;
		}
		if (ppoll(p, 2, tp, NULL) < 0)
			continue;
		t = now_ns();
		for (d = 0; d < 2; d++) {
			struct q *x = &q[d];
			if (!(p[d].revents & POLLIN))
				continue;
			for (i = 0; i < 64; i++) {
				unsigned char junk[PKT];
				unsigned nt = (x->tail + 1) % x->cap;
				int full = nt == x->head;
				ssize_t r = read(fd[d], full ? junk : x->p[x->tail]->b, PKT);
				if (r <= 0)
					break;
				x->in++;
				if (full) {
					x->full++;
					continue;
				}
				if (loss > 0 && rnd() < loss) {
					x->lost++;
					continue;
				}
				u64 at = t;
				if (mbit > 0) {
					if (x->busy < t)
						x->busy = t;
					x->busy += (u64)((double)r * 8000.0 / mbit);
					at = x->busy;
				}
				struct pkt *k = x->p[x->tail];
				k->due = at + delay + (u64)(rnd() * (double)jitter);
				k->len = (int)r;
				for (unsigned to = x->tail; to != x->head; ) {
					unsigned before = (to + x->cap - 1) % x->cap;
					if (x->p[before]->due <= k->due)
						break;
					x->p[to] = x->p[before];
					x->p[to = before] = k;
				}
				x->tail = nt;
			}
		}
	}
	for (d = 0; d < 2; d++)
		printf("%s in %llu lost %llu full %llu out %llu\n", d ? "from-ns" : "to-ns", (unsigned long long)q[d].in,
		    (unsigned long long)q[d].lost, (unsigned long long)q[d].full, (unsigned long long)q[d].out);
	return 0;
}
