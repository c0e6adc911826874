/* SPDX-License-Identifier: BSD-3-Clause */
/* Channels from their arrival to their end, while services and swarm workers come and go. */
#include "forward_arrivals_scene.h"

#include <string.h>

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
