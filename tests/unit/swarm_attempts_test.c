/* SPDX-License-Identifier: BSD-3-Clause */
#include "attempts.h"

#include <string.h>

#include "inside.h"
#include "ipc_message.h"
#include "ipc_words.h"
#include "test.h"

struct scene {
        struct worker worker;
        struct inside inside;
        struct attempts attempts;
        usec_t now_us;
};

static void begin(struct scene *scene)
{
        *scene = (struct scene){ .now_us = SECONDS(100) };
        inside_begin(&scene->inside, &scene->worker, IPC_SWARM, IPC_DUTY_NONE);
        scene->worker.log_level = LOG_INFO;
        inside_drain(&scene->inside);
}

static void end(struct scene *scene)
{
        worker_part(&scene->worker);
        inside_end(&scene->inside);
}

static struct node_event attempt_at(uint8_t peer, enum node_failure failure)
{
        struct node_event event = {
                .kind = NODE_ATTEMPT,
                .attempt = { .failure = failure, .own_nat = NODE_NAT_RANDOM, .peer_nat = NODE_NAT_CONSISTENT, .rounds = 3,
                             .took_us = MSEC(2046) },
        };

        memset(event.peer, peer, sizeof(event.peer));
        if (failure == NODE_REACHED) {
                event.attempt.path = NODE_PATH_CHANCE;
                event.addr = (struct addr){ .ip = { 80, 1, 2, 3 }, .port = 4711 };
        }
        return event;
}

/* Whether it said something about that, and what. */
static bool tell(struct scene *scene, const struct node_event *event, struct ipc_received *line_out)
{
        attempts_tell(&scene->attempts, &scene->worker, event, scene->now_us);
        return inside_receive(&scene->inside, IPC_SUPERVISOR, line_out) == 1;
}

static bool has_field(const struct ipc_received *line, const char *field)
{
        const struct ipc_log *log = IPC_PAYLOAD(line, struct ipc_log);

        for (const char *at = log->text + strlen(log->text) + 1; at < log->text + log->text_len; at += strlen(at) + 1)
                if (strcmp(at, field) == 0)
                        return true;
        return false;
}

TEST(how_a_peer_was_reached_is_a_line_with_fields)
{
        struct node_event event = attempt_at(0xab, NODE_REACHED);
        struct ipc_received line;
        struct scene scene;

        begin(&scene);
        check(tell(&scene, &event, &line));
        check_equal(IPC_PAYLOAD(&line, struct ipc_log)->level, LOG_INFO);
        check_equal(IPC_PAYLOAD(&line, struct ipc_log)->event, IPC_EVENT_PEER_REACHED);
        check(strcmp(IPC_PAYLOAD(&line, struct ipc_log)->text, "peer abababab: reached at 80.1.2.3:4711 in 2046 ms, path chance, NATs random "
                                                               "here and consistent there, 3 rounds") == 0);
        check(has_field(&line, "HYPERGATE_PEER=abababababababababababababababababababababababababababababababab"));
        check(has_field(&line, "HYPERGATE_REMOTE=80.1.2.3:4711") && has_field(&line, "HYPERGATE_DIRECTION=out"));
        check(has_field(&line, "HYPERGATE_PATH=chance") && has_field(&line, "HYPERGATE_ROUNDS=3"));
        check(has_field(&line, "HYPERGATE_OWN_NAT=random") && has_field(&line, "HYPERGATE_PEER_NAT=consistent"));
        check(has_field(&line, "HYPERGATE_DURATION_USEC=2046000") && has_field(&line, "HYPERGATE_REASON=reached"));
        end(&scene);
}

TEST(why_a_peer_was_not_reached_is_said_once_until_that_changes)
{
        struct node_event shut = attempt_at(1, NODE_PUNCH_SHUT), gone = attempt_at(1, NODE_UNANSWERED), reached = attempt_at(1, NODE_REACHED);
        struct ipc_received line;
        struct scene scene;

        begin(&scene);
        check(tell(&scene, &shut, &line));
        check_equal(IPC_PAYLOAD(&line, struct ipc_log)->event, IPC_EVENT_PEER_UNREACHED);
        check(has_field(&line, "HYPERGATE_REASON=hole punching: no packet got through") && has_field(&line, "HYPERGATE_PATH=none"));
        check(strstr(IPC_PAYLOAD(&line, struct ipc_log)->text, "not reached after 2046 ms"));
        check(!tell(&scene, &shut, &line));
        check(tell(&scene, &gone, &line));
        check(tell(&scene, &reached, &line));
        check(tell(&scene, &gone, &line));
        end(&scene);
}

TEST(relay_that_is_left_and_come_back_to_is_a_line_each)
{
        struct node_event event = { .kind = NODE_MOVED, .addr = { .ip = { 80, 1, 2, 3 }, .port = 4711 },
                                    .attempt.path = NODE_PATH_PUNCHED };
        struct ipc_received line;
        struct scene scene;
        unsigned told = 0;

        begin(&scene);
        memset(event.peer, 0xab, sizeof(event.peer));
        check(tell(&scene, &event, &line));
        check(strcmp(IPC_PAYLOAD(&line, struct ipc_log)->text,
                     "peer abababab: has left the relay for a direct way to 80.1.2.3:4711, path punched")
              == 0);
        check(has_field(&line, "HYPERGATE_REMOTE=80.1.2.3:4711") && has_field(&line, "HYPERGATE_PATH=punched"));
        event.attempt.path = NODE_PATH_RELAY;
        check(tell(&scene, &event, &line));
        check(strcmp(IPC_PAYLOAD(&line, struct ipc_log)->text,
                     "peer abababab: the direct way is dead, back over the relay at 80.1.2.3:4711") == 0);
        check(has_field(&line, "HYPERGATE_PATH=relay"));
        for (unsigned i = 0; i < 100; i++)
                told += tell(&scene, &event, &line);
        check_equal(told, 28);
        end(&scene);
}

