/* SPDX-License-Identifier: BSD-3-Clause */
/* "scan KEY SECONDS": who is announced on the topic KEY (64 hexadecimal characters). A line "peer" for each that is found, then the end:
 * how many nodes answered, or that the time was up. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control_conn.h"
#include "ipc_question.h"
#include "ipc_swarm.h"
#include "supervisor.h"

enum { SCAN_S_MAX = 300, FIRST_PAUSE_MS = 200 };

struct scan {
        struct control_job job;
        struct question *question;      /* NULL: to be asked when @again comes */
        ev_timer limit, again;
        struct ipc_swarm_ask ask;
        unsigned found;
};

static struct supervisor *supervisor_of(const struct scan *scan)
{
        return scan->job.conn->control->supervisor;
}

static void scan_free(struct scan *scan)
{
        struct ev_loop *loop = supervisor_of(scan)->loop;

        if (scan->question)
                question_cancel(scan->question);
        ev_timer_stop(loop, &scan->limit);
        ev_timer_stop(loop, &scan->again);
        free(scan);
}

static void cancel(struct control_job *job)
{
        scan_free(container_of(job, struct scan, job));
}

static void end(struct scan *scan, uint32_t replies, bool timed_out)
{
        struct control_conn *conn = scan->job.conn;
        const struct ipc_swarm_status *status = &supervisor_of(scan)->status.last;

        json_line_begin(&conn->out, "end");
        json_line_number(&conn->out, "peers", scan->found);
        json_line_number(&conn->out, "nodesAnswered", replies);
        json_line_flag(&conn->out, "dhtReached", status->bootstrapped && status->nodes > 0);
        json_line_flag(&conn->out, "timeUp", timed_out);
        json_line_end(&conn->out);
        scan_free(scan);
        control_flush(conn, true);
}

static void found(struct scan *scan, const struct ipc_swarm_found *peer)
{
        struct control_conn *conn = scan->job.conn;

        scan->found++;
        json_line_begin(&conn->out, "peer");
        json_line_hex(&conn->out, "key", peer->key, sizeof(peer->key));
        json_line_open_list(&conn->out, "relays");
        for (size_t i = 0; i < MIN(peer->relay_count, (uint32_t)IPC_RELAYS_MAX); i++)
                json_line_address(&conn->out, NULL, peer->relay[i].ip, peer->relay[i].port);
        json_line_close_list(&conn->out);
        json_line_end(&conn->out);
        control_flush(conn, false);
}

static void look_again(struct scan *scan)
{
        ev_timer_set(&scan->again, FIRST_PAUSE_MS / 1e3, 0);
        ev_timer_start(supervisor_of(scan)->loop, &scan->again);
}

/* A worker that is not there yet, or that nobody in the network has answered, is asked once more. */
static void on_answer(void *context, const struct ipc_received *message)
{
        struct scan *scan = context;
        const struct ipc_swarm_answered *answered;

        if (message && message->type == IPC_SWARM_FOUND) {
                found(scan, IPC_PAYLOAD(message, struct ipc_swarm_found));
                return;
        }
        if (message && message->type != IPC_SWARM_ANSWERED)
                return;
        scan->question = NULL;
        answered = message ? IPC_PAYLOAD(message, struct ipc_swarm_answered) : NULL;
        if (answered && !answered->busy && answered->replies > 0)
                end(scan, answered->replies, false);
        else
                look_again(scan);
}

static void ask(struct scan *scan)
{
        struct supervisor *supervisor = supervisor_of(scan);

        if (supervisor_swarm_answers(supervisor))
                scan->question = questions_ask(&supervisor->questions, supervisor->cores.list[0].child, &scan->ask, on_answer, scan);
        if (!scan->question)
                look_again(scan);
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
        ask(timer->data);
}

static void on_limit(struct ev_loop *loop, ev_timer *timer, int events)
{
        end(timer->data, 0, true);
}

/* False: not 64 hexadecimal characters and a number of seconds. */
static bool parse(const char *words, uint8_t key[IPC_KEY_BYTES], double *seconds_out)
{
        const char *after;
        char *rest;
        size_t len;
        unsigned long seconds;

        if (sodium_hex2bin(key, IPC_KEY_BYTES, words, 2 * IPC_KEY_BYTES, NULL, &len, &after) < 0 || len != IPC_KEY_BYTES ||
            after != words + 2 * IPC_KEY_BYTES || *after != ' ' || after[1] < '1' || after[1] > '9')
                return false;
        seconds = strtoul(after + 1, &rest, 10);
        *seconds_out = (double)seconds;
        return *rest == '\0' && seconds <= SCAN_S_MAX;
}

void control_scan(struct control_conn *conn, const char *words)
{
        struct scan *scan = calloc(1, sizeof(*scan));
        double seconds;

        if (!scan || strlen(words) < (size_t)2 * IPC_KEY_BYTES || !parse(words, scan->ask.key, &seconds)) {
                control_refuse(conn, scan ? "scan: which key, and for how many seconds (1 to 300)?" : "no memory");
                free(scan);
                return;
        }
        scan->job = (struct control_job){ .conn = conn, .cancel = cancel };
        scan->ask.what = IPC_ASK_SCAN;
        conn->job = &scan->job;
        ev_timer_stop(conn->control->supervisor->loop, &conn->patience);
        ev_timer_init(&scan->limit, on_limit, seconds, 0);
        ev_init(&scan->again, on_again);
        scan->limit.data = scan->again.data = scan;
        ev_timer_start(conn->control->supervisor->loop, &scan->limit);
        ask(scan);
}
