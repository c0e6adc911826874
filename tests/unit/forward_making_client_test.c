/* SPDX-License-Identifier: BSD-3-Clause */
/* What a service is told of its client. */
#include "forward_arrivals_scene.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct ipc_client came;         /* whose the last one was that became a connection */

/* A service that wants to know of its clients gets the header first; @metadata is what the gateway says of this one. */
static size_t header_of(uint16_t protocol, uint16_t proxy, const char *metadata, uint8_t out[128])
{
        struct ipc_channel_arrived arrived = { .channel = 1, .gate_port = GATE, .protocol = protocol,
                                               .metadata_len = (uint32_t)strlen(metadata) };
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

TEST(a_service_is_told_of_its_client_as_it_wants_to_be)
{
        static const char client[] = "{\"source\":{\"ip\":\"203.0.113.10\",\"port\":51000},"
                                     "\"gateway\":{\"ip\":\"192.0.2.1\",\"port\":8080},"
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
