/* SPDX-License-Identifier: BSD-3-Clause */
/* ceiling GATE_PORT SERVICE_PORT: the least that could do what a gateway and a provider do with TCP between them, to measure them by.
 *
 * Two processes of one loop each. What a client sends is read in the largest pieces that fit one UDP_SEGMENT run of packets like ours,
 * sealed with the project's cipher under a key that everybody knows, sent over loopback, opened in place and written to the service;
 * and the other way round. A window of credit stands for UDX: nothing is ever resent, and a packet that is lost ends it all. No DHT, no
 * peers, no policies. What ours takes longer for is either one of these or a waste. Takes root, or a receive buffer (net.core.rmem_max) for
 * the windows of all connections. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cipher.h"

enum {
	HEAD = 20, PAYLOAD = 1152, PACKET = HEAD + PAYLOAD, SEGMENTS = 55,
	FRAME = PAYLOAD * SEGMENTS, SEAL = 20, MESSAGE = FRAME - SEAL,
	WINDOW_MIN = 2 * FRAME, WINDOW_MAX = 1 << 20, CHANNELS = 4096, TURN_READS = 8, SOCKET_BYTES = 4 << 20,
};

enum kind { OPEN, DATA, ACK, FIN };

struct head {
	uint64_t offset;	/* of the channel's frames; of an ACK: how many were done with */
	uint32_t channel;
	uint32_t kind;
	uint32_t nothing[2];
};

_Static_assert(sizeof(struct head) >= HEAD, "its first 20 bytes are sent");

struct channel {
	uint32_t id;
	int fd;
	uint32_t events;
	crypto_secretstream_xchacha20poly1305_state push, pull;
	uint64_t sent, acked;			/* to the other process */
	uint64_t received, done, told;		/* from it */
	uint8_t *bytes;				/* [start, end) is not opened yet or not written yet */
	size_t start, end;
	size_t plain_at, plain_left, taken;	/* of the frame at @start, once it was opened */
	bool read_ended, fin_received, shut;
};

static struct channel *channels[CHANNELS], *touched[CHANNELS];
static size_t touched_count;
static uint32_t next_id;
static size_t window = WINDOW_MAX;
static int loop, wire, listener = -1;
static uint16_t service_port;
static struct cipher *cipher;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static struct sockaddr_in local(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void want(struct channel *ch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = ch };

	if (events != ch->events && epoll_ctl(loop, EPOLL_CTL_MOD, ch->fd, &event) < 0)
		die("epoll_ctl");
	ch->events = events;
}

static void send_packets(const struct iovec *iov, size_t iov_len, bool run)
{
	union { char bytes[CMSG_SPACE(sizeof(uint16_t))]; struct cmsghdr align; } control = { 0 };
	struct msghdr message = { .msg_iov = (struct iovec *)iov, .msg_iovlen = iov_len };

	if (run) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.align = (struct cmsghdr){ .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof(uint16_t)) };
		memcpy(CMSG_DATA(&control.align), &(uint16_t){ PACKET }, sizeof(uint16_t));
	}
	while (sendmsg(wire, &message, 0) < 0)
		if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS && errno != ECONNREFUSED)
			die("sendmsg");
}

static void send_note(const struct channel *ch, enum kind kind, uint64_t offset)
{
	struct head head = { .offset = offset, .channel = ch->id, .kind = kind };

	send_packets(&(struct iovec){ &head, HEAD }, 1, false);
}

static void begin_stream(crypto_secretstream_xchacha20poly1305_state *state, uint32_t id, bool by_gateway)
{
	static const uint8_t key[crypto_secretstream_xchacha20poly1305_KEYBYTES];
	uint8_t header[crypto_secretstream_xchacha20poly1305_HEADERBYTES] = { by_gateway };

	memcpy(header + 1, &id, sizeof(id));
	crypto_secretstream_xchacha20poly1305_init_pull(state, header, key);
}

static struct channel *channel_new(uint32_t id, int fd)
{
	struct channel *ch = calloc(1, sizeof(*ch));
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = ch };
	int on = 1;

	*ch = (struct channel){ .id = id, .fd = fd, .events = EPOLLIN, .bytes = malloc(2 * window) };
	begin_stream(&ch->push, id, listener >= 0);
	begin_stream(&ch->pull, id, listener < 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) < 0)
		die("epoll_ctl");
	channels[id % CHANNELS] = ch;
	return ch;
}

