/* SPDX-License-Identifier: BSD-3-Clause */
/* Services that keep silent, in virtual time: a listener whose backlog is full does not even refuse. */
#include "forward_arrivals.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "forward_scene.h"
#include "ipc_channel.h"
#include "ipc_forward.h"

enum { GATE = 8080, SILENT_HOST = 1, GOOD_HOST = 2, NOBODY_HOST = 3 };

static const usec_t start_us = SECONDS(1000);
static int silent, good, filling;
static uint16_t port;

static int listen_at(uint8_t host, int backlog)
{
        struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port),
                                    .sin_addr.s_addr = htonl((INADDR_LOOPBACK & ~0xffu) | host) };
        socklen_t len = sizeof(addr);
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        check(fd >= 0);
        check_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
        check_equal(listen(fd, backlog), 0);
        check_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
        port = ntohs(addr.sin_port);
        return fd;
}

/* With a backlog of 0 the kernel keeps one connection and drops what the next ones send. */
static int fill(void)
{
        struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        check_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
        check_equal(poll(&(struct pollfd){ .fd = silent, .events = POLLIN }, 1, 10000), 1);
        return fd;
}

static void begin(const uint8_t *hosts, uint16_t count)
{
        struct ipc_forward_service service = { .gate_port = GATE, .count = count, .host = "web" };

        port = 0;
        silent = listen_at(SILENT_HOST, 0);
        good = listen_at(GOOD_HOST, 16);
        filling = fill();
        scene_begin(IPC_DUTY_SERVICES, IPC_SWARM);
        service.service_port = port;
        for (unsigned i = 0; i < count; i++)
                memcpy(service.address[i], (uint8_t[]){ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, hosts[i] }, 16);
        check_equal(services_add(&forward.arrivals.services, &service), 0);
        services_end(&forward.arrivals.services);
}

static void finish(void)
{
        scene_end();
        close(filling);
        close(silent);
        close(good);
}

static void arrive_from(uint16_t peer, uint64_t channel)
{
        struct ipc_channel_arrived arrived = { .channel = channel, .gate_port = GATE };

        memcpy(arrived.peer, &peer, sizeof(peer));
        arrivals_arrived(&forward.arrivals, 1, &arrived, start_us);
}

static void arrive(uint64_t channel)
{
        arrive_from(0, channel);
}

static struct ipc_client came;         /* whose the last one was that became a connection */

/* A service that wants to know of its clients gets the header first; @metadata is what the gateway says of this one. */
static size_t header_of(uint16_t protocol, uint16_t proxy, const char *metadata, uint8_t out[128])
{
        struct ipc_channel_arrived arrived = { .channel = 1, .gate_port = GATE, .protocol = protocol, .metadata_len = (uint32_t)strlen(metadata) };
        struct ipc_forward_service service = { .gate_port = GATE, .protocol = protocol, .proxy = proxy, .service_port = port, .count = 1,
                                               .host = "web", .address = { { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = GOOD_HOST } } };
        struct ipc_received message;
        size_t len = 0;
        int accepted;

        check_equal(services_add(&forward.arrivals.services, &service), 0);
        services_end(&forward.arrivals.services);
        memcpy(arrived.metadata, metadata, arrived.metadata_len);
        arrivals_arrived(&forward.arrivals, 1, &arrived, start_us);
        check(inside_receive(&inside, IPC_SWARM, &message) && message.type == IPC_CHANNEL_READY);
        came = IPC_PAYLOAD(&message, struct ipc_channel_ready)->client;
        if (protocol == IPC_UDP) {
                len = IPC_PAYLOAD(&message, struct ipc_channel_ready)->front_len;
                memcpy(out, IPC_PAYLOAD(&message, struct ipc_channel_ready)->front, len);
        } else {
                accepted = accept(good, NULL, NULL);
                check_equal(IPC_PAYLOAD(&message, struct ipc_channel_ready)->front_len, 0);
                if (proxy)
                        len = (size_t)recv(accepted, out, 128, 0);
                check_equal(recv(accepted, out + len, 1, MSG_DONTWAIT), -1);
                close(accepted);
        }
        ipc_received_fini(&message);
        arrivals_closed(&forward.arrivals, 1, &(struct ipc_channel_closed){ .channel = 1 }, 0);
        services_begin(&forward.arrivals.services);
        services_end(&forward.arrivals.services);
        return len;
}

