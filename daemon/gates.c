/* SPDX-License-Identifier: BSD-3-Clause */
#include "gates.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "backoff.h"
#include "gate_socket.h"
#include "ipc_fd.h"
#include "monotonic.h"
#include "sockets.h"

static bool has_gate_port(const struct conf_filter *filter, uint16_t port)
{
        return filter->gate_port <= port && port <= filter->gate_port_last;
}

/* As far as it can be told of a gate: what else the filter says is the router worker's to judge. */
static bool matches(const struct conf_filter *filter, uint16_t port, uint16_t protocol)
{
        return (!(filter->fields & CONF_FILTER_GATE_PORT) || has_gate_port(filter, port)) &&
               (!(filter->fields & CONF_FILTER_PROTOCOL) || (uint16_t)filter->protocol == protocol);
}

bool gates_allowed(const struct conf_gateway *conf, uint16_t port, uint16_t protocol)
{
        static const unsigned of_gates = CONF_FILTER_GATE_PORT | CONF_FILTER_PROTOCOL;
        bool every = conf->filter_mode == CONF_FILTER_ORIGINAL;

        if (!conf->present || port == 0 || protocol > CONF_UDP)
                return false;
        for (size_t i = 0; i < conf->exception_count; i++)
                if (!(conf->exceptions[i].fields & ~of_gates) && matches(&conf->exceptions[i], port, protocol))
                        return false;
        for (size_t i = 0; i < conf->filter_count; i++)
                if (matches(&conf->filters[i], port, protocol) != every)
                        return !every;
        return every || conf->filter_count == 0;
}

bool gates_reopens(const struct conf_gateway *conf, uint16_t port, uint16_t protocol)
{
        bool named = port >= IPPORT_RESERVED;

        for (size_t i = 0; i < conf->filter_count; i++)
                named |= (conf->filters[i].fields & CONF_FILTER_GATE_PORT) && has_gate_port(&conf->filters[i], port);
        return named && gates_allowed(conf, port, protocol);
}

enum conf_policy gates_policy(const struct conf_gateway *conf, uint16_t port, uint16_t protocol)
{
        for (size_t i = 0; i < conf->filter_count; i++)
                if (conf->filters[i].policy >= 0 && matches(&conf->filters[i], port, protocol))
                        return (enum conf_policy)conf->filters[i].policy;
        return conf->policy;
}

static struct gate *find(const struct gates *gates, uint16_t port, uint16_t protocol)
{
        list_for_each(at, &gates->all) {
                struct gate *gate = list_entry(at, struct gate, in_all);

                if (gate->port == port && gate->protocol == protocol)
                        return gate;
        }
        return NULL;
}

/* Behind the port, in messages. */
static const char *suffix(const struct gate *gate)
{
        return gate->protocol == CONF_UDP ? "/udp" : "";
}

/* Gates come and go as peers like. */
static bool may_tell(struct gates *gates)
{
        unsigned dropped = 0;

        if (!log_limit_take(&gates->told, monotonic_us(), &dropped))
                return false;
        if (dropped)
                log_event(gates->log, IPC_EVENT_LINES_LEFT_OUT, LOG_NOTICE, NULL, "%u more lines about gates left out", dropped);
        return true;
}

void gates_look_at_addresses(const struct gates *gates)
{
        for (size_t i = 0; gates->conf->present && i < gates->conf->listen_count; i++) {
                cleanup_fd int fd = -1;
                int r = gates->conf->listen[i].path ? 0 : sockets_datagrams(gates->conf->listen[i].ip, 0, &fd);

                if (r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT)
                        log_event(gates->log, IPC_EVENT_ADDRESSES_MISSING, LOG_WARNING, NULL,
                                  "listen: %s: this machine has no such address now; gates open there once it has",
                                  gates->conf->listen[i].text);
        }
}

static void fill(struct ipc_fields *fields, const struct gate_listener *listener)
{
        ipc_fields_gate(fields, listener->gate->port, listener->gate->protocol);
        ipc_fields_text(fields, "LISTEN", listener->address->text);
}

