/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_log.h"

#include <arpa/inet.h>
#include <string.h>

#include "inside.h"
#include "ipc_forward.h"
#include "test.h"

static struct worker worker;
static struct inside inside;
static struct tally tally;
static struct ipc_received said;

static void on_nothing(void *context, struct worker_link *from, struct ipc_received *message)
{
}

static const struct worker_handlers handlers = { .message[IPC_CONF_END] = on_nothing };

static void begin(uint32_t level, uint32_t channels)
{
        struct ipc_log_level log = { .level = level, .channels = channels };

        inside_begin(&inside, &worker, IPC_FORWARD, IPC_DUTY_GATES);
        tally_init(&tally, &worker);
        inside_send(&inside, IPC_SUPERVISOR, IPC_LOG_LEVEL, &log, -1);
        worker_turn(&worker, &handlers, NULL);
        inside_drain(&inside);
}

static void finish(void)
{
        worker_part(&worker);
        inside_end(&inside);
}

static const uint8_t peer[IPC_KEY_BYTES] = { 0xde, 0xad, 0xbe, 0xef };

/* Whether a channel of a client or a service at that address that ends so is told of. */
static const struct ipc_log *tell(const char *ip, bool at_gate, enum ipc_reason reason)
{
        union socket_address remote = { .v6 = { .sin6_family = AF_INET6, .sin6_port = htons(4711) } };

        if (inet_pton(AF_INET6, ip, &remote.v6.sin6_addr) != 1) {
                remote.v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(4711) };
                check_equal(inet_pton(AF_INET, ip, &remote.v4.sin_addr), 1);
        }
        log_channel(&worker, &(struct log_channel){
                .at_gate = at_gate, .number = 7, .gate_port = 8000, .protocol = at_gate ? IPC_TCP : IPC_UDP, .remote = &remote, .peer = peer,
                .reason = reason, .text = reason == IPC_REASON_REFUSED ? "no such service" : NULL, .sent_bytes = 11, .received_bytes = 22,
                .duration_us = MSEC(1500), .tally = &tally,
        });
        return inside_receive(&inside, IPC_SUPERVISOR, &said) ? IPC_PAYLOAD(&said, struct ipc_log) : NULL;
}

static bool has_field(const struct ipc_log *log, const char *field)
{
        for (const char *at = log->text + strlen(log->text) + 1; at < log->text + log->text_len; at += strlen(at) + 1)
                if (strcmp(at, field) == 0)
                        return true;
        return false;
}

TEST(channel_that_is_over_is_a_line_where_that_is_wanted)
{
        const struct ipc_log *log;

        begin(LOG_INFO, 1);
        log = tell("192.0.2.1", true, IPC_REASON_DONE);
        check(log && log->event == IPC_EVENT_CHANNEL_CLOSED && log->level == LOG_INFO);
        check(strcmp(log->text, "gate 8000: 192.0.2.1:4711, peer deadbeef: done, 11 bytes sent, 22 received, 1.5 s") == 0);
        check(has_field(log, "HYPERGATE_CLIENT_ADDRESS=192.0.2.1") && has_field(log, "HYPERGATE_CLIENT_PORT=4711"));
        check(has_field(log, "HYPERGATE_GATE_PORT=8000") && has_field(log, "HYPERGATE_PROTOCOL=tcp") && has_field(log, "HYPERGATE_CHANNEL=7"));
        check(has_field(log, "HYPERGATE_PEER=deadbeef00000000000000000000000000000000000000000000000000000000"));
        check(has_field(log, "HYPERGATE_SENT_BYTES=11") && has_field(log, "HYPERGATE_RECEIVED_BYTES=22"));
        check(has_field(log, "HYPERGATE_DURATION_USEC=1500000") && has_field(log, "HYPERGATE_REASON=done"));
        log = tell("2001:db8::1", true, IPC_REASON_IDLE);
        check(log && has_field(log, "HYPERGATE_CLIENT_ADDRESS=2001:db8::1") && has_field(log, "HYPERGATE_CLIENT_PORT=4711"));
        log = tell("2001:db8::1", false, IPC_REASON_RESET_PEER);
        check(log && has_field(log, "HYPERGATE_SERVICE=[2001:db8::1]:4711") && has_field(log, "HYPERGATE_REASON=reset-there"));
        check(strncmp(log->text, "service 8000/udp: [2001:db8::1]:4711, ", 38) == 0);
        finish();
}

