/* SPDX-License-Identifier: BSD-3-Clause */
/* "doctor": what this machine's network is like. A line "bootstrap" for each address of a bootstrap node: whether it answers, and how it
 * sees us; then, once enough nodes have told how they see us or the time is up, "self" and the end. */
#include <stdlib.h>
#include <string.h>

#include "control_conn.h"
#include "ipc_words.h"
#include "monotonic.h"
#include "supervisor.h"

enum {
        SEEDS_MAX = 8,                  /* bootstrap nodes that are asked */
        LOOK_MS = 250,
        ENOUGH_SIGHTINGS = 4,           /* of how many nodes see us: then the class of the NAT is no luck */
        LIMIT_S = 15,
};

struct doctor;

struct pinged {
        struct doctor *doctor;
        struct question *question;      /* NULL: answered */
        struct seed_address address;
        bool told;
};

struct doctor {
        struct control_job job;
        ev_timer look;                  /* at ourselves, again and again */
        usec_t until_us;
        struct question *self;
        struct pinged pinged[SEEDS_MAX];
        size_t count, waiting, answering;
        bool begun;
};

static struct supervisor *supervisor_of(const struct doctor *doctor)
{
        return doctor->job.conn->control->supervisor;
}

static void doctor_free(struct doctor *doctor)
{
        ev_timer_stop(supervisor_of(doctor)->loop, &doctor->look);
        if (doctor->self)
                question_cancel(doctor->self);
        for (size_t i = 0; i < doctor->count; i++)
                if (doctor->pinged[i].question)
                        question_cancel(doctor->pinged[i].question);
        free(doctor);
}

static void cancel(struct control_job *job)
{
        doctor_free(container_of(job, struct doctor, job));
}

/* --- Bootstrap nodes --- */

static void tell_pinged(struct pinged *pinged, const struct ipc_swarm_pong *pong)
{
        struct control_conn *conn = pinged->doctor->job.conn;

        pinged->told = true;
        pinged->doctor->answering += pong != NULL;
        json_line_begin(&conn->out, "bootstrap");
        json_line_address(&conn->out, "address", pinged->address.ip, pinged->address.port);
        json_line_flag(&conn->out, "answers", pong);
        if (pong) {
                json_line_decimal(&conn->out, "tookMs", (double)pong->took_us / 1e3);
                json_line_number(&conn->out, "sends", pong->sends);
                json_line_address(&conn->out, "seesUsAt", pong->seen.ip, pong->seen.port);
        }
        json_line_end(&conn->out);
        control_flush(conn, false);
}

static void on_pinged(void *context, const struct ipc_received *message)
{
        struct pinged *pinged = context;

        if (message && message->type == IPC_SWARM_PONG && !pinged->told)
                tell_pinged(pinged, IPC_PAYLOAD(message, struct ipc_swarm_pong));
        if (message && message->type != IPC_SWARM_ANSWERED)
                return;
        if (!pinged->told)
                tell_pinged(pinged, NULL);
        pinged->question = NULL;
        pinged->doctor->waiting--;
}

static void ping_all(struct doctor *doctor)
{
        struct supervisor *supervisor = supervisor_of(doctor);
        struct seed_address seeds[SEEDS_MAX];

        doctor->begun = true;
        doctor->count = seeds_addresses(&supervisor->seeds, seeds, SEEDS_MAX);
        for (size_t i = 0; i < doctor->count; i++) {
                struct pinged *pinged = &doctor->pinged[i];
                struct ipc_swarm_ask ask = { .what = IPC_ASK_PING, .node.port = seeds[i].port };

                memcpy(ask.node.ip, seeds[i].ip, sizeof(ask.node.ip));
                *pinged = (struct pinged){ .doctor = doctor, .address = seeds[i] };
                pinged->question = questions_ask(&supervisor->questions, supervisor->swarm, &ask, on_pinged, pinged);
                doctor->waiting += pinged->question != NULL;
        }
}

/* --- Ourselves --- */

static void write_sockets(struct json_line *out, const struct supervisor *supervisor)
{
        const struct udp_made *made[] = { &supervisor->sockets.server, &supervisor->sockets.client };
        static const char *const names[] = { "server", "client" };

        json_line_open_list(out, "sockets");
        for (size_t i = 0; i < ARRAY_LEN(made); i++) {
                json_line_open_object(out, NULL);
                json_line_text(out, "name", names[i]);
                json_line_number(out, "port", made[i]->port);
                json_line_number(out, "receiveBufferBytes", made[i]->receive_bytes);
                json_line_number(out, "receiveBufferWantedBytes", SOCKETS_UDP_BYTES);
                json_line_flag(out, "segmentationOffload", made[i]->gso);
                json_line_close_object(out);
        }
        json_line_close_list(out);
}

