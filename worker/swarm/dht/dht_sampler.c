/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht_sampler.h"

#include <assert.h>

enum { LOOK_BACK = 4 };         /* samples: an address not among them starts to count anew */

/* A counter in no slot that wins nothing. */
static uint8_t counter_take(struct dht_sampler *s, const struct addr *addr)
{
        for (int i = 0; i < DHT_SAMPLER_COUNTERS; i++) {
                if (s->counters[i].hits || i + 1 == s->best_addr || i + 1 == s->best_host)
                        continue;
                s->counters[i].addr = *addr;
                s->counters[i].hits = 1;
                return (uint8_t)i;
        }
        assert(false);          /* slots, two winners and one new one hold at most DHT_SAMPLER_COUNTERS - 1 */
        return 0;
}

/* nat-sampler _bump(): @back slots before the next one, in steps of a sample. */
static uint8_t counter_bump(struct dht_sampler *s, const struct addr *addr, unsigned back)
{
        for (unsigned i = 0; i < LOOK_BACK; i++) {
                unsigned slot = (s->top - back - 2 * i) & (DHT_SAMPLER_SLOTS - 1);

                if (slot >= s->len)
                        break;
                if (addr_equal(&s->counters[s->slots[slot]].addr, addr)) {
                        s->counters[s->slots[slot]].hits++;
                        return s->slots[slot];
                }
        }
        return counter_take(s, addr);
}

static void slot_set(struct dht_sampler *s, uint8_t counter)
{
        if (s->top == DHT_SAMPLER_SLOTS)
                s->top = 0;
        if (s->top < s->len)
                s->counters[s->slots[s->top]].hits--;
        else
                s->len++;
        s->slots[s->top++] = counter;
}

static void vote(int *best, const struct dht_sampler *s, uint8_t counter)
{
        if (!*best || s->counters[*best - 1].hits < s->counters[counter].hits)
                *best = counter + 1;
}

/* How many must agree: all of few, all but three of many. */
static unsigned threshold(const struct dht_sampler *s)
{
        return s->samples - (s->samples < 4 ? 0 : s->samples < 8 ? 1 : s->samples < 12 ? 2 : 3);
}

bool dht_sampler_add(struct dht_sampler *s, const struct addr *seen)
{
        struct addr host = { .port = 0 }, before = s->result;
        bool known = s->known;
        uint8_t a, b;

        memcpy(host.ip, seen->ip, sizeof(host.ip));
        a = counter_bump(s, seen, 2);
        b = counter_bump(s, &host, 1);
        if (s->samples < DHT_SAMPLES)
                s->samples++;
        slot_set(s, a);
        slot_set(s, b);
        vote(&s->best_addr, s, a);
        vote(&s->best_host, s, b);
        s->known = true;
        if (s->counters[s->best_addr - 1].hits >= threshold(s))
                s->result = s->counters[s->best_addr - 1].addr;
        else if (s->counters[s->best_host - 1].hits >= threshold(s))
                s->result = s->counters[s->best_host - 1].addr;
        else
                s->known = false;
        return s->known != known || (known && !addr_equal(&before, &s->result));
}

bool dht_sampler_result(const struct dht_sampler *s, struct addr *out)
{
        if (s->known)
                *out = s->result;
        return s->known;
}