TEST(who_came_and_by_which_labels_is_told_at_either_end)
{
        union socket_address service = { .v4 = { .sin_family = AF_INET, .sin_port = htons(80),
                                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) } };
        union socket_address client = { .v4 = { .sin_family = AF_INET, .sin_port = htons(51000), .sin_addr.s_addr = htonl(0xc0000201) } };
        struct log_channel channel = { .number = 7, .gate_port = 8000, .remote = &service, .client = &client, .labels = "vip,office",
                                       .peer = peer, .tally = &tally };
        const struct ipc_log *log;

        begin(LOG_INFO, 1);
        log_channel(&worker, &channel);
        check(inside_receive(&inside, IPC_SUPERVISOR, &said));
        log = IPC_PAYLOAD(&said, struct ipc_log);
        check(strcmp(log->text, "service 8000: 127.0.0.1:80 for 192.0.2.1:51000 (vip,office), peer deadbeef: done") == 0);
        check(has_field(log, "HYPERGATE_SERVICE=127.0.0.1:80") && has_field(log, "HYPERGATE_LABELS=vip,office"));
        check(has_field(log, "HYPERGATE_CLIENT_ADDRESS=192.0.2.1") && has_field(log, "HYPERGATE_CLIENT_PORT=51000"));
        finish();
        begin(LOG_INFO, 0);                     /* where not each is to be told of, a service's log does not name its clients */
        channel.reason = IPC_REASON_PEER_LEFT;
        log_channel(&worker, &channel);
        check(inside_receive(&inside, IPC_SUPERVISOR, &said));
        log = IPC_PAYLOAD(&said, struct ipc_log);
        check(strcmp(log->text, "service 8000: 127.0.0.1:80 (vip,office), peer deadbeef: the peer has left") == 0);
        check(!has_field(log, "HYPERGATE_CLIENT_ADDRESS=192.0.2.1"));
        finish();
        begin(LOG_INFO, 1);
        channel = (struct log_channel){ .at_gate = true, .number = 7, .gate_port = 8000, .remote = &client, .labels = "vip", .peer = peer,
                                        .tally = &tally };
        log_channel(&worker, &channel);
        check(inside_receive(&inside, IPC_SUPERVISOR, &said));
        log = IPC_PAYLOAD(&said, struct ipc_log);
        check(strcmp(log->text, "gate 8000: 192.0.2.1:51000 (vip), peer deadbeef: done") == 0 && has_field(log, "HYPERGATE_LABELS=vip"));
        finish();
}

TEST(otherwise_only_those_that_failed_are_told_of)
{
        static const enum ipc_reason usual[] = { IPC_REASON_DONE, IPC_REASON_IDLE, IPC_REASON_RESET_LOCAL, IPC_REASON_RESET_PEER };
        const struct ipc_log *log;

        begin(LOG_INFO, 0);
        for (size_t i = 0; i < ARRAY_LEN(usual); i++)
                check(!tell("192.0.2.1", true, usual[i]));
        log = tell("192.0.2.1", true, IPC_REASON_REFUSED);
        check(log && log->event == IPC_EVENT_CHANNEL_FAILED && log->level == LOG_INFO && has_field(log, "HYPERGATE_REASON=refused"));
        check(strstr(log->text, "peer deadbeef: refused: no such service, 11 bytes"));
        check(tell("192.0.2.1", true, IPC_REASON_LIMIT));
        check(!tell("192.0.2.1", true, IPC_REASON_LIMIT));      /* said a moment ago */
        finish();
}

TEST(all_are_counted_and_the_supervisor_hears_of_it_once_a_second)
{
        usec_t now_us = SECONDS(100);

        begin(LOG_ERR, 0);
        check(tally_deadline(&tally) == USEC_NEVER);
        check(!tell("192.0.2.1", true, IPC_REASON_DONE) && !tell("192.0.2.1", true, IPC_REASON_DONE) &&
              !tell("192.0.2.1", true, IPC_REASON_LIMIT));
        check(tally_deadline(&tally) <= now_us);
        tally_advance(&tally, now_us);
        check(inside_receive(&inside, IPC_SUPERVISOR, &said));
        check_equal(said.type, IPC_FORWARD_STATUS);
        check_equal(IPC_PAYLOAD(&said, struct ipc_forward_status)->ended[IPC_REASON_DONE], 2);
        check_equal(IPC_PAYLOAD(&said, struct ipc_forward_status)->ended[IPC_REASON_LIMIT], 1);
        check(!tell("192.0.2.1", true, IPC_REASON_IDLE));
        tally_advance(&tally, now_us + SECONDS(1) - 1);
        check(!inside_receive(&inside, IPC_SUPERVISOR, &said));
        check_equal(tally_deadline(&tally), now_us + SECONDS(1));
        tally_advance(&tally, now_us + SECONDS(1));
        check(inside_receive(&inside, IPC_SUPERVISOR, &said));
        check_equal(IPC_PAYLOAD(&said, struct ipc_forward_status)->ended[IPC_REASON_DONE], 0);
        check_equal(IPC_PAYLOAD(&said, struct ipc_forward_status)->ended[IPC_REASON_IDLE], 1);
        finish();
}

TEST(level_that_changes_is_heeded_at_once)
{
        struct ipc_log_level quiet = { .level = LOG_NOTICE, .channels = 1 }, chatty = { .level = LOG_DEBUG };
        const struct ipc_log *log;

        begin(LOG_INFO, 1);
        inside_send(&inside, IPC_SUPERVISOR, IPC_LOG_LEVEL, &quiet, -1);
        worker_turn(&worker, &handlers, NULL);
        check(!tell("192.0.2.1", true, IPC_REASON_DONE) && !tell("192.0.2.1", true, IPC_REASON_REFUSED));
        inside_send(&inside, IPC_SUPERVISOR, IPC_LOG_LEVEL, &chatty, -1);
        worker_turn(&worker, &handlers, NULL);
        log = tell("192.0.2.1", true, IPC_REASON_DONE);
        check(log && log->level == LOG_DEBUG);
        finish();
}
