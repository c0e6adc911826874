/* SPDX-License-Identifier: BSD-3-Clause */
#include "seeds.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int look_up(struct seed *seed, struct names *names)
{
        char what[sizeof(((struct name *)NULL)->what)];

        snprintf(what, sizeof(what), "bootstrap node %.32s:%u", seed->conf->host, seed->conf->port);
        seed->name = names_add(names, seed->conf->host, true, what);
        return seed->name ? 0 : -ENOMEM;
}

static int init_seed(struct seed *seed, struct names *names, const struct conf_bootstrap *conf)
{
        uint8_t ip[16];

        *seed = (struct seed){ .conf = conf };
        if (*conf->ip && names_literal(conf->ip, ip)) {
                seed->hinted = true;
                memcpy(seed->hint, ip + 12, sizeof(seed->hint));
                return 0;
        }
        return look_up(seed, names);
}

int seeds_init(struct seeds *seeds, struct names *names, const struct conf *conf)
{
        int r = 0;

        *seeds = (struct seeds){ .list = calloc(conf->bootstrap_count + 1, sizeof(*seeds->list)) };
        if (!seeds->list)
                return -ENOMEM;
        for (size_t i = 0; i < conf->bootstrap_count && r == 0; i++)
                r = init_seed(&seeds->list[seeds->count++], names, &conf->bootstrap[i]);
        return r;
}

void seeds_fini(struct seeds *seeds)
{
        free(seeds->list);
}

void seeds_distrust_hints(struct seeds *seeds, struct names *names)
{
        for (size_t i = 0; i < seeds->count; i++)
                if (!seeds->list[i].name)
                        look_up(&seeds->list[i], names);
}

static size_t add(struct seed_address *out, size_t count, size_t max, const uint8_t ip[4], uint16_t port)
{
        for (size_t i = 0; i < count; i++)
                if (memcmp(out[i].ip, ip, 4) == 0 && out[i].port == port)
                        return count;
        if (count == max)
                return count;
        memcpy(out[count].ip, ip, 4);
        out[count].port = port;
        return count + 1;
}

/* What is no IPv4 address (a literal of the other kind) is no DHT node. */
static bool is_ipv4(const uint8_t address[16])
{
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

        return memcmp(address, mapped, sizeof(mapped)) == 0;
}

size_t seeds_addresses(const struct seeds *seeds, struct seed_address *out, size_t max)
{
        size_t count = 0;

        for (size_t i = 0; i < seeds->count; i++) {
                const struct seed *seed = &seeds->list[i];

                if (seed->hinted)
                        count = add(out, count, max, seed->hint, seed->conf->port);
                for (size_t j = 0; seed->name && j < seed->name->count; j++)
                        if (is_ipv4(seed->name->address[j]))
                                count = add(out, count, max, seed->name->address[j] + 12, seed->conf->port);
        }
        return count;
}

bool seeds_use(const struct seeds *seeds, const struct name *name)
{
        for (size_t i = 0; i < seeds->count; i++)
                if (seeds->list[i].name == name)
                        return true;
        return false;
}