static void touch(struct channel *ch)
{
	for (size_t i = 0; i < touched_count; i++)
		if (touched[i] == ch)
			return;
	touched[touched_count++] = ch;
}

static void send_frame(struct channel *ch, const uint8_t *frame, size_t len)
{
	static struct head heads[SEGMENTS];
	static struct iovec iov[2 * SEGMENTS];
	size_t count = 0;

	for (size_t at = 0; at < len; at += PAYLOAD, count++) {
		heads[count] = (struct head){ .offset = ch->sent + at, .channel = ch->id, .kind = DATA };
		iov[2 * count] = (struct iovec){ &heads[count], HEAD };
		iov[2 * count + 1] = (struct iovec){ (uint8_t *)frame + at, len - at < PAYLOAD ? len - at : PAYLOAD };
	}
	send_packets(iov, 2 * count, count > 1);
	ch->sent += len;
}

static void read_client(struct channel *ch)
{
	static uint8_t plain[MESSAGE], frame[FRAME];
	ssize_t len;

	if (ch->read_ended || ch->sent - ch->acked + FRAME > window)
		return;
	len = read(ch->fd, plain, sizeof(plain));
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	touch(ch);
	if (len <= 0) {
		ch->read_ended = true;
		send_note(ch, FIN, ch->sent);
		return;
	}
	frame[0] = (uint8_t)(len + 17);
	frame[1] = (uint8_t)((len + 17) >> 8);
	frame[2] = (uint8_t)((len + 17) >> 16);
	cipher_push(cipher, &ch->push, frame + 3, plain, (size_t)len);
	send_frame(ch, frame, (size_t)len + SEAL);
}

/* The next frame, if it is here whole. */
static bool open_frame(struct channel *ch)
{
	uint8_t *at = ch->bytes + ch->start;
	size_t here = ch->end - ch->start, len = here < 3 ? 0 : (size_t)(at[0] | at[1] << 8 | at[2] << 16);

	if (here < 3 || here < 3 + len)
		return false;
	if (!cipher_pull(cipher, &ch->pull, at + 3, len)) {
		fprintf(stderr, "ceiling: a frame was damaged\n");
		exit(1);
	}
	ch->plain_at = ch->start + 4;
	ch->plain_left = len - 17;
	ch->taken = 3 + len;
	return true;
}

static void write_client(struct channel *ch)
{
	while (ch->plain_left || open_frame(ch)) {
		ssize_t len = send(ch->fd, ch->bytes + ch->plain_at, ch->plain_left, MSG_NOSIGNAL);

		if (len < 0 && errno == EAGAIN)
			return;
		if (len < 0)
			len = (ssize_t)ch->plain_left;	/* nobody reads it: the other side ends all the same */
		ch->plain_at += (size_t)len;
		ch->plain_left -= (size_t)len;
		if (ch->plain_left)
			continue;
		ch->start += ch->taken;
		ch->done += ch->taken;
	}
	if (ch->start == ch->end)
		ch->start = ch->end = 0;
	if (ch->fin_received && !ch->shut && ch->start == ch->end) {
		shutdown(ch->fd, SHUT_WR);
		ch->shut = true;
	}
}

static void take_data(struct channel *ch, const struct head *head, const uint8_t *payload, size_t len)
{
	if (head->offset != ch->received) {
		fprintf(stderr, "ceiling: a packet was lost\n");
		exit(1);
	}
	if (ch->end + len > 2 * window) {
		memmove(ch->bytes, ch->bytes + ch->start, ch->end - ch->start);
		ch->plain_at -= ch->plain_left ? ch->start : 0;
		ch->end -= ch->start;
		ch->start = 0;
	}
	memcpy(ch->bytes + ch->end, payload, len);
	ch->end += len;
	ch->received += len;
}

