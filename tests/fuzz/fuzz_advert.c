/* SPDX-License-Identifier: BSD-3-Clause */
/* An advertisement from a peer: whatever is taken can be written again and reads back the same. A policy may name one network twice, of which
 * only the first is written: what was written once is written the same again. */
#include <stdlib.h>
#include <string.h>

#include "policy.h"
#include "router_advert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void demand(bool condition)
{
        if (!condition)
                abort();
}

static void check_policies(const struct advert *advert)
{
        for (size_t i = 0; i < advert->count; i++) {
                const struct policy *policy = advert->routes[i].policy;

                demand(!policy || (policy->count > 0 && policy->count <= IPC_RULES_MAX));
                for (size_t k = 0; policy && k < policy->count; k++)
                        demand(policy_rule_is_sound(&policy->rule[k]) &&
                               (policy->rule[k].who != IPC_RULE_OTHERS || k + 1 == policy->count));
        }
}

/* Without what the second reading has copies of. */
static void strip(struct advert *advert)
{
        size_t count = advert->count;

        advert_release(advert);
        advert->count = count;
        for (size_t i = 0; i < count; i++) {
                advert->routes[i].policy = NULL;
                advert->routes[i].keeps_policy = 0;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        static struct advert first, second;
        char *text = NULL, *again;
        size_t text_len, again_len;

        if (advert_decode((const char *)data, len, &first) != ADVERT_OK)
                return 0;
        demand(first.count <= ADVERT_ROUTES_MAX);
        check_policies(&first);
        if (advert_encode(first.routes, first.count, &text, &text_len) == 0) {
                demand(advert_decode(text, text_len, &second) == ADVERT_OK && second.count == first.count && !second.garbage);
                demand(advert_encode(second.routes, second.count, &again, &again_len) == 0);
                demand(again_len == text_len && memcmp(again, text, text_len) == 0);
                free(again);
                strip(&second);
        }
        strip(&first);
        demand(!text || memcmp(first.routes, second.routes, first.count * sizeof(first.routes[0])) == 0);
        free(text);
        return 0;
}
