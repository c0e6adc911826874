/* SPDX-License-Identifier: BSD-3-Clause */
#include "admin_http.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run_memory.h"

enum {
        HEAD_MAX = 256,
        LATER = -1,                     /* priority: what siblings have said before a request came is known when it is answered */
};

struct asking {
        struct list in_asking;
        struct admin_http *http;
        ev_io io;                       /* readable, then writable, then readable to its end */
        ev_timer late;
        uint8_t ip[16];
        uint64_t number;
        usec_t since_us;                /* it asks; 0: not yet */
        bool waits;                     /* for an answer that comes later */
        char request[ADMIN_REQUEST_MAX];
        size_t request_len;
        char head[HEAD_MAX];
        char *body;                     /* NULL: not answered yet */
        size_t head_len, body_len, written;
        bool long_one;
};

static void watch_listener(struct admin_http *http)
{
        bool wanted = http->listener >= 0 && http->asking_count < ADMIN_ASKING_MAX;

        if (wanted && !ev_is_active(&http->acceptable))
                ev_io_start(http->worker->loop, &http->acceptable);
        else if (!wanted)
                ev_io_stop(http->worker->loop, &http->acceptable);
}

static void leave(struct asking *asking)
{
        struct admin_http *http = asking->http;

        ev_io_stop(http->worker->loop, &asking->io);
        ev_timer_stop(http->worker->loop, &asking->late);
        list_remove(&asking->in_asking);
        http->asking_count--;
        http->long_one = http->long_one && !asking->long_one;
        close(asking->io.fd);
        explicit_bzero(asking->request, asking->request_len);
        free(asking->body);
        free(asking);
        watch_listener(http);
}

static void on_late(struct ev_loop *loop, ev_timer *timer, int events)
{
        leave(timer->data);
}

static void wait_for(struct asking *asking, int events)
{
        ev_io_stop(asking->http->worker->loop, &asking->io);
        ev_io_set(&asking->io, asking->io.fd, events);
        ev_io_start(asking->http->worker->loop, &asking->io);
}

static const char *reason(unsigned status)
{
        switch (status) {
        case 200:
                return "OK";
        case 400:
                return "Bad Request";
        case 401:
                return "Unauthorized";
        case 403:
                return "Forbidden";
        case 404:
                return "Not Found";
        case 405:
                return "Method Not Allowed";
        case 409:
                return "Conflict";
        case 429:
                return "Too Many Requests";
        default:
                return "Service Unavailable";
        }
}

/* Who has more to say than is read here shall have the answer nevertheless: it is closed when the other end has, or is late. */
static void write_on(struct asking *asking)
{
        struct iovec parts[2] = { { asking->head, asking->head_len }, { asking->body, asking->body_len } };
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
        size_t skip = asking->written;
        ssize_t sent;

        for (size_t i = 0; i < 2; i++) {
                size_t some = MIN(skip, parts[i].iov_len);

                parts[i].iov_base = (char *)parts[i].iov_base + some;
                parts[i].iov_len -= some;
                skip -= some;
        }
        sent = sendmsg(asking->io.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
                leave(asking);
                return;
        }
        asking->written += sent > 0 ? (size_t)sent : 0;
        if (asking->written < asking->head_len + asking->body_len)
                wait_for(asking, EV_WRITE);
        else if (shutdown(asking->io.fd, SHUT_WR) < 0)
                leave(asking);
        else
                wait_for(asking, EV_READ);
}

/* Takes the answer. */
static void say(struct asking *asking, struct admin_answer answer)
{
        struct admin_http *http = asking->http;

        asking->waits = false;
        asking->long_one = answer.body && strlen(answer.body) > ADMIN_LONG_BYTES;
        if (!answer.body || (asking->long_one && http->long_one)) {
                free(answer.body);
                asking->long_one = false;
                answer = admin_busy();
        }
        if (!answer.body) {
                leave(asking);
                return;
        }
        http->long_one = http->long_one || asking->long_one;
        asking->body = answer.body;
        asking->body_len = strlen(answer.body);
        asking->head_len = (size_t)snprintf(asking->head, sizeof(asking->head),
                                            "HTTP/1.1 %u %s\r\n%sContent-Type: application/json\r\nContent-Length: %zu\r\n"
                                            "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
                                            answer.status, reason(answer.status), answer.fields, asking->body_len);
        write_on(asking);
}

static void ask(struct asking *asking, const struct admin_request *request)
{
        struct admin_http *http = asking->http;
        struct admin_asked asked = { .request = request, .number = asking->number, .short_only = http->long_one };
        struct admin_answer answer;

        if (request && http->site.bodies)
                asked.body = (struct admin_text){ asking->request + request->head_len, request->body_len };
        memcpy(asked.ip, asking->ip, sizeof(asked.ip));
        worker_now(&asked.now);
        asking->since_us = asking->since_us ? asking->since_us : asked.now.mono_us;
        asked.since_us = asking->since_us;
        answer = http->site.answer(http->site.context, &asked);
        asking->waits = !answer.status;
        if (asking->waits)
                ev_io_stop(http->worker->loop, &asking->io);
        else
                say(asking, answer);
}

