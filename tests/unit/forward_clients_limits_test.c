/* SPDX-License-Identifier: BSD-3-Clause */
/* How many clients a gate has, and how fast they come. */
#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#include "forward_clients_scene.h"
#include "ipc_channel.h"

static int come_from(uint32_t address)
{
        const union socket_address remote = { .v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(address) } };

        return come_as(&remote);
}

static int come_from6(uint16_t network, uint16_t host)
{
        union socket_address remote = { .v6 = { .sin6_family = AF_INET6 } };

        memcpy(&remote.v6.sin6_addr.s6_addr[6], &network, sizeof(network));
        memcpy(&remote.v6.sin6_addr.s6_addr[14], &host, sizeof(host));
        return come_as(&remote);
}

TEST(a_gate_has_as_many_connections_as_it_may)
{
        int client[4];

        begin("");
        forward.clients.limits.connections = 3;
        for (uint32_t i = 0; i < 3; i++)
                check(!closed(client[i] = come_from(i)));
        check(closed(client[3] = come_from(9)));
        close(client[3]);
        check_equal(next_due(), SECONDS(WAIT_S));       /* they all wait in vain, and leave */
        for (unsigned i = 0; i < 3; i++) {
                check(closed(client[i]));
                close(client[i]);
        }
        check_equal(forward.clients.guests.all.count, 0);
        check(!closed(client[3] = come_from(9)));
        close(client[3]);
        finish();
}

TEST(a_client_has_as_many_connections_as_it_may)
{
        struct ipc_channel_open open;
        int client[8], fd;

        begin("a");
        forward.clients.limits.connections_per_client = 2;
        for (unsigned i = 0; i < 2; i++) {
                check(!closed(client[i] = come_from(1)));
                check_equal(asked(&fd, &open), 'a');
                close(fd);
        }
        check(closed(client[2] = come_from(1)));
        check(!closed(client[3] = come_from(2)));
        check_equal(asked(&fd, &open), 'a');
        close(fd);
        clients_opened(&forward.clients, 1, &(struct ipc_channel){ open.channel - 1 }, &now);
        clients_closed(&forward.clients, 1, &(struct ipc_channel_closed){ .channel = open.channel - 1 });       /* one of the first two */
        check(!closed(client[4] = come_from(1)));
        check(!closed(client[5] = come_from6(1, 1)) && !closed(client[6] = come_from6(1, 2)));
        check(closed(client[7] = come_from6(1, 3)));    /* the same network */
        for (unsigned i = 0; i < 8; i++)
                close(client[i]);
        check(!closed(client[0] = come_from6(2, 3)));
        close(client[0]);
        finish();
}

/* What the log says of the next one that is turned away. */
static bool turned_away(int fd, const char *says)
{
        struct ipc_received message;
        bool gone = closed(fd);

        close(fd);
        if (!gone || !says)
                return gone;
        do
                if (inside_receive(&inside, IPC_SUPERVISOR, &message) != 1)
                        return false;
        while (message.type != IPC_LOG || !strstr(IPC_PAYLOAD(&message, struct ipc_log)->text, says));
        return true;
}

/* After a pause a burst, then one for each part of a second; a client that is turned away costs the others nothing. */
TEST(connections_begin_no_faster_than_they_may)
{
        begin("");
        forward.clients.limits.rate = 4;
        now.mono_us += SECONDS(1000);
        for (uint32_t i = 0; i < 4 * RATE_BURST_S; i++)
                check(!turned_away(come_from(i), NULL));
        check(turned_away(come_from(99), "gate 8080: there come 4 connections a second, as many as may be: more are reset"));
        now.mono_us += MSEC(249);
        check(turned_away(come_from(99), NULL));
        now.mono_us += MSEC(1);
        check(!turned_away(come_from(99), NULL) && turned_away(come_from(98), NULL));
        now.mono_us += SECONDS(2 * RATE_BURST_S);
        for (uint32_t i = 0; i < 4 * RATE_BURST_S; i++)
                check(!turned_away(come_from(i), NULL));
        check(turned_away(come_from(99), NULL));
        forward.clients.limits.rate = 0;
        check(!turned_away(come_from(99), NULL));
        finish();
}

/* A client comes and goes; whether it was let in. */
static bool visit(uint32_t address)
{
        int client = come_from(address), fd;
        struct ipc_channel_open open;
        bool in = !closed(client);

        close(client);
        if (!in)
                return false;
        check_equal(asked(&fd, &open), 'a');
        close(fd);
        clients_opened(&forward.clients, 1, &(struct ipc_channel){ open.channel }, &now);
        clients_closed(&forward.clients, 1, &(struct ipc_channel_closed){ .channel = open.channel });
        return true;
}

/* It is remembered when it has left, forgotten when that says nothing any more; and no more of them are than there is room for. */
TEST(a_client_begins_connections_no_faster_than_it_may)
{
        begin("a");
        forward.clients.limits.rate_per_client = 1;
        now.mono_us += SECONDS(1000);
        for (unsigned i = 0; i < RATE_BURST_S; i++)
                check(visit(1));
        check(turned_away(come_from(1), "gate 8080: a client opens 1 connections a second, as many as may be: more are reset"));
        check(visit(2));
        now.mono_us += SECONDS(1);
        check(visit(1) && !visit(1));
        check_equal(forward.clients.guests.all.count, 1);
        now.mono_us += SECONDS(RATE_BURST_S);
        check(visit(3));
        check_equal(forward.clients.guests.all.count, 1);
        for (uint32_t i = 0; i < GUESTS_GONE_MAX; i++)
                check(visit(1000 + i));
        check_equal(forward.clients.guests.all.count, GUESTS_GONE_MAX);
        forward.clients.limits.rate_per_client = 0;
        now.mono_us += SECONDS(RATE_BURST_S);
        check(visit(1));
        check_equal(forward.clients.guests.all.count, 0);
        finish();
}