static void tell_unavailable(const struct gate_listener *listener, int error, usec_t wait_us)
{
        const struct gate *gate = listener->gate;
        struct ipc_fields fields = IPC_FIELDS_INIT;
        const char *why = listener->address->path ? gate_socket_refusal(error) : sockets_refusal(error);

        fill(&fields, listener);
        ipc_fields_text(&fields, "REASON", why);
        log_event(gate->gates->log, IPC_EVENT_GATE_UNAVAILABLE, LOG_WARNING, fields.list,
                  "gate %u%s: can't listen on %s: %s; trying again in %.0f s, then at least every %d s", gate->port, suffix(gate),
                  listener->address->text, why, to_seconds(wait_us), GATE_RETRY_LONGEST_S);
}

static void tell_open(const struct gate_listener *listener)
{
        const struct gate *gate = listener->gate;
        struct ipc_fields fields = IPC_FIELDS_INIT;

        fill(&fields, listener);
        log_event(gate->gates->log, IPC_EVENT_GATE_OPEN, LOG_NOTICE, fields.list, "gate %u%s open on %s", gate->port, suffix(gate),
                  listener->address->text);
}

static void tell_closed(const struct gate *gate, const char *why)
{
        struct ipc_fields fields = IPC_FIELDS_INIT;

        ipc_fields_gate(&fields, gate->port, gate->protocol);
        ipc_fields_text(&fields, "REASON", why);
        log_event(gate->gates->log, IPC_EVENT_GATE_CLOSED, LOG_NOTICE, fields.list, "gate %u%s closed: %s", gate->port, suffix(gate), why);
}

static void try_again(struct gate_listener *listener, usec_t wait_us)
{
        struct gates *gates = listener->gate->gates;

        ev_timer_stop(gates->loop, &listener->retry);
        ev_timer_set(&listener->retry, to_seconds(wait_us), 0);
        ev_timer_start(gates->loop, &listener->retry);
}

/* Said once for each reason, not for each try. */
static void on_refused(struct gate_listener *listener, int error)
{
        struct gate *gate = listener->gate;
        usec_t wait_us;

        if (error == EADDRINUSE && gate->freed_us && monotonic_us() < gate->freed_us + MSEC(GATE_FREED_MS)) {
                try_again(listener, MSEC(GATE_FREED_RETRY_MS));
                return;
        }
        wait_us = backoff_us(++listener->failures, SECONDS(GATE_RETRY_FIRST_S), SECONDS(GATE_RETRY_LONGEST_S));
        if (listener->error != error && may_tell(gate->gates))
                tell_unavailable(listener, error, wait_us);
        listener->error = error;
        try_again(listener, wait_us);
}

static struct socket_place place_of(const struct gate_listener *listener)
{
        struct socket_place place = { .port = listener->gate->port, .datagrams = listener->gate->protocol == CONF_UDP };

        memcpy(place.ip, listener->address->ip, sizeof(place.ip));
        return place;
}

/* One that is there already. 0, -ENOENT: none, or -errno. */
static int take_passed(struct gate_listener *listener, const struct socket_place *place)
{
        bool lent = false;
        cleanup_fd int fd = passed_take_gate(listener->gate->gates->passed, place, &lent);
        int r = fd < 0 ? -ENOENT : place->datagrams ? sockets_datagrams_again(fd) : sockets_listener_again(fd);

        if (r < 0 && fd >= 0 && !lent)
                passed_forget_gate(listener->gate->gates->passed, place);
        if (r < 0)
                return r;
        listener->fd = take_fd(&fd);
        listener->hold = lent ? GATE_LENT : GATE_KEPT;
        return 0;
}

static int open_listener(struct gate_listener *listener)
{
        struct socket_place place = place_of(listener);
        int r;

        listener->hold = GATE_OURS;
        if (listener->address->path)
                return gate_socket_open(listener->address->path, place.port, listener->gate->gates->conf->socket_mode, &listener->fd);
        r = take_passed(listener, &place);
        if (r != -ENOENT)
                return r;
        r = place.datagrams ? sockets_datagrams(place.ip, place.port, &listener->fd)
                            : sockets_listener(place.ip, place.port, &listener->fd);
        if (r < 0)
                return r;
        listener->hold = passed_keep_gate(listener->gate->gates->passed, &place, listener->fd) ? GATE_KEPT : GATE_OURS;
        return 0;
}