static int dial(void)
{
	struct sockaddr_in to = local(service_port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect to the service");
	return fd;
}

static void take_packet(const uint8_t *bytes, size_t len)
{
	struct channel *ch;
	struct head head = { 0 };

	if (len < HEAD)
		return;
	memcpy(&head, bytes, HEAD);
	if (head.kind == OPEN)
		channel_new(head.channel, dial());
	ch = channels[head.channel % CHANNELS];
	if (!ch || ch->id != head.channel)
		return;
	if (head.kind == DATA)
		take_data(ch, &head, bytes + HEAD, len - HEAD);
	else if (head.kind == FIN)
		ch->fin_received = true;
	else if (head.kind == ACK && head.offset > ch->acked)
		ch->acked = head.offset;
	touch(ch);
}

static bool read_wire(void)
{
	static uint8_t buffer[65536];
	union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control;
	struct iovec iov = { buffer, sizeof(buffer) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t len = recvmsg(wire, &message, MSG_DONTWAIT);
	struct cmsghdr *said = len < 0 ? NULL : CMSG_FIRSTHDR(&message);
	int segment = (int)len;

	if (len < 0)
		return false;
	if (said && said->cmsg_level == SOL_UDP && said->cmsg_type == UDP_GRO)
		memcpy(&segment, CMSG_DATA(said), sizeof(segment));
	for (ssize_t at = 0; at < len; at += segment)
		take_packet(buffer + at, (size_t)(len - at < segment ? len - at : segment));
	for (size_t i = 0; i < touched_count; i++)
		write_client(touched[i]);
	return true;
}

/* What the turn has moved is acknowledged, watched for, or at its end. */
static void settle(struct channel *ch)
{
	bool room = ch->sent - ch->acked + FRAME <= window;

	if (ch->done != ch->told) {
		send_note(ch, ACK, ch->done);
		ch->told = ch->done;
	}
	if (ch->read_ended && ch->shut) {
		close(ch->fd);
		channels[ch->id % CHANNELS] = NULL;
		free(ch->bytes);
		free(ch);
		return;
	}
	want(ch, (!ch->read_ended && room ? EPOLLIN : 0) | (ch->plain_left ? EPOLLOUT : 0));
}

static void accept_client(void)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0)
		send_note(channel_new(next_id++, fd), OPEN, 0);
}

static void turn(void)
{
	struct epoll_event events[64];
	int count = epoll_wait(loop, events, 64, -1);

	for (int i = 0; i < count; i++) {
		struct channel *ch = events[i].data.ptr;

		if (events[i].data.ptr == &wire) {
			for (int reads = 0; reads < TURN_READS && read_wire(); reads++)
				;
		} else if (events[i].data.ptr == &listener) {
			accept_client();
		} else {
			touch(ch);
			write_client(ch);
			read_client(ch);
		}
	}
	for (size_t i = 0; i < touched_count; i++)
		settle(touched[i]);
	touched_count = 0;
}

static void watch(int fd, void *what)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = what };

	if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) < 0)
		die("epoll_ctl");
}

static int udp_socket(struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1, bytes = SOCKET_BYTES;
	socklen_t len = sizeof(*at);

	*at = local(0);
	if (bind(fd, (struct sockaddr *)at, len) < 0 || getsockname(fd, (struct sockaddr *)at, &len) < 0 ||
	    setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on)) < 0)
		die("UDP socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	len = sizeof(bytes);
	getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &len);
	window = (size_t)bytes / 8 < window ? (size_t)bytes / 8 : window;
	window = window < WINDOW_MIN ? WINDOW_MIN : window;
	return fd;
}

static void listen_at(uint16_t port)
{
	struct sockaddr_in at = local(port);
	int on = 1;

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(listener, 1024) < 0)
		die("listen");
}

int main(int argc, char **argv)
{
	struct sockaddr_in ends[2];
	int sockets[2];
	bool gateway;

	if (argc != 3 || sodium_init() < 0)
		return 2;
	service_port = (uint16_t)atoi(argv[2]);
	for (int i = 0; i < 2; i++)
		sockets[i] = udp_socket(&ends[i]);
	gateway = fork() != 0;
	if (!gateway) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		prctl(PR_SET_NAME, "ceiling-far");
	}
	cipher = cipher_new();
	wire = sockets[gateway];
	close(sockets[!gateway]);
	if (connect(wire, (struct sockaddr *)&ends[!gateway], sizeof(ends[0])) < 0)
		die("connect");
	loop = epoll_create1(EPOLL_CLOEXEC);
	watch(wire, &wire);
	if (gateway) {
		listen_at((uint16_t)atoi(argv[1]));
		watch(listener, &listener);
	}
	for (;;)
		turn();
}
