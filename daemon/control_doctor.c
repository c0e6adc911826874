/* SPDX-License-Identifier: BSD-3-Clause */
/* "doctor": what this machine's network is like. A line "bootstrap" for each address of a bootstrap node: whether it answers, and how it
 * sees us, each of our two sockets, the one that peers reach once no more will be known of our NAT; then "self" and the end. Where the NAT
 * keeps a socket at one address, that one asks itself there, once: does the router lead back in (hairpinning, RFC 4787 REQ-9; the question
 * is that of RFC 5780 4.4). */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "control_conn.h"
#include "ipc_fd.h"
#include "ipc_question.h"
#include "ipc_swarm.h"
#include "ipc_words.h"
#include "monotonic.h"
#include "supervisor.h"

enum {
        SEEDS_MAX = 8,                  /* bootstrap nodes that are asked */
        LOOK_MS = 250,
        LIMIT_S = 15,
        LOOP_S = 2,                     /* there and back is our own network: a few sends of a PING */
};

struct doctor;

enum by { BY_CLIENT, BY_SERVER, SOCKETS };      /* the socket that requests leave by, the one that peers reach */

struct ping {
        struct pinged *pinged;
        struct question *question;      /* NULL: over */
        bool answered;
        struct ipc_swarm_pong pong;
};

struct pinged {
        struct doctor *doctor;
        struct seed_address address;
        struct ping by[SOCKETS];
        bool told;
};

struct doctor {
        struct control_job job;
        ev_timer look;                  /* at ourselves, again and again */
        usec_t until_us;
        struct question *self;
        struct pinged pinged[SEEDS_MAX];
        size_t count, waiting;
        bool begun, by_server;          /* that they were asked, by the one socket and by both */
        struct {
                struct question *question;      /* NULL: not asked yet, or over */
                usec_t until_us;                /* 0: not asked */
                bool back;                      /* we heard ourselves */
        } loop;
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
        if (doctor->loop.question)
                question_cancel(doctor->loop.question);
        for (size_t i = 0; i < doctor->count; i++)
                for (size_t by = 0; by < SOCKETS; by++)
                        if (doctor->pinged[i].by[by].question)
                                question_cancel(doctor->pinged[i].by[by].question);
        free(doctor);
}

static void cancel(struct control_job *job)
{
        doctor_free(container_of(job, struct doctor, job));
}

/* --- Bootstrap nodes --- */

/* The largest packet that leaves whole for there, as far as the kernel knows; 0: there is no way. */
static uint32_t path_mtu(const struct seed_address *address)
{
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(address->port) };
        cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        int mtu = 0;
        socklen_t len = sizeof(mtu);

        memcpy(&to.sin_addr, address->ip, sizeof(address->ip));
        if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0 ||
            getsockopt(fd, IPPROTO_IP, IP_MTU, &mtu, &len) < 0)
                return 0;
        return (uint32_t)mtu;
}

static void write_seen(struct json_line *out, const char *key, const struct ping *ping)
{
        if (ping->answered)
                json_line_address(out, key, ping->pong.seen.ip, ping->pong.seen.port);
        else
                json_line_null(out, key);
}

static void tell_pinged(struct pinged *pinged)
{
        struct control_conn *conn = pinged->doctor->job.conn;
        const struct ping *client = &pinged->by[BY_CLIENT], *server = &pinged->by[BY_SERVER], *first = client->answered ? client : server;
        uint32_t mtu = path_mtu(&pinged->address);

        pinged->told = true;
        json_line_begin(&conn->out, "bootstrap");
        json_line_address(&conn->out, "address", pinged->address.ip, pinged->address.port);
        json_line_flag(&conn->out, "answers", first->answered);
        if (first->answered) {
                json_line_decimal(&conn->out, "tookMs", (double)first->pong.took_us / 1e3);
                json_line_number(&conn->out, "sends", first->pong.sends);
                write_seen(&conn->out, "seesUsAt", client);
                write_seen(&conn->out, "seesServerAt", server);
        }
        if (mtu)
                json_line_number(&conn->out, "pathMtuBytes", mtu);
        else
                json_line_null(&conn->out, "pathMtuBytes");
        json_line_end(&conn->out);
        control_flush(conn, false);
}

