/* SPDX-License-Identifier: BSD-3-Clause */
#include "net.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "list.h"
#include "map.h"

enum { PPM = 1000000, IP_UDP_BYTES = 28 };

struct generator {
        struct list all;
        struct random random;
        uint64_t state;
};

/* A link and what it is doing. */
struct wire {
        struct net_link link;
        uint32_t count;                 /* packets offered */
        usec_t free_us;                 /* the sender's end has put the last bit on the wire */
        uint64_t free_rest;             /* and this many 1/bits_per_s microseconds later */
        usec_t last_arrival_us;
};

struct endpoint {
        struct map_entry by_addr;
        struct addr addr;
        struct net_nat *nat;            /* in front of it; NULL: it is in the public network */
        struct wire wire;
        bool up;
        unsigned number;
};

struct net_nat {
        struct list all;
        struct nat_box *box;
        struct net_nat *outer;
};

struct pair {
        struct map_entry entry;
        unsigned from, to;
        struct wire wire;
};

struct transit {
        usec_t at_us;
        uint64_t serial;
        unsigned endpoint;
        struct net_nat *nat;            /* whom it comes to, in place of an endpoint */
        struct addr from, to;
        size_t len;
        uint8_t bytes[];
};

/* Where a packet goes from its sender, seen from the network in which it is found. */
struct target {
        struct endpoint *endpoint;      /* or */
        struct net_nat *nat;
        struct addr from;               /* the sender, as that network sees it */
        bool far;                       /* through the public network */
};

struct net {
        usec_t now_us;
        uint64_t hash, serial, seed;
        struct generator dice;
        struct list generators, nats;
        struct map by_addr, pairs;
        bool (*blocks)(void *context, const struct addr *from, const struct addr *to);
        void *blocks_context;
        struct endpoint **endpoints;
        size_t endpoint_count;
        struct transit **queue;         /* binary heap by arrival, then by order of sending */
        size_t queue_count, queue_capacity;
        struct transit *received;
        struct net_totals totals;
};

static uint64_t splitmix(uint64_t *state)
{
        uint64_t z = *state += 0x9e3779b97f4a7c15;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        return z ^ z >> 31;
}

static void generator_fill(void *context, void *out, size_t len)
{
        struct generator *generator = context;
        uint8_t *at = out;

        while (len) {
                uint64_t value = splitmix(&generator->state);
                size_t piece = len < sizeof(value) ? len : sizeof(value);

                memcpy(at, &value, piece);
                at += piece;
                len -= piece;
        }
}

static void generator_init(struct generator *generator, uint64_t seed)
{
        generator->state = seed;
        generator->random = (struct random){ .fill = generator_fill, .context = generator };
}

static bool chance(struct net *net, uint32_t ppm)
{
        return ppm && random_below(&net->dice.random, PPM) < ppm;
}

struct net *net_new(uint64_t seed)
{
        struct net *net = calloc(1, sizeof(*net));
        uint8_t key[16] = { 1 };

        assert(net);
        net->seed = seed;
        net->hash = 0xcbf29ce484222325;
        list_init(&net->generators);
        list_init(&net->nats);
        generator_init(&net->dice, splitmix(&net->seed));
        map_init(&net->by_addr, key);
        map_init(&net->pairs, key);
        net->now_us = SECONDS(1);
        return net;
}

void net_free(struct net *net)
{
        struct map_entry *entry;

        if (!net)
                return;
        list_for_each(at, &net->generators)
                free(list_entry(at, struct generator, all));
        list_for_each(at, &net->nats) {
                struct net_nat *nat = list_entry(at, struct net_nat, all);

                nat_box_free(nat->box);
                free(nat);
        }
        while ((entry = map_walk(&net->pairs, NULL))) {
                map_remove(&net->pairs, entry);
                free(container_of(entry, struct pair, entry));
        }
        for (size_t i = 0; i < net->endpoint_count; i++)
                free(net->endpoints[i]);
        for (size_t i = 0; i < net->queue_count; i++)
                free(net->queue[i]);
        map_fini(&net->pairs);
        map_fini(&net->by_addr);
        free(net->endpoints);
        free(net->queue);
        free(net->received);
        free(net);
}

/* FNV-1a by words: the order of what is mixed in matters. */
void net_note(struct net *net, const void *bytes, size_t len)
{
        const uint8_t *at = bytes;

        for (size_t i = 0; i < len; i += 8) {
                uint64_t word = 0;

                memcpy(&word, at + i, len - i < 8 ? len - i : 8);
                net->hash = (net->hash ^ word) * 0x100000001b3;
                net->hash ^= net->hash >> 29;
        }
}

static void note_number(struct net *net, uint64_t number)
{
        net_note(net, &number, sizeof(number));
}