static bool said(enum ipc_type *type_out, char text_out[IPC_TEXT_MAX + 1])
{
        struct ipc_received message;

        if (!inside_receive(&inside, IPC_SWARM, &message))
                return false;
        *type_out = message.type;
        memset(text_out, 0, IPC_TEXT_MAX + 1);
        if (message.type == IPC_CHANNEL_REFUSE)
                memcpy(text_out, IPC_PAYLOAD(&message, struct ipc_channel_refused)->text,
                       IPC_PAYLOAD(&message, struct ipc_channel_refused)->text_len);
        ipc_received_fini(&message);
        return true;
}

static unsigned fails_told;             /* how often the supervisor was told that a service fails */

/* The notices in the log so far, one behind the other. */
static const char *noticed(void)
{
        static char text[512];
        struct ipc_received message;

        text[0] = '\0';
        while (inside_receive(&inside, IPC_SUPERVISOR, &message)) {
                const struct ipc_log *log = IPC_PAYLOAD(&message, struct ipc_log);

                fails_told += message.type == IPC_SERVICE_FAILS && IPC_PAYLOAD(&message, struct ipc_service_fails)->gate_port == GATE;
                if (message.type == IPC_LOG && log->level == LOG_NOTICE)
                        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%.*s;", (int)log->text_len, log->text);
                ipc_received_fini(&message);
        }
        return text;
}

TEST(a_silent_address_costs_its_client_a_quarter_of_a_second)
{
        enum ipc_type type;
        char text[IPC_TEXT_MAX + 1];

        begin((uint8_t[]){ SILENT_HOST, GOOD_HOST }, 2);
        arrive(1);
        check_equal(arrivals_deadline(&forward.arrivals), start_us + MSEC(250));
        arrivals_advance(&forward.arrivals, start_us + MSEC(250) - 1);
        check(!said(&type, text));
        arrivals_advance(&forward.arrivals, start_us + MSEC(250));
        check(said(&type, text));
        check_equal(type, IPC_CHANNEL_READY);
        check_equal(arrivals_deadline(&forward.arrivals), USEC_NEVER);
        check_equal(forward.arrivals.pending, 0);
        finish();
}

/* By the clock, as the worker's turns are. */
static usec_t arrive_now(uint64_t channel)
{
        struct ipc_channel_arrived arrived = { .channel = channel, .gate_port = GATE };
        struct now now;

        worker_now(&now);
        arrivals_arrived(&forward.arrivals, 1, &arrived, now.mono_us);
        return now.mono_us;
}

/* Until the swarm worker is told something; by the clock. */
static enum ipc_type await(char text_out[IPC_TEXT_MAX + 1])
{
        enum ipc_type type;

        for (unsigned i = 0; i < 2000; i++) {
                scene_turn();
                if (said(&type, text_out))
                        return type;
                usleep(10000);
        }
        test_fail(__FILE__, __LINE__, "nothing was said");
        return IPC_TYPES;
}

TEST(an_address_that_was_passed_over_may_still_answer)
{
        char text[IPC_TEXT_MAX + 1];
        int accepted;

        begin((uint8_t[]){ SILENT_HOST, SILENT_HOST, SILENT_HOST }, 3);
        arrive_now(1);
        for (unsigned i = 0; i < 60; i++) {     /* long enough for all three to be asked */
                scene_turn();
                usleep(10000);
        }
        accepted = accept(silent, NULL, NULL);  /* there is room: the kernel asks again */
        check(accepted >= 0);
        check_equal(await(text), IPC_CHANNEL_READY);
        check_equal(forward.arrivals.pending, 0);
        check_equal(arrivals_deadline(&forward.arrivals), USEC_NEVER);
        close(accepted);
        finish();
}

TEST(when_those_that_were_passed_over_fail_too_it_is_a_refusal_at_once)
{
        char text[IPC_TEXT_MAX + 1], expected[64];

        begin((uint8_t[]){ SILENT_HOST, SILENT_HOST, NOBODY_HOST }, 3);
        arrive_now(1);
        for (unsigned i = 0; i < 60; i++) {
                scene_turn();
                usleep(10000);
        }
        check_equal(forward.arrivals.pending, 1);       /* who refused did not end it for those that say nothing */
        close(silent);
        silent = dup(good);
        check_equal(await(text), IPC_CHANNEL_REFUSE);
        snprintf(expected, sizeof(expected), "Error: connect ECONNREFUSED 127.0.0.%u:%u", NOBODY_HOST, port);
        check(strcmp(text, expected) == 0);
        check_equal(forward.arrivals.by_number.count, 0);
        finish();
}

