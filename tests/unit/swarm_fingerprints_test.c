/* SPDX-License-Identifier: BSD-3-Clause */
#include "fingerprints.h"

#include <string.h>

#include "fingerprint_ear.h"
#include "inside.h"
#include "ipc_channel.h"
#include "test.h"

enum { MANY = 3000 };                   /* more than a link holds at once */

static const char metadata[] = "{\"source\":{\"ip\":\"203.0.113.7\"}}";

static struct worker worker;
static struct inside inside;
static struct fingerprints all;

static void on_introduced(void *context, struct worker_link *link)
{
        fingerprints_introduce(&all);
}

static void on_drained(void *context, struct worker_link *link)
{
        fingerprints_advance(&all);
}

static const struct worker_handlers handlers = { .introduced = on_introduced, .drained = on_drained };

static void begin(void)
{
        inside_begin(&inside, &worker, IPC_SWARM, IPC_DUTY_NONE);
        fingerprints_init(&all, &worker);
}

static void end(void)
{
        check(list_empty(&all.told) && list_empty(&all.untold));
        worker_part(&worker);
        inside_end(&inside);
}

static void introduce(void)
{
        inside_introduce(&inside, IPC_ADMIN);
        worker_turn(&worker, &handlers, NULL);
}

static void depart(void)
{
        inside_depart(&inside, IPC_ADMIN);
        worker_turn(&worker, &handlers, NULL);
}

static struct fingerprint *arrive(uint64_t channel, const char *said)
{
        struct ipc_channel_arrived arrived = { .channel = channel, .gate_port = 80, .metadata_len = (uint32_t)strlen(said) };

        memcpy(arrived.metadata, said, arrived.metadata_len);
        return fingerprint_new(&all, &arrived);
}

static struct ipc_channel_ready ready_at(uint16_t local_port)
{
        return (struct ipc_channel_ready){ .idle_ms = 7, .tuple = { .local_ip = { [15] = 1 }, .remote_ip = { [15] = 2 },
                                                                    .local_port = local_port, .remote_port = 8080 } };
}

/* The channel that the admin worker hears of next, from its first word or its last; 0: none. */
static uint64_t hears(enum ipc_type type)
{
        struct ipc_received message;
        uint64_t channel;

        if (!inside_receive(&inside, IPC_ADMIN, &message))
                return 0;
        check_equal(message.type, type);
        channel = type == IPC_FINGERPRINT_SET ? IPC_PAYLOAD(&message, struct ipc_fingerprint)->channel
                                              : IPC_PAYLOAD(&message, struct ipc_fingerprint_drop)->channel;
        ipc_received_fini(&message);
        return channel;
}

TEST(who_is_asked_hears_whose_a_connection_is_until_it_ends)
{
        struct ipc_fingerprint expected = { .channel = 2, .gate_port = 80, .idle_ms = 7, .metadata_len = sizeof(metadata) - 1 };
        struct ipc_channel_ready ready = ready_at(5);
        struct fingerprint *fingerprint;

        begin();
        check(!arrive(1, metadata));            /* nobody wants to know */
        introduce();
        check(!arrive(1, ""));
        fingerprint = arrive(2, metadata);
        check(fingerprint && !hears(IPC_FINGERPRINT_SET));
        fingerprint_tell(fingerprint, &ready);
        expected.tuple = ready.tuple;
        memcpy(expected.metadata, metadata, expected.metadata_len);
        hears_connection(&inside, &expected);
        fingerprint_free(fingerprint);
        hears_end(&inside, 2, &ready.tuple);
        end();
}

TEST(of_what_never_was_a_connection_nobody_hears)
{
        struct ipc_channel_ready at_unix_socket = { .idle_ms = 7 };
        struct fingerprint *refused, *local;

        begin();
        introduce();
        refused = arrive(1, metadata);
        local = arrive(2, metadata);
        fingerprint_tell(local, &at_unix_socket);
        fingerprint_tell(NULL, &at_unix_socket);
        fingerprint_free(refused);
        fingerprint_free(local);
        fingerprint_free(NULL);
        check(!hears(IPC_FINGERPRINT_SET));
        end();
}

TEST(who_comes_anew_hears_of_all_that_are_there)
{
        struct ipc_channel_ready one = ready_at(5), two = ready_at(6);
        struct fingerprint *first, *second;

        begin();
        introduce();
        first = arrive(1, metadata);
        second = arrive(2, metadata);
        fingerprint_tell(first, &one);
        depart();
        fingerprint_tell(second, &two);
        fingerprint_free(arrive(3, metadata));
        introduce();
        check(hears(IPC_FINGERPRINT_SET) == 2 && hears(IPC_FINGERPRINT_SET) == 1 && !hears(IPC_FINGERPRINT_SET));
        fingerprint_free(first);
        check_equal(hears(IPC_FINGERPRINT_DROP), 1);
        fingerprint_free(second);
        end();
}

TEST(who_is_slow_hears_of_all_in_the_end_and_nothing_is_piled_up_meanwhile)
{
        static struct fingerprint *fingerprint[MANY];
        struct worker_link *admin;
        unsigned heard = 0;

        begin();
        introduce();
        admin = worker_find(&worker, IPC_ADMIN, IPC_ADMIN_OF_RESOLVER);
        for (unsigned i = 0; i < MANY; i++) {
                struct ipc_channel_ready ready = ready_at((uint16_t)(i + 1));

                fingerprint[i] = arrive(i + 1, metadata);
                fingerprint_tell(fingerprint[i], &ready);
        }
        check(!list_empty(&all.untold) && admin->ipc.queued_bytes <= sizeof(struct ipc_fingerprint));
        fingerprint_free(fingerprint[MANY - 1]);        /* it was never told */
        while (heard < MANY - 1) {
                check_equal(hears(IPC_FINGERPRINT_SET), ++heard);
                worker_turn(&worker, &handlers, NULL);
                check(admin->ipc.queued_bytes <= sizeof(struct ipc_fingerprint));
        }
        check(!hears(IPC_FINGERPRINT_SET) && list_empty(&all.untold));
        depart();
        for (unsigned i = 0; i < MANY - 1; i++)
                fingerprint_free(fingerprint[i]);
        end();
}
