/* SPDX-License-Identifier: BSD-3-Clause */
#include "hear.h"

#include <string.h>

#include "allowances.h"
#include "detach.h"
#include "dial.h"
#include "ipc_admin.h"
#include "ipc_forward.h"
#include "ipc_hosts.h"
#include "ipc_resolve.h"
#include "ipc_router.h"
#include "ipc_swarm.h"
#include "publish.h"

static void on_gate(struct supervisor *supervisor, const struct ipc_received *message)
{
        const struct ipc_gate *gate = IPC_PAYLOAD(message, struct ipc_gate);

        if (message->type == IPC_GATE_OPEN)
                gates_open(&supervisor->gates, gate->gate_port, gate->protocol);
        else
                gates_close(&supervisor->gates, gate->gate_port, gate->protocol);
        supervisor->gates_changed = true;
        status_touch(&supervisor->status);
}

/* A disk that is full is told of when it becomes so, and when it no longer is. */
static void on_known(struct supervisor *supervisor, struct child *child, const struct ipc_swarm_known *nodes)
{
        const struct conf *conf = supervisor->conf;
        const struct known *known = &supervisor->known;

        if (child != supervisor->cores.list[0].child)
                return;                 /* what one knows is enough for all */
        if (!known_take(&supervisor->known, nodes)) {
                child_kill(child, "knows nodes that can't be");
                return;
        }
        if (known->news && known->error)
                log_event(supervisor->log, IPC_EVENT_STATE_UNWRITTEN, LOG_WARNING, NULL, "%s/%s.nodes: %s: what was stored before stays; "
                          "trying again within minutes", conf->state_directory, conf->name, strerror(known->error));
        else if (known->news)
                log_notice(supervisor->log, "%s/%s.nodes: stored again", conf->state_directory, conf->name);
}

static void on_want(struct supervisor *supervisor, struct child *child, const struct ipc_swarm_want *want)
{
        struct core *core = cores_find(&supervisor->cores, child);

        if (core && !swarm_sockets_grant(&core->sockets, child, want))
                child_kill(child, "wants more sockets than anybody may");
}

void hear(struct supervisor *supervisor, struct child *child, struct ipc_received *message)
{
        switch (message->type) {
        case IPC_SWARM_STATUS:
                status_swarm(&supervisor->status, child->id, IPC_PAYLOAD(message, struct ipc_swarm_status));
                break;
        case IPC_FORWARD_STATUS:
                status_forward(&supervisor->status, IPC_PAYLOAD(message, struct ipc_forward_status));
                break;
        case IPC_ROUTER_STATUS:
                status_router(&supervisor->status, IPC_PAYLOAD(message, struct ipc_router_status));
                break;
        case IPC_SERVICE_HEALTH:
                if (services_hear(&supervisor->services, forward_of(child), IPC_PAYLOAD(message, struct ipc_service_health)))
                        publish_health(supervisor, IPC_PAYLOAD(message, struct ipc_service_health));
                break;
        case IPC_SERVICE_FAILS:
                services_doubt(&supervisor->services, forward_of(child), IPC_PAYLOAD(message, struct ipc_service_fails));
                break;
        case IPC_ADMIN_ALLOW:
                allowances_hear(supervisor, child, IPC_PAYLOAD(message, struct ipc_admin_allow));
                break;
        case IPC_SERVICE_DIAL:
                dial(&supervisor->services, child, IPC_PAYLOAD(message, struct ipc_service_dial));
                break;
        case IPC_SESSION_DETACH:
                detach(&supervisor->gates, child, IPC_PAYLOAD(message, struct ipc_session_detach));
                break;
        case IPC_SWARM_WANT:
                on_want(supervisor, child, IPC_PAYLOAD(message, struct ipc_swarm_want));
                break;
        case IPC_SWARM_KNOWN:
                on_known(supervisor, child, IPC_PAYLOAD(message, struct ipc_swarm_known));
                break;
        case IPC_SWARM_FOUND:
        case IPC_SWARM_PONG:
        case IPC_SWARM_SELF:
        case IPC_SWARM_PEER:
        case IPC_SWARM_CHANNEL:
        case IPC_SWARM_ANSWERED:
        case IPC_ROUTER_ROUTE:
        case IPC_ROUTER_ANSWERED:
                questions_hear(&supervisor->questions, child, message);
                break;
        case IPC_LINK_LOST:
                lost_links_take(&supervisor->lost, child, IPC_PAYLOAD(message, struct ipc_link_lost));
                break;
        case IPC_GATE_OPEN:
        case IPC_GATE_CLOSE:
                on_gate(supervisor, message);
                break;
        case IPC_HOST_OPEN:
                hosts_open(&supervisor->hosts, IPC_PAYLOAD(message, struct ipc_host_port));
                break;
        case IPC_HOST_CLOSE:
                hosts_close(&supervisor->hosts, IPC_PAYLOAD(message, struct ipc_host_port));
                break;
        case IPC_HOSTS_BOUND:
                if (!hosts_bound(&supervisor->hosts, IPC_PAYLOAD(message, struct ipc_hosts_bound), ipc_received_take_fd(message, 0)))
                        child_kill(child, "has bound what can't be");
                break;
        case IPC_HOSTS_GONE:
                if (!hosts_gone(&supervisor->hosts, IPC_PAYLOAD(message, struct ipc_host_port)))
                        child_kill(child, "names a host that can't be");
                break;
        case IPC_DOCKER_WANT:
        case IPC_DOCKER_BEGIN:
        case IPC_DOCKER_SERVICE:
        case IPC_DOCKER_END:
                if (!docker_hear(&supervisor->docker, child, message))
                        child_kill(child, "says of an engine what can't be");
                break;
        case IPC_RESOLVE_ANSWER:
                names_answer(&supervisor->names, IPC_PAYLOAD(message, struct ipc_resolve_answer));
                break;
        default:
                child_kill(child, "says what nobody asked it for");
                break;
        }
}
