/* SPDX-License-Identifier: BSD-3-Clause */
/* loadgen: service and load generator for tunnel benchmarks. Linux, epoll, libc only.
 *
 *   loadgen server  --port P [--bind A] [--proto tcp|udp|both]
 *   loadgen wait    --port P [--host H] [--proto tcp|udp] [--secs T]
 *   loadgen bulk    --port P --dir up|down|both --n N --secs T [--gentle 1: uploads wait for the first ack]
 *   loadgen lat     --port P --size S --secs T [--load N --loaddir up|down]
 *   loadgen conn    --port P --n CONCURRENCY --secs T
 *   loadgen idle    --port P --n N            (prints OPEN line, waits for stdin, checks again)
 *   loadgen slow    --port P --dir up|down --stall S --mb M
 *   loadgen pace    --port P --mb M --pace MB_PER_S   (a reader slower than the tunnel)
 *   loadgen fetch   --port P --dir up|down --size BYTES --n CONC --secs T [--load N --loaddir D] [--qport SERVICE]
 *   loadgen half    --port P --n N --mb M [--qport SERVICE] [--qhost H]
 *   loadgen udp     --port P --size S --rate PPS --secs T --n FLOWS
 *   loadgen pstat   PID...                    (CPU and memory of the process trees)
 *
 * Every client mode prints one JSON object. All data is checked: the byte at
 * stream offset i is pat[(seed + i) % PLEN], PLEN prime, so lost, repeated,
 * moved or foreign bytes are seen. Upload rates count what the service has
 * received and checked (it acks every 256 KiB), not what the tunnel buffered.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PLEN 1048573u
#define CHUNK (256u * 1024)
#define ACKEVERY (256u * 1024)

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

static u8 *pat;			/* two periods, so CHUNK is contiguous */

static u64 now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
}

static void die(const char *m)
{
	fprintf(stderr, "loadgen: %s: %s\n", m, strerror(errno));
	exit(1);
}

static void mkpat(void)
{
	u64 x = 0x9e3779b97f4a7c15u;
	u32 i;

	if (!(pat = malloc(2u * PLEN)))
		die("malloc");
	for (i = 0; i < PLEN; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		pat[i] = pat[i + PLEN] = (u8)(x >> 32);
	}
}

static const u8 *patat(u32 seed, u64 off) { return pat + (seed + off) % PLEN; }

/* header of every op but 'e' (echo, whose first byte is itself echoed) */
struct hdr {
	u8 op, pad[3];
	u32 seed;
	u64 total;
	u64 arg;
};
struct ack {
	u64 count;
	u64 bad;		/* 1 + offset of the first wrong block, or 0 */
};

/* options */
static struct {
	const char *host, *bind, *proto, *dir, *loaddir, *qhost;
	int port, qport, n, load, gentle;
	u32 size, rate, seed;
	double secs, warm, stall, mb, pace;
} o = { "127.0.0.1", "127.0.0.1", "tcp", "down", "down", "127.0.0.1", 0, 0, 1, 0, 0,
	1, 1000, 0, 3, .5, 20, 64, 10 };

/* samples */
struct samples { u32 *v; size_t n, cap; };
static void add(struct samples *s, u64 ns)
{
	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 65536;
		if (!(s->v = realloc(s->v, s->cap * sizeof *s->v)))
			die("realloc");
	}
	s->v[s->n++] = ns / 10 > UINT32_MAX ? UINT32_MAX : (u32)(ns / 10);
}
static int cmp32(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;
	return x < y ? -1 : x > y;
}
static double pct(struct samples *s, double p)	/* microseconds; sorted */
{
	if (!s->n)
		return 0;
	size_t i = (size_t)(p * (double)s->n);
	if (i >= s->n)
		i = s->n - 1;
	return s->v[i] / 100.0;
}
static void print_lat(struct samples *s)
{
	if (s->n)
		qsort(s->v, s->n, sizeof *s->v, cmp32);
	printf("\"samples\":%zu,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f",
	    s->n, pct(s, .5), pct(s, .99), pct(s, .999), pct(s, 1));
}

