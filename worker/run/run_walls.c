/* SPDX-License-Identifier: BSD-3-Clause */
#include "run_walls.h"

#include <seccomp.h>
#include <stdbool.h>

#include "cleanup.h"

/* glibc asks name servers there and nowhere else: resolv.conf(5). */
static const uint16_t name_server_port[] = { 53 };

static const int of_swarm[] = { SCMP_SYS(timerfd_settime) };
static const int of_forward[] = { SCMP_SYS(getsockname) };

/* What libcurl and the TLS library do with a socket that they have. */
static const int of_fetch[] = { SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(getsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername) };

static const struct run_confinement walls[RUN_WALLS] = {
        /* Its sockets come by message. */
        [RUN_WALL_SWARM] = { .syscalls = of_swarm, .syscall_count = ARRAY_LEN(of_swarm), .blobs = true, .keeps = true,
                             .ends_halves = true, .sets_linger = true, .sets_fragments = true, .batches = true },
        [RUN_WALL_ROUTER] = { .blobs = true },
        [RUN_WALL_GATES] = { .syscalls = of_forward, .syscall_count = ARRAY_LEN(of_forward), .accepts = true, .sets_tcp = true,
                             .sets_buffers = true, .batches = true, .pairs = true, .reads_blobs = true },
        [RUN_WALL_SERVICES] = { .syscalls = of_forward, .syscall_count = ARRAY_LEN(of_forward), .sets_tcp = true,
                                .sets_buffers = true, .sets_fragments = true },
        [RUN_WALL_RESOLVE] = { .names = true, .batches = true, .connects = true, .ports = name_server_port,
                               .port_count = ARRAY_LEN(name_server_port) },
        [RUN_WALL_ADMIN] = { .accepts = true, .ends_halves = true },
        [RUN_WALL_HOSTS] = { .accepts = true },
        [RUN_WALL_DOCKER] = { 0 },
        [RUN_WALL_FETCH] = { .syscalls = of_fetch, .syscall_count = ARRAY_LEN(of_fetch), .sets_tcp = true, .sets_flags = true },
};

enum run_wall run_wall_of(enum ipc_role role, const struct ipc_begin *begin)
{
        switch (role) {
        case IPC_SWARM:
                return RUN_WALL_SWARM;
        case IPC_FORWARD:
                return begin->duty == IPC_DUTY_SERVICES ? RUN_WALL_SERVICES : RUN_WALL_GATES;
        case IPC_RESOLVE:
                return RUN_WALL_RESOLVE;
        case IPC_ADMIN:
                return RUN_WALL_ADMIN;
        case IPC_HOSTS:
                return RUN_WALL_HOSTS;
        case IPC_DOCKER:
                return RUN_WALL_DOCKER;
        default:
                return RUN_WALL_ROUTER;
        }
}

void run_walls(enum run_wall wall, const struct ipc_begin *begin, struct run_confinement *out)
{
        *out = walls[wall];
        if (wall != RUN_WALL_SERVICES && wall != RUN_WALL_FETCH)
                return;
        out->connects = (begin->protocols & 1U << IPC_TCP) != 0;
        out->connects_udp = (begin->protocols & 1U << IPC_UDP) != 0;
        out->ports = begin->port;
        out->port_count = begin->port_count;
}
