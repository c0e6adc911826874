/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of services in virtual time: what they ask, what is told of their answers, and how many there are at a time. */
#include "forward_health.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "forward_http.h"
#include "forward_proxy.h"
#include "forward_scene.h"
#include "ipc_forward.h"

enum { GATE = 8080, INTERVAL_MS = 1000, TIMEOUT_MS = 300 };

static usec_t now_us;
static uint16_t port, proxy;
static uint32_t addresses = 1, interval_ms = INTERVAL_MS, rise = 2;

static int listen_here(void)
{
        int fd;

        port = 0;
        fd = scene_bind(1, &port);
        check_equal(listen(fd, 512), 0);
        return fd;
}

static void put(uint64_t name, enum ipc_health health)
{
        struct ipc_forward_service service = { .service = name, .gate_port = GATE, .count = addresses, .proxy = proxy, .service_port = port,
                                               .host = "web.example", .address = { { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } },
                                               .health = (uint16_t)health, .status_first = 200, .status_last = 299, .rise = rise, .fall = 3,
                                               .interval_ms = interval_ms, .timeout_ms = TIMEOUT_MS, .path = "/ready?x" };

        check_equal(services_add(&forward.arrivals.services, &service), 0);
}

static void take_effect(void)
{
        services_end(&forward.arrivals.services);
        checks_services_changed(&forward.checks, now_us);
}

static void begin(void)
{
        struct now now;

        worker_now(&now);
        now_us = now.mono_us + MINUTES(60);     /* ahead of the clock by which scene_turn() lives: nothing is due there */
        scene_begin(IPC_DUTY_SERVICES, IPC_SUPERVISOR);
}

static void finish(void)
{
        check_equal(forward.checks.running, 0);
        scene_end();
}

/* Whatever is due next is done. */
static void next(void)
{
        usec_t due_us = checks_deadline(&forward.checks);

        check(due_us != USEC_NEVER);
        now_us = usec_max(now_us, due_us);
        checks_advance(&forward.checks, now_us);
}

static unsigned failed;                 /* checks, as the supervisor was told */

/* What the supervisor was told last since the last time: '+', '-', or ' ' for nothing. */
static char told(void)
{
        struct ipc_received message;
        char last = ' ';

        scene_turn();
        while (inside_receive(&inside, IPC_SUPERVISOR, &message)) {
                failed += message.type == IPC_SERVICE_FAILS;
                if (message.type == IPC_SERVICE_HEALTH)
                        last = IPC_PAYLOAD(&message, struct ipc_service_health)->there ? '+' : '-';
                ipc_received_fini(&message);
        }
        return last;
}

TEST(the_first_check_counts_at_once_and_then_it_takes_several)
{
        const struct ipc_forward_service *what;
        int fd;

        begin();
        fd = listen_here();
        put(1, IPC_HEALTH_TCP);
        put(2, IPC_HEALTH_NONE);
        take_effect();
        check_equal(checks_deadline(&forward.checks), now_us);
        next();
        failed = 0;
        check_equal(told(), '+');
        check_equal(failed, 0);
        scene_deafen(fd);
        for (unsigned i = 0; i < 3; i++) {
                check_equal(told(), ' ');
                next();
        }
        check_equal(told(), '-');
        check_equal(failed, 3);                 /* each check has its name looked up again */
        for (unsigned i = 0; i < 4; i++) {      /* it is passed over while another one is there */
                what = services_pick(&forward.arrivals.services, GATE, IPC_TCP, true, now_us);
                check_equal(what->service, 2);
        }
        services_begin(&forward.arrivals.services);
        put(1, IPC_HEALTH_TCP);
        take_effect();                          /* told anew, it stays gone, but somebody must be tried */
        check_equal(told(), ' ');
        check(services_pick(&forward.arrivals.services, GATE, IPC_TCP, true, now_us));
        check(!services_pick(&forward.arrivals.services, GATE, IPC_TCP, false, now_us));
        check_equal(listen(fd, 512), 0);
        next();
        check_equal(told(), ' ');
        next();
        check_equal(told(), '+');
        check(services_pick(&forward.arrivals.services, GATE, IPC_TCP, false, now_us));
        close(fd);
        finish();
}

