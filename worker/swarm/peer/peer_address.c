/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer_private.h"

static const struct addr loopback = { .ip = { 127, 0, 0, 1 } };

static bool is_loopback(const struct addr *addr)
{
        return addr->ip[0] == 127;
}

static bool is_any(const struct addr *addr)
{
        return addr->ip[0] == 0;
}

static size_t add_once(struct addr out[PEER_OWN_MAX], size_t count, const struct addr *host, uint16_t port)
{
        struct addr addr = *host;

        addr.port = port;
        for (size_t i = 0; i < count; i++)
                if (addr_equal(&out[i], &addr))
                        return count;
        out[count] = addr;
        return count + 1;
}

/* Our public address first, if strangers reach it; then those of our interfaces, with the server socket's port: hyperdht
 * lib/holepuncher.js localAddresses(). */
size_t peer_own_addresses(const struct peer_set *set, struct addr out[PEER_OWN_MAX])
{
        uint16_t port = set->server_local.port;
        size_t count = dht_open_addr(set->dht, &out[0]) ? 1 : 0;

        if (!is_any(&set->server_local))
                return add_once(out, count, &set->server_local, port);
        for (size_t i = 0; i < set->local_count; i++)
                count = add_once(out, count, &set->local[i], port);
        return set->local_count ? count : add_once(out, count, &loopback, port);
}

/* Whoever is there is on this machine. */
bool peer_is_own_host(const struct peer_set *set, const struct addr *addr)
{
        if (is_loopback(addr) || addr_host_equal(addr, &set->server_local))
                return true;
        for (size_t i = 0; i < set->local_count; i++)
                if (addr_host_equal(addr, &set->local[i]))
                        return true;
        return false;
}

bool peer_is_among(const struct addr *addr, const struct addr *addrs, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (addr_equal(&addrs[i], addr))
                        return true;
        return false;
}

static unsigned shared_octets(const struct addr *a, const struct addr *b)
{
        unsigned n = 0;

        while (n < 3 && a->ip[n] == b->ip[n])
                n++;
        return n;
}

/* Which of @theirs is likely to be in a network of ours: hyperdht lib/holepuncher.js matchAddress(). NULL: none. */
const struct addr *peer_match_address(const struct addr *mine, size_t mine_count, const struct addr *theirs, size_t theirs_count)
{
        const struct addr *best = NULL;
        unsigned most = 0;

        for (size_t i = 0; i < mine_count; i++) {
                for (size_t k = 0; k < theirs_count; k++) {
                        unsigned shared = shared_octets(&mine[i], &theirs[k]);

                        if (shared > most) {
                                most = shared;
                                best = &theirs[k];
                        }
                }
        }
        return best;
}

const struct addr *peer_first_public(const struct addr *addrs, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (!addr_is_private(&addrs[i]) && !addr_is_reserved(&addrs[i]) && !addr_is_unusable(&addrs[i]))
                        return &addrs[i];
        return NULL;
}