static void on_pinged(void *context, const struct ipc_received *message)
{
        struct ping *ping = context;
        struct pinged *pinged = ping->pinged;

        if (message && message->type == IPC_SWARM_PONG) {
                ping->answered = true;
                ping->pong = *IPC_PAYLOAD(message, struct ipc_swarm_pong);
        }
        if (message && message->type != IPC_SWARM_ANSWERED)
                return;
        ping->question = NULL;
        pinged->doctor->waiting--;
        if (pinged->doctor->by_server && !pinged->by[BY_CLIENT].question && !pinged->by[BY_SERVER].question)
                tell_pinged(pinged);
}

static void ping(struct pinged *pinged, enum by by)
{
        struct supervisor *supervisor = supervisor_of(pinged->doctor);
        struct ipc_swarm_ask ask = { .what = IPC_ASK_PING, .node.port = pinged->address.port, .by_server = by == BY_SERVER };
        struct ping *one = &pinged->by[by];

        memcpy(ask.node.ip, pinged->address.ip, sizeof(ask.node.ip));
        one->pinged = pinged;
        one->question = questions_ask(&supervisor->questions, supervisor->cores.list[0].child, &ask, on_pinged, one);
        pinged->doctor->waiting += one->question != NULL;
}

static void ping_all(struct doctor *doctor)
{
        struct seed_address seeds[SEEDS_MAX];

        doctor->begun = true;
        doctor->count = seeds_addresses(&supervisor_of(doctor)->seeds, seeds, SEEDS_MAX);
        for (size_t i = 0; i < doctor->count; i++) {
                doctor->pinged[i] = (struct pinged){ .doctor = doctor, .address = seeds[i] };
                ping(&doctor->pinged[i], BY_CLIENT);
        }
}

static void ping_all_by_server(struct doctor *doctor)
{
        doctor->by_server = true;
        for (size_t i = 0; i < doctor->count; i++)
                ping(&doctor->pinged[i], BY_SERVER);
}

static void tell_the_rest(struct doctor *doctor)
{
        for (size_t i = 0; i < doctor->count; i++)
                if (!doctor->pinged[i].told)
                        tell_pinged(&doctor->pinged[i]);
}

static bool any_answers(const struct doctor *doctor)
{
        for (size_t i = 0; i < doctor->count; i++)
                if (doctor->pinged[i].by[BY_CLIENT].answered || doctor->pinged[i].by[BY_SERVER].answered)
                        return true;
        return false;
}

/* --- Whether the router leads back in --- */

static void on_looped(void *context, const struct ipc_received *message)
{
        struct doctor *doctor = context;

        if (message && message->type == IPC_SWARM_PONG)
                doctor->loop.back = true;
        if (!message || message->type == IPC_SWARM_ANSWERED)
                doctor->loop.question = NULL;
}

static bool is_ours(const struct interfaces *interfaces, const uint8_t ip[4])
{
        for (size_t i = 0; i < interfaces->count; i++)
                if (memcmp(interfaces->ip[i], ip, sizeof(interfaces->ip[i])) == 0)
                        return true;
        return false;
}

/* Where others see the socket that peers reach, at a router's address; NULL: nobody has said, or there is no such router. */
static const struct ipc_swarm_bootstrap *server_seen(const struct doctor *doctor)
{
        for (size_t i = 0; i < doctor->count; i++) {
                const struct ping *ping = &doctor->pinged[i].by[BY_SERVER];

                if (ping->answered)
                        return is_ours(&supervisor_of(doctor)->interfaces, ping->pong.seen.ip) ? NULL : &ping->pong.seen;
        }
        return NULL;
}