/* The service answers the next check with that, or says nothing (NULL). */
static void answer(int listener, const char *text)
{
        static const char expected[] = "GET /ready?x HTTP/1.1\r\nHost: web.example\r\nUser-Agent: hypergate\r\nAccept: */*\r\n"
                                       "Connection: close\r\n\r\n";
        char request[HTTP_REQUEST_MAX];
        ssize_t len;
        int fd;

        next();
        fd = accept(listener, NULL, NULL);
        check(fd >= 0);
        check_equal(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 10000), 1);
        len = recv(fd, request, sizeof(request), 0);
        check_equal(len, sizeof(expected) - 1);
        check_bytes(request, expected, sizeof(expected) - 1);
        for (size_t i = 0; text && text[i] && forward.checks.running; i++) {    /* byte by byte */
                check_equal(send(fd, text + i, 1, MSG_NOSIGNAL), 1);
                scene_turn();
        }
        if (!text)
                next();
        close(fd);
        for (unsigned i = 0; i < 100 && forward.checks.running; i++)
                scene_turn();
        check_equal(forward.checks.running, 0);
}

TEST(an_answer_with_a_status_that_is_meant_is_one)
{
        static const struct { const char *text; char told; } cases[] = {
                { "HTTP/1.1 200 OK\r\n", '+' }, { "HTTP/1.0 299\r\n", ' ' }, { "HTTP/1.1 300 Other\r\n", ' ' }, { "HTTP/1.1 199 x\r\n", ' ' },
                { "HTTP/1.1 2", '-' },          /* and the end: the third in a row */
                { "HTTP/1.1 204 None\r\n", ' ' }, { NULL, ' ' }, { "HTTP/1.1 200 OK\r\n", ' ' }, { "HTTP/1.1 200 OK\r\n", '+' },
                { "SSH-2.0-OpenSSH\r\n", ' ' },
        };
        int listener;

        begin();
        listener = listen_here();
        put(1, IPC_HEALTH_HTTP);
        take_effect();
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                answer(listener, cases[i].text);
                if (told() != cases[i].told)
                        test_fail(__FILE__, __LINE__, "case %zu is not told so", i);
        }
        close(listener);
        finish();
}

/* A service that waits for a PROXY header would take the request alone for none. */
TEST(who_waits_for_a_proxy_gets_the_header_of_one_that_speaks_for_nobody)
{
        static const char expected[] = "PROXY UNKNOWN\r\nGET /ready?x HTTP/1.1\r\n";
        char request[PROXY_WRITE_MAX + HTTP_REQUEST_MAX];
        int listener, fd;

        begin();
        listener = listen_here();
        proxy = IPC_PROXY_V1;
        put(1, IPC_HEALTH_HTTP);
        proxy = IPC_PROXY_NONE;
        take_effect();
        next();
        fd = accept(listener, NULL, NULL);
        check(fd >= 0 && recv(fd, request, sizeof(request), 0) > (ssize_t)sizeof(expected));
        check_bytes(request, expected, sizeof(expected) - 1);
        close(fd);
        close(listener);
        for (unsigned i = 0; i < 100 && forward.checks.running; i++)
                scene_turn();
        finish();
}

/* It could not be asked before: it is there once it answers, and not after an interval and so many answers. */
TEST(whose_name_is_known_only_now_is_asked_now)
{
        int listener;

        begin();
        listener = listen_here();
        addresses = 0;
        put(1, IPC_HEALTH_TCP);
        take_effect();
        next();
        check_equal(told(), '-');
        services_begin(&forward.arrivals.services);
        addresses = 1;
        put(1, IPC_HEALTH_TCP);
        take_effect();
        check_equal(checks_deadline(&forward.checks), now_us);
        next();
        check_equal(told(), '+');
        close(listener);
        finish();
}

