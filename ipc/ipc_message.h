/* SPDX-License-Identifier: BSD-3-Clause */
/* Every word that processes of one instance say to each other. One row is one message: its number, its name in logs, who
 * may say it to whom, how large it is and how many file descriptors ride along all grow from here. The payloads of each two that talk to
 * each other have a header of their own; those of every worker's life are here.
 *
 * Configuration is a desired state: what stands between CONF_BEGIN and CONF_END is all there is; the receiver builds
 * aside and swaps at END. Rows marked (conf) belong there. */
#ifndef HG_IPC_MESSAGE_H
#define HG_IPC_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

enum ipc_role {
        IPC_SUPERVISOR,
        IPC_SWARM,
        IPC_ROUTER,
        IPC_FORWARD,
        IPC_RESOLVE,
        IPC_ADMIN,
        IPC_HOSTS,
        IPC_DOCKER,
        IPC_ROLES,
};

/* Admin workers by their ids: one for each place where somebody asks. */
enum ipc_admin {
        IPC_ADMIN_OF_RESOLVER = 1,
        IPC_ADMIN_OF_UNLIMITED = 2,
};

#define IPC_ROLE_BIT(role) (1u << (role))
#define IPC_WORKERS (IPC_ROLE_BIT(IPC_SWARM) | IPC_ROLE_BIT(IPC_ROUTER) | IPC_ROLE_BIT(IPC_FORWARD) | IPC_ROLE_BIT(IPC_RESOLVE) | \
                     IPC_ROLE_BIT(IPC_ADMIN) | IPC_ROLE_BIT(IPC_HOSTS) | IPC_ROLE_BIT(IPC_DOCKER))

enum {
        IPC_KEY_BYTES = 32,             /* Ed25519 public key or seed */
        IPC_BUILD_ID_BYTES = 32,
        IPC_NAME_MAX = 254,             /* host name with its NUL: RFC 1035 2.3.4 */
        IPC_TEXT_MAX = 256,
        IPC_METADATA_MAX = 1024,        /* a connection's metadata, JSON made by the forward worker */
        IPC_LOG_MAX = 1536,
        IPC_ADDRESSES_MAX = 16,
        IPC_BLOB_MAX = 256 * 1024,      /* what rides as a sealed memfd */
        IPC_FDS_MAX = 4,
        IPC_PORTS_MAX = 64,
};

/* Protocol of a service or gate: the numbers are those of the Hypergate protocol. */
enum ipc_protocol {
        IPC_TCP = 0,
        IPC_UDP = 1,
};

enum ipc_instance_role {
        IPC_AS_GATEWAY = 1,
        IPC_AS_PROVIDER = 2,
};

/* Why a channel could not open or had to end. */
enum ipc_reason {
        IPC_REASON_DONE,               /* both directions ended in order */
        IPC_REASON_RESET_LOCAL,        /* the local connection failed or was reset */
        IPC_REASON_RESET_PEER,         /* the peer's side failed or was reset */
        IPC_REASON_PEER_LOST,          /* the connection to the peer is gone */
        IPC_REASON_PEER_LEFT,          /* the same: it had said that it leaves */
        IPC_REASON_REFUSED,             /* the peer's service refused, or the peer knows no such service */
        IPC_REASON_TIMED_OUT,          /* no answer before the deadline */
        IPC_REASON_NO_PEER,            /* not connected to that peer */
        IPC_REASON_LIMIT,              /* a bound of ours was reached */
        IPC_REASON_IDLE,               /* nothing went either way for too long */
        IPC_REASON_DENIED,              /* by the ingress policies of all providers, or by the gateway's */
        IPC_REASONS,
};

/* FDS_UP_TO(n): zero to n descriptors; a plain number: exactly that many. */
#define FDS_UP_TO(n) (0x100 | (n))