TEST(who_is_not_let_in_is_told_once_with_the_key_that_would)
{
        struct node_event event = { .kind = NODE_ATTEMPT, .role = NODE_GATEWAY, .addr = { .ip = { 80, 1, 2, 3 }, .port = 4711 },
                                    .attempt = { .failure = NODE_NOT_ALLOWED, .incoming = true } };
        struct ipc_received line;
        struct scene scene;

        begin(&scene);
        memset(event.peer, 0xab, sizeof(event.peer));
        check(tell(&scene, &event, &line));
        check_equal(IPC_PAYLOAD(&line, struct ipc_log)->level, LOG_INFO);
        check_equal(IPC_PAYLOAD(&line, struct ipc_log)->event, IPC_EVENT_PEER_FORBIDDEN);
        check(strcmp(IPC_PAYLOAD(&line, struct ipc_log)->text,
                     "peer abababababababababababababababababababababababababababababababab at 80.1.2.3:4711 is not let in: allowPeers of "
                     "gateway does not name it; add it there if it is a provider of yours") == 0);
        check(has_field(&line, "HYPERGATE_PEER=abababababababababababababababababababababababababababababababab"));
        check(has_field(&line, "HYPERGATE_REMOTE=80.1.2.3:4711"));
        check(!tell(&scene, &event, &line));
        event.peer[0] = 0xac;
        event.role = NODE_PROVIDER;
        check(tell(&scene, &event, &line));
        check(strstr(IPC_PAYLOAD(&line, struct ipc_log)->text,
                     "allowPeers of provider does not name it; add it there if it is a gateway of yours"));
        end(&scene);
}

static const char *parted(struct scene *scene, const struct node_event *event, enum ipc_event expected, struct ipc_received *line)
{
        check(tell(scene, event, line));
        check_equal(IPC_PAYLOAD(line, struct ipc_log)->event, expected);
        check(has_field(line, "HYPERGATE_PEER=abababababababababababababababababababababababababababababababab"));
        return IPC_PAYLOAD(line, struct ipc_log)->text;
}

TEST(how_a_connection_ended_is_said)
{
        struct node_event event = { .kind = NODE_PEER_LEAVES, .role = NODE_PROVIDER };
        struct ipc_received line;
        struct scene scene;

        begin(&scene);
        memset(event.peer, 0xab, sizeof(event.peer));
        check(strcmp(parted(&scene, &event, IPC_EVENT_PEER_LEAVES, &line), "peer abababab: leaves, what runs may finish") == 0);
        event.kind = NODE_PEER_DOWN;
        event.reason = NODE_REASON_PEER_LEFT;
        check(strcmp(parted(&scene, &event, IPC_EVENT_PEER_LEFT, &line), "peer abababab: has left") == 0);
        event.reason = NODE_REASON_PEER_LOST;
        check(strcmp(parted(&scene, &event, IPC_EVENT_PEER_LOST, &line), "peer abababab: the connection is lost") == 0);
        event.reason = NODE_REASON_TOO_LONG;
        event.len = 2097153;
        check(strcmp(parted(&scene, &event, IPC_EVENT_PEER_LOST, &line),
                     "peer abababab: the connection is lost: it sent a message of 2097153 bytes, more than is taken") == 0);
        end(&scene);
}

TEST(every_failure_has_words)
{
        for (unsigned i = 0; i < NODE_FAILURES; i++)
                check(attempts_failure(i) && attempts_failure(i)[0]);
        for (unsigned i = 0; i < NODE_PATHS; i++)
                check(strcmp(ipc_path_word(i), "unknown") != 0);
        for (unsigned i = 0; i < NODE_NATS; i++)
                check((strcmp(ipc_nat_word(i), "unknown") == 0) == (i == NODE_NAT_UNKNOWN));
        check(strcmp(ipc_path_word(NODE_PATHS), "unknown") == 0 && strcmp(ipc_nat_word(NODE_NATS), "unknown") == 0);
}

/* Who knows the topic can list as many as he likes. */
TEST(strangers_do_not_fill_the_journal)
{
        struct ipc_received line;
        unsigned told = 0;
        struct scene scene;

        begin(&scene);
        for (unsigned i = 0; i < 250; i++) {
                struct node_event event = attempt_at((uint8_t)i, NODE_UNANSWERED);

                told += tell(&scene, &event, &line);
        }
        check_equal(told, 30);
        scene.now_us += MINUTES(1);
        check(tell(&scene, &(struct node_event){ .kind = NODE_ATTEMPT, .attempt.failure = NODE_PUNCH_BUSY }, &line));
        scene.worker.log_level = LOG_DEBUG;
        for (unsigned i = 0; i < 40; i++)
                check(tell(&scene, &(struct node_event){ .kind = NODE_ATTEMPT, .attempt.failure = NODE_CAME_FIRST }, &line));
        end(&scene);
}