/* sockets */
static struct sockaddr_in addr_of(const char *h, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	if (inet_pton(AF_INET, h, &a.sin_addr) != 1) {
		fprintf(stderr, "loadgen: bad address %s\n", h);
		exit(2);
	}
	return a;
}
static void nonblock(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }
static void nodelay(int fd) { int y = 1; setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &y, sizeof y); }
static int dial(const char *h, int port)	/* blocking; -1 on error */
{
	struct sockaddr_in a = addr_of(h, port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0)
		die("socket");
	nodelay(fd);
	if (connect(fd, (void *)&a, sizeof a) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}
static void rcvtimeo(int fd, double s)
{
	struct timeval t = { (time_t)s, (suseconds_t)((s - (double)(time_t)s) * 1e6) };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
}
static int readn(int fd, void *b, size_t n)
{
	size_t k = 0;
	while (k < n) {
		ssize_t r = read(fd, (u8 *)b + k, n - k);
		if (r <= 0) {
			if (r == 0)
				errno = 0;
			return -1;
		}
		k += (size_t)r;
	}
	return 0;
}
static int writen(int fd, const void *b, size_t n)
{
	size_t k = 0;
	while (k < n) {
		ssize_t r = send(fd, (const u8 *)b + k, n - k, MSG_NOSIGNAL);
		if (r <= 0)
			return -1;
		k += (size_t)r;
	}
	return 0;
}
static u32 newseed(void)
{
	static u32 c;
	return (o.seed + (u32)getpid() * 7919u + ++c * 104729u) % PLEN;
}

/* ------------------------------------------------------------- server */
struct sconn {
	int fd, udp;
	u8 op;
	int hn;			/* header bytes had */
	u8 hb[sizeof(struct hdr)];
	struct hdr h;
	u64 rx, tx, bad, acked, wake;
	int eof, done;
	u8 *eb;			/* echo buffer */
	u32 el, eo;
	struct ack ab;
	u32 ao, al;
	u32 ev;
	struct sconn *snext;	/* stalled list */
};
static int sep;
#define RLOG 8192
static struct { u32 seed; u64 rx, bad; int eof; } rlog[RLOG];
static unsigned rlogn;
static struct sconn *stalled;

static void sev(struct sconn *c, u32 ev)
{
	if (c->ev == ev)
		return;
	struct epoll_event e = { .events = ev, .data.ptr = c };
	epoll_ctl(sep, EPOLL_CTL_MOD, c->fd, &e);
	c->ev = ev;
}
static void sclose(struct sconn *c)
{
	struct sconn **p;
	if (c->op == 'R' || c->op == 'W') {
		rlog[rlogn % RLOG].seed = c->h.seed;
		rlog[rlogn % RLOG].rx = c->rx;
		rlog[rlogn % RLOG].bad = c->bad;
		rlog[rlogn % RLOG].eof = c->eof;
		rlogn++;
	}
	for (p = &stalled; *p; p = &(*p)->snext)
		if (*p == c) {
			*p = c->snext;
			break;
		}
	close(c->fd);
	free(c->eb);
	free(c);
}
/* >0 progress, 0 would block, <0 close */
static int sack(struct sconn *c)
{
	while (c->ao < c->al) {
		ssize_t r = send(c->fd, (u8 *)&c->ab + c->ao, c->al - c->ao, MSG_NOSIGNAL);
		if (r < 0)
			return errno == EAGAIN ? 0 : -1;
		c->ao += (u32)r;
	}
	return 1;
}
static void setack(struct sconn *c)
{
	c->ab.count = c->rx;
	c->ab.bad = c->bad;
	c->ao = 0;
	c->al = sizeof c->ab;
	c->acked = c->rx;
}
static int ssend(struct sconn *c, u32 seed, u64 total)
{
	int i;
	for (i = 0; i < 8 && c->tx < total; i++) {
		u64 n = total - c->tx < CHUNK ? total - c->tx : CHUNK;
		ssize_t r = send(c->fd, patat(seed, c->tx), n, MSG_NOSIGNAL);
		if (r < 0)
			return errno == EAGAIN ? 0 : -1;
		c->tx += (u64)r;
	}
	return 1;
}
static void scheck(struct sconn *c, const u8 *b, size_t n)
{
	if (!c->bad && memcmp(b, patat(c->h.seed, c->rx), n))
		c->bad = c->rx + 1;
	c->rx += n;
}
static int sread(struct sconn *c)
{
	static u8 buf[CHUNK];
	int i;
	for (i = 0; i < 4; i++) {
		ssize_t r;
		if (c->op == 'e' || c->op == 0) {
			if (c->op == 'e' && c->el > c->eo)
				return 1;	/* flush first */
			r = read(c->fd, buf, c->op ? 65536 : 1);
		} else
			r = read(c->fd, buf, sizeof buf);
		if (r == 0) {
			c->eof = 1;
			return 1;
		}
		if (r < 0)
			return errno == EAGAIN ? 0 : -1;
		u8 *p = buf;
		if (!c->op) {
			c->op = *p;
			if (c->op != 'e' && !strchr("UDSHRQW", c->op))
				return -1;
		}
		if (c->op == 'e') {
			if (!c->eb && !(c->eb = malloc(65536)))
				die("malloc");
			memcpy(c->eb, p, (size_t)r);
			c->el = (u32)r;
			c->eo = 0;
			return 1;
		}
		while (r > 0 && c->hn < (int)sizeof c->hb) {
			c->hb[c->hn++] = *p++;
			r--;
			if (c->hn == (int)sizeof c->hb) {
				memcpy(&c->h, c->hb, sizeof c->h);
				if (c->op == 'S') {
					c->wake = now_ns() + c->h.arg * 1000000u;
					c->snext = stalled;
					stalled = c;
				}
			}
		}
		if (r > 0)
			scheck(c, p, (size_t)r);
		if (c->op == 'S' && c->wake)
			return 0;
	}
	return 1;
}
/* returns <0 to close */
static int srun(struct sconn *c, u32 ev)
{
	int r, want = EPOLLIN;

	if ((ev & EPOLLERR) && !(ev & EPOLLIN))
		return -1;
	if (c->op == 'S' && c->wake) {
		if (ev & EPOLLHUP)
			return -1;
		sev(c, 0);
		return 0;
	}
	if (ev & (EPOLLIN | EPOLLHUP)) {
		if (sread(c) < 0)
			return -1;
	}
	if (c->op == 0)
		return c->eof ? -1 : 0;
	if (c->op == 'e') {
		while (c->eo < c->el) {
			ssize_t n = send(c->fd, c->eb + c->eo, c->el - c->eo, MSG_NOSIGNAL);
			if (n < 0) {
				if (errno != EAGAIN)
					return -1;
				sev(c, EPOLLOUT);
				return 0;
			}
			c->eo += (u32)n;
		}
		if (c->eof)
			return -1;
		sev(c, EPOLLIN);
		return 0;
	}
	if (c->hn < (int)sizeof c->hb)
		return c->eof ? -1 : 0;
	switch (c->op) {
	case 'U':
		if (c->ao == c->al && (c->rx - c->acked >= ACKEVERY || (c->eof && c->rx != c->acked)))
			setack(c);
		if ((r = sack(c)) < 0)
			return -1;
		if (c->eof && c->ao == c->al)
			return -1;
		want = c->eof ? 0 : EPOLLIN;
		if (!r)
			want |= EPOLLOUT;
		break;
	case 'D':
		if (c->eof)
			return -1;
		if (ssend(c, c->h.seed, c->h.total) < 0)
			return -1;
		if (c->tx >= c->h.total) {
			if (!c->done++)
				shutdown(c->fd, SHUT_WR);
		} else
			want |= EPOLLOUT;
		break;
	case 'S':
		if (c->wake) {
			want = 0;
			break;
		}
		if (!c->done && (c->rx >= c->h.total || c->eof || c->bad)) {
			setack(c);
			c->done = 1;
		}
		if ((r = sack(c)) < 0)
			return -1;
		if (!r)
			want |= EPOLLOUT;
		if (c->eof && c->ao == c->al)
			return -1;
		break;
	case 'H':			/* reply only after the client's EOF */
		if (!c->eof)
			break;
		if (!c->done) {
			setack(c);
			c->done = 1;
		}
		want = EPOLLOUT;
		if ((r = sack(c)) < 0)
			return -1;
		if (!r)
			break;
		if (ssend(c, (c->h.seed + 1) % PLEN, c->h.arg) < 0)
			return -1;
		if (c->tx >= c->h.arg)
			return -1;
		break;
	case 'R':			/* server half-closes first, then reads */
		if (!c->done) {
			if (ssend(c, c->h.seed, c->h.total) < 0)
				return -1;
			if (c->tx >= c->h.total) {
				shutdown(c->fd, SHUT_WR);
				c->done = 1;
			} else
				want |= EPOLLOUT;
		}
		if (c->eof)
			return -1;
		break;
	case 'W':			/* only counts until the client closes */
		if (c->eof)
			return -1;
		break;
	case 'Q': {
		struct ack a = { 0, 1 };
		int i;
		for (i = 0; i < RLOG; i++)
			if (rlog[i].seed == c->h.seed && rlogn) {
				a.count = rlog[i].rx;
				a.bad = rlog[i].bad;
			}
		if (send(c->fd, &a, sizeof a, MSG_NOSIGNAL) < 0)
			return -1;
		return -1;
	}
	}
	sev(c, (u32)want);
	return 0;
}
static int udp_sock(const char *h, int port)
{
	struct sockaddr_in a = addr_of(h, port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), b = 8 << 20;
	if (fd < 0)
		die("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &b, sizeof b))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &b, sizeof b);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &b, sizeof b))
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &b, sizeof b);
	if (bind(fd, (void *)&a, sizeof a) < 0)
		die("bind udp");
	return fd;
}
static void udp_serve(int fd)
{
#define NM 32
	static u8 b[NM][65536];
	static struct sockaddr_in a[NM];
	struct mmsghdr m[NM];
	struct iovec v[NM];
	int i, n, k;
	for (k = 0; k < 4; k++) {
		for (i = 0; i < NM; i++) {
			v[i] = (struct iovec){ b[i], sizeof b[i] };
			m[i].msg_hdr = (struct msghdr){ .msg_name = &a[i], .msg_namelen = sizeof a[i],
				.msg_iov = &v[i], .msg_iovlen = 1 };
		}
		n = recvmmsg(fd, m, NM, MSG_DONTWAIT, NULL);
		if (n <= 0)
			return;
		for (i = 0; i < n; i++)
			v[i].iov_len = m[i].msg_len;
		for (i = 0; i < n; ) {
			int r = sendmmsg(fd, m + i, (unsigned)(n - i), 0);
			i += r > 0 ? r : 1;
		}
	}
}
static _Noreturn void server(void)
{
	struct epoll_event e, ev[256];
	struct sockaddr_in a = addr_of(o.bind, o.port);
	int lf = -1, uf = -1, y = 1, i;
	static struct sconn L, U;

	sep = epoll_create1(0);
	if (strcmp(o.proto, "udp")) {
		lf = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		setsockopt(lf, SOL_SOCKET, SO_REUSEADDR, &y, sizeof y);
		if (bind(lf, (void *)&a, sizeof a) < 0 || listen(lf, 4096) < 0)
			die("bind tcp");
		L.fd = lf;
		e = (struct epoll_event){ .events = EPOLLIN, .data.ptr = &L };
		epoll_ctl(sep, EPOLL_CTL_ADD, lf, &e);
	}
	if (strcmp(o.proto, "tcp")) {
		uf = udp_sock(o.bind, o.port);
		U.fd = uf;
		e = (struct epoll_event){ .events = EPOLLIN, .data.ptr = &U };
		epoll_ctl(sep, EPOLL_CTL_ADD, uf, &e);
	}
	for (;;) {
		int to = -1, n;
		struct sconn *c, *nx;
		if (stalled) {
			u64 t = now_ns();
			to = 1000;
			for (c = stalled; c; c = c->snext) {
				int d = c->wake > t ? (int)((c->wake - t) / 1000000u) + 1 : 0;
				if (d < to)
					to = d;
			}
		}
		n = epoll_wait(sep, ev, 256, to);
		if (stalled) {
			u64 t = now_ns();
			struct sconn *l = stalled;
			stalled = NULL;
			for (c = l; c; c = nx) {
				nx = c->snext;
				if (c->wake <= t) {
					c->wake = 0;
					c->snext = NULL;
					sev(c, EPOLLIN);
				} else {
					c->snext = stalled;
					stalled = c;
				}
			}
		}
		for (i = 0; i < n; i++) {
			c = ev[i].data.ptr;
			if (c == &U) {
				udp_serve(uf);
				continue;
			}
			if (c == &L) {
				int f, k;
				for (k = 0; k < 256 && (f = accept4(lf, NULL, NULL, SOCK_NONBLOCK)) >= 0; k++) {
					nodelay(f);
					if (!(c = calloc(1, sizeof *c)))
						die("calloc");
					c->fd = f;
					c->ev = EPOLLIN;
					e = (struct epoll_event){ .events = EPOLLIN, .data.ptr = c };
					epoll_ctl(sep, EPOLL_CTL_ADD, f, &e);
				}
				continue;
			}
			if (srun(c, ev[i].events) < 0)
				sclose(c);
		}
	}
}

/* --------------------------------------------------------------- bulk */
struct bconn {
	int fd, up, state;	/* 0 connecting 1 running 2 dead */
	u32 seed, ho;
	struct hdr h;
	u64 tx, rx, acked, bad, mark;
	u8 ab[sizeof(struct ack)];
	u32 an;
	int err;
};
static u64 bprog(struct bconn *c) { return c->up ? c->acked : c->rx; }

struct bres { double up, down; u64 total; int dead, bad, fail; double fair; u64 win; };

static struct bres bulk_run(int nup, int ndown, double warm, double secs, int stopfd)
{
	static u8 buf[CHUNK];
	struct bres R = { 0 };
	int n = nup + ndown, i, j, ep = epoll_create1(0), marked = 0;
	struct bconn *cs = calloc((size_t)n, sizeof *cs);
	struct epoll_event e, ev[64];
	u64 t0 = now_ns(), tm = 0, te, tend;

	for (i = 0; i < n; i++) {
		struct bconn *c = &cs[i];
		c->up = i < nup;
		c->seed = newseed();
		c->fd = dial(o.host, o.port);
		if (c->fd < 0) {
			c->state = 2;
			R.fail++;
			continue;
		}
		nonblock(c->fd);
		c->h = (struct hdr){ .op = c->up ? 'U' : 'D', .seed = c->seed, .total = UINT64_MAX };
		e = (struct epoll_event){ .events = EPOLLIN | EPOLLOUT, .data.ptr = c };
		epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
	}
	te = t0 + (u64)(warm * 1e9);
	tend = te + (u64)(secs * 1e9);
	for (;;) {
		u64 t = now_ns();
		if (!marked && t >= te) {
			marked = 1;
			tm = t;
			for (i = 0; i < n; i++)
				cs[i].mark = bprog(&cs[i]);
		}
		if (t >= tend)
			break;
		if (stopfd >= 0) {
			struct pollfd p = { stopfd, POLLIN, 0 };
			if (poll(&p, 1, 0) > 0)
				break;
		}
		int k = epoll_wait(ep, ev, 64, 20);
		for (i = 0; i < k; i++) {
			struct bconn *c = ev[i].data.ptr;
			int dead = 0;
			if (c->state == 2)
				continue;
			if (c->ho < sizeof c->h && (ev[i].events & EPOLLOUT)) {
				ssize_t r = send(c->fd, (u8 *)&c->h + c->ho, sizeof c->h - c->ho, MSG_NOSIGNAL);
				if (r < 0 && errno != EAGAIN)
					dead = errno;
				else if (r > 0)
					c->ho += (u32)r;
				if (c->ho == sizeof c->h && !c->up) {
					e = (struct epoll_event){ .events = EPOLLIN, .data.ptr = c };
					epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
				}
			} else if (c->up && (ev[i].events & EPOLLOUT)) {
				for (j = 0; j < 8; j++) {
					u64 m = CHUNK;
					if (o.gentle && !c->acked) {	/* until the service has answered, one chunk only */
						if (c->tx >= CHUNK) {
							e = (struct epoll_event){ .events = EPOLLIN, .data.ptr = c };
							epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
							break;
						}
						m = CHUNK - c->tx;
					}
					ssize_t r = send(c->fd, patat(c->seed, c->tx), m, MSG_NOSIGNAL);
					if (r < 0) {
						if (errno != EAGAIN)
							dead = errno;
						break;
					}
					c->tx += (u64)r;
				}
			}
			if (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
				for (j = 0; j < 8 && !dead; j++) {
					ssize_t r = read(c->fd, buf, c->up ? 4096 : CHUNK), q;
					if (r < 0) {
						if (errno != EAGAIN)
							dead = errno;
						break;
					}
					if (r == 0) {
						dead = 1000;
						break;
					}
					if (c->up) {
						for (q = 0; q < r; q++) {
							c->ab[c->an++] = buf[q];
							if (c->an == sizeof c->ab) {
								struct ack a;
								memcpy(&a, c->ab, sizeof a);
								c->an = 0;
								if (o.gentle && !c->acked) {
									e = (struct epoll_event){ .events = EPOLLIN | EPOLLOUT, .data.ptr = c };
									epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
								}
								if (a.bad && !c->bad)
									c->bad = a.bad;
								c->acked = a.count;
							}
						}
					} else {
						if (!c->bad && memcmp(buf, patat(c->seed, c->rx), (size_t)r))
							c->bad = c->rx + 1;
						c->rx += (u64)r;
					}
				}
			if (dead) {
				c->state = 2;
				c->err = dead;
				epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, NULL);
				close(c->fd);
				c->fd = -1;
			}
		}
	}
	double el = tm ? (double)(now_ns() - tm) / 1e9 : 1, mn = 1e18, mx = 0;
	for (i = 0; i < n; i++) {
		struct bconn *c = &cs[i];
		double r = (double)(bprog(c) - c->mark) / el / 1e6;
		if (c->up)
			R.up += r;
		else
			R.down += r;
		R.win += bprog(c) - c->mark;
		if (r < mn)
			mn = r;
		if (r > mx)
			mx = r;
		R.total += bprog(c);
		if (c->state == 2 && c->err) {
			R.dead++;
			fprintf(stderr, "bulk: conn %d (%s) died after %llu bytes: %s\n", i, c->up ? "up" : "down",
			    (unsigned long long)bprog(c), c->err == 1000 ? "EOF" : strerror(c->err));
		}
		if (c->bad) {
			R.bad++;
			fprintf(stderr, "bulk: conn %d (%s) CORRUPT at %llu\n", i, c->up ? "up" : "down",
			    (unsigned long long)c->bad - 1);
		}
		if (c->fd >= 0)
			close(c->fd);
	}
	R.fair = mx > 0 ? mn / mx : 0;
	free(cs);
	close(ep);
	return R;
}
static int bulk(void)
{
	int u = strcmp(o.dir, "down") ? o.n : 0, d = strcmp(o.dir, "up") ? o.n : 0;
	struct bres r = bulk_run(u, d, o.warm, o.secs, -1);
	printf("{\"mode\":\"bulk\",\"dir\":\"%s%s\",\"n\":%d,\"MBps\":%.2f,\"up_MBps\":%.2f,\"down_MBps\":%.2f,"
	    "\"bytes_total\":%llu,\"fair\":%.3f,\"died\":%d,\"corrupt\":%d,\"connfail\":%d}\n",
	    o.dir, o.gentle ? "-gentle" : "", o.n, r.up + r.down, r.up, r.down, (unsigned long long)r.total, r.fair, r.dead, r.bad, r.fail);
	return 0;
}

/* ------------------------------------------------------------ latency */
static int lat(void)
{
	struct samples s = { 0 };
	int pin[2] = { -1, -1 }, pout[2], fd, err = 0;
	pid_t kid = 0;
	u8 *a, *b;
	u64 te;
	struct bres br = { 0 };
	u32 i;

	if (o.load) {
		if (pipe(pin) || pipe(pout))
			die("pipe");
		if (!(kid = fork())) {
			int up = !strcmp(o.loaddir, "up");
			close(pin[1]);
			br = bulk_run(up ? o.load : 0, up ? 0 : o.load, .5, 3600, pin[0]);
			if (write(pout[1], &br, sizeof br) < 0)
				_exit(1);
			_exit(0);
		}
		close(pin[0]);
		usleep(1000000);
	}
	a = malloc(o.size + 1);
	b = malloc(o.size + 1);
	for (i = 0; i < o.size; i++)
		a[i] = 'e';
	u64 c0 = now_ns();
	fd = dial(o.host, o.port);
	double tc = -1;
	if (fd >= 0) {
		rcvtimeo(fd, 20);
		te = now_ns() + (u64)(o.secs * 1e9);
		while (now_ns() < te) {
			u64 t = now_ns();
			if (writen(fd, a, o.size) || readn(fd, b, o.size)) {
				err = errno ? errno : 1000;
				break;
			}
			t = now_ns() - t;
			if (tc < 0)
				tc = (double)(now_ns() - c0) / 1e3;	/* first reply */
			else
				add(&s, t);
			if (memcmp(a, b, o.size)) {
				err = 1001;
				break;
			}
			for (i = 1; i < o.size && i < 9; i++)
				a[i] = (u8)(s.n >> i);
		}
		close(fd);
	} else
		err = errno;
	if (kid) {
		close(pin[1]);
		if (read(pout[0], &br, sizeof br) != sizeof br)
			br.fail = 99;
		waitpid(kid, NULL, 0);
	}
	printf("{\"mode\":\"lat\",\"size\":%u,\"load\":%d,\"loaddir\":\"%s\",", o.size, o.load, o.loaddir);
	print_lat(&s);
	printf(",\"first_us\":%.1f,\"err\":%d,\"load_MBps\":%.2f,\"load_died\":%d,\"load_corrupt\":%d}\n",
	    tc, err, br.up + br.down, br.dead + br.fail, br.bad);
	return 0;
}

/* ------------------------------------------------------- connect rate */
static int dial_nb(void)
{
	struct sockaddr_in a = addr_of(o.host, o.port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	nodelay(fd);
	if (connect(fd, (void *)&a, sizeof a) < 0 && errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}
struct cc { int fd, st; u64 t; };
static int connrate(void)
{
	struct samples s = { 0 };
	int ep = epoll_create1(0), i, n = o.n, live = 0;
	struct cc *cs = calloc((size_t)n, sizeof *cs);
	struct epoll_event e, ev[256];
	u64 t0 = now_ns(), te = t0 + (u64)(o.secs * 1e9), grace = te + 10000000000u;
	u64 ok = 0, okin = 0, fail = 0, tmo = 0, eof = 0;

	for (i = 0; i < n; i++)
		cs[i].fd = -1;
	for (;;) {
		u64 t = now_ns();
		live = 0;
		for (i = 0; i < n; i++) {
			if (cs[i].fd >= 0 && t - cs[i].t > 10000000000u) {
				close(cs[i].fd);
				cs[i].fd = -1;
				tmo++;
			}
			if (cs[i].fd < 0 && t < te) {
				if ((cs[i].fd = dial_nb()) < 0) {
					fail++;
					continue;
				}
				cs[i].st = 0;
				cs[i].t = now_ns();
				e = (struct epoll_event){ .events = EPOLLOUT, .data.ptr = &cs[i] };
				epoll_ctl(ep, EPOLL_CTL_ADD, cs[i].fd, &e);
			}
			live += cs[i].fd >= 0;
		}
		if (t >= te && (!live || t > grace))
			break;
		int k = epoll_wait(ep, ev, 256, 10);
		for (i = 0; i < k; i++) {
			struct cc *c = ev[i].data.ptr;
			char b;
			ssize_t r;
			if (c->fd < 0)
				continue;
			if (c->st == 0) {
				r = send(c->fd, "e", 1, MSG_NOSIGNAL);
				if (r == 1) {
					c->st = 1;
					e = (struct epoll_event){ .events = EPOLLIN, .data.ptr = c };
					epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
					continue;
				}
				if (r < 0 && errno == EAGAIN)
					continue;
				fail++;
			} else {
				r = read(c->fd, &b, 1);
				if (r < 0 && errno == EAGAIN)
					continue;
				if (r == 1 && b == 'e') {
					u64 q = now_ns();
					add(&s, q - c->t);
					ok++;
					okin += q <= te;
				} else if (r == 0)
					eof++;
				else
					fail++;
			}
			close(c->fd);
			c->fd = -1;
		}
	}
	printf("{\"mode\":\"conn\",\"n\":%d,\"cps\":%.1f,\"ok\":%llu,\"fail\":%llu,\"eof\":%llu,\"timeout\":%llu,",
	    n, (double)okin / o.secs, (unsigned long long)ok, (unsigned long long)fail, (unsigned long long)eof,
	    (unsigned long long)(tmo + (u64)live));
	print_lat(&s);
	printf("}\n");
	return 0;
}

/* --------------------------------------------------------------- idle */
static int echo1(int fd) { char b; return writen(fd, "e", 1) || readn(fd, &b, 1) || b != 'e'; }
static int idle(void)
{
	int *fd = calloc((size_t)o.n, sizeof *fd), i, j, k, ok = 0, alive = 0, silent = 0, W = 32;
	u64 t = now_ns();
	char line[16];

	for (i = 0; i < o.n && !silent; i += W) {	/* windows of 32: connect all, write all, read all; no more behind one that is silent */
		for (j = i; j < i + W && j < o.n; j++)
			if ((fd[j] = dial(o.host, o.port)) >= 0) {
				rcvtimeo(fd[j], 5);
				if (writen(fd[j], "e", 1)) {
					close(fd[j]);
					fd[j] = -1;
				}
			}
		for (k = i; k < j; k++)
			if (fd[k] >= 0 && !silent) {
				char b;
				if (readn(fd[k], &b, 1) || b != 'e') {
					close(fd[k]);
					fd[k] = -1;
					silent = 1;
				} else
					ok++;
			}
	}
	printf("{\"mode\":\"idle_open\",\"n\":%d,\"ok\":%d,\"secs\":%.3f}\n", o.n, ok, (double)(now_ns() - t) / 1e9);
	fflush(stdout);
	if (!fgets(line, sizeof line, stdin))
		return 0;
	t = now_ns();
	for (i = 0; i < o.n && !silent; i++) {
		errno = 0;
		if (fd[i] >= 0 && !echo1(fd[i]))
			alive++;
		else
			silent = errno == EAGAIN;	/* those behind it would be waited for as long */
	}
	printf("{\"mode\":\"idle_check\",\"n\":%d,\"alive\":%d,\"secs\":%.3f}\n", o.n, alive, (double)(now_ns() - t) / 1e9);
	return 0;
}

/* -------------------------------------------------------- slow reader */
static int slow(void)
{
	u64 total = (u64)(o.mb * 1e6), rx = 0, bad = 0, tx = 0, tstall = (u64)(o.stall * 1e9);
	u32 seed = newseed();
	int up = !strcmp(o.dir, "up"), pin[2], pout[2], fd, err = 0, done = 0;
	struct hdr h = { .op = up ? 'S' : 'D', .seed = seed, .total = total, .arg = (u64)(o.stall * 1e3) };
	struct bres br = { 0 };
	struct ack a = { 0 };
	static u8 buf[CHUNK];
	u64 t0, tfin = 0;
	pid_t kid;

	if (pipe(pin) || pipe(pout))
		die("pipe");
	fd = dial(o.host, o.port);
	if (fd < 0 || writen(fd, &h, sizeof h)) {
		printf("{\"mode\":\"slow\",\"dir\":\"%s\",\"err\":%d,\"intact\":0}\n", o.dir, errno);
		return 0;
	}
	t0 = now_ns();
	if (!(kid = fork())) {		/* the other connection, same direction */
		close(fd);
		br = bulk_run(up, !up, 1, o.stall > 2 ? o.stall - 2 : 1, -1);
		if (write(pout[1], &br, sizeof br) < 0)
			_exit(1);
		_exit(0);
	}
	if (up) {			/* writer pushes, service does not read */
		nonblock(fd);
		u64 last = now_ns();
		u32 an = 0;
		while (!done && !err) {
			struct pollfd p = { fd, POLLIN | (tx < total ? POLLOUT : 0), 0 };
			poll(&p, 1, 100);
			if (p.revents & POLLOUT) {
				u64 n = total - tx < CHUNK ? total - tx : CHUNK;
				ssize_t r = send(fd, patat(seed, tx), n, MSG_NOSIGNAL);
				if (r > 0) {
					tx += (u64)r;
					last = now_ns();
				} else if (errno != EAGAIN)
					err = errno;
			}
			if (p.revents & (POLLIN | POLLHUP | POLLERR)) {
				ssize_t r = read(fd, (u8 *)&a + an, sizeof a - an);
				if (r > 0) {
					an += (u32)r;
					last = now_ns();
					if (an == sizeof a) {
						done = 1;
						tfin = now_ns();
					}
				} else if (r == 0)
					err = 1000;
				else if (errno != EAGAIN)
					err = errno;
			}
			if (now_ns() - last > tstall + 30000000000u)
				err = ETIMEDOUT;
		}
		rx = a.count;
		bad = a.bad;
	} else {
		rcvtimeo(fd, 30);
		usleep((useconds_t)(o.stall * 1e6));
		for (;;) {
			ssize_t r = read(fd, buf, sizeof buf);
			if (r < 0)
				err = errno;
			if (r <= 0)
				break;
			if (!bad && memcmp(buf, patat(seed, rx), (size_t)r))
				bad = rx + 1;
			rx += (u64)r;
		}
		tfin = now_ns();
	}
	double held = (double)((tfin ? tfin : now_ns()) - t0) / 1e9;
	if (read(pout[0], &br, sizeof br) != sizeof br)
		br.fail = 99;
	waitpid(kid, NULL, 0);
	close(fd);
	printf("{\"mode\":\"slow\",\"dir\":\"%s\",\"stall\":%.1f,\"total\":%llu,\"got\":%llu,\"sent\":%llu,\"bad\":%llu,\"err\":%d,"
	    "\"intact\":%d,\"secs\":%.2f,\"other_MBps\":%.2f,\"other_died\":%d,\"other_corrupt\":%d}\n",
	    o.dir, o.stall, (unsigned long long)total, (unsigned long long)rx, (unsigned long long)tx,
	    (unsigned long long)bad, err, rx == total && !bad, held, br.up + br.down, br.dead + br.fail, br.bad);
	return 0;
}

/* Short transfers that end with a close, alone or beside bulk load: is every
 * byte there? down: service sends and closes; up: client sends and closes. */
struct fc { int fd, ho; u64 t, rx; u32 seed; int bad; };
static int fetch(void)
{
	struct samples s = { 0 };
	int ep = epoll_create1(0), i, n = o.n, live, pin[2] = { -1, -1 }, pout[2];
	struct fc *cs = calloc((size_t)n, sizeof *cs);
	struct epoll_event e, ev[256];
	static u8 buf[CHUNK];
	u64 ok = 0, trunc = 0, rst = 0, tmo = 0, bad = 0, lost = 0, total = 0, t0, te;
	u64 size = o.size;
	struct bres br = { 0 };
	pid_t kid = 0;

	if (o.load) {
		if (pipe(pin) || pipe(pout))
			die("pipe");
		if (!(kid = fork())) {
			int up = !strcmp(o.loaddir, "up");
			close(pin[1]);
			br = bulk_run(up ? o.load : 0, up ? 0 : o.load, .5, 3600, pin[0]);
			if (write(pout[1], &br, sizeof br) < 0)
				_exit(1);
			_exit(0);
		}
		close(pin[0]);
		usleep(1000000);
	}
	t0 = now_ns();
	te = t0 + (u64)(o.secs * 1e9);
	if (!strcmp(o.dir, "up")) {
		u32 *seeds = calloc(4000, sizeof *seeds);
		int k = 0;
		while (now_ns() < te && k < 4000) {
			u32 seed = newseed();
			struct hdr h = { .op = 'W', .seed = seed };
			u64 j, t = now_ns();
			int fd = dial(o.host, o.port), er = 0;
			if (fd < 0) {
				rst++;
				continue;
			}
			rcvtimeo(fd, 10);
			er = writen(fd, &h, sizeof h);
			for (j = 0; j < size && !er; j += CHUNK)
				er = writen(fd, patat(seed, j), size - j < CHUNK ? size - j : CHUNK);
			close(fd);
			if (er)
				rst++;
			else
				seeds[k++] = seed;
			add(&s, now_ns() - t);
			usleep(2000);
		}
		sleep(2);
		for (i = 0; i < k; i++) {
			struct hdr h = { .op = 'Q', .seed = seeds[i] };
			struct ack a = { 0 };
			int f = dial(o.qhost, o.qport);
			total++;
			if (f < 0)
				die("query");
			rcvtimeo(f, 5);
			if (writen(f, &h, sizeof h) || readn(f, &a, sizeof a))
				memset(&a, 0, sizeof a);
			close(f);
			if (a.count == size && !a.bad)
				ok++;
			else if (a.bad > 1)
				bad++;
			else if (a.count)
				trunc++;
			else
				lost++;
		}
	} else {
		for (i = 0; i < n; i++)
			cs[i].fd = -1;
		for (;;) {
			u64 t = now_ns();
			live = 0;
			for (i = 0; i < n; i++) {
				struct fc *c = &cs[i];
				if (c->fd >= 0 && t - c->t > 15000000000u) {
					close(c->fd);
					c->fd = -1;
					tmo++;
				}
				if (c->fd < 0 && t < te) {
					if ((c->fd = dial_nb()) < 0)
						continue;
					c->ho = 0;
					c->rx = 0;
					c->bad = 0;
					c->t = now_ns();
					c->seed = newseed();
					total++;
					e = (struct epoll_event){ .events = EPOLLOUT, .data.ptr = c };
					epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
				}
				live += c->fd >= 0;
			}
			if (t >= te && !live)
				break;
			int k = epoll_wait(ep, ev, 256, 10);
			for (i = 0; i < k; i++) {
				struct fc *c = ev[i].data.ptr;
				ssize_t r;
				if (c->fd < 0)
					continue;
				if (!c->ho) {
					struct hdr h = { .op = 'D', .seed = c->seed, .total = size };
					if (send(c->fd, &h, sizeof h, MSG_NOSIGNAL) == (ssize_t)sizeof h) {
						c->ho = 1;
						e = (struct epoll_event){ .events = EPOLLIN, .data.ptr = c };
						epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
						continue;
					}
					r = -1;
				} else {
					r = read(c->fd, buf, sizeof buf);
					if (r > 0) {
						if (memcmp(buf, patat(c->seed, c->rx), (size_t)r))
							c->bad = 1;
						c->rx += (u64)r;
						continue;
					}
				}
				if (r < 0 && errno == EAGAIN)
					continue;
				if (c->bad)
					bad++;
				else if (c->rx == size && r == 0) {
					ok++;
					add(&s, now_ns() - c->t);
				} else if (r == 0) {
					if (c->rx)
						trunc++;
					else
						lost++;
				} else
					rst++;
				close(c->fd);
				c->fd = -1;
			}
		}
	}
	double el = (double)(now_ns() - t0) / 1e9;
	if (kid) {
		close(pin[1]);
		if (read(pout[0], &br, sizeof br) != sizeof br)
			br.fail = 99;
		waitpid(kid, NULL, 0);
	}
	printf("{\"mode\":\"fetch\",\"dir\":\"%s\",\"n\":%d,\"size\":%llu,\"load\":%d,\"loaddir\":\"%s\",\"total\":%llu,\"ok\":%llu,"
	    "\"truncated\":%llu,\"empty\":%llu,\"reset\":%llu,\"timeout\":%llu,\"corrupt\":%llu,\"per_s\":%.1f,\"load_MBps\":%.2f,",
	    o.dir, n, (unsigned long long)size, o.load, o.loaddir, (unsigned long long)total, (unsigned long long)ok,
	    (unsigned long long)trunc, (unsigned long long)lost, (unsigned long long)rst, (unsigned long long)tmo,
	    (unsigned long long)bad, (double)ok / el, br.up + br.down);
	print_lat(&s);
	printf("}\n");
	return 0;
}

/* A reader that never stops but is slower than the tunnel: does flow control
 * reach the sender, or is the connection cut when buffers are full? */
static int paced(void)
{
	u64 total = (u64)(o.mb * 1e6), rx = 0, bad = 0, t0;
	u32 seed = newseed();
	struct hdr h = { .op = 'D', .seed = seed, .total = total };
	static u8 buf[CHUNK];
	int fd = dial(o.host, o.port), err = 0, b = 262144;

	t0 = now_ns();
	if (fd < 0 || writen(fd, &h, sizeof h))
		err = errno;
	else {
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &b, sizeof b);
		rcvtimeo(fd, 30);
		for (;;) {
			u64 due = t0 + (u64)((double)rx / o.pace * 1e3), t = now_ns();
			if (due > t + 1000000)
				usleep((useconds_t)((due - t) / 1000));
			ssize_t r = read(fd, buf, 65536);
			if (r < 0)
				err = errno;
			if (r <= 0)
				break;
			if (!bad && memcmp(buf, patat(seed, rx), (size_t)r))
				bad = rx + 1;
			rx += (u64)r;
		}
		close(fd);
	}
	printf("{\"mode\":\"pace\",\"pace\":%g,\"total\":%llu,\"got\":%llu,\"bad\":%llu,\"err\":%d,\"intact\":%d,\"secs\":%.2f}\n",
	    o.pace, (unsigned long long)total, (unsigned long long)rx, (unsigned long long)bad, err,
	    rx == total && !bad, (double)(now_ns() - t0) / 1e9);
	return 0;
}

/* --------------------------------------------------------- half-close */
static int half(void)
{
	int i, ok = 0, early = 0, rst = 0, tmo = 0, corrupt = 0, rok = 0, rlost = 0, rother = 0;
	u64 total = (u64)(o.mb * 1e6), reply = 1000000;
	static u8 buf[CHUNK];
	struct samples s = { 0 };

	for (i = 0; i < o.n; i++) {	/* client shuts down write, service replies after EOF */
		u32 seed = newseed();
		struct hdr h = { .op = 'H', .seed = seed, .total = total, .arg = reply };
		struct ack a;
		u64 k, rx = 0, t = now_ns();
		int bad = 0, e = 0;
		int fd = dial(o.host, o.port);
		if (fd < 0) {
			rst++;
			continue;
		}
		rcvtimeo(fd, 10);
		e = writen(fd, &h, sizeof h);
		for (k = 0; k < total && !e; k += CHUNK)
			e = writen(fd, patat(seed, k), total - k < CHUNK ? total - k : CHUNK);
		shutdown(fd, SHUT_WR);
		if (e || readn(fd, &a, sizeof a)) {
			if (errno == 0)
				early++;
			else if (errno == EAGAIN)
				tmo++;
			else
				rst++;
			close(fd);
			continue;
		}
		if (a.bad || a.count != total)
			bad = 1;
		for (;;) {
			ssize_t r = read(fd, buf, sizeof buf);
			if (r < 0)
				e = errno;
			if (r <= 0)
				break;
			if (memcmp(buf, patat((seed + 1) % PLEN, rx), (size_t)r))
				bad = 1;
			rx += (u64)r;
		}
		if (bad)
			corrupt++;
		else if (rx == reply && !e) {
			ok++;
			add(&s, now_ns() - t);
		} else if (e == EAGAIN)
			tmo++;
		else if (e)
			rst++;
		else
			early++;
		close(fd);
	}
	if (o.qport)
		for (i = 0; i < o.n; i++) {	/* service shuts down write first, client sends after */
			u32 seed = newseed();
			struct hdr h = { .op = 'R', .seed = seed, .total = 100000 };
			struct ack a = { 0 };
			u64 k, rx = 0;
			int e = 0, q, fd = dial(o.host, o.port);
			if (fd < 0) {
				rother++;
				continue;
			}
			rcvtimeo(fd, 10);
			e = writen(fd, &h, sizeof h);
			for (;;) {
				ssize_t r = read(fd, buf, sizeof buf);
				if (r <= 0) {
					e |= r < 0;
					break;
				}
				rx += (u64)r;
			}
			usleep(20000);
			for (k = 0; k < total && !e; k += CHUNK)
				e = writen(fd, patat(seed, k), total - k < CHUNK ? total - k : CHUNK);
			shutdown(fd, SHUT_WR);
			close(fd);
			for (q = 0; q < 20; q++) {
				int f;
				usleep(50000);
				h.op = 'Q';
				f = dial(o.qhost, o.qport);
				if (f < 0)
					break;
				rcvtimeo(f, 2);
				if (writen(f, &h, sizeof h) || readn(f, &a, sizeof a))
					memset(&a, 0, sizeof a);
				close(f);
				if (a.count == total)
					break;
			}
			if (rx == 100000 && a.count == total && !a.bad)
				rok++;
			else if (rx == 100000)
				rlost++;
			else
				rother++;
		}
	printf("{\"mode\":\"half\",\"n\":%d,\"ok\":%d,\"eof_early\":%d,\"reset\":%d,\"timeout\":%d,\"corrupt\":%d,"
	    "\"rev_ok\":%d,\"rev_lost\":%d,\"rev_other\":%d,", o.n, ok, early, rst, tmo, corrupt, rok, rlost, rother);
	print_lat(&s);
	printf("}\n");
	return 0;
}

/* ---------------------------------------------------------------- udp */
struct uh { u64 t; u32 seq, flow; };
static int udp(void)
{
#define RM 32
	int n = o.n, i, *fd = calloc((size_t)n, sizeof *fd);
	struct samples s = { 0 };
	struct sockaddr_in a = addr_of(o.host, o.port);
	static u8 b[65536], rb[RM][16384];
	struct pollfd *p = calloc((size_t)n, sizeof *p);
	u64 t0, te, sent = 0, rcv = 0, bad = 0, dup = 0, ooo = 0, serr = 0;
	u64 cap = (u64)((double)o.rate * o.secs) + 1000, wu;
	u8 *seen = calloc(1, cap);
	u32 *last = calloc((size_t)n, sizeof *last);
	u32 size = o.size < sizeof(struct uh) ? (u32)sizeof(struct uh) : o.size;

	for (i = 0; i < n; i++) {
		fd[i] = udp_sock("0.0.0.0", 0);
		if (connect(fd[i], (void *)&a, sizeof a))
			die("connect");
		p[i] = (struct pollfd){ fd[i], POLLIN, 0 };
	}
	/* open the flows first: one probe each until it comes back (not counted) */
	wu = now_ns();
	int up = 0;
	for (i = 0; i < n; i++) {
		int k, r = 0;
		struct uh h = { 0, UINT32_MAX, UINT32_MAX };
		for (k = 0; k < 20 && !r; k++) {
			memcpy(b, &h, sizeof h);
			if (send(fd[i], b, 64, 0) < 0)
				serr++;
			if (poll(&p[i], 1, 250) > 0 && recv(fd[i], rb[0], sizeof rb[0], 0) > 0)
				r = 1;
		}
		up += r;
	}
	double setup = (double)(now_ns() - wu) / 1e6;
	t0 = now_ns();
	te = t0 + (u64)(o.secs * 1e9);
	for (;;) {
		u64 t = now_ns(), due;
		int got = 0, k;
		if (t > te + 1500000000u)
			break;
		if (t < te) {
			due = (u64)((double)(t - t0) / 1e9 * o.rate);
			for (k = 0; sent < due && k < 64; k++) {
				int f = (int)(sent % (u64)n);
				struct uh h = { now_ns(), (u32)sent, (u32)f };
				memcpy(b, &h, sizeof h);
				memcpy(b + sizeof h, patat(h.seq % PLEN, 0), size - sizeof h);
				if (send(fd[f], b, size, 0) < 0)
					serr++;
				sent++;
			}
		}
		if (n > 1)
			poll(p, (nfds_t)n, 0);
		for (i = 0; i < n; i++) {
			struct mmsghdr m[RM];
			struct iovec v[RM];
			int r;
			if (n > 1 && !p[i].revents)
				continue;
			for (k = 0; k < RM; k++) {
				v[k] = (struct iovec){ rb[k], sizeof rb[k] };
				m[k].msg_hdr = (struct msghdr){ .msg_iov = &v[k], .msg_iovlen = 1 };
			}
			r = recvmmsg(fd[i], m, RM, MSG_DONTWAIT, NULL);
			for (k = 0; k < r; k++) {
				struct uh h;
				got = 1;
				memcpy(&h, rb[k], sizeof h);
				if (h.seq == UINT32_MAX && h.flow == UINT32_MAX)
					continue;
				if (m[k].msg_len != size || h.seq >= sent || h.flow != (u32)i ||
				    memcmp(rb[k] + sizeof h, patat(h.seq % PLEN, 0), size - sizeof h)) {
					bad++;
					continue;
				}
				if (seen[h.seq]) {
					dup++;
					continue;
				}
				seen[h.seq] = 1;
				if (h.seq < last[i])
					ooo++;
				else
					last[i] = h.seq;
				rcv++;
				add(&s, now_ns() - h.t);
			}
		}
		if (!got) {
			t = now_ns();
			u64 nx = t < te ? t0 + (u64)((double)(sent + 1) / o.rate * 1e9) : t + 1000000;
			if (t >= te && rcv == sent)
				break;
			if (nx > t + 60000) {
				struct timespec ts = { 0, (long)(nx - t - 50000 > 1000000 ? 1000000 : nx - t - 50000) };
				ppoll(p, (nfds_t)n, &ts, NULL);
			}
		}
	}
	printf("{\"mode\":\"udp\",\"size\":%u,\"rate\":%u,\"flows\":%d,\"flows_up\":%d,\"setup_ms\":%.1f,\"sent\":%llu,\"rcvd\":%llu,"
	    "\"loss_pct\":%.3f,\"bad\":%llu,\"dup\":%llu,\"ooo\":%llu,\"senderr\":%llu,\"sent_pps\":%.0f,", size, o.rate, n, up, setup,
	    (unsigned long long)sent, (unsigned long long)rcv, sent ? 100.0 * (double)(sent - rcv) / (double)sent : 100.0,
	    (unsigned long long)bad, (unsigned long long)dup, (unsigned long long)ooo, (unsigned long long)serr,
	    (double)sent / o.secs);
	print_lat(&s);
	printf("}\n");
	return 0;
}

/* --------------------------------------------------------------- wait */
static int waitup(void)
{
	u64 t0 = now_ns(), te = t0 + (u64)(o.secs * 1e9);
	while (now_ns() < te) {
		if (!strcmp(o.proto, "udp")) {
			int fd = udp_sock("0.0.0.0", 0);
			struct sockaddr_in a = addr_of(o.host, o.port);
			char b[16] = "probe";
			struct pollfd p = { fd, POLLIN, 0 };
			if (!connect(fd, (void *)&a, sizeof a) && send(fd, b, 16, 0) == 16 &&
			    poll(&p, 1, 500) > 0 && recv(fd, b, 16, 0) == 16) {
				printf("{\"up_s\":%.3f}\n", (double)(now_ns() - t0) / 1e9);
				return 0;
			}
			close(fd);
		} else {
			int fd = dial(o.host, o.port);
			if (fd >= 0) {
				rcvtimeo(fd, 5);
				if (!echo1(fd)) {
					printf("{\"up_s\":%.3f}\n", (double)(now_ns() - t0) / 1e9);
					return 0;
				}
				close(fd);
			}
		}
		usleep(100000);
	}
	return 1;
}

/* -------------------------------------------------------------- pstat */
static int pstat(int argc, char **argv)
{
	static struct { int pid, ppid, in; double cpu_u, cpu_s; long thr; } q[32768];
	int n = 0, i, j, ch = 1, np = 0;
	double hz = (double)sysconf(_SC_CLK_TCK), u = 0, s = 0;
	long pss = 0, rss = 0, thr = 0, fds = 0;
	DIR *d = opendir("/proc");
	struct dirent *de;

	while (d && (de = readdir(d)) && n < 32768) {
		char f[300], b[1024], *e;
		FILE *fp;
		if (de->d_name[0] < '0' || de->d_name[0] > '9')
			continue;
		snprintf(f, sizeof f, "/proc/%s/stat", de->d_name);
		if (!(fp = fopen(f, "r")))
			continue;
		size_t r = fread(b, 1, sizeof b - 1, fp);
		fclose(fp);
		b[r] = 0;
		if (!(e = strrchr(b, ')')))
			continue;
		unsigned long ut, st;
		long cut, cst, th;
		int pp;
		if (sscanf(e + 2, "%*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld %*d %*d %ld", &pp, &ut, &st, &cut, &cst, &th) != 6)
			continue;
		q[n].pid = atoi(de->d_name);
		q[n].ppid = pp;
		q[n].cpu_u = ((double)ut + (double)cut) / hz;
		q[n].cpu_s = ((double)st + (double)cst) / hz;
		q[n].thr = th;
		for (i = 0; i < argc; i++)
			if (atoi(argv[i]) == q[n].pid)
				q[n].in = 1;
		n++;
	}
	if (d)
		closedir(d);
	while (ch)
		for (ch = 0, i = 0; i < n; i++)
			for (j = 0; !q[i].in && j < n; j++)
				if (q[j].in && q[j].pid == q[i].ppid)
					q[i].in = ch = 1;
	for (i = 0; i < n; i++) {
		char f[64], l[256];
		FILE *fp;
		long v;
		if (!q[i].in)
			continue;
		np++;
		u += q[i].cpu_u;
		s += q[i].cpu_s;
		thr += q[i].thr;
		snprintf(f, sizeof f, "/proc/%d/smaps_rollup", q[i].pid);
		if ((fp = fopen(f, "r"))) {
			while (fgets(l, sizeof l, fp)) {
				if (sscanf(l, "Pss: %ld", &v) == 1)
					pss += v;
				if (sscanf(l, "Rss: %ld", &v) == 1)
					rss += v;
			}
			fclose(fp);
		}
		snprintf(f, sizeof f, "/proc/%d/fd", q[i].pid);
		if ((d = opendir(f))) {
			while (readdir(d))
				fds++;
			fds -= 2;
			closedir(d);
		}
	}
	printf("{\"procs\":%d,\"threads\":%ld,\"fds\":%ld,\"user_s\":%.2f,\"sys_s\":%.2f,\"pss_kb\":%ld,\"rss_kb\":%ld}\n",
	    np, thr, fds, u, s, pss, rss);
	return 0;
}

int main(int argc, char **argv)
{
	int i;
	const char *m = argc > 1 ? argv[1] : "";
	struct rlimit rl;

	if (!strcmp(m, "pstat"))
		return pstat(argc - 2, argv + 2);
	signal(SIGPIPE, SIG_IGN);
	if (!getrlimit(RLIMIT_NOFILE, &rl)) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	for (i = 2; i + 1 < argc; i += 2) {
		const char *k = argv[i], *v = argv[i + 1];
		if (!strcmp(k, "--port")) o.port = atoi(v);
		else if (!strcmp(k, "--host")) o.host = v;
		else if (!strcmp(k, "--bind")) o.bind = v;
		else if (!strcmp(k, "--proto")) o.proto = v;
		else if (!strcmp(k, "--dir")) o.dir = v;
		else if (!strcmp(k, "--n")) o.n = atoi(v);
		else if (!strcmp(k, "--secs")) o.secs = atof(v);
		else if (!strcmp(k, "--warm")) o.warm = atof(v);
		else if (!strcmp(k, "--size")) o.size = (u32)atoi(v);
		else if (!strcmp(k, "--rate")) o.rate = (u32)atoi(v);
		else if (!strcmp(k, "--load")) o.load = atoi(v);
		else if (!strcmp(k, "--loaddir")) o.loaddir = v;
		else if (!strcmp(k, "--stall")) o.stall = atof(v);
		else if (!strcmp(k, "--mb")) o.mb = atof(v);
		else if (!strcmp(k, "--gentle")) o.gentle = atoi(v);
		else if (!strcmp(k, "--pace")) o.pace = atof(v);
		else if (!strcmp(k, "--qport")) o.qport = atoi(v);
		else if (!strcmp(k, "--qhost")) o.qhost = v;
		else {
			fprintf(stderr, "loadgen: unknown option %s\n", k);
			return 2;
		}
	}
	if (!o.port || i != argc) {
		fprintf(stderr, "usage: see the head of loadgen.c\n");
		return 2;
	}
	mkpat();
	if (!strcmp(m, "server")) server();
	if (!strcmp(m, "bulk")) return bulk();
	if (!strcmp(m, "lat")) return lat();
	if (!strcmp(m, "conn")) return connrate();
	if (!strcmp(m, "idle")) return idle();
	if (!strcmp(m, "slow")) return slow();
	if (!strcmp(m, "fetch")) return fetch();
	if (!strcmp(m, "pace")) return paced();
	if (!strcmp(m, "half")) return half();
	if (!strcmp(m, "udp")) return udp();
	if (!strcmp(m, "wait")) return waitup();
	fprintf(stderr, "loadgen: unknown mode '%s'\n", m);
	return 2;
}