/*        name              from                            to                              payload                        fds */
#define IPC_MESSAGES(X)                                                                                                          \
        /* The life of a worker. */                                                                                              \
        X(BEGIN,            IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_WORKERS,                    struct ipc_begin,              0)    \
        X(READY,            IPC_WORKERS,                    IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_ready,              0)    \
        X(LINK,             IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_WORKERS,                    struct ipc_introduction,       1)    \
        X(CONF_BEGIN,       IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_WORKERS,                    struct ipc_generation,         0)    \
        X(CONF_END,         IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_WORKERS,                    struct ipc_generation,         0)    \
        X(CONF_DONE,        IPC_WORKERS,                    IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_generation,         0)    \
        X(STOP,             IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_WORKERS,                    struct ipc_stop,               0)    \
        X(PING,             IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_WORKERS,                    struct ipc_ping,               0)    \
        X(LINK_LOST,        IPC_WORKERS,                    IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_link_lost,          0)    \
        X(LOG,              IPC_WORKERS,                    IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_log,                0)    \
        X(LOG_LEVEL,        IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_WORKERS,                    struct ipc_log_level,          0)    \
        X(DENIED,           IPC_WORKERS,                    IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_denied,             0)    \
        /* Swarm. */                                                                                                             \
        X(SWARM_NODE,       IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_SWARM),        struct ipc_swarm_node,         0)    \
        X(SWARM_SOCKET,     IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_SWARM),        struct ipc_swarm_socket,       1)    \
        X(SWARM_WANT,       IPC_ROLE_BIT(IPC_SWARM),        IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_swarm_want,         0)    \
        X(SWARM_GRANT,      IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_SWARM),        struct ipc_swarm_grant,        FDS_UP_TO(IPC_FDS_MAX)) \
        X(SWARM_ADDRESS,    IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_SWARM),        struct ipc_swarm_address,      0)    \
        X(SWARM_BOOTSTRAP,  IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_SWARM),        struct ipc_swarm_bootstrap,    0)    \
        X(SWARM_ROUTER,     IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_SWARM),        struct ipc_swarm_router,       0)    \
        X(SWARM_IDENTITY,   IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_SWARM),        struct ipc_swarm_identity,     0)    \
        X(SWARM_ALLOWED,    IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_SWARM),        struct ipc_swarm_allowed,      0)    \
        X(SWARM_RELAY,      IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_SWARM),        struct ipc_swarm_relay,        0)    \
        X(SWARM_THROUGH,    IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_SWARM),        struct ipc_swarm_through,      0)    \
        X(SWARM_LIMITS,     IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_SWARM),        struct ipc_swarm_limits,       0)    \
        X(SWARM_APPOINTED,  IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_SWARM),        struct ipc_swarm_appointed,    0)    \
        X(SWARM_KNOWN,      IPC_ROLE_BIT(IPC_SUPERVISOR) | IPC_ROLE_BIT(IPC_SWARM),                                              \
                            IPC_ROLE_BIT(IPC_SUPERVISOR) | IPC_ROLE_BIT(IPC_SWARM),         struct ipc_swarm_known,        0)    \
        X(SWARM_STATUS,     IPC_ROLE_BIT(IPC_SWARM),        IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_swarm_status,       0)    \
        X(SWARM_ASK,        IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_SWARM),        struct ipc_swarm_ask,          0)    \
        X(SWARM_FOUND,      IPC_ROLE_BIT(IPC_SWARM),        IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_swarm_found,        0)    \
        X(SWARM_PONG,       IPC_ROLE_BIT(IPC_SWARM),        IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_swarm_pong,         0)    \
        X(SWARM_SELF,       IPC_ROLE_BIT(IPC_SWARM),        IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_swarm_self,         0)    \
        X(SWARM_PEER,       IPC_ROLE_BIT(IPC_SWARM),        IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_swarm_peer,         0)    \
        X(SWARM_CHANNEL,    IPC_ROLE_BIT(IPC_SWARM),        IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_swarm_channel,      0)    \
        X(SWARM_ANSWERED,   IPC_ROLE_BIT(IPC_SWARM),        IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_swarm_answered,     0)    \
        /* Router. */                                                                                                            \
        X(ROUTER_ROLES,     IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_ROUTER),       struct ipc_router_roles,       0)    \
        X(ROUTER_SERVICE,   IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_ROUTER),       struct ipc_router_service,     0)    \
        X(ROUTER_POLICY,    IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_ROUTER),       struct ipc_router_policy,      FDS_UP_TO(1)) \
        X(ROUTER_FILTER,    IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_ROUTER),       struct ipc_router_filter,      0)    \
        X(ROUTER_GATE,      IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_ROUTER),       struct ipc_router_gate,        0)    \
        X(ROUTER_HEALTH,    IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_ROUTER),       struct ipc_service_health,     0)    \
        X(GATE_OPEN,        IPC_ROLE_BIT(IPC_ROUTER),       IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_gate,               0)    \
        X(GATE_CLOSE,       IPC_ROLE_BIT(IPC_ROUTER),       IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_gate,               0)    \
        X(ROUTER_HOST,      IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_ROUTER),       struct ipc_router_host,        0)    \
        X(HOST_OPEN,        IPC_ROLE_BIT(IPC_ROUTER),       IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_host_port,          0)    \
        X(HOST_CLOSE,       IPC_ROLE_BIT(IPC_ROUTER),       IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_host_port,          0)    \
        X(PEER_UP,          IPC_ROLE_BIT(IPC_SWARM),        IPC_ROLE_BIT(IPC_ROUTER),       struct ipc_peer,               0)    \
        X(PEER_DOWN,        IPC_ROLE_BIT(IPC_SWARM),        IPC_ROLE_BIT(IPC_ROUTER),       struct ipc_peer,               0)    \
        X(PEER_ADVERT,      IPC_ROLE_BIT(IPC_SWARM),        IPC_ROLE_BIT(IPC_ROUTER),       struct ipc_peer_advert,        1)    \
        X(PEER_ADVERT_LONG, IPC_ROLE_BIT(IPC_SWARM),        IPC_ROLE_BIT(IPC_ROUTER),       struct ipc_peer_advert_long,   0)    \
        X(ADVERTISE,        IPC_ROLE_BIT(IPC_ROUTER),       IPC_ROLE_BIT(IPC_SWARM),        struct ipc_advertise,          1)    \
        X(ROUTER_ASK,       IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_ROUTER),       struct ipc_router_ask,         0)    \
        X(ROUTER_ROUTE,     IPC_ROLE_BIT(IPC_ROUTER),       IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_router_route,       0)    \
        X(ROUTER_ANSWERED,  IPC_ROLE_BIT(IPC_ROUTER),       IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_router_ask,         0)    \
        X(ROUTER_STATUS,    IPC_ROLE_BIT(IPC_ROUTER),       IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_router_status,      0)    \
        X(ROUTES_BEGIN,     IPC_ROLE_BIT(IPC_ROUTER),       IPC_ROLE_BIT(IPC_FORWARD),      struct ipc_generation,         0)    \
        X(ROUTES_END,       IPC_ROLE_BIT(IPC_ROUTER),       IPC_ROLE_BIT(IPC_FORWARD),      struct ipc_generation,         0)    \
        X(ROUTE_SET,        IPC_ROLE_BIT(IPC_ROUTER),       IPC_ROLE_BIT(IPC_FORWARD),      struct ipc_route,              FDS_UP_TO(1)) \
        X(ROUTE_DROP,       IPC_ROLE_BIT(IPC_ROUTER),       IPC_ROLE_BIT(IPC_FORWARD),      struct ipc_route,              0)    \
        /* Forward. */                                                                                                           \
        X(FORWARD_LISTENER, IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_FORWARD),      struct ipc_forward_listener,   1)    \
        X(FORWARD_HOST,     IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_FORWARD),      struct ipc_forward_host,       0)    \
        X(FORWARD_LIMITS,   IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_FORWARD),      struct ipc_forward_limits,     0)    \
        X(FORWARD_TRUSTED,  IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_FORWARD),      struct ipc_forward_trusted,    0)    \
        X(FORWARD_ALLOW,    IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_FORWARD),      struct ipc_forward_allow,      0)    \
        X(FORWARD_POLICY,   IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_FORWARD),      struct ipc_forward_policy,     FDS_UP_TO(1)) \
        X(FORWARD_KEEP_ALIVE, IPC_ROLE_BIT(IPC_SUPERVISOR), IPC_ROLE_BIT(IPC_FORWARD),      struct ipc_forward_keep_alive, 0)    \
        X(FORWARD_SERVICE,  IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_FORWARD),      struct ipc_forward_service,    0)    \
        X(FORWARD_STATUS,   IPC_ROLE_BIT(IPC_FORWARD),      IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_forward_status,     0)    \
        X(SERVICE_HELD,     IPC_ROLE_BIT(IPC_SUPERVISOR) | IPC_ROLE_BIT(IPC_FORWARD),                                            \
                                                            IPC_ROLE_BIT(IPC_SWARM),        struct ipc_service_held,       0)    \
        X(SERVICE_DIAL,     IPC_ROLE_BIT(IPC_FORWARD),      IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_service_dial,       0)    \
        X(SERVICE_DIALLED,  IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_FORWARD),      struct ipc_service_dialled,    FDS_UP_TO(1)) \
        X(SERVICE_HEALTH,   IPC_ROLE_BIT(IPC_FORWARD),      IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_service_health,     0)    \
        X(SERVICE_FAILS,    IPC_ROLE_BIT(IPC_FORWARD),      IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_service_fails,      0)    \
        X(SERVICE_LEFT,     IPC_ROLE_BIT(IPC_FORWARD),      IPC_ROLE_BIT(IPC_SWARM),        struct ipc_service_held,       0)    \
        X(SESSION_DETACH,   IPC_ROLE_BIT(IPC_FORWARD),      IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_session_detach,     0)    \
        X(SESSION_DETACHED, IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_FORWARD),      struct ipc_session_detached,   FDS_UP_TO(1)) \
        X(CHANNEL_OPEN,     IPC_ROLE_BIT(IPC_FORWARD),      IPC_ROLE_BIT(IPC_SWARM),        struct ipc_channel_open,       1)    \
        X(CHANNEL_OPENED,   IPC_ROLE_BIT(IPC_SWARM),        IPC_ROLE_BIT(IPC_FORWARD),      struct ipc_channel,            0)    \
        X(CHANNEL_REFUSED,  IPC_ROLE_BIT(IPC_SWARM),        IPC_ROLE_BIT(IPC_FORWARD),      struct ipc_channel_refused,    FDS_UP_TO(1)) \
        X(CHANNEL_ARRIVED,  IPC_ROLE_BIT(IPC_SWARM),        IPC_ROLE_BIT(IPC_FORWARD),      struct ipc_channel_arrived,    0)    \
        X(CHANNEL_GONE,     IPC_ROLE_BIT(IPC_SWARM),        IPC_ROLE_BIT(IPC_FORWARD),      struct ipc_channel,            0)    \
        X(CHANNEL_READY,    IPC_ROLE_BIT(IPC_FORWARD),      IPC_ROLE_BIT(IPC_SWARM),        struct ipc_channel_ready,      1)    \
        X(CHANNEL_REFUSE,   IPC_ROLE_BIT(IPC_FORWARD),      IPC_ROLE_BIT(IPC_SWARM),        struct ipc_channel_refused,    0)    \
        X(CHANNEL_SOCKET,   IPC_ROLE_BIT(IPC_FORWARD),      IPC_ROLE_BIT(IPC_SWARM),        struct ipc_channel_socket,     1)    \
        X(CHANNEL_END,      IPC_ROLE_BIT(IPC_FORWARD),      IPC_ROLE_BIT(IPC_SWARM),        struct ipc_channel,            0)    \
        X(CHANNEL_CLOSED,   IPC_ROLE_BIT(IPC_SWARM),        IPC_ROLE_BIT(IPC_FORWARD),      struct ipc_channel_closed,     0)    \
        /* Resolve. */                                                                                                           \
        X(RESOLVE_ASK,      IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_RESOLVE),      struct ipc_resolve_ask,        0)    \
        X(RESOLVE_ANSWER,   IPC_ROLE_BIT(IPC_RESOLVE),      IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_resolve_answer,     0)    \
        /* Admin. */                                                                                                             \
        X(ADMIN_LISTENER,   IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_ADMIN),        struct ipc_admin_listener,     1)    \
        X(ADMIN_UNLIMITED,  IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_ADMIN),        struct ipc_admin_listener,     1)    \
        X(ADMIN_ALLOW,      IPC_ROLE_BIT(IPC_ADMIN),        IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_admin_allow,        0)    \
        X(ADMIN_ALLOWED,    IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_ADMIN),        struct ipc_admin_allowed,      0)    \
        X(FINGERPRINT_SET,  IPC_ROLE_BIT(IPC_FORWARD) | IPC_ROLE_BIT(IPC_SWARM),                                                 \
                                                            IPC_ROLE_BIT(IPC_ADMIN),        struct ipc_fingerprint,        0)    \
        X(FINGERPRINT_DROP, IPC_ROLE_BIT(IPC_FORWARD) | IPC_ROLE_BIT(IPC_SWARM),                                                 \
                                                            IPC_ROLE_BIT(IPC_ADMIN),        struct ipc_fingerprint_drop,   0)    \
        /* Hosts. */                                                                                                             \
        X(HOSTS_LISTENER,   IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_HOSTS),        struct ipc_generation,         1)    \
        X(HOSTS_PORT,       IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_HOSTS),        struct ipc_hosts_port,         0)    \
        X(HOSTS_BOUND,      IPC_ROLE_BIT(IPC_HOSTS),        IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_hosts_bound,        1)    \
        X(HOSTS_GONE,       IPC_ROLE_BIT(IPC_HOSTS),        IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_host_port,          0)    \
        /* Docker. */                                                                                                            \
        X(DOCKER_CONF,      IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_DOCKER),       struct ipc_docker_conf,        0)    \
        X(DOCKER_HOST,      IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_DOCKER),       struct ipc_docker_host,        0)    \
        X(DOCKER_WANT,      IPC_ROLE_BIT(IPC_DOCKER),       IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_docker_want,        0)    \
        X(DOCKER_SOCKET,    IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_DOCKER),       struct ipc_docker_socket,      FDS_UP_TO(1)) \
        X(DOCKER_BEGIN,     IPC_ROLE_BIT(IPC_DOCKER),       IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_docker_list,        0)    \
        X(DOCKER_SERVICE,   IPC_ROLE_BIT(IPC_DOCKER),       IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_docker_service,     0)    \
        X(DOCKER_END,       IPC_ROLE_BIT(IPC_DOCKER),       IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_docker_list,        0)

