/* SPDX-License-Identifier: BSD-3-Clause */
/* "drain" and "undrain"; "add SERVICES", a list of them as JSON in one line, and "remove PORT" or "remove PORT/PROTOCOL": what goes over the
 * configuration until the instance ends. Answered by a line "change". */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control_waiting.h"
#include "ipc_blob.h"
#include "ipc_fd.h"
#include "supervisor.h"

static const char no_memory[] = "no memory: all stays as it is";

/* What is said once it is so. */
struct change {
        enum ipc_event event;
        const char *text;
};

static void say(const struct supervisor *supervisor, const struct change *change, const struct conf_difference *difference)
{
        if (change->event == IPC_EVENT_SERVICES_CHANGED)
                log_event(supervisor->log, change->event, LOG_NOTICE, NULL, "%s by hand: %zu services more, %zu gone", change->text,
                          difference->added, difference->removed);
        else
                log_event(supervisor->log, change->event, LOG_NOTICE, NULL, "%s", change->text);
}

/* @overrides is used up. */
static void take(struct control_conn *conn, struct control_waiting *waiting, struct overrides *overrides, const struct change *change)
{
        struct supervisor *supervisor = conn->control->supervisor;
        bool drained = supervisor->reload.overrides.drained != overrides->drained;
        struct conf_difference difference = { 0 };
        int r = reload_override(&supervisor->reload, overrides, &difference);

        if (r < 0) {
                overrides_fini(overrides);
                control_waiting_failed(waiting, no_memory);
                return;
        }
        if (difference.parts || drained)
                say(supervisor, change, &difference);
        control_waiting_taken(waiting, &difference);
}

/* What there is, to be changed. NULL: @conn was refused. */
static struct control_waiting *begin(struct control_conn *conn, struct overrides *overrides)
{
        struct control_waiting *waiting = control_waiting_new(conn, "change");

        if (!waiting || overrides_copy(overrides, &conn->control->supervisor->reload.overrides) == 0)
                return waiting;
        control_waiting_failed(waiting, no_memory);
        return NULL;
}

static void drain(struct control_conn *conn, bool drained, const struct change *change)
{
        struct overrides overrides;
        struct control_waiting *waiting = begin(conn, &overrides);

        if (!waiting)
                return;
        overrides.drained = drained;
        take(conn, waiting, &overrides, change);
}

void control_drain(struct control_conn *conn, const char *words)
{
        drain(conn, true, &(struct change){ IPC_EVENT_DRAINED, "drained: takes no new clients; those that are connected go on" });
}

void control_undrain(struct control_conn *conn, const char *words)
{
        drain(conn, false, &(struct change){ IPC_EVENT_UNDRAINED, "takes clients again" });
}

static bool is_provider(struct control_conn *conn)
{
        if (conn->control->supervisor->conf->provider.present)
                return true;
        control_refuse(conn, "it is no provider: that takes provider: in its configuration, and a restart");
        return false;
}

/* As strictly as a configuration with them. NULL: they are wrong, or there was no memory for it: then there are no complaints. */
static struct conf *read_services(const char *list, struct conf_complaints *complaints)
{
        struct conf_source source = CONF_SOURCE_INIT;
        char text[CONTROL_LINE_MAX + 64];
        int len = snprintf(text, sizeof(text), "provider: {services: %s}\n", list);
        cleanup_fd int fd = ipc_blob_new(text, (size_t)len);
        struct conf *conf = NULL;

        *complaints = (struct conf_complaints){ 0 };
        source.path = "services";
        source.fd = fd;
        source.without_secret = true;
        if (fd >= 0)
                conf_load(&source, &conf, complaints);
        return conf;
}

static bool is_too_much(const struct reload *reload, const struct conf *services)
{
        return reload_conf(reload)->provider.service_count + reload->overrides.added_count + services->provider.service_count > CONF_SERVICES_MAX;
}

static void add(struct control_conn *conn, struct control_waiting *waiting, const struct conf *services)
{
        struct reload *reload = &conn->control->supervisor->reload;
        struct overrides overrides;

        if (is_too_much(reload, services)) {
                control_waiting_failed(waiting, "more services than one instance can have: all stays as it is");
        } else if (overrides_copy(&overrides, &reload->overrides) < 0) {
                control_waiting_failed(waiting, no_memory);
        } else if (overrides_add(&overrides, &services->provider) < 0) {
                overrides_fini(&overrides);
                control_waiting_failed(waiting, no_memory);
        } else {
                take(conn, waiting, &overrides, &(struct change){ IPC_EVENT_SERVICES_CHANGED, "added" });
        }
}

static void refuse_services(struct control_waiting *waiting, struct conf_complaints *complaints)
{
        control_waiting_complaints(waiting, complaints);
        control_waiting_refused(waiting);
}

void control_add(struct control_conn *conn, const char *words)
{
        struct control_waiting *waiting = is_provider(conn) ? control_waiting_new(conn, "change") : NULL;
        struct conf_complaints complaints;
        struct conf *services;

        if (!waiting)
                return;
        services = read_services(words, &complaints);
        if (services)
                add(conn, waiting, services);
        else if (complaints.count == 0)
                control_waiting_failed(waiting, no_memory);
        else
                refuse_services(waiting, &complaints);
        conf_complaints_fini(&complaints);
        conf_free(services);
}

/* "8000", or "8000/udp". False: it is neither. @protocols_out: or of 1 << enum conf_protocol. */
static bool read_gate(const char *words, uint16_t *port_out, unsigned *protocols_out)
{
        size_t digits = strspn(words, "0123456789");
        unsigned long port = strtoul(words, NULL, 10);
        const char *protocol = words + digits;

        if (digits == 0 || digits > 5 || port == 0 || port > UINT16_MAX)
                return false;
        *port_out = (uint16_t)port;
        *protocols_out = !*protocol                      ? 1U << CONF_TCP | 1U << CONF_UDP :
                         strcmp(protocol, "/tcp") == 0   ? 1U << CONF_TCP :
                         strcmp(protocol, "/udp") == 0   ? 1U << CONF_UDP : 0;
        return *protocols_out != 0;
}

/* How many gates there were, or -ENOMEM. */
static int remove_gates(struct overrides *overrides, const struct conf_provider *conf, uint16_t port, unsigned protocols)
{
        int found = 0, r = 0;

        for (unsigned protocol = CONF_TCP; protocol <= CONF_UDP && r >= 0; protocol++)
                if (protocols & 1U << protocol) {
                        r = overrides_remove(overrides, conf, port, (enum conf_protocol)protocol);
                        found += r;
                }
        return r < 0 ? r : found;
}

void control_remove(struct control_conn *conn, const char *words)
{
        const struct conf *conf = reload_conf(&conn->control->supervisor->reload);
        struct control_waiting *waiting;
        struct overrides overrides;
        unsigned protocols;
        uint16_t port;
        int found;

        if (!read_gate(words, &port, &protocols)) {
                control_refuse(conn, "remove: a gate port, 1 to 65535, such as 8000 or 8000/udp");
                return;
        }
        waiting = is_provider(conn) ? begin(conn, &overrides) : NULL;
        if (!waiting)
                return;
        found = remove_gates(&overrides, &conf->provider, port, protocols);
        if (found > 0) {
                take(conn, waiting, &overrides, &(struct change){ IPC_EVENT_SERVICES_CHANGED, "removed" });
        } else {
                overrides_fini(&overrides);
                control_waiting_failed(waiting, found < 0 ? no_memory : "nothing is offered behind that gate port");
        }
}
