/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses and services that fail or keep silent, in virtual time. */
#include "forward_arrivals_scene.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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
        scene_deafen(silent);
        check_equal(await(text), IPC_CHANNEL_REFUSE);
        snprintf(expected, sizeof(expected), "Error: connect ECONNREFUSED 127.0.0.%u:%u", NOBODY_HOST, port);
        check(strcmp(text, expected) == 0);
        check_equal(forward.arrivals.by_number.count, 0);
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