/* No padding: what the compiler would leave between fields could carry old memory across a wall. */
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* What a forward worker is for, from its first message to its end: its walls are built before it is configured, and one that
 * holds gates is left no way to connect to anything. Another duty is another worker. */
enum ipc_duty {
        IPC_DUTY_NONE,                  /* all roles but forward */
        IPC_DUTY_GATES,                 /* FORWARD_LISTENER, never FORWARD_SERVICE */
        IPC_DUTY_SERVICES,              /* FORWARD_SERVICE, never FORWARD_LISTENER */
        IPC_DUTY_HOSTS,                 /* as IPC_DUTY_GATES, of a virtual network: what others call a gate port is the number of one */
};

/* What need not be sent, from the first message on; another one at any time. */
struct ipc_log_level {
        uint32_t level;                 /* syslog number: what is less urgent */
        uint32_t channels;              /* 0 or 1: how channels ended that ended as they do, too, at LOG_INFO */
};

/* First message on fd 3. A worker of another build (@build_id differs from its own) ends with exit 70. With IPC_DUTY_SERVICES
 * @port names the TCP ports that the worker will ever be able to connect to (where the kernel has Landlock for TCP); with
 * @port_count 0 it is all of them. A service on a port that is not among them needs a new worker. */
struct ipc_begin {
        uint8_t build_id[IPC_BUILD_ID_BYTES];
        uint32_t id;                    /* of this worker among those of its role, from 1 */
        struct ipc_log_level log;
        uint32_t duty;                  /* enum ipc_duty */
        uint32_t protocols;             /* of those services: or of 1 << enum ipc_protocol; it will never make other sockets */
        uint32_t port_count;
        uint16_t port[IPC_PORTS_MAX];
};

