/* SPDX-License-Identifier: BSD-3-Clause */
/* Who hears whose a connection to a service is, from who makes it. */
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fingerprint_ear.h"
#include "forward_arrivals.h"
#include "forward_scene.h"
#include "ipc_channel.h"

enum { GATE = 8080 };

static const char metadata[] = "{\"source\":{\"ip\":\"203.0.113.7\"}}";
static int listener;

static void begin(void)
{
        struct ipc_forward_service service = { .gate_port = GATE, .count = 1, .host = "web", .idle_ms = 7,
                                               .address = { { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } } };
        struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t len = sizeof(addr);

        listener = socket(AF_INET, SOCK_STREAM, 0);
        check_equal(bind(listener, (struct sockaddr *)&addr, len), 0);
        check_equal(listen(listener, 16), 0);
        check_equal(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
        scene_begin(IPC_DUTY_SERVICES, IPC_SWARM);
        service.service_port = ntohs(addr.sin_port);
        check_equal(services_add(&forward.arrivals.services, &service), 0);
        services_end(&forward.arrivals.services);
}

static void introduce(void)
{
        inside_introduce(&inside, IPC_ADMIN);
        scene_turn();
}

static void end(void)
{
        scene_end();
        close(listener);
}

/* One whose gateway said @text becomes a connection: its ends, as the swarm worker is told. */
static struct ipc_tuple arrive(uint64_t channel, const char *text)
{
        struct ipc_channel_arrived arrived = { .channel = channel, .gate_port = GATE, .metadata_len = (uint32_t)strlen(text) };
        struct ipc_received message;
        struct ipc_tuple tuple;

        memcpy(arrived.metadata, text, arrived.metadata_len);
        arrivals_arrived(&forward.arrivals, 1, &arrived, SECONDS(1));
        check(inside_receive(&inside, IPC_SWARM, &message) && message.type == IPC_CHANNEL_READY);
        tuple = IPC_PAYLOAD(&message, struct ipc_channel_ready)->tuple;
        ipc_received_fini(&message);
        return tuple;
}

static void closed(uint64_t channel)
{
        arrivals_closed(&forward.arrivals, 1, &(struct ipc_channel_closed){ .channel = channel }, SECONDS(2));
}

static bool hears_nothing(void)
{
        struct ipc_received message;

        return !inside_receive(&inside, IPC_ADMIN, &message);
}

TEST(whose_a_connection_is_is_said_with_both_its_ends_until_it_ends)
{
        struct ipc_fingerprint expected = { .channel = 3, .gate_port = GATE, .idle_ms = 7, .metadata_len = sizeof(metadata) - 1 };
        struct sockaddr_in client;
        socklen_t len = sizeof(client);
        int accepted;

        begin();
        introduce();
        expected.tuple = arrive(3, metadata);
        accepted = accept(listener, (struct sockaddr *)&client, &len);
        check(accepted >= 0 && expected.tuple.local_port == ntohs(client.sin_port) && expected.tuple.local_ip[12] == 127);
        memcpy(expected.metadata, metadata, expected.metadata_len);
        hears_connection(&inside, &expected);
        closed(3);
        hears_end(&inside, 3, &expected.tuple);
        close(accepted);
        end();
}

TEST(who_carries_a_connection_hears_its_ends_also_where_nobody_is_asked)
{
        begin();
        check(arrive(1, metadata).local_port != 0);
        introduce();
        check(arrive(2, "").local_port != 0);           /* its gateway says nothing */
        closed(1);
        closed(2);
        check(hears_nothing());
        end();
}

TEST(who_has_no_time_is_told_nothing_here)
{
        struct ipc_fingerprint other = { .channel = 1, .swarm = 1 };
        struct worker_link *admin;
        size_t queued;

        begin();
        introduce();
        admin = worker_find(&forward.worker, IPC_ADMIN, IPC_ADMIN_OF_RESOLVER);
        while (!ipc_link_queued(&admin->ipc))
                check_equal(worker_send(admin, IPC_FINGERPRINT_SET, &other, NULL, 0), 0);
        queued = admin->ipc.queued_bytes;
        check(arrive(1, metadata).local_port != 0);
        closed(1);
        check_equal(admin->ipc.queued_bytes, queued);
        end();
}
