/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_guests.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* No padding: it is hashed and compared as it is. */
struct guest_key {
        uint8_t address[16];
        uint16_t gate_port, protocol;
};

struct guest {
        struct map_entry by_key;
        struct list in_gone;
        struct guest_key key;
        uint32_t count;
        struct rate rate;
};

void guests_init(struct guests *guests, const uint8_t key[16])
{
        map_init(&guests->all, key);
        list_init(&guests->gone);
        guests->gone_count = 0;
}

static void leave_gone(struct guests *guests, struct guest *guest)
{
        if (list_empty(&guest->in_gone))
                return;
        list_remove(&guest->in_gone);
        guests->gone_count--;
}

static void forget(struct guests *guests, struct guest *guest)
{
        leave_gone(guests, guest);
        map_remove(&guests->all, &guest->by_key);
        free(guest);
}

static struct guest *first_gone(const struct guests *guests)
{
        struct list *first = list_first(&guests->gone);

        return first ? list_entry(first, struct guest, in_gone) : NULL;
}

void guests_fini(struct guests *guests)
{
        struct guest *guest;

        while ((guest = first_gone(guests)))
                forget(guests, guest);
        assert(guests->all.count == 0);
        map_fini(&guests->all);
}

static struct guest_key key_of(uint16_t gate_port, uint16_t protocol, const union socket_address *remote)
{
        struct guest_key key = { .gate_port = gate_port, .protocol = protocol };

        socket_address_ip(remote, key.address);
        if (remote->any.sa_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&remote->v6.sin6_addr))
                memset(key.address + 8, 0, 8);
        return key;
}

static struct guest *find(const struct guests *guests, const struct guest_key *key, uint64_t hash)
{
        for (struct map_entry *at = map_first(&guests->all, hash); at; at = map_next(at)) {
                struct guest *guest = container_of(at, struct guest, by_key);

                if (memcmp(&guest->key, key, sizeof(*key)) == 0)
                        return guest;
        }
        return NULL;
}

struct guest *guests_enter(struct guests *guests, uint16_t gate_port, uint16_t protocol, const union socket_address *remote,
                           usec_t now_us, uint32_t *count_out)
{
        struct guest_key key = key_of(gate_port, protocol, remote);
        uint64_t hash = map_hash(&guests->all, &key, sizeof(key));
        struct guest *guest;

        while ((guest = first_gone(guests)) && rate_rests(&guest->rate, now_us))
                forget(guests, guest);
        guest = find(guests, &key, hash);
        if (!guest) {
                guest = calloc(1, sizeof(*guest));
                if (!guest || map_insert(&guests->all, &guest->by_key, hash) < 0) {
                        free(guest);
                        return NULL;
                }
                guest->key = key;
                list_init(&guest->in_gone);
        }
        leave_gone(guests, guest);
        *count_out = ++guest->count;
        return guest;
}

const uint8_t *guest_address(const struct guest *guest)
{
        return guest->key.address;
}

void guests_leave(struct guests *guests, struct guest *guest)
{
        if (!guest || --guest->count > 0)
                return;
        if (!guest->rate.even_us) {     /* nobody limits it */
                forget(guests, guest);
                return;
        }
        if (guests->gone_count == GUESTS_GONE_MAX)
                forget(guests, first_gone(guests));
        list_push_back(&guests->gone, &guest->in_gone);
        guests->gone_count++;
}

struct rate *guest_rate(struct guest *guest)
{
        return &guest->rate;
}