static bool bind_listener(struct gate_listener *listener)
{
        struct gate *gate = listener->gate;
        int r = open_listener(listener);

        if (r < 0) {
                on_refused(listener, -r);
                return false;
        }
        if (may_tell(gate->gates))
                tell_open(listener);
        return true;
}

/* One that runs, or NULL. */
static struct forward *hold(struct gates *gates)
{
        struct forward *forward = forwards_hold(gates->forwards, IPC_DUTY_GATES);

        if (!forward || forwards_start(gates->forwards) == 0)
                return forward;
        forwards_release(gates->forwards, forward);
        return NULL;
}

/* It has a listener more: a forward worker must know. */
static void serve(struct gate *gate)
{
        struct gates *gates = gate->gates;

        if (!gate->forward) {
                gate->forward = hold(gates);
                if (!gate->forward) {
                        log_error(gates->log, "gate %u: no memory for a forward worker", gate->port);
                        return;
                }
                gates->moved(gates->context, gate);
        }
        gates->served(gates->context, gate);
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct gate_listener *listener = timer->data;

        if (bind_listener(listener))
                serve(listener->gate);
}

/* Those that a gate of that protocol listens at: NULL yields the first, the last yields NULL. Datagrams have no unix sockets. */
static const struct conf_address *next_address(const struct conf_gateway *conf, uint16_t protocol, const struct conf_address *after)
{
        for (size_t i = after ? (size_t)(after - conf->listen) + 1 : 0; i < conf->listen_count; i++)
                if (protocol == CONF_TCP || !conf->listen[i].path)
                        return &conf->listen[i];
        return NULL;
}

/* Not among the others yet. */
static struct gate *gate_make(struct gates *gates, uint16_t port, uint16_t protocol)
{
        const struct conf_address *address = NULL;
        struct gate *gate = calloc(1, sizeof(*gate) + gates->conf->listen_count * sizeof(gate->listeners[0]));

        if (!gate)
                return NULL;
        gate->gates = gates;
        gate->port = port;
        gate->protocol = protocol;
        while ((address = next_address(gates->conf, protocol, address))) {
                struct gate_listener *listener = &gate->listeners[gate->listener_count++];

                *listener = (struct gate_listener){ .gate = gate, .address = address, .fd = -1 };
                ev_init(&listener->retry, on_retry);
                listener->retry.data = listener;
        }
        return gate;
}

static struct gate *gate_new(struct gates *gates, uint16_t port, uint16_t protocol)
{
        struct gate *gate = gate_make(gates, port, protocol);

        if (!gate)
                return NULL;
        list_push_back(&gates->all, &gate->in_all);
        gates->count++;
        return gate;
}

/* For all who hold it, at once: a close would leave it open until the forward worker has heard. Of UDP that can't be done: clients are
 * not told anyway, and who takes its place waits until then. */
static void shut(struct gate_listener *listener)
{
        struct socket_place place = place_of(listener);

        if (listener->fd >= 0 && listener->hold != GATE_LENT && !place.datagrams)
                shutdown(listener->fd, SHUT_RDWR);
        if (listener->fd >= 0 && listener->address->path)
                gate_socket_remove(listener->address->path, place.port);
        if (listener->fd >= 0 && listener->hold == GATE_KEPT)
                passed_forget_gate(listener->gate->gates->passed, &place);
        close_fdp(&listener->fd);
}

static void gate_free(struct gate *gate)
{
        for (size_t i = 0; i < gate->listener_count; i++) {
                ev_timer_stop(gate->gates->loop, &gate->listeners[i].retry);
                shut(&gate->listeners[i]);
        }
        list_remove(&gate->in_all);
        gate->gates->count--;
        free(gate);
}

