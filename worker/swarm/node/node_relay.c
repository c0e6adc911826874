/* SPDX-License-Identifier: BSD-3-Clause */
/* Blind relays, for pairs of peers that no packet gets through between: being one for others, and which one is named to whom. */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "node_state.h"

_Static_assert((int)NODE_KEY_BYTES == (int)PEER_KEY_BYTES && (int)NODE_PROOF_BYTES == (int)PEER_PROOF_BYTES, "handed on as they are");
_Static_assert((int)NODE_ROUTERS_MAX <= (int)PEER_PROOFS_MAX, "each of them gives a proof");

enum {
        CANDIDATES_MAX = NODE_RELAYS_MAX + 8,
        CALLED_BACK_MAX = 8,            /* in a second */
};

#define TROUBLE_US MINUTES(2)           /* after a peer was not reached, relays are named beside all direct ways for so long */
#define RETRY_US SECONDS(10)            /* between two times that a new relay is a reason to dial all again who were not reached */
#define LOOK_US SECONDS(1)              /* how often it is asked what our NAT is like and what failed */

/* What members of the router know and nobody else: tokens made with it show that their maker is one. */
static void prove(struct node *node, unsigned router)
{
        static const uint8_t what[] = "hypergate relay";

        crypto_generichash(node->proofs[router], NODE_PROOF_BYTES, what, sizeof(what) - 1, node->routers.list[router].auth_key,
                           NODE_AUTH_KEY_BYTES);
}

/* --- Being one --- */

static bool is_open(const struct node *node)
{
        struct addr addr;

        return dht_open_addr(node->dht, &addr);
}

/* One that was started on demand goes on, with those whom it serves. */
static bool shall_run(const struct node *node)
{
        const struct node_relay_spec *spec = &node->relays.spec;
        bool demanded = spec->mode == NODE_RELAY_ON_DEMAND && (node->relays.runs || (node->relays.asked && is_open(node)));

        return (spec->mode == NODE_RELAY_ALWAYS || demanded) && node->leaving == NODE_STAYS &&
               (spec->anybody || node->router_count);
}

static int run(struct node *node)
{
        const struct node_relay_spec *from = &node->relays.spec;
        uint8_t public_key[PEER_KEY_BYTES], secret_key[PEER_SECRET_KEY_BYTES], proofs[NODE_ROUTERS_MAX][PEER_PROOF_BYTES];
        struct peer_relay_spec spec = {
                .secret_key = secret_key,
                .proofs = proofs,
                .proof_count = from->anybody ? 0 : node->router_count,
                .pairs = from->connections,
                .per_host = from->connections_per_host,
                .bytes_per_s = from->bytes_per_s,
                .bytes_per_s_per_host = from->bytes_per_s_per_host,
        };
        int r;

        for (size_t i = 0; i < node->router_count; i++)
                memcpy(proofs[i], node->proofs[node->router_order[i]], sizeof(proofs[i]));
        crypto_sign_seed_keypair(public_key, secret_key, from->seed);
        memcpy(node->relays.own_key, public_key, sizeof(public_key));
        r = peer_relay_start(node->peers, &spec, &node->now);
        sodium_memzero(secret_key, sizeof(secret_key));
        sodium_memzero(proofs, sizeof(proofs));
        node->relays.runs = node->relays.runs || r == 0;
        return r;
}

static int settle(struct node *node)
{
        if (shall_run(node))
                return run(node);
        if (node->relays.runs)
                peer_relay_stop(node->peers, &node->now);
        node->relays.runs = false;
        return 0;
}

/* Whom it serves by proofs made with what is left, it goes on to serve. */
void node_relay_prove(struct node *node)
{
        for (size_t i = 0; i < node->router_count; i++)
                prove(node, node->router_order[i]);
        node->relays.look_us = 0;
        (void)settle(node);             /* without memory it is tried again soon */
}

/* Until something else is said. */
void node_relay_init(struct node *node)
{
        random_fill(&node->config.random, node->relays.spec.seed, sizeof(node->relays.spec.seed));
}

int node_relay(struct node *node, const struct node_relay_spec *spec, const struct now *now)
{
        bool same_key = memcmp(spec->seed, node->relays.spec.seed, sizeof(spec->seed)) == 0;

        node->now = *now;
        node->fresh = true;
        if (!same_key) {
                node->relays.spec.mode = NODE_RELAY_NEVER;
                settle(node);
        }
        node->relays.spec = *spec;
        node->relays.look_us = 0;
        return settle(node);
}

void node_relay_fini(struct node *node)
{
        sodium_memzero(&node->relays, sizeof(node->relays));
}

/* --- Having one --- */

