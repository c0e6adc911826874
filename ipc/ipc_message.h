/* SPDX-License-Identifier: BSD-3-Clause */
/* Every word that processes of one instance say to each other. One row is one message: its number, its name in logs, who
 * may say it to whom, how large it is and how many file descriptors ride along all grow from here.
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

#define IPC_ROLE_BIT(role) (1u << (role))
#define IPC_WORKERS (IPC_ROLE_BIT(IPC_SWARM) | IPC_ROLE_BIT(IPC_ROUTER) | IPC_ROLE_BIT(IPC_FORWARD) | IPC_ROLE_BIT(IPC_RESOLVE) | \
                     IPC_ROLE_BIT(IPC_ADMIN) | IPC_ROLE_BIT(IPC_HOSTS) | IPC_ROLE_BIT(IPC_DOCKER))

enum {
        IPC_KEY_BYTES = 32,             /* Ed25519 public key or seed */
        IPC_AUTH_KEY_BYTES = 64,        /* hello key, Argon2id of the router secret key (tunnel/) */
        IPC_BUILD_ID_BYTES = 16,
        IPC_NAME_MAX = 254,             /* host name with its NUL: RFC 1035 2.3.4 */
        IPC_TAGS_MAX = 512,
        IPC_TEXT_MAX = 256,
        IPC_METADATA_MAX = 1024,        /* a connection's metadata, JSON made by the forward worker */
        IPC_BASIC_AUTH_MAX = 256,       /* USER:PASSWORD */
        IPC_FRONT_MAX = 56,             /* a PROXY header of version 2 between two IPv6 addresses is 52 */
        IPC_LOG_MAX = 1536,
        IPC_ADDRESSES_MAX = 16,
        IPC_BLOB_MAX = 256 * 1024,      /* what rides as a sealed memfd */
        IPC_FDS_MAX = 4,
        IPC_GRANT_MAX = 64,
        IPC_PORTS_MAX = 64,
        IPC_ROUTERS_MAX = 4,            /* the secret and those before it */
        IPC_KNOWN_MAX = 64,             /* DHT nodes kept over a restart */
        IPC_ALLOWED_MAX = 256,          /* peers that may meet one role of ours */
        IPC_RELAYS_MAX = 8,             /* nodes in the record of a peer */
        IPC_OWN_RELAYS_MAX = 3,
        IPC_SIGHTINGS_MAX = 16,
        IPC_WHY_MAX = 96,               /* with its NUL */
        IPC_PRIORITY_MAX = 255,
        IPC_PATH_MAX = 128,             /* with its NUL */
        IPC_NETWORKS_MAX = 8,           /* of Docker, on which services are found */
        IPC_NETWORK_MAX = 128,          /* the name of one, with its NUL */
        IPC_LIMITS_MAX = 2,             /* of one channel: the gateway's own, and the provider's */
        IPC_CLIENT_LABELS_MAX = 256,    /* of one client: those of two rules */
        IPC_IMAGE_MAX = 256,            /* of an image, the same */
        IPC_HELPERS_ID_MAX = 33,        /* 32 hex digits and a NUL */
        IPC_CONTAINER_ID_MAX = 65,      /* 64 of them */
        IPC_SOCKET_PATH_MAX = 108,      /* with its NUL: sockaddr_un(7) */
};

/* Protocol of a service or gate: the numbers are those of the Hypergate protocol. */
enum ipc_protocol {
        IPC_TCP = 0,
        IPC_UDP = 1,
};

/* What a service is told of its client in front of the bytes: the numbers are the versions of the PROXY protocol. */
enum ipc_proxy {
        IPC_PROXY_NONE,
        IPC_PROXY_V1,
        IPC_PROXY_V2,
};

enum ipc_instance_role {
        IPC_AS_GATEWAY = 1,
        IPC_AS_PROVIDER = 2,
};