/* Confined, and from now on reading its links. */
struct ipc_ready {
        uint8_t build_id[IPC_BUILD_ID_BYTES];
};

/* The fd is a link to the sibling of @role and @id. A second introduction of the same sibling replaces the first link. */
struct ipc_introduction {
        uint64_t link;                  /* counts up; both ends have the same */
        uint32_t role;                  /* enum ipc_role */
        uint32_t id;
};

/* Nothing to do but to read it: a worker that leaves it lying hangs. */
struct ipc_ping {
        uint64_t number;
};

enum ipc_lost {
        IPC_LOST_GONE,                  /* the other end is closed: mostly the sibling is dead, and the supervisor knows */
        IPC_LOST_BROKEN,                /* the sibling broke the rules, and we closed it */
        IPC_LOST_NO_MEMORY,             /* we couldn't take it */
        IPC_LOSTS,
};

/* The link of that introduction is over, though neither side was told to stop. */
struct ipc_link_lost {
        uint64_t link;
        uint32_t role;                  /* the sibling's */
        uint32_t id;
        uint32_t why;                   /* enum ipc_lost */
        uint32_t pad;
};

/* Of a configuration, counts up; CONF_DONE: what came with that one is what the worker does from now on. */
struct ipc_generation {
        uint64_t generation;
};

/* Finish what is under way, say goodbye, exit 0 before the deadline. */
struct ipc_stop {
        uint32_t deadline_ms;
};

/* @text: the message, NUL, then "FIELD=value" NUL each; @text_len counts all of it. */
struct ipc_log {
        uint32_t level;                 /* syslog number, 0..7 */
        uint32_t text_len;
        char text[IPC_LOG_MAX];
        uint32_t event;                 /* enum ipc_event, one of the sender's, or IPC_EVENT_NONE */
};

/* Sent by the SIGSYS handler, right before the worker ends. */
struct ipc_denied {
        uint32_t syscall;
        uint32_t arch;                  /* AUDIT_ARCH_* */
};

#pragma GCC diagnostic pop

enum ipc_type {
        IPC_NOTHING,                    /* so that zeroed memory is no message */
#define X(name, from, to, payload, fds) IPC_##name,
        IPC_MESSAGES(X)
#undef X
        IPC_TYPES,
};

#endif