TEST(a_service_that_does_not_answer_is_told_with_how_long_it_had)
{
        enum ipc_type type;
        char text[IPC_TEXT_MAX + 1], expected[128];

        begin((uint8_t[]){ SILENT_HOST }, 1);
        noticed();
        arrive(1);
        arrivals_advance(&forward.arrivals, start_us + ARRIVALS_CONNECT_US);
        check(said(&type, text) && type == IPC_CHANNEL_REFUSE);
        snprintf(expected, sizeof(expected), "service 8080 at web:%u: no answer within 10.0 s; who wants it is refused;", port);
        check(strcmp(noticed(), expected) == 0);
        finish();
}

/* What an arrival at @service was refused with. */
static const char *refused(struct ipc_forward_service service)
{
        static char text[IPC_TEXT_MAX + 1];
        enum ipc_type type;

        services_begin(&forward.arrivals.services);
        check_equal(services_add(&forward.arrivals.services, &service), 0);
        services_end(&forward.arrivals.services);
        arrive(1);
        check(said(&type, text) && type == IPC_CHANNEL_REFUSE);
        return text;
}

TEST(a_refusal_does_not_name_what_an_alias_hides)
{
        struct ipc_forward_service service = { .gate_port = GATE, .count = 1, .host = "real.example",
                                               .address = { { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = NOBODY_HOST } } };
        char expected[64];

        begin((uint8_t[]){ GOOD_HOST }, 1);
        service.service_port = port;
        snprintf(expected, sizeof(expected), "Error: connect ECONNREFUSED 127.0.0.%u:%u", NOBODY_HOST, port);
        check(strcmp(refused(service), expected) == 0);
        strcpy(service.alias, "db.internal");
        snprintf(expected, sizeof(expected), "Error: connect ECONNREFUSED db.internal:%u", port);
        check(strcmp(refused(service), expected) == 0);
        service.count = 0;
        check(strcmp(refused(service), "Error: getaddrinfo ENOTFOUND db.internal") == 0);
        finish();
}

