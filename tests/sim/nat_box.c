/* SPDX-License-Identifier: BSD-3-Clause */
#include "nat_box.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

enum { FIRST_PORT = 1024 };

#define KNOCK_US SECONDS(30)            /* a jealous one remembers who knocked in vain: nf_conntrack_udp_timeout of Linux */

struct mapping {
        struct addr inner;
        struct addr remote;             /* for whom, as far as the kind looks at it */
        uint16_t port;
        usec_t used_us;                 /* last packet out */
};

/* Somebody a mapping has sent to, or who knocked at a port unasked. */
struct contact {
        struct addr remote;
        uint16_t port;
        bool knocked;
        usec_t used_us;
};

struct nat_box {
        uint8_t outer_ip[4];
        struct nat_box_kind kind;
        const struct random *random;
        struct mapping *mappings;
        size_t mapping_count, mapping_capacity;
        struct contact *contacts;
        size_t contact_count, contact_capacity;
};

struct nat_box *nat_box_new(const uint8_t outer_ip[4], const struct nat_box_kind *kind, const struct random *random)
{
        struct nat_box *box = calloc(1, sizeof(*box));

        assert(box);
        memcpy(box->outer_ip, outer_ip, sizeof(box->outer_ip));
        box->kind = *kind;
        box->random = random;
        return box;
}

void nat_box_free(struct nat_box *box)
{
        if (!box)
                return;
        free(box->mappings);
        free(box->contacts);
        free(box);
}

const uint8_t *nat_box_outer_ip(const struct nat_box *box)
{
        return box->outer_ip;
}

const struct nat_box_kind *nat_box_kind(const struct nat_box *box)
{
        return &box->kind;
}

void nat_box_reboot(struct nat_box *box)
{
        box->mapping_count = box->contact_count = 0;
}

static bool lives(const struct nat_box *box, usec_t used_us, usec_t now_us)
{
        return !box->kind.lifetime_us || now_us < used_us + box->kind.lifetime_us;
}

size_t nat_box_mappings(const struct nat_box *box, usec_t now_us)
{
        size_t count = 0;

        for (size_t i = 0; i < box->mapping_count; i++)
                count += lives(box, box->mappings[i].used_us, now_us);
        return count;
}

static bool same(enum nat_scope scope, const struct addr *a, const struct addr *b)
{
        return scope == NAT_BOX_ANYBODY || (scope == NAT_BOX_SAME_HOST ? addr_host_equal(a, b) : addr_equal(a, b));
}

static void forget_dead(struct nat_box *box, usec_t now_us)
{
        size_t kept = 0;

        for (size_t i = 0; i < box->mapping_count; i++)
                if (lives(box, box->mappings[i].used_us, now_us))
                        box->mappings[kept++] = box->mappings[i];
        box->mapping_count = kept;
        kept = 0;
        for (size_t i = 0; i < box->contact_count; i++)
                if (lives(box, box->contacts[i].used_us, now_us) &&
                    !(box->contacts[i].knocked && now_us >= box->contacts[i].used_us + KNOCK_US))
                        box->contacts[kept++] = box->contacts[i];
        box->contact_count = kept;
}

static struct contact *find_contact(const struct nat_box *box, const struct addr *remote, uint16_t port, bool knocked)
{
        for (size_t i = 0; i < box->contact_count; i++)
                if (box->contacts[i].port == port && box->contacts[i].knocked == knocked &&
                    addr_equal(&box->contacts[i].remote, remote))
                        return &box->contacts[i];
        return NULL;
}

static void note_contact(struct nat_box *box, const struct addr *remote, uint16_t port, bool knocked, usec_t now_us)
{
        struct contact *contact = find_contact(box, remote, port, knocked);

        if (!contact) {
                if (box->contact_count == box->contact_capacity) {
                        box->contact_capacity = box->contact_capacity ? 2 * box->contact_capacity : 16;
                        box->contacts = realloc(box->contacts, box->contact_capacity * sizeof(*box->contacts));
                        assert(box->contacts);
                }
                contact = &box->contacts[box->contact_count++];
                *contact = (struct contact){ .remote = *remote, .port = port, .knocked = knocked };
        }
        contact->used_us = now_us;
}

static bool is_taken(const struct nat_box *box, uint16_t port, const struct addr *remote)
{
        for (size_t i = 0; i < box->mapping_count; i++)
                if (box->mappings[i].port == port)
                        return true;
        return box->kind.jealous && find_contact(box, remote, port, true);
}

static uint16_t choose_port(const struct nat_box *box, uint16_t wanted, const struct addr *remote)
{
        uint16_t port = wanted;

        while (box->kind.random_ports ? port == wanted || is_taken(box, port, remote) : is_taken(box, port, remote))
                port = (uint16_t)(FIRST_PORT + random_below(box->random, 65536 - FIRST_PORT));
        return port;
}

static struct mapping *find_mapping(const struct nat_box *box, const struct addr *inner, const struct addr *remote)
{
        for (size_t i = 0; i < box->mapping_count; i++)
                if (addr_equal(&box->mappings[i].inner, inner) && same(box->kind.mapping, &box->mappings[i].remote, remote) &&
                    !(box->kind.jealous && find_contact(box, remote, box->mappings[i].port, true)))
                        return &box->mappings[i];
        return NULL;
}

bool nat_box_leave(struct nat_box *box, const struct addr *inner, const struct addr *remote, usec_t now_us, struct addr *outer_out)
{
        struct mapping *mapping;

        if (box->kind.udp_blocked)
                return false;
        forget_dead(box, now_us);
        mapping = find_mapping(box, inner, remote);
        if (!mapping) {
                if (box->mapping_count == box->mapping_capacity) {
                        box->mapping_capacity = box->mapping_capacity ? 2 * box->mapping_capacity : 16;
                        box->mappings = realloc(box->mappings, box->mapping_capacity * sizeof(*box->mappings));
                        assert(box->mappings);
                }
                mapping = &box->mappings[box->mapping_count];
                *mapping = (struct mapping){ .inner = *inner, .remote = *remote, .port = choose_port(box, inner->port, remote) };
                box->mapping_count++;
        }
        mapping->used_us = now_us;
        note_contact(box, remote, mapping->port, false, now_us);
        memcpy(outer_out->ip, box->outer_ip, sizeof(outer_out->ip));
        outer_out->port = mapping->port;
        return true;
}

static bool lets_in(const struct nat_box *box, const struct addr *remote, uint16_t port, usec_t now_us)
{
        if (box->kind.filtering == NAT_BOX_ANYBODY)
                return true;
        for (size_t i = 0; i < box->contact_count; i++) {
                const struct contact *contact = &box->contacts[i];

                if (contact->port == port && !contact->knocked && lives(box, contact->used_us, now_us) &&
                    same(box->kind.filtering, &contact->remote, remote))
                        return true;
        }
        return false;
}

bool nat_box_enter(struct nat_box *box, const struct addr *remote, uint16_t port, usec_t now_us, struct addr *inner_out)
{
        for (size_t i = 0; i < box->mapping_count; i++) {
                const struct mapping *mapping = &box->mappings[i];

                if (mapping->port != port || !lives(box, mapping->used_us, now_us) ||
                    !same(box->kind.mapping, &mapping->remote, remote) || !lets_in(box, remote, port, now_us))
                        continue;
                *inner_out = mapping->inner;
                return true;
        }
        if (box->kind.jealous)
                note_contact(box, remote, port, true, now_us);
        return false;
}