/* Which provider of a gate gets its next client. */
enum ipc_policy {
        IPC_POLICY_ROUND_ROBIN,         /* one after the other */
        IPC_POLICY_LEAST_CONNECTIONS,   /* the one with fewest of this gate's */
        IPC_POLICY_SOURCE_HASH,         /* the same for each client's address */
        IPC_POLICY_FIRST,               /* the same for all */
        IPC_POLICIES,
};

/* How it is found out whether a service is there. */
enum ipc_health {
        IPC_HEALTH_NONE,
        IPC_HEALTH_TCP,                 /* it takes connections */
        IPC_HEALTH_HTTP,                /* it answers a request with such a status */
        IPC_HEALTHS,
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
        X(ADVERTISE,        IPC_ROLE_BIT(IPC_ROUTER),       IPC_ROLE_BIT(IPC_SWARM),        struct ipc_advertise,          1)    \
        X(ROUTER_ASK,       IPC_ROLE_BIT(IPC_SUPERVISOR),   IPC_ROLE_BIT(IPC_ROUTER),       struct ipc_router_ask,         0)    \
        X(ROUTER_ROUTE,     IPC_ROLE_BIT(IPC_ROUTER),       IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_router_route,       0)    \
        X(ROUTER_ANSWERED,  IPC_ROLE_BIT(IPC_ROUTER),       IPC_ROLE_BIT(IPC_SUPERVISOR),   struct ipc_router_ask,         0)    \
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
        X(FINGERPRINT_SET,  IPC_ROLE_BIT(IPC_FORWARD),      IPC_ROLE_BIT(IPC_ADMIN),        struct ipc_fingerprint,        0)    \
        X(FINGERPRINT_DROP, IPC_ROLE_BIT(IPC_FORWARD),      IPC_ROLE_BIT(IPC_ADMIN),        struct ipc_fingerprint_drop,   0)    \
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

/* A peer, and by which swarm worker: the same key may be connected to several of them. */
struct ipc_via {
        uint8_t peer[IPC_KEY_BYTES];
        uint32_t swarm;                 /* id of that worker */
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

/* (conf) Exactly once. With @persistent the node serves the DHT under @public_address (a private network's bootstrap node). */
struct ipc_swarm_node {
        uint8_t public_ip[4];
        uint16_t public_port;
        uint8_t persistent;
        uint8_t pad;
};

enum ipc_socket_kind {
        IPC_SOCKET_SERVER,              /* stable port; what peers reach */
        IPC_SOCKET_CLIENT,              /* any port; queries leave here while we may be firewalled */
};

/* (conf) A bound, non-blocking UDP socket with DF, GRO and buffers set. The receiver may know it already (same
 * inode): then the new descriptor is closed. */
struct ipc_swarm_socket {
        uint32_t kind;                  /* enum ipc_socket_kind */
        uint32_t receive_bytes;         /* granted SO_RCVBUF */
        uint8_t local_ip[4];
        uint16_t local_port;
        uint8_t gso;                    /* the kernel takes UDP_SEGMENT */
        uint8_t gro;
        uint8_t for_strangers;          /* all that comes to that port and is for no stream; follows the other, if there is one */
        uint8_t mark;                   /* then: highest byte of the ids of streams */
        uint8_t pad[2];
};

/* A NAT gives each remote another port: @count more UDP sockets, as the server's but for their port, would get through to a peer
 * (at most IPC_GRANT_MAX are granted at a time). They are the worker's, who closes those that did not. */
struct ipc_swarm_want {
        uint32_t count;
};

/* Some of them; @last: no more of this grant. */
struct ipc_swarm_grant {
        uint32_t last;                  /* 0 or 1 */
        uint32_t gso;                   /* 0 or 1, as in struct ipc_swarm_socket */
};

/* (conf) One IPv4 address of a local interface, for same-host and LAN dialling. */
struct ipc_swarm_address {
        uint8_t ip[4];
};

/* (conf) One resolved bootstrap node. */
struct ipc_swarm_bootstrap {
        uint8_t ip[4];
        uint16_t port;
        uint8_t pad[2];
};

/* (conf) A peer of the router, and where it is. */
struct ipc_swarm_appointed {
        uint8_t key[IPC_KEY_BYTES];
        struct ipc_swarm_bootstrap at;
};

/* Nodes that are there: the swarm worker says so every few minutes. (conf) Nodes that were there when it last said so. */
struct ipc_swarm_known {
        uint32_t count;
        struct ipc_swarm_bootstrap node[IPC_KNOWN_MAX];
};

/* (conf) The router: what is announced, and what hello is keyed with. Not the secret itself. The same of each previous secret that counts
 * still follows, newest first. */
struct ipc_swarm_router {
        uint8_t public_key[IPC_KEY_BYTES];
        uint8_t auth_key[IPC_AUTH_KEY_BYTES];
};

/* (conf) One identity per role this instance has on that router. */
struct ipc_swarm_identity {
        uint32_t role;                  /* enum ipc_instance_role */
        uint8_t seed[IPC_KEY_BYTES];
};

/* (conf) A peer that may meet our identity of that role; if there is any for a role, no others may. */
struct ipc_swarm_allowed {
        uint32_t role;                  /* enum ipc_instance_role */
        uint8_t key[IPC_KEY_BYTES];
};

enum ipc_relay_mode {
        IPC_RELAY_ON_DEMAND,            /* of a peer of the router, if strangers reach us */
        IPC_RELAY_ALWAYS,
        IPC_RELAY_NEVER,
        IPC_RELAY_MODES,
};

/* (conf) When this instance is a blind relay; without, on demand. 0 in a number: the default, or no limit. */
struct ipc_swarm_relay {
        uint8_t seed[IPC_KEY_BYTES];    /* clients find it by the public key */
        uint32_t anybody;               /* 1: whoever knows that key; 0: peers of the router and those they bring */
        uint32_t connections;           /* carried at a time */
        uint32_t connections_per_host;  /* ends of these from one host */
        uint32_t mode;                  /* enum ipc_relay_mode */
        uint64_t bytes_per_s;           /* in all */
        uint64_t bytes_per_s_per_host;  /* from and to one host */
};

/* (conf) A blind relay to use where no packet gets through to a peer. */
struct ipc_swarm_through {
        uint8_t key[IPC_KEY_BYTES];
};

/* (conf) How many channels each peer may have to services here; 0: no limit. */
struct ipc_swarm_limits {
        uint32_t connections_per_peer;
        uint32_t channel_buffer_bytes, peer_buffer_bytes;       /* received and not handed on, of connections to come; 0: as usual */
};

/* At most once a second, when something changed. */
struct ipc_swarm_status {
        uint32_t nodes;                 /* in the routing table */
        uint32_t bootstrapped;          /* 0 or 1 */
        uint32_t announced;             /* identities whose announcement was confirmed by at least one node */
        uint32_t gateways, providers;   /* authenticated peers by their role */
        uint32_t channels;
        uint32_t relayed;               /* of these peers, through a relay */
        uint32_t relays;                /* connections of others that are carried, as a relay */
        uint32_t outdated;              /* of these peers, who have not shown that they know the newest secret of the router */
        uint32_t pad;
        uint64_t relayed_bytes;         /* in all, as a relay */
        uint64_t sent_bytes, received_bytes;    /* of channels, ended ones included */
        uint64_t datagrams_dropped;     /* of channels, for want of room */
        uint64_t strangers_dropped;     /* datagrams that were nothing of the protocol, or too many of strangers */
        uint64_t streams_dropped;       /* packets of peers' streams, by the kernel, for want of room: sent again */
        uint64_t limited;               /* channels that peers were refused, as they had as many as they may */
        uint64_t adverts_dropped;       /* of providers, that were too long */
};

/* (conf) */
struct ipc_router_roles {
        uint32_t roles;                 /* or of enum ipc_instance_role */
        uint32_t gates_per_peer;        /* a gateway opens for each provider; 0: as many as there may be */
        uint32_t every_filter;          /* 1: a route passes if it matches all filters, not any */
        uint32_t expiry_ms;             /* of routes that their provider does not repeat; 0: 120 s */
        uint32_t hosts;                 /* 1: hosts of services are wanted by name, too (HOST_OPEN) */
};

/* (conf) A service of this provider. Strings end with NUL. */
struct ipc_router_service {
        uint16_t gate_port;
        uint16_t service_port;
        uint16_t protocol;              /* enum ipc_protocol */
        char host[IPC_NAME_MAX];        /* as peers are told */
        char tags[IPC_TAGS_MAX];        /* words separated by blanks; empty: none */
        char sni[IPC_NAME_MAX];         /* what TLS clients ask for; empty: whatever others do not have */
        uint16_t priority;              /* 0: best, to IPC_PRIORITY_MAX */
        uint16_t withheld;              /* 1: it is not there now (see ROUTER_HEALTH) */
};

/* (conf) Who may use the services that follow, until the next one of these: a sealed memory file (ipc_rule.h). 0: everybody, and no file. */
struct ipc_router_policy {
        uint32_t len;
};

enum ipc_filter_field {
        IPC_FILTER_GATE_PORT = 1,
        IPC_FILTER_SERVICE_PORT = 2,
        IPC_FILTER_PROTOCOL = 4,
        IPC_FILTER_HOST = 8,
        IPC_FILTER_TAGS = 16,
        IPC_FILTER_EXCEPT = 32,         /* what matches the others is kept out, whatever other filters let through */
        IPC_FILTER_ONLY = 64,           /* what matches none of these is kept out, too; a host in one names its low gate ports */
};

/* (conf) What a gateway may open: a route passes if any filter matches in all of its @fields; none but of the last two kinds:
 * everything. */
struct ipc_router_filter {
        uint32_t fields;                /* or of enum ipc_filter_field */
        uint16_t gate_port, gate_port_last;             /* both included */
        uint16_t service_port, service_port_last;
        uint16_t protocol;
        char host[IPC_NAME_MAX];
        char tags[IPC_TAGS_MAX];
        int16_t priority;               /* of what matches, whatever its provider says; -1: what that says */
        uint8_t pad[2];
};

/* (conf, and at any time) The gate is held by forward worker @forward; 0: by none. The router sends that worker its routes. */
struct ipc_router_gate {
        uint16_t gate_port;
        uint16_t protocol;
        uint32_t forward;
};

/* The router wants this port open, or no longer. Repeating is harmless. */
struct ipc_gate {
        uint16_t gate_port;
        uint16_t protocol;
};

/* A port of a host that somebody has a service at. */
struct ipc_host_port {
        char host[IPC_NAME_MAX];        /* in lower case: host_name_is_given() */
        uint16_t port;                  /* of the service */
        uint16_t protocol;              /* enum ipc_protocol */
};

/* (conf, and at any time) That port is held by forward worker @forward, which has IPC_DUTY_HOSTS and knows it by @number; 0: by none. The
 * router sends that worker its routes, with @number in place of the gate port. */
struct ipc_router_host {
        struct ipc_host_port at;
        uint16_t number;
        uint32_t forward;
};

/* An authenticated peer came or went, or leaves: what runs with it goes on then, and nothing new begins. All present ones are told again on
 * a new link. */
struct ipc_peer {
        uint8_t peer[IPC_KEY_BYTES];
        uint32_t role;                  /* the peer's: enum ipc_instance_role */
};

/* The peer's newest advertisement, unread; the fd is a sealed memfd of @len bytes. */
struct ipc_peer_advert {
        uint8_t peer[IPC_KEY_BYTES];
        uint32_t len;
};

/* What every gateway peer shall be told, now and when it comes; sealed memfd of @len bytes. */
struct ipc_advertise {
        uint32_t len;
};

/* @peer offers @gate_port. Between ROUTES_BEGIN and ROUTES_END: the complete table; else one change. Set again with another @service, it
 * is that from now on. */
struct ipc_route {
        uint8_t peer[IPC_KEY_BYTES];
        uint64_t service;               /* the one that is wanted of those it has there (ipc_service.h); 0: any */
        uint16_t gate_port;
        uint16_t protocol;
        uint32_t swarm;                 /* id of the worker that is connected to it */
        uint16_t priority;              /* 0: best */
        uint16_t rules;                 /* ROUTE_SET: who may come, a sealed memory file of so many (ipc_rule.h); 0: everybody, and no file */
        uint32_t name;                  /* ipc_server_name() of what TLS clients ask for there; 0: it is for all others. To a worker with
                                         * IPC_DUTY_HOSTS, whose routes are for all: the gate port by which the peer has it */
};

/* (conf) A listening socket, or with IPC_UDP a bound one that tells where each datagram was sent to. Clients for whom no provider is
 * found within @wait_ms are reset. A session of datagrams, or a connection, ends when it is silent for @idle_ms; 0: never. */
struct ipc_forward_listener {
        uint16_t gate_port;
        uint16_t protocol;
        uint32_t wait_ms;
        uint32_t idle_ms;
        uint32_t policy;                /* enum ipc_policy */
};

/* (conf, after its listeners, with IPC_DUTY_HOSTS) What the gate of that number is, for messages. */
struct ipc_forward_host {
        struct ipc_host_port at;
        uint16_t number;
};

/* (conf) How many connections, or sessions of datagrams, each gate may have at a time, and how many of them one client; how many may come
 * a second, on average, in all and from one client. 0: no limit. A provider that does not answer within @open_ms (0: 15 s) has refused. */
struct ipc_forward_limits {
        uint32_t connections, connections_per_client;
        uint32_t rate, rate_per_client;         /* at most 1,000,000 */
        uint32_t open_ms;
};

/* (conf) Who comes to a gate for TCP from that network is a proxy, and begins with a PROXY header. */
struct ipc_forward_trusted {
        uint8_t ip[16];                 /* IPv6, or IPv4 as ::ffff:a.b.c.d; beyond @bits all 0 */
        uint32_t bits;
};

/* (conf, and at any time) Clients from that address are let in by all gates until then, whatever ingress policies say, and
 * no limit of these is theirs. Between CONF_BEGIN and CONF_END: all there are; else one more, or another time for one of them. */
struct ipc_forward_allow {
        uint8_t ip[16];                 /* IPv6, or IPv4 as ::ffff:a.b.c.d */
        uint64_t until_ms;              /* since the epoch; 0: no longer */
};

/* (conf) Who may come to the gates, as this gateway has it: no provider lets anybody in whom it keeps out. A sealed memory file of so many
 * @rules (ipc_rule.h); 0, and no file: nobody. Without one of these everybody may come. */
struct ipc_forward_policy {
        uint32_t rules;
};

/* (conf) When the kernel asks who is silent whether it is still there: after @idle_s, then each @interval_s, and after @count questions
 * without an answer the connection fails. All 0: never. */
struct ipc_forward_keep_alive {
        uint32_t idle_s, interval_s, count;
};

/* At most once a second, when there is something new. */
struct ipc_forward_status {
        uint64_t datagrams_dropped;     /* of clients and for them, for want of room, since the last one of these */
        uint64_t ended[IPC_REASONS];    /* channels that ended for that reason, since then */
};

/* (conf) A service to connect to; @count addresses to try in order (0: the name is not resolved (yet)). */
struct ipc_forward_service {
        uint64_t service;               /* its name: ipc_service.h */
        uint16_t gate_port;
        uint16_t protocol;
        uint16_t service_port;
        uint16_t count;
        uint32_t idle_ms;               /* a session of datagrams that is silent for so long ends, or a connection; 0: never */
        uint8_t address[IPC_ADDRESSES_MAX][16]; /* IPv6, or IPv4 as ::ffff:a.b.c.d */
        char host[IPC_NAME_MAX];        /* as configured, for messages of ours */
        char alias[IPC_NAME_MAX];       /* what peers are told instead of host and address; empty: nothing else */
        uint16_t local;                 /* 1: a unix socket, IPC_TCP, without address and port: it is asked for by SERVICE_DIAL */
        uint16_t proxy;                 /* enum ipc_proxy */
        uint16_t priority;              /* among those behind the gate port; 0: best */
        uint16_t health;                /* enum ipc_health, of IPC_TCP; then the rest is set: */
        uint16_t status_first, status_last;     /* both included */
        uint16_t rise, fall;            /* checks in a row */
        uint32_t interval_ms, timeout_ms;
        char path[IPC_PATH_MAX];        /* printable, without blanks */
};

/* Whether a service of the sender's is there, as its checks say: once it is known, and when that changes. The router worker is told of it,
 * who does not advertise what is not there. */
struct ipc_service_health {
        uint64_t service;               /* its name: ipc_service.h */
        uint16_t gate_port;
        uint16_t protocol;
        uint32_t there;                 /* 0 or 1 */
};

/* Connect to that service of the sender's, which is local: whoever holds services can't reach a unix socket, lest it reaches all. Answered
 * by SERVICE_DIALLED with the same @swarm and @channel, which are the sender's to choose. */
struct ipc_service_dial {
        uint64_t channel;
        uint64_t service;               /* its name: ipc_service.h */
        uint32_t swarm;
        uint16_t gate_port;
        uint8_t pad[2];
};

/* The connection rides along, unless @error is none of 0: errno. */
struct ipc_service_dialled {
        uint64_t channel;
        uint32_t swarm;
        uint32_t error;
};

/* A socket for one client of that gate, whose datagrams, and nobody else's, come to it from then on instead of the gate's. Answered by
 * SESSION_DETACHED with the same @session, which is the sender's to choose. */
struct ipc_session_detach {
        uint64_t session;
        uint8_t remote_ip[16], local_ip[16];    /* IPv6, or IPv4 as ::ffff:a.b.c.d; @local: that the client sends to */
        uint32_t scope;                 /* of a link-local @remote_ip: its interface; else 0 */
        uint16_t remote_port;
        uint16_t gate_port;
};

/* The socket rides along, unless @error is none of 0: errno. */
struct ipc_session_detached {
        uint64_t session;
        uint32_t error;
        uint32_t pad;
};

/* Channels that arrive for this gate port and protocol may come over this link, until SERVICE_LEFT. From the supervisor (conf): some
 * forward worker will say so; what neither has said is served by nobody. */
struct ipc_service_held {
        uint16_t gate_port;
        uint16_t protocol;
};

/* Whose a channel is, for people. */
struct ipc_client {
        uint8_t ip[16];                 /* IPv6, or IPv4 as ::ffff:a.b.c.d */
        uint16_t port;
        uint16_t known;                 /* 0 or 1; if not, all else is 0 */
        uint8_t pad[4];
        char labels[IPC_CLIENT_LABELS_MAX];     /* of the rules that let it in; each ends with NUL; the first empty one is none */
};

struct ipc_limit {
        uint64_t limiter;
        uint64_t bytes_per_s;           /* below IPC_RATE_MAX; 0: no limit, and nothing at once either */
        uint64_t burst_bytes;           /* the same */
        uint32_t ways;                  /* or of enum ipc_rule_way */
        uint32_t pad;
};

/* Open a channel to @peer for the connection whose fd rides along, from then on the swarm worker's, with SO_LINGER{1,0}
 * set so that dying with it resets it. Answered by CHANNEL_OPENED or by CHANNEL_REFUSED; the latter returns the fd, for
 * no byte is read before.
 *
 * With IPC_UDP the fd is one end of a SOCK_SEQPACKET pair whose other end the forward worker keeps: each message is a zero byte and
 * then one datagram, so that an empty datagram is no end. Whoever closes its end has ended the session.
 *
 * All channels of one @limit share its bucket, whoever opens them; it is another one for each of @ways. One with two carries no more than
 * both hold. */
struct ipc_channel_open {
        uint64_t channel;               /* sender's choice, unique on this link */
        uint64_t service;               /* the one that is meant, if the peer can be told; 0: any */
        uint8_t peer[IPC_KEY_BYTES];
        uint16_t gate_port;
        uint16_t protocol;
        uint32_t deadline_ms;
        uint32_t metadata_len;
        uint32_t idle_ms;               /* IPC_TCP: reset after so long without a byte either way; 0: never */
        char metadata[IPC_METADATA_MAX];
        struct ipc_limit limit[IPC_LIMITS_MAX];
        struct ipc_client client;
};

struct ipc_channel {
        uint64_t channel;
};

/* A channel of datagrams that is OPENED gets its client's own socket (SESSION_DETACHED), in place of its end of the pair: nothing more is
 * written there, and when the other end has closed, everything in it having been read, datagrams go by the socket both ways. A channel
 * that can't, or is over, closes the socket. Without a datagram for @idle_ms it ends, and on CHANNEL_END. */
struct ipc_channel_socket {
        uint64_t channel;
        uint32_t idle_ms;
        uint32_t pad;
};

/* With IPC_UDP each datagram for the service gets @front in front of it. */
struct ipc_channel_ready {
        uint64_t channel;
        uint32_t idle_ms;               /* ended after so long without a byte or datagram either way; 0: never */
        uint32_t front_len;
        uint8_t front[IPC_FRONT_MAX];
        struct ipc_client client;
};

struct ipc_channel_refused {
        uint64_t channel;
        uint32_t reason;                /* enum ipc_reason */
        uint32_t text_len;
        char text[IPC_TEXT_MAX];        /* for the log and, at a provider, for the gateway */
};

/* A peer's client wants this service. @channel is the swarm worker's choice; answered by CHANNEL_READY with the connected
 * socket (of TCP, SO_LINGER{1,0} set, or of UDP) or CHANNEL_REFUSE; CHANNEL_GONE before that: no longer wanted. */
struct ipc_channel_arrived {
        uint64_t channel;
        uint64_t service;               /* the one that is meant, 0: any behind that port */
        uint8_t peer[IPC_KEY_BYTES];
        uint16_t gate_port;
        uint16_t protocol;
        uint32_t metadata_len;
        char metadata[IPC_METADATA_MAX];
};

struct ipc_channel_closed {
        uint64_t channel;
        uint64_t sent_bytes;            /* towards the peer */
        uint64_t received_bytes;        /* from the peer */
        uint64_t duration_us;
        uint32_t reason;                /* enum ipc_reason */
        uint32_t pad;
};

struct ipc_resolve_ask {
        uint64_t question;
        uint32_t ipv4_only;
        char name[IPC_NAME_MAX];
        uint8_t pad[6];
};

struct ipc_resolve_answer {
        uint64_t question;
        int32_t error;                  /* EAI_* or 0 */
        uint32_t count;
        uint8_t address[IPC_ADDRESSES_MAX][16]; /* IPv6, or IPv4 as ::ffff:a.b.c.d */
        char text[IPC_TEXT_MAX];        /* gai_strerror */
};

/* (conf) One of these; the listener rides along, of HTTP. ADMIN_LISTENER: where fingerprints are asked for, by whoever knows @auth,
 * "USER:PASSWORD", unless @auth_len is 0. ADMIN_UNLIMITED: where clients of gates ask to be let in for a while, with a token that was made
 * with @auth. */
struct ipc_admin_listener {
        uint32_t auth_len;
        uint32_t pad;
        char auth[IPC_BASIC_AUTH_MAX];
};

/* A client at that address had a good token: it is to be let in for a while, which the supervisor knows. */
struct ipc_admin_allow {
        uint64_t question;              /* counts up */
        uint8_t ip[16];                 /* IPv6, or IPv4 as ::ffff:a.b.c.d */
};

/* To that one. */
struct ipc_admin_allowed {
        uint64_t question;
        uint8_t ip[16];
        uint64_t until_ms;              /* since the epoch; 0: there is no room for one more */
};

/* The two ends of a connection to a service, as the provider's own socket has them. Addresses are IPv6, or IPv4 as ::ffff:a.b.c.d. */
struct ipc_tuple {
        uint8_t local_ip[16], remote_ip[16];
        uint16_t local_port, remote_port;
        uint16_t protocol;              /* enum ipc_protocol */
        uint16_t pad;
};

/* From now on a connection to a service has these ends, and its gateway said @metadata of the client, which is JSON or not: as it came. In
 * the place of what had the same ends before. */
struct ipc_fingerprint {
        uint64_t number;                /* the sender's choice */
        struct ipc_tuple tuple;
        uint32_t idle_ms;               /* it ends when it is silent for so long; 0: it need not */
        uint32_t metadata_len;
        uint16_t gate_port;
        uint8_t pad[6];
        char metadata[IPC_METADATA_MAX];
};

/* No longer, if that one still is of @number. */
struct ipc_fingerprint_drop {
        uint64_t number;
        struct ipc_tuple tuple;
};

/* (conf, and at any time) That port is wanted, or no longer: the helper of its host opens it. HOSTS_LISTENER (conf): the unix socket that
 * helpers connect to rides along. HOSTS_GONE: the helper of that host is gone, and with it its network; port and protocol mean nothing. */
struct ipc_hosts_port {
        struct ipc_host_port at;
        uint16_t number;                /* the supervisor's choice, not 0 */
        uint16_t wanted;                /* 0 or 1 */
};

/* It is open, as the socket that rides along. */
struct ipc_hosts_bound {
        uint16_t number;
        uint16_t v6;                    /* 0 or 1 */
};

/* (conf) Exactly once, and the same as long as the worker lives. What helpers are made with means nothing without @hosts. */
struct ipc_docker_conf {
        uint64_t life;                  /* of the supervisor: helpers that another one made are to go */
        uint32_t uid, gid;              /* of helpers: whose their socket is */
        uint32_t refresh_ms;            /* between two rounds while nothing happens */
        uint16_t network_count;
        uint16_t read_only;             /* 0 or 1: nothing is made, changed or removed */
        uint16_t services;              /* 0 or 1: those in containers are wanted */
        uint16_t hosts;                 /* 0 or 1: DOCKER_HOST names who shall have a helper on these networks */
        char network[IPC_NETWORKS_MAX][IPC_NETWORK_MAX];
        char self[IPC_CONTAINER_ID_MAX];        /* the container that this may be in; "": none */
        char id[IPC_HELPERS_ID_MAX];    /* whose helpers they are: no secret */
        char socket[IPC_SOCKET_PATH_MAX];       /* where helpers connect */
        char image[IPC_IMAGE_MAX];      /* what they are made of; "": the image that this is made of */
        uint8_t pad[6];
};

/* (conf) A host that shall have a helper, each once; those are all. */
struct ipc_docker_host {
        char host[IPC_NAME_MAX];        /* in lower case: host_name_is_given() */
};

enum ipc_docker_use {
        IPC_DOCKER_ASK,                 /* questions, one after the other */
        IPC_DOCKER_EVENTS,              /* one whose answer does not end */
        IPC_DOCKER_USES,
};

/* A connection to the engine for @use, of which one is wanted at a time. */
struct ipc_docker_want {
        uint32_t use;                   /* enum ipc_docker_use */
};

/* It rides along, or @error says why not. */
struct ipc_docker_socket {
        uint32_t use;
        uint32_t error;                 /* errno or 0 */
};

/* Between DOCKER_BEGIN and DOCKER_END: @count services, which are all there are. */
struct ipc_docker_list {
        uint32_t count;
};

struct ipc_docker_service {
        uint16_t gate_port;
        uint16_t service_port;          /* in the container, at @ip */
        uint16_t protocol;              /* enum ipc_protocol */
        uint16_t published;             /* 0 or 1: for others than the network, too */
        uint8_t ip[16];                 /* IPv6, or IPv4 as ::ffff:a.b.c.d */
        char host[IPC_NAME_MAX];        /* what it is called there */
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