int node_use_relays(struct node *node, const uint8_t (*keys)[NODE_KEY_BYTES], size_t count, const struct now *now)
{
        node->now = *now;
        node->fresh = true;
        if (count > NODE_RELAYS_MAX)
                return -E2BIG;
        if (count)
                memcpy(node->relays.keys, keys, count * sizeof(*keys));
        node->relays.key_count = count;
        node->relays.look_us = 0;
        return 0;
}

static bool is_own(const struct node *node, const uint8_t key[NODE_KEY_BYTES])
{
        return node->relays.runs && memcmp(key, node->relays.own_key, NODE_KEY_BYTES) == 0;
}

/* A relay, and by what it knows its own; NULL: there is nothing. */
struct candidate {
        const uint8_t *key, *proof;
};

static const uint8_t *proof_for(const struct node *node, unsigned routers)
{
        unsigned newest = node_router_newest(node, routers);

        return newest < TUNNEL_ROUTERS_MAX ? node->proofs[newest] : NULL;
}

/* Of one that is no peer of ours nobody knows which secrets it has: most likely it is told of a new one as others are, and of the oldest
 * that it counts no more when nobody else needs that. If not, others come next. */
static const uint8_t *guess_proof(const struct node *node, const uint8_t key[NODE_KEY_BYTES], unsigned round)
{
        list_for_each(at, &node->links) {
                const struct node_link *link = list_entry(at, struct node_link, in_links);

                if (link->state == NODE_LINK_UP && link->relay.offered && memcmp(link->relay.key, key, NODE_KEY_BYTES) == 0)
                        return proof_for(node, tunnel_proven(link->tunnel));
        }
        return node->router_count ? node->proofs[node->router_order[node->router_count - 1 - round % node->router_count]] : NULL;
}

/* Those of the configuration first, then peers that are relays; but none to reach itself (@peer; NULL: anybody), nor our own: whom
 * that serves it reaches. */
static size_t list_candidates(const struct node *node, const uint8_t *peer, struct candidate out[CANDIDATES_MAX])
{
        size_t count = 0;

        for (size_t i = 0; i < node->relays.key_count; i++)
                if (!is_own(node, node->relays.keys[i]))
                        out[count++] = (struct candidate){ node->relays.keys[i], NULL };
        list_for_each(at, &node->links) {
                const struct node_link *link = list_entry(at, struct node_link, in_links);
                bool use = link->relay.offered && link->state == NODE_LINK_UP && !is_own(node, link->relay.key);

                if (use && count < CANDIDATES_MAX && (!peer || memcmp(peer, link->key, NODE_KEY_BYTES) != 0))
                        out[count++] = (struct candidate){ link->relay.key, proof_for(node, tunnel_proven(link->tunnel)) };
        }
        for (size_t i = 0; i < count; i++)
                if (!out[i].proof)
                        out[i].proof = guess_proof(node, out[i].key, node->relays.turn / (unsigned)count);
        return count;
}

static bool is_lost(const struct node *node, const uint8_t key[NODE_KEY_BYTES])
{
        return node->now.mono_us < node->relays.lost_until_us && memcmp(key, node->relays.lost_key, NODE_KEY_BYTES) == 0;
}

/* The next one each time one has failed. */
static struct candidate choose(const struct node *node, const uint8_t *peer)
{
        struct candidate list[CANDIDATES_MAX];
        size_t count = list_candidates(node, peer, list);

        for (size_t i = 0; i < count; i++)
                if (!is_lost(node, list[(node->relays.turn + i) % count].key))
                        return list[(node->relays.turn + i) % count];
        return count ? list[node->relays.turn % count] : (struct candidate){ NULL, NULL };
}

void node_relay_lost(struct node *node, const uint8_t key[NODE_KEY_BYTES])
{
        memcpy(node->relays.lost_key, key, NODE_KEY_BYTES);
        node->relays.lost_until_us = usec_add(node->now.mono_us, TROUBLE_US);
        node->relays.look_us = 0;
}

static bool is_in_trouble(const struct node *node)
{
        return peer_is_random(node->peers) || node->now.mono_us < node->relays.trouble_until_us;
}

void node_relay_name(const struct node *node, struct peer_dial_spec *spec)
{
        struct candidate relay;

        if (!is_in_trouble(node))
                return;
        relay = choose(node, spec->remote_key);
        spec->relay_through = relay.key;
        spec->relay_proof = relay.proof;
}

/* A relay may be known by now. */
void node_relay_failed(struct node_link *link, enum peer_failure failure)
{
        struct node *node = link->node;

        if (failure < PEER_UNREACHED || failure > PEER_PUNCH_SHUT)
                return;
        node->relays.trouble_until_us = usec_add(node->now.mono_us, TROUBLE_US);
        node->relays.look_us = 0;
        if (!link->named_relay && choose(node, link->key).key)
                node->relays.retries = true;    /* that dial names it, so this happens once */
}