/* Whether there is more to hear. A router that is open, or that maps to another port for each remote, tells nothing so. */
static bool ask_loop(struct doctor *doctor, const struct ipc_swarm_self *self)
{
        struct supervisor *supervisor = supervisor_of(doctor);
        const struct ipc_swarm_bootstrap *seen = server_seen(doctor);
        struct ipc_swarm_ask ask = { .what = IPC_ASK_PING, .by_server = true };

        if (doctor->loop.until_us)
                return doctor->loop.question && monotonic_us() < doctor->loop.until_us;
        if (self->nat != IPC_NAT_CONSISTENT || !seen)
                return false;
        ask.node = *seen;
        doctor->loop.until_us = monotonic_us() + SECONDS(LOOP_S);
        doctor->loop.question = questions_ask(&supervisor->questions, supervisor->cores.list[0].child, &ask, on_looped, doctor);
        return doctor->loop.question != NULL;
}

/* --- Ourselves --- */

static void write_sockets(struct json_line *out, const struct supervisor *supervisor)
{
        const struct swarm_sockets *sockets = &supervisor->cores.list[0].sockets;
        const struct udp_made *made[] = { &sockets->server, &sockets->client };
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

static void write_self(struct doctor *doctor, const struct ipc_swarm_self *self)
{
        const struct supervisor *supervisor = supervisor_of(doctor);
        const struct ipc_swarm_status *status = &supervisor->status.last;
        struct json_line *out = &doctor->job.conn->out;
        static const uint8_t nobody[4];

        tell_the_rest(doctor);
        json_line_begin(out, "self");
        json_line_flag(out, "dhtReached", status->bootstrapped && status->nodes > 0);
        json_line_number(out, "dhtNodes", status->nodes);
        json_line_text(out, "nat", ipc_nat_word(self->settled ? self->nat : IPC_NAT_UNKNOWN));
        if (memcmp(self->seen.ip, nobody, sizeof(nobody)) != 0)
                json_line_address(out, "publicAddress", self->seen.ip, self->seen.port);
        else
                json_line_null(out, "publicAddress");
        if (self->nat == IPC_NAT_CONSISTENT && doctor->loop.until_us)
                json_line_flag(out, "loopsBack", doctor->loop.back);
        else
                json_line_null(out, "loopsBack");
        json_line_flag(out, "ipv4", interfaces_has_ipv4(&supervisor->interfaces));
        write_sightings(out, self);
        write_sockets(out, supervisor);
        json_line_open_list(out, "localAddresses");
        for (size_t i = 0; i < supervisor->interfaces.count; i++)
                json_line_address(out, NULL, supervisor->interfaces.ip[i], supervisor->cores.list[0].sockets.server.port);
        json_line_close_list(out);
        json_line_end(out);
}

static void end(struct doctor *doctor)
{
        struct control_conn *conn = doctor->job.conn;

        tell_the_rest(doctor);
        json_line_begin(&conn->out, "end");
        json_line_flag(&conn->out, "timeUp", monotonic_us() >= doctor->until_us);
        json_line_end(&conn->out);
        doctor_free(doctor);
        control_flush(conn, true);
}

/* Where nobody has answered, nobody will. */
static bool is_enough(struct doctor *doctor, const struct ipc_swarm_self *self)
{
        bool alone = doctor->count > 0 && !any_answers(doctor) && supervisor_of(doctor)->status.last.nodes == 0;

        if (monotonic_us() >= doctor->until_us)
                return true;
        if (self->settled && !doctor->by_server)
                ping_all_by_server(doctor);
        return doctor->waiting == 0 && (self->settled || alone) && !ask_loop(doctor, self);
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
                doctor->self = questions_ask(&supervisor->questions, supervisor->cores.list[0].child, &ask, on_self, doctor);
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
