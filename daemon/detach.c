/* SPDX-License-Identifier: BSD-3-Clause */
#include "detach.h"

#include <errno.h>
#include <string.h>

#include "ipc_fd.h"
#include "sockets_detach.h"

/* The descriptor, or -errno. */
static int detached(const struct gates *gates, const struct child *child, const struct ipc_session_detach *asked)
{
        struct socket_ends ends = { .remote_port = asked->remote_port, .scope = asked->scope };
        int gate_fd = gates_datagrams(gates, forward_of(child), asked->gate_port, asked->local_ip), fd = -1, r;

        if (gate_fd < 0)
                return -ENOENT;
        memcpy(ends.remote_ip, asked->remote_ip, sizeof(ends.remote_ip));
        memcpy(ends.local_ip, asked->local_ip, sizeof(ends.local_ip));
        r = sockets_detach(gate_fd, &ends, &fd);
        return r < 0 ? r : fd;
}

void detach(const struct gates *gates, struct child *child, const struct ipc_session_detach *asked)
{
        struct ipc_session_detached answer = { .session = asked->session };
        cleanup_fd int fd = detached(gates, child, asked);

        answer.error = fd < 0 ? (uint32_t)-fd : 0;
        child_send(child, IPC_SESSION_DETACHED, &answer, &fd, fd >= 0);
}