static uint64_t addr_hash(const struct net *net, const struct addr *addr)
{
        uint8_t key[6] = { addr->ip[0], addr->ip[1], addr->ip[2], addr->ip[3], (uint8_t)(addr->port >> 8), (uint8_t)addr->port };

        return map_hash(&net->by_addr, key, sizeof(key));
}

static struct endpoint *find(const struct net *net, const struct addr *addr, const struct net_nat *nat)
{
        for (struct map_entry *at = map_first(&net->by_addr, addr_hash(net, addr)); at; at = map_next(at)) {
                struct endpoint *endpoint = container_of(at, struct endpoint, by_addr);

                if (endpoint->nat == nat && addr_equal(&endpoint->addr, addr))
                        return endpoint;
        }
        return NULL;
}

unsigned net_endpoint_add_behind(struct net *net, const struct addr *addr, struct net_nat *nat)
{
        struct endpoint *endpoint = calloc(1, sizeof(*endpoint));
        struct endpoint **endpoints = realloc(net->endpoints, (net->endpoint_count + 1) * sizeof(*endpoints));

        assert(endpoint && endpoints && !find(net, addr, nat));
        *endpoint = (struct endpoint){ .addr = *addr, .nat = nat, .up = true, .number = (unsigned)net->endpoint_count };
        net->endpoints = endpoints;
        net->endpoints[net->endpoint_count++] = endpoint;
        if (map_insert(&net->by_addr, &endpoint->by_addr, addr_hash(net, addr)) < 0)
                abort();
        return endpoint->number;
}

unsigned net_endpoint_add(struct net *net, const struct addr *addr)
{
        return net_endpoint_add_behind(net, addr, NULL);
}

void net_endpoint_remove(struct net *net, unsigned endpoint)
{
        map_remove(&net->by_addr, &net->endpoints[endpoint]->by_addr);
        net->endpoints[endpoint]->up = false;
}

struct addr net_endpoint_addr(const struct net *net, unsigned endpoint)
{
        return net->endpoints[endpoint]->addr;
}

void net_endpoint_set_up(struct net *net, unsigned endpoint, bool up)
{
        net->endpoints[endpoint]->up = up;
}

static struct pair *find_pair(const struct net *net, unsigned from, unsigned to)
{
        unsigned key[2] = { from, to };

        if (!net->pairs.count)
                return NULL;
        for (struct map_entry *at = map_first(&net->pairs, map_hash(&net->pairs, key, sizeof(key))); at; at = map_next(at)) {
                struct pair *pair = container_of(at, struct pair, entry);

                if (pair->from == from && pair->to == to)
                        return pair;
        }
        return NULL;
}

void net_link_set(struct net *net, unsigned from, const struct net_link *link)
{
        net->endpoints[from]->wire.link = *link;
        net->endpoints[from]->wire.count = 0;
}

void net_link_set_between(struct net *net, unsigned from, unsigned to, const struct net_link *link)
{
        struct pair *pair = find_pair(net, from, to);
        unsigned key[2] = { from, to };

        if (!pair) {
                pair = calloc(1, sizeof(*pair));
                assert(pair);
                pair->from = from;
                pair->to = to;
                if (map_insert(&net->pairs, &pair->entry, map_hash(&net->pairs, key, sizeof(key))) < 0)
                        abort();
        }
        pair->wire.link = *link;
        pair->wire.count = 0;
}

void net_block(struct net *net, bool (*blocks)(void *context, const struct addr *from, const struct addr *to), void *context)
{
        net->blocks = blocks;
        net->blocks_context = context;
}

usec_t net_queue_us(const struct net *net, unsigned from)
{
        usec_t free_us = net->endpoints[from]->wire.free_us;

        return free_us > net->now_us ? free_us - net->now_us : 0;
}

usec_t net_now(const struct net *net)
{
        return net->now_us;
}

static bool earlier(const struct transit *a, const struct transit *b)
{
        return a->at_us != b->at_us ? a->at_us < b->at_us : a->serial < b->serial;
}

static void queue_push(struct net *net, struct transit *transit)
{
        size_t at = net->queue_count++;

        if (net->queue_count > net->queue_capacity) {
                net->queue_capacity = net->queue_capacity ? 2 * net->queue_capacity : 64;
                net->queue = realloc(net->queue, net->queue_capacity * sizeof(struct transit *));
                assert(net->queue);
        }
        while (at && earlier(transit, net->queue[(at - 1) / 2])) {
                net->queue[at] = net->queue[(at - 1) / 2];
                at = (at - 1) / 2;
        }
        net->queue[at] = transit;
}

static struct transit *queue_pop(struct net *net)
{
        struct transit *first = net->queue[0], *last = net->queue[--net->queue_count];
        size_t at = 0, child;

