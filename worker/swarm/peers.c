/* SPDX-License-Identifier: BSD-3-Clause */
#include "peers.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc_blob.h"
#include "ipc_message.h"
#include "ipc_route.h"

struct peer {
        struct list in_all;
        struct ipc_peer who;
        int advert_fd;          /* sealed; -1: it has not advertised */
        uint32_t advert_len;
};

void peers_init(struct peers *peers)
{
        *peers = (struct peers){ 0 };
        list_init(&peers->all);
}

static void drop(struct peer *peer)
{
        list_remove(&peer->in_all);
        if (peer->advert_fd >= 0)
                close(peer->advert_fd);
        free(peer);
}

void peers_fini(struct peers *peers)
{
        list_for_each(at, &peers->all)
                drop(list_entry(at, struct peer, in_all));
}

/* The same key may be there twice, once in each role. */
static struct peer *find(struct peers *peers, const uint8_t key[NODE_KEY_BYTES], uint32_t role)
{
        list_for_each(at, &peers->all) {
                struct peer *peer = list_entry(at, struct peer, in_all);

                if (peer->who.role == role && memcmp(peer->who.peer, key, NODE_KEY_BYTES) == 0)
                        return peer;
        }
        return NULL;
}

static void tell(struct peers *peers, enum ipc_type type, const struct peer *peer)
{
        if (peers->router)
                worker_send(peers->router, type, &peer->who, NULL, 0);
}

static void tell_advert(struct peers *peers, const struct peer *peer)
{
        struct ipc_peer_advert advert = { .len = peer->advert_len };

        memcpy(advert.peer, peer->who.peer, sizeof(advert.peer));
        if (peers->router && peer->advert_fd >= 0)
                worker_send(peers->router, IPC_PEER_ADVERT, &advert, &peer->advert_fd, 1);
}

/* Not kept: the peer says it again, and then a new router worker hears of it. */
static void tell_long(struct peers *peers, const struct node_event *event)
{
        struct ipc_peer_advert_long advert = { .len = (uint32_t)event->len, .most = event->kind == NODE_PEER_DOWN ? NODE_MESSAGE_MAX : 0 };

        memcpy(advert.peer, event->peer, sizeof(advert.peer));
        if (peers->router)
                worker_send(peers->router, IPC_PEER_ADVERT_LONG, &advert, NULL, 0);
}

void peers_introduce(struct peers *peers, struct worker_link *router)
{
        peers->router = router;
        list_for_each(at, &peers->all) {
                struct peer *peer = list_entry(at, struct peer, in_all);

                tell(peers, IPC_PEER_UP, peer);
                tell_advert(peers, peer);
        }
}

static void on_up(struct peers *peers, const struct node_event *event, uint32_t role)
{
        struct peer *peer = calloc(1, sizeof(*peer));

        if (!peer)
                return;         /* its routes stay unknown until it connects again */
        memcpy(peer->who.peer, event->peer, sizeof(peer->who.peer));
        peer->who.role = role;
        peer->advert_fd = -1;
        list_push_back(&peers->all, &peer->in_all);
        tell(peers, IPC_PEER_UP, peer);
}

static void on_advert(struct peers *peers, const struct node_event *event, struct peer *peer)
{
        int fd = ipc_blob_new(event->bytes, event->len);

        if (fd < 0)
                return;         /* the peer says it again within a minute */
        if (peer->advert_fd >= 0)
                close(peer->advert_fd);
        peer->advert_fd = fd;
        peer->advert_len = (uint32_t)event->len;
        tell_advert(peers, peer);
}

void peers_event(struct peers *peers, const struct node_event *event)
{
        uint32_t role = event->role == NODE_PROVIDER ? IPC_AS_PROVIDER : IPC_AS_GATEWAY;
        struct peer *peer = find(peers, event->peer, event->kind == NODE_ADVERT ? IPC_AS_PROVIDER : role);

        if (event->kind == NODE_PEER_UP && !peer) {
                on_up(peers, event, role);
        } else if ((event->kind == NODE_PEER_DOWN || event->kind == NODE_PEER_LEAVES) && peer) {
                if (event->reason == NODE_REASON_TOO_LONG && role == IPC_AS_PROVIDER)
                        tell_long(peers, event);
                tell(peers, IPC_PEER_DOWN, peer);
                drop(peer);
        } else if (event->kind == NODE_ADVERT && peer && event->len) {
                on_advert(peers, event, peer);
        } else if (event->kind == NODE_ADVERT_LONG) {
                tell_long(peers, event);
        }
}
