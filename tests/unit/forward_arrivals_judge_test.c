/* SPDX-License-Identifier: BSD-3-Clause */
/* What arrivals show of their services, and what is said of it. */
#include "forward_arrivals_scene.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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
