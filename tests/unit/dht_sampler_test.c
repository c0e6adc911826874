/* SPDX-License-Identifier: BSD-3-Clause */
/* The vote over our own address, step by step as nat-sampler 1.0.1 does it (tests/vectors/dht.json natSampler). */
#include "dht_sampler.h"

#include <stdio.h>
#include <string.h>

#include "test.h"
#include "vectors.h"

static struct addr addr_of(json_t *row, const char *host_path, const char *port_path)
{
        struct addr addr = { .port = (uint16_t)vector_number(row, port_path) };
        unsigned ip[4];

        check_equal(sscanf(vector_text(row, host_path), "%u.%u.%u.%u", &ip[0], &ip[1], &ip[2], &ip[3]), 4);
        for (unsigned i = 0; i < 4; i++)
                addr.ip[i] = (uint8_t)ip[i];
        return addr;
}

TEST(dht_sampler_votes_like_the_reference)
{
        json_t *rows = vector_at(vectors("dht.json"), "natSampler"), *row, *step;
        size_t i, k;

        json_array_foreach(rows, i, row) {
                struct dht_sampler sampler = { .len = 0 };

                json_array_foreach(vector_at(row, "steps"), k, step) {
                        struct addr seen = addr_of(step, "host", "port"), before = { .port = 0 }, after = { .port = 0 };
                        bool knew = dht_sampler_result(&sampler, &before);
                        bool changed = dht_sampler_add(&sampler, &seen);
                        bool knows = dht_sampler_result(&sampler, &after);

                        check_equal(changed, knew != knows || !addr_equal(&before, &after));
                        check_equal(knows, json_is_string(json_object_get(step, "resultHost")));
                        if (knows) {
                                struct addr expected = addr_of(step, "resultHost", "resultPort");

                                check(addr_equal(&after, &expected));
                        }
                }
        }
}

TEST(dht_sampler_survives_addresses_that_all_differ)
{
        struct dht_sampler sampler = { .len = 0 };
        struct addr result;
        uint64_t seed = 3;

        for (unsigned i = 0; i < 10000; i++) {
                struct addr seen;

                test_random_fill(&seed, &seen, sizeof(seen));
                seen.ip[0] = 80;
                seen.ip[1] %= 2;
                seen.ip[2] = seen.ip[3] = 0;
                dht_sampler_add(&sampler, &seen);
        }
        check(!dht_sampler_result(&sampler, &result) || result.port == 0);
}
