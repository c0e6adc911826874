/* SPDX-License-Identifier: BSD-3-Clause */
#include "dial.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "ipc_fd.h"

_Static_assert(CONF_SOCKET_PATH_MAX == sizeof(((struct sockaddr_un *)NULL)->sun_path), "every path fits");

int dial_unix(const char *path)
{
        cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        memcpy(address.sun_path, path, strlen(path) + 1);
        if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        return take_fd(&fd);
}

/* NULL: it has none of that name, or not any more. */
static const char *path_of(const struct services *services, const struct child *child, const struct ipc_service_dial *asked)
{
        const struct service *service = services_find(services, forward_of(child), asked->gate_port, asked->service);

        return service ? conf_service_path(service->conf) : NULL;
}

void dial(const struct services *services, struct child *child, const struct ipc_service_dial *asked)
{
        struct ipc_service_dialled dialled = { .channel = asked->channel, .swarm = asked->swarm };
        const char *path = path_of(services, child, asked);
        cleanup_fd int fd = path ? dial_unix(path) : -ENOENT;

        dialled.error = fd < 0 ? (uint32_t)-fd : 0;
        child_send(child, IPC_SERVICE_DIALLED, &dialled, &fd, fd >= 0);
}
