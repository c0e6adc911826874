/* SPDX-License-Identifier: BSD-3-Clause */
#include "appointed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ipc_swarm.h"

_Static_assert((int)CONF_KEY_BYTES == (int)IPC_KEY_BYTES, "same keys");

int appointed_init(struct appointed *appointed, struct names *names, const struct conf *conf)
{
        *appointed = (struct appointed){ .conf = conf };
        for (size_t i = 0; i < conf->peer_count; i++) {
                char what[sizeof(((struct name *)NULL)->what)];

                snprintf(what, sizeof(what), "peer %.32s:%u", conf->peers[i].host, conf->peers[i].port);
                appointed->names[i] = names_add(names, conf->peers[i].host, true, what);
                if (!appointed->names[i])
                        return -ENOMEM;
        }
        return 0;
}

void appointed_fini(struct appointed *appointed)
{
        for (size_t i = 0; i < appointed->conf->peer_count; i++)
                names_drop(appointed->names[i]);
}

void appointed_publish(const struct appointed *appointed, struct child *swarm)
{
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

        for (size_t i = 0; i < appointed->conf->peer_count; i++) {
                const struct conf_peer *from = &appointed->conf->peers[i];
                const struct name *name = appointed->names[i];
                struct ipc_swarm_appointed peer = { .at.port = from->port };

                if (name->count == 0 || memcmp(name->address[0], mapped, sizeof(mapped)) != 0)
                        continue;
                memcpy(peer.key, from->key, sizeof(peer.key));
                memcpy(peer.at.ip, name->address[0] + sizeof(mapped), sizeof(peer.at.ip));
                child_send(swarm, IPC_SWARM_APPOINTED, &peer, NULL, 0);
        }
}

bool appointed_use(const struct appointed *appointed, const struct name *name)
{
        for (size_t i = 0; i < appointed->conf->peer_count; i++)
                if (appointed->names[i] == name)
                        return true;
        return false;
}