static void retry(struct node *node)
{
        node->relays.retries = false;
        for (size_t role = 0; role < NODE_ROLES; role++)
                if (node->joins[role].node)
                        swarm_retry(node->joins[role].swarm, node->now.mono_us);
}

/* What only counters tell: that a relay was of no use, and that somebody who was welcome did not get here. */
static void compare(struct node *node)
{
        struct peer_stats stats;

        peer_stats(node->peers, &stats);
        node->relays.turn += stats.detours_failed != node->relays.detours_failed;
        if (stats.expired != node->relays.expired || peer_struggles(node->peers, &node->now))
                node->relays.trouble_until_us = usec_add(node->now.mono_us, TROUBLE_US);
        node->relays.detours_failed = stats.detours_failed;
        node->relays.expired = stats.expired;
}

/* What peers of the router shall know of us. */
static void tell_peers(struct node *node)
{
        struct tunnel_relay relay = { .wanted = is_in_trouble(node) };
        struct peer_relay_stats stats;

        relay.offered = peer_relay_stats(node->peers, &stats) && stats.found &&
                        (node->relays.spec.mode == NODE_RELAY_ALWAYS || is_open(node));
        node->relays.offered = relay.offered;
        if (relay.offered)
                memcpy(relay.key, node->relays.own_key, sizeof(relay.key));
        list_for_each(at, &node->links) {
                struct node_link *link = list_entry(at, struct node_link, in_links);

                if (link->state == NODE_LINK_UP && tunnel_tell_relay(link->tunnel, &relay))
                        node_link_touch(link);
        }
}

/* Who punches in vain, as both sides are behind one NAT that leads nobody back in, would find out after 11 s. Whatever was begun
 * without a relay begins again with one, beside which punching goes on. */
static void begin_again(struct node *node)
{
        list_for_each(at, &node->links) {
                struct node_link *link = list_entry(at, struct node_link, in_links);

                if (link->dial && !link->named_relay && peer_dial_struggles(link->dial, &node->now) && choose(node, link->key).key)
                        node_link_cut(link, SWARM_MOVED, false);
        }
}

bool node_relay_helps(const struct node *node, const uint8_t key[NODE_KEY_BYTES])
{
        return is_in_trouble(node) && choose(node, key).key;
}

/* The peer has begun, and we have the relay: then we dial it, whether we had heard of it or not. */
static void call_back(struct node_join *join)
{
        uint8_t keys[CALLED_BACK_MAX][PEER_KEY_BYTES];
        size_t count = peer_listener_struggling(join->listener, keys, ARRAY_LEN(keys), &join->node->now);

        for (size_t i = 0; i < count; i++)
                if (node_relay_helps(join->node, keys[i]))
                        swarm_listed(join->swarm, SWARM_TOPICS_MAX, keys[i], NULL, 0, join->node->now.mono_us);
}

/* Whoever waits to be told of us need not wait for long. */
void node_relay_look(struct node *node)
{
        struct candidate any;

        if (node->now.mono_us < node->relays.look_us && node->relays.offered == node->relays.runs)
                return;
        node->relays.look_us = usec_add(node->now.mono_us, LOOK_US);
        compare(node);
        any = choose(node, NULL);
        if (shall_run(node) != node->relays.runs)
                (void)settle(node);
        for (size_t role = 0; role < NODE_ROLES; role++)
                if (node->joins[role].node && node->joins[role].listener) {
                        peer_listener_relay_through(node->joins[role].listener, any.key, any.proof, is_in_trouble(node));
                        call_back(&node->joins[role]);
                }
        tell_peers(node);
        begin_again(node);
        if (node->relays.retries)
                retry(node);
}

void node_relay_told(struct node_link *link, const struct tunnel_relay *relay)
{
        struct node *node = link->node;

        if (relay->offered && !link->relay.offered && is_in_trouble(node) && node->now.mono_us >= node->relays.retry_us) {
                node->relays.retries = true;
                node->relays.retry_us = usec_add(node->now.mono_us, RETRY_US);
        }
        link->relay = *relay;
        node->relays.asked = node->relays.asked || relay->wanted;
        node->relays.look_us = 0;
}

void node_relay_stats(const struct node *node, struct node_stats *out)
{
        struct peer_relay_stats stats;

        out->relays = peer_relay_stats(node->peers, &stats);
        if (!out->relays)
                return;
        out->relay_connections = (uint32_t)stats.pairs;
        out->relay_bytes = stats.bytes;
}
