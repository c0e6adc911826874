/* SPDX-License-Identifier: BSD-3-Clause */
#include "router_offers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc_service.h"
#include "policy.h"

void router_offers_fini(struct router_offers *offers)
{
        for (size_t i = 0; offers->list && i < offers->count; i++)
                policy_leave(offers->list[i].policy);
        free(offers->list);
        free(offers->withheld);
        *offers = (struct router_offers){ 0 };
}

int router_offers_set(struct router_offers *offers, const struct advert_route *list, const bool *withheld, size_t count)
{
        struct router_offers next = { .list = calloc(count + 1, sizeof(*list)), .withheld = calloc(count + 1, sizeof(*withheld)),
                                      .count = count };

        if (!next.list || !next.withheld) {
                router_offers_fini(&next);
                return -ENOMEM;
        }
        memcpy(next.list, list, count * sizeof(*list));
        for (size_t i = 0; i < count; i++)
                policy_hold(next.list[i].policy);
        memcpy(next.withheld, withheld, count * sizeof(*withheld));
        router_offers_fini(offers);
        *offers = next;
        return 0;
}

bool router_offers_hear(struct router_offers *offers, const struct ipc_service_health *health)
{
        bool news = false;

        for (size_t i = 0; i < offers->count; i++) {
                const struct advert_route *route = &offers->list[i];

                if (route->gate_port != health->gate_port || route->protocol != health->protocol ||
                    ipc_service_name(route->host, route->service_port, route->tags) != health->service)
                        continue;
                news = news || offers->withheld[i] == (health->there != 0);
                offers->withheld[i] = health->there == 0;
        }
        return news;
}

/* As many of @there, from the first, as fit; *@count is how many there are, and becomes that. One more is one byte more at least: what fits is
 * found in halves, as each try writes all of it. */
static int encode_what_fits(const struct advert_route *there, size_t *count, char **text_out, size_t *len_out)
{
        size_t fits = 0, all = *count, next = all, len = 0;     /* @fits do, and more than @all don't */
        char *text = NULL;
        int r;

        do {
                char *more;
                size_t more_len;

                r = advert_encode(there, next, &more, &more_len);
                if (r == 0) {
                        free(text);
                        text = more;
                        len = more_len;
                        fits = next;
                } else if (r == -E2BIG && next) {
                        all = next - 1;
                } else {
                        free(text);
                        return r;
                }
                next = fits + (all - fits + 1) / 2;
        } while (!text || fits < all);
        *count = fits;
        *text_out = text;
        *len_out = len;
        return 0;
}

int router_offers_encode(const struct router_offers *offers, char **text_out, size_t *len_out, size_t *count_out, size_t *left_out)
{
        struct advert_route *there = calloc(offers->count + 1, sizeof(*there));
        size_t all = 0, count;
        int r;

        if (!there)
                return -ENOMEM;
        for (size_t i = 0; i < offers->count; i++)
                if (!offers->withheld[i])
                        there[all++] = offers->list[i];
        count = all;
        r = encode_what_fits(there, &count, text_out, len_out);
        *count_out = count;
        *left_out = all - count;
        free(there);
        return r;
}
