/* SPDX-License-Identifier: BSD-3-Clause */
/* The services of this provider, as they are advertised: those that are not there are withheld. */
#ifndef HG_ROUTER_OFFERS_H
#define HG_ROUTER_OFFERS_H

#include <stdbool.h>

#include "ipc_forward.h"
#include "router_advert.h"

struct router_offers {
        struct advert_route *list;
        bool *withheld;
        size_t count;
};

/* Zeroed memory is an empty one. */
void router_offers_fini(struct router_offers *offers);

/* Copies @count of them, and which are withheld. 0 or -ENOMEM: all stays. */
int router_offers_set(struct router_offers *offers, const struct advert_route *list, const bool *withheld, size_t count);

/* True: that is news. */
bool router_offers_hear(struct router_offers *offers, const struct ipc_service_health *health);

/* As advert_encode(), of those that are there, but those of them that do not fit are left out from the end: *@count_out are advertised,
 * *@left_out are not. */
int router_offers_encode(const struct router_offers *offers, char **text_out, size_t *len_out, size_t *count_out, size_t *left_out);

#endif