static void refuse(struct gates *gates, uint16_t port, uint16_t protocol, const char *why)
{
        struct ipc_fields fields = IPC_FIELDS_INIT;
        unsigned dropped;

        if (!log_limit_take(&gates->refusals, monotonic_us(), &dropped))
                return;
        ipc_fields_number(&fields, "GATE_PORT", port);
        ipc_fields_text(&fields, "REASON", why);
        log_event(gates->log, IPC_EVENT_GATE_REFUSED, LOG_WARNING, fields.list, "the router worker wants gate %u/%s open: refused, %s", port,
                  protocol == CONF_TCP ? "tcp" : protocol == CONF_UDP ? "udp" : "?", why);
}

void gates_open(struct gates *gates, uint16_t port, uint16_t protocol)
{
        struct gate *gate;
        bool bound = false;

        if (find(gates, port, protocol))
                return;
        if (!gates_allowed(gates->conf, port, protocol)) {
                refuse(gates, port, protocol, "the configuration does not allow it");
                return;
        }
        gate = gates->count < GATES_MAX ? gate_new(gates, port, protocol) : NULL;
        if (!gate) {
                refuse(gates, port, protocol, "too many are open");
                return;
        }
        for (size_t i = 0; i < gate->listener_count; i++)
                bound |= bind_listener(&gate->listeners[i]);
        if (bound)
                serve(gate);
}

static void close_gate(struct gate *gate, const char *why)
{
        struct gates *gates = gate->gates;
        struct forward *forward = gate->forward;

        for (size_t i = 0; i < gate->listener_count; i++)
                shut(&gate->listeners[i]);
        if (may_tell(gates))    /* now that it is so: who reads it may try at once */
                tell_closed(gate, why);
        gate->forward = NULL;
        gates->moved(gates->context, gate);
        gate_free(gate);
        if (forward && forwards_release(gates->forwards, forward))
                forward->child->unconfigured = true;
}

static bool is_lent(const struct gate *gate)
{
        for (size_t i = 0; i < gate->listener_count; i++)
                if (gate->listeners[i].fd >= 0 && gate->listeners[i].hold == GATE_LENT)
                        return true;
        return false;
}

void gates_close(struct gates *gates, uint16_t port, uint16_t protocol)
{
        struct gate *gate = find(gates, port, protocol);

        if (gate && !is_lent(gate))
                close_gate(gate, "nobody offers it any more");
}

static bool same_addresses(const struct gate *gate, const struct conf_gateway *conf)
{
        const struct conf_address *address = NULL;

        for (size_t i = 0; i < gate->listener_count; i++) {
                address = next_address(conf, gate->protocol, address);
                if (!address || !conf_address_same(gate->listeners[i].address, address))
                        return false;
        }
        return !next_address(conf, gate->protocol, address);
}

static bool is_bound(const struct gate *gate)
{
        for (size_t i = 0; i < gate->listener_count; i++)
                if (gate->listeners[i].fd >= 0)
                        return true;
        return false;
}

/* What is bound where @to shall listen, too, stays bound. */
static void move_listeners(struct gate *to, struct gate *from)
{
        for (size_t i = 0; i < to->listener_count; i++)
                for (size_t j = 0; j < from->listener_count; j++)
                        if (conf_address_same(to->listeners[i].address, from->listeners[j].address)) {
                                to->listeners[i].fd = take_fd(&from->listeners[j].fd);
                                to->listeners[i].hold = from->listeners[j].hold;
                        }
}

/* Another gate takes its place, with the same forward worker. What is gone is closed before what is new is opened: one may be in the
 * other's way. */
static void relisten(struct gate *gate)
{
        struct gates *gates = gate->gates;
        struct gate *next = gate_make(gates, gate->port, gate->protocol);

        if (!next) {
                close_gate(gate, "no memory for its addresses");
                return;
        }
        move_listeners(next, gate);
        next->forward = gate->forward;
        list_insert_before(&gate->in_all, &next->in_all);
        gates->count++;
        next->freed_us = is_bound(gate) ? monotonic_us() : 0;
        gate_free(gate);
        for (size_t i = 0; i < next->listener_count; i++)
                if (next->listeners[i].fd < 0)
                        bind_listener(&next->listeners[i]);
        if (next->forward || is_bound(next))
                serve(next);
}