static void write_sightings(struct json_line *out, const struct ipc_swarm_self *self)
{
        json_line_open_list(out, "seenBy");
        for (size_t i = 0; i < MIN(self->sighting_count, (uint32_t)IPC_SIGHTINGS_MAX); i++) {
                json_line_open_object(out, NULL);
                json_line_address(out, "node", self->witness[i].ip, self->witness[i].port);
                json_line_address(out, "seesUsAt", self->sighting[i].ip, self->sighting[i].port);
                json_line_close_object(out);
        }
        json_line_close_list(out);
}

static void write_relays(struct json_line *out, const char *key, const struct ipc_swarm_self *self, size_t role)
{
        json_line_open_list(out, key);
        for (size_t i = 0; i < MIN(self->relay_count[role], (uint32_t)IPC_OWN_RELAYS_MAX); i++)
                json_line_address(out, NULL, self->relay[role][i].ip, self->relay[role][i].port);
        json_line_close_list(out);
}

static void write_self(struct doctor *doctor, const struct ipc_swarm_self *self)
{
        const struct supervisor *supervisor = supervisor_of(doctor);
        const struct ipc_swarm_status *status = &supervisor->status.last;
        struct json_line *out = &doctor->job.conn->out;
        static const uint8_t nobody[4];

        json_line_begin(out, "self");
        json_line_flag(out, "dhtReached", status->bootstrapped && status->nodes > 0);
        json_line_number(out, "dhtNodes", status->nodes);
        json_line_text(out, "nat", ipc_nat_word(self->nat));
        if (memcmp(self->seen.ip, nobody, sizeof(nobody)) != 0)
                json_line_address(out, "publicAddress", self->seen.ip, self->seen.port);
        else
                json_line_null(out, "publicAddress");
        write_sightings(out, self);
        write_sockets(out, supervisor);
        write_relays(out, "gatewayRelays", self, 0);
        write_relays(out, "providerRelays", self, 1);
        json_line_open_list(out, "localAddresses");
        for (size_t i = 0; i < supervisor->interfaces.count; i++)
                json_line_address(out, NULL, supervisor->interfaces.ip[i], supervisor->sockets.server.port);
        json_line_close_list(out);
        json_line_end(out);
}

static void end(struct doctor *doctor)
{
        struct control_conn *conn = doctor->job.conn;

        json_line_begin(&conn->out, "end");
        json_line_flag(&conn->out, "timeUp", monotonic_us() >= doctor->until_us);
        json_line_end(&conn->out);
        doctor_free(doctor);
        control_flush(conn, true);
}

/* Where nobody has answered, nobody will. */
static bool is_enough(const struct doctor *doctor, const struct ipc_swarm_self *self)
{
        bool judged = self->nat == IPC_NAT_OPEN || (self->nat != IPC_NAT_UNKNOWN && self->sighting_count >= ENOUGH_SIGHTINGS);
        bool alone = doctor->count > 0 && doctor->answering == 0 && supervisor_of(doctor)->status.last.nodes == 0;

        return monotonic_us() >= doctor->until_us || (doctor->waiting == 0 && (judged || alone));
}

static void look_again(struct doctor *doctor)
{
        ev_timer_set(&doctor->look, LOOK_MS / 1e3, 0);
        ev_timer_start(supervisor_of(doctor)->loop, &doctor->look);
}

static void on_self(void *context, const struct ipc_received *message)
{
        struct doctor *doctor = context;

        if (message && message->type == IPC_SWARM_SELF && is_enough(doctor, IPC_PAYLOAD(message, struct ipc_swarm_self))) {
                write_self(doctor, IPC_PAYLOAD(message, struct ipc_swarm_self));
                end(doctor);
        } else if (!message || message->type == IPC_SWARM_ANSWERED) {
                doctor->self = NULL;
                look_again(doctor);
        }
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct doctor *doctor = timer->data;
        struct supervisor *supervisor = supervisor_of(doctor);
        struct ipc_swarm_ask ask = { .what = IPC_ASK_SELF };
        bool there = supervisor_swarm_answers(supervisor);

        if (there && !doctor->begun)
                ping_all(doctor);
        if (there)
                doctor->self = questions_ask(&supervisor->questions, supervisor->swarm, &ask, on_self, doctor);
        if (doctor->self)
                return;
        if (monotonic_us() >= doctor->until_us)
                end(doctor);
        else
                look_again(doctor);
}

void control_doctor(struct control_conn *conn, const char *words)
{
        struct doctor *doctor = calloc(1, sizeof(*doctor));

        if (!doctor) {
                control_refuse(conn, "no memory");
                return;
        }
        doctor->job = (struct control_job){ .conn = conn, .cancel = cancel };
        doctor->until_us = monotonic_us() + SECONDS(LIMIT_S);
        conn->job = &doctor->job;
        ev_init(&doctor->look, on_look);
        doctor->look.data = doctor;
        on_look(conn->control->supervisor->loop, &doctor->look, 0);
}