/* What is whole, with its body where that counts. */
static bool is_whole(const struct asking *asking, const struct admin_request *request)
{
        return !asking->http->site.bodies || asking->request_len - request->head_len >= request->body_len;
}

static bool has_room(const struct asking *asking, const struct admin_request *request)
{
        return !asking->http->site.bodies || request->body_len <= sizeof(asking->request) - request->head_len;
}

static void read_on(struct asking *asking)
{
        ssize_t got = recv(asking->io.fd, asking->request + asking->request_len, sizeof(asking->request) - asking->request_len, MSG_DONTWAIT);
        struct admin_request request;
        enum admin_verdict verdict;

        if (got < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (got <= 0) {
                leave(asking);
                return;
        }
        asking->request_len += (size_t)got;
        verdict = admin_request_read(asking->request, asking->request_len, &request);
        if (verdict == ADMIN_REQUEST_BAD || (verdict == ADMIN_REQUEST_GOOD && !has_room(asking, &request)))
                ask(asking, NULL);
        else if (verdict == ADMIN_REQUEST_GOOD && is_whole(asking, &request))
                ask(asking, &request);
}

/* What comes behind the request means nothing. */
static void read_rest(struct asking *asking)
{
        ssize_t got = recv(asking->io.fd, asking->request, sizeof(asking->request), MSG_DONTWAIT);

        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
                leave(asking);
}

static void on_ready(struct ev_loop *loop, ev_io *io, int events)
{
        struct asking *asking = io->data;

        if (!asking->body)
                read_on(asking);
        else if (events & EV_WRITE)
                write_on(asking);
        else
                read_rest(asking);
}

static void take_address(const struct sockaddr_storage *address, uint8_t ip[16])
{
        memset(ip, 0, 16);
        if (address->ss_family == AF_INET6) {
                memcpy(ip, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
        } else if (address->ss_family == AF_INET) {
                memset(ip + 10, 0xff, 2);
                memcpy(ip + 12, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
        }
}

/* Takes @fd. */
static void begin(struct admin_http *http, int fd, const struct sockaddr_storage *address)
{
        struct asking *asking = worker_fd_spare(http->worker, fd) || run_memory_short() ? NULL : calloc(1, sizeof(*asking));

        if (!asking) {
                close(fd);
                return;
        }
        asking->http = http;
        asking->number = ++http->last_number;
        take_address(address, asking->ip);
        list_push_back(&http->asking, &asking->in_asking);
        http->asking_count++;
        ev_io_init(&asking->io, on_ready, fd, EV_READ);
        ev_set_priority(&asking->io, LATER);
        ev_timer_init(&asking->late, on_late, ADMIN_PATIENCE_S, 0.0);
        asking->io.data = asking->late.data = asking;
        ev_now_update(http->worker->loop);
        ev_io_start(http->worker->loop, &asking->io);
        ev_timer_start(http->worker->loop, &asking->late);
}

static void on_acceptable(struct ev_loop *loop, ev_io *io, int events)
{
        struct admin_http *http = io->data;
        struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
        socklen_t len = sizeof(address);
        int fd = accept4(http->listener, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0)
                begin(http, fd, &address);
        watch_listener(http);
}

void admin_http_init(struct admin_http *http, struct worker *worker)
{
        *http = (struct admin_http){ .worker = worker, .listener = -1 };
        list_init(&http->asking);
        ev_io_init(&http->acceptable, on_acceptable, -1, EV_READ);
        ev_set_priority(&http->acceptable, LATER);
        http->acceptable.data = http;
}

void admin_http_answer(struct admin_http *http, uint64_t number, struct admin_answer answer)
{
        list_for_each(at, &http->asking) {
                struct asking *asking = list_entry(at, struct asking, in_asking);

                if (asking->waits && asking->number == number) {
                        say(asking, answer);
                        return;
                }
        }
        free(answer.body);
}

void admin_http_ask_again(struct admin_http *http)
{
        struct admin_request request;

        list_for_each(at, &http->asking) {
                struct asking *asking = list_entry(at, struct asking, in_asking);

                if (asking->waits && admin_request_read(asking->request, asking->request_len, &request) == ADMIN_REQUEST_GOOD)
                        ask(asking, &request);
        }
}

void admin_http_listen(struct admin_http *http, int listener, const struct admin_site *site)
{
        ev_io_stop(http->worker->loop, &http->acceptable);
        if (http->listener >= 0)
                close(http->listener);
        http->listener = listener;
        http->site = *site;
        ev_io_set(&http->acceptable, listener, EV_READ);
        watch_listener(http);
}

void admin_http_fini(struct admin_http *http)
{
        admin_http_listen(http, -1, &(struct admin_site){ .bodies = false });
        list_for_each(at, &http->asking)
                leave(list_entry(at, struct asking, in_asking));
}