/* They are the same, of another configuration. */
static void take_addresses(struct gate *gate, const struct conf_gateway *conf)
{
        const struct conf_address *address = NULL;

        for (size_t i = 0; i < gate->listener_count; i++)
                gate->listeners[i].address = address = next_address(conf, gate->protocol, address);
}

void gates_reload(struct gates *gates, const struct conf_gateway *conf)
{
        gates->conf = conf;
        list_for_each(at, &gates->all) {
                struct gate *gate = list_entry(at, struct gate, in_all);

                if (!gates_allowed(conf, gate->port, gate->protocol))
                        close_gate(gate, "the configuration does not allow it any more");
                else if (!same_addresses(gate, conf))
                        relisten(gate);
                else
                        take_addresses(gate, conf);
        }
        gates_open_lent(gates);
}

/* NULL, or why the configuration has no gate there. */
static const char *open_lent(void *context, const struct socket_place *place)
{
        struct gates *gates = context;
        uint16_t protocol = place->datagrams ? CONF_UDP : CONF_TCP;
        bool listens = false;

        if (!gates->conf->present)
                return "this instance is no gateway";
        for (size_t i = 0; i < gates->conf->listen_count; i++)
                listens |= !gates->conf->listen[i].path && memcmp(gates->conf->listen[i].ip, place->ip, sizeof(place->ip)) == 0;
        if (!listens)
                return "gateway.listen has another address";
        if (!gates_reopens(gates->conf, place->port, protocol))
                return place->port < IPPORT_RESERVED ? "gateway.services must name a gate below 1024, with its protocol if it has one"
                                                     : "gateway.services does not allow that gate";
        gates_open(gates, place->port, protocol);
        return NULL;
}

void gates_open_lent(struct gates *gates)
{
        passed_each_lent(gates->passed, open_lent, gates);
}

/* At all addresses of that family. */
static bool is_any(const uint8_t ip[16], const uint8_t of[16])
{
        static const uint8_t any_v6[16], any_v4[16] = { [10] = 0xff, [11] = 0xff };
        bool v4 = memcmp(of, any_v4, 12) == 0;

        return memcmp(ip, v4 ? any_v4 : any_v6, 16) == 0;
}

int gates_datagrams(const struct gates *gates, const struct forward *forward, uint16_t port, const uint8_t ip[16])
{
        const struct gate *gate = find(gates, port, CONF_UDP);
        int fd = -1;

        if (!gate || !forward || gate->forward != forward)
                return -1;
        for (size_t i = 0; i < gate->listener_count; i++) {
                const struct gate_listener *listener = &gate->listeners[i];

                if (memcmp(listener->address->ip, ip, 16) == 0)
                        return listener->fd;
                if (is_any(listener->address->ip, ip))
                        fd = listener->fd;
        }
        return fd;
}

unsigned gates_open_count(const struct gates *gates)
{
        unsigned count = 0;

        list_for_each(at, &gates->all)
                count += list_entry(at, struct gate, in_all)->forward != NULL;
        return count;
}

void gates_init(struct gates *gates, struct ev_loop *loop, const struct log *log, const struct conf_gateway *conf,
                struct forwards *forwards, struct passed *passed, void (*served)(void *context, const struct gate *gate),
                void (*moved)(void *context, const struct gate *gate), void *context)
{
        *gates = (struct gates){ .loop = loop, .log = log, .conf = conf, .forwards = forwards, .passed = passed, .served = served,
                                 .moved = moved, .context = context };
        list_init(&gates->all);
}

void gates_fini(struct gates *gates)
{
        list_for_each(at, &gates->all) {
                struct gate *gate = list_entry(at, struct gate, in_all);

                for (size_t i = 0; i < gate->listener_count; i++)
                        if (gate->listeners[i].hold != GATE_OURS)
                                close_fdp(&gate->listeners[i].fd);
                gate_free(gate);
        }
}
