/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer_private.h"
#include "test.h"

#define ADDR(a, b, c, d, p) { .ip = { a, b, c, d }, .port = p }

/* connect.md 1, matchAddress: three shared octets go before two, before one; of equals the first of ours, then of theirs. */
TEST(peer_address_matches_by_shared_octets)
{
        static const struct addr mine[] = { ADDR(10, 1, 2, 3, 1), ADDR(192, 168, 7, 10, 1) };
        static const struct addr three[] = { ADDR(10, 9, 9, 9, 5), ADDR(192, 168, 8, 1, 6), ADDR(192, 168, 7, 1, 7) };
        static const struct addr two[] = { ADDR(10, 9, 9, 9, 5), ADDR(192, 168, 8, 1, 6), ADDR(192, 168, 9, 1, 7) };
        static const struct addr one[] = { ADDR(172, 16, 0, 1, 5), ADDR(192, 1, 1, 1, 6), ADDR(10, 9, 9, 9, 7) };
        static const struct addr none[] = { ADDR(172, 16, 0, 1, 5), ADDR(193, 168, 7, 10, 6) };

        check(peer_match_address(mine, 2, three, 3) == &three[2]);
        check(peer_match_address(mine, 2, two, 3) == &two[1]);
        check(peer_match_address(mine, 2, one, 3) == &one[2]);
        check(peer_match_address(mine, 2, none, 2) == NULL);
        check(peer_match_address(mine, 0, three, 3) == NULL);
        check(peer_match_address(mine, 2, three, 0) == NULL);
}

TEST(peer_address_first_public_is_one_to_dial)
{
        static const struct addr addrs[] = {
                ADDR(10, 0, 0, 1, 1), ADDR(100, 64, 0, 1, 1), ADDR(127, 0, 0, 1, 1), ADDR(169, 254, 1, 1, 1),
                ADDR(172, 16, 0, 1, 1), ADDR(203, 0, 113, 9, 1), ADDR(240, 0, 0, 1, 1), ADDR(0, 1, 1, 1, 1),
                ADDR(8, 8, 8, 8, 0), ADDR(8, 8, 4, 4, 53),
        };

        check(peer_first_public(addrs, 10) == &addrs[9]);
        check(peer_first_public(addrs, 9) == NULL);
        check(peer_first_public(addrs, 0) == NULL);
}

TEST(peer_address_knows_its_own_host)
{
        struct peer_set set = { .local = { ADDR(192, 168, 7, 10, 0) }, .local_count = 1, .server_local = ADDR(0, 0, 0, 0, 5) };

        check(peer_is_own_host(&set, &(struct addr)ADDR(127, 3, 2, 1, 9)));
        check(peer_is_own_host(&set, &(struct addr)ADDR(192, 168, 7, 10, 9)));
        check(!peer_is_own_host(&set, &(struct addr)ADDR(192, 168, 7, 11, 9)));
        set.server_local = (struct addr)ADDR(192, 168, 7, 11, 5);
        check(peer_is_own_host(&set, &(struct addr)ADDR(192, 168, 7, 11, 9)));
}
