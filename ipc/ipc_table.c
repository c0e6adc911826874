/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipc_table.h"

#include <string.h>

#include "ipc_admin.h"
#include "ipc_build_id.h"
#include "ipc_channel.h"
#include "ipc_docker.h"
#include "ipc_fingerprint.h"
#include "ipc_forward.h"
#include "ipc_hosts.h"
#include "ipc_link.h"
#include "ipc_question.h"
#include "ipc_resolve.h"
#include "ipc_route.h"
#include "ipc_router.h"
#include "ipc_swarm.h"

#define FDS_LIMIT(fds) ((fds) & 0xff)
#define FDS_LEAST(fds) ((fds) & 0x100 ? 0 : FDS_LIMIT(fds))

#define X(name, from, to, payload, fds) \
        _Static_assert(sizeof(payload) <= IPC_PAYLOAD_MAX && FDS_LIMIT(fds) <= IPC_FDS_MAX, #name " is too large");
IPC_MESSAGES(X)
#undef X

static const struct ipc_row rows[IPC_TYPES] = {
#define X(row_name, row_from, row_to, payload, fds)                                                     \
        [IPC_##row_name] = { .name = #row_name, .payload_bytes = sizeof(payload), .from = (row_from),   \
                             .to = (row_to), .fds_min = FDS_LEAST(fds), .fds_max = FDS_LIMIT(fds) },
        IPC_MESSAGES(X)
#undef X
};

const struct ipc_row *ipc_row(uint32_t type)
{
        return type > IPC_NOTHING && type < IPC_TYPES ? &rows[type] : NULL;
}

const char *ipc_message_name(uint32_t type)
{
        const struct ipc_row *row = ipc_row(type);

        return row ? row->name : "?";
}

const char *ipc_role_name(uint32_t role)
{
        static const char *const names[IPC_ROLES] = { [IPC_SUPERVISOR] = "supervisor", [IPC_SWARM] = "swarm",
                                                      [IPC_ROUTER] = "router", [IPC_FORWARD] = "forward",
                                                      [IPC_RESOLVE] = "resolve", [IPC_ADMIN] = "admin", [IPC_HOSTS] = "hosts",
                                                      [IPC_DOCKER] = "docker" };

        return role < IPC_ROLES ? names[role] : "?";
}

void ipc_build_id(uint8_t out[IPC_BUILD_ID_BYTES])
{
        static const char id[] = IPC_BUILD_ID;

        _Static_assert(sizeof(id) - 1 <= 2 * IPC_BUILD_ID_BYTES, "what does not fit would not count");
        memset(out, 0, IPC_BUILD_ID_BYTES);
        for (size_t i = 0; i < 2 * IPC_BUILD_ID_BYTES && id[i]; i++) {
                unsigned digit = id[i] <= '9' ? (unsigned)(id[i] - '0') : (unsigned)(id[i] - 'a' + 10);

                out[i / 2] = (uint8_t)(out[i / 2] | (digit & 15) << (i % 2 ? 0 : 4));
        }
}