        while ((child = 2 * at + 1) < net->queue_count) {
                if (child + 1 < net->queue_count && earlier(net->queue[child + 1], net->queue[child]))
                        child++;
                if (!earlier(net->queue[child], last))
                        break;
                net->queue[at] = net->queue[child];
                at = child;
        }
        if (net->queue_count)
                net->queue[at] = last;
        return first;
}

usec_t net_deadline(const struct net *net)
{
        return net->queue_count ? net->queue[0]->at_us : USEC_NEVER;
}

void net_run_to(struct net *net, usec_t when_us)
{
        assert(when_us >= net->now_us && when_us != USEC_NEVER);
        net->now_us = when_us;
}

/* --- NATs --- */

struct net_nat *net_nat_add(struct net *net, const uint8_t outer_ip[4], const struct nat_box_kind *kind, struct net_nat *outer)
{
        struct net_nat *nat = calloc(1, sizeof(*nat));

        assert(nat);
        nat->box = nat_box_new(outer_ip, kind, net_random(net));
        nat->outer = outer;
        list_push_back(&net->nats, &nat->all);
        return nat;
}

struct nat_box *net_nat_box(struct net_nat *nat)
{
        return nat->box;
}

/* A NAT with that outer address, whose outer side is behind @outer. */
static struct net_nat *find_nat(const struct net *net, const struct addr *addr, const struct net_nat *outer)
{
        list_for_each(at, &net->nats) {
                struct net_nat *nat = list_entry(at, struct net_nat, all);

                if (nat->outer == outer && memcmp(nat_box_outer_ip(nat->box), addr->ip, sizeof(addr->ip)) == 0)
                        return nat;
        }
        return NULL;
}

/* Outwards from network to network until somebody has that address. */
static bool route(struct net *net, const struct endpoint *from, const struct addr *to, struct target *out)
{
        struct net_nat *inside = from->nat;

        *out = (struct target){ .from = from->addr };
        for (;;) {
                out->far = !inside;
                out->endpoint = find(net, to, inside);
                out->nat = out->endpoint ? NULL : find_nat(net, to, inside);
                if (out->endpoint || out->nat)
                        return !inside || !nat_box_kind(inside->box)->isolates;
                if (!inside || !nat_box_leave(inside->box, &out->from, to, net->now_us, &out->from))
                        return false;
                if (memcmp(nat_box_outer_ip(inside->box), to->ip, sizeof(to->ip)) == 0) {
                        out->nat = inside;
                        return nat_box_kind(inside->box)->hairpin;
                }
                inside = inside->outer;
        }
}

/* Inwards through NATs to whom it is for. */
static bool deliver(struct net *net, struct transit *transit)
{
        struct net_nat *nat = transit->nat;
        struct endpoint *endpoint;

        while (nat) {
                struct net_nat *inside = nat;

                if (!nat_box_enter(nat->box, &transit->from, transit->to.port, net->now_us, &transit->to)) {
                        net->totals.filtered++;
                        return false;
                }
                endpoint = find(net, &transit->to, inside);
                nat = endpoint ? NULL : find_nat(net, &transit->to, inside);
                if (!endpoint && !nat)
                        return false;
                if (endpoint)
                        transit->endpoint = endpoint->number;
        }
        return net->endpoints[transit->endpoint]->up;
}

bool net_receive(struct net *net, struct net_packet *out)
{
        struct transit *transit;

        do {
                free(net->received);
                net->received = NULL;
                if (net_deadline(net) > net->now_us)
                        return false;
                net->received = transit = queue_pop(net);
        } while (!deliver(net, transit));
        net->totals.delivered++;
        note_number(net, net->now_us);
        note_number(net, transit->serial);
        *out = (struct net_packet){
                .endpoint = transit->endpoint, .from = transit->from, .to = transit->to, .bytes = transit->bytes, .len = transit->len,
        };
        return true;
}

/* When the last bit leaves; USEC_NEVER when the queue before the wire is full. */
static usec_t serialise(struct net *net, struct wire *wire, size_t len)
{
        uint64_t rate = wire->link.bits_per_s, bits = (uint64_t)(len + IP_UDP_BYTES) * 8, scaled;

        if (!rate)
                return net->now_us;
        if (wire->free_us < net->now_us) {
                wire->free_us = net->now_us;
                wire->free_rest = 0;
        }
        if (wire->link.queue_bytes && (wire->free_us - net->now_us) * rate / 8 / 1000000 + len > wire->link.queue_bytes)
                return USEC_NEVER;
        scaled = bits * 1000000 + wire->free_rest;
        wire->free_us += scaled / rate;
        wire->free_rest = scaled % rate;
        return wire->free_us;
}

