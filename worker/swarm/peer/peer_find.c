/* SPDX-License-Identifier: BSD-3-Clause */
/* How a dial finds nodes that know its peer, and asks them to carry its handshake (connect.md 3 C1 to C4). */
#include "peer_private.h"

enum {
        PARALLEL = 2,           /* handshakes on their way that are not late yet: hyperdht lib/connect.js */
        PARALLEL_LISTED = 3,    /* and when relays were known */
        FLYING_MAX = 8,         /* late ones included */
};

#define PATIENCE_US MSEC(300)           /* a relay that takes longer is late: the next one is asked beside it */
#define LISTED_FIRST_US MSEC(500)       /* the relays we know have that long before the network is searched */

static bool is_fresh(const struct peer_dial_relay *relay, usec_t now_us)
{
        return relay->handshake && now_us < relay->asked_us + PATIENCE_US;
}

static unsigned flying(const struct peer_dial *dial)
{
        unsigned count = 0;

        for (unsigned i = 0; i < dial->asked; i++)
                count += dial->relays[i].handshake != NULL;
        return count;
}

static unsigned fresh(const struct peer_dial *dial, usec_t now_us)
{
        unsigned count = 0;

        for (unsigned i = 0; i < dial->asked; i++)
                count += is_fresh(&dial->relays[i], now_us);
        return count;
}

/* When a relay that is asked becomes late, so that another may be. */
static usec_t late_us(const struct peer_dial *dial, usec_t now_us)
{
        usec_t first_us = USEC_NEVER;

        if (dial->asked == dial->relay_count || flying(dial) == FLYING_MAX)
                return USEC_NEVER;
        for (unsigned i = 0; i < dial->asked; i++)
                if (is_fresh(&dial->relays[i], now_us))
                        first_us = usec_min(first_us, dial->relays[i].asked_us + PATIENCE_US);
        return first_us;
}

usec_t peer_find_deadline(const struct peer_dial *dial, usec_t now_us)
{
        return usec_min(dial->query_us, late_us(dial, now_us));
}

/* No more news from the DHT. */
void peer_find_stop(struct peer_dial *dial, const struct now *now)
{
        struct peer_set *set = dial->source.set;

        if (dial->query)
                dht_query_cancel(set->dht, dial->query, now);
        dial->query = NULL;
        dial->query_us = USEC_NEVER;
        for (unsigned i = 0; i < dial->asked; i++) {
                if (dial->relays[i].handshake)
                        dht_handshake_cancel(set->dht, dial->relays[i].handshake);
                dial->relays[i].handshake = NULL;
        }
}

void peer_find_add(struct peer_dial *dial, const struct addr *addr)
{
        if (dial->relay_count == PEER_DIAL_RELAYS_MAX || addr_is_unusable(addr))
                return;
        for (unsigned i = 0; i < dial->relay_count; i++)
                if (addr_equal(&dial->relays[i].addr, addr))
                        return;
        dial->relays[dial->relay_count++] = (struct peer_dial_relay){ .addr = *addr };
}

/* Asks as many as may be asked now: the same message to each, which the server knows to be one handshake. */
static void ask(struct peer_dial *dial, const struct now *now)
{
        while (dial->asked < dial->relay_count && flying(dial) < FLYING_MAX && fresh(dial, now->mono_us) < dial->parallel) {
                struct peer_dial_relay *relay = &dial->relays[dial->asked++];

                relay->asked_us = now->mono_us;
                relay->handshake = dht_handshake_send(dial->source.set->dht, &relay->addr, dial->target, dial->question,
                                                      dial->question_len, dial, now);
        }
}

static void search(struct peer_dial *dial, const struct now *now)
{
        struct addr seeds[PEER_DIAL_RELAYS_MAX];
        struct dht_query_spec spec = {
                .operation = DHT_FIND_PEER,
                .target = dial->target,
                .seeds = seeds,
                .seed_count = dial->relay_count,
                .retries = RPC_RETRIES,
                .context = dial,
        };

        for (unsigned i = 0; i < dial->relay_count; i++)
                seeds[i] = dial->relays[i].addr;
        dial->query_us = USEC_NEVER;
        dial->query = dht_query(dial->source.set->dht, &spec, now);
}

static bool is_asking(const struct peer_dial *dial)
{
        return flying(dial) || dial->asked < dial->relay_count;
}

/* Goes on with the search. False: nothing is left to try. */
bool peer_find(struct peer_dial *dial, const struct now *now)
{
        ask(dial, now);
        if (dial->query_us != USEC_NEVER && (now->mono_us >= dial->query_us || !is_asking(dial)))
                search(dial, now);
        return dial->query || dial->query_us != USEC_NEVER || is_asking(dial);
}

void peer_find_over(struct peer_dial *dial, const struct dht_handshake *handshake)
{
        for (unsigned i = 0; i < dial->asked; i++)
                if (dial->relays[i].handshake == handshake)
                        dial->relays[i].handshake = NULL;
}

static void list_relays(struct peer_dial *dial, const struct peer_dial_spec *spec)
{
        struct addr forward;

        if (dht_forward_of(dial->source.set->dht, dial->target, &forward)) {
                peer_find_add(dial, &forward);
                return;
        }
        for (size_t i = 0; i < spec->relay_count && i < DHT_PEER_RELAYS_MAX; i++)
                peer_find_add(dial, &spec->relays[i]);
}

/* Whoever was asked before the network was there. */
void peer_find_again(struct peer_dial *dial, const struct now *now)
{
        peer_find_stop(dial, now);
        dial->asked = 0;
        dial->query_us = dial->relay_count ? now->mono_us + LISTED_FIRST_US : now->mono_us;
}

void peer_find_start(struct peer_dial *dial, const struct peer_dial_spec *spec, const struct now *now)
{
        list_relays(dial, spec);
        dial->parallel = dial->relay_count ? PARALLEL_LISTED : PARALLEL;
        dial->query_us = dial->relay_count ? now->mono_us + LISTED_FIRST_US : now->mono_us;
}
