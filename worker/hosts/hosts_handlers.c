/* SPDX-License-Identifier: BSD-3-Clause */
/* What the supervisor says to the hosts worker. */
#include <string.h>

#include "host_name.h"
#include "hosts_process.h"
#include "ipc_hosts.h"

void hosts_init(struct hosts *hosts)
{
        hosts_helpers_init(&hosts->helpers, &hosts->worker);
}

void hosts_fini(struct hosts *hosts)
{
        hosts_helpers_fini(&hosts->helpers);
}

static void on_begin(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct hosts *hosts = context;

        hosts->conf_open = true;
        hosts_ports_begin(&hosts->helpers);
}

static void on_listener(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct hosts *hosts = context;

        if (!hosts->conf_open)
                worker_disown(from);
        else
                hosts_helpers_listen(&hosts->helpers, ipc_received_take_fd(message, 0));
}

static bool is_good(const struct ipc_hosts_port *port)
{
        return memchr(port->at.host, '\0', sizeof(port->at.host)) && host_name_is_given(port->at.host) && port->at.port &&
               port->at.protocol <= IPC_UDP && port->number && port->wanted <= 1;
}

static void on_port(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_hosts_port *port = IPC_PAYLOAD(message, struct ipc_hosts_port);
        struct hosts *hosts = context;

        if (!is_good(port))
                worker_disown(from);
        else if (!hosts_ports_set(&hosts->helpers, port))
                worker_log(&hosts->worker, LOG_ERR, "%s:%u is left out: there are too many, or no memory", port->at.host, port->at.port);
}

static void on_end(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct hosts *hosts = context;

        if (!hosts->conf_open) {
                worker_disown(from);
                return;
        }
        hosts->conf_open = false;
        hosts_ports_end(&hosts->helpers);
}

const struct worker_handlers hosts_handlers = {
        .message = {
                [IPC_CONF_BEGIN] = on_begin,
                [IPC_HOSTS_LISTENER] = on_listener,
                [IPC_HOSTS_PORT] = on_port,
                [IPC_CONF_END] = on_end,
        },
};