TEST(a_service_is_told_of_its_client_as_it_wants_to_be)
{
        static const char client[] = "{\"source\":{\"ip\":\"203.0.113.10\",\"port\":51000},\"gateway\":{\"ip\":\"192.0.2.1\",\"port\":8080},"
                                     "\"ingressLabels\":[\"vip\"]}";
        static const char line[] = "PROXY TCP4 203.0.113.10 192.0.2.1 51000 8080\r\n", unknown[] = "PROXY UNKNOWN\r\n";
        static const uint8_t v2[] = "\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c\xcb\0\x71\x0a\xc0\0\x02\x01\xc7\x38\x1f\x90";
        static const uint8_t nobody[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
        uint8_t out[128];

        begin((uint8_t[]){ GOOD_HOST }, 1);
        check_equal(header_of(IPC_TCP, IPC_PROXY_NONE, client, out), 0);
        check_equal(header_of(IPC_TCP, IPC_PROXY_V1, client, out), sizeof(line) - 1);
        check_bytes(out, (const uint8_t *)line, sizeof(line) - 1);
        check(came.known && came.port == 51000 && memcmp(came.ip + 12, (uint8_t[]){ 203, 0, 113, 10 }, 4) == 0);
        check(strcmp(came.labels, "vip") == 0);
        check_equal(header_of(IPC_UDP, IPC_PROXY_V2, client, out), sizeof(v2) - 1);
        check_bytes(out, v2, sizeof(v2) - 1);
        /* An original may say nothing of its client. */
        check_equal(header_of(IPC_TCP, IPC_PROXY_V1, "", out), sizeof(unknown) - 1);
        check_bytes(out, (const uint8_t *)unknown, sizeof(unknown) - 1);
        check(!came.known && came.labels[0] == '\0');
        check_equal(header_of(IPC_TCP, IPC_PROXY_V2, "{}", out), sizeof(nobody) - 1);
        check_bytes(out, nobody, sizeof(nobody) - 1);
        finish();
}

/* One more service behind the gate, where nobody listens or somebody does. */
static void add_other(uint64_t name, uint8_t host)
{
        struct ipc_forward_service service = { .service = name, .gate_port = GATE, .count = 1, .service_port = port, .host = "other",
                                               .address = { { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = host } } };

        check_equal(services_add(&forward.arrivals.services, &service), 0);
}

TEST(a_service_that_fails_gives_way_to_another_behind_its_gate_unless_it_is_meant)
{
        struct ipc_channel_arrived arrived = { .channel = 3, .gate_port = GATE, .service = 1 };
        enum ipc_type type;
        char text[IPC_TEXT_MAX + 1];

        begin((uint8_t[]){ NOBODY_HOST }, 1);
        services_begin(&forward.arrivals.services);
        add_other(1, NOBODY_HOST);
        add_other(2, GOOD_HOST);
        services_end(&forward.arrivals.services);
        for (uint64_t channel = 1; channel <= 2; channel++) {
                arrive(channel);
                check(said(&type, text));
                check_equal(type, IPC_CHANNEL_READY);
        }
        arrivals_arrived(&forward.arrivals, 1, &arrived, start_us);
        check(said(&type, text));
        check_equal(type, IPC_CHANNEL_REFUSE);
        check(strstr(text, "ECONNREFUSED"));
        check_equal(forward.arrivals.pending, 0);
        fails_told = 0;
        noticed();
        check_equal(fails_told, 1);             /* once while it rests, though two found it so */
        finish();
}

/* Only the first one waits: ten who come while it is known are refused at once, and then one asks again. */
TEST(a_service_that_says_nothing_costs_one_client_its_time_and_the_others_none)
{
        struct ipc_channel_arrived arrived = { .gate_port = GATE };
        enum ipc_type type;
        char text[IPC_TEXT_MAX + 1], expected[64];
        usec_t now_us = start_us + ARRIVALS_CONNECT_US;

        begin((uint8_t[]){ SILENT_HOST }, 1);
        snprintf(expected, sizeof(expected), "Error: connect ETIMEDOUT web:%u", port);
        arrive(1);
        arrivals_advance(&forward.arrivals, now_us);
        check(said(&type, text) && type == IPC_CHANNEL_REFUSE);
        for (arrived.channel = 2; arrived.channel < 12; arrived.channel++) {
                arrivals_arrived(&forward.arrivals, 1, &arrived, now_us + SERVICES_REST_MIN_US - 1);
                check(said(&type, text) && type == IPC_CHANNEL_REFUSE && strcmp(text, expected) == 0);
        }
        check_equal(forward.arrivals.pending, 0);
        now_us += SERVICES_REST_MIN_US;
        arrivals_arrived(&forward.arrivals, 1, &arrived, now_us);
        check(!said(&type, text));
        arrived.channel++;
        arrivals_arrived(&forward.arrivals, 1, &arrived, now_us + 1);
        check(said(&type, text) && type == IPC_CHANNEL_REFUSE);
        check_equal(forward.arrivals.pending, 1);
        finish();
}

TEST(a_silent_service_leaves_time_for_another)
{
        enum ipc_type type;
        char text[IPC_TEXT_MAX + 1];

        begin((uint8_t[]){ SILENT_HOST }, 1);
        services_begin(&forward.arrivals.services);
        add_other(1, SILENT_HOST);
        add_other(2, GOOD_HOST);
        services_end(&forward.arrivals.services);
        arrive(1);
        check_equal(arrivals_deadline(&forward.arrivals), start_us + ARRIVALS_CONNECT_US / 2);
        arrivals_advance(&forward.arrivals, start_us + ARRIVALS_CONNECT_US / 2);
        check(said(&type, text));
        check_equal(type, IPC_CHANNEL_READY);
        finish();
}

TEST(when_its_time_is_over_a_client_is_no_reason_to_call_another_service_silent)
{
        enum ipc_type type;
        char text[IPC_TEXT_MAX + 1];

        begin((uint8_t[]){ SILENT_HOST }, 1);
        services_begin(&forward.arrivals.services);
        add_other(1, SILENT_HOST);
        add_other(2, SILENT_HOST);
        services_end(&forward.arrivals.services);
        arrive(1);
        arrivals_advance(&forward.arrivals, start_us + ARRIVALS_CONNECT_US);
        check(said(&type, text));
        check_equal(type, IPC_CHANNEL_REFUSE);
        check(services_pick(&forward.arrivals.services, GATE, IPC_TCP, false, start_us + ARRIVALS_CONNECT_US));
        finish();
}

TEST(weakness_14_15_silence_everywhere_is_a_refusal_in_time)
{
        enum ipc_type type;
        char text[IPC_TEXT_MAX + 1], expected[64];
        usec_t due_us;

        begin((uint8_t[]){ SILENT_HOST, SILENT_HOST, SILENT_HOST }, 3);
        arrive(1);
        while ((due_us = arrivals_deadline(&forward.arrivals)) != USEC_NEVER) {
                check(due_us <= start_us + ARRIVALS_CONNECT_US);
                check(!said(&type, text));
                arrivals_advance(&forward.arrivals, due_us);
        }
        check(said(&type, text));
        check_equal(type, IPC_CHANNEL_REFUSE);
        snprintf(expected, sizeof(expected), "Error: connect ETIMEDOUT 127.0.0.1:%u", port);
        check(strcmp(text, expected) == 0);
        check_equal(forward.arrivals.by_number.count, 0);
        finish();
}

TEST(too_many_at_once_are_refused)
{
        enum ipc_type type;
        char text[IPC_TEXT_MAX + 1];

        begin((uint8_t[]){ SILENT_HOST }, 1);
        for (unsigned i = 1; i <= ARRIVALS_PENDING_MAX; i++)
                arrive_from((uint16_t)i, i);
        check_equal(forward.arrivals.pending, ARRIVALS_PENDING_MAX);
        check(!said(&type, text));
        arrive(ARRIVALS_PENDING_MAX + 1);
        check(said(&type, text));
        check_equal(type, IPC_CHANNEL_REFUSE);
        check(strcmp(text, "busy") == 0);
        arrivals_gone(&forward.arrivals, 1, &(struct ipc_channel){ 7 });
        arrive(ARRIVALS_PENDING_MAX + 2);
        check(!said(&type, text));
        check_equal(forward.arrivals.pending, ARRIVALS_PENDING_MAX);
        finish();
}

TEST(who_opens_without_end_leaves_room_for_others)
{
        enum ipc_type type;
        char text[IPC_TEXT_MAX + 1];

        begin((uint8_t[]){ SILENT_HOST }, 1);
        for (unsigned i = 1; i <= ARRIVALS_PENDING_MAX / 2; i++)
                arrive_from(1, i);
        check(!said(&type, text));
        for (unsigned i = 1; i <= 100; i++) {
                arrive_from(1, 10000 + i);
                check(said(&type, text));
                check(strcmp(text, "busy") == 0);
        }
        for (unsigned i = 1; i <= 100; i++)
                arrive_from(2, 20000 + i);
        check(!said(&type, text));
        check_equal(forward.arrivals.pending, ARRIVALS_PENDING_MAX / 2 + 100);
        finish();
}

TEST(a_number_asked_twice_is_asked_once)
{
        enum ipc_type type;
        char text[IPC_TEXT_MAX + 1];

        begin((uint8_t[]){ SILENT_HOST }, 1);
        arrive(5);
        arrive(5);
        check_equal(forward.arrivals.pending, 1);
        arrivals_closed(&forward.arrivals, 1, &(struct ipc_channel_closed){ .channel = 5 }, 0);       /* it never was open */
        check_equal(forward.arrivals.pending, 1);
        check(!said(&type, text));
        finish();
}

/* The next number that the swarm worker is told to end; 0: none. */
static uint64_t told_to_end(void)
{
        struct ipc_received message;
        uint64_t number = 0;

        while (!number && inside_receive(&inside, IPC_SWARM, &message)) {
                if (message.type == IPC_CHANNEL_END)
                        number = IPC_PAYLOAD(&message, struct ipc_channel)->channel;
                ipc_received_fini(&message);
        }
        return number;
}

/* The services are one of datagrams at 127.0.0.@host, or at no address for 0. */
static void point_at(uint8_t host, uint16_t service_port)
{
        struct ipc_forward_service service = { .gate_port = GATE, .protocol = IPC_UDP, .service_port = service_port,
                                               .count = host > 0, .host = "dns" };

        memcpy(service.address[0], (uint8_t[]){ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, host }, 16);
        services_begin(&forward.arrivals.services);
        check_equal(services_add(&forward.arrivals.services, &service), 0);
        services_end(&forward.arrivals.services);
        arrivals_services_changed(&forward.arrivals);
}

TEST(sessions_of_datagrams_end_when_their_service_is_elsewhere)
{
        struct ipc_channel_arrived arrived = { .channel = 1, .gate_port = GATE, .protocol = IPC_UDP };

        begin((uint8_t[]){ GOOD_HOST }, 1);
        point_at(3, 9);
        arrivals_arrived(&forward.arrivals, 1, &arrived, start_us);
        point_at(3, 9);
        check_equal(told_to_end(), 0);          /* it is where it was */
        point_at(0, 9);
        check_equal(told_to_end(), 0);          /* its name is not known just now: what works goes on */
        point_at(4, 9);
        check_equal(told_to_end(), 1);
        check_equal(forward.arrivals.by_number.count, 1);
        arrivals_closed(&forward.arrivals, 1, &(struct ipc_channel_closed){ .channel = 1 }, 0);
        check_equal(forward.arrivals.by_number.count, 0);
        arrived.channel = 2;
        arrivals_arrived(&forward.arrivals, 1, &arrived, start_us);
        point_at(4, 10);
        check_equal(told_to_end(), 2);
        services_begin(&forward.arrivals.services);
        services_end(&forward.arrivals.services);
        arrivals_services_changed(&forward.arrivals);
        check_equal(told_to_end(), 2);          /* no service at all; told again is no harm */
        finish();
}

/* A session begins at one of the service's addresses, the last byte of which is returned, and is over for that reason. */
static unsigned session(uint64_t number, enum ipc_reason reason, uint64_t answered)
{
        struct ipc_channel_arrived arrived = { .channel = number, .gate_port = GATE, .protocol = IPC_UDP };
        struct ipc_channel_closed closed = { .channel = number, .reason = reason, .sent_bytes = answered };
        struct sockaddr_in to;
        socklen_t len = sizeof(to);
        struct ipc_received message;
        int fd = -1;

        arrivals_arrived(&forward.arrivals, 1, &arrived, start_us);
        while (fd < 0 && inside_receive(&inside, IPC_SWARM, &message)) {
                if (message.type == IPC_CHANNEL_READY)
                        fd = ipc_received_take_fd(&message, 0);
                ipc_received_fini(&message);
        }
        check_equal(getpeername(fd, (struct sockaddr *)&to, &len), 0);
        close(fd);
        arrivals_closed(&forward.arrivals, 1, &closed, 0);
        return ntohl(to.sin_addr.s_addr) & 0xff;
}

/* To connect says nothing there: who is refused by the first address begins the next session at the second. */
TEST(sessions_go_to_the_next_address_when_nobody_is_at_the_first_and_the_log_says_it_once)
{
        struct ipc_forward_service service = { .gate_port = GATE, .protocol = IPC_UDP, .service_port = 9, .count = 3, .host = "dns" };

        begin((uint8_t[]){ GOOD_HOST }, 1);
        for (uint8_t i = 0; i < 3; i++)
                memcpy(service.address[i], (uint8_t[]){ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, (uint8_t)(11 + i) }, 16);
        services_begin(&forward.arrivals.services);
        check_equal(services_add(&forward.arrivals.services, &service), 0);
        services_end(&forward.arrivals.services);
        noticed();
        fails_told = 0;
        check_equal(session(1, IPC_REASON_DONE, 100), 11);
        check_equal(session(2, IPC_REASON_IDLE, 0), 11);
        check(strcmp(noticed(), "") == 0 && fails_told == 0);
        check_equal(session(3, IPC_REASON_REFUSED, 0), 11);
        check(strcmp(noticed(), "service 8080/udp at dns:9: nobody is at 127.0.0.11:9;") == 0);
        check_equal(session(4, IPC_REASON_REFUSED, 0), 12);
        check_equal(session(5, IPC_REASON_IDLE, 0), 13);
        check(strcmp(noticed(), "") == 0);
        check_equal(session(6, IPC_REASON_DONE, 100), 13);
        check(strcmp(noticed(), "service 8080/udp at dns:9 answers again;") == 0 && fails_told == 1);
        check_equal(session(7, IPC_REASON_REFUSED, 0), 13);
        check_equal(session(8, IPC_REASON_DONE, 0), 11);
        finish();
}

TEST(connections_stay_when_their_service_goes_elsewhere)
{
        begin((uint8_t[]){ GOOD_HOST }, 1);
        arrive(1);
        services_begin(&forward.arrivals.services);
        services_end(&forward.arrivals.services);
        arrivals_services_changed(&forward.arrivals);
        check_equal(told_to_end(), 0);
        check_equal(forward.arrivals.by_number.count, 1);
        finish();
}

TEST(a_swarm_worker_may_come_while_the_services_are_being_told)
{
        struct ipc_forward_service service = { .gate_port = GATE + 1, .service_port = 9, .host = "late" };
        enum ipc_type type;
        char text[IPC_TEXT_MAX + 1];

        begin((uint8_t[]){ GOOD_HOST }, 1);
        arrivals_services_changed(&forward.arrivals);
        check(said(&type, text) && type == IPC_SERVICE_HELD);
        services_begin(&forward.arrivals.services);
        check_equal(services_add(&forward.arrivals.services, &service), 0);
        inside_introduce(&inside, IPC_SWARM);
        scene_turn();
        check(said(&type, text) && type == IPC_SERVICE_HELD);
        check(!said(&type, text));
        services_end(&forward.arrivals.services);
        arrivals_services_changed(&forward.arrivals);
        check(said(&type, text));
        check(said(&type, text));
        check(!said(&type, text));              /* one came, one left */
        check_equal(forward.arrivals.services.groups.count, 1);
        finish();
}

/* The swarm worker may be gone first, and its link with it. */
TEST(nobody_is_connected_any_more_while_all_are_leaving)
{
        struct now now;

        begin((uint8_t[]){ SILENT_HOST }, 1);
        worker_now(&now);               /* the clock by which turns live */
        arrivals_arrived(&forward.arrivals, 1, &(struct ipc_channel_arrived){ .channel = 1, .gate_port = GATE }, now.mono_us);
        check(arrivals_deadline(&forward.arrivals) > now.mono_us && forward.arrivals.pending == 1);
        inside_send(&inside, IPC_SUPERVISOR, IPC_STOP, &(struct ipc_stop){ 1000 }, -1);
        scene_turn();
        inside_depart(&inside, IPC_SWARM);
        scene_turn();
        check_equal(forward.arrivals.pending, 0);
        finish();
}

TEST(two_swarm_workers_may_use_one_number_and_with_one_go_its_arrivals_alone)
{
        static const uint8_t hosts[] = { SILENT_HOST };
        struct ipc_channel_arrived arrived = { .channel = 7, .gate_port = GATE };
        struct ipc_received message;
        struct now now;

        begin(hosts, 1);
        worker_now(&now);       /* turns live by it */
        arrivals_services_changed(&forward.arrivals);
        inside_introduce(&inside, INSIDE_SWARM_2);
        scene_turn();
        for (enum ipc_role swarm = IPC_SWARM;; swarm = INSIDE_SWARM_2) {        /* the second hears what the first was told */
                check_equal(inside_receive(&inside, swarm, &message), 1);
                check_equal(message.type, IPC_SERVICE_HELD);
                ipc_received_fini(&message);
                if (swarm == INSIDE_SWARM_2)
                        break;
        }
        arrivals_arrived(&forward.arrivals, 1, &arrived, now.mono_us);
        arrivals_arrived(&forward.arrivals, 2, &arrived, now.mono_us);
        arrivals_arrived(&forward.arrivals, 2, &arrived, now.mono_us);     /* again: it is there */
        check_equal(forward.arrivals.by_number.count, 2);
        inside_depart(&inside, INSIDE_SWARM_2);
        scene_turn();
        check_equal(forward.arrivals.by_number.count, 1);
        arrivals_gone(&forward.arrivals, 2, &(struct ipc_channel){ 7 });
        check_equal(forward.arrivals.by_number.count, 1);
        arrivals_gone(&forward.arrivals, 1, &(struct ipc_channel){ 7 });
        check_equal(forward.arrivals.by_number.count, 0);
        finish();
}

/* --- Unix sockets --- */

enum { NAME = 4711 };

/* There is nothing to connect to, and nobody tries. */
static void begin_local(void)
{
        struct ipc_forward_service service = { .service = NAME, .gate_port = GATE, .local = 1, .host = "unix:/run/app.sock" };

        begin((uint8_t[]){ SILENT_HOST }, 1);
        services_begin(&forward.arrivals.services);
        check_equal(services_add(&forward.arrivals.services, &service), 0);
        services_end(&forward.arrivals.services);
}

/* Which channel the supervisor is asked to connect, of which worker; 0: none. */
static uint64_t asked_for(void)
{
        struct ipc_received message;
        uint64_t channel = 0;

        while (!channel && inside_receive(&inside, IPC_SUPERVISOR, &message)) {
                const struct ipc_service_dial *dial = IPC_PAYLOAD(&message, struct ipc_service_dial);

                if (message.type == IPC_SERVICE_DIAL) {
                        check(dial->service == NAME && dial->gate_port == GATE && dial->swarm == 1);
                        channel = dial->channel;
                }
                ipc_received_fini(&message);
        }
        return channel;
}

static void answer(uint64_t channel, uint32_t error, int fd)
{
        struct ipc_service_dialled dialled = { .channel = channel, .swarm = 1, .error = error };

        inside_send(&inside, IPC_SUPERVISOR, IPC_SERVICE_DIALLED, &dialled, fd);
        scene_turn();
}

TEST(the_supervisor_connects_to_a_unix_socket)
{
        enum ipc_type type;
        char text[IPC_TEXT_MAX + 1];
        usec_t begun_us;
        int pair[2];

        begin_local();
        check_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        begun_us = arrive_now(5);
        check_equal(asked_for(), 5);
        check(!said(&type, text));
        check_equal(arrivals_deadline(&forward.arrivals), begun_us + ARRIVALS_CONNECT_US);
        answer(5, 0, pair[0]);
        check(said(&type, text));
        check_equal(type, IPC_CHANNEL_READY);
        check(forward.arrivals.pending == 0 && arrivals_deadline(&forward.arrivals) == USEC_NEVER);
        forward.worker.log_channels = true;
        forward.worker.log_level = LOG_INFO;
        arrivals_closed(&forward.arrivals, 1, &(struct ipc_channel_closed){ .channel = 5, .duration_us = 1 }, 0);
        check_equal(forward.arrivals.by_number.count, 0);
        close(pair[0]);
        check_equal(recv(pair[1], text, 1, MSG_DONTWAIT), 0);         /* nobody has kept the other end */
        close(pair[1]);
        finish();
}

TEST(what_the_supervisor_could_not_do_is_a_refusal)
{
        enum ipc_type type;
        char text[IPC_TEXT_MAX + 1];

        begin_local();
        noticed();
        arrive_now(6);
        answer(6, ECONNREFUSED, -1);
        check(said(&type, text) && type == IPC_CHANNEL_REFUSE);
        check(strcmp(text, "Error: connect ECONNREFUSED unix:/run/app.sock") == 0);
        check(strcmp(noticed(), "service 8080 at unix:/run/app.sock: Connection refused; who wants it is refused;") == 0);
        arrivals_advance(&forward.arrivals, arrive_now(7) + ARRIVALS_CONNECT_US);
        check(said(&type, text) && type == IPC_CHANNEL_REFUSE);
        check(strcmp(text, "Error: connect ETIMEDOUT unix:/run/app.sock") == 0);
        check_equal(forward.arrivals.by_number.count, 0);
        finish();
}

TEST(a_connection_that_comes_too_late_is_closed)
{
        enum ipc_type type;
        char text[IPC_TEXT_MAX + 1];
        int pair[2];

        begin_local();
        check_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        arrive_now(8);
        arrivals_gone(&forward.arrivals, 1, &(struct ipc_channel){ 8 });
        answer(8, 0, pair[0]);
        answer(9, ENOENT, -1);
        close(pair[0]);
        check_equal(recv(pair[1], text, 1, MSG_DONTWAIT), 0);
        close(pair[1]);
        check(!said(&type, text));
        finish();
}
