/* SPDX-License-Identifier: BSD-3-Clause */
#include "nat_sample.h"

enum {
        AGREE_MIN = 3,                  /* two by chance where a line has some hundred ports */
        AGREE_EACH_MIN = 2,             /* of those who see the second of two hosts */
        DISAGREE_MIN = 3,
};

static void drop(struct nat_samples *samples, size_t at)
{
        samples->count--;
        memmove(&samples->sample[at], &samples->sample[at + 1], (samples->count - at) * sizeof(samples->sample[0]));
}

void nat_samples_add(struct nat_samples *samples, const struct addr *witness, const struct addr *seen)
{
        for (size_t i = 0; i < samples->count; i++) {
                struct addr before = samples->sample[i].seen;

                if (!addr_equal(&samples->sample[i].witness, witness))
                        continue;
                if (addr_host_equal(&before, seen) && before.port != seen->port && nat_samples_judge(samples).class != NAT_RANDOM)
                        samples->count = 0;
                else
                        drop(samples, i);
                break;
        }
        if (samples->count == NAT_SAMPLES_MAX)
                drop(samples, 0);
        samples->sample[samples->count++] = (struct nat_sample){ *witness, *seen };
}

static bool is_said_already(const struct nat_samples *samples, const struct nat_sample *sample)
{
        for (size_t i = 0; i < samples->count; i++)
                if (addr_equal(&samples->sample[i].seen, &sample->seen) && !addr_is_private(&sample->witness) &&
                    addr_host_equal(&samples->sample[i].witness, &sample->witness))
                        return true;
        return false;
}

static struct nat_samples of_different_hosts(const struct nat_samples *samples)
{
        struct nat_samples some = { .count = 0 };

        for (size_t i = 0; i < samples->count; i++)
                if (!is_said_already(&some, &samples->sample[i]))
                        some.sample[some.count++] = samples->sample[i];
        return some;
}

struct tally {
        struct addr addr;
        size_t hits;
};

/* By hits, most first; the latest first where they are as many. */
static size_t count_up(const struct nat_samples *samples, bool hosts_only, struct tally out[NAT_SAMPLES_MAX])
{
        size_t count = 0;

        for (size_t i = samples->count; i-- > 0;) {
                struct addr seen = samples->sample[i].seen;
                size_t at = 0;

                if (hosts_only)
                        seen.port = 0;
                while (at < count && !addr_equal(&out[at].addr, &seen))
                        at++;
                if (at == count)
                        out[count++] = (struct tally){ seen, 0 };
                out[at].hits++;
                for (; at && out[at - 1].hits < out[at].hits; at--) {
                        struct tally better = out[at];

                        out[at] = out[at - 1];
                        out[at - 1] = better;
                }
        }
        return count;
}

static struct nat_view consistent(const struct tally *tally, size_t count)
{
        struct nat_view view = { .class = NAT_CONSISTENT };

        for (size_t i = 0; i < count; i++)
                view.addresses[view.address_count++] = tally[i].addr;
        return view;
}

static struct nat_view random_view(const struct nat_samples *samples)
{
        struct tally hosts[NAT_SAMPLES_MAX];

        count_up(samples, true, hosts);
        return (struct nat_view){ .class = NAT_RANDOM, .addresses = { hosts[0].addr }, .address_count = 1 };
}

static struct nat_view judge(const struct nat_samples *samples)
{
        struct tally addrs[NAT_SAMPLES_MAX];
        size_t count = count_up(samples, false, addrs);

        if (count && addrs[0].hits >= AGREE_MIN && 4 * addrs[0].hits >= 3 * samples->count)
                return consistent(addrs, 1);
        if (count == 2 && addrs[1].hits >= AGREE_EACH_MIN && !addr_host_equal(&addrs[0].addr, &addrs[1].addr))
                return consistent(addrs, 2);    /* one port each on two lines, or on two addresses of a carrier's */
        if (samples->count < DISAGREE_MIN)
                return (struct nat_view){ .class = NAT_UNKNOWN };
        return random_view(samples);
}

struct nat_view nat_samples_judge(const struct nat_samples *samples)
{
        struct nat_samples some = of_different_hosts(samples);

        return judge(&some);
}

struct nat_view nat_samples_guess(const struct nat_samples *samples)
{
        struct nat_samples some = of_different_hosts(samples);
        struct nat_view view = judge(&some);
        struct tally addrs[NAT_SAMPLES_MAX];
        size_t count = count_up(&some, false, addrs);

        if (view.class != NAT_UNKNOWN || !count)
                return view;
        return count > 1 ? random_view(&some) : consistent(addrs, count);
}
