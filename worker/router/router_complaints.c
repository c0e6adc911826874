/* SPDX-License-Identifier: BSD-3-Clause */
#include "router_complaints.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(struct router_reading) == 8 * sizeof(int), "two of them are compared as bytes");

bool router_reading_good(const struct router_reading *reading)
{
        return reading->verdict == ADVERT_NO_LIST ||
               (reading->verdict == ADVERT_OK && !reading->error && !reading->surplus && !reading->garbage);
}

/* The place of @peer, or the one that was of no use for longest; NULL: all are of use. */
static struct router_complaint *place_of(struct router_complaints *complaints, const uint8_t peer[IPC_KEY_BYTES], usec_t now_us)
{
        struct router_complaint *oldest = &complaints->list[0];

        for (size_t i = 0; i < ROUTER_COMPLAINTS_MAX; i++) {
                struct router_complaint *one = &complaints->list[i];

                if (one->told_us && memcmp(one->peer, peer, sizeof(one->peer)) == 0)
                        return one;
                if (one->last_us < oldest->last_us)
                        oldest = one;
        }
        return !oldest->told_us || now_us - oldest->last_us >= ROUTER_FORGIVE_US ? oldest : NULL;
}

bool router_complaints_take(struct router_complaints *complaints, const uint8_t peer[IPC_KEY_BYTES], const struct router_reading *reading,
                            usec_t now_us)
{
        struct router_complaint *one = place_of(complaints, peer, now_us);
        bool known, same;

        if (!one)
                return false;
        known = one->told_us && now_us - one->last_us < ROUTER_FORGIVE_US;
        same = memcmp(&one->reading, reading, sizeof(*reading)) == 0;
        one->last_us = now_us;
        if (known && (same || now_us - one->told_us < ROUTER_COMPLAIN_US))
                return false;
        memcpy(one->peer, peer, sizeof(one->peer));
        one->reading = *reading;
        one->told_us = now_us;
        return true;
}

static const char *flaw_text(enum advert_flaw flaw)
{
        static const char *const texts[ADVERT_FLAWS] = {
                [ADVERT_FLAWLESS] = "is good",
                [ADVERT_NO_OBJECT] = "is no object",
                [ADVERT_GATE_PORT] = "has no gatePort from 1 to 65535",
                [ADVERT_PROTOCOL] = "has a protocol that is neither 0 (TCP) nor 1 (UDP)",
                [ADVERT_HOST] = "has a serviceHost that is no text of at most 253 bytes",
                [ADVERT_TAGS] = "has tags that are no text of at most 511 bytes",
                [ADVERT_SNI] = "has an sni that is no text of at most 253 bytes",
        };

        return texts[flaw];
}

/* What was read of it counts. */
static void list_text(const struct router_reading *reading, char *out, size_t size)
{
        int len = 0;

        if (reading->error == -ENOSPC)
                len = snprintf(out, size, "it has its share of the gates, routesPerPeer, or all are taken");
        else if (reading->error)
                len = snprintf(out, size, "%s", strerror(-reading->error));
        else if (reading->surplus)
                len = snprintf(out, size, "it has %u, of which the first %d count", ADVERT_ROUTES_MAX + reading->surplus,
                               ADVERT_ROUTES_MAX);
        if (reading->garbage && len >= 0 && (size_t)len < size)
                snprintf(out + len, size - (size_t)len, "%s%u can't be understood; the first of these, number %u in its list, %s",
                         len ? "; " : "", reading->garbage, reading->flawed, flaw_text(reading->flaw));
}

static void length_text(const struct router_reading *reading, char *out, size_t size)
{
        if (!reading->most)
                snprintf(out, size, "its list has %u bytes, of more than %d none are read, and what it offered before stays until it expires; "
                         "it needs fewer services", reading->bytes, ADVERT_BYTES_MAX);
        else if (reading->bytes > reading->most)
                snprintf(out, size, "its connection ended with a message of %u bytes, and more than %u are not taken: it needs fewer "
                         "services, if that was their list", reading->bytes, reading->most);
        else
                snprintf(out, size, "its connection ended with a message of %u bytes: connections with others have taken the room to hold it "
                         "whole", reading->bytes);
}

const char *router_reading_text(const struct router_reading *reading, char *out, size_t size)
{
        out[0] = '\0';
        if (reading->verdict == ADVERT_MALFORMED)
                snprintf(out, size, "its list is no JSON object, and what it offered before stays until it expires");
        else if (reading->verdict == ADVERT_TOO_DEEP)
                snprintf(out, size, "its list has more than %d levels, and what it offered before stays until it expires",
                         ADVERT_DEPTH_MAX);
        else if (reading->verdict == ADVERT_TOO_LARGE)
                length_text(reading, out, size);
        else
                list_text(reading, out, size);
        return out;
}