/* Too long for @wire, and not to be cut. */
static bool is_too_long(struct net *net, const struct net_link *link, size_t len, bool pieces)
{
        if (!link->mtu_bytes || len + IP_UDP_BYTES <= link->mtu_bytes)
                return false;
        if (!pieces || link->whole) {
                net->totals.too_long++;
                return true;
        }
        net->totals.cut++;
        for (size_t left = len; left > link->mtu_bytes - IP_UDP_BYTES; left -= link->mtu_bytes - IP_UDP_BYTES)
                if (chance(net, link->loss_ppm))
                        return true;
        return false;
}

static bool is_dropped(struct net *net, struct wire *wire, const uint8_t *bytes, size_t len, bool pieces)
{
        const struct net_link *link = &wire->link;
        uint32_t number = ++wire->count, drops = link->drop_count ? link->drop_count : 1;

        if (link->drop_nth && number >= link->drop_nth && number - link->drop_nth < drops)
                return true;
        if (link->drops && link->drops(link->context, bytes, len))
                return true;
        if (is_too_long(net, link, len, pieces))
                return true;
        return chance(net, link->loss_ppm);
}

static void depart(struct net *net, struct wire *wire, const struct target *target, const struct addr *to, usec_t left_us,
                   const void *bytes, size_t len)
{
        struct transit *transit = malloc(sizeof(*transit) + len);
        usec_t jitter_us = random_below(&net->dice.random, (uint32_t)wire->link.jitter_us + 1);
        usec_t at_us = left_us + wire->link.delay_us + jitter_us;

        assert(transit);
        if (!wire->link.reorder)
                at_us = usec_max(at_us, wire->last_arrival_us);
        wire->last_arrival_us = usec_max(at_us, wire->last_arrival_us);
        *transit = (struct transit){
                .at_us = at_us, .serial = net->serial++, .endpoint = target->endpoint ? target->endpoint->number : 0,
                .nat = target->nat, .from = target->from, .to = *to, .len = len,
        };
        memcpy(transit->bytes, bytes, len);
        if (len && chance(net, wire->link.corrupt_ppm))
                transit->bytes[random_below(&net->dice.random, (uint32_t)len)] ^= 1 << random_below(&net->dice.random, 8);
        if (wire->link.changes)
                wire->link.changes(wire->link.context, transit->bytes, len);
        queue_push(net, transit);
}

enum how {
        USUAL,
        SHORT_LIVED,
        IN_PIECES,
};

static void send_packet(struct net *net, unsigned from_number, const struct addr *to, enum how how, const void *bytes, size_t len)
{
        struct endpoint *from = net->endpoints[from_number];
        struct target target = { .endpoint = NULL };
        bool lost_inside = from->nat && from->up && is_dropped(net, &from->wire, bytes, len, how == IN_PIECES);
        bool found = from->up && !lost_inside && route(net, from, to, &target);
        unsigned to_number = found && target.endpoint ? target.endpoint->number : UINT32_MAX;
        struct pair *pair = found && target.endpoint ? find_pair(net, from_number, to_number) : NULL;
        struct wire *wire = pair ? &pair->wire : &from->wire;
        usec_t left_us;

        net->totals.sent++;
        net->totals.bytes_sent += len;
        note_number(net, net->now_us);
        note_number(net, (uint64_t)from_number << 32 | to_number);
        net_note(net, bytes, len);
        if (!lost_inside && (!found || (how == SHORT_LIVED && target.far))) {
                net->totals.unreachable++;
                return;
        }
        if (lost_inside || (!from->nat && is_dropped(net, wire, bytes, len, how == IN_PIECES)) ||
            (net->blocks && net->blocks(net->blocks_context, &target.from, to))) {
                net->totals.lost++;
                return;
        }
        left_us = serialise(net, wire, len);
        if (left_us == USEC_NEVER) {
                net->totals.queue_drops++;
                return;
        }
        depart(net, wire, &target, to, left_us, bytes, len);
        if (chance(net, wire->link.duplicate_ppm)) {
                net->totals.duplicated++;
                depart(net, wire, &target, to, left_us, bytes, len);
        }
}

void net_send(struct net *net, unsigned from, const struct addr *to, const void *bytes, size_t len)
{
        send_packet(net, from, to, USUAL, bytes, len);
}

void net_send_short(struct net *net, unsigned from, const struct addr *to, const void *bytes, size_t len)
{
        send_packet(net, from, to, SHORT_LIVED, bytes, len);
}

void net_send_pieces(struct net *net, unsigned from, const struct addr *to, const void *bytes, size_t len)
{
        send_packet(net, from, to, IN_PIECES, bytes, len);
}

const struct random *net_random(struct net *net)
{
        struct generator *generator = malloc(sizeof(*generator));

        assert(generator);
        generator_init(generator, splitmix(&net->seed));
        list_push_back(&net->generators, &generator->all);
        return &generator->random;
}

uint64_t net_hash(const struct net *net)
{
        return net->hash;
}

const struct net_totals *net_totals(const struct net *net)
{
        return &net->totals;
}