/* Nor does the name's return count against it: three in a row it takes, as ever. */
TEST(who_was_there_and_lost_its_name_for_a_moment_has_failed_once)
{
        int fd;

        begin();
        fd = listen_here();
        rise = 3;
        addresses = 1;
        put(1, IPC_HEALTH_TCP);
        take_effect();
        next();
        check_equal(told(), '+');
        services_begin(&forward.arrivals.services);
        addresses = 0;
        put(1, IPC_HEALTH_TCP);
        take_effect();
        next();
        services_begin(&forward.arrivals.services);
        addresses = 1;
        put(1, IPC_HEALTH_TCP);
        take_effect();
        scene_deafen(fd);
        next();
        check_equal(told(), ' ');
        next();
        check_equal(told(), '-');
        close(fd);
        rise = 2;
        finish();
}

TEST(a_shorter_interval_takes_effect_at_once)
{
        int fd;

        begin();
        fd = listen_here();
        interval_ms = 3600 * 1000;
        put(1, IPC_HEALTH_TCP);
        take_effect();
        next();
        services_begin(&forward.arrivals.services);
        interval_ms = INTERVAL_MS;
        put(1, IPC_HEALTH_TCP);
        take_effect();
        check(checks_deadline(&forward.checks) <= now_us + MSEC(INTERVAL_MS));
        close(fd);
        finish();
}

TEST(so_many_at_a_time_spread_over_the_interval)
{
        enum { SERVICES = 200 };
        usec_t start_us;
        int listener;

        begin();
        listener = listen_here();
        start_us = now_us;
        for (uint64_t name = 1; name <= SERVICES; name++)
                put(name, IPC_HEALTH_HTTP);     /* none of which answers */
        take_effect();
        for (unsigned i = 0; i < SERVICES / 10; i++)
                next();
        check(now_us - start_us >= MSEC(INTERVAL_MS) * (SERVICES / 10 - 1) / SERVICES);
        while (now_us < start_us + MSEC(INTERVAL_MS)) {
                check(forward.checks.running <= CHECKS_RUNNING_MAX);
                next();
        }
        now_us += MSEC(INTERVAL_MS);            /* much is due at once */
        checks_advance(&forward.checks, now_us);
        checks_advance(&forward.checks, now_us);
        check_equal(forward.checks.running, CHECKS_RUNNING_MAX);
        check(!list_empty(&forward.checks.waiting));
        services_begin(&forward.arrivals.services);
        take_effect();                          /* all are gone, those that run, too */
        check_equal(checks_deadline(&forward.checks), USEC_NEVER);
        close(listener);
        finish();
}

TEST(a_status_is_read_however_it_comes)
{
        static const struct { const char *text; enum http_verdict verdict; unsigned status; } cases[] = {
                { "HTTP/1.1 200 OK", HTTP_OK, 200 }, { "HTTP/1.0 599\r", HTTP_OK, 599 }, { "HTTP/1.1 100\n", HTTP_OK, 100 },
                { "", HTTP_MORE, 0 }, { "HTTP/1.1 200", HTTP_MORE, 0 }, { "HTTP/1.1 2000", HTTP_BAD, 0 }, { "HTTP/1.1 099 ", HTTP_BAD, 0 },
                { "HTTP/1.1 600 ", HTTP_BAD, 0 }, { "HTTP/2.0 200 ", HTTP_BAD, 0 }, { "http/1.1 200 ", HTTP_BAD, 0 },
                { "HTTP/1.1  200", HTTP_BAD, 0 }, { "HTTP/1.x 200 ", HTTP_BAD, 0 },
        };
        char out[HTTP_REQUEST_MAX];

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                unsigned status = 0;

                check_equal(http_status_read((const uint8_t *)cases[i].text, strlen(cases[i].text), &status), cases[i].verdict);
                check_equal(status, cases[i].status);
        }
        http_request_write("/", "2001:db8::1", out);
        check(strstr(out, "Host: [2001:db8::1]\r\n"));
        http_request_write("/", "unix:/run/x.sock", out);
        check(strstr(out, "Host: localhost\r\n"));
}
